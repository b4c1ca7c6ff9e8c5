"""Versions of other programs: of real ones, and of such as hang, flood, or are none."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from otrcore.cli.doctor import programs
from otrcore.cli.doctor.programs import NoVersion, version
from tests.clients.drivers.waiting import wait_for
from tests.support import require

HURRIED = 0.5
"""Seconds; in place of those that a program really has."""


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "LIMIT_SECONDS", HURRIED)


def script(folder: Path, text: str, interpreter: str = "/bin/sh") -> Path:
    path = folder / "program"
    path.write_text(f"#!{interpreter}\n{text}\n")
    path.chmod(0o755)
    return path


def told_by(path: Path) -> str:
    with pytest.raises(NoVersion) as caught:
        version(path)
    return str(caught.value)


@pytest.mark.parametrize("name", ["irssi", "hexchat"])
def test_real_programs_tell_their_version_and_leave_nothing_behind(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = require(name)
    homes = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"), tmp_path / "ours")
    for variable, folder in homes.items():
        folder.mkdir(exist_ok=True)
        monkeypatch.setenv(variable, str(folder))
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    said = subprocess.run(
        [path, "--version"],
        env={"PATH": os.environ["PATH"], "HOME": str(theirs)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert f"{name} {version(Path(path))}" in said
    assert list((tmp_path / "ours").iterdir()) == []
    if name == "hexchat":
        assert list(theirs.iterdir()), "left to itself it makes folders: that is what is avoided"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("3.8", "3.8"),
        ("irssi 1.4.3 (20221031 1403)", "1.4.3"),
        ("Pidgin 2.14.12 (libpurple 2.14.12)", "2.14.12"),
        ("WeeChat 4.10.0-dev", "4.10.0-dev"),
        ("warning: 2 things\\nzoitechat 2.19.1~rc1+git", "2.19.1~rc1+git"),
    ],
)
def test_the_version_is_found_in_what_is_said(tmp_path: Path, said: str, expected: str) -> None:
    assert version(script(tmp_path, f"printf '{said}\\n'")) == expected


def test_it_is_asked_in_nowhere_without_input_and_without_a_display(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPLAY", ":99")
    monkeypatch.setenv("SECRET", "canary")
    found = tmp_path / "found"
    version(
        script(
            tmp_path,
            f"import os, sys\nprint('1.0')\n"
            f"open({str(found)!r}, 'w').write(repr((sys.argv[1:], sys.stdin.read(), os.getcwd(), "
            "sorted(os.environ.items()))))",
            sys.executable,
        )
    )
    said = found.read_text()
    assert said.startswith("(['--version'], '', '/', ")
    assert "('HOME', '/dev/null/nowhere')" in said
    assert "('XDG_CONFIG_HOME', '/dev/null/nowhere')" in said
    assert "canary" not in said
    assert "DISPLAY" not in said


@pytest.mark.usefixtures("hurried")
def test_a_program_that_hangs_is_ended_with_all_that_it_has_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    began = time.monotonic()
    said = told_by(script(tmp_path, f"sleep 600 & echo $! >> {pids}; echo $$ >> {pids}; sleep 600"))
    assert "did not answer within" in said
    assert time.monotonic() - began < HURRIED + 5
    started = [int(line) for line in pids.read_text().split()]
    assert len(started) == 2
    wait_for(lambda: not any(map(running, started)), lambda: "the end of what it has started")


def running(pid: int) -> bool:
    """Whether a process runs, one that only waits to be taken note of left out."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.usefixtures("hurried")
def test_a_program_that_answers_and_hangs_has_answered(tmp_path: Path) -> None:
    assert version(script(tmp_path, "echo 1.2.3; sleep 600")) == "1.2.3"


def test_what_stays_behind_with_the_output_is_not_waited_for(tmp_path: Path) -> None:
    began = time.monotonic()
    assert version(script(tmp_path, "echo 1.2.3; exec >/dev/null; sleep 600")) == "1.2.3"
    assert time.monotonic() - began < programs.LIMIT_SECONDS


def test_a_program_that_floods_is_cut_off(tmp_path: Path) -> None:
    began = time.monotonic()
    assert told_by(script(tmp_path, "yes no version in here")) == "it does not say"
    assert time.monotonic() - began < programs.LIMIT_SECONDS


def test_a_version_without_an_end_is_cut_off(tmp_path: Path) -> None:
    assert len(version(script(tmp_path, "printf '1.%0100000d' 1"))) < 40


@pytest.mark.parametrize("text", ["exit 0", "exit 1", "kill -9 $$", "printf 'no\\033[2Jne'"])
def test_a_program_that_does_not_say(tmp_path: Path, text: str) -> None:
    assert told_by(script(tmp_path, text)) == "it does not say"


def test_what_is_no_program(tmp_path: Path) -> None:
    junk = tmp_path / "junk"
    junk.write_bytes(os.urandom(100))
    junk.chmod(0o755)
    for path in (junk, tmp_path, tmp_path / "none", script(tmp_path, "", "/no/such/interpreter")):
        assert told_by(path).startswith("it cannot be started: ")
