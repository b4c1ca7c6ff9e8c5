"""The SQLite file: opened private, versioned, shared by several processes."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from ..errors import StoreError, StoreUnavailable
from .folder import private_file, private_folder, readable_file
from .schema import MIGRATIONS, fits

FILE_NAME = "otrcore.sqlite"

BUSY_MILLISECONDS = 500
"""How long another process may hold the file before we give up: longer would be felt in a chat."""

AGAIN_MILLISECONDS = 20
"""The same once that was in vain, until it is not any more: several such waits in a row would add up."""

OPENING_SECONDS = 3.0
"""The same while the file is opened: a chat that cannot open it begins without keys and contacts."""

Version = tuple[int, int]
"""Something else after every change by another connection."""

_MAX_SAID = 200
"""Characters of what SQLite says: it quotes from damaged files."""


class _InUse(StoreUnavailable):
    """Another process holds the file, which keeps from reading too."""


class Database:
    """A connection for one thread; every error becomes a StoreError of one sentence."""

    def __init__(self, folder: Path, patience: float = OPENING_SECONDS) -> None:
        """Open, or make, the file in this folder, and bring it to the present schema.

        `patience` is for how many seconds another process may hold the file meanwhile.

        StoreError where it must not be used, StoreUnavailable where it cannot be.  What cannot be
        written but can be read is opened all the same: `problem` then says why nothing is saved.
        """
        self.folder: Final = folder
        self.problem: str | None = None
        """Why nothing could be changed the last time, if so."""
        self._path = folder / FILE_NAME
        self._patience = patience
        self._in_vain = False
        """Whether another process has held the file for too long the last time."""
        self._allowed: int | None = None
        """Milliseconds for which SQLite waits; None for as long as while the file was opened."""
        self._depth = 0
        self._file = (0, 0)
        self._opened = 0
        self._only_to_read = False
        self._last: Version = (0, 0)
        self._connection = self._open()

    def close(self) -> None:
        """Close the connection; nothing is pending, as every change is a transaction of its own."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Read and change as one step: all of it is kept, or nothing.

        One inside another joins it: who catches its error, and goes on, keeps what came before it.
        """
        if self._depth:
            with self._explained(), self._part():
                yield self._connection
            return
        try:
            self._make_ready()
            with self._explained(), self._whole():
                yield self._connection
        except StoreUnavailable as error:
            self.problem = str(error)
            raise
        self.problem = None
        self._in_vain = False

    @property
    def changing(self) -> bool:
        """Whether a transaction is under way, which others wait for."""
        return self._depth > 0

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query that changes nothing; each value is of its column's type."""
        with self._explained():
            self._allow_waiting()
            cursor = self._connection.execute(query, values)
            names = [column[0] for column in cursor.description]
            rows: list[tuple[Any, ...]] = cursor.fetchall()
        self._in_vain = False
        if not all(fits(name, value) for row in rows for name, value in zip(names, row, strict=True)):
            raise self._unusable("damaged")
        return rows

    def version(self) -> Version:
        """Return what tells whether another process has changed anything; takes some microseconds.

        While another process is in the middle of a change, or the file is out of reach, this is what
        it was before: nobody has to wait for that.  A file that was put in place of ours is opened.
        """
        try:
            if not self._depth and self._file != self._present_file():
                self._open_anew()
            self._allow(0)  # asking takes a lock, for which a chat should not wait
            ((number,),) = self._connection.execute("PRAGMA data_version").fetchall()
            # Each connection counts from the same number on.
            self._last = (self._opened, number)
        except (OSError, sqlite3.Error, StoreError):
            pass
        return self._last

    @contextmanager
    def _whole(self) -> Iterator[None]:
        self._depth = 1
        try:
            self._allow_waiting()
            # IMMEDIATE, because a transaction that reads first and writes later fails at once if another
            # process has written in between, however long the time-out.
            self._connection.execute("BEGIN IMMEDIATE")
            yield
            self._must_go_on()
            self._connection.execute("COMMIT")  # fails if another process does not stop reading
        except BaseException:  # an interrupt in the middle too takes the whole step back
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        finally:
            self._depth = 0

    @contextmanager
    def _part(self) -> Iterator[None]:
        self._must_go_on()
        self._connection.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:  # an interrupt too takes this part back
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK TO part")
            raise
        finally:
            if self._connection.in_transaction:
                self._connection.execute("RELEASE part")

    def _allow_waiting(self) -> None:
        self._allow(min(AGAIN_MILLISECONDS, BUSY_MILLISECONDS) if self._in_vain else BUSY_MILLISECONDS)

    def _allow(self, milliseconds: int) -> None:
        if self._allowed != milliseconds:
            self._connection.execute(f"PRAGMA busy_timeout = {milliseconds}")
            self._allowed = milliseconds

    def _must_go_on(self) -> None:
        """Refuse to change anything once SQLite itself has taken the step back, as where the disk is full."""
        if not self._connection.in_transaction:
            raise StoreUnavailable(f"Nothing was saved in {self._path}: try again.")

    def _make_ready(self) -> None:
        """Open the file anew if that is needed to change it; StoreError."""
        try:
            replaced = self._file != self._present_file()
        except OSError as error:
            raise StoreUnavailable(
                f"{self._path} has been moved away or removed: "
                "bring it back, or start this program again to begin anew."
            ) from error
        if replaced or self._only_to_read:
            self._open_anew()
        if self._only_to_read:
            raise StoreUnavailable(self.problem)

    def _open(self) -> sqlite3.Connection:
        try:
            private_folder(self.folder)
            # SQLite would make the file readable by all; what it puts beside it takes the file's own rights.
            private_file(self._path)
            connection, problem = self._connect("rw"), None
        except _InUse:
            raise
        except StoreUnavailable as error:
            connection, problem = self._open_to_read(error), str(error)
        try:
            self._file = self._present_file()
        except OSError:
            self._file = (0, 0)  # somebody was faster: it counts as replaced
        self.problem = problem
        self._only_to_read = problem is not None
        self._opened += 1
        return connection

    def _open_anew(self) -> None:
        fresh = self._open()
        self._connection.close()
        self._connection = fresh
        self._allowed = None

    def _open_to_read(self, hindrance: StoreUnavailable) -> sqlite3.Connection:
        """Open what cannot be written, as long as it needs no change; else the hindrance is raised."""
        try:
            readable_file(self._path)
            return self._connect("ro")
        except StoreUnavailable:
            raise hindrance from None

    def _present_file(self) -> tuple[int, int]:
        status = os.stat(self._path)
        return status.st_dev, status.st_ino

    def _connect(self, mode: str) -> sqlite3.Connection:
        with self._explained():
            connection = sqlite3.connect(
                f"{self._path.absolute().as_uri()}?mode={mode}",
                uri=True,
                isolation_level=None,
                timeout=self._patience,
            )
            try:
                connection.text_factory = _text
                connection.execute("PRAGMA secure_delete = ON")
                connection.execute("PRAGMA synchronous = FULL")
                ((version,),) = connection.execute("PRAGMA user_version").fetchall()
                if version < 0:
                    raise self._unusable("damaged")
                if version > len(MIGRATIONS):
                    raise StoreError(f"{self._path} was written by a newer otrcore: install that version.")
                if version < len(MIGRATIONS):
                    _migrate(connection)
            except BaseException:  # an interrupt too must not leave a connection that nobody has
                connection.close()
                raise
        return connection

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.ProgrammingError:
            raise  # ours
        except sqlite3.Error as error:
            raise self._explanation(error) from error
        except UnicodeDecodeError as error:  # SQLite quotes from a damaged file
            raise self._unusable("damaged") from error

    def _explanation(self, error: sqlite3.Error) -> StoreUnavailable:
        name = getattr(error, "sqlite_errorname", "")  # what Python's module finds by itself has none
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            self._in_vain = True
            return _InUse(f"{self._path} is in use by another program: try again.")
        if name.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
            return StoreUnavailable(
                f"There is no room left for {self._path}, or its disk fails: free some and try again."
            )
        if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
            return StoreUnavailable(f"{self._path} cannot be written: mend its rights, or those of its disk.")
        said = str(error)[:_MAX_SAID]
        return self._unusable(said if said.isprintable() else "damaged")

    def _unusable(self, why: str) -> StoreUnavailable:
        return StoreUnavailable(
            f"{self._path} cannot be used ({why}): move it away to begin anew, or bring a copy back."
        )


def _text(stored: bytes) -> str:
    return stored.decode(errors="replace")


def _migrate(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have done it while we waited.
        ((version,),) = connection.execute("PRAGMA user_version").fetchall()
        for step in MIGRATIONS[version:]:
            step(connection)
        connection.execute(f"PRAGMA user_version = {max(version, len(MIGRATIONS))}")
        connection.execute("COMMIT")
    except BaseException:  # an interrupt too must not leave a transaction open
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise
