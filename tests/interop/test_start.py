"""Encrypted conversations of ours with libotr: every way into one, and what both sides then show."""

from __future__ import annotations

import pytest

from otrcore.errors import Reason
from otrcore.events import HandshakeEnd, HandshakeFailed, Received, Rejected, SessionOpened
from otrcore.model import MessageState, Protection
from otrcore.policy import DEFAULT
from tests.interop.conftest import LibotrFactory
from tests.interop.oracle import Direction, LibotrPeer, exchange
from tests.interop.ours import Ours, agreed, chat, secure

OPENED = ("gone_secure", "still_secure")


def opened(theirs: LibotrPeer) -> list[tuple[str, str]]:
    """Session id and its bold half, for every session that libotr announced; forgets all its events."""
    return [(event["ssid"], event["ssid_bold"]) for event in theirs.events() if event["ev"] in OPENED]


@pytest.mark.parametrize("order", ["ours first", "theirs first"])
@pytest.mark.parametrize("starter", ["ours", "theirs"])
def test_either_side_starts(libotr: LibotrFactory, starter: str, order: str) -> None:
    ours, theirs = Ours(), libotr(policy="v3")
    log: list[tuple[Direction, str]] = []
    (ours if starter == "ours" else theirs).start()
    if order == "ours first":
        exchange(ours, theirs, log=log)
    else:
        exchange(theirs, ours, log=log)

    ssid = agreed(ours, theirs)
    # Query, D-H Commit, D-H Key, Reveal Signature, Signature.
    assert len(log) == 5
    chat(ours, theirs)
    assert [event.info.ssid.hex() for event in ours.events(SessionOpened)] == [ssid]


@pytest.mark.parametrize(("starter", "we_commit"), [("ours", False), ("theirs", True)])
def test_both_show_the_same_half_in_bold(libotr: LibotrFactory, starter: str, we_commit: bool) -> None:
    """The half of whoever sent the D-H Commit is the first; each side shows its own in bold."""
    ours, theirs = Ours(), libotr(policy="v3")
    (ours if starter == "ours" else theirs).start()
    exchange(ours, theirs)
    (event,) = ours.events(SessionOpened)
    assert event.info.initiator is we_commit
    assert opened(theirs) == [(event.info.ssid.hex(), "second" if we_commit else "first")]
    assert event.info.session_id == f"{event.info.ssid.hex()[:8]} {event.info.ssid.hex()[8:]}"


def test_fingerprints_read_the_same(libotr: LibotrFactory) -> None:
    ours, theirs = Ours(), libotr(policy="v3")
    ours.start()
    exchange(ours, theirs)
    (seen,) = theirs.events("new_fingerprint")
    assert seen["fingerprint"] == ours.fingerprint.digest.hex()
    assert ours.session is not None
    assert str(ours.session.their_fingerprint) == theirs.command("fingerprint")["human"]


def test_a_whitespace_tag_is_answered(libotr: LibotrFactory) -> None:
    ours, theirs = Ours(DEFAULT), libotr(policy="v3+tag")
    theirs.send("hello")
    exchange(ours, theirs)
    agreed(ours, theirs)
    assert ours.events(Received) == [Received("hello", Protection.PLAIN)]
    chat(ours, theirs)


def test_a_whitespace_tag_starts_nothing_where_policy_says_so(libotr: LibotrFactory) -> None:
    ours, theirs = Ours(), libotr(policy="v3+tag")
    theirs.send("hello")
    assert exchange(ours, theirs) == 1
    assert ours.shown() == [Received("hello", Protection.PLAIN)]
    assert ours.state is MessageState.PLAINTEXT


@pytest.mark.parametrize("mms", [0, 100])
def test_a_text_that_libotr_kept_back_comes_encrypted(libotr: LibotrFactory, mms: int) -> None:
    """With short lines libotr cuts even its query, into fragments of version 2."""
    ours, theirs = Ours(), libotr(policy="v3+require", mms=mms)
    log: list[tuple[Direction, str]] = []
    theirs.send("for your eyes only")
    exchange(ours, theirs, log=log)
    agreed(ours, theirs)
    assert ours.texts() == ["for your eyes only"]
    assert log[0][1].startswith("?OTR,00001," if mms else "?OTRv3?")


@pytest.mark.parametrize("query", ["hello ?OTRv3? x", "?OTRv23?", "?OTRv24x3?", "?OTR?v3?"])
def test_both_take_the_same_texts_for_queries(libotr: LibotrFactory, query: str) -> None:
    ours, theirs = Ours(), libotr(policy="v3")
    ours.receive(query)
    theirs.receive(query)
    assert len(ours.take()) == len(theirs.take()) == 1


@pytest.mark.parametrize("query", ["?OTRv?", "?OTRv4?", "?OTR?", "?OTRv2?", "?otrv3?"])
def test_both_answer_nothing_to_these(libotr: LibotrFactory, query: str) -> None:
    ours, theirs = Ours(), libotr(policy="v3")
    ours.receive(query)
    theirs.receive(query)
    assert ours.take() == theirs.take() == []


def test_no_common_version(libotr: LibotrFactory) -> None:
    ours, theirs = Ours(DEFAULT), libotr(policy="v2+tag")
    theirs.start()
    assert exchange(ours, theirs) == 1
    assert ours.shown() == [Rejected(Reason.VERSION)]

    theirs.send("a tag for version 2")
    assert exchange(ours, theirs) == 1
    assert ours.shown() == [Received("a tag for version 2", Protection.PLAIN)]

    ours.start()
    assert exchange(ours, theirs) == 1
    ours.wait(60)
    assert ours.shown() == [HandshakeFailed(HandshakeEnd.NO_ANSWER)]
    assert ours.state is MessageState.PLAINTEXT


@pytest.mark.parametrize("starter", ["ours", "theirs"])
def test_a_query_while_encrypted_brings_a_new_session(libotr: LibotrFactory, starter: str) -> None:
    ours, theirs = Ours(), libotr(policy="v3")
    before = secure(ours, theirs)
    chat(ours, theirs)
    (ours if starter == "ours" else theirs).start()
    exchange(ours, theirs)

    after = agreed(ours, theirs)
    assert after != before
    assert [(event.info.ssid.hex(), event.refreshed) for event in ours.events(SessionOpened)] == [
        (after, True)
    ]
    assert [ssid for ssid, _ in opened(theirs)] == [after]
    chat(ours, theirs)


@pytest.mark.parametrize("starter", ["ours", "theirs"])
def test_texts_of_the_old_session_get_through_until_it_is_replaced(
    libotr: LibotrFactory, starter: str
) -> None:
    ours, theirs = Ours(), libotr(policy="v3")
    secure(ours, theirs)
    (ours if starter == "ours" else theirs).start()
    for turn in range(6):
        for line in ours.take():
            theirs.receive(line)
        ours.send(f"ours {turn}")
        for line in theirs.take():
            ours.receive(line)
        theirs.send(f"theirs {turn}")
    exchange(ours, theirs)
    agreed(ours, theirs)
    # What is on its way while its session is replaced is lost; nothing comes twice or out of order.
    for texts, sender in ((ours.texts(), "theirs"), (theirs.texts(), "ours")):
        numbers = [int(text.removeprefix(f"{sender} ")) for text in texts]
        assert numbers == sorted(set(numbers))
        assert len(numbers) >= 4
    chat(ours, theirs)
