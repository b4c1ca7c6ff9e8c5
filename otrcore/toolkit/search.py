"""OTR in any text, such as the log of a chat: in order, from fragments too, and damaged ones by name.

Whatever stands around it does not matter: nicks, times, several messages in a line.  Time and
memory grow with the length of the text, whatever is in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..errors import MalformedMessage
from ..wire import messages3, messages4
from ..wire.fragment import Fragment, parse_fragment
from ..wire.header import VERSION_2, VERSION_3, VERSION_4, version_of
from ..wire.text import ENCODED_MARK, TAG_BASE, ErrorText, Query, Tagged, classify, decode

MAX_MESSAGE = 1 << 20
"""Characters of one message; on IRC none has more than about 44,000."""

MAX_PARTIALS = 64
"""Messages that are put together from fragments at once."""

_MAX_PREFIX = 200
"""Characters in front of a message that are looked at to tell whose line it is."""

_MARK = re.compile(r"\?OTR(?=[:|,?v]| Error:)|" + re.escape(TAG_BASE))
_READABLE = re.compile(
    r"\?OTR(?:\?(?:v[^\s?]{0,64}\?)?|v[^\s?]{0,64}\?)"  # a query
    r"|\?OTR Error:[^\r\n]*"
    "|" + re.escape(TAG_BASE) + r"(?:[ \t]{8})*+"
)
_FRAGMENT = re.compile(r"\?OTR(?:\|[^,\n]{0,26})?,[^,\n]{1,9},[^,\n]{1,9},[^,\n]+,")
_LIKE_A_FRAGMENT = re.compile(r"\?OTR(?:\|[0-9A-Fa-f]+\||,[0-9])\S*")
_ENCODED = re.compile(r"\?OTR:[A-Za-z0-9+/]*+={0,2}+(\.?)")
_LINE_END = re.compile(r"[ \t\r]*(?:\n|\Z)")
_CONTINUATION = re.compile(r"((?:[^\n]*[^A-Za-z0-9+/=.\n])?)([A-Za-z0-9+/]+={0,2})(\.?)[ \t\r]*(?:\n|\Z)")
_DIGITS = re.compile("[0-9]+")


Message = messages3.Message | messages4.Message


@dataclass(frozen=True, slots=True)
class Found:
    """Something of OTR, and the line that it begins in, from 1."""

    line: int
    content: Message | Query | ErrorText | Tagged


@dataclass(frozen=True, slots=True)
class Damaged:
    """What began as an OTR message and cannot be read, and why, as a part of a sentence."""

    line: int
    reason: str


def search(text: str) -> Iterator[Found | Damaged]:
    """Yield what there is of OTR in a text of lines."""
    return _Search(text).run()


@dataclass(slots=True)
class _Partial:
    line: int
    count: int
    pieces: dict[int, str] = field(default_factory=dict)
    size: int = 0

    def takes(self, fragment: Fragment) -> bool:
        """Whether this may be one of its pieces: in versions 2 and 3 they come in order."""
        is_next = fragment.identifier is not None or fragment.index == len(self.pieces) + 1
        return is_next and fragment.count == self.count

    def put(self, fragment: Fragment) -> None:
        """Add a piece, unless its place is taken."""
        if fragment.index not in self.pieces:
            self.pieces[fragment.index] = fragment.piece
            self.size += len(fragment.piece)

    def joined(self) -> str | None:
        """Return the message, None while a piece of it is missing."""
        if len(self.pieces) < self.count:
            return None
        return "".join(self.pieces[index] for index in range(1, self.count + 1))

    def incomplete(self) -> Damaged:
        return Damaged(self.line, f"only {len(self.pieces)} of its {self.count} fragments are there")


class _Search:
    """One way through a text, from mark to mark."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._line_start = 0
        self._partials: dict[object, _Partial] = {}
        """By what tells whose fragments they are, the one that got a piece last at the end."""

    def run(self) -> Iterator[Found | Damaged]:
        text = self._text
        while mark := _MARK.search(text, self._at):
            self._go_to(mark.start())
            if text.startswith(ENCODED_MARK, self._at):
                yield self._encoded()
            elif found := _READABLE.match(text, self._at):
                yield from self._readable(found)
            elif found := _FRAGMENT.match(text, self._at):
                yield from self._fragment(found[0])
                self._at = found.end()
            elif found := _LIKE_A_FRAGMENT.match(text, self._at):
                yield Damaged(self._line, "a fragment that was cut off")
                self._at = found.end()
            else:
                self._at = mark.end()
        for partial in self._partials.values():
            yield partial.incomplete()

    def _go_to(self, position: int) -> None:
        self._line += self._text.count("\n", self._at, position)
        # A newline before what was read last is known already.
        newline = self._text.rfind("\n", self._at, position)
        self._line_start = newline + 1 if newline >= 0 else self._line_start
        self._at = position

    def _prefix(self) -> str:
        """Return what is the same in front of all that one person says: without the digits of the time."""
        stop = min(self._at, self._line_start + _MAX_PREFIX)
        return _same_for_all_times(self._text[self._line_start : stop])

    def _readable(self, found: re.Match[str]) -> Iterator[Found]:
        content = classify(found[0])
        if isinstance(content, Query | ErrorText | Tagged):
            yield Found(self._line, content)
        self._at = found.end()

    def _encoded(self) -> Found | Damaged:
        """Read the message here, with the lines that it goes on in where it was cut or folded."""
        found = _ENCODED.match(self._text, self._at)
        assert found is not None
        line, stop = self._line, found.end()
        read = _read(line, found[0])
        if isinstance(read, Damaged) and not found[1] and (end := _LINE_END.match(self._text, stop)):
            folded = [found[0]]
            stop = self._gather(folded, end.end(), self._prefix())
            joined = _read(line, "".join(folded))
            if isinstance(joined, Found):
                read = joined
            else:
                stop = found.end()
        self._go_to(stop)
        return read

    def _gather(self, folded: list[str], at: int, prefix: str) -> int:
        """Add the lines from `at` on that can be the rest of the message; returns where they end."""
        stop, size = at, len(folded[0])
        while size <= MAX_MESSAGE and (more := _CONTINUATION.match(self._text, stop)):
            if more[1].strip() and _same_for_all_times(more[1][:_MAX_PREFIX]) != prefix:
                break
            folded.append(more[2])
            size += len(more[2])
            stop = more.end(3)
            if more[3] or stop == len(self._text):
                break
            stop = more.end()
        return stop

    def _fragment(self, text: str) -> Iterator[Found | Damaged]:
        try:
            fragment = parse_fragment(text)
        except MalformedMessage as error:
            yield Damaged(self._line, _why(error))
            return
        assert fragment is not None
        whose = self._whose(fragment)
        partial = self._partials.pop(whose, None)
        if partial is not None and not partial.takes(fragment):
            yield partial.incomplete()
            if not _may_be_first(fragment):
                return
            partial = None
        if partial is None:
            if not _may_be_first(fragment):
                yield Damaged(self._line, "a fragment without those before it")
                return
            partial = _Partial(self._line, fragment.count)
        partial.put(fragment)
        if partial.size > MAX_MESSAGE:
            yield _too_long(partial.line)
        elif (joined := partial.joined()) is not None:
            yield _read_joined(partial.line, joined)
        else:
            if len(self._partials) >= MAX_PARTIALS:
                yield self._partials.pop(next(iter(self._partials))).incomplete()
            self._partials[whose] = partial

    def _whose(self, fragment: Fragment) -> object:
        if fragment.sender_tag is None:
            return self._prefix()
        return fragment.identifier, fragment.sender_tag, fragment.receiver_tag


def _may_be_first(fragment: Fragment) -> bool:
    """Whether a message may begin with this piece: in version 4 it may with any."""
    return fragment.identifier is not None or fragment.index == 1


def _read_joined(line: int, text: str) -> Found | Damaged:
    mark = text.find(ENCODED_MARK)
    return _read(line, text[mark:]) if mark >= 0 else Damaged(line, "fragments of no OTR message")


def _read(line: int, encoded: str) -> Found | Damaged:
    if len(encoded) > MAX_MESSAGE:
        return _too_long(line)
    try:
        raw = decode(encoded)
        version = version_of(raw)
        if version == VERSION_4:
            return Found(line, messages4.parse(raw))
        if version not in (VERSION_2, VERSION_3):
            return Damaged(line, f"of OTR version {version}, which this cannot read")
        return Found(line, messages3.parse(raw))
    except MalformedMessage as error:
        return Damaged(line, _why(error))


def _too_long(line: int) -> Damaged:
    return Damaged(line, f"longer than {MAX_MESSAGE} characters")


def _same_for_all_times(prefix: str) -> str:
    return _DIGITS.sub("0", prefix)


def _why(error: MalformedMessage) -> str:
    return str(error).partition(": ")[2]
