"""The echo peer in this process, moved by hand and with a clock that can jump."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from otrbot.drills.stage import Drill
from otrbot.reports.orders import Wish
from otrbot.settings.config import REALNAME, Config, Limits
from otrbot.talk.attended import AttendedRunner
from otrbot.talk.peer import NO_DRILLS, EchoPeer

from otrcore.events import SmpSucceeded
from otrcore.irc.connection.address import ServerAddress
from otrcore.irc.connection.options import Settings
from otrcore.irc.connection.pacing import Pace
from otrcore.irc.keeper import StoreKeeper
from otrcore.irc.lanes import Threads
from otrcore.model import MessageState
from otrcore.store.store import Store
from tests.clients.drivers.otr_peer import Message, OtrPeer
from tests.clients.drivers.proxy import RecordingProxy
from tests.clients.drivers.waiting import wait_for

NICK = "echo"

OPEN = Limits(
    akes_per_minute=1000,
    akes_per_minute_all=1000,
    smps_per_minute=1000,
    input_burst=10_000,
    same_text_times=60,
)
"""Limits that no test runs into but those that are about them."""


class Counted:
    """Counts by name and result."""

    def __init__(self) -> None:
        self.all: list[str] = []

    def ake(self, version: int, result: str) -> None:
        self.all.append(f"ake {version} {result}")

    def smp(self, result: str) -> None:
        self.all.append(f"smp {result}")

    def throttled(self) -> None:
        self.all.append("throttled")


class Bot:
    """Registered with the server, and doing nothing but in `wait`; `wire` has every line that crosses it."""

    def __init__(
        self,
        port: int,
        folder: Path,
        config: Config | None = None,
        drills: Mapping[str, Drill] = NO_DRILLS,
        lanes: Threads | None = None,
    ) -> None:
        self.wire = RecordingProxy(port)
        self.wishes: list[Wish] = []
        self.counted = Counted()
        self._port = port
        self._later = 0.0
        self._marks = 0
        self._store = Store(folder)
        self.peer = EchoPeer(config or Config((), OPEN), self.counted, self.wishes.append, drills, self.clock)
        self._lanes = lanes
        # The server may not have noticed yet that a bot before this one is gone.
        runner = wait_for(self._registered, "a bot with its nick")
        assert runner is not None
        self.runner = runner

    def _registered(self) -> AttendedRunner | None:
        """Return the runner once it is registered; None if its nick was taken."""
        runner = AttendedRunner(
            ServerAddress("127.0.0.1", self.wire.port),
            Settings(
                NICK,
                REALNAME,
                capabilities=("message-tags",),
                pace=Pace.NONE,
                # A clock that jumps is no server that has fallen silent.
                ping_after=100_000.0,
                drop_after=200_000.0,
            ),
            self.peer,
            StoreKeeper(self._store, contacts=False, clock=self.clock),
            clock=self.clock,
            lanes=self._lanes,
        )
        self.peer.speak_by(runner)
        runner.connect()
        wait_for(lambda: runner.process(0.02) == [] and runner.registered, "the bot")
        if runner.nick == NICK:
            return runner
        runner.close("taken")
        return None

    def turn(self) -> None:
        """Do what there is to do."""
        self.runner.process(0)
        if self.peer.next_tick is not None and self.clock() >= self.peer.next_tick:
            self.peer.tick()
        assert self.peer.lost is None

    def wait(self, peer: OtrPeer, look: Callable[[], object], what: str) -> None:
        """Let the bot and a peer handle what comes until something is so."""

        def work_and_look() -> object:
            self.turn()
            return look()

        peer.wait(work_and_look, what)

    def settle(self, *peers: OtrPeer) -> None:
        """Let everything that peers have sent be answered, if it is."""
        for peer in peers:
            peer.settle()
        self._marks += 1
        # The server and the bot take lines in their order: what answers somebody new comes last.
        with OtrPeer(self._port, f"mark{self._marks}") as mark:
            mark.say_plain(NICK, "!ping")
            self.wait(mark, lambda: mark.plain(NICK), "an answer to somebody new")
        for peer in peers:
            peer.settle()

    def secure(self, peer: OtrPeer) -> None:
        """Have an encrypted conversation."""
        peer.ask(NICK)
        both = MessageState.ENCRYPTED
        self.wait(peer, lambda: peer.secured(NICK) and self.runner.state(peer.nick) is both, "OTR")

    def ask(self, peer: OtrPeer, text: str) -> str:
        """Say something encrypted, and return the next text that comes back."""
        before = len(peer.received(NICK))
        peer.say(NICK, text)
        self.wait(peer, lambda: len(peer.received(NICK)) > before, f"an answer to {text}")
        return peer.received(NICK)[before]

    def ask_plain(self, peer: OtrPeer, text: str) -> str:
        """Say something unencrypted, and return the next plain text that comes back."""
        before = len(peer.plain(NICK))
        peer.say_plain(NICK, text)
        self.wait(peer, lambda: len(peer.plain(NICK)) > before, f"an answer to {text}")
        return peer.plain(NICK)[before]

    def sent(self) -> list[str]:
        """Return everything that the bot has sent after its registration."""
        return [line for line in self.wire.sent() if not re.match("(NICK|USER|CAP|PING|PONG) ", line)]

    def advance(self, seconds: float) -> None:
        """Let its clock jump."""
        self._later += seconds

    def clock(self) -> float:
        return time.monotonic() + self._later

    def close(self) -> None:
        """Disconnect without a word."""
        self.wire.close()
        self._store.close()


def answers(peer: OtrPeer) -> list[Message]:
    """Return everything that the bot has sent to somebody, numerics and the like aside."""
    return [message for message in peer.messages if message.sender == NICK]


def limits(**some: float) -> Config:
    """A configuration with some other limits."""
    return Config((), replace(OPEN, **some))  # type: ignore[arg-type]


def echoes(bot: Bot, alice: OtrPeer, *texts: str) -> None:
    """Wait until these are all the texts that the bot has sent encrypted."""
    bot.wait(alice, lambda: alice.received(NICK) == list(texts), f"{texts}")


def verified(bot: Bot, peer: OtrPeer) -> None:
    """Wait until somebody has verified the bot."""
    bot.wait(peer, lambda: SmpSucceeded(trusts=True) in peer.events_with(NICK), "the verification")
