"""A process that is the bot's `Service`, with threads that do what their networks are called.

`python -m` would find another `tests`: it is run by its path.
"""

from __future__ import annotations

import logging
import sys
import time

from otrbot.reports import logs
from otrbot.reports.metrics import NetworkMetrics
from otrbot.reports.orders import Mailbox, Order, Report, Standing, Stop, Wish
from otrbot.service.process import Service, leave
from otrbot.settings.config import Config, LogConfig, LogLevel, NetworkConfig
from otrbot.settings.keys import KeyRing

from otrcore.errors import StoreError
from otrcore.irc.connection.address import ServerAddress
from otrcore.irc.connection.sasl import AuthenticationRefused

log = logging.getLogger("child")
CANARY = "unmentionable"


class Body:
    """Does what its network's name says, up to the first -."""

    starts = 0

    def __init__(
        self,
        config: Config,
        network: NetworkConfig,
        keys: KeyRing,
        orders: Mailbox[Order],
        reports: Mailbox[Report],
        metrics: NetworkMetrics,
    ) -> None:
        self.name = network.name
        self.orders = orders
        self.reports = reports

    def run(self) -> None:
        log.info("%s runs", self.name)
        match self.name.partition("-")[0]:
            case "refused":
                raise AuthenticationRefused("The certificate is not the account's: add its fingerprint.")
            case "keyless":
                raise StoreError("There is no key for it: make one.")
            case "dying" if Body.starts < 2:
                Body.starts += 1
                raise ZeroDivisionError(CANARY)
            case "quitting":
                self.stand()
                self.reports.put(Wish("quit"))
            case "unregistered":
                pass
            case "mute":
                self.reports.put(Standing(self.name, True, time.monotonic() - 1000))
            case _:
                self.stand()
        stuck = self.name.startswith("stuck") or self.name.startswith("unregistered-stuck")
        while True:
            time.sleep(0.02)
            for order in self.orders.take():
                log.info("%s hears %s", self.name, type(order).__name__)
                if isinstance(order, Stop) and not stuck:
                    return

    def stand(self) -> None:
        self.reports.put(Standing(self.name, True, time.monotonic(), conversations=3))


def main() -> None:
    logs.set_up(LogConfig(level=LogLevel.INFO))
    networks = tuple(NetworkConfig(name, ServerAddress("127.0.0.1", 1)) for name in sys.argv[1:])
    config = Config(networks)
    leave(Service(config, KeyRing(config), Body, lambda: config).run())


if __name__ == "__main__":
    main()
