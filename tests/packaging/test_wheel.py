"""The wheel, made from a source distribution of this tree, holds every package under its own name."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from configparser import ConfigParser
from email.parser import Parser
from pathlib import Path

from tests.packaging.built import PROJECT, ROOT, SETUPTOOLS

SCRIPTS = {"otrcore.scripts.weechat", "otrcore.scripts.hexchat"}


def packages_in_the_tree() -> set[str]:
    """Return the dotted names of all folders with a package file, by the mapping of pyproject.toml."""
    found = set()
    for package, folder in SETUPTOOLS["package-dir"].items():
        for path in (ROOT / folder).rglob("__init__.py"):
            found.add(".".join((package, *path.parent.relative_to(ROOT / folder).parts)))
    return found


def test_every_package_is_listed() -> None:
    assert packages_in_the_tree() == set(SETUPTOOLS["packages"])


def test_wheel_holds_every_package(wheel: zipfile.ZipFile) -> None:
    expected = packages_in_the_tree()
    assert {"otrcore", "otrbot"} | SCRIPTS <= expected
    names = set(wheel.namelist())
    assert {f"{package.replace('.', '/')}/__init__.py" for package in expected} <= names


def test_wheel_holds_nothing_but_modules_and_the_marks_of_typed_packages(wheel: zipfile.ZipFile) -> None:
    others = {name for name in wheel.namelist() if ".dist-info/" not in name and not name.endswith(".py")}
    assert others == {"otrcore/py.typed", "otrbot/py.typed"}


def test_wheel_installs_nothing_under_a_common_name(wheel: zipfile.ZipFile) -> None:
    top = {name.split("/")[0] for name in wheel.namelist()}
    assert {name for name in top if not name.endswith(".dist-info")} == {"otrcore", "otrbot"}


def test_every_module_is_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    modules = {
        "/".join((*package.split("."), *path.relative_to(ROOT / folder).parts))
        for package, folder in SETUPTOOLS["package-dir"].items()
        for path in (ROOT / folder).rglob("*.py")
    }
    assert modules == {name for name in wheel.namelist() if name.endswith(".py")}


def test_packages_import_from_the_wheel(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path)
    program = (
        "import importlib, json, sys\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "print(json.dumps([importlib.import_module(name).__file__ for name in sys.argv[2:]]))"
    )
    packages = sorted(packages_in_the_tree())
    # Isolated (-I), so that neither the current folder nor the environment stands in for the wheel.
    command = [sys.executable, "-I", "-c", program, str(tmp_path), *packages]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    files = [Path(file) for file in json.loads(done.stdout)]
    assert files == [tmp_path.joinpath(*package.split("."), "__init__.py") for package in packages]


def test_metadata(wheel: zipfile.ZipFile) -> None:
    (folder,) = {name.split("/")[0] for name in wheel.namelist() if ".dist-info/" in name}
    metadata = Parser().parsestr(wheel.read(f"{folder}/METADATA").decode())
    assert (metadata["Name"], metadata["Version"]) == ("otrcore", PROJECT["project"]["version"])
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "MIT"
    assert f"{folder}/licenses/LICENSE" in wheel.namelist()
    entry_points = ConfigParser()
    entry_points.read_string(wheel.read(f"{folder}/entry_points.txt").decode())
    assert dict(entry_points["console_scripts"]) == {
        "otr": "otrcore.cli.main:main",
        "otr-bot": "otrbot.cli:main",
    }
