"""Verifications with libotr: either side asks, answers, gives up, and learns the same.

Both sides are driven through one small face, so that each test runs with either of them
in either part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import pytest

from otrcore.events import (
    MemoryChanged,
    SessionOpened,
    SmpAborted,
    SmpAsked,
    SmpEnd,
    SmpFailed,
    SmpProgress,
    SmpSucceeded,
)
from otrcore.model import MessageState
from otrcore.policy import Policy
from otrcore.session import Encrypted
from otrcore.wire import text as wire_text
from otrcore.wire.header import parse_header
from tests.interop.conftest import LibotrFactory
from tests.interop.oracle import LibotrPeer, exchange
from tests.interop.ours import Ours, chat

WORDS = "Größe 7"
OTHERS = "größe 7"
ABORTED = "aborted"

Who = Literal["ours", "theirs"]
SIDES: tuple[Who, Who] = ("ours", "theirs")
OTHER: dict[Who, Who] = {"ours": "theirs", "theirs": "ours"}


class Person(Protocol):
    """What can be done on either side, and how it is told there, in words of this test."""

    def ask(self, words: str, question: str | None = None) -> None: ...
    def answer(self, words: str) -> None: ...
    def abort(self) -> None: ...
    def told(self) -> list[str]:
        """`asked`, `asked: QUESTION`, `progress`, `success`, `failure`, `aborted`; forgets them."""


@dataclass
class OurPerson:
    """The code under test."""

    side: Ours

    def ask(self, words: str, question: str | None = None) -> None:
        self.side.note(self.side.talk.smp_start(words, question))

    def answer(self, words: str) -> None:
        self.side.note(self.side.talk.smp_answer(words))

    def abort(self) -> None:
        self.side.note(self.side.talk.smp_abort())

    def told(self) -> list[str]:
        words = []
        for event in self.side.shown():
            match event:
                case SmpAsked(question):
                    words.append("asked" if question is None else f"asked: {question}")
                case SmpProgress():
                    words.append("progress")
                case SmpSucceeded():
                    words.append("success")
                case SmpFailed():
                    words.append("failure")
                case SmpAborted():
                    words.append(ABORTED)
                case SessionOpened() | MemoryChanged():
                    pass
                case _:
                    raise AssertionError(event)
        return words


@dataclass
class TheirPerson:
    """libotr; an `error` of its is followed by an abort, as by every application."""

    side: LibotrPeer

    def ask(self, words: str, question: str | None = None) -> None:
        more = {} if question is None else {"question_hex": question.encode().hex()}
        self.side.command("smp", secret_hex=words.encode().hex(), **more)

    def answer(self, words: str) -> None:
        self.side.command("smp_respond", secret_hex=words.encode().hex())

    def abort(self) -> None:
        self.side.command("smp_abort")

    def told(self) -> list[str]:
        names = {"ask_for_secret": "asked", "in_progress": "progress", "abort": ABORTED, "error": ABORTED}
        words = []
        for event in self.side.events():
            if event["ev"] == "smp":
                name = str(event["event"])
                assert name != "cheated"
                words.append(
                    f"asked: {event['question']}" if name == "ask_for_answer" else names.get(name, name)
                )
        return words


@dataclass
class Both:
    """An encrypted conversation between the two."""

    ours: Ours
    theirs: LibotrPeer

    def __getitem__(self, who: Who) -> Person:
        return OurPerson(self.ours) if who == "ours" else TheirPerson(self.theirs)

    def settle(self) -> None:
        exchange(self.ours, self.theirs)

    def deliver(self, to: Who) -> None:
        """Carry all that is on its way to one side, and not what that answers."""
        source, target = (self.theirs, self.ours) if to == "ours" else (self.ours, self.theirs)
        lines = source.take()
        assert lines
        for line in lines:
            target.receive(line)

    def renew(self, starter: Who) -> None:
        """A new key exchange, to its end."""
        before = self.ours.session
        (self.ours if starter == "ours" else self.theirs).start()
        self.settle()
        assert self.ours.session != before
        assert self.ours.session is not None
        assert self.theirs.session is not None
        assert self.ours.session.ssid.hex() == self.theirs.session["ssid"]

    def trust(self) -> str:
        """What libotr has written beside our fingerprint."""
        (trust,) = {str(context["trust"] or "") for context in self.theirs.status() if "trust" in context}
        return trust

    def at_the_beginning(self) -> bool:
        """Whether neither side has a run under way."""
        session = self.theirs.session
        assert session is not None
        return session["smp_expect"] == 1 and not self.ours.talk.smp_waiting

    def verify(self, asker: Who, words: str, answer: str, question: str | None = None) -> None:
        """A whole run."""
        self[asker].ask(words, question)
        self.settle()
        self[OTHER[asker]].answer(answer)
        self.settle()

    def forget(self) -> None:
        """Forget what was told so far."""
        self.ours.shown()
        self.theirs.events()


@pytest.fixture
def both(request: pytest.FixtureRequest, libotr: LibotrFactory) -> Both:
    """In version 3, unless asked otherwise."""
    version: int = getattr(request, "param", 3)
    pair = Both(Ours(Policy(frozenset({version}))), libotr(policy=f"v{version}"))
    pair.ours.start()
    pair.settle()
    assert pair.ours.session is not None
    assert pair.ours.session.version == version
    pair.forget()
    return pair


IN_VERSIONS = pytest.mark.parametrize("both", [2, 3], indirect=True, ids=["v2", "v3"])
ASKER = pytest.mark.parametrize("asker", SIDES)
QUESTION = pytest.mark.parametrize("question", [None, "Wie groß?"])


@IN_VERSIONS
@pytest.mark.parametrize("answer", [WORDS, OTHERS])
@QUESTION
@ASKER
def test_both_learn_the_same(both: Both, asker: Who, question: str | None, answer: str) -> None:
    answerer = OTHER[asker]
    both.theirs.command("trust", value="by voice")
    both[asker].ask(WORDS, question)
    both.settle()
    asked = "asked" if question is None else f"asked: {question}"
    assert both[answerer].told() == [asked]
    both[answerer].answer(answer)
    both.settle()
    end = "success" if answer == WORDS else "failure"
    # libotr says nothing when its own user has asked or answered; we do.
    middle = ["progress"] if asker == "ours" else []
    assert both["ours"].told() == ["progress", *middle, end]
    assert both["theirs"].told() == ([] if middle else ["progress"]) + [end]
    if asker == "theirs" or question is None:
        assert both.trust() == ("smp" if answer == WORDS else "")
    else:
        # With our question only we have learned something.
        assert both.trust() == "by voice"
    assert both.at_the_beginning()


@QUESTION
@ASKER
def test_whom_we_trust_by_it(both: Both, asker: Who, question: str | None) -> None:
    """The same rule as libotr's."""
    both.verify(asker, WORDS, WORDS, question)
    (success,) = both.ours.events(SmpSucceeded)
    assert success.trusts is (asker == "ours" or question is None)
    assert (both.trust() == "smp") is (asker == "theirs" or question is None)


def test_again_and_again_with_keys_that_change(both: Both) -> None:
    askers: tuple[Who, ...] = ("ours", "theirs", "theirs", "ours")
    for turn, asker in enumerate(askers):
        both.verify(asker, f"{WORDS} {turn}", f"{WORDS} {turn}")
        assert both["ours"].told()[-1] == both["theirs"].told()[-1] == "success"
        chat(both.ours, both.theirs)
        both.forget()


@ASKER
def test_people_talk_on_meanwhile(both: Both, asker: Who) -> None:
    both[asker].ask(WORDS)
    chat(both.ours, both.theirs)
    both[OTHER[asker]].answer(WORDS)
    for to in (asker, OTHER[asker], asker):
        both.deliver(to)
    assert both["ours"].told()[-1] == both["theirs"].told()[-1] == "success"
    chat(both.ours, both.theirs)


@pytest.mark.parametrize("words", ["", "x" * 5000, "€" * 300], ids=["none", "many", "wide"])
@ASKER
def test_any_words_will_do(both: Both, asker: Who, words: str) -> None:
    both.verify(asker, words, words)
    assert both["ours"].told()[-1] == both["theirs"].told()[-1] == "success"


@pytest.mark.parametrize("size", [3000, 20 * 1024])
@ASKER
def test_long_questions_in_short_lines(both: Both, asker: Who, size: int) -> None:
    both.ours.talk.line_limit = 400
    both.theirs.command("mms", value=400)
    question = "?" * size
    both.verify(asker, WORDS, WORDS, question)
    told = {who: both[who].told() for who in SIDES}
    assert f"asked: {question}" in told[OTHER[asker]]
    assert told["ours"][-1] == told["theirs"][-1] == "success"


def test_a_question_that_is_no_utf_8(both: Both) -> None:
    both.theirs.command("smp", secret_hex="61", question_hex=b"caf\xe9?".hex())
    both.settle()
    assert both["ours"].told() == ["asked: caf\ufffd?"]
    both["ours"].answer("a")
    both.settle()
    assert both["theirs"].told()[-1] == "success"


# ---- given up


def bring(both: Both, asker: Who, step: int) -> None:
    """Go on until a question waits (1), or message 2, 3 or 4 is on its way."""
    both[asker].ask(WORDS)
    both.deliver(OTHER[asker])
    if step >= 2:
        both[OTHER[asker]].answer(WORDS)
    for to in (asker, OTHER[asker])[: max(0, step - 2)]:
        both.deliver(to)


STEP = pytest.mark.parametrize("step", [1, 2, 3, 4], ids=["asked", "answered", "shown", "compared"])


@pytest.mark.parametrize("aborter", SIDES)
@STEP
@ASKER
def test_an_abort_at_each_step(both: Both, asker: Who, step: int, aborter: Who) -> None:
    """It crosses the message that is on its way; whatever of the two is first, the next run succeeds."""
    bring(both, asker, step)
    both.forget()
    both[aborter].abort()
    both.settle()
    assert both.at_the_beginning()
    told = {who: both[who].told() for who in SIDES}
    assert not {"success", "failure"} & set(told[aborter]) or (aborter, step) == (OTHER[asker], 4)
    # Who answers is done with message 4, and may be before the abort comes.
    assert "failure" not in told[OTHER[aborter]]
    done = {OTHER[asker]} if step == 4 else set()
    if "ours" not in done:
        assert ABORTED in told["ours"] or "success" in told["ours"]
    both.verify(asker, WORDS, WORDS)
    assert both["ours"].told()[-1] == both["theirs"].told()[-1] == "success"
    chat(both.ours, both.theirs)


@ASKER
def test_an_answerer_refuses(both: Both, asker: Who) -> None:
    both[asker].ask(WORDS, "Which?")
    both.settle()
    both.forget()
    both[OTHER[asker]].abort()
    both.settle()
    assert both[asker].told() == [ABORTED]
    assert both.at_the_beginning()
    assert both.trust() == ""


@IN_VERSIONS
def test_both_ask_at_once(both: Both) -> None:
    for who in SIDES:
        both[who].ask(WORDS)
    both.settle()
    for who in SIDES:
        told = both[who].told()
        assert ABORTED in told
        assert not {"asked", "success", "failure"} & set(told)
    assert both.at_the_beginning()
    both.verify("ours", WORDS, WORDS)
    assert both["ours"].told()[-1] == both["theirs"].told()[-1] == "success"


@pytest.mark.parametrize("question", [None, "Now which?"])
@ASKER
def test_asked_again_while_the_user_thinks(both: Both, asker: Who, question: str | None) -> None:
    """The answer is to the last question."""
    both[asker].ask(OTHERS, "Which?")
    both.settle()
    both.forget()
    both[asker].ask(WORDS, question)
    both.settle()
    assert both[OTHER[asker]].told()[-1] == ("asked" if question is None else f"asked: {question}")
    both[OTHER[asker]].answer(WORDS)
    both.settle()
    assert both["ours"].told()[-1] == both["theirs"].told()[-1] == "success"


@pytest.mark.parametrize("step", [2, 3])
def test_we_ask_anew_in_the_middle(both: Both, step: int) -> None:
    """libotr then waits for a message of the run before: it must hear first that this one is over."""
    bring(both, "ours", step)
    both.ours.take()
    both.theirs.take()
    both.forget()
    both["ours"].ask(WORDS, "Once more?")
    both.settle()
    assert both["theirs"].told() == [ABORTED, "asked: Once more?"]
    both["theirs"].answer(WORDS)
    both.settle()
    assert both["ours"].told()[-1] == both["theirs"].told()[-1] == "success"


def test_we_ask_instead_of_answering(both: Both) -> None:
    both["theirs"].ask(OTHERS)
    both.settle()
    both.forget()
    both["ours"].ask(WORDS)
    both.settle()
    assert both["theirs"].told() == [ABORTED, "asked"]
    both["theirs"].answer(WORDS)
    both.settle()
    assert both["ours"].told()[-1] == both["theirs"].told()[-1] == "success"


# ---- renewed, and ended


@IN_VERSIONS
@pytest.mark.parametrize("starter", SIDES)
@pytest.mark.parametrize("step", [1, 2, 3], ids=["asked", "answered", "shown"])
@ASKER
def test_a_new_session_in_the_middle(both: Both, asker: Who, step: int, starter: Who) -> None:
    """libotr would go on, and then take equal words for different ones; our abort keeps it from that."""
    both.theirs.command("trust", value="by voice")
    bring(both, asker, step)
    # The message on its way is lost with its session.
    both.ours.take()
    both.theirs.take()
    both.forget()
    both.renew(starter)
    assert both["ours"].told() == [ABORTED]
    assert both["theirs"].told() == [ABORTED]
    assert both.at_the_beginning()
    assert both.trust() == "by voice"
    both.verify(asker, WORDS, WORDS)
    assert both["ours"].told()[-1] == both["theirs"].told()[-1] == "success"
    assert both.trust() == "smp"


@ASKER
def test_an_end_in_the_middle(both: Both, asker: Who) -> None:
    both[asker].ask(WORDS)
    both.settle()
    both.forget()
    both.ours.end()
    both.settle()
    assert both.ours.events(SmpAborted) == [SmpAborted(SmpEnd.SESSION)]
    both.renew("ours")
    assert both.ours.state is MessageState.ENCRYPTED
    both.forget()
    both.verify(asker, WORDS, WORDS)
    assert both["ours"].told()[-1] == both["theirs"].told()[-1] == "success"


@ASKER
def test_libotr_ends_in_the_middle(both: Both, asker: Who) -> None:
    both[asker].ask(WORDS)
    both.settle()
    both.forget()
    both.theirs.end()
    both.settle()
    assert both.ours.events(SmpAborted) == [SmpAborted(SmpEnd.SESSION)]
    assert both.ours.talk.smp_waiting is False


# ---- a relay


@pytest.mark.parametrize("version", [2, 3])
def test_a_relay_between_two_libotrs_cannot_hand_a_verification_on(
    libotr: LibotrFactory, version: int
) -> None:
    """We sit in the middle and carry the records of equal secrets: both libotrs find them different."""
    policy = Policy(frozenset({version}))
    middles = Ours(policy), Ours(policy)
    ends = libotr("alice", f"v{version}"), libotr("bob", f"v{version}")
    for middle, end in zip(middles, ends, strict=True):
        middle.start()
        exchange(middle, end)
        middle.shown()
        end.events()
    alice, bob = ends

    def carry() -> None:
        for _ in range(8):
            for source, target in ((0, 1), (1, 0)):
                for line in ends[source].take():
                    for again in reencrypted(middles[source], line, middles[target]):
                        ends[target].receive(again)

    alice.command("smp", secret="the same")
    carry()
    assert [event["event"] for event in bob.events("smp")] == ["ask_for_secret"]
    bob.command("smp_respond", secret="the same")
    carry()
    assert [event["event"] for event in alice.events("smp")][-1] == "failure"
    assert [event["event"] for event in bob.events("smp")][-1] == "failure"


def reencrypted(middle: Ours, line: str, other: Ours) -> list[str]:
    """Take a line apart with one session's keys, and make the same of another's."""
    raw = wire_text.decode(line)
    source, target = (side.talk._instances.session()._state for side in (middle, other))
    assert isinstance(source, Encrypted)
    assert isinstance(target, Encrypted)
    plaintext = source.channel.decrypt(raw, parse_header(raw))
    return [wire_text.encode(target.channel.encrypt(b"", plaintext.tlvs, ignore_unreadable=True))]
