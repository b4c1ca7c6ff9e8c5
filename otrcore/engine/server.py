"""The engine's socket and its one loop: a client at a time, time, lanes, and the end of the client."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from ..irc.lanes import Threads
from ..store.store import Store
from .frames import BadFrame, Frame, Frames, TooLong, encode, portions
from .requests import BadRequest, Request
from .servers import Servers
from .watch import Watch, is_from

PATIENCE = 60.0
"""Seconds for which the engine waits for a client that lives and is not connected."""

LOOK_EVERY = 1.0
"""Seconds between two looks at the client's process, and at what other programs have changed."""

MAX_UNHEARD = 1000
"""Actions that wait for a client to come back."""

MAX_UNSENT = 4 << 20
"""Bytes that a client may leave unread before it is given up."""

STORE_PATIENCE = 1.0
"""Seconds for which another program may hold the store while it is opened: the client waits for 2 at most."""

LAST_WORDS = 2.0
"""Seconds for which a client that has asked for the end may take to read the answer."""

_CHUNK = 1 << 16

_BEFORE_HELLO = {"hello", "shutdown"}
"""Requests that are the same in every version of the link."""


class Connection:
    """A client, as long as it is connected."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self.socket = connection
        self.pushes = 0
        self.greeted = False
        """Whether it has said hello: before, it takes nothing but the answer to that."""
        self._frames = Frames()
        self._unsent = b""

    def fileno(self) -> int:
        """Return the socket's descriptor."""
        return self.socket.fileno()

    def receive(self) -> list[Frame]:
        """Return the frames that have come; ConnectionError if there will be no more, BadFrame."""
        try:
            data = self.socket.recv(_CHUNK)
        except BlockingIOError:
            return []
        if not data:
            raise ConnectionResetError
        return list(self._frames.add(data))

    def send(self, frame: Frame) -> None:
        """Send a frame as soon as the client reads.

        ConnectionError if it does not at all; TooLong, and then nothing is sent.
        """
        self._unsent += encode(frame)
        self.flush()
        if len(self._unsent) > MAX_UNSENT:
            raise ConnectionAbortedError

    def push(self, content: Frame) -> None:
        """Send what the client has not asked for; errors as above."""
        self.send({"push": self.pushes + 1, **content})
        self.pushes += 1

    def flush(self) -> None:
        """Send what waits, as far as that goes."""
        with contextlib.suppress(BlockingIOError):
            while self._unsent:
                self._unsent = self._unsent[self.socket.send(self._unsent) :]

    @property
    def waiting(self) -> bool:
        """Whether something could not be sent yet."""
        return bool(self._unsent)


class Engine:
    """Serves one chat client."""

    def __init__(
        self,
        path: Path,
        client_pid: int,
        client_start: str,
        data_dir: Path | None = None,
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Listen at a path in a folder that is ours alone; OSError if that cannot be."""
        self._path = path
        self._client_pid = client_pid
        self._patience = patience
        self._clock = clock
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            self._listener.bind(str(path))
        finally:
            os.umask(before)
        self._ours = _file(path)
        self._listener.listen(8)
        self._listener.setblocking(False)
        self._watch = Watch(client_pid, client_start)
        self._lanes = Threads()
        self._servers = Servers(
            lambda passphrase: Store(data_dir, passphrase, patience=STORE_PATIENCE),
            self._lanes,
            self._push,
            clock,
        )
        self._client: Connection | None = None
        self._unheard: deque[Frame] = deque()
        self._lost = 0
        """Actions that were too many to keep until a client came back."""
        self._told: set[str] = set()
        self._alone_since = self._looked = self._rests_until = clock()
        self._ends_at: float | None = None
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._selector.register(self._lanes, selectors.EVENT_READ, self._settle)
        if self._watch.fileno() >= 0:
            self._selector.register(self._watch, selectors.EVENT_READ, lambda: None)

    def run(self) -> None:
        """Serve until there is nobody to serve any more."""
        try:
            while self._goes_on():
                for key, events in self._selector.select(self._timeout()):
                    if events & selectors.EVENT_WRITE:
                        self._flush()
                    if events & selectors.EVENT_READ:
                        key.data()
                self._pass_time()
            if self._watch.alive() and not self._servers.ending:
                self._safely(self._servers.end)  # nobody sends that any more, but it is saved
        finally:
            self._close()

    def _goes_on(self) -> bool:
        if not self._watch.alive():
            return False
        now = self._clock()
        if self._servers.ending:
            self._ends_at = self._ends_at or now + LAST_WORDS
            return self._client is not None and self._client.waiting and now < self._ends_at
        return self._client is not None or now - self._alone_since < self._patience

    def _timeout(self) -> float:
        now = self._clock()
        times = [self._next_tick, self._ends_at]
        if self._client is None:
            times.append(self._alone_since + self._patience)
        return max(0.0, min([LOOK_EVERY, *(time - now for time in times if time is not None)]))

    @property
    def _next_tick(self) -> float | None:
        tick = self._servers.next_tick
        return None if tick is None else max(tick, self._rests_until)

    def _pass_time(self) -> None:
        now, tick = self._clock(), self._next_tick
        if tick is not None and now >= tick:
            self._safely(self._servers.tick)
        elif now - self._looked >= LOOK_EVERY:
            self._looked = now
            self._safely(self._servers.catch_up)

    def _settle(self) -> None:
        self._safely(self._lanes.settle)
        self._safely(self._servers.tell_changes)

    def _safely(self, step: Callable[[], object]) -> None:
        """Do something that nobody has asked for: a bug in it must not take all conversations along."""
        try:
            step()
        except Exception as error:
            self._rests_until = self._clock() + LOOK_EVERY
            name = type(error).__name__
            if name not in self._told:
                self._told.add(name)
                self._push([_warning(f"An error inside OTR ({name}): please report it.")])

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:  # gone again
            return
        if not is_from(connection, self._client_pid):
            connection.close()
            return
        if self._client is not None:
            with contextlib.suppress(OSError):
                self._client.push({"superseded": True})
            self._leave()
        self._servers.forget_requests()
        self._client = Connection(connection)
        self._selector.register(self._client, selectors.EVENT_READ, self._receive)

    def _receive(self) -> None:
        client = self._client
        if client is None:
            return
        try:
            for frame in client.receive():
                self._answer(client, frame)
        except (OSError, BadFrame):
            self._leave()
            return
        self._listen_for_room()

    def _answer(self, client: Connection, frame: Frame) -> None:
        request = Request(frame)
        answer = self._answer_to(client, request)
        try:
            client.send(answer)
        except TooLong:
            client.send({"re": request.number, "ok": False, "why": _TOO_LONG})
        if frame.get("do") == "hello" and answer["ok"]:
            client.greeted = True
        self._tell()

    def _answer_to(self, client: Connection, request: Request) -> Frame:
        try:
            if not client.greeted and request.name not in _BEFORE_HELLO:
                raise BadRequest("Nothing comes before hello.")
        except BadRequest as error:
            return {"re": request.number, "ok": False, "why": str(error)}
        return self._servers.handle(request)

    def _push(self, frames: Sequence[Frame]) -> None:
        self._unheard.extend(frames)
        while len(self._unheard) > MAX_UNHEARD:
            self._unheard.popleft()
            self._lost += 1
        self._tell()

    def _tell(self) -> None:
        """Push what has happened, also while nobody was there to hear it."""
        client = self._client
        if client is None or not client.greeted or not self._unheard:
            return
        frames = list(self._unheard)
        if self._lost:
            frames.insert(0, _warning(_TOO_MANY.format(self._lost)))
        self._unheard.clear()
        self._lost = 0
        try:
            for portion in portions(frames, _UNSPEAKABLE):
                client.push({"actions": portion})
        except OSError:
            self._leave()
            return
        self._listen_for_room()

    def _flush(self) -> None:
        if self._client is None:
            return
        try:
            self._client.flush()
        except OSError:
            self._leave()
            return
        self._listen_for_room()

    def _listen_for_room(self) -> None:
        if self._client is not None:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._client.waiting else 0)
            if self._selector.get_key(self._client).events != events:
                self._selector.modify(self._client, events, self._receive)

    def _leave(self) -> None:
        """Do without a client for now."""
        if self._client is not None:
            self._selector.unregister(self._client)
            self._client.socket.close()
            self._client = None
            self._alone_since = self._clock()

    def _close(self) -> None:
        """Give everything back, which wipes what was encrypted."""
        self._leave()
        self._selector.close()
        self._listener.close()
        with contextlib.suppress(OSError):
            if _file(self._path) == self._ours:
                self._path.unlink()
        self._lanes.close()
        self._servers.close()
        self._watch.close()


def _file(path: Path) -> tuple[int, int]:
    """Return which file this is."""
    found = path.lstat()
    return found.st_dev, found.st_ino


def _warning(text: str) -> Frame:
    about = {"server": "", "peer": "", "level": "warning", "typed": None, "highlight": False}
    return {"a": "note", "lines": [text], **about}


_TOO_MANY = (
    "{} things that OTR had to do or to show were too many. Messages may be missing: ask for them again; "
    "/otr status tells how a conversation stands."
)
_TOO_LONG = (
    "The answer to that is too long for the link to the chat client: try it in parts, or in a terminal "
    "with `otr`."
)
_UNSPEAKABLE = _warning(
    "Something that OTR had to show was too long for its link to the chat client. If it was a message, ask "
    "for it in parts."
)
