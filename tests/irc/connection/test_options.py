"""Names and passwords that no server could be sent are refused before there is a connection."""

from __future__ import annotations

import pytest

from otrcore.irc.connection.options import Login, Settings


@pytest.mark.parametrize("field", ["nick", "username", "realname"])
@pytest.mark.parametrize("value", ["", "a\r\nQUIT", "a\nb", "a\0b", "x" * 300, "\ud800"])
def test_names_that_would_break_the_registration_are_refused(field: str, value: str) -> None:
    names = {"nick": "me", "username": "user", "realname": "Real Name", field: value}
    with pytest.raises(ValueError, match=r"^[^\r\n]+\.$"):
        Settings(**names)  # type: ignore[arg-type]


def test_an_alternate_that_cannot_be_sent_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be a nick"):
        Settings("me", "Real Name", altnicks=["good", "bad one"])


@pytest.mark.parametrize("password", ["", "a\r\nQUIT", "a\0", "\udcff", "x" * 500])
def test_server_passwords_that_cannot_be_sent(password: str) -> None:
    with pytest.raises(ValueError, match="server's password"):
        Login(server_password=password)
