"""Where WeeChat's folders are: a real WeeChat is started with the same settings, and looked at."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from otrcore.cli.installing import weechat_home
from otrcore.cli.installing.refusal import Refusal
from tests.cli.installing.users import User
from tests.cli.managing import environment
from tests.clients.drivers.weechat import program, version

FIVE_SINCE = (4, 3)

Case = Callable[[User], None]


def untouched(user: User) -> None:
    pass


def old(user: User) -> None:
    user.put(user.home / ".weechat/weechat.conf")


def old_without_settings(user: User) -> None:
    (user.home / ".weechat").mkdir()


def both(user: User) -> None:
    old(user)
    user.put(user.config / "weechat.conf")


def data_elsewhere(user: User) -> None:
    user.changes = {"XDG_DATA_HOME": f"{user.home}/data"}


def settings_elsewhere(user: User) -> None:
    old(user)
    user.put(user.home / "settings/weechat/weechat.conf")
    user.changes = {"XDG_CONFIG_HOME": f"{user.home}/settings"}


def no_settings_elsewhere(user: User) -> None:
    both(user)
    user.changes = {"XDG_CONFIG_HOME": f"{user.home}/settings"}


def variable(user: User) -> None:
    both(user)
    user.changes = {"WEECHAT_HOME": f"{user.home}/chat"}


def variable_below_home(user: User) -> None:
    user.changes = {"WEECHAT_HOME": "~/chat"}


def variable_is_home(user: User) -> None:
    user.changes = {"WEECHAT_HOME": "~"}


def variable_empty(user: User) -> None:
    old(user)
    user.changes = {"WEECHAT_HOME": ""}


def variable_of_four(user: User) -> None:
    user.changes = {"WEECHAT_HOME": f"{user.home}/a:~/b:{user.home}/c:{user.home}/d"}


def variable_of_five(user: User) -> None:
    if version() < FIVE_SINCE:
        pytest.skip(f"WeeChat {'.'.join(map(str, version()))} does not know five folders in WEECHAT_HOME")
    user.changes = {"WEECHAT_HOME": ":".join(f"{user.home}/{name}" for name in "abcde")}


def started(user: User) -> subprocess.CompletedProcess[str]:
    """Start a real WeeChat, which ends at once."""
    return subprocess.run(
        [program("weechat-headless"), "--run-command", "/quit"],
        env=environment(user.folder) | user.changes,
        cwd=user.home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def usual(user: User, monkeypatch: pytest.MonkeyPatch) -> weechat_home.Home:
    """Return what we take for WeeChat's folders."""
    with monkeypatch.context() as here:
        for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME"):
            here.delenv(name, raising=False)
        for name, value in ({"HOME": str(user.home)} | user.changes).items():
            here.setenv(name, value)
        return weechat_home.usual()


@pytest.mark.parametrize(
    "case",
    [
        untouched,
        old,
        old_without_settings,
        both,
        data_elsewhere,
        settings_elsewhere,
        no_settings_elsewhere,
        variable,
        variable_below_home,
        variable_is_home,
        variable_empty,
        variable_of_four,
        variable_of_five,
    ],
)
def test_they_are_where_a_real_weechat_has_them(
    user: User, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    case(user)
    ours = usual(user, monkeypatch)
    before = {path: path.read_bytes() for path in user.home.rglob("weechat.conf")}
    assert started(user).returncode == 0
    (autoload,) = user.home.rglob("python/autoload")
    assert ours.autoload == autoload
    # It has written its settings, where there were none or only an empty file.
    written = [path for path in user.home.rglob("weechat.conf") if path.read_bytes() != before.get(path, b"")]
    assert [ours.config / "weechat.conf"] == written


@pytest.mark.parametrize("named", ["a:b", "/a:/b", "/a:/b:/c", ":".join("/abcdef")])
def test_a_number_of_folders_with_which_weechat_does_not_start(
    user: User, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    user.changes = {"WEECHAT_HOME": named}
    said = f"WeeChat does not start with {len(named.split(':'))} folders"
    with pytest.raises(Refusal, match=said):
        usual(user, monkeypatch)
    assert user.refused().startswith(said)
    assert started(user).returncode != 0


@pytest.mark.parametrize("changes", [{"WEECHAT_HOME": "chat"}, {"XDG_DATA_HOME": "chat"}])
def test_a_folder_that_depends_on_where_weechat_is_started(
    user: User, changes: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    user.changes = changes
    sentence = user.refused()
    assert "another folder wherever" in sentence
    assert "begins with a slash" in sentence
    started(user)
    made = [path.relative_to(user.home) for path in user.home.rglob("python/autoload")]
    assert made in ([Path("chat/python/autoload")], [Path("chat/weechat/python/autoload")])


def test_a_home_of_somebody_else_is_not_meant(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    user.changes = {"WEECHAT_HOME": "~root/chat"}
    with pytest.raises(Refusal, match="another folder wherever"):
        usual(user, monkeypatch)
    started(user)
    assert (user.home / "~root/chat/python").is_dir()


def fake(user: User, name: str, said: str) -> Path:
    """Put a program in front of all others, that says a text."""
    path = user.put(user.folder / "usr/bin" / name, f"#!/bin/sh\necho {said}\n")
    path.chmod(0o755)
    user.changes["PATH"] = f"{path.parent}:{os.defpath}"
    return path


@pytest.mark.parametrize(
    ("said", "below"),
    [
        ("3.1", ".weechat"),
        ("2.9", ".weechat"),
        ("3.2", ".local/share/weechat"),
        ("4.10.0-dev", ".local/share/weechat"),
        ("nothing", ".local/share/weechat"),
    ],
)
def test_old_ones_know_one_folder_only(
    user: User, said: str, below: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(user, "weechat", said)
    assert usual(user, monkeypatch).data == user.home / below
