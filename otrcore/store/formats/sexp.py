"""S-expressions as libgcrypt writes and reads them, in its advanced format.

https://people.csail.mit.edu/rivest/Sexp.txt, without what libgcrypt leaves out: comments, display
hints and the transport encoding.  Stricter than libgcrypt in that a length has to be the true one, and
that nothing may follow the first list.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from .values import FormatError, checked_size

MAX_DEPTH = 16
"""Lists inside lists; a key file has five."""

MAX_VALUES = 100_000
"""Atoms and parentheses of one file; an account of a key file has about sixty."""

MAX_ATOM_BYTES = 4096
"""The longest atom of a key file, p, has 129."""

_TOKEN = rb"[A-Za-z\-./_:*+=][A-Za-z0-9\-./_:*+=]*"
_BLANKS = b" \t\v\n\f\r"
_LEXEME = re.compile(
    rb"(?P<blank>[ \t\v\n\f\r]+)"
    rb"|(?P<open>\()"
    rb"|(?P<close>\))"
    rb"|(?P<token>" + _TOKEN + rb")"
    rb"|(?P<length>[0-9]+)"
    rb"|(?P<hex>#[0-9A-Fa-f \t\v\n\f\r]*#)"
    rb'|(?P<string>"(?:[^"\\]|\\.)*+")'
    rb"|(?P<base64>\|[A-Za-z0-9+/= \t\v\n\f\r]*\|)",
    re.DOTALL,
)
_CUT_OFF = {b"#": "hex digits", b'"': "a quoted text", b"|": "base 64"}

_ESCAPE = re.compile(rb"\\(?:x([0-9A-Fa-f]{2})|([0-3][0-7]{2})|(\r\n|\n\r|\r|\n)|(.))", re.DOTALL)
_ESCAPED = {
    b"b": b"\b",
    b"t": b"\t",
    b"v": b"\v",
    b"n": b"\n",
    b"f": b"\f",
    b"r": b"\r",
    b'"': b'"',
    b"'": b"'",
    b"\\": b"\\",
}
_ESCAPES = {value[0]: b"\\" + letter for letter, value in _ESCAPED.items()} | {0: b"\\x00"}
_MEND = "bring back a copy of the file"


@dataclass(frozen=True, slots=True)
class Atom:
    """Some bytes, which may be a secret; `line` is where it begins."""

    line: int
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class List:
    """What stands between two parentheses; `line` is where it begins."""

    line: int
    items: tuple[Atom | List, ...]

    @property
    def name(self) -> bytes:
        """The atom in front, by which lists are known; empty if there is none."""
        first = self.items[0] if self.items else None
        return first.data if isinstance(first, Atom) else b""

    def lists(self, name: bytes) -> list[List]:
        """Return the lists of a name that stand directly in this one."""
        return [item for item in self.items if isinstance(item, List) and item.name == name]


def read(data: bytes) -> List:
    """Return the one list that a file consists of; FormatError."""
    opened: list[tuple[int, list[Atom | List]]] = [(1, [])]  # the first is the file itself
    for count, (line, what, content) in enumerate(_lexemes(checked_size(data))):
        if count == MAX_VALUES:
            raise FormatError(line, f"there are more than {MAX_VALUES} values", _MEND)
        if len(opened) == 1:
            if opened[0][1]:
                raise FormatError(line, "something follows the last parenthesis", _MEND)
            if what != "open":
                raise FormatError(line, "it does not begin with an opening parenthesis", _MEND)
        if what == "open":
            if len(opened) > MAX_DEPTH:
                raise FormatError(line, f"parentheses stand more than {MAX_DEPTH} deep", _MEND)
            opened.append((line, []))
        elif what == "close":
            began, items = opened.pop()
            opened[-1][1].append(List(began, tuple(items)))
        else:
            opened[-1][1].append(Atom(line, content))
    if len(opened) > 1:
        raise FormatError(opened[-1][0], "the parenthesis that is opened here is not closed", _MEND)
    for whole in opened[0][1]:
        if isinstance(whole, List):
            return whole
    raise FormatError(0, "there is nothing in it", _MEND)


def written(data: bytes) -> bytes:
    """Return an atom as libgcrypt writes it."""
    if not data:
        return b'""'
    # What may be a number, or is no text, is written in hex digits.
    if data[0] == 0 or data[0] >= 0x80 or any(map(_is_binary, data)):
        return b"#" + data.hex().upper().encode() + b"#"
    if re.fullmatch(_TOKEN, data):
        return data
    return b'"' + b"".join(_ESCAPES.get(byte, bytes((byte,))) for byte in data) + b'"'


def _is_binary(byte: int) -> bool:
    return (byte < 0x20 or 0x7F <= byte <= 0xA0) and byte not in _ESCAPES


def _lexemes(data: bytes) -> Iterator[tuple[int, str, bytes]]:
    """Yield each parenthesis ("open" or "close") and each atom ("atom"), with its line and its bytes."""
    at, line, length = 0, 1, None
    while at < len(data):
        if length is not None and data[at : at + 1] == b":":
            content = data[at + 1 : at + 1 + length]
            if len(content) < length:
                raise FormatError(line, f"{length - len(content)} of {length} bytes are missing", _MEND)
            yield line, "atom", content
            line += content.count(b"\n")
            at, length = at + 1 + length, None
            continue
        found = _LEXEME.match(data, at)
        kind = found.lastgroup if found else None
        if found is None or kind is None:
            raise FormatError(line, _not_understood(data[at : at + 1]), _MEND)
        text = found[0]
        if length is not None and kind not in ("hex", "string", "base64"):
            raise FormatError(line, "a length is not followed by what it is the length of", _MEND)
        if kind in ("open", "close"):
            yield line, kind, text
        elif kind == "length":
            length = _length(line, text)
        elif kind != "blank":
            content = _content(line, kind, text)
            if length is not None and length != len(content):
                raise FormatError(line, f"a length says {length}, and there are {len(content)} bytes", _MEND)
            if len(content) > MAX_ATOM_BYTES:
                raise FormatError(line, f"a value is longer than {MAX_ATOM_BYTES} bytes", _MEND)
            yield line, "atom", content
            length = None
        line += text.count(b"\n")
        at = found.end()
    if length is not None:
        raise FormatError(line, "it ends behind a length", _MEND)


def _not_understood(character: bytes) -> str:
    if character in _CUT_OFF:
        return f"{_CUT_OFF[character]} beginning here: cut off or damaged"
    return f"a character (0x{character.hex()}) has no meaning here"


def _length(line: int, digits: bytes) -> int:
    # A number of a million digits must not be computed.
    if digits.startswith(b"0") or len(digits) > len(str(MAX_ATOM_BYTES)) or int(digits) > MAX_ATOM_BYTES:
        raise FormatError(line, f"a length is not a number from 1 to {MAX_ATOM_BYTES}", _MEND)
    return int(digits)


def _content(line: int, kind: str, text: bytes) -> bytes:
    if kind == "token":
        return text
    inner = text[1:-1]
    if kind == "string":
        return _ESCAPE.sub(lambda found: _unescaped(line, found), inner)
    digits = inner.translate(None, _BLANKS)
    if kind == "hex":
        if len(digits) % 2:
            raise FormatError(line, "a hex digit has no partner", _MEND)
        return bytes.fromhex(digits.decode())
    content = b""
    with suppress(ValueError):
        content = base64.b64decode(digits, validate=True)
    if not content:  # libgcrypt knows no empty one either
        raise FormatError(line, "what should be base 64 is not", _MEND)
    return content


def _unescaped(line: int, found: re.Match[bytes]) -> bytes:
    hexadecimal, octal, line_end, letter = found.groups()
    if hexadecimal is not None:
        return bytes((int(hexadecimal, 16),))
    if octal is not None:
        return bytes((int(octal, 8),))
    if line_end is not None:
        return b""
    if letter not in _ESCAPED:
        raise FormatError(line, "a backslash in a quoted text stands before what it cannot change", _MEND)
    return _ESCAPED[letter]
