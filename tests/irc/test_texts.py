"""What people read: every event that needs one has its sentence, true and with the next step."""

from __future__ import annotations

import re
from itertools import product
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otrcore.conversation import MAX_COMPLAINT
from otrcore.crypto.secret import Secret
from otrcore.errors import Reason
from otrcore.events import (
    Downgraded,
    Event,
    ExtraKey,
    HandshakeEnd,
    HandshakeFailed,
    HandshakeStep,
    Held,
    HeldBack,
    MemoryChanged,
    NoCommonVersion,
    NotSent,
    PeerComplained,
    Queued,
    Received,
    Rejected,
    Resent,
    SessionEnd,
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
from otrcore.irc.actions import AskSecret, ShowNote
from otrcore.irc.commands import OTR
from otrcore.irc.texts import (
    MAX_QUESTION,
    Standing,
    explain,
    identification,
    policy_lines,
    prompt,
    status,
)
from otrcore.memory import STRANGER, KnownKey, PeerMemory
from otrcore.model import Fingerprint, MessageState, Protection, SessionInfo, Trust
from otrcore.policy import ALWAYS, MANUAL, NEVER, PRESETS
from otrcore.v3.ake import NAMES
from otrcore.v4.dake import NAMES as NAMES_4
from tests.irc.network import Line, Network
from tests.pair import Pair

OURS = Fingerprint(bytes.fromhex("00112233445566778899aabbccddeeff01234567"))
THEIRS = Fingerprint(bytes.fromhex("fedcba9876543210fedcba9876543210fedcba98"))
OLDER = Fingerprint(bytes(range(20)))
INFO = SessionInfo(3, bytes.fromhex("0123456789abcdef"), True, OURS, THEIRS, 0x101)

PLAIN, ENCRYPTED, FINISHED = MessageState.PLAINTEXT, MessageState.ENCRYPTED, MessageState.FINISHED

# What the user can do next; a note that something went wrong has to name one.
NEXT_STEP = re.compile(
    r"/otr (start|end|refresh|smp (ask|answer|abort)|send|policy)|[Ss]end it|[Aa]sk for it|ask by voice|"
    "in person|newer client"
)

KEY = Secret(bytes(32))

STEPS = (*NAMES.values(), *NAMES_4.values())

# Events after which nothing is left to do, or that speak for themselves.
SILENT: list[Event] = [
    Transmit(("x",)),
    Received("x", Protection.ENCRYPTED),
    MemoryChanged(STRANGER),
    ExtraKey(KEY, 1, b"", by_peer=False),
    Rejected(Reason.OTHER_INSTANCE),
    Rejected(Reason.TOO_MANY),
    Rejected(Reason.REPLAYED),
    Rejected(Reason.REFLECTED),
    Rejected(Reason.OUT_OF_TURN),
    Rejected(Reason.UNVERIFIED),
    Rejected(Reason.UNREADABLE),
    Rejected(Reason.NO_SESSION),
]
TELLING: list[tuple[Event, MessageState]] = [
    (SmpAsked("Where did we meet?"), ENCRYPTED),
    (SmpAsked(None), ENCRYPTED),
    *((SmpProgress(percent), ENCRYPTED) for percent in (25, 50, 75)),
    *((SmpSucceeded(trusts), ENCRYPTED) for trusts in (True, False)),
    *((SmpFailed(trusts), ENCRYPTED) for trusts in (True, False)),
    *((SmpAborted(end), ENCRYPTED) for end in SmpEnd),
    *((SmpAborted(SmpEnd.SESSION), state) for state in (PLAIN, FINISHED)),
    (NotSent("x", HeldBack.NO_SESSION), PLAIN),
    (NotSent("x", HeldBack.TOO_MUCH), PLAIN),
    (NotSent("x", HeldBack.FINISHED), FINISHED),
    (NotSent("x", HeldBack.TOO_LARGE), ENCRYPTED),
    (Queued("x"), PLAIN),
    (Resent("x"), ENCRYPTED),
    (Held(("x",)), ENCRYPTED),
    (Held(("x", "y")), ENCRYPTED),
    *((HandshakeStep(name, sent), PLAIN) for name, sent in product(STEPS, (True, False))),
    *((HandshakeFailed(end), state) for end, state in product(HandshakeEnd, MessageState)),
    *(
        (SessionOpened(INFO, refreshed, trust), ENCRYPTED)
        for refreshed, trust in product((True, False), Trust)
    ),
    (SessionOpened(INFO, False, Trust.NONE, OLDER), ENCRYPTED),
    (SessionEnded(SessionEnd.PEER), FINISHED),
    (SessionEnded(SessionEnd.HERE), PLAIN),
    (SessionEnded(SessionEnd.EXPIRED), FINISHED),
    (SessionEnded(SessionEnd.RENEWED), FINISHED),
    (Downgraded(4, 3), PLAIN),
    *((NoCommonVersion(frozenset(offered)), PLAIN) for offered in ({1}, {2}, {1, 2}, {4}, {2, 4}, {4, 5})),
    (ExtraKey(KEY, 1, b"data", by_peer=True), ENCRYPTED),
    (PeerComplained("no key"), PLAIN),
    (Rejected(Reason.NO_SESSION, had_text=True), PLAIN),
    (Rejected(Reason.UNREADABLE, had_text=True), ENCRYPTED),
    (Rejected(Reason.MALFORMED, had_text=True), ENCRYPTED),
    (Rejected(Reason.MALFORMED), PLAIN),
    (Rejected(Reason.VERSION), PLAIN),
    (Rejected(Reason.UNRECOGNIZED), PLAIN),
    (Rejected(Reason.TOO_LARGE), PLAIN),
]


def said(event: Event, state: MessageState, peer: str = "bob") -> str:
    return "\n".join(explain(event, peer, Standing(state)))


def test_every_kind_of_event_is_in_these_tables() -> None:
    events = [*SILENT, *(event for event, _ in TELLING)]
    assert {type(event) for event in events} == set(get_args(Event))
    assert {event.reason for event in events if isinstance(event, NotSent)} == set(HeldBack)
    assert {event.reason for event in events if isinstance(event, HandshakeFailed)} == set(HandshakeEnd)
    assert {event.reason for event in events if isinstance(event, SessionEnded)} == set(SessionEnd)
    assert {event.reason for event in events if isinstance(event, Rejected)} == set(Reason)
    assert {event.reason for event in events if isinstance(event, SmpAborted)} == set(SmpEnd)


@pytest.mark.parametrize(("event", "state"), TELLING, ids=repr)
def test_an_event_has_its_sentence(event: Event, state: MessageState) -> None:
    lines = explain(event, "bob", Standing(state))
    assert lines
    for line in lines:
        assert line.strip()
        assert not set(line) & set("\r\n\0{}")
    if isinstance(event, HandshakeStep):
        assert lines[0].startswith("Sent: " if event.sent else "Received: ")
    else:
        assert "bob" in " ".join(lines)


@pytest.mark.parametrize("event", SILENT, ids=repr)
def test_an_event_that_speaks_for_itself_has_none(event: Event) -> None:
    for state in MessageState:
        assert explain(event, "bob", Standing(state)) == ()


@pytest.mark.parametrize(
    ("event", "state"),
    [
        (event, state)
        for event, state in TELLING
        if isinstance(event, NotSent | Held | SmpAsked | SmpFailed | Downgraded | PeerComplained | Rejected)
        or (isinstance(event, SessionOpened) and event.trust is Trust.NONE)
        or (isinstance(event, SmpAborted) and state is ENCRYPTED)
        or (isinstance(event, NoCommonVersion) and event.offered & {1, 2})
        or (isinstance(event, HandshakeFailed) and state is not ENCRYPTED)
        or (isinstance(event, SessionEnded) and event.reason in (SessionEnd.PEER, SessionEnd.EXPIRED))
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
    assert "Nothing is sent until you choose" in said(SessionEnded(SessionEnd.PEER), FINISHED)
    assert "What you type goes out unencrypted" in said(SessionEnded(SessionEnd.HERE), PLAIN)
    expired = said(SessionEnded(SessionEnd.EXPIRED), FINISHED)
    assert "for a day" in expired
    assert "Nothing is sent until you choose" in expired
    assert "waits" in said(SessionEnded(SessionEnd.RENEWED), FINISHED)


def test_a_v4_fingerprint_stands_in_lines_of_five_groups() -> None:
    ours, theirs = (Fingerprint(bytes(range(start, start + 56))) for start in (0, 100))
    info = SessionInfo(4, bytes.fromhex("0123456789abcdef"), True, ours, theirs, 0x101)
    assert identification(info, "bob") == (
        "  your fingerprint:  00010203 04050607 08090A0B 0C0D0E0F 10111213",
        "                     14151617 18191A1B 1C1D1E1F 20212223 24252627",
        "                     28292A2B 2C2D2E2F 30313233 34353637",
        "  bob's fingerprint: 64656667 68696A6B 6C6D6E6F 70717273 74757677",
        "                     78797A7B 7C7D7E7F 80818283 84858687 88898A8B",
        "                     8C8D8E8F 90919293 94959697 98999A9B",
        "  session id:        01234567 89abcdef (you read out the second half, bob the first)",
    )


@pytest.mark.parametrize(("verified", "met"), [(3, 4), (4, 3)])
def test_a_key_of_another_version_is_not_verified_along_and_that_is_said(verified: int, met: int) -> None:
    keys = {3: Fingerprint(bytes(range(20))), 4: Fingerprint(bytes(range(56)))}
    info = SessionInfo(met, bytes(8), True, keys[met], keys[met], 0x101)
    memory = PeerMemory(frozenset({3, 4}), (KnownKey(keys[verified], Trust.COMPARED), KnownKey(keys[met])))
    lines = explain(SessionOpened(info, False, Trust.NONE), "bob", Standing(ENCRYPTED, memory=memory))
    (told,) = [line for line in lines if line.startswith("You have verified bob's key for OTR")]
    spoken = {3: "versions 2 and 3", 4: "version 4"}
    assert told.index(spoken[verified]) < told.index(spoken[met])
    assert lines[-1].startswith("Not verified: ")
    later = explain(SessionOpened(info, False, Trust.SMP), "bob", Standing(ENCRYPTED, memory=memory))
    assert not any(line.startswith("You have verified bob's key for") for line in later)


@pytest.mark.parametrize(
    "policy", [MANUAL, ALWAYS], ids=["plain text is allowed", "plain text is not allowed"]
)
def test_what_is_said_of_the_next_text_is_so_under_every_policy(policy: object) -> None:
    assert policy in (MANUAL, ALWAYS)
    always = policy is ALWAYS
    standing = Standing(PLAIN, ALWAYS if always else MANUAL)
    for event in (
        NotSent("x", HeldBack.NO_SESSION),
        HandshakeFailed(HandshakeEnd.NO_ANSWER),
        SessionEnded(SessionEnd.HERE),
    ):
        text = " ".join(explain(event, "bob", standing))
        assert ("What you type goes out unencrypted" in text) is not always
        assert ("By your policy nothing goes out unencrypted" in text) is always


def test_no_next_step_is_impossible() -> None:
    """In the plain state there is nothing to end, outside of an encrypted one nothing to verify."""
    for event, state in TELLING:
        text = said(event, state)
        if state is not ENCRYPTED:
            assert "/otr smp" not in text
        if state is PLAIN and not isinstance(event, Rejected):
            assert "/otr end" not in text
    assert "/otr" not in said(SmpAborted(SmpEnd.SESSION), FINISHED)


def test_every_command_that_a_text_names_is_one() -> None:
    texts = [said(event, state) for event, state in TELLING]
    texts += [" ".join(explain(event, "bob", Standing(state, ALWAYS))) for event, state in TELLING]
    texts += [*policy_lines("bob", MANUAL), *status("bob", NEVER, None), *status("bob", ALWAYS, None)]
    named = {
        name
        for text in texts
        for name in re.findall(r"/otr ([a-z]+(?: (?:ask|answer|abort|default|v2))?)", text)
    }
    assert len(named) > 5
    for name in named:
        request = OTR.parse(name)
        assert request is not None, name
        assert not request.argument or request.command.argument


def test_secured_shows_what_to_compare_and_the_one_next_step() -> None:
    lines = explain(SessionOpened(INFO, False, Trust.NONE), "bob", Standing(ENCRYPTED))
    assert lines == (
        "Secured: the conversation with bob is encrypted (OTR version 3).",
        "  your fingerprint:  00112233 44556677 8899AABB CCDDEEFF 01234567",
        "  bob's fingerprint: FEDCBA98 76543210 FEDCBA98 76543210 FEDCBA98",
        "  session id:        01234567 89abcdef (you read out the first half, bob the second)",
        "Not verified: somebody in between could be reading along. "
        "Next: /otr smp ask, and a secret that only bob and you know.",
    )
    assert len(re.findall("/otr", "".join(lines))) == 1
    assert said(SessionOpened(INFO, True, Trust.NONE), ENCRYPTED).startswith("Secured with fresh keys:")


@pytest.mark.parametrize("trust", [Trust.COMPARED, Trust.SMP])
def test_secured_with_a_verified_key_says_so_and_how(trust: Trust) -> None:
    last = explain(SessionOpened(INFO, False, trust), "bob", Standing(ENCRYPTED))[-1]
    assert last.startswith("Verified: ")
    assert ("fingerprints" in last) is (trust is Trust.COMPARED)
    assert "/otr" not in last


def test_another_key_is_the_first_thing_said() -> None:
    opened = SessionOpened(INFO, False, Trust.NONE, OLDER)
    first, second, third, *_ = explain(opened, "bob", Standing(ENCRYPTED))
    assert first == f"WARNING: bob had another key before ({OLDER})."
    assert "in between" in second
    assert third.startswith("Secured")
    known = PeerMemory(keys=(KnownKey(OLDER, Trust.SMP), KnownKey(THEIRS)))
    first = explain(opened, "bob", Standing(ENCRYPTED, memory=known))[0]
    assert first == f"WARNING: this is NOT the key of bob that you have verified ({OLDER})."


def test_a_success_tells_who_is_verified_to_whom() -> None:
    mutual = said(SmpSucceeded(trusts=True), ENCRYPTED)
    asked = " ".join(explain(SmpSucceeded(trusts=True), "bob", Standing(ENCRYPTED, asked=True)))
    answered = said(SmpSucceeded(trusts=False), ENCRYPTED)
    assert "both of you" in mutual
    assert "bob has not thereby verified you" in asked
    assert "You have not thereby verified bob: /otr smp ask" in answered
    before = " ".join(explain(SmpSucceeded(trusts=False), "bob", Standing(ENCRYPTED, trust=Trust.SMP)))
    assert "/otr" not in before


def test_version_1_is_not_offered_a_way() -> None:
    assert "/otr" not in said(NoCommonVersion(frozenset({1})), PLAIN)
    assert "broken" in said(NoCommonVersion(frozenset({1})), PLAIN)
    for offered in ({2}, {1, 2}):
        assert "/otr policy v2" in said(NoCommonVersion(frozenset(offered)), PLAIN)


def test_a_newer_version_that_is_switched_off_is_named_before_an_older_one() -> None:
    for offered, way in (({2, 3}, "v3"), ({2, 4}, "v4"), ({3, 4}, "v4"), ({4, 5}, "v4")):
        assert f"/otr policy {way} " in said(NoCommonVersion(frozenset(offered)), PLAIN)


def test_an_extra_key_is_never_shown() -> None:
    key = Secret(bytes(range(100, 132)))
    text = said(ExtraKey(key, 1, b"data", by_peer=True), ENCRYPTED)
    assert "data" not in text
    assert bytes(key).hex() not in text


@pytest.mark.parametrize("name", PRESETS)
def test_policies_are_called_by_their_names(name: str) -> None:
    (line,) = policy_lines("bob", PRESETS[name])
    assert line.startswith(f"Policy for bob: {name}, ")


# ---- prompts


def test_prompts_say_whose_secret_and_that_exactness_counts() -> None:
    asked = AskSecret("bob", "Where?", True, 1)
    ours = AskSecret("bob", "Where?", False, 1)
    for prompted in (asked, ours, AskSecret("bob", None, True, 1), AskSecret("bob", None, False, 1)):
        what, how = prompt(prompted)
        assert "bob" in what
        assert "Capitals and blanks count" in how
        assert "empty line calls it off" in how
        assert ('"Where?"' in what) is (prompted.question is not None)
    assert prompt(asked)[0] != prompt(ours)[0]


@given(st.text())
def test_a_question_is_one_line_of_bounded_length(question: str) -> None:
    for line in (
        *explain(SmpAsked(question), "bob", Standing(ENCRYPTED)),
        *prompt(AskSecret("bob", question, True, 1)),
    ):
        assert not set(line) & set("\r\n\0")
        assert len(line) < MAX_QUESTION + 150


@pytest.mark.parametrize("peer", ["b", "bob", "a_very_long_nickname_of_somebody"])
def test_fingerprints_stand_above_each_other(peer: str) -> None:
    ours, theirs, session = identification(INFO, peer)
    assert ours.index(str(OURS)) == theirs.index(str(THEIRS)) == session.index(INFO.session_id)


def test_status_tells_every_state_apart() -> None:
    pair = Pair()
    plain = status("bob", MANUAL, pair.alice)
    assert plain == status("bob", MANUAL, None)
    assert plain == ("The conversation with bob is not encrypted. /otr start to change that.",)
    assert "nothing goes out like that" in status("bob", ALWAYS, None)[0]
    assert "switched off" in status("bob", NEVER, None)[0]
    query = pair.alice.start()
    assert status("bob", MANUAL, pair.alice) == ("An encrypted conversation with bob is being set up.",)
    pair.do("alice", query)
    pair.settle()
    info = pair.alice.info
    assert info is not None
    first, *rows, last = status("bob", MANUAL, pair.alice)
    assert first == "The conversation with bob is encrypted (OTR version 3), and not verified."
    assert tuple(rows) == identification(info, "bob")
    assert "Next: /otr smp ask" in last
    pair.do("alice", pair.alice.set_trust(Trust.COMPARED))
    first, *rows = status("bob", MANUAL, pair.alice)
    assert first.endswith("and verified by comparing fingerprints.")
    assert tuple(rows) == identification(info, "bob")
    pair.end("bob")
    (ended,) = status("bob", MANUAL, pair.alice)
    assert "is over" in ended
    assert "/otr start" in ended
    assert "/otr end" in ended


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
        assert nasty in text
        assert text.replace(nasty, "bob").split() == said(event, state).split()
    assert explain(PeerComplained(nasty), "bob", Standing())[0].endswith(f": {nasty}")
    assert f'"{nasty}"' in said(SmpAsked(nasty), ENCRYPTED)
    assert said(Resent(nasty), ENCRYPTED).endswith(f": {nasty}")
    for policy in PRESETS.values():
        assert nasty in status(nasty, policy, None)[0]
        assert nasty in policy_lines(nasty, policy)[0]


@given(st.text())
def test_a_complaint_is_one_line_with_the_next_step_behind_it(text: str) -> None:
    complaint, step = explain(PeerComplained(text), "bob", Standing())
    assert not set(complaint) & set("\r\n\0")
    assert explain(PeerComplained(""), "bob", Standing())[1] == step


def test_a_long_complaint_is_cut() -> None:
    alice = Network().join("alice")
    pieces = ["?OTR Error: "] + ["x" * 300] * 100
    for index, piece in enumerate(pieces, 1):
        alice.hear(Line("bob", "alice", f"?OTR,{index},{len(pieces)},{piece},", "PRIVMSG", cut=False))
    (complaint,) = alice.shown
    assert isinstance(complaint, ShowNote)
    assert len(complaint.lines[0]) <= MAX_COMPLAINT + 100
    assert "x" * 100 in complaint.lines[0]
