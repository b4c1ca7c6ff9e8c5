"""Where HexChat's folder is: a real HexChat is asked for it with the same settings."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from otrcore.cli.installing import hexchat_home
from otrcore.cli.installing.refusal import Refusal
from tests.cli.installing.users import HexChatUser
from tests.cli.managing import environment
from tests.support import require


def asked(user: HexChatUser) -> str:
    """Return the folder that a real HexChat uses."""
    return subprocess.run(
        [require("hexchat"), "--configdir"],
        env=environment(user.folder) | user.changes,
        cwd=user.home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    ).stdout.strip()


def usual(user: HexChatUser, monkeypatch: pytest.MonkeyPatch) -> hexchat_home.Home:
    """Return what we take for it."""
    with monkeypatch.context() as here:
        here.delenv("XDG_CONFIG_HOME", raising=False)
        for name, value in ({"HOME": str(user.home)} | user.changes).items():
            here.setenv(name, value)
        return hexchat_home.usual()[0]


@pytest.mark.parametrize("named", [None, "", "{home}/settings"])
def test_it_is_where_a_real_hexchat_has_it(
    hexchat_user: HexChatUser, named: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if named is not None:
        hexchat_user.changes = {"XDG_CONFIG_HOME": named.format(home=hexchat_user.home)}
    home = usual(hexchat_user, monkeypatch)
    assert f"{home.config}/" == asked(hexchat_user)
    assert home.addons.is_dir(), "which HexChat itself has made"


def test_a_folder_that_depends_on_where_hexchat_is_started(
    hexchat_user: HexChatUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    hexchat_user.changes = {"XDG_CONFIG_HOME": "settings"}
    with pytest.raises(Refusal, match="another folder wherever"):
        usual(hexchat_user, monkeypatch)
    assert "begins with a slash" in hexchat_user.refused()
    assert not Path(asked(hexchat_user)).is_absolute()


def test_what_hexchat_makes_is_made_with_the_same_rights(
    hexchat_user: HexChatUser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = HexChatUser(tmp_path_factory.mktemp("other"))
    asked(hexchat_user)
    other.install()
    for theirs, ours in ((hexchat_user.config, other.config), (hexchat_user.scripts, other.scripts)):
        assert theirs.stat().st_mode == ours.stat().st_mode
