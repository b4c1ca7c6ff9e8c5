"""What follows from lost keys, ended conversations, and versions that are not spoken."""

from __future__ import annotations

from dataclasses import replace

from otrbot.talk.happenings import LOST_SESSION, NO_VERSION

from otrcore.conversation import QUERY_PATIENCE_4
from otrcore.model import MessageState
from otrcore.policy import DEFAULT, MANUAL
from tests.bot.by_hand import NICK, Bot, answers
from tests.bot.conftest import BotFactory
from tests.clients.drivers.otr_peer import OtrPeer


def test_after_the_peer_has_ended_nothing_more_is_echoed(bot: Bot, alice: OtrPeer) -> None:
    bot.secure(alice)
    alice.say(NICK, "one")
    alice.end(NICK)
    bot.settle(alice)
    assert alice.received(NICK) in ([], ["one"])
    bot.secure(alice)
    alice.say(NICK, "two")
    bot.wait(alice, lambda: alice.received(NICK)[-1:] == ["two"], "the echo in a new conversation")
    assert alice.plain(NICK) == []


def test_who_has_kept_keys_that_are_lost_here_is_told_and_recovers(bots: BotFactory, port: int) -> None:
    with OtrPeer(port, "alice") as alice:
        alice.account.policy = replace(DEFAULT, versions=frozenset({3}))
        first = bots()
        first.secure(alice)
        first.close()
        second = bots()
        alice.say(NICK, "lost")
        alice.say(NICK, "lost too")
        second.wait(alice, lambda: LOST_SESSION in [message.text for message in answers(alice)], "the error")
        second.wait(alice, lambda: alice.received(NICK), "an echo in a new conversation")
        assert alice.received(NICK) == ["[resent] lost too"]
        assert [message.text for message in answers(alice)].count(LOST_SESSION) == 1


def test_keys_of_version_4_that_are_lost_here_are_replaced_without_a_query(
    bots: BotFactory, port: int
) -> None:
    """One is not allowed inside a conversation of version 4, in which the peer believes itself."""
    with OtrPeer(port, "alice") as alice:
        first = bots()
        first.secure(alice)
        first.close()
        before = len(answers(alice))
        second = bots()
        alice.say(NICK, "lost")
        alice.say(NICK, "lost too")
        second.wait(alice, lambda: alice.received(NICK), "an echo in a new conversation")
        assert alice.received(NICK) == ["[resent] lost too"]
        said = [line for line in (message.text for message in answers(alice)[before:]) if " " in line]
        assert said
        assert all(line.startswith("?OTR Error: ERROR_2: ") for line in said)
        assert second.counted.all == ["ake 4 ok"]


def test_a_peer_that_does_not_answer_a_renewal_can_talk_plainly_again(bot: Bot, alice: OtrPeer) -> None:
    """In version 4 the conversation ends first, and until there is another one nothing goes out plain."""
    bot.secure(alice)
    alice.answering = False
    bot.runner.do("alice", lambda talk: talk.start(), slow=True)
    bot.wait(alice, lambda: bot.runner.state("alice") is MessageState.FINISHED, "the end")
    bot.advance(QUERY_PATIENCE_4 + 1)
    bot.wait(alice, lambda: bot.runner.state("alice") is MessageState.PLAINTEXT, "the end of waiting")
    assert bot.ask_plain(alice, "!ping") == "Plain: pong"


def test_who_speaks_version_2_only_is_welcome(bot: Bot, alice: OtrPeer) -> None:
    alice.account.policy = replace(MANUAL, versions=frozenset({2}))
    bot.secure(alice)
    assert bot.ask(alice, "an echo") == "an echo"
    assert bot.counted.all == ["ake 2 ok"]


def test_who_offers_nothing_that_is_spoken_is_told_once(bot: Bot, alice: OtrPeer) -> None:
    alice.answering = False
    for _ in range(3):
        alice.say_plain(NICK, "?OTR?")
    bot.settle(alice)
    assert alice.plain(NICK) == [NO_VERSION]
