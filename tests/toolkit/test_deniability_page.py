"""Every command on the page about deniability really runs, and prints what the page shows.

No shell is involved: `<` and `>` are all that the page uses of one, and are done here.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from otrcore.toolkit.describe import digits
from otrcore.toolkit.search import Found, search
from otrcore.wire.messages3 import DataMessage, DhKey
from tests.clients.drivers.programs import installed, surroundings
from tests.toolkit.commands import libotr_tool

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "deniability.md"
FILES = DOCS / "deniability"

LEFT_OUT = "…"
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE_NAME = re.compile(r"[a-z]+\.[a-z]+")


@dataclass(frozen=True)
class Shown:
    """A command of the page, and what the page says that it prints."""

    command: str
    output: str

    @property
    def words(self) -> tuple[list[str], str | None, str | None]:
        """The words of the command, and the names of the files behind `<` and `>`."""
        words = shlex.split(self.command)
        source = target = None
        while len(words) > 2 and words[-2] in ("<", ">"):
            *words, sign, name = words
            assert _FILE_NAME.fullmatch(name), name
            source, target = (name, target) if sign == "<" else (source, name)
        return words, source, target

    @property
    def pattern(self) -> str:
        """The output as a regular expression: `…` stands for anything, alone in a line for any lines."""
        lines = self.output.splitlines(keepends=True)
        return "".join(
            "(?:.*\n)*?" if line == LEFT_OUT + "\n" else re.escape(line).replace(LEFT_OUT, ".*")
            for line in lines
        )


def shown() -> Iterator[Shown]:
    for block in _BLOCK.findall(PAGE.read_text("utf-8")):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            yield Shown(command, output)


def execute(step: Shown, folder: Path) -> str:
    """Run a command of the page here, and return what it printed; what goes into a file is not printed."""
    words, source, target = step.words
    assert words[:2] == ["otr", "tool"]
    assert not set("|;&$`") & set(step.command)
    done = subprocess.run(
        [installed("otr"), *words[1:]],
        input=(folder / source).read_bytes() if source else b"",
        capture_output=True,
        cwd=folder,
        env=surroundings(folder / "around"),
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b""), step.command
    if target:
        (folder / target).write_bytes(done.stdout)
        return ""
    return done.stdout.decode()


def test_the_page_is_true(tmp_path: Path) -> None:
    folder = tmp_path / "deniability"
    shutil.copytree(FILES, folder)
    steps = list(shown())
    commands = {step.words[0][2] for step in steps}
    assert {"parse", "sesskeys", "mackey", "readforge", "modify", "forge"} <= commands
    forgeries = set()
    for step in steps:
        printed = execute(step, folder)
        assert re.fullmatch(step.pattern, printed), f"$ {step.command}\n{printed}"
        words, source, _ = step.words
        if words[2] == "readforge" and source and source != "conversation.log":
            theirs = libotr_tool("otr_readforge", words[3], stdin=(folder / source).read_bytes())
            assert (theirs.code, theirs.out, theirs.err) == (0, printed, ""), "libotr believes it, too"
            forgeries.add(source)
    assert forgeries == {"changed.log", "forged.log", "invented.log"}


def test_all_commands_are_looked_at() -> None:
    """None hides in a block of another kind."""
    text = PAGE.read_text("utf-8")
    assert len(re.findall(r"^\$ ", text, re.MULTILINE)) == len(list(shown()))
    assert text.count("```") == 2 * len(_BLOCK.findall(text))


@pytest.mark.parametrize(
    ("output", "printed", "fits"),
    [
        ("a\n", "a\n", True),
        ("a\n", "b\n", False),
        ("a\n", "a\nb\n", False),
        ("a: 1…\n", "a: 123\n", True),
        ("a: 1…\n", "a: 1\nb\n", False),
        ("…\na\n", "x\ny\na\n", True),
        ("…\na\n", "x\n", False),
        ("", "a\n", False),
    ],
)
def test_what_is_shown_is_compared(output: str, printed: str, fits: bool) -> None:
    assert bool(re.fullmatch(Shown("", output).pattern, printed)) is fits


def test_the_files_are_what_the_page_says() -> None:
    """Alice's public key is in the log; the other is private, so that it is not."""
    assert {path.name for path in FILES.iterdir()} == {"conversation.log", "alice.public", "bob.private"}
    log = (FILES / "conversation.log").read_text()
    contents = [result.content for result in search(log) if isinstance(result, Found)]
    (exchange,) = (content for content in contents if isinstance(content, DhKey))
    assert digits(exchange.gy).hex() == (FILES / "alice.public").read_text().strip()
    assert sum(isinstance(content, DataMessage) for content in contents) == 7
