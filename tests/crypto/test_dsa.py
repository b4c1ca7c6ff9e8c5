"""DSA over the integer M mod q, held against the textbook's equations in plain integers."""

from __future__ import annotations

import pickle
import secrets
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ed25519
from hypothesis import given, settings
from hypothesis import strategies as st

from otrcore.crypto.dsa import SIGNATURE_BYTES, DsaPrivateKey, verify
from otrcore.identity import Identity
from otrcore.model import DsaPublicKey
from otrcore.wire.codec import Reader
from otrcore.wire.keys import fingerprint, read_public_key, serialise_public_key
from tests.pair import identity

KEY = identity("alice").dsa
PUBLIC = KEY.public
P, Q, G, Y = PUBLIC.p, PUBLIC.q, PUBLIC.g, PUBLIC.y
X = KEY._key.private_numbers().x  # the textbook signer below needs it

repeatable = settings(derandomize=True, deadline=None, max_examples=60)


def textbook_verify(key: DsaPublicKey, m: int, r: int, s: int) -> bool:
    """FIPS 186-4, 4.7, with OTR's M mod q in place of the leftmost bits of a hash."""
    if not (0 < r < key.q and 0 < s < key.q):
        return False
    w = pow(s, -1, key.q)
    return pow(key.g, m * w % key.q, key.p) * pow(key.y, r * w % key.q, key.p) % key.p % key.q == r


def textbook_sign(m: int, k: int) -> tuple[int, int]:
    """FIPS 186-4, 4.6, with the nonce `k`."""
    r = pow(G, k, P) % Q
    return r, pow(k, -1, Q) * (m + X * r) % Q


def split(signature: bytes) -> tuple[int, int]:
    assert len(signature) == SIGNATURE_BYTES == 40
    return int.from_bytes(signature[:20], "big"), int.from_bytes(signature[20:], "big")


def joined(r: int, s: int) -> bytes:
    return r.to_bytes(20, "big") + s.to_bytes(20, "big")


def message(m: int) -> bytes:
    return m.to_bytes(32, "big")


EDGES = [0, 1, Q - 1, Q, Q + 1, 2 * Q, 2**160 - 1, 2**160, 2**255, 2**256 - 1, 2**256 - 1 - (2**256 - 1) % Q]
values = st.integers(0, 2**256 - 1) | st.sampled_from(EDGES)


@pytest.mark.parametrize("m", EDGES, ids=range(len(EDGES)))  # the values differ from run to run
def test_edge_values_of_m_both_ways(m: int) -> None:
    ours = KEY.sign(message(m))
    assert textbook_verify(PUBLIC, m, *split(ours))
    assert verify(PUBLIC, message(m), ours)
    theirs = joined(*textbook_sign(m, 1 + secrets.randbelow(Q - 1)))
    assert verify(PUBLIC, message(m), theirs)
    assert not verify(PUBLIC, message((m + 1) % 2**256), theirs)


@repeatable
@given(values)
def test_what_we_sign_the_textbook_verifies(m: int) -> None:
    assert textbook_verify(PUBLIC, m, *split(KEY.sign(message(m))))


@repeatable
@given(values, st.integers(1, Q - 1))
def test_what_the_textbook_signs_we_verify(m: int, k: int) -> None:
    assert verify(PUBLIC, message(m), joined(*textbook_sign(m, k)))


@repeatable
@given(values, st.integers(0, 2**160 - 1), st.integers(0, 2**160 - 1))
def test_we_and_the_textbook_agree_on_forgeries(m: int, r: int, s: int) -> None:
    assert verify(PUBLIC, message(m), joined(r, s)) == textbook_verify(PUBLIC, m, r, s)


def test_m_is_taken_modulo_q_and_not_cut_to_160_bits() -> None:
    m = 2**256 - 1
    assert verify(PUBLIC, message(m % Q), KEY.sign(message(m)))
    assert verify(PUBLIC, message(m), KEY.sign(message(m % Q)))
    leftmost = message(m >> 96)
    assert not verify(PUBLIC, message(m), KEY.sign(leftmost))


@pytest.mark.parametrize("part", ["r", "s"])
def test_short_halves_are_padded_on_the_left(part: str) -> None:
    """A half of fewer than 20 bytes comes once in 256 signatures: found with the textbook's signer."""
    m, limit = 12345, 1 << 152
    for k in range(1, 20_000):
        r, s = textbook_sign(m, k)
        if (r if part == "r" else s) < limit:
            break
    signature = joined(r, s)
    assert signature[0 if part == "r" else 20] == 0
    assert verify(PUBLIC, message(m), signature)


def test_our_own_short_halves_are_padded_on_the_left() -> None:
    found = set()
    for _ in range(10_000):
        signature = KEY.sign(message(1))
        assert len(signature) == SIGNATURE_BYTES
        short = {part for part, first in (("r", signature[0]), ("s", signature[20])) if first == 0}
        if short:
            assert verify(PUBLIC, message(1), signature)
            found |= short
        if found == {"r", "s"}:
            return
    pytest.fail("no signature with a short half in 10,000: the padding was not seen")


HALVES = [0, 1, Q, Q + 1, 2**160 - 1, None]
HALVES_IDS = ["0", "1", "q", "q+1", "ones", "right"]


@pytest.mark.parametrize("r", HALVES, ids=HALVES_IDS)
@pytest.mark.parametrize("s", HALVES, ids=HALVES_IDS)
def test_halves_outside_the_group_are_refused(r: int | None, s: int | None) -> None:
    good_r, good_s = textbook_sign(5, 7)
    signature = joined(good_r if r is None else r, good_s if s is None else s)
    assert verify(PUBLIC, message(5), signature) == (r is None and s is None)


def test_halves_that_are_right_modulo_q_only_are_refused() -> None:
    room = 2**160 - Q
    if room < 2**147:  # as one key in 4096 has it
        pytest.skip("this key's q is too near to 2^160 to find such a signature")
    signatures = [textbook_sign(5, k) for k in range(1, 20 * 2**160 // room)]
    small_r = next((r, s) for r, s in signatures if r < room)
    small_s = next((r, s) for r, s in signatures if s < room)
    assert all(verify(PUBLIC, message(5), joined(r, s)) for r, s in (small_r, small_s))
    assert not verify(PUBLIC, message(5), joined(small_r[0] + Q, small_r[1]))
    assert not verify(PUBLIC, message(5), joined(small_s[0], small_s[1] + Q))


@pytest.mark.parametrize("length", [0, 1, 39, 41, 80])
def test_other_lengths_are_refused(length: int) -> None:
    signature = (KEY.sign(message(9)) * 2)[:length]
    assert not verify(PUBLIC, message(9), signature)


def test_another_key_does_not_verify() -> None:
    assert not verify(identity("bob").dsa.public, message(9), KEY.sign(message(9)))


FOREIGN = {
    "p = 0": replace(PUBLIC, p=0),
    "p = 1": replace(PUBLIC, p=1),
    "p even": replace(PUBLIC, p=P - 1),
    "p composite": replace(PUBLIC, p=P + 2),
    "p of 512 bits": replace(PUBLIC, p=2**511 + 111, g=2, y=3),
    "p of 1023 bits": replace(PUBLIC, p=2**1022 + 1, g=2, y=3),
    "p of 1025 bits": replace(PUBLIC, p=2**1024 + 1),
    "p of 100,000 bits": replace(PUBLIC, p=2**99_999 + 1),
    "q = 0": replace(PUBLIC, q=0),
    "q = 1": replace(PUBLIC, q=1),
    "q of 159 bits": replace(PUBLIC, q=2**158 + 1),
    "q of 161 bits": replace(PUBLIC, q=2**160 + 7),
    "q of 256 bits": replace(PUBLIC, q=2**255 + 1),
    "q even": replace(PUBLIC, q=Q - 1),
    "g = 0": replace(PUBLIC, g=0),
    "g = 1": replace(PUBLIC, g=1),
    "g = p": replace(PUBLIC, g=P),
    "g > p": replace(PUBLIC, g=G + P),
    "y = 0": replace(PUBLIC, y=0),
    "y = 1": replace(PUBLIC, y=1),
    "y = p": replace(PUBLIC, y=P),
    "y > p": replace(PUBLIC, y=Y + P),
    "all zero": DsaPublicKey(0, 0, 0, 0),
}


@pytest.mark.parametrize("key", FOREIGN.values(), ids=FOREIGN)
def test_foreign_numbers_are_refused_and_raise_nothing(key: DsaPublicKey) -> None:
    for m in (0, 9, 2**256 - 1):
        assert verify(key, message(m), KEY.sign(message(m))) is False


@repeatable
@given(
    p=st.integers(2**1023, 2**1024 - 1) | st.integers(2**2047, 2**2048 - 1),
    q=st.integers(2**159, 2**160 - 1),
    g=st.integers(0, 2**1024),
    y=st.integers(0, 2**1024),
    signature=st.binary(min_size=40, max_size=40),
)
def test_no_numbers_of_the_right_sizes_raise_anything(
    p: int, q: int, g: int, y: int, signature: bytes
) -> None:
    assert verify(DsaPublicKey(p, q, g, y), message(5), signature) in (False, True)


def test_a_key_comes_back_from_its_der() -> None:
    again = DsaPrivateKey.from_der(KEY.to_der())
    assert again.public == PUBLIC
    assert again.to_der() == KEY.to_der()
    assert verify(PUBLIC, message(3), again.sign(message(3)))


@pytest.mark.parametrize("damage", [b"", b"\x30\x00", KEY.to_der()[:-1], b"x" * 300], ids=range(4))
def test_damaged_der_is_a_value_error(damage: bytes) -> None:
    with pytest.raises(ValueError):
        DsaPrivateKey.from_der(damage)


def test_other_kinds_of_keys_are_a_value_error() -> None:
    der = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(ValueError, match="not a DSA key"):
        DsaPrivateKey.from_der(der)


def test_a_key_with_another_q_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="160 bits"):
        DsaPrivateKey(dsa.generate_private_key(2048))


def test_new_keys_have_the_sizes_that_otr_uses() -> None:
    made = Identity.generate()
    assert made.dsa.public.p.bit_length() == 1024
    assert made.dsa.public.q.bit_length() == 160
    assert made.dsa.public != PUBLIC
    assert made.fingerprint == fingerprint(made.dsa.public)


def test_a_public_key_comes_back_from_the_wire() -> None:
    raw = serialise_public_key(PUBLIC)
    reader = Reader(raw)
    assert read_public_key(reader) == PUBLIC
    reader.end()


def test_a_private_key_does_not_show_or_leave() -> None:
    for text in (repr(KEY), str(KEY), f"{KEY}", "%s" % KEY, repr(identity("alice"))):  # noqa: UP031
        assert "private" in text
        assert str(X) not in text
        assert f"{X:x}" not in text
    with pytest.raises(TypeError):
        pickle.dumps(KEY)
