"""The three files of libotr: private keys, fingerprints of contacts, instance tags.

libotr 4.1.1, `src/privkey.c` and `src/instag.c`.  It passes over lines that it does not understand;
here they are refused, as what they said would be lost without a word.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...model import Trust
from ...wire.header import SMALLEST_INSTANCE_TAG
from . import sexp, tables
from .dsa_numbers import Numbers, key_of, numbers_of
from .sexp import Atom, List
from .values import FormatError, FoundContact, FoundKey, FoundTag, checked_name

LONGEST_LINE = 999
"""Bytes, with its end: libotr takes the rest of a longer line for another one."""

_MEND = "bring back a copy of the file"
_TAGS_HEAD = b"# Keep this file on one computer: two clients with one tag are taken for one.\n"


def read_keys(data: bytes) -> tuple[FoundKey, ...]:
    """Return the keys of a file like `otr.private_key`; FormatError."""
    whole = sexp.read(data)
    if whole.name != b"privkeys":
        raise FormatError(whole.line, "it does not begin as a file of private keys does", _MEND)
    found: dict[tuple[str, str], FoundKey] = {}
    for account in whole.items[1:]:
        if not isinstance(account, List) or account.name != b"account":
            raise FormatError(account.line, "there is something else than an account", _MEND)
        key = _account(account)
        name = (key.account, key.protocol)
        if name in found and found[name].key.public != key.key.public:
            raise FormatError(key.line, "its account has another key above", "remove one of the two")
        found[name] = key
    return tuple(found.values())


def write_keys(keys: Iterable[FoundKey]) -> bytes:
    """Return such a file, byte for byte as libotr writes it."""
    accounts = []
    for found in keys:
        numbers = numbers_of(found.key)
        accounts += [
            b" (account\n",
            b"(name %s)\n" % sexp.written(found.account.encode()),
            b"(protocol %s)\n" % sexp.written(found.protocol.encode()),
            b"(private-key \n (dsa \n",
            *(
                b"  (%s %s)\n" % (name.encode(), sexp.written(_signed(number)))
                for name, number in zip(Numbers._fields, numbers, strict=True)
            ),
            b"  )\n )\n )\n",
        ]
    return b"".join([b"(privkeys\n", *accounts, b")\n"])


def read_fingerprints(data: bytes) -> tuple[FoundContact, ...]:
    """Return the contacts' keys of a file like `otr.fingerprints`; of one that stands twice, the last."""
    found: dict[tuple[str, str, str, bytes], FoundContact] = {}
    for line, (nick, account, protocol, digits, *word) in tables.rows(data, (4, 5)):
        contact = contact_of(line, (nick, account, protocol), digits, word[0] if word else b"")
        found[contact.nick, contact.account, contact.protocol, contact.fingerprint.digest] = contact
    return tuple(found.values())


def contact_of(line: int, names: Sequence[bytes], digits: bytes, word: bytes) -> FoundContact:
    """Return what a line of a table of fingerprints says; FormatError."""
    nick, account, protocol = (
        checked_name(line, what, name)
        for what, name in zip(("the name", "the account", "the protocol"), names, strict=True)
    )
    fingerprint = tables.fingerprint(line, digits)
    trust, unknown = tables.trust(line, word)
    return FoundContact(nick, account, protocol, fingerprint, trust, line, unknown)


def write_fingerprints(contacts: Iterable[FoundContact], compared: str) -> bytes:
    """Return such a file; `compared` is the program's word for trust in a key that was compared."""
    words = {Trust.NONE: "", Trust.COMPARED: compared, Trust.SMP: "smp"}
    return b"".join(
        _line(
            contact.nick,
            contact.account,
            contact.protocol,
            contact.fingerprint.digest.hex(),
            words[contact.trust],
        )
        for contact in contacts
    )


def read_tags(data: bytes) -> tuple[FoundTag, ...]:
    """Return the instance tags of a file like `otr.instance_tags`; FormatError."""
    found = []
    for line, (account, protocol, digits) in tables.rows(data, (3,)):
        names = checked_name(line, "the account", account), checked_name(line, "the protocol", protocol)
        tag = tables.tag(line, digits)
        if tag < SMALLEST_INSTANCE_TAG:
            raise FormatError(line, f"no instance tag is below {SMALLEST_INSTANCE_TAG:08x}", tables.MEND)
        found.append(FoundTag(*names, tag, line))
    return tuple(found)


def write_tags(tags: Iterable[FoundTag]) -> bytes:
    """Return such a file."""
    return _TAGS_HEAD + b"".join(_line(tag.account, tag.protocol, f"{tag.tag:08x}") for tag in tags)


def _account(account: List) -> FoundKey:
    name = checked_name(account.line, "the account's name", _value(account, b"name").data)
    protocol = checked_name(account.line, "the account's protocol", _value(account, b"protocol").data)
    dsa = _one(_one(account, b"private-key"), b"dsa")
    numbers = Numbers(*(_number(_value(dsa, letter.encode())) for letter in Numbers._fields))
    try:
        return FoundKey(name, protocol, key_of(numbers), account.line)
    except ValueError as error:
        raise FormatError(dsa.line, str(error), _MEND) from error


def _one(parent: List, name: bytes) -> List:
    found = parent.lists(name)
    if len(found) != 1:
        raise FormatError(parent.line, f"it has no ({name.decode()} ...), or more than one", _MEND)
    return found[0]


def _value(parent: List, name: bytes) -> Atom:
    found = _one(parent, name)
    value = found.items[-1]
    if len(found.items) != 2 or not isinstance(value, Atom):
        raise FormatError(found.line, f"({name.decode()} ...) does not have one value", _MEND)
    return value


def _number(value: Atom) -> int:
    return int.from_bytes(value.data, "big")


def _signed(number: int) -> bytes:
    """Return a positive number as libgcrypt keeps it: with a zero in front where the top bit is set."""
    return number.to_bytes(number.bit_length() // 8 + 1, "big")


def _line(*columns: str) -> bytes:
    line = "\t".join(columns).encode() + b"\n"
    if len(line) > LONGEST_LINE:
        raise FormatError(0, "a name is too long for a file of libotr", "give a shorter --nick or --server")
    return line
