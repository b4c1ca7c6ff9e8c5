"""When to ask a store again that has refused something, and when to tell the user."""

from __future__ import annotations

from collections.abc import Callable

RETRY_AFTER = 10.0
"""Seconds: each attempt on a store that is locked keeps the chat waiting for half of one."""

NOT_SAVED = "Until then, what is new is not saved, and ends with this program."
"""What follows on the reason, which ends with the mend."""


class Saving:
    """What all who use one store know about how it goes."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._again: float | None = None
        self._why = ""
        self._told = ""

    def failed(self, why: str) -> None:
        """Take note that the store has refused something."""
        self._why = why
        self._again = self._clock() + RETRY_AFTER

    def works(self) -> None:
        """Take note that something was saved: what else waits has a chance, and trouble is news again."""
        self._why = self._told = ""
        if self._again is not None:
            self._again = self._clock()

    @property
    def why(self) -> str:
        """Why something was refused the last time; empty if nothing is."""
        return self._why

    def untold(self) -> str:
        """Return what the user has to hear, once for each hindrance; empty for nothing."""
        if self._why == self._told:
            return ""
        self._told = self._why
        return self._why

    @property
    def resting(self) -> bool:
        """Whether it was refused so lately that only what the user asks for is worth a try."""
        return self._again is not None and self._clock() < self._again

    def due(self) -> bool:
        """Whether it is time to try again; true once after each failure."""
        if self._again is None or self._clock() < self._again:
            return False
        self._again = None
        return True
