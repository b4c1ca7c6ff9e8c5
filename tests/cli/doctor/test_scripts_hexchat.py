"""Our script in HexChat and ZoiteChat as the doctor sees it, and that its mends mend."""

from __future__ import annotations

import shutil

import pytest

from otrcore.cli.doctor.findings import Finding, Level
from tests.cli.doctor.reports import about, command, levels
from tests.cli.doctor.scripts import found, mended
from tests.cli.installing.users import SCRIPT, HexChatUser
from tests.clients.drivers.hexchat import plugin


@pytest.fixture
def user(hexchat_user: HexChatUser) -> HexChatUser:
    return hexchat_user


def test_zoitechat_is_looked_at_too(user: HexChatUser, monkeypatch: pytest.MonkeyPatch) -> None:
    user.programs("hexchat", "zoitechat")
    monkeypatch.setenv("PATH", user.changes["PATH"])
    user.install()
    assert [finding.what for finding in found(user)] == [
        f"OTR in HexChat: {user.script}",
        f"OTR in ZoiteChat: {user.second}",
    ]
    user.second.unlink()
    finding = about(found(user), "ZoiteChat has no OTR of otrcore's")
    assert finding.level is Level.NOTE
    assert command(finding) == ["otr", "install", "hexchat"]


def test_hexchat_otr_in_the_users_own_folder(user: HexChatUser) -> None:
    user.install()
    shutil.copy(plugin("otr.so"), user.scripts / "otr.so")
    finding = about(found(user), f"HexChat loads hexchat-otr when it starts, {user.scripts / 'otr.so'}")
    assert finding.level is Level.PROBLEM
    assert command(finding) == ["otr", "install", "hexchat", "--replace"]
    assert levels(mended(user, finding)) == []


def test_hexchat_otr_of_the_system(user: HexChatUser) -> None:
    user.install()
    shutil.copy(plugin("otr.so"), user.folder / "plugins/otr.so")
    finding = about(found(user), str(user.folder / "plugins/otr.so"))
    assert finding.level is Level.PROBLEM
    assert command(finding)[:2] == ["mv", "-n"]
    user.script.unlink()
    assert about(found(user), str(user.folder / "plugins/otr.so")).level is Level.NOTE


def test_hexchat_without_its_plugin_for_python(user: HexChatUser) -> None:
    (user.folder / "plugins/python.so").rename(user.folder / "plugins/perl.so")
    finding = about(found(user), "plugin for Python")
    assert finding.level is Level.PROBLEM
    assert "  sudo apt install hexchat-python3  " in str(finding.mend)


def test_only_in_a_box(user: HexChatUser, monkeypatch: pytest.MonkeyPatch) -> None:
    user.install()
    text = user.script.read_text()
    user.uninstall()
    user.programs()
    monkeypatch.setenv("PATH", user.changes["PATH"])
    (user.home / ".local/share/flatpak/app/io.github.Hexchat").mkdir(parents=True)
    (finding,) = found(user)
    assert finding.level is Level.NOTE
    assert "in a box of its own" in finding.what
    assert "  sudo apt install hexchat hexchat-python3." in str(finding.mend)
    boxed = user.home / ".var/app/io.github.Hexchat/config/hexchat"
    user.put(boxed / "addons" / SCRIPT, text)
    finding = about(found(user), str(boxed))
    assert finding.level is Level.PROBLEM
    assert levels(mended(user, finding)) == ["note"]


def test_one_that_is_too_old(user: HexChatUser, monkeypatch: pytest.MonkeyPatch) -> None:
    user.programs("hexchat", version="2.12.4")
    monkeypatch.setenv("PATH", user.changes["PATH"])
    (finding,) = found(user)
    assert finding == Finding(
        Level.NOTE, "HexChat 2.12 is too old for OTR", "2.14 is the first that will do."
    )


def test_a_folder_that_depends_on_where_it_is_started(
    user: HexChatUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "settings")
    (finding,) = found(user)
    assert finding.level is Level.NOTE
    assert "another folder wherever it is started" in finding.what


def test_what_lies_there_cannot_hold_it_up(user: HexChatUser) -> None:
    user.scripts.mkdir(parents=True)
    user.script.symlink_to("/dev/zero")
    user.second.parent.mkdir(parents=True)
    user.second.symlink_to(SCRIPT)
    assert levels(found(user)) == ["note", "note"]
