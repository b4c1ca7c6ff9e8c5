"""A real IRC server: ngircd on a free loopback port."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import TracebackType

from tests.clients.drivers.waiting import free_port, wait_for
from tests.support import require

# Penalties and limits on connections would only slow the tests down. Nicks of 30 characters are
# longer than this server's default of 9 and usual elsewhere: they make the lines' prefixes long.
CONFIGURATION = """\
[Global]
Name = irc.loopback.test
Info = loopback test server
Network = testnet
AdminInfo1 = test
AdminEMail = admin@irc.loopback.test
Listen = 127.0.0.1
Ports = {port}
MotdPhrase = hello
ServerUID = nobody
ServerGID = nogroup
[Limits]
MaxConnections = 0
MaxConnectionsIP = 0
MaxNickLength = 30
MaxPenaltyTime = 0
PingTimeout = 600
[Options]
DNS = no
Ident = no
PAM = no
IncludeDir = {folder}/include
"""

_PORTS_TRIED = 5


class Ngircd:
    """A running server; `port` is where clients connect, on 127.0.0.1.

    `extra` is more configuration text in ngircd's syntax; it may repeat a section's head,
    and what it sets again wins. Files are kept in `folder`.
    """

    def __init__(self, folder: Path, extra: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "include").mkdir(exist_ok=True)
        self._program = require("ngircd")
        self._folder = folder
        self._extra = extra
        for _ in range(_PORTS_TRIED):
            self.port = free_port()
            self._start()
            if self._listening():
                return
            # Somebody else took the port in the meantime.
            self.close()
        raise RuntimeError(f"ngircd does not start: {self.log()}")

    def log(self) -> str:
        """Return what the server has logged."""
        return self._log_file.read_text(errors="replace")

    def close(self) -> None:
        """End the server."""
        self._process.terminate()
        self._process.wait(10)

    def __enter__(self) -> Ngircd:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _start(self) -> None:
        configuration = self._folder / f"ngircd-{self.port}.conf"
        configuration.write_text(CONFIGURATION.format(port=self.port, folder=self._folder) + self._extra)
        self._log_file = self._folder / f"ngircd-{self.port}.log"
        with self._log_file.open("wb") as log:
            self._process = subprocess.Popen(
                [self._program, "--nodaemon", "--config", str(configuration)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _listening(self) -> bool:
        """Whether this very process listens: the log tells, a connection could reach another one."""

        def decided() -> str:
            if f"Now listening on [127.0.0.1]:{self.port}" in self.log():
                return "up"
            return "down" if self._process.poll() is not None else ""

        return wait_for(decided, lambda: f"ngircd to listen; it says: {self.log()}", 10) == "up"
