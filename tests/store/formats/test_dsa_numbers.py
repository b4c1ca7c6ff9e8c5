"""A key is what its numbers say, or is refused with what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa
from gmpy2 import next_prime

from otrcore.crypto.dsa import DsaPrivateKey, verify
from otrcore.store.formats.dsa_numbers import Numbers, key_of, numbers_of


@cache
def numbers() -> Numbers:
    return numbers_of(DsaPrivateKey.generate())


def larger(bits: int) -> Numbers:
    key = dsa.generate_private_key(bits).private_numbers()
    group = key.public_numbers.parameter_numbers
    return Numbers(group.p, group.q, group.g, key.public_numbers.y, key.x)


def test_there_and_back() -> None:
    key = DsaPrivateKey.generate()
    again = key_of(numbers_of(key))
    assert again.public == key.public
    assert again.to_der() == key.to_der()
    assert verify(key.public, b"text", again.sign(b"text"))


def test_they_do_not_show() -> None:
    shown = f"{numbers()!r} {numbers()} {[numbers()]}"
    assert str(numbers().x) not in shown
    assert f"{numbers().x:x}" not in shown


def composite_q() -> Numbers:
    p, q, g, y, x = numbers()
    return Numbers(p, q + 1, g, y, x)


def foreign_q() -> Numbers:
    """Another prime of the right size."""
    p, q, g, y, x = numbers()
    other = int(next_prime(q))
    assert other.bit_length() == 160
    return Numbers(p, other, g, y, x)


WRONG: dict[str, tuple[Callable[[], Numbers], str]] = {
    "larger": (lambda: larger(2048), "p has 2048 bits"),
    "small": (lambda: Numbers(23, 11, 4, 18, 3), "p has 5 bits"),
    "no p": (lambda: numbers()._replace(p=0), "p has 0 bits"),
    "composite p": (lambda: numbers()._replace(p=numbers().p - 1), "not a prime"),
    "composite q": (composite_q, "not a prime"),
    "q of another size": (lambda: numbers()._replace(q=int(next_prime(1 << 200))), "q has 201 bits"),
    "foreign q": (foreign_q, "does not divide"),
    "g of order 2": (lambda: numbers()._replace(g=numbers().p - 1), "not of order q"),
    "g of another order": (lambda: numbers()._replace(g=2), "not of order q"),
    "g of 1": (lambda: numbers()._replace(g=1), "not of order q"),
    "g of 0": (lambda: numbers()._replace(g=0), "not of order q"),
    "g above p": (lambda: numbers()._replace(g=numbers().p + numbers().g), "not of order q"),
    "y of 1": (lambda: numbers()._replace(y=1, x=numbers().q), "y does not lie"),
    "y of 0": (lambda: numbers()._replace(y=0), "y does not lie"),
    "y above p": (lambda: numbers()._replace(y=numbers().p + numbers().y), "y does not lie"),
    "x of 0": (lambda: numbers()._replace(x=0), "do not belong together"),
    "x above q": (lambda: numbers()._replace(x=numbers().q + numbers().x), "do not belong together"),
    "another x": (lambda: numbers()._replace(x=numbers().x - 1), "do not belong together"),
    "another y": (lambda: numbers()._replace(y=pow(numbers().y, 2, numbers().p)), "do not belong together"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_numbers(name: str) -> None:
    wrong, said = WRONG[name]
    made = wrong()
    with pytest.raises(ValueError, match=re.escape(said)) as caught:
        key_of(made)
    assert str(made.x) not in str(caught.value) or made.x < 10
