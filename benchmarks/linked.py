"""Samples of a chat client and its engine, two fresh processes; in wall-clock time, as people wait that long.

Carol, who is verified meanwhile, is this process, as she would be on another machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from threading import Timer
from typing import Any

from otrcore import Account, SmpAsked, SmpSucceeded

from .child import transmitted
from .client import ALICE, SECRET, VERIFICATIONS
from .ours import Ours, WorkNotDone

ROOT = Path(__file__).parents[1]
DEADLINE = 60.0
"""Seconds after which a client has failed; it takes less than ten."""

_LINE_LIMIT = 400


def line_p50(ours: Ours) -> float:
    """Median of the seconds that are added to a plain line, in the slower direction."""
    return max(map(median, _added("plain", ours)))


def line_p99(ours: Ours) -> float:
    """The 99th percentile of them."""
    return max(map(_p99, _added("plain", ours)))


def line_p99_during_smp(ours: Ours) -> float:
    """The same while somebody else is verified, again and again."""
    return max(map(_p99, _added("during_smp", ours)))


def engine_memory(ours: Ours) -> float:
    """Bytes of an engine that has made its first key."""
    return float(_sample("memory", ours))


def _added(sample: str, ours: Ours) -> list[list[float]]:
    directions: list[list[float]] = _sample(sample, ours)
    return directions


def _p99(seconds: list[float]) -> float:
    return quantiles(seconds, n=100)[98]


def _sample(sample: str, ours: Ours) -> Any:
    with private_home() as (home, environment):
        carol = _Carol(ours.accounts[0])
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.client", sample, str(home / "data")],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process, deadline(process):
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stderr is not None
            last = ""
            for last in process.stdout:
                answer = carol.answer(last)
                if answer is None:
                    break
                with suppress(BrokenPipeError):  # then nothing is said any more, either
                    os.write(process.stdin.fileno(), answer.encode())
            complaint = process.stderr.read().strip()
    if process.returncode:
        raise WorkNotDone(complaint or "a chat client was too slow, and had to be ended")
    if sample == "during_smp" and carol.verifications < VERIFICATIONS:
        raise WorkNotDone("carol was not verified")
    return json.loads(last)


class _Carol:
    def __init__(self, account: Account) -> None:
        account.forget(ALICE)
        self._talk = account.conversation(ALICE)
        self._talk.line_limit = _LINE_LIMIT
        self.verifications = 0

    def answer(self, said: str) -> str | None:
        """Return what she transmits, as a line of JSON; None if what was said is not for her."""
        lines = json.loads(said)
        if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
            return None
        events = [event for line in lines for event in self._talk.receive(line)]
        if any(isinstance(event, SmpAsked) for event in events):
            events += self._talk.smp_answer(SECRET)
        self.verifications += sum(isinstance(event, SmpSucceeded) for event in events)
        return json.dumps(transmitted(events)) + "\n"


@contextmanager
def private_home() -> Iterator[tuple[Path, dict[str, str]]]:
    """Make a home folder for programs, and the environment that has them use it; both end afterwards."""
    strange = ("XDG_", "PYTHON", "WEECHAT_", "OTR_")
    # An engine whose client was ended by force ends a moment later.
    with TemporaryDirectory(prefix="otr-", ignore_cleanup_errors=True) as folder:
        usual = {name: value for name, value in os.environ.items() if not name.startswith(strange)}
        yield Path(folder), {**usual, "HOME": folder}


@contextmanager
def deadline(process: subprocess.Popen[str]) -> Iterator[None]:
    """End a process by force if it takes too long, or if what goes on with it fails."""
    timer = Timer(DEADLINE, process.kill)
    timer.start()
    try:
        yield
    # An interrupt too must not leave it running.
    except BaseException:
        process.kill()
        raise
    finally:
        timer.cancel()
