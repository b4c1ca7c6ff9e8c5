"""Texts of others, so that a terminal has nothing to act on."""

from __future__ import annotations

_FIRST_LONE_BYTE = 0xDC80
_LAST_LONE_BYTE = 0xDCFF


def escape(text: str | bytes) -> str:
    """Return the text with an escape, such as \\x1b, for all that is not to look at; a backslash is doubled.

    Bytes are read as UTF-8; those that are none, lone surrogates in a `str` too, become \\x80 to \\xff.
    """
    if isinstance(text, bytes):
        text = text.decode(errors="surrogateescape")
    return "".join(_visible(character) for character in text)


def _visible(character: str) -> str:
    if _FIRST_LONE_BYTE <= ord(character) <= _LAST_LONE_BYTE:
        return f"\\x{ord(character) & 0xFF:02x}"
    if character.isprintable() and character != "\\":
        return character
    return character.encode("unicode_escape").decode("ascii")
