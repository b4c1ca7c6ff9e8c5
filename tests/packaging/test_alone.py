"""The wheel, installed alone into an empty environment, works and takes nobody's names."""

from __future__ import annotations

import sys
from importlib import metadata

import pytest

from tests.packaging import smoke
from tests.packaging.built import Built
from tests.packaging.environments import Environment


@pytest.fixture(scope="module")
def alone(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with the wheel and what that requires, and nothing else."""
    environment = Environment(tmp_path_factory.mktemp("alone"), sys.executable)
    environment.install_alone(built.wheel)
    return environment


def test_library(alone: Environment) -> None:
    smoke.library(alone)


def test_programs(alone: Environment) -> None:
    smoke.programs(alone)


def test_installers(alone: Environment) -> None:
    smoke.installers(alone)


def test_nothing_is_installed_under_a_common_name(alone: Environment) -> None:
    (own,) = metadata.distributions(name="otrcore", path=[str(alone.packages)])
    files = [file.parts for file in own.files or ()]
    assert {parts[0] for parts in files if parts[0] != ".."} == {
        "otrbot",
        "otrcore",
        f"otrcore-{own.version}.dist-info",
    }
    outside = {parts[-2:] for parts in files if parts[0] == ".."}
    assert outside == {("bin", "otr"), ("bin", "otr-bot")}
