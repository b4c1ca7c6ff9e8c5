"""The ring signature over three keys (v4, "Ring Signature Authentication").

It proves that its maker knows the secret of one of three public keys, and hides which:
each member of the ring could have made it.  c = HashToScalar(...) with DATA(m), as the
implementations have it.
"""

from __future__ import annotations

from .ed448 import (
    ENCODED_BYTES,
    GENERATOR,
    ORDER,
    KeyPair,
    Point,
    decode_scalar,
    encode_scalar,
    random_scalar,
    reduced,
)
from .random import Random
from .shake import kdf

USAGE_AUTH = 0x1A

SIGNATURE_BYTES = 6 * ENCODED_BYTES
"""c1, r1, c2, r2, c3, r3."""

Ring = tuple[Point, Point, Point]


def sign(random: Random, signer: KeyPair, ring: Ring, message: bytes) -> bytes:
    """RSig: sign as the one member of the ring whose key pair is ours; ValueError if none or several are."""
    (position,) = [at for at, key in enumerate(ring) if key == signer.public]
    nonce = random_scalar(random, "ring")
    numbers = [(random_scalar(random, "ring"), random_scalar(random, "ring")) for _ in ring]
    commitments = [
        GENERATOR.times(nonce) if at == position else GENERATOR.times(r) + key.times(c)
        for at, (key, (c, r)) in enumerate(zip(ring, numbers, strict=True))
    ]
    others = sum(c for at, (c, _) in enumerate(numbers) if at != position)
    own = (_challenge(ring, commitments, message) - others) % ORDER
    numbers[position] = own, (nonce - own * signer.secret) % ORDER
    return b"".join(encode_scalar(number) for pair in numbers for number in pair)


def verify(ring: Ring, message: bytes, signature: bytes) -> bool:
    """RVrf: whether one member of the ring has signed this message; false if a number is not below q."""
    if len(signature) != SIGNATURE_BYTES:
        return False
    encoded = [signature[at : at + ENCODED_BYTES] for at in range(0, SIGNATURE_BYTES, ENCODED_BYTES)]
    try:
        scalars = [decode_scalar(number) for number in encoded]
    except ValueError:
        return False
    challenges, responses = scalars[::2], scalars[1::2]
    commitments = [
        GENERATOR.times_public(r) + key.times_public(c)
        for key, c, r in zip(ring, challenges, responses, strict=True)
    ]
    return sum(challenges) % ORDER == _challenge(ring, commitments, message)


def _challenge(ring: Ring, commitments: list[Point], message: bytes) -> int:
    points = b"".join(point.encoded for point in (*ring, *commitments))
    hashed = (GENERATOR.encoded, encode_scalar(ORDER), points, len(message).to_bytes(4, "big"), message)
    return reduced(kdf(USAGE_AUTH, *hashed, size=ENCODED_BYTES))
