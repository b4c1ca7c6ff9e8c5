"""Chat clients with engines, in short folders: the paths of sockets are short."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.screen import Client


@pytest.fixture
def folder() -> Iterator[Path]:
    """A private folder with a short name."""
    path = Path(tempfile.mkdtemp(prefix="otr-", dir="/tmp"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def client(folder: Path) -> Iterator[Client]:
    """A chat client whose script is loaded and has not begun."""
    client = Client(str(folder))
    yield client
    client.close()
