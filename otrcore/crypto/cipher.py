"""The stream ciphers of all versions, where encrypting and decrypting are the same."""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES, ChaCha20
from cryptography.hazmat.primitives.ciphers.modes import CTR

KEY_BYTES = 16
_LOWER_HALF = bytes(8)

CHACHA20_KEY_BYTES = 32
_FROM_THE_START = bytes(16)


def aes_ctr(key: bytes, counter: int, data: bytes) -> bytes:
    """Apply AES-128 in counter mode (v3, "Data types": CTR).

    `counter` is the top half of the initial block, the lower half starts at 0.
    """
    return Cipher(AES(key), CTR(counter.to_bytes(8, "big") + _LOWER_HALF)).encryptor().update(data)


def chacha20(key: bytes, data: bytes) -> bytes:
    """Apply ChaCha20 (RFC 7539) with nonce and counter 0: version 4 uses each key, 32 bytes, once."""
    return Cipher(ChaCha20(key, _FROM_THE_START), mode=None).encryptor().update(data)
