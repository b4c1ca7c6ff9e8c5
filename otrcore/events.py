"""What a conversation asks its host to do or to show, in order, in one list."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from .crypto.secret import Secret
from .errors import Reason
from .memory import PeerMemory
from .model import Fingerprint, Protection, SessionInfo, Trust


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

    NO_SESSION = "no encrypted conversation came about"
    TOO_MUCH = "too much is waiting for an encrypted conversation already"
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


@dataclass(frozen=True, slots=True)
class Queued:
    """The user's text waits for the encrypted conversation that is being set up.

    It leaves by itself once there is one; else it comes back as `NotSent` or is `Held`.
    """

    text: str


@dataclass(frozen=True, slots=True)
class Resent:
    """The user's last text was lost on the way, and has been said again."""

    text: str


@dataclass(frozen=True, slots=True)
class Held:
    """Texts that were meant for another key than the one the peer has now.

    They wait for the user, who lets them go by `send_held` or drops them by `drop_held`.
    """

    texts: tuple[str, ...]


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

    `trust` tells how the peer's key is known.  `changed_from` is the fingerprint that the
    user would expect, where the peer has another one: a new key, or another person.
    """

    info: SessionInfo
    refreshed: bool
    trust: Trust
    changed_from: Fingerprint | None = None


class SessionEnd(Enum):
    """Why an encrypted conversation is over."""

    HERE = "it was ended here"
    PEER = "the peer has ended it, or is gone"
    EXPIRED = "its keys have been in use for too long, as the peer said nothing"
    RENEWED = "it makes way for a new one, which was asked for here"


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """The encrypted conversation, with one instance of the peer or with all, is over.

    Unless the user has ended it, nothing more is sent until the user ends or starts it too.
    """

    reason: SessionEnd

    @property
    def by_peer(self) -> bool:
        """Whether the peer has ended it, or is gone."""
        return self.reason is SessionEnd.PEER


@dataclass(frozen=True, slots=True)
class Downgraded:
    """A peer that has spoken version `known` offers, or speaks, no more than `offered` now.

    Another client of the peer may be the reason, or somebody who changes messages on the way.
    """

    known: int
    offered: int


@dataclass(frozen=True, slots=True)
class NoCommonVersion:
    """The peer asks for a conversation in versions that are not allowed here."""

    offered: frozenset[int]


@dataclass(frozen=True, slots=True)
class MemoryChanged:
    """Something else is to be remembered of the peer from now on."""

    memory: PeerMemory


@dataclass(frozen=True, slots=True)
class ExtraKey:
    """Both sides have an extra symmetric key now, for something besides the conversation.

    It has 32 bytes, or 64 in version 4.

    `use` says for what (a number, by agreement of the clients), with `data` as it came.
    """

    key: Secret
    use: int
    data: bytes
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
    | Queued
    | Resent
    | Held
    | HandshakeStep
    | HandshakeFailed
    | SessionOpened
    | SessionEnded
    | Downgraded
    | NoCommonVersion
    | MemoryChanged
    | ExtraKey
    | SmpAsked
    | SmpProgress
    | SmpSucceeded
    | SmpFailed
    | SmpAborted
    | PeerComplained
    | Rejected
)
