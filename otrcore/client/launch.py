"""Starting the engine once: beside the chat client and not below it, with a lock for as long as it lives."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import deque
from contextlib import suppress
from typing import Callable, Mapping, Sequence

from . import locks
from .errors import LaunchError
from .place import Place

MOST_STARTS = 3
WITHIN = 60.0
"""Seconds within which an engine may be started that often; one that stops again and again helps nobody."""

GRACE = 3.0
"""Seconds after a start in which no other is tried where locks do not work."""

_PATIENCE = 1.0
_PAUSE = 0.01

# A chat client may run this in a sub-interpreter, where os.fork ends the child; so a small process is started
# that forks, and whose end the client waits for: the engine is nobody's child then, and leaves no zombie.
_DETACH = """
import os, sys
if os.fork() == 0:
    os.write(int(sys.argv[1]), str(os.getpid()).encode())
    os.umask(0o077)
    os.execv(sys.argv[2], sys.argv[2:])
os._exit(0)
"""

_KEPT = {"HOME", "LANG", "LANGUAGE", "LOGNAME", "PATH", "TMPDIR", "TZ", "USER"}
_KEPT_PREFIXES = ("LC_", "XDG_")


class Launcher:
    """Starts the engine of one place, and ends it."""

    def __init__(
        self,
        command: Sequence[str],
        options: Sequence[str] = (),
        environ: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`command` is the Python of the engine's environment, and what it is to run; `options` come last."""
        self._command = tuple(command)
        self._options = tuple(options)
        self._environ = environ
        self._clock = clock
        self._started: deque[float] = deque(maxlen=MOST_STARTS)
        self._detaching: subprocess.Popen[bytes] | None = None

    @property
    def detaching(self) -> bool:
        """Whether the process that starts the engine has still to be reaped."""
        return self._detaching is not None

    def start(self, place: Place) -> bool:
        """Start an engine unless one is there, or on its way; tell whether it was done.

        Returns at once.  LaunchError, PlaceError.
        """
        self.reap()
        lock = self._take(place)
        if lock is None:
            return False
        try:
            now = self._clock()
            if not lock.certain and self._started and now - self._started[-1] < GRACE:
                return False
            if len(self._started) == MOST_STARTS and now - self._started[0] < WITHIN:
                raise LaunchError(_AGAIN_AND_AGAIN)
            self._started.append(now)
            os.ftruncate(lock.descriptor, 0)  # the number in it is that of an engine that is gone
            place.sweep()
            self._detach(place, place.clear(), lock.descriptor)
        finally:
            lock.release()
        return True

    def stop(self, place: Place) -> None:
        """End the engine, by force if it does not end by itself; takes some seconds at most.  LaunchError."""
        for force in (None, signal.SIGTERM, signal.SIGKILL):
            if force is not None:
                _signal(place, force)
            deadline = self._clock() + _PATIENCE
            while self._clock() < deadline:
                lock = self._take(place)
                if lock is not None:
                    lock.release()
                    return
                time.sleep(_PAUSE)
        raise LaunchError(_IMMORTAL)

    def forget_starts(self) -> None:
        """Let the engine be started as if for the first time."""
        self._started.clear()

    def reap(self, patience: float = 0.0) -> None:
        """Take note of the end of the process that started the engine, waiting some seconds at most."""
        if self._detaching is not None:
            with suppress(subprocess.TimeoutExpired):
                self._detaching.wait(patience)
                self._detaching = None

    def _take(self, place: Place) -> locks.Lock | None:
        try:
            return locks.take(place.lock)
        except OSError as error:
            why = (error.strerror or type(error).__name__).lower()
            raise LaunchError(f"OTR's engine cannot start, as {place.lock} cannot be used: {why}.") from error

    def _detach(self, place: Place, socket: str, lock: int) -> None:
        process = place.process
        engine = [
            *self._command,
            *("--socket", socket),
            *("--client-pid", str(process.pid)),
            *("--client-start", process.start),
            *("--data-dir", place.data),
            *self._options,
        ]
        try:
            self._detaching = subprocess.Popen(
                [self._command[0], "-I", "-S", "-c", _DETACH, str(lock), *engine],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                close_fds=True,
                pass_fds=[lock],
                start_new_session=True,
                cwd="/",
                env=clean(self._environ),
            )
        except (OSError, ValueError) as error:
            raise LaunchError(_NO_PYTHON.format(self._command[0])) from error


def clean(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what the engine needs of the environment; the rest could change how it runs."""
    return {
        name: value for name, value in environ.items() if name in _KEPT or name.startswith(_KEPT_PREFIXES)
    }


def _signal(place: Place, number: signal.Signals) -> None:
    # While the lock is held, the number in its file is that of the process which holds it.
    with suppress(OSError, ValueError, OverflowError):
        with open(place.lock, "rb") as file:
            pid = int(file.read(20))
        if pid > 1 and pid != os.getpid():
            os.kill(pid, number)


_AGAIN_AND_AGAIN = (
    "OTR's engine stops again and again. `otr doctor` in a terminal finds out why; "
    "/otr restart tries once more."
)
_IMMORTAL = "OTR's engine does not end. `otr doctor` in a terminal finds out why."
_NO_PYTHON = (
    "OTR's engine cannot be started: {} is not there, or does not run. "
    "If otrcore was installed anew, run `otr install` again in a terminal, and load the script again."
)
