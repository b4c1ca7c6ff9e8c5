"""SHAKE-256, and what version 4 makes of it: one function that derives keys, hashes and authenticates.

Source: v4, "Key Derivation Function, Hash Function and MAC Function".  Each use has a number of
its own, so that no output can be taken for one of another use.
"""

from __future__ import annotations

import hashlib

_DOMAIN = b"OTRv4"


def shake256(data: bytes, size: int) -> bytes:
    """Return `size` bytes of plain SHAKE-256."""
    return hashlib.shake_256(data).digest(size)


def kdf(usage: int, *values: bytes, size: int) -> bytes:
    """KDF, HWC and HCMAC of the specification: SHAKE-256("OTRv4" || usage || values), `size` bytes."""
    return hashlib.shake_256(b"".join((_DOMAIN, bytes((usage,)), *values))).digest(size)
