"""Registration against servers that refuse nicks, say things in their own order or nothing at all."""

from __future__ import annotations

import threading

import pytest

from otrcore.irc.connection.nickchoice import MAX_ATTEMPTS
from tests.irc.connection.hostile_server import (
    TAKEN,
    Client,
    Clock,
    HostileServer,
    Peer,
    survives,
    until_closed,
)

pytestmark = pytest.mark.usefixtures("no_descriptor_is_leaked")


def test_registration_tells_nick_features_and_own_mask() -> None:
    def script(peer: Peer) -> None:
        assert peer.line() == "NICK me"
        assert peer.line() == "USER tester 0 * :A test"
        peer.welcome("me", "NETWORK=Net", "NICKLEN=30", "CASEMAPPING=ascii")
        peer.closed_by_client()

    with HostileServer(script) as server:
        client = Client(server.address)
        assert not client.connection.connected
        client.connect()
        assert client.connection.connected
        assert not client.connection.registered
        client.until_ready()
        assert client.connection.registered
        assert client.connection.nick == "me"
        assert client.connection.own_mask == "me!~u@host.example"
        features = client.connection.features
        assert (features.network, features.nicklen, features.casemapping) == ("Net", 30, "ascii")
        assert client.heard.events == [("ready",), ("own_mask_changed",)]
        client.connection.quit()


def test_a_server_that_cuts_the_nick_is_believed() -> None:
    def script(peer: Peer) -> None:
        assert peer.asked_nick() == "averylongnick"
        peer.welcome("averylong")
        peer.closed_by_client()

    with HostileServer(script) as server:
        client = Client(server.address, "averylongnick").connect()
        client.until_ready()
        assert client.connection.nick == "averylong"
        client.connection.quit()


def test_a_server_without_motd_numerics_still_becomes_ready() -> None:
    clock = Clock()
    welcomed = threading.Event()

    def script(peer: Peer) -> None:
        peer.asked_nick()
        peer.send(":irc.test 001 me :Welcome", "PING :sync")
        peer.until("PONG")
        welcomed.set()
        peer.until("NOTICE me :")
        peer.closed_by_client()

    with HostileServer(script) as server:
        client = Client(server.address, clock=clock).connect()
        client.drive(welcomed.is_set, server)
        assert not client.connection.registered
        clock.now += 5.0
        client.drive(lambda: client.connection.registered)
        assert client.heard.events == [("ready",)]
        client.connection.quit()


def test_a_taken_nick_gets_an_underscore() -> None:
    def script(peer: Peer) -> None:
        assert peer.asked_nick() == "me"
        peer.send(":irc.test 433 * me :Nickname is already in use")
        assert peer.asked_nick() == "me_"
        peer.send(":irc.test 433 * me_ :Nickname is already in use")
        assert peer.asked_nick() == "me__"
        peer.welcome("me__")
        peer.closed_by_client()

    with HostileServer(script) as server:
        client = Client(server.address).connect()
        client.until_ready()
        assert client.connection.nick == "me__"
        client.connection.quit()


@pytest.mark.parametrize(
    "refusal",
    [
        ":irc.test 436 * me :Nickname collision KILL",
        ":irc.test 437 * me :Nick/channel is temporarily unavailable",
        ":irc.test 433",
    ],
)
def test_other_words_for_a_taken_nick(refusal: str) -> None:
    def script(peer: Peer) -> None:
        peer.asked_nick()
        peer.send(refusal)
        assert peer.asked_nick() == "me_"
        peer.welcome("me_")
        peer.closed_by_client()

    with HostileServer(script) as server:
        client = Client(server.address).connect()
        client.until_ready()
        client.connection.quit()


def test_a_nick_that_is_too_long_is_shortened() -> None:
    def script(peer: Peer) -> None:
        asked = peer.asked_nick()
        while len(asked) > 9:
            peer.send(f":irc.test 432 * {asked} :Nickname too long, max. 9 characters")
            asked = peer.asked_nick()
        peer.welcome(asked)
        peer.closed_by_client()

    with HostileServer(script) as server:
        client = Client(server.address, "a_rather_long_nick").connect()
        client.until_ready()
        assert client.connection.nick == "a_rather_"
        client.connection.quit()


@pytest.mark.parametrize("numeric", [432, 433])
def test_no_free_nick_is_given_up_with_one_sentence(numeric: int) -> None:
    def script(peer: Peer) -> None:
        with pytest.raises(AssertionError, match="closed the connection"):
            while True:
                peer.send(f":irc.test {numeric} * {peer.asked_nick()} :No")

    with HostileServer(script) as server:
        client = Client(server.address).connect()
        reason = client.until_lost()
    assert reason == (
        f"The connection to {server.address} was given up, because the server accepts neither the nick me "
        "nor one like it: choose another nick."
    )


def test_a_welcome_under_an_impossible_nick_is_not_believed() -> None:
    """A line to oneself would not fit under it, and one with a comma would be two recipients."""

    def script(peer: Peer) -> None:
        peer.asked_nick()
        for nick in ("n" * 450, "a,b", ":x", "\x1b[2J"):
            peer.send(f":irc.test 001 {nick} :Welcome", f":irc.test 422 {nick} :No MOTD")
        peer.send("PING :done")
        peer.until("PONG :done")
        peer.welcome("me")
        peer.closed_by_client()

    with HostileServer(script) as server:
        client = Client(server.address).connect()
        client.until_ready()
        assert client.connection.nick == "me"
        assert client.connection.errors == 0
        client.connection.quit()


def test_a_refused_nick_after_registration_changes_nothing() -> None:
    client = survives(":irc.test 433 me other :Nickname is already in use", ":irc.test 001 hijacked :Welcome")
    assert client.connection.nick == "me"


def test_registration_that_never_finishes_is_given_up() -> None:
    clock = Clock()
    with HostileServer(until_closed) as server:
        client = Client(server.address, clock=clock, registration_timeout=60.0).connect()
        clock.now += 59.9
        client.connection.process(0.0)
        assert client.connection.connected
        clock.now += 0.2
        assert "did not let us in within 60 seconds" in client.until_lost()


def test_alternates_are_tried_first() -> None:
    def script(peer: Peer) -> None:
        for nick in ("me", "myself", "i"):
            assert peer.asked_nick() == nick
            peer.send(TAKEN.format(nick))
        peer.asked_nick()
        peer.welcome("me_")
        peer.closed_by_client()

    with HostileServer(script) as server:
        client = Client(server.address, altnicks=["myself", "i"]).connect()
        client.until_ready()
        assert client.connection.nick == "me_"
        client.connection.quit()


def test_collisions_without_end_are_given_up() -> None:
    asked: list[str] = []

    def script(peer: Peer) -> None:
        with pytest.raises(AssertionError, match="closed the connection"):
            while True:
                asked.append(peer.asked_nick())
                peer.send(TAKEN.format(asked[-1]))

    with HostileServer(script) as server:
        client = Client(server.address, altnicks=["myself", "i"]).connect()
        assert "accepts neither the nick me nor one like it" in client.until_lost()
    assert len(asked) == MAX_ATTEMPTS + 2


def test_a_server_without_capabilities_lets_us_in_without() -> None:
    def script(peer: Peer) -> None:
        peer.send(":irc.test 421 * CAP :Unknown command")
        peer.register()
        peer.closed_by_client()

    with HostileServer(script) as server:
        client = Client(server.address, capabilities=["message-tags"]).connect()
        client.until_ready()
        client.connection.quit()
