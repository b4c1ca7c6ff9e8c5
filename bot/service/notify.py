"""What systemd is told: sd_notify(3) in a few lines."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress

SECONDS = 1.0
"""For which a systemd that is busy is waited for: a READY=1 that is lost would not be told again."""


class Notifier:
    """Tells systemd, or nobody where it has not started us."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        # An abstract socket is written with @ in place of the zero that it begins with.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        for_us = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        limit = environment.get("WATCHDOG_USEC", "") if for_us and address else ""
        valid = limit.isascii() and limit.isdigit() and 0 < len(limit) < 16
        self.watchdog_seconds = int(limit) / 1e6 if valid and int(limit) else None
        """Within which WATCHDOG=1 has to be told; None if nobody waits for it."""

    def tell(self, *facts: str) -> None:
        """Tell facts, each NAME=VALUE without a line feed; a systemd that does not listen is no error."""
        if not self._address:
            return
        with suppress(OSError, ValueError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifying:
            notifying.settimeout(SECONDS)
            notifying.sendto("\n".join(facts).encode(), self._address)
