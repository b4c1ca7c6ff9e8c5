"""Chat clients as programs: where they are, whether they are in a box, which libraries belong to them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from ..doctor.findings import quoted
from ..doctor.places import MAX_ENTRIES
from ..doctor.programs import NoVersion, version
from .refusal import Refusal

_BOXES = ("/snap/", "/snapd/", "/flatpak/")


def on_path(names: Iterable[str]) -> list[Path]:
    """Return the programs of these names that a shell would find."""
    return [Path(path) for path in map(shutil.which, names) if path is not None]


def boxed(program: Path) -> bool:
    """Whether a program runs in a box of its own, takes long to start, and leaves folders behind."""
    # A name in such a folder is a link to a starter, which starts what it was called by.
    places = (f"{program.parent}/", f"{os.path.realpath(program)}")
    return program.resolve().name == "snap" or any(box in place for box in _BOXES for place in places)


def release(program: Path) -> tuple[int, int] | None:
    """Return the first two numbers of a program's version; None if it does not tell."""
    try:
        said = version(program)
    except NoVersion:
        return None
    first, second = (*said.split("."), "0")[:2]
    return _number(first), _number(second)


def refuse_relative(variable: str, client: str) -> None:
    """Refuse a relative folder in a variable, if there is one: this client, unlike others, would use it."""
    chosen = os.environ.get(variable, "")
    if chosen and not os.path.isabs(chosen):
        raise Refusal(
            f"{variable} is {quoted(chosen)}, by which {client} uses another folder wherever it is started: "
            "set it to a path that begins with a slash."
        )


def libraries(program: str, pattern: str) -> list[Path]:
    """Return the libraries of a program, in the folders that belong to where it is installed."""
    there = shutil.which(program)
    if there is None:
        return []
    prefix = Path(os.path.realpath(there)).parent.parent
    return sorted(
        path
        for above in ("lib*", "lib*/*")  # Debian has a folder for each kind of machine
        for path in islice(prefix.glob(f"{above}/{pattern}"), MAX_ENTRIES)
    )


def _number(text: str) -> int:
    return int("".join(filter(str.isdigit, text)) or 0)
