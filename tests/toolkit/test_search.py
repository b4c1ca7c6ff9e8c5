"""OTR is found wherever it stands in a text, put together from its pieces, and named where it is damaged."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otrcore.toolkit import search as module
from otrcore.toolkit.search import Damaged, Found, search
from otrcore.wire import messages4
from otrcore.wire.fragment import cut
from otrcore.wire.header import Header
from otrcore.wire.messages3 import DataMessage, DhKey, parse
from otrcore.wire.text import TAG_BASE, TAG_GROUPS, ErrorText, Query, Tagged, encode
from tests.wire import recorded4

ALICE, BOB = 0x0A11CE00, 0x0B0B0000
HEADER = Header(3, DataMessage.type, ALICE, BOB)
MESSAGE = DataMessage(HEADER, 0, 1, 2, 2**1500 + 7, 5, b"not read by anybody" * 20, bytes(20), bytes(40))
ENCODED = encode(MESSAGE.serialise())
VERSION_2 = DataMessage(Header(2, DataMessage.type), 0, 1, 2, 9, 5, b"short", bytes(20))
OTHER = DhKey(Header(3, DhKey.type, BOB, ALICE), 2**1500 + 11)
FRAGMENTS = cut(ENCODED, 100, HEADER)
FRAGMENTS_2 = cut(ENCODED, 100, VERSION_2.header)

HEADER_4 = Header(4, DataMessage.type, ALICE, BOB)
MESSAGE_4 = messages4.DataMessage(
    HEADER_4, 0, 1, 2, 3, bytes(57), None, b"not read by anybody" * 20, bytes(64), bytes(128)
)
ENCODED_4 = encode(MESSAGE_4.serialise())
OTHER_4 = messages4.AuthI(Header(4, 0x37, ALICE, BOB), bytes(342))
FRAGMENTS_4 = cut(ENCODED_4, 100, HEADER_4, 0xFFFFFFFF)
OTHER_FRAGMENTS_4 = cut(encode(OTHER_4.serialise()), 100, OTHER_4.header, 7)
MANY_4 = len(FRAGMENTS_4)


def found(text: str) -> list[tuple[int, object]]:
    """What there is in a text, with the lines; a damaged message is its reason."""
    return [
        (result.line, result.reason if isinstance(result, Damaged) else result.content)
        for result in search(text)
    ]


def lines(*texts: str) -> str:
    return "\n".join(texts)


def said(who: str, *texts: str) -> list[str]:
    """As a log shows it, with a time that goes on."""
    return [f"12:0{minute}:3{minute} <{who}> {text}" for minute, text in enumerate(texts)]


def folded(text: str, width: int) -> list[str]:
    return [text[at : at + width] for at in range(0, len(text), width)]


FOUND: dict[str, tuple[str, list[tuple[int, object]]]] = {
    "alone": (ENCODED, [(1, MESSAGE)]),
    "of version 2": (encode(VERSION_2.serialise()), [(1, VERSION_2)]),
    "in a log": (lines("hello", f"12:01 <alice> {ENCODED}", "bye"), [(2, MESSAGE)]),
    "with CR LF": (f"hello\r\n{ENCODED}\r\n", [(2, MESSAGE)]),
    "two in a line": (f"{ENCODED} and {encode(OTHER.serialise())}", [(1, MESSAGE), (1, OTHER)]),
    "two without a gap": (ENCODED + ENCODED, [(1, MESSAGE), (1, MESSAGE)]),
    "without its dot": (lines(ENCODED[:-1], "hello."), [(1, MESSAGE)]),
    "without its dot, at the end": (ENCODED[:-1], [(1, MESSAGE)]),
    "folded as in a mail": (lines("", *folded(ENCODED, 76), "hello."), [(2, MESSAGE)]),
    "folded with blanks": (lines(*(f"  {part}  " for part in folded(ENCODED, 76))), [(1, MESSAGE)]),
    "cut by a server": (lines(*said("alice", *folded(ENCODED, 400)), *said("bob", "ok.")), [(1, MESSAGE)]),
    "fragments": (lines("", *FRAGMENTS), [(2, MESSAGE)]),
    "fragments of version 2": (lines(*FRAGMENTS_2), [(1, MESSAGE)]),
    "fragments with lines between": (
        lines(*said("alice", *FRAGMENTS[:3]), "hello", encode(OTHER.serialise()), *FRAGMENTS[3:]),
        [(5, OTHER), (1, MESSAGE)],
    ),
    "fragments of two, mixed": (
        lines(
            *(line for pair in zip(FRAGMENTS, cut(ENCODED, 100, OTHER.header), strict=True) for line in pair)
        ),
        [(1, MESSAGE), (2, MESSAGE)],
    ),
    "fragments of two without tags, mixed": (
        lines(
            *(f"{at}:00 <{who}> {line}" for at, line in enumerate(FRAGMENTS_2) for who in ("alice", "bob"))
        ),
        [(1, MESSAGE), (2, MESSAGE)],
    ),
    "of version 4": (lines("", ENCODED_4), [(2, MESSAGE_4)]),
    "fragments of version 4": (lines(*FRAGMENTS_4), [(1, MESSAGE_4)]),
    "fragments of version 4, the wrong way round": (lines(*FRAGMENTS_4[::-1]), [(1, MESSAGE_4)]),
    "fragments of version 4, each twice": (
        lines(*(line for line in FRAGMENTS_4[1:] for _ in range(2)), FRAGMENTS_4[0]),
        [(1, MESSAGE_4)],
    ),
    "fragments of two of version 4 by one, mixed": (
        lines(
            *(line for pair in zip(FRAGMENTS_4, OTHER_FRAGMENTS_4, strict=False) for line in pair),
            *FRAGMENTS_4[len(OTHER_FRAGMENTS_4) :],
        ),
        [(2, OTHER_4), (1, MESSAGE_4)],
    ),
    "an identifier with other numbers": (
        lines(FRAGMENTS_4[0], *cut(ENCODED_4, 150, HEADER_4, 0xFFFFFFFF)),
        [(1, f"only 1 of its {MANY_4} fragments are there"), (2, MESSAGE_4)],
    ),
    "query": ("<bob> ?OTRv23? what is that?", [(1, Query(frozenset({2, 3})))]),
    "query of version 1 too": ("?OTR?v2?", [(1, Query(frozenset({1, 2})))]),
    "old query": ("?OTR?", [(1, Query(frozenset({1})))]),
    "error": ("<bob> ?OTR Error: no session\nx", [(1, ErrorText("no session"))]),
    "error with a code": ("<bob> ?OTR Error: ERROR_2: no", [(1, ErrorText("no", 2))]),
    "query of version 4": ("?OTRv34?", [(1, Query(frozenset({3, 4})))]),
    "tag": (f"a\nb{TAG_BASE}{TAG_GROUPS[3]} c", [(2, Tagged("", frozenset({3})))]),
}


@pytest.mark.parametrize("name", FOUND)
def test_found(name: str) -> None:
    text, expected = FOUND[name]
    assert found(text) == expected


DAMAGED: dict[str, tuple[str, list[tuple[int, object]]]] = {
    "cut off": (f"x\n{ENCODED[:200]}.", [(2, "68 bytes are missing")]),
    "nothing": ("?OTR:.", [(1, "the version is cut off")]),
    "bytes too many": (encode(MESSAGE.serialise() + b"x"), [(1, "1 bytes too many")]),
    "version 1": ("?OTR:AAEKAAAA.", [(1, "of OTR version 1, which this cannot read")]),
    "version 4, of no type": ("?OTR:AAR3AAABAAAAAQA=.", [(1, "an unknown message type 0x77")]),
    "version 4, cut off": (f"{ENCODED_4[:200]}.", [(1, "325 bytes are missing")]),
    "a fragment of version 4 missing": (
        lines("", FRAGMENTS_4[0], *FRAGMENTS_4[2:]),
        [(2, f"only {MANY_4 - 1} of its {MANY_4} fragments are there")],
    ),
    "version 9": ("?OTR:AAkDAAAAAAA=.", [(1, "of OTR version 9, which this cannot read")]),
    "unknown type": ("?OTR:AAN3AAAAAAAAAAAA.", [(1, "an unknown message type 0x77")]),
    "a fragment missing": (
        lines(FRAGMENTS[0], *FRAGMENTS[2:]),
        [
            (1, f"only 1 of its {len(FRAGMENTS)} fragments are there"),
            *((at, "a fragment without those before it") for at in range(3, len(FRAGMENTS))),
        ],
    ),
    "the last fragment missing": (
        lines("", *FRAGMENTS[:-1]),
        [(2, f"only {len(FRAGMENTS) - 1} of its {len(FRAGMENTS)} fragments are there")],
    ),
    "begun again": (
        lines(FRAGMENTS[0], *FRAGMENTS),
        [(1, f"only 1 of its {len(FRAGMENTS)} fragments are there"), (2, MESSAGE)],
    ),
    "a fragment cut off": (FRAGMENTS[0][:50], [(1, "a fragment that was cut off")]),
    "impossible numbers": ("?OTR,3,2,x,", [(1, "a fragment with impossible numbers")]),
    "illegal tags": ("?OTR|1|2,1,1,x,", [(1, "a fragment with an illegal instance tag")]),
    "no numbers": ("?OTR|100|200,a,b,x,", [(1, "a fragment that cannot be read")]),
    "fragments of no message": ("?OTR,1,1,hello,", [(1, "fragments of no OTR message")]),
    "damaged, then a good one": (
        lines("?OTR:AAMD", ENCODED),
        [(1, "the header is cut off"), (2, MESSAGE)],
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged(name: str) -> None:
    text, expected = DAMAGED[name]
    assert found(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "?OTR",
        "? OTR:AAMD",
        "?otr:AAMD.",
        "?OTR, he said, is old",
        "?OTRvision",
        "OTR: see ?OTR|",
        " \t" * 50,
    ],
)
def test_nothing_of_otr(text: str) -> None:
    assert found(text) == []


def test_too_long_is_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_MESSAGE", len(ENCODED))
    assert found(ENCODED) == found(lines(*FRAGMENTS)) == [(1, MESSAGE)]
    monkeypatch.setattr(module, "MAX_MESSAGE", len(ENCODED) - 1)
    reason = f"longer than {len(ENCODED) - 1} characters"
    assert found(ENCODED) == found(lines(*FRAGMENTS)) == [(1, reason)]
    monkeypatch.setattr(module, "MAX_MESSAGE", len(ENCODED) - 2)
    assert all(isinstance(result, Damaged) for result in search(lines(*folded(ENCODED, 76))))
    for length, expected in ((0, MESSAGE_4), (1, f"longer than {len(ENCODED_4) - 1} characters")):
        monkeypatch.setattr(module, "MAX_MESSAGE", len(ENCODED_4) - length)
        assert found(lines(*FRAGMENTS_4[::-1])) == [(1, expected)]


def test_so_many_at_once_are_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PARTIALS", 2)
    three = [cut(ENCODED, 100, Header(3, DataMessage.type, ALICE + at, BOB)) for at in range(3)]
    text = lines(*(pieces[0] for pieces in three), *three[0][1:], *three[1][1:])
    results = found(text)
    assert results[0] == (1, f"only 1 of its {len(FRAGMENTS)} fragments are there")
    assert (2, MESSAGE) in results
    assert results[-1] == (3, f"only 1 of its {len(FRAGMENTS)} fragments are there")


SIZE = 200_000
HOSTILE = {
    "marks": "?OTR",
    "empty messages": "?OTR:.",
    "cut messages": "?OTR:AAMD\n",
    "cut messages of many people": "12 <alice> ?OTR:AAMD\nAAAA\n",
    "folded without end": "A" * 76 + "\n",
    "first fragments": "?OTR,1,2,x,",
    "lonely fragments": "?OTR,2,2,x,",
    "lonely fragments of version 4": "?OTR|1|100|200,2,2,x,",
    "fragments of version 4 without end": "?OTR|1|100|200,2,9,x,",
    "cut fragments": "?OTR,1,2,x",
    "cut tags": "?OTR|aaaaaaaaaa",
    "blanks": " \t  \t\t\t\t \t \t \t  ",
    "newlines": "\n",
    "queries": "?OTRv" + "2" * 70,
    "signs": "a=b a.",
    "quoted": "?OTR:AAMD\n" + "a=b a. " * 10 + "\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_time_grows_with_the_length_only(name: str) -> None:
    def seconds(size: int) -> float:
        text = "?OTR:AAMD\n" + HOSTILE[name] * (size // len(HOSTILE[name]))
        began = time.process_time()
        for _ in search(text):
            pass
        return time.process_time() - began

    seconds(SIZE // 4)
    assert min(seconds(SIZE) for _ in range(3)) < 12 * min(seconds(SIZE // 4) for _ in range(3)) + 0.05


@pytest.mark.parametrize("name", recorded4.CONVERSATIONS)
def test_the_conversations_of_otr4j(name: str) -> None:
    """Every message that it sent is found, from its fragments too, in the log of what crossed the network."""
    sent = recorded4.injected(name)
    contents = [content for _, content in found(lines(*sent))]
    whole = [line for line in sent if line.startswith("?OTR:")]
    expected = len(whole) + len(recorded4.fragments(name))
    messages = [content for content in contents if isinstance(content, messages4.Message)]
    assert len(messages) == expected
    assert not [content for content in contents if isinstance(content, str)]
    assert {encode(message.serialise()) for message in messages} == {
        *whole,
        *map(recorded4.joined, recorded4.fragments(name)),
    }


@given(st.text(alphabet="?OTR:|,v.=A1 \t\n", max_size=200))
def test_any_text_is_searched(text: str) -> None:
    for result in search(text):
        assert 1 <= result.line <= text.count("\n") + 1


@given(
    st.lists(
        st.sampled_from(
            [ENCODED, *FRAGMENTS, *FRAGMENTS_4, "hello", ENCODED[:300], "?OTR Error: x", "?OTRv3?"]
        ),
        max_size=12,
    )
)
def test_what_is_found_was_there(texts: list[str]) -> None:
    for result in search(lines(*texts)):
        if isinstance(result, Found) and isinstance(result.content, DataMessage):
            assert result.content == parse(MESSAGE.serialise())
        if isinstance(result, Found) and isinstance(result.content, messages4.DataMessage):
            assert result.content == MESSAGE_4
