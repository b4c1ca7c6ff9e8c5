"""The chat client's process: whether it is the one that was named, and whether it still lives."""

from __future__ import annotations

import os
import select
import socket
import struct
from contextlib import suppress
from pathlib import Path

_START_FIELD = 19
"""Of /proc/PID/stat, counted from behind the program's name (field 22 by proc(5))."""


class Watch:
    """A descriptor that becomes readable when the client has ended, where the system has such a thing."""

    def __init__(self, pid: int, start: str) -> None:
        """`start` is what `start_time` has to say of it; another process of the same number is not it."""
        self._pid = pid
        self._start = start
        self._descriptor = -1
        # Ended already, or no Linux: `alive` looks at the number then.
        with suppress(OSError, AttributeError, OverflowError):
            self._descriptor = os.pidfd_open(pid)
        if start_time(pid) != start:
            self.close()

    def fileno(self) -> int:
        """Return the descriptor; -1 where there is none."""
        return self._descriptor

    def alive(self) -> bool:
        """Whether the client still runs."""
        if self._descriptor >= 0:  # which stands for that process, whoever has its number later
            return not _readable(self._descriptor)
        return start_time(self._pid) == self._start

    def close(self) -> None:
        """Watch no more."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def start_time(pid: int) -> str | None:
    """Return when a process has begun, in whatever unit the system has; None if it has ended."""
    if Path("/proc/self/stat").exists():
        try:
            stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
        except OSError:
            return None
        fields = stat.rpartition(")")[2].split()
        # A zombie has ended, and nobody has looked yet.
        return None if fields[:1] in (["Z"], ["X"]) else fields[_START_FIELD]
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return None
    except PermissionError:
        pass
    return "unknown"


def is_from(connection: socket.socket, pid: int) -> bool:
    """Whether a connection comes from this user's process of this number, as far as the system tells."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True  # the folder is nobody else's
    size = struct.calcsize("3i")
    peer, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return bool(uid == os.geteuid() and peer == pid)


def _readable(descriptor: int) -> bool:
    poll = select.poll()  # `select` takes low descriptors only
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
