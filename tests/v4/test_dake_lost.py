"""Messages of the key exchange are lost: it heals by its timers, or ends, and leaves no secret behind."""

from __future__ import annotations

import math

import pytest

from otrcore.events import Event, HandshakeEnd, HandshakeFailed, HandshakeStep, Received
from otrcore.model import MessageState, Protection
from otrcore.v4.dake import INITIATOR_RETRIES, LIFETIME, REPEAT_PAUSE, RESPONDER_RETRIES, Dake, Done
from tests.pair import OTHER, SIDES, Pair, Side
from tests.snapshot import secrets_in, snapshot
from tests.spec import reading, reading4
from tests.spec.subject import sent
from tests.spec.subject4 import THEM, Subject

TYPES = {"Identity": reading4.IDENTITY, "Auth-R": reading4.AUTH_R, "Auth-I": reading4.AUTH_I}
AFTER = {"Identity": INITIATOR_RETRIES, "Auth-R": INITIATOR_RETRIES, "Auth-I": RESPONDER_RETRIES}
"""Seconds after which each has been made good."""


def is_kind(line: str, kind: str) -> bool:
    """Whether a line is this message."""
    return line.startswith("?OTR:") and reading.raw_of(line)[2] == TYPES[kind]


class Losing(Pair):
    """A pair whose link loses the next message of each of these kinds, or every one."""

    def __init__(self, *kinds: str, always: bool = False, encrypted: bool = False) -> None:
        super().__init__(version=4)
        self.to_lose: list[str] = []
        self.always = always
        if encrypted:
            self.secure()
            self.wait(LIFETIME)
        self.to_lose += kinds

    def deliver(self, to: Side) -> list[Event]:
        line = self.on_the_way[to][0]
        kind = next((kind for kind in self.to_lose if is_kind(line, kind)), None)
        if kind is None:
            return super().deliver(to)
        self.on_the_way[to].popleft()
        if not self.always:
            self.to_lose.remove(kind)
        return []

    def begin(self) -> None:
        """Bob is the initiator."""
        self.hand("bob", "?OTRv4?")
        self.settle()


def check_talk(pair: Pair) -> None:
    for side in SIDES:
        pair.clear()
        pair.say(side, "hello")
        assert pair.of_kind(OTHER[side], Received) == [Received("hello", Protection.ENCRYPTED)]


@pytest.mark.parametrize("encrypted", [False, True])
@pytest.mark.parametrize("lost", TYPES)
def test_one_lost_message_heals_by_itself(lost: str, encrypted: bool) -> None:
    pair = Losing(lost, encrypted=encrypted)
    old = pair.alice.info
    pair.begin()
    assert pair.to_lose == []
    # Alice's side is the last to know; an older session goes on there.
    assert pair.alice.info == old
    pair.wait(AFTER[lost] - 1.0)
    assert pair.alice.info == old
    pair.wait(1.0)
    assert pair.agreed() != old
    check_talk(pair)
    pair.wait(LIFETIME)
    assert pair.of_kind("alice", HandshakeFailed) == pair.of_kind("bob", HandshakeFailed) == []


@pytest.mark.parametrize("lost", [("Identity", "Auth-I"), ("Auth-R", "Auth-I"), ("Auth-R", "Auth-R")])
def test_two_lost_messages(lost: tuple[str, str]) -> None:
    pair = Losing(*lost)
    pair.begin()
    pair.wait(INITIATOR_RETRIES + LIFETIME)
    pair.agreed()
    check_talk(pair)


@pytest.mark.parametrize("lost", TYPES)
def test_what_is_always_lost_ends_at_the_end_of_its_lifetime(lost: str) -> None:
    """It was tried twice; who waits is told once, and nothing of it is left."""
    pair = Losing(lost, always=True)
    pair.begin()
    pair.wait(10 * LIFETIME)
    tries = sum(is_kind(line, lost) for _, line in pair.lines)
    assert 2 <= tries <= 3
    ended: dict[str, tuple[list[HandshakeEnd], list[HandshakeEnd]]] = {
        "Identity": ([], [HandshakeEnd.NO_ANSWER]),
        "Auth-R": ([HandshakeEnd.INCOMPLETE], [HandshakeEnd.NO_ANSWER]),
        "Auth-I": ([HandshakeEnd.INCOMPLETE], []),
    }
    for side, reasons in zip(SIDES, ended[lost], strict=True):
        assert [event.reason for event in pair.of_kind(side, HandshakeFailed)] == reasons
        assert not pair.talks[side].starting
    assert secrets_in(snapshot(pair.alice._instances)) == set()
    assert pair.alice.state is MessageState.PLAINTEXT


def dake_of(subject: Subject) -> Dake:
    exchange = subject.talk._instances._sessions[THEM].exchanges[4]
    assert isinstance(exchange, Dake)
    return exchange


def test_who_is_done_lingers_for_a_while_without_secrets() -> None:
    subject = Subject()
    subject.secure(initiator=True)
    exchange = dake_of(subject)
    assert isinstance(exchange.state, Done)
    assert not exchange.running
    assert exchange.lingers
    assert exchange.sent == frozenset()
    assert secrets_in(snapshot(exchange.state)) == set()
    subject.clock.advance(LIFETIME)
    assert subject.talk.tick() == []
    assert not exchange.lingers
    assert exchange.deadline is None
    assert 4 not in subject.talk._instances._sessions[THEM].exchanges


def test_who_has_repeated_an_identity_forgets_its_secrets_when_it_does_not_linger_any_more() -> None:
    subject = Subject()
    ours = subject.identity()
    subject.clock.advance(INITIATOR_RETRIES)
    assert [reading.raw_of(line) for line in sent(subject.talk.tick())] == [ours]
    assert subject.talk.tick() == []
    subject.take(subject.peer.auth_r("answer", ours))
    exchange = dake_of(subject)
    taken = reading4.exchange(ours)
    assert exchange.sent == {taken.point, taken.number, taken.first_point, taken.first_number}
    subject.clock.advance(LIFETIME)
    subject.talk.tick()
    assert not exchange.lingers
    assert exchange.sent == frozenset()


def test_replays_of_the_last_word_are_answered_at_most_every_ten_seconds() -> None:
    """The same Auth-R again and again: the same Auth-I, a few times, until nothing lingers."""
    subject = Subject()
    ours = subject.identity()
    auth_r = subject.peer.auth_r("answer", ours)
    answers = sent(subject.take(auth_r))
    for _ in range(200):
        subject.clock.advance(1.0)
        subject.talk.tick()
        answers += sent(subject.take(auth_r))
    assert len(set(answers)) == 1
    assert len(answers) == math.ceil(LIFETIME / REPEAT_PAUSE)


def test_replays_of_an_identity_do_not_keep_an_exchange_alive() -> None:
    subject = Subject()
    identity = subject.peer.identity("theirs")
    answers, ended = sent(subject.take(identity)), 0
    for _ in range(int(LIFETIME) - 1):
        subject.clock.advance(1.0)
        events = subject.talk.tick() + subject.take(identity)
        answers += sent(events)
    assert subject.talk.starting
    subject.clock.advance(1.0)
    for event in subject.talk.tick():
        ended += event == HandshakeFailed(HandshakeEnd.INCOMPLETE)
    assert ended == 1
    assert not subject.talk.starting
    assert len(set(answers)) == 1
    assert len(answers) <= LIFETIME / REPEAT_PAUSE


def test_each_step_is_told() -> None:
    pair = Pair(version=4)
    pair.hand("bob", "?OTRv4?")
    pair.settle()
    assert pair.of_kind("bob", HandshakeStep) == [
        HandshakeStep("Identity", sent=True),
        HandshakeStep("Auth-R", sent=False),
        HandshakeStep("Auth-I", sent=True),
    ]
    assert pair.of_kind("alice", HandshakeStep) == [
        HandshakeStep("Identity", sent=False),
        HandshakeStep("Auth-R", sent=True),
        HandshakeStep("Auth-I", sent=False),
    ]
