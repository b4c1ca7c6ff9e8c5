"""Two users on a network in memory; and the demo's server, with a scene on it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from otrcore.irc.dial import ServerAddress
from tests.irc.network import Network, User
from tests.irc.people import Scene


@pytest.fixture(scope="module")
def server() -> Iterator[ServerAddress]:
    """The demo's server, in a process of its own."""
    with ExitStack() as running:
        process = subprocess.Popen(
            [sys.executable, "-m", "otrcore.cli.demo_server", "--until-stdin-closes"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        running.enter_context(process)
        running.callback(process.terminate)
        assert process.stdout is not None
        yield ServerAddress("127.0.0.1", int(process.stdout.readline()))


@pytest.fixture
def scene(server: ServerAddress) -> Iterator[Scene]:
    scene = Scene(server)
    yield scene
    scene.close()


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def alice(network: Network) -> User:
    return network.join("alice")


@pytest.fixture
def bob(network: Network) -> User:
    return network.join("bob")


@pytest.fixture
def secured(network: Network, alice: User, bob: User) -> Network:
    network.secure(alice, bob)
    return network
