"""What is forged is as good as the real thing: the peers themselves would believe it, if only in time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from otrcore.crypto.modp import PRIME
from otrcore.crypto.secret import Secret
from otrcore.errors import Reason, UsageError
from otrcore.events import Received, Rejected
from otrcore.model import Protection
from otrcore.toolkit import revealed
from otrcore.toolkit.forgery import forge, model, opens, read
from otrcore.toolkit.keys import MAX_EXPONENT_BYTES, fresh_public, mac_key, session_keys
from otrcore.toolkit.revealed import makers, published
from otrcore.toolkit.rewriting import modify, remac, verifies
from otrcore.wire.header import Header, MessageType
from otrcore.wire.messages3 import DataMessage
from otrcore.wire.text import encode
from otrcore.wire.tlv import DISCONNECTED
from tests.interop.oracle import BINARY, LibotrPeer, exchange
from tests.interop.ours import Ours, data_in
from tests.pair import Pair, Seeded, speaking
from tests.support import require
from tests.toolkit.recorded import SAID, Recorded, privates


def test_session_keys_are_those_of_the_conversation(recorded: Recorded) -> None:
    spoken = recorded.spoken()
    assert len(spoken) > len(SAID)
    assert spoken[0].keys.session_id == recorded.ssid
    for one in spoken:
        assert verifies(one.made_with.mac, one.message)
        assert opens(one.made_with.aes, one.message)
        assert mac_key(one.made_with.aes) == one.made_with.mac
        other = one.keys.sending if one.who == "alice" else one.keys.receiving
        assert not opens(other.aes, one.message)


def test_both_sides_see_the_same_keys() -> None:
    his, hers = Secret(b"\5" * 40), Secret(b"\6" * 40)
    bob, alice = session_keys(his, 9), session_keys(hers, 9)
    bob, alice = session_keys(his, alice.our_public), session_keys(hers, bob.our_public)
    assert bob.sending == alice.receiving
    assert bob.receiving == alice.sending
    assert (bob.session_id, bob.extra) == (alice.session_id, alice.extra)
    assert bob.we_are_high is not alice.we_are_high is (alice.our_public > bob.our_public)


BAD_KEYS = {
    "no private key": (b"", 9),
    "zero": (bytes(40), 9),
    "a long private key": (b"\1" * (MAX_EXPONENT_BYTES + 1), 9),
    "a private key whose public one is 1": (((PRIME - 1) // 2).to_bytes(192, "big"), 9),
    "public key 0": (b"\5", 0),
    "public key 1": (b"\5", 1),
    "public key -1": (b"\5", PRIME - 1),
    "public key beyond the prime": (b"\5", PRIME + 9),
    "our own public key": (b"\5", 32),
}


@pytest.mark.parametrize("name", BAD_KEYS)
def test_keys_that_nobody_has(name: str) -> None:
    private, public = BAD_KEYS[name]
    with pytest.raises(UsageError):
        session_keys(Secret(private), public)


def test_everything_that_was_said_can_be_read(recorded: Recorded) -> None:
    texts = []
    for one in recorded.spoken():
        plaintext = read(one.made_with.aes, one.message)
        assert plaintext is not None
        texts.append((one.who, plaintext.text.decode()))
    assert texts[: len(SAID)] == SAID
    last = read(one.made_with.aes, one.message)
    assert last is not None
    assert DISCONNECTED in [record.type for record in last.tlvs]
    assert read(Secret(bytes(16)), one.message) is None


def test_a_stranger_forges_with_what_was_published(recorded: Recorded) -> None:
    """The recording is all that it takes: in it are the keys, and the messages that they belong to."""
    spoken = recorded.spoken()
    messages = [one.message for one in spoken]
    made_with = makers(messages)
    of_alice = [key for key, one in zip(made_with, spoken, strict=True) if one.who == "alice" and key]
    assert len(of_alice) >= 2
    assert len(set(filter(None, made_with))) >= 4
    for one, key in zip(spoken, made_with, strict=True):
        if key is None:
            continue
        assert key == one.made_with.mac
        said = read(one.made_with.aes, one.message)
        assert said is not None
        old = said.text[:7]
        forged = modify(Secret(key), messages, old, b"Forged!"[: len(old)], 0)
        first = next(message for message in messages if verifies(key, message))
        assert replace(forged, encrypted=first.encrypted, mac=first.mac) == first
        assert verifies(key, forged)
    assert made_with[0] is not None
    forged = modify(Secret(made_with[0]), messages, b"100", b"900", SAID[0][1].index("100"))
    plaintext = read(spoken[0].made_with.aes, forged)
    assert plaintext is not None
    assert plaintext.text == b"Do you have the 900 euros?"


def test_what_cannot_be_modified() -> None:
    key = Secret(b"\1" * 20)
    header = Header(3, MessageType.DATA, 256, 512)
    message = remac(key, DataMessage(header, 0, 1, 1, 9, 1, b"0123456789"))
    for old, new, offset in [(b"01", b"012", 0), (b"89", b"xx", 9), (b"x", b"y", 10), (b"", b"x", 0)]:
        with pytest.raises(UsageError):
            modify(key, [message], old, new, offset)
    with pytest.raises(UsageError):
        modify(Secret(b"\2" * 20), [message], b"0", b"1", 0)
    with pytest.raises(UsageError):
        modify(key, [], b"0", b"1", 0)
    assert modify(key, [message], b"89", b"xx", 8).encrypted == b"01234567" + bytes(
        before ^ after ^ ord("x") for before, after in zip(b"89", b"89", strict=True)
    )
    assert modify(key, [message], b"", b"", 10) == message


def test_who_has_the_keys_forges_what_they_like(recorded: Recorded) -> None:
    spoken = recorded.spoken()
    messages = [one.message for one in spoken]
    for one in spoken:
        forged = forge(one.made_with.aes, one.message, b"never said")
        plaintext = read(one.made_with.aes, forged)
        assert plaintext is not None
        assert (plaintext.text, plaintext.tlvs) == (b"never said", ())
        assert replace(forged, encrypted=one.message.encrypted, mac=one.message.mac) == one.message
        assert opens(one.made_with.aes, model(one.made_with.aes, messages))
    assert model(Secret(bytes(16)), messages) == messages[0]


def made_up(message: DataMessage) -> DataMessage:
    """A message of which only the head is that of a real one, without a text or a MAC."""
    next_dh = fresh_public(Seeded("made up"))
    return DataMessage(message.header, 0, message.sender_keyid, message.recipient_keyid, next_dh, 1, b"")


@pytest.mark.parametrize("version", [2, 3])
def test_we_would_believe_a_forgery(version: int) -> None:
    """While a conversation runs nobody else has its keys; with them, there is no difference to be seen."""
    pair = Pair(version=version, seed="forged")
    pair.secure()
    (hers, *_), (his, *_) = privates(pair.randoms["alice"]), privates(pair.randoms["bob"])
    keys = session_keys(hers, session_keys(his, 9).our_public)
    pair.do("alice", pair.alice.send("The real one."))
    message = data_in(pair.on_the_way["bob"].popleft())
    for original in (message, made_up(message)):
        forged = forge(keys.sending.aes, original, b"A forged one.")
        events = pair.copy().bob.receive(encode(forged.serialise()))
        assert events == [Received("A forged one.", Protection.ENCRYPTED)]
    events = pair.copy().bob.receive(encode(remac(Secret(bytes(20)), message).serialise()))
    assert [event.reason for event in events if isinstance(event, Rejected)] == [Reason.UNREADABLE]


@pytest.mark.parametrize("version", [2, 3])
def test_libotr_would_believe_a_forgery(version: int, tmp_path: Path) -> None:
    random = Seeded("forged")
    bob = Ours(speaking(version), random=random)
    program = Path(require(str(BINARY)))
    options = ["--keyfile", str(tmp_path / "key")]
    with LibotrPeer("alice", f"v{version}", options=options, program=program) as alice:
        alice.genkey()
        alice.start()
        exchange(alice, bob)
        session = alice.session
        assert session is not None
        keys = session_keys(privates(random)[0], int(session["our_old_dh_pub"], 16))
        assert {
            "sendmac": keys.receiving.mac.hex(),
            "rcvmac": keys.sending.mac.hex(),
            "extrakey": keys.extra.hex(),
        }.items() <= next(pair for pair in session["sesskeys"] if (pair["i"], pair["j"]) == (1, 0)).items()
        bob.send("The real one.")
        message = data_in(*bob.take())
        alice.receive(encode(forge(keys.sending.aes, made_up(message), b"A forged one.").serialise()))
        assert alice.texts() == ["A forged one."]
        assert alice.message_events() == []


class TestPublishedKeys:
    HEADER = Header(3, MessageType.DATA, 256, 512)

    def message(self, keys: bytes, text: bytes = b"") -> DataMessage:
        return remac(Secret(b"\1" * 20), DataMessage(self.HEADER, 0, 1, 1, 9, 1, text, b"", keys))

    def test_a_rest_is_no_key(self) -> None:
        assert published(self.message(b"\1" * 20 + b"\2" * 20 + b"\3" * 19)) == (b"\1" * 20, b"\2" * 20)
        assert published(self.message(b"\3" * 19)) == published(self.message(b"")) == ()

    def test_each_message_has_its_key(self) -> None:
        messages = [self.message(b"\2" * 20), self.message(b"\1" * 20)]
        assert makers(messages) == (b"\1" * 20,) * 2
        assert makers(messages[:1]) == (None,)
        assert makers([]) == ()

    def test_endless_work_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        messages = [self.message(b"\2" * 20 + b"\3" * 20)] * 3
        size = len(messages[0].authenticated())
        monkeypatch.setattr(revealed, "MAX_TRIALS", 6)
        monkeypatch.setattr(revealed, "MAX_TRIED_BYTES", 6 * size)
        assert makers(messages) == (None,) * 3
        for name, limit in [("MAX_TRIALS", 5), ("MAX_TRIED_BYTES", 6 * size - 1)]:
            with monkeypatch.context() as patch:
                patch.setattr(revealed, name, limit)
                with pytest.raises(UsageError):
                    makers(messages)
