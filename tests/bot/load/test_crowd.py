"""Three hundred people at once: served where the operator wants it, and held back by default."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from otrbot.talk.door import TOO_MANY_AKES

from tests.bot.load.crowd import BOT, Crowd, Peer, Story, pause
from tests.bot.load.process import RAISED, At, Bot, configuration
from tests.bot.load.server import Server

PEOPLE = 300
ECHOES = 5
VERIFYING = 20

PEOPLE_4 = 40
VERIFYING_4 = 4
"""In version 4, in which the crowd itself takes its time: what it says of the bot is that nobody is lost."""

MAX_PONG = 4.0
"""Seconds: the crowd has the same two cores, and a bot that did arithmetic where it reads would take tens."""

ARRIVAL = 10.0
"""Seconds within which people come, one after the other."""

TOLD = 8
"""People who are told of a refusal at the least."""

AKES_A_MINUTE = 20
"""That the bot begins by default."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(watched=BOT) as running:
        yield running


@pytest.fixture
def crowd(server: Server) -> Iterator[Crowd]:
    with Crowd() as made:
        for number in range(PEOPLE):
            made.join(server.port, f"peer{number}")
        yield made


def five_echoes(peer: Peer) -> Story:
    for number in range(ECHOES):
        yield from peer.echo(f"{number}: what {peer.nick} says")


def visiting(peer: Peer, begins: float) -> Story:
    """Come after a while, and have a few echoes."""
    yield from pause(begins)
    yield from peer.secure()
    yield from five_echoes(peer)


def test_three_hundred_people(tmp_path: Path, server: Server, crowd: Crowd) -> None:
    config = configuration(tmp_path, {"one": At(server.port)}, RAISED)
    with Bot(tmp_path, config) as bot:
        visits = {peer: visiting(peer, ARRIVAL * number / PEOPLE) for number, peer in enumerate(crowd.peers)}
        talked = crowd.play(visits, 60.0)
        waits = sorted(second for peer in crowd.peers for second in peer.seconds)
        cpu = bot.worked()
        verified = crowd.play({peer: peer.prove("otrcore") for peer in crowd.peers[:VERIFYING]}, 60.0)
        cpu = bot.worked() - cpu
        print(
            f"{PEOPLE} people with {ECHOES} echoes each in {talked:.1f} s, of which {ARRIVAL:.0f} to come: "
            f"half of the echoes within {waits[len(waits) // 2] * 1000:.0f} ms, "
            f"99 of 100 within {waits[len(waits) * 99 // 100] * 1000:.0f} ms\n"
            f"{VERIFYING} verifications at once in {verified:.1f} s ({cpu / VERIFYING * 1000:.0f} ms of "
            f"processor each); slowest PONG of {len(server.pongs)}: {server.slowest_pong() * 1000:.0f} ms"
        )
        assert len(waits) == PEOPLE * ECHOES
        assert server.slowest_pong() < MAX_PONG
        assert len(server.pongs) > talked + verified
        assert all(peer.plain == [] for peer in crowd.peers)
        assert bot.is_well()


def test_a_crowd_in_version_4(tmp_path: Path, server: Server) -> None:
    config = configuration(tmp_path, {"one": At(server.port)}, RAISED)
    with Crowd() as crowd, Bot(tmp_path, config) as bot:
        for number in range(PEOPLE_4):
            crowd.join(server.port, f"Peer{number}", version=4)
        talked = crowd.play({peer: visiting(peer, 0.0) for peer in crowd.peers}, 60.0)
        verified = crowd.play({peer: peer.prove("otrcore") for peer in crowd.peers[:VERIFYING_4]}, 30.0)
        print(f"{PEOPLE_4} people at once in {talked:.1f} s, {VERIFYING_4} verifications in {verified:.1f} s")
        assert {len(peer.seconds) for peer in crowd.peers} == {ECHOES}
        assert {str(peer.their_fingerprint) for peer in crowd.peers} == {bot.fingerprint_4}
        assert all(peer.plain == [] and peer.opened == 1 for peer in crowd.peers)
        assert bot.is_well()


def insisting(peer: Peer) -> Story:
    """Ask for OTR, again and again; who is let in has a few echoes."""
    yield lambda: peer.welcome
    for _ in range(3):
        peer.start()
        asked = time.monotonic()
        yield lambda asked=asked: peer.secured or time.monotonic() > asked + 5  # type: ignore[misc]
        if peer.secured:
            yield from five_echoes(peer)
            return


def held_back(tmp_path: Path, server: Server, crowd: Crowd, pace: str) -> list[Peer]:
    """Have the crowd insist while all limits are as they are by default; return who was let in."""
    config = configuration(tmp_path, {"one": At(server.port, pace)}, {})
    with Bot(tmp_path, config) as bot:
        before = bot.resident()
        crowd.play({peer: insisting(peer) for peer in crowd.peers}, 45.0)
        crowd.play({crowd.peers[0]: pause(1.0)}, 20.0)
        served = [peer for peer in crowd.peers if peer.secured]
        assert len(served) <= AKES_A_MINUTE
        assert server.slowest_pong() < MAX_PONG
        assert len(server.pongs) > 10
        print(
            f"{len(served)} of {PEOPLE} were let in, slowest PONG {server.slowest_pong() * 1000:.0f} ms, "
            f"{before:.0f} MiB before and {bot.resident():.0f} after"
        )
        assert bot.resident() < before + 30
        assert bot.is_well()
    return served


def test_the_limits_hold(tmp_path: Path, server: Server, crowd: Crowd) -> None:
    """Who is not let in is told so once at most; who asks while too much waits to be sent is not."""
    served = held_back(tmp_path, server, crowd, "none")
    assert len(served) == AKES_A_MINUTE
    assert all(len(peer.texts) == ECHOES and not peer.plain for peer in served)
    told = [peer.plain for peer in crowd.peers if peer not in served and peer.plain]
    assert len(told) >= TOLD
    assert all(texts == [TOO_MANY_AKES] for texts in told)


def test_the_limits_hold_at_the_pace_of_public_networks(tmp_path: Path, server: Server, crowd: Crowd) -> None:
    held_back(tmp_path, server, crowd, "default")
    assert all(peer.plain in ([], [TOO_MANY_AKES]) for peer in crowd.peers)
    # Eight lines at once, then one a second, and registration.
    assert sum(peer.lines for peer in crowd.peers) <= 70
