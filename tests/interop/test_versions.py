"""Both versions allowed on one side or both: which is spoken, and what becomes of a session in the other."""

from __future__ import annotations

import pytest

from otrcore.errors import Reason
from otrcore.events import NoCommonVersion, Received, Rejected, SessionOpened
from otrcore.model import MessageState
from tests.interop.conftest import LibotrFactory
from tests.interop.oracle import LibotrPeer, exchange
from tests.interop.ours import Ours, agreed, chat, data_in, let_pass
from tests.pair import speaking


def in_version_2(ours: Ours, theirs: LibotrPeer) -> None:
    """Let somebody's query offer only version 2, and be sure that it is spoken."""
    theirs.receive("?OTRv2?")
    exchange(ours, theirs)
    agreed(ours, theirs, version=2)
    chat(ours, theirs)
    ours.shown()
    theirs.events()


@pytest.mark.parametrize("starter", ["ours", "theirs"])
def test_the_next_start_brings_the_better_version(libotr: LibotrFactory, starter: str) -> None:
    """Whoever edited a query gains one session; texts get through in the old and in the new one."""
    ours, theirs = Ours(speaking(2, 3)), libotr(policy="v2+v3")
    in_version_2(ours, theirs)
    (ours if starter == "ours" else theirs).start()
    exchange(ours, theirs)
    (opened,) = ours.events(SessionOpened)
    assert (opened.info.version, opened.refreshed, opened.changed_from) == (3, True, None)
    # libotr keeps the old session beside the new one, and talks in the better.
    assert opened.info.ssid.hex() in {context["ssid"] for context in theirs.status()}
    chat(ours, theirs)
    theirs.send("in the new one")
    (wire,) = theirs.take()
    assert data_in(wire).header.version == 3


@pytest.mark.parametrize("version", [2, 3])
def test_libotr_alone_allows_both(libotr: LibotrFactory, version: int) -> None:
    """A query of the other version, from whomever, disturbs nothing on our side."""
    ours, theirs = Ours(speaking(version)), libotr(policy="v2+v3")
    ours.start()
    exchange(ours, theirs)
    agreed(ours, theirs)
    chat(ours, theirs)
    ours.shown()
    ours.receive({2: "?OTRv3?", 3: "?OTRv2?"}[version])
    assert ours.take() == []
    assert ours.shown() == [NoCommonVersion(frozenset({2, 3} - {version}))]
    chat(ours, theirs)


def test_libotr_forgets_which_version_it_speaks(libotr: LibotrFactory) -> None:
    """After a query for both its texts have the front of version 3: they are lost, until the next start."""
    ours, theirs = Ours(speaking(2)), libotr(policy="v2+v3")
    in_version_2(ours, theirs)
    theirs.receive("?OTRv23?")
    theirs.take()
    theirs.send("lost")
    (wire,) = theirs.take()
    assert data_in(wire).header.version == 3
    ours.receive(wire)
    assert ours.events(Received) == []
    assert [event.reason for event in ours.events(Rejected)] == [Reason.VERSION]
    assert ours.state is MessageState.ENCRYPTED
    ours.start()
    exchange(ours, theirs)
    agreed(ours, theirs)
    chat(ours, theirs)


@pytest.mark.parametrize("theirs_hears_first", [True, False])
def test_libotr_commits_in_version_2_while_our_commit_of_version_3_is_out(
    libotr: LibotrFactory, theirs_hears_first: bool
) -> None:
    """It does not know ours, and waits for an answer to its own."""
    ours, theirs = Ours(speaking(2, 3)), libotr(policy="v2")
    ours.receive("?OTRv23?")
    theirs.receive("?OTRv23?")
    (our_commit,), (their_commit,) = ours.take(), theirs.take()
    if theirs_hears_first:
        theirs.receive(our_commit)
    ours.receive(their_commit)
    if not theirs_hears_first:
        theirs.receive(our_commit)
    exchange(ours, theirs)
    agreed(ours, theirs, version=2)
    chat(ours, theirs)


@pytest.mark.parametrize(("for_us", "for_libotr"), [("?OTRv3?", "?OTRv2?"), ("?OTRv2?", "?OTRv3?")])
def test_commits_of_different_versions_cross(libotr: LibotrFactory, for_us: str, for_libotr: str) -> None:
    """As only an attacker can bring about: what comes of it is not agreed, but one start heals it."""
    ours, theirs = Ours(speaking(2, 3)), libotr(policy="v2+v3")
    ours.receive(for_us)
    theirs.receive(for_libotr)
    exchange(ours, theirs)
    let_pass(61, ours, theirs)
    ours.start()
    exchange(ours, theirs)
    assert ours.session is not None
    assert ours.session.version == 3
    ours.shown()
    theirs.events()
    chat(ours, theirs)
