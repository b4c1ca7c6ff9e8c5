"""The 1536-bit MODP group of RFC 3526 (group 5) with generator 2, for versions 2 and 3.

Secret exponents go through `powmod_sec`, whose running time and memory accesses
do not depend on them.  What is faster than that serves public exponents only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

from gmpy2 import mpz, powmod, powmod_sec

from .random import Random
from .secret import Secret

PRIME = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD"
    "EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED"
    "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F"
    "83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08CA237327FFFFFFFFFFFFFFFF",
    16,
)
GENERATOR = 2
ORDER = (PRIME - 1) // 2
"""Order of the subgroup of the generator: the prime is a safe one, and 2 is a square modulo it."""

EXPONENT_BYTES = 40
"""The specification asks for private exponents of at least 320 bits."""

_PRIME = mpz(PRIME)
_GENERATOR = mpz(GENERATOR)

_ROWS = 8
_BLOCKS = 4
_COLUMNS = 48
"""A public exponent of the generator is written as so many rows of so many blocks of so many bits.  More rows
or blocks make the tables (a row doubles them) dearer than the few powers that one conversation asks for."""

_ROW_BITS = _BLOCKS * _COLUMNS
_LOW_BITS = int.from_bytes(b"\x01" * _ROW_BITS, "big")


@dataclass(frozen=True, slots=True)
class DhKeyPair:
    """A private exponent and the public value that belongs to it."""

    secret: mpz = field(repr=False)
    public: int

    @classmethod
    def generate(cls, random: Random) -> DhKeyPair:
        """Make a key pair; the top bit is set, so that the exponent really has 320 bits."""
        secret = mpz(int.from_bytes(random("dh", EXPONENT_BYTES), "big") | 1 << (8 * EXPONENT_BYTES - 1))
        return cls(secret, int(powmod_sec(_GENERATOR, secret, _PRIME)))

    def shared_secret(self, their_public: int) -> Secret:
        """Return s as minimal big-endian bytes; `their_public` must be `is_public`."""
        value = int(powmod_sec(mpz(their_public), self.secret, _PRIME))
        return Secret(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def public_power(base: mpz, exponent: int) -> mpz:
    """Return base to an exponent that everybody may know: time and memory accesses tell it."""
    return _public_power_of_generator(exponent) if base == _GENERATOR else powmod(base, exponent, _PRIME)


def _public_power_of_generator(exponent: int) -> mpz:
    """Go over the columns of all blocks at once: 48 squarings in place of 1,536 (Lim and Lee's comb)."""
    columns = _columns(exponent % ORDER)
    blocks = (columns[start : start + _COLUMNS] for start in range(0, _ROW_BITS, _COLUMNS))
    first, second, third, fourth = _products()
    power = mpz(1)
    for a, b, c, d in zip(*blocks, strict=True):
        power = power * power % _PRIME * first[a] % _PRIME * second[b] % _PRIME
        power = power * third[c] % _PRIME * fourth[d] % _PRIME
    return power


def _columns(exponent: int) -> bytes:
    """Write an exponent in rows, the first one on top; return its columns, a byte each, the highest first."""
    digits = f"{exponent:0{_ROWS * _ROW_BITS}b}".encode()
    columns = 0
    for start in range(0, _ROWS * _ROW_BITS, _ROW_BITS):
        # The lowest bit of an ASCII digit is its value.
        row = int.from_bytes(digits[start : start + _ROW_BITS], "big") & _LOW_BITS
        columns = columns << 1 | row
    return columns.to_bytes(_ROW_BITS, "big")


@cache
def _products() -> list[list[mpz]]:
    """Return for each block, the highest first, what a column stands for: the product of its bits' units."""
    products = [[mpz(1)] for _ in range(_BLOCKS)]
    unit = _GENERATOR
    for _ in range(_ROWS):
        for of_block in reversed(products):
            of_block.extend([product * unit % _PRIME for product in of_block])
            unit = powmod(unit, 1 << _COLUMNS, _PRIME)
    return products


def is_public(value: int) -> bool:
    """Whether a received public value is legal: 2 to prime - 2."""
    return 2 <= value <= PRIME - 2
