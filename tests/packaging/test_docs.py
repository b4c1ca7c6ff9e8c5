"""The pages for users tell the truth: links lead somewhere, commands exist, what is quoted is really said."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from otrcore.irc.commands import Command, Table
from otrcore.policy import POLICY_WORDS
from tests.packaging.commands_page import (
    PAGE,
    ROOT,
    Line,
    chat_commands,
    command_lines,
    headings,
    page,
)

DOCS = ROOT / "docs"

_LEFT_OUT = {".venv", ".git", "build", "node_modules", ".pytest_cache", ".mypy_cache", ".ruff_cache"}
PAGES = sorted(
    path
    for path in ROOT.rglob("*.md")
    if _LEFT_OUT.isdisjoint(path.relative_to(ROOT).parts) and "egg-info" not in str(path.parent)
)
FOR_USERS = [
    DOCS / f"{name}.md" for name in ("install", "verifying", "moving-keys", "faq", "comparison", "README")
]
WITH_COMMANDS = [ROOT / "README.md", *FOR_USERS, *ROOT.glob("*_script/README.md"), ROOT / "bot" / "README.md"]

_BLOCK = re.compile(r"^```[a-z]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")

_PLACEHOLDERS = {"FOLDER", "FILE", "NICK", "NAME", "NETWORK", "HOST", "HOST[:PORT]", "FINGERPRINT", "SERVER"}


def named(path: Path) -> str:
    """Return how a page is called in the outcome of a test."""
    return str(path.relative_to(ROOT))


def without_blocks(path: Path) -> str:
    """Return a page without what is to be typed, or is shown, as it stands."""
    return _BLOCK.sub("", path.read_text("utf-8"))


def typed(path: Path) -> list[str]:
    """Return what a page has people type: lines of blocks, and code in the text."""
    blocks = [line for block in _BLOCK.findall(path.read_text("utf-8")) for line in block.splitlines()]
    spans = _SPAN.findall(without_blocks(path).replace(r"\|", "|"))
    return [" ".join(re.split(r"\s{2,}", line.strip())[0].split()) for line in (*blocks, *spans)]


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_links_lead_somewhere(path: Path) -> None:
    for link in _LINK.findall(_SPAN.sub("", without_blocks(path))):
        if "://" in link or link.startswith("mailto:"):
            continue
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        assert target.exists(), link
        if anchor:
            assert anchor in headings(target.read_text("utf-8")), link


def test_every_page_is_in_the_index() -> None:
    links = {(DOCS / link).resolve() for link in _LINK.findall((DOCS / "README.md").read_text("utf-8"))}
    missing = [path.name for path in DOCS.glob("*.md") if path.name != "README.md" and path not in links]
    assert missing == []


def test_the_page_of_commands_is_that_of_this_program() -> None:
    assert PAGE.read_text("utf-8") == page(), "run  make docs"


def test_the_page_of_commands_has_all_that_help_lists() -> None:
    """What the generator reads is compared with what the program itself prints."""
    names = {line.words for line in command_lines()}
    assert names >= {"otr demo", "otr chat", "otr keys import", "otr contacts trust", "otr-bot run"}
    words = PAGE.read_text("utf-8")
    for name in (
        "/otr start",
        "/otr restart",
        "/otr set",
        "otrcore.look.prefix",
        "sign.verified",
        "--data-dir",
    ):
        assert f"`{name}" in words


@cache
def lines() -> dict[str, Line]:
    """Return the commands of the terminal by their words."""
    return {line.words: line for line in command_lines()}


def line_of(words: list[str]) -> Line | None:
    """Return the command of the terminal that words begin with; options of the group may stand between."""
    plain = [word for word in words if not word.startswith("-")]
    for count in range(min(3, len(plain)), 0, -1):
        if (found := lines().get(" ".join(plain[:count]))) is not None:
            return found
    return None


def in_a_terminal(path: Path) -> Iterator[list[str]]:
    """Yield the words of each command of ours that a page shows."""
    for one in typed(path):
        for part in re.split(r" [|] | && |, ", one):
            try:
                words = shlex.split(part)
            except ValueError:
                continue  # no command, as an apostrophe in a text
            if words and words[0].rpartition("/")[2] in ("otr", "otr-bot") and not words[0].startswith("/"):
                yield [words[0].rpartition("/")[2], *words[1:]]


@pytest.mark.parametrize("path", WITH_COMMANDS, ids=named)
def test_commands_of_the_terminal_exist(path: Path) -> None:
    groups = {" ".join(words.split()[:2]) for words in lines() if len(words.split()) > 2}
    for words in in_a_terminal(path):
        rest = [word for word in words[1:] if not word.startswith("[")]
        if not rest or rest[0].startswith("--"):
            continue  # the program itself, or an option of it
        line = line_of([words[0], *rest])
        if line is None:
            assert " ".join([words[0], *rest]) in groups, words
            continue
        known = {one.name for one in line.parameters} | {"--help", "--data-dir", "--json"}
        known |= {one.typed.split(" | ")[-1] for one in line.parameters}
        assert {word.partition("=")[0] for word in rest if word.startswith("--") and word != "--"} <= known, (
            words
        )


@pytest.mark.parametrize("path", [*WITH_COMMANDS, DOCS / "threat-model.md"], ids=named)
def test_commands_of_the_chat_exist(path: Path) -> None:
    table = Table(chat_commands())
    for one in typed(path):
        if not one.startswith("/otr"):
            continue
        behind = one.removeprefix("/otr").strip()
        request = table.parse(behind)
        assert request is not None, one
        if not behind or "[" in one:
            continue
        assert takes(request.command, request.argument), one


def takes(command: Command, argument: str) -> bool:
    """Tell whether an argument may stand behind a command: a nick before it, or a word of its own."""
    words = argument.split()
    if words and words[0].isupper() and words[0] in _PLACEHOLDERS:
        return True
    if command.name == "policy":
        return {word for word in words if word != "network"} <= {*POLICY_WORDS, "WORD"}
    return not words or bool(command.argument)


_SAID_IN = ("otrcore/irc", "otrcore/client", "otrcore/engine", "otrcore/cli", "otrcore/store")
_VARIABLE = re.compile(r"bob's|bob|alice|root|HexChat|…|\b[0-9]\b|versions? [0-9](?: and [0-9])?|, as |[.?] ")
"""What the program puts into its sentences, and where it puts sentences together."""


@cache
def sentences() -> str:
    """Return all that the program can say, with a mark where something is put in."""
    found: list[str] = []
    for folder in _SAID_IN:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.JoinedStr):
                    parts = (one.value if isinstance(one, ast.Constant) else "\0" for one in node.values)
                    found.append("".join(map(str, parts)))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.append(re.sub(r"\{\w*\}", "\0", node.value))
    return "\n".join(found)


def is_said(text: str) -> bool:
    """Whether the program says this, whatever names and numbers it puts in."""
    pieces = [piece.strip(" ,.:;") for piece in _VARIABLE.split(text)]
    return all(piece in sentences() for piece in pieces if len(piece) > 3)


def test_what_is_never_said() -> None:
    assert not is_said("The moon is made of cheese.")


def quotations() -> list[str]:
    """Return what the pages say that the program says: quoted lines, and the doctor's findings."""
    quoted = [
        line.removeprefix("> ")
        for path in FOR_USERS
        for line in path.read_text("utf-8").splitlines()
        if line.startswith("> ")
    ]
    _, _, table = (DOCS / "install.md").read_text("utf-8").partition("| it says |")
    rows = table.split("\n\n")[0].splitlines()[2:]
    assert len(quoted) > 5
    assert len(rows) > 10
    return [*quoted, *(said for row in rows for said in _SPAN.findall(row.split(" | ")[0]))]


@pytest.mark.parametrize("text", quotations())
def test_what_is_quoted_is_said(text: str) -> None:
    assert is_said(text)
