"""The script filled in for a machine, and known again: Python's own parser tells what it says."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

from otrcore.cli.installing import script
from otrcore.cli.installing.refusal import Refusal
from otrcore.cli.installing.runtime import Runtime
from tests.cli.installing.users import WEECHAT_OTR

SOURCE = b"""# Talks with otrcore.client.
PYTHON = ""   # filled in: "the interpreter"
PACKAGES = ""
NOT_PYTHON = ""
"""


def assigned(text: bytes) -> dict[str, object]:
    """Return what a program gives its names, without running it."""
    return {
        target.id: ast.literal_eval(node.value)
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


@pytest.mark.parametrize(
    "path",
    [
        "/usr/bin/python3",
        '/home/o\'brien/a "quoted" folder/python',
        "/home/Grüße/日本/python",
        "/back\\slash\\n\\1\\g<0>/python",
        "/# no comment/python",
        "/line\nbreak\r\t/python",
        "/{braces}/%s/${variable}",
        os.fsdecode(b"/not\xff\xfeutf-8/python"),
    ],
)
def test_filled_in_and_taken_apart_again(path: str) -> None:
    runtime = Runtime(path, f"{path}/packages")
    text = script.filled(SOURCE, runtime)
    assert text.isascii()
    assert assigned(text) == {"PYTHON": path, "PACKAGES": f"{path}/packages", "NOT_PYTHON": ""}
    assert script.read(text) == script.Installed(SOURCE, runtime)


@pytest.mark.parametrize(
    "source",
    [
        SOURCE.replace(b"\nPACKAGES", b"\n# PACKAGES"),
        SOURCE.replace(b"\nPYTHON", b"\n PYTHON"),
        SOURCE + b'PYTHON = ""\n',
        SOURCE.replace(b'PACKAGES = ""', b"PACKAGES = ''"),
        SOURCE.replace(b'PACKAGES = ""', b'PACKAGES = "" or None'),
        SOURCE.replace(b'PACKAGES = ""', b'PACKAGES = "/x"'),
        b"",
    ],
)
def test_a_script_without_its_two_places_is_not_filled_in(source: bytes) -> None:
    with pytest.raises(Refusal, match="has no place for"):
        script.filled(source, Runtime("/python", "/packages"))


FILLED = script.filled(SOURCE, Runtime("/python", "/packages"))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        WEECHAT_OTR.encode(),
        b"\0" * 100,
        b"\xff\xfe",
        FILLED.replace(b"otrcore.client", b"something"),
        FILLED.replace(b"PACKAGES = ", b"PACKAGES = x"),
        FILLED.replace(b"PACKAGES = '/packages'", b"PACKAGES = '/packages'.strip()"),
        FILLED.replace(b"'/packages'", b"f'/packages'"),
        FILLED.replace(b"'/packages'", b"b'/packages'"),
        FILLED.replace(b"'/packages'", b"'/packages"),
        FILLED.replace(b"'/packages'", b"'\\x'"),
        FILLED + b"PYTHON = '/other'\n",
        FILLED + b"#" * script.MAX_BYTES,
        b"'" * script.MAX_BYTES,
        b"PYTHON = '" + b"\\" * 100_000,
    ],
)
def test_what_is_not_ours(text: bytes) -> None:
    assert script.read(text) is None


def test_an_older_one_is_ours(tmp_path: Path) -> None:
    older = FILLED.replace(b"# Talks", b"# \xe4lter, talks")
    installed = script.read(older)
    assert installed is not None
    assert installed.runtime == Runtime("/python", "/packages")
    assert installed.source == SOURCE.replace(b"# Talks", b"# \xe4lter, talks")
