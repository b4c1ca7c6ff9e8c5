"""Two users on a network in memory; and the demo's server, with a scene on it."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from otrcore.irc.dial import ServerAddress
from tests.irc.certificates import make_certificate
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


@pytest.fixture
def no_descriptor_is_leaked() -> Iterator[None]:
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    yield
    after = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    assert after <= before, "a socket was left open"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key in the same file."""
    return make_certificate(tmp_path_factory.mktemp("tls") / "server.pem")


@pytest.fixture
def serving(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context
