"""Our script in WeeChat as the doctor sees it, and that its mends mend."""

from __future__ import annotations

from pathlib import Path

import pytest

import otrcore
from otrcore.cli.doctor.findings import Level
from tests.cli.doctor.reports import about, command, levels
from tests.cli.doctor.scripts import fill_in, found, mended
from tests.cli.installing.users import WEECHAT_OTR, User


@pytest.fixture
def user(weechat_user: User) -> User:
    return weechat_user


def test_a_folder_in_place_of_the_python(user: User) -> None:
    user.install()
    fill_in(user, "PYTHON", "/tmp")
    (finding,) = found(user)
    assert finding.what.endswith("needs /tmp, which is gone")


def another_installation(user: User) -> Path:
    """Make an installation of the same version elsewhere, and have the script start it; return its folder."""
    user.install()
    other = user.folder / "other"
    other.mkdir()
    (other / "otrcore").symlink_to(Path(otrcore.__file__).parent)
    python = other / "python"
    python.write_text(f"#!/bin/sh\necho -n {other}/otrcore/__init__.py\n")
    python.chmod(0o755)
    fill_in(user, "PYTHON", str(python))
    fill_in(user, "PACKAGES", str(other))
    return other


def test_that_of_another_installation(user: User) -> None:
    other = another_installation(user)
    (finding,) = found(user)
    assert finding.level is Level.NOTE
    assert f"another installation of otrcore, in {other}" in finding.what
    assert levels(mended(user, finding)) == []


def test_of_another_version_than_another_installation(user: User) -> None:
    another_installation(user)
    user.script.write_bytes(user.script.read_bytes() + b"# older\n")
    (finding,) = found(user)
    assert finding.level is Level.PROBLEM
    assert "of another version than the otrcore that it starts" in finding.what


def test_not_loaded_at_the_start(user: User) -> None:
    user.install()
    user.link.unlink()
    (finding,) = found(user)
    assert finding.level is Level.NOTE
    assert "does not load" in finding.what
    assert levels(mended(user, finding)) == []


def test_weechat_otr_beside_it(user: User) -> None:
    user.install()
    user.put(user.scripts / "otr.py", WEECHAT_OTR)
    user.autoload("otr.py")
    finding = about(found(user), "weechat-otr when it starts")
    assert finding.level is Level.PROBLEM
    assert levels(mended(user, finding)) == []


def test_in_a_folder_that_is_not_used_any_more(user: User) -> None:
    old = user.home / ".weechat"
    user.put(old / "weechat.conf")
    user.install()
    text = (old / "python/otr_client.py").read_bytes()
    (old / "python/otr_client.py").write_bytes(text + b"# older\n")
    user.put(user.config / "weechat.conf")
    outdated, unused = found(user)
    assert command(outdated) == ["otr", "install", "weechat", "--folder", str(old)]
    assert unused.level is Level.NOTE
    assert f"WeeChat uses {user.data} unless told otherwise" in unused.what
    found_then = mended(user, outdated)
    assert levels(found_then) == ["note"]
    assert levels(mended(user, about(found_then, "unless told otherwise"))) == []


def test_weechat_without_its_plugin_for_python(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    plugins = user.programs("weechat") / "lib/weechat/plugins"
    user.put(plugins / "irc.so")
    monkeypatch.setenv("PATH", user.changes["PATH"])
    finding = about(found(user), "plugin for Python")
    assert finding.level is Level.PROBLEM
    assert "  sudo apt install weechat-python  " in str(finding.mend)
    user.put(plugins / "python.so")
    assert levels(found(user)) == ["note"]


def test_what_lies_there_cannot_hold_it_up(user: User) -> None:
    user.scripts.mkdir(parents=True)
    user.script.symlink_to("/dev/zero")
    (user.home / ".weechat/python").mkdir(parents=True)
    (user.home / ".weechat/python/otr_client.py").symlink_to("otr_client.py")
    assert levels(found(user)) == ["note", "note"]
