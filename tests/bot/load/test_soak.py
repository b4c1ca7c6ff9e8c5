"""Ten people on each of two real servers, as their packages come: nothing is lost, nobody thrown out."""

from __future__ import annotations

import os
import random
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from otrcore.irc.connection.pacing import Pace
from tests.bot.bot_process import get
from tests.bot.load.crowd import BOT, Crowd, Peer, Story, pause
from tests.bot.load.process import At, Bot, configuration
from tests.bot.load.servers import StrictInspircd, ngircd
from tests.clients.drivers.inspircd import Inspircd
from tests.clients.drivers.ngircd import Ngircd
from tests.clients.drivers.waiting import free_port

SECONDS = float(os.environ.get("SOAK_SECONDS", "100"))
"""For which people talk; `make soak` has more."""

PEOPLE = 10
IN_VERSION_4 = 3
"""Of these people: their texts take more lines, of which a bot at a pace has few."""
LATE = 60.0
"""Seconds that the last echoes may take."""
START = 25.0
"""Seconds within which people come, one after the other."""

FLOOD = 40
"""Lines."""

AS_A_PERSON = Pace(burst=5, per_second=1.0)


def visit(peer: Peer, number: int, until: float) -> Story:
    """Come, talk as a person does, and say goodbye."""
    chance = random.Random(peer.nick)
    yield from pause(START * number / PEOPLE)
    yield from peer.secure()
    while time.monotonic() < until:
        yield from pause(chance.uniform(10, 20))
        yield from peer.echo(f"{len(peer.texts)}: {peer.nick} again")
    peer.end()
    yield lambda: not peer.waiting


def flood(peer: Peer) -> Story:
    """Talk to itself as nobody should, and wait for the last line."""
    yield lambda: peer.welcome
    peer.raw(*[b"x" * 350] * FLOOD)
    yield lambda: peer.lines == FLOOD


def test_the_servers_control_floods(tmp_path: Path) -> None:
    """Or it would be no wonder that all goes well."""
    with ngircd(tmp_path / "ngircd") as server, Crowd() as crowd:
        peer = crowd.join(server.port, BOT)
        assert crowd.play({peer: flood(peer)}, 90.0) > FLOOD / 10
    with StrictInspircd(tmp_path / "inspircd") as strict, Crowd() as crowd:
        peer = crowd.join(strict.port, BOT)
        with pytest.raises(ConnectionError, match="RecvQ exceeded"):
            crowd.play({peer: flood(peer)}, 90.0)


def test_soak(tmp_path: Path) -> None:
    http = free_port()
    with ExitStack() as running:
        crowd = running.enter_context(Crowd())
        servers: dict[str, Ngircd | Inspircd] = {
            "ngircd": running.enter_context(ngircd(tmp_path / "ngircd")),
            "inspircd": running.enter_context(StrictInspircd(tmp_path / "inspircd")),
        }
        config = configuration(
            tmp_path,
            {name: At(server.port, "default") for name, server in servers.items()},
            {},
            f'[http]\nlisten = "127.0.0.1:{http}"',
        )
        bot = running.enter_context(Bot(tmp_path, config, len(servers)))
        before = bot.resident()
        until = time.monotonic() + SECONDS
        stories = {}
        for name, server in servers.items():
            for number in range(PEOPLE):
                version = 4 if number < IN_VERSION_4 else 3
                peer = crowd.join(server.port, f"{name[0]}Peer{number}", AS_A_PERSON, version)
                stories[peer] = visit(peer, number, until)
        # Whoever is thrown out, or gets another echo than its own, ends this.
        crowd.play(stories, SECONDS + LATE)

        waits = sorted(second for peer in crowd.peers for second in peer.seconds)
        after = bot.resident()
        print(
            f"{len(waits)} echoes in {SECONDS:.0f} s, half within {waits[len(waits) // 2]:.2f} s, "
            f"all within {waits[-1]:.2f} s; {before:.0f} MiB before and {after:.0f} after"
        )
        _, metrics = get(http, "/metrics")
        for name in servers:
            for count in ("reconnects", "throttled", "handler_errors", "thread_restarts"):
                assert f'otrbot_{count}_total{{network="{name}"}} 0.0' in metrics
        assert all(peer.plain == [] and peer.opened == 1 for peer in crowd.peers)
        assert len(waits) >= len(crowd.peers) * int((SECONDS - START) / 30)
        assert after < before + 10
        assert bot.is_well()
