"""Finding the processes that a program of ours has started: they inherit its environment."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

MARK = "OTRCORE_TEST_MARK"


def marked(folder: Path) -> dict[str, str | None]:
    """Return what to put into the environment, so that `family` finds it."""
    return {MARK: str(folder)}


def family(folder: Path, word: str = "") -> list[int]:
    """Return the numbers of the processes marked with this folder that have a word on their command line."""
    mark = f"{MARK}={folder}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        # A process may end while it is looked at; some are not ours to look at.
        with suppress(OSError):
            if (
                entry.name.isdigit()
                and int(entry.name) != os.getpid()
                and mark in (entry / "environ").read_bytes().split(b"\0")
                and word.encode() in (entry / "cmdline").read_bytes()
            ):
                found.append(int(entry.name))
    return found
