"""The map of the rules of OTR is whole, and what it names exists; the checks can tell when it does not."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAP = ROOT / "docs" / "spec-map.md"

RULES = 133
NUMBERS = [str(number) for number in range(1, RULES + 1)]
RULE_CELLS = 4
EXCLUDED = "## Branches that no test reaches"
MAX_EXCLUDED = 10

NAMES = re.compile(r"`([^`]+)`")
LINKS = re.compile(r"\]\(([^)]+)\)")
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


def rows(text: str) -> Iterator[list[str]]:
    """Yield the cells of each row of a table, without the heads and the lines below them."""
    lines = text.splitlines()
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith("|") and not line.startswith("|--") and not below.startswith("|--"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def faults(text: str) -> list[str]:
    """Return what is wrong with a map."""
    before, _, after = text.partition(EXCLUDED)
    rules = list(rows(before))
    numbers = [row[0] for row in rules]
    found = [] if numbers == NUMBERS else [f"the rules are {numbers}"]
    for row in rules:
        found += [f"{row[0]}: {fault}" for fault in wrong_row(row)]
    found += [f"no file {link}" for link in LINKS.findall(text) if not (MAP.parent / link).is_file()]
    excluded = list(rows(after))
    if len(excluded) > MAX_EXCLUDED:
        found.append(f"{len(excluded)} branches are excluded")
    found += [f"an incomplete exclusion: {row}" for row in excluded if len(row) != 3 or not all(row)]
    for row in excluded:
        found += wrong_names("module", row[0])
    return found


def wrong_row(row: list[str]) -> Iterator[str]:
    if len(row) != RULE_CELLS or not all(row):
        yield "a cell is missing or empty"
        return
    _, _, modules, tests = row
    yield from wrong_names("module", modules)
    yield from wrong_names("test", tests)


def wrong_names(kind: str, cell: str) -> Iterator[str]:
    """Tell which names in a cell are none; nothing but names may stand there."""
    if NAMES.sub("", cell).strip(", "):
        yield f"more or less than names in {cell!r}"
    exists = is_module if kind == "module" else is_test
    yield from (f"no {kind} {name}" for name in NAMES.findall(cell) if not exists(name))


def is_module(name: str) -> bool:
    return name.startswith("otrcore.") and ROOT.joinpath(*name.split(".")).with_suffix(".py").is_file()


def is_test(name: str) -> bool:
    file, _, function = name.partition("::")
    path = ROOT / file
    if not re.fullmatch(r"tests/(\w+/)+test_\w+\.py", file) or not path.is_file():
        return False
    return function in functions_of(path) if "::" in name else bool(functions_of(path))


@cache
def functions_of(path: Path) -> frozenset[str]:
    """Return the names of the test functions that pytest finds in a file."""
    defined = (node.name for node in ast.parse(path.read_text("utf-8")).body if isinstance(node, FUNCTION))
    return frozenset(name for name in defined if name.startswith("test_"))


def test_the_map_is_whole_and_true() -> None:
    assert faults(MAP.read_text("utf-8")) == []


def right_map() -> list[str]:
    """Lines of a map without any fault."""
    rule = "| {} | a rule | `otrcore.wire.codec` | `tests/wire/test_text.py::test_lines` |"
    rules = [rule.format(number) for number in NUMBERS]
    exclusion = "| `otrcore.session` | a branch | a reason |"
    head = ["[Why](decisions/README.md)", "", "| no. | rule | module | test |", "|---|---|---|---|"]
    excluded = ["| module | branch | reason |", "|---|---|---|", *[exclusion] * MAX_EXCLUDED]
    return [*head, *rules, "", EXCLUDED, "", *excluded]


def test_a_right_map_has_no_faults() -> None:
    assert faults("\n".join(right_map())) == []


@pytest.mark.parametrize("number", ["1", "41", "104"])
def test_a_missing_or_repeated_rule_is_found(number: str) -> None:
    lines = right_map()
    at = next(at for at, line in enumerate(lines) if line.startswith(f"| {number} |"))
    assert faults("\n".join([*lines[:at], *lines[at + 1 :]]))
    assert faults("\n".join([*lines[:at], lines[at], *lines[at:]]))


def test_rules_out_of_order_are_found() -> None:
    lines = right_map()
    lines[4], lines[5] = lines[5], lines[4]
    assert faults("\n".join(lines))


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("`otrcore.wire.codec`", "`otrcore.wire.codecs`"),
        ("`otrcore.wire.codec`", "`otrcore.wire`"),
        ("`otrcore.wire.codec`", "`tests.pair`"),
        ("`otrcore.wire.codec`", "the codec"),
        ("`otrcore.wire.codec`", ""),
        ("`tests/wire/test_text.py::test_lines`", "`tests/wire/test_texts.py`"),
        ("`tests/wire/test_text.py::test_lines`", "`tests/wire/test_text.py::test_line`"),
        ("`tests/wire/test_text.py::test_lines`", "`tests/wire/test_text.py::query`"),
        ("`tests/wire/test_text.py::test_lines`", "`tests/pair.py`"),
        ("`tests/wire/test_text.py::test_lines`", "several"),
        ("a rule", ""),
        ("a rule", "a | rule"),
        ("decisions/README.md", "decisions/0000.md"),
        ("`otrcore.session`", "`otrcore.sessions`"),
        ("a reason", ""),
    ],
)
def test_a_wrong_or_empty_cell_is_found(right: str, wrong: str) -> None:
    text = "\n".join(right_map())
    assert right in text
    assert faults(text.replace(right, wrong, 1))


def test_more_than_ten_excluded_branches_are_found() -> None:
    lines = right_map()
    assert faults("\n".join([*lines, lines[-1]]))
