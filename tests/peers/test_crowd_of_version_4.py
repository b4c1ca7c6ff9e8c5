"""Several clients of one person in version 4: what is otherwise than in version 3, and why."""

from __future__ import annotations

import pytest

from otrcore.account import Account
from otrcore.errors import Reason
from otrcore.events import (
    HandshakeFailed,
    HandshakeStep,
    Received,
    Rejected,
    SessionEnd,
    SessionEnded,
    SessionOpened,
    Transmit,
)
from otrcore.model import MessageState, Protection
from otrcore.relation import ANSWERS_WITHIN, MAX_ANSWERS
from otrcore.v4.dake import INITIATOR_RETRIES, LIFETIME, RESPONDER_RETRIES
from tests.pair import identity, rests, speaking
from tests.peers.crowd import ALICE, CLIENTS, MANY, TAGS, THEM, Crowd
from tests.spec import reading, reading4

PC, PHONE = CLIENTS
HEADER = 11
"""Bytes: version, type, and both tags."""


def crowd_of(*clients: str, seed: object = 0, line_limit: int | None = None) -> Crowd:
    return Crowd(policy=speaking(4), clients=clients or CLIENTS, seed=seed, line_limit=line_limit)


def kinds(crowd: Crowd, name: str) -> list[int]:
    """The types of the encoded messages that somebody has sent."""
    return [
        reading.raw_of(line)[2] for sender, line in crowd.lines if sender == name and line.startswith("?OTR:")
    ]


def check_talk(crowd: Crowd) -> None:
    """Alice and each client hear each other."""
    for client in crowd.clients:
        crowd.clear()
        crowd.alice.choose(TAGS[client])
        crowd.say(ALICE, f"to {client}")
        crowd.say(client, f"from {client}")
        assert Received(f"to {client}", Protection.ENCRYPTED) in crowd.events(client)
        assert Received(f"from {client}", Protection.ENCRYPTED) in crowd.events(ALICE)
    crowd.alice.choose(None)


# --- new keys: the end of what runs, and a start ----------------------------------------------------------


def test_new_keys_end_what_runs_with_every_client_first() -> None:
    """A query is not allowed in a session of version 4; nothing goes out plain meanwhile."""
    crowd = crowd_of()
    crowd.secure()
    old = set(crowd.alice.sessions)
    events = crowd.do(ALICE, crowd.alice.start())
    # One last message to each, then the query for all.
    *last, query = [line for event in events if isinstance(event, Transmit) for line in event.lines]
    assert [reading4.data_fields(reading.raw_of(line)).receiver for line in last] == [
        TAGS[client] for client in CLIENTS
    ]
    assert query.startswith("?OTRv4?")
    assert crowd.alice.state is MessageState.FINISHED
    assert not any(
        event.plain for event in crowd.do(ALICE, crowd.alice.send("waits")) if isinstance(event, Transmit)
    )
    crowd.settle()
    for client in CLIENTS:
        assert crowd.of_kind(client, SessionEnded) == [SessionEnded(SessionEnd.PEER)]
        crowd.agreed(client)
    assert not old & set(crowd.alice.sessions)
    heard = [event for client in CLIENTS for event in crowd.of_kind(client, Received)]
    assert heard == [Received("waits", Protection.ENCRYPTED)]
    check_talk(crowd)


def test_new_keys_for_one_client_are_new_keys_for_all_who_hear_it() -> None:
    """What one client asks for is answered by an Identity for everybody, beside what runs with the others."""
    crowd = crowd_of()
    crowd.secure()
    old = {info.their_instance_tag: info.ssid for info in crowd.alice.sessions}
    crowd.start(PC)
    for client in CLIENTS:
        assert crowd.agreed(client).ssid != old[TAGS[client]]
    # With the one that asked the old session was over, and was not with the other.
    refreshed = {
        event.info.their_instance_tag: event.refreshed for event in crowd.of_kind(ALICE, SessionOpened)
    }
    assert refreshed == {TAGS[PC]: False, TAGS[PHONE]: True}
    assert not crowd.of_kind(PHONE, SessionEnded)
    check_talk(crowd)


@pytest.mark.parametrize("name", [ALICE, *CLIENTS])
def test_a_query_of_somebody_else_does_not_end_a_session(name: str) -> None:
    """Keys are agreed on beside it, and nobody is ever out of encryption."""
    crowd = crowd_of()
    crowd.secure()
    crowd.hand(name, "?OTRv4?")
    while waiting := [to for to in crowd.names if crowd.on_the_way[to]]:
        assert {talk.state for talk in crowd.talks.values()} == {MessageState.ENCRYPTED}
        crowd.deliver(waiting[0])
    assert not any(crowd.of_kind(who, SessionEnded) for who in crowd.names)
    for client in CLIENTS:
        crowd.agreed(client)
    check_talk(crowd)


# --- whom a message is for --------------------------------------------------------------------------------


def test_only_an_identity_may_be_for_everybody() -> None:
    """An Auth-R or Auth-I without a receiver is refused by all; with one it is the other's."""
    crowd = crowd_of()
    crowd.start(PC)
    for kind in (reading4.AUTH_R, reading4.AUTH_I, reading4.IDENTITY):
        (sender, raw) = next(
            (sender, raw)
            for sender, line in crowd.lines
            if line.startswith("?OTR:") and (raw := reading.raw_of(line))[2] == kind
        )
        receiver = int.from_bytes(raw[7:HEADER], "big")
        assert (receiver == 0) is (kind == reading4.IDENTITY)
        if kind != reading4.IDENTITY:
            hearer = CLIENTS[0] if sender == ALICE else ALICE
            for_all = reading4.readdressed(raw, TAGS[sender], 0)
            assert crowd.talks[hearer].receive(reading.line(for_all)) == [Rejected(Reason.OTHER_INSTANCE)]


def test_an_identity_of_alices_is_one_and_her_last_words_are_as_many_as_there_are_clients() -> None:
    crowd = crowd_of()
    crowd.start(PC)
    assert kinds(crowd, ALICE) == [reading4.IDENTITY, reading4.AUTH_I, reading4.AUTH_I]
    assert [kinds(crowd, client) for client in CLIENTS] == [[reading4.AUTH_R]] * 2
    fields = [
        reading4.exchange(reading.raw_of(line))
        for sender, line in crowd.lines
        if sender != ALICE and line.startswith("?OTR:")
    ]
    assert len({field.point for field in fields}) == 2
    ssids = {crowd.agreed(client).ssid for client in CLIENTS}
    assert len(ssids) == 2


def test_a_last_word_for_one_client_opens_nothing_for_another() -> None:
    """Readdressed, as by somebody who sits between: what was signed is for one exchange."""
    crowd = crowd_of()
    crowd.do(PC, crowd.talks[PC].start())
    crowd.deliver(ALICE)
    for client in CLIENTS:
        crowd.deliver(client)
    # Both have answered, and only the first answer has come.
    crowd.deliver(ALICE)
    (line,) = crowd.on_the_way[PC]
    raw = reading.raw_of(line)
    assert (raw[2], int.from_bytes(raw[7:HEADER], "big")) == (reading4.AUTH_I, TAGS[PC])
    turned = reading4.readdressed(raw, TAGS[ALICE], TAGS[PHONE])
    assert crowd.hand(PHONE, reading.line(turned)) == [Rejected(Reason.UNVERIFIED)]
    crowd.settle()
    for client in CLIENTS:
        crowd.agreed(client)


# --- the ration of long answers ---------------------------------------------------------------------------


def each_begins(crowd: Crowd) -> None:
    """Every client has an Identity on its way to Alice, as after a query of hers."""
    crowd.do(ALICE, crowd.alice.start())
    for client in crowd.clients:
        crowd.deliver(client)


@pytest.mark.parametrize("seed", range(3))
def test_more_clients_than_are_answered_at_once_all_have_a_session_in_the_end(seed: int) -> None:
    """Each Auth-R has 7 lines: those beyond the ration wait until they say their Identity again."""
    crowd = crowd_of(*MANY, seed=seed)
    assert len(MANY) > MAX_ANSWERS
    each_begins(crowd)
    refused = []
    while crowd.on_the_way[ALICE]:
        refused += crowd.deliver(ALICE)
    assert refused.count(Rejected(Reason.TOO_MANY)) == len(MANY) - MAX_ANSWERS
    assert sum(event == HandshakeStep("Auth-R", sent=True) for event in refused) == MAX_ANSWERS
    crowd.settle()
    assert len(crowd.alice.sessions) == MAX_ANSWERS
    crowd.wait(INITIATOR_RETRIES + 1.0)
    for client in MANY:
        crowd.agreed(client)
    check_talk(crowd)
    crowd.wait(LIFETIME)
    assert not any(crowd.of_kind(name, HandshakeFailed) for name in crowd.names)
    assert all(rests(talk, crowd.clock.now) for talk in crowd.talks.values())


def test_one_after_the_other_any_number_of_clients_is_answered_at_once() -> None:
    """An answer that has led to a session does not count."""
    crowd = crowd_of(*MANY)
    each_begins(crowd)
    for _ in MANY:
        crowd.deliver(ALICE)
        for client in crowd.clients:
            while crowd.on_the_way[client]:
                crowd.deliver(client)
        # The Auth-I of the client that was answered overtakes the Identities of the others.
        crowd.on_the_way[ALICE].rotate(1)
        crowd.deliver(ALICE)
    assert not crowd.of_kind(ALICE, Rejected)
    for client in MANY:
        crowd.agreed(client)


# --- names ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("other", ["them", "Them", "somebody"])
def test_a_client_that_believes_in_another_name_has_no_session(other: str) -> None:
    """Both names are signed, as each side writes them; the client beside it is not in its way."""
    crowd = crowd_of()
    account = Account(
        identity(PHONE),
        speaking(4),
        name=other,
        instance_tag=TAGS[PHONE],
        random=crowd.random(PHONE),
        clock=crowd.clock,
    )
    crowd.accounts[PHONE], crowd.talks[PHONE] = account, account.conversation(THEM)
    crowd.start(PC)
    crowd.wait(3 * LIFETIME)
    crowd.agreed(PC)
    assert (crowd.talks[PHONE].state is MessageState.ENCRYPTED) is (other == THEM)
    assert (crowd.session_with(PHONE) is not None) is (other == THEM)


# --- a client that is started anew in the middle ----------------------------------------------------------


def restart(crowd: Crowd, client: str) -> None:
    """Begin anew with the same key and instance tag, as after a crash."""
    crowd.accounts[client] = Account(
        identity(client),
        speaking(4),
        name=THEM,
        instance_tag=TAGS[client],
        random=crowd.random(client),
        clock=crowd.clock,
    )
    crowd.talks[client] = crowd.accounts[client].conversation(THEM)
    crowd.on_the_way[client].clear()


@pytest.mark.parametrize("restarting", [PC, PHONE])
@pytest.mark.parametrize("starter", [ALICE, PC])
@pytest.mark.parametrize("lines", range(1, 9))
def test_a_client_restarts_while_all_are_setting_up_their_sessions(
    lines: int, starter: str, restarting: str
) -> None:
    """After so many lines; the other client is not disturbed, and one more start gives all a session.

    Only Alice may be left with one that the former client has opened; what she waits for comes to its end.
    """
    crowd = crowd_of()
    crowd.do(starter, crowd.talks[starter].start())
    for _ in range(lines):
        for name in crowd.names:
            if crowd.on_the_way[name]:
                crowd.deliver(name)
                break
    restart(crowd, restarting)
    crowd.settle()
    crowd.wait(RESPONDER_RETRIES + LIFETIME + ANSWERS_WITHIN)
    (other,) = [client for client in CLIENTS if client != restarting]
    crowd.agreed(other)
    assert not any(talk.starting for talk in crowd.talks.values())
    hers, theirs = crowd.session_with(restarting), crowd.talks[restarting].info
    assert theirs is None or (hers is not None and hers.ssid == theirs.ssid)
    crowd.start(ALICE)
    crowd.wait(LIFETIME)
    for client in CLIENTS:
        crowd.agreed(client)
    check_talk(crowd)
