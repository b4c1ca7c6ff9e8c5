"""The header that every encoded message starts with, and instance tags (v3 and v4, "Instance Tags")."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ..errors import MalformedMessage

ANY_INSTANCE = 0
"""Receiver tag of a D-H Commit or Identity Message whose sender does not know the other instance yet."""

SMALLEST_INSTANCE_TAG = 0x100

# One header is read or written for each message, so that each field by itself would be felt there.
_VERSION = struct.Struct(">H")
_HEADER_2 = struct.Struct(">HB")
_HEADER_3 = struct.Struct(">HBII")
"""Since version 3 it holds instance tags."""

VERSION_2 = 2
VERSION_3 = 3
VERSION_4 = 4

IGNORE_UNREADABLE = 0x01
"""Flag of a data message whose loss nobody need be told of (heartbeat, disconnect)."""


class MessageType:
    """The type byte of the encoded messages."""

    DH_COMMIT = 0x02
    DATA = 0x03
    DH_KEY = 0x0A
    REVEAL_SIGNATURE = 0x11
    SIGNATURE = 0x12
    IDENTITY = 0x35
    AUTH_R = 0x36
    AUTH_I = 0x37


STARTS = frozenset({MessageType.DH_COMMIT, MessageType.IDENTITY})
"""Types that begin a key exchange and may be for any instance."""

ANSWERS = frozenset({MessageType.DH_KEY, MessageType.AUTH_R})
"""Types that answer them, by which the beginner learns of the other instance."""


@dataclass(frozen=True, slots=True)
class Header:
    """Version (SHORT), type (BYTE); from version 3 on, sender and receiver instance tag (INT each).

    In version 2, which knows no instances, both tags are ANY_INSTANCE.
    """

    version: int
    type: int
    sender_tag: int = ANY_INSTANCE
    receiver_tag: int = ANY_INSTANCE

    def serialise(self) -> bytes:
        """Return the bytes of this header."""
        if self.version == VERSION_2:
            return _HEADER_2.pack(self.version, self.type)
        return _HEADER_3.pack(self.version, self.type, self.sender_tag, self.receiver_tag)

    @property
    def length(self) -> int:
        """Bytes of this header."""
        return _HEADER_2.size if self.version == VERSION_2 else _HEADER_3.size

    def reply(self, message_type: int, own_tag: int) -> Header:
        """Return the header of a message to this one's sender; this one may have been for any instance."""
        return Header(self.version, message_type, own_tag, self.sender_tag)


def version_of(raw: bytes) -> int:
    """Return the version field; MalformedMessage if even that is cut off."""
    if len(raw) < _VERSION.size:
        raise MalformedMessage("the version is cut off")
    return int.from_bytes(raw[: _VERSION.size], "big")


def parse_header(raw: bytes) -> Header:
    """Read the header of an encoded message of version 2 or later; MalformedMessage."""
    try:
        version, message_type = _HEADER_2.unpack_from(raw)
        return Header(version, message_type) if version == VERSION_2 else Header(*_HEADER_3.unpack_from(raw))
    except struct.error as error:
        raise MalformedMessage("the header is cut off") from error


def is_ignorable(raw: bytes) -> bool:
    """Whether a data message, readable or not, has the flag IGNORE_UNREADABLE behind its header."""
    at = (_HEADER_2 if raw[: _VERSION.size] == _VERSION.pack(VERSION_2) else _HEADER_3).size
    return len(raw) > at and bool(raw[at] & IGNORE_UNREADABLE)
