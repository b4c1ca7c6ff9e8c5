"""One JSON object a line: how the engine and its client speak."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

MAX_FRAME = 1 << 20
"""Bytes of a line, its end included."""

_LONGEST_NUMBER = 20
_ROOM_FOR_ACTIONS = MAX_FRAME - 100

Frame = dict[str, Any]


class BadFrame(Exception):
    """What came is no frame: the connection is of no use any more."""


class TooLong(Exception):
    """This would make a frame that the other side does not take."""


def encode(frame: Frame) -> bytes:
    """Return a frame as a line; what is no UTF-8 travels as lone surrogates.  TooLong."""
    line = _ENCODER.encode(frame).encode() + b"\n"
    if len(line) > MAX_FRAME:
        raise TooLong
    return line


def portions(actions: Iterable[Frame], instead: Frame) -> Iterator[list[Frame]]:
    """Divide actions into lists that each fit into a frame; what fits into none is replaced by `instead`."""
    portion: list[Frame] = []
    size = 0
    for action in actions:
        length = len(_ENCODER.encode(action)) + 1
        if length > _ROOM_FOR_ACTIONS:
            action, length = instead, len(_ENCODER.encode(instead)) + 1
        if size + length > _ROOM_FOR_ACTIONS:
            yield portion
            portion, size = [], 0
        portion.append(action)
        size += length
    if portion:
        yield portion


class Frames:
    """Puts frames together from what a socket delivers."""

    def __init__(self) -> None:
        self._rest = b""

    def add(self, data: bytes) -> Iterator[Frame]:
        """Take bytes, and yield the frames that are whole; BadFrame."""
        *lines, rest = data.split(b"\n")
        if lines:
            lines[0] = self._rest + lines[0]
            self._rest = rest
        else:
            self._rest += rest
        for line in lines:
            yield _decoded(line)
        if len(self._rest) >= MAX_FRAME:
            raise BadFrame("too long")


def _decoded(line: bytes) -> Frame:
    if len(line) >= MAX_FRAME:
        raise BadFrame("too long")
    try:
        frame = _DECODER.decode(line.decode())
    except (ValueError, RecursionError) as error:
        raise BadFrame("no JSON") from error
    if not isinstance(frame, dict):
        raise BadFrame("no object")
    return frame


def _integer(digits: str) -> int:
    if len(digits) > _LONGEST_NUMBER:
        raise ValueError("no number of the link is that long")
    return int(digits)


def _refuse(name: str) -> None:
    raise ValueError(name)


_ENCODER = json.JSONEncoder(separators=(",", ":"))
_DECODER = json.JSONDecoder(parse_int=_integer, parse_constant=_refuse)
