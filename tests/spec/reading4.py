"""The cryptography of version 4, read a second time from the specification, with plain numbers.

Nothing of otrcore is used here, nor of the library that it multiplies points with.  Where the
specification leaves a choice it is the one of the implementation that the world has: DATA(m)
in the hash of a ring signature, phi with its sender first, one count of ratchets for both.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache

from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey, Ed448PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from gmpy2 import invert, mpz, powmod

from tests.crypto import edwards
from tests.spec.reading import _pi_times_two_to, data, integer, mpi, short

IDENTITY, AUTH_R, AUTH_I, DATA = 0x35, 0x36, 0x37, 0x03
"""Message types."""

POINT, SCALAR, MAC, SIGMA = 57, 57, 64, 342
"""Bytes."""

P = 2**3072 - 2**3008 - 1 + 2**64 * (_pi_times_two_to(2942) + 1690314)
"""The modulus, as RFC 3526 defines it (section 4)."""

Q = edwards.Q
_PRIME = mpz(edwards.P)
Projective = tuple[mpz, mpz, mpz]


def shake(content: bytes, size: int) -> bytes:
    """SHAKE-256."""
    return hashlib.shake_256(content).digest(size)


def kdf(usage: int, *values: bytes, size: int = 64) -> bytes:
    """KDF, with the usage as its number."""
    return shake(b"OTRv4" + bytes([usage]) + b"".join(values), size)


def dh_public(exponent: int) -> int:
    """g3 to this power; g3 is 2."""
    return int(powmod(2, exponent, P))


def dh_secret(exponent: int, theirs: int) -> bytes:
    """k_dh."""
    return mpi(int(powmod(theirs, exponent, P)))[4:]


def scalar(seed: bytes) -> int:
    """The secret that 57 random bytes stand for: hashed and pruned."""
    h = bytearray(shake(seed, 114)[:57])
    h[0] &= 0b11111100
    h[55] |= 0b10000000
    h[56] = 0
    return int.from_bytes(h, "little")


def _add(left: Projective, right: Projective) -> Projective:
    """The law of addition in projective coordinates (RFC 8032, 5.2.4)."""
    (x1, y1, z1), (x2, y2, z2) = left, right
    a = z1 * z2
    b = a * a % _PRIME
    c, d = x1 * x2 % _PRIME, y1 * y2 % _PRIME
    e = edwards.D * c * d
    f, g = b - e, b + e
    h = (x1 + y1) * (x2 + y2)
    return a * f * (h - c - d) % _PRIME, a * g * (d - c) % _PRIME, f * g % _PRIME


def _times(point: edwards.Point, number: int) -> Projective:
    total: Projective = (mpz(0), mpz(1), mpz(1))
    one: Projective = (mpz(point[0]), mpz(point[1]), mpz(1))
    for bit in f"{number:b}":
        total = _add(total, total)
        if bit == "1":
            total = _add(total, one)
    return total


def _affine(point: Projective) -> edwards.Point:
    x, y, z = point
    inverse = invert(z, _PRIME)
    return int(x * inverse % _PRIME), int(y * inverse % _PRIME)


@cache
def public(secret: int) -> bytes:
    """The point of a secret scalar, encoded."""
    return edwards.encode(_affine(_times(edwards.GENERATOR, secret)))


@cache
def ecdh(secret: int, theirs: bytes) -> bytes:
    """K_ecdh."""
    return edwards.encode(_affine(_times(edwards.decode(theirs), secret)))


def _commitment(point: bytes, response: int, challenge: int) -> bytes:
    """G times the response and a member of the ring times the challenge."""
    both = _add(_times(edwards.GENERATOR, response), _times(edwards.decode(point), challenge))
    return edwards.encode(_affine(both))


def _ring_hash(ring: tuple[bytes, ...], commitments: list[bytes], m: bytes) -> int:
    g, q = edwards.encode(edwards.GENERATOR), Q.to_bytes(SCALAR, "little")
    digest = kdf(0x1A, g, q, *ring, *commitments, data(m), size=57)
    return int.from_bytes(digest, "little") % Q


def ring_sign(secret: int, ring: tuple[bytes, ...], m: bytes) -> bytes:
    """RSig; the nonces are hashes of all that goes in, so that the same is always the same."""
    own = ring.index(public(secret))

    def number(label: str) -> int:
        return scalar(shake(label.encode() + secret.to_bytes(57, "little") + m, 57)) % Q

    t = number("t")
    c = [number(f"c{at}") for at in range(3)]
    r = [number(f"r{at}") for at in range(3)]
    commitments = [public(t) if at == own else _commitment(ring[at], r[at], c[at]) for at in range(3)]
    c[own] = (_ring_hash(ring, commitments, m) - sum(c) + c[own]) % Q
    r[own] = (t - c[own] * secret) % Q
    return b"".join(x.to_bytes(SCALAR, "little") for pair in zip(c, r, strict=True) for x in pair)


def ring_verifies(ring: tuple[bytes, ...], m: bytes, sigma: bytes) -> bool:
    """RVrf."""
    numbers = [int.from_bytes(sigma[at : at + SCALAR], "little") for at in range(0, SIGMA, SCALAR)]
    c, r = numbers[::2], numbers[1::2]
    commitments = [_commitment(ring[at], r[at], c[at]) for at in range(3)]
    return sum(c) % Q == _ring_hash(ring, commitments, m)


def chacha20(key: bytes, content: bytes) -> bytes:
    """ChaCha20 from counter 0, with a nonce of zeros."""
    encryptor = Cipher(algorithms.ChaCha20(key, bytes(16)), mode=None).encryptor()
    return encryptor.update(content)


def header(kind: int, sender: int, receiver: int) -> bytes:
    """The front of a message."""
    return short(4) + bytes([kind]) + integer(sender) + integer(receiver)


def readdressed(raw: bytes, sender: int, receiver: int) -> bytes:
    """A message from and to another instance."""
    return header(raw[2], sender, receiver) + raw[11:]


@dataclass(frozen=True)
class Person:
    """Long-term keys by a name, always the same; the secret of the forging key is known, too."""

    name: str
    expires: int = 1_800_000_000

    @property
    def seed(self) -> bytes:
        """What the signing key is made of."""
        return shake(f"{self.name}/long-term".encode(), 57)

    @property
    def secret(self) -> int:
        """Of H."""
        return scalar(self.seed)

    @property
    def h(self) -> bytes:
        """H."""
        return public(self.secret)

    @property
    def f(self) -> bytes:
        """F."""
        return public(scalar(shake(f"{self.name}/forging".encode(), 57)))

    @property
    def fingerprint(self) -> bytes:
        """Of both."""
        return kdf(0x00, self.h, self.f, size=56)

    def fields(self, tag: int, *, f: bytes | None = None, versions: bytes = b"4") -> list[bytes]:
        """The fields of a client profile, each with its number; keys have a type behind that."""
        return [
            short(1) + integer(tag),
            short(2) + b"\x10\x00" + self.h,
            short(3) + b"\x12\x00" + (self.f if f is None else f),
            short(4) + data(versions),
            short(5) + self.expires.to_bytes(8, "big"),
        ]

    def sign(self, fields: list[bytes]) -> bytes:
        """Return a client profile: their count, they, and the signature over them without the count."""
        signature = Ed448PrivateKey.from_private_bytes(self.seed).sign(b"".join(fields))
        return integer(len(fields)) + b"".join(fields) + signature

    def profile(self, tag: int) -> bytes:
        """Return the client profile of one instance."""
        return self.sign(self.fields(tag))


@dataclass(frozen=True)
class Ephemeral:
    """The four pairs of keys that one side makes for an exchange, by a label, always the same."""

    label: str

    def _seed(self, name: str, size: int) -> bytes:
        return shake(f"{self.label}/{name}".encode(), size)

    @property
    def ecdh(self) -> int:
        """y, or x."""
        return scalar(self._seed("ecdh", 57))

    @property
    def dh(self) -> int:
        """b, or a."""
        return int.from_bytes(self._seed("dh", 80), "big")

    @property
    def first_ecdh(self) -> int:
        """Of the first ratchet."""
        return scalar(self._seed("first ecdh", 57))

    @property
    def first_dh(self) -> int:
        """Of the first ratchet."""
        return int.from_bytes(self._seed("first dh", 80), "big")

    @property
    def rank(self) -> bytes:
        """The hash of B, by which crossing is decided."""
        return shake(mpi(dh_public(self.dh)), 32)


@dataclass(frozen=True)
class Exchange:
    """Identity or Auth-R taken apart."""

    kind: int
    sender: int
    receiver: int
    profile: bytes
    h: bytes
    f: bytes
    point: bytes
    number: int
    sigma: bytes
    first_point: bytes
    first_number: int


def _profile(raw: bytes) -> tuple[bytes, bytes, bytes]:
    """The client profile that bytes begin with, and H and F in it; its signature must be right."""
    at, keys = 4, {}
    for _ in range(int.from_bytes(raw[:4], "big")):
        kind = int.from_bytes(raw[at : at + 2], "big")
        at += 2
        match kind:
            case 1:
                at += 4
            case 2 | 3:
                at += 2 + POINT
                keys[kind] = raw[at - POINT : at]
            case 4:
                at += 4 + int.from_bytes(raw[at : at + 4], "big")
            case 5:
                at += 8
            case 6:
                at += 2
                for _ in "pqgy":
                    at += 4 + int.from_bytes(raw[at : at + 4], "big")
            case 7:
                at += 40
    Ed448PublicKey.from_public_bytes(keys[2]).verify(raw[at : at + 114], raw[4:at])
    return raw[: at + 114], keys[2], keys[3]


def exchange(raw: bytes) -> Exchange:
    """Take an Identity or an Auth-R apart; InvalidSignature if its profile is not signed."""
    assert raw[:2] == short(4)
    kind, sender, receiver = raw[2], *(int.from_bytes(raw[at : at + 4], "big") for at in (3, 7))
    at = 11
    profile, h, f = _profile(raw[at:])
    at += len(profile)

    def take(size: int) -> bytes:
        nonlocal at
        at += size
        assert at <= len(raw)
        return raw[at - size : at]

    def number() -> int:
        return int.from_bytes(take(int.from_bytes(take(4), "big")), "big")

    point, value = take(POINT), number()
    sigma = take(SIGMA) if kind == AUTH_R else b""
    taken = Exchange(kind, sender, receiver, profile, h, f, point, value, sigma, take(POINT), number())
    assert at == len(raw)
    return taken


def t_of(start: int, identity: Exchange, auth_r: Exchange, names: tuple[str, str]) -> bytes:
    """What a ring signature covers; `start` is 0 for Auth-R and 1 for Auth-I, `names` sender's first."""
    first = 5 + 3 * start
    sender, receiver = (identity, auth_r) if start else (auth_r, identity)
    phi = integer(sender.sender) + integer(receiver.sender)
    for side in (sender, receiver):
        phi += side.first_point + mpi(side.first_number)
    phi += data(names[0].encode()) + data(names[1].encode())
    return (
        bytes([start])
        + kdf(first, identity.profile)
        + kdf(first + 1, auth_r.profile)
        + identity.point
        + auth_r.point
        + mpi(identity.number)
        + mpi(auth_r.number)
        + kdf(first + 2, phi)
    )


def mixed(ecdh_secret: int, their_point: bytes, brace: bytes) -> bytes:
    """K."""
    return kdf(0x03, ecdh(ecdh_secret, their_point), brace)


@dataclass(frozen=True)
class DataFields:
    """A data message taken apart; `covered` is what its MAC covers."""

    sender: int
    receiver: int
    flags: int
    pn: int
    i: int
    j: int
    ecdh: bytes
    dh: int | None
    encrypted: bytes
    mac: bytes
    revealed: tuple[bytes, ...]
    covered: bytes


def data_fields(raw: bytes) -> DataFields:
    """Take a data message apart."""
    assert raw[:3] == short(4) + bytes([DATA])
    at = 3

    def take(size: int) -> bytes:
        nonlocal at
        at += size
        assert at <= len(raw)
        return raw[at - size : at]

    def number(size: int = 4) -> int:
        return int.from_bytes(take(size), "big")

    sender, receiver, flags, pn, i, j = number(), number(), number(1), number(), number(), number()
    point = take(POINT)
    dh = take(number())
    encrypted = take(number())
    covered, mac, old = raw[:at], take(MAC), take(number())
    assert at == len(raw)
    assert len(old) % MAC == 0
    revealed = tuple(old[start : start + MAC] for start in range(0, len(old), MAC))
    their_dh = int.from_bytes(dh, "big") if dh else None
    return DataFields(sender, receiver, flags, pn, i, j, point, their_dh, encrypted, mac, revealed, covered)
