"""The script keeps the rules of WeeChat's repository of scripts, and runs on old Pythons."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.weechat_support import NAME, SCRIPT
from tests.support import require

SOURCES = sorted(SCRIPT.resolve().parent.glob("*.py"))


def test_score() -> None:
    lint = require(str(Path(sys.executable).with_name("weechat-script-lint")))
    done = subprocess.run(
        [lint, "--no-colors", SCRIPT.resolve()], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert "score = 100 / 100" in done.stdout


def test_rules() -> None:
    """https://github.com/weechat/scripts, as far as no program checks them."""
    source = SCRIPT.read_text("utf-8")
    assert re.fullmatch(r"[a-z0-9_]{1,32}", NAME)
    assert "weechat" not in NAME
    assert not source.startswith("#!")
    assert source.isascii()
    assert source.count('\nPYTHON = ""  # ') == source.count('\nPACKAGES = ""  # ') == 1
    (version,) = re.findall(r'VERSION.* = "otr_client", "([^"]+)"', source)
    assert re.fullmatch(r"[0-9.]+", version)
    assert len(source.splitlines()) <= 400


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_syntax_and_imports(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"), feature_version=(3, 8))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            found.add(node.module or "")
    ours = {name for name in found if name.partition(".")[0] not in sys.stdlib_module_names}
    assert {
        name for name in ours if not name.startswith(("otrcore.client.", "otrcore.scripts.weechat."))
    } <= {"weechat"}
