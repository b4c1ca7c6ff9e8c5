"""The source distribution of this tree, and the wheel that is made from it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support import require

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
SETUPTOOLS: dict[str, Any] = PROJECT["tool"]["setuptools"]

MADE = {"PKG-INFO", "setup.cfg", "otrcore.egg-info"}
"""What setuptools adds to a source distribution."""


@dataclass(frozen=True, slots=True)
class Built:
    """What `python -m build` has made of the tree."""

    output: str
    """All that it said."""
    files: frozenset[str]
    """The files of the tree, by their paths from its root."""
    sdist: Path
    wheel: Path

    def unpack(self, folder: Path) -> Path:
        """Unpack the source distribution; return the folder that it makes."""
        with tarfile.open(self.sdist) as archive:
            archive.extractall(folder, filter="data")
        return folder / self.sdist.name.removesuffix(".tar.gz")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """What is made from a copy of all files that git tracks or would track."""
    copy, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("dist")
    files = _files()
    for name in files:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy / name)
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(copy)]
    # setuptools warns where this is set that it will compile nothing.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        build, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )
    assert done.returncode == 0, done.stdout
    (sdist,), (wheel,) = out.glob("otrcore-*.tar.gz"), out.glob("otrcore-*.whl")
    return Built(done.stdout, files, sdist, wheel)


@pytest.fixture(scope="session")
def wheel(built: Built) -> zipfile.ZipFile:
    """The wheel, opened."""
    return zipfile.ZipFile(built.wheel)


def _files() -> frozenset[str]:
    """Return the files of the tree; where it is an unpacked source distribution, all that this brought."""
    if not (ROOT / ".git").exists():
        listed = (ROOT / "otrcore.egg-info/SOURCES.txt").read_text("utf-8").splitlines()
        return frozenset(name for name in listed if name.split("/")[0] not in MADE)
    git = require("git")
    listing = [git, "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, check=True, capture_output=True, text=True).stdout.split("\0")
    # A file that is deleted and not yet committed so is still listed.
    return frozenset(name for name in names if name and (ROOT / name).is_file())
