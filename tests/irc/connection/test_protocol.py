"""What a server's lines mean: messages, who is who, our nick and its way back, what the server can do."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from tests.irc.connection.hostile_server import (
    SENTINEL,
    TAKEN,
    Client,
    Clock,
    HostileServer,
    Peer,
    bumped,
    survives,
    then_sentinel,
)

pytestmark = pytest.mark.usefixtures("no_descriptor_is_leaked")


# ---- messages


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


@pytest.mark.parametrize(
    "token", ["MAXLIST=b", "PREFIX=ov", "CHANLIMIT=:", "TARGMAX=a:b:c", "CHANMODES", "=", "-", "NICKLEN=x"]
)
def test_odd_isupport_tokens(token: str) -> None:
    client = survives(f":irc.test 005 me {token} NETWORK=Net :are supported by this server")
    assert client.connection.features.network == "Net"


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


def test_no_such_nick_means_gone_but_a_channel_is_not_a_person() -> None:
    client = survives(
        ":irc.test 401 me bob :No such nick/channel", ":irc.test 401 me #room :No such nick/channel"
    )
    assert [event for event in client.heard.events if event[0] == "gone"] == [
        ("gone", "bob", "No such nick/channel")
    ]


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


def test_an_error_without_words() -> None:
    def script(peer: Peer) -> None:
        peer.register()
        peer.send("ERROR")
        peer.closed_by_client()

    with HostileServer(script) as server:
        assert "no reason given" in Client(server.address).connect().until_lost()


# ---- our nick


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


def test_collisions_after_registration_change_nothing() -> None:
    def script(peer: Peer) -> None:
        bumped(peer)
        for _ in range(50):
            for numeric in (433, 436, 437):
                peer.send(f":irc.test {numeric} me_ me :No")
        peer.send("PING :done")
        assert peer.line() == "PONG :done"

    assert meets(script).connection.nick == "me_"


# ---- bot mode, capabilities, flood notices


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
