"""What is typed in version 4 leaves encrypted, waits, or comes back; by state, policy, and what follows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from otrcore.events import Event, HeldBack, NotSent, Queued, Received, Rejected, Transmit
from otrcore.model import MessageState, Protection
from otrcore.policy import ALWAYS, MANUAL, OPPORTUNISTIC
from otrcore.v4.channel import LIFETIME
from otrcore.wire import text as wire_text
from tests.pair import OTHER, SIDES, Pair, Side
from tests.robustness.scenes import PEER, SUBJECT
from tests.robustness.scenes4 import each_scene, play

TEXT = "for nobody else to read"
POLICIES = {
    name: replace(policy, versions=frozenset({4}))
    for name, policy in (("manual", MANUAL), ("opportunistic", OPPORTUNISTIC), ("always", ALWAYS))
}
each_policy = pytest.mark.parametrize("policy", POLICIES)


def readable(line: str, text: str) -> bool:
    """Whether somebody who reads a line can read a text in it, behind base64 or in a fragment too."""
    # The tag that offers OTR stands in the middle of a text.
    if "".join(text.split()) in "".join(line.split()):
        return True
    if line.startswith("?OTR:"):
        return text.encode() in wire_text.decode(line)
    return False


def leaves_plain(events: list[Event]) -> bool:
    """Whether a text goes out for everybody to read; what says that it is plain must be, and no other."""
    plain = False
    for event in events:
        if isinstance(event, Transmit):
            shown = any(readable(line, TEXT) for line in event.lines)
            assert shown is event.plain
            plain |= shown
    return plain


def type_into(pair: Pair, side: Side) -> bool:
    """Type the text; returns whether it went out plain, which must be right."""
    talk = pair.talks[side]
    private = talk.state is not MessageState.PLAINTEXT or talk.starting or talk.policy.require_encryption
    encrypted = talk.state is MessageState.ENCRYPTED
    events = pair.do(side, talk.send(TEXT))
    plain = leaves_plain(events)
    assert plain is not private
    if not plain and not encrypted:
        fates = [event for event in events if isinstance(event, Queued | NotSent)]
        assert len(fates) == 1
    return plain


def with_policy(pair: Pair, policy: str) -> Pair:
    for side in SIDES:
        pair.talks[side].set_policy(POLICIES[policy])
    return pair


@each_policy
@each_scene
def test_in_every_state_and_whatever_comes_of_it(name: str, policy: str) -> None:
    """The peer reads it encrypted, or the user has it back, or the peer is told of a loss."""
    pair = with_policy(play(name), policy)
    pair.clear()
    plain = type_into(pair, SUBJECT)
    pair.settle()
    pair.wait(300.0)
    pair.start(SUBJECT)
    pair.wait(300.0)
    pair.agreed()
    assert any(readable(line, TEXT) for _, line in pair.lines) is plain
    heard = [event for event in pair.of_kind(PEER, Received) if event.text.startswith(TEXT)]
    back = [event for event in pair.of_kind(SUBJECT, NotSent) if event.text == TEXT]
    if plain:
        assert all(event.protection is not Protection.ENCRYPTED for event in heard)
    else:
        # What leaves under keys that the peer has just replaced cannot be read any more.
        lost = [event for event in pair.of_kind(PEER, Rejected) if event.had_text]
        assert len(heard) + len(back) + len(lost) == 1
        assert all(event.protection is Protection.ENCRYPTED for event in heard)


def ends_by_time(pair: Pair) -> None:
    pair.wait(LIFETIME)


def peer_ends(pair: Pair) -> None:
    pair.end(PEER)


def peer_is_gone(pair: Pair) -> None:
    pair.do(SUBJECT, pair.talks[SUBJECT].lose())


def we_ask_for_new_keys(pair: Pair) -> None:
    pair.do(SUBJECT, pair.talks[SUBJECT].start())


def we_ask_and_nobody_answers(pair: Pair) -> None:
    we_ask_for_new_keys(pair)
    pair.on_the_way[PEER].clear()
    pair.wait(300.0)


def peer_asks_for_new_keys(pair: Pair) -> None:
    """What ends the old session has come, and what begins the new one has not."""
    pair.do(PEER, pair.talks[PEER].start())
    pair.deliver(SUBJECT)


def peer_asks_and_falls_silent(pair: Pair) -> None:
    peer_asks_for_new_keys(pair)
    pair.deliver(SUBJECT)
    for side in SIDES:
        pair.on_the_way[side].clear()
    pair.clock.advance(300.0)
    pair.do(SUBJECT, pair.talks[SUBJECT].tick())
    pair.clock.advance(300.0)
    pair.do(SUBJECT, pair.talks[SUBJECT].tick())


def errors_come(pair: Pair) -> None:
    for line in ("?OTR Error: ERROR_1: no", "?OTR Error: ERROR_2: no", "?OTR Error: no"):
        pair.hand(SUBJECT, line)


def queries_come(pair: Pair) -> None:
    for line in ("?OTRv4?", "?OTRv3?", "?OTRv2?", "?OTR?"):
        pair.hand(SUBJECT, line)


def somebody_begins_in_version_3(pair: Pair) -> None:
    other = Pair(version=3)
    other.hand(PEER, "?OTRv3?")
    pair.hand(SUBJECT, other.on_the_way[SUBJECT][0])


AFTER = [
    ends_by_time,
    peer_ends,
    peer_is_gone,
    we_ask_for_new_keys,
    we_ask_and_nobody_answers,
    peer_asks_for_new_keys,
    peer_asks_and_falls_silent,
    errors_come,
    queries_come,
    somebody_begins_in_version_3,
]


@each_policy
@pytest.mark.parametrize("after", AFTER)
def test_after_a_session_nothing_is_plain_before_the_user_says_so(
    after: Callable[[Pair], None], policy: str
) -> None:
    """Whoever ended it, or wants to; the user's own end is what makes it plain again, where policy allows."""
    pair = Pair(policies=(POLICIES[policy], POLICIES[policy]), seed="after")
    pair.secure()
    after(pair)
    talk = pair.talks[SUBJECT]
    assert talk.state is not MessageState.PLAINTEXT
    for _ in range(3):
        assert not type_into(pair, SUBJECT)
        pair.hand(SUBJECT, "plain text of somebody")
    pair.settle()
    pair.wait(300.0)
    assert not type_into(pair, SUBJECT)
    assert not any(readable(line, TEXT) for side, line in pair.lines if side == SUBJECT)
    pair.do(SUBJECT, talk.end())
    assert type_into(pair, SUBJECT) is (policy != "always")


def test_what_waits_leaves_in_the_session_that_comes_and_not_before() -> None:
    """Under a policy that requires encryption, through a refresh, each way, in its order."""
    pair = Pair(policies=(POLICIES["always"],) * 2, seed="waits")
    for number in range(3):
        for side in SIDES:
            pair.do(side, pair.talks[side].send(f"{TEXT} {number} of {side}"))
        pair.settle()
        pair.wait(60.0)
        pair.do("alice", pair.alice.start())
        # The end of what has run, and the query.
        pair.deliver("bob")
        pair.deliver("bob")
    for side in SIDES:
        heard = pair.of_kind(OTHER[side], Received)
        assert heard == [Received(f"{TEXT} {number} of {side}", Protection.ENCRYPTED) for number in range(3)]
    assert not any(readable(line, TEXT) for _, line in pair.lines)
    assert not any(
        event.reason is HeldBack.NO_SESSION for side in SIDES for event in pair.of_kind(side, NotSent)
    )
