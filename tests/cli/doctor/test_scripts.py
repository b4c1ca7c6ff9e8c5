"""Our script in WeeChat as the doctor sees it, and that its mends mend."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import otrcore
from otrcore.cli.doctor import clients
from otrcore.cli.doctor.findings import Finding, Level
from tests.cli.doctor.reports import about, command, examined, levels
from tests.cli.installing.users import WEECHAT_OTR, User
from tests.clients.drivers.programs import run
from tests.support import require


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> User:
    """Somebody with the programs that are really installed, at home in a folder of the test's."""
    require("weechat-headless")
    user = User(tmp_path)
    monkeypatch.setenv("HOME", str(user.home))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "WEECHAT_HOME", "WEECHAT_EXTRA_LIBDIR"):
        monkeypatch.delenv(name, raising=False)
    return user


def found() -> list[Finding]:
    return list(clients.otr_in_weechat())


def mended(user: User, finding: Finding) -> list[Finding]:
    """Run the command of ours that a mend names, and return what is found after it."""
    program, *words = command(finding)
    assert program == "otr"
    assert words[:2] == ["install", "weechat"]
    done = run(user.folder, program, *words)
    assert done.returncode == 0, done.stderr
    return found()


def test_not_installed_is_a_note_with_the_command(user: User) -> None:
    (finding,) = found()
    assert finding.level is Level.NOTE
    (finding,) = mended(user, finding)
    assert finding == Finding(Level.OK, f"OTR in WeeChat: {user.script}")
    assert about(examined(user.folder).findings, "OTR in WeeChat") == finding


def test_of_another_version(user: User) -> None:
    user.install()
    user.script.write_bytes(user.script.read_bytes() + b"# older\n")
    (finding,) = found()
    assert finding.level is Level.PROBLEM
    assert "of another version" in finding.what
    assert levels(mended(user, finding)) == []


@pytest.mark.parametrize("name", ["PYTHON", "PACKAGES"])
def test_what_it_starts_is_gone(user: User, name: str) -> None:
    user.install()
    text = user.script.read_text()
    user.script.write_text(re.sub(rf"^{name} = '", f"{name} = '/gone", text, flags=re.MULTILINE))
    (finding,) = found()
    assert finding.level is Level.PROBLEM
    assert "needs /gone/" in finding.what
    assert levels(mended(user, finding)) == []


def test_a_folder_in_place_of_the_python(user: User) -> None:
    user.install()
    text = user.script.read_text()
    user.script.write_text(re.sub(r"^PYTHON = '.*?'", "PYTHON = '/tmp'", text, flags=re.MULTILINE))
    (finding,) = found()
    assert finding.what.endswith("needs /tmp, which is gone")


def test_an_engine_that_cannot_be_run(user: User) -> None:
    user.install()
    text = user.script.read_text()
    user.script.write_text(re.sub(r"^PYTHON = '.*?'", "PYTHON = '/bin/false'", text, flags=re.MULTILINE))
    (finding,) = found()
    assert finding.level is Level.PROBLEM
    assert "its engine cannot be run" in finding.what


def another_installation(user: User) -> Path:
    """Make an installation of the same version elsewhere, and have the script start it; return its folder."""
    user.install()
    other = user.folder / "other"
    other.mkdir()
    (other / "otrcore").symlink_to(Path(otrcore.__file__).parent)
    python = other / "python"
    python.write_text(f"#!/bin/sh\necho -n {other}/otrcore/__init__.py\n")
    python.chmod(0o755)
    text = re.sub(r"^PYTHON = '.*?'", f"PYTHON = '{python}'", user.script.read_text(), flags=re.MULTILINE)
    user.script.write_text(re.sub(r"^PACKAGES = '.*?'", f"PACKAGES = '{other}'", text, flags=re.MULTILINE))
    return other


def test_that_of_another_installation(user: User) -> None:
    other = another_installation(user)
    (finding,) = found()
    assert finding.level is Level.NOTE
    assert f"another installation of otrcore, in {other}" in finding.what
    assert levels(mended(user, finding)) == []


def test_of_another_version_than_another_installation(user: User) -> None:
    another_installation(user)
    user.script.write_bytes(user.script.read_bytes() + b"# older\n")
    (finding,) = found()
    assert finding.level is Level.PROBLEM
    assert "of another version than the otrcore that it starts" in finding.what


def test_not_loaded_at_the_start(user: User) -> None:
    user.install()
    user.link.unlink()
    (finding,) = found()
    assert finding.level is Level.NOTE
    assert "does not load" in finding.what
    assert levels(mended(user, finding)) == []


def test_something_else_under_its_name(user: User) -> None:
    user.put(user.script, "import weechat\n")
    finding = about(found(), str(user.script))
    assert finding.level is Level.NOTE
    assert "is no script of otrcore's" in finding.what


def test_weechat_otr_beside_it(user: User) -> None:
    user.install()
    user.put(user.python / "otr.py", WEECHAT_OTR)
    user.autoload("otr.py")
    finding = about(found(), "weechat-otr when it starts")
    assert finding.level is Level.PROBLEM
    assert levels(mended(user, finding)) == []


def test_in_a_folder_that_is_not_used_any_more(user: User) -> None:
    old = user.home / ".weechat"
    user.put(old / "weechat.conf")
    user.install()
    text = (old / "python/otr_client.py").read_bytes()
    (old / "python/otr_client.py").write_bytes(text + b"# older\n")
    user.put(user.config / "weechat.conf")
    outdated, unused = found()
    assert command(outdated) == ["otr", "install", "weechat", "--folder", str(old)]
    assert unused.level is Level.NOTE
    assert f"WeeChat uses {user.data} unless told otherwise" in unused.what
    found_then = mended(user, outdated)
    assert levels(found_then) == ["note"]
    assert levels(mended(user, about(found_then, "unless told otherwise"))) == []


def programs(user: User, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let a WeeChat with a plugin be all that is installed; return the folder of its plugins."""
    user.put(user.folder / "usr/bin/weechat", "#!/bin/sh\necho 4.0\n").chmod(0o755)
    monkeypatch.setenv("PATH", str(user.folder / "usr/bin"))
    plugins = user.folder / "usr/lib/weechat/plugins"
    user.put(plugins / "irc.so")
    return plugins


def test_weechat_without_its_plugin_for_python(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    plugins = programs(user, monkeypatch)
    finding = about(found(), "plugin for Python")
    assert finding.level is Level.PROBLEM
    assert "  sudo apt install weechat-python  " in str(finding.mend)
    user.put(plugins / "python.so")
    assert levels(found()) == ["note"]


def test_the_real_weechat_has_its_plugin(user: User) -> None:
    assert not [finding for finding in found() if "plugin" in finding.what]


def test_without_weechat_there_is_nothing_to_say(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(user.folder / "nowhere"))
    assert found() == []


def test_what_lies_there_cannot_hold_it_up(user: User) -> None:
    user.python.mkdir(parents=True)
    user.script.symlink_to("/dev/zero")
    (user.home / ".weechat/python").mkdir(parents=True)
    (user.home / ".weechat/python/otr_client.py").symlink_to("otr_client.py")
    assert levels(found()) == ["note", "note"]
