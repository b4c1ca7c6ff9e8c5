"""SHAKE-256 and the one function that version 4 makes of it: published values, and every recorded call."""

from __future__ import annotations

from collections import Counter

import pytest

from otrcore.crypto.shake import kdf, shake256
from tests.wire import recorded4

CALLS = [event for event in recorded4.events("trace") if event["ev"] == "kdf"]


@pytest.mark.parametrize(
    ("data", "digest"),
    [
        (
            b"",
            "46b9dd2b0ba88d13233b3feb743eeb243fcd52ea62b81b82b50c27646ed5762f"
            "d75dc4ddd8c0f200cb05019d67b592f6fc821c49479ab48640292eacb3b7c4be",
        ),
        (
            b"\xa3" * 200,
            "cd8a920ed141aa0407a22d59288652e9d9f1a7ee0c1e7c1ca699424da84a904d"
            "2d700caae7396ece96604440577da4f3aa22aeb8857f961c4cd8e06f0ae6610b",
        ),
    ],
    ids=["nothing", "1600 bits"],
)
def test_published_digests(data: bytes, digest: str) -> None:
    """NIST, "Examples with Intermediate Values", SHAKE256; and fewer bytes are the first of them."""
    for size in (64, 57, 32, 1, 0):
        assert shake256(data, size).hex() == digest[: 2 * size]


def test_every_recorded_derivation() -> None:
    """The recording shows what was written over the old chain key as its input too: see the next test."""
    for call in CALLS:
        if call["usage"] != "NEXT_CHAIN_KEY":
            out = bytes.fromhex(call["out"])
            values = [bytes.fromhex(value) for value in call["in"]]
            assert kdf(int(call["id"]), *values, size=len(out)) == out, call["usage"]


@pytest.mark.parametrize("who", ["alice", "bob"])
def test_every_recorded_step_of_a_chain(who: str) -> None:
    """A chain key goes on when it has given the keys of a message."""
    steps = 0
    chain = b""
    for call in CALLS:
        if (call["who"], call["usage"]) == (who, "MESSAGE_KEY"):
            (chain,) = map(bytes.fromhex, call["in"])
        elif (call["who"], call["usage"]) == (who, "NEXT_CHAIN_KEY"):
            assert kdf(int(call["id"]), chain, size=64) == bytes.fromhex(call["out"])
            steps += 1
    assert steps == len(recorded4.vectors()["data"])


def test_the_recording_has_all_usages_of_an_interactive_conversation() -> None:
    """But for 0C to 11, which only a key exchange with somebody who is away has."""
    met = Counter(int(call["id"]) for call in CALLS)
    assert set(met) == set(range(0x1B)) - set(range(0x0C, 0x12))


def test_values_are_joined_as_they_are() -> None:
    assert kdf(3, b"ab", b"c", size=9) == kdf(3, b"abc", size=9) == shake256(b"OTRv4\x03abc", 9)
    assert kdf(4, b"abc", size=9) != kdf(3, b"abc", size=9)
