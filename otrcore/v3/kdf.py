"""Keys out of Diffie-Hellman secrets (v3, "D-H Key Message ..." step 4, "Data Message": computing the keys).

Everything hashes a byte in front of `secbytes`: the shared secret as an MPI.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from ..crypto.cipher import KEY_BYTES
from ..crypto.secret import Secret
from ..wire.codec import data

SSID_BYTES = 8


@dataclass(frozen=True, slots=True)
class AkeKeys:
    """What the key exchange takes from s: c, m1, m2 for the initiator's signature, primed for the other's."""

    ssid: bytes
    c: Secret
    c_prime: Secret
    m1: Secret
    m2: Secret
    m1_prime: Secret
    m2_prime: Secret


@dataclass(frozen=True, slots=True)
class DirectionKeys:
    """AES key (16 bytes) and MAC key (20 bytes) of one direction of one pair of D-H keys."""

    aes: Secret
    mac: Secret


def ake_keys(shared_secret: Secret) -> AkeKeys:
    """Derive the seven values with h2 = SHA-256."""

    def h2(byte: int) -> bytes:
        return hashlib.sha256(bytes((byte,)) + secbytes).digest()

    secbytes = _secbytes(shared_secret)
    both_c = h2(1)
    return AkeKeys(
        h2(0)[:SSID_BYTES], Secret(both_c[:16]), Secret(both_c[16:]), *(Secret(h2(at)) for at in range(2, 6))
    )


def session_keys(shared_secret: Secret, ours_is_larger: bool) -> tuple[DirectionKeys, DirectionKeys]:
    """Derive sending and receiving keys with h1 = SHA-1; the larger public value is the "high" end."""
    secbytes = _secbytes(shared_secret)
    sending, receiving = (1, 2) if ours_is_larger else (2, 1)
    return _direction(sending, secbytes), _direction(receiving, secbytes)


def extra_key(shared_secret: Secret) -> Secret:
    """Derive the extra symmetric key, 32 bytes (v3, "Extra symmetric key")."""
    return Secret(hashlib.sha256(b"\xff" + _secbytes(shared_secret)).digest())


def _direction(byte: int, secbytes: bytes) -> DirectionKeys:
    aes = Secret(hashlib.sha1(bytes((byte,)) + secbytes).digest()[:KEY_BYTES])
    return DirectionKeys(aes, Secret(hashlib.sha1(aes).digest()))


def _secbytes(shared_secret: Secret) -> bytes:
    return data(shared_secret)
