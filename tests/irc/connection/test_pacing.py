"""The token bucket against its definition, and the queue's order, fairness and bounds."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otrcore.irc.connection.pacing import (
    HOLD_SECONDS,
    MAX_HELD,
    MAX_LINES,
    MAX_LINES_PER_TARGET,
    SLOW_SECONDS,
    OutboundQueue,
    Pace,
    TokenBucket,
)


def drain(queue: OutboundQueue[str], now: float) -> list[tuple[float, str, str]]:
    """Everything that leaves, with the moment it leaves, waking up exactly when `next_due` says."""
    sent: list[tuple[float, str, str]] = []
    while (due := queue.next_due(now)) is not None:
        now = due
        batch = queue.due(now)
        assert batch, "next_due named a moment at which nothing was due: a caller would spin"
        sent += [(now, target, line) for target, line in batch]
    return sent


def test_profiles_are_the_measured_ones() -> None:
    assert (Pace.DEFAULT.burst, Pace.DEFAULT.per_second) == (8, 1.0)
    assert (Pace.FAST.burst, Pace.FAST.per_second) == (5, 2.0)
    assert Pace.NONE.per_second == math.inf


def test_bucket_lets_the_burst_out_then_one_a_second() -> None:
    bucket = TokenBucket(3, 1.0)
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]
    assert bucket.next_take() == 101.0
    assert not bucket.take(100.99)
    assert bucket.take(101.0)
    assert not bucket.take(101.0)


def test_bucket_refills_to_the_burst_and_no_further() -> None:
    bucket = TokenBucket(3, 1.0)
    for _ in range(3):
        assert bucket.take(0.0)
    assert [bucket.take(1000.0) for _ in range(4)] == [True, True, True, False]


@pytest.mark.parametrize(("burst", "rate"), [(0, 1.0), (1, 0.0), (1, -1.0), (1, math.nan)])
def test_bucket_refuses_a_rate_that_never_sends(burst: int, rate: float) -> None:
    with pytest.raises(ValueError, match="burst"):
        TokenBucket(burst, rate)


@given(
    burst=st.integers(1, 20),
    rate=st.floats(0.01, 1000.0),
    start=st.floats(0.0, 1e9),
    gaps=st.lists(st.floats(0.0, 5.0), max_size=60),
)
def test_bucket_never_lets_more_out_than_burst_plus_rate_times_time(
    burst: int, rate: float, start: float, gaps: list[float]
) -> None:
    bucket = TokenBucket(burst, rate)
    now = start
    taken = 0
    for gap in gaps:
        now += gap
        while taken <= 5000 and bucket.take(now):
            taken += 1
    assert taken <= burst + rate * (now - start) + 1e-3


@given(burst=st.integers(1, 20), rate=st.floats(0.01, 1000.0), start=st.floats(0.0, 1e9))
def test_bucket_always_keeps_its_word(burst: int, rate: float, start: float) -> None:
    bucket = TokenBucket(burst, rate)
    for _ in range(burst + 5):
        assert bucket.take(max(start, bucket.next_take()))


def test_one_message_leaves_whole_and_in_order() -> None:
    queue: OutboundQueue[str] = OutboundQueue(Pace.NONE)
    assert queue.offer("bob", ["1", "2", "3"])
    assert queue.due(0.0) == [("bob", "1"), ("bob", "2"), ("bob", "3")]
    assert queue.next_due(0.0) is None


def test_two_messages_to_one_target_never_interleave() -> None:
    queue: OutboundQueue[str] = OutboundQueue(Pace.NONE)
    for message in ("a", "b"):
        assert queue.offer("bob", [message + str(n) for n in range(4)])
        assert queue.offer("carol", [message + str(n) for n in range(2)])
    to_bob = [line for _, target, line in drain(queue, 0.0) if target == "bob"]
    assert to_bob == ["a0", "a1", "a2", "a3", "b0", "b1", "b2", "b3"]


def test_targets_take_turns_so_that_a_short_answer_overtakes_a_long_one() -> None:
    queue: OutboundQueue[str] = OutboundQueue(Pace(burst=1, per_second=1.0))
    assert queue.offer("long", [f"l{n}" for n in range(14)])
    assert queue.offer("short", ["s"])
    order = [(when, line) for when, _, line in drain(queue, 0.0)]
    assert order[:3] == [(0.0, "l0"), (1.0, "s"), (2.0, "l1")]


def test_default_pace_sends_eight_at_once_then_one_each_second() -> None:
    queue: OutboundQueue[str] = OutboundQueue(Pace.DEFAULT)
    assert queue.offer("bob", [str(n) for n in range(12)])
    assert [when for when, _, _ in drain(queue, 50.0)] == [50.0] * 8 + [51.0, 52.0, 53.0, 54.0]


def test_offer_is_all_or_nothing_for_one_target() -> None:
    queue: OutboundQueue[str] = OutboundQueue()
    assert queue.offer("bob", ["x"] * (MAX_LINES_PER_TARGET - 1))
    assert not queue.offer("bob", ["y", "y"])
    assert len(queue) == MAX_LINES_PER_TARGET - 1
    assert queue.offer("bob", ["z"])
    assert not queue.offer("bob", ["z"])
    assert queue.offer("carol", ["c"])


def test_offer_is_bounded_in_all() -> None:
    queue: OutboundQueue[str] = OutboundQueue()
    taken = sum(queue.offer(f"t{n}", ["x"] * 50) for n in range(20))
    assert taken == MAX_LINES // 50
    assert len(queue) == MAX_LINES
    assert not queue.offer("late", ["x"])
    queue.due(0.0)
    assert queue.offer("late", ["x"])


def test_a_message_larger_than_the_bound_is_refused_whole() -> None:
    queue: OutboundQueue[str] = OutboundQueue()
    assert not queue.offer("bob", ["x"] * (MAX_LINES_PER_TARGET + 1))
    assert len(queue) == 0
    assert queue.next_due(0.0) is None


def test_an_empty_message_waits_for_nothing() -> None:
    queue: OutboundQueue[str] = OutboundQueue()
    assert queue.offer("bob", [])
    assert queue.next_due(0.0) is None
    assert queue.due(0.0) == []


def test_discard_drops_only_the_target_that_is_gone() -> None:
    queue: OutboundQueue[str] = OutboundQueue(Pace.NONE)
    assert queue.offer("bob", ["1", "2"])
    assert queue.offer("carol", ["3"])
    assert queue.discard(lambda target: target == "bob") == 2
    assert len(queue) == 1
    assert queue.due(0.0) == [("carol", "3")]


def test_rename_moves_waiting_lines_behind_those_of_the_new_name() -> None:
    queue: OutboundQueue[str] = OutboundQueue(Pace.NONE)
    assert queue.offer("bob", ["1", "2"])
    assert queue.offer("robert", ["0"])
    queue.rename(lambda target: target == "bob", "robert")
    assert [line for _, line in queue.due(0.0)] == ["0", "1", "2"]
    assert len(queue) == 0


def test_rename_onto_the_same_name_keeps_the_lines() -> None:
    queue: OutboundQueue[str] = OutboundQueue(Pace.NONE)
    assert queue.offer("bob", ["1"])
    queue.rename(lambda target: target == "bob", "bob")
    assert queue.due(0.0) == [("bob", "1")]


def test_clear_forgets_lines_but_not_the_spent_burst() -> None:
    queue: OutboundQueue[str] = OutboundQueue(Pace(burst=2, per_second=1.0))
    assert queue.offer("bob", ["1", "2", "3"])
    assert len(queue.due(0.0)) == 2
    queue.clear()
    assert len(queue) == 0
    assert queue.offer("bob", ["4"])
    assert queue.due(0.0) == []
    assert queue.next_due(0.0) == 1.0


@given(
    offers=st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 9)), max_size=80),
    burst=st.integers(1, 8),
)
def test_everything_taken_leaves_exactly_once_and_in_order(offers: list[tuple[str, int]], burst: int) -> None:
    queue: OutboundQueue[str] = OutboundQueue(
        Pace(burst=burst, per_second=4.0), max_lines=60, max_lines_per_target=25
    )
    accepted: dict[str, list[str]] = {}
    for serial, (target, size) in enumerate(offers):
        lines = [f"{serial}.{n}" for n in range(size)]
        if queue.offer(target, lines):
            accepted.setdefault(target, []).extend(lines)
    assert len(queue) == sum(map(len, accepted.values())) <= 60
    left: dict[str, list[str]] = {target: [] for target in accepted}
    for _, target, line in drain(queue, 0.0):
        left[target].append(line)
    assert left == accepted


def test_a_target_that_the_server_throttles_rests_while_others_go_on_at_half_the_rate() -> None:
    queue: OutboundQueue[str] = OutboundQueue(Pace(burst=2, per_second=1.0), fold=str.lower)
    assert queue.offer("Bob", ["b1", "b2", "b3"])
    assert queue.due(0.0) == [("Bob", "b1"), ("Bob", "b2")]
    queue.throttled("bob", 0.0)
    assert queue.offer("carol", ["c1", "c2", "c3"])
    assert drain(queue, 0.0) == [
        (2.0, "carol", "c1"),
        (4.0, "carol", "c2"),
        (6.0, "carol", "c3"),
        (HOLD_SECONDS, "Bob", "b3"),
    ]


def test_what_is_offered_to_a_resting_target_waits_too() -> None:
    queue: OutboundQueue[str] = OutboundQueue(Pace.NONE)
    queue.throttled("bob", 10.0)
    assert queue.offer("bob", ["x"])
    assert queue.due(10.0) == []
    assert queue.next_due(10.0) == 10.0 + HOLD_SECONDS
    assert queue.due(10.0 + HOLD_SECONDS) == [("bob", "x")]


def test_the_rate_is_whole_again_after_five_minutes() -> None:
    queue: OutboundQueue[str] = OutboundQueue(Pace(burst=1, per_second=1.0), max_lines_per_target=400)
    queue.throttled("somebody", 0.0)
    queue.throttled("somebody", 1.0)  # a second one prolongs it, and does not halve again
    assert queue.offer("bob", ["x"] * 400)
    times = [when for when, _, _ in drain(queue, 1.0)]
    slow = [when for when in times if when < 1.0 + SLOW_SECONDS]
    fast = [when for when in times if when >= 1.0 + SLOW_SECONDS]
    assert {later - earlier for earlier, later in pairwise(slow)} == {2.0}
    assert {later - earlier for earlier, later in pairwise(fast)} == {1.0}
    assert len(times) == 400


def test_the_end_of_the_slow_time_lets_lines_out_at_once() -> None:
    queue: OutboundQueue[str] = OutboundQueue(Pace(burst=1, per_second=0.001))
    assert queue.offer("bob", ["1", "2"])
    assert queue.due(0.0) == [("bob", "1")]
    queue.throttled("carol", 0.0)
    assert queue.next_due(0.0) == SLOW_SECONDS
    assert queue.due(SLOW_SECONDS) == [("bob", "2")]


def test_resting_targets_are_remembered_in_bounds() -> None:
    queue: OutboundQueue[str] = OutboundQueue()
    for number in range(10 * MAX_HELD):
        queue.throttled(f"n{number}", 0.0)
    assert len(queue._held) == MAX_HELD
    queue.throttled("later", HOLD_SECONDS)
    assert len(queue._held) == 1


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["offer", "throttle", "wait"]), st.sampled_from("abc"), st.floats(0.0, 400.0)
        ),
        max_size=40,
    ),
    burst=st.integers(1, 8),
    rate=st.floats(0.1, 10.0),
)
def test_next_due_keeps_its_word_whatever_is_throttled(
    steps: list[tuple[str, str, float]], burst: int, rate: float
) -> None:
    queue: OutboundQueue[str] = OutboundQueue(Pace(burst, rate))
    now = offered = left = 0.0
    for what, target, seconds in steps:
        if what == "offer":
            offered += 3 * queue.offer(target, ["x"] * 3)
        elif what == "throttle":
            queue.throttled(target, now)
        else:
            now += seconds
            left += len(queue.due(now))
    assert left + len(drain(queue, now)) == offered
