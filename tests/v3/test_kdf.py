"""Key derivation against a second reading of the specification."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otrcore.crypto.modp import DhKeyPair
from otrcore.crypto.secret import Secret
from otrcore.v3.kdf import ake_keys, session_keys
from tests.pair import seeded
from tests.spec import reading

SHARED = st.integers(min_value=1, max_value=2**1536 - 1) | st.integers(min_value=1, max_value=2**24)
"""Shared secrets of any length: one in 256 real ones has a leading zero byte less than 192 bytes long."""


def secret(s: int) -> Secret:
    return Secret(s.to_bytes((s.bit_length() + 7) // 8, "big"))


@given(SHARED)
@settings(derandomize=True, max_examples=50)
def test_the_keys_of_the_exchange(s: int) -> None:
    ours, theirs = ake_keys(secret(s)), reading.ake_secrets(s)
    assert ours.ssid == theirs.ssid
    assert [bytes(key) for key in (ours.c, ours.c_prime)] == [theirs.c, theirs.c_prime]
    assert [bytes(key) for key in (ours.m1, ours.m2, ours.m1_prime, ours.m2_prime)] == [
        theirs.m1,
        theirs.m2,
        theirs.m1_prime,
        theirs.m2_prime,
    ]


@given(SHARED, st.booleans())
@settings(derandomize=True, max_examples=50)
def test_the_keys_of_data_messages(s: int, high: bool) -> None:
    sending, receiving = session_keys(secret(s), ours_is_larger=high)
    for keys, byte in ((sending, 1 if high else 2), (receiving, 2 if high else 1)):
        length = (s.bit_length() + 7) // 8
        h1 = hashlib.sha1(bytes([byte]) + length.to_bytes(4, "big") + s.to_bytes(length, "big")).digest()
        assert keys.aes == h1[:16]
        assert keys.mac == hashlib.sha1(h1[:16]).digest()


def test_one_sides_sending_keys_are_the_other_sides_receiving_keys() -> None:
    high, low = session_keys(secret(99), ours_is_larger=True), session_keys(secret(99), ours_is_larger=False)
    assert high == low[::-1]
    assert high[0] != high[1]


def short_secret() -> tuple[DhKeyPair, int, int]:
    """Return a key pair, the exponent of a peer, and their shared secret of less than 192 bytes."""
    ours = DhKeyPair.generate(seeded("short"))
    value, exponent = ours.public, 1
    while value.bit_length() > 191 * 8:
        value = value * ours.public % reading.P
        exponent += 1
    return ours, exponent, value


def test_a_shared_secret_with_leading_zeros_is_hashed_without_them() -> None:
    ours, exponent, s = short_secret()
    shared = ours.shared_secret(reading.public(exponent))
    assert len(shared) < 192
    assert int.from_bytes(shared, "big") == s
    assert ake_keys(shared).ssid == reading.ake_secrets(s).ssid
    sending, receiving = session_keys(shared, ours.public > reading.public(exponent))
    theirs = reading.data_keys(exponent, ours.public)
    assert (sending.aes, receiving.aes) == (theirs.receiving_aes, theirs.sending_aes)


@pytest.mark.parametrize("keys", [ake_keys(secret(5)), session_keys(secret(5), True)[0]])
def test_no_key_is_in_a_repr(keys: object) -> None:
    shown = repr(keys)
    for name in ("c", "c_prime", "m1", "m2", "m1_prime", "m2_prime", "aes", "mac"):
        key = getattr(keys, name, None)
        if key is not None:
            assert bytes(key).hex() not in shown
            assert repr(bytes(key)) not in shown
