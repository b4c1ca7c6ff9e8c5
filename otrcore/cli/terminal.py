"""Lines in from a terminal or pipe, and lines out to it; nothing from a peer can steer the terminal."""

from __future__ import annotations

import io
import os
import re
import select
import signal
import sys
import termios
import unicodedata
from typing import Any, TextIO

from ..irc.actions import ShowMessage, ShowNote
from ..irc.connection.listener import IncomingMessage
from ..irc.isupport import Features
from ..irc.names import Payload, classify
from ..model import Protection

MAX_LINE_BYTES = 32 * 1024
"""Longest line that is read; what is longer comes in pieces of this size."""

# IRC's bold, italic, underline and so on are control characters; colours have digits behind them.
_COLOURS = re.compile("\x03(?:[0-9]{1,2}(?:,[0-9]{1,2})?)?|\x04(?:[0-9A-Fa-f]{6})?")
# Control characters and line separators, and the formats that reorder what is around them.
_UNSAFE_CATEGORIES = ("Cc", "Cs", "Zl", "Zp")
_REORDERING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

_MARKS = {
    Protection.PLAIN: "",
    Protection.ENCRYPTED: "[encrypted] ",
    Protection.UNEXPECTED_PLAIN: "[NOT ENCRYPTED] ",
}


def printable(text: str) -> str:
    """Return the text without anything that a terminal would act on."""
    return "".join(
        character
        for character in _COLOURS.sub("", text).replace("\t", " ")
        if unicodedata.category(character) not in _UNSAFE_CATEGORIES and character not in _REORDERING
    )


def message_lines(action: ShowMessage) -> list[str]:
    """Return a peer's message as lines to print."""
    mark = _MARKS[action.protection]
    if action.is_action:
        who = f"* {action.peer}"
    else:
        who = f"-{action.peer}-" if action.is_notice else f"<{action.peer}>"
    return [printable(f"{mark}{who} {line}") for line in action.lines]


def plain_line(message: IncomingMessage) -> str:
    """Return a message outside OTR as a line to print."""
    addressed = classify(message.target, message.text, Features())
    if addressed.payload is Payload.ACTION:
        return printable(f"* {message.sender} {addressed.text}")
    frame = "-{}-" if message.command == "NOTICE" else "<{}>"
    return printable(f"{frame.format(message.sender)} {message.text}")


def note_lines(action: ShowNote) -> list[str]:
    """Return a note as lines to print; a text that was not sent is given back below it."""
    lines = [f"-- {line}" for line in action.lines]
    if action.typed is not None:
        lines.append(f"-- Your text: {action.typed}")
    return [printable(line) for line in lines]


class Output:
    """Prints whole lines at once, with a `?` for what the terminal does not know.

    A reader that has gone away is no error.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        if isinstance(self._stream, io.TextIOWrapper):
            self._stream.reconfigure(errors="replace")
        self.failure: str | None = None
        """Why nothing can be printed any more, if that is so."""

    def print(self, *lines: str) -> None:
        """Print lines that are safe to print."""
        try:
            for line in lines:
                self._stream.write(line + "\n")
            self._stream.flush()
        except OSError as error:
            # Later writes, the interpreter's own at its end among them, go nowhere.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
            if not isinstance(error, BrokenPipeError):
                self.failure = (error.strerror or type(error).__name__).lower()


_LOCAL_FLAGS = 3
"""Where `termios.tcgetattr` has the flags that ECHO is one of."""


def readable(line: str) -> str:
    """Return a line that was read as text that can be sent and shown."""
    return line.encode(errors="surrogateescape").decode(errors="replace")


class Input:
    """Reads lines from a descriptor when it is ready, without ever waiting for the rest of one.

    A terminal can be told not to show what is typed.  Whoever does so has to call `show` on every
    way out; nothing else gives the terminal back as it was.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = b""
        self._shown_by: list[Any] | None = None
        self._suspending: Any = signal.SIG_DFL
        self.ended = False

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._descriptor

    def hide(self, *, anew: bool = False) -> None:
        """Stop showing what is typed, where this is a terminal; `anew` throws away what is typed already."""
        if not os.isatty(self._descriptor):
            return
        settings = termios.tcgetattr(self._descriptor)
        if self._shown_by is None:
            self._shown_by = settings.copy()
            # A shell that comes back when we are suspended shows what is typed, and goes on doing so for us.
            self._suspending = signal.signal(signal.SIGTSTP, signal.SIG_IGN) or signal.SIG_DFL
        settings[_LOCAL_FLAGS] = settings[_LOCAL_FLAGS] & ~termios.ECHO | termios.ECHONL
        if anew:
            self._rest = b""
        termios.tcsetattr(self._descriptor, termios.TCSAFLUSH if anew else termios.TCSADRAIN, settings)

    def show(self) -> None:
        """Let the terminal be as it was before `hide`."""
        if self._shown_by is None:
            return
        settings, self._shown_by = self._shown_by, None
        signal.signal(signal.SIGTSTP, self._suspending)
        try:
            termios.tcsetattr(self._descriptor, termios.TCSADRAIN, settings)
        except termios.error:
            # The terminal is gone, and with it what was to be given back.
            return

    def read(self) -> list[str]:
        """Return the lines that are complete; at the end of input also an unfinished last one.

        Bytes that are no UTF-8 stay apart, as surrogates: two secrets must not become one.
        """
        if not select.select([self._descriptor], [], [], 0)[0]:
            return []  # what was there has been thrown away
        data = os.read(self._descriptor, 4096)
        self.ended = not data
        *lines, self._rest = (self._rest + data).split(b"\n")
        if self.ended:
            lines.append(self._rest)
            self._rest = b""
        elif len(self._rest) >= MAX_LINE_BYTES:
            stop = len(self._rest) - 1
            while stop > len(self._rest) - 4 and self._rest[stop] & 0xC0 == 0x80:
                stop -= 1  # the last character may not be complete yet
            lines.append(self._rest[:stop])
            self._rest = self._rest[stop:]
        return [line.decode(errors="surrogateescape").rstrip("\r") for line in lines]
