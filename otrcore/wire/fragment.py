"""Messages cut into pieces: the two syntaxes, cutting, and putting together (v3, "Fragmentation")."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import MalformedMessage, PeerError, Reason
from .header import SMALLEST_INSTANCE_TAG, VERSION_2, Header

MAX_PIECES = 65535
MAX_TOTAL = 64 * 1024
"""Characters that a reassembled message may have; no client of ours sends more than about 44,000."""

MAX_PARTIALS = 8
"""Messages of one peer that are put together at once: one for each of its clients."""

_JOINED_AT = 64
"""Pieces that are held apart: thousands of tiny ones would take far more memory than their text."""

LIFETIME = 60.0
"""Seconds that a partial message is kept without a new piece."""

OVERHEAD_3 = len("?OTR|00000000|00000000,00000,00000,,")
OVERHEAD_2 = len("?OTR,00000,00000,,")

# Receivers take unpadded numbers too: some clients send them.
_VERSION_3 = re.compile(r"\?OTR\|([0-9A-Fa-f]{1,8})\|([0-9A-Fa-f]{1,8}),([0-9]{1,5}),([0-9]{1,5}),([^,]+),")
_VERSION_2 = re.compile(r"\?OTR,([0-9]{1,5}),([0-9]{1,5}),([^,]+),")


@dataclass(frozen=True, slots=True)
class Fragment:
    """Piece `index` of `count`; the instance tags are None in the syntax of version 2."""

    index: int
    count: int
    piece: str
    sender_tag: int | None = None
    receiver_tag: int | None = None


def parse_fragment(line: str) -> Fragment | None:
    """Return the fragment in `line`, None if it is none; MalformedMessage if it is an illegal one."""
    if (start := line.find("?OTR|")) >= 0:
        if not (found := _VERSION_3.match(line, start)):
            raise MalformedMessage("a fragment that cannot be read")
        sender, receiver = int(found[1], 16), int(found[2], 16)
        if sender < SMALLEST_INSTANCE_TAG or 0 < receiver < SMALLEST_INSTANCE_TAG:
            raise MalformedMessage("a fragment with an illegal instance tag")
        fragment = Fragment(int(found[3]), int(found[4]), found[5], sender, receiver)
    elif (start := line.find("?OTR,")) >= 0:
        if not (found := _VERSION_2.match(line, start)):
            raise MalformedMessage("a fragment that cannot be read")
        fragment = Fragment(int(found[1]), int(found[2]), found[3])
    else:
        return None
    if not 1 <= fragment.index <= fragment.count <= MAX_PIECES:
        raise MalformedMessage("a fragment with impossible numbers")
    return fragment


def cut(message: str, limit: int | None, header: Header) -> tuple[str, ...]:
    """Return the lines, each of at most `limit` characters, that carry an encoded message.

    `header` is the message's own: its tags go into every piece.  `limit` None, or a
    message that fits, means one line.  ValueError if `limit` leaves no room, or if
    more than 65,535 pieces were needed.
    """
    if limit is None or len(message) <= limit:
        return (message,)
    if header.version == VERSION_2:
        start, room = "?OTR,", limit - OVERHEAD_2
    else:
        start = f"?OTR|{header.sender_tag:08x}|{header.receiver_tag:08x},"
        room = limit - OVERHEAD_3
    count = -(-len(message) // room) if room > 0 else 0
    if not 0 < count <= MAX_PIECES:
        raise ValueError(f"a message of {len(message)} characters cannot be cut to lines of {limit}")
    return tuple(
        f"{start}{index + 1:05},{count:05},{message[index * room : (index + 1) * room]},"
        for index in range(count)
    )


class Reassembler:
    """Partial messages of one peer, one for each of its instances; pieces come in order or not at all.

    Plain text in between drops nothing: libotr keeps the partial too, and on IRC a
    notice of the server or a line typed elsewhere may well fall between two pieces.
    """

    __slots__ = ("_partials",)

    def __init__(self) -> None:
        self._partials: dict[int | None, Partial] = {}
        """By the sender's instance tag, the one that got a piece last at the end."""

    @property
    def empty(self) -> bool:
        """Whether nothing is being put together."""
        return not self._partials

    @property
    def expires(self) -> float | None:
        """When the next partial message is given up, None if there is none."""
        first = next(iter(self._partials.values()), None)
        return first.touched + LIFETIME if first else None

    def expire(self, now: float) -> None:
        """Give up partial messages that have waited too long."""
        for sender, partial in tuple(self._partials.items()):
            if now >= partial.touched + LIFETIME:
                del self._partials[sender]

    def add(self, fragment: Fragment, now: float) -> str | None:
        """Take one piece; return the whole message after its last; PeerError if it grew too large.

        The first piece starts over; the one expected next is appended; any other
        makes everything so far useless.
        """
        self.expire(now)
        sender = fragment.sender_tag
        partial = self._partials.pop(sender, None)
        if fragment.index == 1:
            partial = Partial(fragment.count)
        elif partial is None or (fragment.index, fragment.count) != (partial.index + 1, partial.count):
            return None
        partial.append(fragment.piece, now)
        if fragment.index == fragment.count:
            return "".join(partial.pieces)
        if len(self._partials) >= MAX_PARTIALS:
            del self._partials[next(iter(self._partials))]
        self._partials[sender] = partial
        return None


class Partial:
    """The pieces of one message so far."""

    __slots__ = ("_size", "count", "index", "pieces", "touched")

    def __init__(self, count: int) -> None:
        self.count = count
        self.index = 0
        self.pieces: list[str] = []
        self.touched = 0.0
        self._size = 0

    def append(self, piece: str, now: float) -> None:
        """Add the next piece; PeerError if all of them have grown too large."""
        self._size += len(piece)
        if self._size > MAX_TOTAL:
            raise PeerError(Reason.TOO_LARGE, "fragments of one message")
        self.index += 1
        self.touched = now
        self.pieces.append(piece)
        if len(self.pieces) >= _JOINED_AT:
            self.pieces = ["".join(self.pieces)]
