"""The echo peer on one network: what is answered, to whom, and what is said to nobody.

Nobody is answered twice without having written in between, but for what a drill does.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from types import MappingProxyType

from otrbot.drills.stage import Drill
from otrbot.reports import logs
from otrbot.reports.orders import Order, Reload, Stats, Stop, Wish
from otrbot.settings.config import Config
from otrbot.talk import admin, verbs
from otrbot.talk.attended import AttendedRunner
from otrbot.talk.common import Common
from otrbot.talk.counts import Counts, NoCounts
from otrbot.talk.door import Door
from otrbot.talk.drilling import Drilling
from otrbot.talk.happenings import Happenings
from otrbot.talk.people import People, Person
from otrbot.talk.replies import Replies
from otrbot.talk.verbs import Came, Verb
from otrbot.talk.verification import Verifications
from otrbot.talk.visit import PersonsVisit

from otrcore.irc.actions import AskSecret, ShowMessage, ShowNote
from otrcore.irc.connection.listener import IncomingMessage
from otrcore.irc.names import Payload, classify
from otrcore.model import MessageState, Protection, SessionInfo

_log = logging.getLogger(__name__)

NO_DRILLS: Mapping[str, Drill] = MappingProxyType({})

_CAME = {
    Protection.PLAIN: Came.PLAIN,
    Protection.ENCRYPTED: Came.ENCRYPTED,
    Protection.UNEXPECTED_PLAIN: Came.AMIDST,
}


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
        self._admins: Collection[str] = frozenset(config.admins)
        self._wish = wish
        self._clock = clock
        self._begun = clock()
        self.common = Common(config.limits, counts or NoCounts(), clock)
        self.people = People(self.common)
        self.bans = admin.Bans(config.bans)
        self._door = Door(self.common, self.people, self.bans)
        self._drilling = Drilling(self.common, self.people, drills)
        self._verifications = Verifications(self.common, self.people)
        self._happenings = Happenings(self.common, self._verifications)
        self._replies = Replies(self.common, self._receive)
        self._admin_verbs = admin.verbs(self)
        self.lost: str | None = None
        """Why there is no connection any more."""

    def speak_by(self, runner: AttendedRunner) -> None:
        """Talk by this runner from now on; before anything else."""
        self.common.runner = runner

    # ---- what the network's thread asks

    @property
    def next_tick(self) -> float | None:
        """When to call `tick`; None for never."""
        times = (self.people.next_tick, self._drilling.next_tick)
        return min((at for at in times if at is not None), default=None)

    def tick(self) -> None:
        """Go on with drills, and say goodbye to those who have long been silent."""
        now = self._clock()
        self._drilling.tick(now)
        self.people.tick(now)

    def obey(self, order: Order) -> None:
        """Take in what the main thread says."""
        match order:
            case Stop():
                self.common.stopping = True
            case Reload(config):
                self.common.change(config.limits)
                self._admins = frozenset(config.admins)
                self.bans.configure(config.bans)
                self._drop_banned()
            case Stats():
                _log.info("%s", self.stats, extra=logs.facts(network=self.common.runner.network))

    @property
    def conversations(self) -> int:
        """How many are encrypted."""
        overview = self.common.runner.host.overview()
        return sum(talk.state is MessageState.ENCRYPTED for talk in overview)

    # ---- the door

    def admit(self, message: IncomingMessage) -> IncomingMessage | None:
        """Let a private message of a person to its conversation; nothing else is ever answered."""
        return self._door.admit(message)

    def left(self, nick: str) -> None:
        """Forget somebody who has gone: who comes under that nick next is somebody else."""
        self.people.left(nick)

    def moved(self, old: str, new: str) -> None:
        """Follow somebody to another nick."""
        person = self.people.moved(old, new)
        if person is not None and person.mask in self.bans:
            self.people.drop(person)

    # ---- the screen

    def ready(self) -> None:
        """Tell the operator."""
        runner = self.common.runner
        self.lost = None
        self.bans.fold_as(runner.connection.features)
        _log.info(
            "ready on %s as %s, fingerprint %s, and %s in OTR version 4",
            runner.network,
            runner.nick,
            runner.fingerprint,
            runner.fingerprint_4,
        )

    def plain(self, message: IncomingMessage) -> None:
        """Answer a text that has nothing to do with OTR."""
        person = self.people.find(message.sender)
        if person is None:
            return
        addressed = classify(message.sender, message.text, self.common.runner.connection.features)
        is_action = addressed.payload is Payload.ACTION
        self._replies.hear(person, (addressed.text,), Came.PLAIN, is_action=is_action)

    def show(self, action: ShowMessage | ShowNote) -> None:
        """Answer a text; and go on with what the conversation has brought."""
        person = self.people.find(action.peer)
        if isinstance(action, ShowNote):
            if action.event is not None:
                self._happenings.hear(person, action.peer, action.event)
        elif person is not None and not action.is_notice:
            self._replies.hear(person, action.lines, _CAME[action.protection], is_action=action.is_action)

    def ask_secret(self, prompt: AskSecret) -> None:
        """Nobody is there to ask: `show` gives the word."""

    def close_secret(self, prompt: AskSecret) -> None:
        """Nobody is in the middle of typing one."""

    def renamed(self, old: str, new: str) -> None:
        """`moved` is told when the conversation has followed."""

    def disconnected(self, reason: str) -> None:
        """Forget everybody, and keep the reason."""
        self.lost = reason
        for person in self.people:
            self.people.drop(person)
        self._drilling.clear()

    # ---- admin.Desk

    @property
    def stats(self) -> str:
        """How things stand, in one line without a nick."""
        hours = (self._clock() - self._begun) / 3600
        return (
            f"{self.conversations} encrypted conversations, {len(self.people)} people, "
            f"{self.common.runner.waiting} lines waiting, {len(self.bans)} bans, {hours:.1f} h"
        )

    def ban(self, mask: str) -> str:
        """Answer nobody of this mask any more; return what to say."""
        said = self.bans.add(mask)
        self._drop_banned()
        return said

    def unban(self, mask: str) -> str:
        """Take a ban back; return what to say."""
        return self.bans.remove(mask)

    def wish(self, what: str) -> None:
        """Ask the process for something."""
        self._wish(Wish(what))

    def _drop_banned(self) -> None:
        for person in self.people:
            if person.mask in self.bans:
                self.people.drop(person)

    # ---- verbs

    def _receive(self, person: Person, came: Came) -> PersonsVisit:
        return PersonsVisit(self.common, self._verifications, self._drilling, self._verbs_for, person, came)

    def _verbs_for(self, sessions: Collection[SessionInfo]) -> Iterable[Verb]:
        """Return the verbs for everybody; and for operators, by their keys and in private, theirs."""
        operator = admin.is_admin(self._admins, sessions)
        return (*verbs.VERBS, *self._admin_verbs) if operator else verbs.VERBS
