"""Two clients of one person: libotr twice under one name, each with an instance tag of its own.

We hold one conversation at a time: that of the instance which completed a key exchange last.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from otrcore.errors import Reason
from otrcore.events import Rejected, SessionEnded, SessionOpened
from otrcore.model import MessageState
from tests.interop.conftest import LibotrFactory
from tests.interop.oracle import LibotrPeer, exchange
from tests.interop.ours import Ours, agreed, chat, secure


class OneName:
    """Several clients under one name: each hears what is sent to the name."""

    def __init__(self, *clients: LibotrPeer) -> None:
        self._clients = clients

    def take(self) -> Sequence[str]:
        """Return and forget what the clients have sent."""
        return [line for client in self._clients for line in client.take()]

    def receive(self, wire: str) -> None:
        """Hand one line to every client."""
        for client in self._clients:
            client.receive(wire)


@pytest.fixture
def clients(libotr: LibotrFactory) -> tuple[LibotrPeer, LibotrPeer]:
    """Two clients of one account."""
    return libotr("alice", "v3"), libotr("alice", "v3")


@pytest.mark.parametrize("starter", ["ours", "theirs"])
def test_the_second_takes_over(clients: tuple[LibotrPeer, LibotrPeer], starter: str) -> None:
    """While only the second one listens; then the first takes over again."""
    ours = Ours()
    first, second = clients
    secure(ours, first)
    chat(ours, first)

    (ours if starter == "ours" else second).start()
    exchange(ours, second)
    agreed(ours, second)
    (opened,) = ours.events(SessionOpened)
    # Each client made a key of its own, and the user must hear of it.
    assert str(opened.changed_from).replace(" ", "").lower() == first.command("fingerprint")["fingerprint"]
    chat(ours, second)

    first.send("from the first, whose session is gone")
    exchange(ours, first)
    assert ours.shown() == [Rejected(Reason.OTHER_INSTANCE)]
    chat(ours, second)

    first.start()
    exchange(ours, first)
    agreed(ours, first)
    chat(ours, first)


def test_one_of_two_that_listen_is_secured(clients: tuple[LibotrPeer, LibotrPeer]) -> None:
    """Both answer the query; one gets a session, and the other does not disturb it."""
    ours = Ours()
    both = OneName(*clients)
    ours.start()
    exchange(ours, both)
    assert ours.state is MessageState.ENCRYPTED
    (secured,) = [client for client in clients if client.session is not None]
    (other,) = [client for client in clients if client is not secured]
    agreed(ours, secured)
    for client in clients:
        client.events()

    ours.send("to the one")
    exchange(ours, both)
    assert secured.texts() == ["to the one"]
    assert other.texts() == []
    assert other.message_events() == ["rcvdmsg_for_other_instance"]
    secured.send("from the one")
    exchange(ours, both)
    assert ours.texts() == ["from the one"]

    secured.end()
    exchange(ours, both)
    assert ours.events(SessionEnded) == [SessionEnded(by_peer=True)]


def test_fragments_of_two_clients_do_not_mix(libotr: LibotrFactory) -> None:
    """What the other client sends meanwhile costs at most the text that was being put together."""
    ours = Ours()
    first, second = libotr("alice", "v3", mms=100), libotr("alice", "v3", mms=100)
    secure(ours, first)
    first.send("in pieces")
    second.receive("?OTRv3?")
    for one, other in zip(first.take(), second.take(), strict=False):
        ours.receive(one)
        ours.receive(other)
    assert ours.texts() in ([], ["in pieces"])
    chat(ours, first)


def test_fragments_for_another_client_of_ours(libotr: LibotrFactory) -> None:
    """A second client of ours, under our name, takes nothing of what is meant for the first."""
    ours, double, theirs = Ours(), Ours(), libotr("alice", "v3", mms=100)
    secure(ours, theirs)
    theirs.send("in pieces")
    lines = theirs.take()
    for line in lines:
        double.receive(line)
        ours.receive(line)
    assert double.shown() == [Rejected(Reason.OTHER_INSTANCE)] * len(lines)
    assert double.take() == []
    assert ours.texts() == ["in pieces"]
