"""`otr-bot selftest`: the bot and somebody who talks with it, in one process, on an IRC server of our own."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from otrbot.commands.assembly import make_network
from otrbot.reports import logs
from otrbot.reports.metrics import Metrics
from otrbot.reports.orders import Mailbox, Order, Report, Standing, Stop
from otrbot.settings.config import Config, LogConfig, LogLevel, NetworkConfig
from otrbot.settings.keys import KeyRing

from otrcore.errors import OtrcoreError
from otrcore.events import Event, SessionEnded, SessionOpened, SmpSucceeded
from otrcore.irc.actions import AskSecret, ShowMessage, ShowNote
from otrcore.irc.connection.address import ServerAddress
from otrcore.irc.connection.listener import IncomingMessage
from otrcore.irc.connection.options import Settings
from otrcore.irc.connection.pacing import Pace
from otrcore.irc.connection.runner import Runner
from otrcore.irc.keeper import StoreKeeper
from otrcore.model import Protection
from otrcore.store.store import Store

STEP_SECONDS = 30.0
"""For each step, on a slow machine too."""

TURN_SECONDS = 0.05
STOP_SECONDS = 5.0

BOT = "echo"
PEER = "selftest"
WORD = "otrcore"
"""The secret of the bot, which is published."""

TEXT = "Grüße, привет, 你好: does this come back? " * 15
"""Long enough to be cut into pieces."""


class SelftestFailed(OtrcoreError):
    """A step of the test did not happen."""


class _Peer:
    """Somebody who talks with the bot; the screen of a runner."""

    def __init__(self, address: ServerAddress, folder: Path) -> None:
        self._store = Store(folder)
        self.events: list[Event] = []
        self.echoes: list[str] = []
        self.lost = ""
        keeper = StoreKeeper(self._store, contacts=False)
        self.runner = Runner(address, Settings(PEER, "self-test", pace=Pace.NONE), self, keeper)

    def close(self) -> None:
        """Leave."""
        self.runner.close("the test is over")
        self._store.close()

    def ready(self) -> None:
        """`Runner.registered` tells it."""

    def plain(self, message: IncomingMessage) -> None:
        """What is not encrypted is no part of the test."""

    def show(self, action: ShowMessage | ShowNote) -> None:
        """Remember what comes."""
        if isinstance(action, ShowNote):
            if action.event is not None:
                self.events.append(action.event)
        elif action.protection is Protection.ENCRYPTED:
            self.echoes.extend(action.lines)

    def ask_secret(self, prompt: AskSecret) -> None:
        """Give the bot's word."""
        self.runner.secret(prompt, WORD)

    def close_secret(self, prompt: AskSecret) -> None:
        """Nobody is typing one."""

    def renamed(self, old: str, new: str) -> None:
        """Nobody is."""

    def disconnected(self, reason: str) -> None:
        """Keep the reason."""
        self.lost = reason

    def has(self, kind: type[Event]) -> bool:
        """Tell whether something has happened."""
        return any(isinstance(event, kind) for event in self.events)


def run() -> None:
    """Try everything once; SelftestFailed, or another OtrcoreError, with what did not work."""
    logs.set_up(LogConfig(level=LogLevel.WARNING))
    with ExitStack() as closing:
        folder = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="otr-bot-")))
        address = ServerAddress("127.0.0.1", _server(closing))
        reports: Mailbox[Report] = Mailbox()
        closing.callback(reports.close)
        failures: list[BaseException] = []
        _start_bot(closing, address, folder, reports, failures)
        _wait(lambda: _registered(reports), None, failures, "the bot is not let into the server")
        peer = _Peer(address, folder / "peer")
        closing.callback(peer.close)
        peer.runner.connect()
        steps: tuple[tuple[Callable[[], object], Callable[[], object], str], ...] = (
            (lambda: None, lambda: peer.runner.registered, "nobody else is let into the server"),
            (lambda: peer.runner.start(BOT), lambda: peer.has(SessionOpened), "the key exchange has no end"),
            (lambda: peer.runner.say(BOT, TEXT), lambda: TEXT.strip() in _joined(peer), "no echo comes"),
            (
                lambda: peer.runner.command(BOT, "smp ask"),
                lambda: peer.has(SmpSucceeded),
                "the verification fails",
            ),
            (lambda: peer.runner.say(BOT, "!end"), lambda: peer.has(SessionEnded), "the bot does not end it"),
        )
        for begin, done, otherwise in steps:
            begin()
            _wait(done, peer, failures, otherwise)


def _joined(peer: _Peer) -> str:
    return "".join(peer.echoes)


def _server(closing: ExitStack) -> int:
    """Start an IRC server, and return its port."""
    server = subprocess.Popen(
        # -P: an irc.py in the folder that we happen to be in is none of ours.
        [sys.executable, "-P", "-m", "otrcore.cli.demo_server", "--until-stdin-closes"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    closing.callback(_end, server)
    line = server.stdout.readline() if server.stdout is not None else b""
    if not line.strip().isdigit():
        raise SelftestFailed("The self-test has failed: its IRC server does not start.")
    return int(line)


def _end(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.communicate(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.communicate()


def _start_bot(
    closing: ExitStack,
    address: ServerAddress,
    folder: Path,
    reports: Mailbox[Report],
    failures: list[BaseException],
) -> None:
    network = NetworkConfig("selftest", address, nick=BOT, pace=Pace.NONE)
    config = Config((network,), data_dir=folder / "bot", once=True)
    keys = KeyRing(config)
    keys.make()
    orders: Mailbox[Order] = Mailbox()
    metrics = Metrics().of(network.name)

    def body() -> None:
        try:
            make_network(config, network, keys, orders, reports, metrics).run()
        # Told by the thread that waits for this one.
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=body, name="otrbot-selftest", daemon=True)
    thread.start()

    def stop() -> None:
        orders.put(Stop(time.monotonic() + STOP_SECONDS))
        thread.join(STOP_SECONDS)

    closing.callback(stop)


def _registered(reports: Mailbox[Report]) -> bool:
    return any(isinstance(report, Standing) and report.registered for report in reports.take())


def _wait(
    done: Callable[[], object], peer: _Peer | None, failures: list[BaseException], otherwise: str
) -> None:
    deadline = time.monotonic() + STEP_SECONDS
    while not done():
        if failures:
            error = failures[0]
            why = str(error) if isinstance(error, OtrcoreError) else logs.failure(error)
            raise SelftestFailed(f"The self-test has failed: the bot has ended: {why}")
        if peer is not None and peer.lost:
            raise SelftestFailed(f"The self-test has failed: the connection is lost: {peer.lost}")
        if time.monotonic() > deadline:
            raise SelftestFailed(f"The self-test has failed: {otherwise}.")
        if peer is not None:
            peer.runner.process(TURN_SECONDS)
        else:
            time.sleep(TURN_SECONDS)
