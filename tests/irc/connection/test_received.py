"""Lines and their parts: exactness for well-formed input, harmlessness for everything else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otrcore.irc.connection.received import MAX_RECEIVED_BYTES, LineAssembler, ReceivedLine, decode, parse


def parsed(line: str) -> ReceivedLine:
    received = parse(line)
    assert received is not None
    return received


def test_a_message_in_its_parts() -> None:
    received = parsed("@time=now;+x :bob!b@h PRIVMSG me :hello  there ")
    assert dict(received.tags) == {"time": "now", "+x": ""}
    assert received.source == "bob!b@h"
    assert received.command == "PRIVMSG"
    assert received.parameters == ("me", "hello  there ")


@pytest.mark.parametrize(
    "text",
    [
        "\x01ACTION waves\x01",
        "before \x01VERSION\x01 after",
        "\x01unfinished",
        "low \x10n level \x10\x10 quoting",
        "back\\slash \\a",
        " blanks around ",
        ":colon :colon",
        "\x02bold\x1d \x0304red",
        "",
        "\t \t\t",
    ],
)
def test_text_is_exact(text: str) -> None:
    assert parsed(f":bob!b@h PRIVMSG me :{text}").parameters == ("me", text)


@pytest.mark.parametrize("word", ["\x1dword\x1d", "a\u00a0b", "a\u2028b", "a\x85b", "a\tb", "\x1fx"])
def test_text_without_a_colon_is_exact_too(word: str) -> None:
    """Allowed for a text without blanks, and sent so by some bouncers; str.split() would cut it up."""
    assert parsed(f":bob!b@h PRIVMSG me {word}").parameters == ("me", word)


@pytest.mark.parametrize(
    "line", ["", " ", "   ", ":", ": ", "@", "@a ", ":only.source", "@t :s", ":s  ", " PING"]
)
def test_lines_without_a_command_are_no_lines(line: str) -> None:
    assert parse(line) is None


def test_a_command_alone() -> None:
    assert parsed("QUIT") == ReceivedLine({}, "", "QUIT", ())
    assert parsed(":bob!b@h QUIT").source == "bob!b@h"


def test_tags_cannot_bring_a_line_break_back() -> None:
    assert dict(parsed(r"@a=x\r\nQUIT\:\s\\;b=\ PING").tags) == {"a": "xQUIT; \\", "b": "\\"}


def test_cr_and_nul_are_removed_wherever_they_stand() -> None:
    assert LineAssembler().feed(b"\0PRI\rVMSG me :a\rQUIT\0 b\r\r\n") == [b"PRIVMSG me :aQUIT b"]


def test_lines_come_out_whole_however_they_arrive() -> None:
    stream = b"one\r\ntwo\n\r\nthree\r\nfour"
    for size in range(1, len(stream) + 1):
        assembler = LineAssembler()
        lines = [
            line
            for start in range(0, len(stream), size)
            for line in assembler.feed(stream[start : start + size])
        ]
        assert lines == [b"one", b"two", b"", b"three"]


@pytest.mark.parametrize("piece", [100, 5000, 16384, 100_000])
def test_a_line_without_end_is_discarded_in_bounded_memory(piece: int) -> None:
    assembler = LineAssembler()
    for _ in range(1_000_000 // piece):
        assert assembler.feed(b"x" * piece) == []
        assert len(assembler._rest) <= MAX_RECEIVED_BYTES
    assert assembler.feed(b"tail\r\nnext\r\n") == [b"next"]
    assert assembler.discarded == 1


def test_a_long_line_in_one_piece_is_discarded_alone() -> None:
    assembler = LineAssembler()
    longest = b"y" * MAX_RECEIVED_BYTES
    assert assembler.feed(b"a\n" + b"x" * (MAX_RECEIVED_BYTES + 1) + b"\nb\n" + longest + b"\n") == [
        b"a",
        b"b",
        longest,
    ]
    assert assembler.discarded == 1


def test_decoding() -> None:
    assert decode("žluť 🦆".encode()) == "žluť 🦆"
    assert decode(b"caf\xe9 cr\xe8me") == "café crème"
    assert decode(b"ends in \xe9") == "ends in é"
    assert decode(b"\xff\xfe\xf0") == "ÿþð"


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_a_character_cut_by_the_server_does_not_spoil_the_line(cut: int) -> None:
    assert decode("žluť 🦆".encode()[:-cut]) == "žluť \N{REPLACEMENT CHARACTER}"


@given(st.binary(max_size=300))
def test_any_bytes_decode_to_a_text_that_can_be_sent_again(line: bytes) -> None:
    decode(line).encode("utf-8")


@given(st.text(max_size=300) | st.from_regex(r"(@[a-z=;\\]* )?(:[a-z!@]* )?[A-Z]* ?[ :a-z]*", fullmatch=True))
def test_parsing_never_raises_nor_lets_a_line_break_through(line: str) -> None:
    received = parse(line)
    if received is not None:
        for part in (received.source, received.command, *received.parameters, *received.tags.values()):
            assert not set(part) & set("\r\n\0")
        assert received.command
        assert all(" " not in parameter for parameter in received.parameters[:-1])


@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters=" :\r\n\0"), min_size=1), max_size=5),
    st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0")),
)
def test_what_was_put_together_comes_apart_again(middle: list[str], trailing: str) -> None:
    line = " ".join([":src", "CMD", *middle, ":" + trailing])
    assert parsed(line).parameters == (*middle, trailing)
