"""Our script in the folders of HexChat and ZoiteChat: put there, brought up to date, taken away again."""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import date

from ..doctor.findings import quoted
from ..doctor.places import hexchat_folders, start_of
from . import hexchat_otr
from .files import beside, change, check_folder, hidden, kept, make_folder
from .hexchat_home import NO_PLUGIN, Home, lacks_python, require
from .other_otr import Part, move_all
from .refusal import Refusal
from .runtime import this
from .script import MAX_BYTES, NAME, became, filled, ours, read, shipped

CLIENT = "hexchat"

INSTALL = "otr install hexchat"
UNINSTALL = "otr uninstall hexchat"

_PRIVATE = 0o700
"""The rights that HexChat gives to its folders."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be done in one folder."""

    home: Home
    before: bytes | None
    """Our script as it is there."""
    text: bytes
    """As it is to be."""
    moving: list[Part]
    """Other OTR that is put aside."""

    @property
    def changes(self) -> bool:
        return self.before != self.text or bool(self.moving)


def install(homes: list[Home], troubles: list[str], *, replace: bool) -> list[str]:
    """Put the script where HexChat and ZoiteChat load it from; return what was done, and what comes next.

    `troubles` are told too: why others cannot have it.  `replace` puts other OTR in the user's own
    folders aside.  Refusal, and then nothing is changed.
    """
    runtime = this()
    text = filled(shipped(CLIENT), runtime)
    plans = [_plan(home, text, replace=replace) for home in homes]
    changing = [plan for plan in plans if plan.changes]

    def put(undo: ExitStack) -> None:
        parts = []
        for plan in changing:
            make_folder(plan.home.config, _PRIVATE, undo)
            make_folder(plan.home.addons, _PRIVATE, undo)
            old = None if plan.before is None else kept(plan.home.script, plan.before, undo)
            parts.append((beside(plan.home.script, text, undo), plan.home.script, old))
        for plan in changing:
            move_all(plan.moving, undo)
        for part, script, old in parts:
            os.replace(part, script)
            if old is None:
                undo.callback(script.unlink, missing_ok=True)
        for _, _, old in parts:
            if old is not None:
                with suppress(OSError):
                    old.unlink()

    if changing:
        change(changing[0].home.addons, put)
    moving = [part for plan in plans for part in plan.moving]
    return [
        *(_done(plan) for plan in plans),
        *(
            f"{hexchat_otr.title(part.path)} was put aside: {quoted(part.path)} is now {quoted(part.to)}"
            for part in moving
        ),
        *([f"{command(UNINSTALL, homes[0])}  puts that back."] if moving else []),
        *(line for plan in plans for line in _keys(plan)),
        *troubles,
        *(line for plan in plans for line in _warnings(plan.home)),
        *_next(plans),
    ]


def uninstall(homes: list[Home]) -> list[str]:
    """Take the script away, and put back what was put aside; return what was done.

    Refusal, and then nothing is changed.
    """
    there = [home for home in homes if ours(home.script) is not None]
    aside = [part for home in homes for part in hexchat_otr.aside(home)]
    back = [part for part in aside if not os.path.lexists(part.to)]
    if not (there or back):
        return _nothing_there(homes)
    for addons in {*(home.addons for home in there), *(part.to.parent for part in back)}:
        check_folder(addons)

    def take(undo: ExitStack) -> None:
        move_all(back, undo)
        gone = [hidden(home.script, undo) for home in there]
        undo.pop_all()
        for path in gone:
            path.unlink()

    change(homes[0].addons, take)
    running = _either([home.client.title for home in there or homes])
    return [
        *(f"The script was taken out of {quoted(home.addons)}." for home in there),
        *(f"{hexchat_otr.title(part.to)} is back in its place: {quoted(part.to)}" for part in back),
        *(
            f"{quoted(part.path)} stays, as there is another {quoted(part.to)}"
            for part in aside
            if part not in back
        ),
        *([f"Next: in a {running} that is running, type  /py unload {NAME}"] if there else []),
        "Your keys, and whom you have verified, stay: look at  otr keys  and  otr contacts.",
    ]


def command(words: str, home: Home) -> str:
    """Return a command of ours as it is typed for a folder."""
    return words if home.usual else f"{words} --folder {quoted(home.config)}"


def _plan(home: Home, text: bytes, *, replace: bool) -> _Plan:
    """Look at all that could be in the way; Refusal."""
    require(home)
    for folder in (home.config, home.addons):
        check_folder(folder)
    before = ours(home.script)
    theirs = hexchat_otr.present(home, date.today())
    if theirs and not replace:
        first = theirs[0].path
        raise Refusal(
            f"Nothing was installed, as {home.client.title} loads {hexchat_otr.title(first)} when it starts, "
            f"{quoted(first)}, and beside it no other OTR works: run  {command(INSTALL, home)} --replace  "
            f"to put it aside; {UNINSTALL} puts it back."
        )
    return _Plan(home, before, text, theirs)


def _done(plan: _Plan) -> str:
    """Return what has become of our script in one folder."""
    script, client = plan.home.script, plan.home.client.title
    if plan.before == plan.text:
        return f"{quoted(script)} is up to date{'.' if plan.moving else ': nothing was changed.'}"
    return became(script, plan.before, plan.text, client)


def _keys(plan: _Plan) -> list[str]:
    """Return how the keys of hexchat-otr can be used on."""
    folder = plan.home.config / hexchat_otr.KEYS
    if not (plan.before is None or plan.moving) or not hexchat_otr.has_keys(plan.home):
        return []
    return [
        f"The keys of {hexchat_otr.TITLE} stay where they are:  "
        f"otr keys import {quoted(folder)} --from hexchat  takes them over."
    ]


def _warnings(home: Home) -> list[str]:
    """Return what may keep the script from working."""
    told = []
    for path in hexchat_otr.in_system(home.client):
        told.append(
            f"{home.client.title} loads {hexchat_otr.title(path)} too, {quoted(path)}, and this one stands "
            f"aside while it does: {hexchat_otr.remedy(path)}  or type  /unload {path.name}  at each start."
        )
    told += [
        f"{quoted(path)} is loaded when {home.client.title} starts too: if it does OTR, neither works."
        for path in hexchat_otr.suspects(home.addons)
    ]
    if lacks_python(home.client):
        told.append(f"{home.client.title} cannot load it yet, as {NO_PLUGIN}: {home.client.python}")
    return told


def _next(plans: list[_Plan]) -> list[str]:
    """Return what the user does next."""
    clients: dict[str, list[str]] = {}
    for plan in plans:
        first = "".join(f"{hexchat_otr.unload(part.path)}  and then  " for part in plan.moving)
        load = f"/py {'load' if plan.before in (None, plan.text) else 'reload'} {NAME}"
        clients.setdefault(f"{first}{load}", []).append(plan.home.client.title)
    return [
        *(
            f"Next: start {_either(titles)}, or in one that is running type  {typed}"
            for typed, titles in clients.items()
        ),
        "Then  /otr start  in a dialog begins to encrypt it.",
    ]


def _either(titles: list[str]) -> str:
    return " or ".join(titles)


def _nothing_there(homes: list[Home]) -> list[str]:
    others = [
        folder
        for folder in hexchat_folders()
        if folder not in [home.config for home in homes]
        and read(start_of(folder / "addons" / NAME, MAX_BYTES + 1)) is not None
    ]
    here = _either([quoted(home.addons) for home in homes])
    return [
        f"Nothing to do: there is no script of otrcore's in {here}",
        *(
            f"There is one in another folder: {UNINSTALL} --folder {quoted(folder)}  removes it."
            for folder in others
        ),
    ]
