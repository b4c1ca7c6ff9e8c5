"""A data message with anything in it changed is refused, and changes nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otrcore.errors import MalformedMessage, PeerError, Reason
from otrcore.events import Received, Rejected
from otrcore.model import Protection
from otrcore.wire.messages4 import parse
from tests.crypto import edwards
from tests.pair import Side
from tests.snapshot import snapshot
from tests.spec import reading, reading4
from tests.spec.subject import sent
from tests.spec.subject4 import Subject
from tests.v4.ratchets import Two

SCENES: dict[str, tuple[int, int]] = {
    "the first of all": (0, 0),
    "the first of a ratchet with a D-H key": (4, 0),
    "the first of a ratchet without one": (2, 0),
    "the next of a ratchet": (3, 1),
    "one that comes late": (3, -1),
}
"""Ratchets before it, and messages; a message before it that comes late."""


def recorded(scene: str) -> tuple[Two, bytes, Side]:
    """Two ratchets, and a message on its way to the side that is named."""
    ratchets, messages = SCENES[scene]
    two = Two()
    two.ping_pong(ratchets)
    by: Side = "alice" if ratchets % 2 else "bob"
    if messages > 0:
        two.read(two.send(by))
    message = two.send(by)
    if messages < 0:
        two.read(two.send(by))
    return two, message.raw, "bob" if by == "alice" else "alice"


@pytest.mark.parametrize("scene", SCENES)
@settings(max_examples=60)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_any_bit_flipped(scene: str, place: float, bit: int) -> None:
    """All but the revealed keys, which no MAC covers, by the specification."""
    two, raw, to = recorded(scene)
    covered = len(raw) - len(reading4.data_fields(raw).revealed) * 64
    at = int(place * covered)
    forged = raw[:at] + bytes([raw[at] ^ 1 << bit]) + raw[at + 1 :]
    reader = two.sides[to]
    before = snapshot(reader)
    try:
        message = parse(forged)
    except MalformedMessage:
        return
    by: Side = "alice" if to == "bob" else "bob"
    sent = replace(Two().send(by), raw=forged)
    if message.type != reading4.DATA:
        return
    with pytest.raises(PeerError):
        two.read(sent)
    assert snapshot(reader) == before
    # The right one is read all the same.
    assert two.read(replace(sent, raw=raw)).startswith(b"text")


def test_revealed_keys_are_not_covered() -> None:
    """By the specification; a change in them is no way to suppress a text."""
    subject = Subject()
    peer = subject.secure()
    peer.read(subject.sends())
    subject.take(peer.send())
    peer.read(subject.sends())
    raw = peer.send(b"hello")
    assert reading4.data_fields(raw).revealed
    changed = raw[:-1] + bytes([raw[-1] ^ 1])
    assert Received("hello", Protection.ENCRYPTED) in subject.take(changed)


ILLEGAL_POINTS = {
    "identity": edwards.encode(edwards.IDENTITY),
    "order 2": edwards.encode(edwards.SMALL_ORDER[2][0]),
    "order 4": edwards.encode(edwards.SMALL_ORDER[4][0]),
    "order 4q": edwards.encode(edwards.add(edwards.GENERATOR, edwards.SMALL_ORDER[4][0])),
    "not on the curve": edwards.encode_fields(2, 0),
    "y beyond the field": edwards.encode_fields(edwards.P + 1, 0),
}
ILLEGAL_NUMBERS = {
    "1": 1,
    "p-1": reading4.P - 1,
    "p": reading4.P,
    "p+1": reading4.P + 1,
    "not a square": next(n for n in range(2, 99) if pow(n, (reading4.P - 1) // 2, reading4.P) != 1),
}


@pytest.mark.parametrize("point", ILLEGAL_POINTS)
def test_an_illegal_point_in_a_data_message(point: str) -> None:
    """Its MAC cannot be right, as there is no secret with it; it is refused before that is asked for."""
    subject = Subject()
    peer = subject.secure()
    peer.read(subject.sends())
    before = snapshot(subject.talk, caches=False)
    raw = peer.send(ecdh=ILLEGAL_POINTS[point])
    (event,) = [event for event in subject.take(raw) if isinstance(event, Rejected)]
    assert event.reason is Reason.UNVERIFIED
    assert snapshot(subject.talk, caches=False) == before


@pytest.mark.parametrize("number", ILLEGAL_NUMBERS)
def test_an_illegal_value_in_a_data_message(number: str) -> None:
    subject = Subject()
    peer = subject.secure()
    peer.read(subject.sends())
    before = snapshot(subject.talk, caches=False)
    raw = peer.send(dh=reading.mpi(ILLEGAL_NUMBERS[number]))
    (event,) = [event for event in subject.take(raw) if isinstance(event, Rejected)]
    assert event.reason is Reason.UNVERIFIED
    assert snapshot(subject.talk, caches=False) == before


def peer_in(ratchet: int) -> tuple[Subject, bytes]:
    """A subject, and a first message of this ratchet of the peer's, which has or has not a D-H key."""
    subject = Subject()
    peer = subject.secure()
    while peer.ratchet_id < ratchet - 1:
        subject.take(peer.send())
        peer.read(subject.sends())
    wrong = reading.mpi(0) if ratchet % 3 == 0 else reading.mpi(4)
    return subject, peer.send(dh=wrong)


@pytest.mark.parametrize("ratchet", [0, 2, 4, 6])
def test_a_dh_key_where_none_belongs_and_none_where_one_belongs(ratchet: int) -> None:
    subject, raw = peer_in(ratchet)
    assert reading4.data_fields(raw).i == ratchet
    before = snapshot(subject.talk, caches=False)
    events = subject.take(raw)
    assert Rejected(Reason.UNREADABLE, had_text=True) in events
    assert [line.split(":")[1] for line in sent(events)] == [" ERROR_1"]
    assert snapshot(subject.talk, caches=False) == before


@pytest.mark.parametrize("i", [1, 3, 7])
def test_a_ratchet_under_another_number(i: int) -> None:
    subject = Subject()
    peer = subject.secure()
    subject.take(peer.send())
    before = snapshot(subject.talk, caches=False)
    dh = None if i % 3 == 0 else reading.mpi(0)
    assert Rejected(Reason.UNREADABLE, had_text=True) in subject.take(peer.send(i=i, dh=dh))
    assert snapshot(subject.talk, caches=False) == before


def test_new_keys_twice_without_a_word_of_ours() -> None:
    subject = Subject()
    peer = subject.secure()
    subject.take(peer.send())
    peer.rotate()
    before = snapshot(subject.talk, caches=False)
    assert Rejected(Reason.UNREADABLE, had_text=True) in subject.take(peer.send())
    assert snapshot(subject.talk, caches=False) == before
