"""Lines arrive whole: the server's 512 bytes are counted here as the server counts them."""

from __future__ import annotations

from itertools import islice
from typing import get_args

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from otrcore.irc.lines import WORST_HOST, WORST_USER, Command, display_lines, one_line, split_text, text_limit

SERVER_LIMIT = 512

words = st.text(st.characters(codec="utf-8", exclude_characters=" \r\n\0:@!,", min_codepoint=33))
nicks = words.filter(lambda word: 1 <= len(word.encode()) <= 60)
hosts = words.filter(lambda word: 1 <= len(word.encode()) <= 100)
commands: st.SearchStrategy[Command] = st.sampled_from(get_args(Command))
texts = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"))
blank_heavy = st.text(st.sampled_from("ab   é€😀\t"), max_size=300)


def delivered(mask: str, command: str, target: str, text: str) -> bytes:
    """The line as the server hands it to the target."""
    return f":{mask} {command} {target} :{text}\r\n".encode()


@given(nicks, nicks, hosts, nicks, commands)
def test_the_limit_is_exact(nick: str, user: str, host: str, target: str, command: Command) -> None:
    mask = f"{nick}!{user}@{host}"
    limit = text_limit(nick, mask, target, command)
    assert len(delivered(mask, command, target, "x" * limit)) == SERVER_LIMIT


@given(nicks, nicks, hosts, nicks, commands)
def test_with_an_unknown_mask_no_usual_line_is_too_long(
    nick: str, user: str, host: str, target: str, command: Command
) -> None:
    assume(len(user.encode()) <= WORST_USER and len(host.encode()) <= WORST_HOST)
    line = "x" * text_limit(nick, None, target, command)
    assert len(delivered(f"{nick}!{user}@{host}", command, target, line)) <= SERVER_LIMIT
    worst = f"{nick}!{'u' * WORST_USER}@{'h' * WORST_HOST}"
    assert len(delivered(worst, command, target, line)) == SERVER_LIMIT


def test_figures_counted_by_hand() -> None:
    # :alice77!~al@127.0.0.1 PRIVMSG bobby77 :
    assert text_limit("alice77", "alice77!~al@127.0.0.1", "bobby77") == 470
    assert text_limit("alice77", "alice77!~al@127.0.0.1", "bobby77", "NOTICE") == 471
    # The longest that servers show: nicks of 30, a user name of 20 and a host of 63 characters.
    assert text_limit("n" * 30, None, "t" * 30) == 353


def same_but_for_blanks(pieces: list[str], text: str) -> bool:
    """Whether the pieces are the text in order, with at most one blank missing where two meet."""
    reached = {0}
    for index, piece in enumerate(pieces):
        # The one way in which text may be lost: the blank at the cut before this piece.
        starts = reached | {at + 1 for at in reached if index > 0 and text.startswith(" ", at)}
        reached = {at + len(piece) for at in starts if text.startswith(piece, at)}
    return bool({len(text), len(text.removesuffix(" "))} & reached)


def test_the_check_of_pieces_can_fail() -> None:
    assert same_but_for_blanks(["ab", "cd"], "ab cd")
    assert same_but_for_blanks(["ab", "cd"], "abcd")
    assert not same_but_for_blanks(["ab", "cd"], "ab  cd")
    assert not same_but_for_blanks(["ab", "d"], "abcd")
    assert not same_but_for_blanks(["ab"], "abcd")


@given(texts | blank_heavy, st.integers(4, 60))
def test_pieces_fit_and_nothing_is_lost(text: str, limit: int) -> None:
    pieces = list(islice(split_text(text, limit), len(text) + 2))
    assert all(len(piece.encode()) <= limit for piece in pieces)
    assert same_but_for_blanks(pieces, text)


@given(texts | blank_heavy, st.integers(4, 60))
@example("four ", 4)
def test_every_piece_says_something(text: str, limit: int) -> None:
    # An empty message is refused by servers (412).
    pieces = list(islice(split_text(text, limit), len(text) + 2))
    assert all(pieces) or pieces == [""] == [text]


@given(texts.filter(bool))
def test_pieces_are_not_smaller_than_need_be(text: str) -> None:
    limit = 40
    pieces = list(split_text(text, limit))
    # A cut is moved back to a blank by a quarter at most, and by three bytes for a character.
    assert all(len(piece.encode()) >= limit - limit // 4 - 3 for piece in pieces[:-1])


@given(st.text(st.characters(codec="utf-8", exclude_characters=" \r\n\0")), st.integers(4, 60))
def test_a_text_without_blanks_is_kept_to_the_last_character(text: str, limit: int) -> None:
    assert "".join(split_text(text, limit)) == text


def test_a_cut_falls_on_a_blank_near_the_end() -> None:
    assert list(split_text("one two three", 8)) == ["one two", "three"]
    assert list(split_text("one two three", 7)) == ["one two", "three"]
    assert list(split_text("a bcdefghij", 8)) == ["a bcdefg", "hij"]
    assert list(split_text("short", 8)) == ["short"]
    assert list(split_text("exact ok", 8)) == ["exact ok"]


@pytest.mark.parametrize(
    ("text", "limit", "pieces"),
    [
        ("éééé", 4, ["éé", "éé"]),
        ("éééé", 5, ["éé", "éé"]),
        ("€€", 5, ["€", "€"]),
        ("😀😀", 4, ["😀", "😀"]),
        ("a😀b", 4, ["a", "😀", "b"]),
        ("x\ud800y", 2, ["x?", "y"]),
    ],
)
def test_characters_stay_whole(text: str, limit: int, pieces: list[str]) -> None:
    assert list(split_text(text, limit)) == pieces


@pytest.mark.parametrize("limit", [-600, -5, -1, 0, 1, 2, 3])
def test_a_limit_without_room_for_a_character_comes_to_an_end(limit: int) -> None:
    """A long nick or host, which a server may give us, leaves no room: that must not run for ever."""
    for text in ("hello", "  ", "a b c", "é", "€uro", "a😀b", "x" * 700):
        enough = len(text.encode()) + 1
        try:
            pieces = list(islice(split_text(text, limit), enough + 1))
        except ValueError:
            continue
        assert len(pieces) <= enough, f"no end to the pieces of {text[:10]!r} at {limit}"
        assert same_but_for_blanks(pieces, text)


@given(st.text())
def test_one_line_is_one_line(text: str) -> None:
    line = one_line(text)
    assert not set(line) & set("\r\n\0")
    assert line == "".join(character for character in text if character not in "\r\n\0")


def test_one_line_leaves_formatting_alone() -> None:
    assert one_line("\x01ACTION \x02b\x02 \x0304r\x0f\t\x01") == "\x01ACTION \x02b\x02 \x0304r\x0f\t\x01"
    assert one_line("a\r\nPRIVMSG b :c\0") == "aPRIVMSG b :c"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("one", ("one",)),
        ("", ("",)),
        ("one\ntwo", ("one", "two")),
        ("one\r\ntwo\rthree", ("one", "two", "three")),
        ("one\n\ntwo", ("one", "", "two")),
        ("one\0\ntwo", ("one", "two")),
        ("one\n\rtwo", ("one", "", "two")),
    ],
)
def test_display_lines(text: str, lines: tuple[str, ...]) -> None:
    assert display_lines(text) == lines


@given(st.text())
def test_no_displayed_line_holds_a_line_break(text: str) -> None:
    assert not set("".join(display_lines(text))) & set("\r\n\0")


def test_a_name_that_is_no_utf8_has_a_size() -> None:
    assert text_limit("alice", None, "\ud800") == text_limit("alice", None, "abc")
    assert text_limit("alice", "alice\udcff!a@b", "bob") == text_limit("alice", "aliceabc!a@b", "bob")
