"""Client profiles: reader and writer against hand-typed bytes, recorded ones, each other, and damage."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otrcore.errors import MalformedMessage
from otrcore.wire.codec import Reader
from otrcore.wire.profile import ClientProfile
from tests.wire import recorded4
from tests.wire.hand_typed4 import (
    DSA_KEY_HEX,
    FORGING_HEX,
    PROFILE_HEX,
    PROFILES,
    PUBLIC_HEX,
    SENDER,
    SIGNATURE_HEX,
    TRANSITIONAL_HEX,
)

repeatable = settings(derandomize=True, deadline=None, max_examples=200)


@pytest.mark.parametrize(("profile", "signed", "text"), PROFILES)
def test_written_and_read_as_typed_by_hand(profile: ClientProfile, signed: str, text: str) -> None:
    raw = bytes.fromhex(text)
    assert profile.serialise() == raw
    assert profile.signed() == bytes.fromhex(signed)
    reader = Reader(raw + b"after")
    assert ClientProfile.read(reader) == profile
    assert reader.rest() == b"after"


@pytest.mark.parametrize(("profile", "signed", "text"), PROFILES)
def test_refused_when_cut_off_anywhere(profile: ClientProfile, signed: str, text: str) -> None:
    raw = bytes.fromhex(text)
    for length in range(len(raw)):
        with pytest.raises(MalformedMessage):
            ClientProfile.read(Reader(raw[:length]))


FIELDS = {
    1: "0001 5a73a599",
    2: f"0002 1000 {PUBLIC_HEX}",
    3: f"0003 1200 {FORGING_HEX}",
    4: "0004 00000001 34",
    5: "0005 0000000001020304",
    6: f"0006 {DSA_KEY_HEX}",
    7: f"0007 {TRANSITIONAL_HEX}",
    8: "0008 00000000",
}


def composed(*kinds: int, count: int | None = None, **instead: str) -> bytes:
    """A profile of these fields, `f4="..."` instead of the fourth; `count` is the number that it states."""
    fields = "".join(instead.get(f"f{kind}", FIELDS[kind]) for kind in kinds)
    stated = len(kinds) if count is None else count
    return bytes.fromhex(f"{stated:08x}{fields}{SIGNATURE_HEX}")


def test_the_fields_compose_a_profile() -> None:
    assert composed(1, 2, 3, 4, 5) == bytes.fromhex(PROFILE_HEX)
    assert ClientProfile.read(Reader(composed(1, 2, 3, 4, 5))) == PROFILES[0][0]


REFUSED = {
    **{f"without {kind}": composed(*({1, 2, 3, 4, 5} - {kind})) for kind in range(1, 6)},
    **{f"{kind} twice": composed(*sorted([1, 2, 3, 4, 5, kind])) for kind in range(1, 6)},
    "6 twice": composed(1, 2, 3, 4, 5, 6, 6),
    "7 twice": composed(1, 2, 3, 4, 5, 7, 7),
    "no order": composed(2, 1, 3, 4, 5),
    "no order at the end": composed(1, 2, 3, 5, 4),
    "no order of the optional": composed(1, 2, 3, 4, 5, 7, 6),
    "an optional one too early": composed(1, 2, 3, 4, 6, 5),
    "an unknown one": composed(1, 2, 3, 4, 5, 8),
    "an unknown one after all others": composed(1, 2, 3, 4, 5, 6, 7, 8),
    "an unknown one first": composed(8, 1, 2, 3, 4, 5),
    "type 0": composed(1, 2, 3, 4, 5, 6, f6="0000"),
    "nothing": composed(),
    "more stated": composed(1, 2, 3, 4, 5, count=6),
    "fewer stated": composed(1, 2, 3, 4, 5, count=4),
    "very many stated": composed(1, 2, 3, 4, 5, count=2**32 - 1),
    "key type big-endian": composed(1, 2, 3, 4, 5, f2=f"0002 0010 {PUBLIC_HEX}"),
    "forging key as a public key": composed(1, 2, 3, 4, 5, f2=f"0002 1200 {PUBLIC_HEX}"),
    "public key as a forging key": composed(1, 2, 3, 4, 5, f3=f"0003 1000 {FORGING_HEX}"),
    "seventeen versions": composed(1, 2, 3, 4, 5, f4="0004 00000011" + "34" * 17),
    "versions that are not ASCII": composed(1, 2, 3, 4, 5, f4="0004 00000002 c2b3"),
    "versions without end": composed(1, 2, 3, 4, 5, f4="0004 ffffffff 34"),
    "a DSA key of another type": composed(1, 2, 3, 4, 5, 6, f6=f"0006 0001 {DSA_KEY_HEX[4:]}"),
    "a DSA key with a leading zero": composed(
        1, 2, 3, 4, 5, 6, f6="0006 0000 00000002 0001 00000001 02 00000001 03 00000001 04"
    ),
}


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED)
def test_refused(raw: bytes) -> None:
    with pytest.raises(MalformedMessage):
        ClientProfile.read(Reader(raw + bytes(1000)))


@pytest.mark.parametrize("versions", ["", "34", "4" * 16])
def test_versions_are_few_characters(versions: str) -> None:
    raw = composed(1, 2, 3, 4, 5, f4=f"0004 {len(versions):08x} {versions.encode().hex()}")
    profile = ClientProfile.read(Reader(raw))
    assert profile.versions == versions
    assert profile.serialise() == raw


@pytest.mark.parametrize("name", recorded4.CONVERSATIONS)
@pytest.mark.parametrize("who", ["alice", "bob"])
def test_otr4js_profiles_come_back_and_say_whose_they_are(name: str, who: str) -> None:
    raw = recorded4.profiles(name)[who]
    reader = Reader(raw)
    profile = ClientProfile.read(reader)
    reader.end()
    assert profile.serialise() == raw
    (identity,) = (
        event for event in recorded4.events(name) if event["ev"] == "identity" and event["who"] == who
    )
    assert profile.public_key.hex() == identity["lt_pub"]
    assert profile.forging_key.hex() == identity["forging_pub"]
    ours = {
        event["ours"] for event in recorded4.events(name) if event["ev"] == "status" and event["who"] == who
    }
    assert {f"{profile.owner_tag:x}"} == ours
    assert profile.versions == "4"
    assert (profile.dsa_key, profile.transitional_signature) == (None, None)
    assert profile.owner_tag != SENDER


@repeatable
@given(st.integers(0, len(PROFILES) - 1), st.data())
def test_whatever_can_be_read_is_written_with_the_same_bytes(number: int, data: st.DataObject) -> None:
    raw = bytearray.fromhex(PROFILES[number][2])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at] = data.draw(st.integers(0, 255))
    reader = Reader(bytes(raw))
    try:
        profile = ClientProfile.read(reader)
    except MalformedMessage:
        return
    assert profile.serialise() + reader.rest() == raw
