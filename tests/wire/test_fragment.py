"""Fragments: all three syntaxes, illegal numbers, cutting, and putting together under every disorder."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otrcore.errors import MalformedMessage, PeerError, Reason
from otrcore.wire.fragment import (
    LIFETIME,
    MAX_PARTIALS,
    MAX_PIECES,
    MAX_TOTAL,
    OVERHEAD_2,
    OVERHEAD_3,
    OVERHEAD_4,
    Fragment,
    Reassembler,
    cut,
    parse_fragment,
)
from otrcore.wire.header import Header

repeatable = settings(derandomize=True, deadline=None, max_examples=200)

HEADER = Header(version=3, type=0x03, sender_tag=0x5A73A599, receiver_tag=0x27E31597)
HEADER_2 = Header(version=2, type=0x03)
HEADER_4 = Header(version=4, type=0x03, sender_tag=0x5A73A599, receiver_tag=0x27E31597)
IDENTIFIER = 0x3C5B5F03
each_header = pytest.mark.parametrize(
    ("header", "overhead"),
    [(HEADER_2, 18), (HEADER, 36), (HEADER_4, 45)],
    ids=["version 2", "version 3", "version 4"],
)

# The specification's example ("Fragmentation"): a message and the three pieces that it is cut into.
MESSAGE = (
    "?OTR:AAMDJ+MVmSfjFZcAAAAAAQAAAAIAAADA1g5IjD1ZGLDVQEyCgCyn9hb"
    "rL3KAbGDdzE2ZkMyTKl7XfkSxh8YJnudstiB74i4BzT0W2haClg6dMary/jo"
    "9sMudwmUdlnKpIGEKXWdvJKT+hQ26h9nzMgEditLB8vjPEWAJ6gBXvZrY6ZQ"
    "rx3gb4v0UaSMOMiR5sB7Eaulb2Yc6RmRnnlxgUUC2alosg4WIeFN951PLjSc"
    "ajVba6dqlDi+q1H5tPvI5SWMN7PCBWIJ41+WvF+5IAZzQZYgNaVLbAAAAAAA"
    "AAAEAAAAHwNiIi5Ms+4PsY/L2ipkTtquknfx6HodLvk3RAAAAAA==."
)
PIECES = [
    "?OTR|5a73a599|27e31597,00001,00003,?OTR:AAMDJ+MVmSfjFZcAAAAA"
    "AQAAAAIAAADA1g5IjD1ZGLDVQEyCgCyn9hbrL3KAbGDdzE2ZkMyTKl7XfkSx"
    "h8YJnudstiB74i4BzT0W2haClg6dMary/jo9sMudwmUdlnKpIGEKXWdvJKT+"
    "hQ26h9nzMgEditLB8v,",
    "?OTR|5a73a599|27e31597,00002,00003,jPEWAJ6gBXvZrY6ZQrx3gb4v0"
    "UaSMOMiR5sB7Eaulb2Yc6RmRnnlxgUUC2alosg4WIeFN951PLjScajVba6dq"
    "lDi+q1H5tPvI5SWMN7PCBWIJ41+WvF+5IAZzQZYgNaVLbAAAAAAAAAAEAAAA"
    "HwNiIi5Ms+4PsY/L2i,",
    "?OTR|5a73a599|27e31597,00003,00003,pkTtquknfx6HodLvk3RAAAAAA==.,",
]

# The same message in lines of 150 characters in the syntax of version 2.
PIECES_2 = [
    "?OTR,00001,00003,?OTR:AAMDJ+MVmSfjFZcAAAAAAQAAAAIAAADA1g5IjD"
    "1ZGLDVQEyCgCyn9hbrL3KAbGDdzE2ZkMyTKl7XfkSxh8YJnudstiB74i4BzT"
    "0W2haClg6dMary/jo9sMudwmUdlnK,",
    "?OTR,00002,00003,pIGEKXWdvJKT+hQ26h9nzMgEditLB8vjPEWAJ6gBXvZ"
    "rY6ZQrx3gb4v0UaSMOMiR5sB7Eaulb2Yc6RmRnnlxgUUC2alosg4WIeFN951"
    "PLjScajVba6dqlDi+q1H5tPvI5SWM,",
    "?OTR,00003,00003,N7PCBWIJ41+WvF+5IAZzQZYgNaVLbAAAAAAAAAAEAAA"
    "AHwNiIi5Ms+4PsY/L2ipkTtquknfx6HodLvk3RAAAAAA==.,",
]


# And in that of version 4, which the specification cuts at the same places under an identifier.
PIECES_4 = [line.replace("?OTR|", "?OTR|3c5b5f03|") for line in PIECES]


def piece(index: int, count: int, text: str = "abc", sender: int | None = 0x100) -> Fragment:
    return Fragment(index, count, text, sender, None if sender is None else 0x101)


def joined(lines: list[str] | tuple[str, ...]) -> list[str]:
    """What comes out when these lines come in."""
    reassembler = Reassembler()
    whole = []
    for line in lines:
        fragment = parse_fragment(line)
        assert fragment is not None
        if (message := reassembler.add(fragment, 0.0)) is not None:
            whole.append(message)
    assert reassembler.empty
    return whole


def test_the_specifications_example_is_put_together() -> None:
    assert joined(PIECES) == joined(PIECES_2) == joined(PIECES_4) == [MESSAGE]


def test_the_specifications_example_is_cut_as_there() -> None:
    # Its first two lines have 199 characters; `cut` fills every line to the limit as well.
    assert list(cut(MESSAGE, len(PIECES[0]), HEADER)) == PIECES
    assert list(cut(MESSAGE, 150, HEADER_2)) == PIECES_2
    assert list(cut(MESSAGE, len(PIECES_4[0]), HEADER_4, IDENTIFIER)) == PIECES_4


@pytest.mark.parametrize(
    ("line", "fragment"),
    [
        ("?OTR|00000100|00000101,00001,00002,abc,", Fragment(1, 2, "abc", 0x100, 0x101)),
        ("?OTR|ABCDEF01|abcdef01,00002,00002,x,", Fragment(2, 2, "x", 0xABCDEF01, 0xABCDEF01)),
        ("?OTR|100|0,1,1,x,", Fragment(1, 1, "x", 0x100, 0)),
        ("?OTR|100|101,1,2,x,", Fragment(1, 2, "x", 0x100, 0x101)),
        ("?OTR|100|101,01,002,x,", Fragment(1, 2, "x", 0x100, 0x101)),
        ("?OTR|ffffffff|100,65535,65535,x,", Fragment(65535, 65535, "x", 0xFFFFFFFF, 0x100)),
        ("?OTR|100|101,1,2,x,and more,", Fragment(1, 2, "x", 0x100, 0x101)),
        ("before ?OTR|100|101,1,2,x,", Fragment(1, 2, "x", 0x100, 0x101)),
        ("?OTR|100|101,1,1,?OTR|100|101;1;1;x;,", Fragment(1, 1, "?OTR|100|101;1;1;x;", 0x100, 0x101)),
        ("?OTR|dead|100|101,1,2,x,", Fragment(1, 2, "x", 0x100, 0x101, 0xDEAD)),
        ("?OTR|FFFFFFFF|ABCDEF01|0,65535,65535,x,", Fragment(65535, 65535, "x", 0xABCDEF01, 0, 0xFFFFFFFF)),
        ("?OTR|0|100|101,01,002,x,", Fragment(1, 2, "x", 0x100, 0x101, 0)),
        ("before ?OTR|1|100|101,1,2,x,", Fragment(1, 2, "x", 0x100, 0x101, 1)),
        ("?OTR,00001,00002,abc,", Fragment(1, 2, "abc")),
        ("?OTR,1,2,x,", Fragment(1, 2, "x")),
        ("?OTR,2,2,?OTR:AAM=.,", Fragment(2, 2, "?OTR:AAM=.")),
        ("hello", None),
        ("", None),
        ("?OTR:AAMD.", None),
        ("?OTRv3?", None),
        ("?otr,1,2,x,", None),
    ],
)
def test_lines(line: str, fragment: Fragment | None) -> None:
    assert parse_fragment(line) == fragment


NUMBERS = [
    "0,0",
    "0,1",
    "1,0",
    "2,1",
    "65536,65536",
    "1,65536",
    "65537,65537",
    "65537,1",
    "99999,99999",
    "000001,1",
]
NUMBERS += [
    "-1,1",
    "1,-1",
    "+1,1",
    " 1,1",
    "1 ,1",
    "0x1,1",
    "a,b",
    ",",
    "1,",
    ",1",
    "\u0661,\u0661",
    "\u00b2,2",
]


@pytest.mark.parametrize("numbers", NUMBERS)
@pytest.mark.parametrize("head", ["?OTR|9|100|101,", "?OTR|100|101,", "?OTR,"])
def test_impossible_numbers_are_malformed(head: str, numbers: str) -> None:
    with pytest.raises(MalformedMessage):
        parse_fragment(f"{head}{numbers},x,")


@pytest.mark.parametrize(
    "line",
    [
        "?OTR|",
        "?OTR|100",
        "?OTR|100|101",
        "?OTR|100|101,1,2",
        "?OTR|100|101,1,2,",
        "?OTR|100|101,1,2,,",
        "?OTR|100|101,1,2,x",
        "?OTR||101,1,2,x,",
        "?OTR|100|,1,2,x,",
        "?OTR|g|101,1,2,x,",
        "?OTR|000000100|101,1,2,x,",
        "?OTR|0x100|101,1,2,x,",
        "?OTR|-100|101,1,2,x,",
        "?OTR|100,101,1,2,x,",
        "?OTR|0|101,1,2,x,",
        "?OTR|ff|101,1,2,x,",
        "?OTR|100|1,1,2,x,",
        "?OTR|100|ff,1,2,x,",
        "?OTR|dead|",
        "?OTR|dead|100|101",
        "?OTR|dead|100|101,1,2",
        "?OTR|dead|100|101,1,2,,",
        "?OTR||100|101,1,2,x,",
        "?OTR|g|100|101,1,2,x,",
        "?OTR|00000dead|100|101,1,2,x,",
        "?OTR|-1|100|101,1,2,x,",
        "?OTR|dead|100|101|102,1,2,x,",
        "?OTR|dead|ff|101,1,2,x,",
        "?OTR|dead|100|ff,1,2,x,",
        "?OTR,",
        "?OTR,1",
        "?OTR,1,2",
        "?OTR,1,2,",
        "?OTR,1,2,,",
        "?OTR,1,2,x",
        "?OTR, and so on",
    ],
)
def test_what_cannot_be_read_is_malformed(line: str) -> None:
    with pytest.raises(MalformedMessage):
        parse_fragment(line)


@pytest.mark.parametrize("line", [PIECES[2], PIECES_2[2], PIECES_4[2], "?OTR,00001,00002,abc,"])
def test_a_fragment_cut_off_anywhere_is_no_fragment(line: str) -> None:
    for length in range(len(line)):
        try:
            assert parse_fragment(line[:length]) is None
        except MalformedMessage:
            assert length >= len("?OTR,")


@pytest.mark.parametrize(
    ("numbers", "whole"),
    [
        ([(1, 1)], [["1/1"]]),
        ([(1, 3), (2, 3), (3, 3)], [["1/3", "2/3", "3/3"]]),
        ([(1, 2), (2, 2), (1, 2), (2, 2)], [["1/2", "2/2"], ["1/2", "2/2"]]),
        # Repeated, reversed, lost: everything so far is useless.
        ([(1, 3), (1, 3), (2, 3), (3, 3)], [["1/3", "2/3", "3/3"]]),
        ([(1, 3), (2, 3), (2, 3), (3, 3)], []),
        ([(2, 3), (1, 3), (3, 3)], []),
        ([(3, 3), (2, 3), (1, 3)], []),
        ([(1, 3), (3, 3)], []),
        ([(1, 3), (3, 3), (2, 3), (3, 3)], []),
        ([(2, 2)], []),
        ([(2, 3), (3, 3)], []),
        # A first piece starts over.
        ([(1, 3), (2, 3), (1, 2), (2, 2)], [["1/2", "2/2"]]),
        ([(1, 3), (2, 3), (1, 1), (3, 3)], [["1/1"]]),
        # The count must stay.
        ([(1, 3), (2, 4), (3, 3)], []),
        ([(1, 3), (2, 2)], []),
        ([(1, 3), (2, 3), (3, 4), (4, 4)], []),
        # After a disorder only a first piece helps.
        ([(1, 3), (3, 3), (1, 3), (2, 3), (3, 3)], [["1/3", "2/3", "3/3"]]),
    ],
)
@pytest.mark.parametrize("sender", [None, 0x100])
def test_orders(numbers: list[tuple[int, int]], whole: list[list[str]], sender: int | None) -> None:
    reassembler = Reassembler()
    results = [reassembler.add(piece(k, n, f"{k}/{n} ", sender), 0.0) for k, n in numbers]
    assert [message.split() for message in results if message is not None] == whole


@pytest.mark.parametrize("other", [0x102, None])
def test_pieces_of_another_sender_neither_fit_nor_disturb(other: int | None) -> None:
    reassembler = Reassembler()
    assert reassembler.add(piece(1, 2, "my ", 0x100), 0.0) is None
    assert reassembler.add(piece(2, 2, "theirs", other), 0.0) is None
    assert reassembler.add(piece(1, 2, "their ", other), 0.0) is None
    assert reassembler.add(piece(2, 2, "own", 0x100), 0.0) == "my own"
    assert reassembler.add(piece(2, 2, "own", other), 0.0) == "their own"
    assert reassembler.empty


SENDERS = [None, *range(0x100, 0x100 + MAX_PARTIALS - 1)]


def test_as_many_messages_as_a_peer_has_clients_are_put_together_at_once() -> None:
    reassembler = Reassembler()
    for k in (1, 2):
        for sender in SENDERS:
            assert reassembler.add(piece(k, 3, f"{sender}/{k} ", sender), 0.0) is None
    whole = [reassembler.add(piece(3, 3, "end", sender), 0.0) for sender in reversed(SENDERS)]
    assert whole == [f"{sender}/1 {sender}/2 end" for sender in reversed(SENDERS)]
    assert reassembler.empty


def test_for_one_too_many_the_one_that_got_a_piece_longest_ago_goes() -> None:
    reassembler = Reassembler()
    for sender in SENDERS:
        reassembler.add(piece(1, 3, f"{sender} ", sender), 0.0)
    reassembler.add(piece(2, 3, "goes on ", SENDERS[0]), 1.0)
    reassembler.add(piece(1, 2, "new ", 0x999), 2.0)
    assert reassembler.add(piece(2, 3, "x", SENDERS[1]), 3.0) is None
    assert reassembler.add(piece(3, 3, "x", SENDERS[1]), 3.0) is None
    assert reassembler.add(piece(3, 3, "to its end", SENDERS[0]), 3.0) == "None goes on to its end"
    assert reassembler.add(piece(2, 2, "one", 0x999), 3.0) == "new one"


def test_the_one_that_waits_longest_expires_first() -> None:
    reassembler = Reassembler()
    reassembler.add(piece(1, 3, "a", 0x100), 0.0)
    reassembler.add(piece(1, 2, "b", 0x101), 1.0)
    reassembler.add(piece(2, 3, "a", 0x100), 2.0)
    assert reassembler.expires == 1.0 + LIFETIME
    reassembler.expire(1.0 + LIFETIME)
    assert reassembler.expires == 2.0 + LIFETIME
    assert reassembler.add(piece(2, 2, "b", 0x101), 61.5) is None
    assert reassembler.add(piece(3, 3, "a", 0x100), 61.5) == "aaa"


def test_a_partial_message_is_kept_for_its_lifetime_from_the_last_piece() -> None:
    reassembler = Reassembler()
    assert reassembler.expires is None
    reassembler.add(piece(1, 3), 100.0)
    assert reassembler.expires == 100.0 + LIFETIME == 160.0
    reassembler.expire(159.9)
    assert not reassembler.empty
    reassembler.add(piece(2, 3), 159.9)
    assert reassembler.expires == 159.9 + LIFETIME
    assert reassembler.add(piece(3, 3), 159.9 + 59.9) == "abc" * 3
    assert reassembler.expires is None


@pytest.mark.parametrize("ticked", [True, False])
def test_a_partial_message_that_waited_too_long_is_given_up(ticked: bool) -> None:
    reassembler = Reassembler()
    reassembler.add(piece(1, 2), 100.0)
    if ticked:
        reassembler.expire(100.0 + LIFETIME)
        assert reassembler.empty
    assert reassembler.add(piece(2, 2), 100.0 + LIFETIME) is None
    assert reassembler.empty


@pytest.mark.parametrize("sizes", [[MAX_TOTAL], [MAX_TOTAL - 1, 1], [1] * 1000 + [MAX_TOTAL - 1000]])
def test_a_message_of_the_largest_size_is_put_together(sizes: list[int]) -> None:
    reassembler = Reassembler()
    results = [
        reassembler.add(piece(at, len(sizes), "x" * size), 0.0) for at, size in enumerate(sizes, start=1)
    ]
    assert results == [None] * (len(sizes) - 1) + ["x" * MAX_TOTAL]


@pytest.mark.parametrize(
    "sizes", [[MAX_TOTAL + 1], [MAX_TOTAL, 1], [1, MAX_TOTAL], [MAX_TOTAL // 2, MAX_TOTAL // 2, 1]]
)
def test_a_message_that_grows_too_large_is_forgotten(sizes: list[int]) -> None:
    reassembler = Reassembler()
    *first, last = (piece(at, len(sizes) + 1, "x" * size) for at, size in enumerate(sizes, start=1))
    for fragment in first:
        reassembler.add(fragment, 0.0)
    with pytest.raises(PeerError) as caught:
        reassembler.add(last, 0.0)
    assert caught.value.reason is Reason.TOO_LARGE
    assert reassembler.empty
    assert reassembler.add(piece(len(sizes) + 1, len(sizes) + 1), 0.0) is None


def test_65535_pieces_take_bounded_memory() -> None:
    reassembler = Reassembler()
    tracemalloc.start()
    try:
        for index in range(1, MAX_PIECES):
            assert reassembler.add(piece(index, MAX_PIECES, chr(0x10000 + index)), 0.0) is None
        held = tracemalloc.get_traced_memory()[0]
        whole = reassembler.add(piece(MAX_PIECES, MAX_PIECES, "!"), 0.0)
        assert whole is not None
        assert len(whole) == MAX_PIECES
        assert reassembler.empty
        # 80 bytes for each one-character text and 8 for its place in the list.
        assert held < 100 * MAX_PIECES
        assert tracemalloc.get_traced_memory()[0] < held / 10 + 4 * MAX_PIECES
    finally:
        tracemalloc.stop()


@each_header
def test_the_header_of_a_line_takes_18_36_or_45_characters(header: Header, overhead: int) -> None:
    assert {2: OVERHEAD_2, 3: OVERHEAD_3, 4: OVERHEAD_4}[header.version] == overhead
    for line in cut("x" * 500, 100, header, IDENTIFIER)[:-1]:
        assert len(line) == 100
        assert line.count("x") == 100 - overhead


@each_header
def test_what_fits_is_not_cut(header: Header, overhead: int) -> None:
    assert cut("x" * 100, None, header, IDENTIFIER) == ("x" * 100,)
    assert cut("x" * 100, 100, header, IDENTIFIER) == ("x" * 100,)
    assert len(cut("x" * 101, 100, header, IDENTIFIER)) == 2


@each_header
@pytest.mark.parametrize("too_short", [True, False], ids=["nothing", "no room"])
def test_a_limit_without_room_is_refused(header: Header, overhead: int, too_short: bool) -> None:
    for limit in (0, 1) if too_short else (overhead - 1, overhead):
        with pytest.raises(ValueError, match="cannot be cut"):
            cut("x" * 100, limit, header, IDENTIFIER)


@each_header
def test_more_pieces_than_can_be_numbered_are_refused(header: Header, overhead: int) -> None:
    assert len(cut("x" * MAX_PIECES, overhead + 1, header, IDENTIFIER)) == MAX_PIECES
    with pytest.raises(ValueError, match="cannot be cut"):
        cut("x" * (MAX_PIECES + 1), overhead + 1, header, IDENTIFIER)


@pytest.mark.parametrize("limit", [None, 1000, 60])
def test_version_4_is_not_cut_without_an_identifier(limit: int | None) -> None:
    with pytest.raises(ValueError, match="identifier"):
        cut("x" * 100, limit, HEADER_4)


def test_pieces_of_version_2_name_no_instance() -> None:
    """Not even where the header was made with tags."""
    for line in cut("x" * 500, 100, Header(2, 0x03, 0x100, 0x101)):
        fragment = parse_fragment(line)
        assert fragment is not None
        assert (fragment.sender_tag, fragment.receiver_tag) == (None, None)


@repeatable
@given(
    st.text(alphabet="?OTR:abc=+/.", min_size=1, max_size=2000),
    st.integers(46, 500),
    st.just(HEADER_2)
    | st.builds(
        Header,
        st.sampled_from([3, 4]),
        st.just(0x03),
        st.integers(0x100, 2**32 - 1),
        st.integers(0x100, 2**32 - 1) | st.just(0),
    ),
    st.integers(0, 2**32 - 1),
)
def test_cut_lines_keep_the_limit_and_join_to_the_message(
    message: str, limit: int, header: Header, identifier: int
) -> None:
    lines = cut(message, limit, header, identifier)
    assert all(len(line) <= limit for line in lines)
    if lines == (message,):
        assert len(message) <= limit
        return
    for number, line in enumerate(lines, start=1):
        fragment = parse_fragment(line)
        assert fragment is not None
        assert (fragment.index, fragment.count) == (number, len(lines))
        tags = (None, None) if header == HEADER_2 else (header.sender_tag, header.receiver_tag)
        assert (fragment.sender_tag, fragment.receiver_tag) == tags
        assert fragment.identifier == (identifier if header.version == 4 else None)
    assert joined(lines) == [message]


@repeatable
@given(
    st.lists(
        st.tuples(st.integers(1, 4), st.integers(1, 4), st.sampled_from([None, 0x100, 0x200])), max_size=30
    )
)
def test_only_unbroken_runs_of_one_sender_are_ever_put_together(
    numbers: list[tuple[int, int, int | None]],
) -> None:
    reassembler = Reassembler()
    came: list[tuple[int, int, int | None]] = []
    for place, (index, count, sender) in enumerate(numbers):
        if index > count:
            continue
        came.append((index, count, sender))
        whole = reassembler.add(piece(index, count, f"{place} ", sender), 0.0)
        run = [(number, count, sender) for number in range(1, count + 1)]
        if came[-count:] == run:
            assert whole is not None
            assert len(whole.split()) == count
            assert whole.split()[-1] == str(place)
        else:
            assert whole is None
