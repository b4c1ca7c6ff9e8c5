"""The threat model names, for every point, where it is shown; and what it names exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.attacks.attacks import ATTACKS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGE = DOCS / "threat-model.md"

LINK = re.compile(r"\]\(([^)#]+)(?:#[\w-]+)?\)")
DECISION = re.compile(r"\[decision (\d+)\]\(decisions/(\d{4})-[^)]+\)")
TEST = re.compile(r"`(tests/[\w/.]+\.py)(?:::(\w+))?`")
MODULE = re.compile(r"`(otrcore(?:\.\w+)+)`")
NUMBERED = re.compile(r"\b(attack|rule) (\d+)\b")
NO_PROOF = re.compile(r"by\s+design|untested")


def points(text: str) -> list[str]:
    """Return the points of all lists behind the introduction, each as one line."""
    sections = text.partition("\n## ")[2]
    found = re.findall(r"^- (.*(?:\n  .*)*)", sections, re.MULTILINE)
    return [" ".join(point.split()) for point in found]


@cache
def functions_of(path: Path) -> frozenset[str]:
    """Return the names of the functions of a file."""
    defined = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(
        node.name for node in ast.parse(path.read_text("utf-8")).body if isinstance(node, defined)
    )


def faults(text: str) -> list[str]:
    """Return what is wrong with a threat model."""
    rules = set(re.findall(r"^\| (\d+) \|", (DOCS / "spec-map.md").read_text("utf-8"), re.MULTILINE))
    known = {"attack": {str(attack.number) for attack in ATTACKS}, "rule": rules}
    found = [f"no {kind} {number}" for kind, number in NUMBERED.findall(text) if number not in known[kind]]
    found += [f"no file {link}" for link in LINK.findall(text) if not (DOCS / link).exists()]
    found += [f"decision {said} is {file}" for said, file in DECISION.findall(text) if int(said) != int(file)]
    for file, name in TEST.findall(text):
        path = ROOT / file
        if not path.is_file() or (name and name not in functions_of(path)):
            found.append(f"no {file} {name}")
    for module in MODULE.findall(text):
        if not ROOT.joinpath(*module.split(".")).with_suffix(".py").is_file():
            found.append(f"no module {module}")
    proofs = (NUMBERED, LINK, TEST, MODULE, NO_PROOF)
    found += [
        f"nothing shows: {point}" for point in points(text) if not any(one.search(point) for one in proofs)
    ]
    return found


def test_what_the_page_names_exists_and_every_point_names_something() -> None:
    text = PAGE.read_text("utf-8")
    assert len(points(text)) > 40
    assert faults(text) == []


@pytest.mark.parametrize(
    "point",
    [
        "It holds.",
        "It holds (attack 99).",
        "It holds (rule 999).",
        "It holds ([decision 3](decisions/0004-what-is-answered-with-an-error.md)).",
        "It holds ([decision 3](decisions/0003-nothing.md)).",
        "It holds (`tests/attacks/test_attack.py`).",
        "It holds (`tests/attacks/test_attacks.py::test_odd`).",
        "It holds (`otrcore.secrets`).",
    ],
)
def test_a_wrong_point_is_found(point: str) -> None:
    text = "# Page\n\n## Section\n\nHolds:\n\n- It holds (attack 1).\n"
    assert faults(text) == []
    assert faults(f"{text}- {point}\n")
