"""The connection against a real TCP server that misbehaves in every way that ends a stock client."""

from __future__ import annotations

import logging
import os
import random
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from otrcore.errors import ConnectionFailed, UsageError
from otrcore.irc.connection import Connection
from otrcore.irc.dial import ServerAddress
from otrcore.irc.pacing import MAX_LINES_PER_TARGET, Pace
from tests.irc.certificates import make_certificate, trusting
from tests.irc.hostile_server import (
    SENTINEL,
    Client,
    Clock,
    HostileServer,
    Peer,
    Recorder,
    Script,
    then_sentinel,
)


def survives(*lines: str | bytes) -> Client:
    """A client that has been through `lines`, and is disconnected again."""
    with HostileServer(then_sentinel(*lines)) as server:
        client = Client(server.address).connect()
        client.until_text(SENTINEL)
        client.connection.quit()
    return client


def _ignore(*_: object) -> None:
    """Turns an expression with a value into a script's None."""


@pytest.fixture(autouse=True)
def _no_descriptor_is_leaked() -> Iterator[None]:
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    yield
    after = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    assert after <= before, "a socket was left open"


# ---- registration


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


def test_the_question_for_the_own_mask_never_reaches_the_listener() -> None:
    def script(peer: Peer) -> None:
        peer.asked_nick()
        peer.welcome("me", mask=None)
        # Twice, as a server with echo-message would; then the same from somebody who repeats it.
        probe = "NOTICE me :own mask"
        peer.send(f":me!u@h {probe}", ":me!u@h NOTICE me :my own words", f":bob!b@h PRIVMSG me :{SENTINEL}")
        peer.closed_by_client()

    with HostileServer(script) as server:
        client = Client(server.address).connect()
        client.until_text(SENTINEL)
        assert client.heard.texts == ["own mask", "my own words", SENTINEL]
        client.connection.quit()


def test_the_own_mask_is_learned_from_any_line_that_carries_it() -> None:
    def script(peer: Peer) -> None:
        peer.asked_nick()
        peer.welcome("me", mask=None)
        peer.send(":me!~u@from.join JOIN #room")
        peer.closed_by_client()

    with HostileServer(script) as server:
        client = Client(server.address).connect()
        client.until_ready()
        assert client.connection.own_mask == "me!~u@from.join"
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


def test_messages_from_before_the_registration_is_over_are_not_heard() -> None:
    def script(peer: Peer) -> None:
        peer.asked_nick()
        early = ":bob!b@h PRIVMSG me :early"
        peer.send(early, ":irc.test 001 me :Welcome", early, ":bob!b@h NICK robert")
        peer.welcome("me")
        peer.send(f":bob!b@h PRIVMSG me :{SENTINEL}")
        peer.closed_by_client()

    with HostileServer(script) as server:
        client = Client(server.address).connect()
        client.until_text(SENTINEL)
        assert [event[0] for event in client.heard.events] == ["ready", "own_mask_changed", "message"]
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
    with HostileServer(lambda peer: _ignore(peer.closed_by_client())) as server:
        client = Client(server.address, clock=clock, registration_timeout=60.0).connect()
        clock.now += 59.9
        client.connection.process(0.0)
        assert client.connection.connected
        clock.now += 0.2
        assert "did not let us in within 60 seconds" in client.until_lost()


def test_nothing_can_be_sent_before_registration() -> None:
    with HostileServer(lambda peer: _ignore(peer.closed_by_client())) as server:
        client = Client(server.address)
        assert not client.connection.send("bob", ["before connecting"])
        client.connect()
        assert not client.connection.send("bob", ["before registration"])
        client.connection.quit()


@pytest.mark.parametrize("field", ["nick", "username", "realname"])
@pytest.mark.parametrize("value", ["", "a\r\nQUIT", "a\nb", "a\0b", "x" * 300, "\ud800"])
def test_names_that_would_break_the_registration_are_refused(field: str, value: str) -> None:
    names = {"nick": "me", "username": "user", "realname": "Real Name", field: value}
    with pytest.raises(ValueError, match=r"^[^\r\n]+\.$"):
        Connection(ServerAddress("127.0.0.1", 1), names.pop("nick"), Recorder(), **names)  # type: ignore[arg-type]


# ---- odd and hostile lines, each of which ends a client of the stock library


def test_bad_utf8_is_read_as_latin_1() -> None:
    client = survives(b":bob!b@h PRIVMSG me :caf\xe9", b":b\xff!b@h PRIVMSG me :\xff\xfe", b"\xff\xff \xff")
    assert client.heard.texts == ["café", "ÿþ", SENTINEL]


def test_blank_lines() -> None:
    assert survives(
        "", " ", "    ", "\r", "\n\n", ":", ":irc.test", ":irc.test ", "@", "@tag "
    ).heard.texts == [SENTINEL]


def test_quit_without_reason() -> None:
    client = survives(":carol!c@h QUIT", ":dave!d@h QUIT :", "QUIT", ":erin!e@h QUIT :bye")
    assert [event for event in client.heard.events if event[0] == "gone"] == [
        ("gone", "carol", ""),
        ("gone", "dave", ""),
        ("gone", "erin", "bye"),
    ]


def test_messages_without_text_target_or_sender() -> None:
    client = survives(
        ":bob!b@h PRIVMSG",
        ":bob!b@h PRIVMSG me",
        ":bob!b@h NOTICE",
        ":bob!b@h NOTICE me",
        ":bob!b@h PRIVMSG :",
        "PRIVMSG me :from nobody",
        "NOTICE * :*** Looking up your hostname",
        ":bob!b@h PRIVMSG me :",
    )
    assert client.heard.texts == ["", SENTINEL]


def test_senders_that_nobody_could_answer() -> None:
    names = ["a,b", "n" * 450, "\x1b[2J", "\u202ebob"]
    client = survives(*[f":{name}!u@h PRIVMSG me :hello" for name in names])
    assert client.heard.texts == [SENTINEL]


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


@pytest.mark.parametrize(
    "token", ["MAXLIST=b", "PREFIX=ov", "CHANLIMIT=:", "TARGMAX=a:b:c", "CHANMODES", "=", "-", "NICKLEN=x"]
)
def test_odd_isupport_tokens(token: str) -> None:
    client = survives(f":irc.test 005 me {token} NETWORK=Net :are supported by this server")
    assert client.connection.features.network == "Net"


def test_a_lone_cr_or_nul_inside_a_line_is_removed() -> None:
    client = survives(
        b":bob!b@h PRIVMSG me :one\rERROR :two\0three", b":bob!b@h PRI\0VMSG me :\rfour\r", b"\0\r\0"
    )
    assert client.heard.texts == ["oneERROR :twothree", "four", SENTINEL]


def test_text_is_handed_on_exactly() -> None:
    texts = [
        "\x01ACTION waves\x01",
        "text \x01VERSION\x01 and more",
        "low\x10nlevel\x10\x10",
        " \t blanks and an OTR tag \t  \t\t\t\t \t \t \t    \t\t  \t\t",
        "\x02\x0304,05colours\x0f",
        ":starts with a colon",
        "čeština 🦆",
    ]
    client = survives(*[f":bob!b@h PRIVMSG me :{text}" for text in texts])
    assert client.heard.texts == [*texts, SENTINEL]


def test_sender_target_command_and_tags_of_a_message() -> None:
    client = survives(
        r"@time=2024-01-01T00:00:00Z;x=a\sb :bob!b@h NOTICE #room :to a channel",
        ":irc.test NOTICE me :from the server",
        ":bob!b@h privmsg me :in lower case",
    )
    messages = [event[1] for event in client.heard.events if event[0] == "message"]
    first, second, third, _ = messages
    assert (first.sender, first.mask, first.target, first.command) == ("bob", "bob!b@h", "#room", "NOTICE")
    assert dict(first.tags) == {"time": "2024-01-01T00:00:00Z", "x": "a b"}
    assert (second.sender, second.mask) == ("irc.test", "irc.test")
    assert (third.command, third.text) == ("PRIVMSG", "in lower case")


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


def test_the_librarys_debug_log_stays_silent(caplog: pytest.LogCaptureFixture) -> None:
    """It would hold every line, and so every password and message."""
    with caplog.at_level(logging.DEBUG):
        survives()
    assert [record for record in caplog.records if record.name.startswith("irc")] == []


# ---- who is who


def test_nick_changes_of_others_and_of_ours() -> None:
    client = survives(
        ":bob!b@h NICK :robert",
        ":me!~u@host.example NICK newme",
        ":x NICK",
        ":x!y@z NICK :two words",
        "NICK lost",
    )
    assert [event for event in client.heard.events if event[0] == "nick_changed"] == [
        ("nick_changed", "bob", "robert"),
        ("nick_changed", "me", "newme"),
    ]
    assert client.connection.nick == "newme"
    assert client.connection.own_mask == "newme!~u@host.example"


def test_a_new_displayed_host_changes_the_own_mask() -> None:
    seen: list[str | None] = []
    with HostileServer(
        then_sentinel(
            ":irc.test 396 me cloak.example :is now your displayed host",
            ":irc.test 396 me new@cloak.two :is now your displayed host",
            ":irc.test 396 me :not a host",
            ":irc.test 396 me two@at@signs",
            ":irc.test 396 me " + "h" * 400,
            ":irc.test 396 me",
            ":me!~u@" + "h" * 400 + " JOIN #room",
            ":me!~u JOIN #room",
            ":me JOIN #room",
        )
    ) as server:
        client = Client(server.address)
        client.heard.hooks["own_mask_changed"] = lambda: seen.append(client.connection.own_mask)
        client.connect()
        client.until_text(SENTINEL)
        client.connection.quit()
    assert seen == ["me!~u@host.example", "me!~u@cloak.example", "me!new@cloak.two"]


def test_no_such_nick_means_gone_but_a_channel_is_not_a_person() -> None:
    client = survives(
        ":irc.test 401 me bob :No such nick/channel", ":irc.test 401 me #room :No such nick/channel"
    )
    assert [event for event in client.heard.events if event[0] == "gone"] == [
        ("gone", "bob", "No such nick/channel")
    ]


# ---- sending


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


def test_a_server_that_stops_reading_blocks_nothing_and_is_given_up() -> None:
    clock = Clock()
    over = threading.Event()

    def script(peer: Peer) -> None:
        peer.register()
        over.wait(20)

    with HostileServer(script) as server:
        client = Client(server.address, clock=clock).connect()
        client.until_ready()
        client.connection._server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
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
        assert len(client.connection._server.unsent) <= 256 * 1024
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
        client.connection._server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        assert "stopped reading" in client.until_lost()


# ---- silence and loss


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


def test_an_error_line_ends_it_with_the_servers_words_made_printable() -> None:
    def script(peer: Peer) -> None:
        peer.register()
        peer.send("ERROR :Closing Link: \x1b[31mExcess Flood\x07" + "!" * 1000)
        peer.closed_by_client()

    with HostileServer(script) as server:
        client = Client(server.address).connect()
        reason = client.until_lost()
    assert "Closing Link: [31mExcess Flood!!" in reason
    assert reason.isprintable()
    assert len(reason) < 400


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


def test_an_error_without_words() -> None:
    def script(peer: Peer) -> None:
        peer.register()
        peer.send("ERROR")
        peer.closed_by_client()

    with HostileServer(script) as server:
        assert "no reason given" in Client(server.address).connect().until_lost()


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
    dead.connection._server.send_raw("PRIVMSG bob :into the void")
    assert not dead.connection._server.flush()
    assert not dead.connection.connected
    assert "broke off (" in (dead.heard.reason or "")


def test_a_dead_socket_that_is_found_by_quitting(dead: Client) -> None:
    dead.connection.quit("bye")
    assert not dead.connection.connected
    assert dead.heard.reason is None


def test_watchdogs_sleep_while_disconnected() -> None:
    clock = Clock()
    with HostileServer(lambda peer: peer.register()) as server:
        client = Client(server.address, clock=clock).connect()
        client.until_lost()
    clock.now += 10_000.0
    heard = list(client.heard.events)
    assert client.connection.process(0.0) == []
    assert client.heard.events == heard


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


# ---- reaching the server


def refused(client: Client) -> str:
    """The sentence with which connecting failed."""
    with pytest.raises(ConnectionFailed) as caught:
        client.connect()
    sentence = str(caught.value)
    assert str(client.connection.address) in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert not client.connection.connected
    assert client.heard.events == []
    return sentence


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def test_nothing_listens(closed_port: int) -> None:
    assert "Nothing accepts connections" in refused(Client(ServerAddress("127.0.0.1", closed_port)))


def test_a_name_that_cannot_be_one() -> None:
    assert "was not found" in refused(Client(ServerAddress("a..b", 6667)))


def test_a_name_that_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert "was not found" in refused(Client(ServerAddress("irc.invalid", 6667)))


def test_an_address_without_a_route() -> None:
    assert "cannot be reached (" in refused(Client(ServerAddress("255.255.255.255", 6667)))


def test_a_server_that_does_not_accept() -> None:
    """A full backlog drops the handshake's first packet, as a firewall would."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        try:
            for sock in waiting:
                sock.setblocking(False)
                sock.connect_ex(full.getsockname())
            client = Client(ServerAddress("127.0.0.1", full.getsockname()[1]), connect_timeout=0.3)
            assert "did not answer within 0.3 seconds" in refused(client)
        finally:
            for sock in waiting:
                sock.close()


def test_every_address_of_a_name_is_tried(monkeypatch: pytest.MonkeyPatch, closed_port: int) -> None:
    with HostileServer(then_sentinel()) as server:
        real = socket.getaddrinfo("127.0.0.1", server.address.port, type=socket.SOCK_STREAM)
        dead = socket.getaddrinfo("127.0.0.1", closed_port, type=socket.SOCK_STREAM)
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: dead + real)
        client = Client(server.address).connect()
        client.until_text(SENTINEL)
        client.connection.quit()


@pytest.mark.parametrize(
    ("text", "tls", "host", "port"),
    [
        ("irc.example", False, "irc.example", 6667),
        ("irc.example", True, "irc.example", 6697),
        ("irc.example:7000", True, "irc.example", 7000),
        ("127.0.0.1:1", False, "127.0.0.1", 1),
        ("[::1]", False, "::1", 6667),
        ("[::1]:65535", True, "::1", 65535),
    ],
)
def test_server_addresses(text: str, tls: bool, host: str, port: int) -> None:
    address = ServerAddress.parse(text, tls)
    assert address == ServerAddress(host, port, tls)
    assert ServerAddress.parse(str(address), tls) == address


@pytest.mark.parametrize(
    "text",
    [
        *("", ":6667", "::1", "::1:6667", "[::1", "[]", "[]:6667", "a b", "a\nb", "a\0b", "\x1b[2J"),
        *("host:", "host:x", "host:0", "host:65536", "host:-1", "host:1:2", "host:٦", "host: 1"),
        "host:" + "9" * 5000,
    ],
)
def test_what_is_no_server_address(text: str) -> None:
    with pytest.raises(ValueError, match=r"^.+\.$") as caught:
        ServerAddress.parse(text)
    assert str(caught.value).isprintable()


# ---- TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key in the same file."""
    return make_certificate(tmp_path_factory.mktemp("tls") / "server.pem")


@pytest.fixture
def serving(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


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
        client.connection._server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        lines = [f"{n} {'y' * 450}" for n in range(MAX_LINES_PER_TARGET)]
        assert client.connection.send("bob", lines)
        assert client.connection.send("carol", lines)
        client.connection.quit(flush_for=20.0)
    assert [line for line in received if line.startswith("PRIVMSG bob")] == [
        f"PRIVMSG bob :{line}" for line in lines
    ]
    assert received[-1] == "QUIT :"


def test_tls_with_a_certificate_that_nobody_vouches_for(serving: ssl.SSLContext) -> None:
    def script(_: Peer) -> None:
        raise AssertionError("the client went on without trust")

    with pytest.raises(ssl.SSLError), HostileServer(script, tls=serving) as server:
        sentence = refused(Client(server.address))
        assert "is not trusted (self-signed certificate)" in sentence
        assert "SSL_CERT_FILE" in sentence


def test_tls_trust_by_the_environment_variable_that_the_sentence_names(
    monkeypatch: pytest.MonkeyPatch, certificate: Path, serving: ssl.SSLContext
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with HostileServer(then_sentinel(), tls=serving) as server:
        client = Client(server.address).connect()
        client.until_text(SENTINEL)
        client.connection.quit()


def test_tls_with_a_certificate_for_another_name(certificate: Path, serving: ssl.SSLContext) -> None:
    with pytest.raises(ssl.SSLError), HostileServer(lambda _: None, tls=serving) as server:
        address = ServerAddress("localhost", server.address.port, True)
        login = trusting(certificate)
        assert "is not trusted (Hostname mismatch" in refused(Client(address, login=login))


def tls_address(server: HostileServer) -> ServerAddress:
    return ServerAddress(server.address.host, server.address.port, True)


def test_tls_handshake_that_is_never_answered() -> None:
    with HostileServer(lambda peer: _ignore(peer.sock.recv(100_000), peer.sock.recv(1))) as server:
        client = Client(tls_address(server), connect_timeout=0.3)
        assert "did not answer the TLS handshake within 0.3 seconds" in refused(client)


def test_tls_to_a_server_that_speaks_plainly() -> None:
    def script(peer: Peer) -> None:
        peer.send(":irc.test NOTICE * :*** Looking up your hostname")
        peer.sock.recv(100_000)

    with HostileServer(script) as server:
        assert "refused the TLS handshake (wrong version number)" in refused(Client(tls_address(server)))


@pytest.mark.parametrize("end", [lambda _: None, Peer.reset], ids=["close", "reset"])
def test_tls_handshake_that_is_cut_off(end: Script) -> None:
    def script(peer: Peer) -> None:
        peer.sock.recv(100_000)
        end(peer)

    with HostileServer(script) as server:
        assert "refused the TLS handshake (" in refused(Client(tls_address(server)))


def test_a_failed_connect_can_be_repeated() -> None:
    with HostileServer(lambda _: None, then_sentinel()) as server:
        client = Client(server.address)
        client.connection.address = tls_address(server)
        refused(client)
        client.connection.address = server.address
        client.connect()
        client.until_text(SENTINEL)
        client.connection.quit()
