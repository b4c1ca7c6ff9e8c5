"""A real HexChat with its plugin hexchat-otr, on a screen that nobody sees.

It is steered by the commands that HexChat runs after it has connected, and for the rest by what its
peers do.  What was learnt about it, and is taken care of here:
- As root it shows a box and waits, so it runs as nobody then, in a folder that nobody can reach.
- It loses a key exchange during which it has to make a key, and makes one key at a time.
- `/otr trust` is only written to the file when something else is; a verification is at once.
- Commands about a conversation have to be given in its tab: `/doat PEER/NETWORK ...`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from tests.clients.drivers.waiting import wait_for
from tests.support import require

NETWORK = "TestNet"
"""What its user calls the network; the server calls it otherwise."""

SETTINGS = {
    "gui_slist_skip": 1,
    "gui_join_dialog": 0,
    "gui_quit_dialog": 0,
    "gui_autoopen_dialog": 1,
    "irc_skip_motd": 1,
    "irc_logging": 1,
    "net_throttle": 0,  # else 400 bytes leave every five seconds
}
NOBODY = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}


class HexChat:
    """A HexChat that connects as `nick` to a server on `port` of 127.0.0.1 and then runs commands.

    `otr` are files to begin with; `folder` has those that it has written.
    """

    def __init__(self, nick: str, port: int, *commands: str, otr: Path | None = None) -> None:
        programs = require("Xvfb"), require("hexchat")
        self._running = ExitStack()
        try:
            home = Path(self._running.enter_context(tempfile.TemporaryDirectory(prefix="otr-hexchat-")))
            home.chmod(0o711)
            self._configuration = home / "hexchat"
            self._configuration.mkdir()
            self.folder = self._configuration / "otr"
            if otr is not None:
                shutil.copytree(otr, self.folder)
            settings = SETTINGS | {f"irc_nick{number}": f"{nick}{'_' * number}" for number in (2, 3)}
            settings |= {"irc_nick1": nick, "irc_user_name": nick, "irc_real_name": nick}
            lines = ["version = 2.16.1", *(f"{name} = {value}" for name, value in settings.items())]
            (self._configuration / "hexchat.conf").write_text("\n".join(lines) + "\n")
            lines = ["v=2.16.1", "", f"N={NETWORK}", *(f"C={command}" for command in commands)]
            # The flags are: connect at the start, with the nicks of the settings.
            lines += ["E=UTF-8 (Unicode)", "F=11", "D=0", f"S=127.0.0.1/{port}", ""]
            (self._configuration / "servlist.conf").write_text("\n".join(lines) + "\n")
            if NOBODY:
                shutil.chown(home, "nobody", "nogroup")
                for path in home.rglob("*"):
                    shutil.chown(path, "nobody", "nogroup")
            self._start(home, *programs)
        except BaseException:
            # Whatever went wrong, nobody has the object yet to close it.
            self._running.close()
            raise

    def wait(self, name: str, text: str) -> None:
        """Wait until a file of the folder has a text in it."""
        file = self.folder / name
        wait_for(
            lambda: file.exists() and text in file.read_text(),
            lambda: f"{text!r} in {name}; HexChat has logged:\n{self.log()}",
            30,
        )

    def wait_shown(self, text: str) -> None:
        """Wait until it has shown a text."""
        wait_for(lambda: text in self.log(), lambda: f"{text!r}; HexChat has logged:\n{self.log()}", 30)

    def wait_connected(self) -> None:
        """Wait until the server has let it in."""
        self.wait_shown("MOTD Skipped")

    def log(self) -> str:
        """Return everything that it has shown."""
        return "\n".join(path.read_text() for path in sorted(self._configuration.glob("logs/*/*.log")))

    def close(self) -> None:
        """End it and remove what it has written."""
        self._running.close()

    def __enter__(self) -> HexChat:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _start(self, home: Path, xvfb: str, hexchat: str) -> None:
        reading, writing = os.pipe()
        screen = subprocess.Popen(
            [xvfb, "-displayfd", str(writing), "-screen", "0", "800x600x24", "-nolisten", "tcp"],
            pass_fds=(writing,),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._running.callback(_end, screen)
        os.close(writing)
        with open(reading) as number:
            display = f":{number.readline().strip()}"
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(home),
            "DISPLAY": display,
            "LC_ALL": "C.UTF-8",
            "NO_AT_BRIDGE": "1",
            "DBUS_SESSION_BUS_ADDRESS": "disabled:",
        }
        program = subprocess.Popen(
            [hexchat, "-d", str(self._configuration)],
            env=environment,
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **NOBODY,  # type: ignore[call-overload]
        )
        self._running.callback(_end, program)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
