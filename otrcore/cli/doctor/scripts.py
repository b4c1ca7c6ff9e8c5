"""Our own scripts in chat clients: whether they are there, fit this otrcore, and can start its engine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ..installing import weechat, weechat_home
from ..installing.programs import boxed, on_path
from ..installing.refusal import Refusal
from ..installing.runtime import packages
from ..installing.script import MAX_BYTES, NAME, Installed, read, shipped
from .findings import Finding, fine, note, problem, quoted
from .places import start_of, weechat_folders

_REINSTALL = "Run  pipx reinstall otrcore  or install it anew as you did first, and look here once more."


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
        yield from _in_folder(folder)
    if there and not folders:
        yield note(
            "WeeChat has no OTR of otrcore's in its usual folder",
            f"Run  {weechat.INSTALL}  to encrypt private conversations in it.",
        )
    elif folders:
        yield from _unused(folders)


def again(folder: Path, *options: str) -> str:
    """Return the command that installs our script in a folder of WeeChat's."""
    try:
        words = weechat.command(weechat.INSTALL, weechat_home.named(folder))
    except Refusal:
        words = f"{weechat.INSTALL} --folder {quoted(folder)}"
    return " ".join([words, *options])


def _in_folder(folder: Path) -> Iterator[Finding]:
    path = folder / "python" / NAME
    installed = read(start_of(path, MAX_BYTES + 1))
    if installed is None:
        yield note(
            f"{quoted(path)} is no script of otrcore's",
            f"Move it out of the way, and run  {again(folder)}  for that of otrcore.",
        )
        return
    anew = f"Run  {again(folder)}  to have it put right."
    troubles = [*_troubles(path, installed, anew)]
    if not os.path.lexists(path.parent / "autoload" / NAME):
        troubles.append(note(f"WeeChat does not load {quoted(path)} when it starts", anew))
    yield from troubles or [fine(f"OTR in WeeChat: {path}")]


def _troubles(path: Path, installed: Installed, anew: str) -> Iterator[Finding]:
    """Tell why a script would not work with the otrcore that it starts."""
    missing = installed.runtime.missing
    if missing is not None:
        yield problem(
            f"OTR in WeeChat does not work: {quoted(path)} needs {quoted(missing)}, which is gone", anew
        )
        return
    elsewhere = Path(installed.runtime.packages)
    ours = os.path.samefile(elsewhere, packages())
    try:
        source = shipped(weechat.CLIENT) if ours else _shipped_in(elsewhere)
    except Refusal as refusal:
        what, _, mend = str(refusal).partition(": ")
        yield problem(what, f"{mend[:1].upper()}{mend[1:]}.")
        return
    if installed.source != source:
        yield problem(f"{quoted(path)} is of another version than the otrcore that it starts", anew)
        return
    trouble = installed.runtime.trouble()
    if trouble is not None:
        yield problem(f"OTR in WeeChat does not work, as its engine cannot be run: {trouble}", _REINSTALL)
    elif not ours:
        yield note(f"OTR in WeeChat is that of another installation of otrcore, in {quoted(elsewhere)}", anew)


def _shipped_in(folder: Path) -> bytes:
    """Return the script that came with the otrcore in another folder; nothing if there is none."""
    return start_of(folder / "otrcore" / "scripts" / weechat.CLIENT / NAME, MAX_BYTES + 1)


def _unused(folders: list[Path]) -> Iterator[Finding]:
    """Tell if our script is only where WeeChat does not look, unless it is told to."""
    try:
        home = weechat_home.usual()
    except Refusal as refusal:
        what, _, mend = str(refusal).rpartition(": ")
        yield note(what, f"{mend[:1].upper()}{mend[1:]}")
        return
    if home.data not in folders:
        yield note(
            f"WeeChat uses {quoted(home.data)} unless told otherwise, and has no OTR of otrcore's there",
            f"Run  {weechat.INSTALL}  to have it there.",
        )
