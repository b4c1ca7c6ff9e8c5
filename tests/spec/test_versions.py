"""Versions 2 and 3 beside each other: which one is spoken, and that neither disturbs the other.

A header is not under any signature, so whoever can write in the peer's name can give any
message of a key exchange the number of the other version.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from otrcore.account import Account
from otrcore.errors import Reason, UsageError
from otrcore.events import (
    Downgraded,
    HandshakeEnd,
    HandshakeFailed,
    HandshakeStep,
    NoCommonVersion,
    Received,
    Rejected,
    SessionOpened,
    Transmit,
)
from otrcore.model import MessageState, Protection
from tests.pair import OTHER, SIDES, Pair, Side, identity, speaking
from tests.snapshot import secrets_in, snapshot
from tests.spec import reading
from tests.spec.scripted import ScriptedPeer, exponents
from tests.spec.subject import DISCONNECT, THEM, US, Subject, sent, shown

OTHER_VERSION = {2: 3, 3: 2}
TAG = " \t  \t\t\t\t \t \t \t  "
GROUPS = {1: " \t \t  \t ", 2: "  \t\t  \t ", 3: "  \t\t  \t\t"}
BOTH = speaking(2, 3)

each_version = pytest.mark.parametrize("version", [2, 3])


def state_of(subject: Subject) -> object:
    return snapshot(subject.talk, caches=False)


def refuse(subject: Subject, raw: bytes, reason: Reason) -> None:
    """Hand a message over that must be refused without a word, with nothing changed."""
    before = state_of(subject)
    events = subject.take(raw)
    assert [event.reason for event in events if isinstance(event, Rejected)] == [reason]
    assert len(events) == 1
    assert state_of(subject) == before


# --- which version is spoken ------------------------------------------------------------------------------

CHOICES = [
    ({2}, {2}, 2),
    ({2}, {3}, None),
    ({2}, {2, 3}, 2),
    ({3}, {2}, None),
    ({3}, {3}, 3),
    ({3}, {2, 3}, 3),
    ({2, 3}, {2}, 2),
    ({2, 3}, {3}, 3),
    ({2, 3}, {2, 3}, 3),
]


@pytest.mark.parametrize("starter", SIDES)
@pytest.mark.parametrize(("alices", "bobs", "version"), CHOICES)
def test_the_best_that_both_allow(
    alices: set[int], bobs: set[int], version: int | None, starter: Side
) -> None:
    pair = Pair(policies=(speaking(*alices), speaking(*bobs)))
    pair.start(starter)
    if version is None:
        offered = frozenset({"alice": alices, "bob": bobs}[starter])
        assert pair.of_kind(OTHER[starter], NoCommonVersion) == [NoCommonVersion(offered)]
        pair.wait(60)
        assert pair.of_kind(starter, HandshakeFailed) == [HandshakeFailed(HandshakeEnd.NO_ANSWER)]
        assert [talk.state for talk in pair.talks.values()] == [MessageState.PLAINTEXT] * 2
        return
    assert pair.agreed().version == version
    assert {reading.message(reading.raw_of(line)).version for _, line in pair.lines[1:]} == {version}
    for side in SIDES:
        pair.clear()
        pair.say(side, "hello")
        assert pair.events(OTHER[side]) == [Received("hello", Protection.ENCRYPTED)]
        assert reading.data_fields(reading.raw_of(pair.lines[0][1])).version == version


@pytest.mark.parametrize(
    ("versions", "query", "version"),
    [
        ({2}, "?OTRv2?", 2),
        ({2}, "?OTRv23?", 2),
        ({2}, "?OTR?v2?", 2),
        ({2}, "?OTRv3?", None),
        ({3}, "?OTRv23?", 3),
        ({3}, "?OTRv2?", None),
        ({3}, "?OTR?v2?", None),
        ({2, 3}, "?OTRv2?", 2),
        ({2, 3}, "?OTRv3?", 3),
        ({2, 3}, "?OTRv32?", 3),
        ({2, 3}, "?OTRv24x?", 2),
        ({2, 3}, "?OTR?v2?", 2),
        ({2, 3}, "?OTR?", None),
        ({2, 3}, "?OTRv4?", None),
        ({2, 3}, "?OTRv1?", None),
    ],
)
def test_what_answers_a_query(versions: set[int], query: str, version: int | None) -> None:
    subject = Subject(policy=speaking(*versions))
    events = subject.talk.receive(query)
    if version is None:
        offered = {int(letter) for letter in query if letter.isdigit()} | ({1} if "R?" in query else set())
        assert events == [NoCommonVersion(frozenset(offered))]
        assert secrets_in(snapshot(subject.talk)) == set()
        assert not subject.talk.starting
    else:
        (line,) = sent(events)
        commit = reading.message(reading.raw_of(line))
        assert (commit.version, commit.kind) == (version, reading.COMMIT)


@pytest.mark.parametrize(
    ("versions", "offered", "version"),
    [
        ({2}, (1, 2, 3), 2),
        ({3}, (1, 2, 3), 3),
        ({2, 3}, (2, 3), 3),
        ({2, 3}, (2,), 2),
        ({3}, (2,), None),
        ({2}, (3,), None),
        ({2, 3}, (1,), None),
    ],
)
def test_what_answers_a_tag(versions: set[int], offered: tuple[int, ...], version: int | None) -> None:
    subject = Subject(policy=replace(speaking(*versions), start_on_tag=True))
    events = subject.talk.receive("hello" + TAG + "".join(GROUPS[offer] for offer in offered))
    assert events[0] == Received("hello", Protection.PLAIN)
    versions_sent = [reading.message(reading.raw_of(line)).version for line in sent(events)]
    assert versions_sent == ([] if version is None else [version])
    assert subject.talk.starting is (version is not None)


@pytest.mark.parametrize(("versions", "query"), [({2}, "?OTRv2?"), ({3}, "?OTRv3?"), ({2, 3}, "?OTRv23?")])
def test_what_is_offered(versions: set[int], query: str) -> None:
    (transmit,) = Subject(policy=speaking(*versions)).talk.start()
    assert isinstance(transmit, Transmit)
    assert transmit.lines[0].split()[0] == query


def test_version_1_is_not_for_us() -> None:
    with pytest.raises(UsageError, match=r"\[2, 3, 4\]"):
        Account(identity("alice"), speaking(1, 3))


@each_version
def test_a_session_says_what_it_speaks(version: int) -> None:
    info = Subject(version=version).encrypted().talk.info
    assert info is not None
    assert info.version == version
    assert info.their_instance_tag == {2: 0, 3: THEM}[version]


# --- messages of a version that is not allowed ------------------------------------------------------------

STATES: dict[str, Callable[[int], Subject]] = {
    "plaintext": lambda version: Subject(version=version),
    "awaiting a Key": lambda version: started(Subject(version=version)),
    "awaiting a Reveal Signature": lambda version: answered(Subject(version=version)),
    "encrypted": lambda version: Subject(version=version).encrypted(),
    "finished": lambda version: Subject(version=version).encrypted().finished(),
}
each_state = pytest.mark.parametrize("state", STATES)


def started(subject: Subject) -> Subject:
    """We sent a Commit of its version."""
    (line,) = sent(subject.talk.receive(f"?OTRv{subject.version}?"))
    subject.commit = reading.raw_of(line)
    return subject


def answered(subject: Subject) -> Subject:
    """The peer's Commit of its version was answered."""
    subject.take_for_reply(subject.peer.commit())
    return subject


def all_messages(peer: ScriptedPeer, theirs: int) -> list[bytes]:
    """One message of each kind, made with a D-H value of ours."""
    return [
        peer.commit(),
        peer.commit(US),
        peer.key(US),
        peer.reveal(US, theirs),
        peer.signature(US, theirs),
        peer.data_message(US, theirs, b"text"),
        peer.data_message(US, theirs, DISCONNECT, flags=1),
    ]


@each_version
@each_state
def test_another_version_than_allowed_is_refused(state: str, version: int) -> None:
    subject = STATES[state](version)
    stranger = replace(subject.peer, version=OTHER_VERSION[version])
    for raw in all_messages(stranger, subject.public(1)):
        refuse(subject, raw, Reason.VERSION)


@pytest.mark.parametrize("number", [0, 1, 4, 0x0200, 0x0300, 0xFFFF])
@each_version
@each_state
def test_versions_that_nobody_speaks_are_refused(state: str, version: int, number: int) -> None:
    """Version 1 above all, whose messages look otherwise behind the number: nothing of them is read."""
    subject = STATES[state](version)
    for raw in all_messages(subject.peer, subject.public(1)):
        refuse(subject, number.to_bytes(2, "big") + raw[2:], Reason.VERSION)
    refuse(subject, number.to_bytes(2, "big"), Reason.VERSION)


# --- both allowed: the other version beside a session -----------------------------------------------------


@each_version
def test_data_of_the_other_version_is_not_for_this_session(version: int) -> None:
    """Though it was made with the session's own keys, and its MAC is right: each version has its sessions."""
    subject = Subject(version=version, policy=BOTH).encrypted()
    stranger = replace(subject.peer, version=OTHER_VERSION[version])
    for plaintext in (b"text", DISCONNECT):
        refuse(subject, stranger.data_message(US, subject.public(1), plaintext), Reason.NO_SESSION)
    raw = subject.peer.data_message(US, subject.public(1), b"text")
    assert subject.take(raw) == [Received("text", Protection.ENCRYPTED)]


@each_version
def test_a_session_goes_on_beside_an_exchange_of_the_other_version(version: int) -> None:
    """Neither has anything of the other: texts keep their version until the exchange is finished."""
    subject = Subject(version=version, policy=BOTH).encrypted()
    info = subject.talk.info
    other = ScriptedPeer(THEM, exponents()[7], version=OTHER_VERSION[version])
    key = subject.take_for_reply(other.commit())
    assert reading.message(key).version == OTHER_VERSION[version]
    assert subject.talk.info == info
    assert reading.data_fields(subject.sends("still")).version == version
    raw = subject.peer.data_message(US, subject.public(1), b"still")
    assert subject.take(raw) == [Received("still", Protection.ENCRYPTED)]
    subject.clock.advance(40.0)
    assert shown(subject.talk.tick()) == [HandshakeStep("D-H Key", sent=True)]
    subject.clock.advance(20.0)
    assert subject.talk.tick() == [HandshakeFailed(HandshakeEnd.INCOMPLETE)]
    assert subject.talk.info == info


@each_version
def test_a_finished_exchange_of_the_other_version_says_so(version: int) -> None:
    """A higher one replaces the session; a lower one stands beside it, and the user is warned of it."""
    subject = Subject(version=version, policy=BOTH).encrypted()
    other = ScriptedPeer(THEM, exponents()[7], version=OTHER_VERSION[version])
    key = subject.take_for_reply(other.commit())
    events = shown(subject.take(other.reveal(US, reading.message(key).number(0))))
    (opened,) = [event for event in events if isinstance(event, SessionOpened)]
    assert opened.refreshed is (version == 2)
    assert opened.info.version == OTHER_VERSION[version]
    assert [info.version for info in subject.talk.sessions] == {2: [3], 3: [3, 2]}[version]
    assert (Downgraded(3, 2) in events) is (version == 3)
    assert reading.data_fields(subject.sends("new")).version == 3


@each_version
@pytest.mark.parametrize("query", ["?OTRv2?", "?OTRv3?", "?OTRv23?"])
def test_a_query_of_any_version_leaves_a_session_as_it_is(version: int, query: str) -> None:
    """What libotr does not manage: there the next text goes out in the version of the query."""
    subject = Subject(version=version, policy=BOTH).encrypted()
    info = subject.talk.info
    for _ in range(3):
        subject.talk.receive(query)
        assert subject.talk.info == info
        assert reading.data_fields(subject.sends("text")).version == version


@each_version
@pytest.mark.parametrize("query", ["?OTRv2?", "?OTRv3?"])
def test_a_query_of_a_version_that_policy_forbids_leaves_everything(version: int, query: str) -> None:
    subject = Subject(version=version).encrypted()
    if query == f"?OTRv{version}?":
        query = f"?OTRv{OTHER_VERSION[version]}?"
    before = snapshot(subject.session)
    assert subject.talk.receive(query) == [NoCommonVersion(frozenset({OTHER_VERSION[version]}))]
    assert snapshot(subject.session) == before
    assert not subject.talk.starting


@pytest.mark.parametrize("query", ["?OTRv2?", "?OTR?v2?", "hello ?OTRv24?"])
def test_a_query_for_less_than_is_spoken_already_is_refused(query: str) -> None:
    """Anybody on the way can make one up, or edit one."""
    subject = Subject(version=3, policy=BOTH).encrypted()
    before = state_of(subject)
    assert subject.talk.receive(query) == [Rejected(Reason.VERSION)]
    assert state_of(subject) == before


# --- both allowed: the other version beside an exchange ---------------------------------------------------


@each_version
def test_a_commit_of_the_other_version_is_answered_on_its_own_merits(version: int) -> None:
    """Hashes decide only between Commits of one version: this one is answered, high or low."""
    for exponent in (0, -1):
        subject = started(Subject(version=version, policy=BOTH))
        other = ScriptedPeer(THEM, exponents()[exponent], version=OTHER_VERSION[version])
        key = reading.message(subject.take_for_reply(other.commit()))
        assert (key.version, key.kind) == (OTHER_VERSION[version], reading.KEY)
        subject.take(other.reveal(US, key.number(0)))
        info = subject.talk.info
        assert info is not None
        assert info.version == OTHER_VERSION[version]


@each_version
def test_a_commit_of_the_other_version_does_not_stop_an_exchange(version: int) -> None:
    """Anybody can send one in the peer's name: the Commit that went out is still good."""
    subject = started(Subject(version=version, policy=BOTH))
    subject.take(ScriptedPeer(THEM, exponents()[7], version=OTHER_VERSION[version]).commit())
    reveal = subject.take_for_reply(subject.peer.key(US))
    subject.take(subject.peer.signature(US, reading.opened(subject.commit, reveal)))
    info = subject.talk.info
    assert info is not None
    assert (info.version, info.initiator) == (version, True)


@each_version
def test_a_commit_of_the_other_version_does_not_stop_an_exchange_that_we_answer(version: int) -> None:
    subject = Subject(version=version, policy=BOTH)
    key = subject.take_for_reply(subject.peer.commit())
    subject.take(ScriptedPeer(THEM, exponents()[7], version=OTHER_VERSION[version]).commit())
    subject.take(subject.peer.reveal(US, reading.message(key).number(0)))
    info = subject.talk.info
    assert info is not None
    assert info.version == version


@each_version
def test_our_own_commit_comes_back_as_one_of_the_other_version(version: int) -> None:
    """Answered, it would put both halves of one exchange into our hands: we would talk with ourselves."""
    subject = started(Subject(version=version, policy=BOTH))
    turned = reading.readdressed(subject.commit, THEM, 0, version=OTHER_VERSION[version])
    refuse(subject, turned, Reason.REFLECTED)


@each_version
def test_we_never_talk_with_ourselves(version: int) -> None:
    """Every message of ours comes back at once, turned into one of the peer's, of either version."""
    subject = started(Subject(version=version, policy=BOTH))
    lines = [subject.commit]
    for _ in range(12):
        if not lines:
            break
        raw = lines.pop(0)
        for number in (OTHER_VERSION[version], version):
            answers = sent(subject.take(reading.readdressed(raw, THEM, US, version=number)))
            lines += [reading.raw_of(line) for line in answers if line.startswith("?OTR:")]
    assert subject.talk.state is MessageState.PLAINTEXT


@each_version
@pytest.mark.parametrize("state", ["awaiting a Key", "awaiting a Reveal Signature", "awaiting a Signature"])
def test_answers_of_the_other_version_are_out_of_turn(version: int, state: str) -> None:
    """With every value right, only the number in front is another."""
    subject = Subject(version=version, policy=BOTH)
    stranger = replace(subject.peer, version=OTHER_VERSION[version])
    if state == "awaiting a Reveal Signature":
        gy = reading.message(subject.take_for_reply(subject.peer.commit())).number(0)
        refuse(subject, stranger.reveal(US, gy), Reason.OUT_OF_TURN)
        subject.take(subject.peer.reveal(US, gy))
    else:
        started(subject)
        if state == "awaiting a Key":
            refuse(subject, stranger.key(US), Reason.OUT_OF_TURN)
        gx = reading.opened(subject.commit, subject.take_for_reply(subject.peer.key(US)))
        refuse(subject, stranger.signature(US, gx), Reason.OUT_OF_TURN)
        subject.take(subject.peer.signature(US, gx))
    info = subject.talk.info
    assert info is not None
    assert info.version == version


@each_version
@pytest.mark.parametrize("role", ["responder", "initiator"])
def test_a_query_of_the_other_version_does_not_stop_an_exchange(version: int, role: str) -> None:
    """As one of the same does not, until the exchange has been quiet for ten seconds."""
    subject = Subject(version=version, policy=BOTH)
    query = f"?OTRv{OTHER_VERSION[version]}?"
    if role == "responder":
        gy = reading.message(subject.take_for_reply(subject.peer.commit())).number(0)
        subject.talk.receive(query)
        subject.take(subject.peer.reveal(US, gy))
    else:
        started(subject)
        gx = reading.opened(subject.commit, subject.take_for_reply(subject.peer.key(US)))
        subject.talk.receive(query)
        subject.take(subject.peer.signature(US, gx))
    info = subject.talk.info
    assert info is not None
    assert info.version == version


@each_version
def test_ending_forgets_the_exchanges_of_all_versions(version: int) -> None:
    subject = started(Subject(version=version, policy=BOTH))
    subject.take(ScriptedPeer(THEM, exponents()[7], version=OTHER_VERSION[version]).commit())
    assert secrets_in(snapshot(subject.talk))
    subject.talk.end()
    assert secrets_in(snapshot(subject.talk)) == set()
    assert subject.talk.next_tick is None


# --- rollback by an edited query --------------------------------------------------------------------------


def test_a_query_edited_on_its_way_leads_to_the_lower_version_and_another_start_heals() -> None:
    """Queries are not authenticated; what was agreed shows in the session, and can be refused by policy."""
    pair = Pair(policies=(BOTH, BOTH))
    pair.do("alice", pair.alice.start())
    query = pair.on_the_way["bob"].popleft()
    pair.hand("bob", query.replace("v23", "v2"))
    pair.settle()
    assert pair.agreed().version == 2
    pair.clock.advance(100)
    pair.start("bob")
    assert pair.agreed().version == 3

    strict = Pair(policies=(speaking(3), BOTH))
    strict.do("alice", strict.alice.start())
    query = strict.on_the_way["bob"].popleft()
    strict.hand("bob", query.replace("v3", "v2"))
    strict.settle()
    assert [talk.state for talk in strict.talks.values()] == [MessageState.PLAINTEXT] * 2
    strict.start("bob")
    assert strict.agreed().version == 3


# --- fragments --------------------------------------------------------------------------------------------


@each_version
def test_the_syntax_of_fragments_says_nothing_of_what_is_inside(version: int) -> None:
    """libotr cuts even the query of version 3 in the syntax of version 2."""
    subject = Subject(version=version, policy=BOTH)
    line = reading.line(subject.peer.commit())
    at = len(line) // 2
    for front in ("?OTR", f"?OTR|{THEM:x}|{US:x}"):
        assert subject.talk.receive(f"{front},1,2,{line[:at]},") == []
        (reply,) = sent(subject.talk.receive(f"{front},2,2,{line[at:]},"))
        key = reading.message(reading.raw_of(reply))
        assert (key.version, key.kind) == (version, reading.KEY)


@each_version
def test_what_a_session_sends_is_cut_in_the_syntax_of_its_version(version: int) -> None:
    """Whatever the line before it was, and whatever else is offered."""
    subject = Subject(version=version, policy=BOTH).encrypted()
    subject.talk.line_limit = 120
    for query in ("?OTRv2?", "?OTRv3?"):
        subject.talk.receive(query)
        for line in sent(subject.talk.send("text")):
            assert line.startswith("?OTR," if version == 2 else f"?OTR|{US:08x}|{THEM:08x},")
            assert len(line) <= 120
