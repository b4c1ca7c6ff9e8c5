"""Both sides start at once: whatever the order of arrival, both end encrypted in one session.

Each direction keeps its order, as on IRC; the orders of the two directions against each
other are all tried.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from otrcore.events import HandshakeFailed, SessionOpened
from otrcore.model import MessageState
from tests.pair import SIDES, Pair, Side
from tests.peers.orders import Step, deliver, deliver_twice, every_order, some_order
from tests.spec import reading

QUERY = "?OTRv3?"
SEEDS = (0, 1)


def both_ask(pair: Pair) -> None:
    """Two queries are on their way."""
    for side in SIDES:
        pair.do(side, pair.talks[side].start())


def both_commit(pair: Pair) -> None:
    """Two Commits are on their way, as after a whitespace tag or an injected query."""
    for side in SIDES:
        pair.hand(side, QUERY)


def one_commits_one_asks(pair: Pair) -> None:
    """A Commit crosses a query."""
    pair.hand("alice", QUERY)
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
    pair.hand("alice", QUERY)
    pair.deliver("bob")
    both_ask(pair)


SITUATIONS = [both_ask, both_commit, one_commits_one_asks, both_commit_and_ask, one_has_been_answered]

Situation = Callable[[Pair], None]


def fresh(situation: Situation, seed: int, *, encrypted: bool = False) -> Pair:
    pair = Pair(seed=f"crossing {seed}")
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


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("situation", SITUATIONS)
def test_every_order(situation: Situation, seed: int) -> None:
    runs = 0
    for pair in every_order(lambda: fresh(situation, seed)):
        check_agreed(pair)
        runs += 1
    assert runs > 3


@pytest.mark.parametrize("seed", SEEDS)
def test_many_orders_of_impatient_users(seed: int) -> None:
    """All orders would be thousands."""
    for draw in range(20):
        check_agreed(some_order(fresh(both_ask_twice, seed), Random(f"{seed} {draw}")))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("situation", [both_ask, both_commit, one_commits_one_asks])
def test_every_order_while_encrypted(situation: Situation, seed: int) -> None:
    """The old session is replaced on both sides, and neither is ever out of encryption."""

    def step(pair: Pair, to: Side) -> None:
        assert {talk.state for talk in pair.talks.values()} == {MessageState.ENCRYPTED}
        deliver(pair, to)

    for pair in every_order(lambda: fresh(situation, seed, encrypted=True), step):
        check_agreed(pair)
        for side in SIDES:
            assert all(opened.refreshed for opened in pair.of_kind(side, SessionOpened))
            assert pair.of_kind(side, SessionOpened)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("encrypted", [False, True])
@pytest.mark.parametrize("situation", SITUATIONS)
def test_every_line_arrives_twice(situation: Situation, encrypted: bool, seed: int) -> None:
    for draw in range(5):
        pair = fresh(situation, seed, encrypted=encrypted)
        some_order(pair, Random(f"{seed} {draw}"), deliver_twice)
        check_agreed(pair)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("situation", SITUATIONS)
def test_in_pieces(situation: Situation, seed: int) -> None:
    """Fragments of both sides between each other."""
    for draw in range(3):
        pair = Pair(seed=f"crossing {seed}", line_limit=150)
        situation(pair)
        some_order(pair, Random(f"{seed} {draw}"))
        check_agreed(pair)


def test_both_outcomes_of_the_comparison_were_among_the_seeds() -> None:
    winners = set()
    for seed in SEEDS:
        pair = fresh(both_commit, seed)
        hashes = {side: reading.raw_of(pair.on_the_way[side][0])[-32:] for side in SIDES}
        # What is on its way to Alice is Bob's Commit.
        winners.add(hashes["alice"] > hashes["bob"])
    assert winners == {True, False}


@pytest.mark.parametrize("seed", SEEDS)
def test_the_higher_hash_is_the_initiator(seed: int) -> None:
    for pair in every_order(lambda: fresh(both_commit, seed)):
        commits = {
            side: raw[-32:] for side, line in pair.lines if (raw := reading.raw_of(line))[2] == reading.COMMIT
        }
        winner = max(commits, key=lambda side: commits[side])
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


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("situation", [both_ask, both_commit])
def test_slow_lines_change_nothing(situation: Situation, seed: int) -> None:
    """2.5 s pass before each line: the five for the winner's Reveal Signature are over meanwhile."""
    for pair in every_order(lambda: fresh(situation, seed), slowly(2.5)):
        check_agreed(pair)


@pytest.mark.parametrize("seconds", [4.0, 5.0, 6.0])
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("situation", [both_ask, both_commit])
def test_lines_so_slow_that_they_are_taken_for_lost(situation: Situation, seed: int, seconds: float) -> None:
    """What is tried again then meets what was on its way; it ends, and the next start is a good one."""
    for draw in range(8):
        pair = fresh(situation, seed)
        some_order(pair, Random(f"{seed} {draw}"), slowly(seconds))
        pair.wait(200.0)
        assert not pair.alice.starting
        assert not pair.bob.starting
        pair.start(SIDES[draw % 2])
        pair.agreed()
