"""Two accounts that talk over an in-memory link, with a clock and randomness that tests control.

    pair = Pair(seed=1)
    pair.secure()
    pair.say("alice", "hello")
    assert pair.events("bob") == [Received("hello", Protection.ENCRYPTED)]

The link is fair: each side's lines arrive in their order, none is lost.  A test that
wants another network takes lines out of `pair.on_the_way`.
"""

from __future__ import annotations

import copy
import hashlib
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from typing import Literal, TypeVar

from otrcore.account import Account
from otrcore.conversation import Conversation
from otrcore.crypto.random import Purpose, Random, system_random
from otrcore.events import Event, Transmit
from otrcore.identity import Identity
from otrcore.model import MessageState, SessionInfo
from otrcore.policy import MANUAL, Policy
from tests.snapshot import uncopied

Side = Literal["alice", "bob"]
SIDES: tuple[Side, Side] = ("alice", "bob")
OTHER: dict[Side, Side] = {"alice": "bob", "bob": "alice"}
TAGS: dict[Side, int] = {"alice": 0x0A11CE00, "bob": 0x00000B0B}
AnEvent = TypeVar("AnEvent", bound=Event)

PATIENCE = 10_000
"""Lines after which a link that does not come to rest is taken for an endless loop."""


def speaking(*versions: int) -> Policy:
    """Return the policy that allows these versions, and starts nothing by itself."""
    return replace(MANUAL, versions=frozenset(versions))


@cache
def identity(name: str) -> Identity:
    """Return the identity of this name, made once in a test process."""
    return Identity.generate()


class Seeded:
    """Randomness whose n-th draw for a purpose is always the same, whatever was drawn between."""

    def __init__(self, seed: object) -> None:
        self._seed = seed
        self.drawn: defaultdict[Purpose, list[bytes]] = defaultdict(list)

    def __call__(self, purpose: Purpose, count: int) -> bytes:
        drawn = self.drawn[purpose]
        drawn.append(hashlib.shake_256(f"{self._seed}/{purpose}/{len(drawn)}".encode()).digest(count))
        return drawn[-1]


def seeded(seed: object) -> Random:
    """Return randomness of its own for this seed."""
    return Seeded(seed)


def rests(talk: Conversation, now: float) -> bool:
    """Whether nothing is to be done, but that a session of version 4 ends in hours."""
    return talk.next_tick is None or talk.next_tick > now + 3600.0


class Clock:
    """A clock that moves when told to; calling it returns seconds."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass; nobody's `tick` is called."""
        self.now += seconds


class Pair:
    """Alice and Bob, each with an account and a conversation with the other."""

    def __init__(
        self,
        *,
        policies: tuple[Policy, Policy] | None = None,
        version: int = 3,
        seed: object = None,
        line_limit: int | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Both speak `version` unless `policies` say more; without a `seed` randomness is the system's."""
        self.clock = clock or Clock()
        self.accounts: dict[Side, Account] = {}
        self.randoms: dict[Side, Random] = {}
        self.talks: dict[Side, Conversation] = {}
        self.on_the_way: dict[Side, deque[str]] = {side: deque() for side in SIDES}
        self.lines: list[tuple[Side, str]] = []
        self._events: dict[Side, list[Event]] = {side: [] for side in SIDES}
        for side, policy in zip(SIDES, policies or (speaking(version),) * 2, strict=True):
            random = self.randoms[side] = system_random if seed is None else seeded(f"{seed}/{side}")
            account = Account(
                identity(side), policy, name=side, instance_tag=TAGS[side], random=random, clock=self.clock
            )
            self.accounts[side] = account
            self.talks[side] = account.conversation(OTHER[side])
            self.talks[side].line_limit = line_limit

    @property
    def alice(self) -> Conversation:
        """Her conversation with Bob."""
        return self.talks["alice"]

    @property
    def bob(self) -> Conversation:
        """His conversation with Alice."""
        return self.talks["bob"]

    def copy(self) -> Pair:
        """Return a pair in the same state, which goes its own way from here."""
        return copy.deepcopy(self, {id(value): value for value in uncopied(self)})

    def do(self, side: Side, events: Iterable[Event]) -> list[Event]:
        """Put what one side's call returned to its records and its lines on the way; returns it too."""
        events = list(events)
        self._events[side] += events
        for event in events:
            if isinstance(event, Transmit):
                self.lines += [(side, line) for line in event.lines]
                self.on_the_way[OTHER[side]].extend(event.lines)
        return events

    def deliver(self, to: Side) -> list[Event]:
        """Hand over the next line that is on its way to this side."""
        return self.hand(to, self.on_the_way[to].popleft())

    def hand(self, to: Side, line: str) -> list[Event]:
        """Hand over any line at all."""
        return self.do(to, self.talks[to].receive(line))

    def settle(self) -> None:
        """Deliver, in turns, until nothing is on its way."""
        for _ in range(PATIENCE):
            waiting = [side for side in SIDES if self.on_the_way[side]]
            if not waiting:
                return
            for side in waiting:
                self.deliver(side)
        raise AssertionError(f"the link did not come to rest within {PATIENCE} turns")

    def events(self, side: Side) -> list[Event]:
        """Return this side's events since the last `clear`, oldest first."""
        return list(self._events[side])

    def of_kind(self, side: Side, kind: type[AnEvent]) -> list[AnEvent]:
        """Return those of this side's events that are of one kind."""
        return [event for event in self._events[side] if isinstance(event, kind)]

    def clear(self) -> None:
        """Forget the events and lines so far."""
        self.lines.clear()
        for events in self._events.values():
            events.clear()

    def start(self, side: Side = "alice") -> None:
        """Ask for an encrypted conversation, and settle."""
        self.do(side, self.talks[side].start())
        self.settle()

    def secure(self, starter: Side = "alice") -> SessionInfo:
        """Start, and be sure that it worked; forgets the events of it.  Returns Alice's view."""
        self.start(starter)
        self.clear()
        return self.agreed()

    def agreed(self) -> SessionInfo:
        """Be sure that both are encrypted in one and the same session; returns Alice's view."""
        assert [talk.state for talk in self.talks.values()] == [MessageState.ENCRYPTED] * 2
        alice, bob = self.alice.info, self.bob.info
        assert alice is not None
        assert bob is not None
        assert (alice.version, alice.ssid) == (bob.version, bob.ssid)
        return alice

    def say(self, side: Side, text: str) -> None:
        """Send a text, and settle."""
        self.do(side, self.talks[side].send(text))
        self.settle()

    def end(self, side: Side = "alice") -> None:
        """End the conversation on this side, and settle."""
        self.do(side, self.talks[side].end())
        self.settle()

    def wait(self, seconds: float) -> None:
        """Let time pass, ticking both sides whenever they asked for it, and settle."""
        until = self.clock.now + seconds
        for _ in range(PATIENCE):
            times = [talk.next_tick for talk in self.talks.values() if talk.next_tick is not None]
            self.clock.now = max(self.clock.now, min([*times, until]))
            for side, talk in self.talks.items():
                if talk.next_tick is not None and talk.next_tick <= self.clock.now:
                    self.do(side, talk.tick())
            self.settle()
            if self.clock.now >= until and all(
                talk.next_tick is None or talk.next_tick > until for talk in self.talks.values()
            ):
                return
        raise AssertionError("a conversation asks to be ticked again and again")
