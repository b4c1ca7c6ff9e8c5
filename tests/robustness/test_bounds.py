"""What a peer, or anybody who can speak in its name, can make grow stays small."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable, Iterator

import pytest

from otrcore.events import Received, Rejected, Transmit
from otrcore.instances import MAX_STARTING
from otrcore.model import MessageState
from otrcore.v3.ratchet import MAX_UNREVEALED
from otrcore.wire import codec
from otrcore.wire import text as wire_text
from otrcore.wire.fragment import MAX_PIECES, MAX_TOTAL, Partial
from otrcore.wire.messages3 import DataMessage
from tests.pair import TAGS, Pair
from tests.robustness.hostile import readdressed
from tests.robustness.rogue import Rogue
from tests.robustness.scenes import (
    PEER,
    SCENES,
    SUBJECT,
    channel_of,
    each_encrypted,
    each_scene,
    each_version,
    exchange_of,
    message_of,
    play,
)
from tests.snapshot import snapshot

OWN = TAGS[SUBJECT]


def size_of(pair: Pair) -> int:
    """How much state the subject keeps, in characters of its picture."""
    return len(repr(snapshot(pair.talks[SUBJECT])))


def held_by(pair: Pair, lines: Iterable[str]) -> int:
    """Hand all lines to the subject; return how much memory is held more than before."""
    talk = pair.talks[SUBJECT]
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for line in lines:
            talk.receive(line)
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


def test_fragments_of_one_message_that_never_ends() -> None:
    lines = (f"?OTR|{0x5A5A:x}|{OWN:x},{k},{MAX_PIECES},{chr(0x10000 + k)}," for k in range(1, MAX_PIECES))
    assert held_by(Pair(), lines) < 8_000_000


def test_large_fragments_are_given_up_at_the_limit() -> None:
    pair = Pair()
    piece = "x" * 400
    rejected = 0
    for k in range(1, 2000):
        events = pair.bob.receive(f"?OTR,{k},{MAX_PIECES},{piece},")
        rejected += len(events)
        for partial in pair.bob._reassembler._partials.values():
            assert isinstance(partial, Partial)
            assert sum(map(len, partial.pieces)) <= MAX_TOTAL
    assert rejected == 1


def test_first_fragments_of_many_senders() -> None:
    piece = "x" * 400
    lines = (
        f"?OTR|{sender:x}|{OWN:x},1,{MAX_PIECES},{piece},".replace("|1|", "|0|")
        for sender in range(0x100, 5000)
    )
    assert held_by(Pair(), lines) < 20_000


@pytest.mark.parametrize("name", SCENES)
def test_commits_of_many_instances(name: str) -> None:
    """As many as may set up a session at once are listened to; the others take nothing."""
    pair = play(name)
    commit = Rogue().commit()
    sizes = []
    for sender in range(0x1000, 0x1000 + 60):
        pair.talks[SUBJECT].receive(readdressed(commit, sender_tag=sender))
        sizes.append(size_of(pair))
    assert max(sizes[MAX_STARTING:]) < sizes[MAX_STARTING - 1] + 200
    assert sizes[MAX_STARTING - 1] < sizes[0] + 8_000 * MAX_STARTING


@each_scene
def test_commits_again_and_again(name: str, version: int) -> None:
    """In version 2 all seem to be of one peer."""
    pair = play(name, version)
    commits = [Rogue(version=version, exponent=2**319 + number).commit() for number in range(15)]
    sizes = []
    for _ in range(2):
        for commit in commits:
            pair.talks[SUBJECT].receive(commit)
        sizes.append(size_of(pair))
    assert sizes[1] < sizes[0] + 200


@each_version
def test_a_large_commit_is_kept_once(version: int) -> None:
    pair = Pair(version=version)
    rogue = Rogue(gx_mpi=bytes(45_000), version=version)
    lines = [rogue.commit() for _ in range(30)]
    assert held_by(pair, lines) < 200_000


@each_version
def test_queries(version: int) -> None:
    pair = play("awaiting D-H Key", version)
    size = size_of(pair)
    for _ in range(200):
        pair.talks[SUBJECT].receive(f"?OTRv{version}?")
    assert size_of(pair) < size + 100


@each_encrypted
def test_forged_data_messages(name: str, version: int) -> None:
    """Keys that were reckoned for forgeries are kept: of four pairs at most."""
    pair = play(name, version)
    pair.settle()
    pair.say(SUBJECT, "a")
    pair.do(PEER, pair.talks[PEER].send("b"))
    line = pair.on_the_way[SUBJECT][0]
    message = message_of(line)
    assert isinstance(message, DataMessage)
    ratchet = channel_of(pair.talks[SUBJECT])._ratchet
    for ours in range(12):
        for theirs in range(12):
            changed = DataMessage(
                message.header, 0, theirs, ours, message.next_dh, 2**60, b"forged", bytes(20), b""
            )
            events = pair.talks[SUBJECT].receive(wire_text.encode(changed.serialise()))
            assert isinstance(events[-1], Rejected)
    assert len(ratchet._pairs) <= 4


def _one_way(count: int) -> Iterator[tuple[Pair, str]]:
    """A rogue that announces a new key with every message, while the subject says nothing."""
    rogue = Rogue()
    pair = Pair(seed="one way")
    talk = pair.talks[SUBJECT]
    transmit = talk.receive(rogue.commit())[0]
    assert isinstance(transmit, Transmit)
    gy = int.from_bytes(codec.Reader(wire_text.decode(transmit.lines[0]), 11).data(), "big")
    talk.receive(rogue.reveal(gy))
    for number in range(count):
        yield pair, rogue.data(gy, b"text", exponent=rogue.exponent + number, sender_keyid=1 + number)


def test_mac_keys_that_wait_to_be_revealed() -> None:
    count = MAX_UNREVEALED // 20 + 20
    pairs: list[Pair] = []
    for pair, line in _one_way(count):
        events = pair.talks[SUBJECT].receive(line)
        assert any(isinstance(event, Received) for event in events), "the rogue was not understood"
        assert len(channel_of(pair.talks[SUBJECT])._ratchet._pairs) <= 4
        pairs.append(pair)
    talk = pairs[-1].talks[SUBJECT]
    ratchet = channel_of(talk)._ratchet
    assert len(ratchet.used_mac_keys()) >= MAX_UNREVEALED
    transmit = talk.send("at last")[0]
    assert isinstance(transmit, Transmit)
    message = message_of(transmit.lines[0])
    assert isinstance(message, DataMessage)
    assert len(message.old_mac_keys) == MAX_UNREVEALED
    transmit = talk.send("and more")[0]
    assert isinstance(transmit, Transmit)
    message = message_of(transmit.lines[0])
    assert isinstance(message, DataMessage)
    assert message.old_mac_keys == b""


@each_version
def test_a_long_conversation(version: int) -> None:
    pair = play("encrypted, keys rotated", version)
    pair.settle()
    sizes = []
    for number in range(60):
        pair.say(PEER, f"text {number:04}")
        pair.say(SUBJECT, f"text {number:04}")
        sizes.append(size_of(pair))
    assert max(sizes) < min(sizes) + 400


@each_version
def test_exchanges_again_and_again(version: int) -> None:
    pair = Pair(version=version)
    sizes = []
    for _ in range(15):
        pair.clock.advance(100)
        pair.secure()
        pair.say(PEER, "a")
        pair.say(SUBJECT, "b")
        sizes.append(size_of(pair))
    assert max(sizes) < min(sizes) + 400


@each_scene
def test_nothing_is_kept_of_an_exchange_that_went_nowhere(name: str, version: int) -> None:
    """When its time is over, r, x, y and what came of them are gone."""
    pair = play(name, version)
    pair.on_the_way[SUBJECT].clear()
    pair.on_the_way[PEER].clear()
    talk = pair.talks[SUBJECT]
    for _ in range(5):
        if talk.next_tick is None:
            break
        pair.clock.now = max(pair.clock.now, talk.next_tick)
        talk.tick()
    assert talk.next_tick is None
    assert not talk.starting
    picture = snapshot(talk)
    assert isinstance(picture, dict)
    if talk.state is not MessageState.ENCRYPTED:
        assert "Secret" not in repr(picture)
        assert "mpz" not in repr(picture)
    exchange = exchange_of(talk)
    assert "Secret" not in repr(snapshot(exchange.state if exchange else None))
    assert talk._reassembler.empty


@each_scene
def test_ended_by_us_leaves_no_key_behind(name: str, version: int) -> None:
    pair = play(name, version)
    pair.talks[SUBJECT].end()
    picture = repr(snapshot(pair.talks[SUBJECT]))
    assert "Secret" not in picture
    assert "mpz" not in picture
    assert pair.talks[SUBJECT].state is MessageState.PLAINTEXT
