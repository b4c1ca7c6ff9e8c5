"""The SQLite file among several processes, and what is said when it cannot be used."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from otrcore.errors import StoreError
from otrcore.store.database import FILE_NAME, MIGRATIONS, Database
from otrcore.store.identities import Identities
from tests.store.processes import Process
from tests.store.sentences import sentence


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def database(folder: Path) -> Iterator[Database]:
    database = Database(folder)
    yield database
    database.close()


def put(database: Database, network: str) -> None:
    with database.transaction() as connection:
        connection.execute("INSERT INTO identity VALUES (?, x'00', '')", (network,))


def networks(database: Database) -> list[str]:
    return [row[0] for row in database.rows("SELECT network FROM identity ORDER BY rowid")]


def raw(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(folder / FILE_NAME, isolation_level=None)


def test_what_is_kept_is_there_after_opening_again(folder: Path) -> None:
    database = Database(folder)
    put(database, "one")
    database.close()
    again = Database(folder)
    assert networks(again) == ["one"]
    again.close()


def test_a_transaction_is_kept_whole_or_not_at_all(database: Database) -> None:
    put(database, "one")
    with pytest.raises(ZeroDivisionError), database.transaction() as connection:
        connection.execute("INSERT INTO identity VALUES ('two', x'00', '')")
        raise ZeroDivisionError
    assert networks(database) == ["one"]
    with pytest.raises(StoreError), database.transaction() as connection:
        connection.execute("INSERT INTO identity VALUES ('two', x'00', '')")
        connection.execute("INSERT INTO identity VALUES ('one', x'00', '')")
    assert networks(database) == ["one"]
    put(database, "two")
    assert networks(database) == ["one", "two"]


def test_deleted_keys_leave_no_trace(folder: Path, database: Database) -> None:
    canary = os.urandom(32)
    with database.transaction() as connection:
        connection.execute("INSERT INTO identity VALUES ('one', ?, '')", (canary,))
    assert canary in (folder / FILE_NAME).read_bytes()
    with database.transaction() as connection:
        connection.execute("DELETE FROM identity")
    assert canary not in (folder / FILE_NAME).read_bytes()
    assert [path.name for path in folder.iterdir()] == [FILE_NAME]


def test_the_schema_has_its_version(folder: Path, database: Database) -> None:
    assert raw(folder).execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)


def test_a_file_of_an_older_schema_is_brought_up_to_date(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    (folder / FILE_NAME).touch(mode=0o600)
    for _ in range(2):
        database = Database(folder)
        assert networks(database) == []
        database.close()


def test_a_file_of_a_newer_schema_is_left_alone(folder: Path) -> None:
    Database(folder).close()
    raw(folder).execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    before = (folder / FILE_NAME).read_bytes()
    with pytest.raises(StoreError) as caught:
        Database(folder)
    assert "newer otrcore" in sentence(caught.value)
    assert "locked" not in str(caught.value)
    assert (folder / FILE_NAME).read_bytes() == before
    # And it holds no lock on it.
    raw(folder).execute("BEGIN EXCLUSIVE")


@pytest.mark.parametrize("content", [b"not a database at all, but text\n" * 40, b"\0" * 4096])
def test_a_file_that_is_no_database_is_left_alone(folder: Path, content: bytes) -> None:
    folder.mkdir(mode=0o700)
    (folder / FILE_NAME).write_bytes(content)
    (folder / FILE_NAME).chmod(0o600)
    with pytest.raises(StoreError) as caught:
        Database(folder)
    assert "move it away to begin anew" in sentence(caught.value)
    assert (folder / FILE_NAME).read_bytes() == content


def test_a_damaged_file_is_told(folder: Path) -> None:
    database = Database(folder)
    for number in range(50):
        with database.transaction() as connection:
            row = (f"net{number}", b"k" * 500)
            connection.execute("INSERT INTO identity VALUES (?, ?, '')", row)
    database.close()
    path = folder / FILE_NAME
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    with pytest.raises(StoreError) as caught:
        Identities(Database(folder)).for_network("net1")
    assert "move it away to begin anew, or bring a copy back" in sentence(caught.value)
    with pytest.raises(StoreError) as caught:
        Identities(Database(folder)).claim_instance_tag("net1")
    assert sentence(caught.value)


def test_a_file_that_lost_its_tables_is_told(folder: Path) -> None:
    Database(folder).close()
    raw(folder).execute("DROP TABLE identity")
    with pytest.raises(StoreError) as caught:
        Identities(Database(folder)).for_network("net")
    assert "no such table" in sentence(caught.value)


def test_a_file_in_use_elsewhere_is_told(folder: Path) -> None:
    database = Database(folder)
    with Process("lock", folder) as other:
        assert other.said() == "locked"
        for attempt in (lambda: put(database, "one"), lambda: networks(database), lambda: Database(folder)):
            with pytest.raises(StoreError) as caught:
                attempt()
            assert "in use by another program" in sentence(caught.value)
        other.kill()
    put(database, "one")
    assert networks(database) == ["one"]
    database.close()


def test_after_a_reader_was_in_the_way_everything_works_again(folder: Path, database: Database) -> None:
    """A reader lets a change begin and keeps it from its end: half of it must not stay behind."""
    with Process("read", folder) as other:
        assert other.said() == "reading"
        with pytest.raises(StoreError) as caught:
            put(database, "one")
        assert "in use by another program" in sentence(caught.value)
        other.go_on()
        assert other.said() == "done"
    put(database, "two")
    assert networks(database) == ["two"], "nothing was kept of the change that failed"
    with Process("make-key", folder, "three") as another:
        assert another.said() == "ready"
        another.go_on()
        another.said()
    assert networks(database) == ["two", "three"]


def test_a_full_disk_is_told(database: Database) -> None:
    put(database, "one")
    with pytest.raises(StoreError) as caught, database.transaction() as connection:
        # As many pages as there are: SQLite then says what it says of a full disk.
        connection.execute("PRAGMA max_page_count = 1")
        for number in range(100):
            connection.execute("INSERT INTO identity VALUES (?, zeroblob(4000), '')", (str(number),))
    assert "no room left" in sentence(caught.value)
    with database.transaction() as connection:
        connection.execute("PRAGMA max_page_count = 1000")
    assert networks(database) == ["one"]
    put(database, "two")


def test_a_kill_in_the_middle_of_a_change_leaves_what_was_before(folder: Path) -> None:
    identities = Identities(Database(folder))
    before = identities.for_network("net").fingerprint
    untouched = (folder / FILE_NAME).read_bytes()
    with Process("half-write", folder) as other:
        assert other.said() == "half"
        other.kill()
    # Were the change not in the file yet, this would prove nothing.
    assert (folder / FILE_NAME).read_bytes() != untouched
    assert (folder / f"{FILE_NAME}-journal").exists()
    database = Database(folder)
    assert Identities(database).for_network("net").fingerprint == before
    assert networks(database) == ["net"]
    assert database.rows("PRAGMA integrity_check") == [("ok",)]
    database.close()


def test_kills_at_any_moment_leave_a_readable_store(folder: Path) -> None:
    before = Identities(Database(folder)).for_network("first").fingerprint
    for round_number in range(5):
        with Process("write", folder, f"round{round_number}") as other:
            kept = [other.said() for _ in range(round_number * 3 + 1)]
            kept += other.kill()
        database = Database(folder)
        assert database.rows("PRAGMA integrity_check") == [("ok",)]
        assert set(kept) <= set(networks(database)), "what was told to be kept is kept"
        assert Identities(database).for_network("first").fingerprint == before
        database.close()
