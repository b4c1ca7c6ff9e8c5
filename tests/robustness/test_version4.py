"""Version 4 under hostile input: bounded, silent about secrets, and unchanged by whatever is refused."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import replace
from random import Random

import pytest

from otrcore.errors import PeerError, Reason
from otrcore.events import Event, Received, Rejected, Transmit
from otrcore.model import MessageState, Protection
from otrcore.v4.dake import Start, WaitingAuthI, WaitingAuthR
from otrcore.v4.ratchet import MAX_SKIPPED
from otrcore.wire import text as wire_text
from otrcore.wire.fragment import MAX_PARTIALS, MAX_PIECES, cut, parse_fragment
from otrcore.wire.messages4 import AuthI, AuthR, DataMessage, Identity
from tests.pair import SIDES, TAGS, Pair, Seeded, identity, rests
from tests.robustness.hostile import assert_little_is_said, flipped, recoded, state_of
from tests.robustness.scenes import PEER, SUBJECT
from tests.robustness.scenes4 import (
    AT_REST,
    ENCRYPTED,
    QUERY,
    WHOLE,
    dake_state,
    due,
    each_encrypted,
    each_scene,
    each_whole,
    exchange_of,
    message_of,
    play,
)
from tests.robustness.test_bounds import held_by, size_of
from tests.robustness.test_canary import everything_in, forms_of
from tests.snapshot import secrets_in, snapshot

OWN = TAGS[SUBJECT]
HEADER_BYTES = 11

PLAIN, SECURE, FINISHED = MessageState.PLAINTEXT, MessageState.ENCRYPTED, MessageState.FINISHED

MEANT: dict[str, tuple[MessageState, type[object], bool]] = {
    "plaintext": (PLAIN, Start, False),
    "query sent": (PLAIN, Start, False),
    "waiting for Auth-R": (PLAIN, WaitingAuthR, False),
    "waiting for Auth-I": (PLAIN, WaitingAuthI, False),
    "yielded": (PLAIN, WaitingAuthI, True),
    "encrypted as initiator": (SECURE, Start, False),
    "encrypted as responder": (SECURE, Start, False),
    "encrypted, keys rotated": (SECURE, Start, False),
    "encrypted, Identity on its way": (SECURE, Start, False),
    "encrypted, waiting for Auth-R": (SECURE, WaitingAuthR, False),
    "encrypted, waiting for Auth-I": (SECURE, WaitingAuthI, False),
    "encrypted, yielded": (SECURE, WaitingAuthI, True),
    "finished": (FINISHED, Start, False),
    "ended by us": (PLAIN, Start, False),
    "in the middle of fragments": (PLAIN, WaitingAuthI, False),
}


# --- the scenes -------------------------------------------------------------------------------------------


@each_scene
def test_the_subject_is_in_the_state(name: str) -> None:
    talk = play(name).talks[SUBJECT]
    state = dake_state(talk)
    yielded = isinstance(state, WaitingAuthI) and state.yielded is not None
    assert (talk.state, type(state), yielded) == MEANT[name]


@each_scene
def test_left_alone_it_ends_well(name: str) -> None:
    pair = play(name)
    pair.settle()
    if name not in AT_REST:
        pair.agreed()
    pair.clock.advance(60.0)
    pair.secure(starter=SUBJECT)
    for side, other in ((SUBJECT, PEER), (PEER, SUBJECT)):
        pair.clear()
        pair.say(side, "after all")
        assert pair.of_kind(other, Received) == [Received("after all", Protection.ENCRYPTED)]


# --- refused ----------------------------------------------------------------------------------------------


def refused(pair: Pair, line: str, *reasons: Reason) -> list[Event]:
    """Hand the line over and be sure of the refusal; returns the other events."""
    talk = pair.talks[SUBJECT]
    before = state_of(talk, line)
    events = talk.receive(line)
    rejected = [event for event in events if isinstance(event, Rejected)]
    assert len(rejected) == 1
    assert rejected[0].reason in reasons
    assert state_of(talk, line) == before
    assert_little_is_said(events)
    return [event for event in events if not isinstance(event, Rejected)]


def readdressed(line: str, **changes: int) -> str:
    """The message with another header: version, type, sender_tag, receiver_tag."""
    raw = wire_text.decode(line)
    header = replace(message_of(line).header, **changes)
    return wire_text.encode(header.serialise() + raw[HEADER_BYTES:])


@each_whole
def test_the_good_message_is_not_refused(name: str) -> None:
    """Without this the tests below could pass for a wrong reason."""
    pair, line = due(name)
    before = state_of(pair.talks[SUBJECT], line)
    assert not [event for event in pair.talks[SUBJECT].receive(line) if isinstance(event, Rejected)]
    assert state_of(pair.talks[SUBJECT], line) != before


@each_whole
def test_truncated_or_with_more_behind_it(name: str) -> None:
    pair, line = due(name)
    size = len(wire_text.decode(line))
    for length in {*range(40), *range(40, size, 67), *range(size - 5, size)}:
        refused(pair, recoded(line, length, size), Reason.MALFORMED)
    for more in (b"\0", b"\xff" * 100):
        refused(pair, recoded(line, size, size, more), Reason.MALFORMED)


@each_whole
def test_another_header(name: str) -> None:
    pair, line = due(name)
    for version in (0, 1, 2, 3, 5, 0x0400):
        assert refused(pair, readdressed(line, version=version), Reason.VERSION) == []
    for kind in (0x00, 0x02, 0x0D, 0x38, 0xFF):
        wrong = readdressed(line, type=kind, receiver_tag=OWN)
        assert refused(pair, wrong, Reason.MALFORMED, Reason.OTHER_INSTANCE) == []
    for tag in (0x100, OWN + 1, TAGS[PEER], 2**32 - 1):
        assert refused(pair, readdressed(line, receiver_tag=tag), Reason.OTHER_INSTANCE) == []
    for tag in (1, 0xFF):
        assert refused(pair, readdressed(line, receiver_tag=tag), Reason.MALFORMED) == []
        assert refused(pair, readdressed(line, sender_tag=tag), Reason.MALFORMED) == []
    assert refused(pair, readdressed(line, sender_tag=OWN, receiver_tag=OWN), Reason.REFLECTED) == []


def covered(line: str) -> int:
    """How many bytes of a message are authenticated by it.

    Revealed MAC keys never are, and the ephemeral keys of an Identity only by the answer to it.
    """
    message = message_of(line)
    size = len(wire_text.decode(line))
    match message:
        case DataMessage():
            return size - 4 - len(message.old_mac_keys)
        case Identity():
            return HEADER_BYTES + len(message.profile.serialise())
        case _:
            return size


@each_whole
def test_any_bit_of_it(name: str) -> None:
    """But for those bits that make it a message for, or from, somebody else, which says the same."""
    pair, line = due(name)
    raw = wire_text.decode(line)
    random = Random(name)
    places = {*range(HEADER_BYTES, HEADER_BYTES + 24), *random.sample(range(HEADER_BYTES, covered(line)), 50)}
    for at in sorted(places):
        changed = wire_text.encode(flipped(raw, at))
        # A flag that was flipped makes a broken data message one that nobody need be told of.
        refused(
            pair,
            changed,
            Reason.MALFORMED,
            Reason.UNVERIFIED,
            Reason.UNREADABLE,
            Reason.REPLAYED,
            Reason.TOO_MANY,
        )
    pair.settle()
    pair.agreed()


# --- bounds -----------------------------------------------------------------------------------------------

MANY = 3_000


def forgeries(kind: str) -> Iterator[str]:
    """Messages of a kind, each from another instance, that somebody has made of recorded ones."""
    recorded = {
        "Identity": "query sent",
        "Auth-R": "waiting for Auth-R",
        "Auth-I": "waiting for Auth-I",
        "data": "encrypted, keys rotated",
    }
    line = due(recorded[kind])[1]
    raw, places = wire_text.decode(line), covered(line) - HEADER_BYTES
    for number in itertools.count():
        # One in ten is the peer's own with something else in it, which takes the most work to refuse.
        if number % 10:
            yield readdressed(line, sender_tag=0x10000 + number, receiver_tag=OWN)
        else:
            yield wire_text.encode(flipped(raw, covered(line) - 1 - number // 10 % places))


@pytest.mark.parametrize("kind", ["Identity", "Auth-R", "Auth-I", "data"])
@pytest.mark.parametrize("name", ["waiting for Auth-R", "waiting for Auth-I", "encrypted, keys rotated"])
def test_thousands_of_forged_messages(name: str, kind: str) -> None:
    """Nothing piles up, little is said, and what was under way comes to its good end."""
    pair = play(name)
    talk, size = pair.talks[SUBJECT], size_of(pair)
    said = 0
    for line in itertools.islice(forgeries(kind), MANY):
        events = talk.receive(line)
        said += sum(isinstance(event, Transmit) for event in events)
        assert all(isinstance(event, Rejected | Transmit) for event in events)
    # One complaint about what belongs to no session, and one about what cannot be read in one.
    assert said <= 2
    assert size_of(pair) < size + 1_000
    assert len(talk._instances._sessions) <= 1
    pair.settle()
    pair.agreed()


def test_skipped_keys() -> None:
    """A peer that leaves out what it may, again and again, is remembered by a bounded number of keys."""
    pair = Pair(version=4, seed="skipping")
    pair.secure()
    talk = pair.talks[SUBJECT]
    sizes = []
    for _ in range(6):
        for _ in range(MAX_SKIPPED):
            pair.talks[PEER].send("never arrives")
        pair.clear()
        pair.say(PEER, "arrives")
        assert Received("arrives", Protection.ENCRYPTED) in pair.events(SUBJECT)
        sizes.append(size_of(pair))
    assert max(sizes[1:]) < sizes[1] * 1.05
    pair.say(SUBJECT, "turn")
    pair.end(PEER)
    assert "Secret" not in repr(snapshot(talk))


def test_fragments_of_mixed_identifiers() -> None:
    """However many messages are begun, a few are put together at once, and from few characters few bytes."""
    pair = play("encrypted, keys rotated")
    head = f"{TAGS[PEER]:08x}|{OWN:08x}"
    begun = (f"?OTR|{number:x}|{head},{1 + number % 9},9,{'x' * 300}," for number in range(MANY))
    assert held_by(pair, begun) < 100_000
    assert len(pair.talks[SUBJECT]._reassembler._partials) == MAX_PARTIALS
    tiny = (f"?OTR|{at % 8:x}|{head},{at},{MAX_PIECES},x," for at in range(1, MAX_PIECES, 3))
    assert held_by(pair, tiny) < 1_000_000


def test_two_messages_in_pieces_of_any_order() -> None:
    pair = Pair(version=4, seed="pieces")
    pair.secure()
    lines: list[str] = []
    for number, text in enumerate(("first", "second")):
        (transmit, *_) = pair.talks[PEER].send(text * 30)
        assert isinstance(transmit, Transmit)
        (line,) = transmit.lines
        lines += cut(line, 120, message_of(line).header, number)
    assert len(lines) > 6
    Random(0).shuffle(lines)
    heard = [event for line in lines for event in pair.talks[SUBJECT].receive(line)]
    texts = {event.text for event in heard if isinstance(event, Received)}
    assert texts == {"first" * 30, "second" * 30}


def test_queries() -> None:
    pair = play("waiting for Auth-R")
    size = size_of(pair)
    for _ in range(200):
        pair.talks[SUBJECT].receive(QUERY)
    assert size_of(pair) < size + 100


def test_a_long_conversation() -> None:
    pair = play("encrypted, keys rotated")
    pair.settle()
    sizes = []
    for number in range(40):
        pair.say(PEER, f"text {number:04}")
        pair.say(SUBJECT, f"text {number:04}")
        sizes.append(size_of(pair))
    # The keys of the messages that were lost in the scene are forgotten on the way.
    assert max(sizes[20:]) < min(sizes[20:]) + 2_000


@each_scene
def test_nothing_is_kept_of_an_exchange_that_went_nowhere(name: str) -> None:
    """When its time is over, the ephemeral keys and what came of them are gone."""
    pair = play(name)
    for side in SIDES:
        pair.on_the_way[side].clear()
    talk = pair.talks[SUBJECT]
    for _ in range(8):
        if rests(talk, pair.clock.now):
            break
        assert talk.next_tick is not None
        pair.clock.now = max(pair.clock.now, talk.next_tick)
        talk.tick()
    assert rests(talk, pair.clock.now)
    assert not talk.starting
    if talk.state is not MessageState.ENCRYPTED:
        assert not secrets_in(snapshot(talk))
        assert "KeyPair" not in repr(snapshot(talk))
    assert exchange_of(talk) is None
    assert talk._reassembler.empty


@each_scene
def test_ended_by_us_leaves_no_key_behind(name: str) -> None:
    pair = play(name)
    pair.talks[SUBJECT].end()
    picture = snapshot(pair.talks[SUBJECT])
    assert not secrets_in(picture)
    assert "KeyPair" not in repr(picture)
    assert pair.talks[SUBJECT].state is MessageState.PLAINTEXT


# --- nothing secret shows ---------------------------------------------------------------------------------


def clamped(drawn: bytes) -> bytes:
    """The secret scalar of an Ed448 key (RFC 8032, 5.2.5), little-endian."""
    scalar = bytearray(hashlib.shake_256(drawn).digest(114)[:57])
    scalar[0] &= 0xFC
    scalar[55] |= 0x80
    scalar[56] = 0
    return bytes(scalar)


def revealed(pair: Pair) -> set[bytes]:
    """Every MAC key that went out: the protocol wants them known then."""
    known: set[bytes] = set()
    for _, line in pair.lines:
        message = message_of(line) if line.startswith("?OTR:") else None
        if isinstance(message, DataMessage):
            keys = message.old_mac_keys
            known |= {keys[at : at + 64] for at in range(0, len(keys), 64)}
    return known


def secrets_of(pair: Pair) -> set[bytes]:
    """All that was drawn for keys, whether it is kept or not, and all that is kept as a secret."""
    secrets: set[bytes] = set()
    for side in SIDES:
        random = pair.randoms[side]
        assert isinstance(random, Seeded)
        secrets |= secrets_in(snapshot(pair.talks[side])) | {*random.drawn["dh"], *random.drawn["ring"]}
        for drawn in (*random.drawn["ecdh"], bytes(identity(side).ed448.to_bytes())):
            scalar = clamped(drawn)
            # As it is written, and as the number that it is.
            secrets |= {drawn, scalar, scalar[::-1].lstrip(b"\0")}
    return secrets - revealed(pair)


def assert_no_secret_in(text: str, pair: Pair) -> None:
    for secret in secrets_of(pair):
        for form in forms_of(secret):
            assert form not in text


@each_scene
def test_nothing_secret_in_any_repr(name: str) -> None:
    pair = play(name)
    shown = []
    for side in SIDES:
        for thing in everything_in(pair.accounts[side], set()):
            shown += [repr(thing), str(thing)]
        shown += [repr(event) for event in pair.events(side)]
    text = "\n".join(shown)
    assert "Conversation" in text
    assert_no_secret_in(text, pair)


@each_scene
def test_what_is_searched_for_is_there(name: str) -> None:
    """The scalars that follow from the draws are the ones that the code has: the search means something."""
    pair = play(name)
    picture = repr([snapshot(pair.talks[side]) for side in SIDES])
    numbers = {
        str(int.from_bytes(clamped(drawn), "little"))
        for side in SIDES
        for drawn in pair.randoms[side].drawn["ecdh"]  # type: ignore[attr-defined]
    }
    assert any(number in picture for number in numbers) == ("KeyPair" in picture)
    if name in ENCRYPTED:
        assert "KeyPair" in picture


@each_scene
def test_nothing_secret_in_what_is_sent(name: str) -> None:
    pair = play(name)
    lines = [line for _, line in pair.lines]
    sent = b"".join(wire_text.decode(line) for line in lines if line.startswith("?OTR:"))
    assert sent or not any(line.startswith("?OTR:") for line in lines)
    for secret in secrets_of(pair):
        assert secret not in sent


@each_encrypted
def test_nothing_secret_in_errors(name: str) -> None:
    pair = play(name)
    shown = []
    for side in SIDES:
        for _, line in pair.lines:
            for damaged in (line, line[:-9] + ".", line.replace("AAQ", "AAL"), line[: len(line) // 2]):
                try:
                    events = pair.talks[side]._receive(damaged, pair.clock.now)
                except PeerError as error:
                    shown += [repr(error), str(error), repr(error.args)]
                else:
                    shown += [repr(event) for event in events if not isinstance(event, Transmit)]
    assert_no_secret_in("\n".join(shown), pair)


def test_every_kind_of_message_is_among_the_scenes() -> None:
    kinds = {type(message_of(due(name)[1])) for name in WHOLE}
    assert kinds == {Identity, AuthR, AuthI, DataMessage}
    line = play("in the middle of fragments").on_the_way[SUBJECT][0]
    fragment = parse_fragment(line)
    assert fragment is not None
    assert fragment.identifier is not None
