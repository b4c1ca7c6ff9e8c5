"""The real libotr as a peer: one `otrpeer` process an account, and a network of two.

Texts are `str`; bytes that are not UTF-8 travel as lone surrogates ("surrogateescape"),
both ways, so that no byte is lost between libotr and the code under test.  Every wait
has a deadline: a peer that hangs fails the test instead of blocking it.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol

BINARY = Path(__file__).parent / "libotr" / "otrpeer"
MAX_ROUNDS = 200

Event = dict[str, Any]
Direction = Literal[">", "<"]
"""`>` is from the first side of an exchange to the second."""


class CommandFailed(Exception):
    """otrpeer answered a command with an error."""


class PeerDied(Exception):
    """The otrpeer process ended in the middle of a command."""


class LibotrPeer:
    """One account of libotr.

    `policy` is what otrpeer takes (`v3`, `v2+v3+require`, …), `mms` the longest line in
    bytes that it may send (0: no limit), `deadline` the seconds that one command may take.
    """

    def __init__(
        self,
        account: str = "alice",
        policy: str = "v2+v3",
        *,
        mms: int = 0,
        options: Sequence[str] = (),
        deadline: float = 20.0,
        program: Path = BINARY,
    ) -> None:
        self.account = account
        self._deadline = deadline
        self._outgoing: list[str] = []
        self._events: list[Event] = []
        self._unread = b""
        self._process = subprocess.Popen(
            [
                str(program),
                *("--account", account, "--policy", policy, "--mms", str(mms)),
                # Keys of tests need no entropy, and waiting for it would make them slow.
                "--quick-random",
                *options,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin = self._process.stdin
        self._stdout = self._process.stdout
        os.set_blocking(self._stdin.fileno(), False)
        try:
            self.ready: Event = self._read_event(time.monotonic() + deadline)
        except Exception:
            # Whatever went wrong, nobody has the object yet to close it.
            self.close()
            raise

    def command(self, name: str, **arguments: object) -> Event:
        """Run one command; everything that it caused has been collected when this returns.

        Returns the `done` event.  Raises CommandFailed, PeerDied or TimeoutError.
        """
        deadline = time.monotonic() + self._deadline
        self._write(json.dumps({"cmd": name, **arguments}).encode() + b"\n", deadline)
        while True:
            event = self._read_event(deadline)
            if event["ev"] == "done":
                if "error" in event:
                    raise CommandFailed(f"{name}: {event['error']}")
                return event
            if event["ev"] == "inject":
                self._outgoing.append(_text(event, "wire"))
            else:
                self._events.append(event)

    def genkey(self) -> str:
        """Make a new DSA key and return its fingerprint, 40 lower-case hex digits."""
        return str(self.command("genkey")["fingerprint"])

    def start(self) -> None:
        """Send a query for the versions of the policy."""
        self.command("query")

    def send(self, text: str) -> None:
        """Send a text, in whatever way libotr's state and policy ask for."""
        self.command("send", **_bytes("text", text))

    def receive(self, wire: str) -> None:
        """Take one line from the peer."""
        self.command("recv", **_bytes("wire", wire))

    def end(self) -> None:
        """End the conversation."""
        self.command("end")

    def take(self) -> list[str]:
        """Return and forget the lines that libotr has sent, oldest first."""
        lines, self._outgoing = self._outgoing, []
        return lines

    def events(self, name: str | None = None) -> list[Event]:
        """Return and forget the events collected so far, all or those of one name."""
        chosen = [event for event in self._events if name in (None, event["ev"])]
        self._events = [event for event in self._events if name not in (None, event["ev"])]
        return chosen

    def texts(self) -> list[str]:
        """Return and forget the texts that libotr would have shown to the user."""
        return [_text(event, "text") for event in self.events("deliver")]

    def message_events(self) -> list[str]:
        """Return and forget the names of libotr's message events, such as `rcvdmsg_unreadable`."""
        return [str(event["event"]) for event in self.events("msg_event")]

    def status(self) -> list[Event]:
        """Return the state of every conversation: the master first or alone, then its instances."""
        self.events("context")
        self.command("status")
        return sorted(self.events("context"), key=lambda context: context["kind"] != "master")

    @property
    def session(self) -> Event | None:
        """Return the state of the encrypted conversation, None when there is none."""
        encrypted = [context for context in self.status() if context["msgstate"] == "encrypted"]
        return encrypted[0] if encrypted else None

    def close(self) -> None:
        """End the process; it has no state worth keeping, so nothing is waited for."""
        self._process.kill()
        self._process.wait()
        self._stdin.close()
        self._stdout.close()

    def __enter__(self) -> LibotrPeer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _write(self, data: bytes, deadline: float) -> None:
        while data:
            _, writable, _ = select.select([], [self._stdin], [], _left(deadline))
            if not writable:
                raise TimeoutError(f"otrpeer {self.account} did not read within {self._deadline} s")
            try:
                data = data[os.write(self._stdin.fileno(), data) :]
            except BrokenPipeError as error:
                raise self._death() from error

    def _read_event(self, deadline: float) -> Event:
        while b"\n" not in self._unread:
            readable, _, _ = select.select([self._stdout], [], [], _left(deadline))
            if not readable:
                raise TimeoutError(f"otrpeer {self.account} did not answer within {self._deadline} s")
            chunk = os.read(self._stdout.fileno(), 65536)
            if not chunk:
                raise self._death()
            self._unread += chunk
        line, self._unread = self._unread.split(b"\n", 1)
        event: Event = json.loads(line)
        return event

    def _death(self) -> PeerDied:
        self._process.kill()
        return PeerDied(f"otrpeer {self.account} ended with status {self._process.wait()}")


class Side(Protocol):
    """One end of an exchange: it takes a line, and hands out those that it has to send."""

    def take(self) -> Sequence[str]: ...

    def receive(self, wire: str, /) -> object: ...


def exchange(
    first: Side,
    second: Side,
    *,
    drop: Callable[[Direction, str], bool] | None = None,
    log: list[tuple[Direction, str]] | None = None,
) -> int:
    """Carry lines both ways until neither side has any; returns the number of rounds.

    `log` is given every line, also those that `drop` then loses.  Raises AssertionError
    when the sides do not come to rest.
    """
    ways: tuple[tuple[Side, Side, Direction], ...] = ((first, second, ">"), (second, first, "<"))
    for rounds in range(MAX_ROUNDS):
        quiet = True
        for source, target, direction in ways:
            for wire in source.take():
                quiet = False
                if log is not None:
                    log.append((direction, wire))
                if drop is None or not drop(direction, wire):
                    target.receive(wire)
        if quiet:
            return rounds
    raise AssertionError(f"the peers still talk after {MAX_ROUNDS} rounds")


def _left(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())


def _text(event: Event, key: str) -> str:
    """A text that otrpeer gives as UTF-8, or as hex when it is not."""
    if f"{key}_hex" in event:
        return bytes.fromhex(event[f"{key}_hex"]).decode(errors="surrogateescape")
    return str(event[key])


def _bytes(key: str, text: str) -> dict[str, str]:
    return {f"{key}_hex": text.encode(errors="surrogateescape").hex()}
