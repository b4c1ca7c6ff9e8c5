"""Who may do how much on one network, by folded nicks: pure, and bounded; `now` is by any steady clock."""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from enum import Enum

from otrbot.settings.config import Limits

from otrcore.irc.connection.pacing import TokenBucket

MAX_KNOWN = 2000
"""People of whom it is kept what they did; the one heard longest ago is forgotten first."""

MAX_TEXTS = 64
"""Texts of one person that are compared; as hashes."""

PIECES = 10
"""Pieces for each message that is allowed; the longest of a verification has nine."""

SHARES = 500
SHARES_PER_SECOND = 80
"""Pieces of everybody's messages, for each message that one may send at once, and for each in a second.

A message that does not come to its end is kept for a minute: all of them together take about 8 MiB.
"""

MINUTE = 60.0

SMP_PATIENCE = 60.0
"""Seconds after which a verification has to give way to somebody else's."""


class Answer(Enum):
    """Whether something is done for somebody."""

    YES = "yes"
    NO = "no, and that is to be told"
    SILENTLY_NO = "no, as was told already"


class Window:
    """What may happen so often within so many seconds."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()

    def free(self, times: int, seconds: float, now: float) -> bool:
        """Whether it may happen once more."""
        while self._times and self._times[0] <= now - seconds:
            self._times.popleft()
        return len(self._times) < times

    def add(self, now: float) -> None:
        """Take note that it happens."""
        self._times.append(now)


@dataclass(slots=True)
class _Person:
    lines: TokenBucket
    pieces: TokenBucket
    """Of messages that have begun already."""
    silent_until: float = -math.inf
    silences: int = 0
    texts: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=MAX_TEXTS))
    akes: Window = field(default_factory=Window)
    smps: Window = field(default_factory=Window)
    refused: bool = False
    """The last key exchange was, and that was told."""
    told: dict[str, float] = field(default_factory=dict)
    """When something was last said that is said seldom."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Whether somebody may verify now; else when to try again, and who has to give way for it."""

    granted: bool
    why: str = ""
    instead_of: str | None = None


class Limiter:
    """Counts what people do."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._people: OrderedDict[str, _Person] = OrderedDict()
        self._akes = Window()
        self._pieces = self._all_pieces()
        self._smps: dict[str, float] = {}
        """Who verifies, since when."""

    def __len__(self) -> int:
        return len(self._people)

    def change(self, limits: Limits) -> None:
        """Go on with other limits; what was counted stays, but for how fast people have written."""
        self._limits = limits
        self._pieces = self._all_pieces()
        for person in self._people.values():
            person.lines, person.pieces = self._buckets()

    def line(self, who: str, now: float, *, goes_on: bool = False) -> Answer:
        """Whether a line is heard; who sends too many is not, for a while that doubles each time.

        A line that `goes_on` is a further piece of a message that has begun.  NO for the line that begins
        such a silence.
        """
        person = self._person(who)
        if now < person.silent_until:
            return Answer.SILENTLY_NO
        if (person.pieces if goes_on else person.lines).take(now):
            return Answer.YES if not goes_on or self._pieces.take(now) else Answer.SILENTLY_NO
        self._silence(person, now)
        return Answer.NO

    def text(self, who: str, text: str, now: float) -> Answer:
        """Whether a text is answered; who says the same again and again, as an echo does, is not heard."""
        limits, person = self._limits, self._person(who)
        if now < person.silent_until:
            return Answer.SILENTLY_NO
        this = hash(text)
        person.texts.append((now, this))
        since = now - limits.same_text_seconds
        same = sum(then > since and other == this for then, other in person.texts)
        if same < min(limits.same_text_times, MAX_TEXTS):
            return Answer.YES
        person.texts.clear()
        self._silence(person, now)
        return Answer.NO

    def ake(self, who: str, now: float) -> Answer:
        """Whether a key exchange may begin."""
        limits, person = self._limits, self._person(who)
        own = person.akes.free(limits.akes_per_minute, MINUTE, now)
        if own and self._akes.free(limits.akes_per_minute_all, MINUTE, now):
            person.akes.add(now)
            self._akes.add(now)
            person.refused = False
            return Answer.YES
        return self.refuse(who)

    def refuse(self, who: str) -> Answer:
        """Refuse a key exchange for another reason."""
        person = self._person(who)
        told, person.refused = person.refused, True
        return Answer.SILENTLY_NO if told else Answer.NO

    def not_told(self, who: str) -> None:
        """Somebody who was refused could not be told so, and is when it happens again."""
        self._person(who).refused = False

    def smp(self, who: str, now: float) -> Turn:
        """Whether a verification may begin, or begin anew; it lasts until `smp_over`."""
        limits, person = self._limits, self._person(who)
        if not person.smps.free(limits.smps_per_minute, MINUTE, now):
            return Turn(False, "That was verified often enough for now: try again in a minute.")
        instead_of = None
        if who not in self._smps and len(self._smps) >= limits.smps_at_once:
            oldest = min(self._smps, key=lambda name: self._smps[name], default=None)
            if oldest is None or now < self._smps[oldest] + SMP_PATIENCE:
                return Turn(False, "I am verifying with somebody else: try again in a minute.")
            instead_of = oldest
            del self._smps[oldest]
        person.smps.add(now)
        self._smps[who] = now
        return Turn(True, instead_of=instead_of)

    def smp_over(self, who: str) -> None:
        """Take note that a verification has ended, if there was one."""
        self._smps.pop(who, None)

    def seldom(self, who: str, what: str, seconds: float, now: float) -> bool:
        """Whether something may be said that is said to each once in so many seconds; it then counts as said.

        `what` is one of a few.
        """
        told = self._person(who).told
        if what in told and now < told[what] + seconds:
            return False
        told[what] = now
        return True

    def rename(self, old: str, new: str) -> None:
        """Follow somebody to another nick; silences and counts go along."""
        if old == new:
            return
        person = self._people.pop(old, None)
        if person is not None:
            self._people[new] = person
        self._smps.pop(new, None)
        if (since := self._smps.pop(old, None)) is not None:
            self._smps[new] = since

    def left(self, who: str) -> None:
        """Take note that somebody has gone: what was said is news for whoever comes; the counts stay."""
        self._smps.pop(who, None)
        person = self._people.get(who)
        if person is not None:
            person.told.clear()

    def _person(self, who: str) -> _Person:
        person = self._people.get(who)
        if person is None:
            person = self._people[who] = _Person(*self._buckets())
            if len(self._people) > MAX_KNOWN:
                self._people.popitem(last=False)
        self._people.move_to_end(who)
        return person

    def _all_pieces(self) -> TokenBucket:
        limits = self._limits
        return TokenBucket(limits.input_burst * SHARES, limits.input_per_second * SHARES_PER_SECOND)

    def _buckets(self) -> tuple[TokenBucket, TokenBucket]:
        burst, rate = self._limits.input_burst, self._limits.input_per_second
        return TokenBucket(burst, rate), TokenBucket(burst * PIECES, rate * PIECES)

    def _silence(self, person: _Person, now: float) -> None:
        limits = self._limits
        if now >= person.silent_until + limits.ignore_seconds_max:
            person.silences = 0
        # No power of a number that anybody can make grow.
        doubled = limits.ignore_seconds * 2.0 ** min(person.silences, 30)
        person.silent_until = now + min(doubled, limits.ignore_seconds_max)
        person.silences += 1
