"""Asking other programs for their version, whatever they do instead of answering."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from .findings import why

LIMIT_SECONDS = 3.0
LIMIT_BYTES = 64 * 1024

_NOWHERE = os.path.join(os.devnull, "nowhere")
"""A folder that cannot be made: HexChat makes all of its folders even when it is asked for its version."""

_FOLDERS = ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR")
_KEPT = ("PATH", "LD_LIBRARY_PATH")
_VERSION = re.compile(rb"(?<![0-9.])[0-9]{1,6}(?:\.[0-9]{1,6}){1,4}[0-9A-Za-z.+~_-]{0,20}")


class NoVersion(Exception):
    """A program did not tell its version; the text is a few words that say why."""


def version(program: Path) -> str:
    """Return what a program calls its version, at most after LIMIT_SECONDS; NoVersion."""
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    environment |= {"LC_ALL": "C.UTF-8", **dict.fromkeys(_FOLDERS, _NOWHERE)}
    try:
        process = subprocess.Popen(
            [program, "--version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env=environment,
            start_new_session=True,  # so that all that it starts can be ended with it
        )
    except (OSError, ValueError) as error:
        raise NoVersion(f"it cannot be started: {why(error)}") from error
    try:
        said, in_time = _said(process)
    finally:
        _end(process)
    found = _VERSION.search(said)
    if found is not None:
        return found[0].decode()
    raise NoVersion("it does not say" if in_time else f"it did not answer within {LIMIT_SECONDS:.0f} s")


def _said(process: subprocess.Popen[bytes]) -> tuple[bytes, bool]:
    """Return what a program writes, and whether it came to an end, or to the limit, in time."""
    if process.stdout is None:
        return b"", True
    descriptor = process.stdout.fileno()
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    deadline = time.monotonic() + LIMIT_SECONDS
    said = b""
    while len(said) < LIMIT_BYTES:
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            return said, False
        data = os.read(descriptor, LIMIT_BYTES - len(said))
        if not data:
            break
        said += data
    return said, True


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a program and all that it has started, and forget it."""
    # Until we have waited for it, its number is nobody else's.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    if process.stdout is not None:
        process.stdout.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(1.0)
