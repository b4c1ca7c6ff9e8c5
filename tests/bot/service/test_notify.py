"""What reaches the socket that systemd listens on."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from otrbot.service import notify as module
from otrbot.service.notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def listening(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A socket, and its address as systemd writes it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        address = str(tmp_path / "s") if request.param == "path" else f"\0otrbot-test-{os.getpid()}"
        sock.bind(address)
        sock.settimeout(10)
        yield sock, address.replace("\0", "@")


def test_facts_come_in_one_datagram(listening: tuple[socket.socket, str]) -> None:
    sock, address = listening
    notifier = Notifier({"NOTIFY_SOCKET": address})
    notifier.tell("READY=1", "STATUS=Grüße")
    assert sock.recv(1000).decode() == "READY=1\nSTATUS=Grüße"
    assert notifier.watchdog_seconds is None


def test_nobody_listens(tmp_path: Path) -> None:
    Notifier({}).tell("READY=1")
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "missing")}).tell("READY=1")
    Notifier({"NOTIFY_SOCKET": str(tmp_path / ("x" * 200))}).tell("READY=1")
    Notifier({"NOTIFY_SOCKET": "a\0b"}).tell("READY=1")
    # Who listens makes the socket, and nobody else.
    assert list(tmp_path.iterdir()) == []


def test_a_systemd_that_does_not_read_is_not_waited_for_long(
    listening: tuple[socket.socket, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.001)
    sock, address = listening
    notifier = Notifier({"NOTIFY_SOCKET": address})
    for number in range(2000):
        notifier.tell(f"STATUS={number:01000}")
    # Those that found no room are lost, and the rest is whole.
    sock.setblocking(False)
    heard = []
    with suppress(BlockingIOError):
        while True:
            heard.append(sock.recv(2000).decode())
    assert 0 < len(heard) < 2000
    assert heard == [f"STATUS={number:01000}" for number in range(len(heard))]


@pytest.mark.parametrize(
    ("changes", "seconds"),
    [
        ({"WATCHDOG_USEC": "180000000"}, 180.0),
        ({"WATCHDOG_USEC": "180000000", "WATCHDOG_PID": str(os.getpid())}, 180.0),
        ({"WATCHDOG_USEC": "180000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "9" * 100}, None),
        ({"WATCHDOG_USEC": "180000000", "NOTIFY_SOCKET": ""}, None),
    ],
)
def test_the_watchdog_is_for_us(changes: dict[str, str], seconds: float | None) -> None:
    assert Notifier({"NOTIFY_SOCKET": "/run/x"} | changes).watchdog_seconds == seconds
