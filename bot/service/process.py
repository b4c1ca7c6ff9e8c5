"""The process: a thread for each network, and this one for signals, systemd and HTTP.

What happens on one network, a fault of ours too, is nothing to the others.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from enum import IntEnum
from types import FrameType
from typing import Protocol

from otrbot.reports import logs
from otrbot.reports.metrics import Metrics, NetworkMetrics
from otrbot.reports.orders import (
    Mailbox,
    Order,
    Reload,
    Report,
    Standing,
    Stats,
    Stop,
    Wish,
)
from otrbot.service.health import Health, HealthServer
from otrbot.service.notify import Notifier
from otrbot.settings.config import Config, ConfigError, NetworkConfig
from otrbot.settings.keys import KeyRing

from otrcore.errors import ConnectionFailed, OtrcoreError, StoreError, StoreUnavailable
from otrcore.irc.connection.sasl import AuthenticationRefused

_log = logging.getLogger(__name__)

GOODBYE_SECONDS = 10.0
"""In which every conversation is said goodbye to."""

LATE_SECONDS = 1.0
"""After them, for a thread to end; then it is left behind."""

TURN_SECONDS = 5.0
"""Between two looks at what nobody tells."""

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 300.0
"""Seconds before a thread that has died is started anew, doubling from one to the other."""

STEADY_SECONDS = 600.0
"""After which it counts as well again."""


class ExitCode(IntEnum):
    """How the process ends, by sysexits(3)."""

    STOPPED = 0
    USAGE = 64
    UNREACHABLE = 69
    INTERNAL = 70
    REFUSED = 77
    CONFIGURATION = 78


class Ended(Exception):
    """The body of a thread has come to its end, as it should after a `Stop` only."""


class Body(Protocol):
    """What the thread of a network does."""

    def run(self) -> None:
        """Talk until a `Stop`.

        AuthenticationRefused; ConnectionFailed if it is to be tried once; StoreError if the key is of no use.
        """


Maker = Callable[
    [Config, NetworkConfig, KeyRing, Mailbox[Order], Mailbox[Report], NetworkMetrics],
    Body,
]


class Signals:
    """Signals as something to wait for; the second of those that stop ends the process at once."""

    STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT)
    OTHERS = (signal.SIGHUP, signal.SIGUSR1)

    def __init__(self) -> None:
        self._reading, self._writing = socket.socketpair()
        self._reading.setblocking(False)
        self._writing.setblocking(False)
        # Written to by the interpreter at once: a handler runs only after a wait that the signal has not
        # interrupted, as one that it came just before.
        signal.set_wakeup_fd(self._writing.fileno(), warn_on_full_buffer=False)
        for number in self.STOPPING:
            signal.signal(number, self._stop)
        for number in self.OTHERS:
            signal.signal(number, lambda number, frame: None)

    def fileno(self) -> int:
        """Return the descriptor that becomes readable."""
        return self._reading.fileno()

    def take(self) -> set[int]:
        """Return the numbers of those that have come."""
        with suppress(BlockingIOError):
            return set(self._reading.recv(4096))
        return set()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        for again in self.STOPPING:
            signal.signal(again, signal.SIG_DFL)


class _Worker:
    """The thread of one network, and the next one if it dies."""

    def __init__(self, make: Callable[[Mailbox[Order]], Body], name: str, reports: Mailbox[Report]) -> None:
        self.name = name
        self._make = make
        self._reports = reports
        self._orders: Mailbox[Order] = Mailbox()
        self._thread: threading.Thread | None = None
        self._began = 0.0
        self._pause = FIRST_PAUSE
        self.again_at: float | None = None
        """When it is to be started anew."""
        self.outcome: BaseException | None = None
        """What has ended it."""

    def start(self) -> None:
        """Start it, or start it anew."""
        self.again_at, self.outcome = None, None
        self._began = time.monotonic()
        self._thread = threading.Thread(target=self._run, name=f"otrbot-{self.name}", daemon=True)
        self._thread.start()

    def order(self, order: Order) -> None:
        """Tell it something; it hears it once it runs."""
        self._orders.put(order)

    @property
    def running(self) -> bool:
        """Whether the thread lives."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def over(self) -> bool:
        """Whether it has ended, and will not be started anew by itself."""
        return not self.running and self.again_at is None

    def wait(self, until: float) -> None:
        """Wait for its end."""
        if self._thread is not None:
            self._thread.join(max(0.0, until - time.monotonic()))

    def start_later(self) -> float:
        """Have it started anew after a pause, which is returned."""
        now = time.monotonic()
        if now - self._began > STEADY_SECONDS:
            self._pause = FIRST_PAUSE
        pause = self._pause
        self.again_at = now + pause
        self._pause = min(LONGEST_PAUSE, 2 * pause)
        return pause

    def _run(self) -> None:
        try:
            self._make(self._orders).run()
        # Whatever it is, the main thread decides what follows from it.
        except BaseException as error:
            self.outcome = error
        else:
            self.outcome = Ended()
        self._reports.put(Standing(self.name, problem="its thread has ended"))


class Service:
    """The bot as a process; `load` reads the configuration anew, and there is none to read without it."""

    def __init__(self, config: Config, keys: KeyRing, make: Maker, load: Callable[[], Config] | None) -> None:
        self._config = config
        self._load = load
        self._signals = Signals()
        self._notifier = Notifier()
        self._metrics = Metrics()
        self._reports: Mailbox[Report] = Mailbox()
        self._health = Health(network.name for network in config.networks)
        self._ready = False
        self._stop_at: float | None = None
        self._code = ExitCode.STOPPED
        self._fed_at = 0.0
        self._workers = []
        self._numbers = {network.name: self._metrics.of(network.name) for network in config.networks}
        for network in config.networks:

            def body(orders: Mailbox[Order], network: NetworkConfig = network) -> Body:
                return make(self._config, network, keys, orders, self._reports, self._numbers[network.name])

            self._workers.append(_Worker(body, network.name, self._reports))

    def run(self) -> ExitCode:
        """Run until stopped; ConfigError if HTTP cannot be served."""
        with ExitStack() as closing:
            if self._config.http.port:
                server = HealthServer(self._config.http, self._health, self._metrics)
                closing.callback(server.close)
                _log.info("health and metrics on port %d", server.port)
                if self._metrics.registry is None:
                    _log.warning("no metrics without prometheus-client: install otrcore[bot]")
            for worker in self._workers:
                worker.start()
            while not self._done():
                self._turn()
        return self._code

    def stop(self, code: ExitCode = ExitCode.STOPPED) -> None:
        """Say goodbye to everybody."""
        if self._stop_at is not None:
            return
        self._code = code
        self._stop_at = time.monotonic() + GOODBYE_SECONDS
        self._notifier.tell("STOPPING=1", "STATUS=Saying goodbye.")
        for worker in self._workers:
            worker.again_at = None
            worker.order(Stop(self._stop_at))

    def _done(self) -> bool:
        """Tell whether there is nothing left to wait for."""
        if self._stop_at is None:
            return False
        running = [worker for worker in self._workers if worker.running]
        now = time.monotonic()
        if running and now >= self._stop_at + LATE_SECONDS:
            _log.error("a network's thread did not end in time, and is left behind")
            return True
        # Where there is no connection, there is nobody to say goodbye to: a thread may be waiting for one.
        soon = now >= self._stop_at - GOODBYE_SECONDS + LATE_SECONDS
        talking = {standing.network for standing in self._health.standings if standing.registered}
        return all(soon and worker.name not in talking for worker in running)

    def _turn(self) -> None:
        now = time.monotonic()
        moments = [now + TURN_SECONDS, *(worker.again_at for worker in self._workers if worker.again_at)]
        if self._notifier.watchdog_seconds:
            moments.append(self._fed_at + self._notifier.watchdog_seconds / 3)
        if self._stop_at is not None:
            moments.append(self._stop_at + LATE_SECONDS)
        # A thread that has just told of its end may live for a moment more.
        moments.append(now + (0.05 if self._stop_at is not None else TURN_SECONDS))
        with suppress(InterruptedError):
            waited: list[Signals | Mailbox[Report]] = [self._signals, self._reports]
            select.select(waited, [], [], max(0.0, min(moments) - now))
        self._heed(self._signals.take())
        for report in self._reports.take():
            if isinstance(report, Standing):
                self._note(report)
            else:
                self._grant(report)
        for worker in self._workers:
            self._look_after(worker)
        self._feed()

    def _heed(self, numbers: set[int]) -> None:
        if numbers & set(Signals.STOPPING) or (signal.SIGHUP in numbers and self._load is None):
            self.stop()
        elif signal.SIGHUP in numbers:
            self._reload()
        if signal.SIGUSR1 in numbers:
            for line in self._health.lines:
                _log.info("%s", line)
            for worker in self._workers:
                worker.order(Stats())

    def _grant(self, wish: Wish) -> None:
        _log.info("an admin asks for %s", "the end" if wish.what == "quit" else "the configuration anew")
        if wish.what == "quit":
            self.stop()
        elif self._load is not None:
            self._reload()

    def _reload(self) -> None:
        """Take limits, bans and admins from the file; one that cannot be used changes nothing."""
        if self._load is None or self._stop_at is not None:
            return
        if self._ready:
            self._notifier.tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            found = self._load()
        except ConfigError as error:
            for mistake in error.mistakes:
                _log.error("%s", mistake)
            _log.error("limits, bans and admins are left as they were")
        else:
            changed = replace(self._config, limits=found.limits, bans=found.bans, admins=found.admins)
            if changed != found:
                _log.warning("limits, bans and admins are read anew; the rest waits for the next start")
            else:
                _log.info("limits, bans and admins are read anew")
            self._config = changed
            for worker in self._workers:
                worker.order(Reload(changed))
        if self._ready:
            self._notifier.tell("READY=1", self._status())

    def _note(self, standing: Standing) -> None:
        self._health.note(standing)
        numbers = self._numbers[standing.network]
        numbers.sessions(standing.conversations)
        numbers.queue_lines(standing.queue_lines)
        if self._stop_at is not None:
            return
        if standing.registered and not self._ready:
            self._ready = True
            self._notifier.tell("READY=1", self._status())
        else:
            self._notifier.tell(self._status())

    def _status(self) -> str:
        standings = self._health.standings
        registered = sum(standing.registered for standing in standings)
        talks = sum(standing.conversations for standing in standings)
        return f"STATUS={registered} of {len(standings)} networks registered, {talks} conversations"

    def _look_after(self, worker: _Worker) -> None:
        """Start a thread anew that has died, unless that is of no use."""
        if worker.again_at is not None and time.monotonic() >= worker.again_at:
            worker.start()
        error = worker.outcome
        if error is None or worker.running:
            return
        worker.outcome = None
        if self._stop_at is not None:
            if not isinstance(error, Ended):
                _log.error("%s: ended by %s", worker.name, logs.failure(error))
        elif isinstance(error, AuthenticationRefused):
            _log.error("%s: %s", worker.name, error)
            if all(other.over for other in self._workers):
                self.stop(ExitCode.REFUSED)
        elif isinstance(error, ConnectionFailed):
            _log.error("%s: %s", worker.name, error)
            self.stop(ExitCode.UNREACHABLE)
        elif isinstance(error, StoreError | ConfigError) and not isinstance(error, StoreUnavailable):
            _log.error("%s: %s", worker.name, error)
            self.stop(ExitCode.CONFIGURATION)
        else:
            self._numbers[worker.name].restarted()
            pause = worker.start_later()
            what = str(error) if isinstance(error, OtrcoreError) else logs.failure(error)
            _log.error("%s: its thread was ended by %s: started anew in %g s", worker.name, what, pause)

    def _feed(self) -> None:
        """Tell systemd that we are alive, as long as the servers say so."""
        interval = self._notifier.watchdog_seconds
        if interval and time.monotonic() >= self._fed_at + interval / 3:
            self._fed_at = time.monotonic()
            if self._health.alive:
                self._notifier.tell("WATCHDOG=1")


def leave(code: int) -> None:
    """End the process, whatever a thread that was left behind is doing."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
