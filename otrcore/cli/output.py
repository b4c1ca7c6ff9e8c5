"""What the commands print: sentences, tables, JSON; nothing in them can steer the terminal.

A table is as wide as the terminal; into a pipe it goes as aligned text.  A reader that has
gone away is no error.
"""

from __future__ import annotations

import io
import json
import os
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TextIO

from ..errors import OtrcoreError

GAP = "  "

FINGERPRINT = "Fingerprint"
"""Heading of a column whose groups of digits stay together in few lines, to be compared."""

_TABLE_COLUMNS = 70
"""What a terminal has to have, for a table that does not fit to be legible all the same."""

_HALF_A_FINGERPRINT = len("00000000 11111111 22222222")


class Mood(Enum):
    """What a cell means to the user, as a style of rich; shown on a terminal only."""

    PLAIN = ""
    GOOD = "green"
    DOUBTFUL = "yellow"
    BAD = "bold red"
    PAST = "dim"


@dataclass(frozen=True, slots=True)
class Cell:
    """One entry of a table."""

    text: str
    mood: Mood = Mood.PLAIN


def visible(text: str) -> str:
    """Return the text with an escape, such as \\x1b, for every character that is none to look at.

    Unlike taking them out, this keeps apart what is different.
    """
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def say(*sentences: str) -> None:
    """Print lines on standard output."""
    _write(sys.stdout, "".join(visible(sentence) + "\n" for sentence in sentences))


def warn(*sentences: str) -> None:
    """Print lines on standard error."""
    _write(sys.stderr, "".join(visible(sentence) + "\n" for sentence in sentences))


def show_json(data: object) -> None:
    """Print one JSON document, all in ASCII."""
    _write(sys.stdout, json.dumps(data, indent=2) + "\n")


def show(columns: Sequence[str], rows: Sequence[Sequence[str | Cell]]) -> None:
    """Print a table of headings and rows, each row with an entry for every heading."""
    cells = [[entry if isinstance(entry, Cell) else Cell(entry) for entry in row] for row in rows]
    cells = [[Cell(visible(cell.text), cell.mood) for cell in row] for row in cells]
    on_terminal = sys.stdout is not None and sys.stdout.isatty()
    _write(sys.stdout, _as_wide_as_the_terminal(columns, cells) if on_terminal else _aligned(columns, cells))


def _as_wide_as_the_terminal(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # With NO_COLOR rich would still print in bold.
    console = Console(color_system=None if os.environ.get("NO_COLOR") else "auto", highlight=False)
    table = Table(box=None, pad_edge=False, padding=(0, len(GAP), 0, 0))
    narrow = sum(_widths(columns, rows)) + len(GAP) * len(columns) > console.width
    if narrow and console.width < _TABLE_COLUMNS:
        return _one_below_the_other(columns, rows)
    for column in columns:
        width = _HALF_A_FINGERPRINT if narrow and column == FINGERPRINT else None
        table.add_column(Text(column.upper()), overflow="fold", width=width)
    for row in rows:
        # A string would be read as markup.
        table.add_row(*(Text(cell.text, cell.mood.value) for cell in row))
    with console.capture() as captured:
        # Too narrow a terminal wraps lines, and must not lose their ends.
        console.print(table, crop=False)
    return "".join(line.rstrip() + "\n" for line in captured.get().splitlines())


def _one_below_the_other(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    entries = (
        [f"{column}: {cell.text}\n" for column, cell in zip(columns, row, strict=True) if cell.text]
        for row in rows
    )
    return "\n".join(map("".join, entries))


def _aligned(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    lines = [[column.upper() for column in columns], *([cell.text for cell in row] for row in rows)]
    widths = _widths(columns, rows)
    return "".join(
        GAP.join(
            entry + " " * (width - _width(entry)) for entry, width in zip(line, widths, strict=True)
        ).rstrip()
        + "\n"
        for line in lines
    )


def _widths(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> list[int]:
    texts = [columns, *([cell.text for cell in row] for row in rows)]
    return [max(map(_width, entries)) for entries in zip(*texts, strict=True)]


def _width(text: str) -> int:
    """How many columns a terminal or editor gives to a text."""
    return sum(
        0 if unicodedata.combining(character) else 1 + (unicodedata.east_asian_width(character) in "WF")
        for character in text
    )


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None:
        return
    if isinstance(stream, io.TextIOWrapper):
        # What the terminal's encoding lacks.
        stream.reconfigure(errors="backslashreplace")
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        # Later writes, the interpreter's own at its end among them, go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        if not isinstance(error, BrokenPipeError):
            what = (error.strerror or type(error).__name__).lower()
            raise OtrcoreError(f"Nothing can be shown any more, as {what}: mend that first.") from error
