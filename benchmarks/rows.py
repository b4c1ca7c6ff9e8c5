"""What is measured, in which unit, and how good it should be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from . import fresh, linked, loading, version4
from .ours import Ours


class Unit(Enum):
    """How a sample, in seconds or bytes, is shown, and whether more of it is better."""

    MILLISECONDS = "ms"
    MESSAGES = "messages/s"
    KIBIBYTES = "KiB"
    MEGABYTES = "MB"

    def of(self, sample: float) -> float:
        """Return a sample in this unit."""
        match self:
            case Unit.MILLISECONDS:
                return sample * 1000
            case Unit.MESSAGES:
                return 1 / sample
            case Unit.KIBIBYTES:
                return sample / 1024
            case Unit.MEGABYTES:
                return sample / 1e6

    @property
    def more_is_better(self) -> bool:
        """Whether it counts what is done, not what is used up."""
        return self is Unit.MESSAGES


class GoalOf(Enum):
    """What a goal is set for."""

    RATIO = "ratio"
    OURS = "ours"


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound, from below if more is better: of the ratio ours/libotr, or of ours in the row's unit."""

    bound: float
    of: GoalOf = GoalOf.RATIO


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    `key` is the row's name in the JSON output.  `otrbench` calls it the same, or by its own
    name for what it is compared with, `beside`; where `in_libotr` is false, it has nothing like it.
    `samples` are taken in each of `rounds`, in place of many, where each needs a process of its
    own.  A sample that is over in milliseconds is taken `in_a_row`, before it is the other side's
    turn: else it would mostly measure how long the processor takes to get used to it.
    """

    key: str
    what: str
    unit: Unit
    sample: Callable[[Ours], float]
    goal: Goal | None = None
    in_libotr: bool = True
    beside: str | None = None
    samples: int | None = None
    rounds: int = 1
    in_a_row: int = 1

    @property
    def goal_text(self) -> str:
        """The goal as a comparison, "-" without one; a goal of ours carries its unit's thousands."""
        if self.goal is None:
            return "-"
        bound = f"{self.goal.bound:.2f}" if self.goal.of is GoalOf.RATIO else f"{self.goal.bound:,.0f}"
        return f"{'>=' if self.unit.more_is_better else '<='} {bound}"

    def is_met(self, ours: float, ratio: float | None) -> bool:
        """Whether the goal is kept to; what has no goal, or no ratio to set one for, misses none."""
        if self.goal is None:
            return True
        value = ours if self.goal.of is GoalOf.OURS else ratio
        if value is None:
            return True
        return value >= self.goal.bound if self.unit.more_is_better else value <= self.goal.bound


ROWS = (
    Row("ake", "AKE, both sides", Unit.MILLISECONDS, Ours.ake, Goal(0.35), in_a_row=8),
    Row(
        "ake_first_message",
        "AKE and the first message each way",
        Unit.MILLISECONDS,
        Ours.ake_first_message,
        Goal(0.60),
        in_a_row=8,
    ),
    Row("ping_pong", "ping-pong, a new key each message", Unit.MESSAGES, Ours.ping_pong, Goal(2.5)),
    Row("smp", "SMP, both sides", Unit.MILLISECONDS, Ours.smp, Goal(0.45)),
    Row(
        "v4_dake",
        "DAKE of version 4, beside AKE of 3",
        Unit.MILLISECONDS,
        version4.dake,
        Goal(40, GoalOf.OURS),
        beside="ake",
    ),
    Row(
        "v4_ping_pong",
        "ping-pong in version 4, a new key each message",
        Unit.MESSAGES,
        version4.ping_pong,
        Goal(150, GoalOf.OURS),
        in_libotr=False,
    ),
    Row(
        "v4_smp",
        "SMP of version 4, both sides",
        Unit.MILLISECONDS,
        version4.smp,
        Goal(60, GoalOf.OURS),
        in_libotr=False,
    ),
    Row(
        "v4_send",
        "sending 100 bytes in version 4, one way",
        Unit.MESSAGES,
        version4.send,
        Goal(5_000, GoalOf.OURS),
        in_libotr=False,
    ),
    Row(
        "v4_receive",
        "receiving 100 bytes in version 4, one way",
        Unit.MESSAGES,
        version4.receive,
        Goal(5_000, GoalOf.OURS),
        in_libotr=False,
    ),
    Row("send", "sending 100 bytes, one way", Unit.MESSAGES, Ours.send, Goal(30_000, GoalOf.OURS)),
    Row("receive", "receiving 100 bytes, one way", Unit.MESSAGES, Ours.receive, Goal(30_000, GoalOf.OURS)),
    Row(
        "memory_per_conversation",
        "memory of one side of a conversation",
        Unit.KIBIBYTES,
        fresh.memory_per_conversation,
        Goal(20, GoalOf.OURS),
        in_libotr=False,
        samples=1,
    ),
    Row(
        "v4_memory",
        "the same in version 4",
        Unit.KIBIBYTES,
        fresh.memory_per_conversation_4,
        Goal(40, GoalOf.OURS),
        in_libotr=False,
        samples=1,
    ),
    Row(
        "first_handshake",
        "first handshake of a fresh process",
        Unit.MILLISECONDS,
        fresh.first_handshake,
        Goal(200, GoalOf.OURS),
        in_libotr=False,
        samples=9,
    ),
    Row(
        "line_p50",
        "plain line by the engine, wall clock",
        Unit.MILLISECONDS,
        linked.line_p50,
        Goal(1, GoalOf.OURS),
        in_libotr=False,
        samples=1,
        rounds=3,
    ),
    Row(
        "line_p99",
        "99th percentile of that, wall clock",
        Unit.MILLISECONDS,
        linked.line_p99,
        Goal(5, GoalOf.OURS),
        in_libotr=False,
        samples=1,
        rounds=3,
    ),
    Row(
        "line_p99_during_smp",
        "99th percentile during SMP, wall clock",
        Unit.MILLISECONDS,
        linked.line_p99_during_smp,
        Goal(5, GoalOf.OURS),
        in_libotr=False,
        samples=1,
        rounds=3,
    ),
    Row(
        "script_load",
        "loading WeeChat's script, wall clock",
        Unit.MILLISECONDS,
        loading.script_load,
        Goal(300, GoalOf.OURS),
        in_libotr=False,
        samples=3,
    ),
    Row(
        "engine_memory",
        "memory of an engine",
        Unit.MEGABYTES,
        linked.engine_memory,
        Goal(60, GoalOf.OURS),
        in_libotr=False,
        samples=3,
    ),
)
