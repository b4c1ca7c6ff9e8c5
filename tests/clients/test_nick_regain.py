"""Taking one's nick back on real servers: ngircd, which has ISON, and InspIRCd, which has MONITOR."""

from __future__ import annotations

from pathlib import Path

import pytest

from otrcore.irc.connection.address import ServerAddress
from tests.clients.drivers.inspircd import Inspircd
from tests.clients.drivers.ngircd import Ngircd
from tests.irc.connection.hostile_server import Client, Clock


@pytest.mark.parametrize("monitor", [False, True])
def test_a_nick_is_taken_back(monitor: bool, tmp_path: Path) -> None:
    running = (
        Inspircd(tmp_path / "server", '<module name="monitor">') if monitor else Ngircd(tmp_path / "server")
    )
    with running:
        address = ServerAddress("127.0.0.1", running.port)
        holder = Client(address, "echo").connect()
        holder.until_ready()
        clock = Clock()
        client = Client(address, "echo", altnicks=["echo2"], regain_nick=True, clock=clock).connect()
        client.until_ready()
        assert client.connection.nick == "echo2"
        assert client.connection.features.monitor is monitor
        # Nothing happens while it is taken.
        clock.now += 61.0
        for _ in range(10):
            client.connection.process(0.02)
        assert client.connection.nick == "echo2"
        holder.connection.quit()
        clock.now += 0.0 if monitor else 61.0
        client.drive(lambda: client.connection.nick == "echo")
        assert ("nick_changed", "echo2", "echo") in client.heard.events
        client.drive(lambda: (client.connection.own_mask or "").startswith("echo!"))
        client.connection.quit()
