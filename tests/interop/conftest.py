"""The `libotr` fixture: peers for one test, closed after it; and `version`, for what runs in each.

Keys are made once in a test process and used again: the n-th peer of a name has the same one in every test.
"""

from __future__ import annotations

from collections import Counter
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


@pytest.fixture(scope="session")
def keys_of_libotr(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that this test process keeps the keys of libotr peers in."""
    return tmp_path_factory.mktemp("libotr")


@pytest.fixture
def libotr(keys_of_libotr: Path) -> Iterator[LibotrFactory]:
    """A factory of libotr peers, by account name, policy and longest line."""
    program = Path(require(str(BINARY)))
    peers: list[LibotrPeer] = []
    made: Counter[str] = Counter()

    def make(account: str = "alice", policy: str = "v2+v3", *, mms: int = 0) -> LibotrPeer:
        key = keys_of_libotr / f"{account}-{made[account]}"
        made[account] += 1
        peer = LibotrPeer(account, policy, mms=mms, options=["--keyfile", str(key)], program=program)
        peers.append(peer)
        if not key.exists():
            peer.genkey()
        return peer

    yield make
    for peer in peers:
        peer.close()
