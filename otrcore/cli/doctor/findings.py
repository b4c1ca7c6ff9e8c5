"""What the doctor finds, and how a check that fails itself is told."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path

MAX_FINDINGS = 40
"""Of one check: a folder full of strange files must not fill the screen."""

MAX_WHY = 300
"""Characters of a foreign error's text that are shown."""


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `mend` is one sentence, with the command in it between double blanks."""

    level: Level
    what: str
    mend: str | None = None


def fine(what: str) -> Finding:
    """Return a finding about what is as it should be."""
    return Finding(Level.OK, what)


def note(what: str, mend: str | None = None) -> Finding:
    """Return a finding about what works, and is worth knowing."""
    return Finding(Level.NOTE, what, mend)


def problem(what: str, mend: str) -> Finding:
    """Return a finding about what fails, or would."""
    return Finding(Level.PROBLEM, what, mend)


def failing(findings: Iterable[Finding]) -> bool:
    """Tell whether a problem is among them."""
    return any(finding.level is Level.PROBLEM for finding in findings)


def collected(check: Callable[[], Iterable[Finding]], about: str) -> list[Finding]:
    """Return what a check finds; whatever it raises is one finding more."""
    found: list[Finding] = []
    try:
        found.extend(islice(check(), MAX_FINDINGS))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a library written in Rust panics with something that is no Exception
        found.append(
            problem(
                f"The look at {about} failed ({why(error)}).",
                "Try once more, and report this line as a fault of otrcore if it comes back.",
            )
        )
    return found


def why(error: BaseException) -> str:
    """Return an error as a few words."""
    words = getattr(error, "strerror", None) if isinstance(error, OSError) else None
    return (words.lower() if words else f"{type(error).__name__}: {error}".rstrip(": "))[:MAX_WHY]


def quoted(path: Path | str) -> str:
    """Return a path as it is typed into a shell, with nothing in it that a terminal would act on."""
    text = str(path)
    if text.isprintable():
        return shlex.quote(text)
    escaped = (
        character.replace("\\", "\\\\").replace("'", "\\'")
        if character.isprintable()
        else "".join(f"\\x{byte:02x}" for byte in os.fsencode(character))
        for character in text
    )
    return f"$'{''.join(escaped)}'"  # sh has no other way to write them
