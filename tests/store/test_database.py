"""The SQLite file among several processes, and what is said when it cannot be used."""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from threading import Timer

import pytest

from otrcore.errors import StoreError, StoreUnavailable
from otrcore.model import Fingerprint
from otrcore.store.database import BUSY_MILLISECONDS, FILE_NAME, Database
from otrcore.store.identities import Identities
from otrcore.store.schema import MIGRATIONS
from otrcore.store.tags import InstanceTags
from tests.store.keys import private
from tests.store.processes import INTO_IDENTITY, NOBODY, Process, as_nobody, in_child
from tests.store.sentences import sentence
from tests.support import require


def put(database: Database, network: str) -> None:
    with database.transaction() as connection:
        connection.execute(f"{INTO_IDENTITY} (?, x'', x'00', '')", (network,))


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
        connection.execute(f"{INTO_IDENTITY} ('two', x'', x'00', '')")
        raise ZeroDivisionError
    assert networks(database) == ["one"]
    with pytest.raises(StoreError), database.transaction() as connection:
        connection.execute(f"{INTO_IDENTITY} ('two', x'', x'00', '')")
        connection.execute(f"{INTO_IDENTITY} ('one', x'', x'00', '')")
    assert networks(database) == ["one"]
    put(database, "two")
    assert networks(database) == ["one", "two"]


def test_deleted_keys_leave_no_trace(folder: Path, database: Database) -> None:
    canary = os.urandom(32)
    with database.transaction() as connection:
        connection.execute(f"{INTO_IDENTITY} ('one', x'', ?, '')", (canary,))
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
            connection.execute(f"{INTO_IDENTITY} (?, x'', ?, '')", row)
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
        InstanceTags(Database(folder)).claim("net1")
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


def test_who_opens_it_waits_for_a_change_to_end(folder: Path) -> None:
    """A chat that cannot open it begins with a key that nobody knows: that is worth some seconds."""
    put(Database(folder), "one")
    with Process("lock", folder) as other:
        assert other.said() == "locked"
        end = Timer(2 * BUSY_MILLISECONDS / 1000, other.go_on)
        end.start()
        database = Database(folder)
        assert networks(database) == ["one"]
        database.close()
        end.join()


def test_who_has_waited_in_vain_waits_no_more_until_it_works(folder: Path, database: Database) -> None:
    """One thing that a chat does asks the store several times."""
    with Process("lock", folder) as other:
        assert other.said() == "locked"
        waited = [refused(lambda: networks(database)), refused(lambda: put(database, "one"))]
        waited += [refused(lambda: networks(database))]
        assert waited[0] >= BUSY_MILLISECONDS / 1000 > 2 * sum(waited[1:])
        other.kill()
    put(database, "one")
    with Process("lock", folder) as other:
        assert other.said() == "locked"
        assert refused(lambda: put(database, "two")) >= BUSY_MILLISECONDS / 1000


def refused(attempt: Callable[[], object]) -> float:
    """Return for how many seconds something was tried in vain."""
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        attempt()
    return time.monotonic() - began


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
            connection.execute(f"{INTO_IDENTITY} (?, x'', zeroblob(4000), '')", (str(number),))
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


# ---- steps inside of steps


def test_a_step_inside_another_is_kept_with_it_or_not_at_all(database: Database) -> None:
    with database.transaction():
        put(database, "one")
        with pytest.raises(ZeroDivisionError), database.transaction():
            put(database, "two")
            raise ZeroDivisionError
        put(database, "three")
    assert networks(database) == ["one", "three"]
    with pytest.raises(ZeroDivisionError), database.transaction():
        put(database, "four")
        raise ZeroDivisionError
    assert networks(database) == ["one", "three"]


def test_an_error_inside_is_a_sentence_inside(database: Database) -> None:
    with database.transaction():
        put(database, "one")
        with pytest.raises(StoreUnavailable) as caught:
            put(database, "one")
        sentence(caught.value)
    assert networks(database) == ["one"]


def test_nothing_is_kept_once_the_disk_was_full_whoever_goes_on(database: Database) -> None:
    """SQLite takes the whole step back by itself; what comes after would be kept without the rest."""
    put(database, "before")
    for goes_on in (True, False):
        with pytest.raises(StoreUnavailable) as caught, database.transaction() as connection:
            put(database, "lost")
            connection.execute("PRAGMA max_page_count = 1")
            fill = f"{INTO_IDENTITY} (?, x'', zeroblob(4000), '')"
            with pytest.raises(sqlite3.OperationalError):
                for number in range(200):
                    connection.execute(fill, (f"{number}",))
            assert not connection.in_transaction
            if goes_on:
                put(database, "after")
        assert "Nothing was saved" in sentence(caught.value)
    with database.transaction() as connection:
        connection.execute("PRAGMA max_page_count = 1000")
    assert networks(database) == ["before"]


def test_an_interrupt_leaves_no_lock(folder: Path, database: Database) -> None:
    with pytest.raises(KeyboardInterrupt), database.transaction(), database.transaction():
        raise KeyboardInterrupt
    with raw(folder) as other:
        other.execute("BEGIN EXCLUSIVE")
    put(database, "one")


def test_opening_it_again_takes_no_lock_away(folder: Path, database: Database) -> None:
    """A process loses all its locks on a file that it closes, however often it has it open."""
    with database.transaction():
        put(database, "one")
        Database(folder).close()
        # Not a fork of this process, which would take our locks for its own.
        with Process("put", folder, "two") as other:
            assert "in use by another program" in sentence(other.said())
    assert networks(database) == ["one"]
    with Process("put", folder, "two") as other:
        assert other.said() == "kept"
    assert networks(database) == ["one", "two"]


# ---- what other processes do


def test_changes_of_others_show_in_the_version(folder: Path, database: Database) -> None:
    other = Database(folder)
    seen = [database.version()]
    assert database.version() == seen[0]
    for number in range(3):
        put(other, str(number))
        assert database.version() not in seen
        seen.append(database.version())
        assert database.version() == seen[-1]
    put(database, "ours")
    assert database.version() == seen[-1], "what we do ourselves is no news"
    networks(other)
    assert database.version() == seen[-1], "nor is what others read"
    other.close()


def test_the_version_can_be_asked_for_at_any_time(folder: Path, database: Database) -> None:
    """It is asked for before every message: nobody waits for it, and it raises nothing."""
    before = database.version()
    with Process("lock", folder) as other:
        assert other.said() == "locked"
        for _ in range(1000):  # would take minutes if each waited for the lock
            assert database.version() == before
    put(Database(folder), "one")
    assert database.version() != before
    with database.transaction():
        database.version()
    (folder / FILE_NAME).rename(folder / "away")
    known = database.version()
    assert database.version() == known
    (folder / FILE_NAME).write_bytes(b"no database")
    (folder / FILE_NAME).chmod(0o600)
    assert database.version() == known
    assert networks(database) == ["one"]


def test_a_change_while_nothing_could_be_written_is_not_missed(tmp_path: Path) -> None:
    """The connection that is opened to write begins to count anew."""
    folder = tmp_path / "data"
    Database(folder).close()

    def look() -> None:
        os.chmod("data/" + FILE_NAME, 0o400)
        reader = Database(Path("data"))
        assert reader.problem is not None
        before = reader.version()
        os.chmod("data/" + FILE_NAME, 0o600)
        put(Database(Path("data")), "theirs")
        put(reader, "ours")
        assert reader.version() != before

    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
        os.chown(folder / FILE_NAME, NOBODY, NOBODY)
    assert as_nobody(tmp_path, look) == ""


def test_a_file_that_was_put_in_place_of_it_is_used(folder: Path, database: Database, tmp_path: Path) -> None:
    put(database, "old")
    copy = Database(tmp_path / "copy")
    put(copy, "of the copy")
    copy.close()
    before = database.version()
    (tmp_path / "copy" / FILE_NAME).rename(folder / FILE_NAME)
    assert database.version() != before
    assert networks(database) == ["of the copy"]
    # And by who writes before asking.
    again = Database(tmp_path / "again")
    again.close()
    (tmp_path / "again" / FILE_NAME).rename(folder / FILE_NAME)
    put(database, "new")
    assert networks(database) == ["new"]
    assert networks(Database(folder)) == ["new"]


def test_a_file_that_is_gone_is_told_and_read_on(folder: Path, database: Database) -> None:
    """To begin anew by itself would be another key, which everybody would be warned of."""
    put(database, "one")
    (folder / FILE_NAME).rename(folder / "away")
    for _ in range(2):
        with pytest.raises(StoreUnavailable) as caught:
            put(database, "two")
        assert "moved away or removed" in sentence(caught.value)
        assert database.problem == str(caught.value)
    assert networks(database) == ["one"]
    assert not (folder / FILE_NAME).exists()
    (folder / "away").rename(folder / FILE_NAME)
    put(database, "two")
    assert database.problem is None
    assert networks(Database(folder)) == ["one", "two"]


@pytest.mark.parametrize("spoilt", ["newer", "damaged", "readable"])
def test_an_unusable_file_in_place_of_it_is_told_when_something_is_saved(
    folder: Path, database: Database, tmp_path: Path, spoilt: str
) -> None:
    put(database, "one")
    other = tmp_path / "other" / FILE_NAME
    Database(other.parent).close()
    if spoilt == "newer":
        raw(other.parent).execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    elif spoilt == "damaged":
        other.write_bytes(b"\0" * 5000)
    else:
        other.chmod(0o644)
    before = other.read_bytes()
    (folder / FILE_NAME).rename(folder / "away")
    other.rename(folder / FILE_NAME)
    database.version()
    with pytest.raises(StoreError) as caught:
        put(database, "two")
    said = {"newer": "newer otrcore", "damaged": "move it away", "readable": "can be read by others"}[spoilt]
    assert said in sentence(caught.value)
    assert networks(database) == ["one"]
    assert (folder / FILE_NAME).read_bytes() == before
    (folder / "away").rename(folder / FILE_NAME)
    put(database, "two")
    assert networks(Database(folder)) == ["one", "two"]


def test_three_processes_write_at_once(folder: Path) -> None:
    Identities(Database(folder)).for_network("first")
    with ExitStack() as running:
        others = [running.enter_context(Process("write", folder, name)) for name in "abc"]
        kept = [other.said() for _ in range(15) for other in others]
        kept += [name for other in others for name in other.kill()]
    assert len(kept) == len(set(kept))
    database = Database(folder)
    assert set(kept) <= set(networks(database))
    assert database.rows("PRAGMA integrity_check") == [("ok",)]


# ---- disks


@pytest.fixture(scope="session")
def own_disk() -> tuple[str, ...]:
    """What a process is started in to have disks that nobody else sees."""
    inside = ("unshare", "--mount", "--propagation", "private")
    for program in ("unshare", "mount"):
        require(program)
    if subprocess.run([*inside, "true"], check=False, capture_output=True).returncode:
        pytest.skip("only root can mount, and not everywhere")
    return inside


@pytest.mark.parametrize(("change", "said"), [("full", "no room left"), ("read-only", "cannot be written")])
def test_a_disk_that_takes_no_more(tmp_path: Path, own_disk: tuple[str, ...], change: str, said: str) -> None:
    with Process("scarce", tmp_path / "data", change, inside=own_disk) as process:
        for _ in range(2):
            told = sentence(process.said())
            assert said in told or "not writable" in told
        assert process.said() == "saved again"


def test_a_write_that_fails_at_any_byte_is_taken_back(tmp_path: Path) -> None:
    """Every file has a largest size here: the journal meets it first, or the database."""
    outcomes = []
    for limit in range(0, 50 * 4096, 3999):
        folder = tmp_path / str(limit)
        fingerprint = Identities(Database(folder)).put("net", private(0)).fingerprint
        outcomes.append(said := in_child(partial(_write_up_to, limit, folder, fingerprint)))
        assert said is not None
        database = Database(folder)
        if said:
            assert "no room left" in sentence(said)
            assert networks(database) == ["net", "after"]
        assert database.rows("PRAGMA integrity_check") == [("ok",)]
        database.close()
    assert outcomes[0]
    assert not outcomes[-1], "both sides of the limit were tried"


def _write_up_to(limit: int, folder: Path, fingerprint: Fingerprint) -> None:
    database = Database(folder)
    size = (folder / FILE_NAME).stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        with database.transaction() as connection:
            connection.execute("PRAGMA cache_size = 2")
            for number in range(20):
                put(database, f"other{number}")
                connection.execute(
                    "UPDATE identity SET dsa_private_key = zeroblob(3000) WHERE network = ?",
                    (f"other{number}",),
                )
    finally:
        if limit > size:  # else not even what is there can be written again, unlike on a full disk
            assert Identities(database).for_network("net").fingerprint == fingerprint
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        if database.problem is not None:
            put(database, "after")
            assert database.problem is None


# ---- damage


def test_a_negative_version_is_damage(folder: Path) -> None:
    Database(folder).close()
    raw(folder).execute("PRAGMA user_version = -1")
    with pytest.raises(StoreUnavailable) as caught:
        Database(folder)
    assert "cannot be used (damaged)" in sentence(caught.value)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE identity SET fingerprint = NULL",
        "UPDATE identity SET fingerprint = 'text'",
        "UPDATE identity SET dsa_private_key = 7",
        "UPDATE identity SET created = x'00'",
        "UPDATE identity SET network = NULL",
    ],
)
def test_values_of_another_type_are_damage(folder: Path, damage: str) -> None:
    """SQLite does not look at that when it reads."""
    database = Database(folder)
    put(database, "one")
    database.close()
    with raw(folder) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_schema SET sql = 'CREATE TABLE identity (network PRIMARY KEY, "
            "fingerprint, dsa_private_key, created)' WHERE name = 'identity'"
        )
    with raw(folder) as connection:
        connection.execute(damage)
    with pytest.raises(StoreUnavailable) as caught:
        Database(folder).rows("SELECT network, fingerprint, dsa_private_key, created FROM identity")
    assert "cannot be used (damaged)" in sentence(caught.value)
