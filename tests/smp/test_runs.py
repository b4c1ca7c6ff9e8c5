"""Verifications between two people: who learns what, of which words, and what is kept meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

import pytest
from gmpy2 import mpz
from hypothesis import example, given, settings
from hypothesis import strategies as st

from otrcore.errors import UsageError
from otrcore.events import (
    Event,
    Received,
    SmpAborted,
    SmpAsked,
    SmpEnd,
    SmpFailed,
    SmpProgress,
    SmpSucceeded,
)
from otrcore.model import Protection
from otrcore.wire.tlv import Tlv
from tests.pair import OTHER, SIDES, Pair, Side
from tests.smp.runs import (
    PEER,
    STATES,
    SUBJECT,
    VERSIONS,
    WORDS,
    SmpState,
    at,
    encrypted,
    opened,
    put,
    sent,
    shown,
    state_of,
    verification_of,
    verify,
)

OUTCOMES = (SmpSucceeded, SmpFailed, SmpAborted)


def outcome(pair: Pair, side: Side) -> Event:
    """How a verification ended for this side; exactly once."""
    (found,) = [event for event in pair.events(side) if isinstance(event, OUTCOMES)]
    return found


# ---- who has verified whom


@pytest.mark.parametrize("asker", SIDES)
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("question", [None, "Which?", ""])
@pytest.mark.parametrize("right", [True, False])
def test_what_both_learn(version: int, asker: Side, question: str | None, right: bool) -> None:
    """Without a question each verifies the other; with one, only the asker has learned anything of it."""
    pair = encrypted(version)
    answerer = OTHER[asker]
    verify(pair, asker, WORDS, WORDS if right else "something else", question)
    end = SmpSucceeded if right else SmpFailed
    assert shown(pair.events(asker)) == [SmpProgress(25), SmpProgress(75), end(trusts=True)]
    assert shown(pair.events(answerer)) == [
        SmpAsked(question or None),
        SmpProgress(50),
        end(trusts=question is None),
    ]
    assert state_of(pair, asker) == state_of(pair, answerer) == "EXPECT1"


def test_each_verifies_the_other_by_a_question_of_his_own() -> None:
    pair = encrypted()
    for asker in SIDES:
        pair.clear()
        verify(pair, asker, WORDS, WORDS, "Which?")
        assert outcome(pair, asker) == SmpSucceeded(trusts=True)
        assert outcome(pair, OTHER[asker]) == SmpSucceeded(trusts=False)


def test_what_an_earlier_question_meant_does_not_stick() -> None:
    """Whose run it is decides about trust, not a question of another run before it."""
    pair = encrypted()
    verify(pair, "alice", WORDS, "wrong", "Which?")
    pair.clear()
    verify(pair, "alice", WORDS, WORDS)
    assert outcome(pair, "bob") == SmpSucceeded(trusts=True)
    pair.clear()
    verify(pair, "alice", WORDS, WORDS, "Which?")
    verify(pair, "bob", WORDS, WORDS)
    assert [event for event in pair.events("bob") if isinstance(event, SmpSucceeded)] == [
        SmpSucceeded(trusts=False),
        SmpSucceeded(trusts=True),
    ]


@pytest.mark.parametrize("second", [None, "And this?"])
@pytest.mark.parametrize("first", [None, "Which?"])
def test_the_last_question_counts(first: str | None, second: str | None) -> None:
    """Asked again while the user still thinks: his answer is to the new question, and trust is by it."""
    pair = encrypted()
    pair.do("alice", pair.alice.smp_start("first words", first))
    pair.settle()
    pair.do("alice", pair.alice.smp_start("second words", second))
    pair.settle()
    assert pair.of_kind("bob", SmpAsked) == [SmpAsked(first), SmpAsked(second)]
    pair.do("bob", pair.bob.smp_answer("second words"))
    pair.settle()
    assert shown(pair.events("alice"))[-1] == SmpSucceeded(trusts=True)
    assert shown(pair.events("bob"))[-1] == SmpSucceeded(trusts=second is None)


@pytest.mark.parametrize(
    "questions", [(None, None), (None, "Which?"), ("Which?", None), ("Which?", None, None)]
)
def test_what_takes_the_place_of_a_question_is_no_better(questions: tuple[str | None, ...]) -> None:
    """Without an abort between them, as no client of ours asks: the user may answer what was read first."""
    pair = encrypted()
    pair.do(PEER, pair.talks[PEER].smp_start(WORDS))
    ((carried,),) = opened(pair, SUBJECT)
    pair.on_the_way[SUBJECT].clear()
    for question in questions:
        front = b"" if question is None else question.encode() + b"\0"
        assert shown(put(pair, Tlv(2 if question is None else 7, front + carried.value))) == [
            SmpAsked(question)
        ]
    pair.do(SUBJECT, pair.talks[SUBJECT].smp_answer(WORDS))
    pair.settle()
    assert outcome(pair, SUBJECT) == SmpSucceeded(trusts=set(questions) == {None})


# ---- whose words


@settings(max_examples=25)
@given(st.text(max_size=40), st.text(max_size=40), st.booleans())
@example("", "", True)
@example("", " ", False)
@example("blanks", "blanks ", False)
@example("two  blanks", "two blanks", False)
@example("Case", "case", False)
@example("Grüße", "Gru\u0308ße", False)
@example("Straße", "STRASSE", False)
@example("a\0b", "a", False)
@example("a\0b", "a\0b", True)
@example("\u0131", "i", False)
@example("x" * 100_000, "x" * 99_999, False)
def test_it_succeeds_if_and_only_if_the_words_are_the_same(one: str, other: str, same: bool) -> None:
    """Byte for byte in UTF-8: nothing is made alike, as other clients do not either."""
    pair = encrypted()
    answer = one if same else other
    verify(pair, "alice", one, answer)
    end = SmpSucceeded if one == answer else SmpFailed
    assert outcome(pair, "alice") == outcome(pair, "bob") == end(trusts=True)


@pytest.mark.parametrize(
    ("one", "other"), [("a\udcff", "a\udcfe"), ("a\udcff", "a?"), ("\ud800", "\udfff")], ids=ascii
)
def test_words_that_are_no_text_are_not_all_the_same(one: str, other: str) -> None:
    """Bytes that are no UTF-8 reach a program as lone surrogates: if these are taken at all, each counts."""
    pair = encrypted()
    try:
        verify(pair, "alice", one, other)
    except UsageError:
        return
    assert outcome(pair, "alice") == outcome(pair, "bob") == SmpFailed(trusts=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_same_words_differ_from_session_to_session(version: int) -> None:
    """What is compared holds the session id: message 1 of one session is worth nothing in another."""
    records = []
    for seed in ("one", "two"):
        pair = encrypted(version, seed=seed)
        verification = verification_of(pair.alice)
        records.append(verification._compared(True, b"words"))
        assert verification._compared(True, b"words") != verification._compared(False, b"words")
        assert verification._compared(True, b"words") == verification_of(pair.bob)._compared(False, b"words")
    assert records[0] != records[1]


# ---- what can be asked


@pytest.mark.parametrize("size", [1, 1000, 20 * 1024])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_long_question_arrives_whole(version: int, size: int) -> None:
    pair = encrypted(version)
    for side in SIDES:
        pair.talks[side].line_limit = 400
    question = "?" * size
    verify(pair, "alice", WORDS, WORDS, question)
    assert pair.of_kind("bob", SmpAsked) == [SmpAsked(question)]
    assert outcome(pair, "alice") == SmpSucceeded(trusts=True)


@pytest.mark.parametrize("size", [48 * 1024, 64 * 1024 - 1, 64 * 1024, 1024 * 1024])
def test_a_question_that_no_peer_could_take_is_refused(size: int) -> None:
    """A record holds 64 KiB, and a message that is put together from pieces not more than that."""
    pair = encrypted()
    with pytest.raises(UsageError):
        pair.do("alice", pair.alice.smp_start(WORDS, "?" * size))
    assert pair.lines == []
    assert state_of(pair, "alice") == "EXPECT1"
    verify(pair, "alice", WORDS, WORDS)
    assert outcome(pair, "alice") == SmpSucceeded(trusts=True)


def test_a_nul_does_not_cut_a_question_short() -> None:
    """It would end the question on the wire, and what follows would be taken for the message."""
    pair = encrypted()
    verify(pair, "alice", WORDS, WORDS, "Which\0 one?")
    assert pair.of_kind("bob", SmpAsked) == [SmpAsked("Which one?")]
    assert outcome(pair, "alice") == SmpSucceeded(trusts=True)


def test_a_question_that_is_no_text_is_asked() -> None:
    pair = encrypted()
    verify(pair, "alice", WORDS, WORDS, "caf\udce9?")
    (asked,) = pair.of_kind("bob", SmpAsked)
    assert (asked.question or "").startswith("caf")
    assert outcome(pair, "alice") == SmpSucceeded(trusts=True)


# ---- crossings


@pytest.mark.parametrize("version", VERSIONS)
def test_both_ask_at_once(version: int) -> None:
    """Neither can be answered: both are told, and whoever asks next succeeds."""
    pair = encrypted(version)
    for side in SIDES:
        pair.do(side, pair.talks[side].smp_start(WORDS))
    pair.settle()
    for side in SIDES:
        assert shown(pair.events(side)) == [SmpProgress(25), SmpAborted(SmpEnd.OUT_OF_TURN)]
        assert state_of(pair, side) == "EXPECT1"
    pair.clear()
    verify(pair, "bob", WORDS, WORDS)
    assert outcome(pair, "alice") == outcome(pair, "bob") == SmpSucceeded(trusts=True)


def test_an_answer_crosses_an_abort() -> None:
    pair = at("asked")
    pair.do(PEER, pair.talks[PEER].smp_abort())
    pair.do(SUBJECT, pair.talks[SUBJECT].smp_answer(WORDS))
    pair.settle()
    assert shown(pair.events(SUBJECT)) == [SmpProgress(50), SmpAborted(SmpEnd.PEER)]
    assert shown(pair.events(PEER)) == [SmpAborted(SmpEnd.HERE), SmpAborted(SmpEnd.OUT_OF_TURN)]
    assert state_of(pair, PEER) == state_of(pair, SUBJECT) == "EXPECT1"


def test_both_abort_at_once() -> None:
    pair = at("EXPECT2")
    pair.on_the_way[SUBJECT].clear()
    for side in SIDES:
        pair.do(side, pair.talks[side].smp_abort())
    pair.settle()
    for side in SIDES:
        assert shown(pair.events(side)) == [SmpAborted(SmpEnd.HERE)]


def test_the_peer_turns_the_tables_while_our_user_thinks() -> None:
    """Our user asks instead of answering: the peer's run is over, and it is asked."""
    pair = at("asked")
    verify(pair, SUBJECT, WORDS, WORDS)
    assert shown(pair.events(SUBJECT)) == [SmpProgress(25), SmpProgress(75), SmpSucceeded(trusts=True)]
    assert shown(pair.events(PEER)) == [
        SmpAborted(SmpEnd.PEER),
        SmpAsked(None),
        SmpProgress(50),
        SmpSucceeded(trusts=True),
    ]


@pytest.mark.parametrize("state", STATES)
def test_people_talk_on_meanwhile(state: SmpState) -> None:
    """Texts rotate the keys under a verification, which does not mind."""
    pair = at(state, question="Which?" if state == "asked" else None)
    waiting = list(pair.on_the_way[SUBJECT])
    pair.on_the_way[SUBJECT].clear()
    for line in waiting:
        pair.hand(SUBJECT, line)
        for side in (SUBJECT, PEER, SUBJECT, PEER):
            pair.do(side, pair.talks[side].send("meanwhile"))
    pair.settle()
    if state == "asked":
        pair.do(SUBJECT, pair.talks[SUBJECT].smp_answer(WORDS))
    pair.settle()
    if state != "EXPECT1":
        assert outcome(pair, SUBJECT) == SmpSucceeded(trusts=state != "asked")
    if state in ("asked", "EXPECT2"):
        assert outcome(pair, PEER) == SmpSucceeded(trusts=True)
    assert set(pair.of_kind(SUBJECT, Received)) <= {Received("meanwhile", Protection.ENCRYPTED)}


# ---- where it is not possible


@pytest.mark.parametrize("state", ["plaintext", "finished"])
def test_outside_an_encrypted_conversation_it_is_refused(state: str) -> None:
    pair = encrypted()
    pair.end("bob" if state == "finished" else "alice")
    pair.clear()
    steps: tuple[Callable[[], list[Event]], ...] = (
        lambda: pair.alice.smp_start(WORDS),
        lambda: pair.alice.smp_start(WORDS, "Which?"),
        lambda: pair.alice.smp_answer(WORDS),
        pair.alice.smp_abort,
    )
    for step in steps:
        with pytest.raises(UsageError, match="start one first"):
            step()
    assert pair.alice.smp_waiting is False
    assert pair.lines == []


def test_before_any_conversation_it_is_refused() -> None:
    pair = Pair()
    with pytest.raises(UsageError, match="start one first"):
        pair.alice.smp_start(WORDS)
    assert pair.lines == []


# ---- what is kept


@pytest.mark.parametrize("state", STATES)
def test_no_secret_in_any_repr(state: SmpState) -> None:
    words, other = "hunter2 and more", "other words"
    pair = at(state, words=words, peer_words=other)
    info = pair.talks[SUBJECT].info
    assert info is not None
    for side in SIDES:
        verification = verification_of(pair.talks[side])
        state_now = verification._state
        printed = "".join(map(repr, (verification, pair.talks[side], pair.accounts[side], state_now)))
        secret_fields = {"secret", "a2", "a3", "b3"} & {field.name for field in fields(state_now)}
        numbers = [int(getattr(state_now, name)) for name in secret_fields]
        numbers += [int(verification._compared(asked, words.encode())) for asked in (True, False)]
        for number in numbers:
            assert str(number) not in printed
            assert f"{number:x}" not in printed
        assert words not in printed
        assert other not in printed


def test_the_words_are_not_kept() -> None:
    """Only their hash with the session is, and that not longer than the run."""
    words = "hunter2 and more"
    pair = at("EXPECT2", words=words)
    state = verification_of(pair.talks[SUBJECT])._state
    kept = [getattr(state, field.name) for field in fields(state)]
    assert kept
    assert all(isinstance(value, int | type(mpz())) for value in kept)
    assert all(int(value) != int.from_bytes(words.encode(), "big") for value in kept)
    pair.settle()
    assert fields(verification_of(pair.talks[SUBJECT])._state) == ()


def test_words_are_in_no_event_and_in_no_line() -> None:
    words = "hunter2 and more"
    pair = encrypted()
    verify(pair, "alice", words, words, "Which?")
    for side in SIDES:
        assert words not in repr(shown(pair.events(side)))
    assert all(words not in line for _, line in pair.lines)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("state", STATES)
def test_what_carries_a_verification_may_be_unreadable(version: int, state: SmpState) -> None:
    """The flag IGNORE_UNREADABLE keeps a peer that cannot read it from complaining: `opened` wants it."""
    pair = at(state, version)
    messages = opened(pair, SUBJECT)
    pair.do(SUBJECT, pair.talks[SUBJECT].smp_start(WORDS))
    messages += opened(pair, PEER)
    pair.do(SUBJECT, pair.talks[SUBJECT].smp_abort())
    assert messages
    assert sent(pair)[-1] == 6


@pytest.mark.parametrize("version", VERSIONS)
def test_a_peer_that_lost_its_keys_hears_no_complaint(version: int) -> None:
    pair = encrypted(version)
    pair.do("alice", pair.alice.smp_start(WORDS))
    line = pair.on_the_way["bob"].popleft()
    pair.do("bob", pair.bob.end())
    pair.on_the_way["alice"].clear()
    pair.clear()
    pair.hand("bob", line)
    assert pair.lines == []


def test_a_question_that_would_end_early_on_the_wire_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        verification_of(encrypted().alice).ask(b"words", b"what\0 else")
