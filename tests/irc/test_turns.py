"""Steps and what waits behind them: in order, bounded, and nothing typed is lost."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as some

from otrcore.conversation import Conversation
from otrcore.errors import UsageError
from otrcore.events import Event
from otrcore.irc.actions import Action, ShowNote
from otrcore.irc.lanes import Inline
from otrcore.irc.turns import MAX_WAITING, Turns


class ByHand:
    """Lanes in which every step takes long, and ends when a test says so."""

    def __init__(self) -> None:
        self.steps: deque[tuple[Callable[[], Any], Callable[[Callable[[], Any]], None]]] = deque()

    def run(self, step: Callable[[], Any], then: Callable[[Callable[[], Any]], None]) -> None:
        self.steps.append((step, then))

    def wait(self) -> None:
        step, then = self.steps.popleft()
        then(step)


class Host:
    """What belongs to turns in a host."""

    def __init__(self, lanes: ByHand | Inline) -> None:
        self.shown: list[str] = []
        self.turns = Turns(lanes, self.sink)

    def sink(self, actions: Sequence[Action]) -> None:
        self.shown += [line for action in actions if isinstance(action, ShowNote) for line in action.lines]

    def step(self, talk: Conversation, name: str) -> list[Action] | None:
        def then(result: Callable[[], list[Event]]) -> list[Action]:
            result()
            return said(name)

        return self.turns.run(talk, list, then, lambda actions: actions)

    def behind(
        self, talk: Conversation, name: str, *, typed: str | None = None, bounded: bool = True
    ) -> None:
        self.turns.behind(talk, lambda: said(name), typed=typed, bounded=bounded)


def said(*lines: str) -> list[Action]:
    return [ShowNote("bob", lines)]


def somebody() -> Conversation:
    """Return what is never looked at."""
    return cast(Conversation, object())


@pytest.fixture
def lanes() -> ByHand:
    return ByHand()


@pytest.fixture
def host(lanes: ByHand) -> Host:
    return Host(lanes)


def test_what_is_done_at_once_is_no_turn() -> None:
    host, bob = Host(Inline()), somebody()
    assert host.step(bob, "at once") == said("at once")
    assert bob not in host.turns
    host.turns.finish()
    assert host.shown == []


def test_jobs_wait_for_the_step_in_their_order(host: Host, lanes: ByHand) -> None:
    bob, carol = somebody(), somebody()
    assert host.step(bob, "step") is None
    assert bob in host.turns and carol not in host.turns
    for name in "abc":
        host.behind(bob, name)
    assert host.shown == []
    lanes.wait()
    assert host.shown == ["step", "a", "b", "c"]
    assert bob not in host.turns


def test_a_job_that_begins_another_step_keeps_the_rest_waiting(host: Host, lanes: ByHand) -> None:
    bob = somebody()
    host.step(bob, "one")
    host.behind(bob, "a")

    def next_step() -> Sequence[Action]:
        assert host.step(bob, "two") is None
        host.behind(bob, "what the job adds")
        return said("b begins two")

    host.turns.behind(bob, next_step)
    host.behind(bob, "c")
    lanes.wait()
    assert host.shown == ["one", "a", "b begins two"]
    host.behind(bob, "d")
    lanes.wait()
    assert host.shown[3:] == ["two", "what the job adds", "c", "d"]


def test_conversations_do_not_wait_for_each_other(host: Host, lanes: ByHand) -> None:
    bob, carol = somebody(), somebody()
    host.step(bob, "bob's")
    host.behind(bob, "behind bob's")
    host.step(carol, "carol's")
    lanes.steps.rotate()
    lanes.wait()
    assert host.shown == ["carol's"]
    assert carol not in host.turns and bob in host.turns


def test_waiting_is_bounded_but_for_what_must_not_be_left_out(host: Host, lanes: ByHand) -> None:
    bob = somebody()
    host.step(bob, "step")
    for number in range(MAX_WAITING):
        host.behind(bob, str(number))
    with pytest.raises(UsageError, match="try again"):
        host.behind(bob, "too much")
    host.behind(bob, "the end", bounded=False)
    lanes.wait()
    assert host.shown == ["step", *map(str, range(MAX_WAITING)), "the end"]


def test_a_text_is_withdrawn_the_newest_first(host: Host, lanes: ByHand) -> None:
    bob = somebody()
    host.step(bob, "step")
    for number, typed in enumerate(["x", "y", "x"]):
        host.behind(bob, str(number), typed=typed)
    assert host.turns.withdraw(bob, "x")
    assert not host.turns.withdraw(bob, "z")
    lanes.wait()
    assert host.shown == ["step", "0", "1"]


def test_finishing_one_or_all(host: Host, lanes: ByHand) -> None:
    bob, carol = somebody(), somebody()
    for talk, name in ((bob, "bob"), (carol, "carol")):
        host.step(talk, name)
        host.turns.behind(talk, lambda talk=talk, name=name: host.step(talk, name + " again") or ())  # type: ignore[misc]
    host.turns.finish(bob)
    assert bob not in host.turns
    assert [line for line in host.shown if line.startswith("bob")] == ["bob", "bob again"]
    host.turns.finish()
    assert sorted(host.shown) == ["bob", "bob again", "carol", "carol again"]
    host.turns.finish()


@given(some.lists(some.tuples(some.integers(0, 2), some.sampled_from(["step", "job", "wait"])), max_size=60))
def test_each_conversation_keeps_its_order(script: list[tuple[int, str]]) -> None:
    lanes = ByHand()
    host, talks = Host(lanes), [somebody() for _ in range(3)]
    asked: dict[int, list[str]] = {0: [], 1: [], 2: []}
    for number, (who, what) in enumerate(script):
        talk, name = talks[who], f"{who} {number}"
        if what == "wait":
            if lanes.steps:
                lanes.wait()
            continue
        asked[who].append(name)
        if talk not in host.turns:
            if what == "step":
                host.step(talk, name)
            else:
                host.sink(said(name))
        elif what == "step":
            host.turns.behind(talk, lambda talk=talk, name=name: host.step(talk, name) or ())  # type: ignore[misc]
        else:
            host.behind(talk, name)
    host.turns.finish()
    for who, names in asked.items():
        assert [line for line in host.shown if line.startswith(f"{who} ")] == names
