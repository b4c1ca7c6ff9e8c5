"""What a drill is, something done wrong on purpose to a peer who has asked for it; and what it may do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from otrcore.conversation import Conversation
from otrcore.events import Event
from otrcore.irc.lines import split_text

MAX_LINE = 200
"""Bytes of what is said about a drill."""


class Stage(Protocol):
    """One drill with one peer, who may take another nick meanwhile.

    Everything but `later` and `on` acts at once, or behind the step of the conversation that is under way.
    Once the drill is over nothing here does anything.
    """

    @property
    def nick(self) -> str:
        """The peer's nick now."""

    @property
    def own_nick(self) -> str:
        """The bot's."""

    @property
    def encrypted(self) -> bool:
        """Whether the conversation is."""

    @property
    def talk(self) -> Conversation | None:
        """The conversation, to look at; None where there is none, or a step of it is under way."""

    @property
    def room(self) -> int:
        """Bytes of text that a line to the peer may have."""

    def say(self, text: str) -> None:
        """Send a text encrypted, whatever it holds; nothing where the conversation is not encrypted."""

    def raw(self, *lines: str) -> None:
        """Send lines to the peer as they are, together: anything, but never CR, LF or NUL."""

    def do(self, step: Callable[[Conversation], list[Event]], *, slow: bool = False) -> None:
        """Do something in the conversation; what sends, or takes arithmetic, is `slow`."""

    def start(self) -> None:
        """Send a query."""

    def on(self, hear: Callable[[Event], None]) -> None:
        """Have `hear` told what the conversation brings from now on: SessionOpened, SmpAborted, …"""

    def later(self, seconds: float, step: Callable[[], None]) -> None:
        """Do a step after so many seconds, unless the drill has ended by then."""

    def end(self, said: str) -> None:
        """End the drill with one line, of at most `MAX_LINE` bytes, about what should have happened.

        It leaves encrypted if the conversation is, else as plain text.  A drill that has not ended after
        `Drill.seconds` is ended.
        """


@dataclass(frozen=True, slots=True)
class Drill:
    """Something that the bot does wrong on purpose."""

    name: str
    """One short word, after `!drill`."""
    about: str
    """What the bot does, a clause of one line: "a byte of the MAC is changed"."""
    expected: str
    """What a client should do about it, likewise."""
    run: Callable[[Stage], None]
    """Begins it; what goes on after a while does so by `Stage.later` and `Stage.on`."""
    seconds: float = 60.0
    """After which it is over at the latest."""

    @property
    def announcement(self) -> str:
        """The line that is said, encrypted, before it begins."""
        line = f"Drill {self.name}: {self.about}. Your client should: {self.expected}."
        return next(split_text(line, MAX_LINE))
