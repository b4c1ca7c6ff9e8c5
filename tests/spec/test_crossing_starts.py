"""Both users start at once, over a network that keeps the order of each side's lines and no other.

Whatever meets whatever on the way, both end in one session, or one more start brings them there.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otrcore.events import HandshakeFailed, Received, SessionOpened
from otrcore.model import MessageState, Protection
from otrcore.v3.ake import LIFETIME
from tests.pair import OTHER, SIDES, Pair, Side, speaking

SCHEDULES = st.lists(st.sampled_from(SIDES), max_size=14)
"""Whose line is delivered next; then everything is delivered in turns."""

SEEDS = st.integers(0, 50)
"""They decide, among others, whose hash is higher."""

PATIENCE = 60
"""Lines to each side after which they are taken to talk for ever."""

repeatable = settings(derandomize=True, deadline=None, max_examples=60)


def run(pair: Pair, schedule: list[Side], *, doubled: bool = False) -> None:
    """Deliver by the schedule, then in turns; `doubled`, each line arrives twice."""
    for side in [*schedule, *SIDES * PATIENCE]:
        if pair.on_the_way[side]:
            if doubled:
                pair.hand(side, pair.on_the_way[side][0])
            pair.deliver(side)
    assert not any(pair.on_the_way.values()), "the link did not come to rest"


def both_start(pair: Pair) -> None:
    for side in SIDES:
        pair.do(side, pair.talks[side].start())


def talk_well(pair: Pair) -> None:
    for side in SIDES:
        pair.clear()
        pair.say(side, "hello")
        assert pair.events(OTHER[side]) == [Received("hello", Protection.ENCRYPTED)]


@pytest.mark.parametrize(
    ("alices", "bobs", "version"),
    [({2}, {2}, 2), ({3}, {3}, 3), ({2, 3}, {2, 3}, 3), ({2, 3}, {2}, 2), ({3}, {2, 3}, 3)],
)
@given(SEEDS, SCHEDULES, st.booleans())
@repeatable
def test_both_end_in_one_session(
    alices: set[int], bobs: set[int], version: int, seed: int, schedule: list[Side], doubled: bool
) -> None:
    pair = Pair(policies=(speaking(*alices), speaking(*bobs)), seed=seed)
    both_start(pair)
    run(pair, schedule, doubled=doubled)
    assert pair.agreed().version == version
    talk_well(pair)


@pytest.mark.parametrize("version", [2, 3])
@given(SEEDS, SCHEDULES, st.booleans())
@repeatable
def test_both_refresh_at_once(version: int, seed: int, schedule: list[Side], doubled: bool) -> None:
    pair = Pair(version=version, seed=seed)
    before = pair.secure()
    pair.clock.advance(100)
    both_start(pair)
    run(pair, schedule, doubled=doubled)
    assert pair.agreed().ssid != before.ssid
    for side in SIDES:
        assert all(event.refreshed for event in pair.of_kind(side, SessionOpened))
    talk_well(pair)


@given(SEEDS, SCHEDULES, st.sampled_from(["v2", "v3"]), st.sampled_from(["v2", "v3"]))
@repeatable
def test_somebody_edits_what_is_offered(seed: int, schedule: list[Side], first: str, second: str) -> None:
    """Then Commits of different versions may cross; that must not leave two people in two sessions."""
    pair = Pair(policies=(speaking(2, 3), speaking(2, 3)), seed=seed)
    both_start(pair)
    for side, offer in zip(SIDES, (first, second), strict=True):
        pair.hand(side, pair.on_the_way[side].popleft().replace("v23", offer))
    run(pair, schedule)
    if MessageState.ENCRYPTED in {talk.state for talk in pair.talks.values()}:
        pair.agreed()
    if first == second:
        assert f"v{pair.agreed().version}" == first
    pair.wait(LIFETIME + 1)
    assert not any(talk.starting for talk in pair.talks.values())
    pair.secure()
    talk_well(pair)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("version", [2, 3])
def test_only_one_of_two_commits_arrives(version: int, seed: int) -> None:
    """The other is lost for good: whoever sent it answers, or sends it again."""
    pair = Pair(version=version, seed=seed)
    both_start(pair)
    for side in SIDES:
        pair.deliver(side)
    assert len(pair.on_the_way["bob"]) == 1
    pair.on_the_way["bob"].clear()
    pair.settle()
    pair.wait(LIFETIME + 1)
    pair.agreed()
    assert not any(pair.of_kind(side, HandshakeFailed) for side in SIDES)
