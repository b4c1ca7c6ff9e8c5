"""A chat client and its engine give numbers for what was done, and none for what was not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.support import require

ROOT = Path(__file__).parents[2]


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Import one of the benchmarks' own modules: they are no part of what is installed."""
    monkeypatch.syspath_prepend(ROOT)
    return lambda name: import_module(f"benchmarks.{name}")


@pytest.fixture
def client(module: Callable[[str], ModuleType]) -> Iterator[Any]:
    """A chat client with an engine, connected."""
    carol, carols_end = os.pipe()
    with tempfile.TemporaryDirectory(prefix="otr-", ignore_cleanup_errors=True) as folder:
        made = module("client").Client(f"{folder}/data", carol)
        made.connect()
        engine = made.engine
        yield made
        with suppress(ProcessLookupError):
            os.kill(engine, signal.SIGKILL)
    os.close(carol)
    os.close(carols_end)


def test_a_chat_client_loads_nothing_but_its_own_side() -> None:
    program = "import benchmarks.client, json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    loaded = {name for name in json.loads(done.stdout) if name.startswith("otrcore.")}
    assert "otrcore.client.chat" in loaded
    assert {name.split(".")[1] for name in loaded} == {"client"}


def test_lines_are_judged_by_an_engine_that_ends_with_its_client(client: Any) -> None:
    client.say()
    client.hear()
    command = Path(f"/proc/{client.engine}/cmdline").read_bytes().split(b"\0")
    assert command[1:4] == [b"-I", b"-m", b"otrcore.engine"]
    engine = client.engine
    client.quit()
    with pytest.raises(ProcessLookupError):
        os.kill(engine, 0)


def test_lines_that_the_engine_does_not_judge_give_no_number(client: Any) -> None:
    os.kill(client.engine, signal.SIGSTOP)
    with pytest.raises(SystemExit, match="a line to bob was not judged"):
        client.say()
    with pytest.raises(SystemExit, match="a line from bob was not judged"):
        client.hear()


def test_what_keeps_the_client_when_a_line_is_due_is_added_to_it(
    module: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line is due every 10 s, and takes 1 s by itself."""
    now = 0.0
    turns = iter(
        [
            (10.0, 10.0),  # waited until the line was due
            (15.0, 23.0),  # busy since before the line was due, and until after
            (26.0, 28.0),  # busy, but done by then
            (30.0, 30.0),
            (40.0, 43.0),  # busy since the line was due
        ]
    )

    class FakeClient:
        verifications = 0

        def turn(self, until: float) -> float:
            nonlocal now
            since, now = next(turns)
            return since

        def say(self) -> None:
            nonlocal now
            now += 1.0

        hear = say

    benchmark = module("client")
    monkeypatch.setattr(benchmark, "time", SimpleNamespace(monotonic=lambda: now))
    assert benchmark.converse(FakeClient(), 4, 10.0) == [[1.0, 1.0], [4.0, 4.0]]


def test_a_verification_that_fails_gives_no_number(
    module: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    linked, ours = module("linked"), module("ours")
    monkeypatch.setattr(linked, "SECRET", "another one")
    with pytest.raises(ours.WorkNotDone, match="NOT verified: carol"):
        linked.line_p99_during_smp(ours.Ours())


def test_an_engine_that_cannot_start_gives_no_number(
    module: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    linked, ours = module("linked"), module("ours")
    (tmp_path / "data").write_text("in the way")
    monkeypatch.setattr(linked, "private_home", lambda: nullcontext((tmp_path, dict(os.environ))))
    with pytest.raises(ours.WorkNotDone, match="is not a folder"):
        linked.engine_memory(ours.Ours())


@pytest.mark.parametrize(
    ("program", "reason"), [("no-such-weechat", "there is no"), ("/bin/false", "did not load")]
)
def test_without_weechat_nothing_is_loaded(
    module: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch, program: str, reason: str
) -> None:
    loading, ours = module("loading"), module("ours")
    monkeypatch.setenv("OTR_TEST_WEECHAT", program)
    with pytest.raises(ours.WorkNotDone, match=reason):
        loading.script_load(None)


def test_a_script_that_does_not_load_gives_no_number(
    module: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    require("weechat-headless")
    loading, linked, ours = module("loading"), module("linked"), module("ours")
    monkeypatch.setattr(linked, "DEADLINE", 5.0)
    monkeypatch.setattr(loading, "_WHERE", "print('/nowhere/otrcore/scripts/weechat/otr_client.py')")
    with pytest.raises(ours.WorkNotDone, match="did not load"):
        loading.script_load(None)
