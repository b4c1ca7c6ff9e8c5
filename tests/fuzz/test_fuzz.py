"""More than two hundred thousand inputs, in every state of all versions, by a seeded mutator.

What each case has counted is in its properties, which a run adds up in its summary.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random

import pytest

from otrcore.conversation import Conversation
from otrcore.errors import Reason
from otrcore.events import (
    Event,
    MemoryChanged,
    Received,
    Rejected,
    Resent,
    SessionOpened,
    SmpSucceeded,
    Transmit,
)
from otrcore.memory import KnownKey, PeerMemory
from otrcore.model import MessageState, Protection, SessionInfo, Trust
from otrcore.wire.header import VERSION_4
from tests.fuzz.forge4 import MESSAGES
from tests.fuzz.formats import VERSIONS
from tests.fuzz.likeness import alike
from tests.fuzz.mutator import Attempt, Mutator, has_valid_header
from tests.fuzz.rooms import EVERYWHERE, ROOMS, SETTINGS, enter
from tests.fuzz.states import (
    ANOTHER_ASKS,
    ANOTHER_STARTS,
    ANOTHER_TALKS,
    AUTH_I_SENT,
    AUTH_I_SENT_LATE,
    AWAITING_ANSWER,
    AWAITING_DH_KEY,
    AWAITING_REVEAL_SIGNATURE,
    AWAITING_SIGNATURE,
    BEGUN,
    CANARY,
    EXPECT_1,
    EXPECT_2,
    EXPECT_3,
    EXPECT_4,
    HELD,
    LOST,
    NONE,
    QUERY,
    QUEUED,
    SERVED,
    WAITING_AUTH_I,
    WAITING_AUTH_R,
    YIELDED,
    YIELDED_AND_ANSWERED,
    picture_of,
)
from tests.fuzz.watch import MAX_EVENTS, MAX_GROWTH, MAX_SENT, SIZE_EVERY, Broken, Watch
from tests.pair import identity
from tests.robustness.scenes import PEER

INPUTS, INPUTS_OF_SMP, INPUTS_4 = 1_320, 560, 120
"""Lines that one case hands over at least; checking the proofs of SMP takes far longer than all else, and
so do the keys of version 4, one by one."""

ALL_INPUTS = 200_000

CASES = [(name, version, seed) for name, version in EVERYWHERE for seed in range(len(SETTINGS))]

EXCHANGES = {
    2: {NONE, AWAITING_DH_KEY, AWAITING_REVEAL_SIGNATURE, YIELDED, AWAITING_SIGNATURE},
    3: {
        *(NONE, AWAITING_DH_KEY, AWAITING_REVEAL_SIGNATURE, YIELDED, YIELDED_AND_ANSWERED),
        AWAITING_SIGNATURE,
    },
    4: {NONE, WAITING_AUTH_R, WAITING_AUTH_I, YIELDED},
}
"""By version: those that any message state may be beside."""

BESIDE = {
    2: {QUERY, QUEUED, HELD, LOST, BEGUN},
    3: {QUERY, QUEUED, HELD, LOST, BEGUN, ANOTHER_STARTS, ANOTHER_TALKS, ANOTHER_ASKS, SERVED},
    4: {QUERY, QUEUED, HELD, LOST, BEGUN, ANOTHER_STARTS, ANOTHER_TALKS, ANOTHER_ASKS, SERVED},
}


def inputs_of(name: str, version: int) -> int:
    """Return how many lines the cases of a room hand over."""
    if version == VERSION_4:
        return INPUTS_4
    return INPUTS_OF_SMP if ROOMS[name, version].smp else INPUTS


def test_the_cases_are_enough_and_reach_every_state() -> None:
    assert sum(inputs_of(name, version) for name, version, _ in CASES) >= ALL_INPUTS
    for version in VERSIONS:
        states = {ROOMS[place].state(version) for place in EVERYWHERE if place[1] == version}
        wanted = {(message, exchange, NONE) for message in MessageState for exchange in EXCHANGES[version]}
        if version == VERSION_4:
            wanted |= {(MessageState.ENCRYPTED, sent, NONE) for sent in (AUTH_I_SENT, AUTH_I_SENT_LATE)}
        for smp in (EXPECT_1, AWAITING_ANSWER, EXPECT_2, EXPECT_3, EXPECT_4):
            wanted.add((MessageState.ENCRYPTED, NONE, smp))
        reached = {(state.message, state.exchange, NONE) for state in states}
        reached |= {(state.message, state.exchange, state.smp) for state in states if state.smp}
        assert reached >= wanted
        assert frozenset().union(*(state.beside for state in states)) == BESIDE[version]


@pytest.mark.parametrize(("name", "version", "seed"), CASES)
def test_whatever_comes(
    name: str, version: int, seed: int, record_property: Callable[[str, object], None]
) -> None:
    """The invariants of `Watch` hold, and the inputs are what they are meant to be."""
    scene = enter(name, version, seed)
    assert scene.state == ROOMS[name, version].state(version)
    mutator = Mutator(scene, Random(f"{name}/{version}/{seed}"))
    watch = Watch(scene)
    count = inputs_of(name, version)
    for attempt in mutator.of_every_level():
        watch.give(attempt)
    while watch.inputs.total() < count:
        watch.give(mutator.attempt())
    watch.finish()
    met = watch.inputs[scene.state]
    record_property("fuzzed", (str(scene.state), met, watch.inputs.total(), watch.valid))
    assert met > count * 3 // 4
    assert watch.valid * 5 > watch.inputs.total() * 2
    assert {"bytes", "fields", "characters", "base64", "fragments", "replay"} <= watch.levels.keys()
    assert ("plaintext" in watch.levels) == ("data fields" in watch.levels) == (scene.sending is not None)
    assert ("signed" in watch.levels) == (scene.signing is not None)
    assert ("rest" in watch.levels) == (BEGUN in scene.state.beside)
    # Not everything is refused: real messages that are due are among the inputs.
    assert watch.accepted > 0


@pytest.mark.parametrize("version", VERSIONS)
def test_behind_the_mac_everything_is_reached(version: int) -> None:
    """What the peer's own keys make is taken, or refused for what it holds; never for a wrong MAC."""
    scene = enter("encrypted, SMP expect 2", version, 0)
    mutator = Mutator(scene, Random(0))
    watch = Watch(scene)
    kinds: set[type[Event]] = set()
    for _ in range(MESSAGES):
        attempt = mutator.plaintext()
        events = watch.give(attempt)
        assert not any(isinstance(event, Rejected) for event in events)
        kinds.update(map(type, events))
    assert {"Received", "SmpProgress", "SmpAborted", "SessionEnded", "ExtraKey"} <= {
        kind.__name__ for kind in kinds
    }


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("message", MessageState)
def test_hostility_does_not_pile_up(message: MessageState, version: int) -> None:
    """The same inputs once more leave no more behind than the first time; nothing is set back here."""
    scene = enter(message.value, version, 1)
    mutator = Mutator(scene, Random(0))
    attempts = [attempt for attempt in (mutator.attempt() for _ in range(600)) if not attempt.forged]
    talk, _ = scene.again()
    sizes = []
    for _ in range(3):
        for attempt in attempts:
            for line in attempt.lines:
                talk.receive(line)
        # What is being put together may be of any length at the end, and is no part of this.
        sizes.append(len(repr(picture_of(talk))))
    assert sizes[2] <= sizes[1] + 1_000


def test_a_real_message_that_is_due_is_valid_and_taken() -> None:
    for name, version in EVERYWHERE:
        scene = enter(name, version, 0)
        watch = Watch(scene)
        for line in scene.due:
            if line.startswith("?OTR:"):
                assert has_valid_header(line, scene.versions, scene.tags), (name, version)
        events = watch.give(Attempt(tuple(scene.due), "replay"))
        assert not any(isinstance(event, Rejected) for event in events), (name, version)


@pytest.mark.parametrize("seed", range(len(SETTINGS)))
@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("plaintext", 3),
        ("finished, awaiting Signature", 3),
        ("encrypted, another client talks", 3),
        ("encrypted, fragments", 3),
        ("finished, waiting for Auth-I", 4),
        ("encrypted", 4),
    ],
)
def test_a_likeness_says_what_a_snapshot_says(name: str, version: int, seed: int) -> None:
    """Whether a line has changed anything; both are right about the same lines."""
    scene = enter(name, version, seed)
    mutator = Mutator(scene, Random(0))
    said: Counter[bool] = Counter()
    while said.total() < 200:
        talk, _ = scene.again()
        likeness = scene.likeness()
        for line in mutator.attempt().lines:
            before = likeness.of(talk), picture_of(talk)
            talk.receive(line)
            unchanged = alike(before[0], likeness.of(talk))
            assert unchanged == (before[1] == picture_of(talk)), line
            said[unchanged] += 1
    assert min(said[True], said[False]) > 5


# --- the watch itself --------------------------------------------------------------------------------------

SOMEBODY_S_KEY = identity("rogue").fingerprint
SOMEBODY = SessionInfo(3, bytes(8), True, identity(PEER).fingerprint, SOMEBODY_S_KEY, 0x100)

Fault = Callable[[Conversation, str], list[Event]]


def _raising(talk: Conversation, line: str) -> list[Event]:
    raise IndexError(line)


def _refusing_and_ending(talk: Conversation, line: str) -> list[Event]:
    talk.lose()
    return [Rejected(Reason.MALFORMED)]


def _refusing_at_length(talk: Conversation, line: str) -> list[Event]:
    return [Transmit(("?OTR Error: a",)), Transmit(("?OTR Error: b",)), Rejected(Reason.MALFORMED)]


def _hoarding(talk: Conversation, line: str) -> list[Event]:
    talk.peer += "x" * (MAX_GROWTH + 1)
    return [Received("x", Protection.PLAIN)]


def _returning(*events: Event) -> Fault:
    return lambda talk, line: list(events)


FAULTS: dict[str, Fault] = {
    "IndexError": _raising,
    "the state is another": _refusing_and_ending,
    "too much is said": _refusing_at_length,
    "has grown": _hoarding,
    "in the clear": _returning(Transmit(("hello",), plain=True)),
    "what was typed": _returning(Transmit((f"?OTR {CANARY}",))),
    "sent: 'hello": _returning(Transmit(("hello",))),
    "sent: '.OTR.n": _returning(Transmit(("?OTR\n",))),
    "101 characters in a line": _returning(Transmit(("?OTR" + "x" * 97,))),
    "characters are sent": _returning(Transmit(("?OTR",) * (MAX_SENT // 4 + 1))),
    "events": _returning(*[Received("x", Protection.PLAIN)] * (MAX_EVENTS + 1)),
    "taken for encrypted": _returning(Received("x", Protection.ENCRYPTED)),
    "somebody else": _returning(SessionOpened(SOMEBODY, refreshed=False, trust=Trust.NONE)),
    "unequal secrets": _returning(SmpSucceeded(trusts=True)),
    "a key is trusted": _returning(MemoryChanged(PeerMemory(keys=(KnownKey(SOMEBODY_S_KEY, Trust.SMP),)))),
    "never typed": _returning(Resent("hello")),
}


@pytest.mark.parametrize("sentence", FAULTS)
def test_a_fault_is_seen(sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch(enter("encrypted", 3, 1))
    attempt = Attempt(("hello",), "markers")
    watch.give(attempt)
    monkeypatch.setattr(Conversation, "receive", FAULTS[sentence])
    with pytest.raises(Broken, match=sentence) as raised:
        for _ in range(SIZE_EVERY):
            watch.give(attempt)
    assert "by 'hello'" in str(raised.value)


def test_a_text_that_is_lost_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch(enter("required, query sent", 3, 0))

    def losing(talk: Conversation, line: str) -> list[Event]:
        talk._outbox.give_back()
        return [Received(line, Protection.UNEXPECTED_PLAIN)]

    monkeypatch.setattr(Conversation, "receive", losing)
    with pytest.raises(Broken, match="a text of the user is lost"):
        watch.give(Attempt(("hello",), "markers"))


def test_a_tick_without_an_end_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch(enter("plaintext, query sent", 3, 0))
    monkeypatch.setattr(Conversation, "tick", lambda talk: [])
    with pytest.raises(Broken, match="due still"):
        watch.give(Attempt(("hello",), "wait", wait=1000.0))


def test_a_text_typed_into_a_conversation_goes_out_encrypted_or_not_at_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watch = Watch(enter("finished", 3, 0))
    monkeypatch.setattr(Conversation, "send", lambda talk, text: [Transmit((text,), plain=True)])
    with pytest.raises(Broken, match="in the clear"):
        watch.finish()
