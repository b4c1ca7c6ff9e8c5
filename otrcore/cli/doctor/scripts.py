"""Our own scripts in chat clients: whether they are there, fit this otrcore, and can start its engine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..installing import hexchat, hexchat_home, weechat, weechat_home
from ..installing.programs import boxed, on_path
from ..installing.refusal import Refusal
from ..installing.runtime import packages
from ..installing.script import MAX_BYTES, NAME, Installed, read, shipped
from .findings import Finding, fine, note, problem, quoted
from .places import hexchat_folders, start_of, weechat_folders

_REINSTALL = "Run  pipx reinstall otrcore  or install it anew as you did first, and look here once more."


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a client has our script."""

    client: str
    """By which the script's place in otrcore is called."""
    title: str
    path: Path
    again: str
    """The command that installs it there."""

    @property
    def anew(self) -> str:
        """The mend for what that command puts right."""
        return f"Run  {self.again}  to have it put right."


def in_weechat() -> Iterator[Finding]:
    """Look at WeeChat's plug-in for Python, and at our script in every folder that may be WeeChat's."""
    there = [path for path in on_path(weechat_home.PROGRAMS) if not boxed(path)]
    if weechat_home.lacks_python():
        yield problem(
            f"WeeChat cannot load scripts, as {weechat.NO_PLUGIN}",
            f"On Debian and Ubuntu, run  {weechat.PLUGIN}  and start WeeChat anew.",
        )
    folders = [
        folder for folder in dict.fromkeys(weechat_folders()) if os.path.lexists(folder / "python" / NAME)
    ]
    for folder in folders:
        yield from _in_weechat_folder(folder)
    if there and not folders:
        yield note(
            "WeeChat has no OTR of otrcore's in its usual folder",
            f"Run  {weechat.INSTALL}  to encrypt private conversations in it.",
        )
    elif folders:
        yield from _unused(folders)


def in_hexchat() -> Iterator[Finding]:
    """Look at the plug-ins for Python of HexChat and ZoiteChat, and at our script in all of their folders."""
    for client in hexchat_home.CLIENTS:
        if hexchat_home.lacks_python(client):
            yield problem(
                f"{client.title} cannot load scripts, as {hexchat_home.NO_PLUGIN}",
                client.python[:1].upper() + client.python[1:],
            )
    for folder in dict.fromkeys(hexchat_folders()):
        if os.path.lexists(folder / "addons" / NAME):
            yield from _in_hexchat_folder(folder)
    try:
        homes, troubles = hexchat_home.looked_for()
    except Refusal as refusal:
        yield _refused(str(refusal))
        return
    yield from map(_refused, troubles)
    for home in homes:
        if on_path([home.client.name]) and not os.path.lexists(home.script):
            yield note(
                f"{home.client.title} has no OTR of otrcore's in its usual folder, {quoted(home.config)}",
                f"Run  {hexchat.INSTALL}  to encrypt private conversations in it.",
            )


def again_in_weechat(folder: Path, *options: str) -> str:
    """Return the command that installs our script in a folder of WeeChat's."""
    try:
        words = weechat.command(weechat.INSTALL, weechat_home.named(folder))
    except Refusal:
        words = f"{weechat.INSTALL} --folder {quoted(folder)}"
    return " ".join([words, *options])


def again_in_hexchat(folder: Path, *options: str) -> str:
    """Return the command that installs our script in a folder of HexChat's."""
    try:
        words = hexchat.command(hexchat.INSTALL, hexchat_home.named(folder))
    except Refusal:
        words = f"{hexchat.INSTALL} --folder {quoted(folder)}"
    return " ".join([words, *options])


def _in_weechat_folder(folder: Path) -> Iterator[Finding]:
    place = _Place(weechat.CLIENT, weechat.TITLE, folder / "python" / NAME, again_in_weechat(folder))
    troubles = [*_troubles(place)]
    if _installed(place) is not None and not os.path.lexists(place.path.parent / "autoload" / NAME):
        troubles.append(note(f"WeeChat does not load {quoted(place.path)} when it starts", place.anew))
    yield from troubles or [fine(f"OTR in WeeChat: {place.path}")]


def _in_hexchat_folder(folder: Path) -> Iterator[Finding]:
    path = folder / "addons" / NAME
    title = next((one.title for one in hexchat_home.CLIENTS if one.name == folder.name), folder.name)
    if hexchat_home.is_boxed(folder):
        yield problem(
            f"OTR in {title} does not work: {quoted(path)} is in a box, out of which it cannot start otrcore",
            f"Run  {hexchat.UNINSTALL} --folder {quoted(folder)}  and use a {title} that is in none.",
        )
        return
    place = _Place(hexchat.CLIENT, title, path, again_in_hexchat(folder))
    yield from [*_troubles(place)] or [fine(f"OTR in {title}: {path}")]


def _installed(place: _Place) -> Installed | None:
    return read(start_of(place.path, MAX_BYTES + 1))


def _troubles(place: _Place) -> Iterator[Finding]:
    """Tell why a script would not work with the otrcore that it starts, or that it is none of ours."""
    path, anew = place.path, place.anew
    installed = _installed(place)
    if installed is None:
        yield note(
            f"{quoted(path)} is no script of otrcore's",
            f"Move it out of the way, and run  {place.again}  for that of otrcore.",
        )
        return
    broken = f"OTR in {place.title} does not work"
    missing = installed.runtime.missing
    if missing is not None:
        yield problem(f"{broken}: {quoted(path)} needs {quoted(missing)}, which is gone", anew)
        return
    elsewhere = Path(installed.runtime.packages)
    ours = os.path.samefile(elsewhere, packages())
    try:
        source = shipped(place.client) if ours else _shipped_in(elsewhere, place.client)
    except Refusal as refusal:
        what, _, mend = str(refusal).partition(": ")
        yield problem(what, f"{mend[:1].upper()}{mend[1:]}.")
        return
    if installed.source != source:
        yield problem(f"{quoted(path)} is of another version than the otrcore that it starts", anew)
        return
    trouble = installed.runtime.trouble()
    if trouble is not None:
        yield problem(f"{broken}, as its engine cannot be run: {trouble}", _REINSTALL)
    elif not ours:
        yield note(
            f"OTR in {place.title} is that of another installation of otrcore, in {quoted(elsewhere)}", anew
        )


def _shipped_in(folder: Path, client: str) -> bytes:
    """Return the script that came with the otrcore in another folder; nothing if there is none."""
    return start_of(folder / "otrcore" / "scripts" / client / NAME, MAX_BYTES + 1)


def _unused(folders: list[Path]) -> Iterator[Finding]:
    """Tell if our script is only where WeeChat does not look, unless it is told to."""
    try:
        home = weechat_home.usual()
    except Refusal as refusal:
        yield _refused(str(refusal))
        return
    if home.data not in folders:
        yield note(
            f"WeeChat uses {quoted(home.data)} unless told otherwise, and has no OTR of otrcore's there",
            f"Run  {weechat.INSTALL}  to have it there.",
        )


def _refused(sentence: str) -> Finding:
    """Return a refusal as a finding: its sentence ends in what to do next."""
    what, _, mend = sentence.rpartition(": ")
    return note(what, f"{mend[:1].upper()}{mend[1:]}")
