"""What the drivers of HexChat and WeeChat have in common: inside both, a probe tells what happens."""

from __future__ import annotations

import json
import re
import subprocess
import time
from abc import abstractmethod
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from tests.clients.drivers.closing import Closing
from tests.clients.drivers.proxy import RecordingProxy
from tests.clients.drivers.waiting import wait_for

T = TypeVar("T")

SERVER = "test"
"""The client's name for the server that every test has."""

SHOWN = 40
"""Lines that are worth reading when a test fails."""

WELCOMED = re.compile(r"(?:@\S+ )?\S+ (?:376|422) ")
"""The end of the server's welcome, with a text of the day or without."""

# How often a wait looks whether the client still runs: in a terminal, that costs more than all the rest.
_CHECK_SECONDS = 0.2


class ProbedClient(Closing):
    """A client of the user `nick`, with all its files below `folder`.

    `wires` records what crosses to each server, `wire` is the first of them. The probe writes what
    happens, one JSON object a line, and so it can be read whatever has become of the process.
    """

    name: str
    """Of the client."""

    def __init__(self, nick: str, folder: Path) -> None:
        self.nick = nick
        self.folder = folder
        self.pid = 0
        self.wires: dict[str, RecordingProxy] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = count(1)
        self._events: list[dict[str, Any]] = []
        self._records_read = 0

    @property
    def wire(self) -> RecordingProxy:
        """What crosses between it and the first server."""
        return self.wires[SERVER]

    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process is not None and self._process.poll() is None

    def wait_end(self, what: str = "to end") -> None:
        """Wait for its end."""
        wait_for(lambda: not self.running(), lambda: f"{self.name} {what}; {self._last_words()}")

    @abstractmethod
    def received(self, nick: str, server: str = SERVER) -> list[str]:
        """Return the texts that were shown as said by somebody in private."""

    def wait_received(self, nick: str, text: str, times: int = 1, server: str = SERVER) -> None:
        """Wait until somebody has said exactly a text in private, so many times."""
        self.wait(lambda: self.received(nick, server).count(text) >= times, f"{text!r} from {nick}")

    def wait(self, look: Callable[[], T], what: str, seconds: float = 20.0) -> T:
        """Call `look` until it returns something true, and return that.

        Raises TimeoutError that tells what was printed last, and RuntimeError if the client has ended.
        """
        next_check = time.monotonic() + _CHECK_SECONDS

        def alive() -> T:
            nonlocal next_check
            found = look()
            if found or time.monotonic() < next_check:
                return found
            next_check = time.monotonic() + _CHECK_SECONDS
            # What it did last counts, so it is looked for once more.
            if not self.running() and not (found := look()):
                raise RuntimeError(f"{self.name} has ended, which was to show {what}; {self._last_words()}")
            return found

        return wait_for(alive, lambda: f"{what}; {self._last_words()}", seconds)

    def files_with(self, text: str) -> list[Path]:
        """Return the files, among all that the client and its scripts have, that hold a text."""
        found = []
        for path in self.folder.rglob("*"):
            # Programs go on making and deleting files meanwhile.
            with suppress(FileNotFoundError):
                if path.is_file() and path != self._records and text.encode() in path.read_bytes():
                    found.append(path)
        return found

    @property
    @abstractmethod
    def _records(self) -> Path:
        """The file that the probe writes."""

    def _happened(self) -> list[dict[str, Any]]:
        """Return all that the probe has told so far."""
        if not self._records.exists():
            return self._events
        with self._records.open("rb") as records:
            records.seek(self._records_read)
            whole, end, _ = records.read().rpartition(b"\n")
        self._records_read += len(whole) + len(end)
        self._events += [json.loads(record) for record in whole.splitlines()]
        return self._events

    def _since(self, before: int, event: str) -> list[dict[str, Any]]:
        return [told for told in self._happened()[before:] if told["event"] == event]

    @abstractmethod
    def _last_words(self) -> str:
        """Return what tells most when a test fails: the lines that were printed last."""
