"""The header that every encoded message starts with, and instance tags (v3, "Instance Tags")."""

from __future__ import annotations

from dataclasses import dataclass

from . import codec
from .codec import Reader

ANY_INSTANCE = 0
"""Receiver tag of a D-H Commit whose sender does not know the other instance yet."""

SMALLEST_INSTANCE_TAG = 0x100

_LENGTH_2 = 3
_LENGTH_3 = 11
"""Bytes of a header; since version 3 it holds instance tags."""

VERSION_2 = 2
VERSION_3 = 3

IGNORE_UNREADABLE = 0x01
"""Flag of a data message whose loss nobody need be told of (heartbeat, disconnect)."""


class MessageType:
    """The type byte of the encoded messages."""

    DH_COMMIT = 0x02
    DATA = 0x03
    DH_KEY = 0x0A
    REVEAL_SIGNATURE = 0x11
    SIGNATURE = 0x12


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
        start = codec.short(self.version) + codec.byte(self.type)
        if self.version == VERSION_2:
            return start
        return start + codec.integer(self.sender_tag) + codec.integer(self.receiver_tag)

    @property
    def length(self) -> int:
        """Bytes of this header."""
        return _LENGTH_2 if self.version == VERSION_2 else _LENGTH_3

    def reply(self, message_type: int, own_tag: int) -> Header:
        """Return the header of a message to this one's sender; this one may have been for any instance."""
        return Header(self.version, message_type, own_tag, self.sender_tag)


def version_of(raw: bytes) -> int:
    """Return the version field; MalformedMessage if even that is cut off."""
    return Reader(raw).short()


def parse_header(raw: bytes) -> Header:
    """Read the header of an encoded message of version 2 or later; MalformedMessage."""
    reader = Reader(raw)
    version, message_type = reader.short(), reader.byte()
    if version == VERSION_2:
        return Header(version, message_type)
    return Header(version, message_type, reader.integer(), reader.integer())


def is_ignorable(raw: bytes) -> bool:
    """Whether a data message, readable or not, has the flag IGNORE_UNREADABLE behind its header."""
    at = _LENGTH_2 if raw[:2] == codec.short(VERSION_2) else _LENGTH_3
    return len(raw) > at and bool(raw[at] & IGNORE_UNREADABLE)
