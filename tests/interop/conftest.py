"""The `libotr` fixture: peers for one test, closed after it; and `version`, for what runs in each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from tests.interop.oracle import BINARY, LibotrPeer
from tests.support import require


class LibotrFactory(Protocol):
    """Makes a peer that has its key already."""

    def __call__(self, account: str = ..., policy: str = ..., *, mms: int = ...) -> LibotrPeer: ...


@pytest.fixture(params=[2, 3], ids=["version 2", "version 3"])
def version(request: pytest.FixtureRequest) -> int:
    """The one version that both sides speak."""
    return int(request.param)


@pytest.fixture
def libotr() -> Iterator[LibotrFactory]:
    """A factory of libotr peers, by account name, policy and longest line."""
    program = Path(require(str(BINARY)))
    peers: list[LibotrPeer] = []

    def make(account: str = "alice", policy: str = "v2+v3", *, mms: int = 0) -> LibotrPeer:
        peer = LibotrPeer(account, policy, mms=mms, program=program)
        peers.append(peer)
        peer.genkey()
        return peer

    yield make
    for peer in peers:
        peer.close()
