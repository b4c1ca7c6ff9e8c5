"""Two chat clients on a network, with engines in this process or with real ones."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.engine.engines import Local, Process, furnished
from tests.engine.room import Client, Person, Room

Joining = Callable[[str], Person]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A private folder with a short name: the paths of sockets are short."""
    path = Path(tempfile.mkdtemp(prefix="otr-", dir="/tmp"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def room() -> Room:
    return Room()


@pytest.fixture
def local(room: Room, folder: Path) -> Iterator[Joining]:
    """Lets somebody in whose engine is in this process."""
    with ExitStack() as running:

        def join(nick: str) -> Person:
            client = Client()
            engine = client.engine = Local(furnished(folder / nick, nick), client.heard)
            running.callback(engine.close)
            return room.join(nick, client)

        yield join


@pytest.fixture
def real(room: Room, folder: Path) -> Iterator[Joining]:
    """Lets somebody in whose engine is a process."""
    with ExitStack() as running:

        def join(nick: str) -> Person:
            own = folder / nick
            own.mkdir()
            client = Client()
            process = running.enter_context(Process(own, data=furnished(own / "data", nick)))
            link = client.engine = process.connect(client.heard)
            assert link.greet()["ok"]
            running.callback(link.close)
            return room.join(nick, client)

        yield join


@pytest.fixture(params=["local", "real"])
def join(request: pytest.FixtureRequest) -> Joining:
    """Lets somebody in, once with either kind of engine."""
    joining: Joining = request.getfixturevalue(request.param)
    return joining
