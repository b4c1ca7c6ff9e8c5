"""A real IRC server in a process of its own, on a free loopback port: what all of them have in common."""

from __future__ import annotations

import subprocess
from abc import abstractmethod
from pathlib import Path

from tests.clients.drivers.closing import Closing
from tests.clients.drivers.waiting import free_port, wait_for

_PORTS_TRIED = 5


class IrcServer(Closing):
    """A running server; `port` is where clients connect, on 127.0.0.1.

    `extra` is more configuration text in the server's syntax. Files are kept in `folder`.
    """

    name: str
    options: tuple[str, ...]
    """With which it stays in the foreground; the last one is for its configuration."""
    configuration: str
    """With places for `port` and `folder`."""

    def __init__(self, folder: Path, program: str | Path, extra: str) -> None:
        self._folder = folder
        self._program = program
        self._extra = extra
        for _ in range(_PORTS_TRIED):
            self.port = free_port()
            self._start()
            if self._listening():
                return
            # Somebody else took the port in the meantime.
            self.close()
        raise RuntimeError(f"{self.name} does not start: {self.log()}")

    def log(self) -> str:
        """Return what the server has written."""
        return self._log_file.read_text(errors="replace")

    def close(self) -> None:
        """End the server."""
        self._process.terminate()
        self._process.wait(10)

    @abstractmethod
    def _told(self) -> str:
        """Return "up" or "down" as soon as its log tells whether it listens, until then nothing."""

    def _start(self) -> None:
        file = self._folder / f"{self.name}-{self.port}.conf"
        file.write_text(self.configuration.format(port=self.port, folder=self._folder) + self._extra)
        self._log_file = self._folder / f"{self.name}-{self.port}.log"
        with self._log_file.open("wb") as log:
            self._process = subprocess.Popen(
                [str(self._program), *self.options, str(file)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
            )

    def _listening(self) -> bool:
        """Whether this very process listens: its log tells, a connection could reach another one."""

        def decided() -> str:
            return self._told() or ("down" if self._process.poll() is not None else "")

        try:
            return wait_for(decided, lambda: f"{self.name} to listen; it says: {self.log()}", 10) == "up"
        except TimeoutError:
            # Nobody has the object yet to close it.
            self.close()
            raise
