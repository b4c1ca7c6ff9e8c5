"""`import otrcore` costs nothing and promises what it keeps: names come lazily, the right ones, typed."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from importlib.util import resolve_name
from pathlib import Path

import pytest

import otrcore

HEAVY = {"typer", "rich", "pydantic", "irc", "click"}


def names_for_type_checkers() -> dict[str, str]:
    """Return the names under `if TYPE_CHECKING:` in the package file, each with its module."""
    assert otrcore.__file__ is not None
    tree = ast.parse(Path(otrcore.__file__).read_text("utf-8"))
    names = {}
    for node in tree.body:
        if isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
            for statement in node.body:
                assert isinstance(statement, ast.ImportFrom), ast.unparse(statement)
                module = resolve_name("." * statement.level + (statement.module or ""), "otrcore")
                for alias in statement.names:
                    assert alias.asname == alias.name, f"{alias.name}: mypy re-exports only `X as X`"
                    names[alias.name] = module
    return names


def modules_after(code: str) -> set[str]:
    """Return the names of all modules that are loaded after `code` ran in a fresh interpreter."""
    program = f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return set(json.loads(done.stdout))


def test_lazy_table_and_typed_names_are_the_same() -> None:
    typed = names_for_type_checkers()
    assert "Account" in typed
    assert set(otrcore._EXPORTS) == set(typed)
    for name, module in typed.items():
        assert getattr(otrcore, name) is getattr(importlib.import_module(module), name)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = otrcore.no_such_name


def test_import_loads_no_submodule() -> None:
    loaded = modules_after("import otrcore")
    assert "otrcore" in loaded
    assert not [name for name in loaded if name.startswith("otrcore.")]


def test_account_needs_no_command_line_and_no_irc() -> None:
    loaded = modules_after("import otrcore; otrcore.Account")
    assert "otrcore.account" in loaded
    assert not HEAVY & loaded
