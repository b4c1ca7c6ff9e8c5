"""A stranger's way: a wheel in an environment of its own, its `otr install weechat`, and a real WeeChat."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.cli.installing.test_real_weechat import ask_engine, weechat
from tests.cli.installing.users import User
from tests.clients.drivers.ngircd import Ngircd
from tests.clients.drivers.programs import run
from tests.packaging.built import built, wheel

__all__ = ["built", "wheel"]  # fixtures are found by their names


@pytest.fixture
def environment(user: User, wheel: zipfile.ZipFile) -> Path:
    """An environment with the wheel in it; what that needs comes from the one that runs the tests."""
    place = user.home / "a place of its own"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    (packages,) = place.glob("lib/python*/site-packages")
    (packages / "needed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = [sys.executable, "-m", "pip", "--python", str(place / "bin/python"), "install"]
    options = ["--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]
    subprocess.run([*pip, *options, str(wheel.filename)], check=True)
    return place


def test_a_wheel_in_an_environment_of_its_own(user: User, environment: Path) -> None:
    otr = str(environment / "bin/otr")
    done = run(user.folder, otr, "install", "weechat")
    assert (done.returncode, done.stderr) == (0, "")
    filled = dict(re.findall(r"^(PYTHON|PACKAGES) = '(.*?)'", user.script.read_text(), re.MULTILINE))
    (packages,) = environment.glob("lib/python*/site-packages")
    assert filled["PACKAGES"] == str(packages)
    assert Path(filled["PYTHON"]).parent == environment / "bin", "a link, of which it must not be the end"

    with Ngircd(user.folder / "ngircd") as server, weechat(user, server.port) as alice:
        assert "otr_client" in alice.scripts()
        ask_engine(alice)
        (engine,) = engines(alice.pid)
        assert engine[0] == filled["PYTHON"]

    found = run(user.folder, otr, "doctor", "--json").stdout
    assert f"OTR in WeeChat: {user.script}" in found
    done = run(user.folder, otr, "uninstall", "weechat")
    assert (done.returncode, done.stderr) == (0, "")
    assert not user.script.exists()


def engines(client: int) -> list[list[str]]:
    """Return the command lines of the engines that serve a process."""
    lines = [
        path.read_bytes().decode().split("\0")
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if path.exists()
    ]
    return [line for line in lines if "otrcore.engine" in line and str(client) in line]
