"""Bytes from a server into lines, and a line into its parts, whatever the bytes are.

The text of a message is handed on exactly as it was sent. The `irc` library cannot do that: it takes CTCP
quoting out of the text, splits parameters at every Unicode blank, and raises on a line without a command;
only its reading of message tags is used here. Pure, and nothing in here raises.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import irc.message

from ..lines import one_line

MAX_RECEIVED_BYTES = 16384
"""Longest line kept: the protocol allows 512 bytes after 8191 bytes of tags. More is thrown away unread."""

_LINE = re.compile(
    r"(?:@(?P<tags>[^ ]*) +)?(?::(?P<source>[^ ]+) +)?(?P<command>[^ :@][^ ]*)(?P<parameters>.*)", re.DOTALL
)


class LineAssembler:
    """Cuts a byte stream into lines, in bounded memory.

    A line longer than `MAX_RECEIVED_BYTES` is discarded up to its newline, and the connection goes on: only a
    broken or hostile server sends one, and whoever makes a server send it should not be able to close a
    connection with it. CR and NUL are removed wherever they stand; some servers let them through, and both
    end lines elsewhere.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._too_long = False
        self.discarded = 0
        """Lines thrown away because of their length."""

    def feed(self, data: bytes) -> list[bytes]:
        """Take in `data`, return the lines that it completes, without their line ends."""
        *ended, self._rest = (self._rest + data.translate(None, b"\r\0")).split(b"\n")
        lines: list[bytes] = []
        for line in ended:
            if self._too_long or len(line) > MAX_RECEIVED_BYTES:
                self.discarded += 1
                self._too_long = False
            else:
                lines.append(line)
        if len(self._rest) > MAX_RECEIVED_BYTES:
            self._rest = b""
            self._too_long = True
        return lines


def decode(line: bytes) -> str:
    """The line as UTF-8, or as Latin-1 when it is not: every byte string gives a text that can be encoded
    again.

    Latin-1 rather than surrogates or U+FFFD, because a line that is no UTF-8 mostly is Latin-1, and because a
    surrogate in a text would raise much later, where it is printed or sent. One exception: servers cut long
    lines at a byte, which can split the last character of a UTF-8 line; it then becomes U+FFFD and the rest
    stays UTF-8.
    """
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        whole = line[: error.start]
        if error.reason == "unexpected end of data" and not whole.isascii():
            return whole.decode("utf-8") + "\N{REPLACEMENT CHARACTER}"
        return line.decode("latin-1")


@dataclass(frozen=True, slots=True)
class ReceivedLine:
    """One line in its parts; no part holds CR, LF or NUL, and only the last parameter can hold a blank."""

    tags: Mapping[str, str]
    source: str
    """A full nick!user@host, a server's name, or empty when the line names no source."""
    command: str
    parameters: tuple[str, ...]


def parse(line: str) -> ReceivedLine | None:
    """The parts of a line without its line end; None for a line that holds no command."""
    match = _LINE.fullmatch(one_line(line))
    if match is None:
        return None
    middle, colon, trailing = match["parameters"].partition(" :")
    parameters = [parameter for parameter in middle.split(" ") if parameter]
    if colon:
        parameters.append(trailing)
    return ReceivedLine(_tags(match["tags"]), match["source"] or "", match["command"], tuple(parameters))


def _tags(text: str | None) -> Mapping[str, str]:
    # Unescaping can bring line breaks back, so they are taken out after it.
    pairs = irc.message.Tag.from_group(text) or []
    return MappingProxyType({pair["key"]: one_line(pair["value"] or "") for pair in pairs})
