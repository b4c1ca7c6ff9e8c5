"""What the Socialist Millionaires' Protocol needs of a group, whichever group it is.

The equations of SMP are the same in all versions of OTR; the group, the hash and the
encoding of messages are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from ..crypto.random import Random

E = TypeVar("E")
"""An element of the group; scalars and challenges are ints."""


class Group(Protocol[E]):
    """A cyclic group of prime order, written multiplicatively."""

    @property
    def generator(self) -> E:
        """g1 of the specification."""

    def power(self, base: E, exponent: int) -> E:
        """Return base to a secret exponent, in time that does not depend on the exponent."""

    def product_of_powers(self, *factors: tuple[E, int]) -> E:
        """Return the product of bases to public exponents, as fast as can be."""

    def multiply(self, left: E, right: E) -> E:
        """Return left times right."""

    def divide(self, left: E, right: E) -> E:
        """Return left times the inverse of right."""

    def equal(self, left: E, right: E) -> bool:
        """Compare in constant time."""

    def random_scalar(self, random: Random) -> int:
        """Return a fresh secret exponent."""

    def respond(self, nonce: int, challenge: int, secret: int) -> int:
        """Return nonce - challenge * secret, modulo the group's order."""

    def challenge(self, prefix: int, *elements: E) -> int:
        """Hash elements to a challenge; the prefix tells the proofs of one run apart."""

    def write(self, layout: str, elements: Sequence[E], numbers: Sequence[int]) -> bytes:
        """Encode a message; in `layout` e is an element, c a challenge, s a scalar, in their order."""

    def read(self, layout: str, data: bytes) -> tuple[list[E], list[int]]:
        """Decode a message of this layout; PeerError for a wrong form, or a value outside its range."""
