"""Our side of an exchange with the oracle: one account, one conversation, a clock that tests move.

`take` and `receive` are those of `LibotrPeer`, so that `exchange` carries lines between the two.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from otrcore.account import Account
from otrcore.crypto.modp import DhKeyPair
from otrcore.crypto.random import Purpose, Random, system_random
from otrcore.events import Event, HandshakeStep, Received, Transmit
from otrcore.model import MessageState, Protection, SessionInfo
from otrcore.policy import MANUAL, Policy
from otrcore.wire import codec
from otrcore.wire.messages3 import DataMessage, DhCommit, Message, parse
from otrcore.wire.text import ENCODED_MARK, decode
from tests.interop.oracle import LibotrPeer, Side, exchange
from tests.pair import Clock, identity

AnEvent = TypeVar("AnEvent", bound=Event)


class Ours:
    """One account with one conversation; line limit and instance tag as the core has them."""

    def __init__(
        self,
        policy: Policy = MANUAL,
        *,
        line_limit: int | None = None,
        instance_tag: int | None = None,
        random: Random = system_random,
    ) -> None:
        self.policy = policy
        self.clock = Clock()
        self.fingerprint = identity("ours").fingerprint
        self._drawn = random
        self._wanted: Callable[[bytes], bool] | None = None
        self._outgoing: list[str] = []
        self._events: list[Event] = []
        account = Account(
            identity("ours"), policy, instance_tag=instance_tag, random=self._random, clock=self.clock
        )
        self.instance_tag = account.instance_tag
        self.talk = account.conversation("peer")
        self.talk.line_limit = line_limit

    def start(self) -> None:
        """Send a query."""
        self.note(self.talk.start())

    def send(self, text: str) -> None:
        """Send a text, in whatever way the state asks for."""
        self.note(self.talk.send(text))

    def receive(self, wire: str) -> None:
        """Take one line from the peer."""
        self.note(self.talk.receive(wire))

    def end(self) -> None:
        """End the conversation."""
        self.note(self.talk.end())

    def take(self) -> list[str]:
        """Return and forget the lines that are to be sent, oldest first."""
        lines, self._outgoing = self._outgoing, []
        return lines

    def wait(self, seconds: float) -> None:
        """Let time pass, with a tick whenever the conversation has asked for one."""
        until = self.clock.now + seconds
        while (due := self.talk.next_tick) is not None and due <= until:
            self.clock.now = max(self.clock.now, due)
            self.note(self.talk.tick())
        self.clock.now = until

    def events(self, kind: type[AnEvent]) -> list[AnEvent]:
        """Return and forget the events of one kind."""
        chosen: list[AnEvent] = [event for event in self._events if isinstance(event, kind)]
        self._events = [event for event in self._events if not isinstance(event, kind)]
        return chosen

    def texts(self) -> list[str]:
        """Return and forget the texts that came encrypted; others stay among the events."""
        received = self.events(Received)
        self._events += [event for event in received if event.protection is not Protection.ENCRYPTED]
        return [event.text for event in received if event.protection is Protection.ENCRYPTED]

    def shown(self) -> list[Event]:
        """Return what the user is told by the events since the last look, and forget them all."""
        events, self._events = self._events, []
        return [event for event in events if not isinstance(event, Transmit | HandshakeStep)]

    @property
    def state(self) -> MessageState:
        """The message state."""
        return self.talk.state

    @property
    def session(self) -> SessionInfo | None:
        """The encrypted conversation, None when there is none."""
        return self.talk.info

    def choose_commit(self, wanted: Callable[[bytes], bool] | None) -> None:
        """From here on make only D-H keys whose hash in a Commit is wanted; None: any."""
        self._wanted = wanted

    def _random(self, purpose: Purpose, count: int) -> bytes:
        while True:
            drawn = self._drawn(purpose, count)
            if purpose != "dh" or self._wanted is None or self._wanted(_hash_of_key(drawn)):
                return drawn

    def note(self, events: Iterable[Event]) -> None:
        """Keep what a call returned, and put its lines among those that are to be sent."""
        for event in events:
            self._events.append(event)
            if isinstance(event, Transmit):
                self._outgoing += event.lines


class Doubled:
    """A side whose every line reaches the other twice."""

    def __init__(self, side: Side) -> None:
        self._side = side

    def take(self) -> Sequence[str]:
        """Return and forget the lines that are to be sent, each of them twice."""
        return [line for line in self._side.take() for _ in range(2)]

    def receive(self, wire: str) -> None:
        """Take one line from the peer."""
        self._side.receive(wire)


def agreed(ours: Ours, theirs: LibotrPeer, *, version: int | None = None) -> str:
    """Be sure that both are in one and the same session and know each other; returns its ssid in hex.

    `version` is the one that they should have chosen, by default the best of ours that libotr has.
    """
    our_view, their_view = ours.session, theirs.session
    assert our_view is not None
    assert their_view is not None
    assert our_view.ssid.hex() == their_view["ssid"]
    version = version or max(ours.policy.versions & {2, 3})
    assert (our_view.version, their_view["version"]) == (version, version)
    if version == 2:
        assert our_view.their_instance_tag == their_view["their_instance"] == 0
    else:
        assert our_view.their_instance_tag == their_view["our_instance"]
        assert their_view["their_instance"] == ours.instance_tag
    assert our_view.our_fingerprint == ours.fingerprint
    assert their_view["fingerprint"] == ours.fingerprint.digest.hex()
    assert our_view.their_fingerprint.digest.hex() == theirs.command("fingerprint")["fingerprint"]
    return our_view.ssid.hex()


def secure(ours: Ours, theirs: LibotrPeer) -> str:
    """Start from our side, be sure that it worked, and forget the events of it; returns the ssid in hex."""
    ours.start()
    exchange(ours, theirs)
    ours.shown()
    theirs.events()
    return agreed(ours, theirs)


def chat(ours: Ours, theirs: LibotrPeer) -> None:
    """Be sure that a text gets through each way, twice: the second brings new keys."""
    for text in ("one", "two"):
        ours.send(f"{text} of ours")
        exchange(ours, theirs)
        theirs.send(f"{text} of theirs")
        exchange(ours, theirs)
        assert (ours.texts(), theirs.texts()) == ([f"{text} of theirs"], [f"{text} of ours"])


def let_pass(seconds: int, ours: Ours, theirs: LibotrPeer) -> None:
    """Move both clocks bit by bit, let both sides do what is due, and carry what they then send."""
    for begun in range(0, seconds, 5):
        step = min(5, seconds - begun)
        ours.wait(step)
        theirs.command("clock", add=step)
        theirs.command("poll")
        exchange(ours, theirs)


def message_in(wire: str) -> Message | None:
    """Return the encoded message in an unfragmented line, None if there is none."""
    return parse(decode(wire)) if wire.startswith(ENCODED_MARK) else None


def commit_in(wire: str) -> DhCommit:
    """Return the D-H Commit in a line that must be one."""
    message = message_in(wire)
    assert isinstance(message, DhCommit)
    return message


def data_in(wire: str) -> DataMessage:
    """Return the data message in a line that must be one."""
    message = message_in(wire)
    assert isinstance(message, DataMessage)
    return message


def _hash_of_key(drawn: bytes) -> bytes:
    """Return the hash that a D-H Commit shows for the key made of this randomness."""
    keys = DhKeyPair.generate(lambda purpose, count: drawn)
    return hashlib.sha256(codec.mpi(keys.public)).digest()
