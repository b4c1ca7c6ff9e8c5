"""The names of both in the chat network are authenticated: who gets another one begins anew."""

from __future__ import annotations

from otrcore.account import Account
from otrcore.events import (
    HandshakeEnd,
    HandshakeFailed,
    HandshakeStep,
    HeldBack,
    NotSent,
    Queued,
    SessionOpened,
)
from otrcore.v4 import dake
from tests.pair import SIDES, Pair, identity, speaking
from tests.spec import reading, reading4
from tests.spec.scripted4 import ScriptedPeer
from tests.spec.subject import sent
from tests.spec.subject4 import THEM, Subject


def test_our_name_changes_while_our_identity_is_out() -> None:
    """Fresh keys under the new name; what answers under the old one comes too late."""
    subject = Subject()
    old = subject.identity()
    subject.account.name = "renamed"
    (line,) = sent(subject.talk.renamed())
    new = reading.raw_of(line)
    assert reading4.exchange(new).point != reading4.exchange(old).point
    subject.take(subject.peer.auth_r("old", old))
    assert subject.talk.info is None
    subject.take(subject.peer.auth_r("new", new))
    assert subject.talk.info is None
    peer = ScriptedPeer(THEM, names=("them", "renamed"))
    subject.take(peer.auth_r("newer", new))
    assert subject.talk.info is not None


def test_the_name_of_the_peer_changes_while_we_wait_for_its_last_word() -> None:
    """It is the one to begin anew, under its new name; our user hears of it, and has back what waited."""
    subject = Subject()
    theirs = subject.peer.identity("old")
    auth_r = subject.take_for_reply(theirs)
    assert subject.talk.send("secret") == [Queued("secret")]
    subject.account.rename("them", "renamed")
    assert subject.talk.renamed() == [
        HandshakeFailed(HandshakeEnd.CANCELLED),
        NotSent("secret", HeldBack.NO_SESSION),
    ]
    assert not subject.talk.starting
    subject.take(subject.peer.auth_i(theirs, auth_r))
    assert subject.talk.info is None
    peer = ScriptedPeer(THEM, names=("renamed", "us"))
    theirs = peer.identity("new")
    subject.take(peer.auth_i(theirs, subject.take_for_reply(theirs)))
    assert subject.talk.info is not None


def test_a_running_session_goes_on_under_another_name() -> None:
    subject = Subject()
    peer = subject.secure(initiator=True)
    subject.account.name = "renamed"
    assert subject.talk.renamed() == []
    assert peer.read(subject.sends("hello")) == b"hello\0"


def test_an_exchange_keeps_the_names_that_it_began_with() -> None:
    """Until the host has told that they changed."""
    subject = Subject()
    theirs = subject.peer.identity("theirs")
    auth_r = subject.take_for_reply(theirs)
    subject.account.name = "renamed"
    subject.take(subject.peer.auth_i(theirs, auth_r))
    assert subject.talk.info is not None


def test_both_take_note_of_a_change_in_the_middle() -> None:
    pair = Pair(version=4)
    pair.hand("bob", "?OTRv4?")
    pair.deliver("alice")
    # Bob is called something else now, and Auth-R is still on its way to him.
    pair.accounts["bob"].name = "robert"
    pair.accounts["alice"].rename("bob", "robert")
    for side in SIDES:
        pair.do(side, pair.talks[side].renamed())
    pair.settle()
    pair.agreed()
    assert pair.of_kind("alice", SessionOpened)
    assert pair.of_kind("bob", HandshakeStep).count(HandshakeStep("Identity", sent=True)) == 2


def test_names_are_compared_byte_for_byte() -> None:
    """A host that has not folded them the same way on both sides comes to nothing; nothing is opened."""
    pair = Pair(version=4)
    pair.accounts["alice"].name = "Alice"
    assert pair.alice.renamed() == []
    pair.start()
    pair.wait(300.0)
    assert [talk.info for talk in pair.talks.values()] == [None, None]


def test_bytes_that_are_no_text_are_names_as_they_came() -> None:
    """As a chat network without any encoding gives them, by surrogates."""
    names = {"alice": "al\udcefce", "bob": "b\xf6b"}
    accounts = {
        side: Account(identity(side), speaking(4), name=names[side], instance_tag=0x100 + at)
        for at, side in enumerate(SIDES)
    }
    alice, bob = accounts["alice"].conversation(names["bob"]), accounts["bob"].conversation(names["alice"])
    (line,) = sent(alice.receive("?OTRv4?"))
    (line,) = sent(bob.receive(line))
    (line,) = sent(alice.receive(line))
    assert sent(bob.receive(line)) == []
    assert alice.info is not None
    assert bob.info is not None


def test_without_a_name_nothing_of_the_network_is_authenticated() -> None:
    """Both must leave it out."""
    accounts = {
        side: Account(identity(side), speaking(4), instance_tag=0x100 + at) for at, side in enumerate(SIDES)
    }
    alice, bob = accounts["alice"].conversation("x"), accounts["bob"].conversation("y")
    (line,) = sent(alice.receive("?OTRv4?"))
    (line,) = sent(bob.receive(line))
    (line,) = sent(alice.receive(line))
    bob.receive(line)
    assert alice.info is not None
    assert bob.info is not None


def test_a_name_that_is_no_utf8_has_bytes_too() -> None:
    assert dake._name_bytes("b\udcff") == b"b\xff"
    assert dake._name_bytes("b\ud800") == b"b\xed\xa0\x80"
