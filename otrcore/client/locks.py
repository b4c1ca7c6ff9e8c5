"""A lock that a process holds for as long as it lives, and hands on to the process that it starts."""

from __future__ import annotations

import fcntl
import os
from typing import NamedTuple

_ATTEMPTS = 20


class Lock(NamedTuple):
    """A lock file that is open here; whoever inherits the descriptor holds the lock too."""

    descriptor: int
    certain: bool
    """False on a file system without locks: others may believe that they hold it."""

    def release(self) -> None:
        """Close it; the lock is free once all who have inherited it have ended."""
        os.close(self.descriptor)


def take(path: str) -> Lock | None:
    """Lock a file, made 0600 if it is missing, without waiting; None if it is held.  OSError."""
    for _ in range(_ATTEMPTS):
        # Not blocking and no link: a pipe or a link in place of the file must do no harm.
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        descriptor = os.open(path, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            certain = True
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError:
            certain = False
        if _is(path, descriptor):
            return Lock(descriptor, certain)
        os.close(descriptor)  # somebody has tidied up between opening and locking
    return None


def _is(path: str, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False
