"""The oldest versions that pyproject.toml allows of what we need do what we need."""

from __future__ import annotations

import json
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from tests.packaging import smoke
from tests.packaging.built import PROJECT, Built
from tests.packaging.environments import Environment, python

OPTIONAL = PROJECT["project"]["optional-dependencies"]
OLDEST_PYTHON = PROJECT["project"]["requires-python"].removeprefix(">=")
REQUIRED = {
    requirement.name: requirement.specifier
    for requirement in map(Requirement, [*PROJECT["project"]["dependencies"], *OPTIONAL["bot"]])
}

_VERSIONS = """
import json, sys
from importlib.metadata import version
print(json.dumps([version(name) for name in sys.argv[1:]]))
"""


def floor(allowed: SpecifierSet) -> str:
    """Return the oldest version that is allowed."""
    (lowest,) = [each.version for each in allowed if each.operator == ">="]
    return lowest


def test_oldest_versions_that_are_allowed(built: Built, tmp_path: Path) -> None:
    # Newer Pythons came after these versions: there are no wheels of them.
    environment = Environment(tmp_path, python(OLDEST_PYTHON))
    oldest = [f"{name}=={floor(allowed)}" for name, allowed in REQUIRED.items()]
    environment.install(f"{built.wheel}[bot]", *oldest)
    versions = json.loads(environment.told("python", "-I", "-c", _VERSIONS, *REQUIRED))
    assert [
        version in SpecifierSet(f"=={floor(allowed)}")
        for version, allowed in zip(versions, REQUIRED.values(), strict=True)
    ] == [True] * len(REQUIRED)
    smoke.library(environment)
    smoke.programs(environment)
