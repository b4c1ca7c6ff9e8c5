"""Ring signatures: those of otr4j byte for byte, any member can sign, and nobody else."""

from __future__ import annotations

import pytest

from otrcore.crypto import ed448, ring
from otrcore.crypto.ed448 import ENCODED_BYTES, GENERATOR, ORDER, KeyPair, Point
from otrcore.crypto.random import Purpose, Random
from otrcore.crypto.ring import SIGNATURE_BYTES, Ring
from otrcore.wire.messages4 import AuthI, AuthR
from tests.crypto import edwards
from tests.pair import Seeded, seeded
from tests.v4.recorded import exchanged
from tests.wire import recorded4

PAIRS = [KeyPair.generate(seeded(name)) for name in ("one", "two", "three", "stranger")]
RING: Ring = (PAIRS[0].public, PAIRS[1].public, PAIRS[2].public)
MESSAGE = b"what was agreed on"
MEMBERS = pytest.mark.parametrize("member", range(3))


def recorded(who: str, name: str) -> list[bytes]:
    """What a side of the recorded conversation drew, in its order."""
    return [
        bytes.fromhex(event["hex"])
        for event in recorded4.events("trace")
        if event["ev"] == "secret" and event["name"] == name and event["who"] == who
    ]


def replayed(draws: list[bytes]) -> Random:
    """Randomness that gives these, one after another, for ring signatures only."""
    left = iter(draws)

    def random(purpose: Purpose, count: int) -> bytes:
        drawn = recorded4.for_number(next(left))
        assert (purpose, count) == ("ring", len(drawn))
        return drawn

    return random


def key_of(who: str, name: str) -> Point:
    return Point.decode(bytes.fromhex(recorded4.vectors()["identity"][who][f"{name}_pub"]))


def ephemeral(who: str) -> Point:
    """X or Y, by what was drawn for it."""
    return KeyPair.of(ed448.secret_scalar(recorded(who, "ecdh_r")[0])).public


def signing_pair(who: str) -> KeyPair:
    return ed448.SigningKey(bytes.fromhex(recorded4.vectors()["identity"][who]["lt_sym"])).pair


@pytest.mark.parametrize("message", ["Auth-R", "Auth-I"])
def test_recorded_signatures_byte_for_byte(message: str) -> None:
    """Auth-R is signed by Alice among F_b, H_a and Y, Auth-I by Bob among H_b, F_a and X."""
    dake = recorded4.vectors()["dake"]
    members: Ring
    if message == "Auth-R":
        who, what = "alice", bytes.fromhex(dake["tR"])
        members = key_of("bob", "forging"), key_of("alice", "lt"), ephemeral("bob")
    else:
        who, what = "bob", bytes.fromhex(dake["tI"])
        members = key_of("bob", "lt"), key_of("alice", "forging"), ephemeral("alice")
    signature = ring.sign(replayed(recorded(who, "zq_random")[:7]), signing_pair(who), members, what)
    sent = recorded4.messages("trace")[1 if message == "Auth-R" else 2]
    assert sent.count(signature) == 1
    assert ring.verify(members, what, signature)
    assert not ring.verify(members, what + b"\0", signature)


def numbers_of(signature: bytes) -> list[int]:
    """c1, r1, c2, r2, c3, r3."""
    assert len(signature) == 6 * 57
    return [int.from_bytes(signature[at : at + 57], "little") for at in range(0, 6 * 57, 57)]


SIGNATURES_OF_EACH = 20


def test_no_number_shows_who_has_signed() -> None:
    """Decoys and the signer's own numbers are inside and outside of what pruning leaves alike."""
    for member, pair in enumerate(PAIRS[:3]):
        source = Seeded(member)
        inside = [
            [
                edwards.comes_of_pruning(number)
                for number in numbers_of(ring.sign(source, pair, RING, MESSAGE))
            ]
            for _ in range(SIGNATURES_OF_EACH)
        ]
        for place, kinds in enumerate(zip(*inside, strict=True)):
            assert 3 < sum(kinds) < SIGNATURES_OF_EACH - 3, (member, place)


@pytest.mark.parametrize("name", recorded4.CONVERSATIONS)
def test_recorded_signatures_show_who_has_signed(name: str) -> None:
    """otr4j prunes: what the test above looks for is there, and its numbers are below q all the same."""
    sent = [message for _, message in exchanged(name) if isinstance(message, AuthR | AuthI)]
    assert [type(message) for message in sent] == [AuthR, AuthI]
    # H_a signs in the second place of Auth-R, H_b in the first of Auth-I.
    for message, signer in zip(sent, (1, 0), strict=True):
        numbers = numbers_of(message.sigma)
        assert max(numbers) < edwards.Q
        decoys = [number for at, number in enumerate(numbers) if at // 2 != signer]
        assert len(decoys) == 4
        assert all(map(edwards.comes_of_pruning, decoys))


@MEMBERS
def test_a_number_that_is_not_below_the_order_is_refused(member: int) -> None:
    """Nobody may say the same signature again in other bytes."""
    numbers = numbers_of(ring.sign(seeded(member), PAIRS[member], RING, MESSAGE))
    for place, number in enumerate(numbers):
        for times in (1, 2, (2**456 - 1 - number) // ORDER):
            larger = [*numbers[:place], number + times * ORDER, *numbers[place + 1 :]]
            signature = b"".join(each.to_bytes(57, "little") for each in larger)
            assert not ring.verify(RING, MESSAGE, signature), (place, times)


@MEMBERS
def test_each_member_can_sign(member: int) -> None:
    signature = ring.sign(seeded(member), PAIRS[member], RING, MESSAGE)
    assert len(signature) == SIGNATURE_BYTES == 6 * 57
    assert ring.verify(RING, MESSAGE, signature)


@MEMBERS
def test_an_altered_number_is_refused(member: int) -> None:
    signature = ring.sign(seeded(member), PAIRS[member], RING, MESSAGE)
    for number in range(6):
        altered = bytearray(signature)
        altered[number * ENCODED_BYTES] ^= 1
        assert not ring.verify(RING, MESSAGE, bytes(altered)), number


def test_numbers_in_another_order_are_refused() -> None:
    signature = ring.sign(seeded("order"), PAIRS[0], RING, MESSAGE)
    pairs = [signature[at : at + 2 * ENCODED_BYTES] for at in range(0, SIGNATURE_BYTES, 2 * ENCODED_BYTES)]
    assert not ring.verify(RING, MESSAGE, b"".join(pairs[::-1]))
    one, two, three = RING
    for members in ((two, one, three), (one, three, two), (three, two, one), (one, two, GENERATOR)):
        assert not ring.verify(members, MESSAGE, signature)
    assert not ring.verify(RING, MESSAGE[:-1], signature)
    assert not ring.verify(RING, b"", signature)


@pytest.mark.parametrize("signature", [bytes(SIGNATURE_BYTES), b"\xff" * SIGNATURE_BYTES], ids=["0", "ff"])
def test_numbers_out_of_the_air_are_refused(signature: bytes) -> None:
    assert not ring.verify(RING, MESSAGE, signature)


@pytest.mark.parametrize("size", [0, 1, SIGNATURE_BYTES - 1, SIGNATURE_BYTES + 1, 2 * SIGNATURE_BYTES])
def test_other_lengths_are_refused(size: int) -> None:
    signature = ring.sign(seeded("size"), PAIRS[0], RING, MESSAGE)
    assert not ring.verify(RING, MESSAGE, (signature * 2)[:size])


def test_who_is_not_of_the_ring_cannot_sign() -> None:
    with pytest.raises(ValueError):
        ring.sign(seeded("stranger"), PAIRS[3], RING, MESSAGE)
    pretending = KeyPair(PAIRS[3].secret, RING[1])
    assert not ring.verify(RING, MESSAGE, ring.sign(seeded("stranger"), pretending, RING, MESSAGE))


def test_a_ring_in_which_a_key_stands_twice_is_not_signed() -> None:
    with pytest.raises(ValueError):
        ring.sign(seeded("twice"), PAIRS[0], (RING[0], RING[0], RING[2]), MESSAGE)


def test_no_two_signatures_share_a_number() -> None:
    """A nonce that is used twice gives the secret away."""
    source = Seeded("twice")
    numbers = []
    for _ in range(2):
        signature = ring.sign(source, PAIRS[0], RING, MESSAGE)
        numbers += [signature[at : at + ENCODED_BYTES] for at in range(0, SIGNATURE_BYTES, ENCODED_BYTES)]
    assert len(set(numbers)) == 12
    assert len(set(source.drawn["ring"])) == 14
