"""One message of a key exchange is lost: nothing breaks, nothing leaks, and another start heals it."""

from __future__ import annotations

from itertools import product

import pytest

from otrcore.events import HandshakeEnd, HandshakeFailed, HeldBack, NotSent
from otrcore.model import MessageState
from tests.pair import OTHER, SIDES, Pair, Side
from tests.spec import reading

MESSAGES = ("query", "Commit", "Key", "Reveal", "Signature")
TYPES = dict(zip(MESSAGES[1:], (reading.COMMIT, reading.KEY, reading.REVEAL, reading.SIGNATURE), strict=True))
TO_INITIATOR = ("query", "Key", "Signature")

QUIET = 10.0
"""Seconds after which an exchange in which the peer takes part may be begun anew."""


def is_kind(line: str, kind: str) -> bool:
    """Whether a line is this message."""
    if kind == "query":
        return line.startswith("?OTRv")
    return line.startswith("?OTR:") and reading.raw_of(line)[2] == TYPES[kind]


def start_losing(pair: Pair, kind: str) -> None:
    """Alice starts, so that Bob is the initiator; one message is lost."""
    pair.do("alice", pair.alice.start())
    lost = 0
    while waiting := [side for side in SIDES if pair.on_the_way[side]]:
        to = waiting[0]
        if is_kind(pair.on_the_way[to][0], kind):
            pair.on_the_way[to].popleft()
            assert to == ("bob" if kind in TO_INITIATOR else "alice")
            lost += 1
        else:
            pair.deliver(to)
    assert lost == 1


def losing(kind: str, *, encrypted: bool) -> Pair:
    pair = Pair()
    if encrypted:
        pair.secure()
    start_losing(pair, kind)
    return pair


@pytest.mark.parametrize(("kind", "again", "encrypted"), list(product(MESSAGES, SIDES, [False, True])))
def test_another_start_heals_it(kind: str, again: Side, encrypted: bool) -> None:
    pair = losing(kind, encrypted=encrypted)
    pair.wait(QUIET)
    pair.start(again)
    pair.agreed()
    for side in SIDES:
        pair.clear()
        pair.say(side, "hello")
        assert [getattr(event, "text", None) for event in pair.events(OTHER[side])] == ["hello"]


@pytest.mark.parametrize(("kind", "again"), list(product(MESSAGES, SIDES)))
def test_another_start_heals_it_also_after_everything_was_given_up(kind: str, again: Side) -> None:
    pair = losing(kind, encrypted=False)
    pair.wait(61.0)
    assert not pair.alice.starting
    assert not pair.bob.starting
    pair.start(again)
    pair.agreed()


@pytest.mark.parametrize(("kind", "again", "encrypted"), list(product(MESSAGES, SIDES, [False, True])))
def test_an_impatient_start_heals_it_within_10_s(kind: str, again: Side, encrypted: bool) -> None:
    """At once where the peer takes no part yet, else when it is remembered: nobody need ask a third time."""
    pair = losing(kind, encrypted=encrypted)
    pair.start(again)
    if kind in ("query", "Commit"):
        pair.agreed()
    pair.wait(QUIET)
    pair.agreed()
    assert not pair.alice.starting
    assert not pair.bob.starting


@pytest.mark.parametrize("kind", MESSAGES)
def test_nothing_is_typed_into_the_open_meanwhile(kind: str) -> None:
    pair = losing(kind, encrypted=False)
    for side in SIDES:
        talk = pair.talks[side]
        if talk.starting:
            assert talk.send("secret") == [NotSent("secret", HeldBack.STARTING)]
    assert pair.alice.starting or pair.alice.state is MessageState.ENCRYPTED


@pytest.mark.parametrize(
    ("kind", "alices", "bobs"),
    [
        ("query", [HandshakeEnd.NO_ANSWER], []),
        ("Commit", [HandshakeEnd.NO_ANSWER], [HandshakeEnd.NO_ANSWER]),
        ("Key", [HandshakeEnd.INCOMPLETE], [HandshakeEnd.NO_ANSWER]),
        ("Reveal", [HandshakeEnd.INCOMPLETE], [HandshakeEnd.INCOMPLETE]),
        ("Signature", [], [HandshakeEnd.INCOMPLETE]),
    ],
)
def test_both_are_told_once_that_it_came_to_nothing(
    kind: str, alices: list[HandshakeEnd], bobs: list[HandshakeEnd]
) -> None:
    pair = losing(kind, encrypted=False)
    pair.wait(120.0)
    assert [event.reason for event in pair.of_kind("alice", HandshakeFailed)] == alices
    assert [event.reason for event in pair.of_kind("bob", HandshakeFailed)] == bobs
    assert pair.alice.next_tick is None
    assert pair.bob.next_tick is None


@pytest.mark.parametrize("kind", ["query", "Commit", "Key", "Reveal"])
def test_a_running_session_goes_on(kind: str) -> None:
    """Until one side has finished the new exchange, nothing has happened to the old session."""
    pair = Pair()
    before = pair.secure()
    start_losing(pair, kind)
    assert pair.agreed() == before
    for _ in range(3):
        for side in SIDES:
            pair.clear()
            pair.say(side, "still here")
            assert [getattr(event, "text", None) for event in pair.events(OTHER[side])] == ["still here"]
    pair.wait(61.0)
    assert pair.agreed() == before
