"""Lines of IRC as HexChat hands them over: messages in them, and nothing else."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import NamedTuple

_MESSAGE = re.compile(
    r"(?:@\S+ +)?(?::(?P<sender>\S+) +)?(?P<command>C?PRIVMSG|C?NOTICE) +(?P<to>\S+) +(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
_ACTION = "\x01ACTION "

PIECE = 1023
"""Bytes that HexChat reads at once of a line in a file of commands."""


class Message(NamedTuple):
    """A PRIVMSG or a NOTICE; those that go by a common channel, as CPRIVMSG and CNOTICE, are such too."""

    sender: str
    """nick!user@host, or what there is of it; empty in what the user sends."""
    command: str
    to: str
    text: str


def message(line: str) -> Message | None:
    """Return the message in a line, if it is one."""
    found = _MESSAGE.fullmatch(line.lstrip())
    if found is None:
        return None
    command, rest = found["command"].upper(), found["rest"]
    if command.startswith("C"):
        command, rest = command[1:], rest.partition(" ")[2].lstrip(" ")
    text = rest[1:] if rest.startswith(":") else rest
    return Message(found["sender"] or "", command, found["to"], text)


def lines(text: str) -> list[str]:
    """Return the lines that a server would make of a text."""
    return [line for line in re.split("[\r\n\0]+", text) if line]


def nick(prefix: str) -> str:
    """Return the nick in front of a line."""
    return prefix.lstrip(":").partition("!")[0]


def mask(prefix: str) -> str | None:
    """Return nick!user@host in front of a line, if all of it is there."""
    whole = prefix.lstrip(":")
    return whole if "!" in whole and "@" in whole else None


def bare(text: str) -> str:
    """Return a text without the CTCP around an action."""
    return text[len(_ACTION) :].rstrip("\x01") if text.startswith(_ACTION) else text


def request(text: str) -> str:
    """Return which CTCP a text is, in capitals; empty for none."""
    return text[1:].partition(" ")[0].rstrip("\x01").upper() if text.startswith("\x01") else ""


def is_utf8(path: str) -> bool:
    """Whether all that HexChat reads of a file of commands, in pieces, is UTF-8; OSError."""
    with open(path, "rb") as file:
        try:
            for piece in iter(lambda: file.readline(PIECE), b""):
                piece.decode()
        except UnicodeDecodeError:
            return False
    return True


def time(seconds: float) -> str:
    """Return what stands in front of a line that was said at this time; nothing for 0, which is now."""
    if not seconds:
        return ""
    return f"@time={datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%dT%H:%M:%S}.000Z "
