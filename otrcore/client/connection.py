"""One connection to the engine: numbered requests, their answers, and pushes in between."""

from __future__ import annotations

import select
import socket
import sys
from functools import partial
from typing import Callable, Protocol

from .errors import BadFrame, NoAnswer
from .frames import Frame, FrameReader, encode

MAX_UNSENT = 4 << 20
"""Bytes that may wait for an engine that does not read."""

_PIECE = 1 << 16
_MOST_PIECES = 64
_QUIETLY = getattr(socket, "MSG_NOSIGNAL", 0)
_APPLE_NO_SIGNAL = 0x1022


class Receiver(Protocol):
    """Who hears what comes unasked, in the engine's order."""

    def pushed(self, frame: Frame) -> None:
        """Take a push."""

    def late(self, do: str, number: int, answer: Frame) -> None:
        """Take an answer that nobody waits for any more."""


class Lost(Exception):
    """The other side is gone, or makes no sense: the connection is of no use any more."""


class Overdue(NoAnswer):
    """The time for an answer is over."""


class Connection:
    """Frames over a connected socket; whatever has been read is handed on in the order in which it came."""

    def __init__(self, link: socket.socket, receiver: Receiver) -> None:
        link.setblocking(False)
        if sys.platform == "darwin":
            link.setsockopt(socket.SOL_SOCKET, getattr(socket, "SO_NOSIGPIPE", _APPLE_NO_SIGNAL), 1)
        self._socket = link
        self._receiver = receiver
        self._reader = FrameReader()
        self._unsent = b""
        self._last = 0
        self._answers: dict[int, Callable[[Frame], None]] = {}

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when `read` has something to do."""
        return self._socket.fileno()

    def post(self, do: str, fields: Frame, then: Callable[[Frame], None]) -> int:
        """Ask without waiting: `then` gets the answer.  Lost, BadFrame."""
        number = self._last + 1
        self._unsent += encode({"n": number, "do": do, **fields})
        self._last = number
        self._answers[number] = then
        self._send()
        return number

    def ask(self, do: str, fields: Frame, deadline: float, clock: Callable[[], float]) -> Frame:
        """Ask, and wait for the answer.  Lost, BadFrame, Overdue.

        What came behind the answer stays for `read`.
        """
        answers: list[Frame] = []
        number = self.post(do, fields, answers.append)
        while not self._dispatch(answers):
            remaining = deadline - clock()
            if remaining <= 0 or not self._wait(remaining):
                self._answers[number] = partial(self._receiver.late, do, number)
                raise Overdue("OTR's engine does not answer.")
            self._send()
            self._receive()
        return answers[0]

    def read(self) -> None:
        """Hand on what has come, without waiting; what is too much for once stays to be read.  Lost."""
        self._send()
        self._dispatch()
        for _ in range(_MOST_PIECES):
            if not self._receive():
                return
            self._dispatch()

    @property
    def unread(self) -> bool:
        """Whether there may be frames here that the descriptor does not tell of."""
        return self._reader.holds_line

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _dispatch(self, until: list[Frame] | None = None) -> bool:
        """Hand on what has been read; stop with True once `until` has got something."""
        while not until:
            try:
                frame = self._reader.take()
                if frame is None:
                    return False
                self._hand_on(frame)
            except BadFrame as error:
                raise Lost from error
        return True

    def _hand_on(self, frame: Frame) -> None:
        if "push" in frame:
            self._receiver.pushed(frame)
            return
        number = frame.get("re")
        then = self._answers.pop(number, None) if isinstance(number, int) else None
        if then is None:
            raise BadFrame("OTR's engine answers what it was not asked.")
        then(frame)

    def _send(self) -> None:
        try:
            while self._unsent:
                self._unsent = self._unsent[self._socket.send(self._unsent, _QUIETLY) :]
        except BlockingIOError:
            if len(self._unsent) > MAX_UNSENT:
                raise Lost from None
        except OSError:
            # It may have said something before it ended, which comes first.
            self._unsent = b""
            while self._receive():
                self._dispatch()
            raise Lost from None

    def _receive(self) -> bool:
        try:
            data = self._socket.recv(_PIECE)
        except BlockingIOError:
            return False
        except OSError as error:
            raise Lost from error
        if not data:
            raise Lost
        self._reader.feed(data)
        return True

    def _wait(self, seconds: float) -> bool:
        """Wait until there is something to read, or room for what is unsent."""
        if self._socket.fileno() < 0:
            raise Lost  # closed by what was just handed on
        if hasattr(select, "poll"):  # which takes any descriptor; `select` only low ones
            poll = select.poll()
            poll.register(self._socket, select.POLLIN | (select.POLLOUT if self._unsent else 0))
            return bool(poll.poll(seconds * 1000))
        writing = [self._socket] if self._unsent else []
        return any(select.select([self._socket], writing, [], seconds))
