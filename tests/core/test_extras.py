"""Heartbeats, the extra symmetric key, padding, and records that nobody knows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace

import pytest

from otrcore import Event, ExtraKey, MessageState, Protection, Received, SmpSucceeded, Transmit, UsageError
from otrcore.session import HEARTBEAT_AFTER, MAX_TEXT_BYTES
from otrcore.wire import messages4
from otrcore.wire import text as wire_text
from otrcore.wire.fragment import Reassembler, parse_fragment
from otrcore.wire.header import VERSION_4, is_ignorable, version_of
from otrcore.wire.messages3 import DataMessage, parse
from tests.pair import OTHER, SIDES, Pair, Side, speaking
from tests.spec import reading
from tests.spec.subject import US, Subject, sent

IN_VERSIONS = pytest.mark.parametrize("version", [2, 3, 4])


def data_messages(lines: Iterable[str]) -> list[DataMessage | messages4.DataMessage]:
    """Return the data messages among these lines, put together where they were cut."""
    reassembler = Reassembler()
    found: list[DataMessage | messages4.DataMessage] = []
    for line in lines:
        fragment = parse_fragment(line)
        whole = reassembler.add(fragment, 0.0) if fragment else line
        if whole is not None and whole.startswith("?OTR:"):
            raw = wire_text.decode(whole)
            message = messages4.parse(raw) if version_of(raw) == VERSION_4 else parse(raw)
            if isinstance(message, DataMessage | messages4.DataMessage):
                found.append(message)
    return found


def transmitted(events: Iterable[Event]) -> list[str]:
    return [line for event in events if isinstance(event, Transmit) for line in event.lines]


# ---- heartbeats


@IN_VERSIONS
@pytest.mark.parametrize("side", SIDES)
def test_a_heartbeat_answers_a_text_after_a_minute_of_silence(version: int, side: Side) -> None:
    pair = Pair(version=version)
    pair.secure()
    pair.clock.advance(HEARTBEAT_AFTER)
    pair.do(OTHER[side], pair.talks[OTHER[side]].send("still there?"))
    received, beat = pair.deliver(side)
    assert received == Received("still there?", Protection.ENCRYPTED)
    assert isinstance(beat, Transmit)
    (line,) = beat.lines
    assert is_ignorable(wire_text.decode(line))
    pair.clear()
    pair.settle()
    assert pair.events(OTHER[side]) == []
    assert pair.lines == []


def test_no_heartbeat_before_a_minute_of_silence() -> None:
    pair = Pair()
    pair.secure()
    pair.clock.advance(HEARTBEAT_AFTER - 0.01)
    pair.say("bob", "hello")
    assert [type(event) for event in pair.events("alice")] == [Received]


def test_what_we_say_puts_the_heartbeat_off() -> None:
    pair = Pair()
    pair.secure()
    pair.clock.advance(HEARTBEAT_AFTER - 1.0)
    pair.say("alice", "here")
    pair.clock.advance(2.0)
    pair.clear()
    pair.say("bob", "hello")
    assert [side for side, _ in pair.lines] == ["bob"]


def test_a_heartbeat_is_sent_once_a_minute() -> None:
    pair = Pair()
    pair.secure()
    pair.clock.advance(HEARTBEAT_AFTER)
    for seconds in range(180):
        pair.say("bob", f"{seconds}")
        pair.clock.advance(1.0)
    assert len([side for side, _ in pair.lines if side == "alice"]) == 3


def test_a_heartbeat_does_not_answer_a_message_without_a_text() -> None:
    """Two clients would answer each other for ever."""
    pair = Pair()
    pair.secure()
    pair.clock.advance(2 * HEARTBEAT_AFTER)
    pair.say("bob", "")
    pair.do("bob", pair.bob.extra_key(1))
    pair.settle()
    assert [side for side, _ in pair.lines] == ["bob", "bob"]


def test_keys_rotate_though_only_one_side_talks() -> None:
    pair = Pair()
    pair.secure()
    keys = set()
    for _ in range(5):
        pair.clock.advance(HEARTBEAT_AFTER)
        pair.clear()
        pair.say("bob", "news")
        messages = data_messages(line for _, line in pair.lines)
        keys |= {message.sender_keyid for message in messages if isinstance(message, DataMessage)}
    assert max(keys) >= 4


def test_the_first_minute_counts_from_the_opening() -> None:
    pair = Pair()
    pair.clock.advance(1000.0)
    pair.secure()
    pair.say("bob", "hello")
    assert [side for side, _ in pair.lines] == ["bob"]


# ---- extra key


def extra_keys(pair: Pair, side: Side) -> list[ExtraKey]:
    return pair.of_kind(side, ExtraKey)


@IN_VERSIONS
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("rotations", [0, 1, 3])
def test_both_sides_have_the_same_extra_key(version: int, side: Side, rotations: int) -> None:
    """Also after rotation: it is of the keys of the message that carries it."""
    pair = Pair(version=version)
    pair.secure()
    for _ in range(rotations):
        for other in SIDES:
            pair.say(other, "rotate")
    pair.clear()
    pair.do(side, pair.talks[side].extra_key(0xFFFFFFFF, b"for a file"))
    pair.settle()
    (ours,), (theirs,) = extra_keys(pair, side), extra_keys(pair, OTHER[side])
    assert len(bytes(ours.key)) == (64 if version == 4 else 32)
    assert ours.key == theirs.key
    assert (ours.use, ours.data, ours.by_peer) == (0xFFFFFFFF, b"for a file", False)
    assert (theirs.use, theirs.data, theirs.by_peer) == (0xFFFFFFFF, b"for a file", True)


def test_extra_keys_change_with_the_keys_of_the_messages() -> None:
    pair = Pair()
    pair.secure()
    seen = set()
    for _ in range(4):
        pair.do("alice", pair.alice.extra_key(1))
        for side in SIDES:
            pair.say(side, "rotate")
    for ours, theirs in zip(extra_keys(pair, "alice"), extra_keys(pair, "bob"), strict=True):
        assert ours.key == theirs.key
        seen.add(bytes(ours.key))
    assert len(seen) == 4


@pytest.mark.parametrize("version", [2, 3])
def test_an_extra_key_by_the_specification(version: int) -> None:
    """SHA-256 of 0xff and the secret of this message's pair of keys, reckoned apart from the product."""
    subject = Subject(version=version).encrypted()
    shared = reading.mpi(reading.power(subject.public(1), subject.peer.exponent))
    expected = hashlib.sha256(b"\xff" + shared).digest()
    record = b"\0\0\x08\0\x06\0\0\0\x07hi"
    raw = subject.peer.data_message(US, subject.public(1), record, flags=1)
    (event,) = subject.take(raw)
    assert isinstance(event, ExtraKey)
    assert bytes(event.key) == expected
    assert (event.use, event.data) == (7, b"hi")
    # Taking the message has rotated the peer's key, which ours goes to now.
    successor = subject.peer.successor
    (ours,) = [event for event in subject.talk.extra_key(8, b"x") if isinstance(event, ExtraKey)]
    again = reading.mpi(reading.power(subject.public(1), successor.exponent))
    assert bytes(ours.key) == hashlib.sha256(b"\xff" + again).digest()


@pytest.mark.parametrize("value", [b"", b"\0", b"\0\0\0"])
def test_a_record_too_short_for_a_use_is_ignored(value: bytes) -> None:
    subject = Subject().encrypted()
    record = b"\0\0\x08" + len(value).to_bytes(2, "big") + value
    assert subject.take(subject.peer.data_message(US, subject.public(1), b"text" + record)) == [
        Received("text", Protection.ENCRYPTED)
    ]


def test_an_extra_key_needs_an_encrypted_conversation() -> None:
    pair = Pair()
    with pytest.raises(UsageError, match="start one first"):
        pair.alice.extra_key(1)
    pair.secure()
    for use, data in ((-1, b""), (1 << 32, b""), (1, bytes(MAX_TEXT_BYTES + 1))):
        with pytest.raises(UsageError):
            pair.alice.extra_key(use, data)
    assert pair.lines == []


def test_a_message_for_an_extra_key_may_be_unreadable() -> None:
    pair = Pair()
    pair.secure()
    (line,) = transmitted(pair.alice.extra_key(1))
    assert is_ignorable(wire_text.decode(line))


# ---- padding


def padded(bucket: int, version: int = 3) -> Pair:
    policy = replace(speaking(version), padding=bucket)
    pair = Pair(policies=(policy, speaking(version)))
    pair.secure()
    return pair


def lengths(pair: Pair) -> list[int]:
    """Return the lengths of what Alice has sent encrypted."""
    lines = [line for side, line in pair.lines if side == "alice"]
    return [len(message.encrypted) for message in data_messages(lines)]


@IN_VERSIONS
@pytest.mark.parametrize("bucket", [1, 7, 64, 256, 4096])
def test_every_message_fills_its_bucket(version: int, bucket: int) -> None:
    pair = padded(bucket, version)
    texts = ["", "x", "x" * (bucket - 6), "x" * (bucket - 5), "x" * (bucket - 4), "x" * bucket, "x" * 3000]
    for text in texts:
        pair.say("alice", text)
    pair.do("alice", pair.alice.extra_key(1, b"data"))
    pair.settle()
    pair.do("alice", pair.alice.smp_start("words", "Which?"))
    pair.settle()
    pair.do("bob", pair.bob.smp_answer("words"))
    pair.settle()
    pair.clock.advance(HEARTBEAT_AFTER)
    pair.say("bob", "hello")
    pair.end("alice")
    found = lengths(pair)
    assert len(found) == len(texts) + 1 + 2 + 1 + 1
    assert [length % bucket for length in found] == [0] * len(found)
    assert [event.text for event in pair.of_kind("bob", Received)] == [text for text in texts if text]
    assert pair.of_kind("bob", SmpSucceeded)
    assert pair.bob.state is MessageState.FINISHED


def test_texts_of_one_bucket_cannot_be_told_apart_by_their_length() -> None:
    pair = padded(256)
    for text in ("no", "yes", "I am not so sure about that", "x" * 200):
        pair.say("alice", text)
    assert len(set(lengths(pair))) == 1
    assert len({len(line) for side, line in pair.lines if side == "alice"}) == 1


def test_a_heartbeat_looks_like_a_short_text() -> None:
    pair = padded(256)
    pair.say("alice", "yes")
    pair.clock.advance(HEARTBEAT_AFTER)
    pair.say("bob", "hello")
    assert len(set(lengths(pair))) == 1


def test_without_padding_nothing_is_added() -> None:
    pair = padded(0)
    pair.say("alice", "12345")
    assert lengths(pair) == [6]


def test_padding_fits_behind_the_longest_text() -> None:
    pair = padded(4096)
    pair.say("alice", "x" * MAX_TEXT_BYTES)
    assert [len(event.text) for event in pair.of_kind("bob", Received)] == [MAX_TEXT_BYTES]


# ---- records


@pytest.mark.parametrize("kind", [0, 9, 10, 0x100, 0x7FFF, 0xFFFF])
@pytest.mark.parametrize("value", [b"", b"x", b"\0" * 2000])
def test_padding_and_unknown_records_are_ignored(kind: int, value: bytes) -> None:
    subject = Subject().encrypted()
    record = kind.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value
    raw = subject.peer.data_message(US, subject.public(1), b"text\0" + record + record)
    assert subject.take(raw) == [Received("text", Protection.ENCRYPTED)]
    assert sent(subject.talk.send("still here"))


def test_what_stands_behind_unknown_records_is_read() -> None:
    subject = Subject().encrypted()
    records = b"\0" + b"\xff\xff\0\2xx" + b"\0\0\0\1x" + b"\0\1\0\0"
    subject.take(subject.peer.data_message(US, subject.public(1), b"text" + records))
    assert subject.talk.state is MessageState.FINISHED
