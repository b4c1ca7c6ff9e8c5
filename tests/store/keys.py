"""Private keys and fingerprints that tests use again and again: to make a key takes a while."""

from __future__ import annotations

from functools import cache

from otrcore.crypto.dsa import DsaPrivateKey
from otrcore.model import Fingerprint

KEYS = 4


def private(number: int) -> DsaPrivateKey:
    """Return one of a few keys."""
    return _made(number % KEYS)


@cache
def _made(_number: int) -> DsaPrivateKey:
    return DsaPrivateKey.generate()


def fingerprint(number: int) -> Fingerprint:
    """Return the fingerprint of a peer's key."""
    return Fingerprint(number.to_bytes(20, "big"))


def fingerprint_4(number: int) -> Fingerprint:
    """Return the fingerprint of a peer's key for version 4; it begins as the one of the same number does."""
    return Fingerprint(number.to_bytes(20, "big") + bytes(36))
