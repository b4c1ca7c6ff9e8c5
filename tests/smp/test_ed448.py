"""SMP of version 4: recorded verifications byte for byte, its records, and what is refused.

The messages of the recordings are otr4j's; ours, with what otr4j drew, must be the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from otrcore.crypto.ed448 import GENERATOR, ORDER
from otrcore.crypto.random import Purpose, Random
from otrcore.errors import MalformedMessage, PeerError, Reason
from otrcore.events import SmpAborted, SmpAsked, SmpEnd, SmpFailed, SmpProgress, SmpSucceeded
from otrcore.model import Fingerprint
from otrcore.protocols import Step
from otrcore.smp import machine
from otrcore.smp.verification import Verification
from otrcore.v4.smp import Ed448Group, SmpRecords, compared
from otrcore.wire.codec import data
from otrcore.wire.tlv import Tlv
from tests.crypto import edwards
from tests.pair import OTHER, SIDES, Seeded, Side, seeded
from tests.wire import recorded4

GROUP, RECORDS = Ed448Group(), SmpRecords()
VECTORS = recorded4.vectors()
SSID = bytes.fromhex(VECTORS["dake"]["ssid"])
FINGERPRINTS = {side: Fingerprint(bytes.fromhex(VECTORS["identity"][side]["fingerprint"])) for side in SIDES}

RECORDED: list[tuple[Side, bytes, bytes, bytes | None]] = [
    ("alice", b"sekrit", b"sekrit", b"question?"),
    ("bob", b"one", b"two", None),
]
"""Who asks, the asker's words, the other's, and the question."""

LAYOUTS = {1: machine.MESSAGE_1, 2: machine.MESSAGE_2, 3: machine.MESSAGE_3, 4: machine.MESSAGE_4}
STEPS = pytest.mark.parametrize("step", LAYOUTS)
PLACES = [(step, place, kind) for step, layout in LAYOUTS.items() for place, kind in enumerate(layout)]
ELEMENTS = [(step, place) for step, place, kind in PLACES if kind == "e"]
NUMBERS = [(step, place) for step, place, kind in PLACES if kind != "e"]

CHEATED = Step((Tlv(6),), (SmpAborted(SmpEnd.CHEATED),))

Two = dict[Side, Verification[Any]]


def two(randoms: dict[Side, Random]) -> Two:
    """Both sides of the recorded session."""

    def side(ours: Side) -> Verification[Any]:
        def number(we_asked: bool, secret: bytes) -> int:
            initiator = ours if we_asked else OTHER[ours]
            return compared(FINGERPRINTS[initiator], FINGERPRINTS[OTHER[initiator]], SSID, secret)

        return Verification(GROUP, randoms[ours], RECORDS, number)

    return {"alice": side("alice"), "bob": side("bob")}


def the_record(step: Step | None) -> Tlv:
    """The one record that goes out."""
    assert step is not None
    (record,) = step.records
    return record


# ---- recorded verifications


def drawn(who: Side) -> Iterator[bytes]:
    """What otr4j drew for SMP: the first seven numbers were for the signature of the key exchange."""
    numbers = [
        recorded4.for_number(bytes.fromhex(event["hex"]))
        for event in recorded4.events("trace")
        if event["ev"] == "secret" and event["name"] == "zq_random" and event["who"] == who
    ]
    return iter(numbers[7:])


def replayed(numbers: Iterator[bytes]) -> Random:
    def random(purpose: Purpose, count: int) -> bytes:
        number = next(numbers)
        assert (purpose, count) == ("smp", len(number))
        return number

    return random


def crossed(number: int) -> list[tuple[Side, Tlv]]:
    """Who sent the four records of a recorded run, and the records."""
    return [
        (message["who"], Tlv(message["type"], bytes.fromhex(message["value"])))
        for message in VECTORS["smp"][4 * number : 4 * number + 4]
    ]


def test_recorded_verifications_byte_for_byte() -> None:
    left = {side: drawn(side) for side in SIDES}
    sides = two({side: replayed(left[side]) for side in SIDES})
    for number, (asker, words, answer, question) in enumerate(RECORDED):
        answerer = OTHER[asker]
        recorded = crossed(number)
        asked = sides[asker].ask(words, question)
        assert (asker, the_record(asked)) == recorded[0]
        heard = sides[answerer].receive(recorded[0][1])
        assert heard == Step((), (SmpAsked(question.decode() if question else None),))
        answered = sides[answerer].answer(answer)
        assert (answerer, the_record(answered)) == recorded[1]
        shown = sides[asker].receive(recorded[1][1])
        assert (asker, the_record(shown)) == recorded[2]
        ends = {answerer: sides[answerer].receive(recorded[2][1])}
        assert (answerer, the_record(ends[answerer])) == recorded[3]
        ends[asker] = sides[asker].receive(recorded[3][1])

        end = SmpSucceeded if words == answer else SmpFailed
        steps = (asked, answered, shown)
        assert [step.events for step in steps if step] == [(SmpProgress(n),) for n in (25, 50, 75)]
        assert [ends[side].events for side in (asker, answerer)] == [  # type: ignore[union-attr]
            (end(trusts=True),),
            (end(trusts=question is None),),
        ]
    assert [list(numbers) for numbers in left.values()] == [[], []]


@pytest.mark.parametrize("run", range(len(RECORDED)))
def test_recorded_numbers_that_are_compared(run: int) -> None:
    asker, words, answer, _ = RECORDED[run]
    answerer = OTHER[asker]
    fingerprints = FINGERPRINTS[asker], FINGERPRINTS[answerer]
    for message in VECTORS["smp"][4 * run : 4 * run + 4]:
        assert compared(*fingerprints, SSID, words) == int(message["x"][asker], 16)
        assert compared(*fingerprints, SSID, answer) == int(message["x"][answerer], 16)


def test_all_that_is_compared_counts() -> None:
    alice, bob = FINGERPRINTS["alice"], FINGERPRINTS["bob"]
    numbers = {
        compared(alice, bob, SSID, b"words"),
        compared(bob, alice, SSID, b"words"),
        compared(alice, alice, SSID, b"words"),
        compared(alice, bob, bytes(8), b"words"),
        compared(alice, bob, SSID, b"word"),
        compared(alice, bob, SSID, b""),
    }
    assert len(numbers) == 6
    assert all(0 < number < ORDER for number in numbers)


def test_recorded_challenges() -> None:
    """Each hash of SMP in the recording, by its usage; what comes out of it is reduced."""
    met = set()
    for event in recorded4.events("trace"):
        if event["ev"] == "kdf" and event["usage"].startswith("SMP_VALUE"):
            points = b"".join(map(bytes.fromhex, event["in"]))
            prefix = int(event["id"])
            layout = "e" * (len(points) // 57)
            elements, _ = GROUP.read(layout, points)
            out = int.from_bytes(bytes.fromhex(event["out"]), "little")
            assert GROUP.challenge(prefix, *elements) == out % edwards.Q
            assert out > edwards.Q
            met.add(prefix)
    assert met == set(range(1, 9))


# ---- messages that are refused


def waiting_for(step: int, equal: bool = True) -> tuple[Verification[Any], Tlv]:
    """Who waits for this message, and the honest one."""
    sides = two({side: seeded(side) for side in SIDES})
    record = sides["alice"].ask(b"words", None)
    waiting: tuple[Side, Side] = ("bob", "alice")
    for number in range(1, 5):
        if number == step:
            return sides[waiting[0]], the_record(record)
        heard = sides[waiting[0]].receive(the_record(record))
        assert heard is not None
        record = sides["bob"].answer(b"words" if equal else b"others") if number == 1 else heard
        waiting = waiting[::-1]
    raise AssertionError("there are four messages")


def message_in(record: Tlv) -> bytes:
    """The message; no question stands before the first one here."""
    return record.value[4:] if record.type == 2 else record.value


def with_field(record: Tlv, place: int, field: bytes) -> Tlv:
    """The record with another field in this place of its message."""
    message = message_in(record)
    start = len(record.value) - len(message) + 57 * place
    return Tlv(record.type, record.value[:start] + field + record.value[start + 57 :])


def field_of(record: Tlv, place: int) -> bytes:
    return message_in(record)[57 * place : 57 * place + 57]


@pytest.mark.parametrize("equal", [True, False])
@STEPS
def test_the_honest_messages_are_taken(step: int, equal: bool) -> None:
    subject, record = waiting_for(step, equal)
    heard = subject.receive(record)
    assert heard is not None
    ends = {1: SmpAsked(None), 2: SmpProgress(75)}
    end = SmpSucceeded(True) if equal else SmpFailed(True)
    assert heard.events == (ends.get(step, end),)
    assert [sent.type for sent in heard.records] == {1: [], 2: [4], 3: [5], 4: []}[step]
    assert len(message_in(record)) == 57 * len(LAYOUTS[step])


def illegal_elements(honest: bytes) -> dict[str, bytes]:
    """What stands for no element, among it what an honest one is but for a part of small order."""
    point = edwards.decode(honest)
    (half,), (quarter, other_quarter) = edwards.SMALL_ORDER[2], edwards.SMALL_ORDER[4]
    off = next(y for y in range(2, 100) if edwards.x_of(y) is None)
    return {
        "the identity": edwards.encode(edwards.IDENTITY),
        "order 2": edwards.encode(half),
        "order 4": edwards.encode(quarter),
        "a part of order 2": edwards.encode(edwards.add(point, half)),
        "a part of order 4": edwards.encode(edwards.add(point, other_quarter)),
        "not on the curve": edwards.encode_fields(off, 0),
        "p": edwards.encode_fields(edwards.P, 0),
        "zeros": bytes(57),
        "ones": b"\xff" * 57,
        "a bit too many": honest[:56] + bytes((honest[56] | 1,)),
    }


@pytest.mark.parametrize(("step", "place"), ELEMENTS)
def test_an_illegal_element(step: int, place: int) -> None:
    _, record = waiting_for(step)
    for name, field in illegal_elements(field_of(record, place)).items():
        subject, record = waiting_for(step)
        altered = with_field(record, place, field)
        assert subject.receive(altered) == CHEATED, name
        assert not subject.running
        with pytest.raises(PeerError) as refused:
            GROUP.read(LAYOUTS[step], message_in(altered))
        assert refused.value.reason is Reason.UNVERIFIED


@pytest.mark.parametrize(("step", "place"), ELEMENTS)
def test_another_legal_element(step: int, place: int) -> None:
    subject, record = waiting_for(step)
    negative = edwards.encode(edwards.negative(edwards.decode(field_of(record, place))))
    for field in (GENERATOR.encoded, negative):
        subject, record = waiting_for(step)
        assert subject.receive(with_field(record, place, field)) == CHEATED
        assert not subject.running


@pytest.mark.parametrize(("step", "place"), NUMBERS)
def test_another_number(step: int, place: int) -> None:
    _, record = waiting_for(step)
    honest = int.from_bytes(field_of(record, place), "little")
    for number in (0, 1, honest + 1, honest - 1, ORDER - honest, 2**456 - 1):
        subject, record = waiting_for(step)
        assert subject.receive(with_field(record, place, number.to_bytes(57, "little"))) == CHEATED
        assert not subject.running


@pytest.mark.parametrize(("step", "place"), NUMBERS)
def test_a_number_that_is_not_below_the_order(step: int, place: int) -> None:
    """The same number modulo the order, in an encoding that nobody sends."""
    _, record = waiting_for(step)
    honest = int.from_bytes(field_of(record, place), "little")
    for times in (1, 5, (2**456 - 1 - honest) // ORDER):
        subject, record = waiting_for(step)
        altered = with_field(record, place, (honest + times * ORDER).to_bytes(57, "little"))
        assert subject.receive(altered) == CHEATED
        assert not subject.running
        with pytest.raises(PeerError) as refused:
            GROUP.read(LAYOUTS[step], message_in(altered))
        assert refused.value.reason is Reason.UNVERIFIED


def test_recorded_numbers_are_below_the_order() -> None:
    """So that to refuse others refuses nobody."""
    for run in range(len(RECORDED)):
        for step, (_, record) in enumerate(crossed(run), 1):
            message = RECORDS.read(record)
            assert message is not None
            fields = [message[1][at : at + 57] for at in range(0, len(message[1]), 57)]
            assert len(fields) == len(LAYOUTS[step])
            for kind, field in zip(LAYOUTS[step], fields, strict=True):
                assert kind == "e" or int.from_bytes(field, "little") < edwards.Q


@STEPS
def test_a_message_of_another_length(step: int) -> None:
    _, honest = waiting_for(step)
    begin = honest.value[: len(honest.value) - len(message_in(honest))]
    message = message_in(honest)
    for other in (b"", message[:-1], message[:-57], message + b"\0", message + message[-57:], message * 2):
        subject, _ = waiting_for(step)
        assert subject.receive(Tlv(honest.type, begin + other)) == CHEATED
        assert not subject.running
        with pytest.raises(MalformedMessage):
            GROUP.read(LAYOUTS[step], other)


def test_a_question_that_is_cut_off() -> None:
    """Whatever its length is said to be; a run that waited is over as by any other message that is wrong."""
    subject, honest = waiting_for(1)
    for value in (b"", b"\0\0\0", b"\0\0\0\5Wha", b"\xff\xff\xff\xff" + honest.value):
        with pytest.raises(MalformedMessage):
            RECORDS.read(Tlv(2, value))
        assert subject.receive(honest) == Step((), (SmpAsked(None),))
        assert subject.receive(Tlv(2, value)) == CHEATED
        assert not subject.running


# ---- records


@pytest.mark.parametrize("step", [2, 3, 4])
def test_records_of_the_later_messages(step: int) -> None:
    record = RECORDS.write(step, b"message")
    assert record == Tlv(step + 1, b"message")
    assert RECORDS.read(record) == (step, b"message", None)


@pytest.mark.parametrize("question", [b"", b"?", "Wie groß?".encode(), b"a\0b", b"?" * 60_000])
def test_the_first_record_always_has_a_question(question: bytes) -> None:
    record = RECORDS.write(1, b"message", question)
    assert record == Tlv(2, data(question) + b"message")
    assert RECORDS.read(record) == (1, b"message", question or None)


def test_no_question_is_an_empty_one() -> None:
    assert RECORDS.write(1, b"message") == Tlv(2, bytes(4) + b"message")
    assert RECORDS.write(1, b"message", b"") == Tlv(2, bytes(4) + b"message")


@pytest.mark.parametrize("value", [b"", b"whatever"])
def test_an_abort_is_one_whatever_it_holds(value: bytes) -> None:
    assert RECORDS.read(Tlv(6, value)) == (0, b"", None)
    assert RECORDS.abort == Tlv(6)


@pytest.mark.parametrize("kind", [0, 1, 7, 8, 9, 256, 258, 65535])
def test_other_records_have_nothing_to_do_with_it(kind: int) -> None:
    """7 is the extra symmetric key here, not a message with a question."""
    assert RECORDS.read(Tlv(kind, b"\0\0\0\0")) is None
    subject, honest = waiting_for(2)
    assert subject.receive(Tlv(kind, b"\0\0\0\0")) is None
    assert subject.running
    assert subject.receive(honest) != CHEATED


# ---- what is drawn


def test_numbers_are_fresh_in_every_run() -> None:
    """4 and 4 by who asks, 7 and 1 by who answers; each of 114 bytes, none of them twice."""
    randoms = {side: Seeded(side) for side in SIDES}
    sides = two({side: randoms[side] for side in SIDES})
    counts: defaultdict[Side, list[int]] = defaultdict(list)
    for _ in range(2):
        record = the_record(sides["alice"].ask(b"words", None))
        sides["bob"].receive(record)
        record = the_record(sides["bob"].answer(b"words"))
        record = the_record(sides["alice"].receive(record))
        record = the_record(sides["bob"].receive(record))
        sides["alice"].receive(record)
        for side in SIDES:
            counts[side].append(len(randoms[side].drawn["smp"]))
    assert counts == {"alice": [8, 16], "bob": [8, 16]}
    for source in randoms.values():
        assert set(source.drawn) == {"smp"}
        assert len(set(source.drawn["smp"])) == 16
        assert {len(number) for number in source.drawn["smp"]} == {114}
