"""AES-128 in counter mode; encrypting and decrypting are the same (v3, "Data types": CTR)."""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

KEY_BYTES = 16
_LOWER_HALF = bytes(8)


def aes_ctr(key: bytes, counter: int, data: bytes) -> bytes:
    """Apply the key stream; `counter` is the top half of the initial block, the lower half starts at 0."""
    return Cipher(AES(key), CTR(counter.to_bytes(8, "big") + _LOWER_HALF)).encryptor().update(data)
