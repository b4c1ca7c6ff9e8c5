"""Two users on a network in memory."""

from __future__ import annotations

import pytest

from tests.irc.network import Network, User


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
