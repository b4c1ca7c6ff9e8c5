"""Waiting for what other programs do: polling with a deadline, never a fixed pause."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

POLL_SECONDS = 0.02


def wait_for(look: Callable[[], T], what: Callable[[], str] | str, seconds: float = 20.0) -> T:
    """Call `look` until it returns something true, and return that.

    Raises TimeoutError with `what`, which may be a function, so that it can tell how
    things stood in the end.
    """
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds} s for {what if isinstance(what, str) else what()}")
        time.sleep(POLL_SECONDS)


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
