"""What the main thread and the threads of the networks tell each other, without waiting for one another."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from otrbot.settings.config import Config

MAX_WAITING = 100
"""Pieces of news that one side has not looked at; what comes on top of them is dropped."""

_AT_ONCE = 4096

News = TypeVar("News")


class Mailbox(Generic[News]):
    """Filled by any thread, emptied by one, which can wait for its descriptor."""

    def __init__(self) -> None:
        self._reading, self._writing = socket.socketpair()
        self._reading.setblocking(False)
        self._writing.setblocking(False)
        self._lock = threading.Lock()
        self._news: list[News] = []

    def fileno(self) -> int:
        """Return the descriptor that is readable while there is something to take."""
        return self._reading.fileno()

    def put(self, news: News) -> None:
        """Add a piece of news, from any thread."""
        with self._lock:
            if len(self._news) < MAX_WAITING:
                self._news.append(news)
        with suppress(OSError):  # full of earlier wake-ups, which will do; or nobody reads any more
            self._writing.send(b"\0")

    def take(self) -> list[News]:
        """Return what has come."""
        with suppress(BlockingIOError):
            while self._reading.recv(_AT_ONCE):
                pass
        with self._lock:
            news, self._news = self._news, []
        return news

    def close(self) -> None:
        """Give the descriptors back."""
        self._reading.close()
        self._writing.close()


@dataclass(frozen=True, slots=True)
class Stop:
    """Begin no handshake any more, say goodbye to everybody, newest first, and leave."""

    by: float
    """Of `time.monotonic`: when it has to be over."""


@dataclass(frozen=True, slots=True)
class Reload:
    """Have other limits, bans and admins; nothing else of a configuration changes while the bot runs."""

    config: Config


@dataclass(frozen=True, slots=True)
class Stats:
    """Write how things stand into the log."""


Order = Stop | Reload | Stats
"""What the main thread tells a network's."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a network stands, as its thread has last told."""

    network: str
    registered: bool = False
    pong_at: float | None = None
    """Of `time.monotonic`: when the server last answered a PING of ours on this connection."""
    nick: str = ""
    fingerprint: str = ""
    problem: str = ""
    """Why it is not registered, in one sentence without a nick, a text or anything a server has said."""
    conversations: int = 0
    queue_lines: int = 0
    reconnects: int = 0


@dataclass(frozen=True, slots=True)
class Wish:
    """What an admin asks of the whole process: "reload" or "quit"."""

    what: str


Report = Standing | Wish
"""What a network's thread tells the main thread."""
