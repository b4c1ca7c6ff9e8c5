"""Every exception that otrcore raises on purpose.

`PeerError` and its children say that a *message* was at fault; they never leave
`Conversation.receive`, which turns them into a `Rejected` event.  The others say
that the *host* or its surroundings were, and do reach the caller.
"""

from __future__ import annotations

from enum import Enum


class OtrcoreError(Exception):
    """Base of all of them; its text is one sentence fit for a user."""


class UsageError(OtrcoreError):
    """The host asked for something that makes no sense in the present state."""


class StoreError(OtrcoreError):
    """The data folder or the database in it cannot be used as it is."""


class StoreUnavailable(StoreError):
    """It cannot be used just now: locked, full, read-only or damaged.  A chat can go on without saving."""


class ConnectionFailed(OtrcoreError):
    """No IRC connection could be made, or it was lost before it was of use."""


class Reason(Enum):
    """Why a message from the network was not acted on."""

    MALFORMED = "malformed"
    UNRECOGNIZED = "not an OTR message of any known kind"
    VERSION = "an OTR version that is not in use here"
    OTHER_INSTANCE = "meant for, or from, another client of the same person"
    REFLECTED = "one of our own messages, sent back to us"
    OUT_OF_TURN = "out of turn"
    UNVERIFIED = "its signature, MAC or hash does not verify"
    UNREADABLE = "encrypted under keys that are not in use"
    REPLAYED = "a repetition of an earlier message"
    NO_SESSION = "encrypted, but there is no encrypted conversation"
    TOO_LARGE = "larger than the limit"
    TOO_MANY = "from one more client of the same person than are listened to"


class PeerError(OtrcoreError):
    """A message from the network is refused; nothing has changed because of it."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        """`detail` is for whoever debugs: it names what is wrong, and quotes neither keys nor texts."""
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason = reason


class MalformedMessage(PeerError):
    """The bytes do not follow the message format."""

    def __init__(self, detail: str) -> None:
        """`detail` says what is wrong with the bytes; the reason is always MALFORMED."""
        super().__init__(Reason.MALFORMED, detail)
