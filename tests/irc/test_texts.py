"""What people read: every event that needs one has its sentence, true and with the next step."""

from __future__ import annotations

import re
from itertools import product
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otrcore.conversation import MAX_COMPLAINT
from otrcore.errors import Reason
from otrcore.events import (
    Event,
    HandshakeEnd,
    HandshakeFailed,
    HandshakeStep,
    HeldBack,
    NotSent,
    PeerComplained,
    Received,
    Rejected,
    SessionEnded,
    SessionOpened,
    SmpAborted,
    SmpAsked,
    SmpEnd,
    SmpFailed,
    SmpProgress,
    SmpSucceeded,
    Transmit,
)
from otrcore.irc.host import ShowNote
from otrcore.irc.texts import explain, identification, status
from otrcore.model import Fingerprint, MessageState, Protection, SessionInfo
from otrcore.v3.ake import NAMES
from tests.irc.network import Line, Network

OURS = Fingerprint(bytes.fromhex("00112233445566778899aabbccddeeff01234567"))
THEIRS = Fingerprint(bytes.fromhex("fedcba9876543210fedcba9876543210fedcba98"))
OLDER = Fingerprint(bytes(range(20)))
INFO = SessionInfo(3, bytes.fromhex("0123456789abcdef"), True, OURS, THEIRS, 0x101)

PLAIN, ENCRYPTED, FINISHED = MessageState.PLAINTEXT, MessageState.ENCRYPTED, MessageState.FINISHED

# What the user can do next; a note that something went wrong has to name one.
NEXT_STEP = re.compile(r"/otr (start|end)|[Ss]end it|[Aa]sk for it|ask by voice|compare the fingerprints")

# Events after which nothing is left to do, or that speak for themselves.
SILENT: list[Event] = [
    Transmit(("x",)),
    Received("x", Protection.ENCRYPTED),
    Rejected(Reason.OTHER_INSTANCE),
    SmpProgress(25),
    SmpSucceeded(trusts=True),
    SmpFailed(trusts=True),
    SmpAborted(SmpEnd.HERE),
    Rejected(Reason.REPLAYED),
    Rejected(Reason.REFLECTED),
    Rejected(Reason.OUT_OF_TURN),
    Rejected(Reason.UNVERIFIED),
    Rejected(Reason.UNREADABLE),
    Rejected(Reason.NO_SESSION),
]
TELLING: list[tuple[Event, MessageState]] = [
    (SmpAsked("Where did we meet?"), ENCRYPTED),
    (NotSent("x", HeldBack.STARTING), PLAIN),
    (NotSent("x", HeldBack.FINISHED), FINISHED),
    (NotSent("x", HeldBack.TOO_LARGE), ENCRYPTED),
    *((HandshakeStep(name, sent), PLAIN) for name, sent in product(NAMES.values(), (True, False))),
    *((HandshakeFailed(end), state) for end, state in product(HandshakeEnd, MessageState)),
    *((SessionOpened(INFO, refreshed), ENCRYPTED) for refreshed in (True, False)),
    (SessionOpened(INFO, False, OLDER), ENCRYPTED),
    (SessionEnded(by_peer=True), FINISHED),
    (SessionEnded(by_peer=False), PLAIN),
    (PeerComplained("no key"), PLAIN),
    (Rejected(Reason.NO_SESSION, had_text=True), PLAIN),
    (Rejected(Reason.UNREADABLE, had_text=True), ENCRYPTED),
    (Rejected(Reason.MALFORMED, had_text=True), ENCRYPTED),
    (Rejected(Reason.VERSION), PLAIN),
    (Rejected(Reason.UNRECOGNIZED), PLAIN),
    (Rejected(Reason.TOO_LARGE), PLAIN),
]


def said(event: Event, state: MessageState, peer: str = "bob") -> str:
    return "\n".join(explain(event, peer, state))


def test_every_kind_of_event_is_in_these_tables() -> None:
    events = [*SILENT, *(event for event, _ in TELLING)]
    assert {type(event) for event in events} == set(get_args(Event))
    assert {event.reason for event in events if isinstance(event, NotSent)} == set(HeldBack)
    assert {event.reason for event in events if isinstance(event, HandshakeFailed)} == set(HandshakeEnd)
    assert {event.reason for event in events if isinstance(event, Rejected)} == set(Reason)


@pytest.mark.parametrize(("event", "state"), TELLING, ids=repr)
def test_an_event_has_its_sentence(event: Event, state: MessageState) -> None:
    lines = explain(event, "bob", state)
    assert lines
    for line in lines:
        assert line.strip()
        assert not set(line) & set("\r\n\0{}")
    if isinstance(event, HandshakeStep):
        assert lines[0].startswith("Sent: " if event.sent else "Received: ")
    else:
        assert "bob" in " ".join(lines) or isinstance(event, NotSent)


@pytest.mark.parametrize("event", SILENT, ids=repr)
def test_an_event_that_speaks_for_itself_has_none(event: Event) -> None:
    for state in MessageState:
        assert explain(event, "bob", state) == ()


@pytest.mark.parametrize(
    ("event", "state"),
    [
        (event, state)
        for event, state in TELLING
        if isinstance(event, NotSent | SessionOpened)
        or (isinstance(event, HandshakeFailed) and state is not ENCRYPTED)
        or (isinstance(event, SessionEnded) and event.by_peer)
        or (isinstance(event, Rejected) and event.had_text)
    ],
    ids=repr,
)
def test_what_needs_the_user_names_the_next_step(event: Event, state: MessageState) -> None:
    if event == NotSent("x", HeldBack.TOO_LARGE):
        assert "Send it in parts" in said(event, state)
    assert NEXT_STEP.search(said(event, state))


@pytest.mark.parametrize("end", HandshakeEnd)
def test_a_failed_start_tells_how_it_now_stands(end: HandshakeEnd) -> None:
    claims = {state: said(HandshakeFailed(end), state) for state in MessageState}
    assert "goes out unencrypted" in claims[PLAIN]
    assert "goes out" not in claims[ENCRYPTED]
    assert "goes on as before" in claims[ENCRYPTED]
    assert "Nothing is sent until you choose" in claims[FINISHED]


def test_an_end_tells_whether_text_goes_out() -> None:
    assert "Nothing is sent until you choose" in said(SessionEnded(by_peer=True), FINISHED)
    assert "What you type goes out unencrypted" in said(SessionEnded(by_peer=False), PLAIN)


def test_secured_shows_what_to_compare_and_says_that_it_is_not_verified() -> None:
    lines = explain(SessionOpened(INFO, False), "bob", ENCRYPTED)
    assert lines == (
        "Secured: the conversation with bob is encrypted (OTR version 3).",
        "  your fingerprint:  00112233 44556677 8899AABB CCDDEEFF 01234567",
        "  bob's fingerprint: FEDCBA98 76543210 FEDCBA98 76543210 FEDCBA98",
        "  session id:        01234567 89abcdef",
        "Not verified yet: compare the fingerprints with bob by voice or in person.",
    )
    assert said(SessionOpened(INFO, True), ENCRYPTED).startswith("Secured with fresh keys:")


def test_another_key_is_the_first_thing_said() -> None:
    first = explain(SessionOpened(INFO, False, OLDER), "bob", ENCRYPTED)[0]
    assert first.startswith("WARNING: bob had another key before")
    assert str(OLDER) in first


@pytest.mark.parametrize("peer", ["b", "bob", "a_very_long_nickname_of_somebody"])
def test_fingerprints_stand_above_each_other(peer: str) -> None:
    ours, theirs, session = identification(INFO, peer)
    assert ours.index(str(OURS)) == theirs.index(str(THEIRS)) == session.index(INFO.session_id)


def test_status_tells_every_state_apart() -> None:
    answers = {
        "plain": status(PLAIN, False, None, "bob"),
        "starting": status(PLAIN, True, None, "bob"),
        "encrypted": status(ENCRYPTED, False, INFO, "bob"),
        "refreshing": status(ENCRYPTED, True, INFO, "bob"),
        "finished": status(FINISHED, False, None, "bob"),
    }
    assert "not encrypted. /otr start" in answers["plain"][0]
    assert "being set up" in answers["starting"][0]
    assert "is encrypted (OTR version 3), and not verified" in answers["encrypted"][0]
    assert answers["encrypted"][1:] == identification(INFO, "bob")
    assert answers["refreshing"] == answers["encrypted"]
    assert "has ended" in answers["finished"][0]
    assert "/otr end" in answers["finished"][0]


NASTY = [
    "{}",
    "{peer}",
    "{0}",
    "{0.__class__}",
    "%s",
    "%(peer)s",
    "{",
    "}",
    "{peer!r:>1000000000}",
    "\\N{BELL}",
]


@pytest.mark.parametrize("nasty", NASTY)
def test_what_peers_choose_is_never_formatted(nasty: str) -> None:
    for event, state in TELLING:
        if isinstance(event, HandshakeStep):
            continue
        text = said(event, state, nasty)
        assert nasty in text or isinstance(event, NotSent)
        assert text.replace(nasty, "bob").split() == said(event, state).split()
    assert said(PeerComplained(nasty), PLAIN).endswith(f": {nasty}")
    for lines in (status(PLAIN, True, None, nasty), status(FINISHED, False, None, nasty)):
        assert nasty in lines[0]


@given(st.text())
def test_a_complaint_is_one_line(text: str) -> None:
    (line,) = explain(PeerComplained(text), "bob", PLAIN)
    assert not set(line) & set("\r\n\0")


def test_a_long_complaint_is_cut() -> None:
    alice = Network().join("alice")
    pieces = ["?OTR Error: "] + ["x" * 300] * 100
    for index, piece in enumerate(pieces, 1):
        alice.hear(Line("bob", "alice", f"?OTR,{index},{len(pieces)},{piece},", "PRIVMSG", cut=False))
    (complaint,) = alice.shown
    assert isinstance(complaint, ShowNote)
    assert len(complaint.lines[0]) <= MAX_COMPLAINT + 100
    assert "x" * 100 in complaint.lines[0]
