"""A whole conversation with a peer that was written from the specification a second time."""

from __future__ import annotations

import pytest

from otrcore.errors import MalformedMessage, PeerError, Reason
from otrcore.events import Received
from otrcore.model import Protection
from otrcore.wire.header import parse_header
from tests.snapshot import snapshot
from tests.spec import reading4
from tests.spec.reading4 import data_fields
from tests.spec.subject4 import THEM, US, Subject

WHO_BEGINS = pytest.mark.parametrize("initiator", [False, True], ids=["responder", "initiator"])


@WHO_BEGINS
@pytest.mark.parametrize("we_speak_first", [False, True])
def test_ten_ratchets(initiator: bool, we_speak_first: bool) -> None:
    """Every text comes, both ways; ids, D-H keys and revealed MAC keys stand where they belong."""
    subject = Subject()
    peer = subject.secure(initiator=initiator)
    info = subject.talk.info
    assert info is not None
    assert info.their_fingerprint.digest == subject.peer.person.fingerprint
    ids = []
    for number in range(20):
        if (number % 2 == 0) is we_speak_first:
            for at in range(2):
                raw = subject.sends(f"ours {number} {at}")
                assert peer.read(raw) == f"ours {number} {at}\0".encode()
                ids.append(data_fields(raw).i)
        else:
            raw = peer.send(b"theirs %d" % number)
            assert Received(f"theirs {number}", Protection.ENCRYPTED) in subject.take(raw)
            ids.append(data_fields(raw).i)
    assert ids == sorted(ids)
    assert {0, 1, 2, 3, 4, 5, 6} <= set(ids)


def test_a_channel_takes_data_messages_of_its_own_instance_only() -> None:
    """Whoever calls it has looked at that already."""
    subject = Subject()
    peer = subject.secure()
    channel = subject.talk._instances.session().encrypted().channel
    before = snapshot(channel)
    raw = subject.peer.identity("another")
    with pytest.raises(MalformedMessage):
        channel.decrypt(raw, parse_header(raw))
    raw = reading4.readdressed(peer.send(), THEM + 1, US)
    with pytest.raises(PeerError) as refused:
        channel.decrypt(raw, parse_header(raw))
    assert refused.value.reason is Reason.OTHER_INSTANCE
    assert snapshot(channel) == before


def test_a_key_exchange_takes_no_data_message() -> None:
    subject = Subject()
    peer = subject.secure(initiator=True)
    exchange = subject.talk._instances._sessions[THEM].exchanges[4]
    raw = peer.send()
    with pytest.raises(MalformedMessage):
        exchange.receive(raw, parse_header(raw), subject.clock.now)
