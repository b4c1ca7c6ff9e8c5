"""The word by which the bot answers, and whose turn it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from otrbot.talk.verbs import WORD

from otrcore.events import SmpAborted, SmpFailed
from tests.bot.by_hand import NICK, Bot, echoes, verified
from tests.clients.drivers.otr_peer import OtrPeer


@pytest.mark.parametrize("question", [None, "What is your word?"])
def test_it_answers_everybody_by_the_word_that_is_published(
    bot: Bot, alice: OtrPeer, question: str | None
) -> None:
    bot.secure(alice)
    alice.verify(NICK, WORD, question)
    verified(bot, alice)
    alice.say(NICK, "and on")
    echoes(bot, alice, "and on")
    assert alice.plain(NICK) == []


def test_another_secret_than_the_word_fails(bot: Bot, alice: OtrPeer) -> None:
    bot.secure(alice)
    alice.verify(NICK, WORD.upper(), None)
    bot.wait(alice, lambda: SmpFailed(trusts=True) in alice.events_with(NICK), "the end of the verification")
    alice.verify(NICK, WORD, None)
    verified(bot, alice)


def test_the_word_is_published() -> None:
    readme = Path(__file__).parents[3] / "README.md"
    assert f"by the secret `{WORD}`" in readme.read_text("utf-8")


def test_one_verification_at_once(port: int, bot: Bot, alice: OtrPeer) -> None:
    with OtrPeer(port, "bob") as bob:
        bot.secure(alice)
        bot.secure(bob)
        # The bot waits for her answer to its question.
        assert "I ask you" in bot.ask(alice, "!smp q")
        bob.verify(NICK, WORD, None)
        bot.wait(bob, lambda: [e for e in bob.events_with(NICK) if isinstance(e, SmpAborted)], "a refusal")
        bot.wait(bob, lambda: bob.received(NICK), "why")
        assert "somebody else" in bob.received(NICK)[0]
        # After a minute she has to give way.
        bot.advance(61)
        bob.verify(NICK, WORD, None)
        verified(bot, bob)
        bot.wait(alice, lambda: "others wait" in alice.received(NICK)[-1], "the end of hers")
