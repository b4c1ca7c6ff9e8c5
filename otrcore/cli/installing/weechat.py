"""Our script in WeeChat's folders: put there, brought up to date, taken away again."""

from __future__ import annotations

import os
from contextlib import ExitStack
from datetime import date
from pathlib import Path

from ..doctor.findings import quoted
from ..doctor.places import entries, start_of, weechat_folders
from . import weechat_otr
from .files import beside, change, check_folder, hidden, make_folder
from .other_otr import Part, move_all
from .refusal import Refusal
from .runtime import this
from .script import LOADED, MAX_BYTES, NAME, became, filled, ours, read, shipped
from .weechat_home import Home, lacks_python, require

CLIENT, TITLE = "weechat", "WeeChat"
SETTINGS = "otrcore.conf"

INSTALL = "otr install weechat"
UNINSTALL = "otr uninstall weechat"

NO_PLUGIN = "its plugin for Python is not installed"
PLUGIN = "sudo apt install weechat-python"

_LINK = f"../{NAME}"
_PRIVATE, _SHARED = 0o700, 0o755
"""The rights that WeeChat gives to its folder, and to those for scripts in it."""


def install(home: Home, *, replace: bool) -> list[str]:
    """Put the script where this WeeChat loads it from; return what was done, and what comes next.

    `replace` puts weechat-otr aside.  Refusal, and then nothing is changed.
    """
    require(home)
    runtime = this()
    text = filled(shipped(CLIENT), runtime)
    script, link = home.python / NAME, home.autoload / NAME
    for folder in (home.data, home.python, home.autoload):
        check_folder(folder)
    before, linked = ours(script), _linked(link, script)
    theirs = weechat_otr.present(home, date.today())
    loaded = [part.path for part in theirs if part.loaded]
    if loaded and not replace:
        raise Refusal(
            f"Nothing was installed, as WeeChat loads weechat-otr when it starts, {quoted(loaded[0])}, "
            f"and beside it no other OTR works: run  {command(INSTALL, home)} --replace  to put it aside; "
            f"{UNINSTALL} puts it back."
        )
    moving = theirs if replace else []
    if before == text and linked and not moving:
        return [f"{quoted(script)} is up to date: nothing was changed.", *_next(home)]

    def put(undo: ExitStack) -> None:
        make_folder(home.data, _PRIVATE, undo)
        make_folder(home.python, _SHARED, undo)
        make_folder(home.autoload, _SHARED, undo)
        part = beside(script, text, undo)
        move_all(moving, undo)
        if not linked:
            near = os.path.samefile(home.autoload / os.pardir, home.python)
            link.symlink_to(_LINK if near else script)
            undo.callback(link.unlink)
        os.replace(part, script)

    change(home.python, put)
    return [
        became(script, before, text, TITLE),
        *(f"weechat-otr was put aside: {quoted(part.path)} is now {quoted(part.to)}" for part in moving),
        *([f"{command(UNINSTALL, home)}  puts that back."] if moving else []),
        *_keys(home, moving),
        *_warnings(home),
        *_next(home, before=before, moved=bool(moving)),
    ]


def uninstall(home: Home, *, purge: bool) -> list[str]:
    """Take the script away, and put weechat-otr back where it was; return what was done.

    `purge` deletes our settings too.  Refusal, and then nothing is changed.
    """
    script, link, settings = home.python / NAME, home.autoload / NAME, home.config / SETTINGS
    there, linked = ours(script) is not None, _leads(link, script)
    aside = weechat_otr.aside(home)
    back = [part for part in aside if not os.path.lexists(part.to)]
    purging = purge and os.path.lexists(settings)
    if not (there or linked or back or purging):
        return _nothing_there(home)
    for folder in {path.parent for path in (script, link, *(part.to for part in back))}:
        check_folder(folder)
    if purging:
        check_folder(home.config)

    def take(undo: ExitStack) -> None:
        move_all(back, undo)
        if linked:
            undo.callback(link.symlink_to, os.readlink(link))
            link.unlink()
        gone = hidden(script, undo) if there else None
        if purging:
            settings.unlink()
        undo.pop_all()
        if gone is not None:
            gone.unlink()

    change(home.python, take)
    kept = not purge and os.path.lexists(settings)
    return [
        *([f"The script was taken out of {quoted(home.python)}."] if there or linked else []),
        *(f"weechat-otr is back in its place: {quoted(part.to)}" for part in back),
        *(
            f"{quoted(part.path)} stays, as there is another {quoted(part.to)}"
            for part in aside
            if part not in back
        ),
        *([f"Deleted: {quoted(settings)}"] if purging else []),
        f"Next: in a WeeChat that is running, type  /python unload {LOADED}",
        *(
            ["If it was still loaded, run this once more then: it writes its settings again."]
            if purging
            else []
        ),
        *([f"Your settings stay in {quoted(settings)}: --purge-config deletes them."] if kept else []),
        "Your keys, and whom you have verified, stay too: look at  otr keys  and  otr contacts.",
    ]


def command(words: str, home: Home) -> str:
    """Return a command of ours as it is typed for these folders."""
    return words if home.usual else f"{words} --folder {quoted(home.data)}"


def _linked(link: Path, script: Path) -> bool:
    """Whether the link to the script is there; Refusal if anything else is in its place."""
    if _leads(link, script):
        return True
    if os.path.lexists(link):
        what = "leads elsewhere" if link.is_symlink() else "is no link to otrcore's script"
        raise Refusal(f"{quoted(link)} {what}, and was left as it is: move it out of the way first.")
    return False


def _leads(link: Path, script: Path) -> bool:
    return link.is_symlink() and os.path.realpath(link) == os.path.realpath(script)


def _keys(home: Home, moving: list[Part]) -> list[str]:
    """Return how the keys of what was put aside can be used on."""
    folder = home.data / weechat_otr.KEYS
    if not moving or not any(path.suffix == ".key3" for path in entries(folder)):
        return []
    return [
        f"Its keys stay where they are:  otr keys import {quoted(folder)} --from weechat  takes them over."
    ]


def _warnings(home: Home) -> list[str]:
    """Return what may keep the script from working."""
    told = [
        f"{quoted(path)} is loaded when WeeChat starts too: if it does OTR, neither of them works."
        for path in entries(home.autoload)
        if path.suffix == ".py" and "otr" in path.name.lower() and path.name != NAME
    ]
    told += [
        f"{quoted(path)} is weechat-otr: do not load it beside this."
        for path in weechat_otr.scripts(home.python)
    ]
    if lacks_python():
        told.append(f"WeeChat cannot load it yet, as {NO_PLUGIN}: on Debian and Ubuntu, run  {PLUGIN}")
    return told


def _next(home: Home, *, before: bytes | None = None, moved: bool = False) -> list[str]:
    """Return what the user does next."""
    load = f"/python load {NAME}" if before is None else f"/python reload {LOADED}"
    first = "/python unload otr  and then  " if moved else ""
    return [
        f"Next: start WeeChat, or in one that is running type  {first}{load}",
        "Then  /otr start  in a private conversation begins to encrypt it.",
    ]


def _nothing_there(home: Home) -> list[str]:
    others = [
        folder
        for folder in weechat_folders()
        if folder != home.data and read(start_of(folder / "python" / NAME, MAX_BYTES + 1)) is not None
    ]
    return [
        f"Nothing to do: there is no script of otrcore's in {quoted(home.python)}",
        *(
            f"There is one in another folder: {UNINSTALL} --folder {quoted(folder)}  removes it."
            for folder in others
        ),
    ]
