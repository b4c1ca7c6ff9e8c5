"""Lines that we have put on their way ourselves, known by what they are and not by what they look like."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Callable

MOST = 4096


class Injected:
    """Exact lines, each good for one time and for some seconds."""

    def __init__(self, seconds: float, most: int = MOST, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._most = most
        self._clock = clock
        self._lines: OrderedDict[int, tuple[float, str, str]] = OrderedDict()
        self._last = 0

    def add(self, server: str, line: str) -> None:
        """A line is about to be sent; beyond the most that are kept, the oldest is forgotten."""
        self._expire()
        self._last += 1
        self._lines[self._last] = (self._clock(), server, line)
        if len(self._lines) > self._most:
            self._lines.popitem(last=False)

    def take(self, server: str, line: str) -> bool:
        """Tell whether a line is one of these, for the last time."""
        self._expire()
        for number, (_, where, known) in self._lines.items():
            if known == line and where == server:
                del self._lines[number]
                return True
        return False

    def _expire(self) -> None:
        oldest = self._clock() - self._seconds
        while self._lines:
            number, (since, _, _) = next(iter(self._lines.items()))
            if since >= oldest:
                return
            del self._lines[number]
