"""Where it is counted what happens; see `otrbot.reports.metrics`."""

from __future__ import annotations

from typing import Protocol


class Counts(Protocol):
    """Counts of one network."""

    def ake(self, version: int, result: str) -> None:
        """Count a key exchange that has ended: ok, failed, aborted or refused."""

    def smp(self, result: str) -> None:
        """Count a verification that has ended, likewise."""

    def throttled(self) -> None:
        """Count somebody who is not heard for a while."""


class NoCounts:
    """Counts nothing."""

    def ake(self, version: int, result: str) -> None:
        """Not this."""

    def smp(self, result: str) -> None:
        """Nor this."""

    def throttled(self) -> None:
        """Nor this."""
