"""Results as a table for people, and as JSON for programs."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable

from .measure import Result
from .rows import GoalOf

_WIDTHS = (46, 9, 9, 6, 9)


def heading() -> str:
    """Return the table's first line."""
    return _line(("what", "ours", "libotr", "ratio", "goal"))


def line(result: Result) -> str:
    """Return a row of the table; "-" stands for what there is not."""
    row = result.row
    ratio = "-" if result.ratio is None else f"{result.ratio:.2f}"
    return _line(
        (f"{row.what}, {row.unit.value}", _number(result.ours), _number(result.libotr), ratio, row.goal_text)
    )


def conditions(samples: int, rounds: int) -> str:
    """Return a sentence on how the numbers came about, on what kind of machine, and how busy that is.

    Load matters even to CPU time: who shares caches with others takes more of it, and we more than libotr.
    To the wall clock it is everything: on a busy machine a line waits for its turn.
    """
    return (
        f"CPU time, but for rows that name the wall clock; medians of {samples} samples taken in turns, "
        f"best of {rounds} rounds, or of few where each needs a fresh process; "
        f"{platform.python_implementation()} {platform.python_version()}, {platform.machine()}, "
        f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}."
    )


def missed(results: Iterable[Result]) -> list[str]:
    """Return a sentence for each goal that was not met."""
    return [
        f"Goal missed: {result.row.key} is at {_judged(result)}, not {result.row.goal_text}."
        for result in results
        if not result.is_met
    ]


def as_json(results: Iterable[Result]) -> str:
    """Return one object: row key to {ours, libotr, ratio, goal, goal_of, unit}; null for what there is not.

    `goal_of` is "ratio" or "ours": what the goal bounds.
    """
    rows = {
        result.row.key: {
            "ours": _rounded(result.ours),
            "libotr": _rounded(result.libotr),
            "ratio": _rounded(result.ratio),
            "goal": result.row.goal and result.row.goal.bound,
            "goal_of": result.row.goal and result.row.goal.of.value,
            "unit": result.row.unit.value,
        }
        for result in results
    }
    return json.dumps(rows, indent=2)


def _judged(result: Result) -> str:
    """Say what the goal is set for."""
    if result.row.goal and result.row.goal.of is GoalOf.OURS:
        return f"{result.ours:,.6g} {result.row.unit.value}"
    return f"{result.ratio:.3f} times libotr's"


def _line(cells: Iterable[str]) -> str:
    first, *others = zip(cells, _WIDTHS, strict=True)
    return " | ".join((first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)))


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _rounded(value: float | None) -> float | None:
    """Six digits are more than any measurement has."""
    return None if value is None else float(f"{value:.6g}")
