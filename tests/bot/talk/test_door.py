"""Who is not heard, and who may not begin a key exchange."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest
from otrbot.reports.orders import Reload, Stop
from otrbot.settings.config import Config
from otrbot.talk.attended import AttendedRunner
from otrbot.talk.door import TOO_MANY_AKES
from otrbot.talk.peer import EchoPeer
from otrbot.talk.replies import HINT

from otrcore.account import Account
from otrcore.identity import Identity
from otrcore.irc.connection.options import Settings
from otrcore.irc.connection.pacing import Pace
from tests.bot.by_hand import NICK, OPEN, Bot, answers, limits
from tests.bot.conftest import BotFactory
from tests.clients.drivers.otr_peer import OtrPeer
from tests.irc.connection.hostile_server import HostileServer, Peer
from tests.keepers import Given


@pytest.mark.parametrize(
    "line",
    [
        f"NOTICE {NICK} :a notice",
        f"NOTICE {NICK} :\x01VERSION something\x01",
        f"PRIVMSG {NICK} :\x01VERSION\x01",
        f"PRIVMSG {NICK} :\x01PING 123",
        f"PRIVMSG {NICK} :\x01\x01",
        f"PRIVMSG {NICK} :\x01",
        f"PRIVMSG {NICK} :?OTR:AAMD.",
        f"PRIVMSG {NICK} :?OTR,1,2,abc,",
    ],
)
def test_what_no_person_wrote_gets_no_answer(bot: Bot, alice: OtrPeer, line: str) -> None:
    # The account of a library would complain about some of these to the bot.
    alice.answering = False
    alice.raw(line)
    bot.settle(alice)
    assert answers(alice) == []


def test_an_error_message_is_answered_by_one_request_at_most(bot: Bot, alice: OtrPeer) -> None:
    """Whoever sends one has OTR, and lost something; two such bots would not go on for ever."""
    alice.answering = False
    for _ in range(5):
        alice.raw(f"PRIVMSG {NICK} :?OTR Error: no")
    bot.settle(alice)
    (answer,) = answers(alice)
    assert answer.text.startswith("?OTRv234?")


@pytest.mark.parametrize("nick", ["NickServ", "testserv", "global", "ALIS"])
def test_services_get_no_answer(port: int, bot: Bot, nick: str) -> None:
    with OtrPeer(port, nick) as service:
        service.answering = False
        service.say_plain(NICK, "You have 60 seconds to identify.")
        service.say_plain(NICK, "?OTRv3?")
        bot.settle(service)
        assert answers(service) == []


def test_channels_servers_bots_and_itself_get_no_answer(tmp_path: Path) -> None:
    """What a server can deliver beside private messages of others."""
    heard: list[str] = []

    def script(server: Peer) -> None:
        server.register("CHANTYPES=#&", "STATUSMSG=@+")
        for text in (
            "hello",
            "!help",
            "?OTRv3?",
            f"{NICK}: hello",
            "tagged \t  \t\t\t\t \t \t \t    \t\t  \t\t",
        ):
            server.send(
                f":bob!u@h PRIVMSG #channel :{text}",
                f":bob!u@h PRIVMSG &local :{text}",
                f":bob!u@h PRIVMSG @#channel :{text}",
                f":bob!u@h PRIVMSG $*.test :{text}",
                f":irc.test PRIVMSG {server.nick} :{text}",
                f"PRIVMSG {server.nick} :{text}",
                f":{server.nick}!u@h PRIVMSG {server.nick} :{text}",
                f"@echo=1 :{server.nick}!u@h PRIVMSG bob :{text}",
                f":*status!u@h PRIVMSG {server.nick} :{text}",
                f":bob!u@h NOTICE {server.nick} :{text}",
                f"@bot :bob!u@h PRIVMSG {server.nick} :{text}",
                f"@time=x;bot=;y=z :bob!u@h PRIVMSG {server.nick} :{text}",
            )
        server.send(f":carol!u@h PRIVMSG {server.nick} :hello")
        heard.append(server.until("PRIVMSG"))
        server.closed_by_client()

    identity = Identity.generate()
    with HostileServer(script) as server:
        echo = EchoPeer(Config((), OPEN))
        keeper = Given(lambda _: Account(identity))
        runner = AttendedRunner(server.address, Settings(NICK, "a test", pace=Pace.NONE), echo, keeper)
        echo.speak_by(runner)
        runner.connect()
        while not heard:
            runner.process(0.05)
        runner.close("done")
    assert heard == [f"PRIVMSG carol :{HINT}"]


def test_who_writes_too_much_is_not_heard_for_a_minute(bots: BotFactory, port: int, alice: OtrPeer) -> None:
    bot = bots(limits(input_burst=5))
    for number in range(20):
        alice.say_plain(NICK, f"!help {number}")
    bot.settle(alice)
    assert 5 <= len(alice.plain(NICK)) < 10
    assert bot.counted.all == ["throttled"]
    bot.advance(61)
    assert "pong" in bot.ask_plain(alice, "!ping")


@pytest.mark.parametrize("begins", ["?OTRv3?", "?OTR?v23?", "?OTR:AAMC.", "?OTR|00000100|00000000,1,2,?OT,"])
def test_too_many_key_exchanges_are_refused_and_that_is_told_once(
    bots: BotFactory, port: int, alice: OtrPeer, begins: str
) -> None:
    bot = bots(limits(akes_per_minute=2))
    alice.answering = False
    for _ in range(6):
        alice.say_plain(NICK, begins)
    bot.settle(alice)
    assert alice.plain(NICK) == [TOO_MANY_AKES]
    assert bot.counted.all.count("ake 0 refused") == 4
    bot.advance(61)
    alice.answering = True
    bot.secure(alice)


def test_who_offers_too_often_is_still_read(bots: BotFactory, port: int, alice: OtrPeer) -> None:
    bot = bots(limits(akes_per_minute=1))
    alice.answering = False
    for _ in range(2):
        alice.say_plain(NICK, "!ping" + " \t  \t\t\t\t \t \t \t    \t\t  \t\t")
    bot.settle(alice)
    plain = alice.plain(NICK)
    assert plain.count("Plain: pong") == 2
    assert plain.count(TOO_MANY_AKES) == 1


def test_a_crowd_has_so_many_key_exchanges_in_all(bots: BotFactory, port: int) -> None:
    bot = bots(limits(akes_per_minute_all=2))
    with ExitStack() as running:
        people = [running.enter_context(OtrPeer(port, f"peer{number}")) for number in range(4)]
        for peer in people[:2]:
            bot.secure(peer)
        for peer in people[2:]:
            peer.ask(NICK)
        bot.settle(*people)
        assert [peer.plain(NICK) for peer in people] == [[], [], [TOO_MANY_AKES], [TOO_MANY_AKES]]
        assert bot.ask(people[0], "as before") == "as before"


def test_after_a_stop_nothing_begins_any_more(bot: Bot, alice: OtrPeer) -> None:
    bot.peer.obey(Stop(0.0))
    alice.answering = False
    alice.say_plain(NICK, "?OTRv3?")
    alice.settle()
    bot.turn()
    alice.settle()
    assert answers(alice) == []


def test_who_is_banned_gets_nothing_at_all(bots: BotFactory, alice: OtrPeer) -> None:
    bot = bots(Config((), OPEN, bans=("al?ce!*@*",)))
    for line in ("hello", "!help", "?OTRv3?"):
        alice.say_plain(NICK, line)
    bot.settle(alice)
    assert answers(alice) == []
    bot.peer.obey(Reload(Config((), OPEN)))
    bot.secure(alice)
    assert bot.ask(alice, "hello") == "hello"
    # From now on, not even a goodbye.
    before = len(answers(alice))
    bot.peer.obey(Reload(Config((), OPEN, bans=("ALICE!*@*",))))
    alice.say(NICK, "hello?")
    bot.settle(alice)
    assert len(answers(alice)) == before
    assert not bot.runner.host.has("alice")
