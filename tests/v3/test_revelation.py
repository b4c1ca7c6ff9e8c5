"""MAC keys are published when they can verify nothing any more: the right ones, once, and none too early."""

from __future__ import annotations

import dataclasses

import pytest

from otrcore.errors import Reason
from otrcore.events import Received, Rejected
from tests.spec import reading
from tests.spec.reading import data
from tests.spec.scripted import ScriptedPeer
from tests.spec.subject import US, Subject, sent, shown
from tests.v3.conftest import Maker

LIMIT = 64


def receiving_mac(subject: Subject, ours: int, theirs: ScriptedPeer) -> bytes:
    """Our receiving MAC key of our key and theirs."""
    return reading.data_keys(subject.exponent(ours), theirs.public).receiving_mac


def revealed(subject: Subject, text: str = "text") -> list[bytes]:
    """What our next message reveals."""
    return list(reading.data_fields(subject.sends(text)).old_mac_keys)


def take(subject: Subject, peer: ScriptedPeer, *, to: int = 1, counter: int = 1) -> None:
    raw = peer.data_message(US, subject.public(to), b"text", recipient_keyid=to, counter=counter)
    assert any(isinstance(event, Received) for event in subject.take(raw))


def test_nothing_is_revealed_while_keys_may_be_used(new: Maker) -> None:
    subject = new().encrypted()
    assert revealed(subject) == []
    take(subject, subject.peer, counter=1)
    take(subject, subject.peer, counter=2)
    assert revealed(subject) == []
    assert revealed(subject) == []


def test_a_used_key_is_revealed_when_ours_is_forgotten_and_only_once(new: Maker) -> None:
    subject = new().encrypted()
    take(subject, subject.peer)
    revealed(subject)  # announces our key 2
    # Key 1 and all its pairs are forgotten; of those, only the one with their key 1 verified anything.
    take(subject, subject.peer, to=2)
    assert revealed(subject) == [receiving_mac(subject, 1, subject.peer)]
    assert revealed(subject) == []


def test_a_used_key_is_revealed_when_theirs_is_forgotten(new: Maker) -> None:
    subject = new().encrypted()
    second = subject.peer.successor
    take(subject, subject.peer)
    assert revealed(subject) == []
    take(subject, second)
    assert revealed(subject) == [receiving_mac(subject, 1, subject.peer)]
    take(subject, second.successor)
    assert revealed(subject) == [receiving_mac(subject, 1, second)]


def test_both_may_be_forgotten_at_once(new: Maker) -> None:
    subject = new().encrypted()
    second = subject.peer.successor
    take(subject, subject.peer)
    revealed(subject)
    take(subject, subject.peer, counter=2)
    take(subject, second, to=2)
    assert revealed(subject) == [receiving_mac(subject, 1, subject.peer)]
    take(subject, second.successor, to=3)
    assert revealed(subject) == [receiving_mac(subject, 2, second)]


def test_unused_keys_are_never_revealed(new: Maker) -> None:
    """A forged message makes us compute a key, but it verifies nothing."""
    subject = new().encrypted()
    forged = subject.peer.data_message(US, subject.public(1), b"text", spoil_mac=True)
    subject.take(forged)
    revealed(subject)
    take(subject, subject.peer, to=2)
    assert revealed(subject) == []


@pytest.mark.parametrize("wrong", ["counter", "next_dh"])
def test_a_key_is_used_as_soon_as_it_verified_a_mac(new: Maker, wrong: str) -> None:
    """Also if the message is refused then: its MAC has been held good once."""
    subject = new().encrypted()
    raw = subject.peer.data_message(
        US,
        subject.public(1),
        b"text",
        counter=0 if wrong == "counter" else 1,
        next_dh=1 if wrong == "next_dh" else None,
    )
    assert not any(isinstance(event, Received) for event in subject.take(raw))
    revealed(subject)
    take(subject, subject.peer, to=2)
    assert revealed(subject) == [receiving_mac(subject, 1, subject.peer)]


def test_the_disconnect_message_reveals_everything(new: Maker) -> None:
    subject = new().encrypted()
    second = subject.peer.successor
    take(subject, subject.peer)
    take(subject, second)
    assert receiving_mac(subject, 1, subject.peer) != receiving_mac(subject, 1, second)
    (line,) = sent(subject.talk.end())
    assert list(reading.data_fields(reading.raw_of(line)).old_mac_keys) == [
        receiving_mac(subject, 1, subject.peer),
        receiving_mac(subject, 1, second),
    ]


def test_a_disconnect_without_anything_received_reveals_nothing(new: Maker) -> None:
    subject = new().encrypted()
    (line,) = sent(subject.talk.end())
    assert reading.data_fields(reading.raw_of(line)).old_mac_keys == ()


def test_a_new_exchange_over_a_session_reveals_the_keys_of_the_old(new: Maker) -> None:
    subject = new().encrypted()
    old, second = subject.peer, subject.peer.successor
    take(subject, old)
    take(subject, second)  # the pair with their key 1 waits to be revealed, the one with key 2 is in use
    expected = {receiving_mac(subject, 1, old), receiving_mac(subject, 1, second)}

    renew(subject)
    fields = reading.data_fields(subject.sends("first in the new session"))
    assert len(fields.old_mac_keys) == 2
    assert set(fields.old_mac_keys) == expected
    assert revealed(subject) == []


def test_a_new_exchange_that_is_not_finished_reveals_nothing(new: Maker) -> None:
    """The old session goes on, and so its keys are accepted."""
    subject = new().encrypted()
    take(subject, subject.peer)
    subject.take(subject.peer.successor.commit())
    assert revealed(subject) == []
    take(subject, subject.peer, counter=2)


def test_the_old_sessions_messages_are_refused_after_a_new_exchange(new: Maker) -> None:
    """Their MAC keys are public then."""
    subject = new().encrypted()
    old = subject.peer
    take(subject, old)
    late = old.data_message(US, subject.public(1), b"text", counter=2)
    renew(subject)
    assert shown(subject.take(late)) == [Rejected(Reason.UNREADABLE, had_text=True)]


def forge(genuine: bytes, mac_key: bytes) -> bytes:
    """Return a message with another content under the same keys, as whoever knows the MAC key can make it."""
    fields = reading.data_fields(genuine)
    assert reading.sha1_mac(mac_key, fields.ta) == fields.mac
    before_ctr = fields.ta[: -(8 + 4 + len(fields.encrypted))]
    ta = before_ctr + (99).to_bytes(8, "big") + data(bytes(len(fields.encrypted)))
    return ta + reading.sha1_mac(mac_key, ta) + data(b"")


def test_a_revealed_key_verifies_nothing_any_more(new: Maker) -> None:
    """Everybody can forge under it, and nobody believes it."""
    subject = new().encrypted()
    genuine = subject.peer.data_message(US, subject.public(1), b"genuine")
    subject.take(genuine)
    revealed(subject)
    take(subject, subject.peer, to=2)
    (mac_key,) = revealed(subject)
    assert shown(subject.take(forge(genuine, mac_key))) == [Rejected(Reason.UNREADABLE, had_text=True)]


def test_before_it_is_revealed_a_key_does_verify(new: Maker) -> None:
    """So the forgery of the test above is refused for its key, not for its form."""
    subject = new().encrypted()
    genuine = subject.peer.data_message(US, subject.public(1), b"genuine")
    subject.take(genuine)
    mac_key = receiving_mac(subject, 1, subject.peer)
    assert [type(event) for event in subject.take(forge(genuine, mac_key))] == [Received]


def test_keys_waiting_to_be_revealed_are_bounded(new: Maker) -> None:
    """A peer can rotate its keys with every message, and we may have nothing to say."""
    subject = new().encrypted()
    peers = [subject.peer]
    for _ in range(LIMIT + 20):
        take(subject, peers[-1])
        peers.append(peers[-1].successor)
    # Their last key is still accepted; the 64 before it are revealed, the oldest never.
    used = [receiving_mac(subject, 1, peer) for peer in peers[:-1]]
    assert revealed(subject) == used[-LIMIT - 1 : -1]
    assert revealed(subject) == []


def test_the_bound_holds_over_a_new_exchange(new: Maker) -> None:
    subject = new().encrypted()
    peers = [subject.peer]
    for _ in range(LIMIT + 20):
        take(subject, peers[-1])
        peers.append(peers[-1].successor)
    used = [receiving_mac(subject, 1, peer) for peer in peers[:-1]]
    renew(subject)
    assert revealed(subject) == used[-LIMIT:]


def renew(subject: Subject) -> None:
    """Run another exchange over the running session, the peer being the initiator."""
    fresh = dataclasses.replace(subject.peer.successor, keyid=1)
    key = subject.take_for_reply(fresh.commit())
    subject.take(fresh.reveal(US, reading.message(key).number(0)))
    info = subject.talk.info
    assert info is not None
    assert info.ssid == reading.ake_secrets(fresh.secret(reading.message(key).number(0))).ssid
