"""Whole conversations taken apart by somebody who knows only the random bytes and the specification.

Every field of every message is recomputed with plain numbers from what the two sides
drew; nothing of the library helps in it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import pytest

from otrcore.model import SessionInfo
from tests.pair import OTHER, SIDES, TAGS, Pair, Side, seeded
from tests.spec import reading
from tests.spec.reading import PublicKey, data, integer, mpi, number, unpack


@dataclass
class Draws:
    """What one side drew from its randomness."""

    seed: str
    side: Side

    def exponent(self, draw: int) -> int:
        """Its private D-H exponent of this draw; the top of 320 bits is set."""
        source = seeded(f"{self.seed}/{self.side}")
        return int.from_bytes([source("dh", 40) for _ in range(draw + 1)][-1], "big") | 1 << 319

    def r(self) -> bytes:
        """The key that its first Commit is encrypted with."""
        return seeded(f"{self.seed}/{self.side}")("r", 16)


def public_key_of(pair: Pair, side: Side) -> PublicKey:
    key = pair.accounts[side].identity.dsa.public
    return PublicKey(key.p, key.q, key.g, key.y)


each_version = pytest.mark.parametrize("version", [2, 3])


def conversation(version: int, seed: str, starter: Side) -> tuple[Pair, list[tuple[Side, bytes]]]:
    """Run a key exchange; return the four messages with their senders."""
    pair = Pair(version=version, seed=seed)
    pair.start(starter)
    pair.agreed()
    query, *messages = pair.lines
    assert query[0] == starter
    return pair, [(side, reading.raw_of(line)) for side, line in messages]


@each_version
@pytest.mark.parametrize("starter", SIDES)
@pytest.mark.parametrize("seed", ["one", "two", "three"])
def test_every_field_of_the_exchange(version: int, seed: str, starter: Side) -> None:
    pair, messages = conversation(version, seed, starter)
    responder, initiator = starter, OTHER[starter]
    senders = [side for side, _ in messages]
    assert senders == [initiator, responder, initiator, responder]
    commit, key, reveal, signature = [reading.message(raw) for _, raw in messages]
    assert [message.version for message in (commit, key, reveal, signature)] == [version] * 4

    x, y, r = (
        Draws(seed, initiator).exponent(0),
        Draws(seed, responder).exponent(0),
        Draws(seed, initiator).r(),
    )
    gx, gy = reading.public(x), reading.public(y)
    s = reading.power(gy, x)
    assert s == reading.power(gx, y)
    keys = reading.ake_secrets(s)
    tag_i, tag_r = TAGS[initiator], TAGS[responder]

    encrypted_gx, hashed_gx = commit.fields
    assert commit.kind == reading.COMMIT
    assert encrypted_gx == reading.ctr(r, 0, mpi(gx))
    assert hashed_gx == hashlib.sha256(mpi(gx)).digest()

    assert (key.kind, key.fields) == (reading.KEY, (gy,))

    assert reveal.kind == reading.REVEAL
    assert reveal.content(0) == r
    check_signature_part(
        public_key_of(pair, initiator),
        (gx, gy),
        reveal.content(1),
        reveal.content(2),
        keys.m1,
        keys.c,
        keys.m2,
    )

    assert signature.kind == reading.SIGNATURE
    check_signature_part(
        public_key_of(pair, responder),
        (gy, gx),
        signature.content(0),
        signature.content(1),
        keys.m1_prime,
        keys.c_prime,
        keys.m2_prime,
    )

    tags = [message.tags for message in (commit, key, reveal, signature)]
    if version == 2:
        assert tags == [()] * 4
    else:
        assert tags == [(tag_i, 0), (tag_r, tag_i), (tag_i, tag_r), (tag_r, tag_i)]

    for side in SIDES:
        info = pair.talks[side].info
        assert info == SessionInfo(
            version=version,
            ssid=keys.ssid,
            initiator=side == initiator,
            our_fingerprint=pair.accounts[side].identity.fingerprint,
            their_fingerprint=pair.accounts[OTHER[side]].identity.fingerprint,
            their_instance_tag=TAGS[OTHER[side]] if version == 3 else 0,
        )
        assert info.our_fingerprint.digest == public_key_of(pair, side).fingerprint
        ssid = keys.ssid.hex()
        assert info.session_id == f"{ssid[:8]} {ssid[8:]}"


def check_signature_part(
    signer: PublicKey,
    dh_values: tuple[int, int],
    encrypted: bytes,
    mac: bytes,
    m1: bytes,
    c: bytes,
    m2: bytes,
) -> None:
    """Check X: PUBKEY, key id and signature, encrypted with counter 0, and the MAC over all of it."""
    assert mac == reading.sha256_mac(m2, data(encrypted))[:20]
    x = reading.ctr(c, 0, encrypted)
    assert x[:-44] == signer.encoded
    keyid = number(unpack("i", x[-44:-40])[0])
    assert keyid == 1
    own, theirs = dh_values
    m = reading.sha256_mac(m1, mpi(own) + mpi(theirs) + signer.encoded + integer(keyid))
    assert signer.verifies(m, x[-40:])


def test_an_exponent_has_at_least_320_bits() -> None:
    _, messages = conversation(3, "bits", "bob")
    gy = reading.message(messages[1][1]).number(0)
    exponent = Draws("bits", "bob").exponent(0)
    assert exponent.bit_length() == 320
    assert gy == reading.public(exponent)


@each_version
def test_every_data_message_of_a_conversation(version: int) -> None:
    """Nine texts with rotation on the way, both sides' keys known by their key ids alone."""
    seed = "data"
    pair, _ = conversation(version, seed, "bob")
    pair.clear()
    texts: list[tuple[Side, str]] = [
        ("alice", "one"),
        ("alice", "two"),
        ("bob", "three"),
        ("alice", "four"),
        ("bob", "five, with \u00e9\u4e2d\U0001f512"),
        ("bob", ""),
        ("alice", "seven"),
        ("bob", "eight"),
        ("alice", "nine"),
    ]
    for side, text in texts:
        pair.say(side, text)

    counters: dict[tuple[Side, int, int], int] = {}
    for (side, line), (wanted_side, text) in zip(pair.lines, texts, strict=True):
        assert side == wanted_side
        fields = reading.data_fields(reading.raw_of(line))
        assert fields.version == version
        assert fields.tags == ((TAGS[side], TAGS[OTHER[side]]) if version == 3 else ())
        assert fields.flags == 0
        # The first draw went into the exchange as key 1, the next is key 2, and so on.
        own = Draws(seed, side).exponent(fields.sender_keyid - 1)
        theirs = reading.public(Draws(seed, OTHER[side]).exponent(fields.recipient_keyid - 1))
        assert fields.next_dh == reading.public(Draws(seed, side).exponent(fields.sender_keyid))
        keys = reading.data_keys(own, theirs)
        assert fields.mac == reading.sha1_mac(keys.sending_mac, fields.ta)
        assert reading.ctr(keys.sending_aes, fields.ctr, fields.encrypted) == text.encode() + b"\0"
        names = side, fields.sender_keyid, fields.recipient_keyid
        counters[names] = counters.get(names, 0) + 1
        assert fields.ctr == counters[names]
    assert max(counters.values()) > 1
    assert len(counters) > 5
