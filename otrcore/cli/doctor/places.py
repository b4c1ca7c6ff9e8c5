"""Where chat clients keep their things, and looking there without being held up by what lies there."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

MAX_ENTRIES = 500
"""Of one folder; what a client itself puts there is far less."""

CLIENTS = ("weechat", "irssi", "hexchat", "zoitechat", "pidgin")

_FLATPAK_NAMES = (*CLIENTS, "pidgin3")


def home() -> Path:
    """Return the user's home folder; RuntimeError if there is none."""
    return Path.home()


def xdg(variable: str, below_home: str) -> Path:
    """Return a folder of the XDG Base Directory Specification, by which relative paths do not count."""
    named = os.environ.get(variable, "")
    return Path(named) if os.path.isabs(named) else home() / below_home


def config_home() -> Path:
    """Return where the user's settings lie."""
    return xdg("XDG_CONFIG_HOME", ".config")


def data_home() -> Path:
    """Return where the user's data lies."""
    return xdg("XDG_DATA_HOME", ".local/share")


def weechat_folders() -> list[Path]:
    """Return the folders that WeeChat may keep scripts and their data in, whether they exist or not."""
    # One folder for all, or a list of which the second is that of data.
    named = os.environ.get("WEECHAT_HOME", "").split(":")
    chosen = named[1] if len(named) > 1 else named[0]
    folders = [Path(chosen).expanduser()] if chosen else []
    folders += [home() / ".weechat", data_home() / "weechat"]
    return folders + [boxed / ".weechat" for boxed in _snap_homes("weechat")]


def hexchat_folders() -> list[Path]:
    """Return the settings folders of HexChat and ZoiteChat, whether they exist or not."""
    folders = [config_home() / name for name in ("hexchat", "zoitechat")]
    folders += [path / "config" / path.name.rpartition(".")[2].lower() for path in _flatpak_homes("chat")]
    return folders + [boxed / ".config" / "hexchat" for boxed in _snap_homes("hexchat")]


def irssi_folders() -> list[Path]:
    """Return the folders of irssi, whether they exist or not."""
    return [boxed / ".irssi" for boxed in (home(), *_snap_homes("irssi"))]


def pidgin_folders() -> list[Path]:
    """Return the folders of Pidgin, whether they exist or not."""
    named = os.environ.get("PURPLEHOME", "")
    homes = [Path(named)] if os.path.isabs(named) else []
    return [
        boxed / ".purple" for boxed in (*homes, home(), *_flatpak_homes("pidgin"), *_snap_homes("pidgin"))
    ]


def flatpaks() -> Iterator[Path]:
    """Yield the folders of the chat clients that are installed as Flatpaks."""
    for folder in (data_home() / "flatpak/app", Path("/var/lib/flatpak/app")):
        for path in entries(folder):
            if path.name.rpartition(".")[2].lower() in _FLATPAK_NAMES:
                yield path


def snaps() -> Iterator[Path]:
    """Yield the folders of the chat clients that are installed as Snaps."""
    for folder in (Path("/snap"), Path("/var/lib/snapd/snap")):
        found = [folder / name for name in CLIENTS if os.path.isdir(folder / name)]
        if found:  # the one is a link to the other on some systems
            yield from found
            return


def entries(folder: Path) -> list[Path]:
    """Return what is in a folder, sorted, the first MAX_ENTRIES; nothing if it cannot be read."""
    with suppress(OSError), os.scandir(folder) as found:
        return sorted(folder / entry.name for entry in islice(found, MAX_ENTRIES))
    return []


def read_start(path: Path, limit: int) -> bytes:
    """Return the first bytes of an ordinary file; OSError."""
    # Not blocking: a pipe in place of the file must not keep us waiting.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Not an ordinary file")
        return os.read(descriptor, limit)
    finally:
        os.close(descriptor)


def start_of(path: Path, limit: int) -> bytes:
    """Return the first bytes of an ordinary file, or nothing if it is none or cannot be read."""
    with suppress(OSError):
        return read_start(path, limit)
    return b""


def _flatpak_homes(word: str) -> list[Path]:
    return [
        path
        for path in entries(home() / ".var/app")
        if path.name.rpartition(".")[2].lower() in _FLATPAK_NAMES and word in path.name.lower()
    ]


def _snap_homes(name: str) -> list[Path]:
    return [home() / "snap" / name / part for part in ("common", "current")]
