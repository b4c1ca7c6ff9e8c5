"""What does not verify is ignored and changes nothing: the exchange can still be finished afterwards.

The specification's prose sets authstate to NONE "regardless of whether the signature
verifications succeed"; its table says "otherwise, ignore the message".  We keep to the
table, since the prose would let anybody stop an exchange with one line.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from otrcore.errors import PeerError, Reason
from otrcore.v3.ake import Ake
from otrcore.wire.header import parse_header
from tests.pair import identity, seeded
from tests.snapshot import snapshot
from tests.spec import reading
from tests.spec.reading import P, data, integer, mpi, short
from tests.spec.scripted import Forgery, R, ScriptedPeer, exponents

US, THEM = 0x1000, 0x2000
NOW = 100.0
X = exponents()[-1]
PEER = ScriptedPeer(THEM, X)
"""The peer of version 3; that of version 2 has the same keys."""
STRANGER = reading.private_key("stranger")

ILLEGAL = {"0": (0, 0), "1": (1, 1), "p-1": (P - 1, 1), "p": (P, 0), "p+1": (P + 1, 1), "2p": (2 * P, 0)}
"""Values outside 2..p-2, each with a shared secret that it may lead to."""

GOOD = PEER.dsa.public
WRONG_PARTS: dict[str, tuple[Forgery, Reason]] = {
    "the MAC is wrong": (Forgery(mac=bytes(20)), Reason.UNVERIFIED),
    "the MAC leaves the length out": (Forgery(mac_without_length=True), Reason.UNVERIFIED),
    "made with the keys of the other role": (Forgery(keys_of_the_other_role=True), Reason.UNVERIFIED),
    "another key id was signed": (Forgery(keyid=1, shown_keyid=2), Reason.UNVERIFIED),
    "another public key was signed": (Forgery(shown_pubkey=STRANGER.public.encoded), Reason.UNVERIFIED),
    "one D-H value signed twice": (Forgery(dh_values=(PEER.public, PEER.public)), Reason.UNVERIFIED),
    "no D-H value signed": (Forgery(dh_values=()), Reason.UNVERIFIED),
    "a signature of zeros": (Forgery(signature=bytes(40)), Reason.UNVERIFIED),
    "a signature with r and s above q": (Forgery(signature=b"\xff" * 40), Reason.UNVERIFIED),
    "a signature of somebody else": (
        Forgery(signature=STRANGER.sign(b"something else entirely, 32 bytes")),
        Reason.UNVERIFIED,
    ),
    "key id 0": (Forgery(keyid=0), Reason.MALFORMED),
    "a byte behind the signature": (Forgery(tail=b"\0"), Reason.MALFORMED),
    "a signature of 39 bytes": (Forgery(cut=1), Reason.MALFORMED),
    "nothing at all inside": (Forgery(cut=10_000), Reason.MALFORMED),
    "a public key of type 1": (Forgery(pubkey=short(1) + GOOD.encoded[2:]), Reason.MALFORMED),
    "a public key with a leading zero in y": (
        Forgery(
            pubkey=short(0)
            + mpi(GOOD.p)
            + mpi(GOOD.q)
            + mpi(GOOD.g)
            + data(b"\0" + GOOD.y.to_bytes((GOOD.y.bit_length() + 7) // 8, "big"))
        ),
        Reason.MALFORMED,
    ),
    "a public key whose y is 1": (
        Forgery(pubkey=reading.PublicKey(GOOD.p, GOOD.q, GOOD.g, 1).encoded),
        Reason.UNVERIFIED,
    ),
    "a public key whose q is short": (
        Forgery(pubkey=reading.PublicKey(GOOD.p, GOOD.q >> 8, GOOD.g, GOOD.y).encoded),
        Reason.UNVERIFIED,
    ),
    "a public key of huge length": (
        Forgery(pubkey=short(0) + integer(2**32 - 1) + GOOD.encoded[6:]),
        Reason.MALFORMED,
    ),
}


def our_exponents() -> Iterator[int]:
    """The private exponents that ours draws, one after the other; it sets their top bit."""
    draw = seeded("refusals")
    while True:
        yield int.from_bytes(draw("dh", 40), "big") | 1 << 319


@pytest.fixture(params=[2, 3], ids=["version 2", "version 3"])
def peer(request: pytest.FixtureRequest) -> ScriptedPeer:
    """The peer, in either version."""
    return replace(PEER, version=request.param)


def new(peer: ScriptedPeer) -> Ake:
    return Ake(peer.version, identity("alice"), US, seeded("refusals"))


def receive(ake: Ake, raw: bytes) -> bytes | None:
    """Hand a message over; return the reply."""
    outcome = ake.receive(raw, parse_header(raw), NOW)
    return outcome.replies[0] if outcome.replies else None


def refuse(ake: Ake, raw: bytes) -> Reason:
    """Hand a message over that must be refused, with nothing changed."""
    before = snapshot(ake)
    with pytest.raises(PeerError) as refused:
        receive(ake, raw)
    assert snapshot(ake) == before
    return refused.value.reason


def awaiting_revealsig(peer: ScriptedPeer, commit: bytes | None = None) -> tuple[Ake, int]:
    """Return an exchange that answered a Commit of the peer, and the value it answered with."""
    ake = new(peer)
    reply = receive(ake, peer.commit() if commit is None else commit)
    assert reply is not None
    return ake, reading.message(reply).number(0)


def awaiting_sig(peer: ScriptedPeer) -> tuple[Ake, int]:
    """Return an exchange that has revealed its Commit to the peer, and the value in that."""
    ake = new(peer)
    (commit,) = ake.start(NOW).replies
    reveal = receive(ake, peer.key(US))
    assert reveal is not None
    return ake, reading.opened(commit, reveal)


def finish_as_responder(peer: ScriptedPeer, ake: Ake, gy: int) -> None:
    reply = receive(ake, peer.reveal(US, gy))
    assert reply is not None
    assert reply[2] == reading.SIGNATURE
    assert not ake.running


@pytest.mark.parametrize("what", WRONG_PARTS)
def test_a_wrong_reveal_signature(peer: ScriptedPeer, what: str) -> None:
    forgery, reason = WRONG_PARTS[what]
    ake, gy = awaiting_revealsig(peer)
    assert refuse(ake, peer.reveal(US, gy, wrong=forgery)) is reason
    finish_as_responder(peer, ake, gy)


@pytest.mark.parametrize("what", WRONG_PARTS)
def test_a_wrong_signature(peer: ScriptedPeer, what: str) -> None:
    forgery, reason = WRONG_PARTS[what]
    ake, gx = awaiting_sig(peer)
    assert refuse(ake, peer.signature(US, gx, wrong=forgery)) is reason
    right = peer.signature(US, gx)
    assert ake.receive(right, parse_header(right), NOW).channel is not None
    assert not ake.running


def test_the_signers_own_value_is_signed_first(peer: ScriptedPeer) -> None:
    ake, gy = awaiting_revealsig(peer)
    swapped = Forgery(dh_values=(gy, peer.public))
    assert refuse(ake, peer.reveal(US, gy, wrong=swapped)) is Reason.UNVERIFIED
    ake, gx = awaiting_sig(peer)
    swapped = Forgery(dh_values=(gx, peer.public))
    assert refuse(ake, peer.signature(US, gx, wrong=swapped)) is Reason.UNVERIFIED


@pytest.mark.parametrize(
    ("r", "reason"),
    [
        (bytes(16), Reason.UNVERIFIED),
        (R[:15], Reason.MALFORMED),
        (R + b"\0", Reason.MALFORMED),
        (b"", Reason.MALFORMED),
    ],
    ids=["another", "short", "long", "empty"],
)
def test_a_wrong_r(peer: ScriptedPeer, r: bytes, reason: Reason) -> None:
    ake, gy = awaiting_revealsig(peer)
    assert refuse(ake, peer.reveal(US, gy, r=r)) is reason
    finish_as_responder(peer, ake, gy)


def test_the_revealed_value_is_not_the_committed_one(peer: ScriptedPeer) -> None:
    ake, gy = awaiting_revealsig(peer, peer.commit(hashed=bytes(32)))
    assert refuse(ake, peer.reveal(US, gy)) is Reason.UNVERIFIED


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_commit_whose_hash_has_another_length(peer: ScriptedPeer, length: int) -> None:
    assert refuse(new(peer), peer.commit(hashed=bytes(length))) is Reason.MALFORMED


@pytest.mark.parametrize("gx", ILLEGAL)
def test_an_illegal_gx(peer: ScriptedPeer, gx: str) -> None:
    peer = replace(peer, forced=ILLEGAL[gx])
    ake, gy = awaiting_revealsig(peer)
    assert refuse(ake, peer.reveal(US, gy)) is Reason.UNVERIFIED


@pytest.mark.parametrize("gy", ILLEGAL)
def test_an_illegal_gy(peer: ScriptedPeer, gy: str) -> None:
    ake = new(peer)
    ake.start(NOW)
    assert refuse(ake, peer.key(US, gy=ILLEGAL[gy][0])) is Reason.UNVERIFIED
    assert receive(ake, peer.key(US)) is not None


NO_MPI = {
    "a leading zero": data(b"\0" + PEER.public.to_bytes(192, "big")),
    "a byte behind it": mpi(PEER.public) + b"\0",
    "nothing": b"",
}


@pytest.mark.parametrize("gx_mpi", NO_MPI.values(), ids=NO_MPI)
def test_a_committed_value_that_is_no_mpi(peer: ScriptedPeer, gx_mpi: bytes) -> None:
    ake, gy = awaiting_revealsig(peer, peer.commit(gx_mpi=gx_mpi))
    assert refuse(ake, peer.reveal(US, gy)) is Reason.MALFORMED


def test_the_smallest_and_largest_legal_values_pass(peer: ScriptedPeer) -> None:
    for value in (2, P - 2):
        ake = new(peer)
        ake.start(NOW)
        assert receive(ake, peer.key(US, gy=value)) is not None
    two = replace(peer, exponent=1)
    ake, gy = awaiting_revealsig(peer, two.commit())
    assert receive(ake, two.reveal(US, gy)) is not None
    y = next(our_exponents())
    largest = replace(peer, forced=(P - 2, reading.power(P - 2, y)))
    ake, gy = awaiting_revealsig(peer, largest.commit())
    assert receive(ake, largest.reveal(US, gy)) is not None


def test_our_own_gx_comes_back_as_gy(peer: ScriptedPeer) -> None:
    ake = new(peer)
    ake.start(NOW)
    own = reading.public(next(our_exponents()))
    assert refuse(ake, peer.key(US, gy=own)) is Reason.REFLECTED


def test_our_own_gy_comes_back_as_gx(peer: ScriptedPeer) -> None:
    y = next(our_exponents())
    mirror = replace(peer, exponent=y)
    ake, gy = awaiting_revealsig(peer, mirror.commit())
    assert gy == mirror.public
    assert refuse(ake, mirror.reveal(US, gy)) is Reason.REFLECTED


def test_own_values_of_a_yielded_exchange_come_back(peer: ScriptedPeer) -> None:
    ake = new(peer)
    ake.start(NOW)
    receive(ake, peer.commit())
    draws = our_exponents()
    for own in (next(draws), next(draws)):
        assert refuse(ake, peer.key(US, gy=reading.public(own))) is Reason.REFLECTED
    for illegal, _ in ILLEGAL.values():
        assert refuse(ake, peer.key(US, gy=illegal)) is Reason.UNVERIFIED


def messages_in_their_states(peer: ScriptedPeer) -> Iterator[tuple[str, Ake, bytes]]:
    """Each message of the exchange with an exchange that would take it."""
    yield "Commit", new(peer), peer.commit()
    ake = new(peer)
    ake.start(NOW)
    yield "Key", ake, peer.key(US)
    ake, gy = awaiting_revealsig(peer)
    yield "Reveal Signature", ake, peer.reveal(US, gy)
    ake, gx = awaiting_sig(peer)
    yield "Signature", ake, peer.signature(US, gx)


@pytest.mark.parametrize("kind", ["Commit", "Key", "Reveal Signature", "Signature"])
def test_cut_short_or_with_bytes_behind_it(peer: ScriptedPeer, kind: str) -> None:
    ake, raw = next((ake, raw) for name, ake, raw in messages_in_their_states(peer) if name == kind)
    for length in range(reading.header_length(peer.version), len(raw)):
        assert refuse(ake, raw[:length]) is Reason.MALFORMED
    assert refuse(ake, raw + b"\0") is Reason.MALFORMED
    receive(ake, raw)


@pytest.mark.parametrize("kind", ["Reveal Signature", "Signature"])
def test_any_bit_behind_the_header_matters(peer: ScriptedPeer, kind: str) -> None:
    ake, raw = next((ake, raw) for name, ake, raw in messages_in_their_states(peer) if name == kind)
    for at in range(reading.header_length(peer.version), len(raw), 7):
        changed = bytearray(raw)
        changed[at] ^= 1 << at % 8
        assert refuse(ake, bytes(changed)) in (Reason.MALFORMED, Reason.UNVERIFIED)
    receive(ake, raw)


@pytest.mark.parametrize("length", [2**31, 2**32 - 1, 2**32 - 4])
@pytest.mark.parametrize("kind", ["Commit", "Key", "Reveal Signature", "Signature"])
def test_lengths_near_the_end_of_their_range(peer: ScriptedPeer, kind: str, length: int) -> None:
    ake, raw = next((ake, raw) for name, ake, raw in messages_in_their_states(peer) if name == kind)
    at = reading.header_length(peer.version)
    assert refuse(ake, raw[:at] + integer(length) + raw[at + 4 :]) is Reason.MALFORMED


def test_a_data_message_is_none_of_its_business(peer: ScriptedPeer) -> None:
    raw = peer.data_message(US, reading.public(3), b"text")
    assert refuse(new(peer), raw) is Reason.MALFORMED
