"""Who is who under changing nicks, and who is forgotten with everything."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from tests.bot.by_hand import NICK, OPEN, Bot, answers, echoes, limits
from tests.bot.conftest import BotFactory
from tests.bot.talk.scripted import Scripted, play
from tests.clients.drivers.otr_peer import OtrPeer


def test_two_people_at_once_do_not_meet(port: int, bot: Bot, alice: OtrPeer) -> None:
    with OtrPeer(port, "bob") as bob:
        bot.secure(alice)
        bot.secure(bob)
        for number in range(5):
            alice.say(NICK, f"alice's {number}")
            bob.say(NICK, f"bob's {number}")
        echoes(bot, alice, *(f"alice's {number}" for number in range(5)))
        echoes(bot, bob, *(f"bob's {number}" for number in range(5)))
        assert alice.session_id(NICK) != bob.session_id(NICK)


def test_who_takes_the_nick_of_somebody_secured_is_somebody_else(port: int, bot: Bot, alice: OtrPeer) -> None:
    """The server tells the bot only when it writes to the one who has gone."""
    bot.secure(alice)
    alice.say(NICK, "one")
    echoes(bot, alice, "one")
    alice.raw("QUIT :gone")
    alice.wait(lambda: alice.closed, "the end of the connection")
    with OtrPeer(port, "alice") as stranger:
        stranger.say_plain(NICK, "hello, it is me")
        bot.wait(stranger, lambda: answers(stranger), "an answer")
        # Told in what alice alone could read, as the server has not told of her leaving.
        assert all("?OTR" in message.text for message in answers(stranger))
        # What the stranger cannot read ends with a conversation of the stranger's own.
        bot.secure(stranger)
        stranger.say(NICK, "mine")
        bot.wait(stranger, lambda: stranger.received(NICK)[-1:] == ["mine"], "the echo")


def test_a_stranger_of_another_address_is_somebody_else_at_once() -> None:
    """The bot shares no channel with people, and so does not see them go."""

    def script(alice: Scripted) -> None:
        assert "100" in alice.ask("!fragment 100")
        stranger = alice.plain("!status", mask="alice!mallory@elsewhere")
        assert stranger.startswith("Plain: not encrypted; your pieces so far: 0; SMP: none so far")

    play(script)


def test_everything_moves_with_the_nick() -> None:
    def script(alice: Scripted) -> None:
        alice.ask("!fragment 111")
        alice.server.send(f":{alice.mask} NICK :Alicia[]")
        alice.mask = "Alicia[]!alice@home"
        assert "mine 111 bytes" in alice.ask("!status")
        assert alice.ask("an echo") == "an echo"
        # Back, in other capitals.
        alice.server.send(f":{alice.mask} NICK :aLICE")
        alice.mask = "aLICE!alice@home"
        assert alice.ask("!whoami").endswith("you are aLICE!alice@home")

    play(script)


@pytest.mark.parametrize(
    "line",
    [
        ":alice!alice@home QUIT :irc.one.example irc.two.example",
        ":alice!alice@home QUIT",
        ":irc.test 401 echo alice :No such nick",
    ],
)
def test_who_has_left_is_forgotten_with_all_keys(line: str) -> None:
    def script(alice: Scripted) -> None:
        alice.ask("!fragment 111")
        alice.server.send(line)
        # The keys are gone: what would be readable by them is not answered by an echo.
        alice.server.send(f":{alice.mask} PRIVMSG {alice.server.nick} :!status")
        while not (said := alice.take()).startswith("Plain"):
            assert said.startswith("?OTR:") is False
        assert said.startswith("Plain: not encrypted")
        assert "mine" not in said

    play(script)


def test_a_lost_connection_leaves_nothing_of_anybody() -> None:
    def script(alice: Scripted) -> None:
        alice.ask("!fragment 111")
        alice.server.send(f":bob!b@h PRIVMSG {alice.server.nick} :?OTRv3?")
        alice.server.until("PRIVMSG bob ")
        alice.server.reset()

    echo = play(script, lost=True)
    assert echo.lost is not None
    assert len(echo.people) == 0
    assert echo.next_tick is None
    assert list(echo.common.runner.host.overview()) == []


def test_who_comes_to_the_nick_of_another_finds_nothing_of_theirs() -> None:
    def script(alice: Scripted) -> None:
        alice.ask("!fragment 111")
        server = alice.server
        server.send(f":carol!c@h PRIVMSG {server.nick} :!ping")
        server.until("PRIVMSG carol :Plain: pong")
        server.send(":carol!c@h NICK :alice", f":alice!c@h PRIVMSG {server.nick} :!status")
        while "Plain: " not in (said := server.until("PRIVMSG alice ")):
            pass
        assert "Plain: not encrypted" in said
        assert "mine" not in said

    play(script)


def test_who_is_silent_for_long_is_said_goodbye_to(bot: Bot, alice: OtrPeer) -> None:
    bot.secure(alice)
    bot.advance(OPEN.idle_seconds - 60)
    assert bot.ask(alice, "still here") == "still here"
    bot.advance(OPEN.idle_seconds - 60)
    bot.turn()
    assert alice.secured(NICK)
    bot.advance(61)
    bot.wait(alice, lambda: alice.lines and not alice.secured(NICK), "the end")
    assert not bot.runner.host.has("alice")
    bot.secure(alice)
    assert bot.ask(alice, "again") == "again"


def test_one_conversation_too_many_costs_the_one_that_was_used_longest_ago(
    bots: BotFactory, port: int
) -> None:
    bot = bots(limits(conversations=3))
    with ExitStack() as running:
        people = [running.enter_context(OtrPeer(port, f"peer{number}")) for number in range(4)]
        for peer in people[:3]:
            bot.secure(peer)
        bot.ask(people[0], "I am here")
        with OtrPeer(port, "dave") as dave:
            # Who only writes costs nobody a conversation.
            bot.ask_plain(dave, "!ping")
        bot.secure(people[3])
        bot.wait(people[1], lambda: not people[1].secured(NICK), "goodbye")
        assert bot.peer.conversations == 3
        for peer in (people[0], people[2], people[3]):
            assert bot.ask(peer, "still") == "still"


def test_people_who_come_and_go_leave_nothing_behind(bots: BotFactory, port: int) -> None:
    bot = bots(limits(conversations=3))
    for number in range(20):
        with OtrPeer(port, f"peer{number}") as peer:
            peer.say_plain(NICK, "?OTR|12345678|00000000,00001,00002,?OTR:AAMDabc,")
            peer.say_plain(NICK, "!otr 2")
            bot.settle(peer)
    assert len(bot.peer.people) <= 6
    assert sum(1 for _ in bot.runner.host.overview()) <= 3
