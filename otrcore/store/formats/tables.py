"""Files of one record a line, in columns that are separated by tabs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...model import Fingerprint, Trust
from .values import FormatError, checked_name, checked_size

MEND = "mend or remove it"

_HEX_DIGITS = frozenset(b"0123456789abcdefABCDEF")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

TRUST = {
    "": Trust.NONE,
    "verified": Trust.COMPARED,
    "manual": Trust.COMPARED,
    "smp": Trust.SMP,
}
"""What programs write: Pidgin and weechat-otr say `verified` where irssi and hexchat-otr say `manual`."""


def rows(data: bytes, counts: Sequence[int]) -> Iterator[tuple[int, list[bytes]]]:
    """Yield the columns of each line with its number; FormatError if there are not as many as there may be.

    Empty lines and comments, which have no tab, are passed over, as libotr does.
    """
    if checked_size(data).startswith(_BYTE_ORDER_MARK):
        raise FormatError(1, "it begins with a byte order mark", "remove that in an editor")
    lines = data.split(b"\n")
    for number, text in enumerate(lines, start=1):
        text = text.removesuffix(b"\r")
        if not text or (text.startswith(b"#") and b"\t" not in text):
            continue
        if number == len(lines):
            # Whatever cut it off may have taken a part of it; libotr passes over such a line too.
            raise FormatError(number, "the line does not end, as if cut off", "bring back a copy of the file")
        columns = text.split(b"\t")
        if len(columns) not in counts:
            wanted = " or ".join(map(str, counts))
            raise FormatError(number, f"there should be {wanted} columns, and there are {len(columns)}", MEND)
        yield number, columns


def trust(line: int, word: bytes) -> tuple[Trust, str]:
    """Return what the word of a line says of trust, and the word itself where it is not known here.

    libotr trusts a key for any word at all; who wrote another one may have meant anything by it.
    """
    text = checked_name(line, "the trust", word) if word else ""
    known = TRUST.get(text)
    return (Trust.NONE, text) if known is None else (known, "")


def fingerprint(line: int, digits: bytes) -> Fingerprint:
    """Read the fingerprint of a line; FormatError."""
    if len(digits) != 40:
        raise FormatError(line, f"a fingerprint has 40 hex digits, and this one {len(digits)}", MEND)
    return Fingerprint(_bytes(line, digits, "the fingerprint"))


def tag(line: int, digits: bytes) -> int:
    """Read the instance tag of a line; FormatError."""
    if len(digits) != 8:
        raise FormatError(line, f"an instance tag has 8 hex digits, and this one {len(digits)}", MEND)
    return int.from_bytes(_bytes(line, digits, "the instance tag"), "big")


def _bytes(line: int, digits: bytes, what: str) -> bytes:
    if not _HEX_DIGITS.issuperset(digits):
        raise FormatError(line, f"{what} has other characters than hex digits", MEND)
    return bytes.fromhex(digits.decode())
