"""Frames: put together from any pieces, bounded, and divided where they would be too long."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from otrcore.client.frames import FrameReader
from otrcore.engine.frames import MAX_FRAME, BadFrame, Frame, Frames, TooLong, encode, portions

TEXTS = some.text(some.characters(exclude_categories=()), max_size=20)
VALUES = some.recursive(
    some.none() | some.booleans() | some.integers(-(10**18), 10**18) | TEXTS,
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=10,
)
FRAMES = some.dictionaries(TEXTS, VALUES, max_size=5)


@settings(max_examples=50)
@given(some.lists(FRAMES, max_size=5), some.integers(1, 50))
def test_frames_arrive_in_whatever_pieces(frames: list[Frame], size: int) -> None:
    data = b"".join(map(encode, frames))
    assert data.isascii()
    there = Frames()
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    assert [frame for piece in pieces for frame in there.add(piece)] == frames


@settings(max_examples=50)
@given(some.lists(FRAMES, max_size=5))
def test_the_client_reads_what_the_engine_writes(frames: list[Frame]) -> None:
    reader = FrameReader()
    for frame in frames:
        reader.feed(encode(frame))
        assert reader.take() == frame
    assert reader.take() is None


@given(some.binary(max_size=200))
def test_garbage_is_refused_and_nothing_else_happens(data: bytes) -> None:
    try:
        frames = list(Frames().add(data + b"\n"))
    except BadFrame:
        return
    assert all(isinstance(frame, dict) for frame in frames)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"null",
        b"1",
        b'"text"',
        b"{",
        b'{"n": NaN}',
        b'{"n": Infinity}',
        b'{"n": 1' + b"0" * 5000 + b"}",
        b'{"n": 1' + b"0" * 30 + b"}",
        b"\xff\xfe",
        b'{"a": "\xff"}',
        b'{"a": ' + b"[" * 200_000,
        b'{"a": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        b"\0" * 10,
        b'{"n": 1}{"n": 2}',
    ],
)
def test_what_is_no_object_is_no_frame(line: bytes) -> None:
    with pytest.raises(BadFrame):
        list(Frames().add(line + b"\n"))


def test_a_line_ends_somewhere() -> None:
    longest = b'{"a":"' + b"x" * (MAX_FRAME - 9) + b'"}\n'
    assert len(longest) == MAX_FRAME
    assert list(Frames().add(longest)) == [json.loads(longest)]
    with pytest.raises(BadFrame):
        list(Frames().add(b" " + longest))
    endless = Frames()
    with pytest.raises(BadFrame):
        for _ in range(MAX_FRAME // 1000 + 2):
            list(endless.add(b"x" * 1000))


def test_the_longest_frame_is_the_clients_too() -> None:
    content: dict[str, Any] = {"a": "x" * (MAX_FRAME - 9)}
    reader = FrameReader()
    reader.feed(encode(content))
    assert reader.take() == content
    content["a"] += "x"
    with pytest.raises(TooLong):
        encode(content)


@given(some.lists(some.integers(1, 400_000), max_size=12))
def test_actions_are_divided_in_their_order(sizes: list[int]) -> None:
    actions: list[Frame] = [{"a": number, "text": "x" * size} for number, size in enumerate(sizes)]
    divided = list(portions(actions, {"a": "instead"}))
    assert [action for portion in divided for action in portion] == actions
    for portion in divided:
        encode({"push": 10**12, "actions": portion})


def test_what_fits_into_no_frame_is_replaced() -> None:
    huge: Frame = {"a": "message", "lines": ["\U0001f600" * MAX_FRAME]}
    assert list(portions([{"a": 1}, huge, {"a": 2}], {"a": "instead"})) == [
        [{"a": 1}, {"a": "instead"}, {"a": 2}]
    ]
