"""`otr demo`: an encrypted conversation with the echo bot, on an IRC server of its own, told as it happens.

Server and bot are processes of their own, and everything they keep goes into a folder
that is deleted afterwards.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import OtrcoreError
from ..events import Event, SessionEnded, SessionOpened
from ..irc.actions import ShowMessage, ShowNote
from ..irc.connection.address import ServerAddress
from ..irc.connection.listener import IncomingMessage
from ..irc.connection.pacing import Pace
from ..irc.keeper import StoreKeeper
from ..model import Protection
from ..store.store import Store
from .chat import IDLE_SECONDS, Chat
from .process import StopSignals
from .terminal import Input, Output, printable, readable

if TYPE_CHECKING:
    from _typeshed import HasFileno

BOT = "echo"
ME = "you"
GREETING = "Hello, is anybody there? This line can be read by everyone on the way."
TEXTS = (
    "Now only the two of us can read this.",
    "Grüße aus Zürich, привет из Москвы, 你好: any script will do.",
    "This one is long, so that it has to be cut into pieces: " + "all work and no play, said the bear; " * 20,
)
NO_HURRY = {"OTRBOT_LIMITS_INPUT_BURST": "1000", "OTRBOT_LIMITS_INPUT_PER_SECOND": "1000"}
"""Settings of a bot that has nobody to protect itself from."""

STEP_SECONDS = 30.0
CHILD_SECONDS = 5.0
WINDOW = 16
"""Characters of a text that, found on the wire, give it away."""


class DemoFailed(OtrcoreError):
    """A step of the demonstration did not happen."""


class Process:
    """A child process whose output lines are collected."""

    def __init__(
        self, *arguments: str, errors: bool = False, environ: Mapping[str, str] | None = None
    ) -> None:
        """Start a module of ours; collect what it writes to stdout, or to stderr with `errors`.

        `environ` comes on top of our own environment.
        """
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            # -P: an irc.py in the folder that we happen to be in is none of ours.
            [sys.executable, "-P", "-m", *arguments],
            env={**os.environ, **(environ or {})},
            # A Ctrl-C on the terminal is for us, who then stop the others.
            start_new_session=True,
            # Never written to: its end tells the process that we are gone, however we went.
            stdin=pipe,
            stdout=None if errors else pipe,
            stderr=pipe if errors else None,
        )
        stream = self._process.stderr if errors else self._process.stdout
        if stream is None:
            raise DemoFailed("A part of the demonstration could not be started.")
        self._name = arguments[0]
        self._stream = stream
        self._input = Input(stream.fileno())
        self.lines: list[str] = []

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._stream.fileno()

    def read(self) -> list[str]:
        """Collect the lines that have come, and return them; DemoFailed if there will be no more."""
        lines = [readable(line) for line in self._input.read()]
        self.lines += lines
        if self._input.ended:
            last = " ".join(self.lines[-3:]).strip() or "without a word"
            raise DemoFailed(f"A part of the demonstration, {self._name}, has ended early: {last}")
        return lines

    def tell(self, line: str) -> None:
        """Write a line to its standard input."""
        if self._process.stdin is not None:
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()

    def wait_for_line(self, seconds: float) -> None:
        """Wait for the first line; DemoFailed if it does not come."""
        deadline = time.monotonic() + seconds
        while not self.lines:
            if not select.select([self], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise DemoFailed(f"A part of the demonstration, {self._name}, does not start.")
            self.read()

    def stop(self) -> None:
        """End the process, kindly first."""
        self._process.terminate()
        try:
            self._process.communicate(timeout=CHILD_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


class Demo(Chat):
    """The chat peer of the demonstration: it also remembers what it has shown."""

    def __init__(
        self, server: Process, bot: Process, stop: StopSignals, port: int, folder: Path, show_wire: bool
    ) -> None:
        keeper = StoreKeeper(Store(folder / ME), contacts=False)
        super().__init__(ServerAddress("127.0.0.1", port), ME, BOT, keeper, Output(), Pace.NONE)
        self._server = server
        self._bot = bot
        self._stop = stop
        self._show_wire = show_wire
        self.events: list[Event] = []
        self.plain_texts: list[str] = []
        self.echoes: list[str] = []

    def ready(self) -> None:
        """Say less than the chat does: nothing can be typed yet."""
        self.output.print(f"-- {ME} and {BOT} are on the server.")

    def plain(self, message: IncomingMessage) -> None:
        """Remember a plain message."""
        super().plain(message)
        if message.sender == BOT:
            self.plain_texts.append(message.text)

    def show(self, action: ShowMessage | ShowNote) -> None:
        """Remember events and echoes."""
        super().show(action)
        if isinstance(action, ShowNote) and action.event is not None:
            self.events.append(action.event)
        elif isinstance(action, ShowMessage) and action.protection is Protection.ENCRYPTED:
            self.echoes.extend(action.lines)

    def title(self, text: str) -> None:
        """Print what comes next."""
        self.output.print("", f"== {text}")

    def say(self, text: str) -> None:
        """Send a text and show it."""
        self.output.print(printable(f"<{ME}> {text}"))
        self.runner.say(BOT, text)

    def wait(self, what: str, happened: Callable[[], bool]) -> None:
        """Let things happen until one has; DemoFailed if it does not in time."""
        deadline = time.monotonic() + STEP_SECONDS
        while not happened():
            left = deadline - time.monotonic()
            if left <= 0:
                raise DemoFailed(f"The demonstration has failed: {what} did not happen.")
            self.turn([self._stop], left)
            if self._stop.received:
                raise DemoFailed("The demonstration was interrupted.")

    def turn(self, waiting: Sequence[HasFileno], seconds: float = IDLE_SECONDS) -> Sequence[HasFileno]:
        """Let things happen once, and read what server and bot say, so that they never wait for us."""
        ready = super().turn([*waiting, self._server, self._bot], seconds)
        for process in (self._server, self._bot):
            if process in ready:
                lines = process.read()
                if process is self._server and self._show_wire:
                    self.output.print(*(printable(f"   wire {line}") for line in lines))
        return ready

    def session(self, kind: type[Event]) -> bool:
        """Whether an event of this kind has come."""
        return any(isinstance(event, kind) for event in self.events)

    def perform(self) -> None:
        """Play all steps; DemoFailed at the first that does not happen."""
        self.runner.connect()
        self.wait(
            "connecting", lambda: self.runner.registered and any("ready" in line for line in self._bot.lines)
        )
        self.title("A plain greeting: everyone on the way can read it")
        self.say(GREETING)
        self.wait("an answer to the greeting", lambda: bool(self.plain_texts))
        self.title("Asking for an encrypted conversation: the query, and the handshake")
        self.output.print(f"-- Sent: {self.runner.host.network_policy.query} (the query).")
        self.runner.start(BOT)
        self.wait("the handshake", lambda: self.session(SessionOpened))
        secured_at = len(self._server.lines)
        self.title("Three lines, encrypted and echoed")
        for number, text in enumerate(TEXTS, 1):
            self.say(text)
            self.wait(f"echo {number}", partial(self._echoed, number))
        if tuple(self.echoes) != TEXTS:
            raise DemoFailed("The demonstration has failed: an echo differs from what was sent.")
        self.title("The end of the conversation")
        heard = self._heard_by_bot()
        self.runner.end(BOT)
        self.wait("the end", lambda: self.session(SessionEnded))
        self.wait("the end on the wire", lambda: self._heard_by_bot() > heard)
        self.title("What crossed the server")
        self.check_wire(self._server.lines[secured_at:])

    def _heard_by_bot(self) -> int:
        return sum(line.startswith(f"< {BOT} :{ME}!") for line in self._server.lines)

    def _echoed(self, count: int) -> bool:
        return len(self.echoes) >= count

    def check_wire(self, lines: list[str]) -> None:
        """Compare what was said with what the server saw."""
        if not any(GREETING in line for line in self._server.lines):
            raise DemoFailed("The demonstration has failed: the plain greeting was not seen on the wire.")
        windows = {text[at : at + WINDOW] for text in TEXTS for at in range(len(text) - WINDOW)}
        leaks = [line for line in lines if any(window in line for window in windows)]
        if leaks:
            raise DemoFailed("The demonstration has failed: a text crossed the server unencrypted.")
        carriers = [line for line in lines if "?OTR" in line]
        self.output.print(
            "-- The greeting can be read there; nothing of the three lines can.",
            f"-- {len(carriers)} lines crossed while the conversation was encrypted, for example:",
            printable(f"   {max(carriers, key=len)[:100]}..."),
        )


def temporary_folder(cleanup: ExitStack) -> Path:
    """Return a folder that is deleted in the end."""
    return Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="otr-demo-")))


def play(folder: Path | None, *, show_wire: bool) -> None:
    """Run the demonstration, then, on a terminal, let the user talk to the bot; OtrcoreError if it fails.

    Without a folder a temporary one is used, and deleted.
    """
    stop = StopSignals()
    with ExitStack() as cleanup:
        folder = folder or temporary_folder(cleanup)
        server = Process("otrcore.cli.demo_server", "--wire", "--until-stdin-closes")
        cleanup.callback(server.stop)
        server.wait_for_line(STEP_SECONDS)
        port = int(server.lines[0])
        where = ["--server", f"127.0.0.1:{port}", "--nick", BOT, "--data-dir", str(folder / BOT)]
        bot = Process("otrbot", "run", *where, "--pace", "none", "--once", errors=True, environ=NO_HURRY)
        cleanup.callback(bot.stop)
        demo = Demo(server, bot, stop, port, folder, show_wire)
        cleanup.callback(demo.runner.close, "the demonstration is over")
        demo.perform()
        if sys.stdin.isatty():
            demo.title("Now you: try /otr start, then type; Ctrl-D ends")
            Chat.ready(demo)
            demo.converse(Input(sys.stdin.fileno()), stop)
