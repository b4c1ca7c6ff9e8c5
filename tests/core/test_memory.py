"""What is remembered of a peer: keys and trust in them, versions, its policy; in and out as one value."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otrcore import (
    Account,
    Event,
    Fingerprint,
    KnownKey,
    MemoryChanged,
    PeerMemory,
    Policy,
    SessionOpened,
    SmpFailed,
    SmpSucceeded,
    Trust,
    UsageError,
)
from otrcore.memory import MAX_KEYS, STRANGER
from otrcore.policy import ALWAYS, MANUAL
from tests.pair import OTHER, SIDES, TAGS, Pair, Side, identity, speaking

BOB = identity("bob").fingerprint
IN_VERSIONS = pytest.mark.parametrize("version", [2, 3, 4])


def key(number: int) -> Fingerprint:
    return Fingerprint(number.to_bytes(20, "big"))


def key_4(number: int) -> Fingerprint:
    """Return one for version 4, which begins as the other of the same number does."""
    return Fingerprint(number.to_bytes(20, "big") + bytes(36))


def changes(events: list[Event]) -> list[PeerMemory]:
    return [event.memory for event in events if isinstance(event, MemoryChanged)]


def bob_with(pair: Pair, name: str) -> None:
    """Let Bob go on with another key."""
    account = Account(identity(name), MANUAL, instance_tag=TAGS["bob"], clock=pair.clock)
    pair.accounts["bob"], pair.talks["bob"] = account, account.conversation("alice")


# ---- the value


def test_a_stranger_has_nothing() -> None:
    assert PeerMemory(frozenset(), (), None) == STRANGER
    assert STRANGER.trust(BOB) is Trust.NONE
    assert not STRANGER.knows(BOB)
    assert not STRANGER.verified
    assert STRANGER.last is None
    assert STRANGER.replaced_by(BOB) is None


def test_the_key_used_last_is_at_the_end() -> None:
    memory = STRANGER.met(key(1), 3).met(key(2), 3)
    assert memory.last == key(2)
    memory = memory.met(key(1), 2)
    assert [known.fingerprint for known in memory.keys] == [key(2), key(1)]
    assert memory.versions == {2, 3}


def test_judging_changes_one_key_and_no_order() -> None:
    memory = STRANGER.met(key(1), 3).met(key(2), 3).judging(key(1), Trust.SMP)
    assert memory.keys == (KnownKey(key(1), Trust.SMP), KnownKey(key(2)))
    assert memory.trust(key(1)) is Trust.SMP
    assert memory.verified
    assert memory.met(key(1), 3).trust(key(1)) is Trust.SMP
    assert not memory.judging(key(1), Trust.NONE).verified
    assert memory.judging(key(9), Trust.SMP) == memory


@pytest.mark.parametrize(
    ("keys", "now", "expected"),
    [
        ((), 1, None),
        ((1,), 1, None),
        ((1,), 2, 1),
        ((1, 2), 1, None),
        ((1, 2), 3, 2),
        (("1 verified", 2), 2, 1),
        (("1 verified", 2), 3, 1),
        (("1 verified", 2), 1, None),
        (("1 verified", "2 verified", 3), 3, 2),
        (("1 verified", "2 verified"), 1, None),
    ],
)
def test_which_key_the_user_would_expect_instead(
    keys: tuple[int | str, ...], now: int, expected: int | None
) -> None:
    known = tuple(
        KnownKey(key(int(str(name)[0])), Trust.COMPARED if isinstance(name, str) else Trust.NONE)
        for name in keys
    )
    assert PeerMemory(keys=known).replaced_by(key(now)) == (None if expected is None else key(expected))


@pytest.mark.parametrize(
    ("keys", "now", "expected"),
    [
        ((key(1),), key_4(1), None),
        ((key_4(1),), key(1), None),
        ((key(1), key_4(1)), key_4(2), key_4(1)),
        ((key_4(1), key(1)), key_4(2), key_4(1)),
        ((key_4(1), key(1)), key(2), key(1)),
        ((key_4(1), key(1)), key_4(1), None),
    ],
)
@pytest.mark.parametrize("trust", Trust)
def test_a_key_for_other_versions_takes_nobodys_place(
    keys: tuple[Fingerprint, ...], now: Fingerprint, expected: Fingerprint | None, trust: Trust
) -> None:
    """The one that is asked about is not verified, whatever is known of the others."""
    known = tuple(KnownKey(one, Trust.NONE if one == now else trust) for one in keys)
    memory = PeerMemory(keys=known)
    assert memory.replaced_by(now) == expected
    assert memory.trust(now) is Trust.NONE


def test_a_verified_key_for_version_3_verifies_none_for_version_4() -> None:
    memory = STRANGER.met(key(1), 3).met(key_4(1), 4).judging(key(1), Trust.SMP)
    assert (memory.trust(key(1)), memory.trust(key_4(1))) == (Trust.SMP, Trust.NONE)
    memory = memory.judging(key_4(1), Trust.COMPARED).judging(key(1), Trust.NONE)
    assert (memory.trust(key(1)), memory.trust(key_4(1))) == (Trust.NONE, Trust.COMPARED)
    assert memory.versions == {3, 4}


@settings(derandomize=True, max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=120))
def test_verified_keys_are_the_last_to_be_forgotten(steps: list[tuple[int, bool]]) -> None:
    memory = STRANGER
    for number, verify in steps:
        before, memory = memory, memory.met(key(number), 3)
        if verify:
            memory = memory.judging(key(number), Trust.COMPARED)
        assert len(memory.keys) <= MAX_KEYS
        assert memory.last == key(number)
        gone = [known for known in before.keys if not memory.knows(known.fingerprint)]
        assert len(gone) <= 1
        if gone and gone[0].trust is not Trust.NONE:
            assert all(known.trust is not Trust.NONE for known in before.keys)
        assert len({known.fingerprint for known in memory.keys}) == len(memory.keys)


def test_a_flood_of_keys_does_not_push_a_verified_one_out() -> None:
    memory = STRANGER.met(key(1), 3).judging(key(1), Trust.COMPARED)
    for number in range(2, 200):
        memory = memory.met(key(number), 3)
    assert memory.trust(key(1)) is Trust.COMPARED
    assert len(memory.keys) == MAX_KEYS


# ---- in and out


@IN_VERSIONS
def test_a_memory_goes_from_one_account_to_the_next(version: int) -> None:
    pair = Pair(version=version)
    pair.secure()
    pair.alice.set_trust(Trust.COMPARED)
    memory = pair.alice.memory
    bob = identity("bob").fingerprint_in(version)
    assert memory == PeerMemory(frozenset({version}), (KnownKey(bob, Trust.COMPARED),))

    later = Pair(version=version)
    account = Account(
        identity("alice"), speaking(version), name="alice", instance_tag=TAGS["alice"], clock=later.clock
    )
    later.accounts["alice"], later.talks["alice"] = account, account.conversation("bob", memory)
    assert later.alice.memory == memory
    later.start("alice")
    (opened,) = later.of_kind("alice", SessionOpened)
    assert opened.trust is Trust.COMPARED
    assert opened.changed_from is None
    assert later.alice.trust is Trust.COMPARED
    assert changes(later.events("alice")) == []


def test_a_memory_counts_only_when_the_conversation_is_made() -> None:
    account = Account(identity("alice"))
    talk = account.conversation("bob", PeerMemory(frozenset({3})))
    assert account.conversation("bob", PeerMemory(frozenset({2}))) is talk
    assert talk.memory.versions == {3}


@pytest.mark.parametrize("version", [1, 5, 99])
def test_a_remembered_policy_of_unknown_versions_is_refused(version: int) -> None:
    account = Account(identity("alice"))
    with pytest.raises(UsageError, match="versions"):
        account.conversation("bob", PeerMemory(policy=Policy(frozenset({version}))))
    assert "bob" not in account
    talk = account.conversation("bob")
    with pytest.raises(UsageError, match="versions"):
        talk.set_policy(Policy(frozenset({3, version})))
    assert talk.memory == STRANGER


@pytest.mark.parametrize("padding", [-1, 5000, 70_000])
def test_a_padding_that_no_message_could_have_is_refused(padding: int) -> None:
    with pytest.raises(UsageError, match="padded"):
        Policy(frozenset({3}), padding=padding)


def test_a_remembered_policy_is_used() -> None:
    account = Account(identity("alice"), MANUAL)
    talk = account.conversation("bob", PeerMemory(policy=ALWAYS))
    assert talk.policy == ALWAYS


# ---- exactly when it changes


def test_a_change_is_told_when_and_only_when_there_is_one() -> None:
    pair = Pair()
    pair.start("alice")
    (first,) = changes(pair.events("alice"))
    assert first == pair.alice.memory == PeerMemory(frozenset({3}), (KnownKey(BOB),))
    pair.clear()
    pair.start("bob")
    pair.say("bob", "hello")
    pair.end("alice")
    pair.end("bob")
    pair.start("alice")
    assert changes(pair.events("alice")) == changes(pair.events("bob")) == []

    for trust, told in ((Trust.COMPARED, 1), (Trust.COMPARED, 0), (Trust.NONE, 1), (Trust.NONE, 0)):
        assert len(changes(pair.alice.set_trust(trust))) == told
    for policy, told in ((ALWAYS, 1), (ALWAYS, 0), (None, 1), (None, 0)):
        assert len(changes(pair.alice.set_policy(policy))) == told


def test_every_told_memory_is_the_one_there_is() -> None:
    pair = Pair()
    events: list[Event] = []
    for name in ("bob", "another bob", "bob"):
        bob_with(pair, name)
        pair.start("alice")
        events += pair.events("alice")
        assert changes(pair.events("alice"))[-1] == pair.alice.memory
        pair.clear()
    told = changes(events)
    assert all(one != next_one for one, next_one in pairwise(told))
    assert [memory.last for memory in told] == [BOB, identity("another bob").fingerprint, BOB]


# ---- trust


def test_trust_needs_a_session_or_a_known_key() -> None:
    pair = Pair()
    with pytest.raises(UsageError, match="start one first"):
        pair.alice.set_trust(Trust.COMPARED)
    with pytest.raises(UsageError, match="never used a key"):
        pair.alice.set_trust(Trust.COMPARED, BOB)
    pair.secure()
    pair.end("alice")
    pair.alice.set_trust(Trust.COMPARED, BOB)
    assert pair.alice.memory.trust(BOB) is Trust.COMPARED
    assert pair.alice.trust is Trust.NONE
    with pytest.raises(UsageError, match="start one first"):
        pair.alice.set_trust(Trust.NONE)


def test_trust_is_of_a_key_and_not_of_a_peer() -> None:
    pair = Pair()
    pair.secure()
    pair.alice.set_trust(Trust.COMPARED)
    bob_with(pair, "another bob")
    pair.start("bob")
    opened = pair.of_kind("alice", SessionOpened)[-1]
    assert opened.trust is Trust.NONE
    assert opened.changed_from == BOB
    assert pair.alice.trust is Trust.NONE
    assert pair.alice.memory.trust(BOB) is Trust.COMPARED


def test_every_opening_tells_that_a_key_is_not_verified() -> None:
    pair = Pair()
    for _ in range(3):
        pair.start("alice")
        pair.end("alice")
        pair.end("bob")
    for side in SIDES:
        assert [opened.trust for opened in pair.of_kind(side, SessionOpened)] == [Trust.NONE] * 3


# ---- trust by a shared secret


def verify(pair: Pair, asker: Side, words: str, answer: str, question: str | None = None) -> None:
    pair.do(asker, pair.talks[asker].smp_start(words, question))
    pair.settle()
    pair.do(OTHER[asker], pair.talks[OTHER[asker]].smp_answer(answer))
    pair.settle()


@IN_VERSIONS
@pytest.mark.parametrize("asker", SIDES)
def test_success_makes_a_key_trusted_on_both_sides(version: int, asker: Side) -> None:
    pair = Pair(version=version)
    pair.secure()
    verify(pair, asker, "words", "words")
    for side in SIDES:
        assert pair.talks[side].trust is Trust.SMP
        assert changes(pair.events(side)) == [pair.talks[side].memory]
        kinds = [type(event) for event in pair.events(side)]
        assert kinds.index(MemoryChanged) == kinds.index(SmpSucceeded) + 1


@IN_VERSIONS
@pytest.mark.parametrize("before", [Trust.COMPARED, Trust.SMP])
def test_failure_clears_it(version: int, before: Trust) -> None:
    pair = Pair(version=version)
    pair.secure()
    for side in SIDES:
        pair.talks[side].set_trust(before)
    verify(pair, "alice", "words", "other words")
    for side in SIDES:
        assert pair.talks[side].trust is Trust.NONE
        assert changes(pair.events(side)) == [pair.talks[side].memory]


def test_failure_where_nothing_was_trusted_changes_nothing() -> None:
    pair = Pair()
    pair.secure()
    verify(pair, "alice", "words", "other words")
    for side in SIDES:
        assert pair.of_kind(side, SmpFailed)
        assert changes(pair.events(side)) == []


@IN_VERSIONS
@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("before", list(Trust))
def test_who_answers_a_question_learns_nothing_about_who_asked(
    version: int, right: bool, before: Trust
) -> None:
    pair = Pair(version=version)
    pair.secure()
    pair.bob.set_trust(before)
    verify(pair, "alice", "words", "words" if right else "other words", "Which?")
    assert pair.bob.trust is before
    assert changes(pair.events("bob")) == []
    assert pair.alice.trust is (Trust.SMP if right else Trust.NONE)


def test_an_aborted_verification_changes_nothing() -> None:
    pair = Pair()
    pair.secure()
    for talk in pair.talks.values():
        talk.set_trust(Trust.SMP)
    pair.do("alice", pair.alice.smp_start("words"))
    pair.settle()
    pair.do("bob", pair.bob.smp_abort())
    pair.settle()
    for side in SIDES:
        assert changes(pair.events(side)) == []
        assert pair.talks[side].trust is Trust.SMP
