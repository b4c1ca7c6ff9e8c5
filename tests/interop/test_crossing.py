"""Both sides commit before either has heard of the other: the higher hash decides, and both must see it so.

libotr with itself stays unencrypted here (see test_oracle); with us it must not, whoever's hash is higher.
Tries alternate in who hears first, and in whether every line arrives twice.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from otrcore.events import HandshakeStep
from tests.interop.conftest import LibotrFactory
from tests.interop.oracle import LibotrPeer, exchange
from tests.interop.ours import Doubled, Ours, agreed, chat, commit_in, secure
from tests.pair import speaking

TRIES = 8


def ways_to_start(ours: Ours, theirs: LibotrPeer, way: str) -> tuple[str, str]:
    """Return what makes us commit, and what makes libotr commit."""
    if way == "third party":
        return ours.policy.query, ours.policy.query
    ours.start()
    if way == "query and tag":
        theirs.send("a tagged text")
    else:
        theirs.start()
    (for_us,), (for_libotr,) = theirs.take(), ours.take()
    return for_us, for_libotr


def cross(ours: Ours, theirs: LibotrPeer, way: str, *, higher: bool, theirs_hears_first: bool) -> None:
    """Let both commit, our hash being the higher one or not, and the first two Commits pass each other."""
    for_us, for_libotr = ways_to_start(ours, theirs, way)
    theirs.receive(for_libotr)
    (their_commit,) = theirs.take()
    their_hash = commit_in(their_commit).hashed_gx
    ours.choose_commit(lambda our_hash: (our_hash > their_hash) is higher)
    ours.receive(for_us)
    ours.choose_commit(None)
    (our_commit,) = ours.take()
    assert (commit_in(our_commit).hashed_gx > their_hash) is higher
    ours.events(HandshakeStep)
    if theirs_hears_first:
        theirs.receive(our_commit)
    ours.receive(their_commit)
    if not theirs_hears_first:
        theirs.receive(our_commit)
    # libotr gets along with either answer, so that the end alone would not show whether ours is right.
    assert ours.events(HandshakeStep) == [
        HandshakeStep("D-H Commit", sent=False),
        HandshakeStep("D-H Commit" if higher else "D-H Key", sent=True),
    ]


@pytest.mark.parametrize("higher", [True, False], ids=["our hash higher", "our hash lower"])
@pytest.mark.parametrize("way", ["queries", "query and tag", "third party", "refresh"])
def test_crossing_starts_end_encrypted(libotr: LibotrFactory, version: int, way: str, higher: bool) -> None:
    policy = replace(speaking(version), start_on_tag=True)
    for attempt in range(TRIES):
        ours = Ours(policy)
        theirs = libotr(policy=f"v{version}+tag" if way == "query and tag" else f"v{version}")
        before = secure(ours, theirs) if way == "refresh" else None
        cross(ours, theirs, way, higher=higher, theirs_hears_first=bool(attempt & 1))
        if attempt & 2:
            exchange(Doubled(ours), Doubled(theirs))
        else:
            exchange(ours, theirs)
        assert agreed(ours, theirs) != before, f"attempt {attempt}"
        chat(ours, theirs)
        theirs.close()


@pytest.mark.parametrize("first", ["ours", "theirs"])
@pytest.mark.parametrize(
    ("allowed", "policy", "version"),
    [({2}, "v2", 2), ({3}, "v3", 3), ({2, 3}, "v2", 2), ({2}, "v2+v3", 2), ({2, 3}, "v2+v3", 3)],
)
def test_both_ask_at_once_and_lines_flow(
    libotr: LibotrFactory, allowed: set[int], policy: str, version: int, first: str
) -> None:
    """The same without any choice of hashes or steps."""
    for _ in range(TRIES):
        ours, theirs = Ours(speaking(*allowed)), libotr(policy=policy)
        ours.start()
        theirs.start()
        if first == "ours":
            exchange(ours, theirs)
        else:
            exchange(theirs, ours)
        agreed(ours, theirs, version=version)
        theirs.close()


@pytest.mark.parametrize("starter", ["ours", "theirs"])
def test_every_line_arrives_twice(libotr: LibotrFactory, version: int, starter: str) -> None:
    ours, theirs = Ours(speaking(version)), libotr(policy=f"v{version}")
    (ours if starter == "ours" else theirs).start()
    exchange(Doubled(ours), Doubled(theirs))
    agreed(ours, theirs)
    ours.send("only once")
    theirs.send("once only")
    exchange(Doubled(ours), Doubled(theirs))
    assert (ours.texts(), theirs.texts()) == (["once only"], ["only once"])
