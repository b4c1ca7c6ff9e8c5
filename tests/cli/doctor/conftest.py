"""Users with one of our scripts for chat clients, for the doctor to look at."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.installing.users import HexChatUser, User
from tests.support import require


@pytest.fixture
def weechat_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> User:
    """Somebody with the programs that are really installed, at home in a folder of the test's."""
    require("weechat-headless")
    user = User(tmp_path)
    monkeypatch.setenv("HOME", str(user.home))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "WEECHAT_HOME", "WEECHAT_EXTRA_LIBDIR"):
        monkeypatch.delenv(name, raising=False)
    return user


@pytest.fixture
def hexchat_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HexChatUser:
    """Somebody with the programs that are really installed, but no hexchat-otr."""
    require("hexchat")
    user = HexChatUser(tmp_path)
    user.put(tmp_path / "plugins/python.so")
    monkeypatch.setenv("HOME", str(user.home))
    monkeypatch.setenv("HEXCHAT_LIBDIR", str(tmp_path / "plugins"))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "ZOITECHAT_LIBDIR"):
        monkeypatch.delenv(name, raising=False)
    return user
