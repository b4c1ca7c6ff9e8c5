"""The command `otr doctor`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import typer

from ..output import Cell, Mood, say, show, show_json
from ..process import DataDir, JsonOutput
from .findings import Finding, Level, collected, note

Check = Callable[[], Iterable[Finding]]

_MOODS = {Level.OK: Mood.GOOD, Level.NOTE: Mood.DOUBTFUL, Level.PROBLEM: Mood.BAD}


def doctor(data_dir: DataDir = None, as_json: JsonOutput = False) -> None:
    """Look at what is installed where, what would fail, and what to do about it.

    Nothing is changed.  The exit code is 1 if anything would fail.
    """
    found = [(about, finding) for about, check in checks(data_dir) for finding in collected(check, about)]
    if as_json:
        show_json(_document(found))
    else:
        _print(found)
    if _problems(found):
        raise typer.Exit(1)


def checks(data_dir: Path | None) -> list[tuple[str, Check]]:
    """Return what is looked at, each with what it is about, in the order it is told."""
    from . import clients, installation

    return [
        ("installation", installation.otrcore),
        ("installation", installation.libraries),
        ("installation", installation.arithmetic),
        ("installation", installation.scripts),
        ("data folder", partial(_store, data_dir)),
        ("clients", clients.installed),
        ("clients", clients.otr_in_weechat),
        ("clients", clients.otr_in_hexchat),
        ("clients", clients.otr_elsewhere),
        ("other keys", partial(_keys, data_dir)),
    ]


def _store(data_dir: Path | None) -> Iterable[Finding]:
    try:
        from . import store
    except ImportError:
        return [note("The data folder was not looked at, as the libraries for that do not work")]
    return store.check(data_dir)


def _keys(data_dir: Path | None) -> Iterable[Finding]:
    try:
        from . import keys
    except ImportError:
        return [note("Keys of other programs were not looked for, as the libraries for that do not work")]
    return keys.check(data_dir)


def _print(found: list[tuple[str, Finding]]) -> None:
    mends = list(dict.fromkeys(finding.mend for _, finding in found if finding.mend is not None))
    show(
        ("About", "State", "What was found"),
        [
            (about, Cell(finding.level.value, _MOODS[finding.level]), _line(finding, mends))
            for about, finding in found
        ],
    )
    # Below the table, where a command stays in one piece however narrow the terminal is.
    if mends:
        say("", "What to do:", *(f"[{number}] {mend}" for number, mend in enumerate(mends, 1)))
    problems = _problems(found)
    say(
        "",
        {0: "Nothing would fail.", 1: "One thing would fail."}.get(
            problems, f"{problems} things would fail."
        ),
    )


def _line(finding: Finding, mends: list[str]) -> str:
    return finding.what if finding.mend is None else f"{finding.what} [{mends.index(finding.mend) + 1}]"


def _document(found: list[tuple[str, Finding]]) -> object:
    return {
        "problems": _problems(found),
        "findings": [
            {"about": about, "level": finding.level.value, "what": finding.what, "mend": finding.mend}
            for about, finding in found
        ],
    }


def _problems(found: list[tuple[str, Finding]]) -> int:
    return sum(finding.level is Level.PROBLEM for _, finding in found)
