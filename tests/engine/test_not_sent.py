"""A text that the client has given back to the user does not leave later either."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from otrcore.engine.servers import MAX_REMEMBERED
from otrcore.irc.lanes import Threads
from tests.engine.conftest import Joining
from tests.engine.engines import Local
from tests.engine.room import Person, Room


def late(person: Person, to: str, text: str) -> int:
    """Ask about a text, and let the answer come too late; return the number of the request."""
    engine = person.client.engine
    assert isinstance(engine, Local)
    answer = engine.ask("outgoing", server="net", to=to, text=text, command="PRIVMSG")
    assert answer["ok"]
    number = answer["re"]
    assert isinstance(number, int)
    return number


def not_sent(person: Person, number: int) -> None:
    assert person.client.engine.ask("not_sent", re=number) is not None


def test_a_text_that_waits_for_the_conversation(local: Joining, room: Room) -> None:
    alice, bob = local("alice"), local("bob")
    alice.command("bob", "start")
    not_sent(alice, late(alice, "bob", "given back"))
    alice.say("bob", "kept")
    room.until(lambda: bob.heard == [("kept", "encrypted")])
    room.until(lambda: alice.state("bob") == "encrypted")
    alice.client.engine.poll()
    room.deliver()
    assert bob.heard == [("kept", "encrypted")]
    assert not any(action.get("typed") == "given back" for action in alice.client.done)


def test_a_text_that_was_encrypted_is_not_said_again(local: Joining, room: Room) -> None:
    alice, bob = local("alice"), local("bob")
    room.secure(alice, bob)
    not_sent(alice, late(alice, "bob", "given back"))
    room.put(bob, "alice", "?OTR Error: I could not read that", "PRIVMSG")
    room.deliver()
    alice.command("bob", "refresh")
    room.until(lambda: all(str(one.client.notes()).count("Secured") > 1 for one in (alice, bob)))
    room.rest()  # the error may have made bob's client ask, too
    bob.say("alice", "ready")
    room.until(lambda: alice.heard == [("ready", "encrypted")])
    assert bob.heard == []


class Slow(Threads):
    """Lanes in which a step ends when the test lets it."""

    def __init__(self) -> None:
        super().__init__(0.0)
        self.gate = threading.Event()
        self.gate.set()

    def run(self, step: Callable[[], Any], then: Callable[[Any], None]) -> Any:
        def gated() -> Any:
            self.gate.wait(20)
            return step()

        return super().run(gated, then)


def test_a_text_that_waits_behind_a_step(local: Joining, room: Room) -> None:
    alice, bob = local("alice"), local("bob")
    room.secure(alice, bob)
    engine = alice.client.engine
    assert isinstance(engine, Local) and isinstance(engine.lanes, Threads)
    lanes = Slow()
    served = engine.servers._servers["net"]
    assert served.host is not None
    served.host._turns._lanes = lanes
    old, engine.lanes = engine.lanes, lanes
    old.close()
    lanes.gate.clear()
    bob.say("alice", "the step")
    room.deliver()
    number = late(alice, "bob", "given back")
    alice.say("bob", "kept")
    not_sent(alice, number)
    lanes.gate.set()
    room.until(lambda: bob.heard == [("kept", "encrypted")] and alice.heard == [("the step", "encrypted")])
    assert alice.own() == [("kept", True)]


@pytest.mark.parametrize("number", [0, -1, 1, 1 << 40])
def test_a_request_that_was_none(local: Joining, number: int) -> None:
    not_sent(local("alice"), number)


def test_only_the_newest_are_remembered(local: Joining, room: Room) -> None:
    alice = local("alice")
    numbers = [late(alice, "bob", str(count)) for count in range(MAX_REMEMBERED * 2)]
    engine = alice.client.engine
    assert isinstance(engine, Local)
    assert len(engine.servers._outgoing) == MAX_REMEMBERED
    for number in numbers:
        not_sent(alice, number)
    engine.ask("outgoing", server="net", to="bob", text="x", command="PRIVMSG")
    engine.servers.forget_requests()
    assert not engine.servers._outgoing


def test_each_of_several_targets(local: Joining, room: Room) -> None:
    alice, bob, carol = local("alice"), local("bob"), local("carol")
    alice.command("bob", "start")
    alice.command("carol", "start")
    not_sent(alice, late(alice, "bob,carol,#chan", "given back"))
    room.until(lambda: alice.state("bob") == alice.state("carol") == "encrypted")
    alice.say("bob,carol", "kept")
    room.until(lambda: bob.heard == carol.heard == [("kept", "encrypted")])
