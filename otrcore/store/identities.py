"""The user's identities, one for each network, and the instance tags of running clients."""

from __future__ import annotations

import fcntl
import os
from datetime import UTC, datetime

from ..account import new_instance_tag
from ..crypto.dsa import DsaPrivateKey
from ..errors import StoreError
from ..identity import Identity
from .database import Database
from .folder import private_file, private_folder

LOCKS_FOLDER = "tags"


class Identities:
    """Reads and makes identities; holds this process's instance tags until it ends or `close` is called."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tags: dict[str, int] = {}
        self._locks: list[int] = []

    def for_network(self, network: str) -> Identity:
        """Return the identity for a canonical network name; made and kept on first use, 20 to 200 ms."""
        identity = self._read(network)
        if identity is None:
            # Made outside the transaction, so that no other process waits for it.
            self._keep(network, DsaPrivateKey.generate())
            identity = self._read(network)
        if identity is None:
            raise StoreError(f"The new key for {network} was not kept.")
        return identity

    def claim_instance_tag(self, network: str) -> int:
        """Return the instance tag of this process on a network, which no other running process has.

        The same tag as last time, if it is free: by it, peers know the client again.  A tag is
        taken as long as its lock file is locked, which ends with the process however it dies.
        """
        if network not in self._tags:
            self._tags[network] = self._claim(network)
        return self._tags[network]

    def close(self) -> None:
        """Give the instance tags back."""
        self._tags.clear()
        while self._locks:
            os.close(self._locks.pop())

    def _claim(self, network: str) -> int:
        for (tag,) in self._database.rows(
            "SELECT tag FROM instance_tag WHERE network = ? ORDER BY rowid", network
        ):
            if self._lock(tag):
                return int(tag)
        while True:
            tag = new_instance_tag()
            if self._lock(tag):
                with self._database.transaction() as connection:
                    connection.execute("INSERT OR IGNORE INTO instance_tag VALUES (?, ?)", (network, tag))
                return tag

    def _read(self, network: str) -> Identity | None:
        rows = self._database.rows("SELECT dsa_private_key FROM identity WHERE network = ?", network)
        if not rows:
            return None
        try:
            return Identity(DsaPrivateKey.from_der(rows[0][0]))
        except ValueError as error:
            raise StoreError(
                f"The key for {network} is damaged: bring back a copy of the data folder."
            ) from error

    def _keep(self, network: str, key: DsaPrivateKey) -> None:
        """Keep a new key; if another process was faster, its key stays."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO identity VALUES (?, ?, ?)",
                (network, key.to_der(), datetime.now(UTC).isoformat(timespec="seconds")),
            )

    def _lock(self, tag: int) -> bool:
        """Try to take a tag for this process."""
        folder = private_folder(self._database.folder / LOCKS_FOLDER)
        path = private_file(folder / f"{tag:08x}.lock")
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        self._locks.append(descriptor)
        return True
