"""Lines that anybody could inject, by the hundred, cannot keep two peers from each other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from otrcore.account import Account
from otrcore.events import Received, SessionOpened, Transmit
from otrcore.model import MessageState
from otrcore.policy import DEFAULT
from tests.pair import SIDES, Pair, Side, identity, speaking
from tests.peers.bad_network import TAG, TAG_4
from tests.spec.reading import integer, line, public
from tests.spec.scripted import ScriptedPeer, exponents
from tests.wire import recorded4

LATENCY = 0.3
"""Seconds that a line takes."""

ROUNDS = 40
"""Lines each way within which an exchange must have ended."""

PEER = ScriptedPeer(0x4000, exponents()[7])


def injected(kind: str, to: Side, pair: Pair) -> str:
    """A line that somebody slips in; made by another instance where it has to name one."""
    tag = pair.accounts[to].instance_tag
    if kind in OF_OTR4J:
        return line(OF_OTR4J[kind][:3] + integer(PEER.tag) + integer(tag) + OF_OTR4J[kind][11:])
    return {
        "query": "?OTRv3?",
        "old query": "?OTR?v23?",
        "tag": f"hello{TAG}",
        "tag of version 4": f"hello{TAG_4}",
        "query of version 4": "?OTRv4?",
        "error 1": "?OTR Error: ERROR_1: no",
        "fragment": f"?OTR|7|{PEER.tag:x}|{tag:x},2,3,?OTR:AAQD,",
        "Key": line(PEER.key(tag)),
        "Reveal": line(PEER.reveal(tag, public(5))),
        "Signature": line(PEER.signature(tag, public(5))),
        "data": line(PEER.data_message(tag, public(5), b"text")),
        "error": "?OTR Error: no",
        "plain": "hello",
        "nonsense": "?OTR:AAMC.",
    }[kind]


STRAY = ["query", "Reveal", "Signature", "data", "error", "plain", "nonsense"]

OF_OTR4J = {
    kind: next(raw for raw in recorded4.messages("trace") if raw[2] == number)
    for kind, number in (("Identity", 0x35), ("Auth-R", 0x36), ("Auth-I", 0x37), ("data 4", 0x03))
}
"""Of a conversation that is over, and otherwise well made."""

STRAY_4 = ["query of version 4", *OF_OTR4J, "data", "error 1", "fragment", "plain", "nonsense"]
BOTH = [*((kind, 3) for kind in STRAY), *((kind, 4) for kind in STRAY_4)]


@pytest.mark.parametrize("starter", SIDES)
@pytest.mark.parametrize(("kind", "version"), [("old query", 3), ("tag", 3), ("tag of version 4", 4), *BOTH])
def test_an_exchange_ends_well_in_a_flood(kind: str, version: int, starter: Side) -> None:
    """Two lines are slipped in before each real one, to both sides.

    Not D-H Keys: the first that comes takes our Commit, wherever it comes from.
    """
    policy = replace(DEFAULT, versions=frozenset({version}))
    pair = Pair(policies=(policy, policy), seed="flood")
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
@pytest.mark.parametrize("version", [2, 3, 4])
def test_queries_cannot_keep_an_exchange_from_its_end(version: int, starter: Side, latency: float) -> None:
    """One to each side for each line's time on the way, for as long as it takes."""
    pair = Pair(policies=(speaking(2, 3, 4), speaking(2, 3, 4)), seed="queries")
    query = f"?OTRv{version}?"
    pair.hand(starter, query)
    for _ in range(12):
        pair.clock.advance(latency)
        arriving = [(side, waiting) for side in SIDES for waiting in pair.on_the_way[side]]
        for side in SIDES:
            pair.on_the_way[side].clear()
        for side in SIDES:
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


@pytest.mark.parametrize(("kind", "version"), [("Key", 3), *BOTH])
def test_a_flood_does_not_disturb_a_session(kind: str, version: int) -> None:
    """A query may start an exchange; what is typed meanwhile is read on the other side all the same."""
    pair = Pair(version=version)
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


@pytest.mark.parametrize(("kind", "version"), [("tag", 3), ("Key", 3), ("tag of version 4", 4), *BOTH])
def test_each_injected_line_is_answered_by_one_line_at_most(kind: str, version: int) -> None:
    policy = replace(DEFAULT, versions=frozenset({version}))
    pair = Pair(policies=(policy, policy))
    for _ in range(50):
        events = pair.hand("alice", injected(kind, "alice", pair))
        assert sum(isinstance(event, Transmit) for event in events) <= 1
    assert pair.alice.state is MessageState.PLAINTEXT
    assert len(pair.on_the_way["bob"]) <= 50


def test_an_unanswered_identity_is_repeated_as_it_was_and_not_at_once() -> None:
    """It takes 6 lines on IRC: every 10 s at most, and twice, whoever asks."""
    pair = Pair(version=4)
    for number in range(100):
        pair.hand("alice", "?OTRv4?")
        pair.clock.advance(0.5)
        assert len(pair.lines) == min(1 + number // 20, 3)
    assert len(set(pair.lines)) == 1


def test_identities_are_answered_three_times_at_once_and_then_every_ten_seconds() -> None:
    """An Auth-R takes 7 lines on IRC; whoever the Identity claims to be from."""
    pair = Pair(version=4)
    clients = [
        Account(identity("bob"), speaking(4), name="bob", instance_tag=0x5A00 + number, clock=pair.clock)
        for number in range(40)
    ]
    answered = []
    for client in clients:
        (start, *_) = client.conversation("alice").receive("?OTRv4?")
        assert isinstance(start, Transmit)
        events = pair.hand("alice", start.lines[0])
        answered.append(any(isinstance(event, Transmit) for event in events))
        pair.clock.advance(1.0)
    # Three in any half minute.
    assert [at for at, was in enumerate(answered) if was] == [0, 1, 2, 30, 31, 32]


@pytest.mark.parametrize("version", [2, 3])
def test_an_unanswered_commit_is_repeated_as_it_was(version: int) -> None:
    """A flood of queries does not make us compute anything, nor send it more often than each 10 seconds."""
    pair = Pair(version=version)
    at: list[int] = []
    for second in range(60):
        for _ in range(10):
            pair.hand("alice", f"?OTRv{version}?" if version > 2 else "?OTR?v2?")
        at += [second] * (len(pair.lines) - len(at))
        pair.clock.advance(1.0)
        pair.do("alice", pair.alice.tick())
    assert at == [0, 10, 20, 30, 40, 50]
    assert len(set(pair.lines)) == 1
