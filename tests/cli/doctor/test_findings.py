"""A finding is a level, what is so, and what to do; a check that fails is a finding, not a traceback."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otrcore.cli.doctor.findings import MAX_FINDINGS, MAX_WHY, Finding, Level, collected, fine, quoted, why

ESCAPE = re.compile(rb"\\(?:x([0-9a-f]{2})|(.))", re.DOTALL)


def typed(word: str) -> bytes:
    """Return what a shell passes on for a word."""
    if not word.startswith("$'"):
        (plain,) = shlex.split(word)
        return os.fsencode(plain)
    assert word.endswith("'")
    inside = os.fsencode(word[2:-1])
    return ESCAPE.sub(lambda found: bytes([int(found[1], 16)]) if found[1] else found[2], inside)


@given(st.binary(min_size=1, max_size=40).filter(lambda name: b"\0" not in name).map(os.fsdecode))
def test_a_quoted_path_is_the_path_and_shows_as_it_is(path: str) -> None:
    word = quoted(path)
    assert word.isprintable()
    assert typed(word) == os.fsencode(path)


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/plain", "/plain"),
        ("/it's mine", "'/it'\"'\"'s mine'"),
        ("/\x1b[31m'\\", "$'/\\x1b[31m\\'\\\\'"),
        ("/\udcff", "$'/\\xff'"),
        ("/a\u202eb", "$'/a\\xe2\\x80\\xaeb'"),
    ],
)
def test_how_paths_are_quoted(path: str, word: str) -> None:
    assert quoted(Path(path)) == word


class Panic(BaseException):
    """As cryptography's Rust side raises."""


@pytest.mark.parametrize(
    "error", [ValueError("wrong"), OSError(13, "Permission denied"), Panic(), SystemExit(3)]
)
def test_a_check_that_raises_is_a_finding_of_its_own(error: BaseException) -> None:
    def check() -> Iterator[Finding]:
        yield fine("one thing")
        raise error

    first, last = collected(check, "the moon")
    assert first == fine("one thing")
    assert last.level is Level.PROBLEM
    assert "the moon failed" in last.what
    assert why(error) in last.what
    assert last.mend


def test_an_interrupt_is_no_finding() -> None:
    def check() -> Iterator[Finding]:
        yield fine("one thing")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collected(check, "the moon")


def test_a_check_cannot_fill_the_screen() -> None:
    def check() -> Iterator[Finding]:
        while True:
            yield fine("again")

    assert len(collected(check, "the moon")) == MAX_FINDINGS


def test_the_words_of_a_foreign_error_are_bounded() -> None:
    assert why(OSError(2, "No such file or directory")) == "no such file or directory"
    assert why(ValueError()) == "ValueError"
    assert len(why(ValueError("x" * 10_000))) == MAX_WHY
