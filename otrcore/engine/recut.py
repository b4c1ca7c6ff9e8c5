"""A message of ours, cut anew for a line that has become shorter meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..conversation import SMALLEST_LINE_LIMIT
from ..crypto.random import system_random
from ..errors import OtrcoreError, UsageError
from ..irc.lines import split_text
from ..wire.fragment import Fragment, Reassembler, cut
from ..wire.header import parse_header
from ..wire.text import Encoded, Plain, Query, Tagged, classify

_ACTION = "\x01ACTION "
_ACTION_END = "\x01"


def recut(lines: Sequence[str], limit: int) -> tuple[str, ...]:
    """Put the lines of one or more messages together and cut them for `limit` bytes; UsageError."""
    if limit < SMALLEST_LINE_LIMIT:
        raise UsageError("The names that stand before a line leave no room: take a shorter nick.")
    pieces: list[str] = []
    joined = Reassembler()
    try:
        for line in lines:
            content = classify(line)
            whole: str | None = line
            if isinstance(content, Fragment):
                whole = joined.add(content, 0.0)
            if whole is not None:
                pieces += _cut(whole, limit)
    # What cannot be read was not made here; `cut` refuses what would take too many pieces.
    except (OtrcoreError, ValueError) as error:
        raise UsageError(_TOO_LONG) from error
    if not pieces or not joined.empty or any(len(piece.encode(errors="replace")) > limit for piece in pieces):
        raise UsageError(_TOO_LONG)
    return tuple(pieces)


def _cut(line: str, limit: int) -> Iterable[str]:
    if len(line.encode(errors="replace")) <= limit:
        return (line,)
    content = classify(line)
    match content:
        case Encoded(raw):
            # A new identifier: pieces under the old one may have left already.
            identifier = int.from_bytes(system_random("fragment", 4), "big")
            return cut(line, limit, parse_header(raw), identifier)
        case Query():
            return (line.partition(" ")[0],)  # what stands behind it is for people without OTR
        case Tagged(text):
            return _cut(text, limit)
        case Plain() if line.startswith(_ACTION) and line.endswith(_ACTION_END):
            room = limit - len(_ACTION + _ACTION_END)
            said = line[len(_ACTION) : -len(_ACTION_END)]
            return tuple(f"{_ACTION}{piece}{_ACTION_END}" for piece in split_text(said, room))
        case Plain():
            return split_text(line, limit)
        case _:
            return (line,)


_TOO_LONG = "The line is too long for the server now: send the text again."
