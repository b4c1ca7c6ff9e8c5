"""Nothing leads from version 4 back to an older one without a word to the user."""

from __future__ import annotations

from dataclasses import replace

import pytest

from otrcore.errors import Reason
from otrcore.events import Downgraded, Event, HandshakeStep, Rejected, SessionOpened
from otrcore.model import MessageState
from tests.pair import Pair, speaking
from tests.snapshot import snapshot
from tests.spec import reading, scripted
from tests.spec.scripted import exponents
from tests.spec.subject import DISCONNECT, sent
from tests.spec.subject4 import THEM, US, Subject

OLDER = pytest.mark.parametrize("version", [2, 3])
TAG = " \t  \t\t\t\t \t \t \t  "
TAGS = {2: TAG + "  \t\t  \t ", 3: TAG + "  \t\t  \t\t"}


def older(version: int, tag: int) -> dict[str, bytes]:
    """Every message of an older version, as right as can be without an exchange."""
    peer = scripted.ScriptedPeer(tag, exponents()[0], version=version)
    theirs = reading.public(exponents()[1])
    return {
        "Commit": peer.commit(),
        "Commit to us": peer.commit(US),
        "Key": peer.key(US),
        "Reveal": peer.reveal(US, theirs),
        "Signature": peer.signature(US, theirs),
        "data": peer.data_message(US, theirs, b"text"),
        "ignorable data": peer.data_message(US, theirs, b"text", flags=1),
    }


MESSAGES = pytest.mark.parametrize("message", older(3, THEM))


def version_4(state: str) -> Subject:
    """A subject that speaks every version, in this state."""
    subject = Subject(policy=speaking(2, 3, 4))
    peer = subject.secure()
    if state == "finished":
        subject.take(peer.send(DISCONNECT, flags=1))
    assert subject.talk.state.value == state
    return subject


@OLDER
@MESSAGES
@pytest.mark.parametrize("tag", [THEM, THEM + 1])
@pytest.mark.parametrize("state", ["encrypted", "finished"])
def test_a_message_of_an_older_version_is_ignored(state: str, tag: int, message: str, version: int) -> None:
    """From the same instance or from another one; it is not answered, not even by an error."""
    subject = version_4(state)
    before = snapshot(subject.talk, caches=False)
    events = subject.take(older(version, tag)[message])
    assert all(isinstance(event, Rejected) for event in events)
    assert snapshot(subject.talk, caches=False) == before


@OLDER
@pytest.mark.parametrize("line", ["?OTRv{}?", "words?OTRv{}? more"])
def test_a_query_for_an_older_version_is_ignored(line: str, version: int) -> None:
    subject = version_4("encrypted")
    before = snapshot(subject.talk)
    assert subject.talk.receive(line.format(version)) == [Rejected(Reason.VERSION)]
    assert snapshot(subject.talk) == before


@OLDER
def test_a_tag_for_an_older_version_starts_nothing(version: int) -> None:
    subject = Subject(policy=replace(speaking(2, 3, 4), start_on_tag=True))
    subject.secure()
    assert sent(subject.talk.receive("hello" + TAGS[version])) == []
    assert subject.talk.state is MessageState.ENCRYPTED


def test_who_has_left_the_session_may_speak_an_older_version() -> None:
    subject = version_4("finished")
    subject.talk.end()
    assert len(sent(subject.take(older(3, THEM)["Commit"]))) == 1


def down(events: list[Event]) -> list[Event]:
    return [event for event in events if isinstance(event, Downgraded)]


@pytest.mark.parametrize("line", ["?OTRv3?", "hello" + TAGS[3]])
def test_a_contact_that_has_spoken_version_4_offers_less(line: str) -> None:
    """It is told, once for a row of offers."""
    subject = Subject(policy=replace(speaking(3, 4), start_on_tag=True))
    subject.secure()
    subject.talk.end()
    assert down(subject.talk.receive(line)) == [Downgraded(4, 3)]
    subject.clock.advance(20.0)
    assert down(subject.talk.receive(line)) == []


def test_a_contact_that_has_spoken_version_4_opens_an_older_one() -> None:
    pair = Pair(policies=(speaking(3, 4), speaking(3, 4)))
    assert pair.secure().version == 4
    pair.end("alice")
    pair.end("bob")
    pair.do("bob", pair.bob.set_policy(speaking(3)))
    pair.clear()
    pair.start("bob")
    assert pair.agreed().version == 3
    assert Downgraded(4, 3) in pair.of_kind("alice", Downgraded)


def test_the_best_version_of_both_is_chosen() -> None:
    for ours, theirs, best in (((3, 4), (3, 4), 4), ((3,), (3, 4), 3), ((2, 4), (2, 3, 4), 4)):
        pair = Pair(policies=(speaking(*ours), speaking(*theirs)))
        assert pair.secure().version == best


def test_starts_in_two_versions_cross_and_the_newer_one_counts() -> None:
    """Somebody edits the queries; who is done first makes no difference."""
    for first in ("alice", "bob"):
        pair = Pair(policies=(speaking(3, 4), speaking(3, 4)), seed=first)
        pair.hand("alice", "?OTRv4?")
        pair.hand("bob", "?OTRv3?")
        pair.settle()
        pair.wait(200.0)
        assert pair.agreed().version == 4
        assert pair.of_kind("alice", SessionOpened)
        assert pair.of_kind("alice", HandshakeStep)
