"""Lines that arrive whole: what fits once the server has put the sender in front, and cutting to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

Command = Literal["PRIVMSG", "NOTICE"]
"""With what a text is sent."""

MAX_DELIVERED_BYTES = 510
"""Bytes of a line as delivered, without CR LF and without IRCv3 tags (RFC 2812 section 2.3)."""

WORST_USER = 20
WORST_HOST = 63
"""Longest user and host parts that servers show, ngircd for the user; taken until our own are known."""

ACTION = "\x01ACTION {}\x01"
"""A CTCP ACTION: what `/me` sends."""

NO_ROOM = "The names that stand before a line to {} leave no room for a text: take a shorter nick."

_MAX_PRINTABLE = 200
_LINE_BREAKS = str.maketrans("", "", "\r\n\0")


def one_line(text: str) -> str:
    """Return the text without CR, LF and NUL, any of which some server takes for the end of a command."""
    return text.translate(_LINE_BREAKS)


def printable(text: str) -> str:
    """Return the printable characters, at most 200: fit for a sentence on a terminal and for a parameter."""
    return "".join(character for character in text if character.isprintable())[:_MAX_PRINTABLE]


def display_lines(text: str) -> tuple[str, ...]:
    """Return a received text as lines to show; other clients do send texts of several lines."""
    return tuple(one_line(line) for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))


def text_limit(nick: str, own_mask: str | None, target: str, command: Command = "PRIVMSG") -> int:
    """Return how many bytes of text reach the target whole.

    `own_mask` is nick!user@host as others see it; while unknown, the longest one possible is assumed.
    """
    sender = _size(own_mask) if own_mask else _size(nick) + 2 + WORST_USER + WORST_HOST
    return MAX_DELIVERED_BYTES - len(":") - sender - _size(f" {command} {target} :")


def _size(text: str) -> int:
    """Return how many bytes a text has at most: a client may hand on a name that was no UTF-8."""
    return len(text.encode(errors="surrogatepass"))


def split_text(text: str, limit: int) -> Iterator[str]:
    """Cut a text into pieces of at most `limit` bytes of UTF-8, at blanks where that wastes little.

    A character that is longer than the limit makes a piece of its own.
    """
    rest = text.encode(errors="replace")
    limit = max(limit, 1)
    while len(rest) > limit:
        stop = limit
        while stop and _continues(rest[stop]):
            stop -= 1
        if stop == 0:
            stop = next((at for at in range(1, len(rest)) if not _continues(rest[at])), len(rest))
        blank = rest.rfind(b" ", stop - stop // 4, stop + 1)
        if blank > 0:
            yield rest[:blank].decode()
            rest = rest[blank + 1 :]
        else:
            yield rest[:stop].decode()
            rest = rest[stop:]
    if rest or not text:
        yield rest.decode()


def split_action(text: str, limit: int) -> Iterator[str]:
    """Cut what comes behind `/me` as `split_text` does, each piece as a CTCP ACTION within the limit."""
    return map(ACTION.format, split_text(text, limit - len(ACTION.format(""))))


def _continues(byte: int) -> bool:
    """Whether a byte of UTF-8 is not the first of its character."""
    return byte & 0xC0 == 0x80
