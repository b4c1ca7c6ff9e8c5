"""The process around the networks' threads: one that dies, hangs or is refused; signals; systemd."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.bot.bot_process import Supervisor
from tests.clients.drivers.programs import Running, surroundings

CHILD = Path(__file__).with_name("service_child.py")
CANARY = "unmentionable"


class Child(Running):
    """The bot's service with threads that do what their networks are called."""

    def __init__(self, folder: Path, *networks: str, changes: Mapping[str, str] | None = None) -> None:
        self._log = folder / "log"
        with self._log.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, str(CHILD), *networks],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=surroundings(folder, changes),
            )
        super().__init__(process, "the service")
        # A signal that comes before it is one of ours ends the process.
        for network in networks:
            self.wait_shown(f"{network} runs")

    def screen(self) -> str:
        return self._log.read_text()


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    with Supervisor(tmp_path) as listening:
        yield listening


def stopped(child: Child) -> None:
    child.signal(signal.SIGTERM)
    assert child.exit_code() == 0


def test_a_thread_that_dies_is_started_anew(tmp_path: Path) -> None:
    with Child(tmp_path, "dying-one", "steady") as child:
        child.wait_shown("started anew in 1 s")
        child.wait_shown("started anew in 2 s")
        child.signal(signal.SIGUSR1)
        child.wait_shown("dying-one hears Stats")
        child.wait_shown("steady hears Stats")
        stopped(child)
        assert "ZeroDivisionError at run:" in child.screen()
        assert CANARY not in child.screen()
        assert "Traceback" not in child.screen()


def test_everybody_hears_that_it_is_over(tmp_path: Path) -> None:
    with Child(tmp_path, "steady-a", "steady-b", "steady-c") as child:
        child.signal(signal.SIGHUP)
        child.wait_shown("hears Reload", 3)
        stopped(child)
        assert child.screen().count("hears Stop") == 3


def test_a_thread_that_hangs_is_left_behind(tmp_path: Path) -> None:
    with Child(tmp_path, "stuck", "steady") as child:
        began = time.monotonic()
        stopped(child)
        assert time.monotonic() - began > 10
        assert "left behind" in child.screen()


def test_a_thread_that_waits_for_a_connection_is_not_waited_for(tmp_path: Path) -> None:
    with Child(tmp_path, "unregistered-stuck") as child:
        began = time.monotonic()
        stopped(child)
        assert time.monotonic() - began < 9


@pytest.mark.parametrize(
    ("networks", "code"),
    [
        (("refused",), 77),
        (("refused-a", "refused-b"), 77),
        (("keyless", "steady"), 78),
        (("quitting", "steady"), 0),
    ],
)
def test_how_it_ends_by_itself(tmp_path: Path, networks: tuple[str, ...], code: int) -> None:
    with Child(tmp_path, *networks) as child:
        assert child.exit_code() == code


def test_who_is_refused_on_one_network_stays_on_the_other(tmp_path: Path) -> None:
    with Child(tmp_path, "refused", "steady") as child:
        child.wait_shown("refused: The certificate is not the account's: add its fingerprint.")
        child.signal(signal.SIGUSR1)
        child.wait_shown("steady hears Stats")
        stopped(child)


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    with Child(tmp_path, "stuck", "steady") as child:
        child.signal(signal.SIGTERM)
        child.wait_shown("stuck hears Stop")
        child.signal(signal.SIGINT)
        assert child.exit_code() == -signal.SIGINT


def test_what_systemd_hears(tmp_path: Path, supervisor: Supervisor) -> None:
    changes = {"NOTIFY_SOCKET": supervisor.address, "WATCHDOG_USEC": "3000000"}
    with Child(tmp_path, "steady", "unregistered", changes=changes) as child:
        supervisor.wait("READY=1")
        supervisor.wait("STATUS=1 of 2 networks registered, 3 conversations")
        supervisor.wait("WATCHDOG=1", 2)
        child.signal(signal.SIGHUP)
        supervisor.wait("RELOADING=1")
        supervisor.wait("READY=1", 2)
        stopped(child)
        supervisor.wait("STOPPING=1")
    heard = supervisor.heard
    assert any(fact.startswith("MONOTONIC_USEC=") for fact in heard)
    assert heard.index("READY=1") < heard.index("RELOADING=1") < heard.index("STOPPING=1")


def test_a_silent_server_starves_the_watchdog(tmp_path: Path, supervisor: Supervisor) -> None:
    changes = {"NOTIFY_SOCKET": supervisor.address, "WATCHDOG_USEC": "600000"}
    with Child(tmp_path, "steady", "mute", changes=changes) as child:
        supervisor.wait("STATUS=2 of 2 networks registered, 3 conversations")
        before = len([fact for fact in supervisor.heard if fact == "WATCHDOG=1"])
        time.sleep(1.5)
        assert len([fact for fact in supervisor.heard if fact == "WATCHDOG=1"]) == before
        stopped(child)


def test_nobody_is_ready_who_is_not_registered(tmp_path: Path, supervisor: Supervisor) -> None:
    with Child(tmp_path, "unregistered", changes={"NOTIFY_SOCKET": supervisor.address}) as child:
        child.signal(signal.SIGHUP)
        child.wait_shown("hears Reload")
        stopped(child)
        supervisor.wait("STOPPING=1")
    assert not {"READY=1", "RELOADING=1"} & set(supervisor.heard)
