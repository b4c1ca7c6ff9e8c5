"""Whatever a network does for a while: nothing leaks, nothing is forged, and all is well afterwards."""

from __future__ import annotations

import pytest

from otrcore.events import Queued, Rejected
from tests.pair import OTHER, SIDES, rests
from tests.peers.bad_network import BadNetwork

STEPS = 80
BLOCKS = range(12)
"""Seeds are run in blocks, so that a failure names its seed and the report stays short."""

SEEDS_A_BLOCK = 12


def in_bad_times(seed: int) -> BadNetwork:
    """Return a pair in the middle of it."""
    pair = BadNetwork(seed, line_limit=200 if seed % 4 == 0 else None)
    if seed % 3:
        pair.secure()
    for _ in range(STEPS):
        pair.misbehave()
    return pair


def after_bad_times(seed: int) -> BadNetwork:
    """Return a pair after a bad network has become a fair one and everything has come to rest."""
    pair = in_bad_times(seed)
    pair.settle()
    # A start that had to wait, what was tried again, what that has led to, and 60 s for each to end.
    pair.wait(240.0)
    return pair


@pytest.mark.parametrize("block", BLOCKS)
def test_after_bad_times(block: int) -> None:
    for seed in range(block * SEEDS_A_BLOCK, (block + 1) * SEEDS_A_BLOCK):
        pair = after_bad_times(seed)
        pair.check_texts()
        pair.check_nothing_unasked_is_plain()
        for side in SIDES:
            assert not pair.talks[side].starting, f"seed {seed}"
            assert rests(pair.talks[side], pair.clock.now), f"seed {seed}"

        # One side starts again, and everything is in order, whatever had been lost.
        starter = SIDES[seed % 2]
        pair.start(starter)
        pair.agreed()
        for side in SIDES:
            text = pair.speak(side)
            pair.settle()
            assert pair.got(OTHER[side])[-1] == text, f"seed {seed}"
        pair.check_texts()
        pair.end(starter)
        assert pair.even


def test_the_times_are_bad() -> None:
    """The seeds lead into every kind of trouble, and texts still get through."""
    uneven, texts, waited, refused = 0, 0, 0, 0
    for seed in range(40):
        pair = in_bad_times(seed)
        uneven += not pair.even
        for side in SIDES:
            texts += len(pair.got(side))
            waited += len(pair.of_kind(side, Queued))
            refused += len(pair.of_kind(side, Rejected))
    assert uneven > 5
    assert texts > 100
    assert waited > 20
    assert refused > 50
