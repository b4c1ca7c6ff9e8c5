"""Two clients of one person, libotr's or ours: each has an instance tag and a session of its own.

Each client hears all that is sent to the name, and takes what is for its tag.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from otrcore.errors import Reason
from otrcore.events import Received, Rejected, SessionEnd, SessionEnded, SessionOpened, SmpSucceeded
from otrcore.model import MessageState, Protection, SessionInfo
from otrcore.policy import MANUAL
from otrcore.v3.ake import INITIATOR_RETRIES, RESPONDER_RETRIES
from tests.interop.conftest import LibotrFactory
from tests.interop.oracle import LibotrPeer, Side, exchange
from tests.interop.ours import Doubled, Ours, agreed, chat, commit_in, let_pass, secure
from tests.pair import speaking

Clients = tuple[LibotrPeer, LibotrPeer]
STEP = 5
"""Seconds at a time."""


class OneName:
    """Several clients under one name: each hears what is sent to the name."""

    def __init__(self, *clients: Side) -> None:
        self._clients = clients

    def take(self) -> Sequence[str]:
        """Return and forget what the clients have sent."""
        return [line for client in self._clients for line in client.take()]

    def receive(self, wire: str) -> None:
        """Hand one line to every client."""
        for client in self._clients:
            client.receive(wire)


@pytest.fixture(params=["v3", "v2+v3"])
def clients(request: pytest.FixtureRequest, libotr: LibotrFactory) -> Clients:
    """Two clients of one account, each with a key of its own."""
    return libotr("alice", request.param), libotr("alice", request.param)


def session_with(ours: Ours, client: LibotrPeer) -> SessionInfo:
    """Be sure that we are in one session with this client of the peer, and return our view of it."""
    theirs = client.session
    assert theirs is not None
    (info,) = [info for info in ours.talk.sessions if info.their_instance_tag == theirs["our_instance"]]
    assert info.ssid.hex() == theirs["ssid"]
    assert info.their_fingerprint.digest.hex() == client.command("fingerprint")["fingerprint"]
    return info


def choose(ours: Ours, client: LibotrPeer) -> None:
    """Send to this client from here on."""
    ours.talk.choose(session_with(ours, client).their_instance_tag)


def chat_with_each(ours: Ours, clients: Sequence[LibotrPeer], name: Side) -> None:
    """Be sure that a text gets through to the chosen client alone and back, twice."""
    for turn in range(2):
        for number, client in enumerate(clients):
            choose(ours, client)
            ours.send(f"{turn} to {number}")
            exchange(ours, name)
            client.send(f"{turn} from {number}")
            exchange(ours, name)
            assert ours.texts() == [f"{turn} from {number}"]
            assert [other.texts() for other in clients] == [
                [f"{turn} to {number}"] if other is client else [] for other in clients
            ]
    ours.talk.choose(None)


def both_secured(ours: Ours, clients: Clients) -> OneName:
    """Start with both at once, be sure that it worked, and forget the events of it."""
    name = OneName(*clients)
    ours.start()
    exchange(ours, name)
    assert len(ours.events(SessionOpened)) == 2
    for client in clients:
        session_with(ours, client)
        client.events()
    ours.shown()
    return name


@pytest.mark.parametrize("lines", ["once", "twice"])
@pytest.mark.parametrize("starter", ["ours", "first", "second", "both of theirs"])
def test_one_start_secures_every_client(clients: Clients, starter: str, lines: str) -> None:
    """Whoever starts: a query to a name is heard, and a Commit to any instance taken up, by all of them."""
    ours, name = Ours(MANUAL), OneName(*clients)
    if starter == "ours":
        ours.start()
    for client, word in zip(clients, ("first", "second"), strict=True):
        if starter in (word, "both of theirs"):
            client.start()
    if lines == "twice":
        exchange(Doubled(ours), Doubled(name))
    else:
        exchange(ours, name)
    let_pass_for_all(round(max(INITIATOR_RETRIES, RESPONDER_RETRIES)), ours, clients, name)
    opened = [event.info.their_instance_tag for event in ours.events(SessionOpened)]
    assert set(opened) == {session_with(ours, client).their_instance_tag for client in clients}
    ours.shown()
    for client in clients:
        client.events()
    chat_with_each(ours, clients, name)


def let_pass_for_all(seconds: int, ours: Ours, clients: Clients, name: Side) -> None:
    """Let time pass on all sides, and carry what they then send to everybody under the name."""
    for _ in range(0, seconds, STEP):
        ours.wait(STEP)
        for client in clients:
            client.command("clock", add=STEP)
            client.command("poll")
        exchange(ours, name)


@pytest.mark.parametrize("ours_is", ["highest", "between", "lowest"])
def test_everybody_commits_at_once(libotr: LibotrFactory, ours_is: str) -> None:
    """All three Commits are out before anybody has heard another; the higher one of theirs comes first."""
    ours, clients = Ours(), (libotr("alice", "v3"), libotr("alice", "v3"))
    for client in clients:
        client.receive("?OTRv3?")
    commits = {client.take()[0]: client for client in clients}
    low, high = sorted(commit_in(line).hashed_gx for line in commits)
    wanted = {
        "highest": lambda ours_hash: ours_hash > high,
        "between": lambda ours_hash: low < ours_hash < high,
        "lowest": lambda ours_hash: ours_hash < low,
    }
    ours.choose_commit(wanted[ours_is])
    ours.receive("?OTRv3?")
    ours.choose_commit(None)
    (our_commit,) = ours.take()
    for line in sorted(commits, key=lambda line: commit_in(line).hashed_gx, reverse=True):
        ours.receive(line)
    name = OneName(*clients)
    name.receive(our_commit)
    exchange(ours, name)
    let_pass_for_all(round(max(INITIATOR_RETRIES, RESPONDER_RETRIES)), ours, clients, name)
    for client in clients:
        session_with(ours, client)
        client.events()
    ours.shown()
    chat_with_each(ours, clients, name)


@pytest.mark.parametrize("starter", ["ours", "theirs"])
def test_the_second_comes_later(clients: Clients, starter: str) -> None:
    """The session with the first goes on, and its new key is announced as one."""
    ours = Ours()
    first, second = clients
    name = OneName(*clients)
    secure(ours, first)
    before = session_with(ours, first)
    chat(ours, first)
    (ours if starter == "ours" else second).start()
    exchange(ours, second)
    (opened,) = ours.events(SessionOpened)
    assert not opened.refreshed
    assert opened.info == session_with(ours, second)
    # Each client made a key of its own, and the user must hear of it.
    assert opened.changed_from == before.their_fingerprint
    assert session_with(ours, first) == before
    chat(ours, second)
    first.send("from the first")
    exchange(ours, name)
    assert ours.texts() == ["from the first"]
    for client in clients:
        client.events()
    chat_with_each(ours, clients, name)


def test_texts_go_to_the_client_heard_last(clients: Clients) -> None:
    ours = Ours()
    name = both_secured(ours, clients)
    first, second = clients
    for speaker, other in ((first, second), (second, first), (first, second)):
        ours.wait(1)
        speaker.send("here")
        exchange(ours, name)
        speaker.events()
        other.events()
        ours.send("to whom?")
        exchange(ours, name)
        assert speaker.texts() == ["to whom?"]
        assert other.texts() == []
        assert other.message_events() == ["rcvdmsg_for_other_instance"]


def test_one_client_ends(clients: Clients) -> None:
    """The conversation goes on with the other; nothing goes out plain."""
    ours = Ours()
    name = both_secured(ours, clients)
    first, second = clients
    first.end()
    exchange(ours, name)
    assert ours.events(SessionEnded) == [SessionEnded(SessionEnd.PEER)]
    assert ours.state is MessageState.ENCRYPTED
    assert ours.talk.sessions == (session_with(ours, second),)
    for client in clients:
        client.events()
    chat_with_each(ours, [second], name)
    second.end()
    exchange(ours, name)
    assert ours.talk.state is MessageState.FINISHED


def test_we_end_with_all(clients: Clients) -> None:
    ours = Ours()
    name = both_secured(ours, clients)
    ours.end()
    exchange(ours, name)
    assert ours.state is MessageState.PLAINTEXT
    assert ours.shown() == [SessionEnded(SessionEnd.HERE)]
    for client in clients:
        assert "finished" in {context["msgstate"] for context in client.status()}
        assert client.session is None


@pytest.mark.parametrize("asker", ["ours", "theirs"])
def test_a_client_is_verified_by_itself(clients: Clients, asker: str) -> None:
    """A shared secret says something about the key of the client that took part."""
    ours = Ours()
    name = both_secured(ours, clients)
    first, second = clients
    if asker == "ours":
        choose(ours, second)
        ours.note(ours.talk.smp_start("the same"))
        exchange(ours, name)
        second.command("smp_respond", secret="the same")
    else:
        second.command("smp", secret="the same")
        exchange(ours, name)
        ours.note(ours.talk.smp_answer("the same"))
    exchange(ours, name)
    assert len(ours.events(SmpSucceeded)) == 1
    memory = ours.talk.memory
    trusts = [memory.trust(session_with(ours, client).their_fingerprint).name for client in (first, second)]
    assert trusts == ["NONE", "SMP"]
    ours.talk.choose(None)
    # What is not addressed goes to the one that is verified, whoever was heard last.
    first.send("heard last")
    exchange(ours, name)
    second.events()
    ours.send("to the verified one")
    exchange(ours, name)
    assert second.texts() == ["to the verified one"]


@pytest.mark.parametrize("starter", ["ours", "first", "second"])
def test_all_renew_at_once(clients: Clients, starter: str) -> None:
    ours = Ours()
    name = both_secured(ours, clients)
    chat_with_each(ours, clients, name)
    before = {info.ssid for info in ours.talk.sessions}
    starters: dict[str, Ours | LibotrPeer] = {"ours": ours, "first": clients[0], "second": clients[1]}
    starters[starter].start()
    exchange(ours, name)
    renewed = [session_with(ours, client).ssid for client in clients if client.session is not None]
    assert len(renewed) == 2
    assert set(renewed) != before
    ours.shown()
    for client in clients:
        client.events()
    chat_with_each(ours, clients, name)


def test_fragments_of_two_clients_do_not_mix(libotr: LibotrFactory) -> None:
    ours = Ours()
    first, second = libotr("alice", "v3", mms=100), libotr("alice", "v3", mms=100)
    secure(ours, first)
    first.send("in pieces")
    second.receive("?OTRv3?")
    for one, other in zip(first.take(), second.take(), strict=False):
        ours.receive(one)
        ours.receive(other)
    assert ours.texts() == ["in pieces"]
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


@pytest.mark.parametrize("starter", ["first", "second", "both of ours", "theirs"])
@pytest.mark.parametrize("policy", ["v3", "v2+v3"])
def test_two_clients_of_ours(libotr: LibotrFactory, policy: str, starter: str) -> None:
    """libotr has a session with each, writes to the one heard last, and the other one shows nothing."""
    allowed = speaking(3) if policy == "v3" else speaking(2, 3)
    ours, theirs = (Ours(allowed), Ours(allowed)), libotr("alice", policy)
    name = OneName(*ours)
    if starter == "theirs":
        theirs.start()
    for client, word in zip(ours, ("first", "second"), strict=True):
        if starter in (word, "both of ours"):
            client.start()
    exchange(name, theirs)
    sessions = {context["ssid"] for context in theirs.status() if context["msgstate"] == "encrypted"}
    for client in ours:
        assert client.session is not None
        assert client.session.ssid.hex() in sessions
        client.shown()
    theirs.events()
    for turn in range(2):
        for number, (client, other) in enumerate((ours, ours[::-1])):
            # libotr tells two clients that have the same trust apart by whole seconds.
            theirs.command("clock", add=1)
            client.send(f"{turn} from {number}")
            exchange(name, theirs)
            assert theirs.texts() == [f"{turn} from {number}"]
            theirs.send(f"{turn} to {number}")
            exchange(name, theirs)
            assert client.shown() == [Received(f"{turn} to {number}", Protection.ENCRYPTED)]
            assert other.shown() == [Rejected(Reason.OTHER_INSTANCE)]
    ours[0].end()
    exchange(name, theirs)
    assert ours[1].state is MessageState.ENCRYPTED
    theirs.events()
    ours[1].shown()
    ours[1].send("still here")
    exchange(name, theirs)
    assert theirs.texts() == ["still here"]


def test_a_client_of_ours_that_starts_again_has_the_same_tag(libotr: LibotrFactory) -> None:
    """libotr then replaces the session instead of keeping two."""
    before, theirs = Ours(), libotr("alice", "v3")
    secure(before, theirs)
    ours = Ours(instance_tag=before.instance_tag)
    secure(ours, theirs)
    assert len([context for context in theirs.status() if context["msgstate"] == "encrypted"]) == 1
    agreed(ours, theirs)
    chat(ours, theirs)


@pytest.mark.parametrize("seconds", [1, 30, 70])
def test_the_second_answers_a_start_late(clients: Clients, seconds: int) -> None:
    """A start with all instances takes answers for a minute after the first one."""
    ours = Ours()
    first, second = clients
    ours.receive("?OTRv3?")
    (commit,) = ours.take()
    first.receive(commit)
    exchange(ours, first)
    assert session_with(ours, first)
    let_pass(seconds, ours, first)
    second.receive(commit)
    exchange(ours, second)
    assert (second.session is not None) is (seconds < 60)
    assert session_with(ours, first)
