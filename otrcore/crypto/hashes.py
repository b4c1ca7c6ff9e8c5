"""The MACs of version 3 and their comparison (v3, "Data types": MAC is 20 bytes)."""

from __future__ import annotations

import hmac

MAC_BYTES = 20


def mac_sha1(key: bytes, data: bytes) -> bytes:
    """SHA1-HMAC, 20 bytes: over data messages."""
    return hmac.digest(key, data, "sha1")


def mac_sha256(key: bytes, data: bytes) -> bytes:
    """SHA256-HMAC, 32 bytes: what is signed in the key exchange."""
    return hmac.digest(key, data, "sha256")


def mac_sha256_160(key: bytes, data: bytes) -> bytes:
    """SHA256-HMAC truncated to its first 160 bits: over encrypted signatures."""
    return hmac.digest(key, data, "sha256")[:MAC_BYTES]


def same(ours: bytes, theirs: bytes) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(ours, theirs)
