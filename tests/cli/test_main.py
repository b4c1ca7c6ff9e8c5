"""`otr` itself, before any of its commands: its version, its help, and what it does not know."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

from tests.clients.drivers.programs import run

USAGE = 2


def test_version(tmp_path: Path) -> None:
    done = run(tmp_path, "otr", "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"otr {version('otrcore')}\n", "")
    assert not list((tmp_path / "home").rglob("*"))


def test_without_a_command_help_is_shown(tmp_path: Path) -> None:
    done = run(tmp_path, "otr")
    told = run(tmp_path, "otr", "--help").stdout
    assert re.search(r"^  chat +\S", told, re.MULTILINE)
    assert done.stdout + done.stderr == told
    assert done.returncode in (0, USAGE)  # the library's own choice, which differs by its version
    assert not list((tmp_path / "home").rglob("*"))


def test_an_unknown_command_is_told_with_what_to_do(tmp_path: Path) -> None:
    done = run(tmp_path, "otr", "unknown")
    assert (done.returncode, done.stdout) == (USAGE, "")
    usage, hint, *_, error = done.stderr.splitlines()
    assert usage.startswith("Usage: otr ")
    assert hint == "Try 'otr --help' for help."
    assert error.startswith("Error: No such command 'unknown'.")
