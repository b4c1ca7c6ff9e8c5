"""Lanes in which every step takes long and ends when a test says so, and what watches over all lanes."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import FunctionType
from typing import Any

from otrcore.conversation import Conversation
from otrcore.irc.lanes import Lanes
from otrcore.relation import Relation

Then = Callable[[Callable[[], Any]], None]


class ByHand:
    """Steps are done in this thread, when their turn comes."""

    def __init__(self) -> None:
        self.steps: deque[tuple[Callable[[], Any], Then]] = deque()

    def run(self, step: Callable[[], Any], then: Then) -> Callable[[], Any] | None:
        """Put a step off."""
        self.steps.append((step, then))
        return None

    def wait(self) -> None:
        """Do the next step."""
        step, then = self.steps.popleft()
        then(step)

    def finish(self) -> None:
        """Do all steps, and those that come of them."""
        while self.steps:
            self.wait()


class Watched(Conversation):
    """A conversation that notes who looks at it from outside while a step of it is under way."""

    __slots__ = ("_looks", "_stepping")

    def stepping(self, thread: int | None, looks: list[str]) -> None:
        """From now on only this thread may look; any if it is None."""
        object.__setattr__(self, "_stepping", thread)
        object.__setattr__(self, "_looks", looks)

    def _note(self, name: str) -> None:
        stepping = object.__getattribute__(self, "_stepping")
        if stepping is not None and stepping != threading.get_ident():
            object.__getattribute__(self, "_looks").append(name)

    def __getattribute__(self, name: str) -> Any:
        # A method that is only named, and called later, tells nothing.
        if name not in _FREE and not isinstance(getattr(Conversation, name, None), FunctionType):
            with suppress(AttributeError):  # no step yet
                object.__getattribute__(self, "_note")(name)
        return object.__getattribute__(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _FREE:
            with suppress(AttributeError):
                object.__getattribute__(self, "_note")(name)
        object.__setattr__(self, name, value)

    @property
    def peer(self) -> str:
        relation: Relation = object.__getattribute__(self, "_relation")
        return relation.peer

    @peer.setter
    def peer(self, name: str) -> None:
        relation: Relation = object.__getattribute__(self, "_relation")
        relation.peer = name


_FREE = {"peer", "stepping", "__class__"}
"""The name is the host's own; what a step has begun under another one is begun anew behind it."""


class Watching:
    """Lanes that let others do the steps, and catch whoever looks at a conversation in the middle of one."""

    def __init__(self, lanes: Lanes, looks: list[str]) -> None:
        self.lanes = lanes
        self._looks = looks
        self._under_way: set[Watched] = set()

    def run(self, step: Callable[[], Any], then: Then) -> Callable[[], Any] | None:
        """Have a step done, during which only its thread may look at the conversation."""
        talk = _conversation(step)
        if not isinstance(talk, Watched):
            return self.lanes.run(step, then)
        assert talk not in self._under_way, "two steps of one conversation at once"
        self._under_way.add(talk)
        talk.stepping(_NOBODY, self._looks)

        def watched() -> Any:
            talk.stepping(threading.get_ident(), self._looks)
            try:
                return step()
            finally:
                talk.stepping(_NOBODY, self._looks)

        def over(result: Callable[[], Any]) -> Callable[[], Any]:
            # Lanes without threads do the step only when they are asked for its result.
            done = _outcome(result)
            talk.stepping(None, self._looks)
            self._under_way.remove(talk)
            return done

        result = self.lanes.run(watched, lambda result: then(over(result)))
        return None if result is None else over(result)

    def wait(self) -> None:
        """Wait for one of the steps."""
        self.lanes.wait()


_NOBODY = -1


def _conversation(step: Callable[[], Any]) -> object:
    """Return whose step this is: hosts give them as bound methods, or as functions of a conversation."""
    assert isinstance(step, partial)
    return (
        step.args[0]
        if step.args and isinstance(step.args[0], Conversation)
        else getattr(step.func, "__self__", None)
    )


def _outcome(result: Callable[[], Any]) -> Callable[[], Any]:
    try:
        value = result()
    except Exception as error:
        failure = error

        def again() -> Any:
            raise failure

        return again
    return lambda: value
