"""A user for one test."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from otrcore.cli.installing.runtime import Runtime
from tests.cli.installing.users import HexChatUser, User
from tests.support import require

_trouble = cache(Runtime.trouble)


@pytest.fixture
def weechat_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> User:
    """Somebody with a real WeeChat who has not started it yet.

    The engine is tried once for all tests.
    """
    require("weechat-headless")
    for name in ("WEECHAT_HOME", "WEECHAT_EXTRA_LIBDIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Runtime, "trouble", _trouble)
    return User(tmp_path)


@pytest.fixture
def user(weechat_user: User) -> User:
    return weechat_user


@pytest.fixture
def hexchat_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HexChatUser:
    """Somebody with a real HexChat who has not started it yet."""
    require("hexchat")
    for name in ("HEXCHAT_LIBDIR", "ZOITECHAT_LIBDIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Runtime, "trouble", _trouble)
    return HexChatUser(tmp_path)
