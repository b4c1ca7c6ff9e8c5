"""The demo's server, with a scene on it; and what a test of a connection leaves behind, or needs for TLS."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from otrcore.irc.connection.address import ServerAddress
from tests.irc.connection.certificates import make_certificate
from tests.irc.connection.people import Scene


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
