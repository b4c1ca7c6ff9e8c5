"""Every verb, plain and encrypted: what is answered, what is done, and how long a line gets."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from otrbot.drills.stage import MAX_LINE, Drill, Stage
from otrbot.settings.config import Config
from otrbot.talk.attended import AttendedRunner
from otrbot.talk.verbs import MAX_ANSWER, QUESTION, VERBS, WORD, WRONG_WORD, big_text, read, table

from otrcore.events import (
    Received,
    SessionEnd,
    SessionEnded,
    SessionOpened,
    SmpAborted,
    SmpAsked,
    SmpFailed,
    SmpSucceeded,
)
from otrcore.model import MessageState, Protection, Trust
from otrcore.policy import MANUAL
from tests.bot.by_hand import NICK, OPEN, Bot, answers
from tests.bot.conftest import BotFactory
from tests.clients.drivers.otr_peer import OtrPeer
from tests.pair import speaking


def talk_with(bot: Bot, alice: OtrPeer) -> Any:
    return alice.account.conversation(NICK)


def versions(alice: OtrPeer) -> list[int]:
    """The versions of all sessions that were opened."""
    return [event.info.version for event in alice.events_with(NICK) if isinstance(event, SessionOpened)]


def queries(alice: OtrPeer) -> list[str]:
    return [found[0] for message in answers(alice) if (found := re.match(r"\?OTRv\d*\?", message.text))]


# ---- reading, and the table


@pytest.mark.parametrize(
    ("text", "name", "argument"),
    [
        ("!ping", "ping", ""),
        ("!PING  ", "ping", ""),
        ("!smp   q ", "smp", "q"),
        ("!ban a!*@* x", "ban", "a!*@* x"),
    ],
)
def test_what_is_a_verb(text: str, name: str, argument: str) -> None:
    asked = read(text)
    assert asked is not None
    assert (asked.name, asked.argument) == (name, argument)


@pytest.mark.parametrize(
    "text", ["", "!", "!!!", "! ping", "ping", "say !ping", " !ping", "!5", "!?", "!pi-ng", "!" + "a" * 31]
)
def test_what_is_none(text: str) -> None:
    assert read(text) is None


def test_the_table_has_every_verb_once() -> None:
    names = [name for verb in VERBS for name in (verb.name, *verb.aliases)]
    assert len(names) == len(set(names))
    assert [row.split("`")[1].split()[0] for row in table().splitlines()[2:]] == [
        f"!{verb.name}" for verb in VERBS
    ]


# ---- in both states


SIMPLE = {
    "!help": r"!help !versions .*!drill; !help NAME for each",
    "!help smp": r"!smp \[q\|wrong\|abort\]: .*",
    "!help !refresh": r"!rekey, also !refresh: .*",
    "!help nothing": r"there is no !nothing: !help .*",
    "!nothing": r"there is no !nothing: !help .*",
    "!versions": r"I speak OTR versions 2, 3 and 4; otrcore \d.*",
    "!ping": r"pong",
    "!otr 1": r"write !otr \[2\|3\|4\]: .*",
    "!smp what": r"write !smp .*",
    "!fragment 100": r"my lines of OTR have at most 100 bytes now",
    "!fragment 440": r"my lines of OTR have at most 440 bytes now",
    "!fragment off": r"my lines are as long as the network allows",
    "!fragment 99": r"write !fragment N, N from 100 to 440 bytes, or !fragment off",
    "!fragment 441": r"write !fragment N, .*",
    "!fragment ²": r"write !fragment N, .*",
    "!fragment": r"write !fragment N, .*",
}


def test_simple_ones_in_both_states(bot: Bot, alice: OtrPeer) -> None:
    for asked, answer in SIMPLE.items():
        assert re.fullmatch("Plain: " + answer, bot.ask_plain(alice, asked)), asked
    bot.secure(alice)
    for asked, answer in SIMPLE.items():
        assert re.fullmatch("Encrypted: " + answer, bot.ask(alice, asked)), asked
    assert len(alice.plain(NICK)) == len(SIMPLE)


def test_every_answer_fits_into_a_line(bots: BotFactory, port: int) -> None:
    bot = bots(drills={f"drill{number}": DRILL for number in range(40)})
    with OtrPeer(port, "a" * 30) as alice:
        asked = [f"!{verb.name}" for verb in VERBS if verb.name not in ("end", "otr", "rekey", "tag")]
        asked += [f"!help {verb.name}" for verb in VERBS] + [
            "!" + "x" * 30,
            "!help " + "x" * 300,
            "!drill on",
        ]
        asked += ["!drill " + "y" * 300, "!fragment " + "9" * 300, "!big " + "9" * 300, "!otr " + "ü" * 100]
        for one in asked:
            alice.say_plain(NICK, one)
        bot.settle(alice)
        bot.secure(alice)
        for one in asked:
            bot.ask(alice, one)
        texts = alice.plain(NICK) + alice.received(NICK)
        assert len(texts) >= 2 * len(asked)
        for text in texts:
            assert len(text.encode()) <= MAX_ANSWER, text
            assert re.match("Plain: |Encrypted: ", text)


def test_a_plain_verb_amidst_encrypted_is_answered_encrypted(bot: Bot, alice: OtrPeer) -> None:
    bot.secure(alice)
    alice.say_plain(NICK, "!ping")
    bot.wait(alice, lambda: alice.received(NICK), "an answer")
    assert alice.received(NICK) == ["Plain, amidst encrypted: pong"]
    assert alice.plain(NICK) == []


def test_an_action_or_several_lines_are_no_verb(bot: Bot, alice: OtrPeer) -> None:
    bot.secure(alice)
    assert bot.ask(alice, "/me !ping") == "/me !ping"
    assert bot.ask(alice, "!ping\n!ping") == "!ping"


def answers_to(bot: Bot, alice: OtrPeer, text: str, count: int) -> list[str]:
    """Say something in the way in which the two talk, and return all answers: so many."""
    hear, say = (alice.received, alice.say) if alice.secured(NICK) else (alice.plain, alice.say_plain)
    before = len(hear(NICK))
    say(NICK, text)
    bot.settle(alice)
    bot.wait(alice, lambda: len(hear(NICK)) == before + count, f"{count} answers to {text}")
    return [line.partition(": ")[2] for line in hear(NICK)[before:]]


def test_whoami(bot: Bot, alice: OtrPeer) -> None:
    alice.account.policy = speaking(3)
    (said,) = answers_to(bot, alice, "!whoami", 1)
    assert re.fullmatch(r"you are alice!\S+@\S+", said)
    bot.secure(alice)
    (said,) = answers_to(bot, alice, "!whoami", 1)
    assert said.startswith(f"your key is {alice.account.identity.fingerprint}, you are alice!")


def test_whoami_in_version_4(bot: Bot, alice: OtrPeer) -> None:
    bot.secure(alice)
    you, key = answers_to(bot, alice, "!whoami", 2)
    assert key == f"your key is {alice.account.identity.fingerprint_4}"
    assert re.fullmatch(r"you are alice!\S+@\S+", you)


def test_the_fingerprint_is_that_of_the_version(bot: Bot, alice: OtrPeer) -> None:
    """Before any conversation it is both: who wants to compare needs it beforehand."""
    alice.account.policy = speaking(3)
    plain = answers_to(bot, alice, "!fingerprint", 2)
    own = bot.runner.fingerprint
    assert plain == [f"my fingerprint: {own}", f"in OTR version 4: {bot.runner.fingerprint_4}"]
    theirs = alice.account.identity
    bot.secure(alice)
    (said,) = answers_to(bot, alice, "!fingerprint", 1)
    assert said == f"my fingerprint: {own}; yours: {theirs.fingerprint}"
    assert str(talk_with(bot, alice).info.their_fingerprint) == str(own)


def test_the_fingerprint_in_version_4(bot: Bot, alice: OtrPeer) -> None:
    bot.secure(alice)
    info = talk_with(bot, alice).info
    assert info.their_fingerprint == bot.runner.fingerprint_4
    assert answers_to(bot, alice, "!fingerprint", 2) == [
        f"my fingerprint: {info.their_fingerprint}",
        f"yours: {alice.account.identity.fingerprint_4}",
    ]


def test_status(bot: Bot, alice: OtrPeer) -> None:
    said = bot.ask_plain(alice, "!status")
    assert said == "Plain: not encrypted; your pieces so far: 0; SMP: none so far; drills: off"
    bot.secure(alice)
    bot.ask(alice, "!fragment 123")
    info = talk_with(bot, alice).info
    said = bot.ask(alice, "!status")
    own = f"{alice.account.instance_tag:08x}"
    theirs = f"{info.their_instance_tag:08x}"
    assert f"OTR 4, id {alice.session_id(NICK)}, tags: mine {theirs}, yours {own}; your pieces" in said
    assert "mine 123 bytes" in said
    # The key exchange took some.
    assert int(re.findall(r"so far: (\d+)", said)[0]) > 0


# ---- starting and ending


def test_otr_sends_a_query_and_speaks_what_it_offers(bot: Bot, alice: OtrPeer) -> None:
    alice.account.policy = speaking(2, 3, 4)
    for argument, query, version in (
        ("2", "?OTRv2?", 2),
        ("3", "?OTRv3?", 3),
        ("4", "?OTRv4?", 4),
        ("", "?OTRv234?", 4),
    ):
        done = len(versions(alice))
        alice.say_plain(NICK, f"!otr {argument}")
        bot.wait(alice, lambda done=done: len(versions(alice)) > done, "a session")  # type: ignore[misc]
        assert queries(alice)[-1] == query
        assert versions(alice)[-1] == version
        assert bot.ask(alice, "!status").startswith(f"Encrypted: OTR {version}, ")
        assert bot.ask(alice, "!end") == "Encrypted: I end the encrypted conversation now"
        bot.wait(alice, lambda: not alice.secured(NICK), "the end")
        alice.end(NICK)


def test_otr_2_from_within_version_3(bot: Bot, alice: OtrPeer) -> None:
    alice.account.policy = speaking(2, 3)
    bot.secure(alice)
    alice.say(NICK, "!otr 2")
    bot.wait(alice, lambda: versions(alice) == [3, 2], "version 2")
    assert "tags" in bot.ask(alice, "!status")
    alice.say(NICK, "!otr 3")
    bot.wait(alice, lambda: versions(alice) == [3, 2, 3], "version 3")


def test_otr_3_from_within_version_4_and_back(bot: Bot, alice: OtrPeer) -> None:
    """After version 4 a query leads to nothing older before the user acts, as the bot says."""
    bot.secure(alice)
    said = bot.ask(alice, "!otr 3")
    assert said.endswith(
        "after version 4 your client takes it only once you have ended: then say !otr 3 again"
    )
    bot.settle(alice)
    assert versions(alice) == [4]
    alice.end(NICK)
    alice.say_plain(NICK, "!otr 3")
    bot.wait(alice, lambda: versions(alice) == [4, 3], "version 3")
    assert bot.ask(alice, "!status").startswith("Encrypted: OTR 3, ")
    alice.say(NICK, "!otr 4")
    bot.wait(alice, lambda: versions(alice) == [4, 3, 4], "version 4")
    assert bot.ask(alice, "!status").startswith("Encrypted: OTR 4, ")


def test_no_query_is_sent_inside_version_4(bot: Bot, alice: OtrPeer) -> None:
    bot.secure(alice)
    before = len(alice.events_with(NICK))
    alice.answering = False
    alice.say(NICK, "!rekey")
    bot.settle(alice)
    lines = [message.text for message in answers(alice)]
    assert lines[-1].startswith("?OTRv4?")
    alice.answering = True
    for line in lines:
        alice.take(NICK, line)
    events = alice.events_with(NICK)[before:]
    ended = events.index(SessionEnded(SessionEnd.PEER))
    said = Received(
        "Encrypted: I end this conversation, and here comes a query for another one, with fresh keys",
        Protection.ENCRYPTED,
    )
    assert events.index(said) < ended
    bot.wait(alice, lambda: versions(alice) == [4, 4], "fresh keys")


def test_tag_offers_unseen(bot: Bot, alice: OtrPeer) -> None:
    alice.account.policy = replace(MANUAL, start_on_tag=True)
    alice.say_plain(NICK, "!tag")
    bot.wait(alice, lambda: versions(alice) == [4], "a session")
    tagged = [message.text for message in answers(alice) if " \t  \t\t\t\t" in message.text]
    assert len(tagged) == 1
    assert not tagged[0].endswith((" ", "\t"))
    assert "!end first" in bot.ask(alice, "!tag")


def test_rekey_keeps_to_the_version(bot: Bot, alice: OtrPeer) -> None:
    alice.account.policy = speaking(2, 3)
    alice.say_plain(NICK, "!otr 2")
    bot.wait(alice, lambda: versions(alice) == [2], "a session")
    alice.say(NICK, "!rekey")
    bot.wait(alice, lambda: versions(alice) == [2, 2], "fresh keys")


@pytest.mark.parametrize(("verb", "version"), [("!rekey", 3), ("!refresh", 3), ("!rekey", 4)])
def test_rekey_in_both_states(bot: Bot, alice: OtrPeer, verb: str, version: int) -> None:
    alice.account.policy = speaking(version)
    alice.say_plain(NICK, verb)
    bot.wait(alice, lambda: versions(alice) == [version], "a session")
    first = alice.session_id(NICK)
    alice.say(NICK, verb)
    bot.wait(alice, lambda: versions(alice) == [version, version], "fresh keys")
    assert alice.session_id(NICK) != first
    assert bot.ask(alice, "an echo") == "an echo"


def test_end_in_both_states(bot: Bot, alice: OtrPeer) -> None:
    assert bot.ask_plain(alice, "!end") == "Plain: there is nothing to end"
    bot.secure(alice)
    alice.say(NICK, "!end")
    bot.wait(alice, lambda: not alice.secured(NICK), "the end")
    assert alice.received(NICK) == ["Encrypted: I end the encrypted conversation now"]
    assert bot.runner.state("alice") is MessageState.PLAINTEXT
    assert not bot.runner.host.has("alice")


# ---- verifying


def outcome(bot: Bot, alice: OtrPeer) -> Any:
    """What has become of the next verification."""
    kinds = (SmpSucceeded, SmpFailed, SmpAborted)
    before = [event for event in alice.events_with(NICK) if isinstance(event, kinds)]

    def new() -> list[Any]:
        return [event for event in alice.events_with(NICK) if isinstance(event, kinds)][len(before) :]

    bot.wait(alice, new, "a verification")
    return new()[0]


def asked(bot: Bot, alice: OtrPeer, text: str) -> str | None:
    """Have the bot ask, and return its question."""
    before = [event for event in alice.events_with(NICK) if isinstance(event, SmpAsked)]

    def new() -> list[SmpAsked]:
        return [event for event in alice.events_with(NICK) if isinstance(event, SmpAsked)][len(before) :]

    alice.say(NICK, text)
    bot.wait(alice, new, "a question")
    return new()[0].question


def answer(alice: OtrPeer, secret: str) -> None:
    alice._do(NICK, alice.account.conversation(NICK).smp_answer(secret))


def test_smp_by_the_word_and_by_a_question(bot: Bot, alice: OtrPeer) -> None:
    assert "needs an encrypted conversation" in bot.ask_plain(alice, "!smp")
    bot.secure(alice)
    assert asked(bot, alice, "!smp") is None
    answer(alice, WORD)
    assert isinstance(outcome(bot, alice), SmpSucceeded)
    assert asked(bot, alice, "!smp q") == QUESTION
    answer(alice, "something else")
    assert isinstance(outcome(bot, alice), SmpFailed)
    bot.settle(alice)
    assert "SMP: another word" in bot.ask(alice, "!status")
    assert bot.counted.all == ["ake 4 ok", "smp ok", "smp failed"]


def test_smp_wrong_lies_both_ways_once(bot: Bot, alice: OtrPeer) -> None:
    bot.secure(alice)
    asked(bot, alice, "!smp wrong")
    answer(alice, WORD)
    assert isinstance(outcome(bot, alice), SmpFailed)
    alice.verify(NICK, WORD, None)
    assert isinstance(outcome(bot, alice), SmpFailed)
    alice.verify(NICK, WORD, None)
    assert isinstance(outcome(bot, alice), SmpSucceeded)
    assert WRONG_WORD != WORD


def test_smp_abort(bot: Bot, alice: OtrPeer) -> None:
    bot.secure(alice)
    assert bot.ask(alice, "!smp abort") == "Encrypted: no verification is under way"
    asked(bot, alice, "!smp q")
    alice.say(NICK, "!smp abort")
    assert isinstance(outcome(bot, alice), SmpAborted)
    alice.verify(NICK, WORD, None)
    assert isinstance(outcome(bot, alice), SmpSucceeded)


def test_a_word_that_everybody_knows_makes_nobody_trusted(bot: Bot, alice: OtrPeer) -> None:
    bot.secure(alice)
    alice.verify(NICK, WORD, None)
    outcome(bot, alice)
    asked(bot, alice, "!smp")
    answer(alice, WORD)
    outcome(bot, alice)
    bot.ask(alice, "!end")
    alice.end(NICK)
    bot.secure(alice)
    assert [key.trust for key in bot.runner.host.memory("alice").keys] == [Trust.NONE]


# ---- sizes


def test_fragment_cuts_and_moves_back(bot: Bot, alice: OtrPeer) -> None:
    bot.secure(alice)
    for said, longest in (("100", 100), ("200", 200), ("off", 512)):
        bot.ask(alice, f"!fragment {said}")
        before = len(alice.messages)
        bot.ask(alice, "x" * 1000)
        lengths = [len(message.text) for message in alice.messages[before:]]
        assert max(lengths) <= longest
        assert max(lengths) >= 0.8 * min(longest, 440)


@pytest.mark.parametrize("size", [1, 6, 7, 8, 999, 2000])
def test_big_has_exactly_so_many_bytes(bot: Bot, alice: OtrPeer, size: int) -> None:
    assert "needs an encrypted" in bot.ask_plain(alice, f"!big {size}")
    bot.secure(alice)
    text = bot.ask(alice, f"!big {size}")
    assert len(text) == size
    assert text == big_text(size)
    for wrong in ("0", "2001", "-1", "x", ""):
        assert "write" in bot.ask(alice, f"!big {wrong}")


# ---- drills


def _plain_line(stage: Stage) -> None:
    assert stage.encrypted
    assert stage.talk is not None
    stage.raw("a plain line", "cut\r\nQUIT :here")
    stage.end("your client should have warned.")


def _pausing(stage: Stage) -> None:
    stage.say("first")
    stage.later(5.0, lambda: stage.end("that was all."))


def _listening(stage: Stage) -> None:
    stage.on(lambda event: stage.end("fresh keys.") if isinstance(event, SessionOpened) else None)
    stage.start()


def _broken(stage: Stage) -> None:
    raise ValueError("secret")


def _broken_later(stage: Stage) -> None:
    stage.later(0.0, lambda: _broken(stage))


DRILL = Drill("plain", "a plain text comes amidst encrypted ones", "warn", _plain_line)
DRILLS = {
    drill.name: drill
    for drill in (
        DRILL,
        Drill("pause", "a text comes, and some seconds pass", "show it", _pausing),
        Drill("listen", "fresh keys", "go on", _listening),
        Drill("broken", "x", "y", _broken),
        Drill("late", "x", "y", _broken_later),
        Drill("idle", "z" * 300, "y", lambda stage: None, seconds=30.0),
    )
}


@pytest.fixture
def drilling(bots: BotFactory) -> Bot:
    return bots(drills=DRILLS)


def test_drills_are_for_those_who_have_asked_in_private(drilling: Bot, alice: OtrPeer) -> None:
    bot = drilling
    assert "need an encrypted conversation" in bot.ask_plain(alice, "!drill on")
    bot.secure(alice)
    assert "!drill on first" in bot.ask(alice, "!drill plain")
    assert bot.ask(alice, "!drill") == "Encrypted: drills: plain pause listen broken late idle"
    assert "there is no drill nothing" in bot.ask(alice, "!drill nothing")
    assert "drills are on" in bot.ask(alice, "!drill on")
    assert bot.ask(alice, "!drill plain") == (
        "Drill plain: a plain text comes amidst encrypted ones. Your client should: warn."
    )
    bot.wait(alice, lambda: len(alice.received(NICK)) == 6, "the end")
    assert alice.received(NICK)[-1] == "Drill plain is over: your client should have warned."
    assert alice.plain(NICK)[1:] == ["a plain line", "cutQUIT :here"]
    bot.ask(alice, "!drill off")
    assert "!drill on first" in bot.ask(alice, "!drill plain")
    # And not longer than the conversation.
    bot.ask(alice, "!drill on")
    alice.end(NICK)
    bot.secure(alice)
    assert "!drill on first" in bot.ask(alice, "!drill plain")


def test_a_drill_takes_its_time_and_ends_with_a_line(drilling: Bot, alice: OtrPeer) -> None:
    bot = drilling
    bot.secure(alice)
    bot.ask(alice, "!drill on")
    assert bot.ask(alice, "!drill pause").startswith("Drill pause: ")
    bot.settle(alice)
    assert alice.received(NICK)[2:] == ["first"]
    bot.advance(5.1)
    bot.wait(alice, lambda: len(alice.received(NICK)) == 4, "the end")
    assert alice.received(NICK)[-1] == "Drill pause is over: that was all."
    assert bot.ask(alice, "as ever") == "as ever"


def test_a_drill_hears_and_acts(drilling: Bot, alice: OtrPeer) -> None:
    bot = drilling
    bot.secure(alice)
    bot.ask(alice, "!drill on")
    alice.say(NICK, "!drill listen")
    bot.wait(alice, lambda: "Drill listen is over: fresh keys." in alice.received(NICK), "the end")
    assert versions(alice) == [4, 4]
    # Fresh keys are no end of the conversation.
    assert bot.ask(alice, "!drill plain").startswith("Drill plain: ")


@pytest.mark.parametrize("name", ["broken", "late"])
def test_a_mistake_in_a_drill_costs_the_drill(drilling: Bot, alice: OtrPeer, name: str) -> None:
    bot = drilling
    bot.secure(alice)
    bot.ask(alice, "!drill on")
    alice.say(NICK, f"!drill {name}")
    bot.wait(alice, lambda: "wrong on my side" in alice.received(NICK)[-1], "the end")
    assert bot.ask(alice, "as ever") == "as ever"


def test_one_drill_at_a_time_and_not_for_ever(drilling: Bot, alice: OtrPeer) -> None:
    bot = drilling
    bot.secure(alice)
    bot.ask(alice, "!drill on")
    assert len(bot.ask(alice, "!drill idle").encode()) <= MAX_LINE
    assert "drills: idle" in bot.ask(alice, "!status")
    assert "a drill is under way" in bot.ask(alice, "!drill plain")
    bot.advance(31)
    bot.wait(alice, lambda: "time for it is up" in alice.received(NICK)[-1], "the end")
    bot.ask(alice, "!drill idle")
    assert "the drill is over" in bot.ask(alice, "!drill stop")
    assert "no drill is under way" in bot.ask(alice, "!drill stop")
    bot.ask(alice, "!drill idle")
    alice.raw("QUIT")
    assert isinstance(bot.runner, AttendedRunner)


def test_the_limit_on_pieces_is_the_operators(bots: BotFactory, alice: OtrPeer) -> None:
    bot = bots(Config((), replace(OPEN, fragment_min=60, fragment_max=120)))
    assert "N from 100 to 120" in bot.ask_plain(alice, "!fragment 60")


def test_the_readme_lists_them() -> None:
    readme = Path(__file__).parents[3] / "bot/README.md"
    assert table() in readme.read_text("utf-8")
