"""Messages of version 4: what is theirs alone; reader and writer against recorded bytes and each other."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otrcore.errors import MalformedMessage
from otrcore.wire.header import (
    ANSWERS,
    STARTS,
    Header,
    MessageType,
    is_ignorable,
)
from otrcore.wire.messages4 import AuthI, AuthR, DataMessage, Identity, Message, parse
from otrcore.wire.profile import ClientProfile
from otrcore.wire.text import Encoded, classify, encode
from tests.wire import recorded4
from tests.wire.changes import changed
from tests.wire.hand_typed4 import HEADER_BYTES, MESSAGES, PROFILES

repeatable = settings(derandomize=True, deadline=None, max_examples=200)

RAW = [(message, bytes.fromhex(text)) for message, text in MESSAGES]


@pytest.mark.parametrize("length", [1, 20, 63, 65, 127, 129])
def test_revealed_mac_keys_have_64_bytes(length: int) -> None:
    message = next(message for message, _ in RAW if isinstance(message, DataMessage))
    assert len(message.old_mac_keys) == 128
    raw = message.authenticated() + message.mac + length.to_bytes(4, "big") + bytes(length)
    with pytest.raises(MalformedMessage, match="64 bytes"):
        parse(raw)


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
    raw = changed(message.serialise(), data)
    # Version 2 has another header; which reader a message is for, its version has told before.
    raw[:2] = b"\0\4"
    try:
        parsed = parse(bytes(raw))
    except MalformedMessage:
        return
    assert parsed.serialise() == raw
