"""Sending, waiting, leaving and coming back, on a real TCP server."""

from __future__ import annotations

import os
import socket
import threading

import pytest

from otrcore.errors import UsageError
from otrcore.irc.connection.address import ServerAddress
from otrcore.irc.connection.pacing import MAX_LINES_PER_TARGET, Pace
from tests.irc.connection.hostile_server import (
    SENTINEL,
    Client,
    Clock,
    HostileServer,
    Peer,
    bumped,
    then_sentinel,
    until_closed,
)

pytestmark = pytest.mark.usefixtures("no_descriptor_is_leaked")


# ---- sending


def test_nothing_can_be_sent_before_registration() -> None:
    with HostileServer(until_closed) as server:
        client = Client(server.address)
        assert not client.connection.send("bob", ["before connecting"])
        client.connect()
        assert not client.connection.send("bob", ["before registration"])
        client.connection.quit()


def test_a_message_arrives_line_by_line_with_its_command() -> None:
    def script(peer: Peer) -> None:
        peer.register()
        assert [peer.line() for _ in range(4)] == [
            "PRIVMSG bob :one",
            "PRIVMSG bob :two \t ",
            "NOTICE bob ::three",
            "PRIVMSG #room :žluť",
        ]
        peer.closed_by_client()

    with HostileServer(script) as server:
        client = Client(server.address).connect()
        client.until_ready()
        assert client.connection.send("bob", ["one", "two \t "])
        assert client.connection.send("bob", [":three"], "NOTICE")
        client.connection.process(0.0)
        assert client.connection.send("#room", ["žluť"])
        client.connection.quit()


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("bob", "a\rQUIT"),
        ("bob", "a\nQUIT"),
        ("bob", "a\0b"),
        ("bob", "lone surrogate \udcff"),
        ("bob", "x" * 500),
        ("bob", "é" * 250),
        ("bob,carol", "two recipients"),
        ("bob carol", "two parameters"),
        ("bob\r\nQUIT", "x"),
        (":bob", "x"),
        ("", "x"),
    ],
)
def test_what_may_not_go_out_does_not(target: str, line: str) -> None:
    sent: list[str] = []

    def script(peer: Peer) -> None:
        peer.register()
        sent.extend(peer.closed_by_client())

    with HostileServer(script) as server:
        client = Client(server.address).connect()
        client.until_ready()
        assert not client.connection.send(target, ["harmless first line", line])
        assert client.connection.send("bob", ["x"])
        client.connection.quit("bye")
    assert sent == ["PRIVMSG bob :x", "QUIT :bye"]


def test_a_line_of_exactly_512_bytes_goes_out() -> None:
    longest = "x" * (512 - len("PRIVMSG bob :\r\n"))

    def script(peer: Peer) -> None:
        peer.register()
        assert peer.line() == f"PRIVMSG bob :{longest}"
        peer.closed_by_client()

    with HostileServer(script) as server:
        client = Client(server.address).connect()
        client.until_ready()
        assert not client.connection.send("bob", [longest + "x"])
        assert client.connection.send("bob", [longest])
        client.connection.quit()


def test_lines_are_paced_and_a_pong_overtakes_them() -> None:
    clock = Clock()
    step = threading.Barrier(2, timeout=20)

    def script(peer: Peer) -> None:
        peer.register()
        assert [peer.line() for _ in range(8)] == [f"PRIVMSG bob :{n}" for n in range(8)]
        peer.send("PING :two words")
        assert peer.line() == "PONG :two words"
        step.wait()
        assert peer.line() == "PRIVMSG bob :8"
        peer.send("PING")
        assert peer.line() == "PONG :"
        step.wait()
        peer.closed_by_client()

    with HostileServer(script) as server:
        client = Client(server.address, pace=Pace.DEFAULT, clock=clock).connect()
        client.until_ready()
        assert client.connection.send("bob", [str(n) for n in range(20)])
        client.drive(lambda: step.n_waiting, server)
        step.wait()
        clock.now += 1.0
        client.drive(lambda: step.n_waiting, server)
        step.wait()
        client.connection.quit(flush_for=0.0)


def test_a_full_queue_refuses_a_whole_message() -> None:
    with HostileServer(then_sentinel()) as server:
        client = Client(server.address).connect()
        client.until_ready()
        assert client.connection.send("bob", ["x"] * MAX_LINES_PER_TARGET)
        assert not client.connection.send("bob", ["y"])
        assert client.connection.send("carol", ["z"])
        client.connection.quit()


def test_the_queues_bounds_are_the_callers() -> None:
    with HostileServer(then_sentinel()) as server:
        client = Client(server.address, queue_lines=50, queue_lines_per_target=40).connect()
        client.until_ready()
        assert not client.connection.send("bob", ["x"] * 41)
        assert client.connection.send("bob", ["x"] * 40)
        assert not client.connection.send("bob", ["x"])
        assert client.connection.send("carol", ["x"] * 10)
        assert not client.connection.send("dave", ["x"])
        client.connection.quit()


def test_a_full_queue_delays_neither_pong_nor_nick_nor_quit() -> None:
    def script(peer: Peer) -> None:
        bumped(peer)
        assert peer.line() == "PRIVMSG bob :x"
        peer.send("PING :now", ":me!x@y QUIT :bye")
        assert [peer.line() for _ in range(2)] == ["PONG :now", "NICK me"]
        assert peer.closed_by_client() == ["QUIT :"]

    with HostileServer(script) as server:
        client = Client(server.address, pace=Pace(1, 0.001), regain_nick=True, clock=Clock()).connect()
        client.until_ready()
        assert client.connection.send("bob", ["x"] * 100)
        client.drive(lambda: any(event[0] == "gone" for event in client.heard.events), server)
        client.connection.process(0.0)
        client.connection.quit(flush_for=0.0)


def test_what_waits_for_somebody_who_is_gone_is_thrown_away_and_follows_a_nick_change() -> None:
    clock = Clock()
    sent: list[str] = []

    def script(peer: Peer) -> None:
        peer.register()
        sent.append(peer.line())
        peer.send(":bob!b@h QUIT :bye", ":carol!c@h NICK caroline", f":x!y@z PRIVMSG me :{SENTINEL}")
        sent.extend(peer.closed_by_client())

    with HostileServer(script) as server:
        client = Client(server.address, pace=Pace(1, 1.0), clock=clock).connect()
        client.until_ready()
        assert client.connection.send("bob", ["b1", "b2", "b3"])
        assert client.connection.send("CAROL", ["c1", "c2"])
        client.until_text(SENTINEL)
        for _ in range(5):
            clock.now += 1.0
            client.connection.process(0.0)
        client.connection.quit()
    assert sent == ["PRIVMSG bob :b1", "PRIVMSG caroline :c1", "PRIVMSG caroline :c2", "QUIT :"]


# ---- connecting again


def test_connecting_again_starts_from_nothing() -> None:
    def first(peer: Peer) -> None:
        peer.asked_nick()
        peer.send(":irc.test 433 * me :Nickname is already in use")
        peer.until("NICK me_")
        peer.welcome("me_", "NETWORK=Net", "CHANTYPES=!")
        peer.until("PRIVMSG bob :1")
        # Half a line, which must not become the beginning of the next connection's first one.
        peer.raw(b":bob!b@h PRIVMSG me :ha")

    def second(peer: Peer) -> None:
        assert peer.line() == "NICK me"
        peer.until("USER ")
        peer.welcome("me")
        assert peer.closed_by_client() == ["PRIVMSG bob :new", "QUIT :"]

    with HostileServer(first, second) as server:
        client = Client(server.address, pace=Pace(1, 0.001)).connect()
        client.until_ready()
        with pytest.raises(UsageError, match="already"):
            client.connection.connect()
        assert client.connection.send("bob", ["1", "2", "3"])
        client.until_lost()
        client.heard.events.clear()
        client.connect()
        assert client.connection.own_mask is None
        assert client.connection.features.network is None
        client.until_ready()
        assert client.connection.nick == "me"
        assert client.connection.send("bob", ["new"])
        client.connection.process(0.0)
        client.connection.quit()
        assert client.heard.texts == []


def test_a_reconnect_forgets_what_the_last_server_said() -> None:
    def first(peer: Peer) -> None:
        peer.register("BOT=B", "MONITOR", "CASEMAPPING=ascii", "NETWORK=One")
        peer.send(":irc.test NOTICE me :*** Message to bob throttled due to flooding")

    with HostileServer(first, then_sentinel()) as server:
        client = Client(server.address, bot_mode=True, regain_nick=True).connect()
        client.until_lost()
        assert client.connection.throttled == 1
        client.heard.events.clear()
        client.connect()
        client.until_text(SENTINEL)
        features = client.connection.features
        assert (features.bot, features.monitor, features.casemapping, features.network) == (
            "",
            False,
            "rfc1459",
            None,
        )
        assert client.connection.throttled == 0
        assert client.connection.lost is None
        client.connection.quit()


def test_connecting_again_from_within_disconnected() -> None:
    with HostileServer(lambda peer: peer.register(), then_sentinel()) as server:
        client = Client(server.address)
        client.heard.hooks["disconnected"] = lambda _: client.connection.connect()
        client.connect()
        client.until_text(SENTINEL)
        client.connection.quit()


# ---- the loop


def test_other_descriptors_are_waited_for_with_and_without_a_connection() -> None:
    reading, writing = os.pipe()
    other, _other_end = socket.socketpair()
    try:
        with HostileServer(then_sentinel()) as server:
            client = Client(server.address)
            assert client.connection.process(0.0, [reading]) == []
            os.write(writing, b"x")
            assert client.connection.process(5.0, [reading]) == [reading]
            client.connect()
            client.until_text(SENTINEL)
            assert client.connection.process(5.0, [reading, other.fileno()]) == [reading]
            os.read(reading, 1)
            assert client.connection.process(0.0, [reading]) == []
            client.connection.quit()
    finally:
        os.close(reading)
        os.close(writing)
        other.close()
        _other_end.close()


def test_an_exception_in_the_listener_is_caught_counted_and_named_by_class_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Peculiar(Exception):
        pass

    def fail(*_: object) -> None:
        raise Peculiar("secret text")

    with HostileServer(then_sentinel(":bob!b@h NICK robert", ":bob!b@h QUIT")) as server:
        client = Client(server.address)
        client.heard.hooks = dict.fromkeys(
            ("ready", "message", "nick_changed", "gone", "own_mask_changed", "disconnected"), fail
        )
        client.connect()
        client.until_text(SENTINEL)
        client.drive(lambda: True)
        assert client.connection.errors == 5
        client.connection.quit()
    assert "Peculiar" in caplog.text
    assert "secret text" not in caplog.text
    assert SENTINEL not in caplog.text


# ---- leaving


def test_quit_lets_queued_lines_out_first_and_tells_the_listener_nothing_more() -> None:
    def script(peer: Peer) -> None:
        peer.register()
        lines = [peer.line() for _ in range(10)]
        peer.send(":bob!b@h PRIVMSG me :too late", "ERROR :Closing Link")
        assert lines == [*(f"PRIVMSG bob :{n}" for n in range(9)), "QUIT :good bye"]

    with HostileServer(script) as server:
        client = Client(server.address, pace=Pace(3, 50.0)).connect()
        client.until_ready()
        assert client.connection.send("bob", [str(n) for n in range(9)])
        client.connection.quit("good\r\n bye")
        assert not client.connection.connected
    assert client.heard.reason is None
    assert client.heard.texts == []


def test_quit_with_a_reason_that_is_too_long() -> None:
    last: list[str] = []

    def script(peer: Peer) -> None:
        peer.register()
        last.append(peer.until("QUIT :"))

    with HostileServer(script) as server:
        client = Client(server.address).connect()
        client.until_ready()
        client.connection.quit("🦆" * 500)
    assert last == ["QUIT :" + "🦆" * 75]


def test_quit_is_bounded_when_the_server_neither_reads_nor_closes() -> None:
    over = threading.Event()

    def script(peer: Peer) -> None:
        peer.register()
        assert over.wait(20), "quit did not come back"

    with HostileServer(script) as server:
        client = Client(server.address, pace=Pace(1, 0.001)).connect()
        client.until_ready()
        assert client.connection.send("bob", ["1", "2"])
        client.connection.quit(flush_for=0.1)
        assert not client.connection.connected
        over.set()


def test_quit_from_within_the_listener() -> None:
    with HostileServer(then_sentinel(":bob!b@h PRIVMSG me :go away")) as server:
        client = Client(server.address)
        client.heard.hooks["message"] = lambda _: client.connection.quit("as told")
        client.connect()
        client.drive(lambda: bool(client.heard.texts))
        client.connection.process(0.0)
        assert not client.connection.connected
        assert client.heard.texts == ["go away"]


def test_quit_without_a_connection_does_nothing() -> None:
    client = Client(ServerAddress("127.0.0.1", 1))
    client.connection.quit()
    assert client.heard.events == []
