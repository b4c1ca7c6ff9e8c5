"""What a line of chat is to OTR, as libotr sees it (unless a comment says otherwise)."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otrcore.errors import MalformedMessage
from otrcore.policy import Policy
from otrcore.wire.fragment import Fragment
from otrcore.wire.text import (
    Encoded,
    ErrorText,
    Line,
    Plain,
    Query,
    Tagged,
    Unrecognized,
    classify,
    encode,
    error_line,
)

repeatable = settings(derandomize=True, deadline=None, max_examples=300)

# Typed from the specification's bytes, \x20 as a blank and \x09 as a tab.
BASE = "\x20\x09\x20\x20\x09\x09\x09\x09\x20\x09\x20\x09\x20\x09\x20\x20"
V1 = "\x20\x09\x20\x09\x20\x20\x09\x20"
V2 = "\x20\x20\x09\x09\x20\x20\x09\x20"
V3 = "\x20\x20\x09\x09\x20\x20\x09\x09"
V4 = "\x20\x20\x09\x09\x20\x09\x20\x20"
UNKNOWN_GROUP = "\x09" * 8


def query(*versions: int) -> Query:
    return Query(frozenset(versions))


def tagged(text: str, *versions: int) -> Tagged:
    return Tagged(text, frozenset(versions))


LINES: list[tuple[str, Line]] = [
    # Plain text, and what only looks like ours: case matters.
    ("", Plain("")),
    ("hello", Plain("hello")),
    ("?otrv3?", Plain("?otrv3?")),
    ("?OtRv3?", Plain("?OtRv3?")),
    ("? OTRv3?", Plain("? OTRv3?")),
    ("OTRv3?", Plain("OTRv3?")),
    ("?otr error: x", Plain("?otr error: x")),
    ("\r\n\0\x02", Plain("\r\n\0\x02")),
    # Queries: the specification's examples first.
    ("?OTR?", query(1)),
    ("?OTRv2?", query(2)),
    ("?OTRv23?", query(2, 3)),
    ("?OTR?v2?", query(1, 2)),
    ("?OTRv24x?", query(2, 4)),
    ("?OTR?v24x?", query(1, 2, 4)),
    ("?OTR?v?", query(1)),
    ("?OTRv?", query()),
    ("?OTRv3?", query(3)),
    ("?OTRv32?", query(2, 3)),
    ("?OTRv24x3?", query(2, 3, 4)),
    ("?OTRv4?", query(4)),
    ("?OTRv0?", query()),
    ("?OTRv33?", query(3)),
    ("?OTR?v", query(1)),
    ("?OTRv", query()),
    ("?OTRv3", query(3)),  # never closed: libotr takes it, and so do we; nobody offers it
    ("?OTR?v3", query(1, 3)),
    ("?OTR?3?", query(1)),
    ("?OTR??v3?", query(1)),
    ("?OTRv\u0663?", query()),  # an Arabic-Indic three is no version
    ("?OTRv\u00b3?", query()),
    # Anywhere in the line, with anything around it.
    ("hello ?OTRv3? x", query(3)),
    ("hello ?OTRv2? version 3", query(2)),
    ("<b>?OTRv3?</b>", query(3)),
    ("?OTRv2? ?OTRv3?", query(2)),  # only the first counts
    ("?OTRv3?" + BASE + V2, query(3)),
    # Error messages: with and without the blank, anywhere, and never also something else.
    ("?OTR Error: it broke", ErrorText("it broke")),
    ("?OTR Error:it broke", ErrorText("it broke")),
    ("?OTR Error:", ErrorText("")),
    ("well, ?OTR Error: x", ErrorText("x")),
    ("?OTR Error: ?OTRv3?", ErrorText("?OTRv3?")),
    ("?OTR Error: ?OTR Error: x", ErrorText("?OTR Error: x")),
    ("?OTR Error: ?OTR:AAMD.", ErrorText("?OTR:AAMD.")),
    ("?OTR Error: %n%s \x1b[31m", ErrorText("%n%s \x1b[31m")),
    # Version 4 puts a code in front, and wants the mark at the start of the line.
    ("?OTR Error: ERROR_1: Unreadable message", ErrorText("Unreadable message", 1)),
    ("?OTR Error: ERROR_2: words", ErrorText("words", 2)),
    ("?OTR Error: ERROR_3:", ErrorText("", 3)),
    ("?OTR Error:ERROR_2:  two: words ", ErrorText("two: words", 2)),
    ("?OTR Error: ERROR_1: ERROR_2: x", ErrorText("ERROR_2: x", 1)),
    ("x ?OTR Error: ERROR_2: words", ErrorText("ERROR_2: words")),
    (" ?OTR Error: ERROR_2: words", ErrorText("ERROR_2: words")),
    ("?OTR Error: ERROR_0: x", ErrorText("ERROR_0: x")),
    ("?OTR Error: ERROR_4: x", ErrorText("ERROR_4: x")),
    ("?OTR Error: ERROR_22: x", ErrorText("ERROR_22: x")),
    ("?OTR Error: ERROR_\u0662: x", ErrorText("ERROR_\u0662: x")),
    ("?OTR Error: ERROR_2 x", ErrorText("ERROR_2 x")),
    ("?OTR Error: error_2: x", ErrorText("error_2: x")),
    ("?OTR Error: an ERROR_2: x", ErrorText("an ERROR_2: x")),
    # Our marker with nothing known behind it is never shown.
    ("?OTR", Unrecognized()),
    ("?OTR!", Unrecognized()),
    ("hello ?OTR", Unrecognized()),
    ("?OTR Error", Unrecognized()),
    ("?OTR error: x", Unrecognized()),
    ("?OTRx ?OTRv3?", Unrecognized()),
    ("?OTR;AAMD.", Unrecognized()),
    ("?OTR\r\nv3?", Unrecognized()),
    # Encoded messages: the final dot may be missing, what follows it does not matter.
    ("?OTR:AAMD.", Encoded(b"\0\3\3")),
    ("?OTR:AAMD", Encoded(b"\0\3\3")),
    ("?OTR:AAMDBA==.", Encoded(b"\0\3\3\4")),
    ("?OTR:AAMD. and more. ?OTRv3?", Encoded(b"\0\3\3")),
    ("see ?OTR:AAMD.", Encoded(b"\0\3\3")),
    # As libotr: what is no base64 is skipped, and what was cut off is read as far as it goes.
    ("?OTR:AA MD\r\n.", Encoded(b"\0\3\3")),
    ("?OTR:\u00e4AA*MD\ud800.", Encoded(b"\0\3\3")),
    ("?OTR:AAMD\u0661.", Encoded(b"\0\3\3")),
    ("?OTR:AA=MDBA==.", Encoded(b"\0\3\3\4")),
    ("?OTR:AAMDB.", Encoded(b"\0\3\3")),
    ("?OTR:AAMDBA", Encoded(b"\0\3\3")),
    ("?OTR:AAM.", Encoded(b"")),
    ("?OTR:A.", Encoded(b"")),
    # Those with too little or no content are read as far, and harm nobody.
    ("?OTR:===.", Encoded(b"")),
    ("?OTR:.", Encoded(b"")),
    ("?OTR:", Encoded(b"")),
    ("?OTR:====", Encoded(b"")),
    ("?OTR:....", Encoded(b"")),
    # Fragments, wherever they stand.
    ("?OTR|00000100|00000101,00001,00002,abc,", Fragment(1, 2, "abc", 0x100, 0x101)),
    ("?OTR,00001,00002,abc,", Fragment(1, 2, "abc")),
    ("x ?OTR,1,2,?OTR:AA,", Fragment(1, 2, "?OTR:AA")),
    ("?OTR,1,1,?OTRv3?,", Fragment(1, 1, "?OTRv3?")),
    (
        "?OTR|0000dead|00000100|00000101,00001,00002,abc,",
        Fragment(1, 2, "abc", 0x100, 0x101, identifier=0xDEAD),
    ),
    # Whitespace tags.
    (BASE, tagged("")),
    (BASE + V3, tagged("", 3)),
    ("hi" + BASE + V2, tagged("hi", 2)),
    ("hi" + BASE + V3, tagged("hi", 3)),
    ("hi" + BASE + V4, tagged("hi", 4)),
    ("hi" + BASE + V2 + V3, tagged("hi", 2, 3)),
    ("hi" + BASE + V4 + V3, tagged("hi", 3, 4)),
    ("hi" + BASE + V3 + V2, tagged("hi", 2, 3)),
    ("hi" + BASE + V3 + V1 + V2, tagged("hi", 1, 2, 3)),
    ("hi" + BASE + UNKNOWN_GROUP + V3, tagged("hi", 3)),
    ("hi" + BASE + UNKNOWN_GROUP, tagged("hi")),
    ("hi" + BASE + V3 + "there", tagged("hithere", 3)),
    (BASE + V3 + "there", tagged("there", 3)),
    ("hi" + BASE + V2 + "there" + V3, tagged("hithere" + V3, 2)),
    ("hi" + BASE + V3 + V2[:7], tagged("hi" + V2[:7], 3)),  # a part of a group stays
    ("hi" + BASE + V3[:7], tagged("hi" + V3[:7])),
    ("hi" + BASE + V3[:7] + "x", tagged("hi" + V3[:7] + "x")),
    ("hi" + BASE[:15], Plain("hi" + BASE[:15])),
    ("hi" + V3, Plain("hi" + V3)),
    ("hi  " + BASE + V3, tagged("hi  ", 3)),
]


@pytest.mark.parametrize(("line", "meaning"), LINES)
def test_lines(line: str, meaning: Line) -> None:
    assert classify(line) == meaning


@pytest.mark.parametrize(
    "line",
    [
        "?OTR:A=.",
        "?OTR:AAMDB====.",
        "?OTR,1,2,",
        "?OTR|1|2,",
        "I like ?OTR, really",
        "?OTR Error: ?OTR,9,1,x,",
    ],
)
def test_impossible_base64_and_unreadable_fragments_are_malformed(line: str) -> None:
    with pytest.raises(MalformedMessage):
        classify(line)


@pytest.mark.parametrize(
    ("raw", "line"),
    [(b"\0\3\3", "?OTR:AAMD."), (b"\0\3\3\4", "?OTR:AAMDBA==."), (b"\xfb\xff\xfe", "?OTR:+//+.")],
)
def test_encoded_as_typed_by_hand(raw: bytes, line: str) -> None:
    assert encode(raw) == line


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("it broke", None, "?OTR Error: it broke"),
        ("Not in private state message", 2, "?OTR Error: ERROR_2: Not in private state message"),
    ],
)
def test_an_error_is_written_as_typed_by_hand(text: str, code: int | None, line: str) -> None:
    assert error_line(text, code) == line


@repeatable
@given(st.binary(min_size=1, max_size=400))
def test_every_message_comes_back(raw: bytes) -> None:
    line = encode(raw)
    assert line == f"?OTR:{base64.b64encode(raw).decode()}."
    assert classify(line) == Encoded(raw)


@repeatable
@given(st.binary(min_size=1, max_size=100), st.data())
def test_a_message_cut_off_is_read_as_far_as_it_is_whole(raw: bytes, data: st.DataObject) -> None:
    line = encode(raw)
    cut = line[: data.draw(st.integers(len("?OTR:"), len(line) - 2))].rstrip("=")
    assert classify(cut) == Encoded(raw[: (len(cut) - len("?OTR:")) // 4 * 3])


@repeatable
@given(st.text())
def test_a_text_without_our_marks_is_left_as_it_is(text: str) -> None:
    if "?OTR" not in text and BASE not in text:
        assert classify(text) == Plain(text)


@repeatable
@given(
    st.text(alphabet="ab ?\t", max_size=30),
    st.lists(st.sampled_from([V1, V2, V3, V4, UNKNOWN_GROUP]), max_size=5),
    st.text(alphabet="ab \t", max_size=7),
)
def test_a_tag_is_taken_out_whole_and_nothing_else(before: str, groups: list[str], after: str) -> None:
    if BASE in before + BASE[:-1]:
        return
    versions = {version for version, group in ((1, V1), (2, V2), (3, V3), (4, V4)) if group in groups}
    assert classify(before + BASE + "".join(groups) + after) == Tagged(before + after, frozenset(versions))


@repeatable
@given(st.text(alphabet="?OTR:v, |123Er.=A \t", max_size=60) | st.text().map(lambda text: "?OTR" + text))
def test_every_line_has_a_meaning_or_is_malformed(line: str) -> None:
    try:
        meaning = classify(line)
    except MalformedMessage:
        assert "?OTR" in line
    else:
        assert isinstance(meaning, Plain | Tagged) == ("?OTR" not in line)


@pytest.mark.parametrize("versions", [{2}, {3}, {2, 3}, {3, 4}])
def test_our_own_query_offers_what_the_policy_allows_and_nothing_more(versions: set[int]) -> None:
    assert classify(Policy(frozenset(versions)).query + " text, v2 and ?OTRv2?") == query(*versions)
