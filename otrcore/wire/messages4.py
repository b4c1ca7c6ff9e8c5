"""The encoded messages of version 4 as values; parse and serialise are inverse, byte for byte.

Points and scalars are raw bytes here: whether they mean anything is for who calculates with them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar

from ..errors import MalformedMessage
from . import codec
from .codec import MAC_BYTES_4, MAC_KEY_BYTES_4, POINT_BYTES, SCALAR_BYTES, Reader
from .header import Header, MessageType, parse_header
from .profile import ClientProfile

SIGMA_BYTES = 6 * SCALAR_BYTES
"""Of a ring signature: c1, r1, c2, r2, c3, r3."""

# Flags, previous chain, ratchet, message, ECDH key: read in one go, as this is the message that counts.
_RATCHET = struct.Struct(f">BIII{POINT_BYTES}s")


@dataclass(frozen=True, slots=True)
class Identity:
    """Identity Message: profile, the keys Y and B of the exchange, and the first keys of the ratchet."""

    type: ClassVar[int] = MessageType.IDENTITY
    header: Header
    profile: ClientProfile
    y: bytes
    b: int
    first_ecdh: bytes
    first_dh: int

    def serialise(self) -> bytes:
        """Return the message's bytes."""
        return b"".join(
            (
                self.header.serialise(),
                self.profile.serialise(),
                self.y,
                codec.mpi(self.b),
                self.first_ecdh,
                codec.mpi(self.first_dh),
            )
        )

    @classmethod
    def read(cls, header: Header, reader: Reader) -> Identity:
        """Take the fields behind the header; MalformedMessage."""
        return cls(
            header,
            ClientProfile.read(reader),
            reader.take(POINT_BYTES),
            reader.mpi(),
            reader.take(POINT_BYTES),
            reader.mpi(),
        )


@dataclass(frozen=True, slots=True)
class AuthR:
    """Auth-R Message: profile, the keys X and A, the ring signature sigma, and the first keys."""

    type: ClassVar[int] = MessageType.AUTH_R
    header: Header
    profile: ClientProfile
    x: bytes
    a: int
    sigma: bytes
    first_ecdh: bytes
    first_dh: int

    def serialise(self) -> bytes:
        """Return the message's bytes."""
        return b"".join(
            (
                self.header.serialise(),
                self.profile.serialise(),
                self.x,
                codec.mpi(self.a),
                self.sigma,
                self.first_ecdh,
                codec.mpi(self.first_dh),
            )
        )

    @classmethod
    def read(cls, header: Header, reader: Reader) -> AuthR:
        """Take the fields behind the header; MalformedMessage."""
        return cls(
            header,
            ClientProfile.read(reader),
            reader.take(POINT_BYTES),
            reader.mpi(),
            reader.take(SIGMA_BYTES),
            reader.take(POINT_BYTES),
            reader.mpi(),
        )


@dataclass(frozen=True, slots=True)
class AuthI:
    """Auth-I Message: the ring signature sigma."""

    type: ClassVar[int] = MessageType.AUTH_I
    header: Header
    sigma: bytes

    def serialise(self) -> bytes:
        """Return the message's bytes."""
        return self.header.serialise() + self.sigma

    @classmethod
    def read(cls, header: Header, reader: Reader) -> AuthI:
        """Take the fields behind the header; MalformedMessage."""
        return cls(header, reader.take(SIGMA_BYTES))


@dataclass(frozen=True, slots=True)
class DataMessage:
    """Data Message; `dh` is None where the ratchet has no new one, `old_mac_keys` are the revealed ones."""

    type: ClassVar[int] = MessageType.DATA
    header: Header
    flags: int
    previous_count: int
    ratchet_id: int
    message_id: int
    ecdh: bytes
    dh: int | None
    encrypted: bytes
    mac: bytes = b""
    old_mac_keys: bytes = b""

    def serialise(self) -> bytes:
        """Return the message's bytes."""
        return self.authenticated() + self.mac + codec.data(self.old_mac_keys)

    def authenticated(self) -> bytes:
        """Return the part that the MAC covers: from the version to the encrypted text."""
        numbers = (self.flags, self.previous_count, self.ratchet_id, self.message_id)
        return b"".join(
            (
                self.header.serialise(),
                _RATCHET.pack(*numbers, self.ecdh),
                codec.mpi(self.dh or 0),
                codec.data(self.encrypted),
            )
        )

    @classmethod
    def read(cls, header: Header, reader: Reader) -> DataMessage:
        """Take the fields behind the header; MalformedMessage."""
        flags, previous_count, ratchet_id, message_id, ecdh = reader.unpack(_RATCHET)
        message = cls(
            header,
            flags,
            previous_count,
            ratchet_id,
            message_id,
            ecdh,
            reader.mpi() or None,
            reader.data(),
            reader.take(MAC_BYTES_4),
            reader.data(),
        )
        if len(message.old_mac_keys) % MAC_KEY_BYTES_4:
            raise MalformedMessage("revealed MAC keys that are not 64 bytes long")
        return message


DakeMessage = Identity | AuthR | AuthI
Message = DakeMessage | DataMessage

_KINDS: dict[int, type[Message]] = {kind.type: kind for kind in (Identity, AuthR, AuthI, DataMessage)}


def parse(raw: bytes, header: Header | None = None) -> Message:
    """Read one whole message; MalformedMessage for unknown types, cut fields and trailing bytes.

    `header` is the message's own, where it has been read before.
    """
    header = header or parse_header(raw)
    kind = _KINDS.get(header.type)
    if kind is None:
        raise MalformedMessage(f"an unknown message type {header.type:#04x}")
    reader = Reader(raw, header.length)
    message = kind.read(header, reader)
    reader.end()
    return message
