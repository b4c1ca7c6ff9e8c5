"""Lines that anybody could inject, by the hundred, cannot keep two peers from each other."""

from __future__ import annotations

import pytest

from otrcore.events import Received, SessionOpened, Transmit
from otrcore.model import MessageState
from otrcore.policy import DEFAULT
from tests.pair import SIDES, Pair, Side, speaking
from tests.peers.bad_network import TAG
from tests.spec.reading import line, public
from tests.spec.scripted import ScriptedPeer, exponents

LATENCY = 0.3
"""Seconds that a line takes."""

ROUNDS = 40
"""Lines each way within which an exchange must have ended."""

PEER = ScriptedPeer(0x4000, exponents()[7])


def injected(kind: str, to: Side, pair: Pair) -> str:
    """A line that somebody slips in; made by another instance where it has to name one."""
    tag = pair.accounts[to].instance_tag
    return {
        "query": "?OTRv3?",
        "old query": "?OTR?v23?",
        "tag": f"hello{TAG}",
        "Key": line(PEER.key(tag)),
        "Reveal": line(PEER.reveal(tag, public(5))),
        "Signature": line(PEER.signature(tag, public(5))),
        "data": line(PEER.data_message(tag, public(5), b"text")),
        "error": "?OTR Error: no",
        "plain": "hello",
        "nonsense": "?OTR:AAMC.",
    }[kind]


STRAY = ["query", "Reveal", "Signature", "data", "error", "plain", "nonsense"]


@pytest.mark.parametrize("starter", SIDES)
@pytest.mark.parametrize("kind", ["old query", "tag", *STRAY])
def test_an_exchange_ends_well_in_a_flood(kind: str, starter: Side) -> None:
    """Two lines are slipped in before each real one, to both sides.

    Not D-H Keys: the first that comes takes our Commit, wherever it comes from.
    """
    pair = Pair(policies=(DEFAULT, DEFAULT), seed="flood")
    pair.do(starter, pair.talks[starter].start())
    for _ in range(ROUNDS):
        for side in SIDES:
            for _ in range(2):
                pair.hand(side, injected(kind, side, pair))
            pair.clock.advance(LATENCY)
            if pair.on_the_way[side]:
                pair.deliver(side)
        if all(pair.of_kind(side, SessionOpened) for side in SIDES):
            break
    assert all(pair.of_kind(side, SessionOpened) for side in SIDES)
    pair.settle()
    pair.agreed()


@pytest.mark.parametrize("latency", [0.3, 2.0, 4.0])
@pytest.mark.parametrize("starter", SIDES)
@pytest.mark.parametrize("version", [2, 3])
def test_queries_cannot_keep_an_exchange_from_its_end(version: int, starter: Side, latency: float) -> None:
    """One to each side for each line's time on the way, for as long as it takes."""
    pair = Pair(policies=(speaking(2, 3), speaking(2, 3)), seed="queries")
    query = f"?OTRv{version}?"
    pair.hand(starter, query)
    for _ in range(12):
        pair.clock.advance(latency)
        arriving = [(side, waiting) for side in SIDES for waiting in pair.on_the_way[side]]
        for side in SIDES:
            pair.on_the_way[side].clear()
            due = pair.talks[side].next_tick
            if due is not None and due <= pair.clock.now:
                pair.do(side, pair.talks[side].tick())
            pair.hand(side, query)
        for side, late in arriving:
            pair.hand(side, late)
        if all(pair.of_kind(side, SessionOpened) for side in SIDES):
            break
    assert all(pair.of_kind(side, SessionOpened) for side in SIDES)
    assert all(talk.state is MessageState.ENCRYPTED for talk in pair.talks.values())


@pytest.mark.parametrize("kind", ["Key", *STRAY])
def test_a_flood_does_not_disturb_a_session(kind: str) -> None:
    """A query may start an exchange; what is typed meanwhile is read on the other side all the same."""
    pair = Pair()
    pair.secure()
    for number in range(10):
        for side in SIDES:
            for _ in range(3):
                pair.hand(side, injected(kind, side, pair))
        pair.say("alice", f"text {number}")
        pair.settle()
    texts = [event.text for event in pair.of_kind("bob", Received) if event.text.startswith("text")]
    assert texts == [f"text {number}" for number in range(10)]
    pair.agreed()


@pytest.mark.parametrize("kind", ["tag", "Key", *STRAY])
def test_each_injected_line_is_answered_by_one_line_at_most(kind: str) -> None:
    pair = Pair(policies=(DEFAULT, DEFAULT))
    for _ in range(50):
        events = pair.hand("alice", injected(kind, "alice", pair))
        assert sum(isinstance(event, Transmit) for event in events) <= 1
    assert pair.alice.state is MessageState.PLAINTEXT
    assert len(pair.on_the_way["bob"]) <= 50


def test_an_unanswered_commit_is_repeated_as_it_was() -> None:
    """A flood of queries does not make us compute anything."""
    pair = Pair()
    for _ in range(50):
        pair.hand("alice", "?OTRv3?")
    assert len(pair.lines) == 50
    assert len(set(pair.lines)) == 1
