"""Encrypted conversations of ours with libotr: every way into one, and what both sides then show."""

from __future__ import annotations

from dataclasses import replace

import pytest

from otrcore.events import HandshakeEnd, HandshakeFailed, NoCommonVersion, Received, SessionOpened
from otrcore.model import MessageState, Protection
from tests.interop.conftest import LibotrFactory
from tests.interop.oracle import Direction, LibotrPeer, exchange
from tests.interop.ours import Ours, agreed, chat, secure
from tests.pair import speaking

OTHER_VERSION = {2: 3, 3: 2}
OPENED = ("gone_secure", "still_secure")


def opened(theirs: LibotrPeer) -> list[tuple[str, str]]:
    """Session id and its bold half, for every session that libotr announced; forgets all its events."""
    return [(event["ssid"], event["ssid_bold"]) for event in theirs.events() if event["ev"] in OPENED]


@pytest.mark.parametrize("order", ["ours first", "theirs first"])
@pytest.mark.parametrize("starter", ["ours", "theirs"])
def test_either_side_starts(libotr: LibotrFactory, version: int, starter: str, order: str) -> None:
    ours, theirs = Ours(speaking(version)), libotr(policy=f"v{version}")
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


@pytest.mark.parametrize("way", ["we ask", "libotr asks", "libotr shows a tag"])
@pytest.mark.parametrize(
    ("allowed", "policy", "version"),
    [
        ({2}, "v2+v3", 2),
        ({3}, "v2+v3", 3),
        ({2, 3}, "v2", 2),
        ({2, 3}, "v3", 3),
        ({2, 3}, "v2+v3", 3),
    ],
)
def test_the_best_version_of_both(
    libotr: LibotrFactory, allowed: set[int], policy: str, version: int, way: str
) -> None:
    ours = Ours(replace(speaking(*allowed), start_on_tag=True))
    theirs = libotr(policy=f"{policy}+tag")
    match way:
        case "we ask":
            ours.start()
        case "libotr asks":
            theirs.start()
        case _:
            theirs.send("hello")
    exchange(ours, theirs)
    agreed(ours, theirs, version=version)
    chat(ours, theirs)
    ours.end()
    exchange(ours, theirs)
    assert "finished" in {context["msgstate"] for context in theirs.status()}


@pytest.mark.parametrize(("starter", "we_commit"), [("ours", False), ("theirs", True)])
def test_both_show_the_same_half_in_bold(
    libotr: LibotrFactory, version: int, starter: str, we_commit: bool
) -> None:
    """The half of whoever sent the D-H Commit is the first; each side shows its own in bold."""
    ours, theirs = Ours(speaking(version)), libotr(policy=f"v{version}")
    (ours if starter == "ours" else theirs).start()
    exchange(ours, theirs)
    (event,) = ours.events(SessionOpened)
    assert event.info.initiator is we_commit
    assert opened(theirs) == [(event.info.ssid.hex(), "second" if we_commit else "first")]
    assert event.info.session_id == f"{event.info.ssid.hex()[:8]} {event.info.ssid.hex()[8:]}"


def test_fingerprints_read_the_same(libotr: LibotrFactory, version: int) -> None:
    ours, theirs = Ours(speaking(version)), libotr(policy=f"v{version}")
    ours.start()
    exchange(ours, theirs)
    (seen,) = theirs.events("new_fingerprint")
    assert seen["fingerprint"] == ours.fingerprint.digest.hex()
    assert ours.session is not None
    assert str(ours.session.their_fingerprint) == theirs.command("fingerprint")["human"]


def test_a_whitespace_tag_is_answered(libotr: LibotrFactory, version: int) -> None:
    ours, theirs = Ours(replace(speaking(version), start_on_tag=True)), libotr(policy=f"v{version}+tag")
    theirs.send("hello")
    exchange(ours, theirs)
    agreed(ours, theirs)
    assert ours.events(Received) == [Received("hello", Protection.PLAIN)]
    chat(ours, theirs)


def test_a_whitespace_tag_starts_nothing_where_policy_says_so(libotr: LibotrFactory, version: int) -> None:
    ours, theirs = Ours(speaking(version)), libotr(policy=f"v{version}+tag")
    theirs.send("hello")
    assert exchange(ours, theirs) == 1
    assert ours.shown() == [Received("hello", Protection.PLAIN)]
    assert ours.state is MessageState.PLAINTEXT


@pytest.mark.parametrize("mms", [0, 100])
def test_a_text_that_libotr_kept_back_comes_encrypted(libotr: LibotrFactory, version: int, mms: int) -> None:
    """With short lines libotr cuts even its query, into fragments of version 2."""
    ours, theirs = Ours(speaking(version)), libotr(policy=f"v{version}+require", mms=mms)
    log: list[tuple[Direction, str]] = []
    theirs.send("for your eyes only")
    exchange(ours, theirs, log=log)
    agreed(ours, theirs)
    assert ours.texts() == ["for your eyes only"]
    assert log[0][1].startswith("?OTR,00001," if mms else f"?OTRv{version}?")


@pytest.mark.parametrize("query", ["hello ?OTRv{}? x", "?OTRv23?", "?OTRv24x3?", "?OTR?v{}?", "?OTRv{}"])
def test_both_take_the_same_texts_for_queries(libotr: LibotrFactory, version: int, query: str) -> None:
    ours, theirs = Ours(speaking(version)), libotr(policy=f"v{version}")
    query = query.format(version)
    ours.receive(query)
    theirs.receive(query)
    assert len(ours.take()) == len(theirs.take()) == 1


@pytest.mark.parametrize("query", ["?OTRv?", "?OTRv4?", "?OTR?", "?OTRv{other}?", "?otrv{version}?"])
def test_both_answer_nothing_to_these(libotr: LibotrFactory, version: int, query: str) -> None:
    ours, theirs = Ours(speaking(version)), libotr(policy=f"v{version}")
    query = query.format(version=version, other=OTHER_VERSION[version])
    ours.receive(query)
    theirs.receive(query)
    assert ours.take() == theirs.take() == []


def test_no_common_version(libotr: LibotrFactory, version: int) -> None:
    ours = Ours(replace(speaking(version), start_on_tag=True))
    theirs = libotr(policy=f"v{OTHER_VERSION[version]}+tag")
    theirs.start()
    assert exchange(ours, theirs) == 1
    assert ours.shown() == [NoCommonVersion(frozenset({OTHER_VERSION[version]}))]

    # At every query, and once at tags, which come with every text.
    text = Received("a tag for another version", Protection.PLAIN)
    for told in ([NoCommonVersion(frozenset({OTHER_VERSION[version]}))], []):
        theirs.send(text.text)
        assert exchange(ours, theirs) == 1
        assert ours.shown() == [text, *told]

    ours.start()
    assert exchange(ours, theirs) == 1
    ours.wait(60)
    assert ours.shown() == [HandshakeFailed(HandshakeEnd.NO_ANSWER)]
    assert ours.state is MessageState.PLAINTEXT


@pytest.mark.parametrize("starter", ["ours", "theirs"])
def test_a_query_while_encrypted_brings_a_new_session(
    libotr: LibotrFactory, version: int, starter: str
) -> None:
    ours, theirs = Ours(speaking(version)), libotr(policy=f"v{version}")
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
    libotr: LibotrFactory, version: int, starter: str
) -> None:
    ours, theirs = Ours(speaking(version)), libotr(policy=f"v{version}")
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
