"""Every order in which the lines of two sides can arrive, each direction keeping its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from tests.pair import SIDES, Pair, Side

MOST_STEPS = 400
"""Deliveries after which a run counts as endless."""

Step = Callable[[Pair, Side], object]


def deliver(pair: Pair, to: Side) -> None:
    """One line arrives."""
    pair.deliver(to)


def deliver_twice(pair: Pair, to: Side) -> None:
    """One line arrives, and the same at once again."""
    pair.hand(to, pair.on_the_way[to][0])
    pair.deliver(to)


def every_order(make: Callable[[], Pair], step: Step = deliver) -> Iterator[Pair]:
    """Yield a pair at rest for every order; `make` must return the same pair each time."""
    prefixes: list[list[Side]] = [[]]
    while prefixes:
        prefix = prefixes.pop()
        pair = make()
        taken: list[Side] = []
        while waiting := [side for side in SIDES if pair.on_the_way[side]]:
            if len(taken) < len(prefix):
                choice = prefix[len(taken)]
            else:
                choice, *others = waiting
                prefixes += [[*taken, other] for other in others]
            taken.append(choice)
            assert len(taken) < MOST_STEPS, "the two sides answer each other without end"
            step(pair, choice)
        yield pair


def some_order(pair: Pair, random: Random, step: Step = deliver) -> Pair:
    """Bring a pair to rest in an order drawn by chance; returns it."""
    for _ in range(MOST_STEPS):
        waiting = [side for side in SIDES if pair.on_the_way[side]]
        if not waiting:
            return pair
        step(pair, random.choice(waiting))
    raise AssertionError("the two sides answer each other without end")
