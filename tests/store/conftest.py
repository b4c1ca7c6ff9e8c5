"""A data folder of a test's own, and what is opened in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from otrcore.store.database import Database
from otrcore.store.store import Store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def database(folder: Path) -> Iterator[Database]:
    database = Database(folder)
    yield database
    database.close()


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    with Store(folder) as store:
        yield store
