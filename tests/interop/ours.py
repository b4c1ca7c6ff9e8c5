"""Our side of an exchange with the oracle: one account, one conversation, a clock that tests move.

`take` and `receive` are those of `LibotrPeer`, so that `exchange` carries lines between the two.
Our D-H Commit can be made to win or to lose against one of libotr's: see `commit_next`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import TypeVar

from otrcore.account import Account
from otrcore.conversation import Conversation
from otrcore.crypto.modp import DhKeyPair
from otrcore.crypto.random import Purpose, system_random
from otrcore.events import (
    Event,
    HandshakeFailed,
    HandshakeStep,
    PeerComplained,
    Received,
    Rejected,
    SessionEnded,
    SessionOpened,
    Transmit,
)
from otrcore.model import MessageState, Protection, SessionInfo
from otrcore.policy import MANUAL, Policy
from otrcore.wire import codec
from otrcore.wire.fragment import parse_fragment
from otrcore.wire.messages3 import DataMessage, DhCommit, Message, parse
from otrcore.wire.text import ENCODED_MARK, decode
from tests.pair import Clock, identity

AnEvent = TypeVar("AnEvent", bound=Event)


class Ours:
    """One account with a conversation; `line_limit` is that of `Conversation`, None for no limit."""

    def __init__(self, policy: Policy = MANUAL, *, line_limit: int | None = None) -> None:
        self.clock = Clock()
        self.identity = identity("ours")
        self._commit_wanted: Callable[[bytes], bool] | None = None
        self._outgoing: list[str] = []
        self._events: list[Event] = []
        account = Account(self.identity, policy, random=self._random, clock=self.clock)
        self.instance_tag = account.instance_tag
        self.talk: Conversation = account.conversation("peer")
        self.talk.line_limit = line_limit

    def take(self) -> list[str]:
        """Return and forget the lines that are to be sent, oldest first."""
        lines, self._outgoing = self._outgoing, []
        return lines

    def receive(self, wire: str) -> None:
        """Take one line from the peer."""
        self._note(self.talk.receive(wire))

    def start(self) -> None:
        """Send a query."""
        self._note(self.talk.start())

    def send(self, text: str) -> None:
        """Send a text, in whatever way the state asks for."""
        self._note(self.talk.send(text))

    def end(self) -> None:
        """End the conversation."""
        self._note(self.talk.end())

    def wait(self, seconds: float) -> None:
        """Let time pass, with a tick whenever the conversation has asked for one."""
        until = self.clock.now + seconds
        while (due := self.talk.next_tick) is not None and due <= until:
            self.clock.now = max(self.clock.now, due)
            self._note(self.talk.tick())
        self.clock.now = until

    def events(self, kind: type[AnEvent]) -> list[AnEvent]:
        """Return and forget the events of one kind."""
        chosen = [event for event in self._events if isinstance(event, kind)]
        self._events = [event for event in self._events if not isinstance(event, kind)]
        return chosen

    def all_events(self) -> list[Event]:
        """Return and forget every event but the lines and the steps of the key exchange."""
        events, self._events = self._events, []
        return [event for event in events if not isinstance(event, (Transmit, HandshakeStep))]

    def texts(self) -> list[str]:
        """Return and forget the texts that came encrypted; others stay among the events."""
        texts = [event for event in self._events if _is_encrypted_text(event)]
        self._events = [event for event in self._events if not _is_encrypted_text(event)]
        return [event.text for event in texts if isinstance(event, Received)]

    @property
    def state(self) -> MessageState:
        """The message state."""
        return self.talk.state

    @property
    def session(self) -> SessionInfo | None:
        """The encrypted conversation, None when there is none."""
        return self.talk.info

    def commit_next(self, *, above: bytes | None = None, below: bytes | None = None) -> None:
        """From here on make D-H keys whose hash is higher, or lower, than the given one."""
        self._commit_wanted = lambda ours: (above is None or ours > above) and (below is None or ours < below)

    def _random(self, purpose: Purpose, count: int) -> bytes:
        while True:
            drawn = system_random(purpose, count)
            if purpose != "dh" or self._commit_wanted is None or self._commit_wanted(_commit_hash(drawn)):
                return drawn

    def _note(self, events: Iterable[Event]) -> None:
        for event in events:
            self._events.append(event)
            if isinstance(event, Transmit):
                self._outgoing += event.lines


def message(wire: str) -> Message | None:
    """Return what an unfragmented line carries, None if that is no encoded message."""
    return parse(decode(wire)) if wire.startswith(ENCODED_MARK) else None


__all__ = []
