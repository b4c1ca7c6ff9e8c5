"""Whole verifications taken apart by somebody who knows only the random bytes and the specification.

Each message that crosses is recomputed from what its sender drew, and checked by the
equations of who receives it; then the textbook itself takes each of the two parts.
"""

from __future__ import annotations

import pytest

from otrcore.events import SmpAsked, SmpFailed, SmpProgress, SmpSucceeded
from otrcore.wire.tlv import Tlv
from tests.pair import OTHER, SIDES, Pair, Seeded, Side
from tests.smp import textbook
from tests.smp.runs import PEER, SUBJECT, VERSIONS, encrypted, opened, put, record, shown, verify
from tests.smp.textbook import Message

WORDS = "Größe 7"
"""More than ASCII: what is hashed is UTF-8."""


def draws(pair: Pair, side: Side) -> list[int]:
    """The random exponents of this side, in the order in which it drew them."""
    source = pair.randoms[side]
    assert isinstance(source, Seeded)
    assert all(len(drawn) == 192 for drawn in source.drawn["smp"])
    return [int.from_bytes(drawn, "big") for drawn in source.drawn["smp"]]


def compared(pair: Pair, initiator: Side, words: str) -> int:
    """The number that a side compares in a run that `initiator` began."""
    info = pair.talks[initiator].info
    assert info is not None
    one, other = info.our_fingerprint.digest, info.their_fingerprint.digest
    return textbook.compared(one, other, info.ssid, words.encode())


def run(pair: Pair, asker: Side, words: str, answer: str, question: str | None) -> list[Tlv]:
    """Let one side verify the other; return the four records that crossed."""
    answerer = OTHER[asker]
    crossed: list[Tlv] = []

    def carry(to: Side) -> None:
        ((carried,),) = opened(pair, to)
        crossed.append(carried)
        pair.deliver(to)

    pair.do(asker, pair.talks[asker].smp_start(words, question))
    carry(answerer)
    pair.do(answerer, pair.talks[answerer].smp_answer(answer))
    for to in (asker, answerer, asker):
        carry(to)
    assert not any(pair.on_the_way.values())
    return crossed


@pytest.mark.parametrize("question", [None, "Wie groß?"])
@pytest.mark.parametrize("answer", [WORDS, "Grösse 7"])
@pytest.mark.parametrize("asker", SIDES)
@pytest.mark.parametrize("version", VERSIONS)
def test_every_number_of_a_run(version: int, asker: Side, answer: str, question: str | None) -> None:
    pair = encrypted(version, seed=f"recomputed/{asker}")
    answerer = OTHER[asker]
    crossed = run(pair, asker, WORDS, answer, question)
    x, y = compared(pair, asker, WORDS), compared(pair, asker, answer)
    a2, a3, *alice = draws(pair, asker)
    b2, b3, *bob = draws(pair, answerer)
    assert (len(alice), len(bob)) == (2 + 4, 5 + 1)

    first = textbook.message_1(a2, a3, *alice[:2])
    second = textbook.message_2(first, y, b2, b3, bob[:5])
    third = textbook.message_3(second, x, a2, a3, alice[2:])
    fourth = textbook.message_4(second, third, b3, bob[5])
    begun = textbook.encode(first) if question is None else question.encode() + b"\0" + textbook.encode(first)
    assert crossed == [
        Tlv(2 if question is None else 7, begun),
        record(2, second),
        record(3, third),
        record(4, fourth),
    ]

    assert textbook.first_holds(first)
    assert textbook.second_holds(second, a2, a3)
    assert textbook.third_holds(third, first, second, b2, b3)
    assert textbook.fourth_holds(fourth, second, third)
    equal = textbook.answerer_finds(second, third, b3)
    assert equal is textbook.asker_finds(second, third, fourth, a3) is (answer == WORDS)

    end = SmpSucceeded if equal else SmpFailed
    assert shown(pair.events(asker)) == [SmpProgress(25), SmpProgress(75), end(trusts=True)]
    assert shown(pair.events(answerer)) == [
        SmpAsked(question),
        SmpProgress(50),
        end(trusts=question is None),
    ]


@pytest.mark.parametrize("answer", [WORDS, "groß"])
@pytest.mark.parametrize("version", VERSIONS)
def test_the_textbook_answers(version: int, answer: str) -> None:
    pair = encrypted(version)
    y = compared(pair, SUBJECT, answer)
    pair.do(SUBJECT, pair.talks[SUBJECT].smp_start(WORDS))
    first = numbers_sent(pair)
    assert textbook.first_holds(first)
    second = textbook.message_2(first, y, 21, 31, (41, 42, 43, 44, 45))
    put(pair, record(2, second))
    third = numbers_sent(pair)
    assert textbook.third_holds(third, first, second, 21, 31)
    assert textbook.answerer_finds(second, third, 31) is (answer == WORDS)
    events = put(pair, record(4, textbook.message_4(second, third, 31, 46)))
    assert shown(events) == [(SmpSucceeded if answer == WORDS else SmpFailed)(trusts=True)]


@pytest.mark.parametrize("answer", [WORDS, "groß"])
@pytest.mark.parametrize("version", VERSIONS)
def test_the_textbook_asks(version: int, answer: str) -> None:
    pair = encrypted(version)
    x = compared(pair, PEER, WORDS)
    first = textbook.message_1(21, 31, 41, 42)
    assert shown(put(pair, record(1, first))) == [SmpAsked(None)]
    pair.do(SUBJECT, pair.talks[SUBJECT].smp_answer(answer))
    second = numbers_sent(pair)
    assert textbook.second_holds(second, 21, 31)
    third = textbook.message_3(second, x, 21, 31, (43, 44, 45, 46))
    events = put(pair, record(3, third))
    assert shown(events) == [(SmpSucceeded if answer == WORDS else SmpFailed)(trusts=True)]
    fourth = numbers_sent(pair)
    assert textbook.fourth_holds(fourth, second, third)
    assert textbook.asker_finds(second, third, fourth, 31) is (answer == WORDS)


def numbers_sent(pair: Pair) -> Message:
    """Take the subject's message out of the way; its numbers."""
    ((carried,),) = opened(pair, PEER)
    pair.on_the_way[PEER].clear()
    return textbook.decode(carried.value)


def test_the_bytes_that_are_compared() -> None:
    """Version, fingerprint of who asked, of who answered, session id, words; all in their order."""
    pair = encrypted()
    assert len({compared(pair, side, words) for side in SIDES for words in ("a", "b", "")}) == 6
    by_hand = textbook.compared(bytes(range(20)), bytes(range(20, 40)), bytes(8), b"words")
    assert by_hand == 0xE66C971AF3F93B41707397C0553C919DB0C7E0B7B64E99513D8839CD72C3C8F5


def test_exponents_are_fresh_in_every_run() -> None:
    pair = encrypted()
    for _ in range(2):
        verify(pair, "alice", WORDS, WORDS)
    for side in SIDES:
        drawn = draws(pair, side)
        assert len(set(drawn)) == len(drawn)
