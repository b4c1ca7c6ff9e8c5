"""What the user has set by `/otr set` in chat clients that have no settings of their own."""

from __future__ import annotations

from ..errors import StoreError
from .database import Database

MAX_SETTINGS = 100
"""Of one kind of chat client."""

MAX_ROWS = 1000
"""Of all kinds together."""

MAX_KEY = 32
"""Characters of a setting's name, and of a client's."""

MAX_VALUE = 200
"""Characters."""


class Settings:
    """Values by the kind of chat client ("hexchat") and by name."""

    def __init__(self, database: Database) -> None:
        """The database is the store's, which opens and closes it."""
        self._database = database

    def all(self, client: str) -> dict[str, str]:
        """Return what is set for a kind of client; nothing of what is too long to have been written here."""
        rows = self._database.rows(
            "SELECT name, value FROM setting WHERE client = ? AND length(name) <= ? AND length(value) <= ? "
            "ORDER BY name LIMIT ?",
            client,
            MAX_KEY,
            MAX_VALUE,
            MAX_SETTINGS,
        )
        return dict(rows)

    def set(self, client: str, name: str, value: str | None) -> None:
        """Set a value, None for the one that the client begins with; ValueError for what is too long.

        StoreError if there are too many.
        """
        if max(len(client), len(name)) > MAX_KEY or (value is not None and len(value) > MAX_VALUE):
            raise ValueError("too long for a setting")
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM setting WHERE client = ? AND name = ?", (client, name))
            if value is None:
                return
            added = connection.execute(
                "INSERT INTO setting SELECT ?1, ?2, ?3 "
                "WHERE (SELECT COUNT(*) FROM setting WHERE client = ?1) < ?4 "
                "AND (SELECT COUNT(*) FROM setting) < ?5",
                (client, name, value, MAX_SETTINGS, MAX_ROWS),
            )
            if not added.rowcount:
                raise StoreError(
                    "There are too many settings of chat clients: give another one its default first."
                )
