"""Which nick to ask for next when the server refuses one, and when to ask for the wanted one again.

The server's limit on length is not known yet during registration (005 comes after it), so it is learned from
refusals. Pure, apart from the random digits, which can be injected.
"""

from __future__ import annotations

import math
import secrets
from collections import deque
from collections.abc import Callable, Sequence

MAX_ATTEMPTS = 8
"""Nicks that are asked for, besides those that the user has named."""

_COMMON_LIMITS = (30, 16, 9)
"""Nick lengths that servers allow: most networks, some older ones, RFC 1459's minimum."""

ASK_EVERY = 60.0
"""Seconds between two questions whether the wanted nick is free."""

TRY_EVERY = 10.0
"""Seconds between two attempts to take it: its holder may come and go as fast as the server lets it."""

MAX_LOSSES = 3
"""Times that the wanted nick, once taken back, may be taken from us again: somebody is meant to have it."""


class NickChoice:
    """The wanted nick, then `alternates`, then the wanted one as `nick_` and `nick__`, then with random
    digits, cut to the length that fits.
    """

    def __init__(
        self,
        wanted: str,
        alternates: Sequence[str] = (),
        randbelow: Callable[[int], int] = secrets.randbelow,
    ) -> None:
        self._wanted = wanted
        self._alternates = deque(alternates)
        self._randbelow = randbelow
        self._limit = len(wanted) + 4
        self._taken = 0
        self._left = MAX_ATTEMPTS - 1
        self._asked_alternate = False
        self._hopeless = False
        self.asked = wanted
        """The nick asked for last."""

    def after_taken(self, named: str) -> str | None:
        """The next nick to try after 433, 436 or 437, which named `named`; None when it is time to give
        up.
        """
        if named and len(named) < len(self.asked) and self.asked.startswith(named):
            # Some servers cut a long nick silently: without this, every suffix would be cut off again.
            self._limit = len(named)
        self._taken += not self._asked_alternate
        return self._next()

    def after_refused(self) -> str | None:
        """The next nick to try after 432: an alternate or a shorter one; None when no common limit explains
        the refusal.
        """
        if not self._asked_alternate:
            shorter = [limit for limit in _COMMON_LIMITS if limit < len(self.asked)]
            self._hopeless = not shorter
            self._limit = shorter[0] if shorter else self._limit
        return self._next()

    def _next(self) -> str | None:
        if self._alternates:
            self._asked_alternate = True
            self.asked = self._alternates.popleft()
            return self.asked
        if self._left == 0 or self._hopeless:
            return None
        self._left -= 1
        self._asked_alternate = False
        suffix = "_" * self._taken if self._taken <= 2 else f"{self._randbelow(10_000):04d}"
        self.asked = self._wanted[: max(1, self._limit - len(suffix))] + suffix
        return self.asked


class NickRegain:
    """Takes the wanted nick back once it is free, which the server tells by MONITOR, or else by ISON.

    `same` compares nicks as the server does. What is returned is lines to send.
    """

    def __init__(self, wanted: str, same: Callable[[str, str], bool], *, monitor: bool) -> None:
        self.wanted = wanted
        self._same = same
        self._monitor = monitor
        self._watching = False
        self._wants = False
        self._had = False
        self._losses = 0
        self._tried_at = -math.inf
        self.next_ask: float | None = None
        """When `tick` is due; None for never."""

    def under(self, nick: str, now: float) -> list[str]:
        """Our nick is this now."""
        if self._same(nick, self.wanted):
            self._wants, self._had, self.next_ask = False, True, None
            watched, self._watching = self._watching, False
            return [f"MONITOR - {self.wanted}"] if watched else []
        self._losses += self._had
        self._had = False
        if self._losses >= MAX_LOSSES or self._wants:
            return []
        self._wants = True
        if self._monitor:
            self._watching = True
            return [f"MONITOR + {self.wanted}"]
        self.next_ask = now + ASK_EVERY
        return []

    def tick(self, now: float) -> list[str]:
        """Ask whether the nick is free, if it is time to."""
        if self.next_ask is None or now < self.next_ask:
            return []
        self.next_ask = now + ASK_EVERY
        return [f"ISON {self.wanted}"]

    def online(self, nicks: Sequence[str], now: float) -> list[str]:
        """What ISON has found out."""
        return [] if any(self._same(nick, self.wanted) for nick in nicks) else self.free(self.wanted, now)

    def free(self, nick: str, now: float) -> list[str]:
        """Nobody has this nick: its holder was seen leaving it, or the server says so."""
        if not self._wants or not self._same(nick, self.wanted) or now < self._tried_at + TRY_EVERY:
            return []
        self._tried_at = now
        # Free is not yet to be had: services hold some nicks back for a while.
        self.next_ask = now + ASK_EVERY
        return [f"NICK {self.wanted}"]

    def unwatched(self, now: float) -> None:
        """The server does not take the nick into its MONITOR list, as that is full."""
        self._monitor = self._watching = False
        if self._wants:
            self.next_ask = now + ASK_EVERY

    def refused(self) -> None:
        """The server would not have the nick of anybody."""
        self._wants, self._losses, self.next_ask = False, MAX_LOSSES, None
