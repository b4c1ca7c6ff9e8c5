"""Starting the engine: once, detached, and known to be there for as long as it lives."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from otrcore.client import locks
from otrcore.client.errors import LaunchError
from otrcore.client.launch import GRACE, MOST_STARTS, WITHIN, Launcher, clean
from otrcore.client.place import Place, this_process
from tests.client.screen import Client


def place_of(client: Client) -> Place:
    return Place(os.path.join(client.folder, "data"))


def launcher_of(client: Client, clock: Callable[[], float] = time.monotonic) -> Launcher:
    return Launcher(client.command, client.options, clock=clock)


def until(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < deadline, "this did not happen"
        time.sleep(0.01)


def is_free(place: Place) -> bool:
    lock = locks.take(place.lock)
    if lock is not None:
        lock.release()
    return lock is not None


def children() -> list[str]:
    """Return our child processes, zombies too, as the system lists them."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == os.getpid():
                found.append(f"{entry.name} {fields[0]}")
    return found


def test_the_engine_is_told_where_and_for_whom(client: Client) -> None:
    place = place_of(client)
    assert launcher_of(client).start(place)
    until(client.engines)
    started = client.events()[0]
    me = this_process()
    assert started["arguments"][:8] == [
        *("--socket", place.socket()),
        *("--client-pid", str(os.getpid())),
        *("--client-start", me.start),
        *("--data-dir", place.data),
    ]
    until(lambda: os.path.exists(str(place.socket())))
    assert stat.S_IMODE(os.stat(str(place.socket())).st_mode) & 0o077 == 0


def test_the_engine_is_nobodys_child(client: Client) -> None:
    before = children()
    launcher = launcher_of(client)
    launcher.start(place_of(client))
    assert launcher.detaching
    until(client.engines)
    launcher.reap(10)
    assert not launcher.detaching
    started = client.events()[0]
    assert started["parent"] != os.getpid()
    assert started["session"] not in (os.getsid(0), started["started"]), "it can never get a terminal"
    assert started["folder"] == "/"
    assert started["mask"] == 0o077
    assert started["standard"] == [os.stat(os.devnull).st_rdev] * 3
    assert set(children()) <= set(before), "no zombie either"


def test_the_engine_gets_nothing_that_it_does_not_need(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    for name in ("PYTHONPATH", "PYTHONHOME", "LD_PRELOAD", "SECRET", "PYTHONSTARTUP"):
        monkeypatch.setenv(name, "/nowhere")
    launcher_of(client).start(place_of(client))
    until(client.engines)
    os.close(writing)
    os.close(reading)
    started = client.events()[0]
    kept = set(started["environ"]) - {"LC_CTYPE"}  # which Python sets by itself
    assert kept == set(clean(os.environ)) - {"LC_CTYPE"}
    assert not kept & {"PYTHONPATH", "PYTHONHOME", "LD_PRELOAD", "SECRET", "PYTHONSTARTUP"}
    # Standard ones, its lock, its log, and the folder of /proc that it has just listed.
    assert len(started["open"]) == 6


def test_what_is_kept_of_the_environment() -> None:
    kept = {"HOME": "/h", "PATH": "/bin", "LC_ALL": "C", "XDG_DATA_HOME": "/d", "LANG": "C", "TZ": "UTC"}
    assert clean({**kept, "PYTHONPATH": "x", "DISPLAY": ":0", "TERM": "x", "SSH_AUTH_SOCK": "x"}) == kept


def test_the_lock_is_held_while_the_engine_lives_and_no_longer(client: Client) -> None:
    place, launcher = place_of(client), launcher_of(client)
    Path(place.lock).write_text("1" * 19)  # of an engine that is gone
    Path(place.lock).chmod(0o600)
    assert launcher.start(place)
    assert not is_free(place), "from the first moment"
    until(lambda: os.path.exists(str(place.socket())))
    assert not is_free(place)
    (engine,) = client.engines()
    assert int(Path(place.lock).read_text()) == engine
    assert not launcher.start(place)
    os.kill(engine, signal.SIGKILL)
    until(lambda: is_free(place))
    assert os.path.exists(str(place.socket())), "the socket is stale"
    assert launcher.start(place)
    until(lambda: len(client.engines()) == 2)


def test_two_starts_at_once_make_one_engine(client: Client) -> None:
    """By processes that really run at the same time, all in the name of one client."""
    place = place_of(client)
    code = (
        "import sys, time; from otrcore.client.launch import Launcher; from otrcore.client.place import *\n"
        "place = Place(sys.argv[1], Process(int(sys.argv[2]), sys.argv[3], sys.argv[4]))\n"
        "launcher = Launcher(sys.argv[5:7], sys.argv[7:])\n"
        "print(flush=True); sys.stdin.readline()\n"
        "print(launcher.start(place)); launcher.reap(10)"
    )
    arguments = [place.data, *map(str, place.process), *client.command, *client.options]
    starters = [
        subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=0,
        )
        for _ in range(5)
    ]
    for starter in starters:
        assert starter.stdout is not None
        starter.stdout.readline()
    for starter in starters:
        assert starter.stdin is not None
        starter.stdin.write("\n")
    said = sorted(starter.communicate(timeout=60)[0].strip() for starter in starters)
    assert said == ["False"] * 4 + ["True"]
    until(lambda: os.path.exists(str(place.socket())))
    assert len(client.engines()) == 1


def test_a_socket_of_another_process_of_the_same_number_is_left_alone(client: Client) -> None:
    place, launcher = place_of(client), launcher_of(client)
    earlier = Place(place.data, place.process._replace(start="1"))
    assert launcher.start(earlier)
    assert launcher.start(place)
    until(lambda: os.path.exists(str(earlier.socket())) and os.path.exists(str(place.socket())))
    assert len(client.engines()) == 2
    assert not is_free(earlier)


def test_an_engine_that_stops_again_and_again_is_not_started_for_ever(client: Client) -> None:
    client.plan(crashes=True)
    now = 1000.0
    place, launcher = place_of(client), launcher_of(client, lambda: now)
    for number in range(1, MOST_STARTS + 1):
        assert launcher.start(place)
        until(lambda number=number: len(client.engines()) == number and is_free(place))  # type: ignore[misc]
    with pytest.raises(LaunchError, match="otr doctor"):
        launcher.start(place)
    now += WITHIN
    for _ in range(MOST_STARTS):
        assert launcher.start(place)
        until(lambda: is_free(place))
    with pytest.raises(LaunchError):
        launcher.start(place)
    launcher.forget_starts()
    assert launcher.start(place)


@pytest.mark.parametrize("what", ["missing", "folder", "no program", "empty"])
def test_a_python_that_is_gone_is_told_about(client: Client, what: str) -> None:
    path = Path(client.folder, "python")
    if what == "folder":
        path.mkdir()
    elif what == "no program":
        path.write_text("")
    elif what == "empty":
        path = Path("")
    place = place_of(client)
    with pytest.raises(LaunchError) as caught:
        Launcher([str(path)]).start(place)
    assert "otr install" in str(caught.value)
    assert str(path) in str(caught.value)
    assert is_free(place)


def test_a_run_folder_that_is_gone_is_told_about(client: Client) -> None:
    place = place_of(client)
    os.rmdir(place.run)
    with pytest.raises(LaunchError, match="cannot be used: no such file"):
        launcher_of(client).start(place)


@pytest.mark.parametrize("deaf", [False, True])
def test_an_engine_is_ended_whatever_it_does(client: Client, deaf: bool) -> None:
    client.plan(deaf=deaf)
    place, launcher = place_of(client), launcher_of(client)
    launcher.start(place)
    until(client.engines)
    launcher.stop(place)
    assert is_free(place)
    until(lambda: not client.is_engine(client.engines()[0]))


def test_an_engine_that_ignores_the_polite_signal_is_killed(client: Client) -> None:
    place = place_of(client)
    code = (
        "import signal, sys, time; signal.signal(15, signal.SIG_IGN); open(sys.argv[-1], 'w'); time.sleep(60)"
    )
    ready = Path(client.folder, "ready")
    launcher = Launcher([sys.executable, "-c", code], [str(ready)])
    launcher.start(place)
    until(ready.exists)
    launcher.stop(place)
    assert is_free(place)


def test_nothing_is_to_be_ended_where_nothing_runs(client: Client) -> None:
    place, launcher = place_of(client), launcher_of(client)
    launcher.stop(place)
    Path(place.lock).write_text(str(os.getppid()))
    launcher.stop(place)
    assert client.engines() == []


@pytest.mark.parametrize("content", ["", "0", "1", "-1", "x", "99999999999999999999999"])
def test_a_number_that_cannot_be_an_engines_is_not_ended(client: Client, content: str) -> None:
    place = place_of(client)
    lock = locks.take(place.lock)
    assert lock is not None
    Path(place.lock).write_text(content)
    with pytest.raises(LaunchError, match="does not end"):
        launcher_of(client, count(step=0.1).__next__).stop(place)
    lock.release()


def test_without_locks_an_engine_is_given_time_before_another_is_tried(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    now = 1000.0
    place, launcher = place_of(client), launcher_of(client, lambda: now)
    left = Path(place.run, "1-1.lock")
    left.write_text("")
    assert launcher.start(place)
    assert not launcher.start(place)
    assert left.exists(), "without locks it may well be in use"
    until(client.engines)
    now += GRACE
    assert launcher.start(place)
    until(lambda: len(client.engines()) == 2)
