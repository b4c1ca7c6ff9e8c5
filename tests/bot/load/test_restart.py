"""The bot is killed, and started again: it is the same to talk with, and nobody has to begin anew."""

from __future__ import annotations

from pathlib import Path

from tests.bot.load.crowd import BOT, Crowd, Peer, Story
from tests.bot.load.process import At, Bot, configuration
from tests.bot.load.server import Server

PEOPLE = 5


def one_echo(peer: Peer) -> Story:
    yield from peer.secure()
    yield from peer.echo(f"before, from {peer.nick}")


def starting_anew(peer: Peer) -> Story:
    """Ask for another conversation, as somebody who has seen the bot leave and come back."""
    peer.end()
    yield from peer.secure()
    assert peer.opened == 2
    yield from peer.echo(f"anew, from {peer.nick}")


def recovering(peer: Peer) -> Story:
    """Go on writing, as somebody who has not noticed."""
    heard = len(peer.texts)
    peer.say(f"after, from {peer.nick}")
    complaint = "?OTR Error: ERROR_2: " if peer.version == 4 else "?OTR Error:"
    yield lambda: any(line.startswith(complaint) for line in peer.heard)
    yield lambda: peer.opened == 2 and peer.secured
    # What was lost is sent again; some clients say so in front of it.
    yield lambda: len(peer.texts) > heard
    assert peer.texts[-1].endswith(f"after, from {peer.nick}")
    yield from peer.echo(f"later, from {peer.nick}")


def test_killed_and_started_again(tmp_path: Path) -> None:
    with Server(watched=BOT) as server, Crowd() as crowd:
        config = configuration(tmp_path, {"one": At(server.port)}, {})
        peers = [crowd.join(server.port, f"peer{number}") for number in range(PEOPLE)]
        with Bot(tmp_path, config) as first:
            fingerprint = first.fingerprint
            crowd.play({peer: one_echo(peer) for peer in peers}, 30.0)
            keys = {str(peer.their_fingerprint) for peer in peers}
            first.process.kill()
            first.exit_code()
        with Bot(tmp_path, config) as second:
            assert second.fingerprint == fingerprint
            crowd.play({peer: recovering(peer) for peer in peers}, 60.0)
            assert {str(peer.their_fingerprint) for peer in peers} == keys == {fingerprint}
            assert second.is_well()


def test_killed_and_started_again_in_version_4(tmp_path: Path) -> None:
    with Server(watched=BOT) as server, Crowd() as crowd:
        config = configuration(tmp_path, {"one": At(server.port)}, {})
        peers = [crowd.join(server.port, f"Peer{number}", version=4) for number in range(PEOPLE)]
        with Bot(tmp_path, config) as first:
            fingerprint = first.fingerprint_4
            crowd.play({peer: one_echo(peer) for peer in peers}, 30.0)
            first.process.kill()
            first.exit_code()
        with Bot(tmp_path, config) as second:
            assert second.fingerprint_4 == fingerprint
            writing, starting = peers[::2], peers[1::2]
            stories = {peer: recovering(peer) for peer in writing}
            crowd.play({**stories, **{peer: starting_anew(peer) for peer in starting}}, 60.0)
            assert {str(peer.their_fingerprint) for peer in peers} == {fingerprint}
            assert second.is_well()
