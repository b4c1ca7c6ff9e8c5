"""Two runners in one process on a real server: what a host and a connection do together."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from otrcore.account import Account
from otrcore.errors import StoreError
from otrcore.events import (
    HandshakeFailed,
    NotSent,
    SessionEnded,
    SessionOpened,
    SmpAborted,
    SmpAsked,
    SmpEnd,
    SmpFailed,
    SmpSucceeded,
    Transmit,
)
from otrcore.irc.actions import Action, Send, ShowMessage
from otrcore.irc.commands import Command, Table
from otrcore.irc.connection import runner as runner_module
from otrcore.irc.connection.address import ServerAddress
from otrcore.irc.connection.pacing import MAX_LINES_PER_TARGET, Pace
from otrcore.irc.host import IrcHost
from otrcore.irc.lines import split_text
from otrcore.model import MessageState, Protection
from otrcore.wire.text import TAG_BASE
from tests.irc.connection.hostile_server import HostileServer, Peer
from tests.irc.connection.people import PATIENCE, Person, Scene
from tests.pair import identity


def test_plain_then_secured_then_ended(scene: Scene) -> None:
    alice, bob = scene.join("alice"), scene.join("bob")
    assert alice.networks == [alice.runner.network] == ["demo"]
    assert alice.runner.fingerprint == identity("alice").fingerprint
    assert (alice.runner.nick, alice.runner.registered) == ("alice", True)

    alice.runner.say("bob", "hello in the clear")
    scene.until(lambda: bob.plain_texts)
    assert bob.plain_texts == ["hello in the clear"]

    alice.runner.start("bob")
    scene.until(lambda: alice.has(SessionOpened) and bob.has(SessionOpened))
    assert alice.runner.state("bob") is bob.runner.state("alice") is MessageState.ENCRYPTED

    alice.runner.say("bob", "hello é€😀")
    bob.runner.act("alice", "waves")
    scene.until(lambda: alice.encrypted_texts and bob.encrypted_texts)
    assert bob.encrypted_texts == ["hello é€😀"]
    assert alice.shown[-1] == ShowMessage("bob", ("waves",), Protection.ENCRYPTED, is_action=True)

    alice.runner.end("bob")
    scene.until(lambda: bob.has(SessionEnded))
    bob.runner.say("alice", "not sent")
    assert isinstance(bob.notes[-1].event, NotSent)
    assert bob.notes[-1].typed == "not sent"
    bob.runner.end("alice")
    bob.runner.say("alice", "in the clear again")
    scene.until(lambda: alice.plain_texts)
    assert alice.plain_texts == ["in the clear again"]
    assert bob.plain_texts == ["hello in the clear"], "everything else was encrypted"


@pytest.mark.parametrize("right", [True, False])
def test_one_verifies_the_other(scene: Scene, right: bool) -> None:
    alice, bob = scene.secured()
    alice.runner.command("bob", "smp ask Which street?")
    (prompt,) = alice.prompts
    assert (prompt.peer, prompt.question) == ("bob", "Which street?")
    alice.secret("our street")
    scene.until(lambda: bob.has(SmpAsked))
    assert not bob.prompts, "nobody is asked for a secret before he says so"
    bob.runner.command("alice", "smp answer")
    bob.secret("our street" if right else "your street")
    end = SmpSucceeded if right else SmpFailed
    scene.until(lambda: alice.has(end) and bob.has(end))
    assert alice.notes[-1].event == end(trusts=True)
    assert bob.notes[-1].event == end(trusts=False)
    for person in (alice, bob):
        assert person.plain_messages == []
        assert person.encrypted_texts == []
        assert "our street" not in repr(person.shown)


def test_a_verification_is_refused(scene: Scene) -> None:
    alice, bob = scene.secured()
    alice.runner.command("bob", "smp ask")
    alice.secret("our street")
    scene.until(lambda: bob.has(SmpAsked))
    bob.runner.command("alice", "smp answer")
    bob.secret("")
    scene.until(lambda: alice.has(SmpAborted))
    assert [note.event for note in (alice.notes[-1], bob.notes[-1])] == [
        SmpAborted(SmpEnd.PEER),
        SmpAborted(SmpEnd.HERE),
    ]


def test_a_prompt_is_closed_on_the_screen_when_the_session_ends(scene: Scene) -> None:
    alice, bob = scene.secured()
    alice.runner.command("bob", "smp ask")
    bob.runner.command("alice", "end")
    scene.until(lambda: alice.has(SessionEnded))
    assert alice.closed == alice.prompts
    alice.secret("our street")
    assert "not asked for any more" in alice.notes[-1].lines[0]
    assert "our street" not in repr(alice.shown)


def test_an_offer_of_otr_leaves_with_the_text_that_it_is_in(scene: Scene) -> None:
    """The verdict on a text to somebody who is known to have OTR is to send another one."""
    alice, bob = scene.join("alice"), scene.join("bob")
    bob.runner.command("alice", "policy never")
    alice.runner.command("bob", "policy opportunistic")
    alice.runner.say("bob", "hello there")
    scene.until(lambda: any("hello" in text for text in bob.plain_texts))
    assert any(TAG_BASE in text for text in bob.plain_texts)


def test_every_command_is_answered_here(scene: Scene) -> None:
    """With a note or a prompt, and with nothing that the other one sees."""
    alice, bob = scene.secured()
    shown = len(bob.shown)
    for words in (
        "help",
        "status",
        "smp ask",
        "smp answer",
        "policy",
        "trust",
        "no command",
        "start",
        "send",
    ):
        alice.shown.clear()
        alice.prompts.clear()
        alice.runner.command("bob", words)
        assert alice.notes or alice.prompts, words
    assert len(bob.shown) == shown
    alice.runner.command("bob", "refresh")
    scene.until(lambda: bob.has(SessionOpened) and len(bob.shown) > shown)
    assert bob.plain_messages == []


def test_long_texts_arrive_whole(scene: Scene) -> None:
    alice, bob = scene.secured()
    texts = ["x" * size + "." for size in (300, 600, 1000, 5000)]
    for text in texts:
        alice.runner.say("bob", text)
        bob.runner.say("alice", text)
    scene.until(lambda: len(bob.encrypted_texts) == len(alice.encrypted_texts) == len(texts))
    assert alice.encrypted_texts == bob.encrypted_texts == texts


def test_a_plain_text_that_is_longer_than_a_line_is_cut(scene: Scene) -> None:
    alice, bob = scene.join("alice"), scene.join("bob")
    text = " ".join(f"wörd{number}" for number in range(200))
    alice.runner.say("bob", text)
    scene.until(lambda: bob.plain_texts and bob.plain_texts[-1].endswith("wörd199"))
    assert len(bob.plain_texts) > 1
    assert " ".join(bob.plain_texts) == text
    for message in bob.plain_messages:
        assert len(f":{message.mask} PRIVMSG bob :{message.text}\r\n".encode()) <= 512

    bob.plain_messages.clear()
    alice.runner.act("bob", text)
    scene.until(lambda: bob.plain_texts and "wörd199" in bob.plain_texts[-1])
    pieces = bob.plain_texts
    assert all(piece.startswith("\x01ACTION ") and piece.endswith("\x01") for piece in pieces)
    assert " ".join(piece[len("\x01ACTION ") : -1] for piece in pieces) == text


def test_a_typed_line_break_makes_no_command(scene: Scene) -> None:
    alice, bob = scene.join("alice"), scene.join("bob")
    alice.runner.say("bob", "a\r\nQUIT :gone\0b")
    scene.until(lambda: bob.plain_texts)
    assert bob.plain_texts == ["aQUIT :goneb"]


def test_a_list_of_targets(scene: Scene) -> None:
    alice, bob = scene.secured()
    carol = scene.join("carol")
    alice.runner.say("bob,carol", "hello both")
    scene.until(lambda: bob.encrypted_texts and carol.plain_texts)
    assert (bob.encrypted_texts, bob.plain_texts) == (["hello both"], [])
    assert (carol.encrypted_texts, carol.plain_texts) == ([], ["hello both"])


def test_nobody_of_that_name(scene: Scene) -> None:
    """That nobody is there is told: else the user waits for an answer, or believes to be heard."""
    alice = scene.join("alice")
    alice.runner.start("nobody")
    scene.until(lambda: alice.notes)
    assert "nobody" in alice.notes[0].lines[0]
    alice.shown.clear()
    alice.runner.say("nobody", "hello?")
    scene.until(lambda: alice.notes)
    assert "nobody" in alice.notes[0].lines[0]


def test_to_who_left_nothing_is_sent_plain(scene: Scene) -> None:
    alice, bob = scene.secured()
    # No proper end: the connection breaks off.
    bob.runner._connection.quit()
    scene.people.remove(bob)
    alice.runner.say("bob", "are you there?")
    scene.until(lambda: alice.runner.state("bob") is MessageState.FINISHED)
    stranger = scene.join("bob")
    alice.runner.say("bob", "a secret")
    assert alice.notes[-1].typed == "a secret"
    alice.runner.end("bob")
    alice.runner.say("bob", "hello stranger")
    scene.until(lambda: stranger.plain_texts)
    assert stranger.plain_texts == ["hello stranger"]


def test_what_is_to_leave_as_a_notice_does(server: ServerAddress) -> None:
    def tell(_host: IrcHost, nick: str, argument: str) -> list[Action]:
        return [Send(nick, (argument,), "NOTICE"), Send(nick, (argument,))]

    scene = Scene(server)
    alice = Person(
        server, "alice", commands=Table([Command("tell", "say it in both ways", tell, argument="TEXT")])
    )
    scene.people.append(alice)
    alice.runner.connect()
    bob = scene.join("bob")
    scene.until(lambda: alice.is_ready)
    alice.runner.command("bob", "tell hello")
    scene.until(lambda: len(bob.plain_messages) == 2)
    assert [(message.command, message.text) for message in bob.plain_messages] == [
        ("NOTICE", "hello"),
        ("PRIVMSG", "hello"),
    ]
    scene.close()


def test_leaving_ends_every_conversation(scene: Scene) -> None:
    alice, bob = scene.secured()
    carol = scene.join("carol")
    carol.runner.start("alice")
    scene.until(lambda: carol.has(SessionOpened) and alice.runner.state("carol") is MessageState.ENCRYPTED)
    alice.runner.close("good night")
    scene.until(lambda: bob.has(SessionEnded) and carol.has(SessionEnded))
    assert bob.runner.state("alice") is carol.runner.state("alice") is MessageState.FINISHED
    assert not alice.runner.registered
    alice.runner.close("twice is once")


def test_time_reaches_the_host(scene: Scene) -> None:
    alice, bob = scene.join("alice"), scene.join("bob")
    # Bob's host never hears of it, as nobody runs it.
    scene.people.remove(bob)
    alice.runner.start("bob")
    alice.runner.process(0.05)
    assert alice.notes == []
    alice.let_pass(80)
    scene.until(lambda: alice.has(HandshakeFailed))
    scene.people.append(bob)


def test_a_full_queue_hands_the_text_back(scene: Scene) -> None:
    scene.join("bob")
    slow = scene.join("carol", pace=Pace(burst=1, per_second=0.0001))
    for number in range(MAX_LINES_PER_TARGET):
        slow.runner.say("bob", f"line {number}")
    assert slow.notes == []
    slow.runner.say("bob", "one too many")
    assert slow.notes[-1].typed == "one too many"
    assert "Too much is waiting" in slow.notes[-1].lines[0]
    slow.runner.act("bob", "waves")
    assert "waves" in (slow.notes[-1].typed or "")
    scene.people.remove(slow)
    slow.runner._connection.quit(flush_for=0)


def test_a_full_queue_hands_an_encrypted_text_back(scene: Scene) -> None:
    alice, bob = scene.secured()
    full = False
    # Nobody processes, so nothing leaves: the queue can only grow.
    for number in range(2 * MAX_LINES_PER_TARGET):
        alice.runner.say("bob", f"text {number}")
        full = any("Too much is waiting" in note.lines[0] for note in alice.notes)
        if full:
            break
    assert full
    assert alice.notes[-1].typed == f"text {number}"
    scene.until(lambda: len(bob.encrypted_texts) == number)
    alice.runner.say("bob", "after that")
    scene.until(lambda: bob.encrypted_texts[-1] == "after that")


def test_nobody_is_asked_to_send_again_what_nobody_has_typed(scene: Scene) -> None:
    alice = scene.join("alice")
    while alice.runner.send_lines("bob", ["filler"]):
        pass
    alice.runner.start("bob")
    told = "A line of OTR's to bob was not sent, as too much is waiting: /otr status tells how it stands."
    assert [(note.lines, note.typed) for note in alice.notes] == [((told,), None)]


def test_without_a_connection_the_text_is_handed_back(server: ServerAddress) -> None:
    person = Person(server, "alice")
    person.runner.say("bob", "too early")
    assert person.notes[-1].typed == "too early"
    assert "not connected" in person.notes[-1].lines[0]
    person.runner.start("bob")
    assert "Not connected yet" in person.notes[-1].lines[0]
    person.runner.close("never begun")


def test_keys_that_cannot_be_had_stop_the_runner(server: ServerAddress) -> None:
    def refuse(network: str) -> Account:
        raise StoreError(f"No keys for {network}.")

    person = Person(server, "alice", account_for=refuse)
    person.runner.connect()
    deadline = time.monotonic() + PATIENCE
    with pytest.raises(StoreError, match=r"^No keys for demo\.$"):
        while time.monotonic() < deadline:
            person.runner.process(0.05)
    assert not person.is_ready
    person.runner.close("without keys")


def test_a_lost_connection_is_told(server: ServerAddress) -> None:
    def script(peer: Peer) -> None:
        peer.register()
        peer.send("ERROR :Closing Link: go away")

    with HostileServer(script) as hostile:
        scene = Scene(hostile.address)
        alice = scene.join("alice")
        scene.until(lambda: alice.lost)
    assert "go away" in (alice.lost or "")
    alice.runner.say("bob", "still there?")
    assert alice.notes[-1].typed == "still there?"
    alice.runner.start("bob")
    assert (
        alice.notes[-1].lines[0].startswith("A line of OTR's to bob was not sent, as you are not connected")
    )
    assert alice.notes[-1].typed is None


@pytest.fixture
def bounded_cutting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a text that is cut without end fail the test, not the machine."""

    def cut(text: str, limit: int) -> Iterator[str]:
        for number, piece in enumerate(split_text(text, limit)):
            assert number <= len(text), f"no end to the pieces for lines of {limit} bytes"
            yield piece

    monkeypatch.setattr(runner_module, "split_text", cut)


@pytest.mark.usefixtures("bounded_cutting")
@pytest.mark.parametrize(
    "mask",
    [
        "{nick}!u@" + "h" * 440,
        "{nick}!u@" + "h" * 5000,
        "{nick}!u@" + "\N{PILE OF POO}" * 100,
        "{nick}!" + "\N{PILE OF POO}" * 50 + "@" + "\N{PILE OF POO}" * 100,
    ],
    ids=["long", "endless", "many bytes", "no room at all"],
)
@pytest.mark.parametrize("peer", ["bob", "b" * 100])
def test_names_that_leave_no_room_do_no_harm(mask: str, peer: str) -> None:
    """The server chooses what stands before a text; however long, the text ends sent or handed back."""
    received: list[str] = []

    def script(server: Peer) -> None:
        nick = server.asked_nick()
        server.until("USER ")
        server.welcome(nick, mask=mask)
        server.send(f":{peer}!b@h PRIVMSG alice :ready")
        received.extend(server.closed_by_client())

    texts = ("short", "é" * 300, "wörds " * 100)
    with HostileServer(script) as hostile:
        scene = Scene(hostile.address)
        alice = scene.join("alice")
        scene.until(lambda: alice.plain_texts)
        for text in texts:
            alice.runner.say(peer, text)
            alice.runner.act(peer, text)
        alice.runner.start(peer)
        alice.runner.close("done")
    handed_back = "".join(note.typed or "" for note in alice.notes)
    for text in texts:
        assert text in handed_back or any(text[:5] in line for line in received)


@pytest.mark.usefixtures("bounded_cutting")
def test_a_target_that_leaves_no_room_does_no_harm(scene: Scene) -> None:
    alice = scene.join("alice")
    for target in ("b" * 500, "b" * 2000):
        alice.runner.say(target, "hello")
        alice.runner.start(target)
        plain, encrypted = (note.lines[0] for note in alice.notes)
        assert plain.endswith(encrypted), "both say the same"
        alice.shown.clear()


def test_lines_use_the_room_that_a_known_mask_leaves() -> None:
    """The mask may be known before the registration is over; it must not be forgotten then."""
    lines: list[str] = []

    def script(peer: Peer) -> None:
        nick = peer.asked_nick()
        peer.until("USER ")
        peer.send(f":irc.test 001 {nick} :Welcome", f":{nick}!u@h MODE {nick} :+i")
        peer.send(f":irc.test 422 {nick} :MOTD File is missing")
        probe = peer.until(f"NOTICE {nick} :")
        peer.send(f":{nick}!u@h {probe}")
        talk = Account(identity("bob"), name="bob").conversation("alice")
        events = talk.start()
        while True:
            for event in events:
                if isinstance(event, Transmit):
                    peer.send(*(f":bob!b@h PRIVMSG {nick} :{line}" for line in event.lines))
            if talk.state is MessageState.ENCRYPTED:
                break
            lines.append(peer.until("PRIVMSG bob :").partition(" :")[2])
            events = talk.receive(lines[-1])
        peer.closed_by_client()

    with HostileServer(script) as server:
        scene = Scene(server.address)
        alice = scene.join("alice")
        scene.until(lambda: alice.has(SessionOpened))
        alice.runner.close("done")
    # The longest line fills what is delivered: 512 bytes with its prefix and line end.
    assert max(map(len, lines)) == 510 - len(":alice!u@h PRIVMSG bob :")
