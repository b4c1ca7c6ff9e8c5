"""A MAC key that has been revealed verifies nothing any more, whatever was lost, late, renewed or ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otrcore.events import Event, Received, Rejected
from otrcore.model import MessageState
from otrcore.v4.channel import LIFETIME
from tests.pair import OTHER, SIDES, Pair, Side, speaking
from tests.snapshot import snapshot
from tests.spec import reading, reading4
from tests.spec.reading import data
from tests.spec.reading4 import DataFields
from tests.spec.subject4 import Subject

repeatable = settings(
    derandomize=True, deadline=None, max_examples=25, suppress_health_check=list(HealthCheck), print_blob=True
)


def data_messages(lines: Iterable[str]) -> Iterator[bytes]:
    for line in lines:
        if line.startswith("?OTR:") and (raw := reading.raw_of(line))[:3] == b"\0\4\3":
            yield raw


def forged(raw: bytes, mac_key: bytes) -> bytes:
    """The message with one bit of the text changed, as anybody can make it who knows its MAC key."""
    fields = reading4.data_fields(raw)
    covered = fields.covered[:-1] + bytes([fields.covered[-1] ^ 1])
    return covered + reading4.kdf(0x18, mac_key, covered) + data(b"")


def verifies(mac_key: bytes, fields: DataFields) -> bool:
    return reading4.kdf(0x18, mac_key, fields.covered) == fields.mac


class Reader(Pair):
    """A pair whose lines somebody reads, who forges under every key as soon as he knows it, and later."""

    def __init__(self, seed: object) -> None:
        self.known: dict[bytes, tuple[Side, bytes]] = {}
        """Keys that were revealed: to whom a message under each went, and the message."""
        self.seen: dict[Side, list[bytes]] = {side: [] for side in SIDES}
        self.heard: dict[Side, int] = dict.fromkeys(SIDES, 0)
        super().__init__(version=4, seed=seed)

    def do(self, side: Side, events: Iterable[Event]) -> list[Event]:
        before = len(self.lines)
        events = super().do(side, events)
        for raw in data_messages(line for _, line in self.lines[before:]):
            self.seen[side].append(raw)
            for key in reading4.data_fields(raw).revealed:
                assert key not in self.known, "revealed twice"
                # Of one message that the other side has sent, and of no other.
                (of,) = [
                    other for other in self.seen[OTHER[side]] if verifies(key, reading4.data_fields(other))
                ]
                self.known[key] = side, of
                self.try_it(key)
        return events

    def try_it(self, key: bytes) -> None:
        """Forge under a key, and play again what it was really used for: it is refused."""
        to, raw = self.known[key]
        talk = self.talks[to]
        before = snapshot(talk, caches=False)
        for line in (reading.line(forged(raw, key)), reading.line(raw)):
            events = talk.receive(line)
            assert any(isinstance(event, Rejected) for event in events)
            assert not any(isinstance(event, Received) for event in events)
        assert snapshot(talk, caches=False) == before


ACTIONS = [*(["say"] * 6), *(["deliver"] * 8), *(["overtake", "lose"] * 2), "renew", "start", "end", "wait"]
STEPS = st.lists(
    st.tuples(st.sampled_from(ACTIONS), st.sampled_from(SIDES), st.integers(0, 1000)), max_size=60
)


@repeatable
@given(st.integers(0, 3), STEPS)
def test_on_any_network(seed: int, steps: list[tuple[str, Side, int]]) -> None:
    pair = Reader(f"revealed {seed}")
    pair.start()
    for action, side, number in steps:
        waiting, talk = pair.on_the_way[side], pair.talks[side]
        match action:
            case "say" if talk.state is MessageState.ENCRYPTED:
                pair.do(side, talk.send(f"text {number}"))
            case "deliver" if waiting:
                pair.deliver(side)
            case "overtake" if waiting:
                line = waiting[number % len(waiting)]
                del waiting[number % len(waiting)]
                pair.hand(side, line)
            case "lose" if waiting:
                del waiting[number % len(waiting)]
            case "renew":
                pair.hand(side, "?OTRv4?")
            case "start":
                pair.do(side, talk.start())
            case "end":
                pair.do(side, talk.end())
            case "wait":
                pair.clock.advance(LIFETIME if number == 0 else number % 70)
                for either in SIDES:
                    pair.do(either, pair.talks[either].tick())
    for key in pair.known:
        pair.try_it(key)
    pair.settle()
    pair.wait(300.0)
    for key in pair.known:
        pair.try_it(key)


def test_the_network_above_has_seen_keys_of_every_kind() -> None:
    """Those of texts that were read, of texts that came late, and of texts that never came."""
    pair = Reader("kinds")
    pair.start()
    for number in range(4):
        pair.say("alice", f"read {number}")
        pair.do("alice", pair.alice.send(f"late {number}"))
        late = pair.on_the_way["bob"].pop()
        pair.do("alice", pair.alice.send(f"never comes {number}"))
        pair.on_the_way["bob"].pop()
        pair.say("alice", f"read too {number}")
        pair.say("bob", f"answer {number}")
        pair.hand("bob", late)
    read_or_late = len(pair.known)
    assert read_or_late > 8
    pair.end("bob")
    # The last message tells those of what was never read, too.
    assert len(pair.known) >= read_or_late + 4
    for key in pair.known:
        pair.try_it(key)


def test_it_is_the_key_that_is_refused() -> None:
    """The same forgery is believed before its key is revealed, and before the genuine message has come."""
    subject = Subject()
    peer = subject.secure()
    first, second = peer.send(b"first"), peer.send(b"second")
    key = peer.macs[0]
    assert verifies(key, reading4.data_fields(first))
    (received, *_) = subject.take(forged(first, key))
    assert isinstance(received, Received)
    assert received.text != "first"
    # It has taken the place of the genuine one.
    assert not any(isinstance(event, Received) for event in subject.take(first))
    subject.take(second)
    assert key in reading4.data_fields(subject.sends()).revealed
    assert not any(isinstance(event, Received) for event in subject.take(forged(first, key)))


@pytest.mark.parametrize("lost", [False, True])
def test_keys_that_wait_are_not_told_while_what_they_belong_to_may_come(lost: bool) -> None:
    """A message that is late for a few ratchets is read, and its key is told after that."""
    subject = Subject()
    peer = subject.secure()
    late = peer.send(b"late")
    key = peer.macs[-1]
    told: list[bytes] = []
    for number in range(5):
        subject.take(peer.send(b"in time"))
        answer = subject.sends()
        told += reading4.data_fields(answer).revealed
        peer.read(answer)
        assert key not in told, number
    if not lost:
        assert any(isinstance(event, Received) for event in subject.take(late))
    subject.take(peer.send(b"in time"))
    told += reading4.data_fields(subject.sends()).revealed
    assert (key in told) is not lost


def keys_of_version_3(lines: Iterable[str]) -> set[bytes]:
    raws = [reading.raw_of(line) for line in lines if line.startswith("?OTR:AAMD")]
    return {key for raw in raws for key in reading.data_fields(raw).old_mac_keys}


def test_keys_of_a_session_of_version_3_that_makes_way_for_one_of_version_4() -> None:
    """Nobody takes the forgeries: the last message of the older session tells its keys."""
    both = replace(speaking(3), versions=frozenset({3, 4}))
    pair = Pair(policies=(both, both), seed="moves on")
    pair.hand("alice", "?OTRv3?")
    pair.settle()
    assert pair.agreed().version == 3
    pair.clear()
    for side in SIDES:
        pair.say(side, f"from {side}")
    genuine = {side: reading.raw_of(line) for side, line in pair.lines if line.startswith("?OTR:AAMD")}
    known = keys_of_version_3(line for _, line in pair.lines)
    pair.wait(20.0)
    pair.hand("alice", "?OTRv4?")
    pair.settle()
    assert pair.agreed().version == 4
    told = keys_of_version_3(line for _, line in pair.lines) - known
    tried = 0
    for side, raw in genuine.items():
        fields = reading.data_fields(raw)
        for key in told:
            if reading.sha1_mac(key, fields.ta) == fields.mac:
                tried += 1
                ta = fields.ta[:-1] + bytes([fields.ta[-1] ^ 1])
                events = pair.talks[OTHER[side]].receive(
                    reading.line(ta + reading.sha1_mac(key, ta) + data(b""))
                )
                assert not any(isinstance(event, Received) for event in events)
    assert tried == 2
