"""The echo peer on one network: what is answered, to whom, and what is said to nobody.

Nobody is answered twice without having written in between, but for what a drill does.
"""

from __future__ import annotations

import heapq
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from types import MappingProxyType
from typing import Protocol

from otrbot import admin, logs, verbs
from otrbot.attended import AttendedRunner
from otrbot.config import Config
from otrbot.forgetful import POLICY, VERSIONS
from otrbot.limits import Answer, Limiter
from otrbot.orders import Order, Reload, Stats, Stop, Wish
from otrbot.rehearsal import Rehearsal
from otrbot.stage import Drill
from otrbot.verbs import WORD, WRONG_WORD, Came, Facts, Verb

from otrcore.conversation import QUERY_TEXT, SMALLEST_LINE_LIMIT, Conversation
from otrcore.errors import MalformedMessage, Reason
from otrcore.events import (
    Event,
    HandshakeEnd,
    HandshakeFailed,
    NoCommonVersion,
    Rejected,
    SessionEnd,
    SessionEnded,
    SessionOpened,
    SmpAborted,
    SmpAsked,
    SmpFailed,
    SmpProgress,
    SmpSucceeded,
)
from otrcore.irc.actions import Action, AskSecret, ShowMessage, ShowNote
from otrcore.irc.connection import IncomingMessage
from otrcore.irc.conversations import MAX_CONVERSATIONS
from otrcore.irc.lines import split_text, text_limit
from otrcore.irc.names import Payload, Target, classify, fold
from otrcore.model import MessageState, Protection
from otrcore.wire import text as wire
from otrcore.wire.fragment import Fragment
from otrcore.wire.header import SMALLEST_INSTANCE_TAG, VERSION_4, MessageType, parse_header, version_of

_log = logging.getLogger(__name__)

HINT = (
    "I echo what you send me encrypted, by OTR. To begin: /otr init in irssi, /otr start in most others, "
    "or your client's OTR menu. !help lists what else I do."
)
UNENCRYPTED = "Your last message reached me unencrypted: others could read it."
NO_VERSION = (
    f"I speak OTR versions {verbs.listed(verbs.VERSIONS, 'and')}, and your client offers none of them."
)
TOO_MANY_AKES = "I am busy, or you have had many key exchanges: try again in a minute."
LOST_SESSION = wire.error_line("There is no encrypted conversation here any more: a new one is offered.")
"""In versions 2 and 3: in version 4 the conversation says so itself, by a code."""

ERROR_EVERY = 60.0
"""Seconds between two times that somebody is told of a conversation that is lost."""

MAX_ECHOED_LINES = 10
"""Lines of one message that are echoed: each is an OTR message of its own again."""

ROOM_FOR_REFUSALS = 8
"""Lines that may wait when somebody is still told of a refusal."""

FULL = 0.9
"""Of the queue: no key exchange begins while more than that waits to be sent."""

TAGGED = "This text offers OTR to your client, by blanks between its words."

NO_DRILLS: Mapping[str, Drill] = MappingProxyType({})


_QUERY_4 = "?OTRv4?"
_NO_LIMIT = 1 << 16
_BEGINNINGS = (MessageType.DH_COMMIT, MessageType.IDENTITY)
_TYPE_ENDS = 3
"""Bytes of a message in which its version and type stand."""

_CAME = {
    Protection.PLAIN: Came.PLAIN,
    Protection.ENCRYPTED: Came.ENCRYPTED,
    Protection.UNEXPECTED_PLAIN: Came.AMIDST,
}


class Counts(Protocol):
    """Where it is counted what happens; see `otrbot.metrics`."""

    def ake(self, version: int, result: str) -> None:
        """Count a key exchange that has ended: ok, failed, aborted or refused."""

    def smp(self, result: str) -> None:
        """Count a verification that has ended, likewise."""

    def throttled(self) -> None:
        """Count somebody who is not heard for a while."""


class NoCounts:
    """Counts nothing."""

    def ake(self, version: int, result: str) -> None:
        """Not this."""

    def smp(self, result: str) -> None:
        """Nor this."""

    def throttled(self) -> None:
        """Nor this."""


@dataclass(slots=True, eq=False)
class Person:
    """Somebody who has written, as long as that is of use."""

    nick: str
    mask: str
    account: str
    heard: float
    pieces: int = 0
    piece_bytes: int | None = None
    own_tag: int | None = None
    answers_wrongly: bool = False
    """The next verification is answered by a wrong word."""
    version: int | None = None
    """Of the encoded message that came last."""
    smp: str = "none so far"
    drills: bool = False
    rehearsal: Rehearsal | None = None

    @property
    def address(self) -> str:
        """user@host."""
        return self.mask.partition("!")[2]

    def is_same(self, other: Person) -> bool:
        """Whether two who have had the same nick are one, as far as the server knows."""
        if self.account and other.account:
            return self.account == other.account
        return self.address == other.address


def _nobody_listens(wish: Wish) -> None:
    """Let an admin's wish be."""


class EchoPeer:
    """The attendant of a runner that nobody looks at.  Its log never holds texts, or nicks of others."""

    def __init__(
        self,
        config: Config,
        counts: Counts | None = None,
        wish: Callable[[Wish], None] = _nobody_listens,
        drills: Mapping[str, Drill] = NO_DRILLS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` must be the runner's too."""
        self._limits = config.limits
        self._limiter = Limiter(config.limits)
        self._admins: Collection[str] = frozenset(config.admins)
        self._bans = admin.Bans(config.bans)
        self._counts = counts or NoCounts()
        self._wish = wish
        self._drills = drills
        self._clock = clock
        self._begun = clock()
        self._people: OrderedDict[str, Person] = OrderedDict()
        """By folded nicks, the one heard longest ago first."""
        self._steps: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._stopping = False
        self._admin_verbs = admin.verbs(self)
        self.lost: str | None = None
        """Why there is no connection any more."""

    def speak_by(self, runner: AttendedRunner) -> None:
        """Talk by this runner from now on; before anything else."""
        self._runner = runner

    # ---- what the network's thread asks

    @property
    def next_tick(self) -> float | None:
        """When to call `tick`; None for never."""
        oldest = next(iter(self._people.values()), None)
        times = [] if oldest is None else [oldest.heard + self._limits.idle_seconds]
        if self._steps:
            times.append(self._steps[0][0])
        return min(times, default=None)

    def tick(self) -> None:
        """Go on with drills, and say goodbye to those who have long been silent."""
        now = self._clock()
        while self._steps and self._steps[0][0] <= now:
            heapq.heappop(self._steps)[2]()
        while self._people:
            oldest = next(iter(self._people.values()))
            if now < oldest.heard + self._limits.idle_seconds:
                break
            self._leave(oldest)

    def obey(self, order: Order) -> None:
        """Take in what the main thread says."""
        match order:
            case Stop():
                self._stopping = True
            case Reload(config):
                self._limits = config.limits
                self._limiter.change(config.limits)
                self._admins = frozenset(config.admins)
                self._bans.configure(config.bans)
                self._drop_banned()
            case Stats():
                _log.info("%s", self.stats, extra=logs.facts(network=self._runner.network))

    @property
    def conversations(self) -> int:
        """How many are encrypted."""
        return sum(talk.state is MessageState.ENCRYPTED for talk in self._runner.host.overview())

    # ---- the door

    def admit(self, message: IncomingMessage) -> IncomingMessage | None:
        """Let a private message of a person to its conversation; nothing else is ever answered."""
        if not self._is_for_us(message) or message.mask in self._bans:
            return None
        who, now = self._runner.host.key(message.sender), self._clock()
        content = _content(message.text)
        heard = self._limiter.line(who, now, goes_on=isinstance(content, Fragment) and content.index > 1)
        if heard is not Answer.YES:
            self._silenced(heard, message.sender)
            return None
        begins_ake = _begins_ake(content)
        goes_on = isinstance(content, Fragment | wire.Encoded) and not begins_ake
        person = self._met(who, message, begins=not goes_on)
        if isinstance(content, Fragment):
            person.pieces += 1
        if not isinstance(content, wire.Plain) and not self._runner.host.has(message.sender):
            self._make_room()
        if (tag := _receiver_tag(content)) is not None:
            person.own_tag = tag
        person.version = _version(content) or person.version
        if not begins_ake:
            return message
        refusal = self._refuses_ake(who, now)
        if refusal is Answer.YES:
            return message
        self._counts.ake(0, "refused")
        if refusal is Answer.NO:
            # Many refusals would keep those waiting who were let in.
            if self._runner.waiting < ROOM_FOR_REFUSALS:
                self._say(person, TOO_MANY_AKES)
            else:
                self._limiter.not_told(who)
        # What stands around a tag is a text all the same.
        return replace(message, text=content.text) if isinstance(content, wire.Tagged) else None

    def left(self, nick: str) -> None:
        """Forget somebody who has gone: who comes under that nick next is somebody else."""
        person = self._find(nick)
        if person is not None:
            self._drop(person)
        elif self._runner.host.has(nick):
            self._runner.forget(nick)

    def moved(self, old: str, new: str) -> None:
        """Follow somebody to another nick."""
        old_key, new_key = self._runner.host.key(old), self._runner.host.key(new)
        person = self._people.pop(old_key, None)
        replaced = self._people.pop(new_key, None) if new_key != old_key else None
        if replaced is not None:
            self._stop_drill(replaced)
        self._limiter.rename(old_key, new_key)
        if person is None:
            return
        person.nick, person.mask, person.heard = new, f"{new}!{person.address}", self._clock()
        self._people[new_key] = person
        if person.piece_bytes is not None:
            self._runner.host.set_limit(new, person.piece_bytes)
            self._runner.host.set_limit(old, _NO_LIMIT)
        if person.mask in self._bans:
            self._drop(person)

    # ---- the screen

    def ready(self) -> None:
        """Tell the operator."""
        runner = self._runner
        self.lost = None
        self._bans.fold_as(runner.connection.features)
        _log.info(
            "ready on %s as %s, fingerprint %s, and %s in OTR version 4",
            runner.network,
            runner.nick,
            runner.fingerprint,
            runner.fingerprint_4,
        )

    def plain(self, message: IncomingMessage) -> None:
        """Answer a text that has nothing to do with OTR."""
        person = self._find(message.sender)
        if person is None:
            return
        addressed = classify(message.sender, message.text, self._runner.connection.features)
        self._hear(person, (addressed.text,), Came.PLAIN, is_action=addressed.payload is Payload.ACTION)

    def show(self, action: ShowMessage | ShowNote) -> None:
        """Answer a text; and go on with what the conversation has brought."""
        person = self._find(action.peer)
        if isinstance(action, ShowNote):
            if action.event is not None:
                self._happened(person, action.peer, action.event)
        elif person is not None and not action.is_notice:
            self._hear(person, action.lines, _CAME[action.protection], is_action=action.is_action)

    def ask_secret(self, prompt: AskSecret) -> None:
        """Nobody is there to ask: `show` gives the word."""

    def close_secret(self, prompt: AskSecret) -> None:
        """Nobody is in the middle of typing one."""

    def renamed(self, old: str, new: str) -> None:
        """`moved` is told when the conversation has followed."""

    def disconnected(self, reason: str) -> None:
        """Forget everybody, and keep the reason."""
        self.lost = reason
        for person in list(self._people.values()):
            self._drop(person)
        self._steps.clear()

    # ---- admin.Desk

    @property
    def stats(self) -> str:
        """How things stand, in one line without a nick."""
        hours = (self._clock() - self._begun) / 3600
        return (
            f"{self.conversations} encrypted conversations, {len(self._people)} people, "
            f"{self._runner.waiting} lines waiting, {len(self._bans)} bans, {hours:.1f} h"
        )

    def ban(self, mask: str) -> str:
        """Answer nobody of this mask any more; return what to say."""
        said = self._bans.add(mask)
        self._drop_banned()
        return said

    def unban(self, mask: str) -> str:
        """Take a ban back; return what to say."""
        return self._bans.remove(mask)

    def wish(self, what: str) -> None:
        """Ask the process for something."""
        self._wish(Wish(what))

    # ---- people

    def _is_for_us(self, message: IncomingMessage) -> bool:
        """Whether a message is a private one of a person: no notice, service, bot, or echo of ours."""
        runner = self._runner
        features = runner.connection.features
        own = fold(runner.nick, features)
        if (
            message.command != "PRIVMSG"
            or "!" not in message.mask
            or "bot" in message.tags
            or fold(message.target, features) != own
            or fold(message.sender, features) == own
        ):
            return False
        addressed = classify(message.sender, message.text, features)
        return addressed.payload is not Payload.CTCP and [
            recipient.kind for recipient in addressed.recipients
        ] == [Target.PERSON]

    def _find(self, nick: str) -> Person | None:
        return self._people.get(self._runner.host.key(nick))

    def _met(self, who: str, message: IncomingMessage, *, begins: bool) -> Person:
        """Return who has written; somebody of another address who `begins` anew has taken the nick over."""
        now = self._clock()
        comes = Person(message.sender, message.mask, message.tags.get("account", ""), now)
        person = self._people.get(who)
        if person is not None and begins and not person.is_same(comes):
            self._drop(person)
            person = None
        if person is None:
            person = self._people[who] = comes
            self._bound_people()
        if begins:
            person.mask = message.mask
        person.nick, person.heard = message.sender, now
        person.account = comes.account or person.account
        self._people.move_to_end(who)
        return person

    def _bound_people(self) -> None:
        """Forget somebody without a conversation if there are too many people."""
        if len(self._people) <= 2 * self._most:
            return
        host = self._runner.host
        people = list(self._people.values())[:-1]
        self._leave(next((person for person in people if not host.has(person.nick)), people[0]))

    def _make_room(self) -> None:
        """Say goodbye to who was heard longest ago if there are too many conversations for another one."""
        host = self._runner.host
        talking = [person for person in self._people.values() if host.has(person.nick)]
        spare = len(talking) - self._most + 1
        for person in talking:
            if spare <= 0:
                break
            if not host.busy(person.nick):
                self._leave(person)
                spare -= 1

    @property
    def _most(self) -> int:
        return min(self._limits.conversations, MAX_CONVERSATIONS)

    def _leave(self, person: Person) -> None:
        """Say goodbye to somebody, and forget everything."""
        if self._runner.host.has(person.nick):
            self._runner.end(person.nick)
        self._drop(person)

    def _drop(self, person: Person) -> None:
        """Forget everything about somebody, without a word."""
        nick = person.nick
        self._people.pop(self._runner.host.key(nick), None)
        if self._runner.host.has(nick):
            self._runner.forget(nick)
        self._forget(person)

    def _forget(self, person: Person) -> None:
        """Forget what belongs to somebody who is no longer among the people."""
        self._stop_drill(person)
        self._limiter.left(self._runner.host.key(person.nick))
        if person.piece_bytes is not None:
            self._runner.host.set_limit(person.nick, _NO_LIMIT)

    def _drop_banned(self) -> None:
        for person in [person for person in self._people.values() if person.mask in self._bans]:
            self._drop(person)

    # ---- what was said

    def _hear(self, person: Person, lines: Sequence[str], came: Came, *, is_action: bool) -> None:
        who, now = self._runner.host.key(person.nick), self._clock()
        lines = [line for line in lines if line]
        if not lines:
            return
        heard = self._limiter.text(who, "\n".join(lines), now)
        if heard is not Answer.YES:
            self._silenced(heard, person.nick)
            return
        asked = verbs.read(lines[0]) if len(lines) == 1 and not is_action else None
        if asked is not None:
            verbs.answer(_Visit(self, person, came), asked)
        elif came is Came.ENCRYPTED:
            self._echo(person, lines, is_action=is_action)
        else:
            hint = UNENCRYPTED if came is Came.AMIDST else HINT
            if self._limiter.seldom(who, came.value, self._limits.hint_seconds, now):
                self._say(person, hint)

    def _echo(self, person: Person, lines: Sequence[str], *, is_action: bool) -> None:
        left = self._limits.echo_bytes
        for line in lines[:MAX_ECHOED_LINES]:
            if left <= 0:
                break
            piece = next(split_text(line, left))
            left -= len(piece.encode(errors="replace"))
            self._runner.say_encrypted(person.nick, f"/me {piece}" if is_action else piece)

    def _silenced(self, answer: Answer, nick: str) -> None:
        if answer is Answer.NO:
            self._counts.throttled()
            _log.info("somebody is not heard for a while", extra=logs.facts(nick=logs.nick(nick)))

    def _say(self, person: Person, text: str) -> None:
        """Say a line in the way in which the peer is talked with."""
        match self._runner.state(person.nick):
            case MessageState.ENCRYPTED:
                self._runner.say_encrypted(person.nick, text)
            case MessageState.PLAINTEXT:
                room = text_limit(self._runner.nick, self._runner.connection.own_mask, person.nick)
                self._runner.send_lines(person.nick, list(split_text(text, room)))

    # ---- what has happened

    def _happened(self, person: Person | None, nick: str, event: Event) -> None:
        match event:
            case SessionOpened(info):
                self._counts.ake(info.version, "ok")
                _log.info("a conversation is encrypted, OTR version %d", info.version)
            case HandshakeFailed(reason):
                self._counts.ake(0, "aborted" if reason is HandshakeEnd.CANCELLED else "failed")
                if self._runner.state(nick) is MessageState.FINISHED:
                    # One that was ended for fresh keys, which have not come.
                    self._runner.end(nick)
            case SessionEnded(reason):
                _log.info("a conversation has ended")
                self._ended(person, nick, reason)
            case NoCommonVersion() if person is not None:
                self._seldom(person, "version", NO_VERSION, self._limits.hint_seconds)
            case Rejected(Reason.NO_SESSION, had_text=True) if person is not None:
                self._lost_session(person)
            case SmpAsked() | SmpProgress() | SmpSucceeded() | SmpFailed() | SmpAborted():
                if person is not None:
                    self._verification(person, event)
        if person is not None and person.rehearsal is not None:
            person.rehearsal.hear(event)

    def _ended(self, person: Person | None, nick: str, reason: SessionEnd) -> None:
        self._limiter.smp_over(self._runner.host.key(nick))
        if person is not None and (person.rehearsal is None or person.rehearsal.over):
            person.drills = False
        if reason in (SessionEnd.PEER, SessionEnd.EXPIRED):
            # Ready for plain text again, and for another start, without being told.
            self._runner.end(nick)

    def _lost_session(self, person: Person) -> None:
        """Tell somebody that the keys are gone here, and offer new ones."""
        if self._stopping or not self._seldom(person, "lost", None, ERROR_EVERY):
            return
        if person.version == VERSION_4:
            # The peer believes itself in a conversation of version 4, which allows no query: begin at once.
            self._runner.do(person.nick, lambda talk: talk.receive(_QUERY_4), slow=True)
        else:
            self._runner.send_lines(person.nick, [LOST_SESSION])
            self._runner.do(person.nick, lambda talk: talk.start(), slow=True)

    def _seldom(self, person: Person, what: str, text: str | None, seconds: float) -> bool:
        """Say a text unless it was said lately; tell whether it was its time."""
        who = self._runner.host.key(person.nick)
        due = self._limiter.seldom(who, what, seconds, self._clock())
        if due and text is not None:
            self._say(person, text)
        return due

    def _verification(
        self, person: Person, event: SmpAsked | SmpProgress | SmpSucceeded | SmpFailed | SmpAborted
    ) -> None:
        runner, who = self._runner, self._runner.host.key(person.nick)
        match event:
            case SmpAsked():
                hindrance = self._may_verify(person)
                if hindrance:
                    self._counts.smp("refused")
                    runner.do(person.nick, lambda talk: talk.smp_abort() if talk.smp_running else [])
                    self._seldom(person, "smp", hindrance, ERROR_EVERY)
                    return
                word = WRONG_WORD if person.answers_wrongly else WORD
                person.answers_wrongly = False
                person.smp = "you asked"
                runner.do(
                    person.nick, lambda talk: talk.smp_answer(word) if talk.smp_waiting else [], slow=True
                )
            case SmpProgress(percent):
                person.smp = f"at {percent} per cent"
            case SmpSucceeded():
                self._verified(who, person, "ok", "the same word")
            case SmpFailed():
                self._verified(who, person, "failed", "another word")
            case SmpAborted(reason):
                self._verified(who, person, "aborted", f"ended, as {reason.value}")

    def _verified(self, who: str, person: Person, result: str, said: str) -> None:
        self._limiter.smp_over(who)
        self._counts.smp(result)
        person.smp = said

    def _may_verify(self, person: Person) -> str:
        """Return why a verification may not begin, if it may not; who has had time enough gives way."""
        turn = self._limiter.smp(self._runner.host.key(person.nick), self._clock())
        other = self._people.get(turn.instead_of) if turn.instead_of is not None else None
        if other is not None:
            self._runner.do(other.nick, lambda talk: talk.smp_abort() if talk.smp_running else [])
            self._say(other, "The verification has taken long, and others wait: !smp for another one.")
        return turn.why

    def _refuses_ake(self, who: str, now: float) -> Answer:
        """Return whether a key exchange may begin (YES), or whether that is to be told."""
        if self._stopping:
            return Answer.SILENTLY_NO
        if self._runner.waiting > FULL * self._limits.queue_lines:
            return self._limiter.refuse(who)
        return self._limiter.ake(who, now)

    # ---- drills

    def _after(self, seconds: float, step: Callable[[], None]) -> None:
        heapq.heappush(self._steps, (self._clock() + max(0.0, seconds), next(self._numbers), step))

    def _begin_drill(self, person: Person, drill: Drill) -> None:
        rehearsal = Rehearsal(drill, person, self._runner, self._after, partial(self._say, person))
        self._runner.say_encrypted(person.nick, drill.announcement)

        def begin(nick: str) -> list[Action]:
            if self._find(nick) is person:
                person.rehearsal = rehearsal
                rehearsal.begin()
            return []

        self._runner.in_turn(person.nick, begin)

    def _stop_drill(self, person: Person) -> None:
        if person.rehearsal is not None:
            person.rehearsal.stop()
            person.rehearsal = None


class _Visit:
    """The `verbs.Visit` of one text."""

    def __init__(self, peer: EchoPeer, person: Person, came: Came) -> None:
        self._peer = peer
        self._runner = peer._runner
        self._person = person
        self._came = came

    @property
    def facts(self) -> Facts:
        """How it stands."""
        person, runner = self._person, self._runner
        talk = self._talk
        drills = "on" if person.drills else "off"
        if person.rehearsal is not None and not person.rehearsal.over:
            drills = person.rehearsal.drill.name
        return Facts(
            person.nick,
            person.address,
            person.account,
            self._came,
            talk.sessions[-1] if talk is not None and talk.sessions else None,
            str(runner.fingerprint),
            str(runner.fingerprint_4),
            person.own_tag,
            person.pieces,
            person.piece_bytes,
            talk is not None and talk.starting,
            person.smp,
            drills,
        )

    @property
    def encrypted(self) -> bool:
        """Whether the conversation is encrypted now."""
        return self._runner.state(self._person.nick) is MessageState.ENCRYPTED

    @property
    def piece_range(self) -> range:
        """Bytes that a line may have by choice."""
        limits = self._peer._limits
        return range(max(limits.fragment_min, SMALLEST_LINE_LIMIT), limits.fragment_max + 1)

    @property
    def big_bytes(self) -> int:
        """Bytes that `say_big` sends at most."""
        return self._peer._limits.big_bytes

    @property
    def known(self) -> Iterable[Verb]:
        """The verbs for everybody; and for operators, by their keys and in private, theirs."""
        talk = self._talk
        if (
            self._came is Came.ENCRYPTED
            and talk is not None
            and admin.is_admin(self._peer._admins, talk.sessions)
        ):
            return (*verbs.VERBS, *self._peer._admin_verbs)
        return verbs.VERBS

    def say(self, text: str) -> None:
        """Answer by one line."""
        self._peer._say(self._person, verbs.fitting(f"{self._came.value}: {text}"))

    def say_big(self, text: str) -> None:
        """Send a long text, encrypted."""
        self._runner.say_encrypted(self._person.nick, text)

    def query(self, versions: Iterable[int]) -> None:
        """Ask for an encrypted conversation in one of these versions.

        One in another version is ended, and one in version 4, which allows no query.
        """
        if self._peer._stopping:
            return
        talk = self._talk
        spoken = {info.version for info in talk.sessions} if talk is not None else set()
        if VERSION_4 in spoken or not spoken <= set(versions):
            self.end()
        query = replace(POLICY, versions=frozenset(versions)).query
        self._runner.send_lines(self._person.nick, [f"{query} {QUERY_TEXT}"])

    def tag(self, versions: Iterable[int]) -> None:
        """Send a plain text that offers these versions unseen."""
        self._runner.send_lines(self._person.nick, [wire.with_tag(TAGGED, versions)])

    def end(self) -> None:
        """End the encrypted conversation, and be ready for another one."""
        self._runner.end(self._person.nick)
        self._runner.forget(self._person.nick)

    def refresh(self) -> None:
        """Ask for fresh keys, of the version that is spoken."""
        talk = self._talk
        spoken = {info.version for info in talk.sessions} if talk is not None else set()
        self.query(spoken or VERSIONS)

    def verify(self, word: str, question: str | None) -> str:
        """Begin a verification; return why not, if it cannot be."""
        hindrance = self._peer._may_verify(self._person)
        if not hindrance:
            self._person.smp = "I asked"
            self._runner.do(
                self._person.nick,
                lambda talk: talk.smp_start(word, question) if talk.state is MessageState.ENCRYPTED else [],
                slow=True,
            )
        return hindrance

    def answer_wrongly(self) -> None:
        """Use a wrong word for the peer's next verification."""
        self._person.answers_wrongly = True

    def abort(self) -> bool:
        """End the verification; tell whether there was one."""
        self._person.answers_wrongly = False
        talk = self._talk
        running = talk is not None and talk.smp_running
        if self.encrypted:
            self._runner.do(
                self._person.nick,
                lambda talk: talk.smp_abort() if talk.state is MessageState.ENCRYPTED else [],
            )
        return running

    def cut(self, piece_bytes: int | None) -> None:
        """Have lines of OTR's of at most so many bytes; None for what the network allows."""
        self._person.piece_bytes = piece_bytes
        self._runner.host.set_limit(self._person.nick, piece_bytes or _NO_LIMIT)

    def drill(self, name: str) -> str:
        """Do what stands behind `!drill`; return what to say, if anything."""
        person, drills = self._person, self._peer._drills
        if self._came is not Came.ENCRYPTED or not self.encrypted:
            return "drills need an encrypted conversation: !otr for a query"
        under_way = person.rehearsal is not None and not person.rehearsal.over
        match name:
            case "on":
                person.drills = True
                return "drills are on until this conversation ends: !drill lists them, !drill NAME runs one"
            case "off" | "stop":
                person.drills = person.drills and name == "stop"
                self._peer._stop_drill(person)
                return "the drill is over" if under_way else "no drill is under way"
            case "":
                names = " ".join(drills) or "none"
                for line in split_text(names, verbs.MAX_ANSWER - len("Encrypted: drills: ")):
                    self.say(f"drills: {line}")
                return ""
            case _ if name not in drills:
                return f"there is no drill {name[:30]}: !drill lists what there is"
            case _ if not person.drills:
                return "what I do in a drill is wrong on purpose: !drill on first, if that is what you want"
            case _ if under_way:
                return "a drill is under way: wait for its end, or !drill stop"
            case _:
                self._peer._begin_drill(person, drills[name])
                return ""

    @property
    def _talk(self) -> Conversation | None:
        host, nick = self._runner.host, self._person.nick
        return None if host.busy(nick) else host.talk(nick)


def _content(text: str) -> wire.Line:
    """Return what a line is to OTR; what is damaged counts as what nobody recognises."""
    try:
        return wire.classify(text)
    except MalformedMessage:
        return wire.Unrecognized()


def _begins_ake(content: wire.Line) -> bool:
    """Whether a line would have us begin a key exchange."""
    match content:
        case wire.Query() | wire.Tagged():
            return True
        case wire.Encoded(raw):
            return _is_beginning(raw)
        case Fragment(index=1, piece=piece):
            # A first piece that is too short to tell has no other reason than that.
            try:
                start = wire.decode(piece) if piece.startswith(wire.ENCODED_MARK) else b""
            except MalformedMessage:
                start = b""
            return len(start) < _TYPE_ENDS or _is_beginning(start)
    return False


def _is_beginning(raw: bytes) -> bool:
    return len(raw) >= _TYPE_ENDS and raw[_TYPE_ENDS - 1] in _BEGINNINGS


def _version(content: wire.Line) -> int | None:
    """Return the version of an encoded message, or of a piece that names it by its form; None for others."""
    if isinstance(content, Fragment):
        return VERSION_4 if content.identifier is not None else None
    if not isinstance(content, wire.Encoded):
        return None
    try:
        return version_of(content.raw)
    except MalformedMessage:
        return None


def _receiver_tag(content: wire.Line) -> int | None:
    """Return which client of ours a line is for, if it says so."""
    tag: int | None = None
    if isinstance(content, Fragment):
        tag = content.receiver_tag
    elif isinstance(content, wire.Encoded):
        try:
            tag = parse_header(content.raw).receiver_tag
        except MalformedMessage:
            return None
    return tag if tag is not None and tag >= SMALLEST_INSTANCE_TAG else None
