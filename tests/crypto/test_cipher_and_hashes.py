"""AES-CTR and the MACs: published vectors, and the counter's layout block by block."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from hypothesis import given, settings
from hypothesis import strategies as st

from otrcore.crypto.cipher import aes_ctr
from otrcore.crypto.hashes import mac_sha1, mac_sha256, mac_sha256_160, same

repeatable = settings(derandomize=True, deadline=None)

KEY = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")  # of NIST SP 800-38A


def block(key: bytes, plain: bytes) -> bytes:
    """One block of AES."""
    return Cipher(AES(key), ECB()).encryptor().update(plain)


def test_the_block_cipher_is_the_published_one() -> None:
    # NIST SP 800-38A, F.1.1, ECB-AES128.Encrypt, first block.
    assert block(KEY, bytes.fromhex("6bc1bee22e409f96e93d7e117393172a")).hex() == (
        "3ad77bb40d7a3660a89ecaf32466ef97"
    )


@pytest.mark.parametrize("counter", [0, 1, 2, 0x0102030405060708, 2**63, 2**64 - 1])
@pytest.mark.parametrize("length", [0, 1, 15, 16, 17, 32, 100])
def test_the_counter_is_the_top_half_of_the_first_block(counter: int, length: int) -> None:
    data = bytes(range(length))
    stream = b"".join(
        block(KEY, counter.to_bytes(8, "big") + number.to_bytes(8, "big")) for number in range(7)
    )
    assert aes_ctr(KEY, counter, data) == bytes(a ^ b for a, b in zip(data, stream, strict=False))


@repeatable
@given(st.binary(min_size=16, max_size=16), st.integers(0, 2**64 - 1), st.binary(max_size=500))
def test_twice_is_nothing(key: bytes, counter: int, data: bytes) -> None:
    assert aes_ctr(key, counter, aes_ctr(key, counter, data)) == data


def hmac(name: str, key: bytes, data: bytes) -> bytes:
    """RFC 2104, for keys of at most a block."""
    key = key.ljust(64, b"\0")
    inner = hashlib.new(name, bytes(byte ^ 0x36 for byte in key) + data).digest()
    return hashlib.new(name, bytes(byte ^ 0x5C for byte in key) + inner).digest()


@repeatable
@given(st.binary(max_size=64), st.binary(max_size=300))
def test_macs_by_their_definition(key: bytes, data: bytes) -> None:
    assert mac_sha1(key, data) == hmac("sha1", key, data)
    assert mac_sha256(key, data) == hmac("sha256", key, data)
    assert mac_sha256_160(key, data) == hmac("sha256", key, data)[:20]


def test_published_macs() -> None:
    # RFC 2202, test case 2, and RFC 4231, test case 2.
    key, data = b"Jefe", b"what do ya want for nothing?"
    assert mac_sha1(key, data).hex() == "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"
    assert mac_sha256(key, data).hex() == ("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")


@repeatable
@given(st.binary(max_size=30), st.binary(max_size=30))
def test_same_is_equality(ours: bytes, theirs: bytes) -> None:
    assert same(ours, theirs) == (ours == theirs)
    assert same(ours, bytes(ours))
    assert not same(ours, ours + b"\0")
