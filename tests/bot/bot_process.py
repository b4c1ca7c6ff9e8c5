"""`otr-bot` as an operator runs it: any command, a configuration, and what systemd would hear of it."""

from __future__ import annotations

import re
import socket
import subprocess
import threading
from collections.abc import Mapping
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType

from tests.clients.drivers.programs import Running, installed, run, surroundings
from tests.clients.drivers.waiting import wait_for


def otr_bot(
    folder: Path, *arguments: str | Path, changes: Mapping[str, str | None] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return run(folder, installed("otr-bot"), *map(str, arguments), changes=changes)


def configuration(folder: Path, port: int, rest: str = "", bot: str = "", name: str = "one") -> Path:
    """Write a configuration for a server on this machine, make its keys, and return its path."""
    path = folder / "bot.toml"
    path.write_text(
        f'[bot]\ndata_dir = "keys"\n{bot}\n[network.{name}]\nserver = "127.0.0.1:{port}"\ntls = false\n'
        f'nick = "echo"\npace = "none"\n{rest}'
    )
    made = otr_bot(folder, "init", "--keys-only", "--config", path)
    assert made.returncode == 0, made.stderr
    return path


class BotProcess(Running):
    """`otr-bot run`; what it writes goes into a file."""

    def __init__(
        self, folder: Path, *arguments: str | Path, changes: Mapping[str, str | None] | None = None
    ) -> None:
        self._log = folder / "log"
        with self._log.open("wb") as log:
            process = subprocess.Popen(
                [installed("otr-bot"), "run", *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=surroundings(folder, changes),
            )
        super().__init__(process, "otr-bot")

    def screen(self) -> str:
        return self._log.read_bytes().decode(errors="replace")

    @property
    def fingerprint(self) -> str:
        """Its fingerprint in versions 2 and 3, as it is written into the log."""
        return self._logged(r", fingerprint ([0-9A-F ]{44})")

    @property
    def fingerprint_4(self) -> str:
        """Its fingerprint in version 4, likewise."""
        return self._logged(r", and ([0-9A-F ]+) in OTR version 4")

    def _logged(self, pattern: str) -> str:
        found = re.search(pattern, self.screen())
        assert found is not None, self.screen()
        return found[1]


class Supervisor:
    """The socket at which systemd would listen, and all that has come to it."""

    def __init__(self, folder: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.address = str(folder / "notify")
        self._socket.bind(self.address)
        self.heard: list[str] = []
        """Facts, in their order."""
        # Few datagrams wait for somebody who does not read.
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def wait(self, fact: str, times: int = 1) -> None:
        """Wait until a fact has come, so many times."""
        wait_for(lambda: self.heard.count(fact) >= times, lambda: f"{fact}, heard {self.heard}", 30.0)

    def close(self) -> None:
        """Listen no more."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self.address)
        self._thread.join(20)
        self._socket.close()

    def __enter__(self) -> Supervisor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _listen(self) -> None:
        while data := self._socket.recv(65536):
            self.heard += data.decode().split("\n")


def get(port: int, path: str) -> tuple[int, str]:
    """Return the code and the body of an answer over HTTP."""
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()
