"""A server, and the bot in this process, moved by hand and with a clock that can jump."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from otrbot.echo import EchoPeer

from otrcore.irc.dial import ServerAddress
from otrcore.irc.keeper import StoreKeeper
from otrcore.irc.pacing import Pace
from otrcore.store.store import Store
from tests.clients.drivers.otr_peer import OtrPeer
from tests.clients.drivers.proxy import RecordingProxy
from tests.clients.drivers.waiting import wait_for

NICK = "echo"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Where an IRC server listens, for which CR alone ends a line, as for some real ones."""
    with subprocess.Popen(
        [sys.executable, "-m", "otrcore.cli.demo_server"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as server:
        assert server.stdout is not None
        yield int(server.stdout.readline())
        server.terminate()


class Bot:
    """The echo peer, doing nothing but in `wait`; `wire` has every line that it sends and receives."""

    def __init__(self, port: int, folder: Path) -> None:
        self.wire = RecordingProxy(port)
        self._port = port
        self._later = 0.0
        self._marks = 0
        self._store = Store(folder)
        self.echo = EchoPeer(
            ServerAddress("127.0.0.1", self.wire.port),
            NICK,
            StoreKeeper(self._store, contacts=False, clock=self._clock),
            Pace.NONE,
            self._clock,
        )
        self.echo.runner.connect()

    def wait(self, peer: OtrPeer, look: Callable[[], object], what: str) -> None:
        """Let the bot and a peer handle what comes until something is so."""

        def work_and_look() -> object:
            self.echo.runner.process(0)
            assert self.echo.lost is None
            return look()

        peer.wait(work_and_look, what)

    def settle(self, peer: OtrPeer) -> None:
        """Let everything that the peer has sent be answered, if it is."""
        # The server and the bot take lines in their order: what answers somebody new comes last.
        peer.settle()
        self._marks += 1
        with OtrPeer(self._port, f"mark{self._marks}") as mark:
            mark.say_plain(NICK, "hello")
            self.wait(mark, lambda: mark.plain(NICK), "a hint for somebody new")
        peer.settle()

    def advance(self, seconds: float) -> None:
        """Let its clock jump."""
        self._later += seconds

    def close(self) -> None:
        """Disconnect without a word."""
        self.wire.close()
        self._store.close()

    def _clock(self) -> float:
        return time.monotonic() + self._later


@pytest.fixture
def bot(port: int, tmp_path: Path) -> Iterator[Bot]:
    """The bot, registered with the server."""
    made = Bot(port, tmp_path / "data")
    try:
        wait_for(lambda: made.echo.runner.process(0.02) == [] and made.echo.runner.registered, "the bot")
        yield made
    finally:
        made.close()


@pytest.fixture
def alice(port: int) -> Iterator[OtrPeer]:
    """A peer that the test moves by hand."""
    with OtrPeer(port, "alice") as made:
        yield made
