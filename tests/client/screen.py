"""A chat client without a screen: keeps what it is told, and has a main loop.  Runs with Python 3.8 too."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from otrcore.client import locks
from otrcore.client.app import Option, Status
from otrcore.client.chat import Chat
from otrcore.client.link import State

FAKE_ENGINE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fake_engine.py")


class Done(NamedTuple):
    """A call of App."""

    what: str
    server: str
    peer: str
    rest: tuple[Any, ...]


class Screen:
    """An App that shows nothing."""

    def __init__(self) -> None:
        self.done: list[Done] = []
        self.limits: dict[str, int] = {}
        self.watched: int | None = None
        self.chat: Chat | None = None
        self.then: dict[str, Callable[[], None]] = {}
        """What happens while a call is carried out, by the name of the call."""
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def _did(self, what: str, server: str, peer: str, *rest: Any) -> None:
        self.done.append(Done(what, server, peer, rest))
        if what in self.then:
            self.then[what]()

    def send(self, server: str, to: str, line: str, command: str) -> None:
        self._did("send", server, to, line, command)

    def message(
        self,
        server: str,
        peer: str,
        mask: str,
        lines: Any,
        protection: str,
        action: bool,
        notice: bool,
        said: str,
    ) -> None:
        self._did(
            "message", server, peer, mask, list(lines), protection, action, notice, *([said] if said else [])
        )

    def own(self, server: str, peer: str, text: str, action: bool, encrypted: bool) -> None:
        self._did("own", server, peer, text, action, encrypted)

    def note(
        self, server: str, peer: str, lines: Any, level: str, typed: str | None, highlight: bool
    ) -> None:
        self._did("note", server, peer, " ".join(lines), level, typed, highlight)

    def status(self, server: str, peer: str, status: Status) -> None:
        self._did("status", server, peer, status)

    def ask(
        self, server: str, peer: str, number: int, by_peer: bool, question: str | None, lines: Any
    ) -> None:
        self._did("ask", server, peer, number, by_peer, question, list(lines))

    def unask(self, server: str, peer: str, number: int) -> None:
        self._did("unask", server, peer, number)

    def log(self, server: str, peer: str, on: bool) -> None:
        self._did("log", server, peer, on)

    def renamed(self, server: str, old: str, new: str) -> None:
        self._did("renamed", server, old, new)

    def option(self, name: str, value: str) -> None:
        self._did("option", "", "", name, value)

    def limit(self, server: str, to: str) -> int | None:
        return self.limits.get(to)

    def later(self, seconds: float, step: Callable[[], None]) -> None:
        self._count += 1
        self._timers.append((time.monotonic() + seconds, self._count, step))

    def watch(self, descriptor: int | None) -> None:
        self.watched = descriptor

    # What the tests ask for.

    def turn(self) -> None:
        """Go round the main loop once."""
        now = time.monotonic()
        due = sorted(timer[:2] for timer in self._timers if timer[0] <= now)
        for at in due:
            (timer,) = (timer for timer in self._timers if timer[:2] == at)
            self._timers.remove(timer)
            timer[2]()
        if self.watched is None:
            time.sleep(0.005)
        elif select.select([self.watched], [], [], 0.005)[0] and self.chat is not None:
            self.chat.on_readable()

    def until(self, happened: Callable[[], Any], seconds: float = 20.0) -> Any:
        """Go on until something has happened."""
        deadline = time.monotonic() + seconds
        while not happened():
            assert time.monotonic() < deadline, ("this did not happen", self.done[-5:])
            self.turn()
        return happened()

    def rest(self, seconds: float = 0.15) -> None:
        """Go on for a while in which nothing should happen."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.turn()

    def notes(self, peer: str | None = None) -> list[str]:
        """Return the lines of our own that were shown."""
        return [did.rest[0] for did in self.done if did.what == "note" and peer in (None, did.peer)]

    def typed(self) -> list[str]:
        """Return the texts that were given back."""
        return [did.rest[2] for did in self.done if did.what == "note" and did.rest[2] is not None]

    def sent(self) -> list[str]:
        """Return the lines that left."""
        return [did.rest[0] for did in self.done if did.what == "send"]


class Client:
    """A chat client with fake engines, in a data folder of its own."""

    def __init__(
        self, folder: str, settings: dict[str, Any] | None = None, python: str = sys.executable
    ) -> None:
        self.folder = folder
        self.log = os.path.join(folder, "engine.log")
        self._settings = os.path.join(folder, "settings.json")
        self._python = python
        self.plan(**(settings or {}))
        self.screen = Screen()
        self.settable: list[Option] = []
        self.chat = self.load()

    def plan(self, **settings: Any) -> None:
        """Have engines that are started from now on behave like this."""
        with open(self._settings, "w", encoding="utf-8") as file:
            json.dump(settings, file)

    @property
    def command(self) -> list[str]:
        """How the engine is run."""
        return [self._python, FAKE_ENGINE]

    @property
    def options(self) -> list[str]:
        """Its options beside those of the link."""
        return ["--log", self.log, "--settings", self._settings]

    def load(self, kept: dict[str, Any] | None = None) -> Chat:
        """Load the script."""
        self.screen.chat = self.chat = Chat(
            self.screen,
            self.command,
            version="0.1",
            client="test 1",
            kept=kept,
            data=os.path.join(self.folder, "data"),
            options=self.options,
            settable=self.settable,
        )
        return self.chat

    def up(self) -> Chat:
        """Begin, connect to a server as alice, and wait for the engine."""
        self.chat.begin()
        self.chat.connected("net", "irc.example.org", "alice", "alice!a@host", ["NETWORK=Net"])
        self.screen.until(lambda: self.asked("connected"))
        self.screen.until(lambda: self.chat.link.state is State.UP)
        return self.chat

    def events(self) -> list[dict[str, Any]]:
        """Return what engines have noted."""
        try:
            with open(self.log, encoding="utf-8") as file:
                return [json.loads(line) for line in file.read().split("\n")[:-1]]
        except FileNotFoundError:
            return []

    def asked(self, do: str) -> list[dict[str, Any]]:
        """Return the requests of one kind that engines have got."""
        return [event for event in self.events() if event.get("do") == do]

    def engines(self) -> list[int]:
        """Return the processes of all engines that were started."""
        return [event["started"] for event in self.events() if "started" in event]

    def close(self) -> None:
        """End everything that was started here."""
        self.chat.link.close()
        for pid in self.engines():
            if self.is_engine(pid):
                os.kill(pid, signal.SIGKILL)
        # One that is just being started has not said so yet, and writes into the folder.
        run = os.path.join(self.folder, "data", "run")
        names = os.listdir(run) if os.path.isdir(run) else []
        for path in [os.path.join(run, name) for name in names if name.endswith(".lock")]:
            deadline = time.monotonic() + 5
            lock = locks.take(path)
            while lock is None and time.monotonic() < deadline:
                with open(path, "rb") as file:
                    pid = int(file.read() or 0)
                if self.is_engine(pid):
                    os.kill(pid, signal.SIGKILL)
                time.sleep(0.01)
                lock = locks.take(path)
            if lock is not None:
                lock.release()

    def is_engine(self, pid: int) -> bool:
        """Whether a process is an engine of this client that still runs."""
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                return self.log.encode() in file.read().split(b"\0")
        except OSError:
            return False


def plan(**what: Any) -> str:
    """Return a text that has the fake engine do something."""
    return json.dumps(what)
