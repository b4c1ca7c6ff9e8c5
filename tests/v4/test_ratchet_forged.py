"""A data message with anything in it changed is refused, and changes nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otrcore.crypto.ed448 import Point
from otrcore.errors import MalformedMessage, PeerError, Reason
from otrcore.events import Received, Rejected
from otrcore.model import Protection
from otrcore.v4 import ratchet
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
@settings(max_examples=40)
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


NOBODYS_POINT = edwards.encode(edwards.IDENTITY)
"""What a point of small order leads to, as our secrets are multiples of 4."""

ILLEGAL_POINTS = {
    "identity": NOBODYS_POINT,
    "identity, another encoding": edwards.encode_fields(edwards.P + 1, 0),
    "order 2": edwards.encode(edwards.SMALL_ORDER[2][0]),
    "order 4": edwards.encode(edwards.SMALL_ORDER[4][0]),
}
ILLEGAL_NUMBERS = {
    "0": (0, 0),
    "1": (1, 1),
    "p-1, even": (reading4.P - 1, 1),
    "p-1, odd": (reading4.P - 1, reading4.P - 1),
    "p": (reading4.P, 0),
    "p+1": (reading4.P + 1, 1),
}
"""With what they lead to."""


def forged_point(name: str) -> tuple[Subject, bytes]:
    """A subject, and a message whose MAC is right though its ECDH key is one that nobody may have."""
    subject = Subject()
    theirs = subject.peer.identity("theirs")
    auth_r = subject.take_for_reply(theirs)
    subject.take(subject.peer.auth_i(theirs, auth_r))
    if name == "order 4q":
        # A multiple of 4 takes no notice of the part of small order.
        peer = subject.peer.session("theirs", auth_r)
        honest = edwards.decode(reading4.public(peer.ecdh))
        return subject, peer.send(ecdh=edwards.encode(edwards.add(honest, edwards.SMALL_ORDER[4][0])))
    peer = subject.peer.session("theirs", auth_r, forced_point=NOBODYS_POINT)
    return subject, peer.send(ecdh=ILLEGAL_POINTS[name])


def forged_number(name: str) -> tuple[Subject, bytes]:
    """The same with a D-H key."""
    subject = Subject()
    theirs = subject.peer.identity("theirs")
    auth_r = subject.take_for_reply(theirs)
    subject.take(subject.peer.auth_i(theirs, auth_r))
    shown, shared = ILLEGAL_NUMBERS[name]
    peer = subject.peer.session("theirs", auth_r, forced_number=reading.mpi(shared)[4:])
    return subject, peer.send(dh=reading.mpi(shown))


def check_refused(subject: Subject, raw: bytes) -> None:
    before = snapshot(subject.talk, caches=False)
    events = subject.take(raw)
    assert Rejected(Reason.UNREADABLE, had_text=True) in events
    assert [line.split(":")[1] for line in sent(events)] == [" ERROR_1"]
    assert snapshot(subject.talk, caches=False) == before


@pytest.mark.parametrize("point", [*ILLEGAL_POINTS, "order 4q"])
def test_an_illegal_point_in_a_data_message(point: str) -> None:
    check_refused(*forged_point(point))


@pytest.mark.parametrize("number", ILLEGAL_NUMBERS)
def test_an_illegal_value_in_a_data_message(number: str) -> None:
    check_refused(*forged_number(number))


def test_a_point_that_is_none_in_a_data_message() -> None:
    subject = Subject()
    peer = subject.secure()
    check_refused(subject, peer.send(ecdh=edwards.encode_fields(2, 0)))


@pytest.mark.parametrize("point", ["identity", "order 2", "order 4", "order 4q"])
def test_nothing_but_the_check_of_points_holds_them_off(point: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it they would be read: the forgeries above are good ones."""
    monkeypatch.setattr(ratchet, "legal_point", lambda encoded, *_: Point.known(encoded))
    subject, raw = forged_point(point)
    assert Received("text", Protection.ENCRYPTED) in subject.take(raw)


def test_nothing_but_the_check_of_values_holds_them_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ratchet, "is_member", lambda value: True)
    read = []
    for number in ILLEGAL_NUMBERS:
        subject, raw = forged_number(number)
        read += [number] * (Received("text", Protection.ENCRYPTED) in subject.take(raw))
    assert {"1", "p", "p+1"} < set(read)
    assert {"p-1, even", "p-1, odd"} & set(read)


def peer_in(number: int) -> tuple[Subject, bytes]:
    """A subject, and a first message of this ratchet of the peer's, which has or has not a D-H key."""
    subject = Subject()
    peer = subject.secure()
    while peer.ratchet_id < number - 1:
        subject.take(peer.send())
        peer.read(subject.sends())
    wrong = reading.mpi(0) if number % 3 == 0 else reading.mpi(4)
    return subject, peer.send(dh=wrong)


@pytest.mark.parametrize("number", [0, 2, 4, 6])
def test_a_dh_key_where_none_belongs_and_none_where_one_belongs(number: int) -> None:
    subject, raw = peer_in(number)
    assert reading4.data_fields(raw).i == number
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
