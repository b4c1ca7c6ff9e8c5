"""The message state with one instance of a peer (v3, "Message state"), and the key exchanges beside it.

A key exchange that runs beside an encrypted conversation touches it only once it has
finished.  Nothing here knows which OTR version is spoken.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .errors import MalformedMessage, PeerError, Reason, UsageError
from .events import (
    Event,
    ExtraKey,
    HandshakeFailed,
    HeldBack,
    NotSent,
    Received,
    Rejected,
    SessionEnd,
    SessionEnded,
    SessionOpened,
    SmpAborted,
    SmpEnd,
    SmpFailed,
    SmpSucceeded,
    Transmit,
)
from .model import MessageState, Protection, SessionInfo, Trust
from .protocols import Channel, KeyExchange, Outcome, Step, Verifier
from .relation import Relation
from .wire import tlv
from .wire.header import VERSION_4, Header, is_ignorable
from .wire.text import MALFORMED, UNREADABLE, error_line
from .wire.tlv import Tlv

MAX_TEXT_BYTES = 32 * 1024
"""Longest text that is sent in one message, UTF-8; more would not pass our own reassembly limit."""

HEARTBEAT_AFTER = 60.0
"""Seconds of silence on our side after which a text of the peer is answered by an empty message."""

COMPLAINT_PAUSE = 10.0
"""Seconds in which further unreadable messages, or those right after a renewal of keys, say nothing new."""

_UNREADABLE = "Your encrypted message could not be read here."
_MALFORMED = "Your encrypted message arrived damaged."
UNREADABLE_REPLY = error_line(_UNREADABLE)
MALFORMED_REPLY = error_line(_MALFORMED)
"""In versions 2 and 3, which know no codes."""


@dataclass(frozen=True, slots=True)
class Plaintext:
    """MSGSTATE_PLAINTEXT."""


@dataclass(frozen=True, slots=True)
class Encrypted:
    """MSGSTATE_ENCRYPTED."""

    channel: Channel
    verification: Verifier


@dataclass(frozen=True, slots=True)
class Finished:
    """MSGSTATE_FINISHED: the conversation is over; the user must act before anything goes out."""

    version: int | None
    """None where it was with somebody whom a host had to leave behind."""
    renewing: bool = False
    """Whether it made way for a new one: what was on its way then is lost, and that is no news."""


class Session:
    """Everything that is encrypted, or about to be, with one instance of a peer."""

    __slots__ = (
        "_fresh",
        "_generation",
        "_heard",
        "_relation",
        "_renewed",
        "_sent",
        "_state",
        "_told",
        "exchanges",
    )

    def __init__(self, relation: Relation, now: float) -> None:
        """Begin in MSGSTATE_PLAINTEXT, as if the instance were heard `now`, by the account's clock."""
        self._relation = relation
        self._state: Plaintext | Encrypted | Finished = Plaintext()
        self.exchanges: dict[int, KeyExchange] = {}
        """Those under way, by version: a start in one never disturbs one in another."""
        self._heard = now
        self._sent = self._renewed = self._told = -math.inf
        self._fresh = now
        """When a key of ours was made last in the running conversation, and which one that was."""
        self._generation = 0

    @property
    def state(self) -> MessageState:
        """The message state."""
        if isinstance(self._state, Encrypted):
            return MessageState.ENCRYPTED
        return MessageState.FINISHED if isinstance(self._state, Finished) else MessageState.PLAINTEXT

    def encrypted(self) -> Encrypted:
        """Return the state; UsageError outside MSGSTATE_ENCRYPTED, which most calls here need."""
        if not isinstance(self._state, Encrypted):
            raise UsageError("There is no encrypted conversation: start one first.")
        return self._state

    @property
    def info(self) -> SessionInfo | None:
        """What the user may compare, while encrypted."""
        return self._state.channel.info if isinstance(self._state, Encrypted) else None

    @property
    def version(self) -> int | None:
        """The version of the conversation that runs, or that is over and was not left yet."""
        if isinstance(self._state, Encrypted):
            return self._state.channel.info.version
        return self._state.version if isinstance(self._state, Finished) else None

    @property
    def renewing(self) -> bool:
        """Whether the conversation has made way for a new one, which does not run yet."""
        return isinstance(self._state, Finished) and self._state.renewing

    @property
    def heard(self) -> float:
        """When the instance last said something that was accepted."""
        return self._heard

    @property
    def lively(self) -> float:
        """When the instance last took part in anything, verified or not."""
        answers = (exchange.answered for exchange in self.exchanges.values())
        return max([self._heard, *(answer for answer in answers if answer is not None)])

    @property
    def starting(self) -> bool:
        """Whether a key exchange is under way."""
        return any(exchange.running for exchange in self.exchanges.values())

    @property
    def deadline(self) -> float | None:
        """When `tick` has something to do."""
        deadlines = [exchange.deadline for exchange in self.exchanges.values()]
        deadlines.append(self._expires)
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    @property
    def _expires(self) -> float | None:
        """When the conversation is over for want of new keys."""
        lifetime = self._state.channel.lifetime if isinstance(self._state, Encrypted) else None
        return None if lifetime is None else self._fresh + lifetime

    def tick(self, now: float) -> list[Event]:
        """Let the key exchanges and the conversation look at the clock."""
        events = [
            event
            for version in tuple(self.exchanges)
            for event in self.apply(version, self.exchanges[version].tick(now), now)
        ]
        return [*events, *self.expire(now)]

    def expire(self, now: float) -> list[Event]:
        """End the conversation if it has gone without new keys for too long."""
        expires = self._expires
        return [] if expires is None or now < expires else self.retire(SessionEnd.EXPIRED)

    def send(self, text: str, now: float) -> list[Event]:
        """Encrypt a text of the user, or say why not."""
        content = without_nul(text)
        if len(content) > MAX_TEXT_BYTES:
            return [NotSent(text, HeldBack.TOO_LARGE)]
        self._sent = now
        events: list[Event] = [self._encrypt(self.encrypted().channel, content)]
        self._note_new_key(now)
        return events

    def end(self) -> list[Event]:
        """Back to MSGSTATE_PLAINTEXT; the peer is told if it believes itself in an encrypted conversation."""
        self.cancel()
        events = self._disconnect()
        self._state = Plaintext()
        return events

    def retire(self, reason: SessionEnd) -> list[Event]:
        """End the conversation, and let nothing go out before the user acts, or a new one runs."""
        version = self.encrypted().channel.info.version
        events = self._disconnect()
        self._state = Finished(version, renewing=reason is SessionEnd.RENEWED)
        return [*events, SessionEnded(reason)]

    def _disconnect(self) -> list[Event]:
        if not isinstance(self._state, Encrypted):
            return []
        records = self._padded(b"", [Tlv(tlv.DISCONNECTED)])
        last = self._relation.transmit(self._state.channel.encrypt_last(records))
        return [*self._verification_lost(), last]

    def lose(self) -> list[Event]:
        """Forget all keys, as the peer is gone; nothing goes out plain to whoever has the name next."""
        self.cancel()
        if not isinstance(self._state, Encrypted):
            return []
        lost = self._verification_lost()
        self._state = Finished(self._state.channel.info.version)
        return [*lost, SessionEnded(SessionEnd.PEER)]

    def finish(self) -> None:
        """Stand as after a conversation that was led elsewhere."""
        self._state = Finished(None)

    def hand_over(self, to: Channel) -> list[Event]:
        """Forget all keys, as the peer has moved on to another channel, which reveals the MAC keys."""
        revealed = self._reveal_by(to)
        lost = self._verification_lost()
        self._state = Plaintext()
        return [*revealed, *lost]

    def smp_start(self, secret: str, question: str | None, now: float) -> list[Event]:
        """Ask the peer to prove that it knows a secret; UsageError if the question is too long."""
        asked = None if question is None else without_nul(question)
        if asked is not None and len(asked) > MAX_TEXT_BYTES:
            raise UsageError("The question is too long: ask a shorter one.")
        return self._verify(lambda verification: verification.ask(_exactly(secret), asked), now)

    def smp_answer(self, secret: str, now: float) -> list[Event]:
        """Answer the peer's question; UsageError if there is none."""
        return self._verify(lambda verification: verification.answer(_exactly(secret)), now)

    def smp_abort(self, now: float) -> list[Event]:
        """End a verification that is under way."""
        return self._verify(lambda verification: verification.abort(), now)

    @property
    def smp_waiting(self) -> bool:
        """Whether a question of the peer waits for an answer."""
        return isinstance(self._state, Encrypted) and self._state.verification.waiting

    @property
    def smp_running(self) -> bool:
        """Whether a verification is under way."""
        return isinstance(self._state, Encrypted) and self._state.verification.running

    def extra_key(self, use: int, data: bytes, now: float) -> list[Event]:
        """Agree on an extra symmetric key."""
        channel = self.encrypted().channel
        record, key = channel.agree(use, data)
        sent = self._encrypt(channel, b"", [record], ignore_unreadable=True)
        self._note_new_key(now)
        return [sent, ExtraKey(key, use, data, by_peer=False)]

    def receive_data(self, raw: bytes, header: Header, now: float) -> list[Event]:
        """Decrypt a data message, or tell the peer that it was in vain; PeerError if nobody need be told.

        UsageError outside MSGSTATE_ENCRYPTED.
        """
        state = self.encrypted()
        channel = state.channel
        try:
            plaintext = channel.decrypt(raw, header)
        except PeerError as error:
            if is_ignorable(raw):
                raise
            return self._complain(error, now)
        self._heard = now
        events: list[Event] = []
        if plaintext.text:
            events.append(Received(plaintext.text.decode(errors="replace"), Protection.ENCRYPTED))
            events += self._heartbeat(channel, now)
        if (agreed := plaintext.agreed_key) is not None:
            events.append(ExtraKey(agreed.key, agreed.use, agreed.data, by_peer=True))
        # One step of SMP a message, as all clients send them: more would be answered one by one.
        verified = False
        for record in plaintext.tlvs:
            if record.type == tlv.DISCONNECTED:
                return [*events, *self.lose()]
            step = None if verified else state.verification.receive(record)
            if step is not None:
                verified = True
                events += self._apply_step(channel, step)
        self._note_new_key(now)
        return events

    def cancel(self, below: int | None = None) -> None:
        """Forget the key exchanges under way, in all versions or in those below one."""
        for version in [version for version in self.exchanges if below is None or version < below]:
            del self.exchanges[version]

    def apply(
        self, version: int, outcome: Outcome, now: float, *, renews_another: bool = False
    ) -> list[Event]:
        """Turn what a key exchange did into events; a finished one replaces the running conversation.

        `renews_another` says that it replaces one with the same peer elsewhere.
        """
        if version in self.exchanges and not self.exchanges[version].lingers:
            del self.exchanges[version]
        events: list[Event] = [self._relation.transmit(raw) for raw in outcome.replies]
        events.extend(outcome.steps)
        if outcome.channel:
            events += self._open(outcome.channel, now, renews_another)
        if outcome.failed:
            events.append(HandshakeFailed(outcome.failed))
        return events

    def _open(self, channel: Channel, now: float, renews_another: bool) -> list[Event]:
        info, relation = channel.info, self._relation
        # Starts in two versions may cross: the higher one counts, whichever is done first.
        self.cancel(below=info.version)
        revealed = self._reveal_by(channel) if isinstance(self._state, Encrypted) else []
        if refreshed := renews_another or self.renewing or isinstance(self._state, Encrypted):
            self._renewed = now
        lost = self._verification_lost()
        self._state = Encrypted(channel, channel.verification(relation.random))
        self._heard = self._sent = self._fresh = now
        self._generation = channel.generation
        if info.version == VERSION_4 and not info.initiator:
            relation.answer_was_taken()
        before = relation.memory
        fingerprint = info.their_fingerprint
        events: list[Event] = [
            *revealed,
            SessionOpened(info, refreshed, before.trust(fingerprint), before.replaced_by(fingerprint)),
        ]
        if lost:
            # The peer may have kept its side, which the new session id would make fail.
            events += [*self._apply_step(channel, self._state.verification.renounce()), *lost]
        self._note_new_key(now)
        return events

    def _reveal_by(self, channel: Channel) -> list[Event]:
        """Have the MAC keys of this conversation revealed by the one that takes its place.

        One of another kind has no place for them: they go out in a last message of the old one, which
        nobody needs to read.
        """
        old = self.encrypted().channel
        if isinstance(old, type(channel)):
            channel.reveal_later(old.used_mac_keys())
            return []
        return [self._relation.transmit(old.encrypt_last(()))] if old.used_mac_keys() else []

    def _note_new_key(self, now: float) -> None:
        """Begin to count the lifetime anew if a key of ours was made."""
        generation = self.encrypted().channel.generation
        if generation != self._generation:
            self._generation, self._fresh = generation, now

    def _verify(self, step: Callable[[Verifier], Step], now: float) -> list[Event]:
        state = self.encrypted()
        events = self._apply_step(state.channel, step(state.verification))
        self._note_new_key(now)
        return events

    def _apply_step(self, channel: Channel, step: Step) -> list[Event]:
        events: list[Event] = [
            self._encrypt(channel, b"", [record], ignore_unreadable=True) for record in step.records
        ]
        for event in step.events:
            events.append(event)
            # Who answers a question verifies itself to the asker, which says nothing about the asker.
            if isinstance(event, SmpSucceeded | SmpFailed) and event.trusts:
                trust = Trust.SMP if isinstance(event, SmpSucceeded) else Trust.NONE
                events += self._relation.judge(channel.info.their_fingerprint, trust)
        return events

    def _verification_lost(self) -> list[Event]:
        """What to tell when the session ends that a verification is under way in."""
        return [SmpAborted(SmpEnd.SESSION)] if self.smp_running else []

    def _heartbeat(self, channel: Channel, now: float) -> list[Event]:
        """Say something after a long silence, so that keys rotate though only the peer talks."""
        if now < self._sent + HEARTBEAT_AFTER:
            return []
        self._sent = now
        return [self._encrypt(channel, b"", ignore_unreadable=True)]

    def _complain(self, error: PeerError, now: float) -> list[Event]:
        """Answer a lost text with an OTR Error Message; a repeated one was not lost.

        Many may be lost at once, as those that are still on the way when the keys are renewed:
        the user is told once, and the peer, who would perhaps renew the keys again, not at all then.
        """
        had_text = error.reason is not Reason.REPLAYED and now >= self._told + COMPLAINT_PAUSE
        rejected = Rejected(error.reason, had_text)
        if not had_text:
            return [rejected]
        self._told = now
        if now < self._renewed + COMPLAINT_PAUSE:
            return [rejected]
        malformed = isinstance(error, MalformedMessage)
        code, text = (MALFORMED, _MALFORMED) if malformed else (UNREADABLE, _UNREADABLE)
        return [Transmit((error_line(text, code if self.version == VERSION_4 else None),)), rejected]

    def _encrypt(
        self, channel: Channel, text: bytes, tlvs: Sequence[Tlv] = (), *, ignore_unreadable: bool = False
    ) -> Transmit:
        return self._relation.transmit(
            channel.encrypt(text, self._padded(text, tlvs), ignore_unreadable=ignore_unreadable)
        )

    def _padded(self, text: bytes, tlvs: Sequence[Tlv]) -> Sequence[Tlv]:
        bucket = self._relation.policy.padding
        return [*tlvs, tlv.padding(text, tlvs, bucket)] if bucket else tlvs


def without_nul(text: str) -> bytes:
    """Return a text in UTF-8, without what would end it inside a message."""
    return text.replace("\0", "").encode(errors="replace")


def _exactly(secret: str) -> bytes:
    """Return a secret in UTF-8, so that no two of them become equal; bytes that are no UTF-8 as they were."""
    try:
        return secret.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return secret.encode(errors="surrogatepass")
