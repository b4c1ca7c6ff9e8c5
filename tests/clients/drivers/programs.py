"""Our own programs as a user starts them: in a real terminal, or in the background.

They get a home folder and a folder for temporary files of their own, so that a test can
look for what they leave behind, and never meets the keys of whoever runs it.
"""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.clients.drivers.waiting import wait_for
from tests.support import require

# Ctrl-C only reaches a program whose controlling terminal it is typed into.
_TAKE_TERMINAL = "import os, sys; os.login_tty(os.dup(0)); os.execv(sys.argv[1], sys.argv[1:])"

CTRL_C = "\x03"
CTRL_D = "\x04"

# Characters of what a program wrote that are worth reading when a test fails.
_SHOWN = 3000

_SECURED = re.compile(r"-- Secured(?: with fresh keys)?: the conversation with (\S+) is encrypted")
_FINGERPRINT = re.compile(r"--\s+(your|\S+'s) fingerprint:\s+([0-9A-F]{8}(?:\s+(?:--\s+)?[0-9A-F]{8})*)")
_SESSION_ID = re.compile(r"--\s+session id:\s+([0-9a-f]{8} [0-9a-f]{8})")


def installed(name: str) -> str:
    """Return the path of a program that our package installs; a path is returned as it is."""
    return require(name if "/" in name else str(Path(sys.executable).with_name(name)))


def surroundings(folder: Path, changes: Mapping[str, str | None] | None = None) -> dict[str, str]:
    """Return an environment whose home and temporary folders lie in `folder`; None takes a variable out."""
    made = {name: folder / name for name in ("home", "tmp")}
    for path in made.values():
        path.mkdir(parents=True, exist_ok=True)
    environment: dict[str, str | None] = {
        name: value for name, value in os.environ.items() if not name.startswith("XDG_")
    }
    environment |= {"HOME": str(made["home"]), "TMPDIR": str(made["tmp"]), "LC_ALL": "C.UTF-8"}
    environment |= changes or {}
    return {name: value for name, value in environment.items() if value is not None}


def run(
    folder: Path,
    *command: str,
    typed: str | bytes = b"",
    changes: Mapping[str, str | None] | None = None,
    seconds: float = 60.0,
) -> subprocess.CompletedProcess[str]:
    """Run a program without a terminal to its end."""
    data = typed.encode() if isinstance(typed, str) else typed
    done = subprocess.run(
        [installed(command[0]), *command[1:]],
        input=data,
        capture_output=True,
        cwd=folder,
        env=surroundings(folder, changes),
        timeout=seconds,
        check=False,
    )
    shown, complaints = (stream.decode(errors="surrogateescape") for stream in (done.stdout, done.stderr))
    return subprocess.CompletedProcess(done.args, done.returncode, shown, complaints)


class Running:
    """A process of ours; leaving its `with` block kills it if it still runs."""

    def __init__(self, process: subprocess.Popen[bytes], name: str) -> None:
        self.process = process
        self.name = name

    def screen(self) -> str:
        """Return everything that it has written, as a person would read it."""
        raise NotImplementedError

    def wait(self, look: Callable[[], object], what: str) -> None:
        """Wait until something is so; the error otherwise tells what the program has written."""
        wait_for(look, lambda: f"{what}; {self.name} wrote:\n{self.screen()[-_SHOWN:]}")

    def wait_shown(self, text: str, times: int = 1) -> None:
        """Wait until it has written a text, so many times."""
        self.wait(lambda: self.screen().count(text) >= times, f"{text!r}, {times} times")

    def ended(self) -> bool:
        """Whether it does not run any more."""
        return self.process.poll() is not None

    def exit_code(self) -> int:
        """Wait for its end and return its exit code; negative for a signal."""
        self.wait(self.ended, "its end")
        return self.process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def close(self) -> None:
        """Kill it if it still runs."""
        if not self.ended():
            self.process.kill()
        self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class InTerminal(Running):
    """A program of ours in a terminal of its own, which does not show what is typed into it.

    So everything on the screen was written by the program.  `written` holds it byte for byte.
    """

    def __init__(self, folder: Path, *command: str, changes: Mapping[str, str | None] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.written = b""
        self._master, slave = pty.openpty()
        settings = termios.tcgetattr(slave)
        settings[3] &= ~termios.ECHO
        termios.tcsetattr(slave, termios.TCSANOW, settings)
        process = subprocess.Popen(
            [sys.executable, "-c", _TAKE_TERMINAL, installed(command[0]), *command[1:]],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=folder,
            env=surroundings(folder, changes),
        )
        os.close(slave)
        super().__init__(process, " ".join(command))
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def screen(self) -> str:
        return self.written.decode(errors="replace").replace("\r\n", "\n")

    def lines(self) -> list[str]:
        """Return the whole lines that it has written."""
        return self.screen().split("\n")[:-1]

    def type(self, line: str) -> None:
        """Type a line and press Enter."""
        self.press(line + "\n")

    def press(self, keys: str) -> None:
        """Press keys."""
        os.write(self._master, keys.encode())

    def exit_code(self) -> int:
        code = super().exit_code()
        self._reader.join(10)
        return code

    def close(self) -> None:
        super().close()
        self._reader.join(10)
        os.close(self._master)

    def _read(self) -> None:
        try:
            while data := os.read(self._master, 65536):
                self.written += data
        except OSError:
            # That is how a terminal's other side says that nobody is left.
            pass


class OtrChat(InTerminal):
    """`otr chat` with `peer` on the server at `port`, connected and ready for typing.

    `granted` is the nick that the server lets it have, if that is not the one it asks for.
    """

    def __init__(
        self,
        folder: Path,
        port: int,
        me: str,
        peer: str,
        *options: str,
        granted: str = "",
        network: str = "testnet",
        changes: Mapping[str, str | None] | None = None,
    ) -> None:
        self.me = granted or me
        self.peer = peer
        data = ["--data-dir", str(folder / "data")]
        command = ["otr", "chat", f"127.0.0.1:{port}", peer, "--me", me, *data, *options]
        super().__init__(folder, *command, changes=changes)
        try:
            where = f"-- Connected to {network} as {self.me}."
            self.wait_shown(f"{where} You are talking with {peer}, unencrypted.")
            self.wait_shown("/quit.")
        except Exception:
            # Whatever went wrong, nobody has the object yet to close it.
            self.close()
            raise

    def start_otr(self) -> None:
        """Ask for an encrypted conversation, and wait until it is one."""
        before = self.times_secured()
        self.type("/otr start")
        self.wait_secured(before + 1)

    def times_secured(self) -> int:
        """How often it has said that the conversation is encrypted."""
        return len(_SECURED.findall(self.screen()))

    def wait_secured(self, times: int = 1) -> None:
        """Wait until it has said so often that the conversation is encrypted, to the last line of it."""
        self.wait(
            lambda: min(self.times_secured(), len(_SESSION_ID.findall(self.screen()))) >= times,
            "OTR to be secured",
        )

    def fingerprints(self) -> dict[str, str]:
        """Return whose key it showed with which fingerprint, without blanks, last time."""
        found = _FINGERPRINT.findall(self.screen())
        owners = {"your": self.me, f"{self.peer}'s": self.peer}
        # In version 4 it goes on in a second line.
        return {owners[owner]: re.sub(r"[\s-]", "", fingerprint) for owner, fingerprint in found}

    def session_id(self) -> str:
        """Return the session id that it showed last; empty if it has not shown any."""
        found: list[str] = _SESSION_ID.findall(self.screen())
        return found[-1] if found else ""

    def wait_received(self, text: str, times: int = 1) -> None:
        """Wait until the peer has said a text encrypted, so many times."""
        line = f"[encrypted] <{self.peer}> {text}"
        self.wait(lambda: self.lines().count(line) >= times, repr(line))


class OtrBot(Running):
    """`otr-bot run` on the server at `port`, ready to answer unless it need not be."""

    def __init__(self, folder: Path, port: int, nick: str, *options: str, wait_ready: bool = True) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.nick = nick
        self._log = folder / "log"
        command = ["run", "--server", f"127.0.0.1:{port}", "--nick", nick, "--data-dir", str(folder / "data")]
        with self._log.open("wb") as log:
            process = subprocess.Popen(
                [installed("otr-bot"), *command, *(options or ("--pace", "none"))],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=surroundings(folder),
            )
        super().__init__(process, "otr-bot")
        if wait_ready:
            try:
                self.wait_shown(", fingerprint ")
            except Exception:
                # Whatever went wrong, nobody has the object yet to close it.
                self.close()
                raise

    def screen(self) -> str:
        return self._log.read_bytes().decode(errors="replace")

    @property
    def fingerprint(self) -> str:
        """Its fingerprint, 40 hex digits."""
        found = re.search(r", fingerprint ([0-9A-F ]{44})", self.screen())
        assert found is not None, self.screen()
        return found[1].replace(" ", "")

    @property
    def fingerprint_4(self) -> str:
        """That for version 4, 112 hex digits."""
        found = re.search(r", and ([0-9A-F ]{125}) in OTR version 4", self.screen())
        assert found is not None, self.screen()
        return found[1].replace(" ", "")
