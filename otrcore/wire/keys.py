"""Public keys on the wire, and their fingerprints (v3, "Public keys, signatures, and fingerprints")."""

from __future__ import annotations

import hashlib

from ..crypto.shake import kdf
from ..errors import MalformedMessage
from ..model import FINGERPRINT_4_BYTES, DsaPublicKey, Fingerprint
from . import codec
from .codec import Reader

_DSA = codec.short(0)
_USAGE_FINGERPRINT = 0x00


def serialise_public_key(key: DsaPublicKey) -> bytes:
    """Return the PUBKEY: type (SHORT) and p, q, g, y as MPIs."""
    return _DSA + b"".join(map(codec.mpi, (key.p, key.q, key.g, key.y)))


def read_public_key(reader: Reader) -> DsaPublicKey:
    """Take a PUBKEY; MalformedMessage for any type but DSA."""
    if reader.take(len(_DSA)) != _DSA:
        raise MalformedMessage("a public key that is not DSA")
    return DsaPublicKey(reader.mpi(), reader.mpi(), reader.mpi(), reader.mpi())


def fingerprint(key: DsaPublicKey) -> Fingerprint:
    """SHA-1 over the PUBKEY; the type is left out for DSA, as version 1 had none."""
    return Fingerprint(hashlib.sha1(serialise_public_key(key).removeprefix(_DSA)).digest())


def fingerprint_4(public_key: bytes, forging_key: bytes) -> Fingerprint:
    """Hash the two encoded points that a client profile holds (v4, "Public keys ... and Fingerprints")."""
    return Fingerprint(kdf(_USAGE_FINGERPRINT, public_key, forging_key, size=FINGERPRINT_4_BYTES))
