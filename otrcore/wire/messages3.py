"""The encoded messages of versions 2 and 3 as values; parse and serialise are inverse, byte for byte."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..errors import MalformedMessage
from . import codec
from .codec import CTR_BYTES, MAC_BYTES, Reader
from .header import Header, MessageType, parse_header

R_BYTES = 16
HASH_BYTES = 32


@dataclass(frozen=True, slots=True)
class DhCommit:
    """D-H Commit Message: AES_r(MPI g^x) and SHA-256 of that MPI."""

    type: ClassVar[int] = MessageType.DH_COMMIT
    header: Header
    encrypted_gx: bytes
    hashed_gx: bytes

    def serialise(self) -> bytes:
        """Return the message's bytes."""
        return self.header.serialise() + codec.data(self.encrypted_gx) + codec.data(self.hashed_gx)

    @classmethod
    def read(cls, header: Header, reader: Reader) -> DhCommit:
        """Take the fields behind the header; MalformedMessage."""
        message = cls(header, reader.data(), reader.data())
        if len(message.hashed_gx) != HASH_BYTES:
            raise MalformedMessage("a hash that is not 32 bytes long")
        return message


@dataclass(frozen=True, slots=True)
class DhKey:
    """D-H Key Message: g^y."""

    type: ClassVar[int] = MessageType.DH_KEY
    header: Header
    gy: int

    def serialise(self) -> bytes:
        """Return the message's bytes."""
        return self.header.serialise() + codec.mpi(self.gy)

    @classmethod
    def read(cls, header: Header, reader: Reader) -> DhKey:
        """Take the fields behind the header; MalformedMessage."""
        return cls(header, reader.mpi())


@dataclass(frozen=True, slots=True)
class RevealSignature:
    """Reveal Signature Message: r, the encrypted signature, and a MAC over it with its length."""

    type: ClassVar[int] = MessageType.REVEAL_SIGNATURE
    header: Header
    r: bytes
    encrypted_signature: bytes
    mac: bytes

    def serialise(self) -> bytes:
        """Return the message's bytes."""
        return self.header.serialise() + codec.data(self.r) + codec.data(self.encrypted_signature) + self.mac

    @classmethod
    def read(cls, header: Header, reader: Reader) -> RevealSignature:
        """Take the fields behind the header; MalformedMessage."""
        message = cls(header, reader.data(), reader.data(), reader.take(MAC_BYTES))
        if len(message.r) != R_BYTES:
            raise MalformedMessage("a revealed key that is not 16 bytes long")
        return message


@dataclass(frozen=True, slots=True)
class Signature:
    """Signature Message: the encrypted signature, and a MAC over it with its length."""

    type: ClassVar[int] = MessageType.SIGNATURE
    header: Header
    encrypted_signature: bytes
    mac: bytes

    def serialise(self) -> bytes:
        """Return the message's bytes."""
        return self.header.serialise() + codec.data(self.encrypted_signature) + self.mac

    @classmethod
    def read(cls, header: Header, reader: Reader) -> Signature:
        """Take the fields behind the header; MalformedMessage."""
        return cls(header, reader.data(), reader.take(MAC_BYTES))


@dataclass(frozen=True, slots=True)
class DataMessage:
    """Data Message; `counter` is the 8-byte top half as a number, `old_mac_keys` the revealed ones."""

    type: ClassVar[int] = MessageType.DATA
    header: Header
    flags: int
    sender_keyid: int
    recipient_keyid: int
    next_dh: int
    counter: int
    encrypted: bytes
    mac: bytes = b""
    old_mac_keys: bytes = b""

    def serialise(self) -> bytes:
        """Return the message's bytes."""
        return self.authenticated() + self.mac + codec.data(self.old_mac_keys)

    def authenticated(self) -> bytes:
        """Return the part that the MAC covers: from the version to the encrypted text."""
        return b"".join(
            (
                self.header.serialise(),
                codec.byte(self.flags),
                codec.integer(self.sender_keyid),
                codec.integer(self.recipient_keyid),
                codec.mpi(self.next_dh),
                self.counter.to_bytes(CTR_BYTES, "big"),
                codec.data(self.encrypted),
            )
        )

    @classmethod
    def read(cls, header: Header, reader: Reader) -> DataMessage:
        """Take the fields behind the header; MalformedMessage."""
        return cls(
            header,
            reader.byte(),
            reader.integer(),
            reader.integer(),
            reader.mpi(),
            int.from_bytes(reader.take(CTR_BYTES), "big"),
            reader.data(),
            reader.take(MAC_BYTES),
            reader.data(),
        )


AkeMessage = DhCommit | DhKey | RevealSignature | Signature
Message = AkeMessage | DataMessage

_KINDS: dict[int, type[Message]] = {
    kind.type: kind for kind in (DhCommit, DhKey, RevealSignature, Signature, DataMessage)
}


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
