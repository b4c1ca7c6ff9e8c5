"""Every Python that we say we run on runs us: the wheel, and tests of each part of the library.

Quick ones of each; all of them where `OTR_TEST_PYTHONS` is set, as by `make pythons`.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from tests.packaging import smoke
from tests.packaging.built import PROJECT, Built
from tests.packaging.environments import Environment, python

CLASSIFIER = "Programming Language :: Python :: 3."
SAID = [
    f"3.{line.removeprefix(CLASSIFIER)}"
    for line in PROJECT["project"]["classifiers"]
    if line.startswith(CLASSIFIER)
]
RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"

# The Python that runs this test runs all there are.
QUICK = [
    "tests/wire/test_codec.py",
    "tests/wire/test_messages.py",
    "tests/wire/test_messages4.py",
    "tests/v3/test_ake_recomputed.py",
    "tests/v3/test_kdf.py",
    "tests/v4/test_profile.py",
    "tests/v4/test_recorded_conversations.py",
    "tests/v4/test_recorded_values.py",
    "tests/core/test_texts.py",
    "tests/store/test_tags.py",
    "tests/irc/test_names.py",
]
WHOLE = [
    f"tests/{part}" for part in ("core", "crypto", "smp", "spec", "store", "toolkit", "v3", "v4", "wire")
]
PART, SECONDS = (WHOLE, 3600.0) if os.environ.get("OTR_TEST_PYTHONS") else (QUICK, 300.0)
TOOLS = ["hypothesis", "pytest"]


def test_the_oldest_python_is_the_one_that_is_required() -> None:
    oldest = min(SAID, key=lambda version: int(version.split(".")[1]))
    assert PROJECT["project"]["requires-python"] == f">={oldest}"
    assert PROJECT["tool"]["ruff"]["target-version"] == f"py{oldest.replace('.', '')}"
    assert PROJECT["tool"]["mypy"]["python_version"] == oldest


@pytest.mark.parametrize("version", [each for each in SAID if each != RUNNING])
def test_other_pythons(version: str, built: Built, tmp_path: Path) -> None:
    environment = Environment(tmp_path, python(version))
    environment.install(f"{built.wheel}[bot]", *TOOLS)
    smoke.library(environment)
    assert "is encrypted" in environment.told("otr", "demo")
    tree = built.unpack(tmp_path / "unpacked")
    command = ["-q", "-p", "no:cacheprovider", "--rootdir", str(tree), "-c", str(tree / "pyproject.toml")]
    done = environment.run("pytest", *command, *(str(tree / part) for part in PART), seconds=SECONDS)
    assert done.returncode == 0, done.stdout[-5000:]
    assert re.search(r"^\d{3,} passed", done.stdout, re.MULTILINE), done.stdout[-500:]
