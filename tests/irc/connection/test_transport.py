"""The socket, its lines in and out, against servers that misbehave in every way that ends a stock client."""

from __future__ import annotations

import gc
import logging
import os
import random
import socket
import ssl
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from otrcore.irc.connection.pacing import MAX_LINES_PER_TARGET
from tests.irc.connection.certificates import trusting
from tests.irc.connection.hostile_server import (
    SENTINEL,
    Client,
    Clock,
    HostileServer,
    Peer,
    survives,
    then_sentinel,
)

pytestmark = pytest.mark.usefixtures("no_descriptor_is_leaked")


# ---- odd and hostile lines, each of which ends a client of the stock library


def test_bad_utf8_is_read_as_latin_1() -> None:
    client = survives(b":bob!b@h PRIVMSG me :caf\xe9", b":b\xff!b@h PRIVMSG me :\xff\xfe", b"\xff\xff \xff")
    assert client.heard.texts == ["café", "ÿþ", SENTINEL]


def test_blank_lines() -> None:
    assert survives(
        "", " ", "    ", "\r", "\n\n", ":", ":irc.test", ":irc.test ", "@", "@tag "
    ).heard.texts == [SENTINEL]


def test_a_ping_too_long_to_be_answered() -> None:
    client = survives("PING :" + "x" * 600)
    assert client.connection.errors == 1


def test_unknown_channels_and_missing_parameters() -> None:
    commands = [
        "MODE",
        "KICK",
        "JOIN",
        "PART",
        "TOPIC",
        "INVITE",
        "NICK",
        "PING",
        "PONG",
        "CAP",
        "AUTHENTICATE",
    ]
    numerics = [
        "001",
        "005",
        "353",
        "366",
        "376",
        "396",
        "401",
        "422",
        "432",
        "433",
        "436",
        "437",
        "999",
        "0",
        "00001",
    ]
    lines = [
        f"{source}{command}{parameters}"
        for command in commands + numerics
        for source in ("", ":bob!b@h ", ":irc.test ", ":me ", ":me!x@y ", ":! ", ":@ ", ":!@ ")
        for parameters in ("", " ", " :", " #nowhere", " #nowhere bob", " me", " :a b", " ,,, ,,,")
    ]
    client = survives(*lines)
    assert client.heard.texts == [SENTINEL]
    assert client.connection.errors == 0


def test_a_lone_cr_or_nul_inside_a_line_is_removed() -> None:
    client = survives(
        b":bob!b@h PRIVMSG me :one\rERROR :two\0three", b":bob!b@h PRI\0VMSG me :\rfour\r", b"\0\r\0"
    )
    assert client.heard.texts == ["oneERROR :twothree", "four", SENTINEL]


def test_an_over_long_line_is_discarded_and_the_next_one_arrives() -> None:
    client = survives(b":bob!b@h PRIVMSG me :" + b"x" * 300_000)
    assert client.heard.texts == [SENTINEL]


def test_a_server_that_says_disconnect_has_not_disconnected() -> None:
    """The library names its own events like commands; a command must not pass for one of them."""
    client = survives(
        ":irc.test DISCONNECT :really",
        ":irc.test disconnect",
        ":irc.test all_events x",
        ":irc.test all_raw_messages x",
        ":irc.test dcc_disconnect x",
        ":irc.test connection closed",
    )
    assert client.heard.reason is None


def test_random_lines_never_end_it() -> None:
    seeded = random.Random(20)
    sources = [b"", b":bob!b@h ", b":irc.test ", b":\xff ", b": ", b"@a=b;c :bob!b@h "]
    commands = [b"PRIVMSG", b"NOTICE", b"QUIT", b"NICK", b"PING", b"PONG", b"MODE", b"JOIN", b"KICK", b"x\0y"]
    commands += [b"%03d" % number for number in (1, 2, 4, 5, 5, 5, 376, 396, 401, 422, 432, 433, 437)]
    pieces = [
        b"me",
        b"bob",
        b"#x",
        b"a!b@c",
        b"NICKLEN=3",
        b"-X",
        b"=",
        b",",
        b":",
        b" ",
        b"\r",
        b"\xc3",
        b"\xff\x01",
    ]
    lines = []
    for _ in range(20_000):
        parameters = b" ".join(seeded.choices(pieces, k=seeded.randrange(6)))
        line = seeded.choice(sources) + seeded.choice(commands) + b" " + parameters
        start = seeded.randrange(len(line))
        lines.append(line if seeded.random() < 0.7 else line[:start] + line[start + seeded.randrange(9) :])
    with HostileServer(then_sentinel(*lines)) as server:
        client = Client(server.address).connect()
        client.until_text(SENTINEL)
        assert client.connection.connected
        assert client.connection.errors == 0
        client.connection.quit()
    for kind in ("message", "gone", "nick_changed"):
        assert sum(event[0] == kind for event in client.heard.events) > 100


def test_the_librarys_debug_log_stays_silent(caplog: pytest.LogCaptureFixture) -> None:
    """It would hold every line, and so every password and message."""
    with caplog.at_level(logging.DEBUG):
        survives()
    assert [record for record in caplog.records if record.name.startswith("irc")] == []


# ---- servers that stop reading, close or die


def test_a_server_that_stops_reading_blocks_nothing_and_is_given_up() -> None:
    clock = Clock()
    over = threading.Event()

    def script(peer: Peer) -> None:
        peer.register()
        over.wait(20)

    with HostileServer(script) as server:
        client = Client(server.address, clock=clock).connect()
        client.until_ready()
        client.connection._transport.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        line = "x" * 480
        refused = False
        for _ in range(2000):  # about a megabyte each round at most: far more than both kernels' buffers hold
            for target in ("a", "b", "c", "d"):
                refused = not client.connection.send(target, [line] * 100) or refused
            client.connection.process(0.0)
            if refused:
                break
        assert refused
        assert client.connection.connected
        assert len(client.connection._transport.unsent) <= 256 * 1024
        clock.now += 121.0
        reason = client.until_lost()
        over.set()
    assert "stopped reading" in reason or "not answered" in reason


def test_a_server_that_only_asks_and_never_reads_is_given_up() -> None:
    """PONGs do not wait for their turn in the queue, so they have a bound of their own."""

    def script(peer: Peer) -> None:
        peer.register()
        with pytest.raises(OSError, match=r"reset|pipe"):
            while True:
                peer.raw(b"PING :" + b"x" * 400 + b"\r\n")

    with HostileServer(script) as server:
        client = Client(server.address).connect()
        client.until_ready()
        client.connection._transport.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        assert "stopped reading" in client.until_lost()


def test_a_server_that_closes() -> None:
    with HostileServer(lambda peer: peer.register()) as server:
        client = Client(server.address).connect()
        assert (
            client.until_lost()
            == f"The connection to {server.address} was closed by the server: connect again."
        )


def test_a_server_that_closes_before_it_says_anything() -> None:
    with HostileServer(lambda _: None) as server:
        client = Client(server.address).connect()
        client.until_lost()
        assert [event[0] for event in client.heard.events] == ["disconnected"]


def test_lines_after_the_end_belong_to_no_connection() -> None:
    """Read together with the last line; heard, they would be taken for the next connection's."""

    def script(peer: Peer) -> None:
        peer.register()
        peer.send("ERROR :bye", ":carol!c@h QUIT", ":irc.test 001 stale :Welcome", ":irc.test 422 stale :x")
        peer.closed_by_client()

    def again(peer: Peer) -> None:
        assert peer.line() == "NICK me"
        assert peer.closed_by_client()[-1] == "QUIT :"

    with HostileServer(script, again) as server:
        client = Client(server.address)
        client.heard.hooks["disconnected"] = lambda _: client.connection.connect()
        client.connect()
        client.drive(lambda: client.heard.reason is not None)
        assert client.heard.events[-1][0] == "disconnected"
        assert not client.connection.registered
        assert client.connection.nick == "me"
        client.connection.quit()


@pytest.fixture
def dead() -> Iterator[Client]:
    """A client that believes itself connected, to a server that has reset the connection."""
    go = threading.Event()

    def script(peer: Peer) -> None:
        peer.register()
        assert go.wait(20)
        peer.reset()

    with HostileServer(script) as server:
        client = Client(server.address).connect()
        client.until_ready()
        go.set()
        server._thread.join()
        assert client.connection.connected
        yield client


def test_sending_into_a_dead_socket(dead: Client) -> None:
    assert dead.connection.send("bob", ["into the void"] * 50)
    assert "broke off (" in dead.until_lost()
    assert not dead.connection.send("bob", ["x"])


def test_a_dead_socket_that_is_found_by_writing(dead: Client) -> None:
    dead.connection._transport.send_raw("PRIVMSG bob :into the void")
    assert not dead.connection._transport.flush()
    assert not dead.connection.connected
    assert "broke off (" in (dead.heard.reason or "")


def test_a_dead_socket_that_is_found_by_quitting(dead: Client) -> None:
    dead.connection.quit("bye")
    assert not dead.connection.connected
    assert dead.heard.reason is None


def test_a_flooding_server_does_not_starve_other_descriptors() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"x")

    def script(peer: Peer) -> None:
        peer.register()
        with pytest.raises(OSError, match=r"reset|pipe"):
            while True:
                peer.raw(b":bob!b@h PRIVMSG me :flood\r\n" * 1000)

    try:
        with HostileServer(script) as server:
            client = Client(server.address).connect()
            client.drive(lambda: len(client.heard.texts) > 2000)
            for _ in range(20):
                assert client.connection.process(5.0, [reading]) == [reading]
            client.connection.quit()
    finally:
        os.close(reading)
        os.close(writing)


# ---- TLS


def test_tls_carries_large_bursts_whole(certificate: Path, serving: ssl.SSLContext) -> None:
    """Decrypted input can wait inside the TLS layer, where select does not see it."""
    burst = [f":bob!b@h PRIVMSG me :{n} {'x' * 400}" for n in range(1000)]
    with HostileServer(then_sentinel(*burst), tls=serving) as server:
        client = Client(server.address, login=trusting(certificate)).connect()
        client.until_text(SENTINEL)
        assert [text.split(" ")[0] for text in client.heard.texts[:-1]] == [str(n) for n in range(1000)]
        client.connection.quit()


def test_tls_sends_more_than_the_socket_takes_at_once(certificate: Path, serving: ssl.SSLContext) -> None:
    received: list[str] = []

    def script(peer: Peer) -> None:
        peer.register()
        received.extend(peer.closed_by_client())

    with HostileServer(script, tls=serving) as server:
        client = Client(server.address, login=trusting(certificate)).connect()
        client.until_ready()
        client.connection._transport.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        lines = [f"{n} {'y' * 450}" for n in range(MAX_LINES_PER_TARGET)]
        assert client.connection.send("bob", lines)
        assert client.connection.send("carol", lines)
        client.connection.quit(flush_for=20.0)
    assert [line for line in received if line.startswith("PRIVMSG bob")] == [
        f"PRIVMSG bob :{line}" for line in lines
    ]
    assert received[-1] == "QUIT :"


# ---- everything at once


def odd_lines(seeded: random.Random, number: int) -> bytes:
    """Lines of which most are almost right."""
    sources = [
        b"",
        b":bob!b@h ",
        b":irc.test ",
        b":\xff ",
        b": ",
        b"@a=b;c :bob!b@h ",
        b":me!x@y ",
        b"@bot :me ",
    ]
    commands = [
        b"PRIVMSG",
        b"NOTICE",
        b"QUIT",
        b"NICK",
        b"PONG",
        b"MODE",
        b"JOIN",
        b"KICK",
        b"CAP",
        b"AUTHENTICATE",
    ]
    commands += [
        b"%03d" % code for code in (1, 2, 4, 5, 303, 376, 396, 401, 422, 432, 433, 437, 464, 730, 731, 734)
    ]
    commands += [b"%03d" % code for code in range(900, 909)]
    pieces = [
        b"me",
        b"bob",
        b"#x",
        b"a!b@c",
        b"NICKLEN=3",
        b"-X",
        b"=",
        b",",
        b":",
        b" ",
        b"\r",
        b"\0",
        b"\xc3",
    ]
    pieces += [
        b"MONITOR",
        b"BOT=B",
        b"\x01ACTION x\x01",
        b"a\x01VERSION\x01",
        b"sasl",
        b"ACK",
        b"LS",
        b"*",
        b"x" * 400,
    ]
    pieces += [b"*** Message to n%d throttled due to flooding" % n for n in range(5)]
    lines = []
    for _ in range(number):
        parameters = b" ".join(seeded.choices(pieces, k=seeded.randrange(6)))
        line = seeded.choice(sources) + seeded.choice(commands) + b" " + parameters
        if seeded.random() < 0.3:
            start = seeded.randrange(len(line))
            line = line[:start] + seeded.randbytes(seeded.randrange(4)) + line[start + seeded.randrange(9) :]
        lines.append(line.replace(b"\n", b""))
    return b"\r\n".join(lines) + b"\r\n"


def test_40_000_odd_lines_end_nothing_and_fill_nothing() -> None:
    seeded = random.Random(7)
    warm, measured = threading.Event(), threading.Event()

    def script(peer: Peer) -> None:
        peer.register("MONITOR=100", "BOT=B")
        threading.Thread(target=drain, args=(peer.sock,), daemon=True).start()
        for batch in range(40):
            if batch == 10:
                peer.send(":bob!b@h PRIVMSG me :warm")
                assert measured.wait(60)
            peer.raw(odd_lines(seeded, 1000))
        peer.send(f":bob!b@h PRIVMSG me :{SENTINEL}")
        assert over.wait(60)

    def drain(sock: socket.socket) -> None:
        try:
            while sock.recv(65536):
                pass
        except OSError:
            pass

    over = threading.Event()
    heard: dict[str, int] = {}

    def tally(*event: object) -> None:
        heard[str(event[0])] = heard.get(str(event[0]), 0) + 1
        if event[0] == "message" and getattr(event[1], "text", "") == "warm":
            warm.set()
        if event[0] == "message" and getattr(event[1], "text", "") == SENTINEL:
            over.set()

    with HostileServer(script) as server:
        client = Client(
            server.address, regain_nick=True, bot_mode=True, capabilities=["message-tags"], clock=Clock()
        )
        client.heard._hear = tally  # type: ignore[method-assign]
        tracemalloc.start()
        try:
            client.connect()
            client.drive(warm.is_set, server)
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            measured.set()
            client.drive(lambda: over.is_set() or client.connection.lost, server)
            gc.collect()
            after = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        assert client.connection.lost is None
        assert client.connection.errors == 0
        client.connection.quit()
    assert after - before < 500_000, "memory must not grow with what a server says"
    assert min(heard[kind] for kind in ("message", "gone", "nick_changed")) > 200
