"""Our script in HexChat and ZoiteChat as the doctor sees it, and that its mends mend."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from otrcore.cli.doctor import clients
from otrcore.cli.doctor.findings import Finding, Level
from tests.cli.doctor.reports import about, command, examined, levels
from tests.cli.installing.users import SCRIPT, HexChatUser
from tests.clients.drivers.hexchat import plugin
from tests.clients.drivers.programs import run
from tests.support import require


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HexChatUser:
    """Somebody with the programs that are really installed, but no hexchat-otr."""
    require("hexchat")
    user = HexChatUser(tmp_path)
    user.put(tmp_path / "plugins/python.so")
    monkeypatch.setenv("HOME", str(user.home))
    monkeypatch.setenv("HEXCHAT_LIBDIR", str(tmp_path / "plugins"))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "ZOITECHAT_LIBDIR"):
        monkeypatch.delenv(name, raising=False)
    return user


def found() -> list[Finding]:
    return list(clients.otr_in_hexchat())


def mended(user: HexChatUser, finding: Finding) -> list[Finding]:
    """Run the command of ours that a mend names, and return what is found after it."""
    program, *words = command(finding)
    assert program == "otr"
    assert words[0] in ("install", "uninstall")
    assert words[1] == "hexchat"
    done = run(user.folder, program, *words)
    assert done.returncode == 0, done.stderr
    return found()


def test_not_installed_is_a_note_with_the_command(user: HexChatUser) -> None:
    (finding,) = found()
    assert finding.level is Level.NOTE
    (finding,) = mended(user, finding)
    assert finding == Finding(Level.OK, f"OTR in HexChat: {user.script}")
    assert about(examined(user.folder).findings, "OTR in HexChat") == finding


def test_of_another_version(user: HexChatUser) -> None:
    user.install()
    user.script.write_bytes(user.script.read_bytes() + b"# older\n")
    (finding,) = found()
    assert finding.level is Level.PROBLEM
    assert "of another version" in finding.what
    assert levels(mended(user, finding)) == []


@pytest.mark.parametrize("name", ["PYTHON", "PACKAGES"])
def test_what_it_starts_is_gone(user: HexChatUser, name: str) -> None:
    user.install()
    text = user.script.read_text()
    user.script.write_text(re.sub(rf"^{name} = '", f"{name} = '/gone", text, flags=re.MULTILINE))
    (finding,) = found()
    assert finding.level is Level.PROBLEM
    assert finding.what.startswith("OTR in HexChat does not work")
    assert "needs /gone/" in finding.what
    assert levels(mended(user, finding)) == []


def test_an_engine_that_cannot_be_run(user: HexChatUser) -> None:
    user.install()
    text = user.script.read_text()
    user.script.write_text(re.sub(r"^PYTHON = '.*?'", "PYTHON = '/bin/false'", text, flags=re.MULTILINE))
    (finding,) = found()
    assert finding.level is Level.PROBLEM
    assert "OTR in HexChat does not work, as its engine cannot be run" in finding.what


def test_something_else_under_its_name(user: HexChatUser) -> None:
    user.put(user.script, "import hexchat\n")
    (finding,) = found()
    assert finding.level is Level.NOTE
    assert "is no script of otrcore's" in finding.what


def test_zoitechat_is_looked_at_too(user: HexChatUser, monkeypatch: pytest.MonkeyPatch) -> None:
    user.programs("hexchat", "zoitechat")
    monkeypatch.setenv("PATH", user.changes["PATH"])
    user.install()
    assert [finding.what for finding in found()] == [
        f"OTR in HexChat: {user.script}",
        f"OTR in ZoiteChat: {user.second}",
    ]
    user.second.unlink()
    finding = about(found(), "ZoiteChat has no OTR of otrcore's")
    assert finding.level is Level.NOTE
    assert command(finding) == ["otr", "install", "hexchat"]


def test_hexchat_otr_in_the_users_own_folder(user: HexChatUser) -> None:
    user.install()
    shutil.copy(plugin("otr.so"), user.addons / "otr.so")
    finding = about(found(), f"HexChat loads hexchat-otr when it starts, {user.addons / 'otr.so'}")
    assert finding.level is Level.PROBLEM
    assert command(finding) == ["otr", "install", "hexchat", "--replace"]
    assert levels(mended(user, finding)) == []


def test_hexchat_otr_of_the_system(user: HexChatUser) -> None:
    user.install()
    shutil.copy(plugin("otr.so"), user.folder / "plugins/otr.so")
    finding = about(found(), str(user.folder / "plugins/otr.so"))
    assert finding.level is Level.PROBLEM
    assert command(finding)[:2] == ["mv", "-n"]
    user.script.unlink()
    assert about(found(), str(user.folder / "plugins/otr.so")).level is Level.NOTE


def test_hexchat_without_its_plugin_for_python(user: HexChatUser) -> None:
    (user.folder / "plugins/python.so").rename(user.folder / "plugins/perl.so")
    finding = about(found(), "plugin for Python")
    assert finding.level is Level.PROBLEM
    assert "  sudo apt install hexchat-python3  " in str(finding.mend)


def test_the_real_hexchat_has_its_plugin(user: HexChatUser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEXCHAT_LIBDIR")
    assert not [finding for finding in found() if "plugin for Python" in finding.what]


def test_only_in_a_box(user: HexChatUser, monkeypatch: pytest.MonkeyPatch) -> None:
    user.install()
    text = user.script.read_text()
    user.uninstall()
    user.programs()
    monkeypatch.setenv("PATH", f"{user.changes['PATH']}")
    (user.home / ".local/share/flatpak/app/io.github.Hexchat").mkdir(parents=True)
    (finding,) = found()
    assert finding.level is Level.NOTE
    assert "in a box of its own" in finding.what
    assert "  sudo apt install hexchat hexchat-python3." in str(finding.mend)
    boxed = user.home / ".var/app/io.github.Hexchat/config/hexchat"
    user.put(boxed / "addons" / SCRIPT, text)
    finding = about(found(), str(boxed))
    assert finding.level is Level.PROBLEM
    assert levels(mended(user, finding)) == ["note"]


def test_one_that_is_too_old(user: HexChatUser, monkeypatch: pytest.MonkeyPatch) -> None:
    user.programs("hexchat", version="2.12.4")
    monkeypatch.setenv("PATH", f"{user.changes['PATH']}")
    (finding,) = found()
    assert finding == Finding(
        Level.NOTE, "HexChat 2.12 is too old for OTR", "2.14 is the first that will do."
    )


def test_a_folder_that_depends_on_where_it_is_started(
    user: HexChatUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "settings")
    (finding,) = found()
    assert finding.level is Level.NOTE
    assert "another folder wherever it is started" in finding.what


def test_without_hexchat_there_is_nothing_to_say(user: HexChatUser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(user.folder / "nowhere"))
    assert found() == []


def test_what_lies_there_cannot_hold_it_up(user: HexChatUser) -> None:
    user.addons.mkdir(parents=True)
    user.script.symlink_to("/dev/zero")
    user.second.parent.mkdir(parents=True)
    user.second.symlink_to(SCRIPT)
    assert levels(found()) == ["note", "note"]
