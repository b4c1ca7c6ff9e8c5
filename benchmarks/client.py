"""A chat client without a screen: `python -m benchmarks.client plain|during_smp|memory FOLDER`.

A fresh process for `benchmarks.linked`, with the real engine, which keeps everything in FOLDER; of
otrcore it loads the client's side only.  Lines of standard output are JSON: a list of lines for
carol, who answers each with a list of hers on standard input; the last one is the sample.
"""

from __future__ import annotations

import json
import os
import resource
import select
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence

from otrcore.client.app import PASS, Status
from otrcore.client.chat import Chat
from otrcore.client.guard import Held
from otrcore.client.link import State
from otrcore.client.place import start_time

PLAIN_LINES, PAUSE = 500, 0.010
"""Lines, and seconds between them: as between people, the machine has turned to other work by then."""

LINES_DURING_SMP, SHORT_PAUSE = 2000, 0.002
"""The same while others are verified: enough lines for some to come at every moment of that."""

VERIFICATIONS = 10
"""As many must have ended well by then."""

TEXT = "x" * 100
SECRET = "secret"
SERVER, ALICE, BOB, CAROL = "test", "alice", "bob", "carol"

_ROOM = 400
_DEADLINE = 20.0
"""Seconds in which anything that is waited for has happened."""


class Client:
    """Alice's chat client: what the script in one offers, and a main loop."""

    def __init__(self, folder: str, carol: int) -> None:
        """`carol` is the descriptor from which her lines are read."""
        self._carols = carol
        self._timers: list[tuple[float, Callable[[], None]]] = []
        self._watched: int | None = None
        self._to_carol: list[str] = []
        self._from_carol: deque[str] = deque()
        self._unread = b""
        self._prompt: int | None = None
        self._carol = Status("plaintext")
        self._trouble = ""
        self.verifications = 0
        self.verified_at = 0.0
        engine = (sys.executable, "-I", "-m", "otrcore.engine")
        self.chat = Chat(self, engine, version="0", client="benchmarks", data=folder)

    def connect(self) -> None:
        """Have an engine, and be on a server."""
        self.chat.begin()
        self._until(lambda: self.chat.link.state is State.UP)
        self.chat.connected(SERVER, "irc.example.net", ALICE, f"{ALICE}!a@example.net", ["NETWORK=Test"])
        # So that what the engine has not judged is held, and does not look as if it had.
        self.chat.guard.require(SERVER, True)

    @property
    def engine(self) -> int:
        """The engine's process."""
        return int(self.chat.guard.engine.partition("-")[0])

    def say(self) -> None:
        """Say something to bob."""
        if self.chat.outgoing(SERVER, BOB, TEXT).verdict != PASS:
            sys.exit("a line to bob was not judged")

    def hear(self) -> None:
        """Hear something from bob."""
        if self.chat.incoming(SERVER, f"{BOB}!b@example.net", ALICE, TEXT).verdict != PASS:
            sys.exit("a line from bob was not judged")

    def verify_for_ever(self) -> None:
        """Open an encrypted conversation with carol, and verify her again and again."""
        self.chat.command(SERVER, CAROL, "start")
        self._until(lambda: self._carol.state == "encrypted")
        self.verified_at = time.monotonic()
        self._verify()

    def turn(self, until: float) -> float:
        """Go round the main loop once, at latest until a time; return since when it has not waited."""
        if self._trouble:
            sys.exit(self._trouble)
        due = min([until, *(at for at, _ in self._timers)])
        wait = 0.0 if self._from_carol else max(0.0, due - time.monotonic())
        sources = [self._carols, *([] if self._watched is None else [self._watched])]
        readable = select.select(sources, [], [], wait)[0]
        since = time.monotonic()
        if self._carols in readable:
            self._read()
        if self._watched in readable:
            self.chat.on_readable()
        for timer in [timer for timer in self._timers if timer[0] <= since]:
            self._timers.remove(timer)
            timer[1]()
        if self._from_carol:
            self.chat.incoming(SERVER, f"{CAROL}!c@example.net", ALICE, self._from_carol.popleft())
        if self._prompt is not None:
            number, self._prompt = self._prompt, None
            self.chat.answer(SERVER, CAROL, number, SECRET)
        if self._to_carol:
            lines, self._to_carol = self._to_carol, []
            print(json.dumps(lines), flush=True)
        return since

    def quit(self) -> None:
        """Leave, and wait for the engine's end."""
        engine, began = self.engine, start_time(self.engine)
        self.chat.quit()
        deadline = time.monotonic() + _DEADLINE
        while start_time(engine) == began:
            if time.monotonic() > deadline:
                sys.exit("the engine did not end")
            time.sleep(0.01)

    def _verify(self) -> None:
        self.chat.command(SERVER, CAROL, "smp ask")

    def _until(self, happened: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _DEADLINE
        while not happened():
            if time.monotonic() > deadline:
                sys.exit("the engine, or carol, did not answer")
            self.turn(deadline)

    def _read(self) -> None:
        data = os.read(self._carols, 1 << 16)
        if not data:
            sys.exit("carol has left")
        *lists, self._unread = (self._unread + data).split(b"\n")
        for lines in lists:
            self._from_carol.extend(json.loads(lines))

    # What the chat asks for; what is raised here does not get far.

    def send(self, server: str, to: str, line: str, command: str) -> None:
        """Put a line on its way to carol."""
        if to == CAROL:
            self._to_carol.append(line)
        else:
            self._trouble = "a line of OTR was sent to bob"

    def message(
        self,
        server: str,
        peer: str,
        mask: str,
        lines: Sequence[str],
        protection: str,
        action: bool,
        notice: bool,
        said: str,
    ) -> None:
        """Nobody says anything but bob, whose lines pass."""
        self._trouble = "a line from bob was shown that should have passed"

    def own(self, server: str, peer: str, text: str, action: bool, encrypted: bool) -> None:
        """The same the other way."""
        self._trouble = "a line to bob was taken that should have passed"

    def note(
        self, server: str, peer: str, lines: Sequence[str], level: str, typed: str | None, highlight: bool
    ) -> None:
        """Take note of good news, which is a verification; a warning means that there is no sample."""
        if level == "warning":
            self._trouble = lines[0]
        if level == "good":
            self.verifications += 1
            self.verified_at = time.monotonic()
            self.later(0.0, self._verify)

    def status(self, server: str, peer: str, status: Status) -> None:
        """Take note of how it stands with carol."""
        if peer == CAROL:
            self._carol = status

    def ask(
        self,
        server: str,
        peer: str,
        number: int,
        by_peer: bool,
        question: str | None,
        lines: Sequence[str],
    ) -> None:
        """Have the secret given."""
        self._prompt = number

    def unask(self, server: str, peer: str, number: int) -> None:
        """The secret was given at once."""

    def log(self, server: str, peer: str, on: bool) -> None:
        """There is no log."""

    def renamed(self, server: str, old: str, new: str) -> None:
        """Nobody has another nick."""

    def option(self, name: str, value: str) -> None:
        """There is nothing to set."""

    def limit(self, server: str, to: str) -> int | None:
        """As on any network."""
        return _ROOM

    def later(self, seconds: float, step: Callable[[], None]) -> None:
        """Have it called by the main loop."""
        self._timers.append((time.monotonic() + seconds, step))

    def watch(self, descriptor: int | None) -> None:
        """Have it watched by the main loop."""
        self._watched = descriptor


def plain(client: Client) -> list[list[float]]:
    """Return seconds that were added to lines to bob, and to lines from bob."""
    return converse(client, PLAIN_LINES, PAUSE)


def during_smp(client: Client) -> list[list[float]]:
    """Return the same while carol is verified."""
    client.verify_for_ever()
    return converse(client, LINES_DURING_SMP, SHORT_PAUSE, VERIFICATIONS)


def converse(client: Client, lines: int, pause: float, verifications: int = 0) -> list[list[float]]:
    """Talk with bob until there were so many lines, and verifications.

    A line is due after each pause.  What it has to wait for then is added to it too: a chat client
    that is busy with OTR for somebody else reads no line.
    """
    steps = (client.say, client.hear)
    added: list[list[float]] = [[] for _ in steps]
    due = time.monotonic()
    while len(added[0]) + len(added[1]) < lines or client.verifications < verifications:
        for step, seconds in zip(steps, added, strict=True):
            due = max(due + pause, time.monotonic())
            while (since := client.turn(due)) < due and time.monotonic() < due:
                continue
            step()
            seconds.append(time.monotonic() - max(since, due))
        if verifications and time.monotonic() - client.verified_at > _DEADLINE / 4:
            sys.exit("a verification did not end")
    return added


def memory(client: Client) -> int:
    """Return the engine's bytes that lie in memory (Linux)."""
    with open(f"/proc/{client.engine}/statm", encoding="ascii") as numbers:
        return int(numbers.read().split()[1]) * resource.getpagesize()


def main(sample: str, folder: str) -> None:
    """Take a sample, and print it."""
    samples: dict[str, Callable[[Client], object]] = {
        "plain": plain,
        "during_smp": during_smp,
        "memory": memory,
    }
    client = Client(folder, sys.stdin.fileno())
    client.connect()
    taken = samples[sample](client)
    if client.chat.guard.held(SERVER, BOB) is not Held.REQUIRED:
        sys.exit("lines could have passed without having been judged")
    client.quit()
    print(json.dumps(taken))


if __name__ == "__main__":
    main(*sys.argv[1:])
