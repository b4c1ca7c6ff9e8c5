"""Verifications in version 4: they succeed if and only if the words are the same, which show nowhere."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from otrcore.errors import UsageError
from otrcore.events import Event, SmpAborted, SmpAsked, SmpFailed, SmpProgress, SmpSucceeded
from otrcore.model import Protection, Trust
from otrcore.session import Encrypted
from otrcore.smp.verification import Verification
from otrcore.v4.smp import SmpRecords
from otrcore.wire.tlv import Tlv
from tests.irc.network import Network
from tests.pair import OTHER, SIDES, Pair, Side, speaking
from tests.robustness.test_canary import everything_in, forms_of
from tests.snapshot import snapshot
from tests.spec import reading, reading4

OUTCOMES = (SmpSucceeded, SmpFailed, SmpAborted)
WORDS = "the words that both know"


@cache
def _encrypted() -> Pair:
    pair = Pair(version=4, seed="words")
    pair.secure()
    return pair


def encrypted() -> Pair:
    return _encrypted().copy()


def ask(pair: Pair, side: Side, words: str, question: str | None = None) -> None:
    pair.do(side, pair.talks[side].smp_start(words, question))


def answer(pair: Pair, side: Side, words: str) -> None:
    pair.do(side, pair.talks[side].smp_answer(words))


def outcomes(pair: Pair) -> list[list[Event]]:
    return [[event for event in pair.events(side) if isinstance(event, OUTCOMES)] for side in SIDES]


# --- if and only if ---------------------------------------------------------------------------------------


@settings(derandomize=True, deadline=None, max_examples=5, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(SIDES), st.text(max_size=40), st.text(max_size=40), st.booleans())
@example("bob", "", " ", False)
@example("alice", "blanks", "blanks ", False)
@example("bob", "two  blanks", "two blanks", False)
@example("alice", "Case", "case", False)
@example("bob", "Gr\u00fc\u00dfe", "Gru\u0308\u00dfe", False)
@example("alice", "Stra\u00dfe", "STRASSE", False)
@example("alice", "a\0b", "a", False)
@example("bob", "a\0b", "a\0b", True)
@example("alice", "a\udcff", "a\udcfe", False)
@example("bob", "a\udcff", "a\udcff", True)
@example("alice", "a\udcff", "a?", False)
@example("bob", "x" * 100_000, "x" * 100_000, True)
def test_it_succeeds_if_and_only_if_the_words_are_the_same(
    asker: Side, one: str, other: str, same: bool
) -> None:
    """Byte for byte; and only then is the key of either side trusted."""
    pair = encrypted()
    ask(pair, asker, one)
    pair.settle()
    answer(pair, OTHER[asker], one if same else other)
    pair.settle()
    equal = same or one == other
    end = SmpSucceeded if equal else SmpFailed
    assert outcomes(pair) == [[end(trusts=True)]] * 2
    assert {talk.trust for talk in pair.talks.values()} == {Trust.SMP if equal else Trust.NONE}


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("question", ["Which?", "", "Wie hei\u00dft \0 sie?"])
@pytest.mark.parametrize("asker", SIDES)
def test_by_a_question_the_asker_alone_learns_something(asker: Side, question: str, right: bool) -> None:
    pair = encrypted()
    ask(pair, asker, WORDS, question)
    pair.settle()
    asked = question.replace("\0", "") or None
    assert pair.of_kind(OTHER[asker], SmpAsked) == [SmpAsked(asked)]
    answer(pair, OTHER[asker], WORDS if right else "others")
    pair.settle()
    end = SmpSucceeded if right else SmpFailed
    assert [event for event in pair.events(asker) if isinstance(event, OUTCOMES)] == [end(trusts=True)]
    both = asked is None
    assert pair.of_kind(OTHER[asker], end) == [end(trusts=both)]
    assert pair.talks[asker].trust is (Trust.SMP if right else Trust.NONE)
    assert pair.talks[OTHER[asker]].trust is (Trust.SMP if right and both else Trust.NONE)


def test_the_last_question_counts() -> None:
    """The first one's words are worth nothing for the second."""
    for words, end in (("first words", SmpFailed), ("second words", SmpSucceeded)):
        pair = encrypted()
        ask(pair, "alice", "first words", "First?")
        pair.settle()
        ask(pair, "alice", "second words", "Second?")
        pair.settle()
        answer(pair, "bob", words)
        pair.settle()
        assert [event for event in pair.events("alice") if isinstance(event, SmpSucceeded | SmpFailed)] == [
            end(trusts=True)
        ]


def test_both_ask_at_once() -> None:
    """Neither succeeds nor fails by it, whatever the words; the next question does."""
    pair = encrypted()
    for side in SIDES:
        ask(pair, side, WORDS)
    pair.settle()
    assert not any(isinstance(event, SmpSucceeded) for side in outcomes(pair) for event in side)
    pair.clear()
    ask(pair, "bob", WORDS)
    pair.settle()
    answer(pair, "alice", WORDS)
    pair.settle()
    assert outcomes(pair) == [[SmpSucceeded(trusts=True)]] * 2


@pytest.mark.parametrize("lost", range(4))
def test_a_message_that_is_lost_leaves_no_result(lost: int) -> None:
    """Where the last one is, the answerer alone knows; a late one out of turn changes nothing for good."""
    pair = encrypted()
    ask(pair, "alice", WORDS)
    sent = 0
    held: list[tuple[Side, str]] = []
    while waiting := [side for side in SIDES if pair.on_the_way[side]]:
        if sent == lost:
            held.append((waiting[0], pair.on_the_way[waiting[0]].popleft()))
        else:
            pair.deliver(waiting[0])
            if pair.talks["bob"].smp_waiting:
                answer(pair, "bob", WORDS)
        sent += 1
    alice, bob = outcomes(pair)
    assert alice == []
    assert bob == ([SmpSucceeded(trusts=True)] if lost == 3 else [])
    # Late, it is still read, and the run goes on: keys of lost messages are kept.
    for side, line in held:
        pair.hand(side, line)
    if pair.talks["bob"].smp_waiting:
        answer(pair, "bob", WORDS)
    pair.settle()
    assert outcomes(pair) == [[SmpSucceeded(trusts=True)]] * 2


def test_words_of_one_session_prove_nothing_in_the_next() -> None:
    """What is compared holds the session id, and who asks."""
    numbers = []
    pair = encrypted()
    for _ in range(2):
        ours, theirs = (verification_of(pair, side) for side in SIDES)
        assert ours._compared(True, b"words") == theirs._compared(False, b"words")
        assert ours._compared(True, b"words") != ours._compared(False, b"words")
        numbers.append(ours._compared(True, b"words"))
        pair.wait(60.0)
        pair.secure()
    assert numbers[0] != numbers[1]


@given(st.integers(1, 4), st.binary(max_size=200), st.none() | st.binary(min_size=1, max_size=50))
def test_records_are_read_as_they_were_written(step: int, message: bytes, question: bytes | None) -> None:
    records = SmpRecords()
    asked = question if step == 1 else None
    assert records.read(records.write(step, message, asked)) == (step, message, asked)


@given(st.integers(2, 5), st.binary(max_size=100))
def test_records_that_can_be_read_are_written_with_the_same_bytes(kind: int, value: bytes) -> None:
    records, record = SmpRecords(), Tlv(kind, (len(value) // 2).to_bytes(4, "big") + value)
    content = records.read(record)
    assert content is not None
    assert records.write(*content) == record


# --- what shows -------------------------------------------------------------------------------------------

SECRET, OTHERS = "hunter2 and more", "correct horse"
MOMENTS = ("asked", "waiting", "answered", "answer taken", "over")


def verification_of(pair: Pair, side: Side) -> Verification[object]:
    state = pair.talks[side]._instances.session()._state
    assert isinstance(state, Encrypted)
    assert isinstance(state.verification, Verification)
    return state.verification


def in_the_middle(moment: str) -> Pair:
    """A run of Alice's; the words of both differ."""
    pair = encrypted()
    ask(pair, "alice", SECRET, "Which?")
    if moment == "asked":
        return pair
    pair.deliver("bob")
    if moment == "waiting":
        return pair
    answer(pair, "bob", OTHERS)
    if moment == "answered":
        return pair
    pair.deliver("alice")
    if moment == "over":
        pair.settle()
    return pair


@pytest.mark.parametrize("moment", MOMENTS)
def test_no_word_and_no_number_made_of_it_shows_or_is_kept_longer_than_the_run(moment: str) -> None:
    pair = in_the_middle(moment)
    shown, kept = [], repr([snapshot(pair.talks[side]) for side in SIDES])
    for side in SIDES:
        for thing in everything_in(pair.accounts[side], set()):
            shown += [repr(thing), str(thing)]
        shown += [repr(event) for event in pair.events(side)]
    shown += [line for _, line in pair.lines]
    raws = b"".join(reading.raw_of(line) for _, line in pair.lines if line.startswith("?OTR:"))
    text = "\n".join(shown)
    assert "Verification" in text
    for words in (SECRET, OTHERS):
        for form in forms_of(words.encode()):
            assert form not in text
            assert form not in kept
        assert words not in text
        assert words not in kept
        assert words.encode() not in raws
        for side in SIDES:
            for asked in (True, False):
                number = verification_of(pair, side)._compared(asked, words.encode())
                assert str(number) not in text
                assert f"{number:x}" not in text
                assert number.to_bytes(57, "little") not in raws
    numbers = [str(verification_of(pair, "alice")._compared(True, SECRET.encode()))]
    numbers += [str(verification_of(pair, "bob")._compared(False, OTHERS.encode()))]
    # The asker's waits for the answer; where it is kept the search above would have found it.
    waits = moment in ("asked", "waiting", "answered")
    assert [number in kept for number in numbers] == [waits, False]


@pytest.mark.parametrize("moment", MOMENTS)
def test_private_numbers_of_a_run_do_not_show(moment: str) -> None:
    """The exponents of either side, in the objects that keep them."""
    pair = in_the_middle(moment)
    found = 0
    for side in SIDES:
        state = verification_of(pair, side)._state
        text = repr(state) + repr(verification_of(pair, side))
        for name in ("secret", "a2", "a3", "b3"):
            if hasattr(state, name):
                found += 1
                assert str(int(getattr(state, name))) not in text
    assert found == {"asked": 3, "waiting": 3, "answered": 4, "answer taken": 2, "over": 0}[moment]


def test_a_verification_needs_a_conversation() -> None:
    pair = Pair(version=4)
    for call in (pair.alice.smp_start, pair.alice.smp_answer):
        with pytest.raises(UsageError, match="start one first"):
            call(WORDS)
    assert pair.lines == []


def test_progress_is_told_and_records_are_those_of_version_4() -> None:
    pair = encrypted()
    ask(pair, "alice", WORDS)
    pair.settle()
    answer(pair, "bob", WORDS)
    pair.settle()
    assert pair.of_kind("alice", SmpProgress) == [SmpProgress(25), SmpProgress(75)]
    assert pair.of_kind("bob", SmpProgress) == [SmpProgress(50)]
    assert len(pair.lines) == 4
    # Nobody need be told of one that cannot be read.
    assert {reading4.data_fields(reading.raw_of(line)).flags for _, line in pair.lines} == {1}


@pytest.mark.parametrize("version", [3, 4])
def test_nothing_is_logged(version: int, caplog: pytest.LogCaptureFixture) -> None:
    """At any level, of a conversation on IRC with texts, a verification, refused lines, and an end."""
    caplog.set_level(0)
    network = Network()
    alice, bob = (network.join(nick, policy=speaking(version)) for nick in SIDES)
    network.secure(alice, bob)
    alice.say("bob", SECRET)
    assert bob.texts() == [(SECRET, Protection.ENCRYPTED)]
    for line in ("?OTR:AAQD.", "?OTR:AAMD.", "?OTR Error: ERROR_1: " + SECRET, SECRET, "?OTRv34?"):
        bob.do(bob.host.incoming("alice", "bob", line).actions)
    alice.command("bob", "smp ask Which?")
    alice.secret(SECRET)
    bob.command("alice", "smp answer")
    bob.secret(SECRET)
    assert alice.account.conversation("bob").trust is Trust.SMP
    alice.end("bob")
    logged = [record.getMessage() for record in caplog.records if record.name.startswith("otr")]
    assert logged == []
    assert not any(form in caplog.text for form in (SECRET, *forms_of(SECRET.encode())))
