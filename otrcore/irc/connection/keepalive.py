"""Whether a server still answers: when to send it a PING, and when to give it up. Pure."""

from __future__ import annotations


class KeepAlive:
    """Asks `ping_after` seconds after the last answer, and has lost patience `drop_after` seconds after it.

    Only answers count: a server can go on talking to us long after our lines have stopped reaching it.
    """

    def __init__(self, ping_after: float, drop_after: float, now: float) -> None:
        self._ping_after = ping_after
        self._patience = drop_after - ping_after
        self._pinged_at: float | None = None
        self.answered_at = now

    def answered(self, now: float) -> None:
        """The server has done what it was asked."""
        self._pinged_at = None
        self.answered_at = now

    @property
    def next_moment(self) -> float:
        """When `ping` or `silent` will say yes, if nothing is answered until then."""
        if self._pinged_at is None:
            return self.answered_at + self._ping_after
        return self._pinged_at + self._patience

    def ping(self, now: float) -> bool:
        """Whether to send a PING now; says so once."""
        if self._pinged_at is not None or now < self.next_moment:
            return False
        self._pinged_at = now
        return True

    def silent(self, now: float) -> bool:
        """Whether the last PING has waited too long for its answer."""
        return self._pinged_at is not None and now >= self.next_moment
