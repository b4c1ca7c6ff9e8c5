"""A drill under way: the stage that it has, and how it comes to its end whatever it does."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from otrbot.drills.stage import MAX_LINE, Drill
from otrbot.talk.attended import AttendedRunner

from otrcore.conversation import Conversation
from otrcore.events import Event
from otrcore.irc.actions import Action
from otrcore.irc.lines import one_line, split_text, text_limit
from otrcore.model import MessageState

_log = logging.getLogger(__name__)

MAX_STEPS = 200
"""That one drill can put off."""

MAX_RAW = 200
"""Lines that a drill sends as they are, at once."""


class Partner(Protocol):
    """Whom a drill is with."""

    @property
    def nick(self) -> str:
        """The nick now."""


class Rehearsal:
    """The `Stage` of one drill."""

    def __init__(
        self,
        drill: Drill,
        partner: Partner,
        runner: AttendedRunner,
        schedule: Callable[[float, Callable[[], None]], None],
        say: Callable[[str], None],
    ) -> None:
        """`schedule` does something after so many seconds; `say` says a line in whatever way is possible."""
        self.drill = drill
        self.over = False
        self._partner = partner
        self._runner = runner
        self._schedule = schedule
        self._say = say
        self._steps = 0
        self._hear: Callable[[Event], None] | None = None

    def begin(self) -> None:
        """Run the drill."""
        self._schedule(self.drill.seconds, self._take_too_long)
        self._guarded(lambda: self.drill.run(self))

    def stop(self) -> None:
        """End it without a word."""
        self.over = True
        self._hear = None

    def hear(self, event: Event) -> None:
        """Tell the drill what the conversation has brought."""
        hear = self._hear
        if hear is not None:
            self._guarded(lambda: hear(event))

    # ---- the stage

    @property
    def nick(self) -> str:
        """The peer's nick now."""
        return self._partner.nick

    @property
    def own_nick(self) -> str:
        """The bot's."""
        return self._runner.nick

    @property
    def encrypted(self) -> bool:
        """Whether the conversation is."""
        return self._runner.state(self.nick) is MessageState.ENCRYPTED

    @property
    def talk(self) -> Conversation | None:
        """The conversation, to look at; None where there is none, or a step of it is under way."""
        host = self._runner.host
        return None if host.busy(self.nick) else host.talk(self.nick)

    @property
    def room(self) -> int:
        """Bytes of text that a line to the peer may have."""
        return text_limit(self.own_nick, self._runner.connection.own_mask, self.nick)

    def say(self, text: str) -> None:
        """Send a text encrypted."""
        if not self.over:
            self._runner.say_encrypted(self.nick, text)

    def raw(self, *lines: str) -> None:
        """Send lines to the peer as they are."""
        if not self.over and lines:
            self._runner.send_lines(self.nick, [one_line(line) for line in lines[:MAX_RAW]])

    def do(self, step: Callable[[Conversation], list[Event]], *, slow: bool = False) -> None:
        """Do something in the conversation."""
        if not self.over:
            self._runner.do(self.nick, step, slow=slow)

    def start(self) -> None:
        """Send a query."""
        self.do(Conversation.start, slow=True)

    def on(self, hear: Callable[[Event], None]) -> None:
        """Have `hear` told what the conversation brings."""
        if not self.over:
            self._hear = hear

    def later(self, seconds: float, step: Callable[[], None]) -> None:
        """Do a step after so many seconds."""
        if not self.over and self._steps < MAX_STEPS:
            self._steps += 1
            self._schedule(seconds, lambda: self._guarded(step))

    def end(self, said: str) -> None:
        """End the drill with one line, behind what it has begun."""
        if self.over:
            return
        self.stop()

        def speak(nick: str) -> list[Action]:
            self._say(next(split_text(one_line(f"Drill {self.drill.name} is over: {said}"), MAX_LINE)))
            return []

        self._runner.in_turn(self.nick, speak)

    def _guarded(self, step: Callable[[], None]) -> None:
        if self.over:
            return
        try:
            step()
        # A mistake in a drill costs the drill, and not the conversation.
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        _log.error("the drill %s has failed: %s", self.drill.name, type(error).__name__)
        self.end("it went wrong on my side, and says nothing about your client.")

    def _take_too_long(self) -> None:
        self.end("the time for it is up.")
