"""Client profiles: ours are those of a second reading, the peer's are validated line by line.

Source: v4, "Creating a Client Profile", "Validating a Client Profile", "Client Profile Expiration
and Renewal".
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest

from otrcore.account import Account
from otrcore.crypto.ed448 import Point, SigningKey, verify
from otrcore.errors import MalformedMessage, PeerError, Reason
from otrcore.identity import Identity
from otrcore.v4.profile import LIFETIME, LONGEST_LIFETIME, RENEWED_BEFORE, Claim, OwnProfile, make, validate
from otrcore.wire.codec import Reader
from otrcore.wire.profile import ClientProfile
from tests.crypto import edwards
from tests.pair import identity as identity_of
from tests.pair import speaking
from tests.spec import reading4
from tests.spec.reading import integer, private_key, short
from tests.spec.reading4 import Person

NOW = 1_799_000_000
DAY = 24 * 60 * 60
TAG = 0x1000
THEM = Person("somebody", NOW + 7 * DAY)
TO_H, TO_F = 1, 2
"""Where the fields stand that hold a key."""


def parsed(raw: bytes) -> ClientProfile:
    """A whole profile."""
    reader = Reader(raw)
    profile = ClientProfile.read(reader)
    reader.end()
    return profile


def accept(raw: bytes, now: float = NOW) -> Claim:
    """Validate a profile that the instance TAG has sent."""
    return validate(parsed(raw), TAG, now)


def check_refused(raw: bytes, why: str, now: float = NOW) -> None:
    """A profile is refused for this reason, and no other."""
    with pytest.raises(PeerError, match=f"{why}$") as caught:
        accept(raw, now)
    assert caught.value.reason is Reason.UNVERIFIED


SIGNATURE, OWNER = "wrong signature of a client profile", "the client profile of another instance"
EXPIRED, VERSIONS = "a client profile that has expired, or never will", "a client profile of no version 4"
POINT = "an illegal point"


def of_person(person: Person) -> Identity:
    """The same long-term keys in ours."""
    return Identity(identity_of("alice").dsa, SigningKey(person.seed), Point.decode(person.f))


# ---- ours


@pytest.mark.parametrize("now", [0, NOW, NOW + 0.999, 2**32 + 1])
def test_ours_is_made_as_the_specification_says(now: float) -> None:
    """For a week, for version 4 alone, and without a transitional signature."""
    person = Person("somebody", int(now) + 7 * DAY)
    assert make(of_person(person), TAG, now).serialise() == person.profile(TAG)


def test_ours_is_valid_and_claims_our_keys() -> None:
    identity = of_person(THEM)
    claim = validate(make(identity, TAG, NOW), TAG, NOW)
    assert claim == Claim(identity.ed448.public, identity.forging_key, identity.fingerprint_4)


# ---- theirs


@pytest.mark.parametrize("versions", [b"4", b"34", b"43", b"345"])
def test_versions_that_are_accepted(versions: bytes) -> None:
    claim = accept(THEM.sign(THEM.fields(TAG, versions=versions)))
    assert claim.public_key.encoded == THEM.h
    assert claim.forging_key.encoded == THEM.f
    assert claim.fingerprint.digest == THEM.fingerprint


@pytest.mark.parametrize("versions", [b"", b"3", b"5", b"24", b"14", b"234", b"\x04", b" "])
def test_versions_that_are_refused(versions: bytes) -> None:
    """Nobody who speaks version 4 may allow version 1 or 2 (v4, "Client Profile Data Type")."""
    check_refused(THEM.sign(THEM.fields(TAG, versions=versions)), VERSIONS)


@pytest.mark.parametrize("ends_in", [1, DAY, 14 * DAY, LONGEST_LIFETIME])
def test_ends_that_are_accepted(ends_in: int) -> None:
    accept(Person("somebody", NOW + ends_in).profile(TAG))


@pytest.mark.parametrize("expires", [0, NOW - 1, NOW, NOW + LONGEST_LIFETIME + 1, 2**63, 2**64 - 1])
def test_ends_that_are_refused(expires: int) -> None:
    check_refused(Person("somebody", expires).profile(TAG), EXPIRED)


@pytest.mark.parametrize("tag", [TAG - 1, TAG + 1, 0, 2**32 - 1])
def test_the_owner_must_be_the_sender(tag: int) -> None:
    check_refused(THEM.profile(tag), OWNER)


def test_an_empty_signature_is_refused() -> None:
    raw = THEM.profile(TAG)
    check_refused(raw[:-114] + bytes(114), SIGNATURE)
    with pytest.raises(MalformedMessage):
        parsed(raw[:-114])


def test_whatever_bit_is_changed_it_is_refused() -> None:
    """The number of fields is not signed, but no other would be read."""
    raw = THEM.profile(TAG)
    assert accept(raw)
    for at in range(len(raw)):
        for bit in (0x01, 0x80):
            damaged = raw[:at] + bytes([raw[at] ^ bit]) + raw[at + 1 :]
            with pytest.raises((PeerError, MalformedMessage)):
                accept(damaged)


@pytest.mark.parametrize("versions", [b"3", b"34", b"45", b"44", b""])
def test_other_versions_than_were_signed_are_refused(versions: bytes) -> None:
    signature = THEM.profile(TAG)[-114:]
    fields = THEM.fields(TAG, versions=versions)
    check_refused(integer(len(fields)) + b"".join(fields) + signature, SIGNATURE)


def test_nobody_can_take_fields_away_or_put_fields_in() -> None:
    key = private_key("somebody")
    old = [short(6) + key.public.encoded, short(7) + bytes(40)]
    bare, full = THEM.fields(TAG, versions=b"34"), [*THEM.fields(TAG, versions=b"34"), *old]
    for fields, signed in ((bare, full), (full, bare), (full[:6], full), ([*bare, old[1]], full)):
        signature = THEM.sign(signed)[-114:]
        check_refused(integer(len(fields)) + b"".join(fields) + signature, SIGNATURE)


def test_it_is_checked_in_the_order_of_the_specification() -> None:
    """Each with all that is checked later being wrong, too."""
    other = Person("somebody else", NOW)
    illegal = edwards.encode(edwards.IDENTITY)
    faults = other.fields(TAG + 1, f=illegal, versions=b"3")
    right = THEM.fields(TAG)
    check_refused(other.sign(faults)[:-114] + THEM.profile(TAG)[-114:], SIGNATURE)
    check_refused(other.sign(faults), OWNER)
    check_refused(other.sign([right[0], *faults[1:]]), EXPIRED)
    check_refused(other.sign([right[0], *faults[1:4], right[4]]), VERSIONS)
    check_refused(other.sign([right[0], *faults[1:3], *right[3:]]), POINT)
    assert accept(other.sign([right[0], faults[1], *right[2:]]))


# ---- points


def signed_by(secret: int, h: bytes, fields: list[bytes]) -> bytes:
    """A profile whose signature holds though the key is none: the nonce is chosen so that it does.

    Where the key is the point of the secret plus one of an order that divides 4, all multiples of 4
    of it are those of an honest key (RFC 8032, 5.2.7, without a check of the order).
    """
    content = b"".join(fields)
    for r in count(1):
        commitment = reading4.public(r)
        hashed = reading4.shake(b"SigEd448\0\0" + commitment + h + content, 114)
        challenge = int.from_bytes(hashed, "little") % reading4.Q
        if challenge % 4 == 0:
            s = (r + challenge * secret) % reading4.Q
            return integer(len(fields)) + content + commitment + s.to_bytes(57, "little")
    raise AssertionError


MIXED = edwards.encode(edwards.add(edwards.decode(THEM.h), edwards.SMALL_ORDER[4][0]))
SMALL = {
    "identity": (0, edwards.encode(edwards.IDENTITY)),
    "order 2": (0, edwards.encode(edwards.SMALL_ORDER[2][0])),
    "order 4": (0, edwards.encode(edwards.SMALL_ORDER[4][0])),
    "order 4q": (THEM.secret, MIXED),
}


@pytest.mark.parametrize("name", ["order 4", "order 4q"])
def test_a_public_key_outside_the_group_is_refused_though_its_signature_holds(name: str) -> None:
    secret, h = SMALL[name]
    fields = THEM.fields(TAG)
    fields[TO_H] = fields[TO_H][:4] + h
    raw = signed_by(secret, h, fields)
    assert verify(h, raw[4:-114], raw[-114:])
    check_refused(raw, POINT)


@pytest.mark.parametrize("name", ["identity", "order 2"])
def test_a_public_key_that_hides_nothing_is_refused(name: str) -> None:
    """Whether OpenSSL takes it for a key or not, which is its own affair."""
    secret, h = SMALL[name]
    fields = THEM.fields(TAG)
    fields[TO_H] = fields[TO_H][:4] + h
    raw = signed_by(secret, h, fields)
    check_refused(raw, POINT if verify(h, raw[4:-114], raw[-114:]) else SIGNATURE)


@pytest.mark.parametrize(
    "f",
    [
        *(h for _, h in SMALL.values()),
        edwards.encode_fields(2, 0),
        edwards.encode_fields(edwards.P + 1, 0),
        bytes(56) + b"\x01",
    ],
)
def test_a_forging_key_outside_the_group_is_refused(f: bytes) -> None:
    check_refused(THEM.sign(THEM.fields(TAG, f=f)), POINT)


# ---- the transitional signature


def test_fields_of_version_3_change_nothing() -> None:
    """Right or wrong, whole or in part."""
    key = private_key("somebody")
    fields = THEM.fields(TAG, versions=b"34")
    public = short(6) + key.public.encoded
    right = short(7) + key.sign(b"".join([*fields, public]))
    claim = accept(THEM.sign(fields))
    for more in ([public, right], [public, short(7) + bytes(40)], [public], [right]):
        raw = THEM.sign([*fields, *more])
        assert parsed(raw).serialise() == raw
        assert accept(raw) == claim


def test_a_forged_transitional_signature_claims_nothing_of_its_victim() -> None:
    """It is over m modulo a prime of 160 bits, and the forging key is 448 bits that anybody chooses."""
    victim, key = Person("victim", NOW + DAY), private_key("victim")
    theirs = [*victim.fields(TAG, versions=b"34"), short(6) + key.public.encoded]
    m = b"".join(theirs)
    signature = key.sign(m)

    q, forger = key.public.q, Person("forger", NOW + DAY)
    before = b"".join(forger.fields(TAG)[:TO_F]) + theirs[TO_F][:4]
    after = b"".join(theirs[TO_F + 1 :])
    rest = int.from_bytes(before + bytes(57) + after, "big")
    wanted = (int.from_bytes(m, "big") - rest) * pow(256, -len(after), q) % q
    # The last byte of a point is a sign; the rest of what leads to the same remainder is free.
    first = -wanted * pow(q, -1, 128) % 128
    start = int.from_bytes(reading4.shake(b"start", 36), "big") * 128 + first
    candidates = ((wanted + k * q).to_bytes(57, "big") for k in count(start, 128))
    f = next(candidate for candidate in candidates if is_legal(candidate))
    forged = [*forger.fields(TAG, f=f, versions=b"34"), theirs[5]]
    assert key.public.verifies(b"".join(forged), signature)

    claim = accept(forger.sign([*forged, short(7) + signature]))
    assert claim.public_key.encoded == forger.h
    assert claim == accept(forger.sign(forger.fields(TAG, f=f, versions=b"34")))


def is_legal(encoded: bytes) -> bool:
    """Whether 57 bytes are a point of the group."""
    try:
        Point.decode(encoded)
    except ValueError:
        return False
    return True


# ---- renewal


class Now:
    """The time that a test sets."""

    def __init__(self) -> None:
        self.now = float(NOW)

    def __call__(self) -> float:
        return self.now


def test_ours_stays_the_same_until_a_day_before_its_end() -> None:
    assert (LIFETIME, RENEWED_BEFORE) == (7 * DAY, DAY)
    clock, identity = Now(), of_person(THEM)
    own = OwnProfile(TAG, clock)
    first = own.serialised(identity)
    assert first == THEM.profile(TAG)
    clock.now = THEM.expires - DAY - 1
    assert own.serialised(identity) == first
    clock.now = THEM.expires - DAY
    second = own.serialised(identity)
    assert second == Person("somebody", THEM.expires + 6 * DAY).profile(TAG)
    clock.now += 1
    assert own.serialised(identity) == second


def test_no_peer_finds_ours_expired_or_too_long() -> None:
    """Whose clock may be wrong by almost a day, at any time in a month."""
    clock, identity = Now(), of_person(THEM)
    own = OwnProfile(TAG, clock)
    for hours in range(0, 31 * 24, 5):
        clock.now = NOW + 3600.0 * hours
        profile = parsed(own.serialised(identity))
        for wrong in (-DAY, 0, DAY - 1):
            assert validate(profile, TAG, clock.now + wrong)


def test_another_identity_gets_another_profile() -> None:
    own, other = OwnProfile(TAG, Now()), Person("somebody else", THEM.expires)
    assert own.serialised(of_person(THEM)) == THEM.profile(TAG)
    assert own.serialised(of_person(other)) == other.profile(TAG)


def test_another_forging_key_alone_makes_another_profile() -> None:
    identity = of_person(THEM)
    own = OwnProfile(TAG, Now(), THEM.profile(TAG))
    other = Point.decode(Person("somebody else").f)
    changed = parsed(own.serialised(Identity(identity.dsa, identity.ed448, other)))
    assert changed.public_key == THEM.h
    assert changed.forging_key == other.encoded


def test_a_stored_one_is_used_again() -> None:
    stored = Person("somebody", NOW + 3 * DAY).profile(TAG)
    own = OwnProfile(TAG, Now(), stored)
    assert own.serialised(of_person(THEM)) == stored


STORED: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "something else": lambda: b"\0" * 300,
    "cut off": lambda: Person("somebody", NOW + 3 * DAY).profile(TAG)[:-1],
    "with something behind": lambda: Person("somebody", NOW + 3 * DAY).profile(TAG) + b"\0",
    "damaged": lambda: Person("somebody", NOW + 3 * DAY).profile(TAG)[:-1] + b"\1",
    "of another instance": lambda: Person("somebody", NOW + 3 * DAY).profile(TAG + 1),
    "of somebody else": lambda: Person("somebody else", NOW + 3 * DAY).profile(TAG),
    "expired": lambda: Person("somebody", NOW - 1).profile(TAG),
    "about to expire": lambda: Person("somebody", NOW + DAY).profile(TAG),
    "of a clock that was ahead": lambda: Person("somebody", NOW + 7 * DAY + 1).profile(TAG),
}


@pytest.mark.parametrize("stored", STORED)
def test_a_stored_one_that_is_no_good_is_replaced(stored: str) -> None:
    own = OwnProfile(TAG, Now(), STORED[stored]())
    assert own.serialised(of_person(THEM)) == THEM.profile(TAG)


def test_an_account_hands_out_its_profile_and_takes_it_again() -> None:
    clock, identity = Now(), of_person(THEM)

    def account(stored: bytes = b"") -> Account:
        return Account(identity, speaking(4), instance_tag=TAG, client_profile=stored, unix_time=clock)

    stored = account().client_profile
    assert stored == THEM.profile(TAG)
    clock.now += DAY
    later = account(stored)
    assert later.client_profile == stored
    other = Person("somebody else", int(clock.now) + 7 * DAY)
    later.renew(of_person(other), speaking(4))
    assert later.client_profile == other.profile(TAG)
