"""What becomes of a verification when its session is renewed or ends, and of one with a man in between."""

from __future__ import annotations

import pytest

from otrcore.account import Account
from otrcore.errors import UsageError
from otrcore.events import (
    Event,
    SessionEnd,
    SessionEnded,
    SessionOpened,
    SmpAborted,
    SmpAsked,
    SmpEnd,
    SmpFailed,
    SmpProgress,
    SmpSucceeded,
    Transmit,
)
from otrcore.model import MessageState
from otrcore.wire import text as wire_text
from otrcore.wire.header import parse_header
from otrcore.wire.tlv import Tlv
from tests.pair import OTHER, SIDES, TAGS, Pair, Side, identity
from tests.smp import textbook
from tests.smp.runs import (
    EXPECTED,
    PEER,
    STATES,
    SUBJECT,
    VERSIONS,
    WORDS,
    SmpState,
    at,
    channel_of,
    encrypted,
    opened,
    policy,
    put,
    record,
    sent,
    shown,
    state_of,
    verify,
)

IN_STATES = pytest.mark.parametrize("state", STATES)
IN_VERSIONS = pytest.mark.parametrize("version", VERSIONS)
RUNNING = pytest.mark.parametrize("state", [state for state in STATES if state != "EXPECT1"])
OVER = SmpAborted(SmpEnd.SESSION)
SMP_EVENTS = (SmpAsked, SmpProgress, SmpSucceeded, SmpFailed, SmpAborted)


def smp_events(pair: Pair, side: Side) -> list[Event]:
    return [event for event in pair.events(side) if isinstance(event, SMP_EVENTS)]


def renewed(pair: Pair, starter: Side = "alice") -> None:
    """A new key exchange beside the conversation, to its end."""
    info = pair.alice.info
    pair.start(starter)
    assert pair.agreed() != info


# ---- renewed


@IN_STATES
@pytest.mark.parametrize("starter", SIDES)
@IN_VERSIONS
def test_a_new_session_drops_what_was_under_way(version: int, starter: Side, state: SmpState) -> None:
    """Both are told once, as equal secrets would differ now; and a new run succeeds."""
    pair = at(state, version)
    pair.on_the_way[SUBJECT].clear()
    running = [side for side in SIDES if state_of(pair, side) != "EXPECT1"]
    renewed(pair, starter)
    for side in SIDES:
        assert smp_events(pair, side) == ([OVER] if side in running else [])
        assert state_of(pair, side) == "EXPECT1"
        assert pair.talks[side].smp_waiting is False
    pair.clear()
    verify(pair, SUBJECT, WORDS, WORDS)
    assert smp_events(pair, SUBJECT)[-1] == smp_events(pair, PEER)[-1] == SmpSucceeded(trusts=True)


@RUNNING
@IN_VERSIONS
def test_an_abort_goes_out_in_the_new_session(version: int, state: SmpState) -> None:
    """The peer may have kept its side; it is behind the message that opens the session for it."""
    pair = at(state, version)
    pair.on_the_way[SUBJECT].clear()
    old = channel_of(pair.talks[SUBJECT])
    pair.do(PEER, pair.talks[PEER].start())
    while channel_of(pair.talks[SUBJECT]) is old:
        for side in SIDES:
            while pair.on_the_way[side]:
                pair.deliver(side)
    ended = pair.events(SUBJECT)
    opening = next(at for at, event in enumerate(ended) if isinstance(event, SessionOpened))
    abort, told = ended[opening + 1 :][:2]
    assert isinstance(abort, Transmit)
    assert told == OVER
    assert all(line.startswith("?OTR:AA") for line in abort.lines)


@IN_VERSIONS
def test_no_abort_goes_out_where_nothing_was_under_way(version: int) -> None:
    pair = encrypted(version)
    assert pair.lines == []
    renewed(pair)
    # Query, Commit, Key, Reveal Signature, Signature: and no data message.
    assert len(pair.lines) == 5


@IN_VERSIONS
def test_a_question_of_an_older_session_is_never_answered(version: int) -> None:
    pair = at("asked", version)
    renewed(pair)
    pair.clear()
    with pytest.raises(UsageError, match="There is no question"):
        pair.talks[SUBJECT].smp_answer(WORDS)
    assert pair.lines == []


@IN_VERSIONS
def test_message_1_of_an_older_session_is_not_even_read(version: int) -> None:
    """It is on its way while the session is renewed: unreadable, as is every message of that session."""
    pair = encrypted(version)
    pair.do(PEER, pair.talks[PEER].smp_start(WORDS))
    late = pair.on_the_way[SUBJECT].popleft()
    renewed(pair)
    pair.clear()
    pair.hand(SUBJECT, late)
    assert smp_events(pair, SUBJECT) == []
    assert pair.lines == []
    assert state_of(pair) == "EXPECT1"


@pytest.mark.parametrize("step", [1, 2, 3, 4])
@IN_VERSIONS
def test_messages_under_old_secrets_fail_in_a_new_session(version: int, step: int) -> None:
    """A peer that keeps its side of the run over a renewal, as libotr does, and talks on."""
    pair = at(next(state for state, expected in EXPECTED.items() if expected == step), version)
    if step == 1:
        pair.do(PEER, pair.talks[PEER].smp_start(WORDS))
    ((carried,),) = opened(pair, SUBJECT)
    pair.on_the_way[SUBJECT].clear()
    renewed(pair)
    pair.clear()
    if step > 1:
        assert shown(put(pair, carried)) == [SmpAborted(SmpEnd.OUT_OF_TURN)]
        assert sent(pair) == [6]
        return
    # Message 1 holds nothing of the session: the answer does, and so can only fail.
    assert shown(put(pair, carried)) == [SmpAsked(None)]


@RUNNING
def test_an_unfinished_renewal_does_not_disturb(state: SmpState) -> None:
    """An exchange that anybody can begin ends nothing unless it succeeds."""
    pair = at(state)
    waiting = list(pair.on_the_way[SUBJECT])
    pair.on_the_way[SUBJECT].clear()
    subject = pair.talks[SUBJECT]
    subject.receive("?OTRv3?")
    assert state_of(pair) == state
    # The Commit is lost, and so is the fresh one in its place.
    while subject.next_tick is not None:
        pair.clock.now = subject.next_tick
        subject.tick()
    assert not subject.starting
    assert state_of(pair) == state
    pair.on_the_way[SUBJECT].extend(waiting)
    pair.settle()
    if state == "asked":
        pair.do(SUBJECT, pair.talks[SUBJECT].smp_answer(WORDS))
        pair.settle()
    assert SmpSucceeded(trusts=True) in smp_events(pair, SUBJECT)


def test_only_one_side_was_running() -> None:
    """The answerer is done, the asker waits for message 4, which is lost."""
    pair = at("EXPECT4")
    pair.on_the_way[SUBJECT].clear()
    renewed(pair)
    assert smp_events(pair, SUBJECT) == [OVER]
    assert smp_events(pair, PEER) == []


# ---- ended


@IN_STATES
@IN_VERSIONS
def test_the_peer_ends(version: int, state: SmpState) -> None:
    pair = at(state, version)
    pair.on_the_way[SUBJECT].clear()
    running = [side for side in SIDES if state_of(pair, side) != "EXPECT1"]
    pair.end(PEER)
    assert shown(pair.events(SUBJECT)) == [
        *([OVER] if SUBJECT in running else []),
        SessionEnded(SessionEnd.PEER),
    ]
    assert shown(pair.events(PEER)) == [*([OVER] if PEER in running else []), SessionEnded(SessionEnd.HERE)]
    assert pair.talks[SUBJECT].smp_waiting is False


@IN_STATES
@IN_VERSIONS
def test_we_end(version: int, state: SmpState) -> None:
    """With one message, the last: there is no abort to send to who forgets its keys."""
    pair = at(state, version)
    running = state != "EXPECT1"
    events = pair.do(SUBJECT, pair.talks[SUBJECT].end())
    assert shown(events) == [*([OVER] if running else []), SessionEnded(SessionEnd.HERE)]
    assert sent(pair) == [1]
    assert pair.talks[SUBJECT].smp_waiting is False


@IN_STATES
@IN_VERSIONS
def test_the_peer_is_gone(version: int, state: SmpState) -> None:
    pair = at(state, version)
    events = pair.do(SUBJECT, pair.talks[SUBJECT].lose())
    assert events == [*([OVER] if state != "EXPECT1" else []), SessionEnded(SessionEnd.PEER)]
    assert pair.talks[SUBJECT].state is MessageState.FINISHED
    with pytest.raises(UsageError, match="start one first"):
        pair.talks[SUBJECT].smp_answer(WORDS)


@pytest.mark.parametrize("ended_by", SIDES)
@RUNNING
def test_the_next_session_begins_at_the_beginning(ended_by: Side, state: SmpState) -> None:
    pair = at(state)
    pair.on_the_way[SUBJECT].clear()
    pair.end(ended_by)
    pair.start(SUBJECT)
    pair.agreed()
    pair.clear()
    for side in SIDES:
        assert state_of(pair, side) == "EXPECT1"
        assert pair.talks[side].smp_waiting is False
    verify(pair, PEER, WORDS, WORDS)
    assert smp_events(pair, SUBJECT)[-1] == smp_events(pair, PEER)[-1] == SmpSucceeded(trusts=True)


def test_what_stands_behind_a_disconnect_is_not_read() -> None:
    pair = encrypted()
    carried = record(1, textbook.message_1(21, 31, 41, 42))
    assert put(pair, Tlv(1), carried) == [SessionEnded(SessionEnd.PEER)]


def test_what_stands_before_a_disconnect_is() -> None:
    pair = at("EXPECT2")
    pair.on_the_way[SUBJECT].clear()
    assert put(pair, Tlv(6), Tlv(1)) == [SmpAborted(SmpEnd.PEER), SessionEnded(SessionEnd.PEER)]


# ---- a man in between


def with_mallory(victim: Side, version: int) -> Pair:
    """Return a pair in which Mallory, with a key of hers, has the other place."""
    pair = Pair(policies=(policy(version), policy(version)))
    place = OTHER[victim]
    account = Account(identity("mallory"), policy(version), instance_tag=TAGS[place], clock=pair.clock)
    pair.accounts[place], pair.talks[place] = account, account.conversation(victim)
    pair.secure()
    return pair


def carry(alice: Pair, bob: Pair) -> None:
    """Let Mallory, Bob to Alice and Alice to Bob, hand every record on until none is on its way."""
    ways: tuple[tuple[Pair, Pair, Side], ...] = ((alice, bob, "bob"), (bob, alice, "alice"))
    for _ in range(10):
        quiet = True
        for source, target, victim in ways:
            # She reads with the keys of her own client, which itself never sees a record.
            channel = channel_of(source.talks[victim])
            while source.on_the_way[victim]:
                quiet = False
                raw = wire_text.decode(source.on_the_way[victim].popleft())
                put(target, *channel.decrypt(raw, parse_header(raw)).tlvs, to=victim)
        if quiet:
            return
    raise AssertionError("the relay does not come to rest")


@pytest.mark.parametrize("question", [None, "Which?"])
@IN_VERSIONS
def test_a_relay_cannot_hand_a_verification_on(version: int, question: str | None) -> None:
    """Both know the secret, and Mallory only carries: fingerprints and session ids are hashed in."""
    alice, bob = with_mallory("alice", version), with_mallory("bob", version)
    alice.do("alice", alice.alice.smp_start(WORDS, question))
    carry(alice, bob)
    assert bob.of_kind("bob", SmpAsked) == [SmpAsked(question)]
    bob.do("bob", bob.bob.smp_answer(WORDS))
    carry(alice, bob)
    assert shown(alice.events("alice")) == [SmpProgress(25), SmpProgress(75), SmpFailed(trusts=True)]
    assert shown(bob.events("bob"))[-1] == SmpFailed(trusts=question is None)


@IN_VERSIONS
def test_the_session_id_alone_tells_two_sessions_apart(version: int) -> None:
    """A relay between sessions that have the same keys at both ends."""
    alice, bob = encrypted(version, seed="one"), encrypted(version, seed="other")
    alice.do("alice", alice.alice.smp_start(WORDS))
    carry(alice, bob)
    bob.do("bob", bob.bob.smp_answer(WORDS))
    carry(alice, bob)
    assert shown(alice.events("alice"))[-1] == shown(bob.events("bob"))[-1] == SmpFailed(trusts=True)
