"""A real irssi that begins with files of keys, and says what it makes of them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from types import TracebackType

from tests.clients.drivers.irssi import CONFIGURATION
from tests.clients.drivers.terminal import Terminal
from tests.clients.drivers.waiting import wait_for
from tests.support import require

_OWN = re.compile(r"Fingerprint for (\S+): ([0-9A-F ]{44})")
_CONTACT = re.compile(r" (\S+) - (\S+) \(\w+\)$")
_KEY = re.compile(r"   ([0-9A-F ]{44}) \((\w+)\)$", re.MULTILINE)


class IrssiReader:
    """An irssi with a copy of `otr`, on the server at `port` of 127.0.0.1 as `nick` if there is one."""

    def __init__(self, folder: Path, otr: Path, network: str, nick: str = "alice", port: int = 1) -> None:
        folder.mkdir()
        shutil.copytree(otr, folder / "otr")
        settings = CONFIGURATION.format(nick=nick, folder=folder, port=port, network=network)
        (folder / "config").write_text(settings)
        (folder / "startup").write_text("load otr\n")
        self._terminal = Terminal(folder, [require("irssi"), f"--home={folder}"])

    def wait_connected(self) -> None:
        """Wait for the server's welcome."""
        wait_for(lambda: "End of MOTD" in self._terminal.screen(), "irssi to connect")

    def keys(self) -> dict[str, str]:
        """Return irssi's own keys, 40 lower-case hex digits, by account."""
        self._terminal.enter("/otr info")
        found = wait_for(lambda: _OWN.findall(self._terminal.screen()), "irssi to show its keys")
        return {account: mark.replace(" ", "").lower() for account, mark in found}

    def contacts(self) -> dict[tuple[str, str, str], str]:
        """Return how irssi calls its trust in keys, by account, nick and 40 lower-case hex digits."""
        self._terminal.enter("/otr contexts")
        wait_for(lambda: _KEY.search(self._terminal.screen()), "irssi to show its contacts")
        found, whose = {}, ("", "")
        for line in self._terminal.screen().splitlines():
            if contact := _CONTACT.search(line):
                whose = contact[1], contact[2]
            elif key := _KEY.search(line):
                found[(*whose, key[1].replace(" ", "").lower())] = key[2]
        return found

    def close(self) -> None:
        """End irssi."""
        self._terminal.close()

    def __enter__(self) -> IrssiReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
