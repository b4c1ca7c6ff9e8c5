"""Talking with one peer: the public face of the protocol.

Lines of chat go in, events come out; nothing is sent, shown or stored here, and no
host code ever runs in the middle of a step.
"""

from __future__ import annotations

from collections.abc import Callable

from .crypto.random import Random
from .errors import PeerError, Reason, UsageError
from .events import (
    Event,
    HandshakeEnd,
    HandshakeFailed,
    HandshakeStep,
    HeldBack,
    NotSent,
    PeerComplained,
    Received,
    Rejected,
    Transmit,
)
from .identity import Identity
from .model import MessageState, Protection, SessionInfo
from .policy import Policy
from .session import Session
from .wire.fragment import MAX_TOTAL, Fragment, Reassembler
from .wire.header import ANY_INSTANCE
from .wire.text import Encoded, ErrorText, Plain, Query, Tagged, classify

QUERY_TEXT = (
    "I would like to talk with you encrypted, by OTR. "
    "If you can read this, your chat client has no OTR, or it is switched off."
)
"""What stands behind the query for people whose client does not understand it."""

QUERY_PATIENCE = 30.0
"""Seconds after which an unanswered query counts as refused."""

SMALLEST_LINE_LIMIT = 100
"""Characters; below, the headers of fragments would outweigh what they carry."""

MAX_COMPLAINT = 400
"""Characters of a peer's error text that are worth showing."""


class Conversation:
    """One peer.  Made by `Account.conversation`; `peer` is the host's name for it."""

    __slots__ = ("_clock", "_own_tag", "_policy", "_query_until", "_reassembler", "_session", "peer")

    def __init__(
        self,
        peer: str,
        identity: Identity,
        own_tag: int,
        policy: Policy,
        random: Random,
        clock: Callable[[], float],
    ) -> None:
        self.peer = peer
        self._policy = policy
        self._own_tag = own_tag
        self._clock = clock
        self._session = Session(identity, own_tag, policy, random)
        self._reassembler = Reassembler()
        self._query_until: float | None = None

    @property
    def state(self) -> MessageState:
        """Whether what is typed now goes out plain, encrypted, or not at all."""
        return self._session.state

    @property
    def info(self) -> SessionInfo | None:
        """Version, session id and fingerprints, while encrypted."""
        return self._session.info

    @property
    def starting(self) -> bool:
        """Whether we asked for an encrypted conversation, or one is being set up."""
        return self._query_until is not None or self._session.starting

    @property
    def idle(self) -> bool:
        """Whether a fresh object would do as well: nothing is under way, and no fingerprint remembered."""
        return (
            self.state is MessageState.PLAINTEXT
            and not self.starting
            and self._reassembler.empty
            and self._session.last_fingerprint is None
        )

    @property
    def line_limit(self) -> int | None:
        """Characters that a transmitted line may have; None for no limit."""
        return self._session.line_limit

    @line_limit.setter
    def line_limit(self, limit: int | None) -> None:
        if limit is not None and limit < SMALLEST_LINE_LIMIT:
            raise UsageError(
                f"Lines of {limit} characters are too short for OTR: {SMALLEST_LINE_LIMIT} is least."
            )
        self._session.line_limit = limit

    @property
    def next_tick(self) -> float | None:
        """When `tick` is to be called next, by the account's clock; None for never."""
        times = (self._query_until, self._session.deadline, self._reassembler.expires)
        return min((time for time in times if time is not None), default=None)

    def start(self) -> list[Event]:
        """Ask for an encrypted conversation; in one, for fresh keys.  UsageError if policy forbids."""
        if not self._policy.versions:
            raise UsageError(f"OTR is switched off for {self.peer}.")
        self._query_until = self._clock() + QUERY_PATIENCE
        # A query is never cut into fragments, which only encoded messages are made for.
        query = self._policy.query
        line = f"{query} {QUERY_TEXT}"
        return [Transmit((query if self.line_limit and len(line) > self.line_limit else line,))]

    def send(self, text: str) -> list[Event]:
        """Send what the user typed, protected as the state asks.

        While an encrypted conversation is being set up nothing goes out plain: who asks
        for one does not want the next line to be read by others.
        """
        if self.starting and self.state is not MessageState.ENCRYPTED:
            return [NotSent(text, HeldBack.STARTING)]
        return self._session.send(text)

    def end(self) -> list[Event]:
        """End the conversation, or the attempt to start one; what is typed next goes out plain."""
        asked = self._query_until is not None and not self._session.starting
        self._query_until = None
        events = self._session.end()
        return [HandshakeFailed(HandshakeEnd.CANCELLED), *events] if asked else events

    def lose(self) -> list[Event]:
        """Take note that the peer is gone from the network: as if it had ended the conversation."""
        self._query_until = None
        self._reassembler = Reassembler()
        return self._session.lose()

    def smp_start(self, secret: str, question: str | None = None) -> list[Event]:
        """Ask the peer to prove, by SMP, that it knows a secret; case and blanks count.  UsageError."""
        return self._session.smp_start(secret, question)

    def smp_answer(self, secret: str) -> list[Event]:
        """Answer the peer's question; UsageError if there is none."""
        return self._session.smp_answer(secret)

    def smp_abort(self) -> list[Event]:
        """End a verification that is under way, or refuse one; UsageError outside a conversation."""
        return self._session.smp_abort()

    @property
    def smp_waiting(self) -> bool:
        """Whether a question of the peer waits for `smp_answer`."""
        return self._session.smp_waiting

    def receive(self, line: str) -> list[Event]:
        """Take a line of the peer.  Never raises, whatever the line."""
        if not self._policy.versions:
            return [Received(line, Protection.PLAIN)]
        try:
            return self._receive(line, self._clock())
        except PeerError as error:
            return [Rejected(error.reason, had_text=error.reason is Reason.TOO_LARGE)]

    def tick(self) -> list[Event]:
        """Do what time asks for; to be called at `next_tick`."""
        now = self._clock()
        self._reassembler.expire(now)
        events = self._session.tick(now)
        if self._query_until is not None and now >= self._query_until:
            self._query_until = None
            events.append(HandshakeFailed(HandshakeEnd.NO_ANSWER))
        return events

    def _receive(self, line: str, now: float) -> list[Event]:
        if len(line) > MAX_TOTAL:
            raise PeerError(Reason.TOO_LARGE)
        content = classify(line)
        if isinstance(content, Fragment):
            if content.receiver_tag not in (None, ANY_INSTANCE, self._own_tag):
                raise PeerError(Reason.OTHER_INSTANCE)
            whole = self._reassembler.add(content, now)
            if whole is None:
                return []
            content = classify(whole)
        match content:
            case Plain(text):
                return [Received(text, self._plain_protection())]
            case Tagged(text, versions):
                events: list[Event] = [Received(text, self._plain_protection())]
                if self._policy.start_on_tag and self.state is MessageState.PLAINTEXT:
                    events += self._start_best(versions, now)
                return events
            case Query(versions):
                events = self._start_best(versions, now)
                if not events and not self._session.starting:
                    raise PeerError(Reason.VERSION, "nothing usable is offered")
                return events
            case ErrorText(text):
                return [PeerComplained(text[:MAX_COMPLAINT])]
            case Encoded(raw):
                events = self._session.receive(raw, now)
                if any(isinstance(event, HandshakeStep) for event in events):
                    self._query_until = None
                return events
            case _:
                # Unrecognized, or a fragment inside a fragment: that must not recurse.
                raise PeerError(Reason.UNRECOGNIZED)

    def _start_best(self, offered: frozenset[int], now: float) -> list[Event]:
        """Begin a key exchange in the best version that both sides allow."""
        version = self._policy.best_common(offered)
        if version is None:
            return []
        events = self._session.start(version, now)
        self._query_until = None
        return events

    def _plain_protection(self) -> Protection:
        return Protection.PLAIN if self.state is MessageState.PLAINTEXT else Protection.UNEXPECTED_PLAIN
