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
    "smp": "ms",
    "v4_dake": "ms",
    "v4_ping_pong": "messages/s",
    "v4_smp": "ms",
    "v4_send": "messages/s",
    "v4_receive": "messages/s",
    "send": "messages/s",
    "receive": "messages/s",
    "memory_per_conversation": "KiB",
    "v4_memory": "KiB",
    "first_handshake": "ms",
    "line_p50": "ms",
    "line_p99": "ms",
    "line_p99_during_smp": "ms",
    "script_load": "ms",
    "engine_memory": "MB",
}
GOALS = {
    "ake": (0.35, "ratio"),
    "ake_first_message": (0.6, "ratio"),
    "ping_pong": (2.5, "ratio"),
    "smp": (0.45, "ratio"),
    "v4_dake": (40, "ours"),
    "v4_ping_pong": (150, "ours"),
    "v4_smp": (60, "ours"),
    "v4_send": (5_000, "ours"),
    "v4_receive": (5_000, "ours"),
    "send": (30_000, "ours"),
    "receive": (30_000, "ours"),
    "memory_per_conversation": (20, "ours"),
    "v4_memory": (40, "ours"),
    "first_handshake": (200, "ours"),
    "line_p50": (1, "ours"),
    "line_p99": (5, "ours"),
    "line_p99_during_smp": (5, "ours"),
    "script_load": (300, "ours"),
    "engine_memory": (60, "ours"),
}
LINKED = {"line_p50", "line_p99", "line_p99_during_smp", "script_load", "engine_memory"}
NEWER = {"v4_ping_pong", "v4_smp", "v4_send", "v4_receive", "v4_memory"}
OURS_ALONE = {*NEWER, "memory_per_conversation", "first_handshake", *LINKED}


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
    require("weechat-headless")
    done = benchmarks("--json", "--samples", "1", "--rounds", "1")
    assert done.stdout, done.stderr
    rows = json.loads(done.stdout)
    assert {key: row["unit"] for key, row in rows.items()} == UNITS
    assert {key: (row["goal"], row["goal_of"]) for key, row in rows.items()} == GOALS
    for key, row in rows.items():
        assert set(row) == {"ours", "libotr", "ratio", "goal", "goal_of", "unit"}
        assert row["ours"] > 0
        if key in OURS_ALONE:
            assert row["libotr"] is row["ratio"] is None
        else:
            assert row["libotr"] > 0
            assert row["ratio"] == pytest.approx(row["ours"] / row["libotr"], rel=1e-4)
    # One sample says nothing of speed; a goal that it misses must be named all the same.
    missed = {line.split()[2] for line in done.stderr.splitlines()}
    assert missed <= set(GOALS)
    assert done.returncode == bool(missed)


def test_rows_can_be_chosen_and_are_shown_as_a_table() -> None:
    require(str(OTRBENCH))
    done = benchmarks("--samples", "1", "--rounds", "1", "receive", "send")
    assert done.returncode == bool(done.stderr)
    heading, *rows, conditions = done.stdout.splitlines()
    assert [cell.strip() for cell in heading.split("|")] == ["what", "ours", "libotr", "ratio", "goal"]
    assert [[row.split(",")[0], row.split("|")[-1].strip()] for row in rows] == [
        ["sending 100 bytes", ">= 30,000"],
        ["receiving 100 bytes", ">= 30,000"],
    ]
    assert "medians of 1 samples" in conditions


def test_an_unknown_row_is_wrong_use() -> None:
    done = benchmarks("speed")
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no row called speed" in done.stderr


@pytest.mark.parametrize(
    ("key", "ours", "libotr", "sentence"),
    [
        ("ake", 0.35, 1.0, None),
        ("ake", 0.36, 1.0, "ake is at 0.360 times libotr's, not <= 0.35."),
        ("ake_first_message", 1.2, 2.0, None),
        ("ake_first_message", 1.3, 2.0, "ake_first_message is at 0.650 times libotr's, not <= 0.60."),
        ("smp", 0.46, 1.0, "smp is at 0.460 times libotr's, not <= 0.45."),
        ("v4_dake", 40.0, 1.0, None),
        ("v4_dake", 40.5, 90.0, "v4_dake is at 40.5 ms, not <= 40."),
        ("v4_smp", 60.0, None, None),
        ("v4_smp", 60.5, None, "v4_smp is at 60.5 ms, not <= 60."),
        ("ping_pong", 2.5, 1.0, None),
        ("ping_pong", 2.4, 1.0, "ping_pong is at 2.400 times libotr's, not >= 2.50."),
        ("ping_pong", 1.0, None, None),
        ("send", 30_000.0, 1_000_000.0, None),
        ("send", 29_999.0, 1.0, "send is at 29,999 messages/s, not >= 30,000."),
        ("memory_per_conversation", 20.0, None, None),
        ("memory_per_conversation", 20.1, None, "memory_per_conversation is at 20.1 KiB, not <= 20."),
        ("first_handshake", 200.0, None, None),
        ("first_handshake", 201.0, None, "first_handshake is at 201 ms, not <= 200."),
        ("line_p99_during_smp", 5.0, None, None),
        ("line_p99_during_smp", 5.5, None, "line_p99_during_smp is at 5.5 ms, not <= 5."),
        ("engine_memory", 60.5, None, "engine_memory is at 60.5 MB, not <= 60."),
    ],
)
def test_a_goal_bounds_what_is_used_up_from_above_and_rates_from_below(
    modules: dict[str, ModuleType], key: str, ours: float, libotr: float | None, sentence: str | None
) -> None:
    measured = result(modules, key, ours, libotr)
    assert measured.is_met is (sentence is None)
    expected = [] if sentence is None else [f"Goal missed: {sentence}"]
    assert modules["report"].missed([measured]) == expected


def test_what_libotr_lacks_is_a_dash(modules: dict[str, ModuleType]) -> None:
    measured = result(modules, "first_handshake", 125.0, None)
    cells = [cell.strip() for cell in modules["report"].line(measured).split("|")]
    assert cells == ["first handshake of a fresh process, ms", "125", "-", "-", "<= 200"]
    assert json.loads(modules["report"].as_json([measured])) == {
        "first_handshake": {
            "ours": 125.0,
            "libotr": None,
            "ratio": None,
            "goal": 200,
            "goal_of": "ours",
            "unit": "ms",
        }
    }


def test_a_row_without_a_goal_misses_none(modules: dict[str, ModuleType]) -> None:
    row = modules["rows"].Row("row", "what", modules["rows"].Unit.MILLISECONDS, lambda _: 1.0)
    measured = modules["measure"].Result(row, 1.0, 2.0)
    assert measured.is_met
    assert modules["report"].missed([measured]) == []
    assert modules["report"].line(measured).split("|")[-1].strip() == "-"
    (shown,) = json.loads(modules["report"].as_json([measured])).values()
    assert shown["goal"] is shown["goal_of"] is None


def test_units(modules: dict[str, ModuleType]) -> None:
    unit = modules["rows"].Unit
    assert unit.MILLISECONDS.of(0.25) == 250
    assert unit.MESSAGES.of(0.25) == 4
    assert unit.KIBIBYTES.of(5120) == 5
    assert unit.MEGABYTES.of(5e6) == 5


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


def test_the_newer_key_exchange_is_measured_beside_the_older_one(modules: dict[str, ModuleType]) -> None:
    """libotr has no version 4."""
    asked: list[str] = []

    class FakeLibotr:
        def sample(self, row: str) -> float:
            asked.append(row)
            return 2.0

    rows = modules["rows"]
    row = rows.Row("row", "what", rows.Unit.MILLISECONDS, lambda _: 1.0, beside="another")
    measured = modules["measure"].measure(row, None, FakeLibotr(), samples=1, rounds=1)
    assert (measured.ratio, asked) == (0.5, ["another"])
    assert {row.key: row.beside for row in rows.ROWS if row.beside} == {"v4_dake": "ake"}


def test_each_side_of_a_row_speaks_the_version_that_it_names() -> None:
    """Where libotr stands beside it, and in rows that are older, it is version 3."""
    ours = import_module("benchmarks.ours")
    both = ours.Ours()
    for accounts, version in ((both.accounts, 3), (both.accounts_4, 4)):
        assert {account.policy.versions for account in accounts} == {frozenset({version})}
        assert [talk.info.version for talk in ours.open_talks(accounts)] == [version, version]


@pytest.mark.parametrize("row", ["ping_pong", "send"])
def test_keys_that_do_not_rotate_as_they_should_give_no_number(
    modules: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch, row: str
) -> None:
    version4, ours = import_module("benchmarks.version4"), import_module("benchmarks.ours")
    # As if every message were the same one.
    message = version4._data
    seen: list[object] = []

    def first(line: str) -> object:
        seen.append(message(line))
        return seen[0]

    monkeypatch.setattr(version4, "_data", first)
    with pytest.raises(ours.WorkNotDone, match="keys"):
        getattr(version4, row)(ours.Ours())


def test_what_needs_fresh_processes_has_its_own_number_of_samples(modules: dict[str, ModuleType]) -> None:
    taken: list[float] = []

    def sample(_: object) -> float:
        taken.append(len(taken))
        return taken[-1]

    rows = modules["rows"]
    row = rows.Row("row", "what", rows.Unit.KIBIBYTES, sample, in_libotr=False, samples=9)
    measured = modules["measure"].measure(row, None, None, samples=31, rounds=3)
    assert (len(taken), measured.ours, measured.libotr) == (9, 4 / 1024, None)
    taken.clear()
    modules["measure"].measure(row, None, None, samples=2, rounds=3)
    assert len(taken) == 2


def test_in_wall_clock_time_the_best_sample_counts(modules: dict[str, ModuleType]) -> None:
    rows, taken = modules["rows"], iter([0.004, 0.002, 0.003, 0.001])
    clocks = [row for row in rows.ROWS if "wall clock" in row.what]
    assert {row.key for row in clocks} == LINKED - {"engine_memory"}
    row = rows.Row(
        "row", "what", rows.Unit.MILLISECONDS, lambda _: next(taken), in_libotr=False, samples=1, rounds=3
    )
    assert modules["measure"].measure(row, None, None, samples=31, rounds=3).ours == 2
    assert modules["measure"].measure(row, None, None, samples=31, rounds=1).ours == 1


@pytest.mark.parametrize(
    ("sample", "reason"),
    [("first_handshake", "handshake failed"), ("memory_per_conversation", "held conversations has ended")],
)
def test_a_fresh_process_that_fails_gives_no_number(
    modules: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch, sample: str, reason: str
) -> None:
    fresh, ours = import_module("benchmarks.fresh"), import_module("benchmarks.ours")
    monkeypatch.setattr(fresh, "_key", lambda _: "no key\n")
    with pytest.raises(ours.WorkNotDone, match=reason):
        getattr(fresh, sample)(ours.Ours())


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
