"""Every row of the benchmarks does its work, and the output has its form; how fast is not asked here."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.support import require

ROOT = Path(__file__).parents[2]
OTRBENCH = ROOT / "tests" / "interop" / "libotr" / "otrbench"
UNITS = {
    "ake": "ms",
    "ake_first_message": "ms",
    "ping_pong": "messages/s",
    "send": "messages/s",
    "receive": "messages/s",
}
GOALS = {"ake": 0.45, "ake_first_message": 0.7, "ping_pong": 2.0, "send": None, "receive": None}


def benchmarks(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command as `make bench` does."""
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    """The benchmarks' own modules: they are no part of what is installed."""
    monkeypatch.syspath_prepend(ROOT)
    return {name: import_module(f"benchmarks.{name}") for name in ("rows", "measure", "report", "libotr")}


def result(modules: dict[str, ModuleType], key: str, ours: float, libotr: float | None) -> Any:
    """A result as if it had been measured."""
    (row,) = [row for row in modules["rows"].ROWS if row.key == key]
    return modules["measure"].Result(row, ours, libotr)


def test_every_row_runs_and_the_json_is_whole() -> None:
    require(str(OTRBENCH))
    done = benchmarks("--json", "--samples", "1", "--rounds", "1")
    rows = json.loads(done.stdout)
    assert {key: row["unit"] for key, row in rows.items()} == UNITS
    assert {key: row["goal"] for key, row in rows.items()} == GOALS
    for row in rows.values():
        assert set(row) == {"ours", "libotr", "ratio", "goal", "unit"}
        assert min(row["ours"], row["libotr"]) > 0
        assert row["ratio"] == pytest.approx(row["ours"] / row["libotr"], rel=1e-4)
    # One sample says nothing of speed; a goal that it misses must be named all the same.
    missed = {line.split()[2] for line in done.stderr.splitlines()}
    assert missed <= {key for key, goal in GOALS.items() if goal is not None}
    assert done.returncode == bool(missed)


def test_rows_can_be_chosen_and_are_shown_as_a_table() -> None:
    require(str(OTRBENCH))
    done = benchmarks("--samples", "1", "--rounds", "1", "receive", "send")
    assert (done.returncode, done.stderr) == (0, "")
    heading, *rows, conditions = done.stdout.splitlines()
    assert [cell.strip() for cell in heading.split("|")] == ["what", "ours", "libotr", "ratio", "goal"]
    assert [[row.split(",")[0], row.split("|")[-1].strip()] for row in rows] == [
        ["sending 100 bytes", "-"],
        ["receiving 100 bytes", "-"],
    ]
    assert "medians of 1 samples" in conditions


def test_an_unknown_row_is_wrong_use() -> None:
    done = benchmarks("speed")
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no row called speed" in done.stderr


@pytest.mark.parametrize(
    ("key", "ours", "libotr", "met"),
    [
        ("ake", 0.45, 1.0, True),
        ("ake", 0.46, 1.0, False),
        ("ake_first_message", 1.4, 2.0, True),
        ("ake_first_message", 1.5, 2.0, False),
        ("ping_pong", 2.0, 1.0, True),
        ("ping_pong", 1.9, 1.0, False),
        ("send", 0.001, 1000.0, True),
        ("ping_pong", 1.0, None, True),
    ],
)
def test_a_goal_bounds_times_from_above_and_rates_from_below(
    modules: dict[str, ModuleType], key: str, ours: float, libotr: float | None, met: bool
) -> None:
    measured = result(modules, key, ours, libotr)
    assert measured.is_met is met
    sentences = modules["report"].missed([measured])
    assert len(sentences) == (0 if met else 1)
    assert all(key in sentence for sentence in sentences)


def test_what_libotr_lacks_is_a_dash(modules: dict[str, ModuleType]) -> None:
    measured = result(modules, "ake", 2.5, None)
    cells = [cell.strip() for cell in modules["report"].line(measured).split("|")]
    assert cells == ["AKE, both sides, ms", "2.5", "-", "-", "<= 0.45"]
    assert json.loads(modules["report"].as_json([measured])) == {
        "ake": {"ours": 2.5, "libotr": None, "ratio": None, "goal": 0.45, "unit": "ms"}
    }


def test_the_best_median_counts(modules: dict[str, ModuleType]) -> None:
    """Each side's own, whichever round it came from; sides take turns."""
    ours = iter([9.0, 3.0, 5.0, 4.0, 4.0, 4.0])
    theirs = iter([1.0, 2.0, 3.0, 7.0, 1.0, 1.0])
    turns: list[str] = []

    class FakeLibotr:
        def sample(self, row: str) -> float:
            turns.append("libotr")
            return next(theirs)

    def sample(_: object) -> float:
        turns.append("ours")
        return next(ours)

    row = modules["rows"].Row("row", "what", modules["rows"].Unit.MILLISECONDS, sample)
    measured = modules["measure"].measure(row, None, FakeLibotr(), samples=3, rounds=2)
    assert (measured.ours, measured.libotr) == (4000.0, 1000.0)
    assert turns == ["ours", "libotr"] * 6


@pytest.mark.parametrize(
    ("program", "reason"), [("is not there", "is not built"), ("/bin/false", "libotr's side")]
)
def test_without_the_other_side_there_is_nothing_to_compare(
    modules: dict[str, ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    program: str,
    reason: str,
) -> None:
    monkeypatch.setattr(modules["libotr"], "BINARY", Path(program))
    status = import_module("benchmarks.__main__").main(["--json", "send"])
    out, err = capsys.readouterr()
    assert (status, out) == (1, "")
    assert err.startswith("Nothing to compare: ")
    assert reason in err
