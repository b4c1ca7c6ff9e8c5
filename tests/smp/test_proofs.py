"""The zero-knowledge proofs: what is true can be proven, and nothing else, nor anything twice."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import pytest
from gmpy2 import mpz
from hypothesis import given
from hypothesis import strategies as st

from otrcore.crypto import ed448
from otrcore.crypto.ed448 import Point
from otrcore.crypto.modp import ORDER
from otrcore.crypto.random import Random
from otrcore.smp import machine, proof
from otrcore.smp.group import Group
from otrcore.smp.proof import CoordinatesProof, LogProof
from otrcore.v3.smp import ModpGroup
from otrcore.v4.smp import Ed448Group
from tests.pair import Seeded, seeded
from tests.smp import small_group, textbook
from tests.smp.small_group import SmallGroup

MODP, CURVE, SMALL = ModpGroup(), Ed448Group(), SmallGroup()
PREFIXES = range(1, 9)


@dataclass(frozen=True)
class Claim:
    """A proof with all that it is checked against; `bases` are those that the check of its kind takes."""

    kind: str
    group: Group[Any]
    order: int
    prefix: int
    proof: Any
    bases: tuple[Any, ...]
    values: tuple[Any, ...]

    @property
    def holds(self) -> bool:
        if self.kind == "log":
            return proof.check_log(self.group, self.prefix, self.proof, *self.values)
        if self.kind == "coordinates":
            return proof.check_coordinates(self.group, self.prefix, self.proof, self.bases, *self.values)
        (value, other), (base,) = self.values, self.bases
        return proof.check_equal_logs(self.group, self.prefix, self.proof, value, base, other)


def claims(
    group: Group[Any], order: int, random: Random, prefix: int = 1, secrets: tuple[int, int] | None = None
) -> list[Claim]:
    """An honest claim of each kind."""
    x, y = secrets or (group.random_scalar(random), group.random_scalar(random))
    g1 = group.generator
    g2, g3 = (group.power(g1, group.random_scalar(random)) for _ in range(2))
    p, q = group.power(g3, x), group.multiply(group.power(g1, x), group.power(g2, y))
    coordinates = proof.prove_coordinates(group, random, prefix, (g2, g3), x, y)
    gx = group.power(g1, x)
    logs = proof.prove_equal_logs(group, random, prefix, g2, x)
    return [
        Claim("log", group, order, prefix, proof.prove_log(group, random, prefix, x), (), (gx,)),
        Claim("coordinates", group, order, prefix, coordinates, (g2, g3), (p, q)),
        Claim("equal logs", group, order, prefix, logs, (g2,), (gx, group.power(g2, x))),
    ]


MODP_CLAIMS = claims(MODP, ORDER, seeded("claims"))
CURVE_CLAIMS = claims(CURVE, ed448.ORDER, seeded("claims"))
SMALL_CLAIMS = claims(SMALL, small_group.ORDER, seeded("claims"))
CLAIMS = pytest.mark.parametrize(
    "claim",
    [*MODP_CLAIMS, *CURVE_CLAIMS, *SMALL_CLAIMS],
    ids=[f"{claim.kind}, {name}" for name in ("1536 bits", "Ed448", "small") for claim in MODP_CLAIMS],
)


@CLAIMS
def test_what_is_true_is_accepted(claim: Claim) -> None:
    assert claim.holds


@given(
    st.integers(0),
    st.sampled_from(PREFIXES),
    st.tuples(st.integers(0, small_group.ORDER), st.integers(0, 2**256)),
)
def test_every_honest_proof_is_accepted(seed: int, prefix: int, secrets: tuple[int, int]) -> None:
    for claim in claims(SMALL, small_group.ORDER, seeded(seed), prefix, secrets):
        assert claim.holds


@CLAIMS
@pytest.mark.parametrize("change", [1, -1, 2**64])
def test_an_altered_number_is_refused(claim: Claim, change: int) -> None:
    for field in claim.proof.__dataclass_fields__:
        altered = (getattr(claim.proof, field) + change) % claim.order
        assert not replace(claim, proof=replace(claim.proof, **{field: altered})).holds, field


@CLAIMS
@pytest.mark.parametrize("number", [0, 1, "order", "their sum"])
def test_a_number_put_in_its_place_is_refused(claim: Claim, number: int | str) -> None:
    """But for an exponent and the group's order together, which is the same exponent: see the ranges."""
    for field in claim.proof.__dataclass_fields__:
        honest = getattr(claim.proof, field)
        value = {"order": claim.order, "their sum": honest + claim.order}.get(str(number), number)
        same_exponent = number == "their sum" and field != "c"
        assert replace(claim, proof=replace(claim.proof, **{field: value})).holds is same_exponent, field


@CLAIMS
def test_altered_values_and_bases_are_refused(claim: Claim) -> None:
    for name in ("values", "bases"):
        honest = getattr(claim, name)
        for place, value in enumerate(honest):
            for other in (
                claim.group.multiply(value, claim.group.generator),
                claim.group.divide(claim.group.generator, value),
                claim.group.multiply(value, value),
            ):
                altered: Any = {name: (*honest[:place], other, *honest[place + 1 :])}
                assert not replace(claim, **altered).holds, (name, place)


@CLAIMS
def test_swapped_values_are_refused(claim: Claim) -> None:
    for name in ("values", "bases"):
        if len(getattr(claim, name)) == 2:
            swapped: Any = {name: getattr(claim, name)[::-1]}
            assert not replace(claim, **swapped).holds
    if isinstance(claim.proof, CoordinatesProof):
        responses = replace(claim.proof, d_r=claim.proof.d_y, d_y=claim.proof.d_r)
        assert not replace(claim, proof=responses).holds


@pytest.mark.parametrize(("made_for", "checked_for"), list(product(PREFIXES, PREFIXES)))
def test_a_proof_holds_for_its_place_in_the_run_only(made_for: int, checked_for: int) -> None:
    for claim in claims(SMALL, small_group.ORDER, seeded("prefix"), made_for):
        assert replace(claim, prefix=checked_for).holds is (made_for == checked_for)


@pytest.mark.parametrize(
    "claim",
    [*MODP_CLAIMS, *CURVE_CLAIMS],
    ids=[f"{claim.kind}, {name}" for name in ("1536 bits", "Ed448") for claim in MODP_CLAIMS],
)
@pytest.mark.parametrize("prefix", [0, *PREFIXES[1:], 255])
def test_another_prefix_is_refused_in_the_real_group(claim: Claim, prefix: int) -> None:
    assert not replace(claim, prefix=prefix).holds


@CLAIMS
def test_no_two_proofs_are_alike(claim: Claim) -> None:
    """A nonce that is used twice gives the secret away."""
    source = seeded("twice")
    first, second = (claims(claim.group, claim.order, source, secrets=(5, 7)) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        for field in one.proof.__dataclass_fields__:
            assert getattr(one.proof, field) != getattr(other.proof, field)


def test_log_proofs_are_those_of_the_specification() -> None:
    for prefix in PREFIXES:
        source = Seeded(f"log {prefix}")
        made = proof.prove_log(MODP, source, prefix, mpz(12345))
        (r,) = (int.from_bytes(drawn, "big") for drawn in source.drawn["smp"])
        assert (made.c, made.d) == textbook.log_proof(prefix, 12345, r)
        assert made.c < 2**256


def test_coordinates_proofs_are_those_of_the_specification() -> None:
    source = Seeded("coordinates")
    g2, g3 = 2**5, 2**7
    made = proof.prove_coordinates(MODP, source, 6, (mpz(g2), mpz(g3)), mpz(11), mpz(13))
    r5, r6 = (int.from_bytes(drawn, "big") for drawn in source.drawn["smp"])
    assert (made.c, made.d_r, made.d_y) == textbook.coordinates_proof(6, (g2, g3), (11, 13), (r5, r6))


def test_equal_logs_proofs_are_those_of_the_specification() -> None:
    source = Seeded("equal logs")
    made = proof.prove_equal_logs(MODP, source, 7, mpz(2**9), mpz(11))
    (r,) = (int.from_bytes(drawn, "big") for drawn in source.drawn["smp"])
    assert (made.c, made.d) == textbook.equal_logs_proof(7, 2**9, 11, r)


def test_a_proof_of_nothing_is_refused() -> None:
    """Guessed numbers about a value whose exponent nobody knows."""
    value = mpz(3) ** 2
    assert not proof.check_log(MODP, 1, LogProof(0, 0), value)
    assert not proof.check_log(MODP, 1, LogProof(1, ORDER - 1), value)
    commitment = textbook.hashed(1, 4)
    assert not proof.check_log(MODP, 1, LogProof(commitment, 2), value)


class Watched(ModpGroup):
    """Remembers the exponents that are treated as public."""

    def __init__(self) -> None:
        self.public: set[int] = set()

    def product_of_powers(self, *factors: tuple[mpz, int]) -> mpz:
        self.public |= {int(exponent) for _, exponent in factors}
        return super().product_of_powers(*factors)


class WatchedCurve(Ed448Group):
    """The same of version 4."""

    def __init__(self) -> None:
        self.public: set[int] = set()

    def product_of_powers(self, *factors: tuple[Point, int]) -> Point:
        self.public |= {scalar for _, scalar in factors}
        return super().product_of_powers(*factors)


def whole_run(asker: Group[Any], answerer: Group[Any], secrets: tuple[int, int]) -> tuple[list[bytes], bool]:
    """Run the four messages; return them, and what both found."""
    x, y = secrets
    first, alice = machine.ask(asker, seeded("asker"), x)
    second, bob = machine.answer(answerer, seeded("answerer"), machine.take_1(answerer, first), y)
    third, alice_waits = machine.take_2(asker, seeded("asker, later"), alice, second)
    fourth, bob_finds = machine.take_3(answerer, seeded("answerer, later"), bob, third)
    alice_finds = machine.take_4(asker, alice_waits, fourth)
    assert alice_finds is bob_finds
    return [first, second, third, fourth], alice_finds


def test_no_secret_exponent_is_treated_as_a_public_one() -> None:
    """Only numbers that have crossed the wire may go where running time depends on them."""
    asker, answerer = Watched(), Watched()
    messages, _ = whole_run(asker, answerer, (12345, 54321))
    crossed = {number for message in messages for number in textbook.decode(message)}
    assert asker.public | answerer.public
    assert asker.public | answerer.public <= crossed


def test_no_secret_scalar_is_treated_as_a_public_one() -> None:
    asker, answerer = WatchedCurve(), WatchedCurve()
    messages, _ = whole_run(asker, answerer, (12345, 54321))
    crossed = {
        int.from_bytes(message[at : at + 57], "little")
        for message in messages
        for at in range(0, len(message), 57)
    }
    assert asker.public | answerer.public
    assert asker.public | answerer.public <= crossed


@given(st.integers(0, 2**256 - 1), st.integers(-2, 2), st.booleans())
def test_equal_secrets_are_found_equal_and_no_others(secret: int, difference: int, far: bool) -> None:
    other = (secret + difference) if not far else secret ^ (1 << 200)
    _, found = whole_run(SMALL, SMALL, (secret, other))
    assert found is ((secret - other) % small_group.ORDER == 0)


@pytest.mark.parametrize(
    ("group", "secrets", "equal"),
    [
        (MODP, (1, 1), True),
        (MODP, (1, 2), False),
        (MODP, (2**256 - 1, 2**256 - 1), True),
        (MODP, (2**256 - 1, 2**256 - 2), False),
        (MODP, (1, 2**255 + 1), False),
        (CURVE, (0, 0), True),
        (CURVE, (0, 1), False),
        (CURVE, (ed448.ORDER - 1, ed448.ORDER - 1), True),
        (CURVE, (ed448.ORDER - 1, ed448.ORDER - 2), False),
        (CURVE, (1, ed448.ORDER - 1), False),
    ],
)
def test_the_ends_of_the_range_of_secrets(group: Group[Any], secrets: tuple[int, int], equal: bool) -> None:
    assert whole_run(group, group, secrets)[1] is equal
