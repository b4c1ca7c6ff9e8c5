"""SMP of versions 2 and 3, read a second time from the specification, with plain numbers.

Nothing of otrcore is used here.  A message is its numbers in their order on the wire;
the names of the variables are the specification's.  Whoever calls chooses every random
exponent, so that a run can be recomputed, and a proof can be made about what no honest
run would hold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from tests.spec.reading import P, integer, mpi, power

Q = (P - 1) // 2
"""What exponents are reduced by."""

FIELDS: dict[int, tuple[str, ...]] = {
    1: ("g2a", "c2", "D2", "g3a", "c3", "D3"),
    2: ("g2b", "c2", "D2", "g3b", "c3", "D3", "Pb", "Qb", "cP", "D5", "D6"),
    3: ("Pa", "Qa", "cP", "D5", "D6", "Ra", "cR", "D7"),
    4: ("Rb", "cR", "D7"),
}
"""What each message holds, in order; D are exponents, c hashes, and the rest group elements."""

ABORT, QUESTION = 6, 7
RECORD_TYPES = {1: 2, 2: 3, 3: 4, 4: 5}
"""The TLV type of each message."""

Message = list[int]


def is_element(field: str) -> bool:
    """Whether this field of a message is a group element."""
    return field[0] not in "cD"


def encode(message: Sequence[int], count: int | None = None) -> bytes:
    """The value of a TLV; with another count than the right one, if asked."""
    return integer(len(message) if count is None else count) + b"".join(map(mpi, message))


def decode(value: bytes) -> Message:
    """The numbers in the value of a TLV; AssertionError unless all is minimal and nothing follows."""
    numbers: Message = []
    at = 4
    while at < len(value):
        end = at + 4 + int.from_bytes(value[at : at + 4], "big")
        numbers.append(int.from_bytes(value[at + 4 : end], "big"))
        at = end
    assert encode(numbers) == value
    return numbers


def hashed(version: int, *mpis: int) -> int:
    """The SMP hash function."""
    return int.from_bytes(hashlib.sha256(bytes([version]) + b"".join(map(mpi, mpis))).digest(), "big")


def compared(initiator: bytes, responder: bytes, ssid: bytes, words: bytes) -> int:
    """The number x or y that is compared."""
    return int.from_bytes(hashlib.sha256(b"\x01" + initiator + responder + ssid + words).digest(), "big")


def quotient(left: int, right: int) -> int:
    """left / right."""
    return left * pow(right, -1, P) % P


def log_proof(version: int, exponent: int, r: int) -> tuple[int, int]:
    """c and D: g1^exponent is known."""
    c = hashed(version, power(2, r))
    return c, (r - exponent * c) % Q


def coordinates_proof(
    version: int, bases: tuple[int, int], exponents: tuple[int, int], r: tuple[int, int]
) -> tuple[int, int, int]:
    """cP, D5 and D6; bases are g2 and g3, exponents r4 and the secret, and r is r5 and r6."""
    (g2, g3), (r4, secret), (r5, r6) = bases, exponents, r
    c = hashed(version, power(g3, r5), power(2, r5) * power(g2, r6) % P)
    return c, (r5 - r4 * c) % Q, (r6 - secret * c) % Q


def equal_logs_proof(version: int, base: int, exponent: int, r: int) -> tuple[int, int]:
    """cR and D7: g1^exponent and base^exponent have the same one."""
    c = hashed(version, power(2, r), power(base, r))
    return c, (r - exponent * c) % Q


def message_1(a2: int, a3: int, r2: int, r3: int) -> Message:
    """Alice begins."""
    return [power(2, a2), *log_proof(1, a2, r2), power(2, a3), *log_proof(2, a3, r3)]


def message_2(first: Message, y: int, b2: int, b3: int, r: Sequence[int]) -> Message:
    """Bob answers; r is r2 to r6."""
    r2, r3, r4, r5, r6 = r
    g2, g3 = power(first[0], b2), power(first[3], b3)
    pb, qb = power(g3, r4), power(2, r4) * power(g2, y) % P
    return [
        *(power(2, b2), *log_proof(3, b2, r2), power(2, b3), *log_proof(4, b3, r3)),
        *(pb, qb, *coordinates_proof(5, (g2, g3), (r4, y), (r5, r6))),
    ]


def message_3(second: Message, x: int, a2: int, a3: int, r: Sequence[int]) -> Message:
    """Alice goes on; r is r4 to r7."""
    r4, r5, r6, r7 = r
    g2, g3 = power(second[0], a2), power(second[3], a3)
    pa, qa = power(g3, r4), power(2, r4) * power(g2, x) % P
    q = quotient(qa, second[7])
    return [
        *(pa, qa, *coordinates_proof(6, (g2, g3), (r4, x), (r5, r6))),
        *(power(q, a3), *equal_logs_proof(7, q, a3, r7)),
    ]


def message_4(second: Message, third: Message, b3: int, r7: int) -> Message:
    """Bob ends."""
    q = quotient(third[1], second[7])
    return [power(q, b3), *equal_logs_proof(8, q, b3, r7)]


def log_holds(version: int, value: int, c: int, d: int) -> bool:
    """c = SHA256(version, g1^D value^c)."""
    return c == hashed(version, power(2, d) * power(value, c) % P)


def first_holds(message: Message) -> bool:
    """The equations of message 1, without the ranges."""
    g2a, c2, d2, g3a, c3, d3 = message
    return log_holds(1, g2a, c2, d2) and log_holds(2, g3a, c3, d3)


def coordinates_hold(version: int, bases: tuple[int, int], p: int, q: int, proof: Sequence[int]) -> bool:
    """cP = SHA256(version, g3^D5 P^cP, g1^D5 g2^D6 Q^cP); bases are g2 and g3."""
    (g2, g3), (c, d5, d6) = bases, proof
    return c == hashed(
        version, power(g3, d5) * power(p, c) % P, power(2, d5) * power(g2, d6) * power(q, c) % P
    )


def second_holds(message: Message, a2: int, a3: int) -> bool:
    """The equations of message 2 for who sent the first, without the ranges."""
    g2b, c2, d2, g3b, c3, d3, pb, qb, *proof = message
    bases = power(g2b, a2), power(g3b, a3)
    return (
        log_holds(3, g2b, c2, d2) and log_holds(4, g3b, c3, d3) and coordinates_hold(5, bases, pb, qb, proof)
    )


def equal_logs_hold(version: int, g3: int, base: int, r: int, c: int, d7: int) -> bool:
    """cR = SHA256(version, g1^D7 g3^cR, base^D7 R^cR)."""
    return c == hashed(version, power(2, d7) * power(g3, c) % P, power(base, d7) * power(r, c) % P)


def third_holds(message: Message, first: Message, second: Message, b2: int, b3: int) -> bool:
    """The equations of message 3 for who sent the second, without the ranges."""
    pa, qa, cp, d5, d6, ra, cr, d7 = message
    bases = power(first[0], b2), power(first[3], b3)
    return coordinates_hold(6, bases, pa, qa, (cp, d5, d6)) and equal_logs_hold(
        7, first[3], quotient(qa, second[7]), ra, cr, d7
    )


def fourth_holds(message: Message, second: Message, third: Message) -> bool:
    """The equation of message 4, without the range."""
    rb, cr, d7 = message
    return equal_logs_hold(8, second[3], quotient(third[1], second[7]), rb, cr, d7)


def answerer_finds(second: Message, third: Message, b3: int) -> bool:
    """Whether Bob, having message 3, finds the secrets equal."""
    return quotient(third[0], second[6]) == power(third[5], b3)


def asker_finds(second: Message, third: Message, fourth: Message, a3: int) -> bool:
    """Whether Alice, having message 4, finds the secrets equal."""
    return quotient(third[0], second[6]) == power(fourth[0], a3)
