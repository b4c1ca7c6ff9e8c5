"""`otr doctor` as a user meets it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

from otrcore.store.store import Store
from tests.cli.doctor.reports import DOCTOR, about, examined
from tests.clients.drivers.programs import InTerminal, installed, run, surroundings
from tests.support import require

LIMIT_SECONDS = 2.0


def left_in(home: Path) -> list[Path]:
    return sorted(home.rglob("*"))


def test_it_takes_little_time_and_leaves_nothing_behind(tmp_path: Path) -> None:
    require("hexchat")
    surroundings(tmp_path)
    took = []
    for _ in range(3):  # whatever else the machine does at one time
        began = time.monotonic()
        assert examined(tmp_path).problems == []
        took.append(time.monotonic() - began)
    assert min(took) < LIMIT_SECONDS
    assert left_in(tmp_path / "home") == []


def test_it_ends_though_a_client_hangs(tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("weechat", "pidgin"):
        (programs / name).write_text("#!/bin/sh\nsleep 600\n")
        (programs / name).chmod(0o755)
    began = time.monotonic()
    found = examined(tmp_path, changes={"PATH": f"{programs}:{os.environ['PATH']}"})
    assert time.monotonic() - began < LIMIT_SECONDS + 5
    assert "did not answer within 3 s" in about(found.findings, f"{programs}/pidgin").what


def test_into_a_pipe_it_goes_as_plain_text(tmp_path: Path) -> None:
    done = run(tmp_path, *DOCTOR)
    assert done.returncode == 0
    assert done.stderr == ""
    assert done.stdout.replace("\n", "").isprintable()
    assert "Nothing would fail." in done.stdout


def test_what_fails_is_named_with_its_mend_and_by_the_exit_code(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    Store(folder).close()
    folder.chmod(0o755)
    done = run(tmp_path, *DOCTOR, "--data-dir", str(folder))
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if "can be used by others" in line]
    number = line.rpartition(" ")[2]
    assert f"\n{number} Run  chmod go= {folder}  and " in done.stdout
    assert done.stdout.endswith("\nOne thing would fail.\n")
    folder.chmod(0o700)
    assert run(tmp_path, *DOCTOR, "--data-dir", str(folder)).returncode == 0


def test_on_a_terminal_a_command_stays_in_one_piece(tmp_path: Path) -> None:
    folder = tmp_path / ("long-name-" * 15)
    Store(folder).close()
    folder.chmod(0o755)
    with InTerminal(tmp_path, *DOCTOR, "--data-dir", str(folder), changes={"COLUMNS": "60"}) as program:
        assert program.exit_code() == 1
        assert f"Run  chmod go= {folder}  and" in program.screen()


def test_names_cannot_steer_the_terminal(tmp_path: Path) -> None:
    folder = tmp_path / "\x1b[31mred\n\u202e\udcff"
    home = surroundings(tmp_path)["HOME"]
    autoload = Path(home) / ".weechat/python/autoload"
    autoload.mkdir(parents=True)
    (autoload / "otr\x1b]0;title\x07.py").touch()
    done = run(tmp_path, *DOCTOR, "--data-dir", os.fsdecode(os.fsencode(folder)))
    assert "Traceback" not in done.stderr
    assert (done.stdout + done.stderr).replace("\n", "").isprintable()


def test_without_a_home_it_says_what_it_can(tmp_path: Path) -> None:
    done = run(tmp_path, *DOCTOR, "--json", changes={"HOME": "/dev/null"})
    assert "Traceback" not in done.stdout + done.stderr
    document = json.loads(done.stdout)
    assert document["problems"] == 1
    assert "mv" not in str(document), "what is in the way is the system's"
    assert done.returncode == 1


def test_a_reader_that_is_gone_is_no_error(tmp_path: Path) -> None:
    with subprocess.Popen(
        [installed(DOCTOR[0]), *DOCTOR[1:]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=surroundings(tmp_path),
    ) as program:
        assert program.stdout is not None
        program.stdout.close()
        assert program.stderr is not None
        assert program.stderr.read() == b""
    assert program.returncode == 0
