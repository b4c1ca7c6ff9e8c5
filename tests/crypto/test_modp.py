"""The Diffie-Hellman group: the prime by its formula, legal values, and shared secrets."""

from __future__ import annotations

from math import isqrt

import pytest
from gmpy2 import is_prime, mpz
from hypothesis import given, settings
from hypothesis import strategies as st

from otrcore.crypto.modp import EXPONENT_BYTES, GENERATOR, PRIME, DhKeyPair, is_public
from otrcore.crypto.random import Purpose, system_random
from otrcore.crypto.secret import Secret
from tests.pair import seeded

repeatable = settings(derandomize=True, deadline=None, max_examples=25)


def floor_of_pi_times_2_to(bits: int) -> int:
    """Machin's formula in integers, with guard bits: pi = 16 arctan(1/5) - 4 arctan(1/239)."""
    one = 1 << (bits + 64)

    def arctan_of_inverse(n: int) -> int:
        total, power, divisor, sign = 0, one // n, 1, 1
        while power:
            total += sign * (power // divisor)
            power //= n * n
            divisor += 2
            sign = -sign
        return total

    return (16 * arctan_of_inverse(5) - 4 * arctan_of_inverse(239)) >> 64


def test_the_prime_is_that_of_rfc_3526() -> None:
    assert floor_of_pi_times_2_to(2) == 12  # 3.14 * 4
    formula = 2**1536 - 2**1472 - 1 + 2**64 * (floor_of_pi_times_2_to(1406) + 741804)
    assert formula == PRIME
    assert is_prime(mpz(PRIME))
    assert is_prime(mpz(PRIME // 2))
    assert GENERATOR == 2


@pytest.mark.parametrize("value", [2, 3, PRIME // 2, PRIME - 3, PRIME - 2])
def test_legal_public_values(value: int) -> None:
    assert is_public(value)


@pytest.mark.parametrize("value", [0, 1, PRIME - 1, PRIME, PRIME + 1, PRIME + 2, 2 * PRIME, 2**10_000, -2])
def test_illegal_public_values(value: int) -> None:
    assert not is_public(value)


@repeatable
@given(st.integers())
def test_both_ends_share_the_same_secret(seed: int) -> None:
    alice, bob = DhKeyPair.generate(seeded(f"{seed}/alice")), DhKeyPair.generate(seeded(f"{seed}/bob"))
    shared = alice.shared_secret(bob.public)
    assert shared == bob.shared_secret(alice.public)
    assert isinstance(shared, Secret)
    # The reckoning of the textbook, in Python's own integers.
    assert alice.public == pow(2, int(alice.secret), PRIME)
    assert int.from_bytes(shared, "big") == pow(2, int(alice.secret) * int(bob.secret), PRIME)
    assert is_public(alice.public)
    assert shared[0] != 0


def test_a_shared_secret_with_leading_zeros_is_minimal() -> None:
    """Our exponent is known here, so a peer's value can be made that gives any secret wanted."""
    ours = DhKeyPair.generate(seeded("leading zero"))
    inverse = pow(int(ours.secret), -1, (PRIME - 1) // 2)
    for bits in (1528, 1527, 1520, 800, 9, 8, 3):
        # Squares only: they form the subgroup of order (PRIME - 1) / 2, in which the exponent has an inverse.
        wanted = isqrt((1 << bits) - 1) ** 2
        theirs = pow(wanted, inverse, PRIME)
        assert is_public(theirs)
        shared = ours.shared_secret(theirs)
        assert int.from_bytes(shared, "big") == wanted
        assert len(shared) == (wanted.bit_length() + 7) // 8 < 192
        assert shared[0] != 0


@pytest.mark.parametrize("fill", [b"\x00", b"\x01", b"\xff"])
def test_exponents_have_320_bits_whatever_is_drawn(fill: bytes) -> None:
    asked: list[tuple[Purpose, int]] = []

    def random(purpose: Purpose, count: int) -> bytes:
        asked.append((purpose, count))
        return fill * count

    secret = int(DhKeyPair.generate(random).secret)
    assert asked == [("dh", EXPONENT_BYTES)]
    assert secret.bit_length() == 320
    assert secret % 2**319 == int.from_bytes(fill * 40, "big") % 2**319


def test_two_key_pairs_differ() -> None:
    assert DhKeyPair.generate(system_random).public != DhKeyPair.generate(system_random).public


def test_a_key_pair_does_not_show_its_exponent() -> None:
    pair = DhKeyPair.generate(seeded("shown"))
    for text in (repr(pair), str(pair), f"{pair}"):
        assert str(int(pair.secret)) not in text
        assert f"{int(pair.secret):x}" not in text
        assert str(pair.public) in text
