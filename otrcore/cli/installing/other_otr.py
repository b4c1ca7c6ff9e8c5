"""Another OTR in a chat client: known by what is in its files, put aside, and put back where it was.

What is put aside keeps its contents, and gets a name with the date, which tells where it belongs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from itertools import count
from pathlib import Path

from ..doctor.places import start_of
from .files import move

BYTES = 256 * 1024
"""Of a file that is looked into."""

_ASIDE = re.compile(
    r"(?P<name>.+)\.(?P<date>\d{4}-\d{2}-\d{2})(?:-(?P<number>\d+))?(?P<mark>\.[a-z]+)?\.bak", re.ASCII
)
_POTR = re.compile(rb"^[ \t]*(?:import|from)[ \t]+potr\b", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Part:
    """A file of another OTR, or the link to one, and where it goes."""

    path: Path
    to: Path
    loaded: bool = False
    """When the client starts."""


@dataclass(frozen=True, slots=True)
class Aside:
    """The name under which something lies aside, taken apart."""

    name: str
    """What it was called."""
    age: tuple[str, int]
    """The date, and the how manieth of that day."""
    mark: str
    """Empty, or more about where it belongs."""


def uses_potr(path: Path) -> bool:
    """Whether a file, or what a link leads to, is a Python script that stands on the OTR library potr."""
    return _POTR.search(start_of(path, BYTES)) is not None


def free(folder: Path, name: str, today: date, mark: str = "") -> Path:
    """Return a name with the date that nothing has."""
    for number in count(1):
        path = folder / f"{name}.{today.isoformat()}{f'-{number}' if number > 1 else ''}{mark}.bak"
        if not os.path.lexists(path):
            return path
    raise AssertionError("numbers have no end")


def parsed(name: str) -> Aside | None:
    """Return the name of something that was put aside taken apart; None for any other."""
    found = _ASIDE.fullmatch(name)
    if found is None:
        return None
    return Aside(found["name"], (found["date"], int(found["number"] or 1)), found["mark"] or "")


def latest(found: Iterable[tuple[Aside, Part]]) -> list[Part]:
    """Return, for each place, the part that was put aside last."""
    newest: dict[Path, tuple[tuple[str, int], Part]] = {}
    for aside, part in found:
        if part.to not in newest or newest[part.to][0] < aside.age:
            newest[part.to] = aside.age, part
    return [part for _, part in newest.values()]


def move_all(parts: Iterable[Part], undo: ExitStack) -> None:
    """Give each part its other name.  OSError."""
    for part in parts:
        move(part.path, part.to, undo)
