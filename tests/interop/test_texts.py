"""Texts between us and libotr: keys that rotate, any content, any length, lines of any limit."""

from __future__ import annotations

from itertools import pairwise

import pytest

from otrcore.events import HeldBack, NotSent, Received, Rejected
from otrcore.model import MessageState, Protection
from otrcore.session import MAX_TEXT_BYTES
from tests.interop.conftest import LibotrFactory
from tests.interop.oracle import Direction, LibotrPeer, exchange
from tests.interop.ours import Ours, agreed, chat, data_in, secure
from tests.pair import speaking

TEXTS = {
    "long": "0123456789" * 2000,
    "long, of several bytes a character": "aü€𝄞" * 2000,
    "non-ASCII": "Grüße, 你好, שלום, 🦦",
    "with line ends": "one\ntwo\r\nthree\n",
    "a space": " ",
    "formatted": "<b>bold</b> &amp; \x02bold\x0f \x0304red %n%s",
    "looks like a fragment": "?OTR|00000001|00000002,00001,00002,x,",
    "looks encrypted": "?OTR:AAMD.",
    "tagged": "hello \t  \t\t\t\t \t \t \t    \t\t  \t\t",
}


@pytest.fixture
def pair(libotr: LibotrFactory, version: int) -> tuple[Ours, LibotrPeer]:
    """Both sides, encrypted, without limits on lines."""
    ours, theirs = Ours(speaking(version)), libotr(policy=f"v{version}")
    secure(ours, theirs)
    return ours, theirs


def test_fifty_messages_in_turns(pair: tuple[Ours, LibotrPeer]) -> None:
    """Every turn brings a new key on both sides."""
    ours, theirs = pair
    log: list[tuple[Direction, str]] = []
    for turn in range(25):
        ours.send(f"ours {turn}")
        exchange(ours, theirs, log=log)
        theirs.send(f"theirs {turn}")
        exchange(ours, theirs, log=log)
    assert theirs.texts() == [f"ours {turn}" for turn in range(25)]
    assert ours.texts() == [f"theirs {turn}" for turn in range(25)]
    for way in (">", "<"):
        messages = [data_in(wire) for direction, wire in log if direction == way]
        keyids = [message.sender_keyid for message in messages]
        assert keyids == list(range(keyids[0], keyids[0] + 25))
        assert len({message.next_dh for message in messages}) == 25


@pytest.mark.parametrize("runs", [">" * 30, "<" * 30, ">>>>><<<<<" * 3, "><<><><>>><<<<>><>" * 2])
def test_runs_of_one_side(pair: tuple[Ours, LibotrPeer], runs: str) -> None:
    """Keys stay as they are for as long as one side does not answer."""
    ours, theirs = pair
    log: list[tuple[Direction, str]] = []
    for number, way in enumerate(runs):
        (ours if way == ">" else theirs).send(str(number))
        exchange(ours, theirs, log=log)
    assert theirs.texts() == [str(number) for number, way in enumerate(runs) if way == ">"]
    assert ours.texts() == [str(number) for number, way in enumerate(runs) if way == "<"]
    for (way, wire), (next_way, next_wire) in pairwise(log):
        if way == next_way:
            message, next_message = data_in(wire), data_in(next_wire)
            assert next_message.sender_keyid == message.sender_keyid
            assert next_message.recipient_keyid == message.recipient_keyid
            assert next_message.counter == message.counter + 1


def test_both_talk_without_waiting(pair: tuple[Ours, LibotrPeer]) -> None:
    """Texts that pass each other were made with keys that the other side is about to forget."""
    ours, theirs = pair
    for turn in range(10):
        for part in "abc":
            ours.send(f"{turn}{part}")
            theirs.send(f"{turn}{part}")
        exchange(ours, theirs)
    said = [f"{turn}{part}" for turn in range(10) for part in "abc"]
    assert (ours.texts(), theirs.texts()) == (said, said)


def test_a_lost_text_costs_only_itself(pair: tuple[Ours, LibotrPeer]) -> None:
    ours, theirs = pair
    for turn in range(10):
        ours.send(f"ours {turn}")
        if turn % 3 == 0:
            ours.take()
        exchange(ours, theirs)
        theirs.send(f"theirs {turn}")
        if turn % 4 == 0:
            theirs.take()
        exchange(ours, theirs)
    assert theirs.texts() == [f"ours {turn}" for turn in range(10) if turn % 3]
    assert ours.texts() == [f"theirs {turn}" for turn in range(10) if turn % 4]


@pytest.mark.parametrize(("limit", "mms"), [(None, 0), (400, 400)], ids=["whole", "in fragments"])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_any_text_survives(
    libotr: LibotrFactory, version: int, text: str, limit: int | None, mms: int
) -> None:
    ours, theirs = Ours(speaking(version), line_limit=limit), libotr(policy=f"v{version}", mms=mms)
    secure(ours, theirs)
    ours.send(text)
    theirs.send(text)
    exchange(ours, theirs)
    assert (ours.texts(), theirs.texts()) == ([text], [text])
    chat(ours, theirs)


def test_our_text_that_looks_like_a_query_is_a_text(pair: tuple[Ours, LibotrPeer]) -> None:
    """libotr would send a query instead; what our user types while encrypted is never that."""
    ours, theirs = pair
    ours.send("?OTRv3?")
    exchange(ours, theirs)
    assert theirs.texts() == ["?OTRv3?"]


def test_an_empty_text_is_shown_to_nobody(pair: tuple[Ours, LibotrPeer]) -> None:
    ours, theirs = pair
    ours.send("")
    theirs.send("")
    exchange(ours, theirs)
    assert ours.shown() == []
    assert theirs.texts() == []
    chat(ours, theirs)


def test_nul_ends_or_leaves_a_text(pair: tuple[Ours, LibotrPeer]) -> None:
    """To libotr a text ends at NUL; we take it out, so that nothing behind it is lost or becomes a record."""
    ours, theirs = pair
    ours.send("be\0fore\0\0\1\0\0")
    theirs.send("before\0after")
    exchange(ours, theirs)
    assert theirs.texts() == ["before\1"]
    assert ours.texts() == ["before"]
    assert ours.state is MessageState.ENCRYPTED
    chat(ours, theirs)


def test_texts_that_are_not_unicode(pair: tuple[Ours, LibotrPeer]) -> None:
    ours, theirs = pair
    theirs.send(b"Gr\xfc\xdfe".decode(errors="surrogateescape"))
    ours.send("half of a pair: \ud800.")
    exchange(ours, theirs)
    assert ours.texts() == ["Gr\ufffd\ufffde"]
    assert theirs.texts() == ["half of a pair: ?."]


@pytest.mark.parametrize("limit", [100, 400])
@pytest.mark.parametrize("starter", ["ours", "theirs"])
def test_lines_of_both_keep_to_a_limit(libotr: LibotrFactory, version: int, starter: str, limit: int) -> None:
    """From the query to the end; libotr does not cut everything, so only ours are measured."""
    ours, theirs = Ours(speaking(version), line_limit=limit), libotr(policy=f"v{version}", mms=limit)
    log: list[tuple[Direction, str]] = []
    (ours if starter == "ours" else theirs).start()
    exchange(ours, theirs, log=log)
    agreed(ours, theirs)
    for text in ("short", "ü" * 1000, "x" * 5000):
        ours.send(text)
        theirs.send(text)
        exchange(ours, theirs, log=log)
        assert (ours.texts(), theirs.texts()) == ([text], [text])
    ours.end()
    exchange(ours, theirs, log=log)

    front = "?OTR," if version == 2 else "?OTR|"
    sent = [wire for way, wire in log if way == ">"]
    assert max(map(len, sent)) <= limit
    for way in (">", "<"):
        assert sum(wire.startswith(front) for direction, wire in log if direction == way) > 20


@pytest.mark.parametrize(("limit", "mms"), [(100, 0), (None, 100), (100, 400), (400, 100)])
def test_limits_may_differ(libotr: LibotrFactory, version: int, limit: int | None, mms: int) -> None:
    ours, theirs = Ours(speaking(version), line_limit=limit), libotr(policy=f"v{version}", mms=mms)
    secure(ours, theirs)
    chat(ours, theirs)


def test_a_lost_fragment_costs_only_its_text(libotr: LibotrFactory, version: int) -> None:
    ours, theirs = Ours(speaking(version), line_limit=100), libotr(policy=f"v{version}", mms=100)
    secure(ours, theirs)
    for lost in (0, 1, -1):
        ours.send("never arrives")
        theirs.send("never arrives")
        for source, target in ((ours, theirs), (theirs, ours)):
            lines = source.take()
            del lines[lost]
            for line in lines:
                target.receive(line)
        exchange(ours, theirs)
        chat(ours, theirs)


def test_plain_text_between_fragments_drops_nothing(libotr: LibotrFactory, version: int) -> None:
    ours, theirs = Ours(speaking(version), line_limit=100), libotr(policy=f"v{version}", mms=100)
    secure(ours, theirs)
    ours.send("in pieces")
    theirs.send("in pieces")
    for source, target in ((ours, theirs), (theirs, ours)):
        for line in source.take():
            target.receive(line)
            target.receive("in between")
    assert ours.texts() == ["in pieces"]
    assert "in pieces" in theirs.texts()


def test_our_longest_text(pair: tuple[Ours, LibotrPeer]) -> None:
    ours, theirs = pair
    longest = "x" * MAX_TEXT_BYTES
    ours.send(longest)
    exchange(ours, theirs)
    assert theirs.texts() == [longest]
    ours.send(longest + "x")
    assert ours.take() == []
    assert ours.shown() == [NotSent(longest + "x", HeldBack.TOO_LARGE)]
    chat(ours, theirs)


@pytest.mark.parametrize("mms", [0, 400])
def test_a_text_beyond_our_bound_is_lost_but_not_silently(
    libotr: LibotrFactory, version: int, mms: int
) -> None:
    ours, theirs = Ours(speaking(version)), libotr(policy=f"v{version}", mms=mms)
    secure(ours, theirs)
    theirs.send("x" * 60_000)
    exchange(ours, theirs)
    assert ours.events(Received) == []
    (rejected,) = ours.events(Rejected)
    assert rejected.had_text
    theirs.events()
    chat(ours, theirs)


def test_nothing_but_records(pair: tuple[Ours, LibotrPeer]) -> None:
    """Heartbeat, unknown records, padding: nothing to show."""
    ours, theirs = pair
    theirs.command("heartbeat")
    theirs.command(
        "send", text="", tlvs=[{"type": 0, "data_hex": "00" * 50}, {"type": 999, "data_hex": "ff"}]
    )
    assert exchange(ours, theirs) == 1
    assert ours.shown() == []
    theirs.command("send", text="with records", tlvs=[{"type": 0, "data_hex": "00"}, {"type": 999}])
    exchange(ours, theirs)
    assert ours.shown() == [Received("with records", Protection.ENCRYPTED)]
    chat(ours, theirs)


def test_libotr_sends_a_heartbeat_by_itself(pair: tuple[Ours, LibotrPeer]) -> None:
    ours, theirs = pair
    chat(ours, theirs)
    theirs.command("clock", add=61)
    ours.send("still there?")
    exchange(ours, theirs)
    assert theirs.message_events() == ["log_heartbeat_sent"]
    assert ours.shown() == []
    theirs.events()
    chat(ours, theirs)
