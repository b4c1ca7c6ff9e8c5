"""What `otr chat` does that needs neither a terminal nor a server."""

from __future__ import annotations

import io

import pytest

from otrcore.account import Account
from otrcore.cli.chat import Chat
from otrcore.cli.terminal import Output
from otrcore.identity import Identity
from otrcore.irc.actions import AskSecret
from otrcore.irc.connection.address import ServerAddress
from tests.keepers import Given

SECRET = "hunter2"


class Screen:
    """A chat that is not connected, and what it has shown."""

    def __init__(self) -> None:
        self._stream = io.StringIO()
        self.chat = Chat(
            ServerAddress("127.0.0.1", 1),
            "alice",
            "bob",
            Given(lambda network: Account(Identity.generate())),
            Output(self._stream),
        )

    @property
    def shown(self) -> str:
        return self._stream.getvalue()


@pytest.fixture
def screen() -> Screen:
    return Screen()


def test_it_goes_on_with_the_peer_under_another_nick(screen: Screen) -> None:
    screen.chat.renamed("carol", "charlotte")
    assert (screen.chat.peer, screen.shown) == ("bob", "")
    screen.chat.renamed("BOB", "robert")
    assert screen.chat.peer == "robert"
    assert screen.shown == "-- BOB is now known as robert. You are talking with robert.\n"


def test_a_prompt_shows_the_question_and_nothing_that_steers_the_terminal(screen: Screen) -> None:
    screen.chat.ask_secret(AskSecret("bob", "\x1b[2JWhere\x07?\u202e", True, 1))
    assert 'Your answer for bob: "[2JWhere?"' in screen.shown
    assert "Capitals and blanks count" in screen.shown


def test_what_is_typed_for_a_prompt_that_is_closed_is_still_a_secret(screen: Screen) -> None:
    """Its user may be in the middle of it."""
    prompt = AskSecret("bob", None, True, 1)
    screen.chat.ask_secret(prompt)
    screen.chat.close_secret(prompt)
    assert "press Enter" in screen.shown
    assert screen.chat.obey(SECRET)
    assert SECRET not in screen.shown
    assert "neither used nor kept" in screen.shown
    assert screen.chat.obey("a text")
    assert "a text" in screen.shown, "given back, as there is no connection"


def test_another_prompts_end_is_no_news(screen: Screen) -> None:
    screen.chat.close_secret(AskSecret("bob", None, True, 1))
    screen.chat.ask_secret(AskSecret("bob", None, True, 2))
    screen.chat.close_secret(AskSecret("bob", None, True, 1))
    assert "press Enter" not in screen.shown


@pytest.mark.parametrize("typed", ["/quit", "/otr end", "/me waves", "//x", ""])
def test_at_a_prompt_nothing_is_a_command(screen: Screen, typed: str) -> None:
    screen.chat.ask_secret(AskSecret("bob", None, True, 1))
    assert screen.chat.obey(typed)
    assert "neither used nor kept" in screen.shown


@pytest.mark.parametrize("typed", ["/otr smp answer hunter2", "/otr auth hunter2", "/otr smpp hunter2"])
def test_a_mistyped_secret_is_not_repeated(screen: Screen, typed: str) -> None:
    screen.chat.obey(typed)
    assert screen.shown
    assert SECRET not in screen.shown


def test_a_command_is_one_in_any_capitals(screen: Screen) -> None:
    screen.chat.obey("/OTR STATUS")
    assert screen.shown == "-- The conversation with bob is not encrypted. /otr start to change that.\n"
