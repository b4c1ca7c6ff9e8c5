"""The clients of one peer, told apart by their instance tags, each with a session of its own.

A start goes to all instances at once: one D-H Commit or Identity message to any of them,
whose exchange only waits for answers.  Each instance that answers, or that has started at
the same time, continues with a fork of it.  Version 2 knows no instances: there all clients of
the peer share one session, under the tag ANY_INSTANCE.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from . import suites
from .errors import MalformedMessage, PeerError, Reason, UsageError
from .events import (
    Event,
    HandshakeEnd,
    HandshakeFailed,
    Rejected,
    SessionEnd,
    SessionEnded,
    SmpAsked,
    Transmit,
)
from .model import MessageState, SessionInfo, Trust
from .protocols import Channel, KeyExchange, Outcome
from .relation import Relation
from .session import COMPLAINT_PAUSE, Session
from .wire.header import (
    ANSWERS,
    ANY_INSTANCE,
    SMALLEST_INSTANCE_TAG,
    STARTS,
    VERSION_2,
    VERSION_4,
    Header,
    MessageType,
    is_ignorable,
    parse_header,
    version_of,
)
from .wire.text import NOT_PRIVATE, error_line

MAX_STARTING = 8
"""Instances without a session that are listened to: anybody in the middle can make up tags."""

MAX_SESSIONS = 8
"""Sessions with one peer; where a client makes up a new tag at each start, the old ones are left over."""

QUIET = 10.0
"""Seconds without progress before another start may throw away an exchange that the peer takes part in,
or a new instance push one aside that has come to nothing.  Otherwise a flood of queries or tags could keep
an exchange from ever finishing.  A start within that time is remembered."""

LONGEST_DELAY = 60.0
"""Seconds after which a remembered start is acted on, whatever else has arrived."""

BROADCAST_LIFETIME = 60.0
"""Seconds that a start with all instances takes answers after the first one."""

NO_SESSION_REPLY = "There is no encrypted conversation here that your message belongs to."

_PLAINTEXT = MessageState.PLAINTEXT
_RANKS = {MessageState.PLAINTEXT: 0, MessageState.FINISHED: 1, MessageState.ENCRYPTED: 2}


@dataclass(slots=True)
class Broadcast:
    """A start with all instances of a peer, and those that have taken it up."""

    exchange: KeyExchange
    begun: float
    served: set[int] = field(default_factory=set)

    @property
    def ends(self) -> float:
        """When it takes no more answers, after the first one."""
        return self.begun + BROADCAST_LIFETIME


class Instances:
    """All sessions with one peer."""

    __slots__ = ("_broadcasts", "_chosen", "_postponed", "_quiet_until", "_relation", "_sessions")

    def __init__(self, relation: Relation) -> None:
        """Begin without any instance of the peer, and without a start."""
        self._relation = relation
        self._sessions: dict[int, Session] = {}
        self._broadcasts: dict[int, Broadcast] = {}
        """By version, as are the starts that wait for a running exchange to come to an end."""
        self._postponed: dict[int, float] = {}
        self._chosen: int | None = None
        self._quiet_until: float | None = None
        """While the peer has just been told that its message belongs to no session."""

    @property
    def state(self) -> MessageState:
        """The message state of the instance that would be sent to."""
        best = self._best()
        return best.state if best else MessageState.PLAINTEXT

    @property
    def info(self) -> SessionInfo | None:
        """The session of the instance that would be sent to, while encrypted."""
        best = self._best()
        return best.info if best else None

    @property
    def infos(self) -> tuple[SessionInfo, ...]:
        """All encrypted sessions, the one heard last at the end."""
        sessions = sorted(self._sessions.values(), key=lambda session: session.heard)
        return tuple(session.info for session in sessions if session.info)

    @property
    def starting(self) -> bool:
        """Whether an encrypted conversation is being set up."""
        return (
            bool(self._postponed)
            or any(not broadcast.served for broadcast in self._broadcasts.values())
            or any(session.starting for session in self._sessions.values())
        )

    @property
    def deadline(self) -> float | None:
        """When `tick` has something to do."""
        deadlines = [session.deadline for session in self._sessions.values()]
        for version, latest in self._postponed.items():
            deadlines.append(max(min(latest, self._busy_until(version)), 0.0))
        for broadcast in self._broadcasts.values():
            deadlines.append(broadcast.ends if broadcast.served else broadcast.exchange.deadline)
        deadlines.append(self._quiet_until)
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    @property
    def empty(self) -> bool:
        """Whether no instance has a session, or is getting one, and nothing was said about that just now."""
        return (
            not self.starting
            and self._quiet_until is None
            and all(session.state is MessageState.PLAINTEXT for session in self._sessions.values())
        )

    @property
    def in_version_4(self) -> bool:
        """Whether a conversation of version 4 runs, or is over and was not left yet."""
        return any(session.version == VERSION_4 for session in self._sessions.values())

    def choose(self, tag: int | None) -> None:
        """Send to this instance from now on, None for the best one; UsageError if it has no session."""
        if tag is not None and (tag not in self._sessions or not self._sessions[tag].info):
            raise UsageError(
                "There is no encrypted conversation with that client: choose another, or start one."
            )
        self._chosen = tag

    def start(self, version: int, now: float) -> list[Event]:
        """Begin a key exchange as the initiator, with whichever instances answer."""
        if self._busy_until(version) > now:
            self._postponed.setdefault(version, now + LONGEST_DELAY)
            return []
        return self._start(version, now)

    def _busy_until(self, version: int) -> float:
        """When an exchange of this version that the peer takes part in may be disturbed by another start."""
        exchanges = (session.exchanges.get(version) for session in self._sessions.values())
        answers = (exchange.answered for exchange in exchanges if exchange is not None)
        return max((answer + QUIET for answer in answers if answer is not None), default=-math.inf)

    def _start(self, version: int, now: float) -> list[Event]:
        if version == VERSION_2:
            session = self._sessions.get(ANY_INSTANCE) or self._admit(ANY_INSTANCE, now)
            exchange = session.exchanges.setdefault(version, self._exchange(version, ANY_INSTANCE))
            return session.apply(version, exchange.start(now), now)
        broadcast = self._broadcasts.get(version)
        if broadcast is None or broadcast.served:
            broadcast = self._broadcasts[version] = Broadcast(self._exchange(version, ANY_INSTANCE), now)
        return self._sent_to_all(broadcast.exchange.start(now))

    def _sent_to_all(self, outcome: Outcome) -> list[Event]:
        events: list[Event] = [self._relation.transmit(raw) for raw in outcome.replies]
        events += outcome.steps
        return [*events, HandshakeFailed(outcome.failed)] if outcome.failed else events

    def tick(self, now: float) -> list[Event]:
        """Let key exchanges look at the clock; one failure at most is told, when nothing goes on."""
        events: list[Event] = []
        if self._quiet_until is not None and now >= self._quiet_until:
            self._quiet_until = None
        for version, latest in tuple(self._postponed.items()):
            if now >= min(latest, self._busy_until(version)):
                del self._postponed[version]
                events += self._start(version, now)
        for version, broadcast in tuple(self._broadcasts.items()):
            if not broadcast.served:
                events += self._sent_to_all(broadcast.exchange.tick(now))
            if not broadcast.exchange.running or (broadcast.served and now >= broadcast.ends):
                del self._broadcasts[version]
        for tag, session in tuple(self._sessions.items()):
            news = session.tick(now)
            if any(isinstance(event, SessionEnded) for event in news):
                self._forget_served()
            events += news
            if session.state is _PLAINTEXT and not session.starting:
                self._drop(tag)
        failures = [event for event in events if isinstance(event, HandshakeFailed)]
        events = [event for event in events if not isinstance(event, HandshakeFailed)]
        if failures and not self.starting:
            incomplete = HandshakeFailed(HandshakeEnd.INCOMPLETE)
            events.append(incomplete if incomplete in failures else failures[0])
        return events

    def expire(self, now: float) -> list[Event]:
        """End what has gone without new keys for too long: time may have passed without any `tick`."""
        events: list[Event] = []
        for session in self._sessions.values():
            if ended := session.expire(now):
                _forget_last_words(session)
                events += ended
        if events:
            self._forget_served()
        return events

    def session(self, tag: int | None = None) -> Session:
        """Return the session with one instance, else the one to send to; UsageError if not encrypted."""
        session = self._best() if tag is None else self._sessions.get(tag)
        if session is None:
            raise UsageError("There is no encrypted conversation: start one first.")
        session.encrypted()
        return session

    def forbid(self, versions: frozenset[int]) -> None:
        """Forget the starts in these versions."""
        for version in versions:
            self._broadcasts.pop(version, None)
            self._postponed.pop(version, None)
            for session in self._sessions.values():
                session.exchanges.pop(version, None)

    def end(self) -> list[Event]:
        """End the conversation with every instance, and every start."""
        events: list[Event] = [HandshakeFailed(HandshakeEnd.CANCELLED)] if self.starting else []
        over = self.state is not MessageState.PLAINTEXT
        for session in self._sessions.values():
            events += session.end()
        self._forget_starts()
        self._sessions.clear()
        self._chosen = None
        return [*events, SessionEnded(SessionEnd.HERE)] if over else events

    def retire(self) -> list[Event]:
        """End what runs in a version that has no renewal of keys by a query; nothing goes out plain then."""
        retired = self.retirable
        events = [event for session in retired for event in session.retire(SessionEnd.RENEWED)]
        for session in retired:
            _forget_last_words(session)
        if events:
            self._forget_served()
        return events

    def answering(self, now: float) -> bool:
        """Whether a peer that has begun in version 4 has just had our answer, and is to have its time."""
        return self._busy_until(VERSION_4) > now

    def forget_stale(self, now: float) -> None:
        """Forget an Identity message that nobody has answered: who asks anew takes the peer's instead."""
        broadcast = self._broadcasts.get(VERSION_4)
        if broadcast is not None and not broadcast.served and now >= broadcast.begun + QUIET:
            del self._broadcasts[VERSION_4]

    @property
    def retirable(self) -> list[Session]:
        """The sessions in which no query may be sent."""
        return [
            session for session in self._sessions.values() if session.info and session.version == VERSION_4
        ]

    def renamed(self, now: float) -> list[Event]:
        """Begin anew what was being set up under another name of one side: the names are authenticated.

        What an instance has begun is its to begin anew: it hears of the change, too.
        """
        broadcast = self._broadcasts.pop(VERSION_4, None)
        for session in self._sessions.values():
            session.exchanges.pop(VERSION_4, None)
        return self._start(VERSION_4, now) if broadcast is not None and not broadcast.served else []

    def lose(self) -> list[Event]:
        """Forget all keys, as the peer is gone; nothing goes out plain to whoever has the name next."""
        self._forget_starts()
        ended = [event for session in self._sessions.values() for event in session.lose()]
        over = [event for event in ended if isinstance(event, SessionEnded)]
        return [event for event in ended if event not in over] + over[:1]

    def finish(self, now: float) -> None:
        """Let nothing go out plain before the user acts, as after a conversation; UsageError in one."""
        if self.infos:
            raise UsageError("There is an encrypted conversation: end it first.")
        (self._sessions.get(ANY_INSTANCE) or self._admit(ANY_INSTANCE, now)).finish()

    def receive(self, raw: bytes, now: float, *, asked: bool = False) -> list[Event]:
        """Take an encoded message; PeerError if it is refused without a word to anybody.

        `asked` tells that the user has asked for a conversation, and none is being set up yet.
        """
        version = version_of(raw)
        if version not in self._relation.policy.versions:
            raise PeerError(Reason.VERSION, str(version))
        header = parse_header(raw)
        self._check_tags(header)
        if header.type != MessageType.DATA:
            if self._leads_back(header) and not asked:
                raise PeerError(Reason.VERSION, "less than is spoken already")
            return self._receive_exchange(raw, header, now)
        session = self._sessions.get(header.sender_tag)
        if session is None or not session.info:
            # No complaint in version 3, as by libotr: the message may be for another client of ours.
            had_text = not is_ignorable(raw)
            expected = session is not None and session.renewing
            complains = version == VERSION_4 and had_text and not expected
            return [*(self._complain(now) if complains else ()), Rejected(Reason.NO_SESSION, had_text)]
        if version < VERSION_4 == session.version:
            raise PeerError(Reason.VERSION, "less than is spoken already")
        events = session.receive_data(raw, header, now)
        if not any(isinstance(event, Rejected) for event in events):
            _forget_last_words(session)
        if any(isinstance(event, SessionEnded) for event in events):
            # What our Commit was made with is among the keys of the session, too, which are to be forgotten.
            self._forget_served()
        if any(isinstance(event, SmpAsked) for event in events):
            # At most one question waits for the user: the newest.
            others = (other for other in self._sessions.values() if other is not session)
            waiting = [other for other in others if other.smp_waiting]
            events = [*(event for other in waiting for event in other.smp_abort(now)), *events]
        return events

    def _leads_back(self, header: Header) -> bool:
        """Whether a message would begin a conversation of an older version beside one of version 4.

        That runs, or is over and was not left yet (v4, "Protocol States"); what we have begun
        ourselves goes on.
        """
        known = self._sessions.get(header.sender_tag)
        begun = header.version in self._broadcasts or (known and header.version in known.exchanges)
        return header.version < VERSION_4 and self.in_version_4 and not begun

    def _complain(self, now: float) -> list[Event]:
        """Tell the peer that it speaks into a session that is not, but not each time."""
        if self._quiet_until is not None and now < self._quiet_until:
            return []
        self._quiet_until = now + COMPLAINT_PAUSE
        return [Transmit((error_line(NO_SESSION_REPLY, NOT_PRIVATE),))]

    @property
    def asking(self) -> Session | None:
        """The session in which a question of the peer waits for our user."""
        return next((session for session in self._sessions.values() if session.smp_waiting), None)

    @property
    def verifying(self) -> Session | None:
        """A session that a verification is under way in."""
        return self.asking or next(
            (session for session in self._sessions.values() if session.smp_running), None
        )

    def _best(self) -> Session | None:
        if len(self._sessions) == 1:
            return next(iter(self._sessions.values()))
        chosen = self._sessions.get(self._chosen) if self._chosen is not None else None
        if chosen is not None and chosen.state is not _PLAINTEXT:
            return chosen
        # Of equals the one that opened last: clocks may stand still between two messages.
        return max(reversed(self._sessions.values()), key=self._rank, default=None)

    def _rank(self, session: Session) -> tuple[int, bool, int, float]:
        """How well an instance can be sent to: encrypted, verified, in a new version, heard lately."""
        info = session.info
        verified = info is not None and self._relation.memory.trust(info.their_fingerprint) is not Trust.NONE
        return _RANKS[session.state], verified, info.version if info else 0, session.heard

    def _receive_exchange(self, raw: bytes, header: Header, now: float) -> list[Event]:
        version, tag = header.version, header.sender_tag
        session = self._sessions.get(tag)
        exchange = session.exchanges.get(version) if session else None
        broadcast = self._broadcasts.get(version)
        takes_up = (
            broadcast is not None
            and (not broadcast.served or now < broadcast.ends)
            and tag not in broadcast.served
            and header.type in STARTS | ANSWERS
            and (exchange is None or _is_stale(exchange, now))
        )
        if broadcast is not None and takes_up:
            exchange = broadcast.exchange.fork(tag)
        elif exchange is None:
            exchange = self._exchange(version, tag)
        if session is None:
            self._require_room(now)
        outcome = exchange.receive(raw, header, now, self._sent_elsewhere(exchange, version, tag, takes_up))
        if broadcast is not None and takes_up:
            if exchange.answered is None and outcome.channel is None:
                # It is to give its own start up for ours, which still waits for anybody's answer.
                return self._sent_to_all(outcome)
            broadcast.served.add(tag)
        session = session or self._admit(tag, now)
        session.exchanges[version] = exchange
        if outcome.channel is None:
            return session.apply(version, outcome, now)
        self._sessions[tag] = self._sessions.pop(tag)
        older = self._take_older(outcome.channel)
        lost = [event for other in older for event in other.hand_over(outcome.channel)]
        events = session.apply(version, outcome, now, renews_another=bool(older))
        return events + lost + self._settle(session, version)

    def _take_older(self, channel: Channel) -> list[Session]:
        """Take out the sessions of older versions with the same person, who has moved on from them."""
        version, fingerprint = channel.info.version, channel.info.their_fingerprint
        older = {
            tag: session
            for tag, session in self._sessions.items()
            if (info := session.info) and info.version < version and info.their_fingerprint == fingerprint
        }
        for tag in older:
            self._drop(tag)
        return list(older.values())

    def _settle(self, opened: Session, version: int) -> list[Event]:
        """Drop what a session that has opened in this version makes superfluous."""
        self._broadcasts = {name: start for name, start in self._broadcasts.items() if name >= version}
        self._postponed = {name: latest for name, latest in self._postponed.items() if name > version}
        for session in self._sessions.values():
            session.cancel(below=version)
        talking = {tag: session for tag, session in self._sessions.items() if session.state is not _PLAINTEXT}
        if len(talking) <= MAX_SESSIONS:
            return []
        spare = [tag for tag, session in talking.items() if session is not opened and tag != self._chosen]
        return self._drop(min(spare, key=lambda tag: self._rank(talking[tag]))).end()

    def _drop(self, tag: int) -> Session:
        if tag == self._chosen:
            self._chosen = None
        return self._sessions.pop(tag)

    def _sent_elsewhere(
        self, exchange: KeyExchange, version: int, tag: int, forked: bool
    ) -> frozenset[int | bytes]:
        """Return what the other exchanges with the peer have sent: coming back it is a reflection."""
        others = [
            other.sent
            for at, session in self._sessions.items()
            for name, other in session.exchanges.items()
            if (at, name) != (tag, version)
        ]
        others += [
            broadcast.exchange.sent
            for name, broadcast in self._broadcasts.items()
            if not (forked and name == version)
        ]
        return frozenset().union(*others)

    def _exchange(self, version: int, tag: int) -> KeyExchange:
        return suites.key_exchange(version, self._relation, tag)

    def _require_room(self, now: float) -> None:
        """Refuse a new instance while too many others are setting up a session."""
        starting = [session.lively for session in self._sessions.values() if session.state is _PLAINTEXT]
        if len(starting) >= MAX_STARTING and now < min(starting) + QUIET:
            raise PeerError(Reason.TOO_MANY)

    def _admit(self, tag: int, now: float) -> Session:
        """Make room for an instance, at the cost of the one that has come to nothing for longest."""
        starting = {
            name: session.lively for name, session in self._sessions.items() if session.state is _PLAINTEXT
        }
        if len(starting) >= MAX_STARTING:
            self._drop(min(starting, key=lambda name: starting[name]))
        session = self._sessions[tag] = Session(self._relation, now)
        return session

    def _forget_served(self) -> None:
        self._broadcasts = {name: start for name, start in self._broadcasts.items() if not start.served}

    def _forget_starts(self) -> None:
        self._broadcasts.clear()
        self._postponed.clear()

    def _check_tags(self, header: Header) -> None:
        """Refuse what is not from an instance, or not for ours (v3, "Instance Tags")."""
        if header.version == VERSION_2:
            return
        own_tag = self._relation.own_tag
        if header.sender_tag < SMALLEST_INSTANCE_TAG:
            raise MalformedMessage("an illegal sender instance tag")
        if ANY_INSTANCE < header.receiver_tag < SMALLEST_INSTANCE_TAG:
            raise MalformedMessage("an illegal receiver instance tag")
        for_anyone = header.receiver_tag == ANY_INSTANCE and header.type in STARTS
        if header.receiver_tag != own_tag and not for_anyone:
            raise PeerError(Reason.OTHER_INSTANCE)
        if header.sender_tag == own_tag:
            raise PeerError(Reason.REFLECTED)


def _is_stale(exchange: KeyExchange, now: float) -> bool:
    """Whether another start may take the place of an exchange, as the peer takes no part in it (any more)."""
    return exchange.answered is None or now >= exchange.answered + QUIET


def _forget_last_words(session: Session) -> None:
    """Forget exchanges that only linger: what they led to is in use on both sides, or is over."""
    session.exchanges = {
        version: exchange for version, exchange in session.exchanges.items() if exchange.running
    }
