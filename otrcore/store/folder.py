"""The data folder: private from its first moment, or refused (keys lie in it)."""

from __future__ import annotations

import os
import shlex
import stat
from pathlib import Path

import platformdirs

from ..errors import StoreError

APPLICATION = "otrcore"


def default_folder() -> Path:
    """Return where this system keeps a user's data."""
    return Path(platformdirs.user_data_dir(APPLICATION, appauthor=False))


def private_folder(path: Path) -> Path:
    """Make the folder if it is missing, 0700; StoreError if others could read it or it cannot be used."""
    try:
        # Folders above it that are missing get the same rights: who may write there could swap ours.
        for folder in (*reversed(path.parents), path):
            if not folder.is_dir():
                folder.mkdir(mode=0o700, exist_ok=True)
        status = path.stat()
    except FileExistsError as error:
        what = f"{error.filename} is not a folder"
        raise StoreError(f"The data folder {path} cannot be made, as {what}: {_ELSEWHERE}") from error
    except OSError as error:
        raise StoreError(f"The data folder {path} cannot be made: {_why(error)}: {_ELSEWHERE}") from error
    _refuse_foreign(path, status)
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise StoreError(f"The data folder {path} is not writable: {_ELSEWHERE}")
    return path


def private_file(path: Path) -> Path:
    """Make an empty file if it is missing, 0600 before anybody else can open it; StoreError as above."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"{path} cannot be opened: {_why(error)}: {_ELSEWHERE}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise StoreError(f"{path} is not an ordinary file: {_ELSEWHERE}")
        _refuse_foreign(path, status)
    finally:
        os.close(descriptor)
    return path


_ELSEWHERE = "mend that, or name another data folder with --data-dir."


def _refuse_foreign(path: Path, status: os.stat_result) -> None:
    if status.st_uid != os.geteuid():
        raise StoreError(f"{path} belongs to another user: {_ELSEWHERE}")
    if stat.S_IMODE(status.st_mode) & 0o077:
        mend = f"chmod go= {shlex.quote(str(path))}"
        raise StoreError(f"{path} can be read by others: run  {mend}  and look who has read it.")


def _why(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
