"""The message state with one peer (v3, "Message state"), and the key exchange beside it.

A key exchange that runs beside an encrypted conversation touches it only once it has
finished.  Nothing here knows which OTR version is spoken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import suites
from .crypto.random import Random
from .errors import MalformedMessage, PeerError, Reason, UsageError
from .events import (
    Event,
    HandshakeEnd,
    HandshakeFailed,
    HeldBack,
    NotSent,
    Received,
    Rejected,
    SessionEnded,
    SessionOpened,
    SmpAborted,
    SmpEnd,
    Transmit,
)
from .identity import Identity
from .model import Fingerprint, MessageState, Protection, SessionInfo
from .policy import Policy
from .protocols import Channel, KeyExchange, Outcome, Step, Verifier
from .wire import text as wire_text
from .wire import tlv
from .wire.fragment import cut
from .wire.header import (
    ANY_INSTANCE,
    SMALLEST_INSTANCE_TAG,
    VERSION_2,
    Header,
    MessageType,
    is_ignorable,
    parse_header,
    version_of,
)
from .wire.tlv import Tlv

MAX_TEXT_BYTES = 32 * 1024
"""Longest text that is sent in one message, UTF-8; more would not pass our own reassembly limit."""

UNREADABLE_REPLY = "?OTR Error: Your encrypted message could not be read here."
MALFORMED_REPLY = "?OTR Error: Your encrypted message arrived damaged."


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
    """MSGSTATE_FINISHED: the peer has ended; the user must act before anything goes out."""


class Session:
    """Everything that is encrypted, or about to be, with one peer."""

    __slots__ = (
        "_exchanges",
        "_identity",
        "_own_tag",
        "_policy",
        "_random",
        "_state",
        "last_fingerprint",
        "line_limit",
    )

    def __init__(self, identity: Identity, own_tag: int, policy: Policy, random: Random) -> None:
        self._identity = identity
        self._own_tag = own_tag
        self._policy = policy
        self._random = random
        self._state: Plaintext | Encrypted | Finished = Plaintext()
        self._exchanges: dict[int, KeyExchange] = {}
        """By version: a start in one never disturbs one in another."""
        self.line_limit: int | None = None
        self.last_fingerprint: Fingerprint | None = None
        """The peer's, in the last session that there was."""

    @property
    def state(self) -> MessageState:
        """The message state."""
        match self._state:
            case Plaintext():
                return MessageState.PLAINTEXT
            case Encrypted():
                return MessageState.ENCRYPTED
            case Finished():
                return MessageState.FINISHED

    @property
    def info(self) -> SessionInfo | None:
        """What the user may compare, while encrypted."""
        return self._state.channel.info if isinstance(self._state, Encrypted) else None

    @property
    def starting(self) -> bool:
        """Whether a key exchange is under way."""
        return any(exchange.running for exchange in self._exchanges.values())

    @property
    def deadline(self) -> float | None:
        """When `tick` has something to do."""
        deadlines = (exchange.deadline for exchange in self._exchanges.values())
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def start(self, version: int, now: float) -> list[Event]:
        """Begin a key exchange as the initiator."""
        exchange = self._exchange_for(version)
        outcome = exchange.start(now)
        self._exchanges[version] = exchange
        return self._apply(outcome)

    def tick(self, now: float) -> list[Event]:
        """Let the key exchange look at the clock."""
        return [event for exchange in self._exchanges.values() for event in self._apply(exchange.tick(now))]

    def receive(self, raw: bytes, now: float) -> list[Event]:
        """Take an encoded message; PeerError if it is refused without a word to anybody."""
        version = version_of(raw)
        if version not in self._policy.versions:
            raise PeerError(Reason.VERSION, str(version))
        header = parse_header(raw)
        self._check_tags(header)
        if header.type == MessageType.DATA:
            return self._receive_data(raw, header)
        exchange = self._exchange_for(version)
        elsewhere = [other.sent for name, other in self._exchanges.items() if name != version]
        outcome = exchange.receive(raw, header, now, frozenset().union(*elsewhere))
        self._exchanges[version] = exchange
        return self._apply(outcome)

    def send(self, text: str) -> list[Event]:
        """Encrypt a text of the user, or say why not; the caller sends it itself in MSGSTATE_PLAINTEXT."""
        match self._state:
            case Encrypted(channel=channel):
                content = _without_nul(text)
                if len(content) > MAX_TEXT_BYTES:
                    return [NotSent(text, HeldBack.TOO_LARGE)]
                return [self._transmit(channel.encrypt(content))]
            case Finished():
                return [NotSent(text, HeldBack.FINISHED)]
            case Plaintext():
                return [Transmit((text,), plain=True)]

    def end(self) -> list[Event]:
        """Back to MSGSTATE_PLAINTEXT; the peer is told if it believes itself in an encrypted conversation."""
        events: list[Event] = []
        if self.starting:
            self._cancel()
            events.append(HandshakeFailed(HandshakeEnd.CANCELLED))
        match self._state:
            case Encrypted(channel=channel):
                events += self._verification_lost()
                events.append(self._transmit(channel.encrypt_last([Tlv(tlv.DISCONNECTED)])))
                events.append(SessionEnded(by_peer=False))
            case Finished():
                events.append(SessionEnded(by_peer=False))
        self._state = Plaintext()
        return events

    def lose(self) -> list[Event]:
        """Forget all keys, as the peer is gone; nothing goes out plain to whoever has the name next."""
        self._cancel()
        if not isinstance(self._state, Encrypted):
            return []
        lost = self._verification_lost()
        self._state = Finished()
        return [*lost, SessionEnded(by_peer=True)]

    def smp_start(self, secret: str, question: str | None) -> list[Event]:
        """Ask the peer to prove that it knows a secret; UsageError outside an encrypted conversation."""
        asked = None if question is None else _without_nul(question)
        if asked is not None and len(asked) > MAX_TEXT_BYTES:
            raise UsageError("The question is too long: ask a shorter one.")
        return self._verify(lambda verification: verification.ask(_exactly(secret), asked))

    def smp_answer(self, secret: str) -> list[Event]:
        """Answer the peer's question; UsageError if there is none."""
        return self._verify(lambda verification: verification.answer(_exactly(secret)))

    def smp_abort(self) -> list[Event]:
        """End a verification that is under way; UsageError outside an encrypted conversation."""
        return self._verify(lambda verification: verification.abort())

    @property
    def smp_waiting(self) -> bool:
        """Whether a question of the peer waits for an answer."""
        return isinstance(self._state, Encrypted) and self._state.verification.waiting

    def _verify(self, step: Callable[[Verifier], Step]) -> list[Event]:
        if not isinstance(self._state, Encrypted):
            raise UsageError("Verifying needs an encrypted conversation: start one first.")
        return self._apply_step(self._state.channel, step(self._state.verification))

    def _apply_step(self, channel: Channel, step: Step) -> list[Event]:
        sent: list[Event] = [
            self._transmit(channel.encrypt(b"", [record], ignore_unreadable=True)) for record in step.records
        ]
        return sent + list(step.events)

    def _verification_lost(self) -> list[Event]:
        """What to tell when the session ends that a verification is under way in."""
        running = isinstance(self._state, Encrypted) and self._state.verification.running
        return [SmpAborted(SmpEnd.SESSION)] if running else []

    def _receive_data(self, raw: bytes, header: Header) -> list[Event]:
        """Decrypt, or tell the peer that it was in vain."""
        if not isinstance(self._state, Encrypted):
            # No complaint to the peer, as by libotr: the message may be for another client of ours.
            return [Rejected(Reason.NO_SESSION, had_text=not is_ignorable(raw))]
        channel = self._state.channel
        if header.version != channel.info.version:
            raise PeerError(Reason.VERSION, str(header.version))
        try:
            plaintext = channel.decrypt(raw, header)
        except PeerError as error:
            if error.reason is Reason.OTHER_INSTANCE or is_ignorable(raw):
                raise
            return self._complain(error)
        events: list[Event] = []
        if plaintext.text:
            events.append(Received(plaintext.text.decode(errors="replace"), Protection.ENCRYPTED))
        verified = False
        for record in plaintext.tlvs:
            if record.type == tlv.DISCONNECTED:
                return [*events, *self.lose()]
            # One record of SMP a message, as all clients send them: more would be answered one by one.
            step = None if verified else self._state.verification.receive(record)
            if step is not None:
                verified = True
                events += self._apply_step(channel, step)
        return events

    def _complain(self, error: PeerError) -> list[Event]:
        """Answer a lost text with an OTR Error Message; a repeated one was not lost."""
        rejected = Rejected(error.reason, had_text=error.reason is not Reason.REPLAYED)
        if error.reason is Reason.REPLAYED:
            return [rejected]
        malformed = isinstance(error, MalformedMessage)
        return [Transmit((MALFORMED_REPLY if malformed else UNREADABLE_REPLY,)), rejected]

    def _check_tags(self, header: Header) -> None:
        """Refuse what is not from an instance, or not for ours (v3, "Instance Tags")."""
        if header.version == VERSION_2:
            return
        if header.sender_tag < SMALLEST_INSTANCE_TAG:
            raise MalformedMessage("an illegal sender instance tag")
        if ANY_INSTANCE < header.receiver_tag < SMALLEST_INSTANCE_TAG:
            raise MalformedMessage("an illegal receiver instance tag")
        for_anyone = header.receiver_tag == ANY_INSTANCE and header.type == MessageType.DH_COMMIT
        if header.receiver_tag != self._own_tag and not for_anyone:
            raise PeerError(Reason.OTHER_INSTANCE)
        if header.sender_tag == self._own_tag:
            raise PeerError(Reason.REFLECTED)

    def _exchange_for(self, version: int) -> KeyExchange:
        """Return the key exchange of this version; one that is new is kept once it has done something."""
        known = self._exchanges.get(version)
        return known or suites.key_exchange(version, self._identity, self._own_tag, self._random)

    def _cancel(self, below: int | None = None) -> None:
        """Forget what is under way, in all versions or in those below one."""
        for version, exchange in self._exchanges.items():
            if below is None or version < below:
                exchange.cancel()

    def _apply(self, outcome: Outcome) -> list[Event]:
        """Turn what the key exchange did into events; a finished one replaces the running conversation."""
        events: list[Event] = [self._transmit(raw) for raw in outcome.replies]
        events.extend(outcome.steps)
        if outcome.channel:
            # Starts in two versions may cross: the higher one counts, whichever is done first.
            self._cancel(below=outcome.channel.info.version)
            if refreshed := isinstance(self._state, Encrypted):
                outcome.channel.reveal_later(self._state.channel.used_mac_keys())
            info, last = outcome.channel.info, self.last_fingerprint
            lost = self._verification_lost()
            self._state = Encrypted(outcome.channel, outcome.channel.verification(self._random))
            self.last_fingerprint = info.their_fingerprint
            events.append(SessionOpened(info, refreshed, None if last == info.their_fingerprint else last))
            if lost:
                # The peer may have kept its side, which the new session id would make fail.
                step = self._state.verification.renounce()
                events += [*self._apply_step(outcome.channel, step), *lost]
        if outcome.failed:
            events.append(HandshakeFailed(outcome.failed))
        return events

    def _transmit(self, raw: bytes) -> Transmit:
        return Transmit(cut(wire_text.encode(raw), self.line_limit, parse_header(raw)))


def _without_nul(text: str) -> bytes:
    """Return a text in UTF-8, without what would end it inside a message."""
    return text.replace("\0", "").encode(errors="replace")


def _exactly(secret: str) -> bytes:
    """Return a secret in UTF-8, so that no two of them become equal."""
    return secret.encode(errors="surrogatepass")
