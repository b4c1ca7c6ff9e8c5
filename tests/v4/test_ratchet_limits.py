"""The limits of the double ratchet, each exactly and one beyond; and its numbers at their ends."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from otrcore.errors import PeerError, Reason
from otrcore.v4.ratchet import KEPT_RATCHETS, MAX_COUNT, MAX_REVEALED, MAX_SKIPPED, MAX_UNREVEALED, Chain
from tests.pair import SIDES, Side
from tests.snapshot import snapshot
from tests.v4.ratchets import Two

ENDS = pytest.mark.parametrize("number", [2**31, MAX_COUNT])


def test_as_many_as_are_kept_may_be_lost_before_a_message() -> None:
    two = Two()
    lost = [two.send("alice") for _ in range(MAX_SKIPPED)]
    last = two.send("alice")
    assert two.read(last) == last.text
    assert len(two.sides["bob"]._skipped) == MAX_SKIPPED
    for sent in (lost[-1], lost[0], lost[500]):
        assert two.read(sent) == sent.text
    assert len(two.sides["bob"]._skipped) == MAX_SKIPPED - 3


def test_one_more_is_refused_and_costs_nothing() -> None:
    two = Two()
    messages = [two.send("alice") for _ in range(MAX_SKIPPED + 2)]
    before = snapshot(two.sides["bob"])
    with pytest.raises(PeerError) as refused:
        two.read(messages[-1])
    assert refused.value.reason is Reason.UNREADABLE
    assert snapshot(two.sides["bob"]) == before
    assert two.read(messages[-2]) == messages[-2].text
    assert two.read(messages[-1]) == messages[-1].text


def test_the_oldest_gives_way_where_more_are_lost_in_all() -> None:
    """Its MAC key is revealed then, and can verify nothing any more."""
    two = Two()
    lost = [two.send("alice") for _ in range(MAX_SKIPPED)]
    two.read(two.send("alice"))
    another = two.send("alice")
    two.read(two.send("alice"))
    bob = two.sides["bob"]
    assert len(bob._skipped) == MAX_SKIPPED
    with pytest.raises(PeerError) as refused:
        two.read(lost[0])
    assert refused.value.reason is Reason.REPLAYED
    for sent in (lost[1], another):
        assert two.read(sent) == sent.text
    two.read(two.send("bob"))
    two.read(two.send("alice"))
    assert lost[0].mac_key in two.send("bob").revealed


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("beyond", [False, True])
def test_ratchets_that_late_messages_are_awaited_for(side: Side, beyond: bool) -> None:
    two = Two()
    two.ping_pong(4)
    late = [two.send(side) for _ in range(3)]
    two.read(late[-1])
    reader: Side = "bob" if side == "alice" else "alice"
    for _ in range(KEPT_RATCHETS - 1 + beyond):
        two.read(two.send(reader))
        two.read(two.send(side))
    if not beyond:
        assert two.read(late[0]) == late[0].text
        return
    assert two.sides[reader]._skipped == {}
    with pytest.raises(PeerError):
        two.read(late[0])
    assert set(two.send(reader).revealed) >= {sent.mac_key for sent in late[:2]}


def test_the_second_side_of_a_limit_is_the_previous_count() -> None:
    """What was lost at the end of a ratchet has the same limit as what was lost in the middle."""
    two = Two()
    two.read(two.send("bob"))
    sent = two.send("alice")
    two.read(sent)
    for _ in range(MAX_SKIPPED):
        two.send("alice")
    two.read(two.send("bob"))
    right = two.send("alice")
    assert right.message.previous_count == MAX_SKIPPED + 1
    two.read(right)
    assert len(two.sides["bob"]._skipped) == MAX_SKIPPED

    two = Two()
    two.read(two.send("bob"))
    two.read(two.send("alice"))
    for _ in range(MAX_SKIPPED + 1):
        two.send("alice")
    two.read(two.send("bob"))
    before = snapshot(two.sides["bob"])
    with pytest.raises(PeerError, match="too many"):
        two.read(two.send("alice"))
    assert snapshot(two.sides["bob"]) == before


@ENDS
@pytest.mark.parametrize("at", [0, 4, 8])
def test_forged_numbers_cost_no_more_than_the_limit(number: int, at: int) -> None:
    """Previous count, ratchet and message id: a huge one is refused at once, and nothing changes."""
    two = Two()
    two.ping_pong(3)
    sent = two.send("alice")
    start = 11 + 1 + at
    raw = sent.raw[:start] + struct.pack(">I", number) + sent.raw[start + 4 :]
    before = snapshot(two.sides["bob"])
    with pytest.raises(PeerError):
        two.read(replace(sent, raw=raw))
    assert snapshot(two.sides["bob"]) == before


def test_no_number_is_sent_twice_at_the_end_of_its_range() -> None:
    two = Two()
    alice = two.sides["alice"]
    alice._sending = Chain(0, alice._sending.key, MAX_COUNT)
    assert two.send("alice").message.message_id == MAX_COUNT
    with pytest.raises(ValueError, match="used up"):
        two.send("alice")


def test_no_ratchet_comes_after_the_last_one() -> None:
    two = Two()
    alice = two.sides["alice"]
    alice._sending = Chain(MAX_COUNT + 1, alice._sending.key)
    with pytest.raises(ValueError, match="used up"):
        two.send("alice")


def test_mac_keys_leave_a_few_at_a_time() -> None:
    two = Two()
    read = [two.send("alice") for _ in range(2 * MAX_REVEALED + 3)]
    for sent in read:
        two.read(sent)
    two.ping_pong(2)
    revealed = []
    for expected in (MAX_REVEALED, MAX_REVEALED, 3 + 3):
        sent = two.send("bob")
        assert len(sent.revealed) == expected
        revealed += sent.revealed
        two.read(sent)
        two.read(two.send("alice"))
    assert revealed[: len(read)] == [sent.mac_key for sent in read]


def test_mac_keys_that_wait_are_bounded_and_the_newest_are_kept() -> None:
    two = Two()
    read = [two.send("alice") for _ in range(MAX_UNREVEALED + 10)]
    for sent in read:
        two.read(sent)
    assert two.sides["bob"].used_mac_keys() == b"".join(sent.mac_key for sent in read[10:])


def test_the_last_message_reveals_what_it_can_and_nothing_is_kept() -> None:
    """Read or never come, newest last; nothing is accepted under keys that it has told."""
    two = Two()
    two.ping_pong(4)
    late = [two.send("alice") for _ in range(5)]
    two.read(late[1])
    two.read(late[3])
    bob = two.sides["bob"]
    bob.retire()
    last = two.send("bob")
    assert set(last.revealed) >= {sent.mac_key for sent in late[:4]}
    assert late[4].mac_key not in last.revealed
    assert two.read(last) == last.text
    for sent in late:
        with pytest.raises(PeerError):
            two.read(sent)
    assert bob.used_mac_keys() == b""
    assert two.send("bob").revealed == []


def test_keys_of_an_older_session_are_revealed_by_the_next_one() -> None:
    two = Two()
    older = bytes(64) + b"\x01" * 64
    two.sides["bob"].reveal_later(older)
    first = two.send("bob")
    assert first.revealed == []
    two.read(first)
    two.read(two.send("alice"))
    assert two.send("bob").revealed[:2] == [older[:64], older[64:]]
