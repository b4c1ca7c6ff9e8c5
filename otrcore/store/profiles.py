"""The client profiles of version 4 that are in use, as they are sent (v4, "Client Profile")."""

from __future__ import annotations

from .database import Database
from .tags import MAX_TAGS

MAX_BYTES = 4096
"""Of one; with all the fields of the specification it has some 1300."""


class Profiles:
    """One for each instance tag on a network; those of a former identity go with it."""

    def __init__(self, database: Database) -> None:
        """The database is the store's, which opens and closes it."""
        self._database = database

    def load(self, network: str, tag: int) -> bytes | None:
        """Return what was saved last, if anything.

        Whose keys are in it is for the caller to look at: another process may have saved it while the
        identity was replaced.
        """
        rows = self._database.rows(
            "SELECT profile FROM client_profile WHERE network = ? AND tag = ? AND length(profile) <= ?",
            network,
            tag,
            MAX_BYTES,
        )
        return rows[0][0] if rows else None

    def save(self, network: str, tag: int, profile: bytes) -> None:
        """Keep a profile in place of the former one; ValueError for one that is too long.

        There are never more on a network than instance tags that are remembered: the oldest goes.
        """
        if len(profile) > MAX_BYTES:
            raise ValueError("too long for a client profile")
        with self._database.transaction() as connection:
            # Which gives it a new rowid, the highest.
            connection.execute(
                "INSERT OR REPLACE INTO client_profile VALUES (?, ?, ?)", (network, tag, profile)
            )
            connection.execute(
                "DELETE FROM client_profile WHERE network = ?1 AND rowid NOT IN (SELECT rowid FROM "
                "client_profile WHERE network = ?1 ORDER BY rowid DESC LIMIT ?2)",
                (network, MAX_TAGS),
            )
