"""Small values that several layers speak about."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Protection(Enum):
    """How a received text came, so that no host can forget the third case."""

    PLAIN = "plain"
    ENCRYPTED = "encrypted"
    UNEXPECTED_PLAIN = "plain text inside an encrypted or finished conversation"


class MessageState(Enum):
    """MSGSTATE of the specification (v3, "Message state")."""

    PLAINTEXT = "plaintext"
    ENCRYPTED = "encrypted"
    FINISHED = "finished"


class Trust(Enum):
    """How the user knows that a key is the peer's."""

    NONE = "not verified"
    COMPARED = "verified by comparing fingerprints"
    SMP = "verified by a shared secret"


FINGERPRINT_BYTES = 20
"""SHA-1."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Identifier of a long-term public key: SHA-1, 20 bytes (v3, "Public keys")."""

    digest: bytes

    @classmethod
    def parse(cls, text: str) -> Fingerprint:
        """Read 40 hex digits, in groups or not, perhaps behind 0x; ValueError."""
        digits = "".join(text.split()).removeprefix("0x")
        if len(digits) != 2 * FINGERPRINT_BYTES or not digits.isascii():
            raise ValueError(f"That is no fingerprint: it has {2 * FINGERPRINT_BYTES} digits from 0 to F.")
        try:
            return cls(bytes.fromhex(digits))
        except ValueError as error:
            raise ValueError("That is no fingerprint: its digits go from 0 to F.") from error

    def __str__(self) -> str:
        """Return five groups of eight upper-case hex digits, as every OTR client shows it."""
        text = self.digest.hex().upper()
        return " ".join(text[at : at + 8] for at in range(0, len(text), 8))


@dataclass(frozen=True, slots=True)
class DsaPublicKey:
    """The numbers of a DSA public key."""

    p: int
    q: int
    g: int
    y: int


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """What two people may compare about one encrypted conversation.

    `ssid` is the 8-byte session id; `initiator` is true on the side that sent the
    D-H Commit, whose half of the ssid (the first) is the one shown in bold.
    """

    version: int
    ssid: bytes
    initiator: bool
    our_fingerprint: Fingerprint
    their_fingerprint: Fingerprint
    their_instance_tag: int

    @property
    def session_id(self) -> str:
        """The ssid as two groups of eight hex digits."""
        return f"{self.ssid[:4].hex()} {self.ssid[4:].hex()}"
