"""`otr` in the process of the test, without a terminal, and as a process in a terminal of its own."""

from __future__ import annotations

import io
import json
import os
import pty
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from fcntl import ioctl
from pathlib import Path
from typing import Any
from unittest.mock import patch

from otrcore.cli.main import main
from otrcore.cli.passphrase import VARIABLE
from tests.clients.drivers.programs import Running, installed, surroundings

# The program is a session's leader and owns its terminal, so that Ctrl-C typed there reaches it.
_LOG_IN = "import os, sys; os.login_tty(0); os.execv(sys.argv[1], sys.argv[1:])"

_LOCAL_FLAGS = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """The one JSON document that was printed."""
        assert self.code == 0, self
        assert self.err == ""
        return json.loads(self.out)

    @property
    def told(self) -> str:
        """What was printed by a command that did what it was to do."""
        assert (self.code, self.err) == (0, ""), self
        return self.out

    @property
    def refusal(self) -> str:
        """The sentence with which it was refused; nothing else was printed."""
        assert (self.code, self.out) == (1, ""), self
        assert self.err.count("\n") == 1, self.err
        assert self.err.strip().isprintable()
        return self.err.strip()


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of a user at home in this folder, who has named no passphrase."""
    return surroundings(folder, {VARIABLE: None, "NO_COLOR": None, "COLUMNS": None, "TERM": "xterm"})


def otr(folder: Path, *words: str, changes: Mapping[str, str] | None = None) -> Outcome:
    """Run `otr` here, without a terminal, at home in this folder, on the store in `data` below it."""
    out, err = io.StringIO(), io.StringIO()
    code: object = 0
    variables = environment(folder) | dict(changes or {})
    with (
        patch.object(sys, "argv", ["otr", "--data-dir", str(folder / "data"), *words]),
        patch.object(sys, "stdin", io.StringIO()),
        patch.dict(os.environ, variables, clear=True),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
    assert isinstance(code, int)
    return Outcome(code, out.getvalue(), err.getvalue())


class OtrInTerminal(Running):
    """`otr` in a terminal that shows what is typed, as they all do, and is as wide as one wants."""

    def __init__(
        self,
        folder: Path,
        *words: str,
        columns: int = 100,
        changes: Mapping[str, str] | None = None,
        between: str = "",
    ) -> None:
        """`between` is Python that runs in the terminal in its place, and becomes it."""
        self._terminal, self._inside = pty.openpty()
        ioctl(self._inside, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self.written = b""
        start = [sys.executable, "-c", _LOG_IN, *([sys.executable, "-c", between] if between else [])]
        process = subprocess.Popen(
            [*start, installed("otr"), *words],
            stdin=self._inside,
            stdout=self._inside,
            stderr=self._inside,
            cwd=folder,
            env=environment(folder) | dict(changes or {}),
        )
        super().__init__(process, " ".join(["otr", *words]))
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def screen(self) -> str:
        return self.written.decode(errors="replace").replace("\r\n", "\n")

    @property
    def echoes(self) -> bool:
        """Whether the terminal shows what is typed."""
        return bool(termios.tcgetattr(self._inside)[_LOCAL_FLAGS] & termios.ECHO)

    def type(self, line: str | bytes) -> None:
        """Type a line and press Enter."""
        self.press((line.encode() if isinstance(line, str) else line) + b"\n")

    def press(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._terminal, keys)

    def answer(self, prompt: str, line: str | bytes, times: int = 1) -> None:
        """Type a line once it is asked for."""
        self.wait_shown(prompt, times)
        self.type(line)

    def wait_unseen(self, prompt: str) -> None:
        """Wait until something is asked for, unseen."""
        self.wait_shown(prompt)
        assert not self.echoes

    def exit_code(self) -> int:
        """Return it once everything that was written has been read."""
        code = super().exit_code()
        # Kept open here until now, as a terminal that nobody has open any more forgets its settings.
        self._close_inside()
        self._reader.join(10)
        return code

    def close(self) -> None:
        super().close()
        self._close_inside()
        self._reader.join(10)
        os.close(self._terminal)

    def _close_inside(self) -> None:
        if self._inside >= 0:
            os.close(self._inside)
            self._inside = -1

    def _read(self) -> None:
        try:
            while data := os.read(self._terminal, 65536):
                self.written += data
        except OSError:
            # That is how a terminal's other side says that nobody is left.
            pass
