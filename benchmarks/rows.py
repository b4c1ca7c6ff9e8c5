"""What is measured, in which unit, and how far from libotr it should be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from .ours import Ours


class Unit(Enum):
    """How the seconds of a unit of work are shown, and whether more of it is better."""

    MILLISECONDS = "ms"
    MESSAGES = "messages/s"

    def of(self, seconds: float) -> float:
        """Return the seconds in this unit."""
        return seconds * 1000 if self is Unit.MILLISECONDS else 1 / seconds


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    `goal` bounds the ratio ours/libotr: from above for times, from below for rates; None
    without one.  `key` is the row's name in the JSON output and to `otrbench`, which has no
    such row where `in_libotr` is false.
    """

    key: str
    what: str
    unit: Unit
    sample: Callable[[Ours], float]
    goal: float | None = None
    in_libotr: bool = True

    @property
    def goal_text(self) -> str:
        """The goal as a comparison, "-" without one."""
        if self.goal is None:
            return "-"
        return f"{'<=' if self.unit is Unit.MILLISECONDS else '>='} {self.goal:.2f}"

    def is_met(self, ratio: float | None) -> bool:
        """Whether the ratio keeps to the goal; what has no goal, or no ratio, misses none."""
        if self.goal is None or ratio is None:
            return True
        return ratio <= self.goal if self.unit is Unit.MILLISECONDS else ratio >= self.goal


ROWS = (
    Row("ake", "AKE, both sides", Unit.MILLISECONDS, Ours.ake, goal=0.45),
    Row(
        "ake_first_message",
        "AKE and the first message each way",
        Unit.MILLISECONDS,
        Ours.ake_first_message,
        goal=0.70,
    ),
    Row("ping_pong", "ping-pong, a new key each message", Unit.MESSAGES, Ours.ping_pong, goal=2.0),
    Row("send", "sending 100 bytes, one way", Unit.MESSAGES, Ours.send),
    Row("receive", "receiving 100 bytes, one way", Unit.MESSAGES, Ours.receive),
)
