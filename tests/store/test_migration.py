"""Files of earlier schema versions keep what is in them, whatever happens on their way to the present one."""

from __future__ import annotations

import sqlite3
import time
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import pytest

from otrcore.crypto.dsa import DsaPrivateKey
from otrcore.errors import StoreError, StoreUnavailable
from otrcore.identity import Identity
from otrcore.store.database import FILE_NAME, Database
from otrcore.store.folder import private_file, private_folder
from otrcore.store.identities import Identities
from otrcore.store.schema import MIGRATIONS
from otrcore.store.store import Store
from tests.store.processes import Process, killed_at
from tests.store.sentences import sentence

VERSION_1 = """
CREATE TABLE identity (
    network TEXT PRIMARY KEY,
    dsa_private_key BLOB NOT NULL,
    created TEXT NOT NULL
) STRICT;
CREATE TABLE instance_tag (
    network TEXT NOT NULL,
    tag INTEGER NOT NULL,
    PRIMARY KEY (network, tag)
) STRICT;
PRAGMA user_version = 1;
"""
"""The first schema, as it was."""

Keys = dict[str, DsaPrivateKey]

CREATED = "2025-01-02T03:04:05+00:00"
TAGS = (0x1234, 0xFFFFFFFF)


@pytest.fixture(scope="module")
def keys() -> dict[str, DsaPrivateKey]:
    return {name: DsaPrivateKey.generate() for name in ("libera.chat", "oftc", 'a "quoted" name', "")}


def make(folder: Path, blobs: dict[str, bytes]) -> None:
    """Make a file of version 1."""
    private_file(private_folder(folder) / FILE_NAME)
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        connection.executescript(VERSION_1)
        for network, blob in blobs.items():
            connection.execute("INSERT INTO identity VALUES (?, ?, ?)", (network, blob, CREATED))
        connection.executemany("INSERT INTO instance_tag VALUES ('oftc', ?)", [(tag,) for tag in TAGS])
        connection.commit()


@pytest.fixture
def old(folder: Path, keys: Keys) -> Path:
    make(folder, {network: key.to_der() for network, key in keys.items()})
    return folder


def open_and_close(folder: Path) -> None:
    Database(folder).close()


def check(folder: Path, keys: Keys) -> None:
    """Look at a file that was brought up to date."""
    with Store(folder) as store:
        for network, key in keys.items():
            found = store.identities.find(network)
            assert found is not None
            assert found.fingerprint == Identity(key).fingerprint
            assert found.dsa.to_der() == key.to_der()
        rows = store.identities.rows()
        assert {(row.network, row.created, row.retired) for row in rows} == {
            (network, CREATED, None) for network in keys
        }
        assert store.tags.rows("oftc") == TAGS
        assert set(store.networks.names()) == set(keys)
        store.contacts.all()
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
        assert not [name for name in tables if "old" in name]


def test_nothing_is_lost(old: Path, keys: Keys) -> None:
    for _ in range(2):
        check(old, keys)


def test_the_schema_is_that_of_a_file_made_today(old: Path, tmp_path: Path) -> None:
    Database(old).close()
    Database(tmp_path / "fresh").close()

    def schema(folder: Path) -> dict[str, list[str]]:
        with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
            rows = connection.execute("SELECT name, sql FROM sqlite_schema").fetchall()
        return {name: (sql or "").split() for name, sql in rows}

    assert schema(old) == schema(tmp_path / "fresh")


def test_private_keys_leave_no_second_trace(old: Path, keys: Keys) -> None:
    Database(old).close()
    content = (old / FILE_NAME).read_bytes()
    for key in keys.values():
        assert content.count(key.to_der()) == 1


def test_a_damaged_key_stays_as_it_is_and_keeps_no_other_from_use(folder: Path, keys: Keys) -> None:
    der = keys["oftc"].to_der()
    damaged = {
        "cut": der[:-9],
        "empty": b"",
        "turned": der[:40] + bytes([der[40] ^ 1]) + der[41:],
        "no": b"key",
    }
    make(folder, {**damaged, "oftc": der})
    with Store(folder) as store:
        found = store.identities.find("oftc")
        assert found is not None
        assert found.dsa.to_der() == der
        fingerprints = {row.network: row.fingerprint for row in store.identities.rows()}
        assert fingerprints["oftc"] == found.fingerprint
        for network in ("cut", "empty", "no"):
            assert fingerprints[network] is None
            for use in (store.identities.find, store.identities.for_network):
                with pytest.raises(StoreError) as caught:
                    use(network)
                assert f"The key for {network} is damaged" in sentence(caught.value)
        assert store.identities.delete("cut") is None
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        rows = dict(connection.execute("SELECT network, dsa_private_key FROM identity").fetchall())
    assert rows == {name: blob for name, blob in {**damaged, "oftc": der}.items() if name != "cut"}


def test_several_processes_at_once(old: Path, keys: Keys) -> None:
    with ExitStack() as running:
        others = [running.enter_context(Process("open", old)) for _ in range(4)]
        for other in others:
            assert other.said() == "ready"
        for other in others:
            other.go_on()
        assert [other.said() for other in others] == ["opened"] * 4
    check(old, keys)


def test_a_file_that_another_program_holds_stays_as_it_is(old: Path, keys: Keys) -> None:
    before = (old / FILE_NAME).read_bytes()
    with Process("lock", old) as other:
        assert other.said() == "locked"
        with pytest.raises(StoreUnavailable) as caught:
            Database(old)
        assert "in use by another program" in sentence(caught.value)
        other.kill()
    assert (old / FILE_NAME).read_bytes() == before
    check(old, keys)


def test_a_kill_at_any_statement_costs_nothing(tmp_path: Path, keys: Keys) -> None:
    at = 0
    came_to_it = True
    while came_to_it:
        at += 1
        folder = tmp_path / str(at)
        make(folder, {network: key.to_der() for network, key in keys.items()})
        came_to_it = killed_at(at, partial(open_and_close, folder))
        check(folder, keys)
    assert at > 20, "the statements of the migration were among them"


def test_a_kill_at_any_moment_costs_nothing(folder: Path, keys: Keys) -> None:
    many = {f"net{number}": keys["oftc"] for number in range(150)}
    make(folder, {network: key.to_der() for network, key in many.items()})
    for milliseconds in (1, 10, 30, 60, 100):
        with Process("open", folder) as other:
            assert other.said() == "ready"
            other.go_on()
            time.sleep(milliseconds / 1000)
            other.kill()
        with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert connection.execute("SELECT COUNT(*) FROM identity").fetchone() == (150,)
    check(folder, many)


def test_the_fingerprint_tells_a_key_that_was_damaged_later(old: Path, keys: Keys) -> None:
    database = Database(old)
    with database.transaction() as connection:
        connection.execute(
            "UPDATE identity SET dsa_private_key = ? WHERE network = 'oftc'", (keys["libera.chat"].to_der(),)
        )
    with pytest.raises(StoreError) as caught:
        Identities(database).for_network("oftc")
    assert "The key for oftc is damaged" in sentence(caught.value)
    database.close()
