"""A session of version 4 as a whole: its end, heartbeats, errors, and extra symmetric keys."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from otrcore.conversation import Conversation
from otrcore.errors import Reason
from otrcore.events import (
    Event,
    ExtraKey,
    HeldBack,
    NotSent,
    PeerComplained,
    Received,
    Rejected,
    SessionEnd,
    SessionEnded,
)
from otrcore.model import MessageState, Protection
from otrcore.session import COMPLAINT_PAUSE, HEARTBEAT_AFTER
from otrcore.v4.channel import LIFETIME
from tests.pair import speaking
from tests.snapshot import secrets_in, snapshot
from tests.spec import reading, reading4
from tests.spec.reading import data, integer, short
from tests.spec.reading4 import data_fields
from tests.spec.subject import DISCONNECT, sent
from tests.spec.subject4 import Subject

DAY = 24 * 60 * 60
EXTRA_KEY = 7


def tlv(kind: int, value: bytes) -> bytes:
    return short(kind) + short(len(value)) + value


def raw_in(lines: list[str]) -> bytes:
    (line,) = lines
    return reading.raw_of(line)


# ---- the end


def test_a_session_without_new_keys_expires_after_a_day() -> None:
    """TLV 1 tells the peer, with the MAC keys of all that was read, and of what never came."""
    subject = Subject()
    peer = subject.secure()
    peer.read(subject.sends())
    subject.take(peer.send(b"read"))
    lost = peer.send(b"lost")
    subject.take(peer.send(b"read, too"))
    assert LIFETIME == DAY
    subject.clock.advance(DAY - 1.0)
    assert subject.talk.tick() == []
    subject.clock.advance(1.0)
    assert subject.talk.next_tick == subject.clock.now
    events = subject.talk.tick()
    last = raw_in(sent(events))
    assert events[-1] == SessionEnded(SessionEnd.EXPIRED)
    assert subject.talk.state is MessageState.FINISHED
    fields = data_fields(last)
    assert fields.flags == 1
    assert set(fields.revealed) == set(peer.macs)
    assert len(fields.revealed) == 3
    assert peer.read(last) == DISCONNECT
    assert secrets_in(snapshot(subject.talk._instances)) == set()
    assert not [event for event in subject.take(lost) if isinstance(event, Received)]
    subject.clock.advance(COMPLAINT_PAUSE)
    assert subject.talk.tick() == []
    assert subject.talk.next_tick is None


def test_only_a_new_key_of_ours_lets_it_live_on() -> None:
    """Neither texts of ours without an answer, nor texts of the peer alone."""
    subject = Subject()
    peer = subject.secure()
    subject.clock.advance(DAY - 10.0)
    peer.read(subject.sends())
    subject.clock.advance(10.0)
    assert SessionEnded(SessionEnd.EXPIRED) in subject.talk.tick()

    subject = Subject()
    peer = subject.secure()
    subject.clock.advance(DAY / 2)
    subject.take(peer.send())
    subject.sends()
    subject.clock.advance(DAY - 1.0)
    assert subject.talk.tick() == []
    subject.clock.advance(1.0)
    assert SessionEnded(SessionEnd.EXPIRED) in subject.talk.tick()


USES: dict[str, Callable[[Conversation], list[Event]]] = {
    "text": lambda talk: talk.send("text"),
    "question": lambda talk: talk.smp_start("secret", "question"),
    "abort": lambda talk: talk.smp_abort(),
    "extra key": lambda talk: talk.extra_key(1),
    "held texts": lambda talk: talk.send_held(),
}


@pytest.mark.parametrize("use", [use for use in USES if use != "held texts"])
def test_a_key_of_ours_counts_from_when_it_was_made(use: str) -> None:
    """Whatever it was made for, and not from the next text on."""
    subject = Subject()
    peer = subject.secure()
    subject.take(peer.send())
    subject.clock.advance(1000.0)
    assert len(sent(USES[use](subject.talk))) == 1
    assert subject.talk.next_tick == subject.clock.now + DAY
    expires = subject.clock.now + DAY
    subject.clock.advance(1000.0)
    subject.sends()
    assert subject.talk.next_tick == expires


@pytest.mark.parametrize("use", USES)
def test_nothing_is_sent_with_keys_that_are_too_old(use: str) -> None:
    """The clock may have gone on with nobody looking, as while a computer sleeps."""
    subject = Subject()
    peer = subject.secure()
    subject.clock.advance(DAY)
    events = USES[use](subject.talk)
    assert events[1:] == [
        SessionEnded(SessionEnd.EXPIRED),
        *([NotSent("text", HeldBack.FINISHED)] if use == "text" else []),
    ]
    assert peer.read(raw_in(sent(events))) == DISCONNECT
    assert subject.talk.state is MessageState.FINISHED


def test_nothing_is_read_with_keys_that_are_too_old() -> None:
    subject = Subject()
    peer = subject.secure()
    late = peer.send(b"late")
    subject.clock.advance(DAY)
    events = subject.take(late)
    assert events[1] == SessionEnded(SessionEnd.EXPIRED)
    assert events[-1] == Rejected(Reason.NO_SESSION, had_text=True)
    assert peer.read(reading.raw_of(sent(events)[0])) == DISCONNECT
    assert subject.talk.state is MessageState.FINISHED


def test_an_end_that_is_due_is_told_whatever_comes() -> None:
    """A line that is refused does not take the news of the end with it."""
    subject = Subject(policy=speaking(3, 4))
    subject.secure()
    subject.clock.advance(DAY)
    events = subject.talk.receive("?OTRv3?")
    assert events[1:] == [SessionEnded(SessionEnd.EXPIRED), Rejected(Reason.VERSION)]


def test_heartbeats_keep_a_session_alive_in_which_only_the_peer_talks() -> None:
    subject = Subject()
    peer = subject.secure()
    for _ in range(40):
        subject.clock.advance(DAY / 10)
        assert subject.talk.tick() == []
        events = subject.take(peer.send(b"still here"))
        assert Received("still here", Protection.ENCRYPTED) in events
        peer.read(raw_in(sent(events)))
    assert subject.talk.state is MessageState.ENCRYPTED


def test_a_heartbeat_is_empty_and_ignorable() -> None:
    subject = Subject()
    peer = subject.secure()
    subject.clock.advance(HEARTBEAT_AFTER)
    heartbeat = raw_in(sent(subject.take(peer.send())))
    assert data_fields(heartbeat).flags == 1
    assert peer.read(heartbeat) == b"\0"
    # We have spoken.
    assert sent(subject.take(peer.send())) == []


@pytest.mark.parametrize("by_us", [False, True])
def test_the_end_by_either_side(by_us: bool) -> None:
    subject = Subject()
    peer = subject.secure()
    subject.take(peer.send(b"read"))
    if by_us:
        last = raw_in(sent(subject.talk.end()))
        assert data_fields(last).flags == 1
        assert data_fields(last).revealed == tuple(peer.macs)
        assert peer.read(last) == DISCONNECT
        assert subject.talk.state is MessageState.PLAINTEXT
    else:
        assert subject.take(peer.send(DISCONNECT, flags=1)) == [SessionEnded(SessionEnd.PEER)]
        assert subject.talk.state is MessageState.FINISHED
    assert secrets_in(snapshot(subject.talk._instances)) == set()


def test_new_keys_end_the_running_session_first() -> None:
    """No query goes out while it is encrypted, and nothing plain afterwards."""
    subject = Subject()
    peer = subject.secure()
    last, query = sent(subject.talk.start())
    assert peer.read(reading.raw_of(last)) == DISCONNECT
    assert query.startswith("?OTRv4?")
    assert subject.talk.state is MessageState.FINISHED
    assert sent(subject.talk.send("waits")) == []
    theirs = subject.peer.identity("another")
    auth_r = subject.take_for_reply(theirs)
    (line,) = sent(subject.take(subject.peer.auth_i(theirs, auth_r)))
    assert subject.peer.session("another", auth_r).read(reading.raw_of(line)) == b"waits\0"


def test_mac_keys_of_a_session_are_revealed_in_the_one_that_takes_its_place() -> None:
    """With those of texts that did not come, in its first new ratchet."""
    subject = Subject()
    older = subject.secure()
    subject.take(older.send(b"read"))
    older.send(b"lost")
    subject.take(older.send(b"read"))
    peer = subject.secure("another")
    first = subject.sends()
    assert data_fields(first).revealed == ()
    peer.read(first)
    subject.take(peer.send())
    second = subject.sends()
    assert set(data_fields(second).revealed) == {*older.macs, *peer.macs}


# ---- errors


def test_what_cannot_be_read_gets_error_1_and_not_each_time() -> None:
    subject = Subject()
    peer = subject.secure()
    answers: list[str] = []
    for _ in range(30):
        answers += sent(subject.take(peer.send(mac=bytes(64))))
        subject.clock.advance(1.0)
    assert len(answers) == 30 / COMPLAINT_PAUSE
    assert all(answer.startswith("?OTR Error: ERROR_1: ") for answer in answers)


def test_what_is_said_into_no_session_gets_error_2_and_not_each_time() -> None:
    subject = Subject()
    peer = subject.secure()
    subject.talk.end()
    answers: list[str] = []
    for _ in range(30):
        events = subject.take(peer.send())
        answers += sent(events)
        assert Rejected(Reason.NO_SESSION, had_text=True) in events
        subject.clock.advance(1.0)
    assert len(answers) == 30 / COMPLAINT_PAUSE
    assert all(answer.startswith("?OTR Error: ERROR_2: ") for answer in answers)


def test_what_is_broken_gets_error_3() -> None:
    subject = Subject()
    peer = subject.secure()
    (answer,) = sent(subject.take(peer.send()[:-1]))
    assert answer.startswith("?OTR Error: ERROR_3: ")


@pytest.mark.parametrize("spoil", [lambda raw: raw[:-1], lambda raw: raw[:-70] + bytes(70)])
def test_what_may_be_ignored_is(spoil: object) -> None:
    subject = Subject()
    peer = subject.secure()
    assert callable(spoil)
    assert sent(subject.take(spoil(peer.send(b"", flags=1)))) == []
    subject.talk.end()
    assert sent(subject.take(peer.send(b"", flags=1))) == []


def test_a_repetition_is_not_complained_of() -> None:
    subject = Subject()
    peer = subject.secure()
    raw = peer.send()
    subject.take(raw)
    assert subject.take(raw) == [Rejected(Reason.REPLAYED)]


@pytest.mark.parametrize("code", [1, 2, 3])
def test_an_error_is_shown_and_answered_by_nothing(code: int) -> None:
    subject = Subject()
    subject.secure()
    events = subject.talk.receive(f"?OTR Error: ERROR_{code}: it broke")
    assert [event.text for event in events if isinstance(event, PeerComplained)] == ["it broke"]
    assert len(events) == 1


def test_no_query_goes_out_because_of_an_error() -> None:
    """Policy may want a start: in a session of version 4 that is an Identity beside it."""
    policy = speaking(4)
    subject = Subject(policy=type(policy)(policy.versions, start_on_error=True))
    peer = subject.secure()
    (line,) = sent(subject.talk.receive("?OTR Error: ERROR_1: it broke"))
    assert reading.raw_of(line)[2] == reading4.IDENTITY
    assert subject.talk.state is MessageState.ENCRYPTED
    assert peer.read(subject.sends("goes on")) == b"goes on\0"


# ---- extra symmetric keys


@pytest.mark.parametrize("new_ratchet", [False, True])
def test_an_extra_key_of_ours(new_ratchet: bool) -> None:
    """The key is of the very message that names it, though that begins a new ratchet."""
    subject = Subject()
    peer = subject.secure()
    if new_ratchet:
        subject.take(peer.send())
    events = subject.talk.extra_key(0x01020304, b"a file")
    raw = raw_in(sent(events))
    assert peer.read(raw) == b"\0" + tlv(EXTRA_KEY, integer(0x01020304) + b"a file")
    (told,) = [event for event in events if isinstance(event, ExtraKey)]
    assert bytes(told.key) == reading4.kdf(0, integer(0x01020304), peer.extra)
    assert (told.use, told.data, told.by_peer) == (0x01020304, b"a file", False)
    assert peer.read(subject.sends("and on")) == b"and on\0"


@pytest.mark.parametrize("index", [0, 1, 3])
def test_an_extra_key_of_the_peer(index: int) -> None:
    """Derived by the place of its record among all, of the key of its message."""
    subject = Subject()
    peer = subject.secure()
    others = tlv(0, b"padding") * index
    raw = peer.send(b"\0" + others + tlv(EXTRA_KEY, integer(9) + b"data"))
    (told,) = [event for event in subject.take(raw) if isinstance(event, ExtraKey)]
    assert bytes(told.key) == reading4.kdf(index, integer(9), peer.extra)
    assert (told.use, told.data, told.by_peer) == (9, b"data", True)


def test_an_extra_key_in_a_message_that_comes_late() -> None:
    subject = Subject()
    peer = subject.secure()
    late = peer.send(b"\0" + tlv(EXTRA_KEY, integer(9)))
    extra = peer.extra
    subject.take(peer.send())
    (told,) = [event for event in subject.take(late) if isinstance(event, ExtraKey)]
    assert bytes(told.key) == reading4.kdf(0, integer(9), extra)


def test_a_record_of_older_versions_names_no_key() -> None:
    subject = Subject()
    peer = subject.secure()
    for record in (tlv(8, integer(9)), tlv(EXTRA_KEY, b"\0\0\1")):
        assert subject.take(peer.send(b"\0" + record)) == []


def test_a_peer_may_leave_out_the_nul_behind_its_text() -> None:
    subject = Subject()
    peer = subject.secure()
    assert Received("bare", Protection.ENCRYPTED) in subject.take(peer.send(b"bare"))
    assert data(b"")
