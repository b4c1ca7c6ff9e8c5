"""A store that is out of reach at the start, or becomes so: conversations go on, and nothing is let out."""

from __future__ import annotations

import shutil
import sqlite3
import time
from pathlib import Path

from otrcore.client.link import DEADLINE
from otrcore.engine.frames import Frame
from otrcore.model import Trust
from otrcore.policy import ALWAYS
from otrcore.store.database import FILE_NAME
from otrcore.store.store import Store
from tests.engine.conftest import Joining
from tests.engine.engines import Local, Process, furnished, until
from tests.engine.room import Client, Person, Room
from tests.pair import identity


def joined(folder: Path, room: Room) -> Person:
    client = Client()
    client.engine = Local(folder, client.heard)
    return room.join("alice", client)


def test_a_damaged_store_at_the_start(folder: Path, room: Room) -> None:
    (folder / "data").mkdir(0o700)
    (folder / "data" / FILE_NAME).write_bytes(b"no database" * 1000)
    (folder / "data" / FILE_NAME).chmod(0o600)
    alice = joined(folder / "data", room)
    assert any("cannot be used" in line for line in alice.client.notes())
    assert alice.connect()["requires"]
    assert alice.say("bob", "held back")[0]["verdict"] == "drop"
    assert not room.crossed("held back")


def test_a_store_that_others_can_read_is_not_used(folder: Path, room: Room) -> None:
    furnished(folder / "data", "alice")
    (folder / "data" / FILE_NAME).chmod(0o644)
    engine = Local(folder / "data")
    about: Frame = {"host": "irc.example", "nick": "alice", "mask": None, "isupport": []}
    refused = engine.ask("connected", server="net", **about)
    assert refused["ok"] is False and refused["why"]
    held = engine.ask("outgoing", server="net", to="bob", text="x", command="PRIVMSG")
    assert held["decisions"][0]["verdict"] == "drop"
    assert refused["why"] in held["decisions"][0]["actions"][0]["lines"][0]
    (folder / "data" / FILE_NAME).chmod(0o600)
    assert engine.ask("connected", server="net", **about)["ok"]
    engine.close()


def test_a_store_that_is_locked_for_long_at_the_start(folder: Path, room: Room) -> None:
    furnished(folder / "data", "alice")
    other = sqlite3.connect(folder / "data" / FILE_NAME)
    other.execute("BEGIN EXCLUSIVE")
    with Process(folder, data=folder / "data") as engine:
        client = Client()
        link = client.engine = engine.connect(client.heard)
        began = time.monotonic()
        link.greet()
        alice = room.join("alice", client)
        assert time.monotonic() - began < DEADLINE, "the client waits no longer"
        link.poll()
        assert any("in use by another program" in line for line in client.notes())
        assert alice.say("bob", "held back")[0]["verdict"] == "drop"
        link.close()
    other.rollback()
    other.close()


def test_a_store_that_is_locked_meanwhile(local: Joining, room: Room, folder: Path) -> None:
    alice, bob = local("alice"), local("bob")
    other = sqlite3.connect(folder / "alice" / FILE_NAME)
    other.execute("BEGIN EXCLUSIVE")
    room.secure(alice, bob)
    alice.say("bob", "all the same")
    room.until(lambda: bob.heard == [("all the same", "encrypted")])
    alice.command("bob", "trust")
    assert alice.statuses["bob"]["trust"] == "compared"
    other.rollback()
    other.close()


def test_a_store_that_is_removed_meanwhile(local: Joining, room: Room, folder: Path) -> None:
    alice, bob = local("alice"), local("bob")
    room.secure(alice, bob)
    shutil.rmtree(folder / "alice")
    alice.say("bob", "all the same")
    room.until(lambda: bob.heard == [("all the same", "encrypted")])
    alice.command("bob", "trust")
    alice.client.engine.poll()
    assert alice.statuses["bob"]["trust"] == "compared"
    for typed in ("keys", "contacts", "version", "fingerprints bob", "forget carol"):
        answer = alice.client.engine.ask("command", server="net", peer="", typed=typed)
        assert "error inside" not in str(answer)
    assert alice.client.engine.ask("shutdown")["ok"]


def test_what_another_program_changes_is_heard_of_though_nobody_says_anything(
    real: Joining, room: Room, folder: Path
) -> None:
    alice, bob = real("alice"), real("bob")
    room.secure(alice, bob)
    with Store(folder / "alice" / "data") as store:
        store.contacts.judge("testnet", "bob", identity("bob").fingerprint_4, Trust.COMPARED)
    room.until(lambda: alice.statuses["bob"]["trust"] == "compared")
    with Store(folder / "alice" / "data") as store:
        store.contacts.set_policy("testnet", "carol", ALWAYS)
        store.policies.set("testnet", ALWAYS)
    room.until(lambda: "carol" in alice.statuses and alice.statuses["carol"]["requires"])
    room.until(lambda: "" in alice.statuses and alice.statuses[""]["requires"])


def test_an_engine_starts_where_there_is_no_folder_yet(folder: Path) -> None:
    with Process(folder, data=folder / "some" / "where") as engine:
        link = engine.connect()
        link.greet()
        about: Frame = {"host": "irc.example", "nick": "alice", "mask": None, "isupport": ["NETWORK=Testnet"]}
        answer = link.ask("connected", server="net", **about)
        assert answer["ok"] and answer["fingerprint"]
        until((folder / "some" / "where" / FILE_NAME).exists)
    with Store(folder / "some" / "where") as store:
        assert [str(row.fingerprint) for row in store.identities.rows()] == [answer["fingerprint"]]


def test_what_could_not_be_saved_is_saved_in_the_end(folder: Path) -> None:
    data = furnished(folder / "data", "alice")
    with Process(folder, data=data, patience=0.5) as engine:
        link = engine.connect()
        link.greet()
        about: Frame = {"host": "irc.example", "nick": "alice", "mask": None, "isupport": ["NETWORK=Testnet"]}
        assert link.ask("connected", server="net", **about)["ok"]
        other = sqlite3.connect(data / FILE_NAME)
        other.execute("BEGIN EXCLUSIVE")
        assert link.ask("command", server="net", peer="bob", typed="policy always")["ok"]
        other.rollback()
        other.close()
        link.close()
        engine.ended()
    with Store(data) as store:
        (bob,) = store.contacts.find("bob", "testnet")
        assert bob.policy is not None and bob.policy.require_encryption
