"""The message state machine: what the specification asks for in each msgstate, and every cell run.

Where the rows depart from "State transitions": a data message without a session is told
to the user only, as it may be meant for another client of his; a repeated one is not
answered with an error, as no text was lost; a whitespace tag starts nothing while the
state is encrypted, as anybody could inject one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Literal

import pytest

from otrcore.errors import Reason
from otrcore.events import (
    Event,
    HandshakeFailed,
    HandshakeStep,
    HeldBack,
    NoCommonVersion,
    NotSent,
    PeerComplained,
    Queued,
    Received,
    Rejected,
    SessionEnd,
    SessionEnded,
    SessionOpened,
    Transmit,
)
from otrcore.model import MessageState, Protection
from otrcore.policy import Policy
from tests.pair import speaking
from tests.spec import reading
from tests.spec.subject import DISCONNECT, US, Subject, shown

PLAIN, ENCRYPTED, UNEXPECTED = Protection.PLAIN, Protection.ENCRYPTED, Protection.UNEXPECTED_PLAIN
TAG = " \t  \t\t\t\t \t \t \t  "
TAGS = {2: TAG + "  \t\t  \t ", 3: TAG + "  \t\t  \t\t"}
"""By version: the base, and the group of the version."""
OTHERS = {2: "34", 3: "24"}
"""By version, those that are not spoken."""

States = Literal["plaintext", "encrypted", "finished"]
STATES: tuple[States, ...] = ("plaintext", "encrypted", "finished")


def data(
    plaintext: bytes = b"text", *, flags: int = 0, spoil_mac: bool = False
) -> Callable[[Subject], list[Event]]:
    """A data message as the peer would make it."""

    def receive(subject: Subject) -> list[Event]:
        raw = subject.peer.data_message(
            US, subject.public(1), plaintext, counter=9, flags=flags, spoil_mac=spoil_mac
        )
        return subject.take(raw)

    return receive


def repeated(subject: Subject) -> list[Event]:
    data()(subject)
    return data()(subject)


def cut_short(subject: Subject) -> list[Event]:
    return subject.take(subject.peer.data_message(US, subject.public(1), b"text", counter=9)[:-1])


ACTIONS: dict[str, Callable[[Subject], list[Event]]] = {
    "plain text": lambda subject: subject.talk.receive("hello"),
    "tagged text": lambda subject: subject.talk.receive(f"hello{TAGS[subject.version]}"),
    "query": lambda subject: subject.talk.receive(f"?OTRv{subject.version}?"),
    "query of other versions": lambda subject: subject.talk.receive(f"?OTRv{OTHERS[subject.version]}?"),
    "error": lambda subject: subject.talk.receive("?OTR Error: it broke"),
    "data": data(),
    "data, flag": data(flags=1),
    "data, empty": data(b""),
    "data, padding and unknown TLVs": data(b"text\0\0\0\0\2xx\0\x63\0\1x"),
    "data, repeated": repeated,
    "data, wrong MAC": data(spoil_mac=True),
    "data, wrong MAC, flag": data(spoil_mac=True, flags=1),
    "data, cut short": cut_short,
    "disconnect": data(DISCONNECT, flags=1),
    "disconnect with text": data(b"bye" + DISCONNECT),
    "user starts": lambda subject: subject.talk.start(),
    "user ends": lambda subject: subject.talk.end(),
    "user types": lambda subject: subject.talk.send("typed"),
}
ACTIONS |= {
    "plain text, required": ACTIONS["plain text"],
    "user types, required": ACTIONS["user types"],
    "tagged text, starts": ACTIONS["tagged text"],
    "error, starts": ACTIONS["error"],
}

POLICIES: dict[str, Callable[[Policy], Policy]] = {
    "required": lambda policy: replace(policy, require_encryption=True),
    "starts": lambda policy: replace(policy, start_on_tag=True, start_on_error=True),
}
"""What is allowed besides, by the last word of an action's name."""

COMPLAINED: list[Event] = [PeerComplained("it broke")]
NO_SESSION: list[Event] = [Rejected(Reason.NO_SESSION, had_text=True)]
NO_SESSION_NO_TEXT: list[Event] = [Rejected(Reason.NO_SESSION, had_text=False)]
UNREADABLE: list[Event] = [Rejected(Reason.UNREADABLE, had_text=True)]
COMMIT_SENT: list[Event] = [HandshakeStep("D-H Commit", sent=True)]
NO_COMMON: list[Event] = [NoCommonVersion(frozenset())]
"""With the versions that were offered."""

TABLE: dict[tuple[States, str], tuple[list[str], list[Event], States]] = {
    ("plaintext", "plain text"): ([], [Received("hello", PLAIN)], "plaintext"),
    ("plaintext", "tagged text"): ([], [Received("hello", PLAIN)], "plaintext"),
    ("plaintext", "query"): (["Commit"], COMMIT_SENT, "plaintext"),
    ("plaintext", "query of other versions"): ([], NO_COMMON, "plaintext"),
    ("plaintext", "error"): ([], COMPLAINED, "plaintext"),
    ("plaintext", "data"): ([], NO_SESSION, "plaintext"),
    ("plaintext", "data, flag"): ([], NO_SESSION_NO_TEXT, "plaintext"),
    ("plaintext", "data, empty"): ([], NO_SESSION, "plaintext"),
    ("plaintext", "data, padding and unknown TLVs"): ([], NO_SESSION, "plaintext"),
    ("plaintext", "data, repeated"): ([], NO_SESSION, "plaintext"),
    ("plaintext", "data, wrong MAC"): ([], NO_SESSION, "plaintext"),
    ("plaintext", "data, wrong MAC, flag"): ([], NO_SESSION_NO_TEXT, "plaintext"),
    ("plaintext", "data, cut short"): ([], NO_SESSION, "plaintext"),
    ("plaintext", "disconnect"): ([], NO_SESSION_NO_TEXT, "plaintext"),
    ("plaintext", "disconnect with text"): ([], NO_SESSION, "plaintext"),
    ("plaintext", "user starts"): (["query"], [], "plaintext"),
    ("plaintext", "user ends"): ([], [], "plaintext"),
    ("plaintext", "user types"): (["plain"], [], "plaintext"),
    ("plaintext", "plain text, required"): ([], [Received("hello", UNEXPECTED)], "plaintext"),
    ("plaintext", "user types, required"): (["query"], [Queued("typed")], "plaintext"),
    ("plaintext", "tagged text, starts"): (["Commit"], [Received("hello", PLAIN), *COMMIT_SENT], "plaintext"),
    # Who has ended a conversation wants to go on plain.
    ("plaintext", "error, starts"): ([], COMPLAINED, "plaintext"),
    ("encrypted", "plain text"): ([], [Received("hello", UNEXPECTED)], "encrypted"),
    ("encrypted", "tagged text"): ([], [Received("hello", UNEXPECTED)], "encrypted"),
    ("encrypted", "query"): (["Commit"], COMMIT_SENT, "encrypted"),
    ("encrypted", "query of other versions"): ([], NO_COMMON, "encrypted"),
    ("encrypted", "error"): ([], COMPLAINED, "encrypted"),
    ("encrypted", "data"): ([], [Received("text", ENCRYPTED)], "encrypted"),
    ("encrypted", "data, flag"): ([], [Received("text", ENCRYPTED)], "encrypted"),
    ("encrypted", "data, empty"): ([], [], "encrypted"),
    ("encrypted", "data, padding and unknown TLVs"): ([], [Received("text", ENCRYPTED)], "encrypted"),
    ("encrypted", "data, repeated"): ([], [Rejected(Reason.REPLAYED)], "encrypted"),
    ("encrypted", "data, wrong MAC"): (["error"], UNREADABLE, "encrypted"),
    ("encrypted", "data, wrong MAC, flag"): ([], [Rejected(Reason.UNREADABLE)], "encrypted"),
    ("encrypted", "data, cut short"): (["error"], [Rejected(Reason.MALFORMED, had_text=True)], "encrypted"),
    ("encrypted", "disconnect"): ([], [SessionEnded(SessionEnd.PEER)], "finished"),
    ("encrypted", "disconnect with text"): (
        [],
        [Received("bye", ENCRYPTED), SessionEnded(SessionEnd.PEER)],
        "finished",
    ),
    ("encrypted", "user starts"): (["query"], [], "encrypted"),
    ("encrypted", "user ends"): (["data"], [SessionEnded(SessionEnd.HERE)], "plaintext"),
    ("encrypted", "user types"): (["data"], [], "encrypted"),
    ("encrypted", "plain text, required"): ([], [Received("hello", UNEXPECTED)], "encrypted"),
    ("encrypted", "user types, required"): (["data"], [], "encrypted"),
    ("encrypted", "tagged text, starts"): ([], [Received("hello", UNEXPECTED)], "encrypted"),
    ("encrypted", "error, starts"): (["query"], COMPLAINED, "encrypted"),
    ("finished", "plain text"): ([], [Received("hello", UNEXPECTED)], "finished"),
    ("finished", "tagged text"): ([], [Received("hello", UNEXPECTED)], "finished"),
    ("finished", "query"): (["Commit"], COMMIT_SENT, "finished"),
    ("finished", "query of other versions"): ([], NO_COMMON, "finished"),
    ("finished", "error"): ([], COMPLAINED, "finished"),
    ("finished", "data"): ([], NO_SESSION, "finished"),
    ("finished", "data, flag"): ([], NO_SESSION_NO_TEXT, "finished"),
    ("finished", "data, empty"): ([], NO_SESSION, "finished"),
    ("finished", "data, padding and unknown TLVs"): ([], NO_SESSION, "finished"),
    ("finished", "data, repeated"): ([], NO_SESSION, "finished"),
    ("finished", "data, wrong MAC"): ([], NO_SESSION, "finished"),
    ("finished", "data, wrong MAC, flag"): ([], NO_SESSION_NO_TEXT, "finished"),
    ("finished", "data, cut short"): ([], NO_SESSION, "finished"),
    ("finished", "disconnect"): ([], NO_SESSION_NO_TEXT, "finished"),
    ("finished", "disconnect with text"): ([], NO_SESSION, "finished"),
    ("finished", "user starts"): (["query"], [], "finished"),
    ("finished", "user ends"): ([], [SessionEnded(SessionEnd.HERE)], "plaintext"),
    ("finished", "user types"): ([], [NotSent("typed", HeldBack.FINISHED)], "finished"),
    ("finished", "plain text, required"): ([], [Received("hello", UNEXPECTED)], "finished"),
    ("finished", "user types, required"): ([], [NotSent("typed", HeldBack.FINISHED)], "finished"),
    ("finished", "tagged text, starts"): (
        ["Commit"],
        [Received("hello", UNEXPECTED), *COMMIT_SENT],
        "finished",
    ),
    ("finished", "error, starts"): (["query"], COMPLAINED, "finished"),
}


each_version = pytest.mark.parametrize("version", [2, 3])


def bring(version: int, state: States, policy: str = "") -> Subject:
    """Return a conversation that had a session, and is in this state now."""
    allowed = speaking(version)
    if policy in POLICIES:
        allowed = POLICIES[policy](allowed)
    subject = Subject(version=version, policy=allowed).encrypted()
    if state == "plaintext":
        subject.talk.end()
    elif state == "finished":
        subject.finished()
    assert subject.talk.state.value == state
    return subject


def kind_of(line: str, *, plain: bool) -> str:
    """Name what a transmitted line is."""
    if plain:
        return "plain"
    if line.startswith("?OTR:"):
        return {reading.COMMIT: "Commit", reading.KEY: "Key", reading.DATA: "data"}[reading.raw_of(line)[2]]
    return "error" if line.startswith("?OTR Error:") else "query"


def sent_kinds(events: list[Event]) -> list[str]:
    return [
        kind_of(line, plain=event.plain)
        for event in events
        if isinstance(event, Transmit)
        for line in event.lines
    ]


def test_the_table_has_every_cell() -> None:
    assert set(TABLE) == set(product(STATES, ACTIONS))


@each_version
@pytest.mark.parametrize(("state", "action"), TABLE, ids=lambda name: name.replace(" ", "_"))
def test_cell(version: int, state: States, action: str) -> None:
    sent, events, following = TABLE[state, action]
    if events == NO_COMMON:
        events = [NoCommonVersion(frozenset(map(int, OTHERS[version])))]
    subject = bring(version, state, action.rpartition(", ")[2])
    outcome = ACTIONS[action](subject)
    assert sent_kinds(outcome) == sent
    assert shown(outcome) == events
    assert subject.talk.state.value == following


@each_version
def test_an_error_starts_an_exchange_with_a_peer_that_none_was_ended_with(version: int) -> None:
    subject = Subject(version=version, policy=replace(speaking(version), start_on_error=True))
    assert sent_kinds(subject.talk.receive("?OTR Error: it broke")) == ["query"]
    assert subject.talk.starting


@each_version
@pytest.mark.parametrize("state", STATES)
def test_an_exchange_that_ends_well_leads_to_encrypted(version: int, state: States) -> None:
    subject = bring(version, state)
    old = subject.talk.info
    key = subject.take_for_reply(subject.peer.commit())
    assert subject.talk.state.value == state
    outcome = subject.take(subject.peer.reveal(US, reading.message(key).number(0)))
    assert subject.talk.state is MessageState.ENCRYPTED
    (opened,) = [event for event in outcome if isinstance(event, SessionOpened)]
    assert opened.refreshed is (state == "encrypted")
    assert opened.info == subject.talk.info
    assert opened.info != old


@each_version
@pytest.mark.parametrize("state", STATES)
def test_an_exchange_that_comes_to_nothing_changes_no_message_state(version: int, state: States) -> None:
    subject = bring(version, state)
    info = subject.talk.info
    subject.take(subject.peer.commit())
    events: list[Event] = []
    while (due := subject.talk.next_tick) is not None:
        subject.clock.now = due
        events += subject.talk.tick()
        assert subject.talk.state.value == state
    assert sent_kinds(events) == ["Key"]
    assert [type(event) for event in shown(events)] == [HandshakeStep, HandshakeFailed]
    assert subject.talk.info == info


@each_version
def test_the_disconnect_message_is_what_the_specification_asks_for(version: int) -> None:
    subject = Subject(version=version).encrypted()
    (transmit, _) = subject.talk.end()
    assert isinstance(transmit, Transmit)
    plaintext, fields = subject.peer.open(reading.raw_of(transmit.lines[0]), subject.public(1))
    assert plaintext == DISCONNECT
    assert fields.flags == 1


@each_version
def test_keys_are_forgotten_with_a_disconnect(version: int) -> None:
    """After either side's end the old session's messages are unreadable, also if a new start fails."""
    for ended_by_us in (True, False):
        subject = Subject(version=version).encrypted()
        if ended_by_us:
            subject.talk.end()
        else:
            subject.finished()
        assert shown(data()(subject)) == NO_SESSION
        assert subject.talk.info is None
