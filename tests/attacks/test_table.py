"""Every known attack has its number, and tests that exist, or a sentence."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.attacks.attacks import ATTACKS, Attack

ROOT = Path(__file__).parents[2]


@cache
def names_in(path: str) -> frozenset[str]:
    """Return the names of the test functions of a file."""
    tree = ast.parse((ROOT / path).read_text())
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(function.name for function in functions if function.name.startswith("test_"))


def test_the_numbers_are_whole() -> None:
    assert [attack.number for attack in ATTACKS] == list(range(1, len(ATTACKS) + 1))


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: f"{attack.number}")
def test_the_tests_of_an_attack_exist(attack: Attack) -> None:
    assert attack.title
    assert bool(attack.tests) is not bool(attack.absent)
    assert len(set(attack.tests)) == len(attack.tests)
    for test in attack.tests:
        path, _, name = test.partition("::")
        assert name in names_in(path), f"there is no {test}"


def test_every_test_written_for_an_attack_is_named() -> None:
    path = "tests/attacks/test_attacks.py"
    named = {test.partition("::")[2] for attack in ATTACKS for test in attack.tests if test.startswith(path)}
    assert named == names_in(path)
