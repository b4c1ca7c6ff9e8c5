"""Instance tags made up by the thousand: bounded work, memory and answers, and nobody is pushed out."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import pytest

from otrcore.conversation import Conversation
from otrcore.crypto import ring
from otrcore.crypto.dh3072 import BraceKeyPair
from otrcore.crypto.modp import DhKeyPair
from otrcore.errors import Reason
from otrcore.events import Event, HandshakeStep, Rejected, SessionEnd, SessionEnded, SessionOpened
from otrcore.instances import MAX_SESSIONS, MAX_STARTING, QUIET
from otrcore.model import MessageState, Protection, Trust
from otrcore.relation import ANSWERS_WITHIN, MAX_ANSWERS
from otrcore.session import COMPLAINT_PAUSE
from tests.pair import Clock, Pair, Side, rests, speaking
from tests.snapshot import snapshot
from tests.spec import reading, reading4, scripted, scripted4, subject, subject4
from tests.spec.reading4 import Person
from tests.spec.scripted import exponents
from tests.spec.subject import DISCONNECT, THEM, US, sent, shown

TAGS = range(0x10000, 0x10000 + 10_000)
PEER = scripted.ScriptedPeer(0x10000, exponents()[7])

VALUES = {3: 100, 4: 250}
"""Plain values that an instance may be remembered by, keys and messages among them; by version."""

WORK = {3: 2, 4: 4}
"""Powers with secret exponents, and signatures, for an instance that is let in."""


class Work:
    """How many powers with secret exponents and ring signatures were asked for."""

    done = 0


@contextmanager
def counted() -> Iterator[Work]:
    """Count what costs time that we are asked for by others."""
    work = Work()

    with pytest.MonkeyPatch.context() as patch:
        for kind in (DhKeyPair, BraceKeyPair):
            generate, shared = kind.generate.__func__, kind.shared_secret  # type: ignore[union-attr]

            def generating(cls: type[object], *rest: object, generate: object = generate) -> object:
                work.done += 1
                return generate(cls, *rest)  # type: ignore[operator]

            def sharing(pair: object, their_public: int, shared: object = shared) -> object:
                work.done += 1
                return shared(pair, their_public)  # type: ignore[operator]

            patch.setattr(kind, "generate", classmethod(generating))
            patch.setattr(kind, "shared_secret", sharing)
        sign = ring.sign

        def signing(*rest: object) -> bytes:
            work.done += 1
            return sign(*rest)  # type: ignore[arg-type]

        patch.setattr(ring, "sign", signing)
        yield work


class Scripted(ABC):
    """A conversation of ours whose peer is scripted, and others who make up instances."""

    version: int
    tags = TAGS
    """Those that are made up, for the kinds whose messages differ from tag to tag."""
    talk: Conversation
    clock: Clock

    @abstractmethod
    def take(self, raw: bytes) -> list[Event]:
        """Receive an encoded message."""

    @abstractmethod
    def forged(self, kind: str, tag: int) -> bytes:
        """A message of an instance; its values are as good as any."""

    @abstractmethod
    def encrypt(self) -> None:
        """Open a session with THEM."""

    @abstractmethod
    def opens(self, tag: int, key: str) -> list[Event]:
        """Open one more session, as anybody can with a key of his own; returns what the last step did."""

    @abstractmethod
    def says(self, text: bytes, tag: int = THEM) -> bytes:
        """What a peer says that has opened a session."""

    @abstractmethod
    def addressed(self, raw: bytes) -> tuple[int, int]:
        """Sender and receiver of a data message."""


class Version3(Scripted):
    """Each message is the same for all tags, but for them."""

    version = 3

    def __init__(self) -> None:
        self.subject = subject.Subject()
        self.talk, self.clock = self.subject.talk, self.subject.clock
        self._peers: dict[int, tuple[scripted.ScriptedPeer, int]] = {}
        self._counter = 0

    def take(self, raw: bytes) -> list[Event]:
        return self.subject.take(raw)

    def forged(self, kind: str, tag: int) -> bytes:
        raw = _of_version_3(kind)
        return reading.readdressed(raw, tag, reading.message(raw).tags[1])

    def encrypt(self) -> None:
        self.subject.encrypted()
        self._peers[THEM] = self.subject.peer, self.subject.public(1)

    def opens(self, tag: int, key: str) -> list[Event]:
        peer = scripted.ScriptedPeer(tag, exponents()[tag % 30], dsa=reading.private_key(key))
        gy = reading.message(self.subject.take_for_reply(peer.commit())).number(0)
        self._peers[tag] = peer, gy
        return self.take(peer.reveal(US, gy))

    def says(self, text: bytes, tag: int = THEM) -> bytes:
        self._counter += 1
        peer, gy = self._peers[tag]
        return peer.data_message(US, gy, text, counter=self._counter)

    def addressed(self, raw: bytes) -> tuple[int, int]:
        sender, receiver = reading.message(raw).tags
        return sender, receiver


class Version4(Scripted):
    """Each instance has a client profile of its own, signed by somebody who may be anybody."""

    version = 4
    tags = TAGS[:120]

    def __init__(self) -> None:
        self.subject = subject4.Subject()
        self.talk, self.clock = self.subject.talk, self.subject.clock
        self._sessions: dict[int, scripted4.ScriptedSession] = {}

    def take(self, raw: bytes) -> list[Event]:
        return self.subject.take(raw)

    def forged(self, kind: str, tag: int) -> bytes:
        return _of_version_4(kind, tag)

    def encrypt(self) -> None:
        self._sessions[THEM] = self.subject.secure()

    def opens(self, tag: int, key: str) -> list[Event]:
        peer, label = scripted4.ScriptedPeer(tag, Person(key)), f"opens {tag}"
        theirs = peer.identity(label)
        auth_r = self.subject.take_for_reply(theirs)
        self._sessions[tag] = peer.session(label, auth_r)
        return self.take(peer.auth_i(theirs, auth_r))

    def says(self, text: bytes, tag: int = THEM) -> bytes:
        return self._sessions[tag].send(text)

    def addressed(self, raw: bytes) -> tuple[int, int]:
        fields = reading4.data_fields(raw)
        return fields.sender, fields.receiver


@cache
def _of_version_3(kind: str) -> bytes:
    gx = reading.public(5)
    return {
        "Commit": PEER.commit(US),
        "Commit for everybody": PEER.commit(),
        "Key": PEER.key(US),
        "Reveal": PEER.reveal(US, gx),
        "Signature": PEER.signature(US, gx),
        "data": PEER.data_message(US, gx, b"text"),
    }[kind]


SIGMA = b"".join(number.to_bytes(57, "little") for number in range(1, 7))
HIGH = scripted4.label_of_rank("made up", above=b"\xf8")
LOW = scripted4.label_of_rank("made up", below=b"\x08")
"""Labels of keys that win, and lose, against those of nearly everybody."""


@cache
def _of_version_4(kind: str, tag: int) -> bytes:
    peer = scripted4.ScriptedPeer(tag, Person("mallory"))
    match kind:
        case "Identity":
            return peer.identity(HIGH, US)
        case "Identity for everybody":
            return peer.identity(HIGH)
        case "Identity that loses":
            return peer.identity(LOW)
        case "Auth-R":
            return peer.auth_r(HIGH, _of_ours(), sigma=SIGMA)
        case "Auth-I":
            return reading4.header(reading4.AUTH_I, tag, US) + SIGMA
    return reading4.readdressed(_data_of_version_4(), tag, US)


@cache
def _of_ours() -> bytes:
    return scripted4.ScriptedPeer(US).identity("somebody")


@cache
def _data_of_version_4() -> bytes:
    return subject4.Subject().secure().send(b"text")


KINDS: dict[type[Scripted], tuple[str, ...]] = {
    Version3: ("Commit", "Commit for everybody", "Key", "Reveal", "Signature", "data"),
    Version4: ("Identity", "Identity for everybody", "Auth-R", "Auth-I", "data"),
}
each_kind = pytest.mark.parametrize(
    ("speaks", "kind"),
    [(speaks, kind) for speaks, kinds in KINDS.items() for kind in kinds],
    ids=lambda value: value if isinstance(value, str) else f"{value.version}",
)
each_version = pytest.mark.parametrize("speaks", KINDS, ids=lambda speaks: f"{speaks.version}")
each_situation = pytest.mark.parametrize("situation", ["starting", "encrypted"])


def situations(speaks: type[Scripted], name: str) -> Scripted:
    scene = speaks()
    if name == "encrypted":
        scene.encrypt()
    if name == "starting":
        assert sent(scene.talk.receive(f"?OTRv{speaks.version}?"))
    return scene


def size(picture: object) -> int:
    """The number of values in a picture."""
    match picture:
        case dict():
            return sum(map(size, picture.values()))
        case list():
            return sum(map(size, picture))
    return 1


def most_answers(version: int, kind: str, situation: str) -> float:
    """How many made-up instances get a word, all in one second.

    In version 3 as many as are let in; a Commit that loses has ours repeated, as the specification asks.
    In version 4 an answer to an Identity has 7 lines on IRC, so that there are fewer; a repeated Identity
    does harm; and what belongs to no session is complained of, once.
    """
    if version == 4:
        return {"Identity": MAX_ANSWERS, "Identity for everybody": MAX_ANSWERS, "data": 1}.get(kind, 0)
    if "Commit" in kind and situation == "starting":
        return float("inf")
    return MAX_STARTING if "Commit" in kind or kind == "Key" else 0


@each_kind
@each_situation
def test_ten_thousand_tags(speaks: type[Scripted], kind: str, situation: str) -> None:
    """All in one second: work is done for the first few, and one word is said to each of those.

    Some hundreds in version 4, where each is signed for itself.
    """
    scene = situations(speaks, situation)
    talk, info = scene.talk, scene.talk.info
    answers, most = 0, size(snapshot(talk))
    limit = most_answers(speaks.version, kind, situation)
    messages = [scene.forged(kind, tag) for tag in scene.tags]
    with counted() as work:
        for raw in messages:
            events = scene.take(raw)
            answers += len(sent(events))
            if not sent(events):
                (rejected,) = events
                assert isinstance(rejected, Rejected)
                assert rejected.had_text is (kind == "data")
        assert work.done <= WORK[speaks.version] * min(limit, MAX_STARTING)
    assert answers <= limit
    if speaks is Version4:
        assert answers == limit
    assert len(talk._instances._sessions) <= MAX_STARTING + 1
    assert size(snapshot(talk)) <= most + VALUES[speaks.version] * MAX_STARTING
    assert talk.info == info
    scene.clock.advance(200.0)
    for _ in range(5):
        talk.tick()
        scene.clock.advance(100.0)
    assert rests(talk, scene.clock.now)
    assert len(talk._instances._sessions) <= 1
    assert talk.info == info


def test_identities_that_lose_against_ours_are_neither_answered_nor_remembered() -> None:
    """The higher hash wins, whoever has the other one: ours is out, and is not said again."""
    scene = situations(Version4, "starting")
    before = snapshot(scene.talk)
    with counted() as work:
        for tag in scene.tags[:50]:
            events = scene.take(scene.forged("Identity that loses", tag))
            assert events == [HandshakeStep("Identity", sent=False)]
    assert work.done == 0
    assert snapshot(scene.talk) == before


def test_who_answers_our_identity_has_a_session_and_many_have_not() -> None:
    """An Auth-R is taken from any instance, as it comes from whoever has heard us; and ends the oldest."""
    scene = Version4()
    ours = scene.subject.identity()
    for number in range(3 * MAX_SESSIONS):
        tag = TAGS[number]
        auth_r = scripted4.ScriptedPeer(tag, Person("mallory")).auth_r(f"answer {number}", ours)
        events = scene.take(auth_r)
        assert any(isinstance(event, SessionOpened) for event in events)
        # The Auth-I, and the end of the session that has to go.
        assert len(sent(events)) == 1 + (number >= MAX_SESSIONS)
        assert len(scene.talk._instances._sessions) <= MAX_SESSIONS
    scene.clock.advance(60.0)
    late = scripted4.ScriptedPeer(TAGS[-1], Person("mallory")).auth_r("late", ours)
    assert scene.take(late) == [Rejected(Reason.OUT_OF_TURN)]


@pytest.mark.parametrize(
    ("speaks", "kind"),
    [(Version3, "Commit"), (Version3, "Key"), (Version4, "Identity"), (Version4, "Auth-R")],
)
def test_new_tags_for_ten_minutes(speaks: type[Scripted], kind: str) -> None:
    """Old ones that came to nothing make room, a few every ten seconds."""
    scene = situations(speaks, "starting")
    talk, seconds = scene.talk, 600
    each_second, answers = (5, 0) if speaks is Version3 else (1, 0)
    with counted() as work:
        for second in range(seconds):
            scene.clock.advance(1.0)
            if talk.next_tick is not None and talk.next_tick <= scene.clock.now:
                talk.tick()
            for number in range(each_second):
                tag = scene.tags[(each_second * second + number) % len(scene.tags)]
                answers += len(sent(scene.take(scene.forged(kind, tag))))
            assert len(talk._instances._sessions) <= MAX_STARTING
    if speaks is Version3:
        # A fresh value or a shared secret for each that is let in, and the two of what is tried again.
        assert work.done <= 4 * MAX_STARTING * (seconds / QUIET + 1)
    else:
        # The ration of long answers, of which what is said again by itself is a part.
        assert answers <= (MAX_ANSWERS * seconds / ANSWERS_WITHIN if kind == "Identity" else 0)
        assert work.done == WORK[4] * answers


@each_version
def test_forged_tags_push_no_session_out(speaks: type[Scripted]) -> None:
    """Nor do they make it worse: it is sent to and heard as before."""
    scene = situations(speaks, "encrypted")
    a_minute = 100 if speaks is Version3 else 20
    for minute in range(5):
        scene.clock.advance(60.0)
        for tag in TAGS[a_minute * minute : a_minute * (minute + 1)]:
            for kind in KINDS[speaks]:
                scene.take(scene.forged(kind, tag))
    (received, *_) = shown(scene.take(scene.says(b"still here")))
    assert getattr(received, "protection", None) is Protection.ENCRYPTED
    info = scene.talk.info
    assert info is not None
    assert info.their_instance_tag == THEM
    assert scene.talk.state is MessageState.ENCRYPTED


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("starter", ["alice", "bob"])
@pytest.mark.parametrize("kind", ["Commit", "Commit for everybody"])
def test_commits_of_other_tags_cannot_stop_an_exchange(kind: str, starter: Side, version: int) -> None:
    """Once it has begun: twenty new tags before each of its lines, on both sides."""
    pair = Pair(policies=(speaking(2, 3), speaking(2, 3)), seed="many")
    query = "?OTRv2?" if version == 2 else "?OTRv3?"
    pair.hand(starter, query)
    (line,) = pair.on_the_way["bob" if starter == "alice" else "alice"]
    pair.deliver("bob" if starter == "alice" else "alice")
    number = 0
    while waiting := [side for side in pair.talks if pair.on_the_way[side]]:
        for to in pair.talks:
            for _ in range(20):
                number += 1
                raw = reading.readdressed(PEER.commit(), TAGS[number], pair.accounts[to].instance_tag)
                # Not on the record: the answers are for nobody.
                pair.talks[to].receive(reading.line(raw))
        pair.clock.advance(1.5)
        pair.deliver(waiting[0])
    assert pair.agreed().version == version
    assert number > 100
    assert line


def made_up_today(tag: int, receiver: int, label: str = HIGH) -> str:
    """An Identity that somebody makes up for a conversation that has the time of today."""
    person = Person("mallory", int(time.time()) + 3 * 24 * 60 * 60)
    return reading.line(scripted4.ScriptedPeer(tag, person).identity(label, receiver))


@pytest.mark.parametrize("label", [HIGH, LOW])
@pytest.mark.parametrize("starter", ["alice", "bob"])
@pytest.mark.parametrize("for_everybody", [False, True])
def test_identities_of_other_tags_cannot_stop_an_exchange(
    starter: Side, label: str, for_everybody: bool
) -> None:
    """The same in version 4, whether they win or lose against the one that has begun it."""
    pair = Pair(version=4, seed="many")
    pair.hand(starter, "?OTRv4?")
    pair.deliver("bob" if starter == "alice" else "alice")
    number = 0
    while waiting := [side for side in pair.talks if pair.on_the_way[side]]:
        for to in pair.talks:
            for _ in range(20):
                number += 1
                receiver = 0 if for_everybody else pair.accounts[to].instance_tag
                pair.talks[to].receive(made_up_today(TAGS[number], receiver, label))
        pair.clock.advance(1.5)
        pair.deliver(waiting[0])
    assert pair.agreed().version == 4
    # Before the Auth-R and before the Auth-I.
    assert number == 80


def test_an_identity_behind_others_is_answered_when_it_is_said_again() -> None:
    """Made-up ones have had all answers that there were; nobody need do anything, once they have ceased."""
    pair = Pair(version=4, seed="many")
    for number in range(20):
        pair.talks["bob"].receive(made_up_today(TAGS[number], 0))
    pair.hand("alice", "?OTRv4?")
    assert pair.deliver("bob") == [Rejected(Reason.TOO_MANY)]
    pair.settle()
    pair.wait(60.0)
    pair.agreed()


@each_version
def test_too_many_sessions_end_the_least_useful_one(speaks: type[Scripted]) -> None:
    """A verified one is kept, whoever comes; and whose goes is told on both sides."""
    scene = situations(speaks, "encrypted")
    talk = scene.talk
    talk.set_trust(Trust.COMPARED)
    for number in range(1, MAX_SESSIONS):
        scene.clock.advance(1.0)
        scene.opens(0x5000 + number, f"stranger {number % 3}")
    assert len(talk.sessions) == MAX_SESSIONS
    for number in range(MAX_SESSIONS, 3 * MAX_SESSIONS):
        scene.clock.advance(1.0)
        before = [info.their_instance_tag for info in talk.sessions]
        events = scene.opens(0x5000 + number, f"stranger {number % 3}")
        assert any(isinstance(event, SessionOpened) for event in events)
        gone = set(before) - {info.their_instance_tag for info in talk.sessions}
        assert gone == {before[1] if before[0] == THEM else before[0]}
        (data,) = [raw for line in sent(events) if (raw := reading.raw_of(line))[2] == reading.DATA]
        assert scene.addressed(data) == (US, gone.pop())
        assert len(talk.sessions) == MAX_SESSIONS
        info = talk.info
        assert info is not None
        assert info.their_instance_tag == THEM


@each_version
def test_ended_sessions_go_first(speaks: type[Scripted]) -> None:
    scene = situations(speaks, "encrypted")
    scene.opens(0x6000, "stranger 1")
    assert SessionEnded(SessionEnd.PEER) in scene.take(scene.says(DISCONNECT, 0x6000))
    for number in range(1, MAX_SESSIONS):
        scene.clock.advance(1.0)
        scene.opens(0x5000 + number, "stranger 0")
    assert THEM in [info.their_instance_tag for info in scene.talk.sessions]
    assert len(scene.talk.sessions) == MAX_SESSIONS


@each_version
def test_data_of_an_unknown_tag_is_told_and_not_answered(speaks: type[Scripted]) -> None:
    """Version 4 has a code for it, which is said to the first one within some seconds."""
    scene = situations(speaks, "encrypted")
    told = Rejected(Reason.NO_SESSION, had_text=True)
    for _ in range(2):
        first = scene.take(scene.forged("data", TAGS[0]))
        assert shown(first) == [told]
        answers = [line.split(":")[1].strip() for line in sent(first)]
        assert answers == (["ERROR_2"] if speaks is Version4 else [])
        scene.clock.advance(COMPLAINT_PAUSE - 1.0)
        assert scene.take(scene.forged("data", TAGS[1])) == [told]
        scene.clock.advance(1.0)
