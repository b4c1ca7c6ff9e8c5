"""Messages cut into pieces: three syntaxes, cutting, and putting together (v3 and v4, "Fragmentation")."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import MalformedMessage, PeerError, Reason
from .header import SMALLEST_INSTANCE_TAG, VERSION_2, VERSION_4, Header

MAX_PIECES = 65535
MAX_TOTAL = 64 * 1024
"""Characters that a reassembled message may have; no client of ours sends more than about 44,000."""

MAX_PARTIALS = 8
"""Messages of one peer that are put together at once: in versions 2 and 3 one for each of its clients."""

_JOINED_AT = 64
"""Pieces that are held apart: thousands of tiny ones would take far more memory than their text."""

LIFETIME = 60.0
"""Seconds that a partial message is kept without a new piece."""

LONGEST = 10 * LIFETIME
"""Seconds that one of version 4 is kept however its pieces trickle: any of them may be the last."""

SMALLEST_PIECE = 32
FEW_PIECES = 128
"""Beyond this many pieces, those of a version-4 message have at least SMALLEST_PIECE characters on average.

Each is held by itself, at some 200 bytes whatever its length, so that tiny ones would take far more than
their text.
"""

OVERHEAD_4 = len("?OTR|00000000|00000000|00000000,00000,00000,,")
OVERHEAD_3 = len("?OTR|00000000|00000000,00000,00000,,")
OVERHEAD_2 = len("?OTR,00000,00000,,")

# Receivers take unpadded numbers too: some clients send them.
_VERSION_3_OR_4 = re.compile(
    r"\?OTR\|(?:([0-9A-Fa-f]{1,8})\|)?([0-9A-Fa-f]{1,8})\|([0-9A-Fa-f]{1,8})"
    r",([0-9]{1,5}),([0-9]{1,5}),([^,]+),"
)
_VERSION_2 = re.compile(r"\?OTR,([0-9]{1,5}),([0-9]{1,5}),([^,]+),")


@dataclass(frozen=True, slots=True)
class Fragment:
    """Piece `index` of `count`; the instance tags are None in the syntax of version 2.

    `identifier`, 32 bits, tells the messages of one instance apart in that of version 4, None in others.
    """

    index: int
    count: int
    piece: str
    sender_tag: int | None = None
    receiver_tag: int | None = None
    identifier: int | None = None


def parse_fragment(line: str) -> Fragment | None:
    """Return the fragment in `line`, None if it is none; MalformedMessage if it is an illegal one."""
    if (start := line.find("?OTR|")) >= 0:
        if not (found := _VERSION_3_OR_4.match(line, start)):
            raise MalformedMessage("a fragment that cannot be read")
        identifier = int(found[1], 16) if found[1] else None
        sender, receiver = int(found[2], 16), int(found[3], 16)
        if sender < SMALLEST_INSTANCE_TAG or 0 < receiver < SMALLEST_INSTANCE_TAG:
            raise MalformedMessage("a fragment with an illegal instance tag")
        fragment = Fragment(int(found[4]), int(found[5]), found[6], sender, receiver, identifier)
    elif (start := line.find("?OTR,")) >= 0:
        if not (found := _VERSION_2.match(line, start)):
            raise MalformedMessage("a fragment that cannot be read")
        fragment = Fragment(int(found[1]), int(found[2]), found[3])
    else:
        return None
    if not 1 <= fragment.index <= fragment.count <= MAX_PIECES:
        raise MalformedMessage("a fragment with impossible numbers")
    return fragment


def cut(message: str, limit: int | None, header: Header, identifier: int | None = None) -> tuple[str, ...]:
    """Return the lines, each of at most `limit` characters, that carry an encoded message.

    `header` is the message's own: its tags go into every piece.  `limit` None, or a
    message that fits, means one line.  ValueError if `limit` leaves no room, or if
    more than 65,535 pieces were needed.  Version 4 needs an `identifier`, 32 random
    bits, and without one it is a ValueError; other versions have none.
    """
    if header.version == VERSION_4 and identifier is None:
        raise ValueError("a message of version 4 is cut under an identifier")
    if limit is None or len(message) <= limit:
        return (message,)
    if header.version == VERSION_2:
        start, room = "?OTR,", limit - OVERHEAD_2
    elif header.version == VERSION_4:
        start = f"?OTR|{identifier:08x}|{header.sender_tag:08x}|{header.receiver_tag:08x},"
        room = limit - OVERHEAD_4
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


_Key = int | tuple[int | None, int] | None
"""The sender's instance tag; in version 4 that and the identifier."""


class Reassembler:
    """Partial messages of one peer: of versions 2 and 3 one for each of its instances, of version 4 any.

    Pieces come in order or not at all in versions 2 and 3, in any order in version 4.
    Plain text in between drops nothing: libotr keeps the partial too, and on IRC a
    notice of the server or a line typed elsewhere may well fall between two pieces.
    """

    __slots__ = ("_partials",)

    def __init__(self) -> None:
        """Begin with no partial message."""
        self._partials: dict[_Key, Partial | ScatteredPartial] = {}
        """The one that got a piece last at the end."""

    @property
    def empty(self) -> bool:
        """Whether nothing is being put together."""
        return not self._partials

    @property
    def expires(self) -> float | None:
        """When the next partial message is given up, None if there is none."""
        return min((partial.expires for partial in self._partials.values()), default=None)

    def expire(self, now: float) -> None:
        """Give up partial messages that have waited too long."""
        for key, partial in tuple(self._partials.items()):
            if now >= partial.expires:
                del self._partials[key]

    def add(self, fragment: Fragment, now: float) -> str | None:
        """Take one piece; return the whole message after its last; PeerError if it grew too large."""
        self.expire(now)
        if fragment.identifier is None:
            return self._add_in_order(fragment, now)
        return self._add_scattered(fragment, (fragment.sender_tag, fragment.identifier), now)

    def _add_in_order(self, fragment: Fragment, now: float) -> str | None:
        """The first piece starts over; the one expected next is appended; any other spoils all before."""
        partial = self._partials.pop(fragment.sender_tag, None)
        if fragment.index == 1:
            partial = Partial(fragment.count)
        elif not isinstance(partial, Partial) or not partial.awaits(fragment):
            return None
        partial.append(fragment.piece, now)
        if fragment.index == fragment.count:
            return "".join(partial.pieces)
        self._keep(fragment.sender_tag, partial)
        return None

    def _add_scattered(self, fragment: Fragment, key: _Key, now: float) -> str | None:
        """A piece goes to its place, if that is free; one with another count spoils all before."""
        partial = self._partials.get(key)
        if not isinstance(partial, ScatteredPartial):
            partial = ScatteredPartial(fragment.count, now)
        elif fragment.count != partial.count:
            del self._partials[key]
            return None
        elif fragment.index in partial.pieces:
            return None
        self._partials.pop(key, None)
        partial.put(fragment, now)
        if len(partial.pieces) == partial.count:
            return "".join(partial.pieces[index] for index in range(1, partial.count + 1))
        self._keep(key, partial)
        return None

    def _keep(self, key: _Key, partial: Partial | ScatteredPartial) -> None:
        if len(self._partials) >= MAX_PARTIALS:
            del self._partials[next(iter(self._partials))]
        self._partials[key] = partial


class Partial:
    """The pieces of one message so far, those that come in order."""

    __slots__ = ("_size", "count", "index", "pieces", "touched")

    def __init__(self, count: int) -> None:
        """Await piece 1 of `count`."""
        self.count = count
        self.index = 0
        self.pieces: list[str] = []
        self.touched = 0.0
        self._size = 0

    @property
    def expires(self) -> float:
        """When it is given up if no piece comes."""
        return self.touched + LIFETIME

    def awaits(self, fragment: Fragment) -> bool:
        """Whether this is the next piece."""
        return (fragment.index, fragment.count) == (self.index + 1, self.count)

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


class ScatteredPartial:
    """The pieces of one message of version 4 so far, by index."""

    __slots__ = ("_last", "_size", "count", "expires", "pieces")

    def __init__(self, count: int, now: float) -> None:
        """Await any of `count` pieces; from `now` on, seconds, its whole lifetime is counted."""
        self.count = count
        self.pieces: dict[int, str] = {}
        self.expires = now
        """When it is given up if no piece comes."""
        self._last = now + LONGEST
        self._size = 0

    def put(self, fragment: Fragment, now: float) -> None:
        """Put a piece in its free place; PeerError if all are too large, or too many for their size."""
        self._size += len(fragment.piece)
        few = FEW_PIECES + self._size // SMALLEST_PIECE
        if self._size > MAX_TOTAL or len(self.pieces) >= few:
            raise PeerError(Reason.TOO_LARGE, "fragments of one message")
        self.pieces[fragment.index] = fragment.piece
        self.expires = min(now + LIFETIME, self._last)
