"""When to ask for the wanted nick again, once the server has let us in under another. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

ASK_EVERY = 60.0
"""Seconds between two questions whether the wanted nick is free."""

TRY_EVERY = 10.0
"""Seconds between two attempts to take it: its holder may come and go as fast as the server lets it."""

MAX_LOSSES = 3
"""Times that the wanted nick, once taken back, may be taken from us again: somebody is meant to have it."""


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
