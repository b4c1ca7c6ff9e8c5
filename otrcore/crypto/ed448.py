"""The curve Ed448: points, scalars, key pairs and EdDSA (v4, "Elliptic Curve Parameters"; RFC 8032).

The arithmetic is pycryptodome's, in constant time for secret scalars.  A point that
comes from outside exists as a `Point` only once it was found to lie on the curve, in the
subgroup of prime order, and not to be the identity: everything else is refused by
`Point.decode`, so that no caller can forget it.

pycryptodome is loaded when a point is first calculated with: what only shows or stores keys
starts without it.  The public halves of long-term keys are OpenSSL's work.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey, Ed448PublicKey

from .hashes import same
from .random import Purpose, Random, system_random
from .secret import Secret
from .shake import shake256

if TYPE_CHECKING:
    from Crypto.Math.Numbers import Integer
    from Crypto.PublicKey.ECC import EccPoint

ENCODED_BYTES = 57
"""Of a point and of a scalar."""

SIGNATURE_BYTES = 114

ORDER = int(
    "3FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF7CCA23E9C44EDB49AED63690216CC2728DC58F552378C292AB5844F3",
    16,
)
"""q, the prime order of the generator; the curve has four times as many points."""

_SIGN_BIT = 0x80


class Point:
    """A point of the subgroup of order q, written additively."""

    __slots__ = ("_encoded", "_point")

    def __init__(self, point: EccPoint | None, encoded: bytes | None = None) -> None:
        """Either may be left out until it is asked for, and then is what the other says."""
        self._point = point
        self._encoded = encoded

    @classmethod
    def decode(cls, encoded: bytes) -> Point:
        """Read a point (RFC 8032, 5.2.3); ValueError for all but legal public values, encoded canonically."""
        if len(encoded) != ENCODED_BYTES:
            raise ValueError("a point has 57 bytes")
        point = _read(encoded)
        if point.is_point_at_infinity() or not _multiply(point, _order()).is_point_at_infinity():
            raise ValueError("a point outside the group")
        decoded = cls(point)
        if decoded.encoded != encoded:
            raise ValueError("a point in an encoding that is not its own")
        return cls(point, encoded)

    @classmethod
    def known(cls, encoded: bytes) -> Point:
        """Return a point that we know to be in the group, by its encoding: nothing is checked."""
        return cls(None, encoded)

    @property
    def encoded(self) -> bytes:
        """The point in 57 bytes: y, little-endian, and the lowest bit of x (RFC 8032, 5.2.2)."""
        if self._encoded is None:
            x, y = self._element.xy
            self._encoded = int(y).to_bytes(ENCODED_BYTES - 1, "little") + bytes((_SIGN_BIT * (x & 1),))
        return self._encoded

    @property
    def is_identity(self) -> bool:
        """Whether this is the neutral element, which no honest party comes to."""
        return self._element.is_point_at_infinity()

    @property
    def _element(self) -> EccPoint:
        """What is calculated with."""
        if self._point is None:
            self._point = _read(self.encoded)
        return self._point

    def times(self, secret: int) -> Point:
        """Return this point times a secret scalar below 2^456."""
        from Crypto.Math.Numbers import Integer

        return Point(_multiply(self._element, Integer.from_bytes(secret.to_bytes(ENCODED_BYTES, "big"))))

    def times_public(self, scalar: int) -> Point:
        """Return this point times a scalar that everybody may know."""
        return Point(_multiply(self._element, _public(scalar)))

    def __add__(self, other: Point) -> Point:
        """Return the sum; it may be the identity, which `is_identity` tells."""
        return Point(self._element + other._element)

    def __sub__(self, other: Point) -> Point:
        """Return the difference; of equal points it is the identity."""
        return Point(self._element + -other._element)

    def __eq__(self, other: object) -> bool:
        """Compare the encodings, in constant time."""
        return isinstance(other, Point) and same(self.encoded, other.encoded)

    def __hash__(self) -> int:
        """Hash the encoding: for points that everybody may know."""
        return hash(self.encoded)

    def __repr__(self) -> str:
        """Show the encoding in hex."""
        return f"<point {self.encoded.hex()}>"


GENERATOR = Point.known(
    bytes.fromhex(
        "14fa30f25b790898adc8d74e2c13bdfdc4397ce61cffd33ad7c2a0051e9c78874098a36c7373ea4b62c7c9563720768824bcb66e71463f6900"
    )
)
"""G."""


def _read(encoded: bytes) -> EccPoint:
    """Read a point of the curve; ValueError for what is none."""
    from Crypto.Signature import eddsa

    return eddsa.import_public_key(encoded).pointQ


def _public(scalar: int) -> Integer:
    """Return a scalar that need not be hidden."""
    from Crypto.Math.Numbers import Integer

    return Integer(scalar, public=True)


@cache
def _order() -> Integer:
    return _public(ORDER)


def _multiply(point: EccPoint, scalar: Integer) -> EccPoint:
    # Of a plain int the length would show; an Integer of a fixed length hides it, which the types do not say.
    return point * scalar  # type: ignore[operator]


def secret_scalar(seed: bytes) -> int:
    """Return the scalar that 57 random bytes stand for: hashed and pruned (RFC 8032, 5.2.5), not reduced."""
    digest = bytearray(shake256(seed, ENCODED_BYTES))
    digest[0] &= 0xFC
    digest[-1] = 0
    digest[-2] |= 0x80
    return int.from_bytes(digest, "little")


def random_scalar(random: Random, purpose: Purpose) -> int:
    """Return a fresh secret number below q, all equally likely.

    Not pruned, as the specification has it: only half of all numbers could come of that, and in a
    ring signature those that could not would show who has signed.
    """
    return reduced(random(purpose, 2 * ENCODED_BYTES))


def reduced(uniform: bytes) -> int:
    """Return the number below q that a hash or random bytes, little-endian, stand for."""
    return int.from_bytes(uniform, "little") % ORDER


def encode_scalar(scalar: int) -> bytes:
    """Return a SCALAR: 57 bytes, little-endian."""
    return scalar.to_bytes(ENCODED_BYTES, "little")


def decode_scalar(encoded: bytes) -> int:
    """Read a SCALAR; ValueError if it is not below q, so that each number has one encoding only."""
    number = int.from_bytes(encoded, "little")
    if number >= ORDER:
        raise ValueError("a scalar that is not reduced")
    return number


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An ephemeral secret scalar and its public point (v4, "Generating ECDH and DH keys")."""

    secret: int = field(repr=False)
    public: Point

    @classmethod
    def generate(cls, random: Random) -> KeyPair:
        """Make a key pair."""
        return cls.of(secret_scalar(random("ecdh", ENCODED_BYTES)))

    @classmethod
    def of(cls, secret: int) -> KeyPair:
        """Return the pair that belongs to a secret scalar."""
        return cls(secret, GENERATOR.times(secret))

    def shared_secret(self, theirs: Point) -> Secret:
        """Return K_ecdh, an encoded point; it is never the identity, as `theirs` has prime order."""
        return Secret(theirs.times(self.secret).encoded)


class SigningKey:
    """A long-term key: signs by EdDSA, and takes part in ring signatures (v4, "Public keys")."""

    __slots__ = ("_key", "_seed", "pair")

    def __init__(self, seed: bytes) -> None:
        """`seed` is what the specification calls sym_key: 57 bytes; ValueError for another length."""
        self._key = Ed448PrivateKey.from_private_bytes(seed)
        self._seed = Secret(seed)
        public = Point.known(self._key.public_key().public_bytes_raw())
        self.pair = KeyPair(secret_scalar(seed), public)

    def __repr__(self) -> str:
        """Tell the kind of key and nothing of the seed."""
        return "<Ed448 private key>"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """TypeError: a key leaves the process by `to_bytes` only."""
        raise TypeError("private keys are not pickled")

    @classmethod
    def generate(cls, random: Random = system_random) -> SigningKey:
        """Make a key."""
        return cls(random("ed448", ENCODED_BYTES))

    @property
    def public(self) -> Point:
        """H."""
        return self.pair.public

    def to_bytes(self) -> Secret:
        """Return the seed, which `SigningKey` takes."""
        return self._seed

    def sign(self, data: bytes) -> bytes:
        """Return the EdDSA signature, 114 bytes, with an empty context."""
        return self._key.sign(data)


def verify(public: bytes, data: bytes, signature: bytes) -> bool:
    """Whether an EdDSA signature over `data` is one of the encoded key; false for what is no key, too."""
    try:
        Ed448PublicKey.from_public_bytes(public).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True
