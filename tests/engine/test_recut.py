"""A message cut anew for a smaller limit, whatever it was."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from otrcore.conversation import SMALLEST_LINE_LIMIT
from otrcore.engine.recut import recut
from otrcore.errors import UsageError
from otrcore.wire.fragment import Reassembler, cut, parse_fragment
from otrcore.wire.header import parse_header
from otrcore.wire.text import encode, with_tag
from tests.engine.conftest import Joining
from tests.engine.room import Room

V3 = b"\x00\x03\x03" + (0x100).to_bytes(4, "big") + (0x200).to_bytes(4, "big")
V2 = b"\x00\x02\x03"
V4 = b"\x00\x04" + V3[2:]


def put_together(lines: tuple[str, ...]) -> list[str]:
    joined, whole = Reassembler(), []
    for line in lines:
        fragment = parse_fragment(line)
        message = line if fragment is None else joined.add(fragment, 0.0)
        if message is not None:
            whole.append(message)
    assert joined.empty
    return whole


@settings(max_examples=50)
@given(
    messages=some.lists(
        some.tuples(some.sampled_from([V2, V3, V4]), some.binary(max_size=2000)), min_size=1, max_size=3
    ),
    before=some.integers(SMALLEST_LINE_LIMIT, 500),
    limit=some.integers(SMALLEST_LINE_LIMIT, 500),
)
def test_pieces_become_smaller_pieces_of_the_same(
    messages: list[tuple[bytes, bytes]], before: int, limit: int
) -> None:
    whole = [encode(start + rest) for start, rest in messages]
    lines = [
        piece
        for (start, _), line in zip(messages, whole, strict=True)
        for piece in cut(line, before, parse_header(start + bytes(100)), 0x5EED)
    ]
    anew = recut(lines, limit)
    assert all(len(line) <= limit for line in anew)
    assert put_together(anew) == whole


def test_a_query_loses_what_is_for_people() -> None:
    query = "?OTRv3? " + "I would like to talk with you encrypted. " * 5
    assert recut([query], 150) == ("?OTRv3?",)
    assert recut([query], 500) == (query,)


@given(some.text(max_size=600), some.integers(SMALLEST_LINE_LIMIT, 300))
def test_plain_text_is_cut_between_characters(text: str, limit: int) -> None:
    text = text.replace("?OTR", "").replace(" \t", "") or "x"
    try:
        lines = recut([text], limit)
    except UsageError:
        pytest.fail("plain text can always be cut")
    assert all(len(line.encode()) <= limit for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_an_action_stays_one() -> None:
    lines = recut(["\x01ACTION " + "waves and waves " * 20 + "\x01"], 120)
    assert len(lines) > 2
    assert all(
        line.startswith("\x01ACTION ") and line.endswith("\x01") and len(line) <= 120 for line in lines
    )


def test_an_offer_that_does_not_fit_is_left_out() -> None:
    text = "some words " * 9
    assert recut([with_tag(text, {3})], 100) == (text,)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["?OTR|100|200,1,2,abc,"],
        ["?OTR|100|200,2,2,abc,"],
        ["?OTR|100|200,1"],
        ["?OTR Error: " + "x" * 500],
        ["?OTR" + "x" * 500],
    ],
)
def test_what_cannot_be_cut_is_refused_in_a_sentence(lines: list[str]) -> None:
    with pytest.raises(UsageError) as refused:
        recut(lines, 200)
    assert "send the text again" in str(refused.value)


@pytest.mark.parametrize("limit", [-1, 0, 1, SMALLEST_LINE_LIMIT - 1])
def test_no_room_at_all(limit: int) -> None:
    with pytest.raises(UsageError, match="shorter nick"):
        recut(["?OTRv3?"], limit)


def test_recut_over_the_link(local: Joining, room: Room) -> None:
    alice, bob = local("alice"), local("bob")
    room.secure(alice, bob)
    (decision,) = alice.client.engine.ask(
        "outgoing", server="net", to="bob", text="a secret " * 100, command="PRIVMSG", limit=400
    )["decisions"]
    (send,) = [action for action in decision["actions"] if action["a"] == "send"]
    assert max(map(len, send["lines"])) <= 400
    anew = alice.ask("recut", to="bob", command="PRIVMSG", lines=send["lines"], limit=200)["lines"]
    assert max(map(len, anew)) <= 200
    for line in anew:
        room.put(alice, "bob", line, "PRIVMSG")
    room.until(lambda: bob.heard == [("a secret " * 100, "encrypted")])
    # The next lines keep to it by themselves.
    room.lines.clear()
    alice.say("bob", "another secret " * 100)
    assert max(len(line.text) for line in room.lines) <= 200
