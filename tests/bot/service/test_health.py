"""/healthz and /metrics, asked as a supervisor asks, and as somebody who means no good."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection

import pytest
from otrbot.reports.metrics import Metrics
from otrbot.reports.orders import Standing
from otrbot.service import health as module
from otrbot.service.health import MAX_REQUESTS, PONG_SECONDS, Health, HealthServer
from otrbot.settings.config import ConfigError, HttpConfig

from tests.clients.drivers.waiting import free_port, wait_for
from tests.irc.connection.hostile_server import Clock


class Bot:
    """How two networks stand, served over HTTP."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.health = Health(["one", "two"], self.clock)
        self.metrics = Metrics()
        self.server = HealthServer(HttpConfig(port=free_port()), self.health, self.metrics)

    def stand(self, network: str, registered: bool = True, pong: float | None = 0.0) -> None:
        """Have a network stand somehow, with a PONG so many seconds ago."""
        at = None if pong is None else self.clock() - pong
        self.health.note(Standing(network, registered, at, nick="Xylophone", problem="unmentionable"))

    def get(self, path: str, method: str = "GET") -> tuple[int, str]:
        """Return the code and the body of an answer."""
        connection = HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def open(self) -> socket.socket:
        """Connect, and say nothing yet."""
        return socket.create_connection(("127.0.0.1", self.server.port), timeout=20)


@pytest.fixture
def bot() -> Iterator[Bot]:
    made = Bot()
    yield made
    made.server.close()


def test_well_is_registered_and_answered_everywhere(bot: Bot) -> None:
    assert bot.get("/healthz") == (503, "one: not registered\ntwo: not registered\n")
    bot.stand("one")
    assert bot.get("/healthz") == (503, "one: registered, PONG 0 s ago\ntwo: not registered\n")
    bot.stand("two")
    assert bot.get("/healthz") == (200, "ok\n")
    assert bot.get("/healthz?x") == (200, "ok\n")
    bot.stand("two", pong=PONG_SECONDS + 1)
    assert bot.get("/healthz") == (503, "one: registered, PONG 0 s ago\ntwo: registered, PONG 151 s ago\n")
    bot.stand("two", pong=None)
    assert "two: registered, no PONG yet" in bot.get("/healthz")[1]


def test_health_gets_old(bot: Bot) -> None:
    """A thread that hangs tells nothing any more."""
    bot.stand("one")
    bot.stand("two")
    bot.clock.now += PONG_SECONDS + 1
    assert bot.get("/healthz")[0] == 503


def test_alive_is_less_than_well(bot: Bot) -> None:
    """A server that is down is no reason to start the bot anew; one that is silent, or a stuck thread, is."""
    assert bot.health.alive
    bot.stand("one")
    bot.stand("two", registered=False)
    assert bot.health.alive
    bot.clock.now += PONG_SECONDS + 1
    assert not bot.health.alive
    bot.stand("one")
    assert not bot.health.alive
    bot.stand("two", registered=False)
    assert bot.health.alive
    bot.stand("one", pong=None)
    assert not bot.health.alive


def test_metrics(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    bot.metrics.of("one").ake(3, "ok")
    code, text = bot.get("/metrics")
    assert code == 200
    assert 'otrbot_ake_total{network="one",result="ok",version="3"} 1.0' in text
    monkeypatch.setattr(bot.metrics, "registry", None)
    code, text = bot.get("/metrics")
    assert (code, "otrcore[bot]" in text) == (404, True)


def test_nothing_else_is_there(bot: Bot) -> None:
    for path in ("/", "/healthz/", "/../etc/passwd", "/unmentionable"):
        code, text = bot.get(path)
        assert code == 404
        assert "unmentionable" not in text
    assert bot.get("/healthz", "HEAD") == (503, "")
    for method in ("POST", "PUT", "DELETE", "UNMENTIONABLE"):
        code, text = bot.get("/healthz", method)
        assert code == 501
        assert "UNMENTIONABLE" not in text


def answer(sock: socket.socket) -> bytes:
    """Return what comes until the end."""
    whole = b""
    with suppress(ConnectionResetError):
        while data := sock.recv(65536):
            whole += data
    return whole


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n" + b"a: b\r\n" * 5000 + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
        b"\r\n\r\n",
        b"GET /healthz HTTP/9.9\r\n\r\n",
        b"GET\r\n\r\n",
        b"\xff" * 1000 + b"\n\n",
    ],
)
def test_odd_requests_do_not_end_it(bot: Bot, sent: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    with bot.open() as sock:
        with suppress(BrokenPipeError, ConnectionResetError):
            sock.sendall(sent)
        assert b" 200 " not in answer(sock)
    assert bot.get("/healthz")[0] == 503
    assert capfd.readouterr() == ("", "")


def test_who_dawdles_is_hung_up_on(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then does not buy more time."""
    monkeypatch.setattr(module, "HEAD_SECONDS", 0.5)
    with bot.open() as sock:
        sock.settimeout(0.05)
        began = time.monotonic()

        def closed() -> bool:
            try:
                sock.sendall(b"x")
                return sock.recv(1) == b""
            except TimeoutError:
                return False
            except OSError:
                return True

        wait_for(closed, "the end of the connection")
        assert time.monotonic() - began > 0.4


def test_no_more_at_once_than_there_is_room_for(bot: Bot) -> None:
    waiting = [bot.open() for _ in range(MAX_REQUESTS)]
    try:

        def refused() -> bool:
            with bot.open() as sock:
                sock.settimeout(0.5)
                try:
                    return sock.recv(1) == b""
                except TimeoutError:
                    return False
                except OSError:
                    return True

        wait_for(refused, "a refusal")
        for sock in waiting:
            sock.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            assert b" 503 " in answer(sock)
    finally:
        for sock in waiting:
            sock.close()
    wait_for(lambda: bot.get("/healthz")[0] == 503, "room again")


def test_a_port_that_is_taken_is_one_sentence(bot: Bot) -> None:
    with pytest.raises(ConfigError, match=f"127.0.0.1:{bot.server.port} cannot be had"):
        HealthServer(HttpConfig(port=bot.server.port), bot.health, bot.metrics)


def test_it_listens_on_ipv6_too() -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6")
    server = HealthServer(HttpConfig("::1", free_port()), Health(["one"]), Metrics())
    with socket.create_connection(("::1", server.port), timeout=20) as sock:
        sock.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert b" 503 " in answer(sock)
    server.close()


def test_the_library_of_metrics_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    assert Metrics().text is None
