"""A real terminal for a real program: tmux on a socket of its own, so that tests do not meet."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from tests.clients.drivers.waiting import wait_for
from tests.support import require

# Relative to the folder in which tmux is started: a socket's whole path may only have about 100
# bytes, and the folders that pytest makes are often longer.
_SOCKET = "tmux.socket"
_SESSION = "test"


class Terminal:
    """A program in a terminal of its own; `folder` must exist and is its working folder."""

    def __init__(self, folder: Path, command: Sequence[str], columns: int = 200, rows: int = 60) -> None:
        self._tmux = [require("tmux"), "-f", "/dev/null", "-S", _SOCKET]
        self._folder = folder
        self._environment = dict(os.environ, LC_ALL="C.UTF-8", TERM="screen-256color")
        # Started inside somebody's tmux, it must not take that one for its own.
        self._environment.pop("TMUX", None)
        # In the foreground, the server is our child, and so can be waited for when it ends.
        self._server = subprocess.Popen(
            [*self._tmux, "-D"],
            cwd=folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        try:
            wait_for(lambda: self._ask("list-sessions").returncode == 0, "tmux to start", 10)
            size = ["-x", str(columns), "-y", str(rows)]
            self._do("new-session", "-d", "-s", _SESSION, *size, "--", *command)
            self._program = int(self._do("display-message", "-p", "-t", _SESSION, "#{pane_pid}"))
        except Exception:
            # Whatever went wrong, nobody has the object yet to close it.
            self._end_server()
            raise

    def enter(self, text: str) -> None:
        """Type a line and press Enter; control characters, such as a tab, are keys to the program."""
        # Pasted, since tmux looks for command separators in what it is told to type.
        paste = ["load-buffer", "-", ";", "paste-buffer", "-r", "-t", _SESSION]
        self._do(*paste, ";", "send-keys", "-t", _SESSION, "Enter", typed=text)

    def screen(self) -> str:
        """Return what can be read on the screen now."""
        if not self.running():
            return "(the program has ended)"
        return self._do("capture-pane", "-p", "-t", _SESSION).rstrip()

    def drawing(self) -> str:
        """Return the screen as a terminal would draw it again: with blanks, colours and attributes."""
        return self._do("capture-pane", "-p", "-e", "-N", "-t", _SESSION).removesuffix("\n")

    def running(self) -> bool:
        """Whether the program has not ended."""
        return self._ask("has-session", "-t", _SESSION).returncode == 0

    def close(self) -> None:
        """End the terminal, and the program if it still runs."""
        if self._server.poll() is None and self.running():
            os.kill(self._program, signal.SIGKILL)
        self._end_server()

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _end_server(self) -> None:
        self._server.terminate()
        self._server.wait(10)

    def _ask(self, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._tmux, *arguments],
            cwd=self._folder,
            env=self._environment,
            input=typed,
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=20,
        )

    def _do(self, *arguments: str, typed: str = "") -> str:
        done = self._ask(*arguments, typed=typed)
        if done.returncode != 0:
            raise RuntimeError(f"tmux {arguments[0]}: {done.stderr.strip()}")
        return done.stdout
