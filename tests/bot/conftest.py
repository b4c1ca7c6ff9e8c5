"""A server, and a peer that is moved by hand."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.clients.drivers.otr_peer import OtrPeer


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
