"""Ed448: published signatures, recorded keys, the arithmetic by another way, and which points are refused."""

from __future__ import annotations

import pickle
from collections.abc import Iterator

import pytest
from Crypto.Math.Numbers import Integer
from Crypto.PublicKey.ECC import EccPoint
from hypothesis import given, settings
from hypothesis import strategies as st

from otrcore.crypto import ed448
from otrcore.crypto.ed448 import GENERATOR, ORDER, KeyPair, Point, SigningKey, verify
from otrcore.crypto.random import Purpose, system_random
from otrcore.crypto.secret import Secret
from tests.crypto import edwards
from tests.pair import Seeded, seeded
from tests.wire import recorded4

repeatable = settings(derandomize=True, deadline=None, max_examples=10)
scalars = st.integers(1, ORDER - 1)

# RFC 8032, 7.4: secret key, public key, message, signature; all without a context.
PUBLISHED = {
    "nothing": (
        (
            "6c82a562cb808d10d632be89c8513ebf6c929f34ddfa8c9f63c9960ef6e348a3528c8a3fcc2f044e39a3fc5b94"
            "492f8f032e7549a20098f95b"
        ),
        (
            "5fd7449b59b461fd2ce787ec616ad46a1da1342485a70e1f8a0ea75d80e96778edf124769b46c7061bd6783df1"
            "e50f6cd1fa1abeafe8256180"
        ),
        "",
        (
            "533a37f6bbe457251f023c0d88f976ae2dfb504a843e34d2074fd823d41a591f2b233f034f628281f2fd7a22dd"
            "d47d7828c59bd0a21bfd3980ff0d2028d4b18a9df63e006c5d1c2d345b925d8dc00b4104852db99ac5c7cdda85"
            "30a113a0f4dbb61149f05a7363268c71d95808ff2e652600"
        ),
    ),
    "1 octet": (
        (
            "c4eab05d357007c632f3dbb48489924d552b08fe0c353a0d4a1f00acda2c463afbea67c5e8d2877c5e3bc397a6"
            "59949ef8021e954e0a12274e"
        ),
        (
            "43ba28f430cdff456ae531545f7ecd0ac834a55d9358c0372bfa0c6c6798c0866aea01eb00742802b8438ea4cb"
            "82169c235160627b4c3a9480"
        ),
        "03",
        (
            "26b8f91727bd62897af15e41eb43c377efb9c610d48f2335cb0bd0087810f4352541b143c4b981b7e18f62de8c"
            "cdf633fc1bf037ab7cd779805e0dbcc0aae1cbcee1afb2e027df36bc04dcecbf154336c19f0af7e0a6472905e7"
            "99f1953d2a0ff3348ab21aa4adafd1d234441cf807c03a00"
        ),
    ),
    "11 octets": (
        (
            "cd23d24f714274e744343237b93290f511f6425f98e64459ff203e8985083ffdf60500553abc0e05cd02184bdb"
            "89c4ccd67e187951267eb328"
        ),
        (
            "dcea9e78f35a1bf3499a831b10b86c90aac01cd84b67a0109b55a36e9328b1e365fce161d71ce7131a543ea4cb"
            "5f7e9f1d8b00696447001400"
        ),
        "0c3e544074ec63b0265e0c",
        (
            "1f0a8888ce25e8d458a21130879b840a9089d999aaba039eaf3e3afa090a09d389dba82c4ff2ae8ac5cdfb7c55"
            "e94d5d961a29fe0109941e00b8dbdeea6d3b051068df7254c0cdc129cbe62db2dc957dbb47b51fd3f213fb8698"
            "f064774250a5028961c9bf8ffd973fe5d5c206492b140e00"
        ),
    ),
    "12 octets": (
        (
            "258cdd4ada32ed9c9ff54e63756ae582fb8fab2ac721f2c8e676a72768513d939f63dddb55609133f29adf86ec"
            "9929dccb52c1c5fd2ff7e21b"
        ),
        (
            "3ba16da0c6f2cc1f30187740756f5e798d6bc5fc015d7c63cc9510ee3fd44adc24d8e968b6e46e6f94d19b9453"
            "61726bd75e149ef09817f580"
        ),
        "64a65f3cdedcdd66811e2915",
        (
            "7eeeab7c4e50fb799b418ee5e3197ff6bf15d43a14c34389b59dd1a7b1b85b4ae90438aca634bea45e3a2695f1"
            "270f07fdcdf7c62b8efeaf00b45c2c96ba457eb1a8bf075a3db28e5c24f6b923ed4ad747c3c9e03c7079efb87c"
            "b110d3a99861e72003cbae6d6b8b827e4e6c143064ff3c00"
        ),
    ),
    "13 octets": (
        (
            "7ef4e84544236752fbb56b8f31a23a10e42814f5f55ca037cdcc11c64c9a3b2949c1bb60700314611732a6c2fe"
            "a98eebc0266a11a93970100e"
        ),
        (
            "b3da079b0aa493a5772029f0467baebee5a8112d9d3a22532361da294f7bb3815c5dc59e176b4d9f381ca0938e"
            "13c6c07b174be65dfa578e80"
        ),
        "64a65f3cdedcdd66811e2915e7",
        (
            "6a12066f55331b6c22acd5d5bfc5d71228fbda80ae8dec26bdd306743c5027cb4890810c162c027468675ecf64"
            "5a83176c0d7323a2ccde2d80efe5a1268e8aca1d6fbc194d3f77c44986eb4ab4177919ad8bec33eb47bbb5fc6e"
            "28196fd1caf56b4e7e0ba5519234d047155ac727a1053100"
        ),
    ),
}
IN_PUBLISHED = pytest.mark.parametrize("name", PUBLISHED)

WITH_CONTEXT = bytes.fromhex(
    "d4f8f6131770dd46f40867d6fd5d5055de43541f8c5e35abbcd001b32a89f7d2151f7647f11d8ca2ae279fb842"
    "d607217fce6e042f6815ea000c85741de5c8da1144a6a1aba7f96de42505d7a7298524fda538fccbbb754f578c"
    "1cad10d54d0d5428407e85dcbc98a49155c13764e66c3c00"
)
"""RFC 8032, "1 octet (with context)": message and key are those of "1 octet", the context is "foo"."""


def published(name: str) -> tuple[bytes, bytes, bytes, bytes]:
    secret, public, message, signature = map(bytes.fromhex, PUBLISHED[name])
    return secret, public, message, signature


# ---- signatures


@IN_PUBLISHED
def test_published_signatures(name: str) -> None:
    secret, public, message, signature = published(name)
    key = SigningKey(secret)
    assert key.public.encoded == public
    assert key.sign(message) == signature
    assert verify(public, message, signature)


@IN_PUBLISHED
def test_altered_signatures_are_refused(name: str) -> None:
    _, public, message, signature = published(name)
    assert not verify(public, message + b"x", signature)
    for place in (0, 56, 57, 113):
        altered = bytearray(signature)
        altered[place] ^= 1
        assert not verify(public, message, bytes(altered)), place
    for other in set(PUBLISHED) - {name}:
        assert not verify(published(other)[1], message, signature)


@pytest.mark.parametrize("size", [0, 1, 56, 113, 115, 228])
def test_signatures_of_other_lengths_are_refused(size: int) -> None:
    _, public, message, signature = published("1 octet")
    assert not verify(public, message, (signature * 2)[:size])


def test_a_response_that_is_not_reduced_is_refused() -> None:
    """RFC 8032, 5.2.7: else every signature would have a twin."""
    _, public, message, signature = published("1 octet")
    response = int.from_bytes(signature[57:], "little")
    assert response < edwards.Q
    twin = signature[:57] + (response + edwards.Q).to_bytes(57, "little")
    assert not verify(public, message, twin)


def test_a_signature_with_a_context_is_not_ours() -> None:
    _, public, message, _ = published("1 octet")
    assert not verify(public, message, WITH_CONTEXT)


@pytest.mark.parametrize("public", [b"", bytes(56), bytes(58), b"\xff" * 57], ids=len)
def test_what_is_no_key_has_signed_nothing(public: bytes) -> None:
    assert verify(public, b"", published("nothing")[3]) is False


# ---- keys


@pytest.mark.parametrize("who", ["alice", "bob"])
def test_recorded_long_term_keys(who: str) -> None:
    identity = recorded4.vectors()["identity"][who]
    for name in ("lt", "forging"):
        key = SigningKey(bytes.fromhex(identity[f"{name}_sym"]))
        assert key.public.encoded.hex() == identity[f"{name}_pub"]
        assert key.to_bytes() == bytes.fromhex(identity[f"{name}_sym"])


@pytest.mark.parametrize("who", ["alice", "bob"])
def test_recorded_profiles_are_signed_by_their_key(who: str) -> None:
    profile = recorded4.profiles("trace")[who]
    public = bytes.fromhex(recorded4.vectors()["identity"][who]["lt_pub"])
    fields, signature = profile[4 : -ed448.SIGNATURE_BYTES], profile[-ed448.SIGNATURE_BYTES :]
    assert verify(public, fields, signature)
    assert not verify(public, profile[: -ed448.SIGNATURE_BYTES], signature)


@IN_PUBLISHED
def test_both_halves_of_a_long_term_key_belong_together(name: str) -> None:
    """They come from two libraries: EdDSA's public key is the point that ring signatures calculate with."""
    pair = SigningKey(published(name)[0]).pair
    assert edwards.encode(edwards.times(edwards.GENERATOR, pair.secret)) == pair.public.encoded
    assert pair.public.times(2) == Point.decode(pair.public.encoded).times(2)


def test_a_known_point_is_the_one_of_its_encoding() -> None:
    point = GENERATOR.times(7)
    known = Point.known(point.encoded)
    assert known == point
    assert (known + GENERATOR) == GENERATOR.times(8)
    assert not known.is_identity


def test_recorded_ephemeral_keys_and_what_they_share() -> None:
    """Each side's draws give the points of its own message; the secrets follow by taking turns."""
    identity, auth_r = recorded4.messages("trace")[:2]
    alice, bob = ([KeyPair.of(ed448.secret_scalar(draw)) for draw in drawn(who)] for who in ("alice", "bob"))
    assert all(identity.count(pair.public.encoded) == 1 for pair in bob[:2])
    assert all(auth_r.count(pair.public.encoded) == 1 for pair in alice[:2])
    shared = [
        bytes.fromhex(event["in"][0])
        for event in recorded4.events("trace")
        if event["ev"] == "kdf" and event["usage"] == "SHARED_SECRET" and event["who"] == "alice"
    ]
    # Of the key exchange, of the first ratchet, and then Bob and Alice make a new pair in turn.
    turns = [(0, 0), *((number // 2, (number + 1) // 2) for number in range(2, 2 + len(shared) - 1))]
    assert len(shared) == len(turns) == 16
    for secret, (ours, theirs) in zip(shared, turns, strict=True):
        assert secret == alice[ours].shared_secret(bob[theirs].public)
        assert secret == bob[theirs].shared_secret(alice[ours].public)


def drawn(who: str) -> Iterator[bytes]:
    for event in recorded4.events("trace"):
        if event["ev"] == "secret" and event["name"] == "ecdh_r" and event["who"] == who:
            yield bytes.fromhex(event["hex"])


def test_secret_scalars_are_pruned() -> None:
    """RFC 8032, 5.2.5: a multiple of 4, of exactly 448 bits."""
    for number in range(50):
        scalar = ed448.secret_scalar(number.to_bytes(57, "big"))
        assert scalar % 4 == 0
        assert scalar.bit_length() == 448


def test_random_scalars_are_below_the_order() -> None:
    for purpose in ("smp", "ring"):
        source = Seeded(purpose)
        numbers = [ed448.random_scalar(source, purpose) for _ in range(50)]
        assert len(set(numbers)) == 50
        assert all(0 < number < edwards.Q for number in numbers)
        assert {name: list(map(len, drawn)) for name, drawn in source.drawn.items()} == {purpose: [114] * 50}


@pytest.mark.parametrize(
    "number",
    [0, 1, ORDER - 1, ORDER, ORDER + 1, 2**447, 2**912 - 1],
    ids=["0", "1", "q-1", "q", "q+1", "2^447", "2^912-1"],
)
def test_a_random_scalar_is_any_number_below_the_order(number: int) -> None:
    """Twice as long as a scalar, so that none is likelier than another; no bit of it is set or cleared."""

    def random(_: Purpose, count: int) -> bytes:
        return number.to_bytes(count, "little")

    assert ed448.random_scalar(random, "ring") == number % edwards.Q


def test_random_scalars_are_not_those_of_pruned_keys_only() -> None:
    source = Seeded("halves")
    inside = [edwards.comes_of_pruning(ed448.random_scalar(source, "smp")) for _ in range(200)]
    assert 60 < sum(inside) < 140
    pruned = [ed448.secret_scalar(number.to_bytes(57, "big")) % ORDER for number in range(200)]
    assert all(map(edwards.comes_of_pruning, pruned))


def test_keys_are_drawn_for_their_purpose() -> None:
    asked: list[tuple[Purpose, int]] = []

    def random(purpose: Purpose, count: int) -> bytes:
        asked.append((purpose, count))
        return system_random(purpose, count)

    assert KeyPair.generate(random).public != KeyPair.generate(random).public
    assert SigningKey.generate(random).public != SigningKey.generate(random).public
    assert asked == [("ecdh", 57)] * 2 + [("ed448", 57)] * 2


@pytest.mark.parametrize("size", [0, 32, 56, 58])
def test_a_seed_of_another_length_is_a_value_error(size: int) -> None:
    with pytest.raises(ValueError):
        SigningKey(bytes(size))


def test_a_private_key_does_not_show_or_leave() -> None:
    pair, key = KeyPair.generate(seeded("pair")), SigningKey(published("1 octet")[0])
    for text in (repr(pair), str(pair), repr(key), str(key), repr(key.pair), repr(key.to_bytes())):
        for secret in (pair.secret, key.pair.secret, int.from_bytes(key.to_bytes(), "big")):
            assert str(secret) not in text
            assert f"{secret:x}" not in text
    assert isinstance(key.to_bytes(), Secret)
    assert isinstance(pair.shared_secret(key.public), Secret)
    with pytest.raises(TypeError):
        pickle.dumps(key)


# ---- arithmetic


def test_the_textbook_is_one() -> None:
    assert edwards.is_on_curve(edwards.GENERATOR)
    assert edwards.times(edwards.GENERATOR, edwards.Q) == edwards.IDENTITY
    for order, points in edwards.SMALL_ORDER.items():
        for point in points:
            assert edwards.is_on_curve(point)
            assert [edwards.times(point, n) == edwards.IDENTITY for n in range(1, order + 1)] == [
                *[False] * (order - 1),
                True,
            ]


def test_generator_and_order_are_those_of_the_specification() -> None:
    assert GENERATOR.encoded == edwards.encode(edwards.GENERATOR)
    assert ORDER == edwards.Q


@repeatable
@given(scalars, scalars)
def test_the_arithmetic_is_that_of_the_textbook(one: int, other: int) -> None:
    ours = GENERATOR.times(one)
    textbook = edwards.times(edwards.GENERATOR, one)
    assert ours.encoded == edwards.encode(textbook)
    assert edwards.decode(ours.encoded) == textbook
    product = edwards.encode(edwards.times(textbook, other))
    assert ours.times(other).encoded == ours.times_public(other).encoded == product
    generator = edwards.GENERATOR
    assert (ours + GENERATOR).encoded == edwards.encode(edwards.add(textbook, generator))
    assert (ours - GENERATOR).encoded == edwards.encode(edwards.add(textbook, edwards.negative(generator)))


@pytest.mark.parametrize("scalar", [0, 1, 2, 3, 4, 255, 256, ORDER - 1, ORDER, ORDER + 1, 2**448, 2**456 - 1])
def test_scalars_at_the_edges(scalar: int) -> None:
    expected = edwards.encode(edwards.times(edwards.GENERATOR, scalar))
    assert GENERATOR.times(scalar).encoded == GENERATOR.times_public(scalar).encoded == expected
    assert GENERATOR.times(scalar).is_identity is (scalar % ORDER == 0)


def test_the_identity_is_neutral() -> None:
    identity, point = GENERATOR - GENERATOR, GENERATOR.times(5)
    assert identity.is_identity
    assert identity.encoded == edwards.encode(edwards.IDENTITY)
    assert identity + point == point + identity == point - identity == point
    assert (identity + identity).is_identity
    assert identity.times(5).is_identity
    assert not point.is_identity


def test_points_are_equal_by_value() -> None:
    point = GENERATOR.times(7)
    assert point == Point.decode(point.encoded)
    assert hash(point) == hash(Point.decode(point.encoded))
    assert point != GENERATOR.times(8)
    assert point != point.encoded
    assert point.encoded.hex() in repr(point)


def test_a_sum_does_not_change_what_is_added() -> None:
    point = GENERATOR.times(7)
    for _ in range(2):
        assert (point + GENERATOR).encoded == GENERATOR.times(8).encoded
        assert (point - GENERATOR).encoded == GENERATOR.times(6).encoded
        assert point.times(3) == point.times_public(3) == GENERATOR.times(21)
    assert point == GENERATOR.times(7)


def test_a_secret_scalar_is_not_treated_as_a_public_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """What multiplies in time that depends on the scalar is only for numbers created as public."""
    treated: list[bool] = []
    multiply = ed448._multiply

    def watched(point: EccPoint, scalar: Integer) -> EccPoint:
        treated.append(scalar._public)
        return multiply(point, scalar)

    monkeypatch.setattr(ed448, "_multiply", watched)
    point = GENERATOR.times(5)
    pair = KeyPair.generate(seeded("secret"))
    pair.shared_secret(point)
    assert treated == [False] * 3
    point.times_public(5)
    assert treated == [False] * 3 + [True]


# ---- what is no legal public value


@repeatable
@given(scalars)
def test_points_of_the_group_are_read(scalar: int) -> None:
    point = GENERATOR.times(scalar)
    assert Point.decode(point.encoded) == point
    assert Point.decode(point.encoded).encoded == point.encoded


def refused(encoded: bytes) -> bool:
    try:
        Point.decode(encoded)
    except ValueError:
        return True
    return False


@pytest.mark.parametrize("order", edwards.SMALL_ORDER)
def test_points_of_small_order_are_refused(order: int) -> None:
    for point in edwards.SMALL_ORDER[order]:
        assert refused(edwards.encode(point))


@pytest.mark.parametrize("scalar", range(1, 25))
def test_points_with_a_part_of_small_order_are_refused(scalar: int) -> None:
    """They lie on the curve, and three of four points do not lie in the group."""
    point = edwards.decode(GENERATOR.times(scalar).encoded)
    assert not refused(edwards.encode(point))
    for small in (*edwards.SMALL_ORDER[2], *edwards.SMALL_ORDER[4]):
        mixed = edwards.add(point, small)
        assert edwards.is_on_curve(mixed)
        assert refused(edwards.encode(mixed))


def small_y() -> Iterator[edwards.Point]:
    """Points of the group whose y is so small that y + p still fits into the encoding."""
    for y in range(2, 100):
        x = edwards.x_of(y)
        if x is not None and not refused(edwards.encode((x, y))):
            yield x, y


def test_numbers_that_are_right_modulo_p_only_are_refused() -> None:
    points = list(small_y())
    assert points
    for x, y in points:
        for sign in (x & 1, 1 - x & 1):
            assert not refused(edwards.encode_fields(y, sign))
            assert refused(edwards.encode_fields(y + edwards.P, sign))


def test_bits_that_the_encoding_leaves_empty_are_refused() -> None:
    encoded = GENERATOR.encoded
    for bit in range(448, 455):
        number = int.from_bytes(encoded, "little") | 1 << bit
        assert refused(number.to_bytes(57, "little"))


def test_a_sign_of_nothing_is_refused() -> None:
    """RFC 8032, 5.2.3: x = 0 with the sign bit set; and y = p and p - 1 with either."""
    for y in (0, 1, edwards.P - 1, edwards.P, edwards.P + 1, 2**448 - 1):
        for sign in (0, 1):
            assert refused(edwards.encode_fields(y, sign))


def test_points_that_are_not_on_the_curve_are_refused() -> None:
    off = [y for y in range(2, 60) if edwards.x_of(y) is None]
    assert len(off) > 15
    for y in off:
        for sign in (0, 1):
            assert refused(edwards.encode_fields(y, sign))


@pytest.mark.parametrize("size", [0, 1, 32, 56, 58, 114])
def test_points_of_other_lengths_are_refused(size: int) -> None:
    assert refused((GENERATOR.encoded * 2)[:size])


@pytest.mark.parametrize("number", [0, 1, 2**440, ORDER - 1])
def test_scalars_are_little_endian(number: int) -> None:
    encoded = ed448.encode_scalar(number)
    assert encoded == number.to_bytes(57, "little")
    assert ed448.decode_scalar(encoded) == number


@pytest.mark.parametrize("number", [ORDER, ORDER + 1, 2 * ORDER, 2**446, 2**456 - 1])
def test_scalars_that_are_not_below_the_order_are_refused(number: int) -> None:
    with pytest.raises(ValueError):
        ed448.decode_scalar(number.to_bytes(57, "little"))


@pytest.mark.parametrize("number", [0, ORDER - 1, ORDER, ORDER + 1, 2**456 - 1])
def test_what_a_hash_stands_for_is_read_modulo_the_order(number: int) -> None:
    assert ed448.reduced(number.to_bytes(57, "little")) == number % edwards.Q
