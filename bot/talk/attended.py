"""A runner with somebody at the door, who sees what people send before their conversations do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from otrbot.talk.forgetful import ForgetfulKeeper

from otrcore.conversation import Conversation
from otrcore.events import Event
from otrcore.irc.actions import Action
from otrcore.irc.connection.address import ServerAddress
from otrcore.irc.connection.listener import IncomingMessage
from otrcore.irc.connection.options import Settings
from otrcore.irc.connection.runner import Runner, Screen
from otrcore.irc.keeper import Keeper
from otrcore.irc.lanes import Threads
from otrcore.model import Fingerprint, MessageState


class Attendant(Screen, Protocol):
    """A screen that is asked about everybody first; must not raise."""

    def admit(self, message: IncomingMessage) -> IncomingMessage | None:
        """Return what the conversation is to have of a message; None for nothing."""

    def left(self, nick: str) -> None:
        """Somebody is not on the network (any more), and the conversation is over."""

    def moved(self, old: str, new: str) -> None:
        """Somebody else has another nick now, and the conversation has followed."""


class AttendedRunner(Runner):
    """A runner that asks its attendant, and remembers nobody."""

    def __init__(
        self,
        address: ServerAddress,
        settings: Settings,
        attendant: Attendant,
        keeper: Keeper,
        *,
        clock: Callable[[], float] = time.monotonic,
        lanes: Threads | None = None,
    ) -> None:
        """As a Runner's."""
        self._keeper_of_keys = ForgetfulKeeper(keeper)
        super().__init__(address, settings, attendant, self._keeper_of_keys, clock=clock, lanes=lanes)
        self._attendant = attendant

    @property
    def fingerprint_4(self) -> Fingerprint | None:
        """Our fingerprint in version 4; None before `Screen.ready`."""
        identity = self._keeper_of_keys.speaks_as
        return identity.fingerprint_4 if identity is not None else None

    def message(self, message: IncomingMessage) -> None:
        """Have the host hear what is admitted."""
        admitted = self._attendant.admit(message)
        if admitted is not None:
            super().message(admitted)

    def gone(self, nick: str, reason: str) -> None:
        """Let the conversation end, and tell."""
        super().gone(nick, reason)
        self._attendant.left(nick)

    def nick_changed(self, old: str, new: str) -> None:
        """Let conversations follow, and tell."""
        super().nick_changed(old, new)
        if new != self.nick:
            self._attendant.moved(old, new)

    def do(
        self,
        nick: str,
        step: Callable[[Conversation], list[Event]],
        *,
        sends: bool = True,
        slow: bool = False,
    ) -> None:
        """Do something in the conversation with somebody, as `IrcHost.do` does."""
        self._do(self.host.do(nick, step, sends=sends, slow=slow))

    def in_turn(self, nick: str, job: Callable[[str], list[Action]]) -> None:
        """Do something with somebody, by the nick then, as `IrcHost.in_turn` does; it is never left out."""
        self._do(self.host.in_turn(nick, job, bounded=False))

    def say_encrypted(self, nick: str, text: str) -> None:
        """Send a text, if the conversation is encrypted when its turn comes; never unencrypted."""
        self.do(nick, lambda talk: talk.send(text) if talk.state is MessageState.ENCRYPTED else [])

    def forget(self, nick: str) -> None:
        """Drop a conversation with its keys, without a word to the peer."""
        # Who is gone from an encrypted conversation leaves one behind that waits to be ended here, too.
        self._do(self.host.gone(nick, "forgotten"))
        self._do(self.host.end(nick))
        self._do(self.host.gone(nick, "forgotten"))
