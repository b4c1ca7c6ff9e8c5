"""Counts for Prometheus; without its library, which is optional, everything here does nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

Direction = Literal["in", "out"]

RESULTS = ("ok", "failed", "aborted", "refused")
"""How a key exchange or a verification can end; whatever else is told counts as the second."""

VERSIONS = (2, 3, 4)

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Upper ends of the histogram's steps: a data message to a verification on a slow machine."""


class Metrics:
    """All counts of the process."""

    def __init__(self) -> None:
        """Do without the library where it is not installed."""
        self.registry: CollectorRegistry | None = None
        try:
            from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
        except ImportError:
            return
        registry = self.registry = CollectorRegistry()
        by = ("network",)
        self.sessions = Gauge("otrbot_sessions", "Conversations that are encrypted.", by, registry=registry)
        self.akes = Counter(
            "otrbot_ake", "Key exchanges that have ended.", (*by, "version", "result"), registry=registry
        )
        self.smps = Counter(
            "otrbot_smp", "Verifications that have ended.", (*by, "result"), registry=registry
        )
        self.lines = Counter("otrbot_lines", "Messages on the wire.", (*by, "dir"), registry=registry)
        self.throttled = Counter(
            "otrbot_throttled",
            "Times that a server or a limit of ours held something back.",
            by,
            registry=registry,
        )
        self.reconnects = Counter("otrbot_reconnects", "Connections after the first.", by, registry=registry)
        self.queue = Gauge("otrbot_queue_lines", "Lines that wait for their turn.", by, registry=registry)
        self.errors = Counter(
            "otrbot_handler_errors", "Exceptions that were caught over a line.", by, registry=registry
        )
        self.restarts = Counter(
            "otrbot_thread_restarts",
            "Threads of a network that an exception has ended.",
            by,
            registry=registry,
        )
        self.crypto = Histogram(
            "otrbot_crypto_seconds",
            "Time that a step of a conversation took.",
            by,
            registry=registry,
            buckets=SECONDS,
        )

    @property
    def text(self) -> bytes | None:
        """Return everything in Prometheus' text format; None without the library."""
        if self.registry is None:
            return None
        from prometheus_client import generate_latest

        return generate_latest(self.registry)

    def of(self, network: str) -> NetworkMetrics:
        """Return the counts of one network."""
        return NetworkMetrics(self, network)


class NetworkMetrics:
    """The counts of one network, by its name in the configuration; may be called by any thread."""

    def __init__(self, all_of_them: Metrics, network: str) -> None:
        self._all = all_of_them
        self._network = network
        self._on = all_of_them.registry is not None
        if self._on:
            # What has not happened yet is 0, and not missing.
            for counter in (
                all_of_them.throttled,
                all_of_them.reconnects,
                all_of_them.errors,
                all_of_them.restarts,
            ):
                counter.labels(network)
            for direction in ("in", "out"):
                all_of_them.lines.labels(network, direction)

    def sessions(self, number: int) -> None:
        """Tell how many conversations are encrypted."""
        if self._on:
            self._all.sessions.labels(self._network).set(number)

    def queue_lines(self, number: int) -> None:
        """Tell how many lines wait."""
        if self._on:
            self._all.queue.labels(self._network).set(number)

    def ake(self, version: int, result: str) -> None:
        """Count a key exchange that has ended in one of `RESULTS`."""
        if self._on:
            known = str(version) if version in VERSIONS else "other"
            self._all.akes.labels(self._network, known, _known(result)).inc()

    def smp(self, result: str) -> None:
        """Count a verification that has ended in one of `RESULTS`."""
        if self._on:
            self._all.smps.labels(self._network, _known(result)).inc()

    def line(self, direction: Direction, number: int = 1) -> None:
        """Count messages on the wire."""
        if self._on:
            self._all.lines.labels(self._network, direction).inc(number)

    def throttled(self) -> None:
        """Count something that was held back."""
        if self._on:
            self._all.throttled.labels(self._network).inc()

    def reconnected(self) -> None:
        """Count a connection after the first."""
        if self._on:
            self._all.reconnects.labels(self._network).inc()

    def handler_error(self, number: int = 1) -> None:
        """Count exceptions that were caught."""
        if self._on:
            self._all.errors.labels(self._network).inc(number)

    def restarted(self) -> None:
        """Count a thread that has died."""
        if self._on:
            self._all.restarts.labels(self._network).inc()

    def crypto(self, seconds: float) -> None:
        """Note how long a step took."""
        if self._on:
            self._all.crypto.labels(self._network).observe(seconds)


def _known(result: str) -> str:
    return result if result in RESULTS else RESULTS[1]
