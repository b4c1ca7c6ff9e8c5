"""Samples in turns: ours, libotr's, ours, libotr's, and what is left of them.

A round is judged by each side's median.  Of several rounds each side's best counts: nothing
makes a round faster than the machine is, and much makes it slower.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from .libotr import Libotr
from .ours import Ours
from .rows import Row

SAMPLES = 31
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Result:
    """Both sides of a row in its unit; `libotr` is None where libotr has no side."""

    row: Row
    ours: float
    libotr: float | None

    @property
    def ratio(self) -> float | None:
        """Ours by libotr's, in the row's own unit."""
        return None if self.libotr is None else self.ours / self.libotr

    @property
    def is_met(self) -> bool:
        """Whether the row's goal is met."""
        return self.row.is_met(self.ours, self.ratio)


def measure(row: Row, ours: Ours, libotr: Libotr, samples: int = SAMPLES, rounds: int = ROUNDS) -> Result:
    """Take all samples of a row.  Raises WorkNotDone or LibotrFailed."""
    if row.samples is not None:
        samples, rounds = min(samples, row.samples), min(rounds, row.rounds)
    our_medians, their_medians = [], []
    for _ in range(rounds):
        our_samples, their_samples = [], []
        for _ in range(samples):
            our_samples += [row.sample(ours) for _ in range(row.in_a_row)]
            if row.in_libotr:
                their_samples += [libotr.sample(row.beside or row.key) for _ in range(row.in_a_row)]
        our_medians.append(median(our_samples))
        if their_samples:
            their_medians.append(median(their_samples))
    return Result(
        row,
        row.unit.of(min(our_medians)),
        row.unit.of(min(their_medians)) if their_medians else None,
    )
