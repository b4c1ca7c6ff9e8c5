"""Which parts the thread of a network is put together from."""

from __future__ import annotations

from collections.abc import Callable

from otrbot.drills import DRILLS
from otrbot.reports.metrics import NetworkMetrics
from otrbot.reports.orders import Mailbox, Order, Report, Wish
from otrbot.service.network import Network
from otrbot.settings.config import Config, NetworkConfig
from otrbot.settings.keys import KeyRing
from otrbot.talk.peer import EchoPeer


def make_network(
    config: Config,
    network: NetworkConfig,
    keys: KeyRing,
    orders: Mailbox[Order],
    reports: Mailbox[Report],
    metrics: NetworkMetrics,
) -> Network:
    """Return the echo peer on a network, to be run in a thread of its own."""
    return Network(config, network, keys, orders, reports, metrics, _make_peer)


def _make_peer(config: Config, metrics: NetworkMetrics, wish: Callable[[Wish], None]) -> EchoPeer:
    return EchoPeer(config, metrics, wish, DRILLS)
