"""How far a message of several lines is: HexChat sends a long line only every five seconds."""

from __future__ import annotations

import time
from typing import Callable, NamedTuple

from .tabs import Tabs

PAUSE = 0.5
"""Seconds between two looks."""

WORTH_TELLING = 4.0
"""Seconds of waiting."""

_TOGETHER = 0.2
"""Seconds within which lines to the same person are one message."""

_CREDIT = 10.0
"""Seconds that HexChat sends in advance."""


class Batch:
    """The lines of one message, with the bytes of each."""

    def __init__(self, server: str, to: str, number: int) -> None:
        self.server = server
        self.to = to
        self.number = number
        self.sizes: list[int] = []
        self.left = 0
        """Lines that were sent at once."""
        self.since = time.monotonic()
        self.waiting = 0

    @property
    def seconds(self) -> float:
        """About how long it takes to send them, after an idle while."""
        return sum(2.0 + size // 120 for size in self.sizes) - _CREDIT


class Sent(NamedTuple):
    """So many lines of a message are on their way."""

    lines: int
    of: int


class Progress:
    """Of everything that waits in HexChat's queues."""

    def __init__(
        self, tabs: Tabs, draw: Callable[[str, str], None], tell: Callable[[str, str, str], None]
    ) -> None:
        self._tabs = tabs
        self._draw = draw
        self._tell = tell
        self._batches: list[Batch] = []
        self._next = 0.0

    def sent(self, server: str, to: str, number: int, size: int, waits: bool) -> None:
        """A line of so many bytes was handed to HexChat, for a connection of this number."""
        now = time.monotonic()
        last = self._batches[-1] if self._batches else None
        if last is None or (last.server, last.to) != (server, to) or now - last.since > _TOGETHER:
            last = Batch(server, to, number)
            self._batches.append(last)
        last.sizes.append(size)
        last.left += not waits
        last.since = now

    def of(self, server: str, to: str) -> Sent | None:
        """Return how far the message to somebody is that is being sent, if one is."""
        for batch in self._batches:
            if batch.waiting and (batch.server, batch.to) == (server, to):
                return Sent(len(batch.sizes) - batch.waiting, len(batch.sizes))
        return None

    def tick(self) -> None:
        """Look how much still waits."""
        now = time.monotonic()
        if not self._batches or now < self._next:
            return
        self._next = now + PAUSE
        queues = {tab.number: tab.queue for tab in self._tabs.all()}
        changed = []
        for batch in reversed(self._batches):  # the newest is at the end of the queue
            before, batch.waiting = batch.waiting, 0
            left = queues.get(batch.number, 0)
            for size in reversed(batch.sizes[batch.left :]):
                if size > left:
                    break
                left -= size
                batch.waiting += 1
            queues[batch.number] = left
            if batch.waiting != before:
                changed.append(batch)
            if batch.waiting and not before and len(batch.sizes) > 1 and batch.seconds >= WORTH_TELLING:
                lines = f"{len(batch.sizes)} lines, which takes about {batch.seconds:.0f} seconds"
                self._tell(batch.server, batch.to, f"Sending {lines}: HexChat spares the server.")
        self._batches = [batch for batch in self._batches if batch.waiting or now - batch.since < PAUSE]
        for batch in changed:
            self._draw(batch.server, batch.to)
