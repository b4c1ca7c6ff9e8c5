"""Which nick to ask for next when the server refuses one during registration.

The server's limit on length is not known yet (005 comes after registration), so it is learned from refusals.
Pure, apart from the random digits, which can be injected.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

MAX_ATTEMPTS = 8

_COMMON_LIMITS = (30, 16, 9)
"""Nick lengths that servers allow: most networks, some older ones, RFC 1459's minimum."""


class NickChoice:
    """The wanted nick, then `nick_` and `nick__`, then the nick with random digits, cut to the length that
    fits.
    """

    def __init__(self, wanted: str, randbelow: Callable[[int], int] = secrets.randbelow) -> None:
        self._wanted = wanted
        self._randbelow = randbelow
        self._limit = len(wanted) + 4
        self._taken = 0
        self._attempts = 1
        self.asked = wanted
        """The nick asked for last."""

    def after_taken(self, named: str) -> str | None:
        """The next nick to try after 433, 436 or 437, which named `named`; None when it is time to give
        up.
        """
        if named and len(named) < len(self.asked) and self.asked.startswith(named):
            # Some servers cut a long nick silently: without this, every suffix would be cut off again.
            self._limit = len(named)
        self._taken += 1
        return self._next()

    def after_refused(self) -> str | None:
        """The next nick to try after 432: a shorter one; None when no common limit explains the refusal."""
        shorter = [limit for limit in _COMMON_LIMITS if limit < len(self.asked)]
        if not shorter:
            return None
        self._limit = shorter[0]
        return self._next()

    def _next(self) -> str | None:
        if self._attempts == MAX_ATTEMPTS:
            return None
        self._attempts += 1
        suffix = "_" * self._taken if self._taken <= 2 else f"{self._randbelow(10_000):04d}"
        self.asked = self._wanted[: max(1, self._limit - len(suffix))] + suffix
        return self.asked
