"""The nick that `otr chat` takes when none is named."""

from __future__ import annotations

import getpass
import re

import pytest

from otrcore.cli.main import own_nick


@pytest.mark.parametrize(
    ("login", "nick"),
    [
        ("alice", "alice"),
        ("j.doe", "jdoe"),
        ("svc-mail_2", "svc-mail_2"),
        ("42answers", "answers"),
        ("9.9x", "x"),
        ("EXAMPLE\\user", "EXAMPLEuser"),
        ("jürgen", "jrgen"),
        ("名前", "otr"),
        ("1234", "otr"),
    ],
)
def test_it_is_made_of_the_login_name(monkeypatch: pytest.MonkeyPatch, login: str, nick: str) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: login)
    assert own_nick() == nick
    assert re.fullmatch("[A-Za-z_][A-Za-z0-9_-]*", own_nick())


@pytest.mark.parametrize("kind", [KeyError, OSError])
def test_a_user_without_a_name_has_a_nick_too(monkeypatch: pytest.MonkeyPatch, kind: type[Exception]) -> None:
    """As in a container that runs under a number; Python 3.13 changed what it raises then."""

    def nobody() -> str:
        raise kind("no such user")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert own_nick() == "otr"
