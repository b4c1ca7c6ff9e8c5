"""A server that falls silent is asked, and then given up."""

from __future__ import annotations

import threading

import pytest

from tests.irc.connection.hostile_server import (
    SENTINEL,
    Client,
    Clock,
    HostileServer,
    Peer,
)

pytestmark = pytest.mark.usefixtures("no_descriptor_is_leaked")


def test_a_silent_server_is_asked_and_then_given_up() -> None:
    clock = Clock()
    asked = threading.Event()

    def script(peer: Peer) -> None:
        peer.register()
        peer.until("PING ")
        asked.set()
        assert peer.closed_by_client() == []

    with HostileServer(script) as server:
        client = Client(server.address, clock=clock, ping_after=60.0, drop_after=120.0).connect()
        client.until_ready()
        clock.now += 60.0
        client.connection.process(0.0)
        assert asked.wait(20), "the question must leave in the turn in which it became due"
        clock.now += 59.0
        client.connection.process(0.0)
        assert client.connection.connected
        clock.now += 1.0
        assert "has not answered for 120 seconds" in client.until_lost()


def test_a_server_that_talks_but_never_answers_a_ping_is_given_up() -> None:
    clock = Clock()

    def script(peer: Peer) -> None:
        peer.register()
        peer.until("PING ")
        peer.send(":irc.test NOTICE me :still talking")
        peer.closed_by_client()

    with HostileServer(script) as server:
        client = Client(server.address, clock=clock).connect()
        client.until_ready()
        clock.now += 60.0
        client.until_text("still talking")
        clock.now += 60.0
        assert "has not answered" in client.until_lost()


def test_a_pong_keeps_the_connection() -> None:
    clock = Clock()
    answered = 0

    def script(peer: Peer) -> None:
        nonlocal answered
        peer.register()
        for _ in range(5):
            peer.until("PING ")
            peer.send(":irc.test PONG irc.test :alive", ":irc.test NOTICE me :answered")
        peer.closed_by_client()

    with HostileServer(script) as server:
        client = Client(server.address, clock=clock).connect()
        client.until_ready()
        for answered in range(1, 6):
            clock.now += 70.0
            client.drive(lambda count=answered: len(client.heard.texts) == count, server)  # type: ignore[misc]
        assert client.connection.connected
        client.connection.quit()


def test_watchdogs_sleep_while_disconnected() -> None:
    clock = Clock()
    with HostileServer(lambda peer: peer.register()) as server:
        client = Client(server.address, clock=clock).connect()
        client.until_lost()
    clock.now += 10_000.0
    heard = list(client.heard.events)
    assert client.connection.process(0.0) == []
    assert client.heard.events == heard


def test_a_busy_server_is_asked_for_a_sign_of_life_too() -> None:
    clock = Clock()

    def script(peer: Peer) -> None:
        peer.register()
        for number in range(10):
            clock.now += 10.0
            peer.send(f":bob!b@h PRIVMSG me :{number}", "PING :sync")
            if peer.line().startswith("PING"):
                break
        else:
            raise AssertionError("never asked")
        peer.send(":irc.test PONG irc.test :alive", f":bob!b@h PRIVMSG me :{SENTINEL}")
        peer.closed_by_client()

    with HostileServer(script) as server:
        client = Client(server.address, clock=clock)
        assert client.connection.last_pong is None
        client.connect()
        client.until_ready()
        client.drive(lambda: SENTINEL in client.heard.texts, server)
        assert client.connection.last_pong == clock.now
        client.connection.quit()
