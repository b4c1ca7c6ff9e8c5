"""Floods of starts: what is answered is rationed, and an honest exchange comes through."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import cycle
from random import Random

import pytest

from otrcore.errors import Reason
from otrcore.events import Event, HandshakeStep, Rejected
from otrcore.instances import LONGEST_DELAY, MAX_STARTING
from otrcore.model import MessageState
from otrcore.relation import ANSWERS_WITHIN, MAX_ANSWERS
from otrcore.v4.dake import LIFETIME, RESPONDER_RETRIES
from otrcore.wire.fragment import cut
from otrcore.wire.header import parse_header
from tests.snapshot import snapshot
from tests.spec import reading, reading4
from tests.spec.reading4 import Person
from tests.spec.scripted4 import ScriptedPeer
from tests.spec.subject import sent
from tests.spec.subject4 import THEM, Subject

SECONDS = 120
LIMIT = 350
LINES = 7
"""That an Auth-R takes."""


@cache
def recorded() -> tuple[bytes, ...]:
    """Identities of the peer from earlier days, whose profiles have not expired."""
    return tuple(ScriptedPeer(THEM).identity(f"recorded {number}") for number in range(12))


@cache
def made_up() -> tuple[bytes, ...]:
    """Identities of as many instances that nobody has."""
    return tuple(
        ScriptedPeer(0x5000 + number, Person("mallory")).identity(f"made up {number}") for number in range(12)
    )


FLOODS = pytest.mark.parametrize("flood", [recorded, made_up])


@FLOODS
def test_answers_are_rationed(flood: object) -> None:
    """Some at once, and then on average one every ten seconds, however many come."""
    subject = Subject()
    subject.talk.line_limit = LIMIT
    assert callable(flood)
    messages = cycle(flood())
    lines: list[str] = []
    for _ in range(SECONDS):
        for _ in range(3):
            lines += sent(subject.take(next(messages)))
        subject.clock.advance(1.0)
        lines += sent(subject.talk.tick())
    answers = {line.split("|")[1] for line in lines if line.startswith("?OTR|")}
    assert MAX_ANSWERS < len(answers) <= MAX_ANSWERS * (1 + SECONDS / ANSWERS_WITHIN)
    assert len(lines) == LINES * len(answers)
    assert len(subject.talk._instances._sessions) <= MAX_STARTING


def test_what_is_said_again_by_itself_is_rationed_too() -> None:
    """Three exchanges wait; their turn comes when three others have just been answered."""
    subject = Subject()
    for raw in made_up()[:3]:
        assert sent(subject.take(raw))
    subject.clock.advance(RESPONDER_RETRIES - 1.0)
    for raw in made_up()[3:6]:
        assert sent(subject.take(raw))
    subject.clock.advance(1.0)
    assert subject.talk.tick() == []
    assert subject.talk.next_tick == subject.clock.now + LIFETIME - RESPONDER_RETRIES


def test_the_first_three_at_once_and_no_fourth() -> None:
    subject = Subject()
    answered = [bool(sent(subject.take(raw))) for raw in made_up()[:5]]
    assert answered == [True, True, True, False, False]


def test_what_is_refused_for_that_changes_nothing() -> None:
    subject = Subject()
    for raw in made_up()[:3]:
        subject.take(raw)
    before = snapshot(subject.talk)
    assert subject.take(made_up()[3]) == [Rejected(Reason.TOO_MANY)]
    assert snapshot(subject.talk) == before


def begins(subject: Subject, flood: Iterator[bytes]) -> bytes:
    """Our Identity, in answer to a query: at once, or within a minute where a flood looks like a start."""
    lines = sent(subject.talk.receive("?OTRv4?"))
    for _ in range(int(LONGEST_DELAY)):
        if lines:
            break
        subject.take(next(flood))
        subject.clock.advance(1.0)
        lines = [line for line in sent(subject.talk.tick()) if reading.raw_of(line)[2] == reading4.IDENTITY]
    (line,) = lines
    return reading.raw_of(line)


@FLOODS
def test_we_begin_in_a_flood(flood: object) -> None:
    """What was replayed may rank higher: our Identity is kept all the same."""
    assert callable(flood)
    for first in range(4):
        subject = Subject()
        messages = cycle(flood()[first:] + flood()[:first])
        for _ in range(20):
            subject.take(next(messages))
            subject.clock.advance(1.0)
        ours = begins(subject, messages)
        for _ in range(20):
            subject.take(next(messages))
            subject.clock.advance(1.0)
            subject.talk.tick()
        subject.take(subject.peer.auth_r("theirs", ours))
        assert subject.talk.state is MessageState.ENCRYPTED


@FLOODS
def test_the_peer_begins_and_then_comes_a_flood(flood: object) -> None:
    """The state that its Auth-I needs stays for ten seconds at least."""
    assert callable(flood)
    subject = Subject()
    theirs = subject.peer.identity("theirs")
    auth_r = subject.take_for_reply(theirs)
    for raw in flood() * 3:
        subject.take(raw)
    subject.clock.advance(9.0)
    for raw in flood() * 3:
        subject.take(raw)
    subject.take(subject.peer.auth_i(theirs, auth_r))
    assert subject.talk.state is MessageState.ENCRYPTED


@FLOODS
def test_a_running_session_is_left_alone(flood: object) -> None:
    assert callable(flood)
    subject = Subject()
    peer = subject.secure()
    info = subject.talk.info
    for raw in flood() * 5:
        subject.take(raw)
        subject.clock.advance(2.0)
        subject.talk.tick()
    assert subject.talk.info == info
    assert peer.read(subject.sends("hello")) == b"hello\0"


# ---- fragments


def pieces(raw: bytes, identifier: int) -> list[str]:
    return list(cut(reading.line(raw), LIMIT, parse_header(raw), identifier))


@pytest.mark.parametrize("seed", range(5))
def test_pieces_of_several_messages_in_any_order(seed: int) -> None:
    """Each by its identifier."""
    subject = Subject()
    messages = [ScriptedPeer(0x5000 + number).identity(f"piecewise {number}") for number in range(3)]
    lines = [line for number, raw in enumerate(messages) for line in pieces(raw, 0x100 + number)]
    Random(seed).shuffle(lines)
    events: list[Event] = []
    for line in lines:
        events += subject.talk.receive(line)
    assert events.count(HandshakeStep("Auth-R", sent=True)) == 3


def test_a_piece_of_somebody_else_spoils_one_message_and_not_the_next() -> None:
    """What is said again has another identifier."""
    subject = Subject()
    first = pieces(subject.peer.identity("theirs"), 0x1234)
    forged = first[1].replace(first[1].split(",")[3], first[2].split(",")[3])
    events = subject.talk.receive(forged)
    for line in first:
        events += subject.talk.receive(line)
    assert not sent(events)
    for line in pieces(subject.peer.identity("theirs"), 0x1235):
        events += subject.talk.receive(line)
    assert sent(events)


def test_each_message_of_ours_has_an_identifier_of_its_own() -> None:
    """Even the same message, when it is said again."""
    subject = Subject()
    subject.talk.line_limit = LIMIT
    lines = sent(subject.talk.receive("?OTRv4?"))
    subject.clock.advance(10.0)
    again = sent(subject.talk.receive("?OTRv4?"))
    assert [line.split(",", 1)[1] for line in lines] == [line.split(",", 1)[1] for line in again]
    assert len({line.split("|")[1] for line in lines}) == len({line.split("|")[1] for line in again}) == 1
    assert lines[0] != again[0]
