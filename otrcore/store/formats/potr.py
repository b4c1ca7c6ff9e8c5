"""The files of weechat-otr and its library potr: a private key in a binary file, fingerprints in a table.

potr 1.0.2 writes a key as a public key of the specification (type 0 and p, q, g, y) with x behind it.
weechat-otr 1.9.2 names both files by the account, and has one table an account.
"""

from __future__ import annotations

from ...crypto.dsa import DsaPrivateKey
from ...errors import MalformedMessage
from ...wire.codec import Reader
from . import tables
from .dsa_numbers import Numbers, key_of
from .libotr import contact_of
from .values import FormatError, FoundContact, checked_size

_DSA = 0
_MEND = "bring back a copy of the file"


def read_key(data: bytes) -> DsaPrivateKey:
    """Return the key of a `.key3` file; FormatError."""
    reader = Reader(checked_size(data))
    try:
        if reader.short() != _DSA:
            raise FormatError(0, "it does not begin as a private key does", _MEND)
        numbers = Numbers(*(reader.mpi() for _ in Numbers._fields))
        reader.end()
        return key_of(numbers)
    except MalformedMessage as error:
        raise FormatError(0, "it is cut off or damaged", _MEND) from error
    except ValueError as error:
        raise FormatError(0, str(error), _MEND) from error


def read_fingerprints(data: bytes) -> tuple[FoundContact, ...]:
    """Return the contacts' keys of a `.fpr` file; FormatError."""
    return tuple(
        contact_of(line, names, digits, word) for line, (*names, digits, word) in tables.rows(data, (5,))
    )
