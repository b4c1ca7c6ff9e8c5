"""When a line may go out: a token bucket, and a bounded queue that is fair between targets.

Servers delay or kill a client that sends too fast, and some drop lines to one target without a word. So
nothing leaves in one go: every line waits for a token here. Pure: no clock and no I/O, `now` is handed in by
the caller, in seconds of any monotonic clock.

The queue keeps the lines of one message together *for their target*: OTR reassembly gives up when two
fragmented messages to the same person interleave, while lines to different people may alternate freely. Turns
go round the targets line by line, so that a one-line answer never waits behind another person's fourteen-line
handshake.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

Line = TypeVar("Line")
"""What the queue's owner calls a line: the queue never looks inside."""

MAX_LINES = 400
"""Lines that may wait in all; about 200 KiB."""

MAX_LINES_PER_TARGET = 120
"""Lines that may wait for one target: several of the longest OTR messages (10 to 40 lines each)."""

HOLD_SECONDS = 12.0
"""Rest of a target for which the server has begun to drop lines: a little longer than it takes to forget ten
of them, one a second.
"""

SLOW_SECONDS = 300.0
"""How long everything goes at half the rate after that."""

MAX_HELD = 1000
"""Targets that are remembered to be at rest."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast lines may leave: `burst` at once after a pause, then `per_second` (lines)."""

    burst: int
    per_second: float

    DEFAULT: ClassVar[Pace]
    """Tried without loss on solanum (the strictest of four servers), inspircd, ngircd and ergo."""

    FAST: ClassVar[Pace]
    """For servers that only delay (ngircd, ergo) or that exempt this client from flood control."""

    NONE: ClassVar[Pace]
    """No limit: for a server of one's own."""


Pace.DEFAULT = Pace(burst=8, per_second=1.0)
Pace.FAST = Pace(burst=5, per_second=2.0)
Pace.NONE = Pace(burst=1, per_second=math.inf)


class TokenBucket:
    """`burst` tokens, refilled at `per_second`; starts full.

    Kept as one number, the time at which the bucket will be full again, so that `next_take` and `take`
    compare the very same expression: at the moment that `next_take` names, `take` always succeeds (a bucket
    that adds up fractions can miss it by a rounding error, and its caller then spins).
    """

    def __init__(self, burst: int, per_second: float) -> None:
        if burst < 1 or not per_second > 0:
            raise ValueError("a token bucket needs a burst of at least 1 and a positive rate")
        self._interval = 1.0 / per_second
        self._tolerance = (burst - 1) * self._interval
        self._full_at = -math.inf

    def slowed(self, now: float) -> TokenBucket:
        """Return a bucket of half the rate that holds as many tokens now."""
        slow = TokenBucket(1, math.inf)
        slow._interval = 2 * self._interval
        slow._tolerance = 2 * self._tolerance
        slow._full_at = now + 2 * max(0.0, self._full_at - now)
        return slow

    def next_take(self) -> float:
        """The earliest time at which `take` succeeds; in the past when a token is there."""
        return self._full_at - self._tolerance

    def take(self, now: float) -> bool:
        """Take one token if there is one."""
        if now < self.next_take():
            return False
        self._full_at = max(self._full_at, now) + self._interval
        return True


class OutboundQueue(Generic[Line]):
    """Lines waiting for their turn, bounded, in order for each target, fair between targets."""

    def __init__(
        self,
        pace: Pace = Pace.DEFAULT,
        *,
        max_lines: int = MAX_LINES,
        max_lines_per_target: int = MAX_LINES_PER_TARGET,
        fold: Callable[[str], str] = str,
    ) -> None:
        """`fold` gives the same for all spellings of a target; what it gives for one may change."""
        self._pace = pace
        self._bucket = TokenBucket(pace.burst, pace.per_second)
        self._max_lines = max_lines
        self._max_lines_per_target = max_lines_per_target
        self._fold = fold
        # Targets in the order of their turns; a target without waiting lines is not in here.
        self._waiting: OrderedDict[str, deque[Line]] = OrderedDict()
        self._count = 0
        self._held: dict[str, float] = {}
        self._slow_until: float | None = None

    def __len__(self) -> int:
        """Lines waiting in all."""
        return self._count

    def offer(self, target: str, lines: Sequence[Line]) -> bool:
        """Queue one message, all of its lines or none; False when it does not fit."""
        already = len(self._waiting.get(target, ()))
        if self._count + len(lines) > self._max_lines or already + len(lines) > self._max_lines_per_target:
            return False
        if lines:
            self._waiting.setdefault(target, deque()).extend(lines)
            self._count += len(lines)
        return True

    def due(self, now: float) -> list[tuple[str, Line]]:
        """Take out the `(target, line)` pairs whose turn has come, in the order in which to send them."""
        if self._slow_until is not None and now >= self._slow_until:
            # Whatever the server holds against us has drained while only half of it came.
            self._slow_until = None
            self._held.clear()
            self._bucket = TokenBucket(self._pace.burst, self._pace.per_second)
        out: list[tuple[str, Line]] = []
        while (target := self._next_target(now)) is not None and self._bucket.take(now):
            lines = self._waiting[target]
            out.append((target, lines.popleft()))
            self._count -= 1
            if lines:
                self._waiting.move_to_end(target)
            else:
                del self._waiting[target]
        return out

    def next_due(self, now: float) -> float | None:
        """When `due` will next have something: `now` if it already has, None when nothing waits."""
        if not self._waiting:
            return None
        token = self._bucket.next_take()
        if self._slow_until is not None:
            token = min(token, self._slow_until)
        if self._next_target(now) is not None:
            return max(now, token)
        return max(now, token, min(self._held_until(target) for target in self._waiting))

    def throttled(self, target: str, now: float) -> None:
        """The server drops lines to a target: give it a rest, and everybody half the rate for a while."""
        self._held = {held: until for held, until in self._held.items() if until > now}
        if len(self._held) < MAX_HELD:
            self._held[self._fold(target)] = now + HOLD_SECONDS
        if self._slow_until is None:
            self._bucket = self._bucket.slowed(now)
        self._slow_until = now + SLOW_SECONDS

    def discard(self, gone: Callable[[str], bool]) -> int:
        """Throw away what waits for every target that `gone` says yes to; returns how many lines that
        were.
        """
        doomed = [target for target in self._waiting if gone(target)]
        lost = sum(len(self._waiting.pop(target)) for target in doomed)
        self._count -= lost
        return lost

    def rename(self, moved: Callable[[str], bool], target: str) -> None:
        """Send what waits for every target that `moved` says yes to, to `target` instead (somebody's
        NICK).
        """
        for old in [name for name in self._waiting if name != target and moved(name)]:
            self._waiting.setdefault(target, deque()).extend(self._waiting.pop(old))

    def clear(self) -> None:
        """Throw everything away."""
        self._waiting.clear()
        self._count = 0

    def _next_target(self, now: float) -> str | None:
        if not self._held:
            return next(iter(self._waiting), None)
        return next((target for target in self._waiting if self._held_until(target) <= now), None)

    def _held_until(self, target: str) -> float:
        return self._held.get(self._fold(target), -math.inf)
