"""Where a chat client and its engine meet: a socket in a private folder, named after the client's process."""

from __future__ import annotations

import os
import re
import shlex
import stat
import sys
import tempfile
from contextlib import suppress
from typing import Mapping, NamedTuple

from . import locks
from .errors import PlaceError

MAX_SOCKET_PATH = 100
"""Bytes; the systems' own limits lie between 104 and 108."""

UNKNOWN_START = "unknown"
"""The start time of a process where the system has no /proc to tell it."""

_START_FIELD = 19
"""Of /proc/PID/stat, counted from behind the program's name (field 22 by proc(5))."""

_NAME = re.compile(r"[0-9]+-[0-9a-z]+(-[0-9]+)?")
_APART = "otrcore-"
_APART_SOCKET = "engine.sock"
_MOST_SWEPT = 200


class Process(NamedTuple):
    """A process, so that another one that gets its number later is not taken for it."""

    pid: int
    start: str
    """In the system's own unit, to be compared only."""
    namespace: str
    """Within which the number is meant; empty where there is no such thing."""

    @property
    def name(self) -> str:
        """What its files are called."""
        return "-".join(part for part in (str(self.pid), self.start, self.namespace) if part)


def this_process() -> Process:
    """Return the process that runs this."""
    # `self` is right even where /proc is that of another namespace.
    return Process(os.getpid(), start_time("self"), _namespace())


def start_time(pid: int | str) -> str:
    """Return when a process began; UNKNOWN_START if that cannot be found out."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            behind_name = file.read().rpartition(b")")[2]
        return str(int(behind_name.split()[_START_FIELD]))
    except (OSError, ValueError, IndexError):
        return UNKNOWN_START


def data_folder(environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> str:
    """Return where this system keeps a user's data; the same rule as the engine's own.  PlaceError."""
    chosen = environ.get("XDG_DATA_HOME", "")
    if os.path.isabs(chosen):
        return os.path.join(chosen, "otrcore")
    home = environ.get("HOME", "")
    if not os.path.isabs(home):
        home = _home_by_system()
    usual = ("Library", "Application Support") if platform == "darwin" else (".local", "share")
    return os.path.join(home, *usual, "otrcore")


class Place:
    """The files of one chat client's engine, in `run` of the data folder."""

    def __init__(self, data: str | None = None, process: Process | None = None) -> None:
        """Make the folders if they are missing; PlaceError if others could get at them."""
        self.data = data_folder() if data is None else data
        self.process = process or this_process()
        self.run = os.path.join(self.data, "run")
        _make(self.data)
        _require_private(self.data, follow=True)  # a user may have linked it elsewhere
        _make(self.run)
        _require_private(self.run, follow=False)
        self.lock = self._path("lock")

    def socket(self) -> str | None:
        """Return the socket's path; None if there is none before `clear` is called."""
        usual = self._path("sock")
        if len(os.fsencode(usual)) <= MAX_SOCKET_PATH:
            return usual
        apart = _read_note(self._path("place"))
        return os.path.join(apart, _APART_SOCKET) if apart else None

    def clear(self) -> str:
        """Remove a socket that nobody listens at, and return the path for another; PlaceError.

        To be called by who holds the lock: then no engine is there.
        """
        try:
            _remove(self.run, self.process.name)
            path = self.socket()
            if path is None:
                apart = tempfile.mkdtemp(prefix=_APART, dir=_short_folder())
                _write_note(self._path("place"), apart)
                path = os.path.join(apart, _APART_SOCKET)
        except OSError as error:
            raise PlaceError(_cannot(self.run, error)) from error
        return path

    def sweep(self) -> None:
        """Remove what engines of other clients have left behind that are gone."""
        with suppress(OSError):
            names = [name[: -len(".lock")] for name in os.listdir(self.run) if name.endswith(".lock")]
            others = [name for name in names if _NAME.fullmatch(name) and name != self.process.name]
            for name in others[:_MOST_SWEPT]:
                path = os.path.join(self.run, name + ".lock")
                lock = locks.take(path)
                if lock is None:
                    continue
                try:
                    if lock.certain:
                        _remove(self.run, name)
                        os.unlink(path)
                finally:
                    lock.release()

    def _path(self, kind: str) -> str:
        return os.path.join(self.run, f"{self.process.name}.{kind}")


def _home_by_system() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        raise PlaceError("There is no home folder for OTR to keep its data in: set HOME.") from None


def _namespace() -> str:
    try:
        return str(os.stat("/proc/self/ns/pid").st_ino)
    except OSError:
        return ""


def _make(folder: str) -> None:
    """Make a folder and those above it that are missing, all 0700: who may write there could swap ours."""
    missing = []
    while not os.path.lexists(folder) and os.path.dirname(folder) != folder:
        missing.append(folder)
        folder = os.path.dirname(folder)
    for path in reversed(missing):
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            continue
        except OSError as error:
            raise PlaceError(_cannot(path, error)) from error


def _require_private(folder: str, *, follow: bool) -> None:
    try:
        status = os.stat(folder, follow_symlinks=follow)
    except OSError as error:
        raise PlaceError(_cannot(folder, error)) from error
    if not stat.S_ISDIR(status.st_mode):
        raise PlaceError(f"OTR cannot start, as {folder} is not a folder: move it away.")
    if status.st_uid != os.geteuid():
        raise PlaceError(f"OTR cannot start, as {folder} belongs to another user: move it away.")
    if stat.S_IMODE(status.st_mode) & 0o077:
        mend = f"chmod go= {shlex.quote(folder)}"
        raise PlaceError(f"OTR cannot start, as {folder} can be used by others: run  {mend}  first.")


def _short_folder() -> str:
    """Return a folder for temporary files in which the path of a socket is short enough."""
    usual = tempfile.gettempdir()
    longest = os.path.join(usual, _APART + "x" * 8, _APART_SOCKET)
    return usual if len(os.fsencode(longest)) <= MAX_SOCKET_PATH else "/tmp"


def _write_note(path: str, apart: str) -> None:
    descriptor, passing = tempfile.mkstemp(prefix=".", dir=os.path.dirname(path))  # made 0600
    with os.fdopen(descriptor, "wb") as file:
        file.write(os.fsencode(apart))
    os.replace(passing, path)


def _read_note(path: str) -> str | None:
    """Return the folder that a note names, if it is one that we have made and nobody else can use."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            apart = os.fsdecode(file.read(MAX_SOCKET_PATH))
        _require_private(apart, follow=False)
    except (OSError, ValueError, PlaceError):
        return None
    ours = os.path.isabs(apart) and os.path.basename(apart).startswith(_APART)
    return apart if ours else None


def _remove(run: str, name: str) -> None:
    """Remove the socket of an engine that is gone, wherever it lies."""
    note = os.path.join(run, f"{name}.place")
    apart = _read_note(note)
    if apart is not None:
        with suppress(OSError):
            os.unlink(os.path.join(apart, _APART_SOCKET))
        with suppress(OSError):
            os.rmdir(apart)
    for path in (note, os.path.join(run, f"{name}.sock")):
        with suppress(FileNotFoundError):
            os.unlink(path)


def _cannot(path: str, error: OSError) -> str:
    why = (error.strerror or type(error).__name__).lower()
    return f"OTR cannot start, as {path} cannot be used: {why}. Mend that, and then /otr restart."
