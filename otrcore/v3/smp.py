"""What versions 2 and 3 bring to SMP: group, challenges, encoding, and what is compared.

Source: v3, "Socialist Millionaires' Protocol (SMP)", "SMP Hash function".
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from gmpy2 import invert, mpz, powmod_sec

from ..crypto.modp import GENERATOR, ORDER, PRIME, is_public, public_power
from ..crypto.random import Random
from ..errors import MalformedMessage, PeerError, Reason
from ..model import Fingerprint
from ..wire import codec
from ..wire.codec import Reader
from ..wire.tlv import Tlv

_BYTES = 192
_CHALLENGE_BITS = 256
_PRIME = mpz(PRIME)
_ORDER = mpz(ORDER)


class ModpGroup:
    """The subgroup of order (prime - 1) / 2 of the 1536-bit MODP group."""

    generator = mpz(GENERATOR)

    def power(self, base: mpz, exponent: int) -> mpz:
        """Return base to a secret exponent."""
        return powmod_sec(base, exponent, _PRIME)

    def product_of_powers(self, *factors: tuple[mpz, int]) -> mpz:
        """Return the product of bases to public exponents."""
        product = mpz(1)
        for base, exponent in factors:
            product = product * public_power(base, exponent) % _PRIME
        return product

    def multiply(self, left: mpz, right: mpz) -> mpz:
        """Return left times right."""
        return left * right % _PRIME

    def divide(self, left: mpz, right: mpz) -> mpz:
        """Return left times the inverse of right; every legal value has one."""
        return left * invert(right, _PRIME) % _PRIME

    def equal(self, left: mpz, right: mpz) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(*(int(value).to_bytes(_BYTES, "big") for value in (left, right)))

    def random_scalar(self, random: Random) -> mpz:
        """Return a fresh exponent of 1536 bits, reduced."""
        return mpz(int.from_bytes(random("smp", _BYTES), "big")) % _ORDER

    def respond(self, nonce: mpz, challenge: int, secret: mpz) -> int:
        """Return nonce - challenge * secret, modulo the order."""
        return int((nonce - challenge * secret) % _ORDER)

    def challenge(self, prefix: int, *elements: mpz) -> int:
        """SHA-256 over the prefix byte and the elements as MPIs; never reduced."""
        hashed = bytes((prefix,)) + b"".join(codec.mpi(int(element)) for element in elements)
        return int.from_bytes(hashlib.sha256(hashed).digest(), "big")

    def write(self, layout: str, elements: Sequence[mpz], numbers: Sequence[int]) -> bytes:
        """Encode a count (INT) and as many MPIs."""
        next_element, next_number = iter(elements), iter(numbers)
        values = (next(next_element if kind == "e" else next_number) for kind in layout)
        return codec.integer(len(layout)) + b"".join(codec.mpi(int(value)) for value in values)

    def read(self, layout: str, data: bytes) -> tuple[list[mpz], list[int]]:
        """Decode a count and as many MPIs; what follows is ignored, as by libotr."""
        reader = Reader(data)
        if reader.integer() != len(layout):
            raise MalformedMessage("a wrong count of numbers")
        elements: list[mpz] = []
        numbers: list[int] = []
        for kind in layout:
            value = reader.mpi()
            if kind == "e":
                if not is_public(value):
                    raise PeerError(Reason.UNVERIFIED, "an illegal group element")
                elements.append(mpz(value))
            else:
                if (kind == "s" and not 0 < value < ORDER) or (kind == "c" and value >> _CHALLENGE_BITS):
                    raise PeerError(Reason.UNVERIFIED, "an illegal exponent")
                numbers.append(value)
        return elements, numbers


def compared(initiator: Fingerprint, responder: Fingerprint, ssid: bytes, secret: bytes) -> int:
    """Return the number that is compared: hashed from who asks, who answers, the session and the secret."""
    hashed = b"\x01" + initiator.digest + responder.digest + ssid + secret
    return int.from_bytes(hashlib.sha256(hashed).digest(), "big")


class SmpRecords:
    """SMP messages in TLV records (v3, "TLV": types 2 to 7)."""

    abort = Tlv(6)
    _WITH_QUESTION = 7

    def write(self, step: int, message: bytes, question: bytes | None = None) -> Tlv:
        """Return the record of message 1, 2, 3 or 4; a question stands before the message, up to a NUL."""
        if question is not None:
            return Tlv(self._WITH_QUESTION, question + b"\0" + message)
        return Tlv(step + 1, message)

    def read(self, record: Tlv) -> tuple[int, bytes, bytes | None] | None:
        """Return step, message and question; without a NUL the whole record counts as the question."""
        if record.type == self._WITH_QUESTION:
            question, _, message = record.value.partition(b"\0")
            return 1, message, question
        if record.type == self.abort.type:
            return 0, b"", None
        return (record.type - 1, record.value, None) if 2 <= record.type <= 5 else None
