"""weechat-otr, the OTR script that WeeChat had before: found by its contents, put aside and put back.

What is put aside keeps its contents and gets a name with the date; that of a file tells where it
belongs.  In the folder from which WeeChat loads scripts, old versions load whatever lies there: what
comes from it goes to the folder above.
"""

from __future__ import annotations

import os
import re
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from itertools import count
from pathlib import Path

from ..doctor.places import entries, start_of
from .files import move
from .weechat_home import Home

TITLE = "weechat-otr"
SETTINGS = "otr.conf"
KEYS = "otr"
"""The folder for them, beside that of scripts."""

_ASIDE = re.compile(
    r"(?P<name>.+)\.(?P<date>\d{4}-\d{2}-\d{2})(?:-(?P<number>\d+))?(?P<loaded>\.autoload)?\.bak", re.ASCII
)
_BYTES = 256 * 1024
_SCRIPT = re.compile(rb"^[ \t]*(?:import|from)[ \t]+potr\b", re.MULTILINE)
"""The library that it stands on; nothing else in WeeChat does."""
_OPTION = b"no_send_tag_regex"
"""The name of one of its options."""


@dataclass(frozen=True, slots=True)
class Part:
    """A file of weechat-otr, or the link to one, and where it goes."""

    path: Path
    to: Path
    loaded: bool = False
    """When WeeChat starts."""


def is_script(path: Path) -> bool:
    """Whether a file, or what a link leads to, is weechat-otr."""
    return _SCRIPT.search(start_of(path, _BYTES)) is not None


def present(home: Home, today: date) -> list[Part]:
    """Return the parts of it that are in their places, each with a free name to put it aside."""
    loaded = scripts(home.autoload)
    parts = [Part(path, _free(home.python, path.name, today, ".autoload"), loaded=True) for path in loaded]
    parts += [Part(path, _free(home.python, path.name, today, "")) for path in scripts(home.python)]
    settings = home.config / SETTINGS
    if parts and _is_settings(settings):
        parts.append(Part(settings, _free(home.config, SETTINGS, today, "")))
    return parts


def aside(home: Home) -> list[Part]:
    """Return the parts that were put aside last, each with where it belongs."""
    found: dict[Path, tuple[tuple[str, int], Part]] = {}
    for path in [*entries(home.python), *([] if home.config == home.python else entries(home.config))]:
        name = _ASIDE.fullmatch(path.name)
        if name is None or not _was_put_aside(home, path, name):
            continue
        loaded = name["loaded"] is not None
        to = (home.autoload if loaded else path.parent) / name["name"]
        age = name["date"], int(name["number"] or 1)
        if to not in found or found[to][0] < age:
            found[to] = age, Part(path, to, loaded)
    return [part for _, part in found.values()]


def moved(parts: list[Part], undo: ExitStack) -> None:
    """Give each part its other name.  OSError."""
    for part in parts:
        move(part.path, part.to, undo)


def scripts(folder: Path) -> list[Path]:
    """Return the scripts in a folder that are weechat-otr, or lead to it."""
    return [
        path
        for path in entries(folder)
        if path.suffix == ".py" and "otr" in path.name.lower() and is_script(path)
    ]


def _is_settings(path: Path) -> bool:
    return _OPTION in start_of(path, _BYTES)


def _was_put_aside(home: Home, path: Path, name: re.Match[str]) -> bool:
    if name["name"] == SETTINGS and not name["loaded"]:
        return path.parent == home.config and _is_settings(path)
    if path.parent != home.python or not name["name"].endswith(".py"):
        return False
    # A relative link leads nowhere from here, until it is back.
    return is_script(path) or (name["loaded"] is not None and path.is_symlink())


def _free(folder: Path, name: str, today: date, kind: str) -> Path:
    """Return a name with the date that nothing has."""
    for number in count(1):
        path = folder / f"{name}.{today.isoformat()}{f'-{number}' if number > 1 else ''}{kind}.bak"
        if not os.path.lexists(path):
            return path
    raise AssertionError("numbers have no end")
