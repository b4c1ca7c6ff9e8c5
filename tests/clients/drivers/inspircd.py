"""A real IRC server with message tags and echo-message: InspIRCd on a free loopback port."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from types import TracebackType

from tests.clients.drivers.waiting import free_port, wait_for
from tests.support import require

# As with ngircd, limits would only slow the tests down, and nicks may have 30 characters.
CONFIGURATION = """\
<config format="xml">
<server name="irc.loopback.test" description="loopback" id="00A" network="testnet">
<admin name="test" nick="test" email="admin@irc.loopback.test">
<bind address="127.0.0.1" port="{port}" type="clients">
<connect name="any" allow="*" timeout="60" pingfreq="600" fakelag="no" threshold="10000"
  commandrate="1000000" recvq="131072" softsendq="131072" hardsendq="1048576"
  resolvehostnames="no" useident="no" localmax="100" globalmax="100">
<performance softlimit="100">
<module name="cap">
<module name="ircv3">
<module name="ircv3_ctctags">
<module name="ircv3_echomessage">
<module name="ircv3_msgid">
<module name="ircv3_servertime">
<options casemapping="rfc1459">
<limits maxnick="30">
<path configdir="{folder}" datadir="{folder}" logdir="{folder}" runtimedir="{folder}">
<pid file="{folder}/pid">
"""

_PORTS_TRIED = 5


class Inspircd:
    """A running server; `port` is where clients connect, on 127.0.0.1.

    `extra` is more configuration text in InspIRCd's syntax. Files are kept in `folder`.
    """

    def __init__(self, folder: Path, extra: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._extra = extra
        # Where AppArmor is in force, the program of Debian's path may read no other configuration
        # than the system's; a copy of it may.
        self._program = folder / "inspircd"
        shutil.copy(require("inspircd"), self._program)
        for _ in range(_PORTS_TRIED):
            self.port = free_port()
            self._start()
            if self._listening():
                return
            # Somebody else took the port in the meantime.
            self.close()
        raise RuntimeError(f"inspircd does not start: {self.log()}")

    def log(self) -> str:
        """Return what the server has written."""
        return self._log_file.read_text(errors="replace")

    def close(self) -> None:
        """End the server."""
        self._process.terminate()
        self._process.wait(10)

    def __enter__(self) -> Inspircd:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _start(self) -> None:
        configuration = self._folder / f"inspircd-{self.port}.conf"
        configuration.write_text(CONFIGURATION.format(port=self.port, folder=self._folder) + self._extra)
        self._log_file = self._folder / f"inspircd-{self.port}.log"
        with self._log_file.open("wb") as log:
            # It refuses to run as root unless told; to anybody else that option means nothing.
            self._process = subprocess.Popen(
                [str(self._program), "--nofork", "--runasroot", "--config", str(configuration)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
            )

    def _listening(self) -> bool:
        """Whether this very process listens: it goes on without, where the port is taken."""

        def decided() -> str:
            if "InspIRCd is now running" in self.log():
                return "down" if "failed to bind" in self.log() else "up"
            return "down" if self._process.poll() is not None else ""

        try:
            return wait_for(decided, lambda: f"inspircd to listen; it says: {self.log()}", 10) == "up"
        except TimeoutError:
            # Nobody has the object yet to close it.
            self.close()
            raise
