"""The 3072-bit group of the brace keys: the prime by its formula, who is a member, recorded values."""

from __future__ import annotations

from math import isqrt

import pytest
from gmpy2 import is_prime, mpz, powmod
from hypothesis import given, settings
from hypothesis import strategies as st

from otrcore.crypto.dh3072 import EXPONENT_BYTES, GENERATOR, PRIME, BraceKeyPair, is_member
from otrcore.crypto.random import Purpose, Random
from otrcore.crypto.secret import Secret
from tests.pair import seeded
from tests.wire import recorded4

repeatable = settings(derandomize=True, deadline=None, max_examples=25)
ORDER = (PRIME - 1) // 2


def floor_of_pi_times_2_to(bits: int) -> int:
    """Euler's formula in integers, with guard bits: pi = 20 arctan(1/7) + 8 arctan(3/79)."""
    one = 1 << (bits + 64)

    def arctan(numerator: int, denominator: int) -> int:
        total, divisor, sign = 0, 1, 1
        power = one * numerator // denominator
        while power:
            total += sign * (power // divisor)
            power = power * numerator**2 // denominator**2
            divisor += 2
            sign = -sign
        return total

    return (20 * arctan(1, 7) + 8 * arctan(3, 79)) >> 64


def test_the_prime_is_that_of_rfc_3526() -> None:
    assert floor_of_pi_times_2_to(2) == 12  # 3.14 * 4
    formula = 2**3072 - 2**3008 - 1 + 2**64 * (floor_of_pi_times_2_to(2942) + 1690314)
    assert formula == PRIME
    assert is_prime(mpz(PRIME), 10)
    assert is_prime(mpz(ORDER), 10)
    assert GENERATOR == 2


@pytest.mark.parametrize(
    "value", [-2, 0, 1, PRIME - 2, PRIME - 1, PRIME, PRIME + 1, PRIME + 2, PRIME + 4, 2**10_000]
)
def test_illegal_public_values(value: int) -> None:
    """PRIME - 2 is within the bounds, but no square: -1 is none where the prime is 3 modulo 4."""
    assert not is_member(value)


@pytest.mark.parametrize("value", [2, 4, PRIME - 5, PRIME // 2], ids=["2", "4", "largest", "half of 1"])
def test_values_near_the_edges(value: int) -> None:
    assert is_member(value) is (powmod(value, ORDER, PRIME) == 1)


@repeatable
@given(st.integers(2, PRIME - 2))
def test_members_are_those_of_the_order_that_the_specification_names(value: int) -> None:
    """v4, "Verifying that an integer is in the DH group": x^q = 1."""
    assert is_member(value) is (powmod(value, ORDER, PRIME) == 1)
    square = value * value % PRIME
    assert is_member(square)
    assert not is_member(PRIME - square)


@repeatable
@given(st.integers())
def test_both_ends_share_the_same_secret(seed: int) -> None:
    alice, bob = (BraceKeyPair.generate(seeded(f"{seed}/{name}")) for name in ("alice", "bob"))
    shared = alice.shared_secret(bob.public)
    assert shared == bob.shared_secret(alice.public)
    assert isinstance(shared, Secret)
    # The reckoning of the textbook, in Python's own integers.
    assert alice.public == pow(2, int(alice.secret), PRIME)
    assert int.from_bytes(shared, "big") == pow(2, int(alice.secret) * int(bob.secret), PRIME)
    assert is_member(alice.public)
    assert shared[0] != 0


def test_a_shared_secret_with_leading_zeros_is_minimal() -> None:
    """Our exponent is known here, so a peer's value can be made that gives any secret wanted."""
    secret = next(
        pair.secret
        for pair in (BraceKeyPair.generate(seeded(number)) for number in range(50))
        if powmod(pair.secret, ORDER - 2, ORDER) * pair.secret % ORDER == 1
    )
    ours = BraceKeyPair(secret, int(powmod(2, secret, PRIME)))
    inverse = pow(int(secret), -1, ORDER)
    for bits in (3064, 3063, 3056, 800, 9, 8, 3):
        # Squares only: they form the subgroup of order (PRIME - 1) / 2, in which the exponent has an inverse.
        wanted = isqrt((1 << bits) - 1) ** 2
        theirs = pow(wanted, inverse, PRIME)
        assert is_member(theirs)
        shared = ours.shared_secret(theirs)
        assert int.from_bytes(shared, "big") == wanted
        assert len(shared) == (wanted.bit_length() + 7) // 8 < 384
        assert shared[0] != 0


def replayed(draw: bytes) -> Random:
    def random(purpose: Purpose, count: int) -> bytes:
        assert (purpose, count) == ("dh", len(draw)) == ("dh", EXPONENT_BYTES)
        return draw

    return random


def recorded(who: str) -> list[BraceKeyPair]:
    """The pairs of a side of the recorded conversation, by what it drew, in its order."""
    return [
        BraceKeyPair.generate(replayed(bytes.fromhex(event["hex"])))
        for event in recorded4.events("trace")
        if event["ev"] == "secret" and event["name"] == "dh_r" and event["who"] == who
    ]


def test_recorded_keys_and_what_they_share() -> None:
    """Each side's draws give the values of its own message; the secrets follow by taking turns."""
    identity, auth_r = recorded4.messages("trace")[:2]
    alice, bob = recorded("alice"), recorded("bob")
    for pairs, message in ((bob, identity), (alice, auth_r)):
        for pair in pairs[:2]:
            encoded = pair.public.to_bytes(384, "big")
            assert message.count((384).to_bytes(4, "big") + encoded) == 1
    shared = [
        bytes.fromhex(event["in"][0])
        for event in recorded4.events("trace")
        if event["ev"] == "kdf" and event["usage"] == "THIRD_BRACE_KEY" and event["who"] == "alice"
    ]
    # Of the key exchange, of the first ratchet, and then Bob and Alice make a new pair in turn.
    turns = [(0, 0), (1, 1), (1, 2), (2, 2), (2, 3), (3, 3), (3, 4)]
    assert len(shared) == len(turns)
    for secret, (ours, theirs) in zip(shared, turns, strict=True):
        assert secret == alice[ours].shared_secret(bob[theirs].public)
        assert secret == bob[theirs].shared_secret(alice[ours].public)


def test_a_key_pair_does_not_show_its_exponent() -> None:
    pair = BraceKeyPair.generate(seeded("shown"))
    for text in (repr(pair), str(pair), f"{pair}"):
        assert str(int(pair.secret)) not in text
        assert f"{int(pair.secret):x}" not in text
        assert str(pair.public) in text
