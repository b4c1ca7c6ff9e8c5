"""The double ratchet on a bad network: every text that comes in time is read, rightly, and only once."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import example, given, settings
from hypothesis import strategies as st

from otrcore.errors import PeerError, Reason
from otrcore.v4.ratchet import KEPT_RATCHETS, MAX_REVEALED, MAX_SKIPPED, MAX_UNREVEALED
from tests.pair import OTHER, SIDES, Side
from tests.snapshot import snapshot
from tests.v4.ratchets import Sent, Two


class Network:
    """Everything that was ever sent may arrive, at any time and any number of times, or not at all."""

    def __init__(self) -> None:
        self.two = Two()
        self.sent: list[Sent] = []
        self.read: set[bytes] = set()
        self.revealed: list[bytes] = []
        self.newest: dict[Side, int] = dict.fromkeys(SIDES, -1)
        """The newest ratchet of each side that the other one has read something of."""

    def send(self, by: Side) -> Sent:
        sent = self.two.send(by)
        self.sent.append(sent)
        message = sent.message
        assert (message.dh is not None) is (message.ratchet_id % 3 == 0)
        # Other clients refuse the first message of a ratchet, but for the first two, without a key.
        assert bool(sent.revealed) is (message.message_id == 0 and message.ratchet_id > 0)
        assert len(sent.revealed) <= MAX_REVEALED
        for key in sent.revealed:
            (of,) = [earlier for earlier in self.sent if earlier.mac_key == key]
            assert of.by != by
            assert of.text in self.read or self.is_late(of)
            assert key not in self.revealed
            self.revealed.append(key)
        return sent

    def is_late(self, sent: Sent) -> bool:
        """Whether its key is given up, as so many ratchets of the same side have been read since."""
        return self.newest[sent.by] - sent.ratchet >= KEPT_RATCHETS

    def arrive(self, sent: Sent) -> None:
        """It is read, unless it is late or a repetition, which is refused and changes nothing."""
        reader = self.two.sides[OTHER[sent.by]]
        expected = sent.text not in self.read and not self.is_late(sent)
        before = snapshot(reader)
        try:
            text = self.two.read(sent)
        except PeerError as error:
            assert not expected
            assert error.reason in (Reason.REPLAYED, Reason.UNREADABLE)
            assert snapshot(reader) == before
            return
        assert expected
        assert text == sent.text
        self.read.add(text)
        self.newest[sent.by] = max(self.newest[sent.by], sent.ratchet)
        assert len(reader._skipped) <= MAX_SKIPPED
        assert len(reader._unrevealed) <= MAX_UNREVEALED

    def talk(self, rounds: int) -> None:
        """Both speak in turns, and hear each other, so that ratchets go by."""
        for number in range(2 * rounds):
            self.arrive(self.send(SIDES[number % 2]))


SENDS = st.tuples(st.sampled_from(SIDES), st.integers(1, 4))
ARRIVALS = st.integers(0, 99)
STEPS = st.lists(st.one_of(SENDS, ARRIVALS, ARRIVALS, st.none()), max_size=50)


@settings(max_examples=80)
@given(STEPS)
@example([("alice", 3), None, None, None, None, 0, None, None, None, None, 1, None, 2])
@example([("alice", 2), ("bob", 2), 3, 1, 2, 0, 0, 3, ("alice", 1), ("bob", 1), 4, 5])
def test_any_network(steps: Sequence[tuple[Side, int] | int | None]) -> None:
    network = Network()
    for step in steps:
        match step:
            case None:
                network.talk(2)
            case int():
                if network.sent:
                    # Mostly what was sent of late.
                    network.arrive(network.sent[-1 - step % len(network.sent)])
            case side, number:
                for _ in range(number):
                    network.send(side)
    for sent in network.sent:
        network.arrive(sent)
    late = {sent.text for sent in network.sent if network.is_late(sent)}
    assert {sent.text for sent in network.sent} - network.read <= late
    network.talk(2)


def test_any_order_within_a_ratchet() -> None:
    network = Network()
    first = [network.send("alice") for _ in range(6)]
    for at in (3, 0, 5, 1, 4, 2):
        network.arrive(first[at])
    network.talk(3)


def test_the_chains_of_both_cross_for_ever() -> None:
    """Neither ever hears the newest of the other before it speaks."""
    network = Network()
    last = {side: network.send(side) for side in SIDES}
    for _ in range(20):
        fresh = {side: network.send(side) for side in SIDES}
        for side in SIDES:
            network.arrive(last[side])
        last = fresh
    assert max(sent.message.ratchet_id for sent in network.sent) > 6


def test_the_previous_count_leads_to_what_was_lost_at_the_end_of_a_ratchet() -> None:
    network = Network()
    network.talk(1)
    lost = [network.send("alice") for _ in range(5)]
    network.arrive(lost[0])
    network.arrive(network.send("bob"))
    network.arrive(network.send("alice"))
    for sent in reversed(lost[1:]):
        network.arrive(sent)
    assert network.read >= {sent.text for sent in lost}
