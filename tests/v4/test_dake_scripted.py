"""A whole conversation with a peer that was written from the specification a second time."""

from __future__ import annotations

import pytest

from otrcore.events import Received
from otrcore.model import Protection
from tests.spec.reading4 import data_fields
from tests.spec.subject4 import Subject

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
