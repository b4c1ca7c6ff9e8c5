"""The chat clients on this machine, and the OTR that they have already."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..installing import hexchat_home, hexchat_otr, script, weechat_otr
from ..installing.programs import boxed, libraries, on_path
from . import scripts
from .findings import Finding, fine, note, problem, quoted
from .places import (
    entries,
    flatpaks,
    hexchat_folders,
    irssi_folders,
    pidgin_folders,
    snaps,
    weechat_folders,
)
from .programs import NoVersion, version

PROGRAMS = ("weechat", "weechat-headless", "irssi", "hexchat", "zoitechat", "pidgin")

OUR_SCRIPT = script.NAME


def installed() -> Iterator[Finding]:
    """Tell which chat clients there are, and of what version."""
    found = on_path(PROGRAMS)
    with ThreadPoolExecutor(len(PROGRAMS)) as pool:
        told = list(pool.map(_told, found))
    in_boxes = [
        *(fine(f"{path.name}: a Flatpak, {path}") for path in flatpaks()),
        *(fine(f"{path.name}: a Snap, {path}") for path in snaps()),
    ]
    yield from told
    yield from in_boxes
    if not told and not in_boxes:
        yield note("No WeeChat, irssi, HexChat, ZoiteChat or Pidgin was found: `otr chat` needs none of them")


def otr_in_weechat() -> Iterator[Finding]:
    """Look at our script in WeeChat, and find others for OTR that it loads when it starts."""
    yield from scripts.in_weechat()
    for folder in weechat_folders():
        autoload = folder / "python" / "autoload"
        found = [path for path in entries(autoload) if path.suffix == ".py" and "otr" in path.name.lower()]
        ours = [path for path in found if path.name == OUR_SCRIPT]
        for path in found:
            if path not in ours:
                theirs = weechat_otr.is_script(path)
                what = f"WeeChat loads {weechat_otr.TITLE if theirs else 'another OTR script'} when it starts"
                room = scripts.again_in_weechat(folder, "--replace") if theirs and ours else None
                # Versions before 3.5 load whatever lies in there, so it goes to the folder above.
                away = _unloaded(folder / "python" / path.name)
                yield _clash(f"{what}, {path}", path, away, beside_ours=bool(ours), room=room)


def otr_in_hexchat() -> Iterator[Finding]:
    """Look at our script in HexChat and ZoiteChat, and find other OTR that they load when they start."""
    yield from scripts.in_hexchat()
    for client in hexchat_home.CLIENTS:
        folders = [folder for folder in dict.fromkeys(hexchat_folders()) if folder.name == client.name]
        ours = [folder for folder in folders if os.path.lexists(folder / "addons" / OUR_SCRIPT)]
        rooms: dict[Path, str | None] = dict.fromkeys(hexchat_otr.in_system(client))
        for folder in folders:
            for path in hexchat_otr.suspects(folder / "addons"):
                theirs = folder in ours and hexchat_otr.is_other(path)
                rooms[path] = scripts.again_in_hexchat(folder, "--replace") if theirs else None
        for path, room in rooms.items():
            what = f"{client.title} loads {hexchat_otr.title(path)} when it starts, {path}"
            yield _clash(what, path, _unloaded(path), beside_ours=bool(ours), room=room)


def otr_elsewhere() -> Iterator[Finding]:
    """Tell which OTR irssi and Pidgin have: nothing of ours runs in them, and they talk with us."""
    modules = libraries("irssi", "irssi/modules/libotr*.so")
    for folder in irssi_folders():
        modules += [path for path in entries(folder / "modules") if _is_module(path, "libotr")]
    yield from (
        fine(f"irssi has OTR of its own, {path}: type  /load otr  in irssi to use it") for path in modules
    )
    plugins = [*libraries("pidgin", "pidgin/pidgin-otr.so"), *libraries("pidgin", "purple-2/pidgin-otr.so")]
    for folder in pidgin_folders():
        plugins += [path for path in entries(folder / "plugins") if _is_module(path, "pidgin-otr")]
    yield from (fine(f"Pidgin has OTR of its own, {path}") for path in plugins)


def _told(program: Path) -> Finding:
    if boxed(program):
        return fine(f"{program.name}: {program}, in a box of its own")
    try:
        return fine(f"{program.name} {version(program)}: {program}")
    except NoVersion as reason:
        return note(f"{program.name}: {program}, of unknown version, as {reason}")


def _clash(what: str, path: Path, away: Path, *, beside_ours: bool, room: str | None = None) -> Finding:
    """Return a finding about another OTR in a client: two of them would both answer, and encrypt twice.

    `away` is a free name under which it is not loaded, `room` a command of ours that puts it aside.
    """
    package = hexchat_otr.package(path)
    if room is not None:
        mend = f"Run  {room}  to have it put aside."
    elif package is not None:
        mend = f"Run  sudo apt remove {package}  to make room for otrcore's."
    else:
        sudo = "" if os.access(path.parent, os.W_OK) else "sudo "
        mend = f"Run  {sudo}mv -n {quoted(path)} {quoted(away)}  to make room for otrcore's."
    if beside_ours:
        return problem(f"{what}, beside that of otrcore: only one of the two can work", mend)
    return note(f"{what}: beside it no other OTR works there", mend)


def _unloaded(path: Path) -> Path:
    """Return a name beside a path under which nothing is loaded, and that nothing has yet."""
    name, number = f"{path}.off", 1
    while os.path.lexists(name):
        number += 1
        name = f"{path}.off{number}"
    return Path(name)


def _is_module(path: Path, start: str) -> bool:
    return path.suffix == ".so" and path.name.startswith(start)
