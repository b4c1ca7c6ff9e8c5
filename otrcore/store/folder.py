"""The data folder: private from its first moment, or refused (keys lie in it)."""

from __future__ import annotations

import errno
import fcntl
import os
import shlex
import stat
from pathlib import Path

import platformdirs

from ..errors import StoreError, StoreUnavailable

APPLICATION = "otrcore"


def default_folder(application: str = APPLICATION) -> Path:
    """Return where this system keeps a user's data for a program."""
    return Path(platformdirs.user_data_dir(application, appauthor=False))


def private_folder(path: Path, *, above: bool = True) -> Path:
    """Make the folder if it is missing, 0700; StoreError if others could read it or it cannot be used.

    StoreUnavailable where it is ours, and cannot be made or written.  Those `above` it are made too,
    unless they must be there.
    """
    try:
        # Folders above it that are missing get the same rights: who may write there could swap ours.
        for folder in (*reversed(path.parents), path) if above else (path,):
            if not folder.is_dir():
                folder.mkdir(mode=0o700, exist_ok=True)
        status = path.stat()
    except FileExistsError as error:
        what = f"{error.filename} is not a folder"
        raise StoreError(f"The data folder {path} cannot be made, as {what}: {_ELSEWHERE}") from error
    except OSError as error:
        said = f"The data folder {path} cannot be made: {_why(error)}: {_ELSEWHERE}"
        raise _kind(error)(said) from error
    _refuse_foreign(path, status)
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise StoreUnavailable(f"The data folder {path} is not writable: {_ELSEWHERE}")
    return path


def private_file(path: Path) -> Path:
    """Make an empty file if it is missing, 0600 before anybody else can open it; errors as above.

    One that is there is only looked at: closing a file takes from the whole process the locks that
    SQLite has on it.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return _checked(path, os.R_OK | os.W_OK)
    except OSError as error:
        raise _kind(error)(f"{path} cannot be made: {_why(error)}: {_ELSEWHERE}") from error
    return path


def readable_file(path: Path) -> Path:
    """Look at a file that cannot be written; errors as above, also if it is missing."""
    return _checked(path, os.R_OK)


def locked_file(path: Path) -> int | None:
    """Lock a private file, which is made if it is missing, as long as the descriptor is open.

    None if another process has locked it, or this one by another descriptor; errors as above.
    """
    private_file(path)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise
    except BlockingIOError:
        return None
    except OSError as error:
        raise StoreUnavailable(f"{path} cannot be locked: {_why(error)}: {_ELSEWHERE}") from error
    return descriptor


def _checked(path: Path, rights: int) -> Path:
    try:
        status = path.lstat()
    except OSError as error:
        raise _kind(error)(f"{path} cannot be opened: {_why(error)}: {_ELSEWHERE}") from error
    if not stat.S_ISREG(status.st_mode):
        raise StoreError(f"{path} is not an ordinary file: {_ELSEWHERE}")
    _refuse_foreign(path, status)
    if not os.access(path, rights):
        what = "writable" if rights & os.W_OK and os.access(path, os.R_OK) else "readable"
        raise StoreUnavailable(f"{path} is not {what}: {_ELSEWHERE}")
    return path


_HINDERED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ENOENT}
_ELSEWHERE = "mend that, or choose another data folder (in a terminal by --data-dir)."


def _refuse_foreign(path: Path, status: os.stat_result) -> None:
    if status.st_uid != os.geteuid():
        raise StoreError(f"{path} belongs to another user: {_ELSEWHERE}")
    if stat.S_IMODE(status.st_mode) & 0o077:
        mend = f"chmod go= {shlex.quote(str(path))}"
        raise StoreError(f"{path} can be read by others: run  {mend}  and look who has read it.")


def _kind(error: OSError) -> type[StoreError]:
    """Tell what may pass from what is wrong as it was asked for."""
    return StoreUnavailable if error.errno in _HINDERED else StoreError


def _why(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
