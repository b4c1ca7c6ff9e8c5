"""Fragments of version 4: put together in any order, each in its place, within bounds."""

from __future__ import annotations

import random
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otrcore.errors import PeerError, Reason
from otrcore.wire.fragment import (
    FEW_PIECES,
    LIFETIME,
    LONGEST,
    MAX_PARTIALS,
    MAX_PIECES,
    MAX_TOTAL,
    SMALLEST_PIECE,
    Fragment,
    Reassembler,
    parse_fragment,
)
from tests.wire import recorded4

repeatable = settings(derandomize=True, deadline=None, max_examples=200)

RECORDED = recorded4.fragments("frag350")
"""24 messages of otr4j, in 2 to 7 lines each."""


def piece(
    index: int, count: int, text: str = "abc", identifier: int | None = 0xDEAD, sender: int = 0x100
) -> Fragment:
    return Fragment(index, count, text, sender, 0x101, identifier)


def add_all(reassembler: Reassembler, fragments: list[Fragment]) -> list[str]:
    results = [reassembler.add(fragment, 0.0) for fragment in fragments]
    return [message for message in results if message is not None]


def put_together(lines: list[str]) -> list[str]:
    fragments = [fragment for line in lines if (fragment := parse_fragment(line))]
    assert len(fragments) == len(lines)
    reassembler = Reassembler()
    whole = add_all(reassembler, fragments)
    assert reassembler.empty
    return whole


@pytest.mark.parametrize("order", ["in order", "reversed", "shuffled"])
def test_what_otr4j_has_cut_is_put_together_in_any_order(order: str) -> None:
    assert len(RECORDED) == 24
    for lines in RECORDED:
        ordered = {
            "in order": lines,
            "reversed": lines[::-1],
            "shuffled": random.Random(4).sample(lines, len(lines)),
        }[order]
        assert put_together(ordered) == [recorded4.joined(lines)]


def test_what_otr4j_has_cut_may_arrive_mixed() -> None:
    """As many messages at once as may be, and none of them disturbs another."""
    for at in range(0, len(RECORDED), MAX_PARTIALS):
        group = RECORDED[at : at + MAX_PARTIALS]
        lines = [line for message in group for line in message]
        random.Random(at).shuffle(lines)
        assert sorted(put_together(lines)) == sorted(map(recorded4.joined, group))


@pytest.mark.parametrize(
    ("numbers", "whole"),
    [
        ([(1, 1)], ["1/1"]),
        ([(1, 3), (2, 3), (3, 3)], ["1/3 2/3 3/3"]),
        ([(3, 3), (2, 3), (1, 3)], ["1/3 2/3 3/3"]),
        ([(2, 3), (3, 3), (1, 3)], ["1/3 2/3 3/3"]),
        # A place that is filled stays as it is.
        ([(2, 3), (2, 3), (3, 3), (3, 3), (1, 3)], ["1/3 2/3 3/3"]),
        ([(1, 3), (3, 3)], []),
        # Another count: everything so far is useless, and so is this piece.
        ([(1, 3), (2, 4), (3, 3)], []),
        ([(1, 3), (2, 4), (3, 3), (2, 3), (1, 3)], ["1/3 2/3 3/3"]),
        ([(1, 2), (2, 4), (2, 2)], []),
        ([(1, 3), (1, 1)], []),
        ([(1, 3), (1, 1), (1, 1)], ["1/1"]),
        # After the last piece, one more is the beginning of another message.
        ([(2, 2), (1, 2), (1, 2), (2, 2)], ["1/2 2/2", "1/2 2/2"]),
    ],
)
def test_orders(numbers: list[tuple[int, int]], whole: list[str]) -> None:
    fragments = [piece(index, count, f"{index}/{count} ") for index, count in numbers]
    assert [message.strip() for message in add_all(Reassembler(), fragments)] == whole


def test_the_first_piece_for_a_place_counts() -> None:
    fragments = [piece(2, 2, "second"), piece(2, 2, "forged"), piece(1, 2, "first ")]
    assert add_all(Reassembler(), fragments) == ["first second"]


@pytest.mark.parametrize(
    ("identifier", "sender"),
    [(0xBEEF, 0x100), (0xDEAD, 0x999), (None, 0x100)],
    ids=["identifier", "sender", "version 3"],
)
def test_pieces_of_another_message_neither_fit_nor_disturb(identifier: int | None, sender: int) -> None:
    fragments = [
        piece(2, 2, "own"),
        piece(1, 2, "an", identifier, sender),
        piece(1, 2, "my "),
        piece(2, 2, "other", identifier, sender),
    ]
    assert add_all(Reassembler(), fragments) == ["my own", "another"]


Key = tuple[int, int]


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[dict[Key, list[str]], list[tuple[Key, Fragment]]]:
    """Some messages by sender and identifier, and their pieces as they come: mixed, some of them twice."""
    one = st.tuples(st.sampled_from([0x100, 0x200]), st.integers(0, 3))
    keys = draw(st.lists(one, min_size=1, max_size=MAX_PARTIALS, unique=True))
    messages = {key: draw(st.lists(st.text("abc?:.", min_size=1), min_size=1, max_size=6)) for key in keys}
    pieces = [
        ((sender, identifier), piece(index, len(texts), text, identifier, sender))
        for (sender, identifier), texts in messages.items()
        for index, text in enumerate(texts, start=1)
    ]
    order = draw(st.permutations(pieces))
    return messages, [arrival for arrival in order for _ in range(draw(st.integers(1, 2)))]


@repeatable
@given(arrivals())
def test_any_order_with_repetitions_gives_every_message_once(
    arrived: tuple[dict[Key, list[str]], list[tuple[Key, Fragment]]],
) -> None:
    messages, fragments = arrived
    missing = {key: set(range(1, len(texts) + 1)) for key, texts in messages.items()}
    reassembler = Reassembler()
    for key, fragment in fragments:
        if not missing[key]:
            continue  # a repetition after the end is the beginning of another message
        missing[key].discard(fragment.index)
        whole = None if missing[key] else "".join(messages[key])
        assert reassembler.add(fragment, 0.0) == whole
    assert not any(missing.values())
    assert reassembler.empty


def test_for_one_too_many_the_one_that_got_a_piece_longest_ago_goes() -> None:
    """Of all versions together; a repetition is no piece that was got."""
    reassembler = Reassembler()
    reassembler.add(piece(1, 2, "three ", None), 0.0)
    for identifier in range(MAX_PARTIALS - 1):
        reassembler.add(piece(3, 3, "end", identifier), 0.0)
    reassembler.add(piece(1, 3, "goes on to its ", 0), 1.0)
    reassembler.add(piece(3, 3, "end", 1), 1.0)
    for identifier in (98, 99):
        reassembler.add(piece(2, 2, "new", identifier), 2.0)
    assert reassembler.add(piece(2, 2, "gone", None), 3.0) is None
    assert reassembler.add(piece(2, 3, "very ", 0), 3.0) == "goes on to its very end"
    assert reassembler.add(piece(1, 3, "gone", 1), 3.0) is None
    assert reassembler.add(piece(2, 3, "gone", 1), 3.0) is None
    assert reassembler.add(piece(1, 2, "a ", 99), 3.0) == "a new"


@pytest.mark.parametrize(
    "sizes", [[MAX_TOTAL], [MAX_TOTAL - 1, 1], [1] * FEW_PIECES + [MAX_TOTAL - FEW_PIECES]]
)
def test_a_message_of_the_largest_size_is_put_together(sizes: list[int]) -> None:
    fragments = [piece(at, len(sizes), "x" * size) for at, size in enumerate(sizes, start=1)]
    assert add_all(Reassembler(), fragments[::-1]) == ["x" * MAX_TOTAL]


@pytest.mark.parametrize("sizes", [[MAX_TOTAL + 1], [MAX_TOTAL, 1], [1, MAX_TOTAL]])
def test_a_message_that_grows_too_large_is_forgotten(sizes: list[int]) -> None:
    reassembler = Reassembler()
    *first, last = (piece(at, len(sizes) + 1, "x" * size) for at, size in enumerate(sizes, start=1))
    assert add_all(reassembler, first) == []
    with pytest.raises(PeerError) as caught:
        reassembler.add(last, 0.0)
    assert caught.value.reason is Reason.TOO_LARGE
    assert reassembler.empty


def test_a_message_in_the_smallest_pieces_is_put_together() -> None:
    count = MAX_TOTAL // SMALLEST_PIECE
    fragments = [piece(at, count, "x" * SMALLEST_PIECE) for at in range(count, 0, -1)]
    assert add_all(Reassembler(), fragments) == ["x" * MAX_TOTAL]


def test_more_than_a_few_tiny_pieces_are_refused_and_forgotten() -> None:
    reassembler = Reassembler()
    taken = 0
    with pytest.raises(PeerError) as caught:
        for at in range(1, MAX_PIECES + 1):
            reassembler.add(piece(at, MAX_PIECES, "x"), 0.0)
            taken = at
    assert caught.value.reason is Reason.TOO_LARGE
    assert reassembler.empty
    # Each of the few counts for the average as well.
    assert taken == 132


@pytest.mark.parametrize("size", [1, SMALLEST_PIECE, 400])
def test_memory_is_bounded_by_what_has_come(size: int) -> None:
    """Pieces of different texts and of wide characters, so that nothing of them is shared."""
    held = []
    reassembler = Reassembler()
    tracemalloc.start()
    try:
        for at in range(3 * MAX_TOTAL // max(size, SMALLEST_PIECE)):
            for identifier in range(MAX_PARTIALS):
                text = chr(0x10000 + at) * size
                try:
                    reassembler.add(piece(at + 1, MAX_PIECES, text, identifier), 0.0)
                except PeerError:
                    held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert held
    pieces = FEW_PIECES + MAX_TOTAL // max(size, SMALLEST_PIECE)
    assert max(held) < MAX_PARTIALS * (4 * min(MAX_TOTAL, pieces * size) + 250 * pieces)


def test_memory_is_not_reserved_for_what_is_announced() -> None:
    tracemalloc.start()
    try:
        reassembler = Reassembler()
        for identifier in range(MAX_PARTIALS):
            reassembler.add(piece(MAX_PIECES, MAX_PIECES, "x", identifier), 0.0)
        assert tracemalloc.get_traced_memory()[0] < 1_000 * MAX_PARTIALS
    finally:
        tracemalloc.stop()


def test_a_partial_message_is_kept_for_its_lifetime_from_the_last_new_piece() -> None:
    reassembler = Reassembler()
    reassembler.add(piece(2, 3), 100.0)
    assert reassembler.expires == 100.0 + LIFETIME
    reassembler.add(piece(1, 3), 150.0)
    assert reassembler.expires == 150.0 + LIFETIME
    reassembler.add(piece(1, 3), 160.0)
    assert reassembler.expires == 150.0 + LIFETIME
    assert reassembler.add(piece(3, 3), 150.0 + LIFETIME) is None
    assert reassembler.expires == 150.0 + 2 * LIFETIME


def test_a_trickle_does_not_keep_it_for_ever() -> None:
    reassembler = Reassembler()
    for step in range(20):
        reassembler.add(piece(step + 1, 100), step * LIFETIME / 2)
    assert reassembler.expires == LONGEST == 600.0
    reassembler.expire(LONGEST - 0.1)
    assert not reassembler.empty
    reassembler.expire(LONGEST)
    assert reassembler.empty


def test_the_first_to_expire_need_not_be_the_one_that_got_a_piece_longest_ago() -> None:
    reassembler = Reassembler()
    for step in range(10):
        reassembler.add(piece(step + 1, 100, identifier=1), step * 59.0)
    reassembler.add(piece(1, 100, identifier=2), 545.0)
    reassembler.add(piece(11, 100, identifier=1), 580.0)
    assert reassembler.expires == LONGEST
    reassembler.expire(LONGEST)
    assert reassembler.expires == 545.0 + LIFETIME
