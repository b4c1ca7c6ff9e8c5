"""What version 4 brings to SMP: group, challenges, encoding, and what is compared.

Source: v4, "Socialist Millionaires Protocol (SMP)", "SMP Hash Function".  The equations are
version 3's, written additively there.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..crypto import ed448
from ..crypto.ed448 import ENCODED_BYTES, GENERATOR, ORDER, Point, decode_scalar, encode_scalar, reduced
from ..crypto.random import Random
from ..crypto.shake import kdf
from ..errors import MalformedMessage, PeerError, Reason
from ..model import Fingerprint
from ..wire import codec
from ..wire.codec import Reader
from ..wire.tlv import Tlv

USAGE_SECRET = 0x19

_SECRET_BYTES = 64
"""As the implementations have it, who do not prune it either; the specification takes 57, pruned."""


class Ed448Group:
    """The subgroup of prime order of Ed448, written multiplicatively as all of SMP is."""

    generator = GENERATOR

    def power(self, base: Point, exponent: int) -> Point:
        """Return a point times a secret scalar."""
        return base.times(exponent)

    def product_of_powers(self, *factors: tuple[Point, int]) -> Point:
        """Return the sum of points times public scalars."""
        first, *others = (base.times_public(exponent) for base, exponent in factors)
        return sum(others, first)

    def multiply(self, left: Point, right: Point) -> Point:
        """Return left plus right."""
        return left + right

    def divide(self, left: Point, right: Point) -> Point:
        """Return left minus right."""
        return left - right

    def equal(self, left: Point, right: Point) -> bool:
        """Compare in constant time."""
        return left == right

    def random_scalar(self, random: Random) -> int:
        """Return a fresh scalar."""
        return ed448.random_scalar(random, "smp")

    def respond(self, nonce: int, challenge: int, secret: int) -> int:
        """Return nonce - challenge * secret, modulo the order."""
        return (nonce - challenge * secret) % ORDER

    def challenge(self, prefix: int, *elements: Point) -> int:
        """HashToScalar: a KDF whose usage is the prefix, over the points; reduced, as by other clients."""
        hashed = (element.encoded for element in elements)
        return reduced(kdf(prefix, *hashed, size=ENCODED_BYTES))

    def write(self, layout: str, elements: Sequence[Point], numbers: Sequence[int]) -> bytes:
        """Encode POINTs and SCALARs, 57 bytes each, without a count."""
        next_element, next_number = iter(elements), iter(numbers)
        return b"".join(
            next(next_element).encoded if kind == "e" else encode_scalar(next(next_number)) for kind in layout
        )

    def read(self, layout: str, data: bytes) -> tuple[list[Point], list[int]]:
        """Decode POINTs and SCALARs; nothing may follow them."""
        if len(data) != len(layout) * ENCODED_BYTES:
            raise MalformedMessage("a message of SMP of a wrong length")
        reader = Reader(data)
        elements: list[Point] = []
        numbers: list[int] = []
        for kind in layout:
            encoded = reader.take(ENCODED_BYTES)
            if kind == "e":
                try:
                    elements.append(Point.decode(encoded))
                except ValueError as error:
                    raise PeerError(Reason.UNVERIFIED, "an illegal group element") from error
            else:
                try:
                    numbers.append(decode_scalar(encoded))
                except ValueError as error:
                    raise PeerError(Reason.UNVERIFIED, "an illegal exponent") from error
        return elements, numbers


def compared(initiator: Fingerprint, responder: Fingerprint, ssid: bytes, secret: bytes) -> int:
    """Return the number that is compared: hashed from who asks, who answers, the session and the secret."""
    hashed = (b"\x01", initiator.digest, responder.digest, ssid, codec.data(secret))
    return reduced(kdf(USAGE_SECRET, *hashed, size=_SECRET_BYTES))


class SmpRecords:
    """SMP messages in TLV records (v4, "TLV Record Types": types 2 to 6)."""

    abort = Tlv(6)
    _BEGINNING = 2

    def write(self, step: int, message: bytes, question: bytes | None = None) -> Tlv:
        """Return the record of message 1, 2, 3 or 4; before the first a question stands, empty for none."""
        beginning = codec.data(question or b"") if step == 1 else b""
        return Tlv(step + 1, beginning + message)

    def read(self, record: Tlv) -> tuple[int, bytes, bytes | None] | None:
        """Return step, message and question; MalformedMessage if the question is cut off."""
        if record.type == self.abort.type:
            return 0, b"", None
        if record.type == self._BEGINNING:
            reader = Reader(record.value)
            question = reader.data()
            return 1, reader.rest(), question or None
        return (record.type - 1, record.value, None) if 3 <= record.type <= 5 else None
