"""How the networks stand, for systemd's watchdog and over HTTP: /healthz and /metrics."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET, AF_INET6
from typing import TYPE_CHECKING, Any

from otrbot.reports.metrics import Metrics
from otrbot.reports.orders import Standing
from otrbot.settings.config import ConfigError, HttpConfig

if TYPE_CHECKING:
    from socket import socket

PONG_SECONDS = 150.0
"""After which a server that answers no PING counts as gone, and a thread that tells nothing as stuck."""

MAX_HEAD = 8192
"""Bytes of a request, which has nothing but a head."""

HEAD_SECONDS = 5.0
"""In which it has to be there."""

MAX_REQUESTS = 8
"""At once; others are hung up on."""


class Health:
    """What each network has last told; read by any thread."""

    def __init__(self, networks: Iterable[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told = {name: (Standing(name), clock()) for name in networks}

    def note(self, standing: Standing) -> None:
        """Take what a network's thread tells."""
        self._told[standing.network] = standing, self._clock()

    @property
    def standings(self) -> tuple[Standing, ...]:
        """How the networks stand."""
        return tuple(standing for standing, _ in self._told.values())

    @property
    def alive(self) -> bool:
        """Whether no network is stuck: what is registered gets answers, and every thread still tells."""
        return all(
            self._pong_is_recent(standing) if standing.registered else self._clock() <= at + PONG_SECONDS
            for standing, at in self._told.values()
        )

    @property
    def well(self) -> bool:
        """Whether people can talk to the bot on every network."""
        return all(one.registered and self._pong_is_recent(one) for one in self.standings)

    @property
    def lines(self) -> list[str]:
        """Return a line for each network, of our own words only."""
        return [f"{standing.network}: {self._line(standing)}" for standing in self.standings]

    def _line(self, standing: Standing) -> str:
        if not standing.registered:
            return "not registered"
        if standing.pong_at is None:
            return "registered, no PONG yet"
        return f"registered, PONG {max(0.0, self._clock() - standing.pong_at):.0f} s ago"

    def _pong_is_recent(self, standing: Standing) -> bool:
        return standing.pong_at is not None and self._clock() <= standing.pong_at + PONG_SECONDS


class HealthServer:
    """Answers GET /healthz and GET /metrics in threads of its own until it is closed."""

    def __init__(self, config: HttpConfig, health: Health, metrics: Metrics) -> None:
        """Begin to listen; ConfigError if that cannot be."""
        handler = type("_BoundHandler", (_Handler,), {"health": health, "metrics": metrics})
        server = type("_Server", (_Server,), {"address_family": AF_INET6 if ":" in config.host else AF_INET})
        try:
            self._server = server((config.host, config.port), handler)
        except (OSError, OverflowError) as error:
            why = (getattr(error, "strerror", None) or type(error).__name__).lower()
            raise ConfigError(
                f"[http] listen: {config.host}:{config.port} cannot be had: {why}: choose another."
            ) from error
        self._thread = threading.Thread(target=self._server.serve_forever, name="otrbot-http", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, *arguments: Any) -> None:
        self._room = threading.BoundedSemaphore(MAX_REQUESTS)
        super().__init__(*arguments)

    def server_bind(self) -> None:
        """Bind without looking our own name up, which may take its time."""
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "otr-bot", int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """Have a thread answer, if there is room for another."""
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has hung up is nothing to tell of."""


class _Handler(BaseHTTPRequestHandler):
    health: Health
    metrics: Metrics
    server_version = "otr-bot"
    sys_version = ""

    def setup(self) -> None:
        """Take the head of the request, of bounded size and in bounded time, before anything reads it."""
        super().setup()
        self.rfile = io.BufferedReader(io.BytesIO(_head(self.connection)))

    def do_GET(self) -> None:
        """Answer."""
        match self.path.partition("?")[0]:
            case "/healthz":
                well = self.health.well
                self._answer(200 if well else 503, "ok\n" if well else "\n".join(self.health.lines) + "\n")
            case "/metrics":
                text = self.metrics.text
                if text is None:
                    self._answer(
                        404, "There are no metrics without prometheus-client: install otrcore[bot].\n"
                    )
                else:
                    self._answer(200, text.decode(), "text/plain; version=0.0.4; charset=utf-8")
            case _:
                self._answer(404, "There are /healthz and /metrics.\n")

    do_HEAD = do_GET

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse without a word of the request."""
        self._answer(code, "This is no request that is answered here.\n")

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody wants to read of each look at the health."""

    def _answer(self, code: int, text: str, kind: str = "text/plain; charset=utf-8") -> None:
        content = text.encode()
        self.close_connection = True
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _head(connection: socket) -> bytes:
    """Return what comes until an empty line; nothing if that takes too long or is too much."""
    deadline = time.monotonic() + HEAD_SECONDS
    head = b""
    while b"\r\n\r\n" not in head and b"\n\n" not in head:
        left = deadline - time.monotonic()
        if left <= 0 or len(head) > MAX_HEAD:
            return b""
        connection.settimeout(left)
        try:
            data = connection.recv(MAX_HEAD)
        except OSError:
            return b""
        if not data:
            return b""
        head += data
    connection.settimeout(HEAD_SECONDS)
    return head
