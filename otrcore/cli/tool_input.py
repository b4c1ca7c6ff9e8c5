"""What `otr tool` is given: values in hex, from wherever they may be kept secret, and texts with messages."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import typer

from ..errors import UsageError

if TYPE_CHECKING:
    from ..crypto.secret import Secret

MAX_INPUT = 16 << 20
"""Bytes that are read at most, of all files and of standard input together."""

STANDARD_INPUT = "-"
FROM_FILE = "@"
_HEX = re.compile("(?:[0-9A-Fa-f]{2})*")


class Given:
    """Reads what the arguments name; each `-` stands for the next line of standard input, in their order."""

    def __init__(self) -> None:
        self._left = MAX_INPUT

    def hex(self, name: str, argument: str, size: int | None = None) -> bytes:
        """Return a value of so many bytes, if that is fixed; no complaint repeats what was given."""
        if argument == STANDARD_INPUT:
            digits = self._line(name)
        elif argument.startswith(FROM_FILE):
            digits = self._content(Path(argument.removeprefix(FROM_FILE))).strip()
        else:
            digits = argument
        if not _HEX.fullmatch(digits):
            raise typer.BadParameter("that is no row of hex digits, two for each byte", param_hint=name)
        if size is not None and len(digits) != 2 * size:
            raise typer.BadParameter(f"{2 * size} hex digits are needed", param_hint=name)
        return bytes.fromhex(digits)

    def secret(self, name: str, argument: str, size: int | None = None) -> Secret:
        """Return such a value as one that does not print."""
        from ..crypto.secret import Secret

        return Secret(self.hex(name, argument, size))

    def text(self, name: str) -> str:
        """Return the text of a file, or what is left of standard input."""
        if name != STANDARD_INPUT:
            return self._content(Path(name))
        return self._bounded(_standard_input().read(self._left + 1), "Standard input")

    def _line(self, name: str) -> str:
        stream = _standard_input()
        if sys.stdin.isatty():
            from getpass import getpass

            try:
                return getpass(f"{name}: ").strip()
            except EOFError:
                line = b""
        else:
            line = stream.readline(self._left + 1)
        if not line:
            raise UsageError(f"Standard input ended before {name}: give it a line for each - argument.")
        return self._bounded(line, "Standard input").strip()

    def _content(self, path: Path) -> str:
        try:
            with path.open("rb") as file:
                return self._bounded(file.read(self._left + 1), str(path))
        except (OSError, ValueError) as error:  # ValueError: a name with a NUL
            why = error.strerror if isinstance(error, OSError) else None
            raise UsageError(
                f"{path} cannot be read: {(why or str(error)).lower()}: name another file."
            ) from error

    def _bounded(self, data: bytes, where: str) -> str:
        if len(data) > self._left:
            raise UsageError(
                f"{where} holds more than is read, {MAX_INPUT >> 20} MB in all: give a part of it."
            )
        self._left -= len(data)
        return data.decode(errors="surrogateescape")


def plain(text: str) -> bytes:
    """Return the bytes of an argument that is a text."""
    return text.encode(errors="surrogateescape")


def _standard_input() -> BinaryIO:
    if sys.stdin is None:
        raise UsageError("There is no standard input to read from: name a file.")
    return sys.stdin.buffer
