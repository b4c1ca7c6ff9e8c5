"""Frames: whole or in pieces, whatever text they hold, and nothing else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otrcore.client.errors import BadFrame
from otrcore.client.frames import MAX_FRAME, Frame, FrameReader, decode, encode

# Lone surrogates too: a client's text may hold bytes that are no UTF-8.
TEXTS = st.text(st.characters(codec=None, exclude_categories=()), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
FRAMES = st.dictionaries(TEXTS, VALUES, max_size=4)


def frames_of(reader: FrameReader) -> list[Frame]:
    found = []
    while (frame := reader.take()) is not None:
        found.append(frame)
    return found


@given(st.lists(FRAMES, max_size=5), st.integers(1, 40))
def test_frames_arrive_as_they_were_in_whatever_pieces(frames: list[Frame], size: int) -> None:
    stream = b"".join(map(encode, frames))
    assert stream.isascii()
    assert stream.count(b"\n") == len(frames)
    reader, found = FrameReader(), []
    for at in range(0, len(stream), size):
        reader.feed(stream[at : at + size])
        found += frames_of(reader)
    assert found == frames
    assert not reader.holds_line


def test_a_surrogate_is_an_escape() -> None:
    assert encode({"text": "\udcff"}) == b'{"text":"\\udcff"}\n'


def test_utf8_is_read_too() -> None:
    assert decode('{"text": "grüße"}'.encode()) == {"text": "grüße"}


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\0",
        b"{",
        b"[]",
        b"1",
        b'"text"',
        b"null",
        b"{'a': 1}",
        b'{"a": 1} {"b": 2}',
        b'{"a": \xff}',
        b'{"a": "\xff"}',
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
    ids=lambda line: repr(line[:20]),
)
def test_what_is_no_frame_is_refused_for_good(line: bytes) -> None:
    with pytest.raises(BadFrame):
        decode(line)
    reader = FrameReader()
    reader.feed(line + b"\n" + encode({"n": 1}))
    for _ in range(2):
        with pytest.raises(BadFrame) as caught:
            reader.take()
    assert str(caught.value).endswith(".")


def test_frames_before_garbage_are_read() -> None:
    reader = FrameReader()
    reader.feed(encode({"push": 1}) + b"garbage\n")
    assert reader.take() == {"push": 1}
    with pytest.raises(BadFrame):
        reader.take()


def padded(size: int) -> Frame:
    empty = len(encode({"text": ""}))
    return {"text": "x" * (size - empty)}


def test_a_frame_of_the_greatest_length_travels() -> None:
    line = encode(padded(MAX_FRAME))
    assert len(line) == MAX_FRAME
    reader = FrameReader()
    for at in range(0, len(line), 65_536):
        assert reader.take() is None
        reader.feed(line[at : at + 65_536])
    assert reader.take() == padded(MAX_FRAME)


def test_a_frame_that_is_longer_does_not() -> None:
    with pytest.raises(BadFrame, match="too long"):
        encode(padded(MAX_FRAME + 1))
    for rest in (b"", b"\n"):
        reader = FrameReader()
        reader.feed(json.dumps(padded(MAX_FRAME + 100)).encode() + rest)
        with pytest.raises(BadFrame):
            reader.take()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), b"bytes", {1, 2}, object()])
def test_what_no_frame_can_hold_is_refused(value: object) -> None:
    with pytest.raises(BadFrame):
        encode({"value": value})


def test_a_frame_that_holds_itself_is_refused() -> None:
    frame: Frame = {}
    frame["frame"] = frame
    with pytest.raises(BadFrame):
        encode(frame)
