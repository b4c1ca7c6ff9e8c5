"""Doing what a sentence of ours tells its reader to do: without a shell, only inside one temporary folder.

A command stands in a sentence between two blanks on either side, or alone in a line.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.clients.drivers.programs import run
from tests.support import require

_COMMAND = re.compile(r"(?:^|  )((?:otr|chmod) \S.*?)(?=  |$)", re.MULTILINE)
_MODE = re.compile(r"[ugoa]*[=+-][rwx]*")


class NotObeyed(AssertionError):
    """What is named is no command that a test may run."""


def commands(text: str) -> list[str]:
    """Return the commands that a text names."""
    return [found.strip() for found in _COMMAND.findall(text)]


def obey(
    sentence: str, folder: Path, changes: Mapping[str, str | None] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the one command that a sentence names, at home in this folder; NotObeyed if it could do harm."""
    named = commands(sentence)
    if len(named) != 1:
        raise NotObeyed(f"{len(named)} commands in: {sentence!r}")
    words = _plain(named[0])
    if not _within(folder, Path(tempfile.gettempdir())):
        raise NotObeyed(f"{folder} is no temporary folder")
    name, *arguments = words
    if name == "chmod":
        mode, *paths = arguments or [""]
        if not _MODE.fullmatch(mode) or not paths:
            raise NotObeyed(f"a chmod of another kind: {sentence!r}")
        name = require("chmod")
    else:
        paths = [path for word in arguments for path in _paths(word)]
    for path in paths:
        if path.startswith("-") or not _within(folder / path, folder):
            raise NotObeyed(f"{path!r} is not inside {folder}")
    return run(folder, name, *arguments, changes=changes)


def _plain(command: str) -> list[str]:
    """Return the words of a command in which nothing is left for a shell to do."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise NotObeyed(f"{error}: {command!r}") from error
    if shlex.join(words) != command:
        raise NotObeyed(f"a shell would do more, or words are not quoted: {command!r}")
    return words


def _paths(word: str) -> list[str]:
    """Return what could be a path in an argument, behind an option's `=` too."""
    value = word.partition("=")[2] if word.startswith("-") else word
    return [value] if "/" in value or value in (".", "..", "~") else []


def _within(path: Path, folder: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
