"""Every class of bad message: the reason that is given, the state left equal, and little said about it."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from otrcore.crypto.modp import PRIME
from otrcore.errors import Reason
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
from otrcore.policy import Policy
from otrcore.session import COMPLAINT_PAUSE
from otrcore.v3.ake import AwaitingDhKey, AwaitingRevealSignature, AwaitingSignature
from otrcore.wire import codec, rejoin
from otrcore.wire import text as wire_text
from otrcore.wire.fragment import MAX_TOTAL, cut
from otrcore.wire.keys import serialise_public_key
from otrcore.wire.messages3 import (
    DataMessage,
    DhCommit,
    DhKey,
    RevealSignature,
    Signature,
)
from tests.pair import TAGS, Pair, identity
from tests.robustness.hostile import assert_little_is_said, edited, flipped, readdressed, recoded, state_of
from tests.robustness.rogue import Rogue
from tests.robustness.scenes import (
    ENCRYPTED,
    EVERYWHERE,
    PEER,
    SCENES,
    SUBJECT,
    VERSIONS,
    each_encrypted,
    each_scene,
    each_version,
    exchange_of,
    message_of,
    play,
    raw_of,
    sent_by,
)
from tests.snapshot import snapshot

WHOLE = [
    "query sent",
    "awaiting D-H Key",
    "awaiting Reveal Signature",
    "awaiting Signature",
    "yielded",
    *ENCRYPTED,
]
"""Scenes in which one whole encoded message is on its way to the subject."""

OTHER_VERSION = {2: 3, 3: 2}

ILLEGAL = [0, 1, PRIME - 1, PRIME, PRIME + 1, 2 * PRIME, 2**40_000]
ILLEGAL_IDS = ["0", "1", "p-1", "p", "p+1", "2p", "huge"]


def refused(pair: Pair, line: str, reason: Reason) -> list[object]:
    """Hand the line over and be sure of the refusal; returns the other events."""
    talk = pair.talks[SUBJECT]
    before = state_of(talk, line)
    events = talk.receive(line)
    rejected = [event for event in events if isinstance(event, Rejected)]
    assert [event.reason for event in rejected] == [reason]
    assert state_of(talk, line) == before
    assert_little_is_said(events)
    return [event for event in events if not isinstance(event, Rejected)]


def good(name: str, version: int = 3) -> tuple[Pair, str]:
    """A scene, and the good line that is on its way."""
    pair = play(name, version)
    return pair, pair.on_the_way[SUBJECT][0]


each_whole = pytest.mark.parametrize(
    ("name", "version"), [(name, version) for version in VERSIONS for name in WHOLE]
)


@each_whole
def test_the_good_message_is_not_refused(name: str, version: int) -> None:
    """Without this the tests below could pass for a wrong reason."""
    pair, line = good(name, version)
    before = state_of(pair.talks[SUBJECT], line)
    assert not [event for event in pair.talks[SUBJECT].receive(line) if isinstance(event, Rejected)]
    assert state_of(pair.talks[SUBJECT], line) != before


@each_whole
def test_truncated(name: str, version: int) -> None:
    pair, line = good(name, version)
    size = len(raw_of(line))
    for length in {*range(40), *range(40, size, 17), *range(size - 30, size)}:
        refused(pair, recoded(line, length, size), Reason.MALFORMED)


@each_whole
def test_with_more_behind_it(name: str, version: int) -> None:
    pair, line = good(name, version)
    size = len(raw_of(line))
    for more in (b"\0", b"\xff" * 100, raw_of(line)):
        refused(pair, recoded(line, size, size, more), Reason.MALFORMED)


@each_whole
def test_cut_off_as_a_line(name: str, version: int) -> None:
    """It waits for its rest, as a server may have cut it, and is refused when that does not come."""
    _, line = good(name, version)
    # Near its end a cut costs at most the final dot, which is tolerated.
    for damaged in (line[:6], line[:30], line[:31], line[: len(line) // 2], line[:-4]):
        pair, _ = good(name, version)
        talk = pair.talks[SUBJECT]
        talk.tick()
        before = state_of(talk, damaged)
        assert talk.receive(damaged) == []
        pair.clock.advance(rejoin.LIFETIME)
        events = talk.tick()
        assert [event.reason for event in events if isinstance(event, Rejected)] == [Reason.MALFORMED]
        assert_little_is_said(events)
        assert state_of(talk, damaged) == before
        assert talk._rejoiner.empty
    pair, line = good(name, version)
    refused(pair, line[:9] + "." + line, Reason.MALFORMED)


@each_whole
@pytest.mark.parametrize("number", [0, 1, "the other", 4, 0x0300, 0xFFFF])
def test_wrong_version(name: str, version: int, number: int | str) -> None:
    pair, line = good(name, version)
    number = OTHER_VERSION[version] if isinstance(number, str) else number
    assert refused(pair, readdressed(line, version=number), Reason.VERSION) == []


@each_whole
@pytest.mark.parametrize("kind", [0x00, 0x01, 0x04, 0x0B, 0x13, 0xFF])
def test_unknown_type(name: str, version: int, kind: int) -> None:
    pair, line = good(name, version)
    assert refused(pair, readdressed(line, type=kind, receiver_tag=TAGS[SUBJECT]), Reason.MALFORMED) == []


@pytest.mark.parametrize("name", WHOLE)
def test_wrong_instance(name: str) -> None:
    pair, line = good(name)
    for tag in (0x100, TAGS[SUBJECT] + 1, TAGS[PEER], 2**32 - 1):
        assert refused(pair, readdressed(line, receiver_tag=tag), Reason.OTHER_INSTANCE) == []
    for tag in (1, 0xFF):
        assert refused(pair, readdressed(line, receiver_tag=tag), Reason.MALFORMED) == []
    for tag in (0, 1, 0xFF):
        assert refused(pair, readdressed(line, sender_tag=tag), Reason.MALFORMED) == []


@pytest.mark.parametrize("name", [name for name in WHOLE if "query sent" not in name])
def test_only_a_commit_may_be_for_anyone(name: str) -> None:
    pair, line = good(name)
    assert refused(pair, readdressed(line, receiver_tag=0), Reason.OTHER_INSTANCE) == []


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("awaiting Reveal Signature", Reason.OUT_OF_TURN),
        ("awaiting Signature", Reason.OUT_OF_TURN),
        ("yielded", Reason.OUT_OF_TURN),
        ("encrypted as initiator", Reason.NO_SESSION),
        ("encrypted, keys rotated", Reason.NO_SESSION),
    ],
)
def test_from_another_instance_than_the_one_spoken_with(name: str, reason: Reason) -> None:
    pair, line = good(name)
    assert refused(pair, readdressed(line, sender_tag=TAGS[PEER] + 1), reason) == []


@each_scene
def test_too_large(name: str, version: int) -> None:
    pair = play(name, version)
    line = "?OTR:" + "A" * MAX_TOTAL + "."
    assert refused(pair, line, Reason.TOO_LARGE) == []
    assert refused(pair, "x" * (MAX_TOTAL + 1), Reason.TOO_LARGE) == []
    assert refused(pair, "?OTR Error: " + "x" * MAX_TOTAL, Reason.TOO_LARGE) == []


@each_scene
def test_unknown_forms(name: str, version: int) -> None:
    pair = play(name, version)
    for line in ("?OTR", "?OTR!", "so ?OTR it is", "?OTR error: ?OTRv3?"):
        refused(pair, line, Reason.UNRECOGNIZED)


@each_scene
def test_queries_without_a_version_of_ours(name: str, version: int) -> None:
    pair = play(name, version)
    talk = pair.talks[SUBJECT]
    other = OTHER_VERSION[version]
    offered = {"?OTR?": {1}, "?OTR?v?": {1}, "?OTRv1?": {1}}
    offered |= {f"?OTRv{other}?": {other}, f"?OTR?v{other}?": {1, other}, f"?OTRv{other}4x?": {other, 4}}
    for line, versions in offered.items():
        before = state_of(talk, line)
        assert talk.receive(line) == [NoCommonVersion(frozenset(versions))]
        assert state_of(talk, line) == before
    assert refused(pair, "?OTRv?", Reason.VERSION) == []
    assert refused(pair, "?OTRvx?", Reason.VERSION) == []


@each_scene
def test_fragments_that_cannot_be(name: str, version: int) -> None:
    pair = play(name, version)
    own, peer = TAGS[SUBJECT], TAGS[PEER]
    for numbers in ("0,0", "0,1", "1,0", "2,1", "65537,65537", "65536,65536", "-1,1", "a,1"):
        for head in (f"?OTR|{peer:x}|{own:x}", "?OTR"):
            assert refused(pair, f"{head},{numbers},piece,", Reason.MALFORMED) == []
    for tags in (
        f"0|{own:x}",
        f"ff|{own:x}",
        f"{peer:x}|1",
        f"{peer:x}|ff",
        f"{peer:x}",
        f"{peer:x}|{own:08x}0",
    ):
        assert refused(pair, f"?OTR|{tags},1,1,piece,", Reason.MALFORMED) == []
    for tags in (f"{peer:x}|100", f"{peer:x}|{peer:x}", f"{peer:x}|ffffffff"):
        assert refused(pair, f"?OTR|{tags},1,1,hello,", Reason.OTHER_INSTANCE) == []


@pytest.mark.parametrize("name", WHOLE)
def test_a_fragment_for_another_instance_disturbs_no_partial_message(name: str) -> None:
    pair, line = good(name)
    expected = [type(event) for event in play(name).talks[SUBJECT].receive(line)]
    header = message_of(line).header
    *first, last = cut(line, 120, header)
    strangers = cut(line, 120, replace(header, receiver_tag=0x100))
    for piece, strange in zip(first, strangers, strict=False):
        assert pair.talks[SUBJECT].receive(piece) == []
        assert refused(pair, strange, Reason.OTHER_INSTANCE) == []
    assert [type(event) for event in pair.talks[SUBJECT].receive(last)] == expected


@each_scene
def test_a_fragment_inside_a_fragment_is_not_looked_into(name: str, version: int) -> None:
    pair = play(name, version)
    own, peer = TAGS[SUBJECT], TAGS[PEER]
    assert refused(pair, "?OTR,1,1,?OTR|1|2;1;1;x;,", Reason.MALFORMED) == []
    for line in (f"?OTR|{peer:x}|{own:x},1,1,?OTR!,", "?OTR,1,1,?OTR,"):
        refused(pair, line, Reason.UNRECOGNIZED)


# --- the key exchange -------------------------------------------------------------------------------------


@each_version
@pytest.mark.parametrize(
    "name", ["awaiting Reveal Signature", "encrypted, awaiting Reveal Signature", "yielded"]
)
def test_a_forged_reveal_signature(name: str, version: int) -> None:
    pair, line = good(name, version)
    message = message_of(line)
    assert isinstance(message, RevealSignature)
    signature = message.encrypted_signature
    for at in range(16):
        refused(pair, edited(line, r=flipped(message.r, at)), Reason.UNVERIFIED)
    for at in range(20):
        refused(pair, edited(line, mac=flipped(message.mac, at)), Reason.UNVERIFIED)
    for at in range(0, len(signature), 31):
        refused(pair, edited(line, encrypted_signature=flipped(signature, at)), Reason.UNVERIFIED)
    refused(pair, edited(line, encrypted_signature=b""), Reason.UNVERIFIED)
    for r in (b"", message.r[:-1], message.r + b"\0"):
        refused(pair, edited(line, r=r), Reason.MALFORMED)
    pair.settle()
    pair.agreed()


@each_version
@pytest.mark.parametrize("name", ["awaiting Signature", "encrypted, awaiting Signature"])
def test_a_forged_signature(name: str, version: int) -> None:
    pair, line = good(name, version)
    message = message_of(line)
    assert isinstance(message, Signature)
    signature = message.encrypted_signature
    for at in range(20):
        refused(pair, edited(line, mac=flipped(message.mac, at)), Reason.UNVERIFIED)
    for at in range(0, len(signature), 31):
        refused(pair, edited(line, encrypted_signature=flipped(signature, at)), Reason.UNVERIFIED)
    refused(pair, edited(line, encrypted_signature=b""), Reason.UNVERIFIED)
    pair.settle()
    pair.agreed()


@each_version
@pytest.mark.parametrize("value", ILLEGAL, ids=ILLEGAL_IDS)
@pytest.mark.parametrize("name", ["awaiting D-H Key", "encrypted, awaiting D-H Key", "yielded"])
def test_an_illegal_public_value_in_a_dh_key(name: str, value: int, version: int) -> None:
    pair = play(name, version)
    message = DhKey(Rogue(version=version).header(0x0A), value)
    refused(pair, wire_text.encode(message.serialise()), Reason.UNVERIFIED)
    pair.settle()
    pair.agreed()


@each_version
@pytest.mark.parametrize("value", ILLEGAL, ids=ILLEGAL_IDS)
def test_an_illegal_public_value_in_a_commit(value: int, version: int) -> None:
    rogue = Rogue(gx_mpi=codec.mpi(value), version=version)
    pair, gy = _committed(rogue)
    refused(pair, rogue.reveal(gy), Reason.UNVERIFIED)


@pytest.mark.parametrize("gx_mpi", [b"", b"\0", codec.mpi(5)[:-1], codec.mpi(5) + b"\0", b"\0\0\0\2\0\5"])
@each_version
def test_a_committed_value_that_is_no_mpi(gx_mpi: bytes, version: int) -> None:
    rogue = Rogue(gx_mpi=gx_mpi, version=version)
    pair, gy = _committed(rogue)
    refused(pair, rogue.reveal(gy), Reason.MALFORMED)


@each_version
def test_a_committed_value_of_another_hash(version: int) -> None:
    rogue = Rogue(hashed=bytes(32), version=version)
    pair, gy = _committed(rogue)
    refused(pair, rogue.reveal(gy), Reason.UNVERIFIED)


@each_version
def test_a_different_dh_key_after_the_first(version: int) -> None:
    pair, _ = good("awaiting Signature", version)
    refused(pair, Rogue(version=version).dh_key(), Reason.OUT_OF_TURN)
    pair.settle()
    pair.agreed()


ALICE = identity("alice").dsa.public
RAW_ALICE = serialise_public_key(ALICE)

BAD_SIGNATURES: dict[str, tuple[Rogue, Reason]] = {
    "key id 0": (Rogue(keyid=0), Reason.MALFORMED),
    "no signature": (Rogue(signature=b""), Reason.MALFORMED),
    "39 bytes": (Rogue(signature=bytes(39)), Reason.MALFORMED),
    "41 bytes": (Rogue(signature=bytes(41)), Reason.MALFORMED),
    "more behind": (Rogue(behind=b"\0"), Reason.MALFORMED),
    "r and s zero": (Rogue(signature=bytes(40)), Reason.UNVERIFIED),
    "r and s all ones": (Rogue(signature=b"\xff" * 40), Reason.UNVERIFIED),
    "signature over something else": (
        Rogue(signature=identity("rogue").dsa.sign(b"something else")),
        Reason.UNVERIFIED,
    ),
    "somebody else's public key": (Rogue(public_key=RAW_ALICE), Reason.UNVERIFIED),
    "no public key": (Rogue(public_key=b""), Reason.MALFORMED),
    "public key of another type": (Rogue(public_key=b"\0\1" + RAW_ALICE[2:]), Reason.MALFORMED),
    "public key with a leading zero": (
        Rogue(public_key=b"\0\0" + codec.integer(129) + b"\0" + RAW_ALICE[6:]),
        Reason.MALFORMED,
    ),
    "public key of zeros": (
        Rogue(public_key=serialise_public_key(DsaPublicKey(0, 0, 0, 0))),
        Reason.UNVERIFIED,
    ),
    "public key with an even p": (
        Rogue(public_key=serialise_public_key(DsaPublicKey(ALICE.p - 1, ALICE.q, ALICE.g, ALICE.y))),
        Reason.UNVERIFIED,
    ),
    "public key with a p of 100,000 bits": (
        Rogue(public_key=serialise_public_key(DsaPublicKey(2**99_999 + 1, ALICE.q, ALICE.g, ALICE.y))),
        Reason.UNVERIFIED,
    ),
    "public key with a length of 2^32 - 1": (
        Rogue(public_key=b"\0\0\xff\xff\xff\xff" + RAW_ALICE[6:]),
        Reason.MALFORMED,
    ),
}


def _committed(rogue: Rogue) -> tuple[Pair, int]:
    """A subject that has answered the rogue's Commit, and its public value."""
    pair = Pair(version=rogue.version, seed="rogue")
    events = pair.talks[SUBJECT].receive(rogue.commit())
    transmits = [event for event in events if isinstance(event, Transmit)]
    message = message_of(transmits[0].lines[0])
    assert isinstance(message, DhKey)
    return pair, message.gy


def _asked(rogue: Rogue) -> tuple[Pair, int]:
    """A subject that has answered the rogue's query and D-H Key, and its public value."""
    pair = Pair(version=rogue.version, seed="rogue")
    pair.talks[SUBJECT].receive(f"?OTRv{rogue.version}?")
    pair.talks[SUBJECT].receive(rogue.dh_key())
    exchange = exchange_of(pair.talks[SUBJECT])
    assert exchange is not None
    assert isinstance(exchange.state, AwaitingSignature)
    return pair, exchange.state.commit.keys.public


@each_version
def test_the_rogue_can_speak_the_protocol_rightly(version: int) -> None:
    """Without this its refused messages could be refused for a wrong reason."""
    rogue = Rogue(version=version)
    pair, gy = _committed(rogue)
    assert any(isinstance(event, SessionOpened) for event in pair.talks[SUBJECT].receive(rogue.reveal(gy)))
    assert pair.talks[SUBJECT].receive(rogue.data(gy, b"hello\0")) == [
        Received("hello", Protection.ENCRYPTED)
    ]
    pair, gx = _asked(rogue)
    assert any(isinstance(event, SessionOpened) for event in pair.talks[SUBJECT].receive(rogue.sign(gx)))
    info = pair.talks[SUBJECT].info
    assert info is not None
    assert info.their_fingerprint == identity("rogue").fingerprint


@each_version
@pytest.mark.parametrize(("rogue", "reason"), BAD_SIGNATURES.values(), ids=BAD_SIGNATURES)
def test_a_bad_signature_under_a_right_mac(rogue: Rogue, reason: Reason, version: int) -> None:
    rogue = replace(rogue, version=version)
    pair, gy = _committed(rogue)
    refused(pair, rogue.reveal(gy), reason)
    pair, gx = _asked(rogue)
    refused(pair, rogue.sign(gx), reason)


# --- out of turn, replayed, reflected ---------------------------------------------------------------------


def _foreign(version: int) -> Iterator[tuple[str, str]]:
    """Good messages of a whole exchange between others, by kind, addressed to the subject from the peer."""
    pair = Pair(version=version, seed="foreign")
    pair.start()
    for _, line in pair.lines:
        if line.startswith("?OTR:"):
            turned = readdressed(line, sender_tag=TAGS[PEER], receiver_tag=TAGS[SUBJECT])
            yield type(message_of(line)).__name__, turned


FOREIGN = {version: dict(_foreign(version)) for version in VERSIONS}

# What a state has no use for; a Commit it always has.
OUT_OF_TURN: dict[str, list[str]] = {
    "plaintext": ["DhKey", "RevealSignature", "Signature"],
    "query sent": ["DhKey", "RevealSignature", "Signature"],
    "awaiting D-H Key": ["RevealSignature", "Signature"],
    "awaiting Reveal Signature": ["DhKey", "Signature"],
    "awaiting Signature": ["DhKey", "RevealSignature"],
    "yielded": ["Signature"],
    "encrypted as initiator": ["DhKey", "RevealSignature", "Signature"],
    "encrypted as responder": ["DhKey", "RevealSignature", "Signature"],
    "encrypted, keys rotated": ["DhKey", "RevealSignature", "Signature"],
    "encrypted, query sent": ["DhKey", "RevealSignature", "Signature"],
    "encrypted, awaiting D-H Key": ["RevealSignature", "Signature"],
    "encrypted, awaiting Reveal Signature": ["DhKey", "Signature"],
    "encrypted, awaiting Signature": ["DhKey", "RevealSignature"],
    "finished": ["DhKey", "RevealSignature", "Signature"],
    "ended by us": ["DhKey", "RevealSignature", "Signature"],
}


@each_version
@pytest.mark.parametrize(
    ("name", "kind"), [(name, kind) for name, kinds in OUT_OF_TURN.items() for kind in kinds]
)
def test_out_of_turn(name: str, kind: str, version: int) -> None:
    pair = play(name, version)
    assert refused(pair, FOREIGN[version][kind], Reason.OUT_OF_TURN) == []


@pytest.mark.parametrize("name", SCENES)
def test_our_own_messages_come_back(name: str) -> None:
    """As they are, they are for another instance; only a Commit may be for anyone."""
    pair = play(name)
    for line in sent_by(pair, SUBJECT):
        if not isinstance(message_of(line), DhCommit):
            assert refused(pair, line, Reason.OTHER_INSTANCE) == []


@pytest.mark.parametrize(("name", "version"), [scene for scene in EVERYWHERE if scene[1] == 2])
def test_our_own_messages_come_back_and_nothing_tells_whom_they_are_from(name: str, version: int) -> None:
    """In version 2 only keys tell: none opens a session, ends one, or is shown as a text."""
    own = sent_by(play(name, version), SUBJECT)
    for line in own:
        pair = play(name, version)
        talk = pair.talks[SUBJECT]
        info, state = talk.info, talk.state
        events = talk.receive(line)
        assert not [event for event in events if isinstance(event, Received | SessionOpened | SessionEnded)]
        assert (talk.info, talk.state) == (info, state)
        assert len([event for event in events if isinstance(event, Transmit)]) <= 1
        if isinstance(message_of(line), RevealSignature | Signature | DataMessage):
            assert any(isinstance(event, Rejected) for event in events)


@each_version
@pytest.mark.parametrize(
    "name", ["awaiting D-H Key", "encrypted, awaiting D-H Key", "yielded", "encrypted, yielded"]
)
def test_our_own_commit_comes_back(name: str, version: int) -> None:
    pair = play(name, version)
    commit = sent_by(pair, SUBJECT, DhCommit)[-1]
    for receiver in (0, TAGS[SUBJECT]):
        for sender in (TAGS[SUBJECT], TAGS[PEER]):
            line = readdressed(commit, sender_tag=sender, receiver_tag=receiver)
            assert refused(pair, line, Reason.REFLECTED) == []


@each_version
def test_our_own_public_values_come_back(version: int) -> None:
    pair = play("awaiting D-H Key", version)
    exchange = exchange_of(pair.talks[SUBJECT])
    assert exchange is not None
    assert isinstance(exchange.state, AwaitingDhKey)
    gx = exchange.state.commit.keys.public
    header = Rogue(version=version).header(0x0A)
    refused(pair, wire_text.encode(DhKey(header, gx).serialise()), Reason.REFLECTED)

    pair = play("yielded", version)
    exchange = exchange_of(pair.talks[SUBJECT])
    assert exchange is not None
    assert isinstance(exchange.state, AwaitingRevealSignature)
    assert exchange.state.yielded is not None
    for keys in (exchange.state.keys, exchange.state.yielded.commit.keys):
        line = wire_text.encode(DhKey(header, keys.public).serialise())
        refused(pair, line, Reason.REFLECTED)


@each_version
def test_our_own_public_value_comes_back_in_a_commit(version: int) -> None:
    pair = play("yielded", version)
    exchange = exchange_of(pair.talks[SUBJECT])
    assert exchange is not None
    assert isinstance(exchange.state, AwaitingRevealSignature)
    assert exchange.state.yielded is not None
    for value in (exchange.state.keys.public, exchange.state.yielded.commit.keys.public):
        rogue = Rogue(gx_mpi=codec.mpi(value), version=version)
        pair.talks[SUBJECT].receive(rogue.commit())
        refused(pair, rogue.reveal(exchange.state.keys.public), Reason.REFLECTED)


@each_encrypted
def test_our_own_data_messages_come_back_readdressed(name: str, version: int) -> None:
    pair = play(name, version)
    pair.do(SUBJECT, pair.talks[SUBJECT].send("mine"))
    line = pair.lines[-1][1]
    turned = readdressed(line, sender_tag=TAGS[PEER], receiver_tag=TAGS[SUBJECT])
    assert refused(pair, turned, Reason.UNREADABLE) != []


@each_version
@pytest.mark.parametrize("name", ENCRYPTED[:3])
def test_the_messages_that_ended_an_exchange_come_again(name: str, version: int) -> None:
    pair = play(name, version)
    endings = sent_by(pair, PEER, RevealSignature, Signature)
    assert endings
    for line in endings:
        assert refused(pair, line, Reason.OUT_OF_TURN) == []


# --- data messages ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["plaintext", "query sent", "awaiting Signature", "finished", "ended by us"])
@each_version
def test_data_without_a_session(name: str, version: int) -> None:
    line = good("encrypted, keys rotated", version)[1]
    pair = play(name, version)
    assert refused(pair, line, Reason.NO_SESSION) == []
    assert pair.talks[SUBJECT].receive(line) == [Rejected(Reason.NO_SESSION, had_text=True)]
    nothing_lost = edited(line, flags=1)
    assert refused(pair, nothing_lost, Reason.NO_SESSION) == []
    assert pair.talks[SUBJECT].receive(nothing_lost) == [Rejected(Reason.NO_SESSION)]


@each_encrypted
def test_a_forged_data_message(name: str, version: int) -> None:
    pair = play(name, version)
    pair.settle()
    pair.do(PEER, pair.talks[PEER].send("now"))
    line = pair.on_the_way[SUBJECT][0]
    message = message_of(line)
    assert isinstance(message, DataMessage)
    changes: list[dict[str, Any]] = [
        {"flags": message.flags ^ 2},
        {"sender_keyid": 0},
        {"sender_keyid": message.sender_keyid - 1},
        {"sender_keyid": message.sender_keyid + 1},
        {"sender_keyid": 2**32 - 1},
        {"recipient_keyid": 0},
        {"recipient_keyid": message.recipient_keyid - 1},
        {"recipient_keyid": message.recipient_keyid + 1},
        {"recipient_keyid": message.recipient_keyid + 2},
        {"next_dh": message.next_dh + 1},
        *[{"next_dh": value} for value in ILLEGAL[:-1]],
        {"counter": 0},
        {"counter": message.counter + 1},
        {"counter": 2**64 - 1},
        {"encrypted": b""},
        {"encrypted": flipped(message.encrypted)},
        {"encrypted": message.encrypted + b"\0"},
        *[{"mac": flipped(message.mac, at)} for at in range(20)],
        {"mac": bytes(20)},
    ]
    pair.clock.advance(COMPLAINT_PAUSE)
    forged = [edited(line, **change) for change in changes]
    for first, *others in (forged, forged[::-1]):
        assert [type(event) for event in refused(pair, first, Reason.UNREADABLE)] == [Transmit]
        for other in others:
            assert refused(pair, other, Reason.UNREADABLE) == []
        pair.clock.advance(COMPLAINT_PAUSE)
    pair.clear()
    pair.settle()
    assert pair.events(SUBJECT) == [Received("now", Protection.ENCRYPTED)]


@each_encrypted
def test_a_forged_data_message_that_nobody_need_hear_of(name: str, version: int) -> None:
    pair = play(name, version)
    pair.settle()
    pair.do(PEER, pair.talks[PEER].send("now"))
    line = pair.on_the_way[SUBJECT][0]
    assert refused(pair, edited(line, flags=1), Reason.UNREADABLE) == []
    raw = raw_of(edited(line, flags=1))
    assert refused(pair, wire_text.encode(raw[:-1]), Reason.MALFORMED) == []


@each_encrypted
def test_a_replayed_data_message(name: str, version: int) -> None:
    pair = play(name, version)
    pair.settle()
    pair.say(PEER, "once")
    line = sent_by(pair, PEER)[-1]
    for _ in range(3):
        assert refused(pair, line, Reason.REPLAYED) == []
    for line in sent_by(pair, PEER, DataMessage):
        before = state_of(pair.talks[SUBJECT], line)
        events = pair.talks[SUBJECT].receive(line)
        assert not [event for event in events if isinstance(event, Received)]
        assert_little_is_said(events)
        assert state_of(pair.talks[SUBJECT], line) == before


@each_version
def test_revealed_mac_keys_are_of_no_use(version: int) -> None:
    """A message forged under any key that was ever revealed is refused."""
    pair = play("encrypted, keys rotated", version)
    pair.settle()
    for number in range(3):
        pair.say(PEER, f"text {number}")
        pair.say(SUBJECT, f"text {number}")
    messages = [message_of(line) for line in sent_by(pair, SUBJECT, DataMessage)]
    revealed = [
        message.old_mac_keys[at : at + 20]
        for message in messages
        if isinstance(message, DataMessage)
        for at in range(0, len(message.old_mac_keys), 20)
    ]
    assert len(revealed) >= 3
    pair.do(PEER, pair.talks[PEER].send("genuine"))
    line = pair.on_the_way[SUBJECT][0]
    template = message_of(line)
    assert isinstance(template, DataMessage)
    for key in revealed:
        for their_keyid in (template.sender_keyid - 1, template.sender_keyid):
            for our_keyid in (template.recipient_keyid, template.recipient_keyid + 1):
                forged = edited(line, sender_keyid=their_keyid, recipient_keyid=our_keyid, counter=2**60)
                mac = hmac.digest(key, message_of(forged).authenticated(), "sha1")  # type: ignore[union-attr]
                refused(pair, edited(forged, mac=mac), Reason.UNREADABLE)


def _opened(rogue: Rogue) -> tuple[Pair, int]:
    """A subject in conversation with the rogue, and its first public value."""
    pair, gy = _committed(rogue)
    pair.talks[SUBJECT].receive(rogue.reveal(gy))
    assert pair.talks[SUBJECT].state is MessageState.ENCRYPTED
    return pair, gy


@pytest.mark.parametrize("value", ILLEGAL[:-1], ids=ILLEGAL_IDS[:-1])
@each_version
def test_an_illegal_next_dh_key_under_a_right_mac(value: int, version: int) -> None:
    rogue = Rogue(version=version)
    pair, gy = _opened(rogue)
    refused(pair, rogue.data(gy, next_dh=value), Reason.UNREADABLE)


@each_version
def test_a_counter_that_starts_at_zero(version: int) -> None:
    rogue = Rogue(version=version)
    pair, gy = _opened(rogue)
    refused(pair, rogue.data(gy, counter=0), Reason.REPLAYED)


@each_version
def test_the_largest_counter_and_nothing_after_it(version: int) -> None:
    rogue = Rogue(version=version)
    pair, gy = _opened(rogue)
    line = rogue.data(gy, b"last", counter=2**64 - 1)
    assert pair.talks[SUBJECT].receive(line) == [Received("last", Protection.ENCRYPTED)]
    refused(pair, line, Reason.REPLAYED)
    refused(pair, rogue.data(gy, counter=1), Reason.REPLAYED)


@each_version
def test_the_largest_key_id_and_nothing_after_it(version: int) -> None:
    rogue = Rogue(keyid=2**32 - 1, version=version)
    pair, gy = _opened(rogue)
    refused(pair, rogue.data(gy), Reason.UNREADABLE)


PLAINTEXTS: list[tuple[bytes, str]] = [
    (b"no NUL", "no NUL"),
    (b"\xff\xfe\x80", "\ufffd\ufffd\ufffd"),
    (b"a\r\nQUIT\0", "a\r\nQUIT"),
    (b"text\0\0\1\xff\xff", "text"),
    (b"text\0\0\1", "text"),
    (b"text\0\0\x08\0\0\xff\xff\0\0", "text"),
    (b"text\0" + b"\0\0\0\0" * 5000, "text"),
    (b"?OTRv3?", "?OTRv3?"),
    (b"?OTR,1,1,x,", "?OTR,1,1,x,"),
]


@pytest.mark.parametrize(("plaintext", "text"), PLAINTEXTS)
@each_version
def test_any_plaintext_is_shown_and_never_acted_on(plaintext: bytes, text: str, version: int) -> None:
    rogue = Rogue(version=version)
    pair, gy = _opened(rogue)
    assert pair.talks[SUBJECT].receive(rogue.data(gy, plaintext)) == [Received(text, Protection.ENCRYPTED)]
    assert pair.talks[SUBJECT].state is MessageState.ENCRYPTED


@pytest.mark.parametrize("plaintext", [b"", b"\0", b"\0\0\0\0\5abcde", b"\0\xff\xff\0\0"])
@each_version
def test_an_empty_text_is_not_shown(plaintext: bytes, version: int) -> None:
    rogue = Rogue(version=version)
    pair, gy = _opened(rogue)
    assert pair.talks[SUBJECT].receive(rogue.data(gy, plaintext)) == []


# --- plain text and errors --------------------------------------------------------------------------------


@each_scene
@pytest.mark.parametrize("start_on_tag", [True, False])
def test_an_error_text_is_shown_and_starts_nothing(name: str, version: int, start_on_tag: bool) -> None:
    pair = play(name, version)
    talk = pair.talks[SUBJECT]
    talk.set_policy(replace(talk.policy, start_on_tag=start_on_tag))
    for inside in ("?OTRv23?", "?OTR?v3?", "?OTR Error: x", "?OTR:AAMD.", wire_text.TAG_BASE + "x", "%n%s{}"):
        line = f"?OTR Error: {inside}"
        before = snapshot(talk._instances)
        assert talk.receive(line) == [PeerComplained(inside.strip())]
        assert snapshot(talk._instances) == before
        assert talk._rejoiner.empty
    [event] = talk.receive("?OTR Error: " + "x" * 5000)
    assert isinstance(event, PeerComplained)
    assert len(event.text) == 400


@each_scene
def test_plain_text_is_shown_as_what_it_is(name: str, version: int) -> None:
    pair = play(name, version)
    talk = pair.talks[SUBJECT]
    expected = Protection.PLAIN if talk.state is MessageState.PLAINTEXT else Protection.UNEXPECTED_PLAIN
    for line in ("hello", "", "?otrv3?", "a\r\nb\0"):
        before = state_of(talk, line)
        assert talk.receive(line) == [Received(line, expected)]
        assert state_of(talk, line) == before


@each_version
@pytest.mark.parametrize("name", ENCRYPTED)
def test_a_tag_starts_nothing_while_encrypted(name: str, version: int) -> None:
    pair = play(name, version)
    talk = pair.talks[SUBJECT]
    talk.set_policy(replace(talk.policy, start_on_tag=True))
    line = "hello" + wire_text.TAG_BASE + wire_text.TAG_GROUPS[2] + wire_text.TAG_GROUPS[3]
    before = state_of(talk, line)
    assert talk.receive(line) == [Received("hello", Protection.UNEXPECTED_PLAIN)]
    assert state_of(talk, line) == before


def test_without_any_version_everything_passes_untouched() -> None:
    pair = Pair(policies=(Policy(frozenset()), Policy(frozenset())))
    talk = pair.talks[SUBJECT]
    for line in ("?OTRv3?", "?OTR Error: x", FOREIGN[3]["DhCommit"], "?OTR,1,1,x,", "x" * 100_000, "hello"):
        before = state_of(talk, "")
        assert talk.receive(line) == [Received(line, Protection.PLAIN)]
        assert talk.send(line) == [Transmit((line,), plain=True)]
        assert state_of(talk, "") == before
