"""Engines as tests have them: as the process that a client starts, and in this process where that is faster.

with Process(folder) as engine:
    link = engine.connect()
    link.greet()
    answer = link.ask("complete", server="net", peer="", typed="st")
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from otrcore.engine.frames import Frame, encode
from otrcore.engine.requests import Request
from otrcore.engine.servers import PROTOCOL, Servers
from otrcore.engine.watch import start_time
from otrcore.irc.lanes import Lanes, Threads
from otrcore.store.identities import DEFAULT_NETWORK
from otrcore.store.store import Store
from tests.pair import identity

PATIENCE = 20.0
"""Seconds after which a test that waits for something has failed."""


def until(happened: Callable[[], object], pause: float = 0.01) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, "this did not happen"
        time.sleep(pause)


def furnished(folder: Path, nick: str) -> Path:
    """Return a data folder in which a key lies already: to make one takes a while."""
    with Store(folder) as store:
        store.identities.put(DEFAULT_NETWORK, identity(nick))
    return folder


class Closed(ConnectionError):
    """The engine has closed the connection."""


class Link:
    """A connection to an engine, and everything that has come by it."""

    def __init__(self, path: Path, hears: Callable[[Frame], None] = lambda frame: None) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))
        self.frames: list[Frame] = []
        self._hears = hears
        self._rest = b""
        self._last = 0

    def close(self) -> None:
        self.socket.close()

    def raw(self, data: bytes) -> None:
        """Send bytes; Closed."""
        try:
            self.socket.sendall(data)
        except ConnectionError as error:
            raise Closed from error

    def post(self, do: str, **fields: Any) -> int:
        """Send a request; return its number."""
        self._last += 1
        self.raw(encode({"n": self._last, "do": do, **fields}))
        return self._last

    def ask(self, do: str, **fields: Any) -> Frame:
        """Return the answer to a request; what comes before it is heard before."""
        return self.answer(self.post(do, **fields))

    def answer(self, number: int) -> Frame:
        """Return the answer to a request that was sent."""
        while True:
            frame = self.next()
            assert frame is not None, "no answer"
            if "re" in frame:
                assert frame["re"] == number
                return frame

    def greet(self, **fields: Any) -> Frame:
        """Say hello."""
        return self.ask("hello", **{"protocol": PROTOCOL, "version": "1", "client": "test 1", **fields})

    def next(self, patience: float = PATIENCE) -> Frame | None:
        """Return the next frame, None if none comes; Closed.  A push is heard."""
        deadline = time.monotonic() + patience
        while b"\n" not in self._rest:
            self.socket.settimeout(max(0.0, deadline - time.monotonic()))
            try:
                data = self.socket.recv(1 << 16)
            except (TimeoutError, BlockingIOError):
                return None
            except ConnectionError as error:
                raise Closed from error
            finally:
                self.socket.settimeout(None)
            if not data:
                raise Closed
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        assert len(line) < 1 << 20
        frame: Frame = json.loads(line.decode("ascii"))
        self.frames.append(frame)
        assert ("re" in frame) != ("push" in frame)
        if "push" in frame:
            self._hears(frame)
        return frame

    def poll(self) -> None:
        """Hear what has come."""
        while self.next(0.0) is not None:
            pass

    def closed(self) -> bool:
        """Whether the engine has closed the connection, after having said what it had to say."""
        try:
            self.poll()
        except Closed:
            return True
        return False


class Process:
    """An engine in a process of its own, whose client is this process."""

    def __init__(
        self,
        folder: Path,
        *,
        data: Path | None = None,
        client: int | None = None,
        start: str | None = None,
        patience: float = 60.0,
    ) -> None:
        self.path = folder / "engine.sock"
        self.data = data or folder / "data"
        client = os.getpid() if client is None else client
        self.arguments = [
            *(sys.executable, "-I", "-m", "otrcore.engine"),
            *("--socket", str(self.path)),
            *("--client-pid", str(client)),
            *("--client-start", start or start_time(client) or "unknown"),
            *("--data-dir", str(self.data)),
            *("--patience", str(patience)),
        ]
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            self.arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
        )

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.communicate()

    def connect(self, hears: Callable[[Frame], None] = lambda frame: None) -> Link:
        """Connect, once that is possible."""
        links: list[Link] = []

        def connected() -> bool:
            try:
                links.append(Link(self.path, hears))
            except OSError:
                assert self.process.poll() is None, self.said()
            return bool(links)

        until(connected, 0.002)
        return links[0]

    def said(self) -> str:
        """Return what the engine has written to the screen, once it has ended."""
        return self.process.communicate(timeout=PATIENCE)[0].decode()

    def ended(self, within: float = PATIENCE) -> float:
        """Wait for the end; return how many seconds it took."""
        began = time.monotonic()
        self.process.wait(within)
        return time.monotonic() - began


class Sleeper:
    """A process that a test lets die: the client of an engine."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
        )

    def __enter__(self) -> int:
        return self.process.pid

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.communicate()


def kill(pid: int) -> None:
    """What `kill -9` does."""
    os.kill(pid, signal.SIGKILL)


class Asked(Protocol):
    """Whatever a client can ask."""

    def ask(self, do: str, **fields: Any) -> Frame:
        """Return the answer; pushes that come before it are heard before."""

    def poll(self) -> None:
        """Hear what has come."""


class Local:
    """An engine's inside in this process, without its socket."""

    def __init__(
        self,
        data: Path,
        hears: Callable[[Frame], None] = lambda frame: None,
        lanes: Lanes | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._hears = hears
        self._last = 0
        self.lanes = lanes if lanes is not None else Threads()
        self.pushed: list[Frame] = []
        self.servers = Servers(lambda passphrase: Store(data, passphrase), self.lanes, self._push, clock)

    def _push(self, actions: Any) -> None:
        frame = _carried({"push": len(self.pushed) + 1, "actions": list(actions)})
        self.pushed.append(frame)
        self._hears(frame)

    def ask(self, do: str, **fields: Any) -> Frame:
        """Return the answer to a request."""
        self._last += 1
        frame = _carried({"n": self._last, "do": do, **fields})
        return _carried(self.servers.handle(Request(frame)))

    def poll(self) -> None:
        """Let the lanes tell what they have done."""
        if isinstance(self.lanes, Threads):
            self.lanes.settle()
        self.servers.tell_changes()

    def close(self) -> None:
        """Give back what is in use."""
        self.servers.close()
        if isinstance(self.lanes, Threads):
            self.lanes.close()


def _carried(frame: Frame) -> Frame:
    """Return a frame as it is at the other end of a link."""
    carried: Frame = json.loads(encode(frame))
    return carried
