"""The passphrase of the private keys: typed unseen in a terminal, or the first line of a file."""

from __future__ import annotations

import os
import shlex
import signal
import stat
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from ..errors import StoreError, UsageError

VARIABLE = "OTR_PASSPHRASE_FILE"
"""Names the file that is read in place of asking."""

MAX_BYTES = 1024

_ATTEMPTS = 3
_LOCAL_FLAGS = 3
"""Where `termios.tcgetattr` has the flags that ECHO is one of."""

_LEAVING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def ask() -> str:
    """Return the passphrase that locks the private keys; StoreError where nobody can be asked."""
    if os.environ.get(VARIABLE):
        return from_file(Path(os.environ[VARIABLE]))
    with _terminal() as terminal:
        return terminal.ask("Passphrase of your private keys: ")


def choose(file: Path | None, *, locked: bool) -> str:
    """Return the passphrase that is to lock the keys: of a file, or typed the same twice; StoreError.

    The file of the environment is the one in use, if one is: then it cannot hold the next one.
    """
    if file is not None:
        return from_file(file)
    if not locked and os.environ.get(VARIABLE):
        return ask()
    with _terminal() as terminal:
        for _ in range(_ATTEMPTS):
            first = terminal.ask("New passphrase: ")
            if terminal.ask("Once more: ") == first:
                return first
            terminal.tell("These are two different ones.")
    raise UsageError("Nothing was changed, as no passphrase was typed twice the same: try again.")


def from_file(path: Path) -> str:
    """Return the first line of a file that nobody else can read; StoreError.

    Bytes that are no UTF-8 become surrogates, as they do from a terminal.
    """
    try:
        # Not blocking: a pipe that nobody writes to must not keep us waiting.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        what = (getattr(error, "strerror", None) or type(error).__name__).lower()
        raise StoreError(f"The passphrase file {path} cannot be opened: {what}: {_MEND}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise StoreError(f"The passphrase file {path} is no ordinary file: {_MEND}")
        if status.st_uid not in (os.geteuid(), 0):
            raise StoreError(f"The passphrase file {path} belongs to another user: {_MEND}")
        if stat.S_IMODE(status.st_mode) & 0o077:
            mend = f"chmod go= {shlex.quote(str(path))}"
            raise StoreError(f"The passphrase file {path} can be read by others: run  {mend}  and change it.")
        content = os.read(descriptor, MAX_BYTES + 2)
    finally:
        os.close(descriptor)
    return _accepted(content.partition(b"\n")[0], f"The first line of the passphrase file {path}")


_MEND = f"mend that, or unset {VARIABLE} and type the passphrase."


def _accepted(line: bytes, what: str) -> str:
    line = line.removesuffix(b"\r")
    if not line:
        raise StoreError(f"{what} is empty: give a passphrase.")
    if len(line) > MAX_BYTES:
        raise StoreError(f"{what} is too long: choose a passphrase of at most {MAX_BYTES} bytes.")
    return line.decode(errors="surrogateescape")


class _Terminal:
    """Where a passphrase can be typed unseen."""

    def __init__(self, reading: int, writing: int) -> None:
        self._reading = reading
        self._writing = writing

    def tell(self, text: str, end: str = "\n") -> None:
        os.write(self._writing, (text + end).encode())

    def ask(self, prompt: str) -> str:
        try:
            with _unseen(self._reading):
                self.tell(prompt, end="")
                try:
                    # A terminal hands out a line at a time; the rest of one that is too long is dropped.
                    line = os.read(self._reading, MAX_BYTES + 2)
                finally:
                    self.tell("")
        except (OSError, termios.error) as error:
            raise StoreError("The terminal is gone: try again in another one.") from error
        if not line:
            raise StoreError("No passphrase was typed: try again.")
        return _accepted(line.removesuffix(b"\n"), "What was typed")


@contextmanager
def _terminal() -> Iterator[_Terminal]:
    """Give the terminal that we are in, wherever standard input and output go; StoreError without one."""
    try:
        descriptor = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        streams = (sys.stdin, sys.stderr)
        if any(stream is None or not stream.isatty() for stream in streams):
            raise StoreError(
                "There is no terminal to type the passphrase of the private keys in: "
                f"name a file that holds it in {VARIABLE}."
            ) from error
        yield _Terminal(sys.stdin.fileno(), sys.stderr.fileno())
        return
    try:
        yield _Terminal(descriptor, descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _unseen(terminal: int) -> Iterator[None]:
    """Do not show what is typed; the terminal is given back as it was, by whatever signal we leave."""
    settings = termios.tcgetattr(terminal)
    hidden = [*settings]
    hidden[_LOCAL_FLAGS] = settings[_LOCAL_FLAGS] & ~(termios.ECHO | termios.ECHONL) | termios.ICANON
    before: dict[int, Any] = {number: signal.signal(number, _leave) for number in _LEAVING}
    # A shell that comes back when we are suspended shows what is typed, and goes on doing so for us.
    before[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    try:
        # What was typed before the question was shown, on the screen too, is no answer to it.
        termios.tcsetattr(terminal, termios.TCSAFLUSH, hidden)
        yield
    finally:
        # The terminal may be gone, and with it what was to be given back.
        with suppress(termios.error):
            termios.tcsetattr(terminal, termios.TCSAFLUSH, settings)
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
