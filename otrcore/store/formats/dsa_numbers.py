"""A DSA private key as the five numbers that files hold, and back."""

from __future__ import annotations

from typing import NamedTuple

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa
from gmpy2 import is_prime, mpz, powmod, powmod_sec

from ...crypto.dsa import KEY_BITS, SIGNATURE_PART_BYTES, DsaPrivateKey

Q_BITS = 8 * SIGNATURE_PART_BYTES


class Numbers(NamedTuple):
    """p, q and g are the key's own group, y is public, x is secret."""

    p: int
    q: int
    g: int
    y: int
    x: int

    def __repr__(self) -> str:
        """Tell what this is and none of the numbers: x is secret."""
        return "<numbers of a DSA private key>"


def key_of(numbers: Numbers) -> DsaPrivateKey:
    """Return the key; ValueError says what is wrong with numbers that no honest client makes."""
    p, q, g, y, x = map(mpz, numbers)
    if p.bit_length() != KEY_BITS:
        raise ValueError(f"the key's p has {p.bit_length()} bits, and that of an OTR key has {KEY_BITS}")
    if q.bit_length() != Q_BITS:
        raise ValueError(f"the key's q has {q.bit_length()} bits, and that of an OTR key has {Q_BITS}")
    if not is_prime(p) or not is_prime(q):
        raise ValueError("the key's p or q is not a prime")
    if (p - 1) % q != 0:
        raise ValueError("the key's q does not divide p - 1")
    if not 1 < g < p or powmod(g, q, p) != 1:
        raise ValueError("the key's g is not of order q")
    if not 1 < y < p:
        raise ValueError("the key's y does not lie between 1 and p")
    if not 0 < x < q or powmod_sec(g, x, p) != y:
        raise ValueError("the key's x and y do not belong together")
    group = dsa.DSAParameterNumbers(numbers.p, numbers.q, numbers.g)
    return DsaPrivateKey(
        dsa.DSAPrivateNumbers(numbers.x, dsa.DSAPublicNumbers(numbers.y, group)).private_key()
    )


def numbers_of(key: DsaPrivateKey) -> Numbers:
    """Return the numbers of a key."""
    opened = serialization.load_der_private_key(key.to_der(), password=None)
    assert isinstance(opened, dsa.DSAPrivateKey)
    public = key.public
    return Numbers(public.p, public.q, public.g, public.y, opened.private_numbers().x)
