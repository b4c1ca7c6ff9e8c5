"""Alice, and several clients of one peer under one name: each of them hears whatever is sent to the name."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from otrcore.account import Account
from otrcore.conversation import Conversation
from otrcore.crypto.random import Random
from otrcore.events import Event, Transmit
from otrcore.model import SessionInfo
from otrcore.policy import Policy
from tests.pair import PATIENCE, AnEvent, Clock, identity, seeded, speaking

ALICE = "alice"
CLIENTS = ("bob", "bob on the phone")
THEM = "them"
"""What each side calls the other, and itself."""
MANY = (*CLIENTS, "bob at work", "bob on the train", "bob abroad")
TAGS = {ALICE: 0x0A11CE00} | {client: 0x00000B0B + number for number, client in enumerate(MANY)}


class Crowd:
    """A fair network; a test that wants another one takes lines out of `on_the_way`."""

    def __init__(
        self,
        *,
        policy: Policy | None = None,
        policies: Sequence[Policy] | None = None,
        clients: Sequence[str] = CLIENTS,
        one_key: bool = False,
        seed: object = 0,
        line_limit: int | None = None,
    ) -> None:
        """`policies` is Alice's and each client's, else all have `policy`; `one_key` is for all clients."""
        self.clock = Clock()
        self._seed = seed
        self._randoms = 0
        self.clients = tuple(clients)
        self.names = (ALICE, *clients)
        self.lines: list[tuple[str, str]] = []
        self.on_the_way: dict[str, deque[str]] = {name: deque() for name in self.names}
        self._events: dict[str, list[Event]] = {name: [] for name in self.names}
        self.accounts: dict[str, Account] = {}
        self.talks: dict[str, Conversation] = {}
        for at, name in enumerate(self.names):
            self.accounts[name] = Account(
                identity(CLIENTS[0] if one_key and name != ALICE else name),
                policies[at] if policies else policy or speaking(3),
                name=THEM,
                instance_tag=TAGS[name],
                random=self.random(name),
                clock=self.clock,
            )
            self.talks[name] = self.accounts[name].conversation(THEM)
            self.talks[name].line_limit = line_limit

    def random(self, name: str) -> Random:
        """Return new randomness, the same in each run."""
        self._randoms += 1
        return seeded(f"crowd {self._seed}/{name}/{self._randoms}")

    @property
    def alice(self) -> Conversation:
        """Her conversation with the name."""
        return self.talks[ALICE]

    def do(self, name: str, events: Iterable[Event]) -> list[Event]:
        """Put what a call returned on the record and its lines on their way; returns it too."""
        events = list(events)
        self._events[name] += events
        for event in events:
            if isinstance(event, Transmit):
                self.lines += [(name, line) for line in event.lines]
                for to in self.clients if name == ALICE else (ALICE,):
                    self.on_the_way[to].extend(event.lines)
        return events

    def hand(self, to: str, line: str) -> list[Event]:
        """Hand over any line at all."""
        return self.do(to, self.talks[to].receive(line))

    def deliver(self, to: str) -> list[Event]:
        """Hand over the next line that is on its way."""
        return self.hand(to, self.on_the_way[to].popleft())

    def settle(self) -> None:
        """Deliver, in turns, until nothing is on its way."""
        for _ in range(PATIENCE):
            waiting = [name for name in self.names if self.on_the_way[name]]
            if not waiting:
                return
            for name in waiting:
                self.deliver(name)
        raise AssertionError(f"the link did not come to rest within {PATIENCE} turns")

    def tick(self) -> None:
        """Tick whoever asked for it."""
        for name, talk in self.talks.items():
            if talk.next_tick is not None and talk.next_tick <= self.clock.now:
                self.do(name, talk.tick())

    def wait(self, seconds: float) -> None:
        """Let time pass, ticking whoever asks for it, and settle."""
        until = self.clock.now + seconds
        for _ in range(PATIENCE):
            times = [talk.next_tick for talk in self.talks.values() if talk.next_tick is not None]
            self.clock.now = max(self.clock.now, min([*times, until]))
            self.tick()
            self.settle()
            if self.clock.now >= until and all(
                talk.next_tick is None or talk.next_tick > until for talk in self.talks.values()
            ):
                return
        raise AssertionError("a conversation asks to be ticked again and again")

    def start(self, name: str = ALICE) -> None:
        """Ask for an encrypted conversation, and settle."""
        self.do(name, self.talks[name].start())
        self.settle()

    def say(self, name: str, text: str) -> None:
        """Send a text, and settle."""
        self.do(name, self.talks[name].send(text))
        self.settle()

    def secure(self, starter: str = ALICE) -> None:
        """Start, be sure that every client has a session, and forget the events."""
        self.start(starter)
        for client in self.clients:
            self.agreed(client)
        self.clear()

    def session_with(self, client: str) -> SessionInfo | None:
        """Return Alice's view of her session with one client that speaks version 3."""
        found = [info for info in self.alice.sessions if info.their_instance_tag == TAGS[client]]
        assert len(found) <= 1
        return found[0] if found else None

    def agreed(self, client: str) -> SessionInfo:
        """Be sure that Alice and one client are in one and the same session; returns her view."""
        hers, theirs = self.session_with(client), self.talks[client].info
        assert hers is not None
        assert theirs is not None
        assert (hers.version, hers.ssid) == (theirs.version, theirs.ssid)
        assert hers.initiator is not theirs.initiator
        return hers

    def events(self, name: str) -> list[Event]:
        """Return the events since the last `clear`, oldest first."""
        return list(self._events[name])

    def of_kind(self, name: str, kind: type[AnEvent]) -> list[AnEvent]:
        """Return those of the events that are of one kind."""
        return [event for event in self._events[name] if isinstance(event, kind)]

    def clear(self) -> None:
        """Forget the events and lines so far."""
        self.lines.clear()
        for events in self._events.values():
            events.clear()
