"""Texts that wait for an encrypted conversation: in order, bounded, given back, or held for another key."""

from __future__ import annotations

from dataclasses import replace

import pytest

from otrcore import (
    Account,
    Event,
    HandshakeEnd,
    HandshakeFailed,
    Held,
    HeldBack,
    MessageState,
    NotSent,
    PeerMemory,
    Policy,
    Protection,
    Queued,
    Received,
    Resent,
    SessionOpened,
    Transmit,
    Trust,
    UsageError,
)
from otrcore.conversation import ERROR_PAUSE, QUERY_PATIENCE, QUERY_PATIENCE_4
from otrcore.outbox import MAX_WAITING, MAX_WAITING_CHARACTERS, RESEND_WITHIN
from otrcore.policy import ALWAYS, MANUAL, NEVER
from otrcore.session import MAX_TEXT_BYTES
from tests.pair import TAGS, Pair, Side, identity, speaking

IN_VERSIONS = pytest.mark.parametrize("version", [2, 3, 4])
ERROR = "?OTR Error: your message could not be read"


def requiring(version: int) -> Policy:
    """Return the policy that requires encryption in this version."""
    return replace(ALWAYS, versions=frozenset({version}))


def starting_on_error(version: int) -> Policy:
    """Return the policy that starts anew when the peer complains, and nothing else by itself."""
    return replace(speaking(version), start_on_error=True)


def heard(pair: Pair, side: Side = "bob") -> list[str]:
    """Return what came to this side encrypted, in its order."""
    texts = pair.of_kind(side, Received)
    assert all(text.protection is Protection.ENCRYPTED for text in texts)
    return [text.text for text in texts]


def given_back(*texts: str) -> list[Event]:
    return [NotSent(text, HeldBack.NO_SESSION) for text in texts]


def swap_bob(pair: Pair, name: str = "another bob") -> None:
    """Put somebody else, with a key of another name, in Bob's place."""
    policy = pair.accounts["bob"].policy
    account = Account(identity(name), policy, name="bob", instance_tag=TAGS["bob"], clock=pair.clock)
    pair.accounts["bob"], pair.talks["bob"] = account, account.conversation("alice")
    pair.on_the_way["bob"].clear()
    pair.on_the_way["alice"].clear()


def apart(pair: Pair) -> Pair:
    """End the conversation on both sides; nothing of it is left but what is remembered."""
    pair.end("alice")
    pair.end("bob")
    pair.clear()
    return pair


def held(pair: Pair) -> tuple[str, ...]:
    """Return what waits for Alice's word, as it is now."""
    return pair.alice.held


def never_in_clear(pair: Pair, *texts: str) -> None:
    """None of these texts was in any line (a short word of letters alone may stand in base64 by chance)."""
    assert not any(text.isalnum() and len(text) < 6 for text in texts)
    assert not any(text in line for _, line in pair.lines for text in texts)


# ---- require encryption


@IN_VERSIONS
def test_the_first_text_asks_for_a_conversation_and_all_leave_in_order(version: int) -> None:
    pair = Pair(policies=(requiring(version), speaking(version)))
    first, second, *_ = pair.do("alice", pair.alice.send("one."))
    assert isinstance(first, Transmit)
    assert not first.plain
    assert first.lines[0].startswith(f"?OTRv{version}?")
    assert second == Queued("one.")
    texts = ["one.", "two?", "three.", "two?"]
    for text in texts[1:]:
        assert pair.do("alice", pair.alice.send(text)) == [Queued(text)]
    pair.settle()
    pair.agreed()
    assert heard(pair) == texts
    assert pair.of_kind("alice", NotSent) == []
    assert pair.alice.idle is False
    never_in_clear(pair, *texts)


def test_they_leave_after_the_opening_is_told() -> None:
    pair = Pair(policies=(ALWAYS, MANUAL))
    pair.say("alice", "one")
    kinds = [type(event) for event in pair.events("alice")]
    opened = kinds.index(SessionOpened)
    assert Transmit in kinds[opened:]
    signature = max(at for at in range(opened) if kinds[at] is Transmit)
    assert signature < opened


def test_they_leave_without_a_mark() -> None:
    pair = Pair(policies=(ALWAYS, MANUAL))
    pair.say("alice", "one")
    assert heard(pair) == ["one"]
    assert pair.of_kind("alice", Resent) == []


def test_they_leave_whoever_starts_the_conversation() -> None:
    pair = Pair(policies=(ALWAYS, MANUAL))
    pair.alice.send("one")
    pair.clock.advance(1.0)
    pair.start("bob")
    assert heard(pair) == ["one"]


def test_plain_text_of_the_peer_is_unexpected() -> None:
    pair = Pair(policies=(ALWAYS, MANUAL))
    assert pair.hand("alice", "hello") == [Received("hello", Protection.UNEXPECTED_PLAIN)]


def test_nothing_waits_where_otr_is_off() -> None:
    pair = Pair(policies=(NEVER, MANUAL))
    assert pair.alice.send("one") == [Transmit(("one",), plain=True)]


def test_at_most_so_many_wait() -> None:
    pair = Pair(policies=(ALWAYS, MANUAL))
    for number in range(MAX_WAITING):
        assert Queued(f"{number}") in pair.do("alice", pair.alice.send(f"{number}"))
    assert pair.alice.send("more") == [NotSent("more", HeldBack.TOO_MUCH)]
    pair.settle()
    assert heard(pair) == [f"{number}" for number in range(MAX_WAITING)]


def test_at_most_so_much_waits() -> None:
    pair = Pair(policies=(ALWAYS, MANUAL))
    half = "x" * (MAX_WAITING_CHARACTERS // 2)
    assert Queued(half) in pair.alice.send(half)
    assert pair.alice.send(half) == [Queued(half)]
    assert pair.alice.send("y") == [NotSent("y", HeldBack.TOO_MUCH)]


def test_what_no_message_could_carry_does_not_wait() -> None:
    pair = Pair(policies=(ALWAYS, MANUAL))
    text = "x" * (MAX_TEXT_BYTES + 1)
    assert pair.alice.send(text) == [NotSent(text, HeldBack.TOO_LARGE)]
    assert not pair.alice.starting


# ---- given back


def waiting(*, delivered: int = 0) -> Pair:
    """Return a pair in which two texts of Alice wait, after so many lines of the start."""
    pair = Pair(policies=(ALWAYS, MANUAL))
    for text in ("one", "two"):
        pair.do("alice", pair.alice.send(text))
    for number in range(delivered):
        pair.deliver("alice" if number % 2 else "bob")
    pair.clear()
    return pair


def run_out(pair: Pair) -> list[Event]:
    """Let Alice wait, alone, until she has nothing to wait for."""
    events: list[Event] = []
    while (due := pair.alice.next_tick) is not None:
        pair.clock.now = due
        events += pair.alice.tick()
    return [event for event in events if isinstance(event, NotSent | HandshakeFailed)]


def test_given_back_when_nobody_answers() -> None:
    pair = waiting()
    pair.clock.advance(QUERY_PATIENCE_4)
    assert pair.alice.tick() == [HandshakeFailed(HandshakeEnd.NO_ANSWER), *given_back("one", "two")]
    assert pair.alice.idle
    assert pair.alice.send("three")[1] == Queued("three")


def test_given_back_when_the_peer_stops_in_the_middle() -> None:
    pair = waiting(delivered=2)
    assert run_out(pair) == [HandshakeFailed(HandshakeEnd.INCOMPLETE), *given_back("one", "two")]
    assert pair.alice.idle


@pytest.mark.parametrize("delivered", [0, 2])
def test_given_back_when_the_user_ends_it(delivered: int) -> None:
    pair = waiting(delivered=delivered)
    assert pair.alice.end() == [HandshakeFailed(HandshakeEnd.CANCELLED), *given_back("one", "two")]
    assert run_out(pair) == []


@pytest.mark.parametrize("delivered", [0, 2])
def test_given_back_when_the_peer_is_gone(delivered: int) -> None:
    pair = waiting(delivered=delivered)
    assert given_back("one", "two") == [event for event in pair.alice.lose() if isinstance(event, NotSent)]
    assert not pair.alice.starting
    assert run_out(pair) == []


@pytest.mark.parametrize("delivered", [0, 2])
def test_given_back_when_otr_is_switched_off(delivered: int) -> None:
    pair = waiting(delivered=delivered)
    events = pair.alice.set_policy(NEVER)
    assert given_back("one", "two") == [event for event in events if isinstance(event, NotSent)]
    assert not pair.alice.starting
    assert pair.alice.next_tick is None
    assert pair.alice.send("plain") == [Transmit(("plain",), plain=True)]


def test_what_was_given_back_does_not_leave_later() -> None:
    pair = waiting()
    pair.alice.end()
    pair.on_the_way["bob"].clear()
    pair.start("bob")
    pair.agreed()
    assert heard(pair) == []


def test_given_back_also_without_a_policy_that_requires_encryption() -> None:
    pair = Pair()
    pair.alice.start()
    assert pair.alice.send("one") == [Queued("one")]
    pair.clock.advance(QUERY_PATIENCE)
    assert pair.alice.tick() == [HandshakeFailed(HandshakeEnd.NO_ANSWER), *given_back("one")]
    assert pair.alice.send("one") == [Transmit(("one",), plain=True)]


# ---- whose key it is


def verified(version: int, *, resend: bool = False) -> Pair:
    """Return a pair that is apart, in which Alice has verified Bob's key."""
    policy = starting_on_error(version) if resend else requiring(version)
    pair = Pair(policies=(policy, speaking(version)))
    pair.secure()
    pair.alice.set_trust(Trust.COMPARED)
    pair.clear()
    return pair if resend else apart(pair)


@IN_VERSIONS
def test_somebody_else_answers_for_a_verified_peer(version: int) -> None:
    """Between typing and the session the peer swaps its key: nothing leaves by itself."""
    pair = verified(version)
    for text in ("secret one", "secret two"):
        pair.do("alice", pair.alice.send(text))
    swap_bob(pair)
    pair.start("bob")
    pair.agreed()
    assert heard(pair) == []
    opened = pair.of_kind("alice", SessionOpened)[-1]
    assert opened.trust is Trust.NONE
    assert opened.changed_from == identity("bob").fingerprint_in(version)
    assert pair.of_kind("alice", Held) == [Held(("secret one", "secret two"))]
    assert held(pair) == ("secret one", "secret two")
    pair.wait(300)
    assert heard(pair) == []
    assert held(pair) == ("secret one", "secret two")


@IN_VERSIONS
def test_the_user_lets_held_texts_go(version: int) -> None:
    pair = verified(version)
    for text in ("secret one", "secret two"):
        pair.do("alice", pair.alice.send(text))
    swap_bob(pair)
    pair.start("bob")
    pair.do("alice", pair.alice.send_held())
    pair.settle()
    assert heard(pair) == ["secret one", "secret two"]
    assert held(pair) == ()
    assert pair.alice.send_held() == []


def test_the_user_drops_held_texts() -> None:
    pair = verified(3)
    pair.do("alice", pair.alice.send("secret"))
    swap_bob(pair)
    pair.start("bob")
    assert pair.alice.drop_held() == ("secret",)
    assert held(pair) == ()
    assert pair.alice.drop_held() == ()
    pair.do("alice", pair.alice.send_held())
    pair.settle()
    assert heard(pair) == []


def test_a_text_that_the_user_has_back_neither_waits_nor_is_held() -> None:
    pair = Pair(policies=(ALWAYS, MANUAL))
    for text in ("secret one", "secret two", "secret one"):
        pair.alice.send(text)
    pair.alice.withdraw("secret one")
    pair.alice.withdraw("never typed")
    pair.alice.start()
    assert pair.alice.end()[1:] == given_back("secret one", "secret two")


def test_a_held_text_that_the_user_has_back_is_held_no_more() -> None:
    pair = verified(3)
    for text in ("secret one", "secret two", "secret one"):
        pair.do("alice", pair.alice.send(text))
    swap_bob(pair)
    pair.start("bob")
    assert held(pair) == ("secret one", "secret two", "secret one")
    pair.alice.withdraw("secret one")
    assert held(pair) == ("secret one", "secret two")


def test_the_last_text_that_the_user_has_back_is_not_said_again() -> None:
    pair = Pair()
    pair.secure()
    pair.say("alice", "secret one")
    assert pair.alice._outbox._last is not None
    pair.alice.withdraw("secret one")
    assert pair.alice._outbox._last is None


def test_held_texts_outlive_the_session_and_wait_for_a_word_of_the_user() -> None:
    pair = verified(3)
    pair.do("alice", pair.alice.send("secret"))
    swap_bob(pair)
    pair.start("bob")
    pair.end("alice")
    assert held(pair) == ("secret",)
    assert not pair.alice.idle
    with pytest.raises(UsageError, match="start one first"):
        pair.alice.send_held()
    assert held(pair) == ("secret",)
    pair.end("bob")
    swap_bob(pair, "bob")
    pair.start("bob")
    assert heard(pair) == []
    pair.do("alice", pair.alice.send_held())
    pair.settle()
    assert heard(pair) == ["secret"]


def test_held_texts_and_waiting_texts_are_bounded_together() -> None:
    pair = verified(3)
    for number in range(MAX_WAITING):
        pair.do("alice", pair.alice.send(f"{number}"))
    swap_bob(pair)
    pair.start("bob")
    assert len(held(pair)) == MAX_WAITING
    pair.end("alice")
    assert pair.alice.send("more") == [NotSent("more", HeldBack.TOO_MUCH)]
    pair.alice.drop_held()
    assert Queued("more") in pair.alice.send("more")


@IN_VERSIONS
def test_a_verified_key_gets_what_waits(version: int) -> None:
    pair = verified(version)
    pair.say("alice", "secret")
    assert heard(pair) == ["secret"]
    assert pair.of_kind("alice", Held) == []


def test_any_verified_key_gets_what_waits() -> None:
    """A peer with two clients has two keys."""
    pair = verified(3)
    swap_bob(pair)
    pair.secure("bob")
    pair.alice.set_trust(Trust.COMPARED)
    apart(pair)
    swap_bob(pair, "bob")
    pair.say("alice", "secret")
    assert heard(pair) == ["secret"]
    assert pair.of_kind("alice", Held) == []


def test_a_first_contact_gets_what_waits() -> None:
    pair = Pair(policies=(ALWAYS, MANUAL))
    pair.say("alice", "hello")
    assert heard(pair) == ["hello"]


def test_an_unverified_peer_with_a_new_key_gets_what_waits_and_the_change_is_told() -> None:
    """Nobody knows whose key the old one was: the rule is about keys that were verified."""
    pair = Pair(policies=(ALWAYS, MANUAL))
    pair.secure()
    apart(pair)
    swap_bob(pair)
    pair.say("alice", "hello")
    assert heard(pair) == ["hello"]
    (opened,) = pair.of_kind("alice", SessionOpened)
    assert opened.changed_from == identity("bob").fingerprint_4


def test_a_verified_key_that_is_only_remembered_counts() -> None:
    old = verified(3)
    pair = Pair(policies=(ALWAYS, MANUAL))
    account = pair.accounts["alice"]
    account.forget("bob")
    memory: PeerMemory = old.alice.memory
    pair.talks["alice"] = account.conversation("bob", memory)
    swap_bob(pair)
    pair.say("alice", "secret")
    assert heard(pair) == []
    assert held(pair) == ("secret",)


# ---- said again


def lost(pair: Pair, text: str = "lost") -> None:
    """Let a text of Alice get lost on its way."""
    pair.do("alice", pair.alice.send(text))
    pair.on_the_way["bob"].clear()


def resending(version: int) -> Pair:
    pair = Pair(policies=(starting_on_error(version), speaking(version)))
    pair.secure()
    return pair


@IN_VERSIONS
def test_after_an_error_the_last_text_is_said_again_once(version: int) -> None:
    pair = resending(version)
    pair.say("alice", "arrived")
    lost(pair)
    pair.hand("alice", ERROR)
    pair.settle()
    pair.agreed()
    assert heard(pair) == ["arrived", "[resent] lost"]
    assert pair.of_kind("alice", Resent) == [Resent("lost")]
    pair.clock.advance(ERROR_PAUSE)
    pair.hand("alice", ERROR)
    pair.settle()
    pair.agreed()
    assert heard(pair) == ["arrived", "[resent] lost"]


@IN_VERSIONS
@pytest.mark.parametrize("late", [False, True])
def test_said_again_only_within_a_minute(version: int, late: bool) -> None:
    pair = resending(version)
    lost(pair)
    pair.clock.advance(RESEND_WITHIN if late else RESEND_WITHIN - 0.01)
    pair.hand("alice", ERROR)
    pair.settle()
    pair.agreed()
    assert heard(pair) == ([] if late else ["[resent] lost"])
    assert pair.of_kind("alice", Resent) == ([] if late else [Resent("lost")])
    assert held(pair) == ()


@IN_VERSIONS
def test_said_again_whoever_starts_the_next_session(version: int) -> None:
    pair = Pair(version=version)
    pair.secure()
    lost(pair)
    pair.hand("alice", ERROR)
    assert not pair.alice.starting
    pair.start("bob")
    assert heard(pair) == ["[resent] lost"]


@IN_VERSIONS
def test_without_an_error_nothing_is_said_again(version: int) -> None:
    pair = resending(version)
    lost(pair)
    pair.start("bob")
    pair.agreed()
    assert heard(pair) == []


@IN_VERSIONS
def test_an_error_outside_a_conversation_says_nothing_again(version: int) -> None:
    pair = resending(version)
    lost(pair)
    pair.end("alice")
    pair.hand("alice", ERROR)
    pair.settle()
    assert heard(pair) == []
    assert pair.of_kind("alice", Resent) == []


@pytest.mark.parametrize("over", ["ended by us", "gone"])
def test_what_was_said_in_a_conversation_that_is_over_is_not_said_again(over: str) -> None:
    pair = resending(3)
    lost(pair)
    pair.hand("alice", ERROR)
    pair.on_the_way["bob"].clear()
    if over == "gone":
        pair.do("alice", pair.alice.lose())
    else:
        pair.end("alice")
    pair.start("bob")
    pair.agreed()
    assert heard(pair) == []
    assert held(pair) == ()


@IN_VERSIONS
def test_somebody_else_answers_the_start_after_an_error(version: int) -> None:
    """The peer swaps its key between the text and the next session: the text is held."""
    pair = resending(version)
    lost(pair, "secret")
    swap_bob(pair)
    pair.hand("alice", ERROR)
    pair.settle()
    pair.agreed()
    assert heard(pair) == []
    assert pair.of_kind("alice", Resent) == []
    assert pair.of_kind("alice", Held) == [Held(("secret",))]
    assert held(pair) == ("secret",)
    never_in_clear(pair, "secret")


@IN_VERSIONS
def test_another_verified_key_does_not_get_what_was_meant_for_one(version: int) -> None:
    """For what is said again only the same key counts."""
    pair = Pair(policies=(starting_on_error(version), speaking(version)))
    pair.secure()
    pair.alice.set_trust(Trust.COMPARED)
    swap_bob(pair)
    pair.secure("bob")
    pair.alice.set_trust(Trust.COMPARED)
    lost(pair, "secret")
    swap_bob(pair, "bob")
    pair.clock.advance(11.0)
    pair.hand("alice", ERROR)
    pair.settle()
    pair.agreed()
    assert heard(pair) == []
    assert held(pair) == ("secret",)


def test_the_longest_text_is_given_back_where_the_mark_does_not_fit() -> None:
    pair = resending(3)
    longest = "x" * MAX_TEXT_BYTES
    lost(pair, longest)
    pair.hand("alice", ERROR)
    pair.settle()
    pair.agreed()
    said = pair.of_kind("alice", Resent)
    back = pair.of_kind("alice", NotSent)
    assert (len(said), len(back)) in {(1, 0), (0, 1)}
    assert [text.removeprefix("[resent] ") for text in heard(pair)] == [longest] * len(said)
    assert [event.text for event in back] == [longest] * len(back)


def test_only_the_last_text_is_said_again() -> None:
    pair = resending(3)
    lost(pair, "first")
    lost(pair, "second")
    pair.hand("alice", ERROR)
    pair.settle()
    assert heard(pair) == ["[resent] second"]


def test_what_waited_and_what_was_lost_may_both_be_held() -> None:
    """In the finished state a new start is awaited: order is as it was typed."""
    pair = verified(3)
    pair.do("alice", pair.alice.send("one"))
    swap_bob(pair)
    pair.start("bob")
    assert held(pair) == ("one",)
    pair.end("alice")
    pair.end("bob")
    pair.do("alice", pair.alice.send("two"))
    pair.settle()
    assert pair.alice.state is MessageState.ENCRYPTED
    assert held(pair) == ("one", "two")
    assert heard(pair) == []
