"""Private keys under a passphrase: asked for under number 0, and nothing leaves to people before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from otrcore.engine.prompts import UNLOCK
from otrcore.policy import ALWAYS
from otrcore.store.store import Store
from tests.engine.conftest import Joining
from tests.engine.engines import Local, Process, furnished
from tests.engine.room import Client, Person, Room
from tests.pair import identity

PASSPHRASE = "correct horse"
ABOUT = {"host": "irc.example", "nick": "alice", "mask": None, "isupport": ["NETWORK=Testnet"]}


@pytest.fixture
def locked(folder: Path) -> Path:
    """A data folder whose private keys are locked."""
    furnished(folder / "data", "alice")
    with Store(folder / "data") as store:
        store.identities.seal(PASSPHRASE)
    return folder / "data"


@pytest.fixture
def client(locked: Path) -> Iterator[Client]:
    """A client whose engine is locked."""
    client = Client()
    engine = client.engine = Local(locked, client.heard)
    yield client
    engine.close()


@pytest.fixture
def alice(client: Client, room: Room) -> Person:
    return room.join("alice", client)


def test_the_passphrase_is_asked_for(alice: Person) -> None:
    assert list(alice.client.prompts) == [UNLOCK]
    prompt = alice.client.prompts[UNLOCK]
    assert (prompt["server"], prompt["peer"]) == ("", "")
    assert prompt["lines"]
    decisions = alice.say("bob,#chan", "hello")
    assert [decision["verdict"] for decision in decisions] == ["drop", "pass"]
    (note,) = decisions[0]["actions"]
    assert "locked" in note["lines"][0] and note["typed"] == "hello"


def test_the_right_one(alice: Person, local: Joining) -> None:
    alice.client.answer(UNLOCK, PASSPHRASE)
    assert not alice.client.prompts
    assert alice.say("bob", "hello")[0]["verdict"] == "pass"
    bob = local("bob")
    alice.room.secure(alice, bob)
    alice.say("bob", "secret")
    alice.room.until(lambda: bob.heard[-1:] == [("secret", "encrypted")])
    for part in identity("alice").fingerprint_4.lines():
        assert part in str(bob.client.notes())
    assert PASSPHRASE not in str(alice.client.done)


def test_a_wrong_one(alice: Person) -> None:
    alice.client.answer(UNLOCK, "wrong")
    assert any("not the passphrase" in line for line in alice.client.notes())
    assert list(alice.client.prompts) == [UNLOCK]
    assert alice.say("bob", "hello")[0]["verdict"] == "drop"
    alice.client.answer(UNLOCK, PASSPHRASE)
    assert alice.say("bob", "hello")[0]["verdict"] == "pass"


def test_none_at_all(alice: Person) -> None:
    refused = alice.client.engine.ask("answer", number=UNLOCK, secret="")
    assert refused["ok"] is False and "/otr status" in refused["why"]
    alice.client.prompts.clear()
    assert alice.say("bob", "hello")[0]["verdict"] == "drop"
    alice.command("bob", "status")
    assert list(alice.client.prompts) == [UNLOCK]
    alice.client.answer(UNLOCK, PASSPHRASE)
    assert alice.say("bob", "hello")[0]["verdict"] == "pass"


def test_servers_that_wait_for_it(client: Client, room: Room) -> None:
    alice = room.join("alice", client)
    other = Room("Othernet").join("alice", client, "other")
    assert list(client.prompts) == [UNLOCK]
    client.answer(UNLOCK, PASSPHRASE)
    assert alice.say("bob", "hello")[0]["verdict"] == "pass"
    assert other.say("bob", "hello")[0]["verdict"] == "pass"
    later = Room("Thirdnet").join("alice", client, "third")
    assert not client.prompts
    assert later.say("bob", "hello")[0]["verdict"] == "pass"


def test_policies_are_known_once_it_is_given(locked: Path, client: Client, room: Room) -> None:
    with Store(locked) as store:
        store.policies.set("testnet", ALWAYS)
        store.contacts.set_policy("testnet", "carol", ALWAYS)
    alice = room.join("alice", client)
    client.answer(UNLOCK, PASSPHRASE)
    assert alice.statuses[""]["requires"] is True
    assert alice.statuses["carol"]["requires"] is True


def test_keys_that_are_locked_by_another_program_meanwhile(folder: Path, room: Room, local: Joining) -> None:
    furnished(folder / "data", "alice")
    client = Client()
    engine = client.engine = Local(folder / "data", client.heard)
    alice, bob = room.join("alice", client), local("bob")
    room.secure(alice, bob)
    with Store(folder / "data") as store:
        store.identities.seal(PASSPHRASE)
    alice.say("bob", "goes on")
    room.until(lambda: bob.heard == [("goes on", "encrypted")])
    # A key of its own for another network, though, cannot be read.
    with Store(folder / "data", lambda: PASSPHRASE) as store:
        store.identities.put("othernet", identity("other"))
    other = Room("Othernet").join("alice", client, "other")
    assert list(client.prompts) == [UNLOCK]
    assert other.say("bob", "hello")[0]["verdict"] == "drop"
    client.answer(UNLOCK, PASSPHRASE)
    assert other.say("bob", "hello")[0]["verdict"] == "pass"
    engine.close()


def test_another_passphrase_meanwhile(locked: Path, client: Client, room: Room) -> None:
    alice = room.join("alice", client)
    client.answer(UNLOCK, PASSPHRASE)
    with Store(locked, lambda: PASSPHRASE) as store:
        store.identities.seal("another one")
        store.identities.put("othernet", identity("other"))
    other = Room("Othernet").join("alice", client, "other")
    assert list(client.prompts) == [UNLOCK]
    client.answer(UNLOCK, PASSPHRASE)
    assert list(client.prompts) == [UNLOCK]
    client.answer(UNLOCK, "another one")
    assert not client.prompts
    assert other.say("bob", "hello")[0]["verdict"] == "pass"
    assert alice.say("bob", "hello")[0]["verdict"] == "pass"


def test_it_is_asked_for_again_by_a_new_script(locked: Path, folder: Path) -> None:
    with Process(folder, data=locked) as engine:
        first = engine.connect()
        first.greet()
        asked = first.ask("connected", server="net", **ABOUT)["actions"]
        assert [action["number"] for action in asked] == [UNLOCK]
        first.close()
        second = engine.connect()
        second.greet()
        asked = second.ask("connected", server="net", **ABOUT)["actions"]
        assert [action["number"] for action in asked] == [UNLOCK]
        assert second.ask("answer", number=UNLOCK, secret=PASSPHRASE)["ok"]
        again = second.ask("connected", server="net", **ABOUT)
        assert again["fingerprint"] == str(identity("alice").fingerprint)
        second.close()


def test_an_answer_that_nobody_has_asked_for(local: Joining) -> None:
    alice = local("alice")
    assert alice.client.engine.ask("answer", number=UNLOCK, secret="x")["ok"] is True
    assert alice.client.engine.ask("answer", number=77, secret="x")["ok"] is False
