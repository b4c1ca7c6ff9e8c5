"""Encoded messages that a server or a client has cut into lines, through a conversation."""

from __future__ import annotations

import pytest

from otrcore import PeerComplained, Protection, Received, Rejected, Transmit
from otrcore.errors import Reason
from otrcore.session import MALFORMED_REPLY
from otrcore.wire.fragment import MAX_TOTAL
from otrcore.wire.rejoin import LIFETIME
from tests.pair import Pair
from tests.snapshot import snapshot


def with_text(version: int = 3, text: str = "x" * 300) -> tuple[Pair, str]:
    """Return a pair in conversation, and a line of Bob's that is on its way."""
    pair = Pair(version=version)
    pair.secure()
    pair.do("bob", pair.bob.send(text))
    return pair, pair.on_the_way["alice"].popleft()


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("size", [250, 350, 400, 512])
def test_a_text_that_came_in_several_lines(version: int, size: int) -> None:
    pair, line = with_text(version)
    pieces = [line[at : at + size] for at in range(0, len(line), size)]
    assert len(pieces) > 1
    for piece in pieces:
        pair.hand("alice", piece)
    assert pair.events("alice") == [Received("x" * 300, Protection.ENCRYPTED)]
    assert pair.alice.idle is False
    assert pair.alice.next_tick is None


@pytest.mark.parametrize("version", [2, 3])
def test_a_key_exchange_whose_messages_are_cut(version: int) -> None:
    pair = Pair(version=version)
    pair.do("alice", pair.alice.start())
    for _ in range(20):
        for side in pair.on_the_way:
            while pair.on_the_way[side]:
                line = pair.on_the_way[side].popleft()
                for piece in (line[:250], line[250:]) if line.startswith("?OTR:") else (line,):
                    pair.hand(side, piece)
    pair.agreed()


def test_the_dot_alone_is_not_shown() -> None:
    pair, line = with_text()
    assert pair.hand("alice", line[:-1]) == [Received("x" * 300, Protection.ENCRYPTED)]
    assert pair.hand("alice", ".") == []
    assert pair.hand("alice", ".") == [Received(".", Protection.UNEXPECTED_PLAIN)]


def test_a_line_of_somebody_in_between_is_shown_at_once() -> None:
    pair, line = with_text()
    assert pair.hand("alice", line[:300]) == []
    assert pair.hand("alice", "hello") == [Received("hello", Protection.UNEXPECTED_PLAIN)]
    assert pair.hand("alice", "?OTR Error: x") == [PeerComplained("x")]
    assert pair.hand("alice", line[300:]) == [Received("x" * 300, Protection.ENCRYPTED)]


@pytest.mark.parametrize("text", ["hello", "hello.", "A" * 250, "ABCD" * 100])
@pytest.mark.parametrize("encrypted", [True, False])
def test_an_unfinished_forgery_loses_no_text(text: str, encrypted: bool) -> None:
    """At the latest when it has waited for its rest in vain."""
    pair = Pair()
    if encrypted:
        pair.secure()
    expected = Protection.UNEXPECTED_PLAIN if encrypted else Protection.PLAIN
    assert pair.hand("alice", "?OTR:AAMD") == []
    pair.hand("alice", text)
    assert pair.alice.next_tick == pair.clock.now + LIFETIME
    pair.clock.advance(LIFETIME)
    pair.do("alice", pair.alice.tick())
    assert pair.of_kind("alice", Received) == [Received(text, expected)]
    assert [event.reason for event in pair.of_kind("alice", Rejected)] == [Reason.MALFORMED]
    assert pair.alice.next_tick is None


def test_a_message_whose_rest_never_comes_is_refused_and_the_peer_hears_of_it() -> None:
    pair, line = with_text()
    before = snapshot(pair.alice._instances, caches=False)
    pair.hand("alice", line[:350])
    pair.clock.advance(LIFETIME - 0.01)
    assert pair.alice.tick() == []
    pair.clock.advance(0.01)
    assert pair.alice.tick() == [
        Transmit((MALFORMED_REPLY,)),
        Rejected(Reason.MALFORMED, had_text=True),
    ]
    assert pair.hand("alice", line[350:])[0] == Received(line[350:], Protection.UNEXPECTED_PLAIN)
    assert pair.hand("alice", line) == [Received("x" * 300, Protection.ENCRYPTED)]
    assert snapshot(pair.alice._instances, caches=False) != before


def test_a_peer_that_goes_leaves_no_piece_behind() -> None:
    pair, line = with_text()
    pair.hand("alice", line[:350])
    pair.alice.lose()
    assert pair.alice.next_tick is None
    assert pair.hand("alice", line[350:]) == [Received(line[350:], Protection.UNEXPECTED_PLAIN)]


def test_pieces_without_end_are_bounded_and_none_is_lost() -> None:
    pair = Pair()
    words = [f"{number:04}" * 100 for number in range(300)]
    pair.hand("alice", "?OTR:AAMD")
    for word in words:
        pair.hand("alice", word)
    assert len(repr(snapshot(pair.alice))) < MAX_TOTAL + 20_000
    pair.wait(LIFETIME)
    assert sorted(event.text for event in pair.of_kind("alice", Received)) == words
