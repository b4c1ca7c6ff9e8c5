"""The ciphers and the MACs: published vectors, and the counter's layout block by block."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from hypothesis import given, settings
from hypothesis import strategies as st

from otrcore.crypto.cipher import CHACHA20_KEY_BYTES, aes_ctr, chacha20
from otrcore.crypto.hashes import mac_sha1, mac_sha256, mac_sha256_160, same
from tests.wire import recorded4

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


# RFC 7539, A.1: the key, the number of the block, and the block; the nonce is 0 in all of these.
KEY_STREAM = [
    (
        bytes(32),
        0,
        "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
        "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586",
    ),
    (
        bytes(32),
        1,
        "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed"
        "29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f",
    ),
    (
        bytes(31) + b"\1",
        1,
        "3aeb5224ecf849929b9d828db1ced4dd832025e8018b8160b82284f3c949aa5a"
        "8eca00bbb4a73bdad192b5c42f73f2fd4e273644c8b36125a64addeb006c13a0",
    ),
    (
        b"\0\xff" + bytes(30),
        2,
        "72d54dfbf12ec44b362692df94137f328fea8da73990265ec1bbbea1ae9af0ca"
        "13b25aa26cb4a648cb9b9d1be65b2c0924a66c54d545ec1b7374f4872e99f096",
    ),
]


@pytest.mark.parametrize(("key", "number", "block_of_stream"), KEY_STREAM, ids=range(4))
def test_the_published_key_stream_from_its_start(key: bytes, number: int, block_of_stream: str) -> None:
    data = bytes(range(64))
    encrypted = chacha20(key, bytes(64 * number) + data)[64 * number :]
    stream = bytes.fromhex(block_of_stream)
    assert encrypted == bytes(a ^ b for a, b in zip(data, stream, strict=True))


def test_recorded_messages_of_version_4() -> None:
    """The key is the first half of MKenc; what was encrypted stands in the message as DATA."""
    messages = recorded4.vectors()["data"]
    assert len(messages) == 27
    for message in messages:
        plain = bytes.fromhex(message["plain"])
        encrypted = chacha20(bytes.fromhex(message["mk"])[:CHACHA20_KEY_BYTES], plain)
        assert len(encrypted).to_bytes(4, "big") + encrypted in bytes.fromhex(message["wire"])


@repeatable
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=500))
def test_chacha20_twice_is_nothing(key: bytes, data: bytes) -> None:
    assert chacha20(key, chacha20(key, data)) == data


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
