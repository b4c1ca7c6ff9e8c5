"""Texts through a conversation: whole, and only whole, whatever is in them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otrcore import HeldBack, NotSent, PeerComplained, Protection, Received, Rejected, Transmit, UsageError
from otrcore.errors import Reason
from otrcore.session import MAX_TEXT_BYTES
from otrcore.wire.fragment import MAX_TOTAL
from tests.pair import OTHER, SIDES, Pair, Side
from tests.snapshot import snapshot
from tests.spec.subject import US, Subject

SHORT = "\u00e9\u4e2d\U0001f512"

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=300)
"""Without NUL and lone surrogates, which cannot be sent as they are."""


def received(pair: Pair, side: Side) -> list[str]:
    """Return what came to this side encrypted."""
    events = pair.of_kind(side, Received)
    assert all(event.protection is Protection.ENCRYPTED for event in events)
    return [event.text for event in events]


@pytest.fixture(scope="module")
def encrypted() -> Pair:
    """An encrypted pair that many texts go through."""
    pair = Pair(seed="texts")
    pair.secure()
    return pair


@given(st.lists(st.tuples(st.sampled_from(SIDES), TEXTS), max_size=8))
@settings(derandomize=True, max_examples=60, deadline=None)
def test_any_text_arrives_as_it_was(encrypted: Pair, texts: list[tuple[Side, str]]) -> None:
    for side, text in texts:
        encrypted.clear()
        encrypted.say(side, text)
        assert received(encrypted, OTHER[side]) == [text]
        assert encrypted.events(side) == [Transmit(tuple(line for _, line in encrypted.lines))]


def test_a_nul_is_left_out() -> None:
    """It would end the text on the other side, and what follows would be read as records."""
    pair = Pair()
    pair.secure()
    pair.say("alice", "be\0fore\0\0\1\0\0")
    assert received(pair, "bob") == ["before\1"]
    pair.agreed()


def test_a_lone_surrogate_is_replaced() -> None:
    pair = Pair()
    pair.secure()
    pair.say("alice", "a\ud800b")
    assert received(pair, "bob") == ["a?b"]


def test_bytes_that_are_no_utf_8_are_replaced() -> None:
    subject = Subject().encrypted()
    raw = subject.peer.data_message(US, subject.public(1), b"caf\xe9\xff")
    assert subject.take(raw) == [Received("caf\ufffd\ufffd", Protection.ENCRYPTED)]


def test_the_longest_text_passes_and_one_byte_more_does_not() -> None:
    pair = Pair()
    pair.secure()
    longest = "x" * MAX_TEXT_BYTES
    pair.say("alice", longest)
    assert received(pair, "bob") == [longest]

    for text in (longest + "x", "\u00e9" * (MAX_TEXT_BYTES // 2) + "x"):
        before = snapshot(pair.alice)
        assert pair.alice.send(text) == [NotSent(text, HeldBack.TOO_LARGE)]
        assert snapshot(pair.alice) == before


def test_the_longest_text_passes_in_the_shortest_lines() -> None:
    pair = Pair(line_limit=100)
    pair.secure()
    text = SHORT * (MAX_TEXT_BYTES // len(SHORT.encode()))
    pair.say("alice", text)
    assert received(pair, "bob") == [text]
    assert max(len(line) for _, line in pair.lines) <= 100


@pytest.mark.parametrize("limit", [100, 101, 137, 400])
def test_no_line_is_longer_than_the_limit(limit: int) -> None:
    """But for the query, which is never cut."""
    pair = Pair(line_limit=limit)
    pair.start("alice")
    pair.say("alice", "x" * 500)
    pair.end("bob")
    cut = [line for _, line in pair.lines if not line.startswith("?OTRv")]
    assert max(map(len, cut)) <= limit
    assert all(line.startswith("?OTR") and line.isascii() and line.isprintable() for line in cut)
    assert received(pair, "bob") == ["x" * 500]


def test_lines_that_are_too_short_for_otr_are_refused() -> None:
    pair = Pair(line_limit=200)
    with pytest.raises(UsageError, match="100"):
        pair.alice.line_limit = 99
    assert pair.alice.line_limit == 200
    pair.alice.line_limit = None
    assert pair.alice.line_limit is None


def test_an_empty_text_is_sent_and_not_shown() -> None:
    pair = Pair()
    pair.secure()
    pair.say("alice", "")
    assert len(pair.lines) == 1
    assert pair.events("bob") == []


def test_plain_text_goes_out_as_it_is_while_nothing_was_asked_for() -> None:
    pair = Pair()
    for text in ("hello", "", "  ", SHORT, "?OTR", "x" * 1000):
        assert pair.alice.send(text) == [Transmit((text,), plain=True)]


def test_plain_text_that_comes_in_is_told_apart() -> None:
    pair = Pair()
    assert pair.hand("alice", "one") == [Received("one", Protection.PLAIN)]
    pair.secure()
    assert pair.hand("alice", "two") == [Received("two", Protection.UNEXPECTED_PLAIN)]
    pair.end("bob")
    assert pair.hand("alice", "three") == [Received("three", Protection.UNEXPECTED_PLAIN)]
    pair.alice.end()
    assert pair.hand("alice", "four") == [Received("four", Protection.PLAIN)]


LOOKING_LIKE_SOMETHING_ELSE = {
    "queries": "?OTRv3? ?OTRv3?",
    "an error": "?OTR Error: x",
    "an encoded message": "?OTR:AAMD.",
    "a mark": "?OTR",
    "two lines": "a\r\nb",
    "a format": "%s%n",
    "a terminal's command": "\x1b[2J",
}


@pytest.mark.parametrize("text", LOOKING_LIKE_SOMETHING_ELSE.values(), ids=LOOKING_LIKE_SOMETHING_ELSE)
def test_decrypted_text_is_text_and_nothing_else(text: str) -> None:
    """It is handed over and not acted on."""
    pair = Pair()
    info = pair.secure()
    pair.say("alice", text)
    assert received(pair, "bob") == [text]
    assert len(pair.lines) == 1
    assert pair.agreed() == info


def test_an_error_text_is_cut_and_shown_without_its_marker() -> None:
    pair = Pair()
    assert pair.hand("alice", "?OTR Error: went wrong") == [PeerComplained("went wrong")]
    assert pair.hand("alice", "?OTR Error:went wrong") == [PeerComplained("went wrong")]
    (event,) = pair.hand("alice", "?OTR Error: " + "x" * 10_000)
    assert event == PeerComplained("x" * 400)


def test_what_is_said_to_the_peer_about_an_unreadable_message_quotes_nothing() -> None:
    """And the peer's client shows it without starting anything or answering."""
    pair = Pair()
    pair.secure()
    pair.do("bob", pair.bob.send("first"))
    lost = pair.on_the_way["alice"].popleft()
    damaged = lost[:200] + ("A" if lost[200] != "A" else "B") + lost[201:]
    transmit, rejected = pair.hand("alice", damaged)
    assert rejected == Rejected(Reason.UNREADABLE, had_text=True)
    assert isinstance(transmit, Transmit)
    assert len(transmit.lines) == 1
    assert damaged[30:40] not in transmit.lines[0]
    pair.clear()
    pair.settle()
    assert [type(event) for event in pair.events("bob")] == [PeerComplained]
    assert pair.events("alice") == []
    assert pair.hand("alice", lost) == [Received("first", Protection.ENCRYPTED)]


def test_a_reassembled_message_is_handled_once_and_not_looked_into_again() -> None:
    pair = Pair()
    assert pair.hand("alice", "?OTR,1,2,hel,") == []
    assert pair.hand("alice", "?OTR,2,2,lo,") == [Received("hello", Protection.PLAIN)]
    assert pair.hand("alice", "?OTR,2,2,lo,") == []
    pair.hand("alice", "?OTR|b0b|a11ce00,1,2,?OTR|b0b|a11ce00;1;1;hello;,")
    assert pair.hand("alice", "?OTR|b0b|a11ce00,2,2,x,") == [Rejected(Reason.MALFORMED)]
    assert pair.alice.idle


BETWEEN = [
    "hello",
    "hello \t  \t\t\t\t \t \t \t  ",
    "?OTRv?",
    "?OTR!",
    "?OTR Error: x",
    "?OTR:AAEC.",
    "?OTR|100|101,1,2,x,",
]


@pytest.mark.parametrize("line", BETWEEN)
@pytest.mark.parametrize("version", [2, 3])
def test_a_line_between_two_fragments_drops_nothing(version: int, line: str) -> None:
    pair = Pair(version=version, line_limit=120)
    pair.secure()
    pair.do("bob", pair.bob.send("in pieces"))
    pieces = list(pair.on_the_way["alice"])
    assert len(pieces) > 3
    for piece in pieces:
        pair.hand("alice", line)
        pair.hand("alice", piece)
    assert Received("in pieces", Protection.ENCRYPTED) in pair.events("alice")


def test_a_line_that_is_longer_than_any_message_is_refused_unread() -> None:
    pair = Pair()
    assert pair.hand("alice", "?OTR:" + "A" * MAX_TOTAL + ".") == [Rejected(Reason.TOO_LARGE, had_text=True)]
    assert pair.alice.idle
