"""What a policy allows to start, and that without any version everything passes untouched."""

from __future__ import annotations

from dataclasses import replace

import pytest

from otrcore import (
    HandshakeEnd,
    HandshakeFailed,
    HandshakeStep,
    HeldBack,
    MemoryChanged,
    NoCommonVersion,
    NotSent,
    Protection,
    Queued,
    Received,
    Rejected,
    Transmit,
    UsageError,
)
from otrcore.errors import Reason
from otrcore.policy import (
    ALLOWING,
    ALWAYS,
    DEFAULT,
    FORBIDDING,
    MANUAL,
    NEVER,
    POLICY_WORDS,
    PRESETS,
    Policy,
    Tagging,
    changed,
    name_of,
)
from otrcore.suites import VERSIONS
from tests.pair import Pair, speaking
from tests.spec import reading

TAG = " \t  \t\t\t\t \t \t \t  " + "  \t\t  \t\t"


def test_a_tag_starts_an_exchange_if_policy_says_so() -> None:
    pair = Pair(policies=(DEFAULT, MANUAL))
    assert pair.hand("bob", f"hello{TAG}") == [Received("hello", Protection.PLAIN)]
    assert not pair.bob.starting
    received, transmit, sent_step = pair.hand("alice", f"hello{TAG}")
    assert received == Received("hello", Protection.PLAIN)
    assert isinstance(transmit, Transmit)
    assert reading.raw_of(transmit.lines[0])[2] == reading.COMMIT
    assert sent_step == HandshakeStep("D-H Commit", sent=True)
    pair.settle()
    pair.agreed()


def test_a_tag_of_other_versions_starts_nothing_and_is_told_once() -> None:
    pair = Pair(policies=(DEFAULT, DEFAULT))
    version_2 = TAG[:16] + "  \t\t  \t "
    hello = Received("hello", Protection.PLAIN)
    assert pair.hand("alice", f"hello{version_2}") == [hello, NoCommonVersion(frozenset({2}))]
    assert pair.hand("alice", f"hello{version_2}") == [hello]
    assert not pair.alice.starting


def test_a_tag_that_offers_nothing_is_only_taken_out() -> None:
    pair = Pair(policies=(DEFAULT, DEFAULT))
    assert pair.hand("alice", f"hello{TAG[:16]}") == [Received("hello", Protection.PLAIN)]
    assert not pair.alice.starting


def test_a_start_in_a_version_that_is_forbidden_meanwhile_is_cancelled() -> None:
    pair = Pair(policies=(speaking(2, 3), MANUAL))
    pair.do("alice", pair.alice.receive("?OTRv2?"))
    assert pair.alice.send("waits") == [Queued("waits")]
    cancelled, given_back, remembered = pair.alice.set_policy(MANUAL)
    assert cancelled == HandshakeFailed(HandshakeEnd.CANCELLED)
    assert given_back == NotSent("waits", HeldBack.NO_SESSION)
    assert remembered == MemoryChanged(pair.alice.memory)
    assert pair.alice.next_tick is None


def test_a_tag_starts_nothing_while_encrypted() -> None:
    pair = Pair(policies=(DEFAULT, DEFAULT))
    pair.secure()
    assert pair.hand("alice", f"hello{TAG}") == [Received("hello", Protection.UNEXPECTED_PLAIN)]
    assert not pair.alice.starting
    assert pair.lines == []


def test_a_tag_starts_anew_after_the_peers_end() -> None:
    """As by libotr: nobody is talked to in clear by that.  After version 4 it may be no older one."""
    pair = Pair(policies=(replace(DEFAULT, versions=frozenset({3})),) * 2)
    pair.secure()
    pair.end("bob")
    assert pair.hand("alice", f"hello{TAG}")[0] == Received("hello", Protection.UNEXPECTED_PLAIN)
    pair.settle()
    pair.agreed()


def test_policy_manual_answers_a_query() -> None:
    pair = Pair(policies=(MANUAL, MANUAL))
    pair.start("bob")
    pair.agreed()


def test_policy_never_touches_nothing() -> None:
    pair = Pair(policies=(NEVER, DEFAULT))
    pair.do("bob", pair.bob.start())
    query = pair.on_the_way["alice"][0]
    pair.settle()
    assert pair.events("alice") == [Received(query, Protection.PLAIN)]
    for line in ("hello", f"hello{TAG}", "?OTR:AAMC.", "?OTR Error: no", "?OTR|1|2,1,2,x,", "x" * 100_000):
        assert pair.hand("alice", line) == [Received(line, Protection.PLAIN)]
    assert pair.alice.send(f"text{TAG}") == [Transmit((f"text{TAG}",), plain=True)]
    assert pair.alice.end() == []
    assert pair.alice.tick() == []
    assert pair.alice.next_tick is None
    with pytest.raises(UsageError, match="switched off for bob"):
        pair.alice.start()
    assert not pair.alice.starting


@pytest.mark.parametrize(
    ("offered", "best"),
    [({1, 2, 3, 4}, 3), ({3}, 3), ({2, 4}, 2), ({4}, None), (set(), None), ({1}, None)],
)
def test_the_best_common_version(offered: set[int], best: int | None) -> None:
    assert Policy(frozenset({2, 3})).best_common(offered) == best


def test_the_query_offers_what_the_policy_allows() -> None:
    assert Policy(frozenset({3, 2})).query == "?OTRv23?"
    assert MANUAL.query == DEFAULT.query == "?OTRv34?"


@pytest.mark.parametrize("query", ["?OTRv?", "?OTRvx?"])
def test_a_query_that_offers_nothing_is_neither_shown_nor_answered(query: str) -> None:
    pair = Pair()
    assert pair.hand("alice", query) == [Rejected(Reason.VERSION)]
    assert not pair.alice.starting


@pytest.mark.parametrize(
    ("query", "offered"),
    [("?OTR?", {1}), ("?OTR?v?", {1}), ("?OTRv2?", {2}), ("?OTRv24?", {2, 4}), ("?OTR?v2?", {1, 2})],
)
def test_a_query_with_nothing_usable_is_told_and_not_answered(query: str, offered: set[int]) -> None:
    """Version 1 is one of those: nobody speaks it.  Each time, as somebody has asked."""
    pair = Pair()
    for _ in range(2):
        assert pair.hand("alice", query) == [NoCommonVersion(frozenset(offered))]
    assert not pair.alice.starting


@pytest.mark.parametrize(
    "query", ["?OTRv3?", "?OTRv23?", "?OTR?v23?", "?OTRv2x3?", "hello ?OTRv3? hello", "?OTRv3"]
)
def test_a_query_with_our_version_is_answered(query: str) -> None:
    pair = Pair()
    pair.hand("alice", query)
    pair.settle()
    pair.agreed()


@pytest.mark.parametrize(
    ("versions", "word", "left"),
    [
        ({3, 4}, "v2", {2, 3, 4}),
        ({3, 4}, "no-v4", {3}),
        ({3, 4}, "v4", {3, 4}),
        ({3}, "no-v4", {3}),
        ({3}, "no-v3", None),
        (set(), "v4", None),
        (set(), "no-v4", None),
        ({2, 3}, "always", {2, 3}),
        ({3}, "never", set()),
        (set(), "manual", {3, 4}),
    ],
)
def test_a_word_changes_what_it_names_and_never_leaves_a_policy_without_versions(
    versions: set[int], word: str, left: set[int] | None
) -> None:
    before = Policy(frozenset(versions), Tagging.KNOWN, padding=64)
    after = changed(before, word)
    if left is None:
        assert after is None
    elif word in PRESETS:
        assert after == replace(PRESETS[word], versions=frozenset(left), padding=64)
    else:
        assert after == replace(before, versions=frozenset(left))


def test_there_are_words_for_every_version() -> None:
    assert set(ALLOWING.values()) == set(FORBIDDING.values()) == VERSIONS


def test_encryption_cannot_be_required_while_otr_is_off() -> None:
    """Nothing could be encrypted: whichever of the two were meant, the other would be broken."""
    with pytest.raises(UsageError, match="allow a version"):
        Policy(frozenset(), require_encryption=True)
    with pytest.raises(UsageError, match="allow a version"):
        replace(ALWAYS, versions=frozenset())


@pytest.mark.parametrize("first", POLICY_WORDS)
@pytest.mark.parametrize("second", POLICY_WORDS)
def test_no_two_words_make_a_policy_that_cannot_be(first: str, second: str) -> None:
    policy = changed(MANUAL, first) or MANUAL
    policy = changed(policy, second) or policy
    assert policy.versions or name_of(policy) == "never"
