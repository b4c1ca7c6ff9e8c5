"""Messages of the key exchange come again, as they were or written otherwise: no session opens twice."""

from __future__ import annotations

from collections import Counter
from itertools import count

import pytest

from otrcore.errors import Reason
from otrcore.events import Received, Rejected, SessionOpened
from otrcore.model import MessageState, Protection
from otrcore.relation import ANSWERS_WITHIN, MAX_ANSWERS, MAX_SPENT
from otrcore.v4.dake import INITIATOR_RETRIES, LIFETIME, MOST_REPEATS, REPEAT_PAUSE, RESPONDER_RETRIES, Dake
from tests.snapshot import secrets_in, snapshot
from tests.spec import reading, reading4
from tests.spec.reading import data
from tests.spec.reading4 import Ephemeral
from tests.spec.scripted4 import ScriptedSession
from tests.spec.subject import sent
from tests.spec.subject4 import THEM, Subject

Q = 2**446 - 0x8335DC163BB124B65129C96FDE933D8D723A70AADC873D6D54A7BB0D
SCALAR = 57


class Repeated(Subject):
    """A subject whose Identity went out several times, and a peer that may answer each time with new keys."""

    def __init__(self, times: int = 2) -> None:
        super().__init__()
        self.ours = self.identity()
        for _ in range(times - 1):
            self.clock.advance(REPEAT_PAUSE)
            assert self.identity() == self.ours

    def answer(self, label: str) -> bytes:
        """An Auth-R with the keys of this label."""
        return self.peer.auth_r(label, self.ours)

    def opens(self, auth_r: bytes) -> bool:
        """Whether an Auth-R opens a session; if not, nothing at all is changed by it."""
        before = snapshot(self.talk)
        events = self.take(auth_r)
        opened = any(isinstance(event, SessionOpened) for event in events)
        if not opened:
            assert all(isinstance(event, Rejected) for event in events)
            assert snapshot(self.talk) == before
        return opened

    def secrets(self) -> set[str]:
        """What the exchange with this peer still knows."""
        return {repr(secret) for secret in secrets_in(snapshot(self.exchange))}

    @property
    def exchange(self) -> Dake | None:
        """The one with this peer, if there is one."""
        exchange = self.talk._instances._sessions[THEM].exchanges.get(4)
        assert exchange is None or isinstance(exchange, Dake)
        return exchange


def written_otherwise(auth_r: bytes, at: int, times: int = 1) -> bytes:
    """The same Auth-R with a scalar of its signature that is the same number modulo q."""
    sigma = reading4.exchange(auth_r).sigma
    scalar = int.from_bytes(sigma[at * SCALAR :][:SCALAR], "little") + times * Q
    assert times
    changed = sigma[: at * SCALAR] + scalar.to_bytes(SCALAR, "little") + sigma[(at + 1) * SCALAR :]
    assert len(changed) == len(sigma)
    return auth_r.replace(sigma, changed)


def first_text(subject: Subject, session: ScriptedSession) -> tuple[bytes, bytes]:
    """A text of the peer, which is read; and a forgery under its MAC key, which is public by then."""
    raw = session.send(b"pay 100")
    assert Received("pay 100", Protection.ENCRYPTED) in subject.take(raw)
    key, revealed = session.macs[0], list[bytes]()
    for _ in range(2):
        ours = subject.sends()
        revealed += reading4.data_fields(ours).revealed
        session.read(ours)
        subject.take(session.send(b"more"))
    assert key in revealed
    covered = reading4.data_fields(raw).covered
    covered = covered[:-1] + bytes([covered[-1] ^ 1])
    return raw, covered + reading4.kdf(0x18, key, covered) + data(b"")


def check_nothing_is_read(subject: Subject, *messages: bytes) -> None:
    for raw in messages:
        assert not [event for event in subject.take(raw) if isinstance(event, Received)]


# ---- who has repeated its Identity, and finished


@pytest.mark.parametrize("at", range(6))
def test_the_same_auth_r_written_otherwise(at: int) -> None:
    subject = Repeated()
    auth_r = subject.answer("one")
    assert subject.opens(auth_r)
    for times in (1, 2):
        assert not subject.opens(written_otherwise(auth_r, at, times))
        subject.clock.advance(REPEAT_PAUSE)
        assert not subject.opens(written_otherwise(auth_r, at, times))


@pytest.mark.parametrize("field", ["point", "number"])
def test_an_auth_r_with_one_key_of_an_earlier_one(field: str) -> None:
    """It is signed, and everything else in it is new."""
    subject = Repeated(times=3)
    subject.take(subject.answer("one"))
    subject.take(subject.answer("two"))
    for label in ("one", "two"):
        keys = Ephemeral(label)
        if field == "point":
            raw = subject.peer.auth_r("three", subject.ours, point=reading4.public(keys.ecdh))
        else:
            raw = subject.peer.auth_r("three", subject.ours, number=reading4.dh_public(keys.dh))
        assert subject.take(raw) == [Rejected(Reason.REPLAYED)]
    assert subject.opens(subject.answer("three"))


def test_an_auth_r_with_the_keys_of_the_current_one_and_other_first_keys() -> None:
    subject = Repeated()
    subject.take(subject.answer("one"))
    first = reading4.public(Ephemeral("two").first_ecdh)
    assert not subject.opens(subject.peer.auth_r("one", subject.ours, first_point=first))


@pytest.mark.parametrize("times", [2, 3])
def test_two_answers_take_turns(times: int) -> None:
    """The second counts, as other clients wait with their last; the first does not once more."""
    subject = Repeated(times)
    one, two = subject.answer("one"), subject.answer("two")
    assert subject.opens(one)
    unread = subject.peer.session("one", subject.ours).send(b"pay 100")
    assert subject.opens(two)
    for _ in range(3):
        subject.clock.advance(1.0)
        for raw in (one, two, written_otherwise(one, 0), written_otherwise(two, 0)):
            assert not subject.opens(raw)
        check_nothing_is_read(subject, unread)
    assert subject.talk.info is not None
    assert subject.talk.info.ssid == subject.peer.ssid("two", subject.ours)
    session = subject.peer.session("two", subject.ours)
    assert session.read(subject.sends("hello")) == b"hello\0"


@pytest.mark.parametrize("label", ["one", "two"])
def test_nothing_is_read_twice_or_under_a_revealed_key(label: str) -> None:
    """The peer has spoken in the session: no Auth-R leads to another one."""
    subject = Repeated()
    one, two = subject.answer("one"), subject.answer("two")
    subject.take(one)
    if label == "two":
        subject.take(two)
    session = subject.peer.session(label, subject.ours)
    raw, forged = first_text(subject, session)
    ssid = subject.talk.info and subject.talk.info.ssid
    for auth_r in (one, two, written_otherwise(one, 0), written_otherwise(two, 0)):
        assert not subject.opens(auth_r)
        check_nothing_is_read(subject, raw, forged)
        subject.clock.advance(REPEAT_PAUSE)
    assert subject.talk.info is not None
    assert subject.talk.info.ssid == ssid


def test_no_more_answers_count_than_the_identity_went_out() -> None:
    subject = Repeated(times=1 + MOST_REPEATS)
    opened = [subject.opens(subject.answer(f"{number}")) for number in range(MOST_REPEATS + 3)]
    assert opened == [True] * (1 + MOST_REPEATS) + [False] * 2
    assert subject.secrets() == set()


def test_a_second_answer_prolongs_nothing() -> None:
    subject = Repeated()
    subject.take(subject.answer("one"))
    assert subject.exchange is not None
    deadline = subject.exchange.deadline
    assert deadline == subject.clock.now + LIFETIME
    subject.clock.advance(LIFETIME - 1.0)
    assert subject.opens(subject.answer("two"))
    assert subject.exchange.deadline == deadline
    subject.clock.advance(1.0)
    subject.talk.tick()
    assert subject.exchange is None


@pytest.mark.parametrize("how", ["heard", "user starts", "user ends", "peer ends"])
def test_the_secrets_of_the_identity_end_with_what_they_were_kept_for(how: str) -> None:
    subject = Repeated()
    subject.take(subject.answer("one"))
    assert subject.secrets()
    if how == "heard":
        subject.take(subject.peer.session("one", subject.ours).send(b"", flags=1))
    elif how == "peer ends":
        subject.take(subject.peer.session("one", subject.ours).send(b"\0\0\1\0\0", flags=1))
    elif how == "user starts":
        subject.talk.start()
    else:
        subject.talk.end()
    known = subject.talk._instances._sessions.get(THEM)
    assert not known or not known.exchanges
    assert not subject.opens(subject.answer("two"))


def test_what_cannot_be_read_ends_nothing() -> None:
    subject = Repeated()
    subject.take(subject.answer("one"))
    session = subject.peer.session("one", subject.ours)
    subject.take(session.send(b"text", mac=bytes(64)))
    subject.take(session.send(b"text", mac=bytes(64), flags=1))
    assert subject.exchange is not None
    assert subject.opens(subject.answer("two"))


# ---- who asks again and again


def test_queries_get_an_identity_a_few_times_and_then_a_fresh_one_when_it_has_aged() -> None:
    subject = Subject()
    times: Counter[str] = Counter()
    seconds = 10 * int(LIFETIME)
    for _ in range(seconds):
        lines = sent(subject.talk.tick()) + sent(subject.talk.receive("?OTRv4?"))
        times.update(lines)
        subject.clock.advance(1.0)
    assert len(times) == seconds / LIFETIME
    # By the queries, and once by the clock.
    assert set(times.values()) == {1 + MOST_REPEATS + 1}


def test_an_identity_that_has_aged_is_not_said_again_though_nobody_has_looked_at_the_clock() -> None:
    subject = Subject()
    first = subject.identity()
    subject.clock.advance(LIFETIME)
    assert subject.identity() != first


def test_the_clock_does_not_say_at_once_what_was_said_just_now() -> None:
    subject = Subject()
    ours = subject.identity()
    subject.clock.advance(INITIATOR_RETRIES - 1.0)
    assert subject.identity() == ours
    subject.clock.advance(1.0)
    assert subject.talk.tick() == []
    assert subject.talk.next_tick == subject.clock.now + REPEAT_PAUSE - 1.0
    subject.clock.advance(REPEAT_PAUSE - 1.0)
    assert [reading.raw_of(line) for line in sent(subject.talk.tick())] == [ours]


# ---- an Identity that comes again


@pytest.mark.parametrize("before", [False, True], ids=["after", "before"])
@pytest.mark.parametrize("pause", [0.0, 3.0, 10.1, 60.0])
def test_an_identity_of_somebody_else_does_not_come_between(pause: float, before: bool) -> None:
    """Whoever has seen a profile can put one together; the Auth-I of the peer fits its own all the same."""
    subject = Subject()
    theirs, other = subject.peer.identity("theirs"), subject.peer.identity("put together")
    if before:
        subject.take(other)
        subject.clock.advance(pause)
    auth_r = subject.take_for_reply(theirs)
    if not before:
        subject.clock.advance(pause)
        assert sent(subject.take(other))
    subject.clock.advance(4.0)
    subject.talk.tick()
    subject.take(subject.peer.auth_i(theirs, auth_r))
    assert subject.talk.info is not None
    assert subject.talk.info.ssid == subject.peer.ssid("theirs", auth_r)
    assert not subject.talk.starting


def test_the_one_of_two_that_was_not_signed_for_is_forgotten() -> None:
    subject = Subject()
    first, second = subject.peer.identity("first"), subject.peer.identity("second")
    answers = [subject.take_for_reply(raw) for raw in (first, second)]
    subject.take(subject.peer.auth_i(first, answers[0]))
    session = subject.talk.info
    late = subject.peer.auth_i(second, answers[1])
    assert subject.take(late) == [Rejected(Reason.OUT_OF_TURN, had_text=False)]
    assert subject.talk.info == session


def test_a_third_waits_until_the_second_had_its_time() -> None:
    subject = Subject()
    messages = [subject.peer.identity(f"{number}") for number in range(3)]
    answers = [subject.take_for_reply(raw) for raw in messages[:2]]
    assert subject.take(messages[2]) == [Rejected(Reason.TOO_MANY)]
    subject.clock.advance(REPEAT_PAUSE)
    answers.append(subject.take_for_reply(messages[2]))
    # The oldest has given way.
    wrong = subject.peer.auth_i(messages[0], answers[0])
    assert subject.take(wrong) == [Rejected(Reason.UNVERIFIED)]
    subject.take(subject.peer.auth_i(messages[1], answers[1]))
    assert subject.talk.state is MessageState.ENCRYPTED


@pytest.mark.parametrize("ticked", [False, True])
def test_the_earlier_of_two_ends_at_its_own_time(ticked: bool) -> None:
    subject = Subject()
    messages = [subject.peer.identity(f"{number}") for number in range(2)]
    answers = []
    for raw in messages:
        answers.append(subject.take_for_reply(raw))
        subject.clock.advance(50.0)
    if ticked:
        sizes = [len(repr(snapshot(subject.talk._instances)))]
        subject.talk.tick()
        sizes.append(len(repr(snapshot(subject.talk._instances))))
        assert sizes[1] < sizes[0]
    wrong = subject.peer.auth_i(messages[0], answers[0])
    assert subject.take(wrong) == [Rejected(Reason.UNVERIFIED)]
    subject.take(subject.peer.auth_i(messages[1], answers[1]))
    assert subject.talk.state is MessageState.ENCRYPTED


def test_either_of_two_gets_its_own_answer_again() -> None:
    subject = Subject()
    messages = [subject.peer.identity(f"{number}") for number in range(2)]
    answers = [subject.take_for_reply(raw) for raw in messages]
    subject.clock.advance(ANSWERS_WITHIN)
    assert [subject.take_for_reply(raw) for raw in messages] == answers


def test_our_own_answers_that_come_back_are_known_both() -> None:
    subject = Subject()
    answers = [subject.take_for_reply(subject.peer.identity(f"{number}")) for number in range(2)]
    for raw in answers:
        assert subject.take(reading4.readdressed(raw, THEM, 0x1000)) == [Rejected(Reason.REFLECTED)]


def test_the_same_identity_again_and_again_leaves_room_for_another() -> None:
    """It gets its answer a few times, and once more by the clock; what may be answered is not used up."""
    subject = Subject()
    replayed, answers = subject.peer.identity("replayed"), Counter[str]()
    for _ in range(int(RESPONDER_RETRIES) + 1):
        answers.update(sent(subject.talk.tick()) + sent(subject.take(replayed)))
        subject.clock.advance(1.0)
    assert list(answers.values()) == [1 + MOST_REPEATS + 1]
    theirs = subject.peer.identity("theirs")
    auth_r = subject.take_for_reply(theirs)
    subject.take(subject.peer.auth_i(theirs, auth_r))
    assert subject.talk.state is MessageState.ENCRYPTED


@pytest.mark.parametrize("ended", [False, True])
def test_an_identity_that_has_led_to_a_session_leads_to_no_other(ended: bool) -> None:
    """It is refused for nothing: as many others are answered after it as before."""
    subject = Subject()
    theirs = subject.peer.identity("theirs")
    auth_r = subject.take_for_reply(theirs)
    subject.take(subject.peer.auth_i(theirs, auth_r))
    if ended:
        subject.talk.end()
        subject.clock.advance(1000.0)
    for receiver in (0, 0x1000):
        again = reading4.readdressed(theirs, THEM, receiver)
        assert subject.take(again) == [Rejected(Reason.REPLAYED)]
    answered = 0
    for number in count():
        if not sent(subject.take(subject.peer.identity(f"another {number}"))):
            break
        answered += 1
    # Two wait for one client, and a third has no room yet.
    assert answered == min(2, MAX_ANSWERS)


def test_only_so_many_are_remembered() -> None:
    subject = Subject()
    messages = [subject.peer.identity(f"{number}") for number in range(MAX_SPENT + 1)]
    for raw in messages:
        auth_r = subject.take_for_reply(raw)
        subject.take(subject.peer.auth_i(raw, auth_r))
    refused = [subject.take(raw) == [Rejected(Reason.REPLAYED)] for raw in reversed(messages)]
    assert refused == [True] * MAX_SPENT + [False]
