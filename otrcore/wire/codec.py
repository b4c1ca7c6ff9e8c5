"""The data types of the binary encoding (v3 and v4, "Data types"), each with its bounds.

A length field is believed only as far as bytes follow it, so nothing is ever
allocated on a peer's word.
"""

from __future__ import annotations

import struct
from typing import Any

from ..errors import MalformedMessage

CTR_BYTES = 8
MAC_BYTES = 20
"""Of versions 2 and 3."""

POINT_BYTES = 57
SCALAR_BYTES = 57
MAC_BYTES_4 = 64
MAC_KEY_BYTES_4 = 64
"""Of version 4, as those above it."""

_INT = struct.Struct(">I")


class Reader:
    """Takes values off the front of a byte string; every method raises MalformedMessage."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes, at: int = 0) -> None:
        """Read `data` from the byte `at` on; nothing is copied."""
        self._data = data
        self._at = at

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes."""
        end = self._at + count
        if end > len(self._data):
            raise MalformedMessage(f"{end - len(self._data)} bytes are missing")
        piece = self._data[self._at : end]
        self._at = end
        return piece

    def byte(self) -> int:
        """Return a BYTE."""
        return self.take(1)[0]

    def short(self) -> int:
        """Return a SHORT."""
        return int.from_bytes(self.take(2), "big")

    def integer(self) -> int:
        """Return an INT.  One stands before nearly every field, so it is read where it lies."""
        try:
            value: int = _INT.unpack_from(self._data, self._at)[0]
        except struct.error as error:
            raise MalformedMessage("a number is cut off") from error
        self._at += _INT.size
        return value

    def int64(self) -> int:
        """Return an INT64."""
        return int.from_bytes(self.take(8), "big")

    def unpack(self, layout: struct.Struct) -> tuple[Any, ...]:
        """Return fields of fixed sizes that stand one behind the other."""
        try:
            values = layout.unpack_from(self._data, self._at)
        except struct.error as error:
            raise MalformedMessage("fields are cut off") from error
        self._at += layout.size
        return values

    def data(self) -> bytes:
        """Return the content of a DATA."""
        return self.take(self.integer())

    def mpi(self) -> int:
        """Return an MPI; one with leading zeros would give one key many fingerprints: refused."""
        digits = self.data()
        if digits[:1] == b"\0":
            raise MalformedMessage("an MPI has a leading zero byte")
        return int.from_bytes(digits, "big")

    def rest(self) -> bytes:
        """Return everything that is left."""
        return self.take(len(self._data) - self._at)

    def end(self) -> None:
        """Refuse trailing bytes."""
        if self._at != len(self._data):
            raise MalformedMessage(f"{len(self._data) - self._at} bytes too many")


def byte(value: int) -> bytes:
    """Encode a BYTE."""
    return value.to_bytes(1, "big")


def short(value: int) -> bytes:
    """Encode a SHORT."""
    return value.to_bytes(2, "big")


def integer(value: int) -> bytes:
    """Encode an INT."""
    return value.to_bytes(4, "big")


def int64(value: int) -> bytes:
    """Encode an INT64."""
    return value.to_bytes(8, "big")


def data(content: bytes) -> bytes:
    """Encode a DATA."""
    return len(content).to_bytes(4, "big") + content


def mpi(value: int) -> bytes:
    """Encode an MPI in its minimal length."""
    return data(value.to_bytes((value.bit_length() + 7) // 8, "big"))
