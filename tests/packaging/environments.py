"""Virtual environments with the wheel in them, and the Pythons that this machine has to make them with."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.clients.drivers.programs import run

REGISTRY_SECONDS = 60.0
"""As long as a registry may take to hand out what one environment needs."""

_USABLE = "import sys, sqlite3, ssl, venv; print('%d.%d' % sys.version_info[:2])"


class Environment:
    """A virtual environment, of which nothing but its own packages and the standard library is seen."""

    def __init__(self, folder: Path, python: str) -> None:
        """Make it, with nothing in it, not even pip."""
        self.folder = folder
        place = folder / "environment"
        subprocess.run([python, "-I", "-m", "venv", "--without-pip", str(place)], check=True)
        self.programs = place / "bin"
        (self.packages,) = place.glob("lib/python*/site-packages")

    def run(self, program: str, *arguments: str, seconds: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run one of its programs with an empty home, as a shell does in which it is active."""
        path = os.pathsep.join([str(self.programs), os.environ.get("PATH", os.defpath)])
        alone = {"PATH": path, "PYTHONPATH": None, "PYTHONHOME": None}
        return run(self.folder, str(self.programs / program), *arguments, changes=alone, seconds=seconds)

    def told(self, program: str, *arguments: str, seconds: float = 60.0) -> str:
        """Run a program, which is to end well and to complain of nothing; return what it printed."""
        done = self.run(program, *arguments, seconds=seconds)
        assert (done.returncode, done.stderr) == (0, ""), (program, *arguments, done)
        return done.stdout

    def install(self, *requirements: str) -> None:
        """Install wheels from the registry; skip the test where that hands out nothing in time."""
        needs_registry()
        done = _pip(
            "--python", str(self.programs / "python"), "install", "--only-binary", ":all:", *requirements
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def install_alone(self, wheel: Path) -> None:
        """Install a wheel, and what it needs from the environment that runs the tests: no network."""
        done = _pip(
            "--python", str(self.programs / "python"), "install", "--no-deps", "--no-index", str(wheel)
        )
        assert done.returncode == 0, done.stdout + done.stderr
        (own,) = metadata.distributions(name="otrcore", path=[str(self.packages)])
        for needed in _needed(own.requires or ()):
            for file in needed.files or ():
                if ".." not in file.parts:
                    target = self.packages / file
                    target.parent.mkdir(parents=True, exist_ok=True)
                    os.symlink(str(file.locate()), target)


def python(version: str) -> str:
    """Return a Python of this version, as "3.12"; skip the test where the machine has none that is whole."""
    own = Path(getattr(sys, "_base_executable", sys.executable))
    name = f"python{version}"
    roots = [Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions", Path("/opt/python")]
    kept = [str(path) for root in roots for path in sorted(root.glob(f"*{version}*/bin/{name}"))]
    for candidate in (str(own), shutil.which(name), f"/usr/bin/{name}", f"/usr/local/bin/{name}", *kept):
        if candidate is not None and _version(candidate) == version:
            return candidate
    pytest.skip(f"needs Python {version}, which this machine does not have")


def needs_registry() -> None:
    """Skip the test where pip reaches no registry of packages."""
    if not _registry_answers():
        pytest.skip("needs a registry of Python packages, and pip reaches none")


@cache
def _registry_answers() -> bool:
    with TemporaryDirectory() as folder:
        quick = ("--retries", "0", "--timeout", "10")
        # Any small wheel will do; it comes from where a user's pip would get it.
        return _pip("download", "--no-deps", *quick, "--dest", folder, "packaging").returncode == 0


def _pip(*arguments: str) -> subprocess.CompletedProcess[str]:
    pip = [sys.executable, "-m", "pip", "--quiet", "--no-input", "--disable-pip-version-check"]
    try:
        return subprocess.run(
            [*pip, *arguments], check=False, capture_output=True, text=True, timeout=REGISTRY_SECONDS
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"needs a registry of Python packages that answers in {REGISTRY_SECONDS:.0f} seconds")


def _version(candidate: str) -> str | None:
    """Return the version of a Python that has what we need of the standard library, else None."""
    try:
        # A shim of a version manager is there for versions that are not, and says so.
        done = subprocess.run([candidate, "-I", "-c", _USABLE], check=False, capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _needed(requirements: Iterable[str]) -> list[metadata.Distribution]:
    """Return all that is needed at run time, from the environment of the tests."""
    found: dict[str, metadata.Distribution] = {}
    waiting = list(requirements)
    while waiting:
        requirement = Requirement(waiting.pop())
        name = canonicalize_name(requirement.name)
        if name not in found and (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
            found[name] = metadata.distribution(name)
            waiting += found[name].requires or ()
    return list(found.values())
