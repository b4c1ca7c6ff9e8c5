"""Each conversation has its steps done one after the other, while others go on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from ..conversation import Conversation
from ..errors import UsageError
from ..events import Event
from .actions import Action
from .lanes import Lanes, Result

MAX_WAITING = 200
"""Messages and commands that wait behind a step of one conversation."""

T = TypeVar("T")

Job = Callable[[], Sequence[Action]]
"""Done in turn; must not raise."""


class _Waiting(NamedTuple):
    job: Job
    typed: str | None


class Turns:
    """Which conversations are in the middle of a step, and what waits for its end."""

    def __init__(self, lanes: Lanes, sink: Callable[[Sequence[Action]], None]) -> None:
        self._lanes = lanes
        self._sink = sink
        self._waiting: dict[Conversation, deque[_Waiting]] = {}

    def __contains__(self, talk: Conversation | None) -> bool:
        """Whether a conversation is in the middle of a step: it must not even be looked at then."""
        return talk in self._waiting

    def run(
        self,
        talk: Conversation,
        step: Callable[[], list[Event]],
        then: Callable[[Result[list[Event]]], T],
        late: Callable[[T], Sequence[Action]],
    ) -> T | None:
        """Have a step done, and return what `then` makes of its result.

        If that takes long, None is returned, and the sink hears what `late` makes of it in turn.
        Neither `then` nor `late` may raise.
        """
        result = self._lanes.run(step, lambda result: self._go_on(talk, lambda: late(then(result))))
        if result is None:
            self._waiting[talk] = deque()
            return None
        return then(result)

    def behind(self, talk: Conversation, job: Job, *, typed: str | None = None, bounded: bool = True) -> None:
        """Have something done once the present step has ended.

        `typed` is a text of the user that it would send.  UsageError if too much waits; never for
        what is not `bounded`, and must not be left out.
        """
        waiting = self._waiting[talk]
        if bounded and len(waiting) >= MAX_WAITING:
            raise UsageError("Too much waits for this conversation already: try again in a moment.")
        waiting.append(_Waiting(job, typed))

    def withdraw(self, talk: Conversation, typed: str) -> bool:
        """Leave out the newest job that would send this text; tell whether there was one."""
        waiting = self._waiting[talk]
        for at in reversed(range(len(waiting))):
            if waiting[at].typed == typed:
                del waiting[at]
                return True
        return False

    def finish(self, talk: Conversation | None = None) -> None:
        """Wait until nothing is under way in a conversation, or in any."""
        while self._waiting if talk is None else talk in self._waiting:
            self._lanes.wait()

    def _go_on(self, talk: Conversation, last: Job) -> None:
        jobs = deque([_Waiting(last, None), *self._waiting.pop(talk)])
        while jobs and talk not in self._waiting:
            actions = jobs.popleft().job()
            if actions:
                self._sink(actions)
        if jobs:  # one of them has begun a step that takes long, too
            self._waiting[talk].extend(jobs)
