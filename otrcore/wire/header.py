"""The header that every encoded message starts with, and instance tags (v3, "Instance Tags")."""

from __future__ import annotations

from dataclasses import dataclass

from . import codec
from .codec import Reader

ANY_INSTANCE = 0
"""Receiver tag of a D-H Commit whose sender does not know the other instance yet."""

SMALLEST_INSTANCE_TAG = 0x100

VERSION_3 = 3

LENGTH = 11
"""Bytes of a version 3 header."""

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
    """Version (SHORT), type (BYTE), sender and receiver instance tag (INT each)."""

    version: int
    type: int
    sender_tag: int
    receiver_tag: int

    def serialise(self) -> bytes:
        """Return the bytes of this header."""
        return b"".join(
            (
                codec.short(self.version),
                codec.byte(self.type),
                codec.integer(self.sender_tag),
                codec.integer(self.receiver_tag),
            )
        )

    def reply(self, message_type: int, own_tag: int) -> Header:
        """Return the header of a message to this one's sender; this one may have been for any instance."""
        return Header(self.version, message_type, own_tag, self.sender_tag)


def version_of(raw: bytes) -> int:
    """Return the version field; MalformedMessage if even that is cut off."""
    return Reader(raw).short()


def parse_header(raw: bytes) -> Header:
    """Read the header of an encoded version 3 message; MalformedMessage."""
    reader = Reader(raw)
    return Header(reader.short(), reader.byte(), reader.integer(), reader.integer())


def is_ignorable(raw: bytes) -> bool:
    """Whether a data message, readable or not, has the flag IGNORE_UNREADABLE behind its header."""
    return len(raw) > LENGTH and bool(raw[LENGTH] & IGNORE_UNREADABLE)
