"""What `session` drives, whatever the OTR version: a key exchange that yields a channel.

Both take and give the bytes of encoded messages; the header has been read and its
instance tags checked by the caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from .events import HandshakeEnd, HandshakeStep
from .model import SessionInfo
from .wire.header import Header
from .wire.tlv import Tlv


@dataclass(frozen=True, slots=True)
class Plaintext:
    """What a data message held: UTF-8 text and records."""

    text: bytes
    tlvs: tuple[Tlv, ...]


class Channel(Protocol):
    """The keys of one encrypted conversation."""

    @property
    def info(self) -> SessionInfo: ...

    def encrypt(self, text: bytes, tlvs: Sequence[Tlv] = (), *, ignore_unreadable: bool = False) -> bytes:
        """Return the next data message."""

    def encrypt_last(self, tlvs: Sequence[Tlv]) -> bytes:
        """Return the message after which this side forgets the channel; it may reveal every used MAC key."""

    def decrypt(self, raw: bytes, header: Header) -> Plaintext:
        """Return what a data message holds; PeerError, and nothing changes, if it is not a good one."""

    def used_mac_keys(self) -> bytes:
        """Return the receiving MAC keys that were used and not revealed yet, one after the other."""

    def reveal_later(self, mac_keys: bytes) -> None:
        """Take over MAC keys that an earlier channel could not reveal."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step of a key exchange leads to."""

    replies: tuple[bytes, ...] = ()
    steps: tuple[HandshakeStep, ...] = ()
    channel: Channel | None = None
    failed: HandshakeEnd | None = None


NOTHING = Outcome()


class KeyExchange(Protocol):
    """A state machine that ends in a channel; it knows nothing of a running conversation."""

    @property
    def running(self) -> bool:
        """Whether an exchange has begun and not ended."""

    @property
    def deadline(self) -> float | None:
        """When `tick` has something to do."""

    def start(self, now: float) -> Outcome:
        """Begin as the initiator, or repeat what was sent if that is still unanswered."""

    def receive(self, raw: bytes, header: Header, now: float) -> Outcome:
        """Take a message; PeerError, and nothing changes, if it is refused."""

    def tick(self, now: float) -> Outcome:
        """Give up, or try otherwise, what waited too long."""

    def cancel(self) -> None:
        """Forget a begun exchange and its secrets."""
