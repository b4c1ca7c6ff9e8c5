"""One network: connecting, coming back after a loss, and everything that is said on it, in one thread."""

from __future__ import annotations

import logging
import random
import ssl
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Protocol, TypeVar

from otrbot.reports.logs import facts
from otrbot.reports.metrics import NetworkMetrics
from otrbot.reports.orders import Mailbox, Order, Reload, Report, Standing, Stop, Wish
from otrbot.settings.config import Config, ConfigError, Mechanism, NetworkConfig
from otrbot.settings.keys import KeyRing
from otrbot.talk.attended import Attendant, AttendedRunner

from otrcore.errors import ConnectionFailed, OtrcoreError, StoreError
from otrcore.irc.connection import sasl
from otrcore.irc.connection.options import Login, Settings
from otrcore.irc.keeper import StoreKeeper
from otrcore.irc.lanes import Result, Threads
from otrcore.model import MessageState

_log = logging.getLogger(__name__)

T = TypeVar("T")

CAPABILITIES = ("message-tags",)
"""Messages of other bots come with a tag that says so."""

FIRST_PAUSE = 5.0
LONGEST_PAUSE = 300.0
"""Seconds before another attempt to connect, doubling from one to the other; each is cut by up to a half."""

STEADY_SECONDS = 300.0
"""After which a connection counts as good, and the next pause is the first again."""

REPORT_EVERY = 10.0
"""Seconds between two reports of how things stand."""

QUIT_SECONDS = 2.5
"""What remains, of the time in which to leave, for the server to close the connection."""

MAX_FAULTS = 20
"""Exceptions in a row, one a turn, after which the thread is of no use any more."""


class Peer(Attendant, Protocol):
    """Who answers people. Everything here is called by the network's thread."""

    def speak_by(self, runner: AttendedRunner) -> None:
        """Talk by this runner from now on; called once, before anything else."""

    @property
    def next_tick(self) -> float | None:
        """When to call `tick`, by `time.monotonic`; None for never."""

    def tick(self) -> None:
        """Do what time asks for."""

    def obey(self, order: Order) -> None:
        """Take in what the main thread says; at a `Stop`, begin nothing any more."""


MakePeer = Callable[[Config, NetworkMetrics, Callable[[Wish], None]], Peer]
"""Makes the peer of a network; what admins ask of the process it hands to the function that it gets."""


class Backoff:
    """How long to wait before the next attempt: longer each time, and not as long as others wait."""

    def __init__(
        self,
        first: float = FIRST_PAUSE,
        longest: float = LONGEST_PAUSE,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """`first` and `longest` are seconds."""
        self._first = first
        self._longest = longest
        self._uniform = uniform
        self._next = first

    def pause(self) -> float:
        """Return the seconds to wait now."""
        pause, self._next = self._next, min(self._longest, 2 * self._next)
        return pause * self._uniform(0.5, 1.0)

    def reset(self) -> None:
        """Begin with the first pause again."""
        self._next = self._first


class TimedLanes(Threads):
    """Lanes that tell how long each step takes."""

    def __init__(self, metrics: NetworkMetrics) -> None:
        super().__init__()
        self._metrics = metrics

    def run(self, step: Callable[[], T], then: Callable[[Result[T]], None]) -> Result[T] | None:
        """Do a step in a thread."""

        def timed() -> T:
            begin = time.perf_counter()
            try:
                return step()
            finally:
                self._metrics.crypto(time.perf_counter() - begin)

        return super().run(timed, then)


class Network:
    """What the thread of a network does."""

    def __init__(
        self,
        config: Config,
        network: NetworkConfig,
        keys: KeyRing,
        orders: Mailbox[Order],
        reports: Mailbox[Report],
        metrics: NetworkMetrics,
        make_peer: MakePeer,
        backoff: Backoff | None = None,
    ) -> None:
        self._config = config
        self._network = network
        self._keys = keys
        self._orders = orders
        self._reports = reports
        self._metrics = metrics
        self._make_peer = make_peer
        self._backoff = backoff or Backoff()
        self._stop: Stop | None = None
        self._reported_at = 0.0
        self._problem = ""
        self._connections = 0
        self._faults = 0
        self._counted = (0, 0, 0)
        self._errors = 0

    def run(self) -> None:
        """Talk until a `Stop`.

        Raises sasl.AuthenticationRefused; ConnectionFailed if it is to be tried once only; StoreError and
        ConfigError if keys, passwords or certificates are of no use.
        """
        with ExitStack() as closing:
            store = self._keys.open()
            closing.callback(store.close)
            self._lanes = TimedLanes(self._metrics)
            closing.callback(self._lanes.close)
            self._peer = self._make_peer(self._config, self._metrics, self._reports.put)
            self._runner = self._make_runner(self._keys.keeper(store, self._network))
            self._peer.speak_by(self._runner)
            try:
                while self._stop is None:
                    if self._connect():
                        self._talk()
                    self._pause()
            finally:
                left = self._stop.by - time.monotonic() if self._stop is not None else 0.0
                self._runner.close("stopped", max(0.1, (left - QUIT_SECONDS) / 2))
                self._count()
                self._problem = "it has stopped"
                self._report()

    def _make_runner(self, keeper: StoreKeeper) -> AttendedRunner:
        network, limits = self._network, self._config.limits
        try:
            settings = Settings(
                network.nick,
                network.realname,
                pace=network.pace,
                altnicks=network.altnicks,
                login=self._login,
                capabilities=CAPABILITIES,
                regain_nick=True,
                bot_mode=network.bot_mode,
                queue_lines=limits.queue_lines,
                queue_lines_per_target=limits.queue_lines_per_peer,
            )
        except ValueError as error:
            raise ConfigError(str(error)) from error
        return AttendedRunner(network.server, settings, self._peer, keeper, lanes=self._lanes)

    def _login(self) -> Login:
        """Read passwords and certificates, which may have been renewed since."""
        network = self._network
        credentials: sasl.Credentials | None = None
        try:
            if network.sasl is not None and network.sasl.mechanism is Mechanism.EXTERNAL:
                credentials = sasl.External(network.sasl.account)
            elif network.sasl is not None:
                if network.sasl.password is None:
                    raise ConfigError(f"The network {network.name} has no password for SASL: name its file.")
                credentials = sasl.Plain(network.sasl.account, network.sasl.password.read())
            password = network.server_password.read() if network.server_password is not None else None
            return Login(credentials, password, self._tls_context())
        except ValueError as error:
            raise ConfigError(str(error)) from error

    def _tls_context(self) -> ssl.SSLContext | None:
        network = self._network
        if not network.server.tls:
            return None
        try:
            context = ssl.create_default_context(cafile=network.ca_file)
        except OSError as error:
            raise ConfigError(
                f"The authorities in {network.ca_file} cannot be used: name a file of certificates in PEM."
            ) from error
        if network.client_cert is not None:
            try:
                # A password would be asked for on the terminal.
                context.load_cert_chain(network.client_cert, network.client_key, password="")
            except OSError as error:
                raise ConfigError(
                    f"The certificate in {network.client_cert} cannot be used: name a file in PEM that holds "
                    "it, and its key without a passphrase there or in client_key."
                ) from error
        return context

    # ---- connecting

    def _connect(self) -> bool:
        try:
            self._runner.connect()
        except ConnectionFailed as error:
            self._fail(error)
            return False
        except (StoreError, ConfigError) as error:
            if not self._connections:
                raise
            # It has worked before: somebody may be in the middle of replacing what cannot be read now.
            self._fail(error)
            return False
        self._connections += 1
        self._counted = (0, 0, 0)
        if self._connections > 1:
            self._metrics.reconnected()
        return True

    def _fail(self, error: OtrcoreError) -> None:
        self._problem = str(error)
        self._report()
        if isinstance(error, sasl.AuthenticationRefused) or self._config.once:
            raise error
        _log.warning("%s", error, extra=facts(network=self._network.name))

    def _talk(self) -> None:
        """Let things happen until the connection is lost, or a `Stop` comes."""
        registered_at: float | None = None
        while self._stop is None and self._runner.lost is None:
            self._turn(REPORT_EVERY)
            if registered_at is None and self._runner.registered:
                registered_at = time.monotonic()
                self._problem = ""
                self._report()
        if registered_at is not None and time.monotonic() - registered_at >= STEADY_SECONDS:
            self._backoff.reset()
        if self._runner.lost is not None and self._stop is None:
            if words := self._runner.connection.parting_words:
                _log.warning("the server said: %s", words, extra=facts(network=self._network.name))
            self._fail(self._runner.lost)

    def _pause(self) -> None:
        if self._stop is not None:
            return
        pause = self._backoff.pause()
        _log.info("next attempt in %.0f s", pause, extra=facts(network=self._network.name))
        until = time.monotonic() + pause
        while self._stop is None and (left := until - time.monotonic()) > 0:
            self._turn(left)

    # ---- one turn, connected or not

    def _turn(self, seconds: float) -> None:
        moments = [seconds, self._reported_at + REPORT_EVERY - time.monotonic()]
        if self._peer.next_tick is not None:
            moments.append(self._peer.next_tick - time.monotonic())
        try:
            if self._faults:
                # The last fault may have kept others from hearing that their steps are done.
                self._lanes.settle()
            self._runner.process(max(0.0, min(moments)), [self._orders])
            for order in self._orders.take():
                self._obey(order)
            if self._peer.next_tick is not None and time.monotonic() >= self._peer.next_tick:
                self._peer.tick()
            self._faults = 0
        except StoreError:
            raise
        # A mistake over one conversation must not take down those with everybody else.
        except Exception as error:
            self._faults += 1
            self._metrics.handler_error()
            _log.error("a fault: %s", type(error).__name__, extra=facts(network=self._network.name))
            if self._faults >= MAX_FAULTS:
                raise
        self._count()
        if time.monotonic() >= self._reported_at + REPORT_EVERY:
            self._report()

    def _obey(self, order: Order) -> None:
        if isinstance(order, Stop):
            self._stop = order
        elif isinstance(order, Reload):
            self._config = order.config
        self._peer.obey(order)

    def _count(self) -> None:
        connection = self._runner.connection
        now = (connection.received, connection.sent, connection.throttled)
        received, sent, throttled = (new - old for new, old in zip(now, self._counted, strict=True))
        self._counted = now
        if received:
            self._metrics.line("in", received)
        if sent:
            self._metrics.line("out", sent)
        for _ in range(throttled):
            self._metrics.throttled()
        if connection.errors > self._errors:
            self._metrics.handler_error(connection.errors - self._errors)
            self._errors = connection.errors

    def _report(self) -> None:
        """Tell the main thread how things stand."""
        runner = self._runner
        self._reported_at = time.monotonic()
        self._reports.put(
            Standing(
                self._network.name,
                registered=runner.registered,
                pong_at=runner.connection.last_pong if runner.registered else None,
                nick=runner.nick if runner.registered else "",
                fingerprint=str(runner.fingerprint or ""),
                problem="" if runner.registered else self._problem,
                conversations=sum(talk.state is MessageState.ENCRYPTED for talk in runner.host.overview()),
                queue_lines=runner.waiting,
                reconnects=max(0, self._connections - 1),
            )
        )
