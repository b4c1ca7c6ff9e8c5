"""The instance tags of the clients that run on this store (v3, "Instance Tags")."""

from __future__ import annotations

import os
from typing import Final

from ..account import new_instance_tag
from ..errors import StoreError
from ..wire.header import SMALLEST_INSTANCE_TAG
from .database import Database
from .folder import locked_file, private_folder

LOCKS_FOLDER = "tags"

MAX_TAGS = 64
"""Of one network that are remembered; more come only of many clients at once, or of an import."""

_LARGEST: Final = (1 << 32) - 1


class InstanceTags:
    """Holds this process's instance tags until it ends or `close` is called."""

    def __init__(self, database: Database) -> None:
        """Hold none yet; the lock files lie in the folder of the database."""
        self._database = database
        self._tags: dict[str, int] = {}
        self._locks: list[int] = []

    def claim(self, network: str) -> int:
        """Return the instance tag of this process on a network, which no other running process has.

        The same tag as last time, if it is free: by it, peers know the client again.  A tag is
        taken as long as its lock file is locked, which ends with the process however it dies.
        """
        if network not in self._tags:
            self._tags[network] = self._claim(network)
        return self._tags[network]

    def rows(self, network: str | None = None) -> tuple[int, ...]:
        """Return the tags that were used on a network, or on any, the first one first."""
        where, values = ("WHERE network = ?", (network,)) if network is not None else ("", ())
        rows = self._database.rows(f"SELECT tag FROM instance_tag {where} ORDER BY rowid", *values)
        return tuple(tag for (tag,) in rows if _is_tag(tag))

    def add(self, network: str, tag: int) -> None:
        """Have a tag used on a network, as another client has used it there; StoreError if it is none."""
        if not _is_tag(tag):
            raise StoreError(
                f"{tag} is no instance tag: give one from {SMALLEST_INSTANCE_TAG} to {_LARGEST}."
            )
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO instance_tag SELECT ?1, ?2 "
                "WHERE (SELECT COUNT(*) FROM instance_tag WHERE network = ?1) < ?3",
                (network, tag, MAX_TAGS),
            )

    def close(self) -> None:
        """Give the instance tags back."""
        self._tags.clear()
        while self._locks:
            os.close(self._locks.pop())

    def _claim(self, network: str) -> int:
        for tag in self.rows(network):
            if self._lock(tag):
                return tag
        while not self._lock(tag := new_instance_tag()):
            pass
        try:
            self.add(network, tag)
        except BaseException:  # an interrupt too: a tag that is not remembered must not stay locked
            os.close(self._locks.pop())
            raise
        return tag

    def _lock(self, tag: int) -> bool:
        """Try to take a tag for this process."""
        # A data folder that was removed must not come back as one in which nobody is known.
        folder = private_folder(self._database.folder / LOCKS_FOLDER, above=False)
        descriptor = locked_file(folder / f"{tag:08x}.lock")
        if descriptor is None:
            return False
        self._locks.append(descriptor)
        return True


def _is_tag(number: int) -> bool:
    return SMALLEST_INSTANCE_TAG <= number <= _LARGEST
