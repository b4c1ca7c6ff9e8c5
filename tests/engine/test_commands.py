"""What stands behind /otr, in a conversation and outside, and its completion."""

from __future__ import annotations

from pathlib import Path

import pytest

from otrcore.engine.commands import MAX_LISTED, Commands, Desk
from otrcore.errors import UsageError
from otrcore.irc.commands import COMMANDS
from otrcore.model import Trust
from otrcore.store.store import Store
from tests.engine.conftest import Joining
from tests.engine.engines import Local
from tests.engine.room import Client, Person, Room
from tests.pair import identity

COMMANDS_HERE = Commands(Desk(lambda: None))


def said(person: Person, peer: str, typed: str) -> list[str]:
    """Return what a command has us read."""
    before = len(person.client.notes())
    person.command(peer, typed)
    return person.client.notes()[before:]


def test_every_hosts_commands_are_there(local: Joining) -> None:
    alice = local("alice")
    commands = alice.client.ask("hello", protocol=1, version="1", client="test")["commands"]
    names = [command["name"] for command in commands]
    assert names[: len(COMMANDS)] == [command.name for command in COMMANDS]
    assert {"forget", "fingerprints", "keys", "contacts", "log", "restart", "version"} <= set(names)
    assert all(command["about"] for command in commands)
    help_lines = "\n".join(said(alice, "", "help"))
    assert all(f"/otr {name}" in help_lines for name in names)


def test_an_unknown_command_does_nothing(local: Joining) -> None:
    alice = local("alice")
    assert "no such command" in said(alice, "bob", "frobnicate pond")[0]
    assert "pond" not in str(alice.client.done)


def test_keys_and_version(local: Joining, folder: Path) -> None:
    alice = local("alice")
    lines = said(alice, "", "keys")
    own = [*identity("alice").fingerprint.lines(), *identity("alice").fingerprint_4.lines()]
    assert lines[0] == "On testnet you have the keys:"
    assert [shown for line, shown in zip(lines[1:], own, strict=False) if line.endswith(shown)] == own
    assert any(line.split()[0] == "default," for line in lines[1:])
    assert str(folder / "alice") in said(alice, "", "version")[0]


def test_contacts_are_listed_and_bounded(local: Joining, folder: Path) -> None:
    alice = local("alice")
    assert said(alice, "", "contacts") == ["Nobody is known on testnet yet."]
    with Store(folder / "alice") as store:
        for number in range(MAX_LISTED + 7):
            store.contacts.add("testnet", f"peer{number}", identity("bob").fingerprint_4, Trust.NONE, "test")
    lines = said(alice, "", "contacts")
    assert len([line for line in lines if "not verified" in line]) == MAX_LISTED
    assert "and 7 more" in lines[-1]


def test_fingerprints_and_forget(local: Joining, room: Room) -> None:
    alice, bob = local("alice"), local("bob")
    assert said(alice, "bob", "fingerprints") == ["bob has used no key yet."]
    room.secure(alice, bob)
    alice.command("bob", "trust")
    shown = said(alice, "bob", "fingerprints")[1:]
    own = identity("bob").fingerprint_4.lines()
    assert all(line.endswith(one) for line, one in zip(shown, own, strict=True))
    assert "verified by comparing fingerprints, OTR 4:" in shown[0]
    assert "encrypted: /otr end first" in said(alice, "bob", "forget")[0]
    alice.command("bob", "end")
    assert "was verified" in said(alice, "bob", "forget")[0]
    assert said(alice, "bob", "fingerprints") == ["bob has used no key yet."]
    room.secure(alice, bob)
    assert alice.statuses["bob"]["trust"] == "none"


@pytest.mark.parametrize("nick", ["nobody", "b\udc80b", "#chan", "bob,carol"])
def test_forgetting_somebody_unknown(local: Joining, nick: str) -> None:
    (line,) = said(local("alice"), nick, "forget")
    assert "error" not in line


def test_log_is_the_clients(local: Joining) -> None:
    alice = local("alice")
    alice.command("bob", "log on")
    alice.command("bob", "log OFF")
    logs = [(action["peer"], action["on"]) for action in alice.client.done if action["a"] == "log"]
    assert logs == [("bob", True), ("bob", False)]
    assert "/otr log on" in said(alice, "bob", "log")[0]


def test_outside_a_conversation_a_command_names_its_peer(local: Joining, room: Room) -> None:
    alice, _ = local("alice"), local("bob")
    alice.command("", "start bob")
    room.until(lambda: alice.state("bob") == "encrypted")
    alice.command("", "smp ask bob Where did we meet?")
    (prompt,) = alice.client.prompts.values()
    assert (prompt["peer"], prompt["question"]) == ("bob", "Where did we meet?")
    alice.command("", "end bob")
    assert alice.state("bob") == "plaintext"
    refused = alice.client.engine.ask("command", server="net", peer="", typed="start")
    assert refused["ok"] is False and "/otr start NICK [SERVER]" in refused["why"]


def test_outside_a_conversation_a_command_may_name_the_server(local: Joining, room: Room) -> None:
    alice = local("alice")
    elsewhere = Room("Othernet")
    other = elsewhere.join("alice", alice.client, "other")
    alice.command("", "policy bob other always")
    assert other.statuses["bob"]["requires"] is True
    assert "bob" not in alice.statuses
    for where in ("", "nowhere"):
        refused = alice.client.engine.ask("command", server=where, peer="", typed="start bob")
        assert refused["ok"] is False
    answer = alice.client.engine.ask("command", server="", peer="", typed="status bob other")
    assert answer["ok"] and answer["actions"][0]["server"] == "other"


def test_a_command_from_nowhere_goes_to_the_only_server(local: Joining) -> None:
    alice = local("alice")
    answer = alice.client.engine.ask("command", server="", peer="", typed="status bob")
    assert answer["ok"] and answer["actions"][0]["server"] == "net"


@pytest.mark.parametrize(
    ("peer", "typed", "where"),
    [
        ("bob", "start", ("here", "bob", "start")),
        ("bob", "smp ask there is?", ("here", "bob", "smp ask there is?")),
        ("", "start carol", ("here", "carol", "start")),
        ("", "start  carol   there ", ("there", "carol", "start")),
        ("", "authq carol what is  it?", ("here", "carol", "smp ask what is  it?")),
        ("", "smp ask carol there what is it?", ("there", "carol", "smp ask what is it?")),
        ("", "SMP carol", ("here", "carol", "auth")),
        ("", "policy carol always", ("here", "carol", "policy always")),
        ("", "policy network always", ("here", "", "policy network always")),
        ("", "policy carol there network", ("there", "carol", "policy network")),
        ("", "log carol there on", ("there", "carol", "log on")),
        ("", "keys", ("here", "", "keys")),
        ("", "help", ("here", "", "help")),
        ("", "", ("here", "", "")),
        ("", "nonsense carol", ("here", "", "nonsense carol")),
        ("", "trust carol 12345678 12345678", ("here", "carol", "trust 12345678 12345678")),
    ],
)
def test_where_a_command_goes(peer: str, typed: str, where: tuple[str, str, str]) -> None:
    assert COMMANDS_HERE.address("here", peer, typed, ["here", "there"]) == where


@pytest.mark.parametrize("typed", ["start", "end ", "policy", "policy always", "log on", "smp ask"])
def test_a_peer_is_asked_for(typed: str) -> None:
    with pytest.raises(UsageError, match="NICK"):
        COMMANDS_HERE.address("here", "", typed, ["here"])


@pytest.mark.parametrize(
    ("peer", "typed", "words"),
    [
        ("bob", "sm", ["smp"]),
        ("bob", "smp a", ["ask", "answer", "abort"]),
        ("bob", "log ", ["on", "off"]),
        ("bob", "policy net", ["network"]),
        ("bob", "policy network al", ["always"]),
        ("bob", "start ", []),
        ("", "sm", ["smp"]),
        ("", "smp ", ["ask", "answer", "abort", "carol", "Dave"]),
        ("", "start ", ["carol", "Dave"]),
        ("", "start d", ["Dave"]),
        ("", "start carol ", ["here", "there"]),
        ("", "start carol t", ["there"]),
        ("", "smp ask carol t", ["there"]),
        ("", "log carol ", ["on", "off", "here", "there"]),
        ("", "log carol there ", ["on", "off"]),
        ("", "policy carol al", ["always"]),
        ("", "policy network al", ["always"]),
        ("", "policy c", ["carol"]),
        ("", "policy n", ["network"]),
        ("", "keys ", []),
        ("", "nonsense ", []),
    ],
)
def test_completion(peer: str, typed: str, words: list[str]) -> None:
    assert COMMANDS_HERE.complete(peer, typed, ["carol", "Dave"], ["here", "there"]) == words


def test_completion_over_the_link(local: Joining, room: Room) -> None:
    alice, bob = local("alice"), local("bob")
    room.secure(alice, bob)

    def completed(peer: str, typed: str) -> object:
        return alice.ask("complete", peer=peer, typed=typed)["words"]

    assert "start" in str(completed("bob", ""))
    assert completed("", "end ") == ["bob"]
    assert completed("", "end bob ") == ["net"]


def test_without_a_store_the_commands_say_so(folder: Path, room: Room) -> None:
    (folder / "data").mkdir(0o700)
    (folder / "data" / "otrcore.sqlite").write_bytes(b"no database" * 1000)
    (folder / "data" / "otrcore.sqlite").chmod(0o600)
    client = Client()
    engine = client.engine = Local(folder / "data", client.heard)
    alice = room.join("alice", client)
    assert "you have the key" in said(alice, "", "keys")[0]
    assert said(alice, "", "contacts") == ["Nobody is known on testnet yet."]
    assert "nothing can be forgotten" in said(alice, "bob", "forget")[0]
    assert "nothing is saved" in said(alice, "", "version")[0]
    engine.close()
