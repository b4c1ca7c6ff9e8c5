"""What is printed of others' texts says what was there, and steers no terminal."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otrcore.toolkit.escape import escape

ESCAPED: list[tuple[str | bytes, str]] = [
    ("Grüße, 你好 🙂", "Grüße, 你好 🙂"),
    ("", ""),
    ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
    ("\x07\r\n\t\0", r"\x07\r\n\t\x00"),
    ("C:\\new", r"C:\\new"),
    ("\\x1b", r"\\x1b"),
    ("\x9b2J\x7f", r"\x9b2J\x7f"),
    ("\u202eevil\u2066 \u2028 \u00ad", r"\u202eevil\u2066 \u2028 \xad"),
    ("\U000e0041", r"\U000e0041"),
    (b"caf\xe9", r"caf\xe9"),
    ("caf\udce9", r"caf\xe9"),
    ("\ud800", r"\ud800"),
    (b"caf\xc3\xa9", "café"),
]


@pytest.mark.parametrize(("text", "shown"), ESCAPED)
def test_table(text: str | bytes, shown: str) -> None:
    assert escape(text) == shown


@given(st.one_of(st.text(alphabet=st.characters()), st.binary()))
def test_nothing_is_left_to_act_on(text: str | bytes) -> None:
    shown = escape(text)
    assert all(unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp") for character in shown)
    shown.encode()


@given(st.text(), st.text())
def test_different_texts_look_different(one: str, other: str) -> None:
    # A byte that is no UTF-8 looks like the character of its number; in a text without such, nothing does.
    assert (escape(one) == escape(other)) is (one == other)
