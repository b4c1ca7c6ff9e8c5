"""A group so small that thousands of runs of SMP cost nothing, yet too large for values to meet by chance."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from otrcore.crypto.random import Random
from otrcore.errors import MalformedMessage, PeerError, Reason

PRIME = 9223372036854778487
ORDER = (PRIME - 1) // 2
"""Both are prime."""


class SmallGroup:
    """The squares modulo `PRIME`; messages are JSON."""

    generator = 4

    def power(self, base: int, exponent: int) -> int:
        return pow(base, exponent, PRIME)

    def product_of_powers(self, *factors: tuple[int, int]) -> int:
        product = 1
        for base, exponent in factors:
            product = product * pow(base, exponent, PRIME) % PRIME
        return product

    def multiply(self, left: int, right: int) -> int:
        return left * right % PRIME

    def divide(self, left: int, right: int) -> int:
        return left * pow(right, -1, PRIME) % PRIME

    def equal(self, left: int, right: int) -> bool:
        return left == right

    def random_scalar(self, random: Random) -> int:
        return int.from_bytes(random("smp", 16), "big") % ORDER

    def respond(self, nonce: int, challenge: int, secret: int) -> int:
        return (nonce - challenge * secret) % ORDER

    def challenge(self, prefix: int, *elements: int) -> int:
        return int.from_bytes(hashlib.sha256(repr((prefix, *elements)).encode()).digest()[:8], "big")

    def write(self, layout: str, elements: Sequence[int], numbers: Sequence[int]) -> bytes:
        next_element, next_number = iter(elements), iter(numbers)
        return json.dumps([next(next_element if kind == "e" else next_number) for kind in layout]).encode()

    def read(self, layout: str, data: bytes) -> tuple[list[int], list[int]]:
        values: list[int] = json.loads(data)
        if len(values) != len(layout):
            raise MalformedMessage("a wrong count of numbers")
        elements, numbers = (
            [value for kind, value in zip(layout, values, strict=True) if kind in kinds]
            for kinds in ("e", "cs")
        )
        if not all(2 <= element <= PRIME - 2 for element in elements):
            raise PeerError(Reason.UNVERIFIED, "an illegal group element")
        return elements, numbers
