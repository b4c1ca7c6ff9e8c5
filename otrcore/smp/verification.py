"""One side of SMP in one encrypted conversation: what is asked, answered and due (v3, "SMP state machine").

At most one run is under way, and at most one question waits for our user.  Whatever
comes out of turn or does not verify ends the run on both sides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol

from ..crypto.random import Random
from ..errors import PeerError, UsageError
from ..events import SmpAborted, SmpAsked, SmpEnd, SmpFailed, SmpProgress, SmpSucceeded
from ..protocols import Step
from ..wire.tlv import Tlv
from . import machine
from .group import E, Group
from .machine import AwaitingAnswer, Expect1, Expect2, Expect3, Expect4


class Records(Protocol):
    """How a version of OTR puts SMP messages into TLV records."""

    def write(self, step: int, message: bytes, question: bytes | None = None) -> Tlv:
        """Return the record of message 1, 2, 3 or 4."""

    def read(self, record: Tlv) -> tuple[int, bytes, bytes | None] | None:
        """Return step (0 for abort), message and question; None if it is no SMP record.

        PeerError for one in a wrong form.
        """

    @property
    def abort(self) -> Tlv:
        """The record that ends a run."""


class Verification(Generic[E]):
    """`compared` takes whether we asked, and the user's secret; it returns the number to compare."""

    __slots__ = ("_compared", "_group", "_random", "_records", "_state", "_trusts")

    def __init__(
        self,
        group: Group[E],
        random: Random,
        records: Records,
        compared: Callable[[bool, bytes], int],
    ) -> None:
        """Begin idle, in SMPSTATE_EXPECT1; `random` is asked for the exponents of each run."""
        self._group = group
        self._random = random
        self._records = records
        self._compared = compared
        self._state: machine.State[E] = Expect1()
        self._trusts = True

    @property
    def running(self) -> bool:
        """Whether a run is under way, a question that waits for our user included."""
        return not isinstance(self._state, Expect1)

    @property
    def waiting(self) -> bool:
        """Whether a question of the peer waits for our user."""
        return isinstance(self._state, AwaitingAnswer)

    def ask(self, secret: bytes, question: bytes | None) -> Step:
        """Begin a run; one that is under way is ended first.  ValueError if the question holds a NUL."""
        if question is not None and b"\0" in question:
            raise ValueError("a question must not hold NUL")
        given_up = (self._records.abort,) if self.running else ()
        message, self._state = machine.ask(self._group, self._random, self._compared(True, secret))
        self._trusts = True
        return Step((*given_up, self._records.write(1, message, question)), (SmpProgress(25),))

    def answer(self, secret: bytes) -> Step:
        """Answer the peer's question; UsageError if there is none."""
        if not isinstance(self._state, AwaitingAnswer):
            raise UsageError("There is no question to answer: ask one yourself.")
        message, self._state = machine.answer(
            self._group, self._random, self._state, self._compared(False, secret)
        )
        return Step((self._records.write(2, message),), (SmpProgress(50),))

    def abort(self) -> Step:
        """End the run that is under way; the peer is told in all cases, as its side may hang."""
        events = (SmpAborted(SmpEnd.HERE),) if self.running else ()
        self._state = Expect1()
        return Step((self._records.abort,), events)

    def renounce(self) -> Step:
        """Tell the peer to give up a run that was begun in an earlier session: it could only fail here."""
        return Step((self._records.abort,))

    def receive(self, record: Tlv) -> Step | None:
        """Take a record of the peer; None if it has nothing to do with SMP."""
        try:
            content = self._records.read(record)
            return None if content is None else self._take(*content)
        except PeerError:
            self._state = Expect1()
            return Step((self._records.abort,), (SmpAborted(SmpEnd.CHEATED),))

    def _take(self, step: int, message: bytes, question: bytes | None) -> Step:
        match self._state, step:
            case Expect1(), 0:
                return Step()
            case _, 0:
                self._state = Expect1()
                return Step(events=(SmpAborted(SmpEnd.PEER),))
            # A new question takes the place of one that our user has not answered yet.
            case (Expect1() | AwaitingAnswer()) as state, 1:
                self._state = machine.take_1(self._group, message)
                # A question verifies who answers it, to who asks: that is us, not them.  What takes its place
                # is no better, as our user may still answer what stood there first.
                trusted = self._trusts or isinstance(state, Expect1)
                self._trusts = trusted and question is None
                return Step(events=(SmpAsked(question.decode(errors="replace") if question else None),))
            case Expect2() as state, 2:
                reply, self._state = machine.take_2(self._group, self._random, state, message)
                return Step((self._records.write(3, reply),), (SmpProgress(75),))
            case Expect3() as state, 3:
                reply, equal = machine.take_3(self._group, self._random, state, message)
                return self._finish(equal, self._records.write(4, reply))
            case Expect4() as state, 4:
                return self._finish(machine.take_4(self._group, state, message))
            case _:
                self._state = Expect1()
                return Step((self._records.abort,), (SmpAborted(SmpEnd.OUT_OF_TURN),))

    def _finish(self, equal: bool, *records: Tlv) -> Step:
        self._state = Expect1()
        return Step(records, (SmpSucceeded(self._trusts) if equal else SmpFailed(self._trusts),))
