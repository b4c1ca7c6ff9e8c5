"""From asking for an encrypted conversation to having one, or not: queries, deadlines, cancelling."""

from __future__ import annotations

import pytest

from otrcore import (
    Account,
    HandshakeEnd,
    HandshakeFailed,
    HandshakeStep,
    HeldBack,
    MemoryChanged,
    MessageState,
    NotSent,
    Protection,
    Queued,
    Received,
    Rejected,
    SessionEnd,
    SessionEnded,
    SessionOpened,
    Transmit,
    Trust,
)
from otrcore.conversation import QUERY_PATIENCE
from otrcore.errors import Reason, UsageError
from otrcore.policy import MANUAL
from otrcore.v3.ake import INITIATOR_RETRIES, LIFETIME, RESPONDER_RETRIES
from tests.pair import SIDES, TAGS, Pair, Side, identity


def step(message: str, *, sent: bool) -> HandshakeStep:
    return HandshakeStep(message, sent)


def test_the_query_is_one_line_of_plain_words_behind_the_versions() -> None:
    (event,) = Pair().alice.start()
    assert isinstance(event, Transmit)
    assert not event.plain
    (line,) = event.lines
    assert line.startswith("?OTRv3? ")
    assert line.count("?OTR") == 1
    assert line.isascii()
    assert line.isprintable()
    assert "<" not in line
    assert len(line.encode()) < 300


def test_a_start_from_the_query_to_the_session_in_order() -> None:
    pair = Pair()
    pair.start("alice")
    kinds = ["D-H Commit", "D-H Key", "Reveal Signature", "Signature"]

    bob = [event for event in pair.events("bob") if not isinstance(event, Transmit)]
    assert bob[:4] == [
        step(kinds[0], sent=True),
        step(kinds[1], sent=False),
        step(kinds[2], sent=True),
        step(kinds[3], sent=False),
    ]
    info = pair.bob.info
    assert info is not None
    opened, remembered = bob[4:]
    assert opened == SessionOpened(info, refreshed=False, trust=Trust.NONE, changed_from=None)
    assert remembered == MemoryChanged(pair.bob.memory)
    assert info.initiator

    alice = [event for event in pair.events("alice") if not isinstance(event, Transmit)]
    assert alice[:4] == [
        step(kinds[0], sent=False),
        step(kinds[1], sent=True),
        step(kinds[2], sent=False),
        step(kinds[3], sent=True),
    ]
    assert [type(event) for event in alice[4:]] == [SessionOpened, MemoryChanged]
    info = pair.alice.info
    assert info is not None
    assert not info.initiator


def test_a_message_is_transmitted_before_its_consequences_are_told() -> None:
    """The Signature leaves before anything that a host may send on hearing that the session is open."""
    pair = Pair()
    pair.start("alice")
    events = pair.events("alice")
    opened = next(at for at, event in enumerate(events) if isinstance(event, SessionOpened))
    signature = max(at for at, event in enumerate(events) if isinstance(event, Transmit))
    assert signature < opened


def test_both_sides_of_a_session_see_the_same() -> None:
    pair = Pair()
    alice = pair.secure()
    bob = pair.bob.info
    assert bob is not None
    assert alice.version == bob.version == 3
    assert alice.ssid == bob.ssid
    assert alice.session_id == bob.session_id
    assert len(alice.session_id) == 17
    assert alice.initiator is not bob.initiator
    assert alice.our_fingerprint == bob.their_fingerprint == pair.accounts["alice"].identity.fingerprint
    assert alice.their_fingerprint == bob.our_fingerprint == pair.accounts["bob"].identity.fingerprint
    assert alice.their_instance_tag == pair.accounts["bob"].instance_tag
    assert bob.their_instance_tag == pair.accounts["alice"].instance_tag


@pytest.mark.parametrize("starter", SIDES)
def test_the_half_in_bold_is_that_of_who_sent_the_commit(starter: Side) -> None:
    """Who asks is answered with a Commit, so the other one is the initiator."""
    pair = Pair()
    pair.secure(starter)
    for side in SIDES:
        info = pair.talks[side].info
        assert info is not None
        assert info.initiator is (side != starter)


def test_texts_wait_while_starting_and_leave_encrypted_in_order() -> None:
    pair = Pair()
    pair.do("alice", pair.alice.start())
    assert pair.alice.starting
    assert not pair.alice.idle
    assert pair.do("alice", pair.alice.send("secret 1")) == [Queued("secret 1")]
    pair.deliver("bob")
    assert pair.bob.starting
    assert pair.do("bob", pair.bob.send("secret 2")) == [Queued("secret 2")]
    pair.deliver("alice")
    assert pair.do("alice", pair.alice.send("secret 3")) == [Queued("secret 3")]
    pair.settle()
    pair.agreed()
    assert pair.of_kind("bob", Received) == [
        Received("secret 1", Protection.ENCRYPTED),
        Received("secret 3", Protection.ENCRYPTED),
    ]
    assert pair.of_kind("alice", Received) == [Received("secret 2", Protection.ENCRYPTED)]
    assert not any("secret" in line for _, line in pair.lines)


def test_in_an_encrypted_conversation_texts_go_on_while_fresh_keys_are_made() -> None:
    pair = Pair()
    pair.secure()
    pair.do("alice", pair.alice.start())
    assert pair.alice.starting
    (event,) = pair.do("alice", pair.alice.send("under the old keys"))
    assert isinstance(event, Transmit)
    assert not event.plain
    pair.settle()
    assert Received("under the old keys", Protection.ENCRYPTED) in pair.events("bob")
    assert [opened.refreshed for opened in pair.of_kind("alice", SessionOpened)] == [True]


def test_after_the_peers_end_texts_wait_for_a_start() -> None:
    pair = Pair()
    pair.secure()
    pair.end("bob")
    assert pair.alice.send("text") == [NotSent("text", HeldBack.FINISHED)]
    pair.do("alice", pair.alice.start())
    assert pair.do("alice", pair.alice.send("text")) == [Queued("text")]
    pair.settle()
    pair.agreed()
    assert pair.events("bob")[-1] == Received("text", Protection.ENCRYPTED)


def test_an_unanswered_query_counts_as_refused_after_45_s() -> None:
    pair = Pair()
    pair.alice.start()
    assert pair.alice.next_tick == pair.clock.now + 45.0
    pair.clock.advance(44.99)
    assert pair.alice.tick() == []
    assert pair.alice.starting
    pair.clock.advance(0.01)
    assert pair.alice.tick() == [HandshakeFailed(HandshakeEnd.NO_ANSWER)]
    assert not pair.alice.starting
    assert pair.alice.next_tick is None
    assert pair.alice.idle
    assert pair.alice.send("plain again") == [Transmit(("plain again",), plain=True)]


def test_a_second_query_has_45_s_of_its_own() -> None:
    pair = Pair()
    pair.alice.start()
    pair.clock.advance(30.0)
    pair.alice.start()
    pair.clock.advance(30.0)
    assert pair.alice.tick() == []
    pair.clock.advance(15.0)
    assert pair.alice.tick() == [HandshakeFailed(HandshakeEnd.NO_ANSWER)]


def test_a_query_in_an_encrypted_conversation_is_not_answered_by_a_text() -> None:
    """The peer has typed, but its client has not begun anything."""
    pair = Pair()
    pair.secure()
    pair.alice.start()
    pair.say("bob", "hello")
    assert pair.alice.starting
    pair.clock.advance(45.0)
    assert pair.alice.tick() == [HandshakeFailed(HandshakeEnd.NO_ANSWER)]
    pair.agreed()


def test_a_query_that_was_answered_is_no_longer_waited_for() -> None:
    pair = Pair()
    pair.do("alice", pair.alice.start())
    pair.deliver("bob")
    pair.deliver("alice")
    assert pair.alice.next_tick == pair.clock.now + RESPONDER_RETRIES
    assert pair.alice.starting
    pair.clock.advance(QUERY_PATIENCE)
    assert not any(isinstance(event, HandshakeFailed) for event in pair.alice.tick())


def test_an_exchange_without_progress_is_helped_on_once_and_then_given_up() -> None:
    """The initiator by a fresh Commit, the responder by the same D-H Key; never both at the same time."""
    assert INITIATOR_RETRIES < RESPONDER_RETRIES
    pair = Pair()
    pair.do("alice", pair.alice.start())
    pair.deliver("bob")
    pair.deliver("alice")
    begun = pair.clock.now
    # A fresh Commit is a beginning, the same D-H Key is not.
    for talk, after, message, due, end in (
        (pair.bob, INITIATOR_RETRIES, "D-H Commit", INITIATOR_RETRIES + LIFETIME, HandshakeEnd.NO_ANSWER),
        (pair.alice, RESPONDER_RETRIES, "D-H Key", LIFETIME, HandshakeEnd.INCOMPLETE),
    ):
        pair.clock.now = begun + after - 0.01
        assert talk.tick() == []
        pair.clock.now = begun + after
        transmit, told = talk.tick()
        assert isinstance(transmit, Transmit)
        assert told == step(message, sent=True)
        assert talk.next_tick == begun + due
        pair.clock.now = begun + due - 0.01
        assert talk.tick() == []
        pair.clock.now = begun + due
        assert talk.tick() == [HandshakeFailed(end)]
        assert talk.idle
        assert talk.next_tick is None
        assert talk.tick() == []


def test_ticks_that_nobody_asked_for_do_nothing() -> None:
    pair = Pair()
    assert pair.alice.tick() == []
    pair.secure()
    pair.clock.advance(1e6)
    assert pair.alice.next_tick is None
    assert pair.alice.tick() == []
    pair.agreed()


def test_a_partial_message_is_given_up_after_60_s() -> None:
    pair = Pair(line_limit=120)
    pair.secure()
    pair.do("bob", pair.bob.send("a text in several pieces"))
    first, *rest = pair.on_the_way["alice"]
    assert rest
    pair.hand("alice", first)
    assert pair.alice.next_tick == pair.clock.now + 60.0
    pair.clock.advance(60.0)
    assert pair.alice.tick() == []
    assert pair.alice.next_tick is None
    for line in rest:
        assert pair.hand("alice", line) == []


def test_a_conversation_with_a_partial_message_is_not_idle() -> None:
    pair = Pair()
    assert pair.alice.idle
    pair.hand("alice", "?OTR|00000b0b|0a11ce00,00001,00002,?OTR:AAMC,")
    assert not pair.alice.idle


def test_the_earliest_deadline_counts() -> None:
    pair = Pair()
    pair.alice.start()
    pair.clock.advance(5.0)
    pair.hand("alice", "?OTR|00000b0b|0a11ce00,00001,00002,?OTR:AAMC,")
    assert pair.alice.next_tick == pair.clock.now + 40.0


def test_end_cancels_a_query() -> None:
    pair = Pair()
    pair.alice.start()
    assert pair.alice.end() == [HandshakeFailed(HandshakeEnd.CANCELLED)]
    assert not pair.alice.starting
    assert pair.alice.next_tick is None
    assert pair.alice.send("plain again") == [Transmit(("plain again",), plain=True)]


@pytest.mark.parametrize("delivered", [1, 2, 3])
def test_end_cancels_an_exchange(delivered: int) -> None:
    """Without a word to the peer, and what still comes for it is out of turn."""
    pair = Pair()
    pair.do("alice", pair.alice.start())
    way: list[Side] = ["bob", "alice", "bob"]
    for to in way[:delivered]:
        pair.deliver(to)
    side = way[delivered - 1]
    assert pair.do(side, pair.talks[side].end()) == [HandshakeFailed(HandshakeEnd.CANCELLED)]
    assert not pair.talks[side].starting
    assert pair.talks[side].next_tick is None
    pair.clear()
    pair.settle()
    assert pair.talks[side].state is MessageState.PLAINTEXT


def test_end_cancels_a_refresh_and_ends_the_session() -> None:
    pair = Pair()
    pair.secure()
    pair.hand("alice", "?OTRv3?")
    cancelled, transmit, ended = pair.alice.end()
    assert cancelled == HandshakeFailed(HandshakeEnd.CANCELLED)
    assert isinstance(transmit, Transmit)
    assert ended == SessionEnded(SessionEnd.HERE)


def test_end_where_there_is_nothing_to_end() -> None:
    pair = Pair()
    assert pair.alice.end() == []
    pair.secure()
    pair.end("alice")
    assert pair.alice.end() == []


def test_both_end_at_once() -> None:
    """Each disconnect message meets a conversation that is over, and no text was lost."""
    pair = Pair()
    pair.secure()
    for side in SIDES:
        pair.do(side, pair.talks[side].end())
    pair.clear()
    pair.settle()
    for side in SIDES:
        assert pair.events(side) == [Rejected(Reason.NO_SESSION, had_text=False)]
        assert pair.talks[side].state is MessageState.PLAINTEXT


def test_after_an_end_a_new_start_opens_a_new_session() -> None:
    pair = Pair()
    first = pair.secure()
    pair.end("alice")
    assert pair.bob.state is MessageState.FINISHED
    second = pair.secure("bob")
    assert second.ssid != first.ssid


def test_the_peer_is_gone_from_the_network() -> None:
    """Nothing is told to it, and nothing goes out plain to whoever takes its name."""
    pair = Pair()
    pair.secure()
    assert pair.alice.lose() == [SessionEnded(SessionEnd.PEER)]
    assert pair.alice.state is MessageState.FINISHED
    assert pair.alice.send("text") == [NotSent("text", HeldBack.FINISHED)]
    assert pair.alice.lose() == []


def test_what_a_host_has_left_behind_is_held() -> None:
    pair = Pair()
    for _ in range(2):
        pair.alice.finish()
        assert pair.alice.state is MessageState.FINISHED
        assert pair.alice.send("text") == [NotSent("text", HeldBack.FINISHED)]
    assert pair.alice.end() == [SessionEnded(SessionEnd.HERE)]
    assert pair.alice.send("text") == [Transmit(("text",), plain=True)]
    pair.alice.finish()
    pair.secure()
    with pytest.raises(UsageError, match="end it first"):
        pair.alice.finish()
    assert pair.alice.state is MessageState.ENCRYPTED


def test_the_peer_goes_while_a_conversation_is_set_up() -> None:
    pair = Pair()
    pair.do("alice", pair.alice.start())
    pair.deliver("bob")
    pair.alice.lose()
    pair.bob.lose()
    for talk in pair.talks.values():
        assert not talk.starting
        assert talk.next_tick is None
        assert talk.state is MessageState.PLAINTEXT


def test_a_changed_fingerprint_is_told() -> None:
    pair = Pair()
    pair.start("alice")
    pair.end("bob")
    pair.start("alice")
    assert [opened.changed_from for opened in pair.of_kind("alice", SessionOpened)] == [None, None]

    pair.end("alice")
    another = Account(identity("another bob"), MANUAL, instance_tag=TAGS["bob"], clock=pair.clock)
    pair.talks["bob"] = another.conversation("alice")
    pair.clear()
    pair.start("alice")
    (opened,) = pair.of_kind("alice", SessionOpened)
    assert opened.changed_from == identity("bob").fingerprint
    assert opened.info.their_fingerprint == identity("another bob").fingerprint
    assert not opened.refreshed


def test_a_fingerprint_that_changes_under_a_running_session_is_told() -> None:
    """Somebody in between who makes a new exchange with a key of his own."""
    pair = Pair()
    pair.secure()
    another = Account(identity("another bob"), MANUAL, instance_tag=TAGS["bob"], clock=pair.clock)
    pair.talks["bob"] = another.conversation("alice")
    pair.start("bob")
    (opened,) = pair.of_kind("alice", SessionOpened)
    assert opened.refreshed
    assert opened.changed_from == identity("bob").fingerprint
