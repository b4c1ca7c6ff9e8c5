"""The script for a chat client: as it comes with otrcore, filled in for one machine, known again there."""

from __future__ import annotations

import ast
import os
import re
import stat
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from ..doctor.findings import quoted
from ..doctor.places import read_start
from .refusal import Refusal, unchanged
from .runtime import Runtime

NAME = "otr_client.py"
LOADED = NAME.removesuffix(".py")
"""What a client calls it once it is loaded."""

MAX_BYTES = 256 * 1024
"""Of a script that may be ours; those we know are far smaller."""

# PYTHON = ""    and    PACKAGES = ""    whatever comment follows.
_LINE = r"^({}) = ({})(?=[ \t]*(?:#.*)?\r?$)"
_NAMES = ("PYTHON", "PACKAGES")
_EMPTY = '""'
_LITERAL = r"""'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*\""""
_ANEW = "install otrcore anew, with  pipx install"
_OURS = b"otrcore.client"
"""What no other script has a reason to name."""


@dataclass(frozen=True, slots=True)
class Installed:
    """A script of ours where a chat client has it."""

    source: bytes
    """As it came with otrcore."""
    runtime: Runtime
    """What was filled in."""


def shipped(client: str) -> bytes:
    """Return the script for a client as it comes with this otrcore; Refusal if it does not."""
    try:
        return (resources.files(f"otrcore.scripts.{client}") / NAME).read_bytes()
    except (ImportError, OSError) as error:
        raise Refusal(f"This otrcore came without its script for {client}: {_ANEW}") from error


def filled(source: bytes, runtime: Runtime) -> bytes:
    """Return the script with its two places filled in; Refusal if they are not there once each."""
    text = source.decode()
    for name, value in zip(_NAMES, (runtime.python, runtime.packages), strict=True):
        pattern = re.compile(_LINE.format(name, _EMPTY), re.MULTILINE)
        found = list(pattern.finditer(text))
        if len(found) != 1:
            raise Refusal(f"The script of this otrcore has no place for {name}: {_ANEW}")
        # As ASCII, whatever the encoding in which a chat client reads it.
        text = f"{text[: found[0].start()]}{name} = {value!a}{text[found[0].end() :]}"
    return text.encode()


def read(text: bytes) -> Installed | None:
    """Return a script of ours taken apart; None if it is not ours."""
    if len(text) > MAX_BYTES or _OURS not in text:
        return None
    source = text.decode("utf-8", "surrogateescape")
    values: list[str] = []
    for name in _NAMES:
        pattern = re.compile(_LINE.format(name, _LITERAL), re.M)
        found = pattern.findall(source)
        if len(found) != 1:
            return None
        try:
            values.append(str(ast.literal_eval(found[0][1])))
        except (ValueError, SyntaxError):
            return None
        source = pattern.sub(f"{name} = {_EMPTY}", source)
    return Installed(source.encode("utf-8", "surrogateescape"), Runtime(*values))


def ours(path: Path) -> bytes | None:
    """Return what is in our script, None if there is none; Refusal if anything else is in its place."""
    try:
        status = os.lstat(path)
        if stat.S_ISREG(status.st_mode):
            text = read_start(path, MAX_BYTES + 1)
            if read(text) is not None:
                return text
            what = "is no script of otrcore's"
        else:
            what = "is a link" if stat.S_ISLNK(status.st_mode) else "is not a file"
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise unchanged(error, path) from error
    raise Refusal(f"{quoted(path)} {what}, and was left as it is: move it out of the way first.")


def became(path: Path, before: bytes | None, text: bytes, client: str) -> str:
    """Return what has become of our script in a client, whose name is as users know it."""
    old, new = read(before or b""), read(text)
    if old is None or new is None:
        return f"The script is now {quoted(path)}, and {client} loads it when it starts."
    if before == text:
        return f"{quoted(path)} was up to date, and now {client} loads it when it starts."
    if old.runtime == new.runtime:
        return f"{quoted(path)} was that of another version of otrcore, and is that of this one now."
    return (
        f"{quoted(path)} started the otrcore in {quoted(old.runtime.packages)}, and now starts that in "
        f"{quoted(new.runtime.packages)}."
    )
