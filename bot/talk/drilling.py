"""Drills on one network: whom they are begun with, and what they have put off."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from functools import partial
from itertools import count

from otrbot.drills.stage import Drill
from otrbot.talk.common import Common
from otrbot.talk.people import People, Person
from otrbot.talk.rehearsal import Rehearsal

from otrcore.irc.actions import Action


class Drilling:
    """What the bot can do wrong on purpose, by name, and does."""

    def __init__(self, common: Common, people: People, drills: Mapping[str, Drill]) -> None:
        self.drills = drills
        self._common = common
        self._people = people
        self._steps: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()

    def begin(self, person: Person, drill: Drill) -> None:
        """Announce a drill, and run it once that has been sent."""
        runner = self._common.runner

        def say(text: str) -> None:
            self._common.say(person.nick, text)

        rehearsal = Rehearsal(drill, person, runner, self._after, say)
        runner.say_encrypted(person.nick, drill.announcement)
        runner.in_turn(person.nick, partial(self._run, person, rehearsal))

    def _run(self, person: Person, rehearsal: Rehearsal, nick: str) -> list[Action]:
        if self._people.find(nick) is person:
            person.rehearsal = rehearsal
            rehearsal.begin()
        return []

    # ---- time

    @property
    def next_tick(self) -> float | None:
        """When to call `tick`; None for never."""
        return self._steps[0][0] if self._steps else None

    def tick(self, now: float) -> None:
        """Do the steps that are due."""
        while self._steps and self._steps[0][0] <= now:
            heapq.heappop(self._steps)[2]()

    def clear(self) -> None:
        """Forget all steps."""
        self._steps.clear()

    def _after(self, seconds: float, step: Callable[[], None]) -> None:
        heapq.heappush(self._steps, (self._common.clock() + max(0.0, seconds), next(self._numbers), step))
