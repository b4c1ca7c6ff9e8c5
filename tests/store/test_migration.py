"""Files of earlier schema versions keep what is in them, whatever happens on their way to the present one."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from otrcore.crypto.dsa import DsaPrivateKey
from otrcore.errors import StoreError, StoreUnavailable
from otrcore.identity import Identity
from otrcore.model import Trust
from otrcore.store.database import FILE_NAME, Database
from otrcore.store.folder import private_file, private_folder
from otrcore.store.identities import Identities
from otrcore.store.schema import MIGRATIONS
from otrcore.store.sealing import new_seal, sealed
from otrcore.store.store import Store
from tests.store.keys import fingerprint
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

VERSION_3 = """
CREATE TABLE instance_tag (
    network TEXT NOT NULL,
    tag INTEGER NOT NULL,
    PRIMARY KEY (network, tag)
) STRICT;
CREATE TABLE identity (
    network TEXT PRIMARY KEY,
    fingerprint BLOB NOT NULL,
    dsa_private_key BLOB NOT NULL,
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
    cost INTEGER NOT NULL,
    wrapped_key BLOB NOT NULL
) STRICT;
CREATE TABLE network (
    claim TEXT NOT NULL,
    host TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (claim, host)
) STRICT;
CREATE TABLE network_policy (
    network TEXT PRIMARY KEY,
    policy TEXT NOT NULL
) STRICT;
CREATE TABLE contact (
    network TEXT NOT NULL,
    nick TEXT NOT NULL,
    versions TEXT NOT NULL,
    policy TEXT,
    seen INTEGER NOT NULL,
    PRIMARY KEY (network, nick)
) STRICT;
CREATE INDEX contact_seen ON contact (network, seen);
CREATE TABLE contact_key (
    network TEXT NOT NULL,
    nick TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    trust TEXT NOT NULL,
    verified TEXT,
    first_seen TEXT NOT NULL,
    last_seen TEXT,
    used INTEGER NOT NULL,
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
CREATE INDEX history_contact ON history (network, nick);
CREATE TABLE setting (
    client TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (client, name)
) STRICT;
PRAGMA user_version = 3;
"""
"""The last schema before version 4 of OTR, as it was."""

Keys = dict[str, DsaPrivateKey]

CREATED = "2025-01-02T03:04:05+00:00"
TAGS = (0x1234, 0xFFFFFFFF)
FORMER = fingerprint(7)


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


def make_3(folder: Path, keys: Keys, passphrase: str | None = None) -> None:
    """Make a file of version 3 with keys, perhaps locked, and a contact."""
    private_file(private_folder(folder) / FILE_NAME)
    seal, secret = (None, None) if passphrase is None else new_seal(passphrase)
    blobs = {
        network: key.to_der() if secret is None else sealed(secret, key.to_der(), network.encode())
        for network, key in keys.items()
    }
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection, connection:
        connection.executescript(VERSION_3)
        for network, key in keys.items():
            row = (network, Identity(key).fingerprint.digest, blobs[network], CREATED)
            connection.execute("INSERT INTO identity VALUES (?, ?, ?, ?)", row)
        if seal is not None:
            row_of_seal = (seal.salt, seal.cost, seal.wrapped_key)
            connection.execute("INSERT INTO sealing VALUES (1, ?, ?, ?)", row_of_seal)
        connection.execute(
            "INSERT INTO retired_identity VALUES ('oftc', ?, ?, ?)", (FORMER.digest, CREATED, CREATED)
        )
        connection.executemany("INSERT INTO instance_tag VALUES ('oftc', ?)", [(tag,) for tag in TAGS])
        connection.execute("INSERT INTO contact VALUES ('oftc', 'bob', '23', NULL, 1)")
        connection.execute(
            "INSERT INTO contact_key VALUES ('oftc', 'bob', ?, 'smp', ?, ?, ?, 1)",
            (FORMER.digest, CREATED, CREATED, CREATED),
        )


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


# ---- from before version 4 of OTR


def marks_of_4(folder: Path) -> dict[str, object]:
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        return dict(connection.execute("SELECT network, fingerprint_4 FROM identity").fetchall())


@pytest.mark.parametrize("passphrase", [None, "open sesame"])
def test_an_identity_gets_its_keys_for_version_4_when_it_is_first_used(
    folder: Path, keys: Keys, passphrase: str | None
) -> None:
    asked: list[None] = []

    def ask() -> str:
        asked.append(None)
        return passphrase or ""

    make_3(folder, keys, passphrase)
    with Store(folder, ask) as store:
        assert {row.fingerprint_4 for row in store.identities.rows()} == {None}
        for network in keys:
            store.identities.find(network)
    first = marks_of_4(folder)
    assert len(set(first.values())) == len(keys)
    assert None not in first.values()
    check_with(folder, keys, ask)
    assert marks_of_4(folder) == first, "the same from then on"
    assert len(asked) == (0 if passphrase is None else 2), "once by each program"
    with Store(folder, ask) as store:
        *_, former = store.identities.rows()
        assert (former.fingerprint, former.fingerprint_4, former.retired) == (FORMER, None, CREATED)
        (bob,) = store.contacts.find("bob")
        assert bob.memory.trust(FORMER) is Trust.SMP
        assert bob.versions == {2, 3}
    content = (folder / FILE_NAME).read_bytes()
    assert all((key.to_der() in content) is (passphrase is None) for key in keys.values())


def check_with(folder: Path, keys: Keys, ask: Callable[[], str]) -> None:
    with Store(folder, ask) as store:
        for network, key in keys.items():
            found = store.identities.find(network)
            assert found is not None
            assert found.dsa.to_der() == key.to_der()
            assert marks_of_4(folder)[network] == found.fingerprint_4.digest


def test_the_schema_of_version_3_becomes_that_of_a_file_made_today(
    folder: Path, keys: Keys, tmp_path: Path
) -> None:
    make_3(folder, keys)
    Database(folder).close()
    Database(tmp_path / "fresh").close()

    def columns(folder: Path) -> dict[str, list[tuple[object, ...]]]:
        with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
            names = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema ORDER BY name")]
            return {name: connection.execute(f"PRAGMA table_info({name})").fetchall() for name in names}

    assert columns(folder) == columns(tmp_path / "fresh")


def test_looking_at_an_identity_gives_it_no_keys(folder: Path, keys: Keys) -> None:
    make_3(folder, keys)
    Database(folder).close()
    before = (folder / FILE_NAME).read_bytes()
    with Store(folder) as store:
        for network in keys:
            store.identities.check(network)
        store.identities.check("another")
    assert (folder / FILE_NAME).read_bytes() == before


def test_processes_that_complete_an_identity_at_once_end_with_the_same(folder: Path, keys: Keys) -> None:
    make_3(folder, keys)
    with ExitStack() as running:
        others = [running.enter_context(Process("make-key", folder, "oftc")) for _ in range(4)]
        for other in others:
            assert other.said() == "ready"
        for other in others:
            other.go_on()
        said = {other.said() for other in others}
    with Store(folder) as store:
        found = store.identities.for_network("oftc")
    assert said == {f"{found.fingerprint} {found.fingerprint_4}"}


def test_who_is_slower_to_complete_an_identity_takes_what_the_faster_made(
    folder: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same as above, with the moment chosen: the other is done while our keys are being made."""
    make_3(folder, keys)
    read = Identities._read
    theirs = []

    def slowly(identities: Identities, *stored: Any) -> Identity:
        monkeypatch.undo()
        with Store(folder) as other:
            theirs.append(other.identities.for_network("oftc").fingerprint_4)
        return read(identities, *stored)

    with Store(folder) as store:
        monkeypatch.setattr(Identities, "_read", slowly)
        assert [store.identities.for_network("oftc").fingerprint_4] == theirs


def test_an_identity_that_was_deleted_meanwhile_is_not_completed(
    folder: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_3(folder, keys)
    read = Identities._read

    def slowly(identities: Identities, *stored: Any) -> Identity:
        monkeypatch.undo()
        with Store(folder) as other:
            other.identities.delete("oftc")
        return read(identities, *stored)

    with Store(folder) as store:
        monkeypatch.setattr(Identities, "_read", slowly)
        assert store.identities.find("oftc") is None
        assert {row.fingerprint_4 for row in store.identities.rows() if row.retired} == {None}


def test_keys_for_version_4_that_cannot_be_kept_are_not_used(folder: Path, keys: Keys) -> None:
    """Else peers would be shown another key every time."""
    make_3(folder, keys)
    with Store(folder) as store:
        with Process("read", folder) as reader:  # which lets the change begin, and keeps it from its end
            assert reader.said() == "reading"
            for use in (store.identities.find, store.identities.for_network):
                with pytest.raises(StoreUnavailable) as caught:
                    use("oftc")
                assert "in use by another program" in sentence(caught.value)
        assert set(marks_of_4(folder).values()) == {None}
        found = store.identities.for_network("oftc")
        assert marks_of_4(folder)["oftc"] == found.fingerprint_4.digest


def test_a_kill_while_an_identity_is_completed_leaves_all_of_it_or_nothing(
    tmp_path: Path, keys: Keys
) -> None:
    at = 0
    outcomes = set()
    came_to_it = True
    while came_to_it:
        at += 1
        folder = tmp_path / str(at)
        make_3(folder, keys)
        Database(folder).close()
        came_to_it = killed_at(at, partial(complete, folder))
        left = marks_of_4(folder)["oftc"]
        outcomes.add(left is None)
        with Store(folder) as store:
            found = store.identities.for_network("oftc")
            assert found.dsa.to_der() == keys["oftc"].to_der()
            assert left in (None, found.fingerprint_4.digest)
    assert outcomes == {True, False}


def complete(folder: Path) -> None:
    with Store(folder) as store:
        store.identities.find("oftc")


def test_locking_gives_identities_from_before_it_their_keys(folder: Path, keys: Keys) -> None:
    make_3(folder, keys)
    with Store(folder) as store:
        store.identities.seal("open sesame")
    assert None not in marks_of_4(folder).values()
    check_with(folder, keys, lambda: "open sesame")
