"""The script for a chat client: as it comes with otrcore, filled in for one machine, known again there."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from importlib import resources

from .refusal import Refusal
from .runtime import Runtime

NAME = "otr_client.py"

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
