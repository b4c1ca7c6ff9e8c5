"""The installation as the doctor sees it: libraries, broken or shadowed, and other programs called otr."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from otrcore.cli.doctor import installation
from otrcore.cli.doctor.findings import Level
from tests.cli.doctor.reports import about, command, examined, levels
from tests.clients.drivers.programs import installed


def test_this_installation_is_all_right() -> None:
    for check in (installation.otrcore, installation.libraries, installation.arithmetic):
        assert levels(check()) == []
    (libraries,) = installation.libraries()
    for name in ("cryptography", "gmpy2", "irc", "platformdirs", "pycryptodome", "rich", "typer"):
        assert f"{name} " in libraries.what
    (ours,) = installation.otrcore()
    assert sys.version.split()[0] in ours.what


def plant(folder: Path, name: str, text: str) -> dict[str, str]:
    """Put a module where Python looks before it looks for libraries; return the environment for that."""
    path = folder / "stray" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return {"PYTHONPATH": str(folder / "stray")}


@pytest.mark.parametrize("name", ["cryptography", "gmpy2", "irc", "pycryptodome", "rich"])
def test_a_stray_module_in_place_of_a_library(tmp_path: Path, name: str) -> None:
    module = "Crypto" if name == "pycryptodome" else name
    changes = plant(tmp_path, f"{module}.py", "raise RuntimeError('I am none')")
    found = examined(tmp_path, changes=changes)
    problem = about(found.problems, f"In place of the library {name}")
    assert str(tmp_path / "stray" / f"{module}.py") in problem.what
    assert command(problem) == ["unset", "PYTHONPATH"], "which every other test of the program does without"


class Panic(BaseException):
    """As cryptography's Rust side raises."""


def test_a_library_that_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "_stray", lambda *names: None)

    def broken(name: str) -> None:
        raise Panic(f"{name} does not fit this Python")

    monkeypatch.setattr(importlib, "import_module", broken)
    problems = [finding for finding in installation.libraries() if finding.level is Level.PROBLEM]
    assert len(problems) == 7
    assert "Panic: irc.client does not fit this Python" in about(problems, "library irc ").what
    assert command(about(problems, "library irc "))[-1] in ("irc>=20.5,<21", "irc<21,>=20.5")


@pytest.mark.parametrize(
    ("version", "limits", "fits"),
    [
        ("43", ">=43", True),
        ("43.0.1", ">=43", True),
        ("43.0", "<=43", True),
        ("42.9", ">=43", False),
        ("21.0", ">=20.5,<21", False),
        ("20.10", "<21,>=20.5", True),
        ("20.5rc1", ">=20.5", True),
        ("1.0", "!=1", False),
        ("1.0", "==1", True),
        ("1.0", ">1", False),
        ("strange", "", True),
    ],
)
def test_versions_that_are_too_old_or_too_new(
    monkeypatch: pytest.MonkeyPatch, version: str, limits: str, fits: bool
) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: version)
    finding = installation._library("gmpy2", limits)
    assert (finding is None) is fits
    if finding is not None:
        assert finding.what == f"The library gmpy2 is {version}, and {limits} is needed"


def test_a_library_that_is_not_installed() -> None:
    finding = installation._library("otrcore-of-nobody", ">=1")
    assert finding is not None
    assert "is not installed" in finding.what
    assert command(finding)[-1] == "otrcore-of-nobody>=1"


def test_numbers_that_come_out_wrong(tmp_path: Path) -> None:
    changes = plant(tmp_path, "gmpy2.py", "powmod_sec = powmod = lambda *numbers: 1\nis_prime = mpz = int")
    problem = about(examined(tmp_path, changes=changes).problems, "gmpy2 gives a wrong result")
    assert {"cryptography", "gmpy2"} <= set(command(problem))


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder of programs that comes before ours."""
    folder = tmp_path / "blanks and 'quotes'"
    folder.mkdir()
    yield folder


def put(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)


def path_of(*folders: Path | str) -> dict[str, str]:
    return {"PATH": os.pathsep.join([*map(str, folders), "/usr/bin", "/bin"])}


def test_otr_on_the_path_is_ours(tmp_path: Path) -> None:
    ours = Path(installed("otr")).parent
    found = examined(tmp_path, changes=path_of(ours))
    assert about(found.findings, f"otr is {ours}").level is Level.OK
    link = tmp_path / "link"
    link.mkdir()
    for name in installation.PROGRAMS:
        (link / name).symlink_to(ours / name)
    found = examined(tmp_path, changes=path_of(link))
    assert about(found.findings, f"otr is {link}").level is Level.OK, "pipx has links"


def test_another_program_called_otr(tmp_path: Path, elsewhere: Path) -> None:
    ours = Path(installed("otr")).parent
    put(elsewhere, "otr", "#!/bin/sh\necho something else\n")
    found = examined(tmp_path, changes=path_of(elsewhere, ours))
    problem = about(found.problems, "otr starts another program")
    assert str(elsewhere / "otr") in problem.what
    word, assignment = command(problem)
    assert word == "export"
    first = assignment.removeprefix("PATH=").removesuffix(":$PATH")
    assert examined(tmp_path, changes=path_of(first, elsewhere, ours)).problems == []


def test_another_installation_of_ours_is_no_problem(tmp_path: Path, elsewhere: Path) -> None:
    put(elsewhere, "otr", "#!/usr/bin/python3\nfrom otrcore.cli.main import main\nmain()\n")
    found = examined(tmp_path, changes=path_of(elsewhere, Path(installed("otr")).parent))
    assert found.problems == []
    assert about(found.findings, "that of another installation").level is Level.NOTE


def test_otr_is_not_on_the_path(tmp_path: Path) -> None:
    found = examined(tmp_path, changes=path_of())
    assert found.problems == []
    note = about(found.findings, "cannot be started by name")
    assert command(note) == ["export", f"PATH={Path(installed('otr')).parent}:$PATH"]
