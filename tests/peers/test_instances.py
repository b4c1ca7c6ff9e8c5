"""Several clients of one person, each a session of its own: starts, sending, verifying, ending."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations, product

import pytest

from otrcore.account import Account
from otrcore.errors import Reason, UsageError
from otrcore.events import (
    HandshakeFailed,
    HeldBack,
    NotSent,
    Received,
    Rejected,
    SessionEnd,
    SessionEnded,
    SessionOpened,
    SmpAborted,
    SmpAsked,
    SmpEnd,
    SmpSucceeded,
    Transmit,
)
from otrcore.model import MessageState, Protection, Trust
from tests.pair import Pair, identity, rests, speaking
from tests.peers.crowd import ALICE, CLIENTS, TAGS, Crowd
from tests.snapshot import secrets_in, snapshot
from tests.spec import reading
from tests.spec.scripted import ScriptedPeer, exponents
from tests.spec.subject import DISCONNECT, THEM, US, Subject, sent, shown

PC, PHONE = CLIENTS
L, M = THEM, 0x3000
LOWEST, *_, HIGHEST = exponents()
SEEDS = range(4)

each_version = pytest.mark.parametrize("version", [3, 4])
each_starter = pytest.mark.parametrize("starter", [ALICE, PC])


def texts(crowd: Crowd, name: str) -> list[str]:
    return [event.text for event in crowd.of_kind(name, Received) if event.protection is Protection.ENCRYPTED]


def check_talk(crowd: Crowd) -> None:
    """Alice and each of the clients hear each other, and nobody else does."""
    for client in crowd.clients:
        other = PHONE if client == PC else PC
        crowd.clear()
        crowd.alice.choose(TAGS[client])
        crowd.say(ALICE, f"to {client}")
        assert texts(crowd, client) == [f"to {client}"]
        assert set(crowd.events(other)) == {Rejected(Reason.OTHER_INSTANCE)}
        crowd.clear()
        crowd.say(client, f"from {client}")
        assert texts(crowd, ALICE) == [f"from {client}"]
        assert not crowd.of_kind(ALICE, Rejected)
    crowd.alice.choose(None)


# --- starts ---------------------------------------------------------------------------------------------


@each_version
@each_starter
@pytest.mark.parametrize("line_limit", [None, 120])
def test_one_start_gives_each_client_a_session_of_its_own(
    starter: str, line_limit: int | None, version: int
) -> None:
    crowd = Crowd(policy=speaking(version), line_limit=line_limit)
    crowd.start(starter)
    infos = [crowd.agreed(client) for client in CLIENTS]
    assert infos[0].ssid != infos[1].ssid
    assert set(crowd.alice.sessions) == set(infos)
    assert not any(talk.starting for talk in crowd.talks.values())
    check_talk(crowd)
    crowd.wait(120.0)
    assert not any(crowd.of_kind(name, HandshakeFailed) for name in crowd.names)
    assert all(rests(talk, crowd.clock.now) for talk in crowd.talks.values())


def test_a_commit_for_everybody_is_opened_to_each_who_answers() -> None:
    """One value of ours, two of theirs: what is agreed on with the one tells nothing of the other."""
    crowd = Crowd()
    crowd.start(PC)
    ours = [reading.raw_of(line) for name, line in crowd.lines if name == ALICE]
    (commit,) = [raw for raw in ours if raw[2] == reading.COMMIT]
    reveals = [raw for raw in ours if raw[2] == reading.REVEAL]
    assert len(reveals) == 2
    assert len({reading.opened(commit, reveal) for reveal in reveals}) == 1
    assert {reading.message(reveal).tags[1] for reveal in reveals} == {TAGS[client] for client in CLIENTS}


def both_commit(crowd: Crowd) -> None:
    """Her Commit, for everybody, crosses that of one client; the other has only heard of hers."""
    for name in (ALICE, PC):
        crowd.hand(name, crowd.talks[name].policy.query)


def all_commit(crowd: Crowd) -> None:
    """Three Commits cross."""
    for name in crowd.names:
        crowd.hand(name, crowd.talks[name].policy.query)


def all_ask(crowd: Crowd) -> None:
    """Three queries cross."""
    for name in crowd.names:
        crowd.do(name, crowd.talks[name].start())


@pytest.mark.parametrize("order", list(permutations((ALICE, *CLIENTS))))
@pytest.mark.parametrize(
    ("seed", "version"), [*((seed, 3) for seed in SEEDS), *((seed, 4) for seed in SEEDS[:2])]
)
@pytest.mark.parametrize("situation", [both_commit, all_commit, all_ask])
def test_crossing_starts(
    situation: Callable[[Crowd], None], seed: int, order: tuple[str, ...], version: int
) -> None:
    crowd = Crowd(policy=speaking(version), seed=seed)
    situation(crowd)
    for _ in range(60):
        for name in order:
            if crowd.on_the_way[name]:
                crowd.deliver(name)
    crowd.settle()
    for client in CLIENTS:
        crowd.agreed(client)
    # What a client has asked for while we were busy with another may wait for its turn.
    crowd.wait(120.0)
    for client in CLIENTS:
        crowd.agreed(client)
    check_talk(crowd)
    assert not any(crowd.of_kind(name, HandshakeFailed) for name in crowd.names)


@each_version
def test_both_outcomes_of_the_comparison_were_among_the_seeds(version: int) -> None:
    roles = set()
    for seed in SEEDS:
        crowd = Crowd(policy=speaking(version), seed=seed)
        both_commit(crowd)
        crowd.settle()
        roles.add((crowd.agreed(PC).initiator, crowd.agreed(PHONE).initiator))
    assert roles == {(True, True), (False, True)}


@each_version
@each_starter
def test_one_client_that_comes_later_gets_a_session_beside_the_first(starter: str, version: int) -> None:
    crowd = Crowd(policy=speaking(version))
    crowd.do(starter, crowd.talks[starter].start())
    while any(crowd.on_the_way.values()):
        crowd.on_the_way[PHONE].clear()
        for name in (ALICE, PC):
            if crowd.on_the_way[name]:
                crowd.deliver(name)
    crowd.agreed(PC)
    crowd.clear()
    crowd.start(PHONE)
    crowd.wait(60.0)
    for client in CLIENTS:
        crowd.agreed(client)
    # Her Commit went to everybody, so that the first client renews its keys, too.
    opened = crowd.of_kind(ALICE, SessionOpened)
    assert {(event.info.their_instance_tag, event.refreshed) for event in opened} == {
        (TAGS[PC], True),
        (TAGS[PHONE], False),
    }
    check_talk(crowd)


def started() -> tuple[Subject, bytes]:
    """Return a conversation of ours that has sent its Commit to everybody, and the Commit."""
    subject = Subject()
    (line,) = sent(subject.talk.receive("?OTRv3?"))
    return subject, reading.raw_of(line)


def instance(tag: int, number: int) -> ScriptedPeer:
    """Return one of many scripted clients."""
    return ScriptedPeer(tag, exponents()[number])


def opens(subject: Subject, peer: ScriptedPeer) -> None:
    """Open a session with a scripted client, which begins."""
    key = subject.take_for_reply(peer.commit())
    subject.take(peer.reveal(US, reading.message(key).number(0)))
    assert peer.tag in [info.their_instance_tag for info in subject.talk.sessions]


def test_a_repeated_d_h_key_of_one_that_was_served() -> None:
    subject, commit = started()
    first, second = instance(L, 3), instance(M, 4)
    reveals = {peer: subject.take_for_reply(peer.key(US)) for peer in (first, second)}
    for peer, reveal in reveals.items():
        assert subject.take_for_reply(peer.key(US)) == reveal
        before = snapshot(subject.talk)
        assert subject.take(instance(peer.tag, 5).key(US)) == [Rejected(Reason.OUT_OF_TURN)]
        assert snapshot(subject.talk) == before
    for peer, reveal in reveals.items():
        subject.take(peer.signature(US, reading.opened(commit, reveal)))
    assert [info.their_instance_tag for info in subject.talk.sessions] == [L, M]
    before = snapshot(subject.talk)
    for peer in reveals:
        assert subject.take(peer.key(US)) == [Rejected(Reason.OUT_OF_TURN)]
    assert snapshot(subject.talk) == before


def test_a_commit_for_everybody_is_good_for_60_s_after_the_first_answer() -> None:
    subject, _ = started()
    subject.take_for_reply(instance(L, 3).key(US))
    subject.clock.advance(59.0)
    subject.take_for_reply(instance(M, 4).key(US))
    subject.clock.advance(1.0)
    subject.talk.tick()
    assert subject.take(instance(0x4000, 5).key(US)) == [Rejected(Reason.OUT_OF_TURN)]


@pytest.mark.parametrize("held", [False, True])
def test_a_commit_that_was_yielded_to_one_is_good_for_another(held: bool) -> None:
    """What was given up is given up to the winner alone, and both exchanges can be finished."""
    subject, commit = started()
    winner, other = instance(L, -1), instance(M, 5)
    gy = reading.message(subject.take_for_reply(winner.commit())).number(0)
    if held:
        assert subject.take(instance(L, 3).key(US)) == []
    reveal = subject.take_for_reply(other.key(US))
    assert reading.message(reveal).tags == (US, M)
    subject.take(winner.reveal(US, gy))
    subject.take(other.signature(US, reading.opened(commit, reveal)))
    assert [(info.their_instance_tag, info.initiator) for info in subject.talk.sessions] == [
        (L, False),
        (M, True),
    ]


def test_a_client_cannot_take_part_in_the_exchange_of_another() -> None:
    subject, commit = started()
    first = instance(L, 3)
    reveal = subject.take_for_reply(first.key(US))
    before = snapshot(subject.talk)
    gx = reading.opened(commit, reveal)
    assert subject.take(instance(M, 3).signature(US, gx)) == [Rejected(Reason.OUT_OF_TURN)]
    assert snapshot(subject.talk) == before
    subject.take(first.signature(US, gx))
    assert len(subject.talk.sessions) == 1


# --- reflection -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("tag", [L, M])
def test_values_of_ours_come_back_from_another_client_or_in_another_version(version: int, tag: int) -> None:
    """Answered, they would put both halves of an exchange into our hands."""
    subject = Subject(policy=speaking(2, 3))
    lines = sent(subject.talk.receive("?OTRv3?"))
    key = subject.take_for_reply(instance(L, -1).commit())
    lines += sent(subject.talk.receive("?OTRv2?"))
    commits = [reading.raw_of(line) for line in lines]
    assert [reading.message(commit).version for commit in commits] == [3, 2]
    draws = [reading.public(subject.exponent(keyid)) for keyid in (1, 2, 3)]
    assert reading.message(key).number(0) == draws[1]
    mirror = ScriptedPeer(tag, 1, version=version)
    before = snapshot(subject.talk)
    for commit in commits:
        turned = reading.readdressed(commit, tag, US, version=version)
        assert subject.take(turned) == [Rejected(Reason.REFLECTED)]
    for value in draws:
        assert subject.take(mirror.key(US, gy=value)) == [Rejected(Reason.REFLECTED)]
    assert snapshot(subject.talk) == before


# --- which one is sent to -------------------------------------------------------------------------------


def best(subject: Subject) -> int | None:
    """The tag of the client that would be sent to."""
    info = subject.talk.info
    return info.their_instance_tag if info else None


def says(subject: Subject, peer: ScriptedPeer, text: bytes, *, counter: int = 1) -> None:
    """Have a client say something in its session, which our n-th D-H value opened."""
    theirs = {L: 1, M: 2}[peer.tag]
    raw = peer.data_message(US, subject.public(theirs), text, counter=counter)
    assert not any(isinstance(event, Rejected) for event in subject.take(raw))


def two_sessions(*, version: int = 3) -> tuple[Subject, ScriptedPeer, ScriptedPeer]:
    """Return a conversation with two encrypted clients, M the newer."""
    subject = Subject(version=version, policy=speaking(2, 3))
    first = ScriptedPeer(L, exponents()[3], dsa=reading.private_key("of L"))
    second = ScriptedPeer(M, exponents()[4], dsa=reading.private_key("of M"))
    opens(subject, first)
    subject.clock.advance(1.0)
    opens(subject, second)
    subject.clock.advance(1.0)
    return subject, first, second


def test_the_one_heard_last() -> None:
    subject, first, second = two_sessions()
    assert best(subject) == M
    says(subject, first, b"hello")
    assert best(subject) == L
    subject.clock.advance(1.0)
    says(subject, second, b"")
    assert best(subject) == M
    assert [info.their_instance_tag for info in subject.talk.sessions] == [L, M]


def test_what_is_refused_or_not_under_a_key_was_not_heard() -> None:
    subject, first, _ = two_sessions()
    raw = first.data_message(US, subject.public(1), b"text", spoil_mac=True)
    subject.take(raw)
    subject.take(first.commit())
    assert best(subject) == M


def test_the_verified_one() -> None:
    subject, _, _ = two_sessions()
    first, _ = subject.talk.sessions
    subject.talk.set_trust(Trust.COMPARED, first.their_fingerprint)
    assert best(subject) == L
    assert subject.talk.trust is Trust.COMPARED
    subject.talk.set_trust(Trust.NONE, first.their_fingerprint)
    assert best(subject) == M


def test_the_newer_version() -> None:
    """Texts stay in the newer one though the client of the older was heard last."""
    subject, _, _ = two_sessions()
    old = ScriptedPeer(0x4000, exponents()[6], version=2, dsa=reading.private_key("of an old client"))
    key = subject.take_for_reply(old.commit())
    subject.take(old.reveal(US, reading.message(key).number(0)))
    assert [info.version for info in subject.talk.sessions] == [3, 3, 2]
    assert best(subject) == M


def test_encrypted_before_finished_before_plain() -> None:
    subject, first, second = two_sessions()
    subject.talk.set_trust(Trust.SMP)
    says(subject, second, DISCONNECT, counter=1)
    states = [subject.talk.state]
    assert best(subject) == L
    says(subject, first, DISCONNECT)
    states.append(subject.talk.state)
    subject.take(instance(0x4000, 5).commit())
    states.append(subject.talk.state)
    assert states == [MessageState.ENCRYPTED, MessageState.FINISHED, MessageState.FINISHED]


def test_the_chosen_one() -> None:
    subject, _, second = two_sessions()
    subject.talk.choose(L)
    assert best(subject) == L
    says(subject, second, b"hello")
    assert best(subject) == L
    plaintext, _ = ScriptedPeer(L, exponents()[3]).open(subject.sends("to L"), subject.public(1))
    assert plaintext == b"to L\0"
    subject.talk.choose(None)
    assert best(subject) == M


def test_a_chosen_one_that_ends_is_not_replaced_in_silence() -> None:
    """The user must act before anything goes out, as the next text was meant for that client."""
    subject, first, _ = two_sessions()
    subject.talk.choose(L)
    says(subject, first, DISCONNECT)
    assert subject.talk.state is MessageState.FINISHED
    assert subject.talk.send("text") == [NotSent("text", HeldBack.FINISHED)]
    subject.talk.choose(None)
    assert best(subject) == M


@pytest.mark.parametrize("tag", [0, 1, 0x4000, 0x5000, US])
def test_nobody_who_has_no_session_can_be_chosen(tag: int) -> None:
    subject, _, _ = two_sessions()
    subject.take(instance(0x4000, 5).commit())
    with pytest.raises(UsageError, match="no encrypted conversation with that client"):
        subject.talk.choose(tag)
    assert best(subject) == M


@pytest.mark.parametrize("chosen", [False, True])
def test_one_who_moves_on_to_a_newer_version_is_followed(chosen: bool) -> None:
    """Nothing of the user's leaves in the open because the older session is over."""
    subject = Subject(version=2, policy=speaking(2, 3)).encrypted()
    if chosen:
        subject.talk.choose(0)
    newer = ScriptedPeer(L, exponents()[7])
    key = subject.take_for_reply(newer.commit())
    (opened,) = [
        event
        for event in subject.take(newer.reveal(US, reading.message(key).number(0)))
        if isinstance(event, SessionOpened)
    ]
    assert opened.refreshed
    assert subject.talk.state is MessageState.ENCRYPTED
    assert [info.version for info in subject.talk.sessions] == [3]
    assert reading.data_fields(subject.sends("secret")).version == 3


# --- verifying ------------------------------------------------------------------------------------------


@each_version
def test_one_prompt_at_most_for_the_questions_of_two_clients(version: int) -> None:
    crowd = Crowd(policy=speaking(version))
    crowd.secure()
    crowd.do(PC, crowd.talks[PC].smp_start("secret", "old?"))
    crowd.settle()
    assert crowd.of_kind(ALICE, SmpAsked) == [SmpAsked("old?")]
    crowd.clear()
    crowd.do(PHONE, crowd.talks[PHONE].smp_start("secret", "new?"))
    crowd.settle()
    aborted, asked = [
        event for event in shown(crowd.events(ALICE)) if isinstance(event, SmpAborted | SmpAsked)
    ]
    assert (aborted, asked) == (SmpAborted(SmpEnd.HERE), SmpAsked("new?"))
    assert crowd.of_kind(PC, SmpAborted) == [SmpAborted(SmpEnd.PEER)]
    crowd.clear()
    crowd.do(ALICE, crowd.alice.smp_answer("secret"))
    crowd.settle()
    assert crowd.of_kind(PHONE, SmpSucceeded) == [SmpSucceeded(trusts=True)]
    assert not crowd.of_kind(PC, SmpSucceeded)
    assert not crowd.alice.smp_waiting
    assert not crowd.alice.smp_running


@each_version
@pytest.mark.parametrize(("asker", "chosen"), list(product(CLIENTS, CLIENTS)))
def test_an_answer_goes_to_who_has_asked(asker: str, chosen: str, version: int) -> None:
    """Whoever is sent to otherwise."""
    crowd = Crowd(policy=speaking(version))
    crowd.secure()
    crowd.alice.choose(TAGS[chosen])
    crowd.do(asker, crowd.talks[asker].smp_start("secret"))
    crowd.settle()
    crowd.do(ALICE, crowd.alice.smp_answer("secret"))
    crowd.settle()
    assert crowd.of_kind(asker, SmpSucceeded)
    info = crowd.session_with(asker)
    assert info is not None
    assert crowd.alice.memory.trust(info.their_fingerprint) is Trust.SMP


# --- ending ---------------------------------------------------------------------------------------------


@each_version
def test_ending_ends_with_all(version: int) -> None:
    crowd = Crowd(policy=speaking(version))
    crowd.secure()
    crowd.do(ALICE, crowd.alice.end())
    assert crowd.of_kind(ALICE, SessionEnded) == [SessionEnded(SessionEnd.HERE)]
    assert len(crowd.of_kind(ALICE, Transmit)) == 2
    crowd.settle()
    for client in CLIENTS:
        assert crowd.talks[client].state is MessageState.FINISHED
        assert crowd.of_kind(client, SessionEnded) == [SessionEnded(SessionEnd.PEER)]
    assert crowd.alice.sessions == ()
    assert secrets_in(snapshot(crowd.alice)) == set()
    assert crowd.do(ALICE, crowd.alice.send("plain")) == [Transmit(("plain",), plain=True)]


def test_ending_stops_the_starts_with_all() -> None:
    subject, _ = started()
    subject.take_for_reply(instance(L, 3).key(US))
    subject.take_for_reply(instance(M, -1).commit())
    subject.talk.end()
    assert secrets_in(snapshot(subject.talk)) == set()
    assert subject.talk.next_tick is None
    assert not subject.talk.starting
    for peer in (instance(L, 3), instance(0x4000, 5)):
        assert subject.take(peer.key(US)) == [Rejected(Reason.OUT_OF_TURN)]


@each_version
def test_a_lost_peer_is_lost_with_all_clients(version: int) -> None:
    crowd = Crowd(policy=speaking(version))
    crowd.secure()
    assert crowd.do(ALICE, crowd.alice.lose()) == [SessionEnded(SessionEnd.PEER)]
    assert crowd.alice.state is MessageState.FINISHED
    assert crowd.alice.sessions == ()
    assert secrets_in(snapshot(crowd.alice)) == set()
    assert crowd.alice.next_tick is None
    assert crowd.alice.send("text") == [NotSent("text", HeldBack.FINISHED)]
    assert crowd.alice.lose() == []
    # Long answers to starts are rationed in version 4.
    crowd.clock.advance(60.0)
    crowd.secure()
    check_talk(crowd)


@each_version
def test_one_client_that_ends_leaves_the_other(version: int) -> None:
    crowd = Crowd(policy=speaking(version))
    crowd.secure()
    crowd.alice.choose(None)
    crowd.do(PC, crowd.talks[PC].end())
    crowd.settle()
    assert crowd.alice.state is MessageState.ENCRYPTED
    assert [info.their_instance_tag for info in crowd.alice.sessions] == [TAGS[PHONE]]
    crowd.clear()
    crowd.say(ALICE, "hello")
    assert texts(crowd, PHONE) == ["hello"]


@each_version
def test_plain_text_is_marked_by_the_best_client(version: int) -> None:
    crowd = Crowd(policy=speaking(version))
    crowd.secure()
    pc, phone = CLIENTS
    for over in (phone, pc):
        assert crowd.alice.receive("plain") == [Received("plain", Protection.UNEXPECTED_PLAIN)]
        crowd.do(over, crowd.talks[over].end())
        crowd.settle()
    assert crowd.alice.state is MessageState.FINISHED
    assert crowd.alice.receive("plain") == [Received("plain", Protection.UNEXPECTED_PLAIN)]
    crowd.alice.end()
    assert crowd.alice.receive("plain") == [Received("plain", Protection.PLAIN)]


def test_a_start_of_long_ago_is_not_taken_up_where_nobody_has_looked_at_the_clock() -> None:
    pair = Pair()
    pair.secure()
    pair.clock.advance(100.0)
    for number in range(6):
        # By the hashes, about half of them would have to give in to a Commit that still counted.
        other = Account(identity("alice"), speaking(3), instance_tag=0x5A00 + number, clock=pair.clock)
        commit = other.conversation("bob").receive("?OTRv3?")[0]
        assert isinstance(commit, Transmit)
        reply = pair.bob.receive(commit.lines[0])[0]
        assert isinstance(reply, Transmit)
        assert reading.raw_of(reply.lines[0])[2] == reading.KEY
