"""Which nick to ask for next when the server refuses one.

The server's limit on length is not known yet during registration (005 comes after it), so it is learned from
refusals. Pure, apart from the random digits, which can be injected.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Sequence

MAX_ATTEMPTS = 8
"""Nicks that are asked for, besides those that the user has named."""

_COMMON_LIMITS = (30, 16, 9)
"""Nick lengths that servers allow: most networks, some older ones, RFC 1459's minimum."""


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
