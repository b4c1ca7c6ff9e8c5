"""What the bot's memory does: with many conversations, and with people who mean no good."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from tests.bot.load import hostile
from tests.bot.load.crowd import BOT, Crowd, Peer, Story
from tests.bot.load.process import RAISED, At, Bot, configuration
from tests.bot.load.server import Server

CONVERSATIONS = 500
ECHOES = 5
MAX_MIB = 120

HOSTILE_LINES = 100_000
HOSTILE_PEOPLE = 8
AT_ONCE = 600
MAX_GROWTH_MIB = 10


def five_echoes(peer: Peer) -> Story:
    for number in range(ECHOES):
        yield from peer.echo(f"{number}: what {peer.nick} says")


def test_five_hundred_conversations(tmp_path: Path) -> None:
    """All of them begin at the same moment, and all go on at the same moment."""
    with Server(watched=BOT) as server, Crowd() as crowd:
        config = configuration(tmp_path, {"one": At(server.port)}, RAISED)
        with Bot(tmp_path, config) as bot:
            memory, work = [bot.resident()], [bot.worked()]
            for number in range(CONVERSATIONS):
                crowd.join(server.port, f"peer{number}")
            secured = crowd.play({peer: peer.secure() for peer in crowd.peers}, 120.0)
            work.append(bot.worked())
            echoed = crowd.play({peer: five_echoes(peer) for peer in crowd.peers}, 120.0)
            work.append(bot.worked())
            bot.signal(signal.SIGUSR1)
            bot.wait_shown(f"{CONVERSATIONS} encrypted conversations")
            memory.append(bot.resident())
            echoes = CONVERSATIONS * ECHOES
            print(
                f"{CONVERSATIONS} key exchanges in {secured:.1f} s "
                f"({(work[1] - work[0]) / CONVERSATIONS * 1000:.1f} ms of processor each), "
                f"{echoes} echoes in {echoed:.1f} s ({(work[2] - work[1]) / echoes * 1000:.1f} ms each)\n"
                f"{memory[1]:.0f} MiB with {CONVERSATIONS} conversations, {memory[0]:.0f} with none: "
                f"{(memory[1] - memory[0]) / CONVERSATIONS * 1024:.0f} KiB each"
            )
            assert memory[1] < MAX_MIB
            assert all(peer.secured for peer in crowd.peers)
            assert bot.is_well()


def flooding(peer: Peer, lines: Iterator[bytes], server: Server) -> Story:
    """Send as fast as the bot can hear it, and not as fast as the machine could keep it for the bot."""
    yield lambda: peer.welcome
    while at_once := list(islice(lines, AT_ONCE)):
        peer.raw(*at_once)
        # The first one may have been on its way already.
        enough = len(server.pongs) + 2
        yield lambda enough=enough: len(server.pongs) >= enough  # type: ignore[misc]


def honest(peer: Peer, others: list[Peer], tell: list[str]) -> Story:
    """Have one echo after the other, as long as others flood."""
    while not all(other.nick in tell for other in others):
        yield from peer.echo(f"{len(peer.texts)}: an honest word")


def test_a_hundred_thousand_hostile_lines(tmp_path: Path) -> None:
    """With limits that let all of them through."""
    limits = {**RAISED, "input_burst": 100_000, "input_per_second": 100_000, "same_text_times": 100_000}
    done: list[str] = []

    def to_the_end(peer: Peer, story: Story) -> Story:
        yield from story
        done.append(peer.nick)

    with Server(watched=BOT) as server, Crowd() as crowd:
        config = configuration(tmp_path, {"one": At(server.port)}, limits)
        with Bot(tmp_path, config) as bot:
            bad = [crowd.join(server.port, f"bad{number}") for number in range(HOSTILE_PEOPLE)]
            good = crowd.join(server.port, "good")
            # Its texts come in one line each: further pieces of messages are limited for all people together.
            good.talk.line_limit = 440
            crowd.play({good: good.secure()}, 20.0)
            grown: list[float] = []
            # The first part fills what is bounded, as far as it ever gets.
            for part, times in enumerate((1, 3)):
                done.clear()
                count = HOSTILE_LINES * times // 4 // HOSTILE_PEOPLE
                stories = {
                    peer: to_the_end(peer, flooding(peer, hostile.lines(part * 100 + number, count), server))
                    for number, peer in enumerate(bad)
                }
                crowd.play({**stories, good: honest(good, bad, done)}, 140.0)
                grown.append(bot.resident())
            print(
                f"{HOSTILE_LINES} hostile lines: {grown[0]:.0f} MiB after a quarter of them, "
                f"{grown[1]:.0f} after all; "
                f"{len(good.seconds)} honest echoes meanwhile, the slowest after {max(good.seconds):.2f} s; "
                f"slowest PONG {server.slowest_pong():.2f} s"
            )
            assert len(good.seconds) > 20
            assert grown[1] < grown[0] + MAX_GROWTH_MIB
            assert bot.is_well()
            crowd.play({good: good.echo("and after it")}, 20.0)
