"""The data folder and what is in it; nothing is made or changed by looking."""

from __future__ import annotations

import errno
import os
import pwd
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from ...errors import StoreError
from ...model import Fingerprint
from ...store.database import FILE_NAME
from ...store.folder import default_folder
from ...store.schema import MIGRATIONS
from ...store.store import Store
from ...store.tags import LOCKS_FOLDER
from ..passphrase import VARIABLE, from_file
from . import disk
from .findings import Finding, failing, fine, note, problem, quoted, why
from .places import entries, home

CHECK_SECONDS = 0.7
"""How long the database is looked through; what is not done by then is let go."""

BUSY_SECONDS = 0.3
"""How long another process may hold the database before it is left alone."""

MAX_KEYS_TRIED = 50

MAX_TYPED = 5
"""Files that are named one by one in a command."""

_ENDS = ("", "-journal", "-wal", "-shm")
"""Of the files that SQLite has beside each other."""

_ELSEWHERE = "Name another data folder with --data-dir FOLDER."


def check(chosen: Path | None) -> Iterator[Finding]:
    """Look at the data folder, the user's own unless another is chosen."""
    folder = Path(os.path.abspath(chosen or default_folder()))
    try:
        status = os.stat(folder)
    except OSError as error:
        yield from _missing(folder, error, mine=chosen is None)
        return
    if not stat.S_ISDIR(status.st_mode):
        yield problem(f"The data folder {quoted(folder)} is not a folder", _away(folder, mine=chosen is None))
        return
    troubles = [*_folder(folder, status, mine=chosen is None), *disk.check(folder)]
    if not failing(troubles):
        yield fine(f"data folder: {folder}")
    yield from troubles
    if os.access(folder, os.R_OK | os.X_OK):
        yield from _contents(folder, sound=not failing(troubles))


def known_fingerprints(chosen: Path | None) -> frozenset[Fingerprint]:
    """Return the fingerprints of all keys in the store, the user's and others'; none if it cannot be read."""
    folder = Path(os.path.abspath(chosen or default_folder()))
    path = folder / FILE_NAME
    try:
        # A pipe in place of the file would keep SQLite waiting.
        if not stat.S_ISREG(os.lstat(path).st_mode) or _database(path)[1] != len(MIGRATIONS):
            return frozenset()
        with Store(folder) as store:
            own = {row.fingerprint for row in store.identities.rows() if row.fingerprint is not None}
            others = {key.fingerprint for contact in store.contacts.all() for key in contact.keys}
    except (OSError, StoreError):
        return frozenset()  # which `check` tells
    return frozenset(own | others)


def _missing(folder: Path, error: OSError, *, mine: bool) -> Iterator[Finding]:
    """Tell why a folder cannot be looked at, and whether it could be made."""
    named = f"The data folder {quoted(folder)}"
    if error.errno == errno.ENOENT and os.path.islink(folder):
        yield problem(f"{named} is a link to nowhere", _away(folder, mine=mine))
        return
    if error.errno == errno.ELOOP:
        yield problem(f"{named} is a link that leads to itself", _away(folder, mine=mine))
        return
    above = next(path for path in folder.parents if os.path.lexists(path) or path == path.parent)
    if error.errno == errno.EACCES:
        barred = next(
            (path for path in reversed(folder.parents) if not os.access(path, os.X_OK)),
            above,
        )
        yield problem(f"{named} cannot be reached, as {quoted(barred)} must not be entered", _opened(barred))
        return
    if not os.path.isdir(above):
        mend = _away(above, mine=mine and above.is_relative_to(home()) and above != home())
        yield problem(f"{named} cannot be made, as {quoted(above)} is not a folder", mend)
        return
    if error.errno != errno.ENOENT:
        yield problem(f"{named} cannot be used: {why(error)}", _ELSEWHERE)
        return
    troubles = list(disk.check(above))
    if not failing(troubles):
        if os.access(above, os.W_OK | os.X_OK):
            yield fine(f"data folder: {folder}, which is made when the first key is")
        else:
            yield problem(f"{named} cannot be made, as {quoted(above)} must not be written", _opened(above))
    yield from troubles


def _folder(folder: Path, status: os.stat_result, *, mine: bool) -> Iterator[Finding]:
    """Look at whose a folder is and who may use it."""
    named = f"The data folder {quoted(folder)}"
    inside = entries(folder)
    # Rights and owners of a folder that is used for something else are none of ours to change.
    ours = mine or not inside or any(path.name == FILE_NAME for path in inside)
    if status.st_uid != os.geteuid():
        yield problem(
            f"{named} belongs to {_name(status.st_uid)}", _owned([folder], status.st_uid, ours=ours)
        )
    elif stat.S_IMODE(status.st_mode) & 0o077:
        mend = f"Run  chmod go= {quoted(folder)}  and think of who may have read it." if ours else _ELSEWHERE
        yield problem(f"{named} can be used by others", mend)
    elif not os.access(folder, _needed(folder) | os.X_OK):
        yield problem(f"{named} cannot be read and written", _opened(folder))


def _contents(folder: Path, *, sound: bool) -> Iterator[Finding]:
    """Look at the files, and into the database if they are all right; `sound` if the folder is."""
    troubles = list(_files(folder))
    yield from troubles
    path = folder / FILE_NAME
    if troubles or not os.path.lexists(path):
        return
    found, version = _database(path)
    yield from found
    # Opening the store would bring an older one to the present version.
    if sound and version == len(MIGRATIONS) and not failing(found):
        yield from _kept(folder)


def _files(folder: Path) -> Iterator[Finding]:
    """Look at the rights of all files of ours."""
    locks, needed = folder / LOCKS_FOLDER, _needed(folder)
    paths = [folder / f"{FILE_NAME}{end}" for end in _ENDS]
    paths += [locks, *entries(locks)]
    readable: list[Path] = []
    closed: list[Path] = []
    foreign: dict[Path, int] = {}
    for path in paths:
        try:
            # Only in place of a folder a link is as good.
            status = os.stat(path) if path == locks and os.path.isdir(path) else os.lstat(path)
        except FileNotFoundError:
            continue  # not made yet, and journals come and go
        if not (stat.S_ISDIR if path == locks else stat.S_ISREG)(status.st_mode):
            what = "a folder" if path == locks else "an ordinary file"
            yield problem(f"{quoted(path)} is not {what}", _away(path, mine=True))
        elif status.st_uid != os.geteuid():
            foreign[path] = status.st_uid
        elif stat.S_IMODE(status.st_mode) & 0o077:
            readable.append(path)
        elif not os.access(path, needed | (os.X_OK if path == locks else 0)):
            closed.append(path)
    if foreign:
        owner = next(iter(foreign.values()))
        what = f"In the data folder, what belongs to {_name(owner)} cannot be used: {_all(list(foreign))}"
        yield problem(what, _owned(list(foreign), owner, ours=True))
    if readable:
        mend = f"Run  chmod {_typed('go=', readable)}  and think of who may have read them."
        yield problem(f"In the data folder, others can use {_all(readable)}", mend)
    if closed:
        mend = f"Run  chmod {_typed('u+rwX', closed)}  to have them used again."
        yield problem(f"In the data folder, {_all(closed)} cannot be read and written", mend)


def _needed(folder: Path) -> int:
    """Return the rights that we need in a folder; `disk` tells of one where nothing can be written anyway."""
    return os.R_OK if disk.read_only(folder) else os.R_OK | os.W_OK


def _database(path: Path) -> tuple[list[Finding], int | None]:
    """Look into the database without changing it; return also its version, if it could be read."""
    try:
        with closing(
            sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)
        ) as connection:
            ((version,),) = connection.execute("PRAGMA user_version").fetchall()
            found = [_integrity(path, connection, version)]
    except sqlite3.Error as error:
        return [_unreadable(path, error)], None
    if version > len(MIGRATIONS):
        found.append(
            problem(
                f"The database was written by a newer otrcore: its version is {version}, "
                f"and this one knows {len(MIGRATIONS)}",
                "Install the newest otrcore, or name another data folder with --data-dir FOLDER.",
            )
        )
    return found, version


def _unreadable(path: Path, error: sqlite3.Error) -> Finding:
    """Tell why the database could not be looked through."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest of it tells more than we need
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return note("The database is being written by another program, and was not looked through")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return _damaged(path, str(error))
    if code == sqlite3.SQLITE_READONLY:
        return note(
            "A program was ended in the middle of a change, which the next one that starts takes back"
        )
    return problem(f"The database {quoted(path)} cannot be used ({why(error)})", _ELSEWHERE)


def _integrity(path: Path, connection: sqlite3.Connection, version: int) -> Finding:
    """Look through the whole file."""
    deadline = time.monotonic() + CHECK_SECONDS
    connection.set_progress_handler(lambda: time.monotonic() > deadline, 1000)
    try:
        ((said,),) = connection.execute("PRAGMA integrity_check(1)").fetchall()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        return note(f"The database is so large that it was not looked through in {CHECK_SECONDS} s")
    if said != "ok":
        return _damaged(path, str(said).splitlines()[-1])
    older = ", which the next program that uses it will bring up to date" if version < len(MIGRATIONS) else ""
    return fine(f"database: whole, of version {version}{older}")


def _kept(folder: Path) -> Iterator[Finding]:
    """Tell which keys there are, and whether they can be used."""
    try:
        with Store(folder) as store:
            if store.problem is not None:
                yield _refused(store.problem)
            rows = store.identities.rows()
            sealed = store.identities.sealed
            if not sealed:
                for row in [row for row in rows if row.retired is None][:MAX_KEYS_TRIED]:
                    store.identities.check(row.network)
    except StoreError as error:
        yield _refused(str(error))
        return
    living = sum(row.retired is None for row in rows)
    if not living:
        yield fine("keys: none yet, the first is made when it is needed")
        return
    yield fine(f"keys: {living}" + (", locked by a passphrase" if sealed else ""))
    if sealed:
        yield from _passphrase()


def _passphrase() -> Iterator[Finding]:
    """Try the file that the passphrase is to come from; the passphrase itself is not."""
    if VARIABLE not in os.environ:
        return
    try:
        from_file(Path(os.environ[VARIABLE]))
    except StoreError as error:
        yield _refused(str(error))
    else:
        yield fine(f"passphrase: from {os.environ[VARIABLE]}")


def _refused(sentence: str) -> Finding:
    """Return a refusal of the store as a finding: its sentence ends in what to do next."""
    what, _, mend = sentence.rpartition(": ")
    return problem(what or sentence, mend[:1].upper() + mend[1:])


def _damaged(path: Path, said: str) -> Finding:
    """Return that the database is damaged, and how to begin anew."""
    # With the whole folder: a journal that stayed behind would be played into the next database.
    folder = path.parent
    alone = all(other.name.startswith(path.name) or other.name == LOCKS_FOLDER for other in entries(folder))
    if alone:
        anew = f"run  mv -n {quoted(folder)} {_free(folder)}  to begin with new keys."
    else:
        anew = "name another data folder with --data-dir FOLDER."
    return problem(f"The database {quoted(path)} is damaged ({said})", f"Bring a copy of it back, or {anew}")


def _away(path: Path, *, mine: bool) -> str:
    """Return how something in the way gets out of it, if it is `mine` to move."""
    with suppress(OSError):
        status = os.lstat(path)
        device = stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode)
        if mine and status.st_uid == os.geteuid() and not device:
            return f"Run  mv -n {quoted(path)} {_free(path)}  to put it aside."
    return _ELSEWHERE


def _free(path: Path) -> str:
    """Return a name beside a path that nothing has yet, as it is typed."""
    name, number = f"{path}.old", 1
    while os.path.lexists(name):
        number += 1
        name = f"{path}.old{number}"
    return quoted(name)


def _opened(folder: Path) -> str:
    """Return how a folder that is ours can be used again."""
    try:
        ours = os.stat(folder).st_uid == os.geteuid()
    except OSError:
        ours = False
    return f"Run  chmod u+rwx {quoted(folder)}  to have it used again." if ours else _ELSEWHERE


def _owned(paths: list[Path], owner: int, *, ours: bool) -> str:
    """Return what to do about files of another user."""
    if os.geteuid() == 0:
        return (
            f"Run otr as {_name(owner)} and not as root, or name another data folder with --data-dir FOLDER."
        )
    if owner == 0 and ours:  # as after a sudo
        return f"Run  sudo chown {_typed(str(os.geteuid()), paths)}  to have them back."
    return _ELSEWHERE


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"the user of number {user}"


def _all(paths: list[Path]) -> str:
    """Return the names of some files, and how many more there are."""
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return ", ".join(quoted(path.name) for path in paths[:3]) + more


def _typed(rights: str, paths: list[Path]) -> str:
    """Return what is typed behind chmod or chown for files of ours; more than a few go by their folder."""
    if len(paths) <= MAX_TYPED:
        return " ".join([rights, *map(quoted, paths)])
    few = {path.parent if path.parent.name == LOCKS_FOLDER else path for path in paths}
    return " ".join(["-R", rights, *map(quoted, sorted(few))])
