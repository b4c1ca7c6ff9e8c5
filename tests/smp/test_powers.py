"""Powers in the 1536-bit group: the fast way gives what Python's integers do, and no secret goes that way."""

from __future__ import annotations

import pytest
from gmpy2 import mpz
from hypothesis import given, settings
from hypothesis import strategies as st

from otrcore.crypto import modp
from otrcore.crypto.modp import GENERATOR, ORDER, PRIME, DhKeyPair, public_power
from otrcore.v3 import smp as smp_module
from otrcore.v3.smp import ModpGroup
from tests.pair import seeded

repeatable = settings(derandomize=True, deadline=None, max_examples=50)

EXPONENTS = [
    *(0, 1, 2, ORDER - 1, ORDER, ORDER + 1, PRIME - 1, PRIME, 2**1536 - 1, 2**1536, 3**1200, -1),
    # One bit at both ends of each block of each row, and all bits of a column.
    *(1 << at for start in range(0, 1536, 48) for at in (start, start + 47)),
    sum(1 << 192 * row for row in range(8)),
]


@pytest.mark.parametrize("base", [GENERATOR, 3, PRIME - 2], ids=["generator", "3", "largest"])
@pytest.mark.parametrize("exponent", EXPONENTS, ids=hex)
def test_powers_at_the_edges(base: int, exponent: int) -> None:
    assert public_power(mpz(base), exponent) == pow(base, exponent, PRIME)


@repeatable
@given(st.integers(0, ORDER - 1))
def test_powers_of_the_generator(exponent: int) -> None:
    assert public_power(mpz(GENERATOR), exponent) == pow(GENERATOR, exponent, PRIME)
    assert public_power(mpz(GENERATOR), mpz(exponent)) == pow(GENERATOR, exponent, PRIME)


@repeatable
@given(st.lists(st.tuples(st.sampled_from([2, 4, 5, PRIME - 2]), st.integers(0, 2**300)), max_size=3))
def test_a_product_of_powers(factors: list[tuple[int, int]]) -> None:
    product = 1
    for base, exponent in factors:
        product = product * pow(base, exponent, PRIME) % PRIME
    assert ModpGroup().product_of_powers(*((mpz(base), exponent) for base, exponent in factors)) == product


def test_the_tables_are_made_once_and_are_small() -> None:
    assert modp._products() is modp._products()
    assert [len(table) for table in modp._products()] == [256] * 4


def test_secret_exponents_take_the_one_way_that_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever could be told from time or memory is taken away, and only those powers still work."""

    def refused(*_: object) -> mpz:
        raise AssertionError("a secret exponent")

    for name in ("powmod", "public_power", "_products"):
        monkeypatch.setattr(modp, name, refused)
    monkeypatch.setattr(smp_module, "public_power", refused)
    group = ModpGroup()
    assert group.power(group.generator, 12345) == pow(2, 12345, PRIME)
    assert group.power(mpz(3), 12345) == pow(3, 12345, PRIME)
    pair, other = DhKeyPair.generate(seeded("one")), DhKeyPair.generate(seeded("other"))
    assert pair.shared_secret(other.public) == other.shared_secret(pair.public)
    with pytest.raises(AssertionError, match="a secret exponent"):
        group.product_of_powers((group.generator, 12345))
