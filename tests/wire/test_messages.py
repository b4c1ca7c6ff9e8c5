"""Messages of every version: reader and writer against hand-typed bytes, and damage."""

from __future__ import annotations

import tracemalloc

import pytest

from otrcore.errors import MalformedMessage
from otrcore.wire import messages3, messages4
from otrcore.wire.header import parse_header, version_of
from tests.wire import hand_typed, hand_typed4

Message = messages3.Message | messages4.Message

PARSE = {2: messages3.parse, 3: messages3.parse, 4: messages4.parse}
HEADER_BYTES = {**hand_typed.HEADER_BYTES, 4: hand_typed4.HEADER_BYTES}
MAC_BYTES = {2: 20, 3: 20, 4: 64}

TYPED: list[tuple[Message, str]] = [*hand_typed.MESSAGES, *hand_typed4.MESSAGES]
RAW = [(message, bytes.fromhex(text)) for message, text in TYPED]
IDS = [
    f"{type(message).__name__}-{message.header.version}-{number}" for number, (message, _) in enumerate(RAW)
]
each_message = pytest.mark.parametrize(("message", "raw"), RAW, ids=IDS)


def length_fields(message: Message, raw: bytes) -> list[tuple[str, int]]:
    """Return kind ("mpi" or "data") and place of every length field in the bytes of a message."""
    if isinstance(message, messages4.Message):
        return hand_typed4.length_fields(message, raw)
    return hand_typed.length_fields(message, raw)


@each_message
def test_written_as_typed_by_hand(message: Message, raw: bytes) -> None:
    assert message.serialise() == raw


@each_message
def test_read_as_typed_by_hand(message: Message, raw: bytes) -> None:
    version = message.header.version
    assert version_of(raw) == version
    assert parse_header(raw) == message.header
    assert message.header.length == HEADER_BYTES[version]
    assert message.header.type == message.type
    parse = PARSE[version]
    assert parse(raw) == parse(raw, parse_header(raw)) == message


@each_message
def test_refused_when_cut_off_anywhere(message: Message, raw: bytes) -> None:
    for length in range(len(raw)):
        with pytest.raises(MalformedMessage):
            PARSE[message.header.version](raw[:length])


@each_message
def test_refused_with_anything_behind_it(message: Message, raw: bytes) -> None:
    for more in (b"\0", b"\xff", raw):
        with pytest.raises(MalformedMessage):
            PARSE[message.header.version](raw + more)


WRONG_LENGTHS = [
    pytest.param(
        message.header.version,
        raw[:at] + length.to_bytes(4, "big") + raw[at + 4 :],
        id=f"{name}-at-{at}-says-{length}",
    )
    for (message, raw), name in zip(RAW, IDS, strict=True)
    for _, at in length_fields(message, raw)
    for length in (0, 1, 2**31, 2**32 - 1)
    if int.from_bytes(raw[at : at + 4], "big") != length
]


@pytest.mark.parametrize(("version", "damaged"), WRONG_LENGTHS)
def test_refused_with_a_wrong_length_and_nothing_reserved_on_its_word(version: int, damaged: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(MalformedMessage):
            PARSE[version](damaged)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


LEADING_ZEROS = [
    pytest.param(
        message.header.version,
        raw[:at] + (int.from_bytes(raw[at : at + 4], "big") + 1).to_bytes(4, "big") + b"\0" + raw[at + 4 :],
        id=f"{name}-at-{at}",
    )
    for (message, raw), name in zip(RAW, IDS, strict=True)
    for kind, at in length_fields(message, raw)
    if kind == "mpi"
]


@pytest.mark.parametrize(("version", "damaged"), LEADING_ZEROS)
def test_refused_with_a_leading_zero_in_an_mpi(version: int, damaged: bytes) -> None:
    with pytest.raises(MalformedMessage, match="leading zero"):
        PARSE[version](damaged)


OF_VERSIONS_2_AND_3 = (0x00, 0x01, 0x04, 0x09, 0x0B, 0x10, 0x13, 0xFF)
OF_VERSION_4 = (0x00, 0x02, 0x04, 0x08, 0x0A, 0x0D, 0x0F, 0x11, 0x12, 0x34, 0x38, 0xFF)


@each_message
def test_unknown_types_and_those_of_other_versions_are_refused(message: Message, raw: bytes) -> None:
    version = message.header.version
    for kind in OF_VERSION_4 if version == 4 else OF_VERSIONS_2_AND_3:
        with pytest.raises(MalformedMessage):
            PARSE[version](raw[:2] + bytes((kind,)) + raw[3:])


@pytest.mark.parametrize("version", [2, 3, 4])
def test_what_a_mac_covers_ends_with_the_encrypted_text(version: int) -> None:
    data_messages = [
        (message, raw)
        for message, raw in RAW
        if isinstance(message, messages3.DataMessage | messages4.DataMessage)
        and message.header.version == version
    ]
    assert data_messages
    for message, raw in data_messages:
        behind = MAC_BYTES[version] + 4 + len(message.old_mac_keys)
        assert message.authenticated() == raw[:-behind]
