"""The tables of the store, and the steps that brought them there; step n makes version n + 1 of version n."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from ..crypto.dsa import DsaPrivateKey
from ..wire.keys import fingerprint


def _first(connection: sqlite3.Connection) -> None:
    connection.execute(
        """
        CREATE TABLE identity (
            network TEXT PRIMARY KEY,
            dsa_private_key BLOB NOT NULL,  -- PKCS #8 in DER
            created TEXT NOT NULL           -- UTC, ISO 8601
        ) STRICT
        """
    )
    connection.execute(
        """
        CREATE TABLE instance_tag (
            network TEXT NOT NULL,
            tag INTEGER NOT NULL,
            PRIMARY KEY (network, tag)
        ) STRICT
        """
    )


_TRUST = """
CREATE TABLE identity (
    network TEXT PRIMARY KEY,
    fingerprint BLOB NOT NULL,      -- tells a damaged private key; empty where it was damaged before
    dsa_private_key BLOB NOT NULL,  -- PKCS #8 in DER; sealed if there is a row in sealing
    created TEXT NOT NULL
) STRICT;
CREATE TABLE retired_identity (
    network TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    created TEXT NOT NULL,
    retired TEXT NOT NULL
) STRICT;
CREATE TABLE sealing (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    salt BLOB NOT NULL,
    cost INTEGER NOT NULL,          -- scrypt's N; r is 8, p is 1
    wrapped_key BLOB NOT NULL       -- what the private keys are sealed under
) STRICT;
CREATE TABLE network (
    claim TEXT NOT NULL,            -- what a server calls its network
    host TEXT NOT NULL,             -- the server that the user connects to
    name TEXT NOT NULL,             -- what keys and people are kept under
    PRIMARY KEY (claim, host)
) STRICT;
CREATE TABLE network_policy (
    network TEXT PRIMARY KEY,
    policy TEXT NOT NULL
) STRICT;
CREATE TABLE contact (
    network TEXT NOT NULL,
    nick TEXT NOT NULL,             -- folded
    versions TEXT NOT NULL,         -- digits
    policy TEXT,                    -- NULL for the network's
    seen INTEGER NOT NULL,          -- grows with every change to the contact
    PRIMARY KEY (network, nick)
) STRICT;
CREATE INDEX contact_seen ON contact (network, seen);
CREATE TABLE contact_key (
    network TEXT NOT NULL,
    nick TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    trust TEXT NOT NULL,            -- none, compared or smp
    verified TEXT,                  -- when, if it is trusted
    first_seen TEXT NOT NULL,
    last_seen TEXT,                 -- NULL for one that was imported and never met
    used INTEGER NOT NULL,          -- the key met last has the highest
    PRIMARY KEY (network, nick, fingerprint)
) STRICT;
CREATE INDEX contact_key_fingerprint ON contact_key (network, fingerprint);
CREATE TABLE history (
    id INTEGER PRIMARY KEY,
    network TEXT NOT NULL,
    nick TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    time TEXT NOT NULL,
    what TEXT NOT NULL
) STRICT;
CREATE INDEX history_contact ON history (network, nick)
"""


def _trust(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE identity RENAME TO old_identity")
    for statement in _TRUST.split(";\n"):
        connection.execute(statement)
    for network, key, created in connection.execute("SELECT * FROM old_identity").fetchall():
        connection.execute(
            "INSERT INTO identity VALUES (?, ?, ?, ?)", (network, _fingerprint(key), key, created)
        )
    connection.execute("DROP TABLE old_identity")


def _fingerprint(der: bytes) -> bytes:
    try:
        return fingerprint(DsaPrivateKey.from_der(der).public).digest
    except ValueError:
        return b""


def _settings(connection: sqlite3.Connection) -> None:
    connection.execute(
        """
        CREATE TABLE setting (
            client TEXT NOT NULL,           -- the kind of chat client, such as hexchat
            name TEXT NOT NULL,
            value TEXT NOT NULL,
            PRIMARY KEY (client, name)
        ) STRICT
        """
    )


_VERSION_4 = """
-- Tells damage to the two below; all three are NULL in an identity from before version 4.
ALTER TABLE identity ADD COLUMN fingerprint_4 BLOB;
-- The seed, 57 bytes; sealed if there is a row in sealing.
ALTER TABLE identity ADD COLUMN ed448_private_key BLOB;
-- The public point, 57 bytes.
ALTER TABLE identity ADD COLUMN forging_key BLOB;
ALTER TABLE retired_identity ADD COLUMN fingerprint_4 BLOB;
CREATE TABLE client_profile (
    network TEXT NOT NULL,
    tag INTEGER NOT NULL,
    profile BLOB NOT NULL,          -- as it is sent
    PRIMARY KEY (network, tag)
) STRICT
"""


def _version_4(connection: sqlite3.Connection) -> None:
    for statement in _VERSION_4.split(";\n"):
        connection.execute(statement)


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (_first, _trust, _settings, _version_4)

_TYPES: dict[str, type] = {
    **dict.fromkeys(("fingerprint", "dsa_private_key", "salt", "wrapped_key"), bytes),
    **dict.fromkeys(("fingerprint_4", "ed448_private_key", "forging_key", "profile"), bytes),
    **dict.fromkeys(("cost", "seen", "used", "id", "tag"), int),
    **dict.fromkeys(
        ("network", "created", "retired", "claim", "host", "name", "policy", "nick", "versions"), str
    ),
    **dict.fromkeys(("trust", "verified", "first_seen", "last_seen", "time", "what"), str),
    **dict.fromkeys(("client", "value"), str),
}
_MAY_BE_NULL = {
    *("policy", "verified", "last_seen"),
    *("fingerprint_4", "ed448_private_key", "forging_key"),
}


def fits(column: str, value: object) -> bool:
    """Whether a value is of its column's type: SQLite looks at that when it writes, not when it reads."""
    if value is None:
        return column in _MAY_BE_NULL
    return isinstance(value, _TYPES.get(column, object))
