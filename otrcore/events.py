"""What a conversation asks its host to do or to show, in order, in one list."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from .errors import Reason
from .model import Fingerprint, Protection, SessionInfo


@dataclass(frozen=True, slots=True)
class Transmit:
    """Send these lines to the peer, together and in this order.

    `plain` marks a text that the user typed and that leaves as it is.
    """

    lines: tuple[str, ...]
    plain: bool = False


@dataclass(frozen=True, slots=True)
class Received:
    """Show this text of the peer, and how it came."""

    text: str
    protection: Protection


class HeldBack(Enum):
    """Why a text of the user was not sent."""

    STARTING = "an encrypted conversation is being set up"
    FINISHED = "the peer has ended the encrypted conversation"
    TOO_LARGE = "the text is too long for one message"


@dataclass(frozen=True, slots=True)
class NotSent:
    """The user's text was not sent, and is handed back whole."""

    text: str
    reason: HeldBack


@dataclass(frozen=True, slots=True)
class HandshakeStep:
    """A message of the key exchange went out (`sent`) or was accepted."""

    message: str
    sent: bool


class HandshakeEnd(Enum):
    """Why a start came to nothing."""

    NO_ANSWER = "the peer did not answer"
    INCOMPLETE = "the peer stopped in the middle"
    CANCELLED = "it was cancelled here"


@dataclass(frozen=True, slots=True)
class HandshakeFailed:
    """No encrypted conversation came of the last start; one that was running goes on."""

    reason: HandshakeEnd


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """The conversation is encrypted from here on; `refreshed`, if it was already.

    `changed_from` is the fingerprint that the peer had in the last session, where it was
    another one: a new key, or another person.
    """

    info: SessionInfo
    refreshed: bool
    changed_from: Fingerprint | None = None


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """The encrypted conversation is over.

    Ended `by_peer`, nothing more is sent until the user ends or starts it too.
    """

    by_peer: bool


@dataclass(frozen=True, slots=True)
class SmpAsked:
    """The peer wants to verify us: ask the user for the secret, by this question if there is one."""

    question: str | None


@dataclass(frozen=True, slots=True)
class SmpProgress:
    """A verification goes on; per cent of its four messages."""

    percent: int


@dataclass(frozen=True, slots=True)
class SmpSucceeded:
    """Both have the same secret; `trusts` is false where only the peer has verified us by that."""

    trusts: bool


@dataclass(frozen=True, slots=True)
class SmpFailed:
    """The secrets differ; `trusts` as above: whether this says something about the peer."""

    trusts: bool


class SmpEnd(Enum):
    """Why a verification ended without a result."""

    HERE = "it was cancelled here"
    PEER = "the peer cancelled it"
    OUT_OF_TURN = "a message came out of turn, perhaps because both asked at once"
    CHEATED = "a message did not verify"
    SESSION = "the encrypted conversation ended, or was renewed"


@dataclass(frozen=True, slots=True)
class SmpAborted:
    """A verification ended without a result: nothing is known of the secrets."""

    reason: SmpEnd


@dataclass(frozen=True, slots=True)
class PeerComplained:
    """The peer's client sent an OTR Error Message with this text."""

    text: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """A message was refused and nothing changed; worth a line only where it carried a text."""

    reason: Reason
    had_text: bool = False


Event = (
    Transmit
    | Received
    | NotSent
    | HandshakeStep
    | HandshakeFailed
    | SessionOpened
    | SessionEnded
    | SmpAsked
    | SmpProgress
    | SmpSucceeded
    | SmpFailed
    | SmpAborted
    | PeerComplained
    | Rejected
)
