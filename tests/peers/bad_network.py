"""Two peers over a network that loses, repeats, delays and reorders lines, and users who do anything."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from random import Random

from otrcore.events import Event, Received, Transmit
from otrcore.model import Protection
from otrcore.policy import DEFAULT
from tests.pair import OTHER, SIDES, Pair, Side
from tests.peers.ledger import Ledger

TAG = " \t  \t\t\t\t \t \t \t  " + "  \t\t  \t\t"
TAG_4 = " \t  \t\t\t\t \t \t \t  " + "  \t\t \t  "

VERSIONS = [{3}, {2, 3}, {2}, {3, 4}, {4}]
"""By the seed."""


class BadNetwork(Pair):
    """A pair whose every step is drawn by chance, and which watches over what must always hold."""

    def __init__(self, seed: int, *, line_limit: int | None = None) -> None:
        self.ledgers: dict[Side, Ledger] = {side: Ledger() for side in SIDES}
        self.versions = frozenset(VERSIONS[seed % len(VERSIONS)])
        policy = replace(DEFAULT, versions=self.versions)
        super().__init__(policies=(policy, policy), seed=f"bad {seed}", line_limit=line_limit)
        self.random = Random(seed)

    def do(self, side: Side, events: Iterable[Event]) -> list[Event]:
        """Keep the ledger, too."""
        events = super().do(side, events)
        self.ledgers[side].note(self.talks[side], events)
        return events

    def misbehave(self) -> None:
        """Let one thing happen."""
        side = self.random.choice(SIDES)
        waiting = self.on_the_way[side]
        match self.random.choices(
            ["deliver", "lose", "repeat", "reorder", "replay", "speak", "start", "end", "tag", "time"],
            [70, 5, 5, 5, 5, 25, 4, 1, 2, 6],
        ):
            case ["deliver"] if waiting:
                self.deliver(side)
            case ["lose"] if waiting:
                waiting.popleft()
            case ["repeat"] if waiting:
                self.hand(side, self.random.choice(waiting))
            case ["reorder"] if waiting:
                at = self.random.randrange(len(waiting))
                line = waiting[at]
                del waiting[at]
                self.hand(side, line)
            case ["replay"] if lines := [line for sender, line in self.lines if sender != side]:
                self.hand(side, self.random.choice(lines))
            case ["speak"]:
                self.speak(side)
            case ["start"]:
                self.do(side, self.talks[side].start())
            case ["end"]:
                self.do(side, self.talks[side].end())
            case ["tag"]:
                self.hand(side, f"hello{TAG_4 if max(self.versions) == 4 else TAG}")
            case ["time"]:
                self.clock.advance(self.random.choice([0.5, 3.0, 6.0, 11.0, 70.0]))
                self.tick()

    def tick(self) -> None:
        """Tick whoever asked for it."""
        for side in SIDES:
            due = self.talks[side].next_tick
            if due is not None and due <= self.clock.now:
                self.do(side, self.talks[side].tick())

    def speak(self, side: Side) -> str:
        """Send a text that no other is like."""
        text = self.ledgers[side].next_text(side)
        self.do(side, self.ledgers[side].typed(self.talks[side], text))
        return text

    def got(self, side: Side) -> list[str]:
        """Return the texts that this side has decrypted."""
        return [
            event.text for event in self.of_kind(side, Received) if event.protection is Protection.ENCRYPTED
        ]

    def check_texts(self) -> None:
        """What was decrypted is a part of what was sent, in its order, each text once; nothing waits."""
        in_order = 4 not in self.versions
        for side in SIDES:
            self.ledgers[side].check_heard(self.events(OTHER[side]), in_order=in_order)
            assert self.ledgers[side].waiting == []

    def check_nothing_unasked_is_plain(self) -> None:
        """Nothing that a side transmits by itself is marked as, or looks like, plain text."""
        for side in SIDES:
            for event in self.of_kind(side, Transmit):
                if not event.plain:
                    assert all(line.startswith("?OTR") for line in event.lines)

    @property
    def even(self) -> bool:
        """Whether both are encrypted in one session, or neither is."""
        infos = [talk.info for talk in self.talks.values()]
        return len({info.ssid if info else None for info in infos}) == 1
