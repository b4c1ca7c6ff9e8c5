"""Messages of version 4: reader and writer against hand-typed and recorded bytes, each other, and damage."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otrcore.errors import MalformedMessage
from otrcore.wire.header import (
    ANSWERS,
    STARTS,
    VERSION_4,
    Header,
    MessageType,
    is_ignorable,
    parse_header,
    version_of,
)
from otrcore.wire.messages4 import AuthI, AuthR, DataMessage, Identity, Message, parse
from otrcore.wire.profile import ClientProfile
from otrcore.wire.text import Encoded, classify, encode
from tests.wire import recorded4
from tests.wire.hand_typed4 import HEADER_BYTES, MESSAGES, PROFILES, length_fields

repeatable = settings(derandomize=True, deadline=None, max_examples=200)

RAW = [(message, bytes.fromhex(text)) for message, text in MESSAGES]
IDS = [f"{type(message).__name__}-{number}" for number, (message, _) in enumerate(MESSAGES)]
each_message = pytest.mark.parametrize(("message", "raw"), RAW, ids=IDS)


@each_message
def test_written_as_typed_by_hand(message: Message, raw: bytes) -> None:
    assert message.serialise() == raw


@each_message
def test_read_as_typed_by_hand(message: Message, raw: bytes) -> None:
    assert parse(raw) == parse(raw, parse_header(raw)) == message
    assert parse_header(raw) == message.header
    assert version_of(raw) == message.header.version == VERSION_4
    assert message.header.length == HEADER_BYTES
    assert message.type == message.header.type


@each_message
def test_refused_when_cut_off_anywhere(message: Message, raw: bytes) -> None:
    for length in range(len(raw)):
        with pytest.raises(MalformedMessage):
            parse(raw[:length])


@each_message
def test_refused_with_anything_behind_it(message: Message, raw: bytes) -> None:
    for more in (b"\0", b"\xff", raw):
        with pytest.raises(MalformedMessage):
            parse(raw + more)


WRONG_LENGTHS = [
    pytest.param(raw[:at] + length.to_bytes(4, "big") + raw[at + 4 :], id=f"{name}-at-{at}-says-{length}")
    for (message, raw), name in zip(RAW, IDS, strict=True)
    for _, at in length_fields(message, raw)
    for length in (0, 1, 2**31, 2**32 - 1)
    if int.from_bytes(raw[at : at + 4], "big") != length
]


@pytest.mark.parametrize("damaged", WRONG_LENGTHS)
def test_refused_with_a_wrong_length_and_nothing_reserved_on_its_word(damaged: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(MalformedMessage):
            parse(damaged)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


LEADING_ZEROS = [
    pytest.param(
        raw[:at] + (int.from_bytes(raw[at : at + 4], "big") + 1).to_bytes(4, "big") + b"\0" + raw[at + 4 :],
        id=f"{name}-at-{at}",
    )
    for (message, raw), name in zip(RAW, IDS, strict=True)
    for kind, at in length_fields(message, raw)
    if kind == "mpi"
]


@pytest.mark.parametrize("damaged", LEADING_ZEROS)
def test_refused_with_a_leading_zero_in_an_mpi(damaged: bytes) -> None:
    with pytest.raises(MalformedMessage, match="leading zero"):
        parse(damaged)


@pytest.mark.parametrize("kind", [0x00, 0x02, 0x04, 0x08, 0x0A, 0x0D, 0x0F, 0x11, 0x12, 0x34, 0x38, 0xFF])
def test_unknown_types_and_those_of_version_3_are_refused(kind: int) -> None:
    for _, raw in RAW:
        with pytest.raises(MalformedMessage):
            parse(raw[:2] + bytes((kind,)) + raw[3:])


@pytest.mark.parametrize("length", [1, 20, 63, 65, 127, 129])
def test_revealed_mac_keys_have_64_bytes(length: int) -> None:
    message = next(message for message, _ in RAW if isinstance(message, DataMessage))
    assert len(message.old_mac_keys) == 128
    raw = message.authenticated() + message.mac + length.to_bytes(4, "big") + bytes(length)
    with pytest.raises(MalformedMessage, match="64 bytes"):
        parse(raw)


def test_what_a_mac_covers_ends_with_the_encrypted_text() -> None:
    data_messages = [(message, raw) for message, raw in RAW if isinstance(message, DataMessage)]
    assert data_messages
    for message, raw in data_messages:
        behind = 64 + 4 + len(message.old_mac_keys)
        assert message.authenticated() == raw[:-behind]


def test_the_flag_stands_behind_the_header() -> None:
    flags = {message.flags: raw for message, raw in RAW if isinstance(message, DataMessage)}
    assert is_ignorable(flags[1])
    assert not is_ignorable(flags[0])
    assert not is_ignorable(flags[1][:HEADER_BYTES])


def test_types_that_start_an_exchange_and_those_that_answer_them() -> None:
    # v3: D-H Commit and D-H Key; v4: Identity and Auth-R.
    assert {0x02, 0x35} == STARTS
    assert {0x0A, 0x36} == ANSWERS
    assert (MessageType.IDENTITY, MessageType.AUTH_R, MessageType.AUTH_I) == (0x35, 0x36, 0x37)


# Counted in the recordings: their Identity, Auth-R, Auth-I and data messages.
SENT = {"trace": (1, 1, 1, 27), "bobfirst": (1, 1, 1, 28), "frag350": (1, 1, 1, 27)}


def recorded(name: str) -> list[bytes]:
    """Every encoded message of a conversation, those that were cut too."""
    lines = map(recorded4.joined, recorded4.fragments(name))
    cut = [content.raw for line in lines if isinstance(content := classify(line), Encoded)]
    assert len(cut) == len(recorded4.fragments(name))
    return recorded4.messages(name) + cut


@pytest.mark.parametrize("name", recorded4.CONVERSATIONS)
def test_otr4js_messages_come_back(name: str) -> None:
    profiles = recorded4.profiles(name)
    kinds: Counter[type[Message]] = Counter()
    for raw in recorded(name):
        message = parse(raw)
        kinds[type(message)] += 1
        assert message.serialise() == raw
        if isinstance(message, Identity | AuthR):
            assert message.profile.serialise() in profiles.values()
            assert message.profile.owner_tag == message.header.sender_tag
            assert (message.header.receiver_tag == 0) == isinstance(message, Identity)
    assert tuple(kinds[kind] for kind in (Identity, AuthR, AuthI, DataMessage)) == SENT[name]


@pytest.mark.parametrize("name", ["trace", "bobfirst"])
def test_otr4js_lines_are_written_alike(name: str) -> None:
    lines = [line for line in recorded4.injected(name) if line.startswith("?OTR:")]
    assert [encode(parse(raw).serialise()) for raw in recorded4.messages(name)] == lines


def test_otr4js_data_messages_say_what_was_recorded_of_them() -> None:
    recorded = recorded4.vectors()["data"]
    assert len(recorded) == 27
    for vector in recorded:
        message = parse(bytes.fromhex(vector["wire"]))
        assert isinstance(message, DataMessage)
        numbers = (message.ratchet_id, message.message_id, message.previous_count)
        assert numbers == (vector["i"], vector["j"], vector["pn"])
        assert message.flags == int(vector["flags"], 16)
        assert (message.dh is not None) == vector["dh"]
        assert message.old_mac_keys.hex() == vector["revealed"]
        # ChaCha20 lengthens nothing.
        assert len(message.encrypted) == len(bytes.fromhex(vector["plain"]))


points = st.binary(min_size=57, max_size=57)
sigmas = st.binary(min_size=342, max_size=342)
ints = st.integers(0, 2**32 - 1)
mpis = st.integers(0, 2**300)
some_profiles = st.builds(
    ClientProfile,
    ints,
    points,
    points,
    st.text("1234", max_size=16),
    st.integers(0, 2**64 - 1),
    st.sampled_from([None, PROFILES[1][0].dsa_key]),
    st.none() | st.binary(min_size=40, max_size=40),
    st.binary(min_size=114, max_size=114),
)


def headers(kind: int) -> st.SearchStrategy[Header]:
    return st.builds(Header, st.just(4), st.just(kind), ints, ints)


messages: st.SearchStrategy[Message] = st.one_of(
    st.builds(Identity, headers(0x35), some_profiles, points, mpis, points, mpis),
    st.builds(AuthR, headers(0x36), some_profiles, points, mpis, sigmas, points, mpis),
    st.builds(AuthI, headers(0x37), sigmas),
    st.builds(
        DataMessage,
        headers(0x03),
        st.integers(0, 255),
        ints,
        ints,
        ints,
        points,
        st.none() | st.integers(1, 2**300),
        st.binary(max_size=60),
        st.binary(min_size=64, max_size=64),
        st.binary(max_size=3).map(lambda key: key * 64),
    ),
)


@repeatable
@given(messages)
def test_every_value_comes_back(message: Message) -> None:
    again = parse(message.serialise())
    assert type(again) is type(message)
    for field in fields(message):
        assert getattr(again, field.name) == getattr(message, field.name)


@settings(repeatable, max_examples=500)
@given(messages, st.data())
def test_whatever_can_be_read_is_written_with_the_same_bytes(message: Message, data: st.DataObject) -> None:
    raw = bytearray(message.serialise())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw)))
        taken = data.draw(st.integers(0, 4))
        raw[at : at + taken] = data.draw(
            st.binary(min_size=taken, max_size=taken + data.draw(st.integers(0, 1)))
        )
    # Version 2 has another header; which reader a message is for, its version has told before.
    raw[:2] = b"\0\4"
    try:
        parsed = parse(bytes(raw))
    except MalformedMessage:
        return
    assert parsed.serialise() == raw
