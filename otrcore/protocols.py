"""What `session` drives, whatever the OTR version: a key exchange that yields a channel.

Both take and give the bytes of encoded messages; the header has been read and its
instance tags checked by the caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from .crypto.random import Random
from .crypto.secret import Secret
from .events import (
    HandshakeEnd,
    HandshakeStep,
    SmpAborted,
    SmpAsked,
    SmpFailed,
    SmpProgress,
    SmpSucceeded,
)
from .model import SessionInfo
from .wire.header import Header
from .wire.tlv import Tlv

SmpEvent = SmpAsked | SmpProgress | SmpSucceeded | SmpFailed | SmpAborted


@dataclass(frozen=True, slots=True)
class Step:
    """What a step of SMP leads to: records to send, each in a message of its own, and what to tell."""

    records: tuple[Tlv, ...] = ()
    events: tuple[SmpEvent, ...] = ()


class Verifier(Protocol):
    """SMP in one conversation, whatever its group; `smp.verification` says what each call does."""

    @property
    def running(self) -> bool:
        """Whether a run is under way."""

    @property
    def waiting(self) -> bool:
        """Whether a question of the peer waits for our user."""

    def ask(self, secret: bytes, question: bytes | None) -> Step:
        """Begin a run."""

    def answer(self, secret: bytes) -> Step:
        """Answer the peer's question; UsageError if there is none."""

    def abort(self) -> Step:
        """End the run that is under way, if any, on both sides."""

    def renounce(self) -> Step:
        """Tell the peer to give up a run of an earlier session."""

    def receive(self, record: Tlv) -> Step | None:
        """Take a record of the peer; None if it has nothing to do with SMP."""


@dataclass(frozen=True, slots=True)
class Plaintext:
    """What a data message held: UTF-8 text and records; and the extra symmetric key that came with it."""

    text: bytes
    tlvs: tuple[Tlv, ...]
    extra_key: Secret = field(repr=False)


class Channel(Protocol):
    """The keys of one encrypted conversation."""

    @property
    def info(self) -> SessionInfo: ...

    def encrypt(self, text: bytes, tlvs: Sequence[Tlv] = (), *, ignore_unreadable: bool = False) -> bytes:
        """Return the next data message."""

    def extra_key(self) -> Secret:
        """Return the extra symmetric key (32 bytes) that belongs to the next message."""

    def encrypt_last(self, tlvs: Sequence[Tlv]) -> bytes:
        """Return the message after which this side forgets the channel; it may reveal every used MAC key."""

    def decrypt(self, raw: bytes, header: Header) -> Plaintext:
        """Return what a data message holds; PeerError, and nothing changes, if it is not a good one."""

    def verification(self, random: Random) -> Verifier:
        """Return an idle SMP for this conversation."""

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
    def answered(self) -> float | None:
        """When the peer last took part in the exchange that is under way; None if it has not yet."""

    @property
    def deadline(self) -> float | None:
        """When `tick` has something to do."""

    def fork(self, their_tag: int) -> KeyExchange:
        """Return an exchange in the same state with one instance, which has answered a start with all."""

    def start(self, now: float) -> Outcome:
        """Begin as the initiator, or repeat what was sent if that is still unanswered."""

    @property
    def sent(self) -> frozenset[int | bytes]:
        """Public values, and hashes of such, that are ours and out: coming back they are a reflection."""

    def receive(
        self, raw: bytes, header: Header, now: float, elsewhere: frozenset[int | bytes] = frozenset()
    ) -> Outcome:
        """Take a message; PeerError, and nothing changes, if it is refused.

        `elsewhere` is what other exchanges with the same peer have `sent`.
        """

    def tick(self, now: float) -> Outcome:
        """Give up, or try otherwise, what waited too long."""

    def cancel(self) -> None:
        """Forget a begun exchange and its secrets."""
