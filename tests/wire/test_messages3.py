"""Messages of versions 2 and 3: what is theirs alone, and reader and writer against each other."""

from __future__ import annotations

import base64
from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otrcore.errors import MalformedMessage, PeerError
from otrcore.wire.codec import Reader
from otrcore.wire.header import Header, is_ignorable, parse_header, version_of
from otrcore.wire.keys import fingerprint, read_public_key, serialise_public_key
from otrcore.wire.messages3 import DataMessage, DhCommit, DhKey, Message, RevealSignature, Signature, parse
from tests.wire.changes import changed
from tests.wire.hand_typed import HEADER_BYTES, MESSAGES, PUBLIC_KEY, PUBLIC_KEY_HEX

repeatable = settings(derandomize=True, deadline=None, max_examples=200)

RAW = [(message, bytes.fromhex(text)) for message, text in MESSAGES]

each_version = pytest.mark.parametrize("version", [2, 3])


@each_version
@pytest.mark.parametrize("length", [0, 15, 17, 32])
def test_a_revealed_key_has_16_bytes(version: int, length: int) -> None:
    message = RevealSignature(Header(version, 0x11, 256, 257), bytes(length), b"signature", bytes(20))
    with pytest.raises(MalformedMessage):
        parse(message.serialise())


@each_version
@pytest.mark.parametrize("length", [0, 20, 31, 33])
def test_a_committed_hash_has_32_bytes(version: int, length: int) -> None:
    message = DhCommit(Header(version, 0x02, 256, 257), b"encrypted", bytes(length))
    with pytest.raises(MalformedMessage):
        parse(message.serialise())


def test_the_flag_stands_behind_the_header() -> None:
    for message, raw in RAW:
        if isinstance(message, DataMessage):
            at = HEADER_BYTES[message.header.version]
            assert is_ignorable(raw) == (message.flags == 1)
            assert is_ignorable(raw[: at + 1]) == (message.flags == 1)
            assert not is_ignorable(raw[:at])
            assert not is_ignorable(raw[:at] + b"\xfe" + raw[at + 1 :])
            assert is_ignorable(raw[:at] + b"\xff" + raw[at + 1 :])
    assert not is_ignorable(b"")
    assert not is_ignorable(b"\0\2")


def test_version_2_knows_no_instances() -> None:
    """Whatever tags a header of it is made with, none is written, and none is read."""
    message = DhKey(Header(2, 0x0A, 0x100, 0x101), 5)
    assert message.serialise() == bytes.fromhex("0002 0a 00000001 05")
    assert parse_header(message.serialise()) == Header(2, 0x0A, 0, 0)
    assert parse_header(message.serialise()).reply(0x11, 0) == Header(2, 0x11, 0, 0)
    assert Header(3, 0x0A, 0x100, 0x101).reply(0x11, 0x101) == Header(3, 0x11, 0x101, 0x100)


def test_the_specifications_own_data_message() -> None:
    raw = base64.b64decode(
        "AAMDJ+MVmSfjFZcAAAAAAQAAAAIAAADA1g5IjD1ZGLDVQEyCgCyn9hb"
        "rL3KAbGDdzE2ZkMyTKl7XfkSxh8YJnudstiB74i4BzT0W2haClg6dMary/jo"
        "9sMudwmUdlnKpIGEKXWdvJKT+hQ26h9nzMgEditLB8vjPEWAJ6gBXvZrY6ZQ"
        "rx3gb4v0UaSMOMiR5sB7Eaulb2Yc6RmRnnlxgUUC2alosg4WIeFN951PLjSc"
        "ajVba6dqlDi+q1H5tPvI5SWMN7PCBWIJ41+WvF+5IAZzQZYgNaVLbAAAAAAA"
        "AAAEAAAAHwNiIi5Ms+4PsY/L2ipkTtquknfx6HodLvk3RAAAAAA=="
    )
    message = parse(raw)
    assert isinstance(message, DataMessage)
    assert message.header == Header(3, 0x03, 0x27E31599, 0x27E31597)
    assert (message.flags, message.sender_keyid, message.recipient_keyid) == (0, 1, 2)
    assert message.counter == 1
    assert len(message.encrypted) == 7
    assert message.next_dh.bit_length() > 1500
    assert message.old_mac_keys == b""
    assert message.serialise() == raw


def test_a_public_key_as_typed_by_hand() -> None:
    raw = bytes.fromhex(PUBLIC_KEY_HEX)
    assert serialise_public_key(PUBLIC_KEY) == raw
    reader = Reader(raw + b"after")
    assert read_public_key(reader) == PUBLIC_KEY
    assert reader.rest() == b"after"


def test_a_public_key_is_refused_cut_off_anywhere_of_another_type_or_with_a_leading_zero() -> None:
    raw = bytes.fromhex(PUBLIC_KEY_HEX)
    damaged = [raw[:length] for length in range(len(raw))]
    damaged += [b"\0\1" + raw[2:], b"\1\0" + raw[2:]]
    at = 2
    while at < len(raw):
        length = int.from_bytes(raw[at : at + 4], "big")
        damaged.append(raw[:at] + (length + 1).to_bytes(4, "big") + b"\0" + raw[at + 4 :])
        damaged += [raw[:at] + huge.to_bytes(4, "big") + raw[at + 4 :] for huge in (2**31, 2**32 - 1)]
        at += 4 + length
    for bad in damaged:
        with pytest.raises(MalformedMessage):
            read_public_key(Reader(bad))


def test_the_fingerprint_leaves_out_the_type() -> None:
    # printf '\0\0\0\3\360\1\2\0\0\0\2\3\4\0\0\0\1\5\0\0\0\2\6\7' | sha1sum
    assert fingerprint(PUBLIC_KEY).digest.hex() == "286d47ec18c64311b91d759886bf73822d7663ea"
    assert str(fingerprint(PUBLIC_KEY)) == "286D47EC 18C64311 B91D7598 86BF7382 2D7663EA"


short_bytes = st.binary(max_size=60)
macs = st.binary(min_size=20, max_size=20)
ints = st.integers(0, 2**32 - 1)
mpis = st.integers(0, 2**300)


def headers(kind: int) -> st.SearchStrategy[Header]:
    with_tags = st.integers(0, 2**16 - 1).filter(lambda version: version != 2)
    return st.just(Header(2, kind)) | st.builds(Header, with_tags, st.just(kind), ints, ints)


messages: st.SearchStrategy[Message] = st.one_of(
    st.builds(DhCommit, headers(0x02), short_bytes, st.binary(min_size=32, max_size=32)),
    st.builds(DhKey, headers(0x0A), mpis),
    st.builds(RevealSignature, headers(0x11), st.binary(min_size=16, max_size=16), short_bytes, macs),
    st.builds(Signature, headers(0x12), short_bytes, macs),
    st.builds(
        DataMessage,
        headers(0x03),
        st.integers(0, 255),
        ints,
        ints,
        mpis,
        st.integers(0, 2**64 - 1),
        short_bytes,
        macs,
        st.binary(max_size=10).map(lambda key: key * 20),
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
    try:
        parsed = parse(bytes(raw))
    except MalformedMessage:
        return
    assert parsed.serialise() == raw


@repeatable
@given(st.sampled_from([2, 3]), st.sampled_from([0x02, 0x03, 0x0A, 0x11, 0x12]), st.binary(max_size=200))
def test_random_bytes_are_read_exactly_or_refused(version: int, kind: int, content: bytes) -> None:
    raw = Header(version, kind, 0, 0x100).serialise() + content
    try:
        parsed = parse(raw)
    except PeerError as error:
        assert isinstance(error, MalformedMessage)
    else:
        assert parsed.serialise() == raw


@pytest.mark.parametrize("raw", [b"", b"\x00"])
def test_what_is_too_short_for_a_version_is_malformed(raw: bytes) -> None:
    with pytest.raises(MalformedMessage, match="version"):
        version_of(raw)
