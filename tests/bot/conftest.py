"""A server, the bot in this process, and a peer that is moved by hand."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from otrbot.settings.config import Config

from tests.bot.by_hand import Bot
from tests.clients.drivers.otr_peer import OtrPeer

BotFactory = Callable[..., Bot]


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Where an IRC server listens, for which CR alone ends a line, as for some real ones."""
    with subprocess.Popen(
        [sys.executable, "-m", "otrcore.cli.demo_server"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as server:
        assert server.stdout is not None
        yield int(server.stdout.readline())
        server.terminate()


@pytest.fixture
def alice(port: int) -> Iterator[OtrPeer]:
    """A peer that the test moves by hand."""
    with OtrPeer(port, "alice") as made:
        yield made


@pytest.fixture
def bots(port: int, tmp_path: Path) -> Iterator[BotFactory]:
    """Makes a bot of some configuration in this process, registered with the server."""
    with ExitStack() as running:

        def make(config: Config | None = None, **more: Any) -> Bot:
            bot = Bot(port, tmp_path / "data", config, **more)
            running.callback(bot.close)
            return bot

        yield make


@pytest.fixture
def bot(bots: BotFactory) -> Bot:
    """One with limits that nobody runs into."""
    return bots()
