"""Real servers and clients for one test, ended after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.clients.drivers.irssi import Irssi
from tests.clients.drivers.ngircd import Ngircd

IrssiFactory = Callable[[str], Irssi]


@pytest.fixture
def ngircd(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Ngircd]:
    """A running ngircd; indirect parameters are more text for its configuration."""
    with Ngircd(tmp_path / "ngircd", extra=getattr(request, "param", "")) as server:
        yield server


@pytest.fixture
def irssi(tmp_path: Path, ngircd: Ngircd) -> Iterator[IrssiFactory]:
    """Makes an irssi of the given nick that has connected to the test's server and has its key."""
    with ExitStack() as running:
        yield lambda nick: running.enter_context(Irssi(nick, tmp_path / f"irssi-{nick}", ngircd.port))
