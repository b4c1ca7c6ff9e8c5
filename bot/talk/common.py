"""What the parts of the peer on one network have in common: runner, clock, limits, counts, and a voice."""

from __future__ import annotations

import logging
from collections.abc import Callable

from otrbot.reports import logs
from otrbot.settings.config import Limits
from otrbot.talk.attended import AttendedRunner
from otrbot.talk.counts import Counts
from otrbot.talk.limits import Answer, Limiter

from otrcore.conversation import Conversation
from otrcore.irc.lines import split_text, text_limit
from otrcore.model import MessageState

_log = logging.getLogger(__name__)

NO_LIMIT = 1 << 16
"""Bytes of a line where only the network limits them."""

TROUBLE_EVERY = 60.0
"""Seconds between two times that somebody is told of the same trouble."""


class Common:
    """Shared by everything that talks on one network."""

    runner: AttendedRunner
    """Set before anything else happens."""

    def __init__(self, limits: Limits, counts: Counts, clock: Callable[[], float]) -> None:
        """`clock` must be the runner's too."""
        self.limits = limits
        self.limiter = Limiter(limits)
        self.counts = counts
        self.clock = clock
        self.stopping = False
        """No key exchange begins any more."""

    def change(self, limits: Limits) -> None:
        """Go on with other limits."""
        self.limits = limits
        self.limiter.change(limits)

    def key(self, nick: str) -> str:
        """Return the folded nick, by which everything about somebody is kept."""
        return self.runner.host.key(nick)

    def talk(self, nick: str) -> Conversation | None:
        """Return a conversation, to look at; None where there is none, or a step of it is under way."""
        host = self.runner.host
        return None if host.busy(nick) else host.talk(nick)

    def say(self, nick: str, text: str) -> None:
        """Say a line in the way in which the peer is talked with."""
        match self.runner.state(nick):
            case MessageState.ENCRYPTED:
                self.runner.say_encrypted(nick, text)
            case MessageState.PLAINTEXT:
                room = text_limit(self.runner.nick, self.runner.connection.own_mask, nick)
                self.runner.send_lines(nick, list(split_text(text, room)))

    def seldom(self, nick: str, what: str, text: str | None, seconds: float) -> bool:
        """Say a text unless it was said lately; tell whether it was its time."""
        due = self.limiter.seldom(self.key(nick), what, seconds, self.clock())
        if due and text is not None:
            self.say(nick, text)
        return due

    def silenced(self, answer: Answer, nick: str) -> None:
        """Count, and log, the beginning of a silence."""
        if answer is Answer.NO:
            self.counts.throttled()
            _log.info("somebody is not heard for a while", extra=logs.facts(nick=logs.nick(nick)))
