"""The client in every Python that a chat client may embed, as far as this machine has them."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import otrcore

SOURCES = Path(otrcore.__file__).parents[1]
CHECK = Path(__file__).parent / "check.py"
MINORS = range(8, 14)

FORBIDDEN = {"threading", "_thread", "asyncio", "concurrent", "multiprocessing"}
"""A thread that is alive when a script is unloaded takes WeeChat along."""


def find_python(minor: int) -> str | None:
    """Return a Python 3 of this minor version that works; pyenv's own stand aside until they are chosen."""
    name = f"python3.{minor}"
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = [shutil.which(name), *map(str, sorted(pyenv.glob(f"versions/3.{minor}.*/bin/{name}")))]
    for python in filter(None, found):
        said = subprocess.run(
            [python, "-I", "-c", "import sys; print(sys.version_info[1])"],
            capture_output=True,
            text=True,
            check=False,  # a shim of a version that is not chosen
        )
        if said.stdout.strip() == str(minor):
            return python
    return None


@pytest.mark.parametrize("minor", MINORS)
def test_the_client_in_each_python(minor: int, folder: Path) -> None:
    python = find_python(minor)
    if python is None:
        pytest.skip(f"needs Python 3.{minor}, which this machine does not have")
    said = subprocess.run(
        [python, "-I", "-S", "-B", "-W", "error", str(CHECK), str(SOURCES), str(folder)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (said.stdout, said.stderr) == (f"fine on 3.{minor}\n", "")


@pytest.mark.parametrize("minor", MINORS)
def test_a_single_import_costs_nothing_else(minor: int) -> None:
    python = find_python(minor)
    if python is None:
        pytest.skip(f"needs Python 3.{minor}, which this machine does not have")
    code = (
        f"import sys; sys.path.append({str(SOURCES)!r}); import otrcore.client; "
        "print(sorted(name for name in sys.modules if name.startswith('otrcore')))"
    )
    said = subprocess.run([python, "-I", "-B", "-c", code], capture_output=True, text=True, check=False)
    assert (said.stdout, said.stderr) == ("['otrcore', 'otrcore.client']\n", "")


@pytest.mark.parametrize(
    "path", sorted((SOURCES / "otrcore" / "client").glob("*.py")), ids=lambda path: path.stem
)
def test_nothing_but_the_standard_library_and_no_thread(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level <= 1, "nothing of the package above"
            names = [] if node.level else [str(node.module).split(".")[0]]
        else:
            continue
        assert set(names) <= sys.stdlib_module_names - FORBIDDEN
