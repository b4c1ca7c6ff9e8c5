"""What the connection does for a client that stays for months: nick, mode, flood notices, pulse."""

from __future__ import annotations

import gc
import random
import socket
import ssl
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from otrcore.irc.connection import Login
from otrcore.irc.dial import ServerAddress
from otrcore.irc.nickchoice import MAX_ATTEMPTS
from otrcore.irc.pacing import Pace
from tests.irc.certificates import make_certificate, trusting
from tests.irc.hostile_server import SENTINEL, Client, Clock, HostileServer, Peer, then_sentinel

TAKEN = ":irc.test 433 * {} :Nickname is already in use"


def bumped(peer: Peer, *tokens: str) -> None:
    """Let the client in as `me_`, as `me` is taken."""
    peer.asked_nick()
    peer.send(TAKEN.format("me"))
    assert peer.asked_nick() == "me_"
    peer.welcome("me_", *tokens)


def renamed(peer: Peer) -> None:
    """Grant the client's wish to be `me`."""
    assert peer.line() == "NICK me"
    peer.send(":me_!~u@host.example NICK :me")


def meets(
    script: Callable[[Peer], None],
    *,
    clock: Clock | None = None,
    until: Callable[[Client], bool] | None = None,
) -> Client:
    """A client that wants the nick `me`, on a server with this script, until it has it."""

    def whole(peer: Peer) -> None:
        script(peer)
        peer.send(f":bob!b@h PRIVMSG me :{SENTINEL}")
        peer.closed_by_client()

    with HostileServer(whole) as server:
        client = Client(
            server.address,
            regain_nick=True,
            clock=clock or Clock(),
            # A clock that jumps is no server that has fallen silent.
            ping_after=10_000.0,
            drop_after=20_000.0,
        ).connect()
        client.drive(lambda: SENTINEL in client.heard.texts, server)
        client.connection.quit()
    return client


# ---- nicks


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


def test_an_alternate_that_cannot_be_sent_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be a nick"):
        Client(ServerAddress("127.0.0.1", 1), altnicks=["good", "bad one"])


@pytest.mark.parametrize(
    "leaving", [":me!x@y QUIT :bye", ":me!x@y NICK other", ":irc.test 401 me_ me :No such nick/channel"]
)
def test_the_nick_is_taken_back_when_its_holder_is_seen_leaving(leaving: str) -> None:
    def script(peer: Peer) -> None:
        bumped(peer)
        peer.send(leaving)
        renamed(peer)

    client = meets(script)
    assert client.connection.nick == "me"
    assert ("nick_changed", "me_", "me") in client.heard.events
    assert client.connection.own_mask == "me!~u@host.example"


def test_the_nick_is_taken_back_by_monitor() -> None:
    def script(peer: Peer) -> None:
        bumped(peer, "MONITOR=100")
        assert peer.line() == "MONITOR + me"
        peer.send(":irc.test 730 me_ :me!x@y", ":irc.test 731 me_ :other", ":irc.test 731 me_ :me")
        renamed(peer)
        assert peer.line() == "MONITOR - me"

    assert meets(script).connection.nick == "me"


def test_the_nick_is_taken_back_by_ison() -> None:
    clock = Clock()

    def script(peer: Peer) -> None:
        bumped(peer)
        clock.now += 60.0
        assert peer.until("ISON") == "ISON me"
        peer.send(":irc.test 303 me_ :ME ")
        clock.now += 60.0
        assert peer.until("ISON") == "ISON me"
        peer.send(":irc.test 303 me_ :")
        assert peer.until("NICK") == "NICK me"
        peer.send(TAKEN.format("me").replace("*", "me_"))
        clock.now += 60.0
        assert peer.until("ISON") == "ISON me"
        peer.send(":irc.test 303 me_")
        peer.send(":irc.test 303 me_ :")
        assert peer.until("NICK") == "NICK me"
        peer.send(":me_!~u@host.example NICK :me")

    assert meets(script, clock=clock).connection.nick == "me"


def test_without_being_asked_to_nobody_takes_a_nick_back() -> None:
    sent: list[str] = []

    def script(peer: Peer) -> None:
        bumped(peer, "MONITOR=100")
        peer.send(":me!x@y QUIT :bye", f":bob!b@h PRIVMSG me_ :{SENTINEL}")
        sent.extend(peer.closed_by_client())

    with HostileServer(script) as server:
        client = Client(server.address).connect()
        client.until_text(SENTINEL)
        client.connection.quit()
    assert sent == ["QUIT :"]


def test_a_nick_that_the_server_has_cut_is_as_good_as_the_wanted_one() -> None:
    sent: list[str] = []

    def script(peer: Peer) -> None:
        peer.asked_nick()
        peer.welcome("averylong", "MONITOR")
        peer.send(f":bob!b@h PRIVMSG averylong :{SENTINEL}")
        sent.extend(peer.closed_by_client())

    with HostileServer(script) as server:
        client = Client(server.address, "averylongnick", regain_nick=True).connect()
        client.until_text(SENTINEL)
        client.connection.quit()
    assert sent == ["QUIT :"]


def test_a_nick_that_is_refused_for_good_is_not_asked_for_again() -> None:
    def script(peer: Peer) -> None:
        bumped(peer)
        peer.send(":me!x@y QUIT :bye")
        assert peer.line() == "NICK me"
        peer.send(":irc.test 432 me_ me :Erroneous nickname", ":irc.test 303 me_ :", ":me!x@y QUIT :bye")
        peer.send("PING :done")
        assert peer.line() == "PONG :done"

    meets(script)


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


def test_collisions_after_registration_change_nothing() -> None:
    def script(peer: Peer) -> None:
        bumped(peer)
        for _ in range(50):
            for numeric in (433, 436, 437):
                peer.send(f":irc.test {numeric} me_ me :No")
        peer.send("PING :done")
        assert peer.line() == "PONG :done"

    assert meets(script).connection.nick == "me_"


# ---- bot mode, capabilities


@pytest.mark.parametrize(
    ("token", "mode"), [("BOT=B", "MODE me +B"), ("BOT=b", "MODE me +b"), ("NETWORK=x", "")]
)
def test_bot_mode(token: str, mode: str) -> None:
    sent: list[str] = []

    def script(peer: Peer) -> None:
        peer.register(token)
        sent.extend(peer.closed_by_client())

    with HostileServer(script) as server:
        client = Client(server.address, bot_mode=True).connect()
        client.until_ready()
        client.connection.quit()
    assert sent == [*filter(None, [mode]), "QUIT :"]


def test_tags_are_asked_for_and_reach_the_listener() -> None:
    def script(peer: Peer) -> None:
        assert [peer.line() for _ in range(3)] == ["CAP LS 302", "NICK me", "USER tester 0 * :A test"]
        peer.send(":irc.test CAP * LS :message-tags sasl=PLAIN")
        assert peer.line() == "CAP REQ :message-tags"
        peer.send(":irc.test CAP * ACK :message-tags ")
        assert peer.line() == "CAP END"
        peer.welcome("me")
        peer.send(
            "@bot;time=x :other!o@h PRIVMSG me :beep",
            "@ :bob!b@h PRIVMSG me :odd",
            "@;;=;+a=\\: :b!b@h NICK c",
        )
        peer.send(f"@{'x' * 8000}=y :bob!b@h PRIVMSG me :{SENTINEL}")
        peer.closed_by_client()

    with HostileServer(script) as server:
        client = Client(server.address, capabilities=["message-tags"]).connect()
        client.until_text(SENTINEL)
        client.connection.quit()
    beep = client.heard.events[2][1]
    assert (beep.text, "bot" in beep.tags) == ("beep", True)
    assert client.connection.errors == 0


def test_a_server_without_capabilities_lets_us_in_without() -> None:
    def script(peer: Peer) -> None:
        peer.send(":irc.test 421 * CAP :Unknown command")
        peer.register()
        peer.closed_by_client()

    with HostileServer(script) as server:
        client = Client(server.address, capabilities=["message-tags"]).connect()
        client.until_ready()
        client.connection.quit()


# ---- pacing


def test_a_flood_notice_stops_what_goes_to_that_target() -> None:
    clock = Clock()
    step = threading.Barrier(2, timeout=20)

    def script(peer: Peer) -> None:
        peer.register()
        # Somebody who says the same words is not the server.
        peer.send(":eve!e@h NOTICE me :*** Message to carol throttled due to flooding")
        peer.send(":irc.test NOTICE me :*** Message to BOB throttled due to flooding")
        peer.send(f":bob!b@h PRIVMSG me :{SENTINEL}")
        step.wait()
        assert peer.line() == "PRIVMSG carol :c"
        step.wait()
        assert peer.line() == "PRIVMSG bob :b"
        peer.closed_by_client()

    with HostileServer(script) as server:
        client = Client(server.address, clock=clock).connect()
        client.until_text(SENTINEL)
        assert client.connection.throttled == 1
        assert client.connection.send("bob", ["b"])
        assert client.connection.send("carol", ["c"])
        step.wait()
        client.drive(lambda: step.n_waiting, server)
        assert client.connection.waiting == 1
        clock.now += 12.0
        step.wait()
        client.drive(lambda: client.connection.waiting == 0, server)
        assert (client.connection.sent, client.connection.received) == (2, 3)
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


# ---- its pulse


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


def test_a_huge_005_is_taken_in_bounds() -> None:
    tokens = " ".join(f"X{number}={'y' * 40}" for number in range(300))
    lines = [f":irc.test 005 me {tokens} NICKLEN={number + 1} :are supported" for number in range(300)]
    lines.append(f":irc.test 005 me NETWORK={'n' * 15000} CHANTYPES={'#' * 900} :are supported")
    with HostileServer(then_sentinel(*lines)) as server:
        client = Client(server.address).connect()
        client.until_text(SENTINEL)
        features = client.connection.features
        assert features.nicklen == 300
        assert max(map(len, (features.network or "", features.chantypes, features.casemapping))) <= 100
        assert client.connection.errors == 0
        client.connection.quit()


# ---- IPv6


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")
@pytest.mark.parametrize("tls", [False, True])
def test_ipv6(tls: bool, tmp_path: Path) -> None:
    serving: ssl.SSLContext | None = None
    login: Callable[[], Login] = Login
    if tls:
        certificate = make_certificate(tmp_path / "server.pem")
        login = trusting(certificate)
        serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        serving.load_cert_chain(certificate)
    with HostileServer(then_sentinel(), tls=serving, host="::1") as server:
        client = Client(server.address, login=login).connect()
        client.until_text(SENTINEL)
        client.connection.quit()


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


def test_100_000_odd_lines_end_nothing_and_fill_nothing() -> None:
    seeded = random.Random(7)
    warm, measured = threading.Event(), threading.Event()

    def script(peer: Peer) -> None:
        peer.register("MONITOR=100", "BOT=B")
        threading.Thread(target=drain, args=(peer.sock,), daemon=True).start()
        for batch in range(100):
            if batch == 20:
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
    assert min(heard[kind] for kind in ("message", "gone", "nick_changed")) > 500
