"""What a conversation does when the user's decisions change outside it: `recall` and `renew`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from otrcore import (
    HandshakeFailed,
    MessageState,
    NotSent,
    SessionEnd,
    SessionEnded,
    SessionOpened,
    UsageError,
)
from otrcore.account import Account
from otrcore.conversation import Conversation
from otrcore.events import Event, HandshakeEnd, MemoryChanged, Received, SmpSucceeded
from otrcore.identity import Identity
from otrcore.memory import STRANGER, KnownKey, PeerMemory
from otrcore.model import Fingerprint, Protection, Trust
from otrcore.policy import ALWAYS, DEFAULT, MANUAL, NEVER, Policy
from tests.pair import SIDES, Pair, identity, speaking
from tests.snapshot import snapshot

BOB = identity("bob").fingerprint
BOTH = speaking(2, 3)


def knowing(*keys: KnownKey, policy: Policy | None = None, versions: tuple[int, ...] = (3,)) -> PeerMemory:
    return PeerMemory(frozenset(versions), keys, policy)


def secured(version: int = 3) -> Pair:
    pair = Pair(policies=(BOTH, speaking(version)))
    pair.secure()
    return pair


def kinds(events: list[Event]) -> list[type[Event]]:
    return [type(event) for event in events]


# ---- recall


@pytest.mark.parametrize("trust", Trust)
def test_trust_that_was_given_or_taken_elsewhere_counts(trust: Trust) -> None:
    pair = secured()
    pair.alice.set_trust(Trust.SMP if trust is Trust.NONE else Trust.NONE)
    assert pair.alice.recall(knowing(KnownKey(BOB, trust))) == []
    assert pair.alice.trust is trust
    pair.say("bob", "still here")
    assert pair.events("alice") == [Received("still here", Protection.ENCRYPTED)]


def test_what_is_recalled_is_not_to_be_remembered_again() -> None:
    """It comes from where memories are kept."""
    pair = secured()
    other = KnownKey(Fingerprint(bytes(20)), Trust.SMP)
    assert pair.alice.recall(knowing(other, KnownKey(BOB), policy=DEFAULT)) == []
    assert pair.alice.memory == knowing(other, KnownKey(BOB), policy=DEFAULT)


@pytest.mark.parametrize("memory", [STRANGER, knowing(KnownKey(Fingerprint(bytes(20)), Trust.SMP))])
def test_the_key_of_a_running_session_stays_known_and_can_be_trusted(memory: PeerMemory) -> None:
    pair = secured()
    pair.alice.set_trust(Trust.COMPARED)
    pair.alice.recall(memory)
    assert pair.alice.memory.keys == (*memory.keys, KnownKey(BOB))
    assert pair.alice.trust is Trust.NONE
    (changed,) = pair.alice.set_trust(Trust.COMPARED)
    assert isinstance(changed, MemoryChanged)
    assert changed.memory.trust(BOB) is Trust.COMPARED


def test_without_a_session_everything_can_be_forgotten() -> None:
    pair = secured()
    pair.alice.end()
    assert pair.alice.recall(STRANGER) == []
    assert pair.alice.memory == STRANGER


def test_another_key_is_expected_after_it() -> None:
    pair = Pair()
    expected = Fingerprint(bytes(20))
    pair.alice.recall(knowing(KnownKey(expected, Trust.SMP)))
    pair.start()
    (opened,) = pair.of_kind("alice", SessionOpened)
    assert opened.changed_from == expected


@pytest.mark.parametrize("policy", [NEVER, speaking(2)])
def test_a_policy_that_forbids_what_runs_ends_it(policy: Policy) -> None:
    pair = secured()
    pair.do("alice", pair.alice.recall(replace(pair.alice.memory, policy=policy)))
    pair.settle()
    assert pair.of_kind("alice", SessionEnded) == [SessionEnded(SessionEnd.HERE)]
    assert pair.of_kind("bob", SessionEnded) == [SessionEnded(SessionEnd.PEER)]
    assert pair.alice.state is MessageState.PLAINTEXT
    assert pair.alice.policy == policy


@pytest.mark.parametrize("policy", [MANUAL, ALWAYS, BOTH, None])
@pytest.mark.parametrize("version", [2, 3])
def test_one_that_allows_it_does_not(policy: Policy | None, version: int) -> None:
    pair = secured(version)
    if policy is not None:
        policy = replace(policy, versions=BOTH.versions)
    assert pair.alice.recall(replace(pair.alice.memory, policy=policy)) == []
    assert pair.alice.policy == (policy or BOTH)
    pair.agreed()


def test_a_start_that_is_forbidden_is_called_off_and_gives_texts_back() -> None:
    pair = Pair()
    pair.alice.start()
    pair.alice.send("a text")
    events = pair.alice.recall(PeerMemory(policy=NEVER))
    assert HandshakeFailed(HandshakeEnd.CANCELLED) in events
    assert [event.text for event in events if isinstance(event, NotSent)] == ["a text"]
    assert not pair.alice.starting


@pytest.mark.parametrize("running", [True, False])
def test_a_policy_that_nobody_can_follow_changes_nothing(running: bool) -> None:
    pair = secured() if running else Pair()
    before = snapshot(pair.alice)
    with pytest.raises(UsageError, match="versions"):
        pair.alice.recall(PeerMemory(policy=speaking(3, 99)))
    assert snapshot(pair.alice) == before


# ---- renew


def renewed(account: Account, identity: Identity, policy: Policy) -> list[tuple[Conversation, list[Event]]]:
    """Renew an account, and all that is said in it, as a host does."""
    account.renew(identity, policy)
    return [(talk, talk.renew(identity, policy)) for talk in account]


def test_another_identity_speaks_from_the_next_session_on() -> None:
    pair = secured()
    before = pair.agreed()
    account = pair.accounts["alice"]
    assert [kinds(events) for _, events in renewed(account, identity("another"), account.policy)] == [[]]
    pair.say("alice", "the same session")
    assert pair.events("bob") == [Received("the same session", Protection.ENCRYPTED)]
    assert pair.agreed().our_fingerprint == before.our_fingerprint == identity("alice").fingerprint
    pair.start()
    assert pair.agreed().our_fingerprint == identity("another").fingerprint
    (opened,) = pair.of_kind("bob", SessionOpened)
    assert opened.info.their_fingerprint == identity("another").fingerprint
    assert opened.changed_from == identity("alice").fingerprint
    assert account.identity is identity("another")


@pytest.mark.parametrize("version", [2, 3])
def test_a_verification_that_is_under_way_goes_on_with_the_key_that_it_began_with(version: int) -> None:
    pair = secured(version)
    pair.do("alice", pair.alice.smp_start("words"))
    pair.settle()
    for side in SIDES:
        renewed(pair.accounts[side], identity(f"another {side}"), BOTH)
    pair.do("bob", pair.bob.smp_answer("words"))
    pair.settle()
    for side in SIDES:
        assert pair.of_kind(side, SmpSucceeded) == [SmpSucceeded(trusts=True)]


@pytest.mark.parametrize("lines", range(5))
def test_a_start_that_is_under_way_comes_to_an_end(lines: int) -> None:
    """With either key, and both sides agree on which."""
    pair = Pair()
    pair.do("alice", pair.alice.start())
    for number in range(lines):
        pair.deliver("bob" if number % 2 == 0 else "alice")
    renewed(pair.accounts["alice"], identity("another"), MANUAL)
    pair.settle()
    ours, theirs = pair.agreed().our_fingerprint, pair.bob.info
    assert theirs is not None
    assert ours == theirs.their_fingerprint
    assert ours in (identity("alice").fingerprint, identity("another").fingerprint)


def test_a_policy_of_the_account_holds_where_there_is_no_own_one() -> None:
    pair = secured()
    account = pair.accounts["alice"]
    own = account.conversation("own", PeerMemory(policy=MANUAL))
    idle = account.conversation("idle")
    followed = {talk.peer: events for talk, events in renewed(account, account.identity, NEVER)}
    assert SessionEnded(SessionEnd.HERE) in followed["bob"]
    assert followed["own"] == followed["idle"] == []
    assert (pair.alice.policy, own.policy, idle.policy) == (NEVER, MANUAL, NEVER)
    assert account.conversation("made later").policy == NEVER


def test_a_session_under_an_own_policy_goes_on() -> None:
    pair = secured()
    pair.alice.set_policy(MANUAL)
    assert [events for _, events in renewed(pair.accounts["alice"], identity("alice"), NEVER)] == [[]]
    pair.agreed()
    assert pair.alice.recall(replace(pair.alice.memory, policy=None))[-1] == SessionEnded(SessionEnd.HERE)


def test_an_account_refuses_a_policy_that_nobody_can_follow_as_a_whole() -> None:
    pair = secured()
    account = pair.accounts["alice"]
    before = snapshot(account)
    with pytest.raises(UsageError, match="versions"):
        account.renew(identity("another"), speaking(3, 99))
    assert snapshot(account) == before
