"""What conversations bring besides texts, and what follows from it."""

from __future__ import annotations

import logging

from otrbot.talk import verbs
from otrbot.talk.common import TROUBLE_EVERY, Common
from otrbot.talk.people import Person
from otrbot.talk.verification import Verifications

from otrcore.errors import Reason
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
from otrcore.model import MessageState
from otrcore.wire import text as wire
from otrcore.wire.header import VERSION_4

_log = logging.getLogger(__name__)

NO_VERSION = (
    f"I speak OTR versions {verbs.listed(verbs.VERSIONS, 'and')}, and your client offers none of them."
)
LOST_SESSION = wire.error_line("There is no encrypted conversation here any more: a new one is offered.")
"""In versions 2 and 3: in version 4 the conversation says so itself, by a code."""

_QUERY_4 = "?OTRv4?"


class Happenings:
    """Those of one network."""

    def __init__(self, common: Common, verifications: Verifications) -> None:
        self._common = common
        self._verifications = verifications

    def hear(self, person: Person | None, nick: str, event: Event) -> None:
        """Go on with what the conversation with a nick has brought; it may be nobody's any more."""
        common = self._common
        match event:
            case SessionOpened(info):
                common.counts.ake(info.version, "ok")
                _log.info("a conversation is encrypted, OTR version %d", info.version)
            case HandshakeFailed(reason):
                common.counts.ake(0, "aborted" if reason is HandshakeEnd.CANCELLED else "failed")
                if common.runner.state(nick) is MessageState.FINISHED:
                    # One that was ended for fresh keys, which have not come.
                    common.runner.end(nick)
            case SessionEnded(reason):
                _log.info("a conversation has ended")
                self._ended(person, nick, reason)
            case NoCommonVersion() if person is not None:
                common.seldom(person.nick, "version", NO_VERSION, common.limits.hint_seconds)
            case Rejected(Reason.NO_SESSION, had_text=True) if person is not None:
                self._lost_session(person)
            case SmpAsked() | SmpProgress() | SmpSucceeded() | SmpFailed() | SmpAborted():
                if person is not None:
                    self._verifications.hear(person, event)
        if person is not None and person.rehearsal is not None:
            person.rehearsal.hear(event)

    def _ended(self, person: Person | None, nick: str, reason: SessionEnd) -> None:
        common = self._common
        common.limiter.smp_over(common.key(nick))
        if person is not None and not person.rehearses:
            person.drills = False
        if reason in (SessionEnd.PEER, SessionEnd.EXPIRED):
            # Ready for plain text again, and for another start, without being told.
            common.runner.end(nick)

    def _lost_session(self, person: Person) -> None:
        """Tell somebody that the keys are gone here, and offer new ones."""
        common = self._common
        if common.stopping or not common.seldom(person.nick, "lost", None, TROUBLE_EVERY):
            return
        if person.version == VERSION_4:
            # The peer believes itself in a conversation of version 4, which allows no query: begin at once.
            common.runner.do(person.nick, lambda talk: talk.receive(_QUERY_4), slow=True)
        else:
            common.runner.send_lines(person.nick, [LOST_SESSION])
            common.runner.do(person.nick, lambda talk: talk.start(), slow=True)
