"""The link to the engine: found or started, greeted, asked, and found again when it is lost.

Nothing here waits except for an answer, and then for two seconds at most: what takes longer goes on
in `poll`, to be called when `next_poll` says so and when the descriptor is readable.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from enum import Enum
from typing import Any, Callable, Protocol

from .connection import Connection, Lost, Overdue
from .errors import ClientError, NoAnswer, NoLink, Refused
from .frames import Frame
from .launch import Launcher
from .place import Place

PROTOCOL = 1

DEADLINE = 2.0
"""Seconds in which a request is answered."""

START_TIME = 3.0
"""Seconds in which an engine is up; after that it is looked for at greater intervals."""

_SOON = 0.02
_SELDOM = 0.5


class State(Enum):
    """How the link stands; requests reach the engine in UP only."""

    CLOSED = "not begun, or closed"
    STARTING = "an engine is looked for, started, or greeted"
    UP = "in use"
    BROKEN = "an answer did not come in time, and a greeting is not answered yet"
    FAILED = "given up, until it is begun or restarted"
    SUPERSEDED = "another script of this client has taken over"


class Listener(Protocol):
    """Whoever uses a link; told of everything in the engine's order."""

    def greeted(self, answer: Frame) -> None:
        """The link is up; `answer` is what the engine has said to the greeting."""

    def pushed(self, frame: Frame) -> None:
        """Something comes that nobody has asked for."""

    def late(self, do: str, number: int, answer: Frame) -> None:
        """An answer comes after its time."""

    def watch(self, descriptor: int | None) -> None:
        """From now on, call `poll` whenever this descriptor is readable; None for none."""


class Link:
    """One chat client's link to its engine, from the side of the chat client."""

    def __init__(
        self,
        find: Callable[[], Place],
        launcher: Launcher,
        greeting: Frame,
        listener: Listener,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`find` returns where to meet the engine; `greeting` holds `version` and `client`."""
        self._find = find
        self._launcher = launcher
        self._greeting = {"protocol": PROTOCOL, **greeting}
        self._listener = listener
        self._clock = clock
        self._connection: Connection | None = None
        self._place: Place | None = None
        self._since = 0.0
        self._patient = True
        self.state = State.CLOSED
        self._why = _NOT_BEGUN

    @property
    def why(self) -> str:
        """Why nothing can be asked: a clause for the user that tells what to do; empty if it can."""
        if self.state is State.UP:
            return ""
        if self.state is State.STARTING and not self._late:
            return _STARTING
        return self._why

    @property
    def trouble(self) -> str:
        """What keeps the engine away for longer, as a sentence for the user; empty if nothing does."""
        waiting = self.state is State.STARTING and self._late
        return self._why if waiting or self.state is State.FAILED else ""

    @property
    def next_poll(self) -> float | None:
        """In how many seconds `poll` is to be called; None if there is no need to."""
        if self.state is State.STARTING:
            return _SELDOM if self._late else _SOON
        return _SOON if self._launcher.detaching else None

    @property
    def unread(self) -> bool:
        """Whether `poll` is to be called soon though the descriptor does not tell."""
        return self._connection is not None and self._connection.unread

    def fileno(self) -> int | None:
        """Return the descriptor of the connection, None if there is none."""
        return None if self._connection is None else self._connection.fileno()

    def begin(self) -> None:
        """Look for the engine, and have it started if there is none."""
        if self.state in (State.CLOSED, State.FAILED):
            self._launcher.forget_starts()
            self._begin()

    def poll(self) -> None:
        """Go on with what is under way, without waiting."""
        self._launcher.reap()
        if self._connection is not None:
            self._read()
        elif self.state is State.STARTING:
            self._meet()

    def wait(self) -> bool:
        """Wait for an engine that is on its way, once for each start and 2 s at most."""
        self._read()  # it may have ended since, or wake up just now
        deadline = self._clock() + DEADLINE
        while self.state is State.STARTING and self._patient:
            if self._clock() >= deadline:
                self._patient = False
                break
            self.poll()
            if self.state is State.STARTING:
                time.sleep(_SOON / 4)
        return self.state is State.UP

    def request(self, do: str, **fields: Any) -> Frame:
        """Ask the engine, and return its answer.  NoLink, NoAnswer, Refused, BadFrame."""
        if not self.wait() or self._connection is None:
            raise NoLink(self.why)
        connection = self._connection
        try:
            answer = connection.ask(do, fields, self._clock() + DEADLINE, self._clock)
        except Overdue:
            self._broken(connection)
            raise NoAnswer(self._why) from None
        except Lost:
            self._lost(connection)
            raise NoAnswer(_STOPPED) from None
        if answer.get("ok") is not True:
            raise Refused(str(answer.get("why") or _NO_REASON))
        return answer

    def tell(self, do: str, then: Callable[[Frame], None], **fields: Any) -> None:
        """Ask the engine without waiting: `then` gets the answer; nothing happens without a connection."""
        connection = self._connection
        if connection is not None:
            try:
                connection.post(do, fields, then)
            except Lost:
                self._lost(connection)

    def restart(self) -> None:
        """Put a new engine in the place of the old one, which may not even answer.  ClientError."""
        if self.state is State.SUPERSEDED:
            raise ClientError(_SUPERSEDED)
        self.close()
        self._launcher.stop(self._find())
        self.begin()

    def close(self) -> None:
        """Leave the engine alone; it ends when nobody comes back within a minute."""
        self._drop()
        if self.state is not State.SUPERSEDED:
            self.state, self._why = State.CLOSED, _NOT_BEGUN
        self._launcher.reap(DEADLINE)

    # What a connection tells.

    def pushed(self, frame: Frame) -> None:
        """Hand on a push; of being superseded, only that there is nothing left to do."""
        if frame.get("superseded"):
            self.state, self._why = State.SUPERSEDED, _SUPERSEDED
            self._drop()
        else:
            self._listener.pushed(frame)

    def late(self, do: str, number: int, answer: Frame) -> None:
        """Hand on an answer that comes too late."""
        self._listener.late(do, number, answer)

    # How it goes on.

    @property
    def _late(self) -> bool:
        return self._clock() - self._since > START_TIME

    def _begin(self) -> None:
        self.state, self._why = State.STARTING, _SLOW
        self._since = self._clock()
        self._patient = True
        self._place = None  # looked at again: it may have been removed, or mended
        self._meet()

    def _meet(self) -> None:
        """Connect to the engine, or see to it that there is one."""
        try:
            if self._place is None:
                self._place = self._find()
            link = _connect(self._place.socket())
            if link is None:
                self._launcher.start(self._place)
                return
        except ClientError as error:
            self._fail(str(error))
            return
        self._connection = connection = Connection(link, self)
        self._listener.watch(connection.fileno())
        self._greet(connection)

    def _greet(self, connection: Connection) -> None:
        def answered(answer: Frame) -> None:
            if connection is self._connection:
                self._greeted(answer)

        try:
            connection.post("hello", self._greeting, answered)
        except Lost:
            self._lost(connection)

    def _greeted(self, answer: Frame) -> None:
        if answer.get("protocol") != PROTOCOL:
            theirs = answer.get("version", "?")
            self._fail(_OTHER_VERSION.format(self._greeting.get("version", "?"), theirs))
        elif answer.get("ok") is not True:
            self._fail(str(answer.get("why") or _NO_REASON))
        else:
            self.state = State.UP
            self._listener.greeted(answer)

    def _read(self) -> None:
        connection = self._connection
        if connection is not None:
            try:
                connection.read()
            except Lost:
                self._lost(connection)

    def _broken(self, connection: Connection) -> None:
        """An answer has not come; what is asked next is refused at once until a greeting is answered."""
        if connection is self._connection and self.state is State.UP:
            self.state, self._why = State.BROKEN, _NO_ANSWER
            self._greet(connection)

    def _lost(self, connection: Connection) -> None:
        """The connection is of no use any more; look for the engine at once, or for another."""
        if connection is not self._connection:
            return
        known = self.state in (State.UP, State.BROKEN)
        self._drop()
        if known:
            self._begin()

    def _fail(self, why: str) -> None:
        self._drop()
        self.state, self._why = State.FAILED, why

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._listener.watch(None)
            connection.close()


def _connect(path: str | None) -> socket.socket | None:
    """Return a connection to this user's engine; None if nobody listens there, or somebody else does."""
    if path is None:
        return None
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        link.setblocking(False)
        link.connect(path)
        if _owner(link) == os.geteuid():
            return link
    except OSError:
        pass
    link.close()
    return None


def _owner(link: socket.socket) -> int:
    """Return the user at the other end; where the system does not tell, only ours gets at the socket."""
    if not hasattr(socket, "SO_PEERCRED"):
        return os.geteuid()
    credentials = link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[1])


_NOT_BEGUN = "OTR is not running: /otr restart starts it."
_STARTING = "OTR is just being started: try again in a moment."
_SLOW = "OTR's engine does not start. `otr doctor` in a terminal finds out why; /otr restart tries once more."
_STOPPED = "OTR's engine has stopped, and is being started again: try again in a moment."
_NO_ANSWER = (
    "OTR's engine does not answer. It may come back by itself; /otr restart starts it anew, "
    "which ends the encrypted conversations."
)
_OTHER_VERSION = (
    "This script (version {}) and OTR's engine (version {}) do not fit together. /otr restart starts the one "
    "that is installed now, which ends the encrypted conversations; if that does not help, run `otr install` "
    "again in a terminal, and load the script again."
)
_SUPERSEDED = "Another copy of this script does OTR now: unload this one."
_NO_REASON = "OTR's engine did not do it, and did not say why."
