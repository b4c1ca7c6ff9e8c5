"""Talking with one peer: the public face of the protocol.

Lines of chat go in, events come out; nothing is sent, shown or stored here, and no
host code ever runs in the middle of a step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from enum import Enum

from .errors import PeerError, Reason, UsageError
from .events import (
    Downgraded,
    Event,
    HandshakeEnd,
    HandshakeFailed,
    HandshakeStep,
    Held,
    HeldBack,
    NoCommonVersion,
    NotSent,
    PeerComplained,
    Queued,
    Received,
    Rejected,
    Resent,
    SessionOpened,
    Transmit,
)
from .identity import Identity
from .instances import Instances
from .memory import PeerMemory
from .model import Fingerprint, MessageState, Protection, SessionInfo, Trust
from .outbox import Outbox
from .policy import Policy, Tagging
from .relation import Relation, require_spoken
from .session import MAX_TEXT_BYTES, Session, without_nul
from .suites import VERSIONS, is_whole
from .wire.fragment import MAX_TOTAL, Fragment, Reassembler
from .wire.header import ANY_INSTANCE, VERSION_4
from .wire.rejoin import Rejoiner
from .wire.text import Encoded, ErrorText, Line, Plain, Query, Tagged, classify, with_tag

QUERY_TEXT = (
    "I would like to talk with you encrypted, by OTR. "
    "If you can read this, your chat client has no OTR, or it is switched off."
)
"""What stands behind the query for people whose client does not understand it."""

QUERY_PATIENCE = 45.0
QUERY_PATIENCE_4 = 75.0
"""Seconds after which an unanswered query counts as refused; the longer time where version 4 is offered,
whose first message has 6 lines, and is said again where it was lost."""

ERROR_PAUSE = 60.0
"""Seconds between two starts because of an error: two peers that answer each other's would never stop."""

SMALLEST_LINE_LIMIT = 100
"""Characters; below, the headers of fragments would outweigh what they carry."""

RESENT_MARK = "[resent] "
"""What stands before a text that is said again, by custom of all clients."""

MAX_COMPLAINT = 400
"""Characters of a peer's error text that are worth showing."""


class Offer(Enum):
    """How far the offer of OTR by whitespace tags has come."""

    NONE = "nothing was offered yet"
    SENT = "offered, and not answered yet"
    REJECTED = "answered by plain text"
    ACCEPTED = "answered by OTR"


class Conversation:
    """One peer.  Made by `Account.conversation`; `peer` is the host's name for it."""

    __slots__ = (
        "_clock",
        "_error_start",
        "_instances",
        "_offer",
        "_outbox",
        "_query_until",
        "_reassembler",
        "_rejoiner",
        "_relation",
        "_resting",
        "_told_versions",
    )

    def __init__(self, relation: Relation, clock: Callable[[], float]) -> None:
        """`clock` is the account's: seconds that only grow.  Hosts call `Account.conversation` instead."""
        self._relation = relation
        self._clock = clock
        self._instances = Instances(relation)
        self._outbox = Outbox()
        self._offer = Offer.NONE
        self._reassembler = Reassembler()
        self._rejoiner = Rejoiner(is_whole)
        self._query_until: float | None = None
        self._error_start = -math.inf
        self._told_versions: frozenset[int] = frozenset()
        """What the peer has offered when the user was told that this is too little."""
        self._resting = False
        """Whether the user has ended what there was, and wants to go on plain."""

    @property
    def peer(self) -> str:
        """The host's name for the peer, as the chat network compares it."""
        return self._relation.peer

    @peer.setter
    def peer(self, name: str) -> None:
        self._relation.peer = name

    @property
    def state(self) -> MessageState:
        """Whether what is typed now goes out plain, encrypted, or not at all."""
        return self._instances.state

    @property
    def info(self) -> SessionInfo | None:
        """Version, session id and fingerprints of the session that is sent to, while encrypted."""
        return self._instances.info

    @property
    def sessions(self) -> tuple[SessionInfo, ...]:
        """The encrypted sessions with all clients of the peer, the one heard last at the end."""
        return self._instances.infos

    @property
    def trust(self) -> Trust:
        """How the key of the session that is sent to is known to be the peer's."""
        info = self.info
        return self.memory.trust(info.their_fingerprint) if info else Trust.NONE

    @property
    def starting(self) -> bool:
        """Whether we asked for an encrypted conversation, or one is being set up."""
        return self._query_until is not None or self._instances.starting

    @property
    def memory(self) -> PeerMemory:
        """What is to be remembered of the peer."""
        return self._relation.memory

    @property
    def policy(self) -> Policy:
        """The policy for this peer: its own, or the account's."""
        return self._relation.policy

    @property
    def offer(self) -> Offer:
        """How far the offer of OTR by whitespace tags has come."""
        return self._offer

    @property
    def held(self) -> tuple[str, ...]:
        """Texts that wait for `send_held` or `drop_held`, as they were meant for another key."""
        return self._outbox.held

    @property
    def idle(self) -> bool:
        """Whether a fresh object with the same memory would do as well: nothing is under way."""
        return (
            self._instances.empty
            and not self.starting
            and self._reassembler.empty
            and self._rejoiner.empty
            and self._outbox.empty
            and not self._resting
        )

    @property
    def joining(self) -> bool:
        """Whether the next line may be the rest of one of OTR that came in pieces."""
        return not self._rejoiner.empty

    @property
    def line_limit(self) -> int | None:
        """Characters that a transmitted line may have; None for no limit."""
        return self._relation.line_limit

    @line_limit.setter
    def line_limit(self, limit: int | None) -> None:
        if limit is not None and limit < SMALLEST_LINE_LIMIT:
            raise UsageError(
                f"Lines of {limit} characters are too short for OTR: {SMALLEST_LINE_LIMIT} is least."
            )
        self._relation.line_limit = limit

    @property
    def next_tick(self) -> float | None:
        """When `tick` is to be called next, by the account's clock; None for never."""
        times = (
            self._query_until,
            self._instances.deadline,
            self._reassembler.expires,
            self._rejoiner.expires,
        )
        return min((time for time in times if time is not None), default=None)

    def set_policy(self, policy: Policy | None) -> list[Event]:
        """Have a policy of its own for this peer, None for the account's; UsageError for unknown versions.

        What runs in a version that is not allowed any more is ended.
        """
        if policy is not None:
            require_spoken(policy)
        memory = replace(self.memory, policy=policy)
        events = self._forbid(policy or self._relation.account_policy)
        return [*events, *self._relation.remember(memory)]

    def recall(self, memory: PeerMemory) -> list[Event]:
        """Go on with what was changed elsewhere in what is remembered of the peer; errors as above.

        The keys of running sessions stay known; what is not allowed any more is ended.
        """
        return self.renew(self._relation.identity, self._relation.account_policy, memory)

    def renew(
        self, identity: Identity, account_policy: Policy, memory: PeerMemory | None = None
    ) -> list[Event]:
        """Speak as another identity from the next session on, and by another policy of the account.

        With a memory all of it changes as one: what one policy forbids the other one may allow.
        """
        memory = self.memory if memory is None else memory
        for policy in (account_policy, memory.policy):
            if policy is not None:
                require_spoken(policy)
        for info in self.sessions:
            if not memory.knows(info.their_fingerprint):
                memory = memory.met(info.their_fingerprint, info.version)
        events = self._forbid(memory.policy or account_policy)
        self._relation.identity, self._relation.account_policy = identity, account_policy
        self._relation.memory = memory
        return events

    def set_trust(self, trust: Trust, fingerprint: Fingerprint | None = None) -> list[Event]:
        """Trust a key of the peer, or cease to; without a fingerprint that of the running session.

        UsageError if there is no session, or the peer never used such a key.
        """
        if fingerprint is None:
            info = self.info
            if info is None:
                raise UsageError("There is no encrypted conversation: start one first.")
            fingerprint = info.their_fingerprint
        if not self.memory.knows(fingerprint):
            raise UsageError(f"{self.peer} has never used a key with this fingerprint: compare it again.")
        return [*self._relation.judge(fingerprint, trust)]

    def choose(self, instance_tag: int | None) -> None:
        """Send to this client of the peer, None for the best; UsageError if it has no session."""
        self._instances.choose(instance_tag)

    def start(self) -> list[Event]:
        """Ask for an encrypted conversation; in one, for fresh keys.  UsageError if policy forbids.

        In version 4 the running one is ended first, as it allows no query; nothing goes out plain meanwhile.
        """
        if not self.policy.versions:
            raise UsageError(f"OTR is switched off for {self.peer}: choose another policy first.")
        self._resting = False
        now = self._clock()
        if self._instances.answering(now):
            # A query would have the peer begin once more as soon as it is done.
            return []
        self._instances.forget_stale(now)
        return [*self._instances.retire(), self._query()]

    def renamed(self, names: tuple[str, str] | None = None) -> list[Event]:
        """Take note that `peer`, or the name of the account, has become another one.

        Who does so only later, when steps have ended that were under way, says what both names were.
        """
        self._relation.names = self._relation.present_names if names is None else names
        was_starting = self.starting
        events = self._instances.renamed(self._clock())
        return [*events, *self._given_up(was_starting)]

    def send(self, text: str, *, may_tag: bool = True) -> list[Event]:
        """Send what the user typed, protected as state and policy ask.

        What must not leave plain waits until there is an encrypted conversation: under a policy
        that requires encryption, and while one is being set up, as who asks for it does not want
        the next line to be read by others.  With `may_tag` false a plain text stays exactly as it is.
        """
        expired = self._instances.expire(self._clock())
        return [*expired, *self._send(text, may_tag=may_tag)]

    def _send(self, text: str, *, may_tag: bool) -> list[Event]:
        state = self.state
        if state is MessageState.ENCRYPTED:
            return self._send_encrypted(text)
        if state is MessageState.FINISHED and not self.starting:
            return [NotSent(text, HeldBack.FINISHED)]
        if self.starting or self.policy.require_encryption:
            return self._queue(text)
        return [Transmit((self._offering(text) if may_tag else text,), plain=True)]

    def end(self) -> list[Event]:
        """End the conversation, or the attempt to start one; what is typed next goes out plain."""
        self._resting |= self.starting or self.state is not MessageState.PLAINTEXT
        asked = self._query_until is not None and not self._instances.starting
        self._query_until = None
        self._outbox.forget_last()
        events = self._instances.end()
        if asked:
            events = [HandshakeFailed(HandshakeEnd.CANCELLED), *events]
        return events + self._give_back()

    def lose(self) -> list[Event]:
        """Take note that the peer is gone from the network: as if it had ended the conversation."""
        self._query_until = None
        self._reassembler = Reassembler()
        self._rejoiner = Rejoiner(is_whole)
        self._outbox.forget_last()
        self._offer = Offer.NONE
        self._resting = False
        return self._instances.lose() + self._give_back()

    def finish(self) -> None:
        """Stand as if a conversation had just been ended by the peer: nothing goes out before the user acts.

        For whoever was left encrypted under another account, as on another network.  UsageError in an
        encrypted conversation.
        """
        self._instances.finish(self._clock())

    def withdraw(self, text: str) -> None:
        """Let a text not leave any more that has not left yet, nor be said again: the user has it back."""
        self._outbox.withdraw(text)

    def send_held(self) -> list[Event]:
        """Send the texts that were held, in the session that runs; UsageError if there is none."""
        return self._in(
            self._instances.session(),
            lambda _session, _now: [
                event for text in self._outbox.take_held() for event in self._send_encrypted(text)
            ],
        )

    def drop_held(self) -> tuple[str, ...]:
        """Forget the texts that were held, and return them."""
        return self._outbox.take_held()

    def extra_key(self, use: int, data: bytes = b"") -> list[Event]:
        """Agree on an extra symmetric key for `use`, 32 bits; UsageError outside a conversation."""
        if not 0 <= use < 1 << 32 or len(data) > MAX_TEXT_BYTES:
            raise UsageError("The use of an extra key is a number of 32 bits, and its data are short.")
        return self._in(self._instances.session(), lambda session, now: session.extra_key(use, data, now))

    def smp_start(self, secret: str, question: str | None = None) -> list[Event]:
        """Ask the peer to prove, by SMP, that it knows a secret; case and blanks count.  UsageError."""
        return self._in(
            self._instances.session(), lambda session, now: session.smp_start(secret, question, now)
        )

    def smp_answer(self, secret: str) -> list[Event]:
        """Answer the peer's question; UsageError if there is none."""
        session = self._instances.asking or self._instances.session()
        return self._in(session, lambda session, now: session.smp_answer(secret, now))

    def smp_abort(self) -> list[Event]:
        """End a verification that is under way, or refuse one; UsageError outside a conversation."""
        session = self._instances.verifying or self._instances.session()
        return self._in(session, Session.smp_abort)

    def _in(self, session: Session, do: Callable[[Session, float], list[Event]]) -> list[Event]:
        """Do something in a session; nothing but its end if it is due to expire."""
        now = self._clock()
        expired = self._instances.expire(now)
        return [*expired, *(do(session, now) if session.info else ())]

    @property
    def smp_waiting(self) -> bool:
        """Whether a question of the peer waits for `smp_answer`."""
        return self._instances.asking is not None

    @property
    def smp_running(self) -> bool:
        """Whether a verification is under way, asked for by either side."""
        return self._instances.verifying is not None

    def receive(self, line: str) -> list[Event]:
        """Take a line of the peer.  Never raises, whatever the line."""
        if not self.policy.versions:
            return [Received(line, Protection.PLAIN)]
        now = self._clock()
        if len(line) > MAX_TOTAL:
            return [Rejected(Reason.TOO_LARGE, had_text=True)]
        return [event for text in self._rejoiner.add(line, now) for event in self._receive(text, now)]

    def tick(self) -> list[Event]:
        """Do what time asks for; to be called at `next_tick`."""
        now = self._clock()
        self._reassembler.expire(now)
        events: list[Event] = []
        for line in self._rejoiner.expire(now):
            events += self._receive(line, now)
        events += self._after(self._instances.tick(now), now)
        if self._query_until is not None and now >= self._query_until:
            self._query_until = None
            events.append(HandshakeFailed(HandshakeEnd.NO_ANSWER))
        if not self.starting:
            events += self._give_back()
        return events

    def _receive(self, line: str, now: float) -> list[Event]:
        """Take a line that is whole; what is refused leaves everything as it was."""
        return [*self._instances.expire(now), *self._received(line, now)]

    def _received(self, line: str, now: float) -> list[Event]:
        try:
            content = self._read(line, now)
            events = [] if content is None else self._take(content, now)
        except PeerError as error:
            return [Rejected(error.reason, had_text=error.reason is Reason.TOO_LARGE)]
        accepted = events and not any(isinstance(event, Rejected) for event in events)
        if accepted and not isinstance(content, Plain):
            self._offer = Offer.ACCEPTED
        return events

    def _read(self, line: str, now: float) -> Line | None:
        """Tell what a line is; None if more pieces of it are to come."""
        content = classify(line)
        if not isinstance(content, Fragment):
            return content
        if content.receiver_tag not in (None, ANY_INSTANCE, self._relation.own_tag):
            raise PeerError(Reason.OTHER_INSTANCE)
        whole = self._reassembler.add(content, now)
        return None if whole is None else classify(whole)

    def _take(self, content: Line, now: float) -> list[Event]:
        match content:
            case Plain(text):
                if self._offer is Offer.SENT:
                    self._offer = Offer.REJECTED
                return [Received(text, self._plain_protection())]
            case Tagged(text, versions):
                events: list[Event] = [Received(text, self._plain_protection())]
                if not self.policy.start_on_tag or self.state is MessageState.ENCRYPTED:
                    return events
                best = self.policy.best_common(versions)
                if versions and best is None:
                    # A tag comes with every text: once is enough.
                    news = [NoCommonVersion(versions)] if versions != self._told_versions else []
                    self._told_versions = versions
                    return [*events, *news]
                if best is not None and self._leads_back(best):
                    return events
                return events + self._start_best(versions, now)
            case Query(versions):
                return self._answer_query(versions, now)
            case ErrorText(text):
                return [PeerComplained(text[:MAX_COMPLAINT]), *self._answer_error(now)]
            case Encoded(raw):
                asked = self._query_until is not None
                return self._after(self._instances.receive(raw, now, asked=asked), now)
            case _:
                # Unrecognized, or a fragment inside a fragment: that must not recurse.
                raise PeerError(Reason.UNRECOGNIZED)

    def _answer_query(self, versions: frozenset[int], now: float) -> list[Event]:
        version = self.policy.best_common(versions)
        if version is None:
            if not versions:
                raise PeerError(Reason.VERSION, "nothing is offered")
            return [NoCommonVersion(versions)]
        if self._leads_back(version):
            raise PeerError(Reason.VERSION, "less than is spoken already")
        return self._start_best(versions, now)

    def _leads_back(self, version: int) -> bool:
        """Whether an offer, which anybody on the way can make up, would lead from what is spoken to less.

        A conversation of version 4 that is over counts until our user has left it, or has asked for another.
        """
        info = self.info
        return version < info.version if info is not None else version < VERSION_4 and self._was_in_version_4

    @property
    def _was_in_version_4(self) -> bool:
        """Whether a conversation of version 4 is over, and our user has not acted yet."""
        finished = self.state is MessageState.FINISHED and self._instances.in_version_4
        return finished and self._query_until is None

    def _answer_error(self, now: float) -> list[Event]:
        """Start anew if the policy says so; the text that was lost may be said again then."""
        if self.state is MessageState.ENCRYPTED:
            self._outbox.complained()
        wanted = self.policy.start_on_error and not self._resting
        if not wanted or now < self._error_start + ERROR_PAUSE:
            return []
        self._error_start = now
        if self._instances.retirable or self._was_in_version_4:
            # No query in a session of version 4: new keys are agreed on beside it.  Nor after one, as a query
            # takes any version for an answer, and our user has not asked.
            return self._instances.start(VERSION_4, now) if VERSION_4 in self.policy.versions else []
        return [self._query()]

    def _start_best(self, offered: frozenset[int], now: float) -> list[Event]:
        """Begin a key exchange in the best version that both sides allow."""
        version = self.policy.best_common(offered)
        if version is None:
            return []
        self._query_until = None
        known, best = max(self.memory.versions, default=0), max(offered)
        events: list[Event] = []
        if best < known and offered != self._told_versions:
            self._told_versions = offered
            events.append(Downgraded(known, best))
        return events + self._instances.start(version, now)

    def _forbid(self, policy: Policy) -> list[Event]:
        """End what runs, or is being set up, in versions that a policy does not allow."""
        allowed = policy.versions
        over = not allowed or any(info.version not in allowed for info in self.sessions)
        events = self.end() if over else []
        was_starting = self.starting
        self._instances.forbid(VERSIONS - allowed)
        return [*events, *self._given_up(was_starting)]

    def _given_up(self, was_starting: bool) -> list[Event]:
        """Tell that what was being set up has come to nothing, and give back what waited for it."""
        if not was_starting or self.starting:
            return []
        return [HandshakeFailed(HandshakeEnd.CANCELLED), *self._give_back()]

    def _query(self) -> Transmit:
        """Return the Query Message that asks for a start."""
        patience = QUERY_PATIENCE_4 if VERSION_4 in self.policy.versions else QUERY_PATIENCE
        self._query_until = self._clock() + patience
        # A query is never cut into fragments, which only encoded messages are made for.
        query = self.policy.query
        line = f"{query} {QUERY_TEXT}"
        limit = self.line_limit
        return Transmit((query if limit and len(line) > limit else line,))

    def _after(self, events: list[Event], now: float) -> list[Event]:
        """Add what follows from what a session did: remembering, and texts that leave."""
        done: list[Event] = []
        for event in events:
            done.append(event)
            if isinstance(event, HandshakeStep):
                self._query_until = None
            elif isinstance(event, SessionOpened):
                self._query_until = None
                done += self._opened(event.info, now)
        return done

    def _opened(self, info: SessionInfo, now: float) -> list[Event]:
        before, fingerprint = self.memory, info.their_fingerprint
        # An offer may have said it already; a version that our policy rules out is no loss of the peer's.
        known = max(before.versions & self.policy.versions, default=0)
        told = max(self._told_versions, default=None) == info.version
        events: list[Event] = [Downgraded(known, info.version)] if info.version < known and not told else []
        self._told_versions = frozenset()
        self._resting = False
        events += self._relation.remember(before.met(fingerprint, info.version))
        release = self._outbox.opened(fingerprint, before, now)
        session = self._instances.session(info.their_instance_tag)
        if release.again is not None:
            again = session.send(RESENT_MARK + release.again, now)
            if isinstance(again[0], NotSent):
                events.append(NotSent(release.again, HeldBack.TOO_LARGE))
            else:
                events += [*again, Resent(release.again)]
        for text in release.leaving:
            events += self._send_in(session, text)
        return [*events, Held(release.held)] if release.held else events

    def _send_encrypted(self, text: str) -> list[Event]:
        return self._send_in(self._instances.session(), text)

    def _send_in(self, session: Session, text: str) -> list[Event]:
        now = self._clock()
        events = session.send(text, now)
        info = session.info
        if info is not None and isinstance(events[0], Transmit):
            self._outbox.sent(text, info.their_fingerprint, now)
        return events

    def _queue(self, text: str) -> list[Event]:
        """Keep a text for the encrypted conversation, and ask for one."""
        if len(without_nul(text)) > MAX_TEXT_BYTES:
            return [NotSent(text, HeldBack.TOO_LARGE)]
        if not self._outbox.queue(text):
            return [NotSent(text, HeldBack.TOO_MUCH)]
        return [Queued(text)] if self.starting else [self._query(), Queued(text)]

    def _give_back(self) -> list[Event]:
        return [NotSent(text, HeldBack.NO_SESSION) for text in self._outbox.give_back()]

    def _offering(self, text: str) -> str:
        """Return a plain text with the whitespace tag, where the policy wants one and it still fits."""
        policy, limit = self.policy, self.line_limit
        known = policy.send_tag is Tagging.KNOWN and self.memory.versions
        wanted = known or policy.send_tag is Tagging.EVERYBODY
        if not wanted or not policy.versions or self._resting or self._offer is Offer.REJECTED:
            return text
        tagged = with_tag(text, policy.versions)
        if tagged == text or (limit is not None and len(tagged.encode(errors="replace")) > limit):
            return text
        self._offer = Offer.SENT
        return tagged

    def _plain_protection(self) -> Protection:
        expected = self.state is MessageState.PLAINTEXT and not self.policy.require_encryption
        return Protection.PLAIN if expected else Protection.UNEXPECTED_PLAIN
