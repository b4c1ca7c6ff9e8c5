"""Settings of every test, and the tables of what was fuzzed and where the minutes went."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from typing import cast

import hypothesis
import pytest

# Two processes share a busy machine here: a slow example says nothing about the code.
hypothesis.settings.register_profile("otrcore", deadline=None)
hypothesis.settings.load_profile("otrcore")

_seconds: defaultdict[str, float] = defaultdict(float)
_tests: Counter[str] = Counter()
_fuzzed: Counter[str] = Counter()
_met: Counter[str] = Counter()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add set-up, call and clean-up of a test to its folder; under xdist this runs in the controller."""
    folder = "/".join(report.nodeid.split("::")[0].split("/")[:-1][:2]) or "."
    _seconds[folder] += report.duration
    _tests[folder] += report.when == "call" or report.skipped
    for name, value in report.user_properties if report.when == "call" else ():
        if name == "fuzzed":
            state, met, inputs, valid = cast(tuple[str, int, int, int], value)
            _met[state] += met
            _fuzzed.update({"inputs": inputs, "with a valid header": valid})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what fuzzing met, and the minutes by folder with those of the steps that `make test` took."""
    if _fuzzed:
        terminalreporter.section(
            ", ".join(f"{count} {what}" for what, count in _fuzzed.items()) + ", by state"
        )
        for state, met in sorted(_met.items()):
            terminalreporter.line(f"{met:7}  {state}")
    steps = [step.split("=") for step in os.environ.get("STEP_SECONDS", "").split()]
    rows = [(name, "", float(seconds)) for name, seconds in steps]
    rows += [(folder, f"{_tests[folder]} tests", _seconds[folder]) for folder in sorted(_seconds)]
    terminalreporter.section("minutes by folder (tests run side by side)")
    for name, count, seconds in rows:
        terminalreporter.line(f"{seconds / 60:7.2f}  {name:24} {count}".rstrip())
