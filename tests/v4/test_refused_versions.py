"""Nothing leads from version 4 back to an older one without a word to the user."""

from __future__ import annotations

from dataclasses import replace

import pytest

from otrcore.errors import Reason
from otrcore.events import Downgraded, Event, HandshakeStep, Received, Rejected, SessionOpened
from otrcore.model import MessageState, Protection
from otrcore.policy import Policy
from tests.pair import Pair, rests, speaking
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


STATES = pytest.mark.parametrize("state", ["encrypted", "finished"])
MESSAGES = pytest.mark.parametrize("message", older(3, THEM))


def version_4(state: str, policy: Policy | None = None) -> Subject:
    """A subject that speaks every version, or by this policy, in this state."""
    subject = Subject(policy=policy or speaking(2, 3, 4))
    peer = subject.secure()
    if state == "finished":
        subject.take(peer.send(DISCONNECT, flags=1))
    assert subject.talk.state.value == state
    return subject


@OLDER
@MESSAGES
@pytest.mark.parametrize("tag", [THEM, THEM + 1])
@STATES
def test_a_message_of_an_older_version_is_ignored(state: str, tag: int, message: str, version: int) -> None:
    """From the same instance or from another one; it is not answered, not even by an error."""
    subject = version_4(state)
    before = snapshot(subject.talk, caches=False)
    events = subject.take(older(version, tag)[message])
    assert all(isinstance(event, Rejected) for event in events)
    assert snapshot(subject.talk, caches=False) == before


@OLDER
@pytest.mark.parametrize("line", ["?OTRv{}?", "words?OTRv{}? more"])
@STATES
def test_a_query_for_an_older_version_is_ignored(state: str, line: str, version: int) -> None:
    subject = version_4(state)
    before = snapshot(subject.talk)
    assert subject.talk.receive(line.format(version)) == [Rejected(Reason.VERSION)]
    assert snapshot(subject.talk) == before


@OLDER
@STATES
def test_a_tag_for_an_older_version_starts_nothing(state: str, version: int) -> None:
    """Its text is shown all the same."""
    subject = version_4(state, replace(speaking(2, 3, 4), start_on_tag=True))
    events = subject.talk.receive("hello" + TAGS[version])
    assert events == [Received("hello", Protection.UNEXPECTED_PLAIN)]
    assert subject.talk.state.value == state
    assert not subject.talk.starting


def test_an_error_after_a_session_leads_to_no_older_version() -> None:
    """A query would ask the peer for any version, and whoever can make up an error can make up an answer."""
    subject = version_4("finished", replace(speaking(3, 4), start_on_error=True))
    (line,) = sent(subject.talk.receive("?OTR Error: unreadable"))
    assert reading.raw_of(line)[:3] == b"\0\4\x35"
    assert subject.talk.receive("?OTRv3?") == [Rejected(Reason.VERSION)]
    assert all(isinstance(event, Rejected) for event in subject.take(older(3, THEM)["Commit"]))


def test_after_a_renewal_that_nobody_has_answered_a_query_for_an_older_version_is_ignored() -> None:
    """Whether our user had asked for one is of no use any more once it was told that nobody answers."""
    subject = version_4("encrypted")
    assert sent(subject.talk.start())[-1].startswith("?OTRv234?")
    while not rests(subject.talk, subject.clock.now):
        subject.clock.now = max(subject.clock.now, subject.talk.next_tick or 0.0)
        subject.talk.tick()
    assert subject.talk.state is MessageState.FINISHED
    assert subject.talk.receive("?OTRv3?") == [Rejected(Reason.VERSION)]


@STATES
def test_who_asks_anew_may_be_answered_in_an_older_version(state: str) -> None:
    subject = version_4(state)
    subject.talk.start()
    assert len(sent(subject.talk.receive("?OTRv3?"))) == 1


def test_who_has_left_the_session_may_speak_an_older_version() -> None:
    for line in (reading.line(older(3, THEM)["Commit"]), "?OTRv3?"):
        subject = version_4("finished")
        subject.talk.end()
        assert len(sent(subject.talk.receive(line))) == 1


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
