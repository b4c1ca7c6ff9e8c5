"""What goes to the terminal and comes from it: nothing there obeys a peer, and no odd byte ends us."""

from __future__ import annotations

import io
import os
import pty
import re
import select
import signal
import termios
import unicodedata
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otrcore.cli.terminal import (
    MAX_LINE_BYTES,
    Input,
    Output,
    message_lines,
    note_lines,
    plain_line,
    printable,
    readable,
)
from otrcore.events import HeldBack, NotSent
from otrcore.irc.actions import ShowMessage, ShowNote
from otrcore.irc.connection.listener import IncomingMessage
from otrcore.irc.lines import Command
from otrcore.model import Protection

CONTROLS = [chr(code) for code in [*range(0x20), *range(0x7F, 0xA0)]]
REORDERING = list("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# A tab may become a blank, which is all that a terminal makes of it.
UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)

any_text = st.text(st.characters(codec=None, exclude_categories=[]))
steering = st.text(st.sampled_from([*CONTROLS, *REORDERING, "\u2028", "\u2029", "\ud800", *"[]0;31mx,"]))


@given(any_text | steering)
def test_nothing_that_a_terminal_obeys_is_left(text: str) -> None:
    shown = printable(text)
    assert not UNSAFE.search(shown)
    shown.encode()


@given(st.text(st.characters(exclude_categories=["C", "Zl", "Zp"])))
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize("control", CONTROLS)
def test_every_control_character_goes(control: str) -> None:
    assert control not in printable(f"a{control}b")
    assert printable(f"a{control}b").replace(" ", "") in ("ab", "a", "b")


@pytest.mark.parametrize(
    ("coloured", "shown"),
    [
        ("\x0304red\x03 plain", "red plain"),
        ("\x034,12both\x0f", "both"),
        ("\x0304,and a comma", ",and a comma"),
        ("\x03041 is a digit", "1 is a digit"),
        ("\x034,123", "3"),
        ("\x04ff0000red\x04", "red"),
        ("\x02bold\x1ditalic\x1funder\x11mono\x1estrike\x16reverse", "bolditalicundermonostrikereverse"),
        ("\x03\x03\x0399,99x", "x"),
        ("wait, what\x03", "wait, what"),
    ],
)
def test_irc_formatting_goes_with_its_numbers(coloured: str, shown: str) -> None:
    assert printable(coloured) == shown


def test_words_stay_apart_where_a_tab_was() -> None:
    assert printable("left\tright") == "left right"


def test_joined_and_combined_characters_stay_whole() -> None:
    for text in (
        "👨\u200d👩\u200d👧",
        "नमस्\u200dते",
        "e\u0301",
        "\u0645\u06cc\u200c\u062e",
        "🏴\U000e0067\U000e0062\U000e007f",
    ):
        assert printable(text) == text


def test_a_message_tells_how_it_came() -> None:
    shown = [
        message_lines(ShowMessage("bob", ("one", "two"), protection, is_action))
        for protection in (Protection.ENCRYPTED, Protection.UNEXPECTED_PLAIN)
        for is_action in (False, True)
    ]
    assert shown == [
        ["[encrypted] <bob> one", "[encrypted] <bob> two"],
        ["[encrypted] * bob one", "[encrypted] * bob two"],
        ["[NOT ENCRYPTED] <bob> one", "[NOT ENCRYPTED] <bob> two"],
        ["[NOT ENCRYPTED] * bob one", "[NOT ENCRYPTED] * bob two"],
    ]


def plain(text: str, command: Command = "PRIVMSG", sender: str = "bob") -> str:
    return plain_line(IncomingMessage(sender, f"{sender}!u@h", "me", text, command, {}))


def test_plain_messages_have_their_usual_frames() -> None:
    assert plain("hello") == "<bob> hello"
    assert plain("hello", "NOTICE") == "-bob- hello"
    assert plain("\x01ACTION waves\x01") == "* bob waves"


@given(any_text | steering, any_text | steering)
def test_no_plain_message_can_look_like_an_encrypted_one(sender: str, text: str) -> None:
    for framed in (text, f"\x01ACTION {text}\x01", f"\x01{text}"):
        for command in ("PRIVMSG", "NOTICE"):
            line = plain(framed, command, sender)
            assert line[:1] in ("<", "-", "*")
            assert not UNSAFE.search(line)


def test_a_text_that_was_not_sent_is_given_back_whole() -> None:
    typed = "a text with  two blanks \x1b[31m"
    note = ShowNote("bob", ("Not sent.", "Because."), NotSent(typed, HeldBack.NO_SESSION), typed)
    assert note_lines(note) == [
        "-- Not sent.",
        "-- Because.",
        "-- Your text: a text with  two blanks [31m",
    ]


@given(any_text | steering, any_text | steering)
def test_no_note_steers_the_terminal(said: str, typed: str) -> None:
    for line in note_lines(ShowNote("bob", (said,), None, typed)):
        assert line.startswith("-- ")
        assert not UNSAFE.search(line)


class Pipe:
    """A pipe whose end for reading is an Input."""

    def __init__(self) -> None:
        reading, self.writing = os.pipe()
        os.set_blocking(self.writing, False)
        self.source = Input(reading)

    def put(self, data: bytes) -> None:
        assert os.write(self.writing, data) == len(data)

    def end(self) -> None:
        os.close(self.writing)
        self.writing = -1

    def read_all(self) -> list[str]:
        lines: list[str] = []
        while not self.source.ended:
            lines += self.source.read()
        return lines


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    os.close(made.source.fileno())
    if made.writing >= 0:
        made.end()


def test_input_gives_whole_lines_only(pipe: Pipe) -> None:
    pipe.put(b"one\ntwo\nthr")
    assert pipe.source.read() == ["one", "two"]
    pipe.put(b"ee\r\n\nfo")
    assert pipe.source.read() == ["three", ""]
    assert not pipe.source.ended
    pipe.put(b"ur")
    pipe.end()
    assert pipe.read_all() == ["four"]
    assert pipe.source.ended


def test_input_that_ends_with_a_whole_line_ends_without_another_text(pipe: Pipe) -> None:
    pipe.put(b"one\n")
    pipe.end()
    assert [line for line in pipe.read_all() if line] == ["one"]


def test_input_joins_a_character_that_came_in_pieces(pipe: Pipe) -> None:
    for byte in "你好👋\n".encode():
        pipe.put(bytes([byte]))
        last = pipe.source.read()
    assert last == ["你好👋"]


def test_input_that_is_no_utf8_still_is_a_line(pipe: Pipe) -> None:
    pipe.put(b"gr\xfc\xdfe\xff\n\x80\n")
    pipe.end()
    lines = [line for line in pipe.read_all() if line]
    assert [line.encode(errors="surrogateescape") for line in lines] == [b"gr\xfc\xdfe\xff", b"\x80"]
    assert [readable(line) for line in lines] == ["gr\ufffd\ufffde\ufffd", "\ufffd"]
    assert all(readable(line).encode() for line in lines)


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n"))), st.integers(1, 50))
def test_input_comes_whole_however_it_is_cut(texts: list[str], size: int) -> None:
    data = "".join(f"{text}\n" for text in texts).encode()
    pipe = Pipe()
    lines: list[str] = []
    for start in range(0, len(data), size):
        pipe.put(data[start : start + size])
        lines += pipe.source.read()
    pipe.end()
    os.close(pipe.source.fileno())
    assert lines == texts


def test_input_without_an_end_comes_in_bounded_pieces(pipe: Pipe) -> None:
    total = 3 * MAX_LINE_BYTES + 100
    lines: list[str] = []
    left = total
    while left:
        count = min(left, 4096)
        pipe.put(b"x" * count)
        lines += pipe.source.read()
        left -= count
    pipe.end()
    lines += pipe.read_all()
    assert "".join(lines) == "x" * total
    assert max(map(len, lines)) <= MAX_LINE_BYTES + 4096


def test_a_bounded_piece_never_ends_in_the_middle_of_a_character(pipe: Pipe) -> None:
    text = "x" + "你" * (2 * MAX_LINE_BYTES // 3)
    data = text.encode()
    lines: list[str] = []
    for start in range(0, len(data), 4096):
        pipe.put(data[start : start + 4096])
        lines += pipe.source.read()
    pipe.end()
    lines += pipe.read_all()
    assert "".join(lines) == text


# ---- hiding what is typed


class Terminal:
    """A pseudo-terminal: what is typed on one end is read by an Input on the other."""

    def __init__(self) -> None:
        self.keyboard, self.line = pty.openpty()
        self.source = Input(self.line)

    def settings(self) -> list[object]:
        return termios.tcgetattr(self.line)

    @property
    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self.line)[3] & termios.ECHO)

    def wait_typed(self, keys: bytes) -> None:
        """Type something with a line's end in it, and wait until that can be read."""
        os.write(self.keyboard, keys)
        assert select.select([self.line], [], [], 20)[0]

    def close(self) -> None:
        for end in (self.keyboard, self.line):
            with suppress(OSError):
                os.close(end)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    made = Terminal()
    yield made
    made.source.show()
    made.close()


def test_what_is_hidden_is_shown_again_as_it_was(terminal: Terminal) -> None:
    before, suspending = terminal.settings(), signal.getsignal(signal.SIGTSTP)
    for _ in range(2):
        terminal.source.hide()
        assert not terminal.echoes
        assert signal.getsignal(signal.SIGTSTP) is signal.SIG_IGN, "a shell in between would show it"
        terminal.source.hide()
        terminal.source.show()
        assert terminal.settings() == before
        assert signal.getsignal(signal.SIGTSTP) == suspending
        terminal.source.show()
        assert terminal.settings() == before


def test_a_terminal_that_did_not_show_what_is_typed_does_not_do_so_afterwards(terminal: Terminal) -> None:
    settings = termios.tcgetattr(terminal.line)
    settings[3] &= ~termios.ECHO
    termios.tcsetattr(terminal.line, termios.TCSANOW, settings)
    terminal.source.hide()
    terminal.source.show()
    assert not terminal.echoes


def test_hiding_anew_throws_away_what_is_typed_already(terminal: Terminal) -> None:
    terminal.source.hide()
    terminal.wait_typed(b"meant for another question\nhalf")
    terminal.source.hide(anew=True)
    assert terminal.source.read() == [], "and does not wait for more"
    terminal.wait_typed(b"the answer\n")
    assert terminal.source.read() == ["the answer"]


def test_hiding_once_keeps_what_was_typed_ahead(terminal: Terminal) -> None:
    terminal.wait_typed(b"typed ahead\n")
    terminal.source.hide()
    assert terminal.source.read() == ["typed ahead"]


def test_what_is_no_terminal_has_nothing_to_hide(pipe: Pipe) -> None:
    pipe.source.hide()
    pipe.source.hide(anew=True)
    pipe.put(b"secret\n")
    assert pipe.source.read() == ["secret"]
    pipe.source.show()


def test_a_terminal_that_has_gone_is_no_error(terminal: Terminal) -> None:
    terminal.source.hide()
    terminal.close()
    terminal.source.show()


def written(*lines: str, encoding: str = "utf-8") -> bytes:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    Output(stream).print(*lines)
    return raw.getvalue()


def test_output_is_there_at_once() -> None:
    assert written("one", "zwei ü") == "one\nzwei ü\n".encode()


def test_output_shows_what_it_can_where_the_terminal_knows_few_characters() -> None:
    assert written("Grüße 你", encoding="latin-1") == "Grüße ?\n".encode("latin-1")
    assert written("Grüße", encoding="ascii") == b"Gr??e\n"


def test_output_survives_what_cannot_be_encoded_at_all() -> None:
    assert written("a\ud800b") == b"a?b\n"


def test_a_reader_that_has_gone_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        output = Output(stream)
        for _ in range(3):
            output.print("nobody reads this")
        stream.write("nor this, at the end of the program")


def test_no_category_of_characters_is_left_out_of_the_rule() -> None:
    """What is removed is exactly: controls, lone surrogates, line separators, and what reorders text."""
    removed = {character for character in map(chr, range(0x110000)) if not printable(character)}
    expected = {c for c in map(chr, range(0x110000)) if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")}
    assert removed - {"\t"} == expected.union(REORDERING) - {"\t"}
