"""One JSON object a line, of bounded length: what travels on the link in both directions."""

from __future__ import annotations

import json
from typing import Any, Dict

from .errors import BadFrame

Frame = Dict[str, Any]

MAX_FRAME = 1 << 20
"""Bytes of a line, its end included."""

_LONGEST_NUMBER = 20


def encode(frame: Frame) -> bytes:
    """Return a frame as a line of ASCII; lone surrogates travel as escapes.  BadFrame if it is too long."""
    try:
        line = _ENCODER.encode(frame).encode("ascii") + b"\n"
    except (TypeError, ValueError, RecursionError) as error:
        raise BadFrame("OTR could not put this into a message to its engine.") from error
    if len(line) > MAX_FRAME:
        raise BadFrame("This is too long for OTR: try it in parts.")
    return line


def decode(line: bytes) -> Frame:
    """Return the frame that a line holds; BadFrame."""
    try:
        frame = _DECODER.decode(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise BadFrame(_GARBAGE) from error
    if not isinstance(frame, dict):
        raise BadFrame(_GARBAGE)
    return frame


class FrameReader:
    """Puts frames together from what a socket delivers, in whatever pieces."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0

    def feed(self, data: bytes) -> None:
        """Take what has arrived."""
        self._buffer += data

    @property
    def holds_line(self) -> bool:
        """Whether `take` has something to do."""
        return b"\n" in self._buffer

    def take(self) -> Frame | None:
        """Return the next frame, None if it is not there yet; BadFrame, and then for good."""
        end = self._buffer.find(b"\n", self._searched)
        if (end if end >= 0 else len(self._buffer)) >= MAX_FRAME:
            raise BadFrame(_GARBAGE)
        if end < 0:
            self._searched = len(self._buffer)
            return None
        frame = decode(bytes(self._buffer[:end]))
        del self._buffer[: end + 1]
        self._searched = 0
        return frame


def _integer(digits: str) -> int:
    if len(digits) > _LONGEST_NUMBER:
        raise ValueError("no number of the link is that long")
    return int(digits)


def _refuse(name: str) -> None:
    raise ValueError(name)


_ENCODER = json.JSONEncoder(allow_nan=False, separators=(",", ":"))
_DECODER = json.JSONDecoder(parse_int=_integer, parse_constant=_refuse)
_GARBAGE = "OTR's engine has sent something that makes no sense."
