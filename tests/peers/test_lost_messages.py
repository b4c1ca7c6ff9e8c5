"""Messages of a key exchange are lost: nothing breaks, nothing leaks, and it heals by itself."""

from __future__ import annotations

from itertools import combinations, product

import pytest

from otrcore.events import (
    Event,
    HandshakeEnd,
    HandshakeFailed,
    HeldBack,
    NotSent,
    Queued,
    Received,
    SessionOpened,
)
from otrcore.model import MessageState, Protection
from tests.pair import OTHER, SIDES, Pair, Side, rests
from tests.spec import reading

AKE = ("Commit", "Key", "Reveal", "Signature")
DAKE = ("Identity", "Auth-R", "Auth-I")
EXCHANGE = {2: AKE, 3: AKE, 4: DAKE}
TYPES = dict(zip(AKE, (reading.COMMIT, reading.KEY, reading.REVEAL, reading.SIGNATURE), strict=True))
TYPES |= dict(zip(DAKE, (0x35, 0x36, 0x37), strict=True))
VERSIONS = tuple(EXCHANGE)
EACH = [(kind, version) for version in VERSIONS for kind in EXCHANGE[version]]
"""Every message of the key exchange of every version."""

EACH_OR_QUERY = [(kind, version) for version in VERSIONS for kind in ("query", *EXCHANGE[version])]

OFTEN = ("Identity", "Auth-R")
"""What the initiator of version 4, who says the same again only once, gives up before it is made good."""

QUIET = 10.0
"""Seconds after which an exchange in which the peer takes part may be begun anew."""

PATIENCE = {2: 40.0, 3: 40.0, 4: 70.0}
"""Seconds within which a lost message has been made good: a client that paces the long messages of version 4
takes 15 s for one, so that nothing is taken for lost as soon there."""


def is_kind(line: str, kind: str) -> bool:
    """Whether a line is this message."""
    if kind == "query":
        return line.startswith("?OTRv")
    return line.startswith("?OTR:") and reading.raw_of(line)[2] == TYPES[kind]


class Losing(Pair):
    """A pair whose link loses the next line of each of these kinds, or every one."""

    def __init__(self, *kinds: str, version: int = 3, encrypted: bool = False, always: bool = False) -> None:
        self.lost: list[str] = []
        self._to_lose: list[str] = []
        self._always = always
        super().__init__(version=version)
        if encrypted:
            self.secure()
        self._to_lose += kinds

    def deliver(self, to: Side) -> list[Event]:
        line = self.on_the_way[to][0]
        kind = next((kind for kind in self._to_lose if is_kind(line, kind)), None)
        if kind is None:
            return super().deliver(to)
        self.on_the_way[to].popleft()
        self.lost.append(kind)
        if not self._always:
            self._to_lose.remove(kind)
        return []


def losing(*kinds: str, version: int = 3, encrypted: bool = False, always: bool = False) -> Losing:
    """Return a pair where Alice has asked, so that Bob is the initiator, and what was to be lost first is."""
    pair = Losing(*kinds, version=version, encrypted=encrypted, always=always)
    pair.start("alice")
    assert pair.lost[0] in kinds
    return pair


def check_talk(pair: Pair) -> None:
    for side in SIDES:
        pair.clear()
        pair.say(side, "hello")
        assert pair.of_kind(OTHER[side], Received) == [Received("hello", Protection.ENCRYPTED)]


@pytest.mark.parametrize(("kind", "version"), EACH)
@pytest.mark.parametrize("encrypted", [False, True])
def test_one_lost_message_heals_by_itself(kind: str, version: int, encrypted: bool) -> None:
    pair = losing(kind, version=version, encrypted=encrypted)
    pair.wait(PATIENCE[version])
    assert pair.lost == [kind]
    pair.agreed()
    for side in SIDES:
        assert not pair.talks[side].starting
        assert pair.of_kind(side, HandshakeFailed) == []
        assert pair.of_kind(side, SessionOpened)
    check_talk(pair)


@pytest.mark.parametrize(
    ("first", "second", "version"),
    [
        (*pair, version)
        for version in VERSIONS
        for pair in combinations(EXCHANGE[version], 2)
        if pair != OFTEN
    ],
)
@pytest.mark.parametrize("encrypted", [False, True])
def test_two_lost_messages_heal_by_themselves(first: str, second: str, version: int, encrypted: bool) -> None:
    pair = losing(first, second, version=version, encrypted=encrypted)
    pair.wait(2 * PATIENCE[version])
    assert sorted(pair.lost) == sorted([first, second])
    pair.agreed()
    if version < 4 or first != "Identity":
        assert all(pair.of_kind(side, HandshakeFailed) == [] for side in SIDES)
    check_talk(pair)


@pytest.mark.parametrize("encrypted", [False, True])
def test_an_identity_and_the_answer_to_its_repetition(encrypted: bool) -> None:
    """Both are told, and a start of either is a good one then."""
    pair = losing(*OFTEN, version=4, encrypted=encrypted)
    pair.wait(2 * PATIENCE[4])
    assert sorted(pair.lost) == sorted(OFTEN)
    assert all(len(pair.of_kind(side, HandshakeFailed)) >= 1 for side in SIDES)
    assert not pair.alice.starting
    assert not pair.bob.starting
    pair.start("bob")
    pair.agreed()
    check_talk(pair)


@pytest.mark.parametrize(("kind", "version"), EACH)
def test_what_was_typed_meanwhile_is_read_in_the_end(kind: str, version: int) -> None:
    """Also by who believes to have a session of which the other knows nothing yet: never in the open."""
    pair = losing(kind, version=version)
    typed: dict[Side, list[str]] = {side: [f"{side} {number}" for number in range(3)] for side in SIDES}
    for side in SIDES:
        for text in typed[side]:
            if not pair.talks[side].starting:
                # Bob has not heard of any start yet, or Alice has a session.
                assert pair.talks[side].state is MessageState.ENCRYPTED or kind == "query"
                continue
            assert pair.do(side, pair.talks[side].send(text)) == [Queued(text)]
    pair.wait(PATIENCE[version])
    pair.agreed()
    for side in SIDES:
        queued = [event.text for event in pair.of_kind(side, Queued)]
        heard = pair.of_kind(OTHER[side], Received)
        assert heard == [Received(text, Protection.ENCRYPTED) for text in queued]
    assert any(pair.of_kind(side, Queued) for side in SIDES)
    for _, line in pair.lines:
        assert not any(text in line for texts in typed.values() for text in texts)


@pytest.mark.parametrize(("kind", "version"), EACH_OR_QUERY)
@pytest.mark.parametrize(("again", "encrypted"), list(product(SIDES, [False, True])))
def test_another_start_heals_it(kind: str, again: Side, version: int, encrypted: bool) -> None:
    pair = losing(kind, version=version, encrypted=encrypted)
    pair.wait(QUIET)
    pair.start(again)
    if version == 4:
        # It may cross the one whose message was lost, which is not repeated for that.
        pair.wait(PATIENCE[version])
    pair.agreed()
    check_talk(pair)


@pytest.mark.parametrize(("kind", "version"), EACH_OR_QUERY)
@pytest.mark.parametrize("again", SIDES)
def test_another_start_heals_it_also_after_everything_was_given_up(
    kind: str, again: Side, version: int
) -> None:
    pair = losing(kind, version=version, always=True)
    pair.wait(200.0)
    assert not pair.alice.starting
    assert not pair.bob.starting
    pair._to_lose.clear()
    pair.start(again)
    pair.agreed()


@pytest.mark.parametrize(("kind", "again", "encrypted"), list(product(("query", *AKE), SIDES, [False, True])))
def test_an_impatient_start_heals_it_within_10_s(kind: str, again: Side, encrypted: bool) -> None:
    """At once where nothing was said yet, else when it is remembered: nobody need ask a third time."""
    pair = losing(kind, encrypted=encrypted)
    pair.start(again)
    if kind == "query":
        pair.agreed()
    pair.wait(QUIET)
    pair.agreed()
    assert not pair.alice.starting
    assert not pair.bob.starting


@pytest.mark.parametrize(
    ("kind", "again", "encrypted"), list(product(("query", *DAKE), SIDES, [False, True]))
)
def test_an_impatient_start_does_no_harm_in_version_4(kind: str, again: Side, encrypted: bool) -> None:
    """What was said within 10 s is not said again, as it may still be on its way: it heals as without it."""
    pair = losing(kind, version=4, encrypted=encrypted)
    pair.start(again)
    pair.wait(PATIENCE[4])
    pair.agreed()
    assert not pair.alice.starting
    assert not pair.bob.starting
    check_talk(pair)


TOLD = {
    3: [
        ("query", [HandshakeEnd.NO_ANSWER], []),
        ("Commit", [HandshakeEnd.NO_ANSWER], [HandshakeEnd.NO_ANSWER]),
        ("Key", [HandshakeEnd.INCOMPLETE], [HandshakeEnd.NO_ANSWER]),
        ("Reveal", [HandshakeEnd.INCOMPLETE], [HandshakeEnd.INCOMPLETE]),
        ("Signature", [], [HandshakeEnd.INCOMPLETE]),
    ],
    4: [
        ("query", [HandshakeEnd.NO_ANSWER], []),
        ("Identity", [HandshakeEnd.NO_ANSWER], [HandshakeEnd.NO_ANSWER]),
        ("Auth-R", [HandshakeEnd.INCOMPLETE], [HandshakeEnd.NO_ANSWER]),
        ("Auth-I", [HandshakeEnd.INCOMPLETE], []),
    ],
}
"""For the message that is lost, what Alice and Bob are told."""


@pytest.mark.parametrize(
    ("kind", "alices", "bobs", "version"),
    [(*told, version) for version in VERSIONS for told in TOLD[max(version, 3)]],
)
def test_both_are_told_once_that_it_came_to_nothing(
    kind: str, alices: list[HandshakeEnd], bobs: list[HandshakeEnd], version: int
) -> None:
    """Whatever is lost again and again; what was typed comes back."""
    pair = losing(kind, version=version, always=True)
    waiting = {side for side in SIDES if isinstance(pair.talks[side].send("text")[-1], Queued)}
    pair.wait(300.0)
    assert [event.reason for event in pair.of_kind("alice", HandshakeFailed)] == alices
    assert [event.reason for event in pair.of_kind("bob", HandshakeFailed)] == bobs
    for side in SIDES:
        back = [NotSent("text", HeldBack.NO_SESSION)] if side in waiting else []
        assert pair.of_kind(side, NotSent) == back
        assert rests(pair.talks[side], pair.clock.now)


@pytest.mark.parametrize(
    ("kind", "version"),
    [(kind, version) for version in VERSIONS for kind in ("query", *EXCHANGE[version][:-1])],
)
def test_a_running_session_goes_on(kind: str, version: int) -> None:
    """Until one side has finished the new exchange, nothing has happened to the old session."""
    pair = Losing(kind, version=version, encrypted=True, always=True)
    before = pair.agreed()
    if version == 4:
        # Who asks for new keys in version 4 ends the session first; a query of anybody's does not.
        pair.on_the_way["bob"].append("?OTRv4?")
        pair.settle()
    else:
        pair.start("alice")
    for _ in range(4):
        assert pair.agreed() == before
        check_talk(pair)
        pair.wait(61.0)
    assert pair.lost
    assert pair.agreed() == before
