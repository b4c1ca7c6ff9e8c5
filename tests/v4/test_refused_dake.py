"""What is wrong with a message of the key exchange: it is refused, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from otrcore.errors import Reason
from otrcore.events import Rejected
from otrcore.model import MessageState
from otrcore.v4.profile import LONGEST_LIFETIME
from tests.crypto import edwards
from tests.pair import identity as identity_of
from tests.snapshot import snapshot
from tests.spec import reading, reading4
from tests.spec.reading import PrivateKey, private_key, short
from tests.spec.reading4 import Ephemeral, Person
from tests.spec.scripted4 import ScriptedPeer
from tests.spec.subject import sent
from tests.spec.subject4 import THEM, UNIX_TIME, US, Subject

HONEST = edwards.decode(reading4.public(Ephemeral("honest").ecdh))
ILLEGAL_POINTS = {
    "identity": edwards.encode(edwards.IDENTITY),
    "order 2": edwards.encode(edwards.SMALL_ORDER[2][0]),
    "order 4": edwards.encode(edwards.SMALL_ORDER[4][1]),
    "order 4q": edwards.encode(edwards.add(HONEST, edwards.SMALL_ORDER[4][0])),
    "not on the curve": edwards.encode_fields(2, 0),
    "y beyond the field": edwards.encode_fields(edwards.P + 1, 0),
}
P = reading4.P
ILLEGAL_NUMBERS = {
    "0": 0,
    "1": 1,
    "p-1": P - 1,
    "p": P,
    "p+1": P + 1,
    "not a square": P - reading4.dh_public(Ephemeral("honest").dh),
    "huge": 2**40_000,
}
POINTS = [(field, name) for field in ("point", "first_point") for name in ILLEGAL_POINTS]
NUMBERS = [(field, name) for field in ("number", "first_number") for name in ILLEGAL_NUMBERS]
ILLEGAL: list[tuple[str, str, bytes | int]] = [
    *((field, name, ILLEGAL_POINTS[name]) for field, name in POINTS),
    *((field, name, ILLEGAL_NUMBERS[name]) for field, name in NUMBERS),
]
IDS = [f"{field}, {name}" for field, name, _ in ILLEGAL]

OURS = identity_of("alice")
OUR_H, OUR_F = OURS.ed448.public.encoded, OURS.forging_key.encoded


def check_refused(subject: Subject, raw: bytes, reason: Reason = Reason.UNVERIFIED) -> None:
    before = snapshot(subject.talk)
    assert subject.take(raw) == [Rejected(reason)]
    assert snapshot(subject.talk) == before


@pytest.mark.parametrize(("field", "name", "value"), ILLEGAL, ids=IDS)
def test_an_illegal_value_in_an_identity(field: str, name: str, value: bytes | int) -> None:
    subject = Subject()
    wrong: dict[str, Any] = {field: value}
    check_refused(subject, subject.peer.identity("theirs", **wrong))


@pytest.mark.parametrize(("field", "name", "value"), ILLEGAL, ids=IDS)
def test_an_illegal_value_in_an_auth_r(field: str, name: str, value: bytes | int) -> None:
    """Though it is signed."""
    subject = Subject()
    wrong: dict[str, Any] = {field: value}
    check_refused(subject, subject.peer.auth_r("theirs", subject.identity(), **wrong))


@pytest.mark.parametrize("name", ILLEGAL_POINTS)
@pytest.mark.parametrize("initiator", [False, True])
def test_an_illegal_forging_key(initiator: bool, name: str) -> None:
    subject = Subject()
    person = subject.peer.person
    profile = person.sign(person.fields(THEM, f=ILLEGAL_POINTS[name]))
    if initiator:
        check_refused(subject, subject.peer.auth_r("theirs", subject.identity(), profile=profile))
    else:
        check_refused(subject, subject.peer.identity("theirs", profile=profile))


@pytest.mark.parametrize("what", ["forging key is H", "Y is H", "forging key is Y"])
def test_a_ring_of_equal_keys_in_an_identity(what: str) -> None:
    """An answer would show who has signed it; and it is not counted as one."""
    subject = Subject()
    person, y = subject.peer.person, reading4.public(Ephemeral("theirs").ecdh)
    if what == "Y is H":
        raw = subject.peer.identity("theirs", point=OUR_H)
    else:
        f = OUR_H if what == "forging key is H" else y
        raw = subject.peer.identity("theirs", profile=person.sign(person.fields(THEM, f=f)))
    check_refused(subject, raw)


@pytest.mark.parametrize("what", ["forging key is H", "X is H"])
def test_a_ring_of_equal_keys_in_an_auth_r(what: str) -> None:
    subject = Subject()
    person, ours = subject.peer.person, subject.identity()
    if what == "X is H":
        raw = subject.peer.auth_r("theirs", ours, point=OUR_H)
    else:
        # The profile is looked at as one of another forging key; the signature is by H.
        raw = subject.peer.auth_r("theirs", ours, profile=person.sign(person.fields(THEM, f=OUR_H)))
    check_refused(subject, raw)


PROFILES: dict[str, Callable[[Person], bytes]] = {
    "expired": lambda person: Person(person.name, UNIX_TIME).profile(THEM),
    "never expires": lambda person: Person(person.name, UNIX_TIME + LONGEST_LIFETIME + 1).profile(THEM),
    "of another instance": lambda person: person.profile(THEM + 1),
    "of nobody": lambda person: person.profile(THEM)[:-1] + b"\x01",
    "signed by somebody else": lambda person: (
        person.profile(THEM)[:-114] + Person("somebody").profile(THEM)[-114:]
    ),
    "no version 4": lambda person: person.sign(person.fields(THEM, versions=b"3")),
    "version 2, too": lambda person: person.sign(person.fields(THEM, versions=b"24")),
    "versions changed": lambda person: person.profile(THEM).replace(b"\0\0\0\x014", b"\0\0\0\x013"),
    "keys of each other": lambda person: person.profile(THEM).replace(person.f, person.h),
}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("initiator", [False, True])
def test_a_client_profile(initiator: bool, profile: str) -> None:
    subject = Subject()
    wrong = PROFILES[profile](subject.peer.person)
    right = subject.peer
    if initiator:
        ours = subject.identity()
        raw = right.auth_r("theirs", ours, profile=wrong)
    else:
        raw = right.identity("theirs", profile=wrong)
    check_refused(subject, raw)


def test_a_profile_is_good_until_its_last_second() -> None:
    subject = Subject()
    subject.unix_time = subject.peer.person.expires - 1
    assert sent(subject.take(subject.peer.identity("theirs")))


def transitional(person: Person, key: PrivateKey, tag: int) -> bytes:
    """A profile of somebody for both versions, and 40 bytes where a signature by the key should be."""
    fields = person.fields(tag, versions=b"34")
    # What anybody can make who knows the public key; to us it is nothing but bytes.
    return person.sign([*fields, short(6) + key.public.encoded, short(7) + bytes(range(40))])


@pytest.mark.parametrize("initiator", [False, True])
def test_a_transitional_signature_says_nothing(initiator: bool) -> None:
    """It can be forged: who has one is known, and trusted or not, by the key of version 4 alone."""
    subject = Subject()
    person, key = subject.peer.person, private_key("victim")
    profile = transitional(person, key, THEM)
    if initiator:
        subject.take(subject.peer.auth_r("theirs", subject.identity(), profile=profile))
    else:
        theirs = subject.peer.identity("theirs", profile=profile)
        auth_r = subject.take_for_reply(theirs)
        subject.take(subject.peer.auth_i(theirs, auth_r))
    info = subject.talk.info
    assert info is not None
    assert info.their_fingerprint.digest == person.fingerprint
    assert [entry.fingerprint.digest for entry in subject.talk.memory.keys] == [person.fingerprint]


OTHER_NAMES = [("THEM", "us"), ("them", "Us"), ("us", "them"), ("", ""), ("themu", "s")]


@pytest.mark.parametrize("names", OTHER_NAMES)
def test_other_names_in_an_auth_r(names: tuple[str, str]) -> None:
    subject = Subject()
    check_refused(subject, subject.peer.auth_r("theirs", subject.identity(), names=names))


@pytest.mark.parametrize("names", OTHER_NAMES)
def test_other_names_in_an_auth_i(names: tuple[str, str]) -> None:
    subject = Subject()
    theirs = subject.peer.identity("theirs")
    auth_r = subject.take_for_reply(theirs)
    check_refused(subject, subject.peer.auth_i(theirs, auth_r, names=names))
    assert subject.talk.starting
    subject.take(subject.peer.auth_i(theirs, auth_r))
    assert subject.talk.state is MessageState.ENCRYPTED


def test_an_auth_i_that_signs_what_an_auth_r_does() -> None:
    subject = Subject()
    theirs = subject.peer.identity("theirs")
    auth_r = subject.take_for_reply(theirs)
    check_refused(subject, subject.peer.auth_i(theirs, auth_r, start=0))


def test_an_auth_i_by_somebody_else() -> None:
    """Who takes part in the exchange without the keys of the profile."""
    subject = Subject()
    theirs = subject.peer.identity("theirs")
    auth_r = subject.take_for_reply(theirs)
    mallory = ScriptedPeer(THEM, Person("mallory"))
    check_refused(subject, mallory.auth_i(mallory.identity("theirs"), mallory_answer(subject, mallory)))
    subject.take(subject.peer.auth_i(theirs, auth_r))
    assert subject.talk.state is MessageState.ENCRYPTED


def mallory_answer(subject: Subject, mallory: ScriptedPeer) -> bytes:
    """An Auth-R of somebody with our tag, so that there is something to sign."""
    return ScriptedPeer(US, Person("us"), names=("us", "them")).auth_r("answer", mallory.identity("theirs"))


def test_an_auth_r_for_another_identity() -> None:
    subject = Subject()
    ours = subject.identity()
    other = ScriptedPeer(US, Person("us"), names=("us", "them")).identity("another")
    check_refused(subject, subject.peer.auth_r("theirs", other))
    subject.take(subject.peer.auth_r("theirs", ours))
    assert subject.talk.state is MessageState.ENCRYPTED


def test_an_auth_r_by_somebody_else_in_the_profile_of_the_peer() -> None:
    subject = Subject()
    mallory = ScriptedPeer(THEM, Person("mallory"))
    raw = mallory.auth_r("theirs", subject.identity(), profile=subject.peer.person.profile(THEM))
    check_refused(subject, raw)


@pytest.mark.parametrize("field", range(6))
def test_any_scalar_of_a_ring_signature(field: int) -> None:
    subject = Subject()
    raw = subject.peer.auth_r("theirs", subject.identity())
    sigma = reading4.exchange(raw).sigma
    at = 57 * field
    changed = sigma[:at] + bytes([sigma[at] ^ 1]) + sigma[at + 1 :]
    check_refused(subject, raw.replace(sigma, changed))


@pytest.mark.parametrize("initiator", [False, True])
def test_every_cut_message_is_malformed(initiator: bool) -> None:
    subject = Subject()
    raw = subject.peer.auth_r("theirs", subject.identity()) if initiator else subject.peer.identity("theirs")
    for length in range(11, len(raw), 97):
        check_refused(subject, raw[:length], Reason.MALFORMED)
    check_refused(subject, raw + b"\0", Reason.MALFORMED)


# ---- our own messages come back


def test_our_own_identity() -> None:
    subject = Subject()
    ours = subject.identity()
    check_refused(subject, ours, Reason.REFLECTED)
    for receiver in (0, US):
        check_refused(subject, reading4.readdressed(ours, THEM, receiver), Reason.REFLECTED)
    subject.clock.advance(1000.0)
    subject.talk.tick()
    # When it is forgotten: the profile is that of another instance.
    check_refused(subject, reading4.readdressed(ours, THEM, US))


def test_our_own_auth_r() -> None:
    subject = Subject()
    ours = subject.take_for_reply(subject.peer.identity("theirs"))
    check_refused(subject, reading4.readdressed(ours, THEM, US), Reason.REFLECTED)
    check_refused(subject, reading4.readdressed(ours, THEM + 1, US), Reason.REFLECTED)


def test_our_own_auth_i() -> None:
    subject = Subject()
    ours = subject.identity()
    auth_i = subject.take_for_reply(subject.peer.auth_r("theirs", ours))
    check_refused(subject, reading4.readdressed(auth_i, THEM, US), Reason.OUT_OF_TURN)
    theirs = subject.peer.identity("theirs again", US)
    subject.take(theirs)
    check_refused(subject, reading4.readdressed(auth_i, THEM, US))


def test_our_own_data_message() -> None:
    subject = Subject()
    peer = subject.secure()
    raw = subject.sends("mine")
    peer.read(raw)
    before = snapshot(subject.talk, caches=False)
    events = subject.take(reading4.readdressed(raw, THEM, US))
    assert Rejected(Reason.UNREADABLE, had_text=True) in events
    assert snapshot(subject.talk, caches=False) == before


def test_identity_of_ours_with_new_keys_in_it_by_somebody_who_has_none_of_our_secrets() -> None:
    """One of our values is enough to tell a reflection."""
    subject = Subject()
    taken = reading4.exchange(subject.identity())
    for wrong in (
        {"point": taken.point},
        {"number": taken.number},
        {"first_point": taken.first_point},
        {"first_number": taken.first_number},
    ):
        given: dict[str, Any] = dict(wrong)
        check_refused(subject, subject.peer.identity("theirs", **given), Reason.REFLECTED)


def test_what_comes_for_another_instance_is_not_looked_at() -> None:
    subject = Subject()
    ours = subject.identity()
    raw = subject.peer.auth_r("theirs", ours)
    check_refused(subject, reading4.readdressed(raw, THEM, US + 1), Reason.OTHER_INSTANCE)
    check_refused(subject, reading4.readdressed(raw, THEM, 0), Reason.OTHER_INSTANCE)
    assert reading.line(ours)
