"""OTR Error Messages of both sides: what they say, what they start, and that they never go in a circle."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from otrcore import (
    Event,
    HandshakeEnd,
    HandshakeFailed,
    MessageState,
    PeerComplained,
    Protection,
    Received,
    Rejected,
    Transmit,
)
from otrcore.conversation import ERROR_PAUSE, MAX_COMPLAINT, QUERY_PATIENCE_4
from otrcore.errors import Reason
from otrcore.policy import ALWAYS, DEFAULT, MANUAL, OPPORTUNISTIC, Policy
from otrcore.session import COMPLAINT_PAUSE, MALFORMED_REPLY, UNREADABLE_REPLY
from otrcore.wire.text import TAG_BASE, TAG_GROUPS
from tests.pair import OTHER, SIDES, Pair, Side
from tests.snapshot import snapshot

STARTS = replace(MANUAL, start_on_error=True)
REPLIES = {2: UNREADABLE_REPLY, 3: UNREADABLE_REPLY, 4: UNREADABLE_REPLY.replace("Error:", "Error: ERROR_1:")}
IN_VERSIONS = pytest.mark.parametrize("version", [2, 3, 4])


def lines_of(events: Iterable[Event]) -> list[str]:
    return [line for event in events if isinstance(event, Transmit) for line in event.lines]


# ---- starting


@pytest.mark.parametrize("policy", [STARTS, DEFAULT, OPPORTUNISTIC, ALWAYS])
def test_an_error_starts_where_the_policy_says_so_and_is_shown(policy: Policy) -> None:
    pair = Pair(policies=(policy, MANUAL))
    told, query = pair.hand("alice", "?OTR Error: what?")
    assert told == PeerComplained("what?")
    assert lines_of([query])[0].startswith("?OTRv34?")
    assert pair.alice.starting
    pair.settle()
    pair.agreed()


def test_an_error_starts_nothing_elsewhere() -> None:
    pair = Pair(policies=(MANUAL, MANUAL))
    assert pair.hand("alice", "?OTR Error: ?OTRv3? please") == [PeerComplained("?OTRv3? please")]
    assert not pair.alice.starting
    assert pair.lines == []


def test_an_error_in_a_session_starts_a_fresh_one_and_disturbs_nothing() -> None:
    pair = Pair(policies=(STARTS, MANUAL))
    first = pair.secure()
    pair.hand("alice", "?OTR Error: what?")
    assert pair.alice.state is MessageState.ENCRYPTED
    assert pair.alice.info == first
    pair.settle()
    assert pair.agreed() != first


def test_after_an_end_an_error_starts_nothing() -> None:
    """Who has ended wants to go on plain; something of the session may come late to the peer."""
    pair = Pair(policies=(STARTS, MANUAL))
    pair.secure()
    pair.end("alice")
    assert pair.hand("alice", "?OTR Error: what?") == [PeerComplained("what?")]
    assert not pair.alice.starting
    pair.start("bob")
    pair.agreed()
    assert lines_of(pair.hand("alice", "?OTR Error: what?"))


def test_errors_start_at_most_once_in_a_while() -> None:
    pair = Pair(policies=(STARTS, MANUAL))
    begun = pair.clock.now
    queries = 0
    while pair.clock.now < begun + 10 * ERROR_PAUSE:
        queries += len(lines_of(pair.alice.receive("?OTR Error: again")))
        pair.alice.tick()
        pair.clock.advance(1.0)
    assert queries == 10


def test_each_of_many_errors_is_one_event() -> None:
    pair = Pair(policies=(STARTS, MANUAL))
    pair.hand("alice", "?OTR Error: x")
    for _ in range(50):
        assert pair.hand("alice", "?OTR Error: x") == [PeerComplained("x")]


@pytest.mark.parametrize("encrypted", [True, False])
def test_two_that_start_on_errors_come_to_rest(encrypted: bool) -> None:
    """`settle` fails where lines go to and fro for ever."""
    pair = Pair(policies=(STARTS, STARTS))
    if encrypted:
        pair.secure()
    for side in SIDES:
        pair.hand(side, "?OTR Error: from nowhere")
    pair.settle()
    pair.wait(30)
    pair.agreed()
    pair.clear()
    pair.wait(600)
    assert pair.lines == []


def test_two_whose_keys_never_fit_come_to_rest() -> None:
    """Each side's text is unreadable to the other, which complains, which starts, which ..."""
    pair = Pair(policies=(STARTS, STARTS))
    pair.secure()
    pair.clear()
    for _ in range(20):
        for side in SIDES:
            for line in lines_of(pair.talks[side].send("spoilt on the way")):
                pair.hand(OTHER[side], line[:-60] + ("A" if line[-60] != "A" else "B") + line[-59:])
        pair.settle()
        pair.clock.advance(0.5)
    starts = [line for _, line in pair.lines if line.startswith("?OTRv")]
    assert len(starts) <= 2


def test_an_error_is_never_answered_by_an_error() -> None:
    for policy in (MANUAL, STARTS):
        pair = Pair(policies=(policy, MANUAL))
        for state in ("plaintext", "encrypted", "finished"):
            if state == "encrypted":
                pair.secure()
            elif state == "finished":
                pair.end("bob")
            pair.clock.advance(ERROR_PAUSE)
            for line in ("?OTR Error: a", "?OTR Error: ?OTR Error: b", "?OTR Error:"):
                assert not any("Error" in line for line in lines_of(pair.alice.receive(line))), state


# ---- what it says


@pytest.mark.parametrize(
    "inside",
    [
        "?OTRv3?",
        "?OTRv23?",
        "?OTR?v2?",
        "?OTR Error: x",
        "?OTR:AAMC.",
        f"hello{TAG_BASE}{TAG_GROUPS[3]}hello",
        "%s%n{0}",
    ],
)
@pytest.mark.parametrize("encrypted", [True, False])
def test_what_an_error_text_holds_is_text(inside: str, encrypted: bool) -> None:
    pair = Pair(policies=(replace(MANUAL, start_on_tag=True), MANUAL))
    if encrypted:
        pair.secure()
    before = snapshot(pair.alice._instances)
    assert pair.hand("alice", f"?OTR Error: {inside}") == [PeerComplained(inside)]
    assert snapshot(pair.alice._instances) == before
    assert pair.lines == []
    assert not pair.alice.starting


def test_control_codes_are_handed_over_for_the_host_to_show_safely() -> None:
    """As with any text of a peer: what is safe differs between a terminal and a window."""
    pair = Pair()
    text = "red \x0304 bell \x07 clear \x1b[2J end"
    assert pair.hand("alice", f"?OTR Error: {text}") == [PeerComplained(text)]


def test_a_long_error_text_is_cut() -> None:
    pair = Pair()
    assert pair.hand("alice", "?OTR Error: " + "x" * 5000) == [PeerComplained("x" * MAX_COMPLAINT)]


@pytest.mark.parametrize("line", ["?OTR Error: x", "?OTR Error:x", "so ?OTR Error: x", "?OTR Error:  x  "])
def test_an_error_is_found_anywhere_with_and_without_a_blank(line: str) -> None:
    assert Pair().hand("alice", line) == [PeerComplained("x")]


def test_an_empty_error_text_is_told_all_the_same() -> None:
    assert Pair().hand("alice", "?OTR Error:") == [PeerComplained("")]


def test_our_own_error_texts_are_plain_sentences() -> None:
    for reply in (UNREADABLE_REPLY, MALFORMED_REPLY):
        assert reply.startswith("?OTR Error: ")
        assert reply.count("?OTR") == 1
        assert reply.isascii()
        assert reply.isprintable()
        assert len(reply) < 100


# ---- unreadable messages


def spoilt(pair: Pair, to: Side = "alice") -> str:
    """Return a data message that does not verify."""
    (line,) = lines_of(pair.talks[OTHER[to]].send("spoilt"))
    at = 60
    return line[:at] + ("A" if line[at] != "A" else "B") + line[at + 1 :]


@IN_VERSIONS
def test_a_storm_of_unreadable_messages_is_told_once_and_answered_once_in_a_while(version: int) -> None:
    pair = Pair(version=version)
    pair.secure()
    storm = [spoilt(pair) for _ in range(20)]
    told = Rejected(Reason.UNREADABLE, had_text=True)
    quiet = Rejected(Reason.UNREADABLE, had_text=False)
    for _ in range(3):
        assert pair.alice.receive(storm[0]) == [Transmit((REPLIES[version],)), told]
        for line in storm[1:]:
            assert pair.alice.receive(line) == [quiet]
        pair.clock.advance(COMPLAINT_PAUSE - 0.01)
        assert pair.alice.receive(storm[0]) == [quiet]
        pair.clock.advance(0.01)


def test_a_damaged_message_is_complained_of_in_other_words() -> None:
    pair = Pair()
    pair.secure()
    (line,) = lines_of(pair.bob.send("cut"))
    assert pair.alice.receive(line[:-41] + ".") == [
        Transmit((MALFORMED_REPLY,)),
        Rejected(Reason.MALFORMED, had_text=True),
    ]


@IN_VERSIONS
def test_right_after_a_refresh_nothing_is_replied(version: int) -> None:
    """Texts of the old session are still on their way; a reply could make the peer start again, and so on."""
    pair = Pair(version=version)
    pair.secure()
    late = [line for text in ("one", "two") for line in lines_of(pair.bob.send(text))]
    pair.start("alice")
    pair.clear()
    assert pair.alice.receive(late[0]) == [Rejected(Reason.UNREADABLE, had_text=True)]
    assert pair.alice.receive(late[1]) == [Rejected(Reason.UNREADABLE, had_text=False)]
    pair.clock.advance(COMPLAINT_PAUSE)
    assert pair.alice.receive(late[1]) == [
        Transmit((REPLIES[version],)),
        Rejected(Reason.UNREADABLE, had_text=True),
    ]


def test_after_a_first_start_replies_are_not_held_back() -> None:
    pair = Pair()
    pair.secure()
    assert len(lines_of(pair.alice.receive(spoilt(pair)))) == 1


def test_a_repetition_is_not_complained_of() -> None:
    pair = Pair()
    pair.secure()
    pair.do("bob", pair.bob.send("once"))
    line = pair.on_the_way["alice"].popleft()
    assert pair.hand("alice", line) == [Received("once", Protection.ENCRYPTED)]
    assert pair.hand("alice", line) == [Rejected(Reason.REPLAYED)]


def test_what_is_encrypted_meets_no_session() -> None:
    """No reply: it may be for another client of ours."""
    pair = Pair()
    pair.secure()
    lines = lines_of(pair.bob.send("lost"))
    pair.alice.end()
    assert [pair.alice.receive(line) for line in lines] == [[Rejected(Reason.NO_SESSION, had_text=True)]]


def test_an_error_start_that_nobody_answers_is_given_up() -> None:
    pair = Pair(policies=(STARTS, MANUAL))
    pair.hand("alice", "?OTR Error: what?")
    pair.clock.advance(QUERY_PATIENCE_4)
    assert pair.alice.tick() == [HandshakeFailed(HandshakeEnd.NO_ANSWER)]
