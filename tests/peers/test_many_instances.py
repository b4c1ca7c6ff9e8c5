"""Instance tags made up by the thousand: bounded work, memory and answers, and nobody is pushed out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from otrcore.crypto.modp import DhKeyPair
from otrcore.errors import Reason
from otrcore.events import Rejected, SessionEnd, SessionEnded, SessionOpened, Transmit
from otrcore.instances import MAX_SESSIONS, MAX_STARTING, QUIET
from otrcore.model import MessageState, Protection, Trust
from tests.pair import Pair, Side, speaking
from tests.snapshot import snapshot
from tests.spec import reading
from tests.spec.scripted import ScriptedPeer, exponents
from tests.spec.subject import DISCONNECT, THEM, US, Subject, sent, shown

TAGS = range(0x10000, 0x10000 + 10_000)
PEER = ScriptedPeer(0x10000, exponents()[7])
KINDS = ("Commit", "Commit for everybody", "Key", "Reveal", "Signature", "data")


def forged(kind: str) -> bytes:
    """A message of the instance that `stamped` then names otherwise; its values are as good as any."""
    gx = reading.public(5)
    return {
        "Commit": PEER.commit(US),
        "Commit for everybody": PEER.commit(),
        "Key": PEER.key(US),
        "Reveal": PEER.reveal(US, gx),
        "Signature": PEER.signature(US, gx),
        "data": PEER.data_message(US, gx, b"text"),
    }[kind]


def stamped(raw: bytes, tag: int) -> bytes:
    return reading.readdressed(raw, tag, reading.message(raw).tags[1])


VALUES = 100
"""Plain values that an instance may be remembered by, keys and messages among them."""


class Work:
    """How many modular powers with secret exponents were asked for."""

    powers = 0


@contextmanager
def counted() -> Iterator[Work]:
    """Count our modular powers: what costs time."""
    work = Work()
    generate, shared = DhKeyPair.generate.__func__, DhKeyPair.shared_secret  # type: ignore[attr-defined]

    def generating(kind: type[DhKeyPair], *rest: object) -> object:
        work.powers += 1
        return generate(kind, *rest)

    def sharing(pair: DhKeyPair, their_public: int) -> object:
        work.powers += 1
        return shared(pair, their_public)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DhKeyPair, "generate", classmethod(generating))
        patch.setattr(DhKeyPair, "shared_secret", sharing)
        yield work


def situations(name: str) -> Subject:
    subject = Subject()
    if name == "encrypted":
        subject.encrypted()
    if name == "starting":
        assert sent(subject.talk.receive("?OTRv3?"))
    return subject


def size(picture: object) -> int:
    """The number of values in a picture."""
    match picture:
        case dict():
            return sum(map(size, picture.values()))
        case list():
            return sum(map(size, picture))
    return 1


each_situation = pytest.mark.parametrize("situation", ["starting", "encrypted"])


@pytest.mark.parametrize("kind", KINDS)
@each_situation
def test_ten_thousand_tags(kind: str, situation: str) -> None:
    """All in one second: work is done for the first few, and one word is said to each of those."""
    subject = situations(situation)
    info = subject.talk.info
    raw = forged(kind)
    answers, most = 0, size(snapshot(subject.talk))
    with counted() as work:
        for tag in TAGS:
            events = subject.take(stamped(raw, tag))
            answers += len(sent(events))
            if not sent(events):
                (rejected,) = events
                assert isinstance(rejected, Rejected)
                assert rejected.had_text is (kind == "data")
        assert work.powers <= 2 * MAX_STARTING
    assert answers <= (MAX_STARTING if "Commit" in kind or kind == "Key" else 0) or (
        "Commit" in kind and situation == "starting"
    )
    assert len(subject.talk._instances._sessions) <= MAX_STARTING + 1
    assert size(snapshot(subject.talk)) <= most + VALUES * MAX_STARTING
    assert subject.talk.info == info
    subject.clock.advance(200.0)
    for _ in range(5):
        subject.talk.tick()
        subject.clock.advance(100.0)
    assert subject.talk.next_tick is None
    assert len(subject.talk._instances._sessions) <= 1
    assert subject.talk.info == info


@pytest.mark.parametrize("kind", ["Commit", "Key"])
def test_new_tags_for_ten_minutes(kind: str) -> None:
    """Old ones that came to nothing make room, a few every ten seconds."""
    subject = situations("starting")
    raw, seconds = forged(kind), 600
    with counted() as work:
        for second in range(seconds):
            subject.clock.advance(1.0)
            if subject.talk.next_tick is not None and subject.talk.next_tick <= subject.clock.now:
                subject.talk.tick()
            for number in range(5):
                subject.take(stamped(raw, TAGS[5 * second + number]))
            assert len(subject.talk._instances._sessions) <= MAX_STARTING
    # A fresh value or a shared secret for each that is let in, and the two of what is tried again.
    assert work.powers <= 4 * MAX_STARTING * (seconds / QUIET + 1)


def test_forged_tags_push_no_session_out() -> None:
    """Nor do they make it worse: it is sent to and heard as before."""
    subject = Subject().encrypted()
    raws = [forged(kind) for kind in KINDS]
    for minute in range(5):
        subject.clock.advance(60.0)
        for tag in TAGS[100 * minute : 100 * (minute + 1)]:
            for raw in raws:
                subject.take(stamped(raw, tag))
    raw = subject.peer.data_message(US, subject.public(1), b"still here")
    (received, *_) = shown(subject.take(raw))
    assert getattr(received, "protection", None) is Protection.ENCRYPTED
    info = subject.talk.info
    assert info is not None
    assert info.their_instance_tag == THEM
    assert subject.talk.state is MessageState.ENCRYPTED


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("starter", ["alice", "bob"])
@pytest.mark.parametrize("kind", ["Commit", "Commit for everybody"])
def test_commits_of_other_tags_cannot_stop_an_exchange(kind: str, starter: Side, version: int) -> None:
    """Once it has begun: twenty new tags before each of its lines, on both sides."""
    pair = Pair(policies=(speaking(2, 3), speaking(2, 3)), seed="many")
    query = "?OTRv2?" if version == 2 else "?OTRv3?"
    pair.hand(starter, query)
    (line,) = pair.on_the_way["bob" if starter == "alice" else "alice"]
    pair.deliver("bob" if starter == "alice" else "alice")
    number = 0
    while waiting := [side for side in pair.talks if pair.on_the_way[side]]:
        for to in pair.talks:
            for _ in range(20):
                number += 1
                raw = reading.readdressed(PEER.commit(), TAGS[number], pair.accounts[to].instance_tag)
                # Not on the record: the answers are for nobody.
                pair.talks[to].receive(reading.line(raw))
        pair.clock.advance(1.5)
        pair.deliver(waiting[0])
    assert pair.agreed().version == version
    assert number > 100
    assert line


def open_with(subject: Subject, tag: int, key: str) -> list[object]:
    """Open one more session, as anybody can with a key of his own."""
    peer = ScriptedPeer(tag, exponents()[tag % 30], dsa=reading.private_key(key))
    reply = subject.take_for_reply(peer.commit())
    return list(subject.take(peer.reveal(US, reading.message(reply).number(0))))


def test_too_many_sessions_end_the_least_useful_one() -> None:
    """A verified one is kept, whoever comes; and whose goes is told on both sides."""
    subject = Subject().encrypted()
    subject.talk.set_trust(Trust.COMPARED)
    for number in range(1, MAX_SESSIONS):
        subject.clock.advance(1.0)
        open_with(subject, 0x5000 + number, f"stranger {number % 3}")
    assert len(subject.talk.sessions) == MAX_SESSIONS
    for number in range(MAX_SESSIONS, 3 * MAX_SESSIONS):
        subject.clock.advance(1.0)
        before = [info.their_instance_tag for info in subject.talk.sessions]
        events = open_with(subject, 0x5000 + number, f"stranger {number % 3}")
        assert any(isinstance(event, SessionOpened) for event in events)
        gone = set(before) - {info.their_instance_tag for info in subject.talk.sessions}
        assert gone == {before[1] if before[0] == THEM else before[0]}
        (data,) = [
            raw
            for event in events
            if isinstance(event, Transmit)
            for line in event.lines
            if (raw := reading.raw_of(line))[2] == reading.DATA
        ]
        assert reading.message(data).tags == (US, gone.pop())
        assert len(subject.talk.sessions) == MAX_SESSIONS
        info = subject.talk.info
        assert info is not None
        assert info.their_instance_tag == THEM


def test_ended_sessions_go_first() -> None:
    subject = Subject().encrypted()
    ended = ScriptedPeer(0x6000, exponents()[2])
    reply = subject.take_for_reply(ended.commit())
    gy = reading.message(reply).number(0)
    subject.take(ended.reveal(US, gy))
    assert SessionEnded(SessionEnd.PEER) in subject.take(ended.data_message(US, gy, DISCONNECT))
    for number in range(1, MAX_SESSIONS):
        subject.clock.advance(1.0)
        open_with(subject, 0x5000 + number, "stranger 0")
    assert THEM in [info.their_instance_tag for info in subject.talk.sessions]
    assert len(subject.talk.sessions) == MAX_SESSIONS


def test_data_of_an_unknown_tag_is_told_and_not_answered() -> None:
    subject = Subject().encrypted()
    assert subject.take(forged("data")) == [Rejected(Reason.NO_SESSION, had_text=True)]
