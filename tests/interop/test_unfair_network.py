"""Users who start, talk and end as they like, over a network that loses, repeats and reorders lines.

Whatever came of it: once everything under way has expired, one start makes both sides talk.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from otrcore.v3.ake import LIFETIME
from tests.interop.conftest import LibotrFactory
from tests.interop.oracle import exchange
from tests.interop.ours import Ours, agreed, chat, let_pass, secure
from tests.pair import speaking

STEPS = 80
POLICIES = ["", "+tag", "+errstart", "+tag+tagstart+errstart"]


@pytest.mark.parametrize("seed", range(12))
def test_one_start_heals_whatever_happened(libotr: LibotrFactory, version: int, seed: int) -> None:
    """The seed decides on everything but keys, whose hashes decide crossings."""
    chance = Random(seed)
    policy = replace(speaking(version), start_on_tag=chance.choice([True, False]))
    ours = Ours(policy, line_limit=chance.choice([None, 400]))
    theirs = libotr(policy=f"v{version}{chance.choice(POLICIES)}", mms=chance.choice([0, 400]))
    if chance.random() < 0.5:
        secure(ours, theirs)
    to_ours: list[str] = []
    to_theirs: list[str] = []

    def deliver() -> None:
        for _ in range(chance.randrange(1, 6)):
            if to_ours and chance.random() < 0.5:
                ours.receive(to_ours.pop(0))
            elif to_theirs:
                theirs.receive(to_theirs.pop(0))

    def lose() -> None:
        del chance.choice([to_ours, to_theirs])[:1]

    def repeat() -> None:
        lines = chance.choice([to_ours, to_theirs])
        lines[:0] = lines[:1]

    def reorder() -> None:
        lines = chance.choice([to_ours, to_theirs])
        lines[:2] = reversed(lines[:2])

    def let_time_pass() -> None:
        seconds = chance.choice([1, 6, 12, 70])
        ours.wait(seconds)
        theirs.command("clock", add=seconds)
        theirs.command("poll")

    steps: dict[Callable[[], None], int] = {
        ours.start: 2,
        theirs.start: 2,
        ours.end: 1,
        theirs.end: 1,
        lambda: ours.send("from us"): 3,
        lambda: theirs.send("from libotr"): 3,
        deliver: 12,
        lose: 1,
        repeat: 1,
        reorder: 1,
        let_time_pass: 1,
    }
    for step in chance.choices(list(steps), list(steps.values()), k=STEPS):
        step()
        to_ours += theirs.take()
        to_theirs += ours.take()

    exchange(ours, theirs)
    let_pass(round(LIFETIME) + 1, ours, theirs)
    chance.choice([ours.start, theirs.start])()
    exchange(ours, theirs)
    ours.shown()
    theirs.events()
    agreed(ours, theirs)
    chat(ours, theirs)
