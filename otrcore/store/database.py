"""The SQLite file: opened private, versioned, shared by several processes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import StoreError
from .folder import private_file, private_folder

FILE_NAME = "otrcore.sqlite"

BUSY_MILLISECONDS = 500
"""How long another process may hold the file before we give up: longer would be felt in a chat."""

MIGRATIONS = (
    """
    CREATE TABLE identity (
        network TEXT PRIMARY KEY,
        dsa_private_key BLOB NOT NULL,  -- PKCS #8 in DER
        created TEXT NOT NULL           -- UTC, ISO 8601
    ) STRICT;
    CREATE TABLE instance_tag (
        network TEXT NOT NULL,
        tag INTEGER NOT NULL,
        PRIMARY KEY (network, tag)
    ) STRICT;
    """,
)
"""Step n brings a file of schema version n to n + 1."""


class Database:
    """A connection for one thread; every error becomes a StoreError of one sentence."""

    def __init__(self, folder: Path) -> None:
        """Open, or make, the file in this folder, and bring it to the present schema."""
        self.folder = private_folder(folder)
        # SQLite would make the file readable by all; what it puts beside it takes the file's own rights.
        self._path = private_file(self.folder / FILE_NAME)
        with self._explained():
            self._connection = sqlite3.connect(
                self._path, isolation_level=None, timeout=BUSY_MILLISECONDS / 1000
            )
            try:
                self._connection.execute("PRAGMA secure_delete = ON")
                self._connection.execute("PRAGMA synchronous = FULL")
                self._migrate()
            except BaseException:  # an interrupt too must not leave a connection that nobody has
                self._connection.close()
                raise

    def close(self) -> None:
        """Close the connection; nothing is pending, as every change is a transaction of its own."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Read and change as one step: all of it is kept, or nothing."""
        with self._explained():
            # IMMEDIATE, because a transaction that reads first and writes later fails at once if another
            # process has written in between, however long the time-out.
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")  # fails if another process does not stop reading
            except BaseException:  # an interrupt in the middle too takes the whole step back
                if self._connection.in_transaction:  # SQLite itself ends it where the disk is full
                    self._connection.execute("ROLLBACK")
                raise

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query that changes nothing."""
        with self._explained():
            return self._connection.execute(query, values).fetchall()

    def _migrate(self) -> None:
        if self.rows("PRAGMA user_version") == [(len(MIGRATIONS),)]:
            return
        with self.transaction() as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version > len(MIGRATIONS):
                raise StoreError(f"{self._path} was written by a newer otrcore: install that version.")
            for step in MIGRATIONS[version:]:
                for statement in step.split(";"):
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if "locked" in str(error):
                raise StoreError(f"{self._path} is in use by another program: try again.") from error
            if "disk" in str(error) and "full" in str(error):
                raise StoreError(
                    f"There is no room left for {self._path}: free some and try again."
                ) from error
            if "readonly" in str(error):
                raise StoreError(f"{self._path} cannot be written: mend its rights.") from error
            raise StoreError(
                f"{self._path} cannot be used ({error}): move it away to begin anew, or bring a copy back."
            ) from error
