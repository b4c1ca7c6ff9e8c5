"""Data messages one at a time: key ids, counters, MAC, the announced key, all before anything changes.

The peer is scripted, so that every wrong message is one whose MAC is right: only the rule
under test can refuse it.
"""

from __future__ import annotations

import pytest

from otrcore.crypto.modp import DhKeyPair
from otrcore.crypto.secret import Secret
from otrcore.errors import Reason
from otrcore.events import Event, Received, Rejected
from otrcore.model import MessageState, Protection
from otrcore.session import Encrypted
from otrcore.v3.ake import Ake
from otrcore.v3.channel import DataChannel
from tests.snapshot import secrets_in, snapshot
from tests.spec import reading
from tests.spec.reading import P
from tests.spec.scripted import ScriptedPeer
from tests.spec.subject import US, Subject, sent, shown
from tests.v3.conftest import Maker

LAST_KEYID = 2**32 - 1
LAST_COUNTER = 2**64 - 1


@pytest.fixture(params=["responder", "initiator"])
def subject(request: pytest.FixtureRequest, new: Maker) -> Subject:
    """An encrypted conversation, ours in either role of the key exchange."""
    return new().encrypted(initiator=request.param == "initiator")


def message(
    subject: Subject,
    text: str,
    *,
    peer: ScriptedPeer | None = None,
    to: int = 1,
    counter: int = 1,
    next_dh: int | None = None,
    sender_keyid: int | None = None,
) -> bytes:
    """Make a message of the peer's key `peer` for our key `to`."""
    return (peer or subject.peer).data_message(
        US,
        subject.public(to),
        text.encode(),
        recipient_keyid=to,
        counter=counter,
        next_dh=next_dh,
        sender_keyid=sender_keyid,
    )


def channel_of(subject: Subject) -> DataChannel:
    """Reach into the conversation for what no peer could bring about."""
    state = subject.session._state
    assert isinstance(state, Encrypted)
    assert isinstance(state.channel, DataChannel)
    return state.channel


def read(text: str) -> list[Event]:
    return [Received(text, Protection.ENCRYPTED)]


def refuse(subject: Subject, raw: bytes) -> Reason:
    """Hand a message over that must be refused; nothing may have changed but caches."""
    subject.forget_complaints()
    before = snapshot(subject.talk, caches=False)
    events = subject.take(raw)
    assert snapshot(subject.talk, caches=False) == before
    (rejected,) = shown(events)
    assert isinstance(rejected, Rejected)
    if rejected.reason in (Reason.UNREADABLE, Reason.MALFORMED):
        (error,) = sent(events)
        assert error.startswith("?OTR Error:")
        assert rejected.had_text
    else:
        assert sent(events) == []
    return rejected.reason


def test_the_first_message_names_the_keys_of_the_exchange(subject: Subject) -> None:
    plaintext, fields = subject.peer.open(subject.sends("hello"), subject.public(1))
    assert plaintext == b"hello\0"
    assert (fields.sender_keyid, fields.recipient_keyid, fields.ctr) == (1, 1, 1)
    assert fields.next_dh == subject.public(2)
    assert fields.old_mac_keys == ()


def test_sending_counters_grow_by_one_and_the_announced_key_stays(new: Maker) -> None:
    subject = new().encrypted()
    for counter in range(1, 6):
        plaintext, fields = subject.peer.open(subject.sends(f"no. {counter}"), subject.public(1))
        assert plaintext == f"no. {counter}\0".encode()
        assert fields.ctr == counter
        assert fields.next_dh == subject.public(2)


def test_keys_rotate_when_the_peer_acknowledges_ours(new: Maker) -> None:
    subject = new(their_keyid=7).encrypted()
    subject.sends("announces key 2")
    assert shown(subject.take(message(subject, "acknowledges it", to=2))) == read("acknowledges it")
    plaintext, fields = subject.peer.successor.open(subject.sends("new keys"), subject.public(2))
    assert plaintext == b"new keys\0"
    assert (fields.sender_keyid, fields.recipient_keyid, fields.ctr) == (2, 8, 1)
    assert fields.next_dh == subject.public(3)


def test_receiving_counters_may_have_gaps_but_must_grow(subject: Subject) -> None:
    for counter in (1, 2, 1000, 2**63, LAST_COUNTER):
        assert subject.take(message(subject, str(counter), counter=counter)) == read(str(counter))
        for old in (0, 1, counter - 1, counter):
            assert refuse(subject, message(subject, "old", counter=old)) is Reason.REPLAYED


def test_counter_zero_is_refused(subject: Subject) -> None:
    assert refuse(subject, message(subject, "zero", counter=0)) is Reason.REPLAYED


def test_a_counter_is_not_used_up_by_a_refused_message(subject: Subject) -> None:
    raw = subject.peer.data_message(US, subject.public(1), b"forged", counter=500, spoil_mac=True)
    assert refuse(subject, raw) is Reason.UNREADABLE
    assert subject.take(message(subject, "right", counter=1)) == read("right")


def test_each_pair_of_keys_has_its_own_counters(new: Maker) -> None:
    subject = new().encrypted()
    second = subject.peer.successor
    subject.take(message(subject, "a", counter=10))
    subject.sends("announces key 2")
    assert subject.take(message(subject, "b", peer=second, counter=1)) == read("b")
    assert refuse(subject, message(subject, "c", peer=second, counter=1)) is Reason.REPLAYED
    assert subject.take(message(subject, "d", peer=second, to=2, counter=1)) == read("d")
    assert subject.take(message(subject, "e", peer=second, to=2, counter=2)) == read("e")
    assert refuse(subject, message(subject, "f", peer=second, to=2, counter=2)) is Reason.REPLAYED


def test_no_counter_is_sent_twice_at_the_end_of_its_range(new: Maker) -> None:
    subject = new().encrypted()
    channel = channel_of(subject)
    pair = channel._ratchet.sending_pair()
    pair.sent = LAST_COUNTER - 1
    _, fields = subject.peer.open(subject.sends("last"), subject.public(1))
    assert fields.ctr == LAST_COUNTER
    before = snapshot(channel)
    with pytest.raises(ValueError, match="used up"):
        channel.encrypt(b"one more")
    assert snapshot(channel) == before


def test_a_key_that_was_never_announced_cannot_have_been_used(subject: Subject) -> None:
    """The test knows our next key already; nobody else does before it is announced."""
    assert refuse(subject, message(subject, "too early", to=2)) is Reason.UNREADABLE
    subject.sends("announces key 2")
    assert refuse(subject, message(subject, "too early", to=3)) is Reason.UNREADABLE
    assert shown(subject.take(message(subject, "now", to=2))) == read("now")


def test_our_older_key_serves_until_the_newer_is_used(new: Maker) -> None:
    subject = new().encrypted()
    assert subject.take(message(subject, "before", counter=1)) == read("before")
    subject.sends("announces key 2")
    assert subject.take(message(subject, "still to key 1", counter=2)) == read("still to key 1")
    assert subject.take(message(subject, "to key 2", to=2)) == read("to key 2")
    assert refuse(subject, message(subject, "to key 1 again", counter=3)) is Reason.UNREADABLE


def test_their_older_key_serves_until_the_newer_is_used(new: Maker) -> None:
    subject = new(their_keyid=7).encrypted()
    key7, key8 = subject.peer, subject.peer.successor
    key9 = key8.successor
    assert refuse(subject, message(subject, "never seen", peer=key8)) is Reason.UNREADABLE
    assert subject.take(message(subject, "a", peer=key7)) == read("a")
    assert refuse(subject, message(subject, "never seen", peer=key9)) is Reason.UNREADABLE
    assert subject.take(message(subject, "b", peer=key7, counter=2)) == read("b")
    assert subject.take(message(subject, "c", peer=key8)) == read("c")
    assert refuse(subject, message(subject, "d", peer=key7, counter=3)) is Reason.UNREADABLE
    assert subject.take(message(subject, "e", peer=key8, counter=2)) == read("e")
    assert subject.take(message(subject, "f", peer=key9)) == read("f")


def test_a_message_that_others_have_overtaken_is_refused(new: Maker) -> None:
    """Under one pair by its counter, under an older one because that is forgotten: the order stays."""
    subject = new().encrypted()
    first, second = subject.peer, subject.peer.successor
    under_first = [message(subject, "x", peer=first, counter=counter) for counter in (1, 2, 3)]
    assert subject.take(message(subject, "four", peer=first, counter=4)) == read("four")
    for late in under_first:
        assert refuse(subject, late) is Reason.REPLAYED
    late = message(subject, "five", peer=first, counter=5)
    assert subject.take(message(subject, "six", peer=second, counter=1)) == read("six")
    assert refuse(subject, late) is Reason.UNREADABLE
    late = message(subject, "seven", peer=second, counter=2)
    subject.sends("announces key 2")
    assert subject.take(message(subject, "eight", peer=second, to=2)) == read("eight")
    assert refuse(subject, late) is Reason.UNREADABLE


def test_a_message_of_the_first_key_does_not_rotate_again(new: Maker) -> None:
    """A rotation with an old message would put an old key in the place of the newest."""
    subject = new().encrypted()
    first, second = subject.peer, subject.peer.successor
    subject.take(message(subject, "one", peer=first, counter=1))
    other = reading.public(12345)
    subject.take(message(subject, "two", peer=first, counter=2, next_dh=other))
    _, fields = second.open(subject.sends("to the key announced first"), subject.public(1))
    assert fields.recipient_keyid == second.keyid


@pytest.mark.parametrize("keyid", [0, 2, 3, 2**31, LAST_KEYID])
def test_key_ids_outside_the_window(new: Maker, keyid: int) -> None:
    """Whatever the keys, a wrong number is refused."""
    subject = new().encrypted()
    raw = subject.peer.data_message(US, subject.public(1), b"text", recipient_keyid=keyid)
    assert refuse(subject, raw) is Reason.UNREADABLE
    assert refuse(subject, message(subject, "text", sender_keyid=keyid)) is Reason.UNREADABLE


def test_the_key_before_the_first_is_refused(new: Maker) -> None:
    """their_keyid - 1 is in the window, but there never was such a key."""
    subject = new(their_keyid=7).encrypted()
    assert refuse(subject, message(subject, "text", sender_keyid=6)) is Reason.UNREADABLE
    subject = new(their_keyid=1).encrypted()
    assert refuse(subject, message(subject, "text", sender_keyid=0)) is Reason.UNREADABLE


def test_the_last_key_id_cannot_be_followed(new: Maker) -> None:
    subject = new(their_keyid=LAST_KEYID).encrypted()
    assert refuse(subject, message(subject, "from the last", next_dh=5)) is Reason.UNREADABLE
    _, fields = subject.peer.open(subject.sends("we can still send"), subject.public(1))
    assert fields.recipient_keyid == LAST_KEYID


def test_up_to_the_last_key_id_all_is_well(new: Maker) -> None:
    subject = new(their_keyid=LAST_KEYID - 1).encrypted()
    assert subject.take(message(subject, "one")) == read("one")
    _, fields = subject.peer.successor.open(subject.sends("two"), subject.public(1))
    assert fields.recipient_keyid == LAST_KEYID
    last = message(subject, "three", peer=subject.peer.successor, next_dh=5)
    assert refuse(subject, last) is Reason.UNREADABLE
    assert subject.take(message(subject, "four", counter=2)) == read("four")


@pytest.mark.parametrize("name", ["0", "1", "p-1", "p", "p+1", "2p"])
def test_an_illegal_announced_key_is_refused_though_its_mac_is_right(new: Maker, name: str) -> None:
    value = {"0": 0, "1": 1, "p-1": P - 1, "p": P, "p+1": P + 1, "2p": 2 * P}[name]
    subject = new().encrypted()
    assert refuse(subject, message(subject, "text", next_dh=value)) is Reason.UNREADABLE
    assert subject.take(message(subject, "text")) == read("text")
    assert refuse(subject, message(subject, "text", counter=2, next_dh=value)) is Reason.UNREADABLE
    # Also where it would not be stored, since the sender's key is not its newest.
    assert subject.take(message(subject, "text", counter=2)) == read("text")


@pytest.mark.parametrize("value", [2, P - 2])
def test_the_outermost_legal_announced_keys_are_taken(new: Maker, value: int) -> None:
    subject = new().encrypted()
    assert subject.take(message(subject, "text", next_dh=value)) == read("text")
    assert reading.data_fields(subject.sends("to it")).recipient_keyid == 2


def test_every_bit_is_under_the_mac(new: Maker) -> None:
    subject = new().encrypted()
    raw = message(subject, "text")
    for at in range(len(raw) - 4):
        changed = bytearray(raw)
        changed[at] ^= 1 << at % 8
        before = snapshot(subject.talk, caches=False)
        assert not any(isinstance(event, Received) for event in subject.take(bytes(changed)))
        assert snapshot(subject.talk, caches=False) == before
    assert subject.take(raw) == read("text")


def test_cut_short_at_every_length(new: Maker) -> None:
    subject = new().encrypted()
    raw = message(subject, "text")
    for length in range(reading.header_length(subject.version), len(raw)):
        subject.forget_complaints()
        before = snapshot(subject.talk)
        (rejected,) = shown(subject.take(raw[:length]))
        assert rejected == Rejected(Reason.MALFORMED, had_text=True)
        subject.forget_complaints()
        assert snapshot(subject.talk) == before
    assert refuse(subject, raw + b"\0") is Reason.MALFORMED


def test_the_revealed_keys_of_the_peer_are_not_under_the_mac_and_not_looked_at(new: Maker) -> None:
    subject = new().encrypted()
    raw = subject.peer.data_message(US, subject.public(1), b"text", old_mac_keys=b"\xee" * 23)
    assert subject.take(raw) == read("text")


def test_forging_costs_us_nothing(new: Maker) -> None:
    """The keys of a pair are computed once, whatever comes under its name."""
    subject = new().encrypted()
    subject.take(message(subject, "one"))
    subject.sends("announces key 2")
    powers = 0
    plain = DhKeyPair.shared_secret

    def counted(pair: DhKeyPair, their_public: int) -> Secret:
        nonlocal powers
        powers += 1
        return plain(pair, their_public)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DhKeyPair, "shared_secret", counted)
        for number in range(60):
            peer = (subject.peer, subject.peer.successor)[number % 2]
            raw = peer.data_message(
                US, subject.public(1), b"x", recipient_keyid=1 + number % 4 // 2, spoil_mac=True, counter=99
            )
            assert refuse(subject, raw) is Reason.UNREADABLE
    assert powers <= 3


def test_private_keys_are_gone_after_rotation(new: Maker) -> None:
    """The key of a Commit to all instances serves the others, too, which have 60 s from then on to answer."""
    subject = new().encrypted(initiator=True)
    subject.sends("announces key 2")
    assert as_secret(subject.exponent(1)) in secrets_in(snapshot(subject.account))
    old = reading.data_keys(subject.exponent(1), subject.peer.public)
    assert old.sending_aes in secrets_in(snapshot(subject.account))

    subject.take(message(subject, "acknowledges it", to=2))
    left = secrets_in(snapshot(subject.account))
    assert (as_secret(subject.exponent(1)) in left) is (subject.version == 3)
    assert as_secret(subject.exponent(2)) in left
    assert old.sending_aes not in left
    assert old.receiving_aes not in left
    subject.clock.advance(60.0)
    assert subject.talk.tick() == []
    assert as_secret(subject.exponent(1)) not in secrets_in(snapshot(subject.account))
    assert subject.talk.next_tick is None


def test_nothing_of_the_exchange_is_left_when_it_has_ended(new: Maker) -> None:
    for initiator in (True, False):
        subject = new().encrypted(initiator=initiator)
        s = subject.peer.secret(subject.public(1))
        keys = reading.ake_secrets(s)
        left = secrets_in(snapshot(subject.account))
        assert left.isdisjoint(
            {as_secret(s), keys.c, keys.c_prime, keys.m1, keys.m1_prime, keys.m2, keys.m2_prime}
        )


@pytest.mark.parametrize("by_peer", [True, False])
def test_nothing_of_the_session_is_left_when_it_has_ended(subject: Subject, by_peer: bool) -> None:
    subject.take(message(subject, "text"))
    subject.sends("text")
    if by_peer:
        subject.finished()
    else:
        subject.talk.end()
    assert subject.talk.state is not MessageState.ENCRYPTED
    assert secrets_in(snapshot(subject.account)) == set()


def test_no_secret_is_in_a_repr(new: Maker) -> None:
    subject = new().encrypted()
    subject.sends("text")
    subject.take(subject.peer.commit())
    channel = channel_of(subject)
    (exchange,) = subject.session.exchanges.values()
    assert isinstance(exchange, Ake)
    shown_text = "".join(
        (
            repr(channel._ratchet.sending_pair()),
            repr(channel._ratchet._current),
            repr(exchange.state),
            repr(subject.account.identity),
        )
    )
    canaries = secrets_in(snapshot(subject.account))
    assert len(canaries) > 5
    for secret in canaries:
        assert secret.hex() not in shown_text.lower()
        assert repr(secret)[2:-1] not in shown_text
        assert str(int.from_bytes(secret, "big")) not in shown_text


def as_secret(value: int) -> bytes:
    """Write a number as `secrets_in` finds it."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")
