"""The chat clients on this machine, and the OTR that they have already."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from .findings import Finding, fine, note, problem, quoted
from .places import (
    MAX_ENTRIES,
    entries,
    flatpaks,
    hexchat_folders,
    irssi_folders,
    pidgin_folders,
    snaps,
    start_of,
    weechat_folders,
)
from .programs import NoVersion, version

PROGRAMS = ("weechat", "weechat-headless", "irssi", "hexchat", "zoitechat", "pidgin")

OUR_SCRIPT = "otr_client.py"

_BOXED = ("/snap/", "/snapd/", "/flatpak/")
"""In the path of a program with a box of its own, which takes long to start and leaves folders behind."""

_SCRIPT_BYTES = 256 * 1024

_DEBIAN_PACKAGES = Path("/var/lib/dpkg/info")


def installed() -> Iterator[Finding]:
    """Tell which chat clients there are, and of what version."""
    found = [Path(path) for path in map(shutil.which, PROGRAMS) if path is not None]
    with ThreadPoolExecutor(len(PROGRAMS)) as pool:
        told = list(pool.map(_told, found))
    boxed = [
        *(fine(f"{path.name}: a Flatpak, {path}") for path in flatpaks()),
        *(fine(f"{path.name}: a Snap, {path}") for path in snaps()),
    ]
    yield from told
    yield from boxed
    if not told and not boxed:
        yield note("No WeeChat, irssi, HexChat, ZoiteChat or Pidgin was found: `otr chat` needs none of them")


def otr_in_weechat() -> Iterator[Finding]:
    """Find other OTR scripts that WeeChat loads when it starts."""
    for folder in weechat_folders():
        autoload = folder / "python" / "autoload"
        scripts = [path for path in entries(autoload) if path.suffix == ".py" and "otr" in path.name.lower()]
        ours = [path for path in scripts if path.name == OUR_SCRIPT]
        for path in scripts:
            if path not in ours:
                name = "weechat-otr" if b"potr" in start_of(path, _SCRIPT_BYTES) else "another OTR script"
                yield _clash(f"WeeChat loads {name} when it starts, {path}", path, beside_ours=bool(ours))


def otr_in_hexchat() -> Iterator[Finding]:
    """Find other OTR addons and plugins that HexChat and ZoiteChat load when they start."""
    for client, title in (("hexchat", "HexChat"), ("zoitechat", "ZoiteChat")):
        addons = [
            path
            for folder in hexchat_folders()
            if folder.name == client
            for path in entries(folder / "addons")
            if path.suffix in (".so", ".py") and "otr" in path.name.lower()
        ]
        ours = [path for path in addons if path.name == OUR_SCRIPT]
        for path in [*addons, *_libraries(client, f"{client}/plugins/*otr*.so")]:
            if path not in ours:
                what = f"{title} loads another OTR when it starts, {path}"
                yield _clash(what, path, beside_ours=bool(ours))


def otr_elsewhere() -> Iterator[Finding]:
    """Tell which OTR irssi and Pidgin have: nothing of ours runs in them, and they talk with us."""
    modules = _libraries("irssi", "irssi/modules/libotr*.so")
    for folder in irssi_folders():
        modules += [path for path in entries(folder / "modules") if _is_module(path, "libotr")]
    yield from (
        fine(f"irssi has OTR of its own, {path}: type  /load otr  in irssi to use it") for path in modules
    )
    plugins = [*_libraries("pidgin", "pidgin/pidgin-otr.so"), *_libraries("pidgin", "purple-2/pidgin-otr.so")]
    for folder in pidgin_folders():
        plugins += [path for path in entries(folder / "plugins") if _is_module(path, "pidgin-otr")]
    yield from (fine(f"Pidgin has OTR of its own, {path}") for path in plugins)


def _told(program: Path) -> Finding:
    # A name in such a folder is a link to a starter, which starts what it was called by.
    places = (f"{program.parent}/", f"{os.path.realpath(program)}")
    if program.resolve().name == "snap" or any(box in place for box in _BOXED for place in places):
        return fine(f"{program.name}: {program}, in a box of its own")
    try:
        return fine(f"{program.name} {version(program)}: {program}")
    except NoVersion as reason:
        return note(f"{program.name}: {program}, of unknown version, as {reason}")


def _clash(what: str, path: Path, *, beside_ours: bool) -> Finding:
    """Return a finding about another OTR in a client: two of them would both answer, and encrypt twice."""
    package = _package(path)
    if package is not None:
        mend = f"Run  sudo apt remove {package}  to make room for otrcore's."
    else:
        sudo = "" if os.access(path.parent, os.W_OK) else "sudo "
        mend = f"Run  {sudo}mv -n {quoted(path)} {quoted(_unloaded(path))}  to make room for otrcore's."
    if beside_ours:
        return problem(f"{what}, beside that of otrcore: both answer, and neither works", mend)
    return note(f"{what}: beside it no other OTR works there", mend)


def _unloaded(path: Path) -> str:
    """Return a name beside a script under which it is not loaded, and that nothing has yet."""
    name, number = f"{path}.off", 1
    while os.path.lexists(name):
        number += 1
        name = f"{path}.off{number}"
    return name


def _package(path: Path) -> str | None:
    """Return the package that a plug-in came with, where Debian's list of its files says so."""
    if path.name == "otr.so" and path.parent.parent.name == "hexchat":
        line = os.fsencode(path) + b"\n"
        for file in _DEBIAN_PACKAGES.glob("hexchat-otr*.list"):
            if line in start_of(file, _SCRIPT_BYTES):
                return "hexchat-otr"
    return None


def _libraries(program: str, pattern: str) -> list[Path]:
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


def _is_module(path: Path, start: str) -> bool:
    return path.suffix == ".so" and path.name.startswith(start)
