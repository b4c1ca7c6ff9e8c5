"""Two engines whose clients relay lines as an IRC network would."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from otrcore.engine.frames import Frame
from otrcore.policy import NEVER
from otrcore.store.store import Store
from tests.engine.conftest import Joining
from tests.engine.engines import Local
from tests.engine.room import Client, Person, Room


def compared(statuses: list[Frame]) -> list[tuple[object, ...]]:
    return [
        (status["peer"], status["state"], status["starting"], status["trust"], status["percent"])
        for status in statuses
    ]


def verified(one: Person, other: Person, answer: str = "the pond") -> None:
    """Let one ask the other, who answers."""
    one.command(other.nick, "smp ask Where did we meet?")
    one.client.answer(max(one.client.prompts), "the pond")
    one.room.until(lambda: any("asks" in line or "?" in line for line in other.client.notes()))
    one.room.until(lambda: other.statuses[one.nick]["percent"] is None)
    other.command(one.nick, "smp answer")
    other.client.answer(max(other.client.prompts), answer)


def test_a_conversation_from_start_to_end(join: Joining, room: Room) -> None:
    alice, bob = join("alice"), join("bob")
    assert alice.say("bob", "in the open")[0]["verdict"] == "pass"
    room.until(lambda: bob.heard == [("in the open", "pass")])
    room.secure(alice, bob)
    decision = alice.say("bob", "one secret")[0]
    assert decision["verdict"] == "drop"
    room.until(lambda: bob.heard[1:] == [("one secret", "encrypted")])
    assert alice.own() == [("one secret", True)]
    bob.say("alice", "\x01ACTION waves\x01")
    room.until(lambda: alice.heard == [("waves", "encrypted")])
    assert alice.shown[0]["action"] is True
    assert alice.shown[0]["mask"] == bob.mask
    assert alice.shown[0]["peer"] == "bob"
    alice.command("bob", "end")
    room.until(lambda: alice.state("bob") == "plaintext" and bob.state("alice") == "finished")
    assert bob.say("alice", "not any more")[0]["verdict"] == "drop"
    assert not any(room.crossed(text) for text in ("secret", "waves", "not any more"))


def test_an_own_line_that_looks_like_otr_is_text(local: Joining, room: Room) -> None:
    alice, bob = local("alice"), local("bob")
    room.secure(alice, bob)
    alice.say("bob", "?OTR is my secret")
    room.until(lambda: bob.heard == [("?OTR is my secret", "encrypted")])
    assert not room.crossed("my secret")


def test_a_long_text_goes_in_lines_that_keep_to_the_clients_limit(local: Joining, room: Room) -> None:
    alice, bob = local("alice"), local("bob")
    room.secure(alice, bob)
    alice.limit = 150
    text = "ünicode \U0001f600 and more of it " * 60
    alice.say("bob", text)
    room.until(lambda: bob.heard == [(text, "encrypted")])
    assert max(len(line.text.encode()) for line in room.lines) <= 150
    assert len(room.lines) > 10


def test_plain_text_in_an_encrypted_conversation_is_told_apart(local: Joining, room: Room) -> None:
    alice, bob = local("alice"), local("bob")
    room.secure(alice, bob)
    room.put(bob, "alice", "who am I?", "PRIVMSG")
    room.until(lambda: alice.heard == [("who am I?", "unexpected")])
    room.put(bob, "alice", "a notice", "NOTICE")
    room.until(lambda: alice.heard[1:] == [("a notice", "unexpected")])
    assert alice.shown[-1]["notice"] is True


def test_channels_and_services_are_never_held_back(local: Joining, room: Room) -> None:
    alice = local("alice")
    alice.command("bob", "policy always")
    decisions = alice.say("#chan,NickServ,bob", "hello")
    assert [(decision["to"], decision["verdict"]) for decision in decisions] == [
        ("#chan", "pass"),
        ("NickServ", "pass"),
        ("bob", "drop"),
    ]


def test_the_same_secret_verifies(join: Joining, room: Room) -> None:
    alice, bob = join("alice"), join("bob")
    room.secure(alice, bob)
    verified(alice, bob)
    room.until(lambda: alice.statuses["bob"]["trust"] == "smp")
    good = [action for action in alice.client.done if action["a"] == "note" and action["level"] == "good"]
    assert good and "the pond" not in str(alice.client.done)
    # Bob has only shown that he knows the secret: Alice has verified him, not the other way round.
    assert bob.statuses["alice"]["trust"] == "none"
    seen = [percent for *_, percent in compared(alice.told)]
    assert {25, 75} <= set(seen) and seen[-1] is None


def test_another_secret_does_not_verify(join: Joining, room: Room) -> None:
    alice, bob = join("alice"), join("bob")
    room.secure(alice, bob)
    verified(alice, bob, "the lake")
    room.until(lambda: any("NOT verified" in line for line in alice.client.notes()))
    assert alice.statuses["bob"]["trust"] == "none"
    assert alice.statuses["bob"]["percent"] is None
    warned = [
        action for action in alice.client.done if action["a"] == "note" and action["level"] == "warning"
    ]
    assert warned


def test_a_question_of_the_peer_is_shown_with_a_highlight(local: Joining, room: Room) -> None:
    alice, bob = local("alice"), local("bob")
    room.secure(alice, bob)
    alice.command("bob", "smp ask Where?")
    (prompt,) = alice.client.prompts.values()
    assert (prompt["peer"], prompt["by_peer"], prompt["question"]) == ("bob", False, "Where?")
    alice.client.answer(prompt["number"], "pond")
    room.until(
        lambda: [action for action in bob.client.done if action["a"] == "note" and action.get("highlight")]
    )
    bob.command("alice", "smp answer")
    (prompt,) = bob.client.prompts.values()
    assert (prompt["peer"], prompt["by_peer"], prompt["question"]) == ("alice", True, "Where?")
    alice.command("bob", "smp abort")
    room.until(lambda: not bob.client.prompts)


@pytest.mark.parametrize("end", ["smp abort", "end", "peer aborts", "peer ends", "peer is gone"])
def test_a_verification_that_comes_to_nothing(local: Joining, room: Room, end: str) -> None:
    alice, bob = local("alice"), local("bob")
    room.secure(alice, bob)
    alice.command("bob", "smp ask")
    alice.client.answer(max(alice.client.prompts), "pond")
    room.until(lambda: alice.statuses["bob"]["percent"] == 25)
    room.rename(bob, "robert")
    alice.client.engine.poll()
    assert alice.statuses["robert"]["percent"] == 25
    if end == "peer is gone":
        alice.ask("peer_gone", nick="robert", reason="Quit")
    elif end.startswith("peer"):
        bob.command("alice", "smp abort" if end == "peer aborts" else "end")
    else:
        alice.command("robert", end)
    room.until(lambda: alice.statuses["robert"]["percent"] is None)


def test_an_empty_secret_calls_it_off(local: Joining, room: Room) -> None:
    alice, bob = local("alice"), local("bob")
    room.secure(alice, bob)
    alice.command("bob", "smp ask")
    (number,) = alice.client.prompts
    alice.client.answer(number, "")
    assert not room.lines
    refused = alice.client.engine.ask("answer", number=number, secret="pond")
    assert refused["ok"] is False and "neither used nor kept" in refused["why"]


def test_a_conversation_follows_to_another_nick(join: Joining, room: Room) -> None:
    alice, bob = join("alice"), join("bob")
    room.secure(alice, bob)
    alice.command("bob", "smp ask")
    (number,) = alice.client.prompts
    room.rename(bob, "robert")
    renames = [action for action in alice.client.done if action["a"] == "rename"]
    assert renames == [{"a": "rename", "server": "net", "old": "bob", "new": "robert"}]
    assert alice.client.prompts[number]["peer"] == "robert"
    before = len(alice.told)
    alice.say("robert", "still here")
    room.until(lambda: bob.heard == [("still here", "encrypted")])
    bob.say("alice", "so am I")
    room.until(lambda: alice.heard == [("so am I", "encrypted")])
    assert alice.shown[0]["mask"] == bob.mask
    assert alice.told[before:] == []
    room.rename(alice, "alicia")
    bob.say("alicia", "and you")
    room.until(lambda: alice.heard[1:] == [("and you", "encrypted")])
    # Somebody else may take the old nick, and has nothing to do with it.
    assert alice.say("bob", "who is that")[0]["verdict"] != "drop"


def test_another_spelling_of_a_nick_is_the_same_one(local: Joining, room: Room) -> None:
    alice, bob = local("alice"), local("bob")
    room.secure(alice, bob)
    before = len(alice.told)
    alice.say("BOB", "loudly")
    room.until(lambda: bob.heard == [("loudly", "encrypted")])
    alice.ask("nick_changed", old="bob", new="Bob")
    assert alice.told[before:] == []
    alice.command("BoB", "end")
    assert [status["state"] for status in alice.told[before:]] == ["plaintext"]


def test_who_takes_the_nick_of_somebody_who_vanished_is_told_as_who_it_is(local: Joining, room: Room) -> None:
    alice, bob, carol = local("alice"), local("bob"), local("carol")
    room.secure(alice, bob)
    room.secure(alice, carol)
    room.people.remove(bob)
    room.rename(carol, "bob")
    alice.client.engine.poll()
    assert alice.told[-1]["peer"] == "bob" and alice.told[-1]["state"] == "encrypted"
    alice.say("bob", "for carol")
    room.until(lambda: carol.heard == [("for carol", "encrypted")])


def test_a_peer_that_is_gone_leaves_a_finished_conversation(local: Joining, room: Room) -> None:
    alice, bob = local("alice"), local("bob")
    room.secure(alice, bob)
    alice.ask("peer_gone", nick="bob", reason="Quit: bye")
    assert alice.state("bob") == "finished"
    assert any("bob is not there: Quit: bye." in line for line in alice.client.notes())
    assert alice.say("bob", "anybody?")[0]["verdict"] == "drop"
    assert alice.client.done[-1]["typed"] == "anybody?"
    assert not room.crossed("anybody?")


def test_the_client_itself_tells_of_others_who_leave(local: Joining) -> None:
    alice = local("alice")
    alice.command("carol", "policy opportunistic")
    alice.say("carol", "an offer goes with this")
    before = len(alice.client.done)
    alice.ask("peer_gone", nick="carol", reason="Ping timeout")
    alice.ask("peer_gone", nick="stranger", reason="Ping timeout")
    assert alice.client.done[before:] == []


def test_a_closed_buffer_ends_the_conversation_for_the_peer(local: Joining, room: Room) -> None:
    alice, bob = local("alice"), local("bob")
    room.secure(alice, bob)
    alice.ask("buffer_closed", peer="bob")
    assert alice.state("bob") == "plaintext"
    room.until(lambda: bob.state("alice") == "finished")
    before = len(alice.client.done)
    alice.ask("buffer_closed", peer="bob")
    alice.ask("buffer_closed", peer="nobody")
    assert alice.client.done[before:] == []


def test_a_lost_connection_leaves_finished_conversations(local: Joining, room: Room) -> None:
    alice, bob = local("alice"), local("bob")
    room.secure(alice, bob)
    alice.ask("disconnected")
    assert alice.state("bob") == "finished"
    alice.connect()
    assert alice.say("bob", "still me?")[0]["verdict"] == "drop"
    room.secure(alice, bob)
    alice.say("bob", "again")
    room.until(lambda: bob.heard == [("again", "encrypted")])


def test_shutdown_hands_out_what_ends_every_conversation(join: Joining, room: Room) -> None:
    alice, bob, carol = join("alice"), join("bob"), join("carol")
    room.secure(alice, bob)
    room.secure(alice, carol)
    before = len(alice.told)
    answer = alice.client.ask("shutdown")
    assert sorted(action["to"] for action in answer["actions"] if action["a"] == "send") == ["bob", "carol"]
    # The client goes on to hold back what was encrypted: nobody has chosen to go on without.
    assert alice.told[before:] == []
    room.people.remove(alice)
    room.until(lambda: bob.state("alice") == carol.state("alice") == "finished")


def test_a_policy_that_requires_encryption(local: Joining, room: Room) -> None:
    alice, bob = local("alice"), local("bob")
    alice.command("bob", "policy always")
    assert alice.statuses["bob"]["requires"] is True
    assert alice.statuses["bob"]["state"] == "plaintext"
    assert alice.say("bob", "waits for it")[0]["verdict"] == "drop"
    room.until(lambda: bob.heard == [("waits for it", "encrypted")])
    assert not room.crossed("waits")
    alice.command("bob", "end")
    assert alice.statuses["bob"]["requires"] is True
    alice.command("bob", "policy default")
    assert alice.statuses["bob"]["requires"] is False


def test_a_policy_for_the_network(local: Joining) -> None:
    alice = local("alice")
    assert alice.connect()["requires"] is False
    alice.command("", "policy network always")
    assert alice.statuses[""]["requires"] is True
    assert alice.connect()["requires"] is True
    assert alice.say("bob", "held")[0]["verdict"] == "drop"
    alice.command("", "policy network default")
    assert alice.statuses[""]["requires"] is False


def test_who_is_guarded_is_told_when_the_server_is(local: Joining, folder: Path, room: Room) -> None:
    alice = local("alice")
    alice.command("bob", "policy always")
    client = Client()
    engine = client.engine = Local(folder / "alice", client.heard)
    again = room.join("alice", client)
    assert again.statuses["bob"]["requires"] is True
    engine.close()


def test_statuses_are_complete_and_come_only_when_something_has_changed(local: Joining, room: Room) -> None:
    alice, bob = local("alice"), local("bob")
    room.secure(alice, bob)
    for text in ("one", "two", "three"):
        alice.say("bob", text)
        bob.say("alice", text)
        room.deliver()
    room.until(lambda: len(alice.heard) == 3)
    seen = compared(alice.told)
    assert all(one != other for one, other in pairwise(seen)), seen
    assert seen[0] == ("bob", "plaintext", True, "none", None)
    assert seen[-1] == ("bob", "encrypted", False, "none", None)
    assert alice.statuses["bob"]["version"] == 4
    hello = alice.client.ask("hello", protocol=1, version="1", client="test")
    assert hello["states"] == [alice.statuses["bob"]]
    assert hello["servers"] == ["net"]


def test_a_status_never_comes_after_the_verdict_that_needs_it(
    local: Joining, room: Room, folder: Path
) -> None:
    alice, bob = local("alice"), local("bob")
    room.secure(alice, bob)
    alice.command("bob", "end")
    assert alice.state("bob") == "plaintext"
    assert alice.say("bob", "plain again")[0]["verdict"] in ("pass", "replace")
    # Another program forbids OTR with Bob: the next line goes by that, and the status is known before.
    room.secure(alice, bob)
    with Store(folder / "alice") as store:
        store.contacts.set_policy("testnet", "bob", NEVER)
    (decision,) = alice.say("bob", "by the new policy")
    assert decision["verdict"] == "pass"
    assert alice.state("bob") == "plaintext"


@pytest.mark.parametrize("other", [["NETWORK=Othernet"], ["NETWORK=Testnet", "CASEMAPPING=rfc1459"]])
def test_on_another_network_the_people_are_others(local: Joining, room: Room, other: list[str]) -> None:
    alice, bob = local("alice"), local("bob")
    room.secure(alice, bob)
    alice.command("bob", "smp ask")
    alice.connect(isupport=other)
    assert alice.state("bob") == "finished"
    assert not alice.client.prompts
    assert alice.say("bob", "is it still you?")[0]["verdict"] == "drop"
    alice.command("bob", "end")
    assert alice.state("bob") == "plaintext"
    assert alice.say("bob", "who are you?")[0]["verdict"] != "drop"
    assert not room.crossed("is it still you?")


def test_two_servers_with_the_same_nicks_never_mix(local: Joining, room: Room, folder: Path) -> None:
    alice = local("alice")
    elsewhere = Room("Othernet")
    bob = local("bob")
    other_bob = elsewhere.join("bob", bob.client, "other")
    other_alice = elsewhere.join("alice", alice.client, "other")
    room.secure(alice, bob)
    assert other_alice.state("bob") == "plaintext"
    assert other_alice.say("bob", "in the open")[0]["verdict"] == "pass"
    elsewhere.until(lambda: other_bob.heard == [("in the open", "pass")])
    elsewhere.secure(other_alice, other_bob)
    alice.command("bob", "smp ask one?")
    other_alice.command("bob", "smp ask other?")
    asked = {prompt["server"]: prompt["number"] for prompt in alice.client.prompts.values()}
    assert len(set(asked.values())) == 2
    alice.client.answer(asked["other"], "pond")
    elsewhere.until(lambda: any("other?" in line for line in bob.client.notes()))
    assert not any("one?" in line for line in bob.client.notes())
    alice.client.answer(asked["net"], "pond")
    room.until(lambda: any("one?" in line for line in bob.client.notes()))
