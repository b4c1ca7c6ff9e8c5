"""The data types of the specification: hand-typed bytes for both directions, and every bound."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otrcore.errors import MalformedMessage, Reason
from otrcore.wire import codec
from otrcore.wire.codec import Reader

repeatable = settings(derandomize=True, deadline=None)

Read = Callable[[Reader], object]
Write = Callable[..., bytes]

TYPED: list[tuple[Write, Read, object, str]] = [
    (codec.byte, Reader.byte, 0, "00"),
    (codec.byte, Reader.byte, 255, "ff"),
    (codec.short, Reader.short, 3, "0003"),
    (codec.short, Reader.short, 0xFEDC, "fedc"),
    (codec.integer, Reader.integer, 0x01020304, "01020304"),
    (codec.integer, Reader.integer, 2**32 - 1, "ffffffff"),
    (codec.int64, Reader.int64, 0x0102030405060708, "0102030405060708"),
    (codec.int64, Reader.int64, 2**64 - 1, "ffffffffffffffff"),
    (codec.mpi, Reader.mpi, 0, "00000000"),
    (codec.mpi, Reader.mpi, 1, "00000001 01"),
    (codec.mpi, Reader.mpi, 0x7F, "00000001 7f"),
    (codec.mpi, Reader.mpi, 0x80, "00000001 80"),
    (codec.mpi, Reader.mpi, 0xFF, "00000001 ff"),
    (codec.mpi, Reader.mpi, 0x100, "00000002 0100"),
    (codec.mpi, Reader.mpi, 0x0102030405, "00000005 0102030405"),
    (codec.data, Reader.data, b"", "00000000"),
    (codec.data, Reader.data, b"\x00", "00000001 00"),
    (codec.data, Reader.data, b"\x00\x01\x02", "00000003 000102"),
]
IDS = [f"{write.__name__}-{text}" for write, _, _, text in TYPED]


@pytest.mark.parametrize(("write", "read", "value", "text"), TYPED, ids=IDS)
def test_written_as_typed_by_hand(write: Write, read: Read, value: object, text: str) -> None:
    assert write(value) == bytes.fromhex(text)


@pytest.mark.parametrize(("write", "read", "value", "text"), TYPED, ids=IDS)
def test_read_as_typed_by_hand_and_not_a_byte_more(
    write: Write, read: Read, value: object, text: str
) -> None:
    reader = Reader(bytes.fromhex(text) + b"after")
    assert read(reader) == value
    assert reader.rest() == b"after"
    reader.end()


@pytest.mark.parametrize(("write", "read", "value", "text"), TYPED, ids=IDS)
def test_refused_when_cut_off_anywhere(write: Write, read: Read, value: object, text: str) -> None:
    raw = bytes.fromhex(text)
    for length in range(len(raw)):
        with pytest.raises(MalformedMessage) as caught:
            read(Reader(raw[:length]))
        assert caught.value.reason is Reason.MALFORMED


@pytest.mark.parametrize("text", ["00000001 00", "00000002 0001", "00000003 000080", "00000004 00000000"])
def test_an_mpi_with_leading_zeros_is_refused(text: str) -> None:
    with pytest.raises(MalformedMessage):
        Reader(bytes.fromhex(text)).mpi()


@pytest.mark.parametrize("read", [Reader.data, Reader.mpi])
@pytest.mark.parametrize("length", [6, 2**16, 2**31 - 1, 2**31, 2**32 - 4, 2**32 - 1])
def test_a_length_is_believed_only_as_far_as_bytes_follow(read: Read, length: int) -> None:
    reader = Reader(length.to_bytes(4, "big") + b"\x01\x02\x03\x04\x05")
    tracemalloc.start()
    try:
        with pytest.raises(MalformedMessage):
            read(reader)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_a_reader_starts_where_it_is_told_and_refuses_what_is_left() -> None:
    reader = Reader(b"\x01\x02\x03", 1)
    assert reader.byte() == 2
    with pytest.raises(MalformedMessage):
        reader.end()
    assert reader.take(0) == b""
    assert reader.take(1) == b"\x03"
    reader.end()


@repeatable
@given(st.integers(0, 2**1600))
def test_every_mpi_comes_back(value: int) -> None:
    reader = Reader(codec.mpi(value))
    assert reader.mpi() == value
    reader.end()


@repeatable
@given(st.binary(max_size=300), st.sampled_from([Reader.data, Reader.mpi]))
def test_what_can_be_read_is_written_with_the_same_bytes(raw: bytes, read: Read) -> None:
    raw = len(raw).to_bytes(4, "big") + raw
    reader = Reader(raw)
    try:
        value = read(reader)
    except MalformedMessage:
        assert read is Reader.mpi
        assert raw[4] == 0
        return
    assert (codec.mpi if read is Reader.mpi else codec.data)(value) == raw  # type: ignore[arg-type]
