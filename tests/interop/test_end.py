"""The end of a conversation with libotr, from either side, and what is still on its way then."""

from __future__ import annotations

import pytest

from otrcore.errors import Reason
from otrcore.events import HeldBack, NotSent, Received, Rejected, SessionEnd, SessionEnded
from otrcore.model import MessageState, Protection
from tests.interop.conftest import LibotrFactory
from tests.interop.oracle import LibotrPeer, exchange
from tests.interop.ours import Ours, agreed, chat, data_in, secure
from tests.pair import speaking


@pytest.fixture
def pair(libotr: LibotrFactory, version: int) -> tuple[Ours, LibotrPeer]:
    """Both sides, encrypted, with nothing left to look at."""
    ours, theirs = Ours(speaking(version)), libotr(policy=f"v{version}")
    secure(ours, theirs)
    chat(ours, theirs)
    return ours, theirs


def message_state(theirs: LibotrPeer) -> str:
    """State of libotr's one instance of us."""
    return str(theirs.status()[-1]["msgstate"])


def restarts(ours: Ours, theirs: LibotrPeer, starter: str) -> None:
    """Be sure that a start from this side brings a new session."""
    (ours if starter == "ours" else theirs).start()
    exchange(ours, theirs)
    agreed(ours, theirs)
    chat(ours, theirs)


@pytest.mark.parametrize("restarter", ["ours", "theirs"])
def test_we_end(pair: tuple[Ours, LibotrPeer], restarter: str) -> None:
    ours, theirs = pair
    ours.end()
    exchange(ours, theirs)
    assert ours.state is MessageState.PLAINTEXT
    assert ours.shown() == [SessionEnded(SessionEnd.HERE)]
    assert message_state(theirs) == "finished"
    assert [tlv["type"] for event in theirs.events("tlvs") for tlv in event["tlvs"]] == [1]
    restarts(ours, theirs, restarter)


@pytest.mark.parametrize("restarter", ["ours", "theirs"])
def test_libotr_ends(pair: tuple[Ours, LibotrPeer], restarter: str) -> None:
    """Our user is told, and nothing that is typed goes out until we end it too or start anew."""
    ours, theirs = pair
    theirs.end()
    exchange(ours, theirs)
    assert ours.state is MessageState.FINISHED
    assert ours.shown() == [SessionEnded(SessionEnd.PEER)]
    ours.send("into the void")
    assert ours.take() == []
    assert ours.shown() == [NotSent("into the void", HeldBack.FINISHED)]
    restarts(ours, theirs, restarter)


def test_libotr_ends_and_so_do_we(pair: tuple[Ours, LibotrPeer]) -> None:
    ours, theirs = pair
    theirs.end()
    exchange(ours, theirs)
    ours.end()
    assert ours.take() == []
    assert ours.state is MessageState.PLAINTEXT
    ours.send("plain again")
    exchange(ours, theirs)
    assert theirs.texts() == ["plain again"]


def test_we_end_and_so_does_libotr(pair: tuple[Ours, LibotrPeer]) -> None:
    ours, theirs = pair
    ours.end()
    exchange(ours, theirs)
    theirs.end()
    assert exchange(ours, theirs) == 0
    assert message_state(theirs) == "plaintext"
    restarts(ours, theirs, "theirs")


def test_the_last_words_come_with_the_end(pair: tuple[Ours, LibotrPeer]) -> None:
    ours, theirs = pair
    theirs.command("send", text="bye", tlvs=[{"type": 1}])
    exchange(ours, theirs)
    assert ours.shown() == [Received("bye", Protection.ENCRYPTED), SessionEnded(SessionEnd.PEER)]


def test_both_end_at_once(pair: tuple[Ours, LibotrPeer]) -> None:
    """What is refused then is no text, and says so itself: nothing to worry a user with."""
    ours, theirs = pair
    ours.end()
    theirs.end()
    exchange(ours, theirs)
    assert ours.state is MessageState.PLAINTEXT
    ended, rejected = ours.shown()
    assert ended == SessionEnded(SessionEnd.HERE)
    assert rejected == Rejected(Reason.NO_SESSION, had_text=False)


def test_a_heartbeat_crosses_our_end(pair: tuple[Ours, LibotrPeer]) -> None:
    ours, theirs = pair
    theirs.command("heartbeat")
    ours.end()
    exchange(ours, theirs)
    assert ours.shown() == [SessionEnded(SessionEnd.HERE), Rejected(Reason.NO_SESSION, had_text=False)]


def test_a_text_crosses_our_end(pair: tuple[Ours, LibotrPeer]) -> None:
    """It cannot be read any more; the user is told, libotr is not: it might be for another client of ours."""
    ours, theirs = pair
    theirs.send("too late")
    ours.end()
    exchange(ours, theirs)
    assert ours.shown() == [SessionEnded(SessionEnd.HERE), Rejected(Reason.NO_SESSION, had_text=True)]
    assert theirs.message_events() == ["log_heartbeat_rcvd"]


def test_a_text_crosses_the_end_of_libotr(pair: tuple[Ours, LibotrPeer]) -> None:
    ours, theirs = pair
    ours.send("too late")
    theirs.end()
    exchange(ours, theirs)
    assert ours.shown() == [SessionEnded(SessionEnd.PEER)]
    assert theirs.message_events() == ["rcvdmsg_not_in_private"]
    assert theirs.texts() == []


@pytest.mark.parametrize("restarter", ["ours", "theirs"])
def test_our_disconnect_is_lost(pair: tuple[Ours, LibotrPeer], restarter: str) -> None:
    ours, theirs = pair
    ours.end()
    ours.take()
    ours.shown()
    theirs.send("are you there?")
    exchange(ours, theirs)
    assert ours.shown() == [Rejected(Reason.NO_SESSION, had_text=True)]
    restarts(ours, theirs, restarter)


@pytest.mark.parametrize("restarter", ["ours", "theirs"])
def test_the_disconnect_of_libotr_is_lost(pair: tuple[Ours, LibotrPeer], restarter: str) -> None:
    """Plain text that comes while we believe ourselves encrypted is marked as such."""
    ours, theirs = pair
    theirs.end()
    theirs.take()
    theirs.send("plain, and not by intent of ours")
    exchange(ours, theirs)
    assert ours.shown() == [Received("plain, and not by intent of ours", Protection.UNEXPECTED_PLAIN)]
    ours.send("still encrypted")
    (wire,) = ours.take()
    assert data_in(wire).flags == 0
    theirs.receive(wire)
    theirs.events()
    restarts(ours, theirs, restarter)


def test_plain_text_after_the_end_of_libotr_is_marked(pair: tuple[Ours, LibotrPeer]) -> None:
    ours, theirs = pair
    theirs.end()
    theirs.send("plain")
    exchange(ours, theirs)
    assert ours.shown() == [
        SessionEnded(SessionEnd.PEER),
        Received("plain", Protection.UNEXPECTED_PLAIN),
    ]


def test_messages_of_an_ended_session_are_dead(pair: tuple[Ours, LibotrPeer]) -> None:
    """Neither side has the keys any more, in the next session no more than without one."""
    ours, theirs = pair
    ours.send("from ours, recorded")
    theirs.send("from theirs, recorded")
    (our_wire,), (their_wire,) = ours.take(), theirs.take()
    ours.end()
    exchange(ours, theirs)
    restarts(ours, theirs, "ours")
    ours.shown()
    theirs.events()
    ours.receive(their_wire)
    theirs.receive(our_wire)
    assert ours.shown() == [Rejected(Reason.UNREADABLE, had_text=True)]
    assert theirs.message_events() == ["rcvdmsg_unreadable"]
    exchange(ours, theirs)
    ours.shown()
    theirs.events()
    chat(ours, theirs)
