"""hexchat-otr and other OTR addons that HexChat had before: found by their contents, put aside and put back.

HexChat loads what is called *.so, in letters of either case, and what ends in .py.
"""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

from ..doctor.findings import quoted
from ..doctor.places import entries, start_of
from .hexchat_home import Client, Home, plugins
from .other_otr import BYTES, Aside, Part, free, latest, parsed, uses_potr
from .script import NAME

TITLE = "hexchat-otr"
KEYS = "otr"
"""The folder for them, in that of HexChat's settings."""
KEY_FILE = "otr.key"

_LIBOTR = b"otrl_"
"""What the names of all functions of libotr begin with."""

_PLUGIN = "otr.so"
_DEBIAN_PACKAGES = Path("/var/lib/dpkg/info")
_LIST_BYTES = 256 * 1024


def title(path: Path) -> str:
    """Return what another OTR is called."""
    return TITLE if path.name.lower() == _PLUGIN else "another OTR"


def suspects(folder: Path) -> list[Path]:
    """Return the files in a folder that HexChat loads and that are called after OTR, without ours."""
    return [path for path in entries(folder) if _is_suspect(path.name)]


def loaded(home: Home) -> list[Path]:
    """Return what in the user's own folder is an OTR that HexChat loads when it starts."""
    return [path for path in suspects(home.addons) if is_other(path)]


def in_system(client: Client) -> list[Path]:
    """Return the OTR plugins that HexChat loads for all users."""
    return [path for path in plugins(client) if _is_suspect(path.name)]


def is_other(path: Path) -> bool:
    """Whether a file, or what a link leads to, is an addon or plugin for OTR."""
    return _LIBOTR in start_of(path, BYTES) or uses_potr(path)


def present(home: Home, today: date) -> list[Part]:
    """Return what is in its place, each with a free name to put it aside."""
    return [Part(path, free(home.addons, path.name, today), loaded=True) for path in loaded(home)]


def aside(home: Home) -> list[Part]:
    """Return what was put aside last, each with where it belongs."""
    found: list[tuple[Aside, Part]] = []
    for path in entries(home.addons):
        name = parsed(path.name)
        if name is not None and not name.mark and _is_suspect(name.name) and is_other(path):
            found.append((name, Part(path, home.addons / name.name, loaded=True)))
    return latest(found)


def has_keys(home: Home) -> bool:
    """Whether it has made keys here."""
    return os.path.isfile(home.config / KEYS / KEY_FILE)


def package(path: Path) -> str | None:
    """Return the package that a plugin came with, where Debian's list of its files says so."""
    if path.name == _PLUGIN and path.parent.parent.name == "hexchat":
        line = os.fsencode(path) + b"\n"
        for file in _DEBIAN_PACKAGES.glob(f"{TITLE}*.list"):
            if line in start_of(file, _LIST_BYTES):
                return TITLE
    return None


def remedy(path: Path) -> str:
    """Return how one that is there for all users is taken away."""
    known = package(path)
    return f"run  sudo apt remove {known}" if known is not None else f"remove {quoted(path)}"


def unload(path: Path) -> str:
    """Return what is typed into HexChat to have one unloaded."""
    return f"/unload {path.name}" if path.name.lower().endswith(".so") else f"/py unload {path.name}"


def _is_suspect(name: str) -> bool:
    return "otr" in name.lower() and (name.lower().endswith(".so") or name.endswith(".py")) and name != NAME
