"""Numbers outside their range, in each place of each message: one abort, and back at the beginning.

An honest proof cannot be made about most of them; where one can, it is made, so that it is
the range that refuses and nothing else.
"""

from __future__ import annotations

import copy

import pytest
from gmpy2 import mpz

from otrcore.crypto.modp import public_power
from otrcore.errors import MalformedMessage, PeerError, Reason
from otrcore.events import Event, Received, SmpAborted, SmpAsked, SmpEnd, Transmit
from otrcore.model import Protection
from otrcore.smp import machine
from otrcore.v3 import smp as smp_module
from otrcore.v3.smp import ModpGroup, SmpRecords
from otrcore.wire import text as wire_text
from otrcore.wire.tlv import Tlv
from tests.pair import Pair, Seeded
from tests.smp import textbook
from tests.smp.runs import (
    EXPECTED,
    PEER,
    SUBJECT,
    VERSIONS,
    WORDS,
    SmpState,
    at,
    channel_of,
    encrypted,
    next_message,
    opened,
    put,
    record,
    sent,
    shown,
    state_of,
    verification_of,
)
from tests.smp.textbook import FIELDS, Q, hashed, is_element
from tests.spec.reading import P, power

CHEATED: list[Event] = [SmpAborted(SmpEnd.CHEATED)]
STATE_FOR: dict[int, SmpState] = {step: state for state, step in EXPECTED.items()}
LAYOUTS = {
    1: machine.MESSAGE_1,
    2: machine.MESSAGE_2,
    3: machine.MESSAGE_3,
    4: machine.MESSAGE_4,
}
PLACES = [(step, field) for step, fields in FIELDS.items() for field in range(len(fields))]
ELEMENTS = [(step, field) for step, field in PLACES if is_element(FIELDS[step][field])]
EXPONENTS = [(step, field) for step, field in PLACES if FIELDS[step][field].startswith("D")]
HASHES = [(step, field) for step, field in PLACES if FIELDS[step][field].startswith("c")]
STEPS = pytest.mark.parametrize("step", FIELDS)

BAD_ELEMENTS = {"0": 0, "1": 1, "p-1": P - 1, "p": P, "p+1": P + 1, "2p": 2 * P}
BAD_EXPONENTS = {"0": 0, "q": Q, "q+1": Q + 1, "2^1536": 2**1536}
BAD_COUNTS = (0, 1, 5, 7, 2**31, 2**32 - 1)


def name(place: tuple[int, int]) -> str:
    step, field = place
    return f"{FIELDS[step][field]} of message {step}"


def waiting_for(step: int) -> tuple[Pair, textbook.Message]:
    """A pair whose subject waits for this message, and the honest one."""
    pair = at(STATE_FOR[step])
    message = next_message(pair)
    pair.on_the_way[PEER].clear()
    pair.clear()
    return pair, message


def altered(message: textbook.Message, field: int, value: int) -> textbook.Message:
    return [*message[:field], value, *message[field + 1 :]]


def assert_refused(pair: Pair, carried: Tlv) -> None:
    """By one abort, and nothing else."""
    assert shown(put(pair, carried)) == CHEATED
    assert sent(pair) == [6]
    assert state_of(pair) == "EXPECT1"


def test_every_place_is_looked_at() -> None:
    assert {step: len(layout) for step, layout in LAYOUTS.items()} == {1: 6, 2: 11, 3: 8, 4: 3}
    assert len(ELEMENTS) + len(EXPONENTS) + len(HASHES) == len(PLACES) == 28


@STEPS
def test_the_honest_messages_are_taken(step: int) -> None:
    """Else nothing that follows would mean anything."""
    pair, message = waiting_for(step)
    assert shown(put(pair, record(step, message))) != CHEATED


# ---- each value in each place


@pytest.mark.parametrize("value", BAD_ELEMENTS)
@pytest.mark.parametrize("place", ELEMENTS, ids=name)
def test_an_illegal_element(place: tuple[int, int], value: str) -> None:
    (step, field), number = place, BAD_ELEMENTS[value]
    pair, message = waiting_for(step)
    message = altered(message, field, number)
    with pytest.raises(PeerError, match="an illegal group element") as refused:
        ModpGroup().read(LAYOUTS[step], textbook.encode(message))
    assert refused.value.reason is Reason.UNVERIFIED
    assert_refused(pair, record(step, message))


@pytest.mark.parametrize("value", BAD_EXPONENTS)
@pytest.mark.parametrize("place", EXPONENTS, ids=name)
def test_an_illegal_exponent(place: tuple[int, int], value: str) -> None:
    (step, field), number = place, BAD_EXPONENTS[value]
    pair, message = waiting_for(step)
    message = altered(message, field, number)
    with pytest.raises(PeerError, match="an illegal exponent"):
        ModpGroup().read(LAYOUTS[step], textbook.encode(message))
    assert_refused(pair, record(step, message))


@pytest.mark.parametrize("place", EXPONENTS, ids=name)
def test_the_same_exponent_beyond_its_range(place: tuple[int, int]) -> None:
    """All equations hold with q added, as the order of every honest value is q."""
    step, field = place
    pair, message = waiting_for(step)
    assert_refused(pair, record(step, altered(message, field, message[field] + Q)))


@pytest.mark.parametrize("place", HASHES, ids=name)
def test_another_hash(place: tuple[int, int]) -> None:
    step, field = place
    honest = waiting_for(step)[1][field]
    # The hash with the order added stands for the same exponent, but it is no hash.
    for value in (0, 1, honest ^ 1, honest ^ 1 << 255, honest + 2**256, honest + Q):
        pair, message = waiting_for(step)
        assert_refused(pair, record(step, altered(message, field, value)))


@pytest.mark.parametrize("place", ELEMENTS, ids=name)
def test_another_legal_element(place: tuple[int, int]) -> None:
    """Each element but Rb stands in a proof that no other one satisfies; that of Rb, too."""
    step, field = place
    pair, message = waiting_for(step)
    for value in (2, P - 2, message[field] * 2 % P):
        fresh = pair.copy()
        assert_refused(fresh, record(step, altered(message, field, value)))


@pytest.mark.parametrize("version", VERSIONS)
def test_the_conversation_goes_on_after_a_refusal(version: int) -> None:
    pair = encrypted(version)
    put(pair, record(1, altered(textbook.message_1(2, 3, 4, 5), 0, 1)))
    pair.settle()
    pair.clear()
    pair.say(PEER, "still here")
    assert pair.events(SUBJECT) == [Received("still here", Protection.ENCRYPTED)]


# ---- with proofs that hold


def degenerate_log_proof(version: int, value: int) -> tuple[int, int]:
    """c and D that satisfy the equation for a value that is 0, 1 or -1 modulo p."""
    for d in range(1, 1000):
        c = hashed(version, 0 if value % P == 0 else power(2, d))
        if value % P != P - 1 or c % 2 == 0:
            return c, d
    raise AssertionError("a thousand odd hashes")


@pytest.mark.parametrize("value", BAD_ELEMENTS)
@pytest.mark.parametrize("field", [0, 3], ids=["g2a", "g3a"])
def test_message_1_with_a_degenerate_element_and_a_proof(field: int, value: str) -> None:
    message = textbook.message_1(21, 31, 41, 42)
    number = BAD_ELEMENTS[value]
    message[field : field + 3] = [number, *degenerate_log_proof(1 if field == 0 else 2, number)]
    assert textbook.first_holds(message)
    assert_refused(at("EXPECT1"), record(1, message))


def asker_secrets(pair: Pair) -> tuple[int, int]:
    """a2 and a3 of the subject, which waits for message 2."""
    state = verification_of(pair.talks[SUBJECT])._state
    assert isinstance(state, machine.Expect2)
    return int(state.a2), int(state.a3)


@pytest.mark.parametrize("value", BAD_ELEMENTS)
def test_message_2_with_a_degenerate_g2b_and_a_proof(value: str) -> None:
    """With it g2 is 0, 1 or -1: the secrets would not matter any more."""
    pair = at("EXPECT2")
    pair.on_the_way[PEER].clear()
    a2, a3 = asker_secrets(pair)
    number, r4, r5 = BAD_ELEMENTS[value], 51, 52
    g2, g3 = power(number, a2), power(power(2, 31), a3)
    proof = textbook.coordinates_proof(5, (g2, g3), (r4, 0), (r5, 53))
    message = [
        *(number, *degenerate_log_proof(3, number)),
        *(power(2, 31), *textbook.log_proof(4, 31, 42)),
        *(power(g3, r4), power(2, r4), *proof),
    ]
    assert textbook.second_holds(message, a2, a3)
    assert_refused(pair, record(2, message))


@pytest.mark.parametrize("value", ["0", "p", "2p"])
def test_message_2_with_a_g3b_of_zero_and_a_proof(value: str) -> None:
    pair = at("EXPECT2")
    pair.on_the_way[PEER].clear()
    a2, a3 = asker_secrets(pair)
    number, r4, r5, r6, y = BAD_ELEMENTS[value], 51, 52, 53, 9
    g2 = power(power(2, 21), a2)
    c, d5, d6 = textbook.coordinates_proof(5, (g2, 0), (r4, y), (r5, r6))
    message = [
        *(power(2, 21), *textbook.log_proof(3, 21, 41)),
        *(number, *degenerate_log_proof(4, number)),
        *(4, power(2, r4) * power(g2, y) % P, c, d5, d6),
    ]
    assert textbook.second_holds(message, a2, a3)
    assert_refused(pair, record(2, message))


@pytest.mark.parametrize("value", BAD_ELEMENTS)
def test_message_2_with_a_degenerate_pb_and_a_proof(value: str) -> None:
    """0, 1 and -1 have proofs: 1 that of r4 = 0, which the specification does not rule out."""
    pair = at("EXPECT2")
    pair.on_the_way[PEER].clear()
    a2, a3 = asker_secrets(pair)
    number, y, r6 = BAD_ELEMENTS[value], 9, 53
    g2, g3 = power(power(2, 21), a2), power(power(2, 31), a3)
    qb = power(g2, y)
    for r5 in range(52, 1000):
        commitment = 0 if number % P == 0 else power(g3, r5)
        c = hashed(5, commitment, power(2, r5) * power(g2, r6) % P)
        if number % P != P - 1 or c % 2 == 0:
            break
    message = [
        *(power(2, 21), *textbook.log_proof(3, 21, 41)),
        *(power(2, 31), *textbook.log_proof(4, 31, 42)),
        *(number, qb, c, r5, (r6 - y * c) % Q),
    ]
    assert textbook.second_holds(message, a2, a3)
    assert_refused(pair, record(2, message))


def test_a_cheater_who_knows_our_randomness_cannot_make_the_comparison_trivial() -> None:
    """Message 3 with our own Pb and Qb: Ra is then 1, whatever the secrets."""
    pair, second, b2, b3, r4, y = answered_by_the_subject()
    first = textbook.message_1(21, 31, 41, 42)
    g2, g3 = power(first[0], b2), power(first[3], b3)
    message = [
        *(second[6], second[7], *textbook.coordinates_proof(6, (g2, g3), (r4, y), (61, 62))),
        *(1, *textbook.equal_logs_proof(7, 1, 31, 63)),
    ]
    assert textbook.third_holds(message, first, second, b2, b3)
    assert textbook.answerer_finds(second, message, b3)
    assert_refused(pair, record(3, message))


def test_an_equal_p_with_another_q_is_refused() -> None:
    """Our own rule: the specification asks for neither Pa != Pb nor Qa != Qb."""
    pair, second, b2, b3, r4, y = answered_by_the_subject()
    first = textbook.message_1(21, 31, 41, 42)
    message = textbook.message_3(second, y + 1, 21, 31, (r4, 61, 62, 63))
    assert message[0] == second[6]
    assert message[1] != second[7]
    assert textbook.third_holds(message, first, second, b2, b3)
    assert_refused(pair, record(3, message))


@pytest.mark.parametrize("same_secret", [True, False])
def test_an_answerer_who_foresees_our_randomness_cannot_either(same_secret: bool) -> None:
    """Pb, and with the same secret Qb, as we are about to choose them ourselves."""
    pair = encrypted(seed="foreseen")
    pair.do(SUBJECT, pair.talks[SUBJECT].smp_start(WORDS))
    ((carried,),) = opened(pair, PEER)
    pair.on_the_way[PEER].clear()
    pair.clear()
    state = verification_of(pair.talks[SUBJECT])._state
    assert isinstance(state, machine.Expect2)
    r4 = int.from_bytes(copy.deepcopy(pair.randoms[SUBJECT])("smp", 192), "big")
    y = int(state.secret) + (0 if same_secret else 1)
    message = textbook.message_2(textbook.decode(carried.value), y, 21, 31, (41, 42, r4, 44, 45))
    assert textbook.second_holds(message, *asker_secrets(pair))
    assert_refused(pair, record(2, message))


def answered_by_the_subject() -> tuple[Pair, textbook.Message, int, int, int, int]:
    """The textbook asks, the subject answers: its message 2, and b2, b3, r4 and y of it."""
    pair = encrypted(seed="cheated")
    put(pair, record(1, textbook.message_1(21, 31, 41, 42)))
    pair.do(SUBJECT, pair.talks[SUBJECT].smp_answer(WORDS))
    ((carried,),) = opened(pair, PEER)
    pair.on_the_way[PEER].clear()
    pair.clear()
    source = pair.randoms[SUBJECT]
    assert isinstance(source, Seeded)
    drawn = [int.from_bytes(value, "big") for value in source.drawn["smp"]]
    info = pair.talks[SUBJECT].info
    assert info is not None
    fingerprints = info.their_fingerprint.digest, info.our_fingerprint.digest
    y = textbook.compared(*fingerprints, info.ssid, WORDS.encode())
    return pair, textbook.decode(carried.value), drawn[0], drawn[1], drawn[4], y


# ---- replayed proofs


def test_our_own_proofs_are_none_of_the_peers() -> None:
    """Message 2 with g2a, g3a and their proofs for g2b and g3b: the prefixes differ."""
    pair = at("EXPECT1")
    pair.do(SUBJECT, pair.talks[SUBJECT].smp_start(WORDS))
    ((carried,),) = opened(pair, PEER)
    pair.on_the_way[PEER].clear()
    pair.clear()
    first = textbook.decode(carried.value)
    honest = textbook.message_2(first, 9, 21, 31, (41, 42, 43, 44, 45))
    assert_refused(pair.copy(), record(2, [*first, *honest[6:]]))
    assert_refused(pair.copy(), record(2, [*honest[:3], *first[3:], *honest[6:]]))


def test_our_own_coordinates_are_none_of_the_peers() -> None:
    pair, second, *_ = answered_by_the_subject()
    honest = textbook.message_3(second, 9, 21, 31, (61, 62, 63, 64))
    assert_refused(pair, record(3, [*second[6:], *honest[5:]]))


def test_a_message_of_an_earlier_run_is_refused() -> None:
    pair, message = waiting_for(2)
    pair.do(SUBJECT, pair.talks[SUBJECT].smp_start(WORDS))
    pair.on_the_way[PEER].clear()
    assert_refused(pair, record(2, message))


# ---- forms


@pytest.mark.parametrize("count", BAD_COUNTS)
@STEPS
def test_a_wrong_count(step: int, count: int) -> None:
    pair, message = waiting_for(step)
    assert_refused(pair, record(step, message, count))


@STEPS
def test_a_message_cut_short_anywhere(step: int) -> None:
    pair, message = waiting_for(step)
    value = textbook.encode(message)
    for size in range(len(value)):
        with pytest.raises(MalformedMessage):
            ModpGroup().read(LAYOUTS[step], value[:size])
    for size in (0, 1, 4, 7, len(value) // 2, len(value) - 1):
        assert_refused(pair.copy(), Tlv(step + 1, value[:size]))


@STEPS
def test_a_number_too_few_with_the_right_count(step: int) -> None:
    pair, message = waiting_for(step)
    assert_refused(pair, record(step, message[:-1], len(message)))


@STEPS
@pytest.mark.parametrize("length", [1, 2**31, 2**32 - 1])
def test_a_length_that_lies(step: int, length: int) -> None:
    """Nothing is set aside on a peer's word."""
    pair, message = waiting_for(step)
    value = textbook.encode(message)
    assert_refused(pair, Tlv(step + 1, value[:4] + length.to_bytes(4, "big") + value[8:]))


@STEPS
def test_a_leading_zero(step: int) -> None:
    pair, message = waiting_for(step)
    value = textbook.encode(message)
    size = int.from_bytes(value[4:8], "big") + 1
    assert_refused(pair, Tlv(step + 1, value[:4] + size.to_bytes(4, "big") + b"\0" + value[8:]))


@STEPS
def test_what_follows_the_last_number_is_ignored(step: int) -> None:
    """As by libotr."""
    pair, message = waiting_for(step)
    carried = record(step, message)
    assert shown(put(pair, Tlv(carried.type, carried.value + b"more"))) != CHEATED


@pytest.mark.parametrize("place", HASHES, ids=name)
def test_a_huge_number_costs_no_more_than_an_honest_one(
    monkeypatch: pytest.MonkeyPatch, place: tuple[int, int]
) -> None:
    """One power with an exponent of 20 KiB would take longer than a whole verification."""
    step, field = place
    pair, message = waiting_for(step)
    exponents: list[int] = []

    def watched(base: mpz, exponent: int) -> mpz:
        exponents.append(int(exponent))
        return public_power(base, exponent % Q)

    monkeypatch.setattr(smp_module, "public_power", watched)
    assert_refused(pair, record(step, altered(message, field, 1 << 8 * 20 * 1024)))
    assert max(exponents, default=0).bit_length() <= 1536


# ---- questions


def asked(value: bytes) -> Tlv:
    return Tlv(7, value)


FIRST = textbook.encode(textbook.message_1(21, 31, 41, 42))


@pytest.mark.parametrize(
    ("question", "shown_as"),
    [
        (b"", None),
        (b"Which?", "Which?"),
        ("Größe €😀?".encode(), "Größe €😀?"),
        (
            b"\xff\xfe caf\xe9",
            "\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER} caf\N{REPLACEMENT CHARACTER}",
        ),
        (b"x" * 20 * 1024, "x" * 20 * 1024),
    ],
    ids=["empty", "plain", "UTF-8", "no UTF-8", "20 KiB"],
)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_question(version: int, question: bytes, shown_as: str | None) -> None:
    pair = encrypted(version)
    assert shown(put(pair, asked(question + b"\0" + FIRST))) == [SmpAsked(shown_as)]
    assert state_of(pair) == "asked"


@pytest.mark.parametrize("value", [b"", b"Which?", b"x" * 20 * 1024, FIRST.replace(b"\0", b"\1")])
def test_a_question_without_its_end(value: bytes) -> None:
    assert b"\0" not in value
    assert_refused(encrypted(), asked(value))


@pytest.mark.parametrize("value", [b"\0", b"Which?\0", b"Which?\0\0", b"\0\0\0\0\6", b"a\0b\0" + FIRST])
def test_a_question_without_a_message(value: bytes) -> None:
    assert_refused(encrypted(), asked(value))


def test_message_1_behind_a_wrong_type() -> None:
    """With a question's type but none, and with a plain one's but a question."""
    assert_refused(encrypted(), asked(FIRST))
    assert_refused(encrypted(), Tlv(2, b"Which?\0" + FIRST))


def test_an_abort_with_content_is_an_abort() -> None:
    pair = at("EXPECT2")
    assert shown(put(pair, Tlv(6, b"because"))) == [SmpAborted(SmpEnd.PEER)]


@pytest.mark.parametrize("kind", [0, 9, 0x100, 0x102, 0x103, 0xFFFF])
def test_other_records_have_nothing_to_do_with_it(kind: int) -> None:
    for state in STATE_FOR.values():
        pair = at(state)
        before = state_of(pair)
        assert put(pair, Tlv(kind, FIRST)) == []
        assert state_of(pair) == before
    assert SmpRecords().read(Tlv(kind, FIRST)) is None


def test_text_beside_a_record_is_shown() -> None:
    pair = encrypted()
    raw = channel_of(pair.talks[PEER]).encrypt(b"a text", [Tlv(2, FIRST)])
    events = pair.hand(SUBJECT, wire_text.encode(raw))
    assert shown(events) == [Received("a text", Protection.ENCRYPTED), SmpAsked(None)]


def test_only_one_abort_for_a_message_that_is_refused() -> None:
    pair = at("EXPECT4")
    events = put(pair, Tlv(5, b""))
    assert [type(event) for event in events] == [Transmit, SmpAborted]
