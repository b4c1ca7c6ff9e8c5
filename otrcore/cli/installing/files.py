"""Changing a chat client's folders: looked at before anything is changed, and taken back if a step fails."""

from __future__ import annotations

import errno
import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from ..doctor import disk
from ..doctor.findings import quoted
from .refusal import Refusal, unchanged

MODE = 0o644


def check_folder(folder: Path) -> None:
    """Refuse a folder in which we cannot, or should not, change anything; a missing one is made later."""
    if not os.path.lexists(folder):
        _check_above(folder)
        return
    try:
        status = os.stat(folder)
    except FileNotFoundError:
        raise Refusal(f"{quoted(folder)} is a link to nowhere: move it out of the way first.") from None
    except OSError as error:
        raise unchanged(error, folder) from error
    if not stat.S_ISDIR(status.st_mode):
        raise Refusal(f"{quoted(folder)} is not a folder: move it out of the way first.")
    if status.st_uid != os.geteuid():
        raise _foreign(folder, status.st_uid)
    _check_writable(folder)


def make_folder(folder: Path, mode: int, undo: ExitStack) -> None:
    """Make a folder if it is missing; those above it that are missing too become private.  OSError."""
    for path in (*reversed(folder.parents), folder):
        if not path.is_dir():
            path.mkdir(mode if path == folder else 0o700)
            undo.callback(path.rmdir)


def beside(path: Path, data: bytes, undo: ExitStack) -> Path:
    """Write a file that is to take the place of another in one step; return what it is called until then."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=".part")
    undo.callback(Path(name).unlink, missing_ok=True)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        os.fchmod(descriptor, MODE)
        file.flush()
        os.fsync(descriptor)
    return Path(name)


def move(path: Path, to: Path, undo: ExitStack) -> None:
    """Rename what has a name that no program minds to one that nothing has.  OSError."""
    if os.path.lexists(to):
        raise FileExistsError(errno.EEXIST, "File exists", str(to))
    os.rename(path, to)
    undo.callback(os.rename, to, path)


def kept(path: Path, data: bytes, undo: ExitStack) -> Path:
    """Write a file that is to be replaced, and has these contents, once more; return what that is called."""
    copy = beside(path, data, undo)
    shutil.copystat(path, copy)
    undo.callback(os.replace, copy, path)
    return copy


def hidden(path: Path, undo: ExitStack) -> Path:
    """Give a file that is to go a name that no program minds, and return it.  OSError."""
    to = path.with_name(f".{path.stem}-{os.getpid()}.part")
    move(path, to, undo)
    return to


def change(folder: Path, steps: Callable[[ExitStack], None]) -> None:
    """Do all steps or none; Refusal, which names the folder where the system names none."""
    try:
        with ExitStack() as undo:
            steps(undo)
            undo.pop_all()
    except OSError as error:
        raise unchanged(error, folder) from error


def _check_above(folder: Path) -> None:
    """Refuse a folder that could not be made."""
    above = next(path for path in folder.parents if os.path.lexists(path) or path == path.parent)
    if not os.path.isdir(above):
        what = "a link to nowhere" if os.path.islink(above) and not os.path.exists(above) else "not a folder"
        raise Refusal(f"{quoted(above)} is {what}: move it out of the way first.")
    owner = os.stat(above).st_uid
    if os.geteuid() == 0 and owner != 0:
        raise _foreign(above, owner)
    _check_writable(above)


def _check_writable(folder: Path) -> None:
    if disk.read_only(folder):
        raise Refusal(f"{quoted(folder)} is on a disk that can only be read: nothing was changed.")
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise Refusal(
            f"{quoted(folder)} cannot be written: run  chmod u+rwx {quoted(folder)}  and try again."
        )


def _foreign(path: Path, owner: int) -> Refusal:
    try:
        name = pwd.getpwuid(owner).pw_name
    except KeyError:
        name = f"the user of number {owner}"
    what = f"{quoted(path)} belongs to {name}"
    if os.geteuid() == 0:
        return Refusal(f"{what}: run otr as {name} and not as root.")
    if owner == 0:  # as after a sudo
        return Refusal(f"{what}: run  sudo chown -R {os.geteuid()} {quoted(path)}  to have it back.")
    return Refusal(f"{what}, and not to you: nothing was changed.")
