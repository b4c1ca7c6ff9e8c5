"""Slow work of conversations beside the thread that talks with the network.

A key exchange or a verification takes some ten milliseconds of arithmetic, in which a chat
client should neither freeze nor keep other people waiting.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from concurrent.futures import TimeoutError as TakesLong
from contextlib import suppress
from typing import Any, Protocol, TypeVar

import gmpy2

PATIENCE = 0.003
"""Seconds for which a step is waited for; what takes longer comes later."""

NICENESS = 10
"""Of the threads: who waits for a key exchange waits long enough not to notice."""

WORKERS = 2
"""Steps at once; more would only share the machine with the chat client."""

_AT_ONCE = 4096

T = TypeVar("T")

Result = Callable[[], T]
"""Called once, returns what a step has returned, or raises what it has raised."""


class Lanes(Protocol):
    """Where a host has the steps of its conversations done.

    The host never asks for two steps of one conversation at once.
    """

    def run(self, step: Callable[[], T], then: Callable[[Result[T]], None]) -> Result[T] | None:
        """Do a step, and return its result; None if it takes long, and `then` gets it later."""

    def wait(self) -> None:
        """Wait until one of the steps that take long is done, and hand over its result."""


class Inline:
    """No lanes at all: every step is done while the caller waits."""

    def run(self, step: Callable[[], T], then: Callable[[Result[T]], None]) -> Result[T] | None:
        """Have the caller do it."""
        return step

    def wait(self) -> None:
        """Nothing takes long."""


class Threads:
    """Lanes in a few threads; to be waited for by `fileno` and settled by the thread that made it."""

    def __init__(self, patience: float = PATIENCE) -> None:
        """`patience` is the number of seconds for which `run` waits."""
        self._patience = patience
        self._executor = ThreadPoolExecutor(WORKERS, "otrcore-lane", _stand_back)
        self._reading, self._writing = socket.socketpair()
        self._reading.setblocking(False)
        self._writing.setblocking(False)
        self._under_way: dict[Future[Any], Callable[[Result[Any]], None]] = {}

    def run(self, step: Callable[[], T], then: Callable[[Result[T]], None]) -> Result[T] | None:
        """Do a step in a thread."""
        # One that has to wait for a thread would not be done in time.
        patience = self._patience if len(self._under_way) < WORKERS else 0.0
        future = self._executor.submit(step)
        try:
            future.exception(patience)
        except TakesLong:
            self._under_way[future] = then
            future.add_done_callback(self._wake)
            return None
        return future.result

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when `settle` has something to do."""
        return self._reading.fileno()

    def settle(self) -> None:
        """Hand over the results of the steps that are done."""
        with suppress(BlockingIOError):
            while self._reading.recv(_AT_ONCE):
                pass
        for future in [future for future in self._under_way if future.done()]:
            # One of those before it may have waited for this one.
            then = self._under_way.pop(future, None)
            if then is not None:
                then(future.result)

    def wait(self) -> None:
        """Wait for one of the threads."""
        wait(self._under_way, return_when=FIRST_COMPLETED)
        self.settle()

    def close(self) -> None:
        """Let what is under way end, and give up the rest."""
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._under_way.clear()
        self._reading.close()
        self._writing.close()

    def _wake(self, future: Future[Any]) -> None:
        with suppress(BlockingIOError):  # full of earlier news, which will do
            self._writing.send(b"\0")


def _stand_back() -> None:
    """Let this thread's arithmetic keep neither the interpreter nor the processor from the other threads."""
    gmpy2.get_context().allow_release_gil = True
    if sys.platform == "linux":  # elsewhere this number would be a process's
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
