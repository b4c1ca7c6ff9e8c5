"""What `session` drives, whatever the OTR version: a key exchange that yields a channel.

Both take and give the bytes of encoded messages; the header has been read and its
instance tags checked by the caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
from .identity import Identity
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
class AgreedKey:
    """An extra symmetric key, for what it is (a number, by agreement of the clients), and data beside it."""

    key: Secret
    use: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Plaintext:
    """What a data message held: UTF-8 text and records; and the first extra symmetric key that they name."""

    text: bytes
    tlvs: tuple[Tlv, ...]
    agreed_key: AgreedKey | None = None


class Channel(Protocol):
    """The keys of one encrypted conversation."""

    @property
    def info(self) -> SessionInfo:
        """What the user may compare."""

    def encrypt(self, text: bytes, tlvs: Sequence[Tlv] = (), *, ignore_unreadable: bool = False) -> bytes:
        """Return the next data message."""

    def agree(self, use: int, data: bytes) -> tuple[Tlv, Secret]:
        """Return the record that names an extra symmetric key, and the key.

        It must be the first record of the very next message.
        """

    @property
    def lifetime(self) -> float | None:
        """Seconds after which the session is over, if no new key of ours was made; None for never."""

    @property
    def generation(self) -> int:
        """How many keys of ours were made so far."""

    def encrypt_last(self, tlvs: Sequence[Tlv]) -> bytes:
        """Return the message after which this side forgets the channel; it may reveal every used MAC key."""

    def decrypt(self, raw: bytes, header: Header) -> Plaintext:
        """Return what a data message holds; PeerError, and nothing changes, if it is not a good one."""

    def verification(self, random: Random) -> Verifier:
        """Return an idle SMP for this conversation."""

    def used_mac_keys(self) -> bytes:
        """Return the receiving MAC keys that were used and not revealed yet, one after the other."""

    def reveal_later(self, mac_keys: bytes) -> None:
        """Take over MAC keys that an earlier channel of the same kind could not reveal."""


class Party(Protocol):
    """Who carries out a key exchange with one peer, on our side."""

    @property
    def identity(self) -> Identity:
        """The long-term keys that we sign with."""

    @property
    def own_tag(self) -> int:
        """Our instance tag, 0x100 or more (v3, "Instance Tags")."""

    @property
    def random(self) -> Random:
        """Where fresh secrets come from."""

    @property
    def names(self) -> tuple[str, str]:
        """Our name and the peer's in the chat network, as they are to be authenticated."""

    def client_profile(self) -> bytes:
        """Return our client profile, which has not expired."""

    def unix_time(self) -> float:
        """Return the time that expiry dates are compared with, in seconds since 1970."""

    def may_answer(self, now: float) -> bool:
        """Whether a long answer to a start may go out: they are rationed, over all clients of the peer."""

    def is_spent(self, key: bytes) -> bool:
        """Whether an ephemeral key of the peer has led to a session, by any of its clients."""

    def spend(self, key: bytes) -> None:
        """Take note that it has."""


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
    def lingers(self) -> bool:
        """Whether it may still have something to say: it is running, or the last word could be lost."""

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
