"""weechat-otr, the OTR script that WeeChat had before: found by its contents, put aside and put back.

In the folder from which WeeChat loads scripts, old versions load whatever lies there: what comes from
it goes to the folder above.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

from ..doctor.places import entries, start_of
from .other_otr import BYTES, Aside, Part, free, latest, parsed, uses_potr
from .weechat_home import Home

TITLE = "weechat-otr"
SETTINGS = "otr.conf"
KEYS = "otr"
"""The folder for them, beside that of scripts."""

_LOADED = ".autoload"
"""The mark of what comes from the folder of that name."""
_OPTION = b"no_send_tag_regex"
"""The name of one of its options."""


def is_script(path: Path) -> bool:
    """Whether a file, or what a link leads to, is weechat-otr; nothing else in WeeChat uses its library."""
    return uses_potr(path)


def present(home: Home, today: date) -> list[Part]:
    """Return the parts of it that are in their places, each with a free name to put it aside."""
    loaded = scripts(home.autoload)
    parts = [Part(path, free(home.python, path.name, today, _LOADED), loaded=True) for path in loaded]
    parts += [Part(path, free(home.python, path.name, today)) for path in scripts(home.python)]
    settings = home.config / SETTINGS
    if parts and _is_settings(settings):
        parts.append(Part(settings, free(home.config, SETTINGS, today)))
    return parts


def aside(home: Home) -> list[Part]:
    """Return the parts that were put aside last, each with where it belongs."""
    found: list[tuple[Aside, Part]] = []
    for path in [*entries(home.python), *([] if home.config == home.python else entries(home.config))]:
        name = parsed(path.name)
        if name is not None and _was_put_aside(home, path, name):
            loaded = name.mark == _LOADED
            to = (home.autoload if loaded else path.parent) / name.name
            found.append((name, Part(path, to, loaded)))
    return latest(found)


def scripts(folder: Path) -> list[Path]:
    """Return the scripts in a folder that are weechat-otr, or lead to it."""
    return [
        path
        for path in entries(folder)
        if path.suffix == ".py" and "otr" in path.name.lower() and is_script(path)
    ]


def _is_settings(path: Path) -> bool:
    return _OPTION in start_of(path, BYTES)


def _was_put_aside(home: Home, path: Path, name: Aside) -> bool:
    if name.mark not in ("", _LOADED):
        return False
    if name.name == SETTINGS and not name.mark:
        return path.parent == home.config and _is_settings(path)
    if path.parent != home.python or not name.name.endswith(".py"):
        return False
    # A relative link leads nowhere from here, until it is back.
    return is_script(path) or (bool(name.mark) and path.is_symlink())
