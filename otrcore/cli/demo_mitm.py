"""`otr demo --mitm`: two people, and somebody in between who reads everything until they verify.

Alice and Bob are two clients like that of `otr chat`, each with a key of its own, on an IRC
server of their own.  Alice's connection runs through a relay.  Every step is checked as it is
told: what they see, what the relay could read, and that it cannot pass for either of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from ..events import (
    Event,
    HandshakeStep,
    Held,
    SessionEnded,
    SessionOpened,
    SmpAsked,
    SmpFailed,
    SmpSucceeded,
)
from ..irc.actions import ShowMessage, ShowNote
from ..irc.connection.address import ServerAddress
from ..irc.connection.pacing import Pace
from ..irc.keeper import StoreKeeper
from ..model import Fingerprint, Protection, Trust
from ..store.store import Store
from .chat import Chat
from .demo import STEP_SECONDS, DemoFailed, Process, temporary_folder
from .process import StopSignals
from .relay import LISTEN, REST
from .terminal import Output, printable

ALICE, BOB = "alice", "bob"
SECRET = "the café by the lake"
FIRST = "Hello Bob! Nobody else can read this, can they?"
SECOND = "The key is under the third flowerpot."
THIRD = "Thanks, I will get it tonight."
FOURTH = "The new hiding place is behind the clock."
TURN_SECONDS = 0.02

LESSONS = (
    "Encryption alone does not tell you who is at the other end: the relay read every line of a",
    "conversation that both clients rightly called encrypted. What gave it away, and what to do:",
    '  "Not verified" at a start     verify, by /otr smp ask and a secret that only you two know',
    '  "WARNING", of another key     say nothing secret before you have verified that one too',
    '  "NOT verified" by a secret    if neither has mistyped, somebody is in between: talk elsewhere',
    "Once a key is verified, no text that waits for the conversation leaves by itself to another.",
)


class Person(Chat):
    """One of the two; remembers what has happened to it."""

    def __init__(self, me: str, peer: str, port: int, folder: Path, output: Output) -> None:
        keeper = StoreKeeper(Store(folder / me), contacts=False)
        super().__init__(ServerAddress("127.0.0.1", port), me, peer, keeper, output, Pace.NONE)
        self.me = me
        self.events: list[Event] = []
        self.notes: list[str] = []
        self.texts: list[str] = []

    def ready(self) -> None:
        """Say less than the chat does: nothing can be typed here."""
        self.output.print(printable(f"-- {self.me} is on the server."))

    def show(self, action: ShowMessage | ShowNote) -> None:
        """Remember what is shown; the steps of the key exchanges are the other demonstration's."""
        if isinstance(action, ShowNote) and isinstance(action.event, HandshakeStep):
            return
        super().show(action)
        if isinstance(action, ShowNote):
            self.notes += action.lines
            if action.event is not None:
                self.events.append(action.event)
        elif action.protection is Protection.ENCRYPTED:
            self.texts += action.lines

    def enter(self, line: str) -> None:
        """Do what a user does who types this."""
        self.output.print(printable(f"> {line}"))
        self.obey(line)

    def give(self, secret: str) -> None:
        """Type a secret, where it is asked for."""
        if self._prompt is None:
            raise DemoFailed(f"The demonstration has failed: {self.me} was not asked for the secret.")
        self.output.print("> (the secret, unseen)")
        self.obey(secret)

    def last(self, kind: type[Event]) -> Event | None:
        """Return the newest event of this kind."""
        return next((event for event in reversed(self.events) if isinstance(event, kind)), None)

    def forget(self) -> None:
        """Forget what has happened so far."""
        self.events.clear()
        self.notes.clear()
        self.texts.clear()


class Labelled(Output):
    """Says before each line whose screen it is on."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._label = f"{name:5} | "

    def print(self, *lines: str) -> None:
        """Print lines that are safe to print."""
        super().print(*(self._label + line for line in lines))


class Attack:
    """The play."""

    def __init__(self, server: Process, relay: Process, stop: StopSignals, folder: Path) -> None:
        self._server, self._relay, self._stop = server, relay, stop
        self.output = Output()
        self.alice = Person(ALICE, BOB, int(relay.lines[0]), folder, Labelled(ALICE))
        self.bob = Person(BOB, ALICE, int(server.lines[0]), folder, Labelled(BOB))
        self._people = (self.alice, self.bob)

    def close(self) -> None:
        """Let both leave."""
        for person in self._people:
            person.runner.close("the demonstration is over")

    def perform(self) -> None:
        """Play all steps; DemoFailed at the first that does not happen as it should."""
        for person in self._people:
            person.runner.connect()
        self._until("connecting", lambda: all(person.runner.registered for person in self._people))
        keys = self._honest_server()
        self._somebody_in_between(keys)
        self._right_secret()
        self._honest_again(keys)
        self._back_again(keys)
        self._title("What to learn from it")
        self.output.print(*(f"-- {line}" for line in LESSONS))

    def _honest_server(self) -> dict[str, Fingerprint]:
        self._title(
            "An honest server: the first conversation",
            "Alice asks Bob for an encrypted conversation. Their clients remember each other's key.",
        )
        opened = self._start()
        self._require("a stranger's key was called changed", not any(e.changed_from for e in opened.values()))
        self._say(self.alice, self.bob, FIRST)
        self._require("the relay read something while it did not listen", not self._read(FIRST))
        self._end()
        return {name: event.info.their_fingerprint for name, event in opened.items()}

    def _somebody_in_between(self, keys: dict[str, Fingerprint]) -> None:
        self._title(
            "Somebody in between: a key exchange of its own with each of them",
            "From here on a relay, as servers have run it, tells each of them that it is the other.",
        )
        self._tell(LISTEN)
        opened = self._start()
        for name, event in opened.items():
            self._require(
                f"{name} got no warning of the other key",
                event.changed_from == keys[name] != event.info.their_fingerprint,
            )
        for person in self._people:
            warned = any(note.startswith("WARNING: ") for note in person.notes)
            self._require(f"{person.me} saw no warning", warned)
        self._title(
            "They go on all the same",
            "What they say is encrypted twice, and readable in the middle.",
        )
        self._say(self.alice, self.bob, SECOND)
        self._say(self.bob, self.alice, THIRD)
        self._until("the relay's reading of both", lambda: self._read(SECOND) and self._read(THIRD))

    def _right_secret(self) -> None:
        self._title(
            "They verify each other by a secret, and both give the right one",
            "The relay knows no secret, and cannot pass theirs on: each proof holds for one session alone.",
        )
        self._verify()
        self._until_both("the end of the verification", SmpFailed)
        for person in self._people:
            self._require(f"{person.me} was verified", person.last(SmpSucceeded) is None)
        self.output.print(
            "-- The relay knows no secret, and cannot pass on theirs: each holds for one session."
        )
        self._end()

    def _honest_again(self, keys: dict[str, Fingerprint]) -> None:
        self._title("Without the relay: the same secret", "Now it is the same session at both ends.")
        self._tell(REST)
        for name, event in self._start().items():
            self._require(f"{name} has another key", event.info.their_fingerprint == keys[name])
        self._verify()
        self._until_both("the verification", SmpSucceeded)
        self._end()

    def _back_again(self, keys: dict[str, Fingerprint]) -> None:
        self._title(
            "The relay once more, now that the keys are verified",
            "Alice does not wait for the conversation to begin before she types.",
        )
        self._tell(LISTEN)
        self._forget()
        self.alice.enter("/otr start")
        self.alice.enter(FOURTH)
        for name, event in self._opened().items():
            self._require(f"{name} got no warning of the other key", event.changed_from == keys[name])
        self._until("the holding back of the text", lambda: self.alice.last(Held))
        self.alice.enter("/otr drop")
        self._end()
        self._require("the relay read a text that was held", not self._read(FOURTH))

    def _start(self) -> dict[str, SessionOpened]:
        self._forget()
        self.alice.enter("/otr start")
        return self._opened()

    def _opened(self) -> dict[str, SessionOpened]:
        """Wait for both, and be sure that both see that nothing is verified."""
        opened: dict[str, SessionOpened] = {}
        self._until_both("the start", SessionOpened)
        for person in self._people:
            event = person.last(SessionOpened)
            if isinstance(event, SessionOpened):
                opened[person.me] = event
                self._require(f"{person.me} was verified at once", event.trust is Trust.NONE)
            warned = any(note.startswith("Not verified") for note in person.notes)
            self._require(f"{person.me} did not see that nothing is verified", warned)
        return opened

    def _say(self, sender: Person, receiver: Person, text: str) -> None:
        sender.enter(text)
        self._until(f"{text!r}", lambda: text in receiver.texts)

    def _verify(self) -> None:
        self.alice.enter("/otr smp ask")
        self.alice.give(SECRET)
        self._until("the question", lambda: self.bob.last(SmpAsked))
        self.bob.enter("/otr smp answer")
        self.bob.give(SECRET)

    def _end(self) -> None:
        self.alice.enter("/otr end")
        self._until("the end", lambda: self.bob.last(SessionEnded))
        self.bob.enter("/otr end")

    def _tell(self, word: str) -> None:
        count = self._relay.lines.count(word)
        self._relay.tell(word)
        self._until("the relay's turn", lambda: self._relay.lines.count(word) > count)

    def _read(self, text: str) -> bool:
        return any(text in line for line in self._relay.lines)

    def _forget(self) -> None:
        for person in self._people:
            person.forget()

    def _title(self, text: str, *told: str) -> None:
        self.output.print("", f"== {text}", *(f"-- {line}" for line in told))

    def _require(self, what: str, truth: bool) -> None:
        if not truth:
            raise DemoFailed(f"The demonstration has failed: {what}.")

    def _until_both(self, what: str, kind: type[Event]) -> None:
        self._until(what, lambda: all(person.last(kind) for person in self._people))

    def _until(self, what: str, happened: Callable[[], object]) -> None:
        """Let things happen until one has; DemoFailed if it does not in time."""
        deadline = time.monotonic() + STEP_SECONDS
        while not happened():
            if time.monotonic() > deadline:
                raise DemoFailed(f"The demonstration has failed: {what} did not happen.")
            self._turn()
            if self._stop.received:
                raise DemoFailed("The demonstration was interrupted.")

    def _turn(self) -> None:
        ready = self.alice.turn([self._stop, self._server, self._relay], TURN_SECONDS)
        self.bob.turn([], TURN_SECONDS)
        if self._server in ready:
            self.output.print(*(printable(f"   wire {line}") for line in self._server.read()))
        if self._relay in ready:
            read = [line for line in self._relay.read() if line.startswith("<")]
            self.output.print(*(printable(f"RELAY | has read: {line}") for line in read))


def play(folder: Path | None, *, show_wire: bool) -> None:
    """Run the demonstration; OtrcoreError if the attack is not seen as it should be."""
    stop = StopSignals()
    with ExitStack() as cleanup:
        folder = folder or temporary_folder(cleanup)
        wire = ["--wire"] if show_wire else []
        server = Process("otrcore.cli.demo_server", *wire, "--until-stdin-closes")
        cleanup.callback(server.stop)
        server.wait_for_line(STEP_SECONDS)
        relay = Process("otrcore.cli.relay", server.lines[0], ALICE, BOB)
        cleanup.callback(relay.stop)
        relay.wait_for_line(STEP_SECONDS)
        attack = Attack(server, relay, stop, folder)
        cleanup.callback(attack.close)
        attack.perform()
