"""Used MAC keys are published by both sides: all of them, once, and not while they are still worth anything.

Whoever has recorded a conversation can then forge it, so that it proves nothing against anybody.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from otrcore.crypto.hashes import mac_sha1
from otrcore.errors import Reason
from otrcore.events import Rejected
from otrcore.wire.codec import MAC_BYTES
from otrcore.wire.messages3 import DataMessage
from otrcore.wire.text import encode
from tests.interop.conftest import LibotrFactory
from tests.interop.oracle import Direction, LibotrPeer, exchange
from tests.interop.ours import Ours, agreed, data_in, message_in, secure
from tests.pair import speaking

Log = list[tuple[Direction, str]]


@pytest.fixture
def pair(libotr: LibotrFactory, version: int) -> tuple[Ours, LibotrPeer]:
    """Both sides, encrypted."""
    ours, theirs = Ours(speaking(version)), libotr(policy=f"v{version}")
    secure(ours, theirs)
    return ours, theirs


def sending_mac_key(theirs: LibotrPeer) -> bytes:
    """The MAC key of libotr's next text: that of its previous key and the newest of ours that it knows."""
    session = theirs.session
    assert session is not None
    (keys,) = [keys for keys in session["sesskeys"] if (keys["i"], keys["j"]) == (1, 0)]
    return bytes.fromhex(keys["sendmac"])


def messages(log: Log, way: Direction) -> Iterator[tuple[int, DataMessage]]:
    """The data messages of one direction, with their places among all lines."""
    for place, (direction, wire) in enumerate(log):
        message = message_in(wire)
        if direction == way and isinstance(message, DataMessage):
            yield place, message


def published(message: DataMessage) -> list[bytes]:
    """The keys that this message reveals."""
    keys = message.old_mac_keys
    assert len(keys) % MAC_BYTES == 0
    return [keys[at : at + MAC_BYTES] for at in range(0, len(keys), MAC_BYTES)]


def verifies(key: bytes, message: DataMessage) -> bool:
    return mac_sha1(key, message.authenticated()) == message.mac


def talk(ours: Ours, theirs: LibotrPeer, turns: int, log: Log) -> set[bytes]:
    """Exchange texts in turns; returns the MAC keys that libotr sent with."""
    used = set()
    for turn in range(turns):
        ours.send(f"ours {turn}")
        exchange(ours, theirs, log=log)
        theirs.send(f"theirs {turn}")
        used.add(sending_mac_key(theirs))
        exchange(ours, theirs, log=log)
    assert len(ours.texts()) == len(theirs.texts()) == turns
    return used


@pytest.mark.parametrize(("revealer", "sender"), [(">", "<"), ("<", ">")], ids=["ours", "theirs"])
def test_what_is_published_has_verified_something(
    pair: tuple[Ours, LibotrPeer], revealer: Direction, sender: Direction
) -> None:
    """Each key once, after the messages of the other side that it verified."""
    log: Log = []
    talk(*pair, 12, log)
    sent = list(messages(log, sender))
    revealed = [(place, key) for place, message in messages(log, revealer) for key in published(message)]
    assert len(revealed) >= 10
    assert len({key for _, key in revealed}) == len(revealed)
    for place, key in revealed:
        verified = [at for at, message in sent if verifies(key, message)]
        assert verified
        assert max(verified) < place


def test_all_that_libotr_used_is_published_by_the_end(pair: tuple[Ours, LibotrPeer]) -> None:
    ours, theirs = pair
    log: Log = []
    used = talk(ours, theirs, 12, log)
    before_the_end = [key for _, message in messages(log, ">") for key in published(message)]
    assert set(before_the_end) < used
    ours.end()
    exchange(ours, theirs, log=log)
    revealed = [key for _, message in messages(log, ">") for key in published(message)]
    assert set(revealed) == used
    assert len(revealed) == len(used)


def test_one_way_talk_leaves_one_key_to_publish(pair: tuple[Ours, LibotrPeer]) -> None:
    """A key is published for having been used, not once for each use."""
    ours, theirs = pair
    log: Log = []
    talk(ours, theirs, 2, log)
    for turn in range(30):
        theirs.send(str(turn))
        exchange(ours, theirs)
    assert len(ours.texts()) == 30
    log.clear()
    talk(ours, theirs, 3, log)
    revealed = [key for _, message in messages(log, ">") for key in published(message)]
    assert len(revealed) == len(set(revealed)) <= 5


def test_a_published_key_is_not_in_use_any_more(pair: tuple[Ours, LibotrPeer]) -> None:
    """Neither for libotr to send with, nor for us to believe a forgery that was made with it."""
    ours, theirs = pair
    log: Log = []
    revealed: list[bytes] = []
    for turn in range(12):
        seen = len(log)
        ours.send(f"ours {turn}")
        exchange(ours, theirs, log=log)
        for _, message in messages(log[seen:], ">"):
            revealed += published(message)
        assert sending_mac_key(theirs) not in revealed
        for key in revealed:
            (original, *_) = [message for _, message in messages(log, "<") if verifies(key, message)]
            forged = replace(original, counter=original.counter + 1000)
            forged = replace(forged, mac=mac_sha1(key, forged.authenticated()))
            ours.receive(encode(forged.serialise()))
            assert [event.reason for event in ours.events(Rejected)] == [Reason.UNREADABLE]
            ours.take()
        theirs.send(f"theirs {turn}")
        exchange(ours, theirs, log=log)
    assert len(revealed) >= 10
    assert ours.texts() == [f"theirs {turn}" for turn in range(12)]


def test_a_forgery_with_an_unpublished_key_would_be_believed(pair: tuple[Ours, LibotrPeer]) -> None:
    """The counterpart, without which the test above would show nothing."""
    ours, theirs = pair
    talk(ours, theirs, 2, [])
    theirs.send("recorded")
    key = sending_mac_key(theirs)
    (wire,) = theirs.take()
    forged = replace(data_in(wire), counter=data_in(wire).counter + 1000)
    ours.receive(encode(replace(forged, mac=mac_sha1(key, forged.authenticated())).serialise()))
    assert len(ours.texts()) == 1


@pytest.mark.parametrize("starter", ["ours", "theirs"])
def test_a_new_session_publishes_the_keys_of_the_old_one(pair: tuple[Ours, LibotrPeer], starter: str) -> None:
    ours, theirs = pair
    log: Log = []
    used = talk(ours, theirs, 4, log)
    (ours if starter == "ours" else theirs).start()
    exchange(ours, theirs, log=log)
    agreed(ours, theirs)
    ours.send("the first of the new session")
    exchange(ours, theirs, log=log)
    assert {key for _, message in messages(log, ">") for key in published(message)} == used
