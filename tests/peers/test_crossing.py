"""Both sides start at once: whatever the order of arrival, both end encrypted in one session.

Each direction keeps its order, as on IRC; the orders of the two directions against each
other are all tried.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from random import Random

import pytest

from otrcore.events import HandshakeFailed, SessionOpened
from otrcore.model import MessageState
from tests.pair import SIDES, Pair, Side
from tests.peers.orders import Step, deliver, deliver_twice, every_order, some_order
from tests.spec import reading

SEEDS = (0, 1)
VERSIONS = (3, 4)


def query(pair: Pair) -> str:
    """The query for the one version that both speak."""
    return pair.alice.policy.query


def both_ask(pair: Pair) -> None:
    """Two queries are on their way."""
    for side in SIDES:
        pair.do(side, pair.talks[side].start())


def both_commit(pair: Pair) -> None:
    """Two Commits are on their way, as after a whitespace tag or an injected query."""
    for side in SIDES:
        pair.hand(side, query(pair))


def one_commits_one_asks(pair: Pair) -> None:
    """A Commit crosses a query."""
    pair.hand("alice", query(pair))
    pair.do("bob", pair.bob.start())


def both_ask_twice(pair: Pair) -> None:
    """Impatient users."""
    both_ask(pair)
    both_ask(pair)


def both_commit_and_ask(pair: Pair) -> None:
    """Everything at once."""
    both_commit(pair)
    both_ask(pair)


def one_has_been_answered(pair: Pair) -> None:
    """A Commit has reached Bob, whose answer crosses a query of Alice's and one of his own."""
    pair.hand("alice", query(pair))
    pair.deliver("bob")
    both_ask(pair)


SITUATIONS = [both_ask, both_commit, one_commits_one_asks, both_commit_and_ask, one_has_been_answered]

Situation = Callable[[Pair], None]

IDENTITY = 0x35


def hash_of_b(identity: bytes) -> bytes:
    """SHAKE-256 of the MPI B: behind the header, a client profile of 5 fields, and Y."""
    at = 11 + 4 + 2 + 4 + 2 * (2 + 2 + 57) + (2 + 4 + 1) + (2 + 8) + 114 + 57
    length = int.from_bytes(identity[at : at + 4], "big")
    assert 380 < length <= 384
    return hashlib.shake_256(identity[at : at + 4 + length]).digest(32)


def fresh(situation: Situation, seed: int, version: int, *, encrypted: bool = False) -> Pair:
    pair = Pair(seed=f"crossing {seed}", version=version)
    if encrypted:
        pair.secure()
        pair.wait(10.0)
    situation(pair)
    return pair


def check_agreed(pair: Pair) -> None:
    """Both are in one session, in opposite roles, and nothing is left over or was given up."""
    info = pair.agreed()
    assert not pair.alice.starting
    assert not pair.bob.starting
    bobs = pair.bob.info
    assert bobs is not None
    assert info.initiator is not bobs.initiator
    for side in SIDES:
        assert pair.of_kind(side, HandshakeFailed) == []


each_version = pytest.mark.parametrize("version", VERSIONS)


@each_version
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("situation", SITUATIONS)
def test_every_order(situation: Situation, seed: int, version: int) -> None:
    runs = 0
    for pair in every_order(lambda: fresh(situation, seed, version)):
        check_agreed(pair)
        runs += 1
    # There is but one way where a query finds a Commit on its way already.
    assert runs > 1


@each_version
@pytest.mark.parametrize("seed", SEEDS)
def test_many_orders_of_impatient_users(seed: int, version: int) -> None:
    """All orders would be thousands."""
    for draw in range(20):
        check_agreed(some_order(fresh(both_ask_twice, seed, version), Random(f"{seed} {draw}")))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("situation", "version"), [(both_ask, 3), (both_commit, 3), (one_commits_one_asks, 3), (both_commit, 4)]
)
def test_every_order_while_encrypted(situation: Situation, seed: int, version: int) -> None:
    """The old session is replaced on both sides, and neither is ever out of encryption.

    In version 4 a user who asks ends the old session first, so that only queries of others count here.
    """

    def step(pair: Pair, to: Side) -> None:
        assert {talk.state for talk in pair.talks.values()} == {MessageState.ENCRYPTED}
        deliver(pair, to)

    for pair in every_order(lambda: fresh(situation, seed, version, encrypted=True), step):
        check_agreed(pair)
        for side in SIDES:
            assert all(opened.refreshed for opened in pair.of_kind(side, SessionOpened))
            assert pair.of_kind(side, SessionOpened)


@each_version
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("encrypted", [False, True])
@pytest.mark.parametrize("situation", SITUATIONS)
def test_every_line_arrives_twice(situation: Situation, encrypted: bool, seed: int, version: int) -> None:
    for draw in range(5):
        pair = fresh(situation, seed, version, encrypted=encrypted)
        some_order(pair, Random(f"{seed} {draw}"), deliver_twice)
        check_agreed(pair)


@each_version
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("situation", SITUATIONS)
def test_in_pieces(situation: Situation, seed: int, version: int) -> None:
    """Fragments of both sides between each other."""
    for draw in range(3):
        pair = Pair(seed=f"crossing {seed}", version=version, line_limit=150)
        situation(pair)
        some_order(pair, Random(f"{seed} {draw}"))
        check_agreed(pair)


COMPARED: dict[int, tuple[int, Callable[[bytes], bytes]]] = {
    3: (reading.COMMIT, lambda raw: raw[-32:]),
    4: (IDENTITY, hash_of_b),
}
"""By version: the type of the message that decides a crossing, and what of it is compared."""


@each_version
def test_both_outcomes_of_the_comparison_were_among_the_seeds(version: int) -> None:
    winners = set()
    _, compared = COMPARED[version]
    for seed in SEEDS:
        pair = fresh(both_commit, seed, version)
        hashes = {side: compared(reading.raw_of(pair.on_the_way[side][0])) for side in SIDES}
        # What is on its way to Alice is Bob's.
        winners.add(hashes["alice"] > hashes["bob"])
    assert winners == {True, False}


@each_version
@pytest.mark.parametrize("seed", SEEDS)
def test_the_higher_hash_is_the_initiator(seed: int, version: int) -> None:
    kind, compared = COMPARED[version]
    for pair in every_order(lambda: fresh(both_commit, seed, version)):
        hashes = {
            side: compared(raw) for side, line in pair.lines if (raw := reading.raw_of(line))[2] == kind
        }
        winner = max(hashes, key=lambda side: hashes[side])
        info = pair.talks[winner].info
        assert info is not None
        assert info.initiator


def slowly(seconds: float) -> Step:
    """Return a link on which one line of either side arrives in so many seconds."""

    def step(pair: Pair, to: Side) -> None:
        pair.clock.advance(seconds)
        for side in SIDES:
            due = pair.talks[side].next_tick
            if due is not None and due <= pair.clock.now:
                pair.do(side, pair.talks[side].tick())
        deliver(pair, to)

    return step


@each_version
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("situation", [both_ask, both_commit])
def test_slow_lines_change_nothing(situation: Situation, seed: int, version: int) -> None:
    """2.5 s pass before each line: the five for the winner's Reveal Signature are over meanwhile."""
    for pair in every_order(lambda: fresh(situation, seed, version), slowly(2.5)):
        check_agreed(pair)


@pytest.mark.parametrize(
    ("version", "seconds"), [(3, 4.0), (3, 5.0), (3, 6.0), (4, 16.0), (4, 30.0), (4, 50.0)]
)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("situation", [both_ask, both_commit])
def test_lines_so_slow_that_they_are_taken_for_lost(
    situation: Situation, seed: int, version: int, seconds: float
) -> None:
    """What is tried again then meets what was on its way; it ends, and the next start is a good one."""
    for draw in range(8):
        pair = fresh(situation, seed, version)
        some_order(pair, Random(f"{seed} {draw}"), slowly(seconds))
        pair.wait(200.0)
        assert not pair.alice.starting
        assert not pair.bob.starting
        pair.start(SIDES[draw % 2])
        pair.agreed()
