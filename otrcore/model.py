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


_SINCE_AUTH_R = 4

FINGERPRINT_BYTES = 20
"""SHA-1."""

FINGERPRINT_4_BYTES = 56
"""SHAKE-256."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Identifier of a long-term public key.

    20 bytes for versions 2 and 3 (v3, "Public keys"), 56 for version 4 (v4, "Public keys ...").
    A person has one of each, and they say nothing about each other.
    """

    digest: bytes

    @classmethod
    def parse(cls, text: str) -> Fingerprint:
        """Read 40 or 112 hex digits, in groups or not, perhaps behind 0x; ValueError."""
        digits = "".join(text.split()).removeprefix("0x")
        if len(digits) not in (2 * FINGERPRINT_BYTES, 2 * FINGERPRINT_4_BYTES) or not digits.isascii():
            raise ValueError(
                f"That is no fingerprint: it has {2 * FINGERPRINT_BYTES} digits from 0 to F, "
                f"or {2 * FINGERPRINT_4_BYTES} for version 4."
            )
        try:
            return cls(bytes.fromhex(digits))
        except ValueError as error:
            raise ValueError("That is no fingerprint: its digits go from 0 to F.") from error

    def rivals(self, other: Fingerprint) -> bool:
        """Whether this may stand in the place of the other one: a key of the same versions."""
        return len(self.digest) == len(other.digest)

    @property
    def versions(self) -> tuple[int, ...]:
        """The versions that the key is for."""
        return (2, 3) if len(self.digest) == FINGERPRINT_BYTES else (4,)

    def lines(self) -> tuple[str, ...]:
        """Return what people compare line by line: five groups, or fourteen in lines of up to five.

        More would not fit a chat window of 100 columns, and a line that is wrapped compares badly.
        """
        groups = str(self).split(" ")
        return tuple(" ".join(groups[at : at + 5]) for at in range(0, len(groups), 5))

    def __str__(self) -> str:
        """Return groups of eight upper-case hex digits, as every OTR client shows it: five, or fourteen."""
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
    D-H Commit, or the Identity message.
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

    def asker_first(self, we_asked: bool) -> tuple[Fingerprint, Fingerprint]:
        """Return the fingerprints of who asks in SMP and of who answers (v3, "SMP": step 1 of both sides)."""
        ours, theirs = self.our_fingerprint, self.their_fingerprint
        return (ours, theirs) if we_asked else (theirs, ours)

    @property
    def reads_first_half(self) -> bool:
        """Whether ours is the first half of the ssid, where each side reads one to the other.

        It belongs to who sent the D-H Commit (v3, "Secure session id") or the Auth-R (v4, the same).
        """
        return self.initiator is (self.version < _SINCE_AUTH_R)
