"""Numbers at the ends of their ranges, in live conversations: nothing changes, and little is said or kept.

What is illegal for SMP is in tests/smp/test_refused.py, what the DSA code refuses by
itself in tests/crypto/test_dsa.py, and counters and key ids in test_refused.py here.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace

import pytest

from otrcore.crypto.modp import PRIME
from otrcore.events import (
    NoCommonVersion,
    PeerComplained,
    Received,
    Rejected,
    SessionEnded,
    SessionOpened,
    Transmit,
)
from otrcore.model import DsaPublicKey, MessageState, Protection
from otrcore.v3.ake import AwaitingSignature
from otrcore.wire.fragment import MAX_PIECES
from otrcore.wire.header import MessageType, parse_header
from otrcore.wire.keys import serialise_public_key
from otrcore.wire.messages3 import DhKey
from tests.pair import TAGS, Pair, identity
from tests.robustness.hostile import assert_little_is_said, recoded, state_of
from tests.robustness.rogue import Rogue
from tests.robustness.scenes import (
    ENCRYPTED,
    PEER,
    SUBJECT,
    VERSIONS,
    allow_both,
    channel_of,
    each_encrypted,
    each_version,
    exchange_of,
    message_of,
    play,
    raw_of,
)
from tests.spec.subject import US, Subject

LENGTHS = [0, 1, 2**31, 2**32 - 1]
WITH_A_MESSAGE = [
    "query sent",
    "awaiting D-H Key",
    "awaiting Reveal Signature",
    "awaiting Signature",
    "yielded",
    *ENCRYPTED,
]
CTR, MAC = 8, 20


def length_fields(raw: bytes) -> Iterator[int]:
    """Return where the length fields of a whole encoded message are."""
    header = parse_header(raw)
    at = header.length
    fields = {
        MessageType.DH_COMMIT: "dd",
        MessageType.DH_KEY: "d",
        MessageType.REVEAL_SIGNATURE: "dd",
        MessageType.SIGNATURE: "d",
        MessageType.DATA: "fdcdmd",
    }[header.type]
    for field in fields:
        if field == "d":
            yield at
            at += 4 + int.from_bytes(raw[at : at + 4], "big")
        else:
            at += {"f": 1 + 4 + 4, "c": CTR, "m": MAC}[field]


def refused(pair: Pair, line: str) -> None:
    """Hand a line to the subject, and be sure that it led to one refusal and nothing else."""
    talk = pair.talks[SUBJECT]
    before = state_of(talk, line)
    events = talk.receive(line)
    assert [type(event) for event in events if not isinstance(event, Transmit)] == [Rejected]
    assert_little_is_said(events)
    sent = [line for event in events if isinstance(event, Transmit) for line in event.lines]
    assert all(line.startswith("?OTR Error:") for line in sent)
    assert state_of(talk, line) == before


@each_version
@pytest.mark.parametrize("name", WITH_A_MESSAGE)
def test_length_fields_that_lie(name: str, version: int) -> None:
    pair = play(name, version)
    line = pair.on_the_way[SUBJECT][0]
    raw = raw_of(line)
    found = list(length_fields(raw))
    assert found
    for at in found:
        for length in LENGTHS:
            if raw[at : at + 4] != length.to_bytes(4, "big"):
                refused(pair, recoded(line, at, at + 4, length.to_bytes(4, "big")))


def test_every_kind_of_message_has_lied() -> None:
    kinds = {message_of(play(name).on_the_way[SUBJECT][0]).header.type for name in WITH_A_MESSAGE}
    assert kinds == {0x02, 0x03, 0x0A, 0x11, 0x12}


def test_nothing_is_reserved_on_a_peers_word() -> None:
    pair = play("encrypted, keys rotated")
    line = pair.on_the_way[SUBJECT][0]
    huge = [recoded(line, at, at + 4, b"\xff" * 4) for at in length_fields(raw_of(line))]
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        for _ in range(20):
            for damaged in huge:
                pair.talks[SUBJECT].receive(damaged)
        assert tracemalloc.get_traced_memory()[1] - before < 1_000_000
    finally:
        tracemalloc.stop()


# ---- keys and signatures of the exchange

P, Q, G, Y = (getattr(identity("rogue").dsa.public, name) for name in "pqgy")
ILLEGAL_KEYS = {
    "p of 0": DsaPublicKey(0, Q, G, Y),
    "p of 1": DsaPublicKey(1, Q, G, Y),
    "q of 0": DsaPublicKey(P, 0, G, Y),
    "q of 1": DsaPublicKey(P, 1, G, Y),
    "q too long": DsaPublicKey(P, 2**255 + 95, G, Y),
    "q is p": DsaPublicKey(P, P, G, Y),
    "q even": DsaPublicKey(P, Q - 1, G, Y),
    "g of 0": DsaPublicKey(P, Q, 0, Y),
    "g of 1": DsaPublicKey(P, Q, 1, Y),
    "g is p - 1": DsaPublicKey(P, Q, P - 1, Y),
    "g is p": DsaPublicKey(P, Q, P, Y),
    "y of 0": DsaPublicKey(P, Q, G, 0),
    "y of 1": DsaPublicKey(P, Q, G, 1),
    "y is p - 1": DsaPublicKey(P, Q, G, P - 1),
    "y is p": DsaPublicKey(P, Q, G, P),
    "y is 2p": DsaPublicKey(P, Q, G, 2 * P),
    "the group of the D-H exchange": DsaPublicKey(PRIME, Q, 2, Y),
    "p of 40,000 bits": DsaPublicKey(2**39_999 + 1, Q, G, Y),
}


def halves(r: int, s: int) -> bytes:
    return r.to_bytes(20, "big") + s.to_bytes(20, "big")


SIGNATURES = {
    "r of 0": halves(0, 5),
    "s of 0": halves(5, 0),
    "both of 0": halves(0, 0),
    "r is q": halves(Q, 5),
    "s is q": halves(5, Q),
    "both are q": halves(Q, Q),
    "r of 160 ones": halves(2**160 - 1, 5),
    "s of 160 ones": halves(5, 2**160 - 1),
}


def both_ways(rogue: Rogue) -> None:
    """Let the rogue speak as initiator and as responder; it is refused both times."""
    pair = Pair(version=rogue.version, seed="rogue")
    (transmit, *_) = pair.talks[SUBJECT].receive(rogue.commit())
    assert isinstance(transmit, Transmit)
    key = message_of(transmit.lines[0])
    assert isinstance(key, DhKey)
    refused(pair, rogue.reveal(key.gy))

    pair = Pair(version=rogue.version, seed="rogue")
    pair.talks[SUBJECT].receive(f"?OTRv{rogue.version}?")
    pair.talks[SUBJECT].receive(rogue.dh_key())
    exchange = exchange_of(pair.talks[SUBJECT])
    assert exchange is not None
    assert isinstance(exchange.state, AwaitingSignature)
    refused(pair, rogue.sign(exchange.state.commit.keys.public))


@each_version
@pytest.mark.parametrize("key", ILLEGAL_KEYS.values(), ids=ILLEGAL_KEYS)
def test_foreign_dsa_parameters(key: DsaPublicKey, version: int) -> None:
    both_ways(Rogue(public_key=serialise_public_key(key), version=version))
    both_ways(Rogue(public_key=serialise_public_key(key), signature=halves(1, 1), version=version))


@each_version
@pytest.mark.parametrize("signature", SIGNATURES.values(), ids=SIGNATURES)
def test_signature_halves_at_the_ends_of_their_range(signature: bytes, version: int) -> None:
    both_ways(Rogue(signature=signature, version=version))


@each_version
@pytest.mark.parametrize("length", LENGTHS)
def test_length_fields_of_a_public_key_that_lie(length: int, version: int) -> None:
    raw = serialise_public_key(identity("rogue").dsa.public)
    at = 2
    for _ in range(4):
        both_ways(Rogue(public_key=raw[:at] + length.to_bytes(4, "big") + raw[at + 4 :], version=version))
        at += 4 + int.from_bytes(raw[at : at + 4], "big")
    assert at == len(raw)


# ---- records


@each_version
@pytest.mark.parametrize("length", [0, 1, 0x7FFF, 0x8000, 0xFFFF])
@pytest.mark.parametrize("kind", range(10))
def test_lengths_of_records_that_lie(kind: int, length: int, version: int) -> None:
    """One that is longer than what follows is not read; one at most is told."""
    subject = Subject(version=version).encrypted()
    record = kind.to_bytes(2, "big") + length.to_bytes(2, "big") + b"xyz"
    raw = subject.peer.data_message(US, subject.public(1), b"text\0" + record)
    received, *others = subject.take(raw)
    assert received == Received("text", Protection.ENCRYPTED)
    told = [event for event in others if not isinstance(event, Transmit)]
    assert len(told) <= (length <= len(b"xyz"))
    assert len(others) - len(told) <= 1
    # The disconnect is one whatever it carries.
    ended = kind == 1 and length <= len(b"xyz")
    assert subject.talk.state is (MessageState.FINISHED if ended else MessageState.ENCRYPTED)


# ---- fragments


@each_version
def test_a_message_in_as_many_fragments_as_there_may_be(version: int) -> None:
    pair = Pair(version=version)
    head = "?OTR" if version == 2 else f"?OTR|{TAGS[PEER]:x}|{TAGS[SUBJECT]:x}"
    talk = pair.talks[SUBJECT]
    for k in range(1, MAX_PIECES):
        assert talk.receive(f"{head},{k},{MAX_PIECES},x,") == []
    events = talk.receive(f"{head},{MAX_PIECES},{MAX_PIECES},x,")
    assert events == [Received("x" * MAX_PIECES, Protection.PLAIN)]
    assert talk.idle


@each_version
def test_counts_of_fragments_beyond_their_range(version: int) -> None:
    pair = play("encrypted, keys rotated", version)
    head = "?OTR" if version == 2 else f"?OTR|{TAGS[PEER]:x}|{TAGS[SUBJECT]:x}"
    for numbers in ("0,0", "0,1", "2,1", "65536,65536", "65537,65537", "1,65536", "4294967297,4294967297"):
        refused(pair, f"{head},{numbers},hello,")


# ---- texts


@each_encrypted
def test_error_texts_that_hold_queries(name: str, version: int) -> None:
    pair = play(name, version)
    talk = pair.talks[SUBJECT]
    info, starting = talk.info, talk.starting
    for inside in ("?OTRv23?", "?OTR?v23? ?OTRv3?", "?OTRv2? " * 100):
        events = talk.receive(f"?OTR Error: {inside}")
        assert [type(event) for event in events] == [PeerComplained]
    assert (talk.info, talk.starting) == (info, starting)


@each_encrypted
@pytest.mark.parametrize("both", [True, False])
def test_a_query_of_the_other_version_in_a_session(name: str, version: int, both: bool) -> None:
    """It may begin an exchange beside the session, where policy allows a better version; not less."""
    pair = play(name, version)
    if both:
        allow_both(pair)
    talk = pair.talks[SUBJECT]
    session = talk._instances.session()
    before = repr(state_of(talk, "")), talk.info
    channel = channel_of(talk)
    other = VERSIONS[version == 2]
    for query in (f"?OTRv{other}?", f"so: ?OTRv{other}? please", f"?OTR?v{other}?"):
        events = talk.receive(query)
        assert not [event for event in events if isinstance(event, SessionOpened | SessionEnded)]
        told = [event for event in events if isinstance(event, Rejected | NoCommonVersion)]
        assert len(told) == (0 if both and other > version else 1)
    assert talk._instances.session() is session
    assert channel_of(talk) is channel
    assert talk.info == before[1]
    if not both or other < version:
        assert repr(state_of(talk, "")) == before[0]
    (sent, *_) = talk.send("still in the same version")
    assert isinstance(sent, Transmit)
    assert message_of(sent.lines[0]).header.version == version


def test_a_rogue_of_either_version_is_understood_when_it_is_right() -> None:
    """Without this the tests above could pass for a wrong reason."""
    for version in VERSIONS:
        rogue = replace(Rogue(), version=version)
        pair = Pair(version=version, seed="rogue")
        (transmit, *_) = pair.talks[SUBJECT].receive(rogue.commit())
        assert isinstance(transmit, Transmit)
        key = message_of(transmit.lines[0])
        assert isinstance(key, DhKey)
        opened = pair.talks[SUBJECT].receive(rogue.reveal(key.gy))
        assert any(isinstance(event, SessionOpened) for event in opened)
