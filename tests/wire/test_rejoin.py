"""Messages that were cut into several lines on their way, and ordinary lines that only look like a piece."""

from __future__ import annotations

import pytest

from otrcore.suites import is_whole
from otrcore.wire import text as wire_text
from otrcore.wire.header import Header
from otrcore.wire.messages3 import DataMessage
from otrcore.wire.rejoin import LIFETIME, MAX_TOTAL, SMALLEST_MIDDLE, Rejoiner

HEADER = Header(3, 0x03, 0x5A73A599, 0x27E31597)


def message(size: int) -> str:
    """Return the line of a data message that carries so many bytes."""
    data = DataMessage(HEADER, 0, 1, 1, 2**1535 + 9, 1, bytes(range(256)) * 8, bytes(20), b"")
    return wire_text.encode(
        DataMessage(
            HEADER, 0, 1, 1, data.next_dh, 1, data.encrypted[:size], data.mac, data.old_mac_keys
        ).serialise()
    )


def joined(*lines: str) -> list[str]:
    """Return what comes out for these lines, all at one time."""
    rejoiner = Rejoiner(is_whole)
    out = [result for line in lines for result in rejoiner.add(line, 0.0)]
    assert rejoiner.empty
    assert rejoiner.expires is None
    return out


def contents(lines: list[str]) -> list[bytes]:
    """Return what the lines carry: of the last equals sign and the dot a message may be short."""
    return [wire_text.decode(line) for line in lines]


MESSAGES = [message(size) for size in (200, 201, 202)]
"""Their base64 ends in no, one, and two equals signs."""


def test_the_messages_end_in_every_way() -> None:
    assert {line.count("=") for line in MESSAGES} == {0, 1, 2}


@pytest.mark.parametrize("whole", MESSAGES)
def test_cut_into_two_lines_at_every_position(whole: str) -> None:
    """What comes out is the message and nothing else."""
    for at in range(len("?OTR:"), len(whole)):
        out = joined(whole[:at], whole[at:])
        assert contents(out) == contents([whole]), at


@pytest.mark.parametrize("whole", MESSAGES)
def test_cut_into_three_lines_at_every_position(whole: str) -> None:
    """A line in the middle was cut because it was full: it is no short one."""
    for first in range(len("?OTR:"), len(whole) - SMALLEST_MIDDLE, 7):
        for second in range(first + SMALLEST_MIDDLE, len(whole)):
            out = joined(whole[:first], whole[first:second], whole[second:])
            assert contents(out) == contents([whole]), (first, second)


@pytest.mark.parametrize("count", [4, 5, 6])
def test_cut_into_many_lines(count: int) -> None:
    whole = message(1500)
    size = -(-len(whole) // count)
    assert size > SMALLEST_MIDDLE
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    assert len(pieces) == count
    assert joined(*pieces) == [whole]


def test_the_dot_alone_in_the_last_line() -> None:
    for whole in MESSAGES:
        assert joined(whole[:-1], ".") == [whole[:-1]]
        assert joined(whole[:300], whole[300:-1], ".") == [whole[:-1]]


def test_a_dot_is_taken_once_and_only_behind_a_message_without_one() -> None:
    whole = MESSAGES[0]
    assert joined(whole[:-1], ".", ".") == [whole[:-1], "."]
    assert joined(whole, ".") == [whole, "."]
    assert joined(".") == ["."]
    rejoiner = Rejoiner(is_whole)
    rejoiner.add(whole[:-1], 0.0)
    assert rejoiner.add(".", LIFETIME) == ["."]


def test_an_ordinary_line_in_between_is_handed_on() -> None:
    for whole in MESSAGES:
        for line in ("hello there", "hello", "", "yes, I am here.", "?OTRv3?", "?OTR Error: x"):
            assert joined(whole[:100], line, whole[100:]) == [line, whole]


def test_text_in_front_of_a_message_is_no_part_of_it() -> None:
    whole = MESSAGES[0]
    assert joined(f"so: {whole[:100]}", whole[100:]) == [whole]


def test_a_whole_message_is_handed_on_at_once() -> None:
    for whole in MESSAGES:
        assert joined(whole) == [whole]
        assert joined(whole, whole) == [whole, whole]


ORDINARY = ["hello", "hello.", "...", "OK.", "a" * 199, "QUJD", "QUJD=", "/join", "AAMD."]


@pytest.mark.parametrize("line", ORDINARY)
@pytest.mark.parametrize("begun", ["?OTR:", "?OTR:AAMD", "?OTR:" + "A" * 400])
def test_a_forgery_that_never_ends_swallows_no_ordinary_line(begun: str, line: str) -> None:
    rejoiner = Rejoiner(is_whole)
    assert rejoiner.add(begun, 0.0) == []
    for _ in range(3):
        assert rejoiner.add(line, 1.0) == [line]
    assert rejoiner.expire(LIFETIME) == [begun]
    assert rejoiner.empty


@pytest.mark.parametrize("line", ["A" * SMALLEST_MIDDLE, "ABCD" * 100])
def test_a_long_word_waits_and_is_handed_on_as_it_was(line: str) -> None:
    rejoiner = Rejoiner(is_whole)
    assert rejoiner.add("?OTR:AAMD", 0.0) == []
    assert rejoiner.add(line, 1.0) == []
    assert rejoiner.add("an ordinary text", 2.0) == ["an ordinary text"]
    assert rejoiner.expire(LIFETIME - 0.01) == []
    assert rejoiner.expire(LIFETIME) == ["?OTR:AAMD", line]
    assert rejoiner.empty


def test_a_message_that_begins_gives_up_the_one_before_it() -> None:
    whole = MESSAGES[0]
    word = "ABCD" * 60
    assert joined("?OTR:AAMD", word, whole[:200], whole[200:]) == ["?OTR:AAMD", word, whole]


def test_it_waits_for_its_lifetime_from_the_first_line() -> None:
    whole = message(1500)
    rejoiner = Rejoiner(is_whole)
    rejoiner.add(whole[:500], 100.0)
    assert rejoiner.expires == 100.0 + LIFETIME
    rejoiner.add(whole[500:1000], 109.0)
    assert rejoiner.expires == 100.0 + LIFETIME
    assert rejoiner.expire(109.9) == []
    assert rejoiner.expire(110.0) == [whole[:500], whole[500:1000]]
    assert rejoiner.expires is None
    assert rejoiner.expire(1e9) == []
    assert rejoiner.add(whole[1000:], 110.0) == [whole[1000:]]


def test_what_is_put_together_is_bounded() -> None:
    rejoiner = Rejoiner(is_whole)
    piece = "A" * 400
    rejoiner.add("?OTR:", 0.0)
    handed_on = 0
    for _ in range(1000):
        handed_on += len(rejoiner.add(piece, 0.0))
    kept = rejoiner.expire(LIFETIME)
    assert sum(map(len, kept)) <= MAX_TOTAL
    assert len(kept) - 1 + handed_on == 1000


def test_damaged_base64_is_no_piece() -> None:
    whole = MESSAGES[0]
    for line in (whole[100:200] + "*" + whole[200:], whole[100:] + " ", " " + whole[100:], whole[100:] + "."):
        assert joined(whole[:100], line, whole[100:]) == [line, whole]


def test_base64_that_cannot_be_decoded_is_kept_until_it_is_given_up() -> None:
    rejoiner = Rejoiner(is_whole)
    assert rejoiner.add("?OTR:A=", 0.0) == []
    assert rejoiner.expire(LIFETIME) == ["?OTR:A="]
