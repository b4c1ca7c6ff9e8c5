"""Instance tags: what is for another client of the same person, and what is for nobody."""

from __future__ import annotations

import pytest

from otrcore import Account, MessageState, Received, Rejected, UsageError
from otrcore.account import new_instance_tag
from otrcore.crypto.random import Purpose
from otrcore.errors import Reason
from tests.pair import Clock, identity
from tests.robustness.hostile import state_of
from tests.spec import reading
from tests.spec.reading import integer
from tests.spec.scripted import ScriptedPeer, exponents
from tests.spec.subject import US, Subject


def addressed(raw: bytes, *, sender: int | None = None, receiver: int | None = None) -> bytes:
    """Return the message with other tags in its header; those of a key exchange are under no MAC."""
    sender_tag = raw[3:7] if sender is None else integer(sender)
    receiver_tag = raw[7:11] if receiver is None else integer(receiver)
    return raw[:3] + sender_tag + receiver_tag + raw[11:]


def awaited(kind: str) -> tuple[Subject, bytes]:
    """Return a conversation, and a message of this kind that it would take."""
    subject = Subject()
    peer = subject.peer
    if kind == "data":
        subject.encrypted()
        return subject, peer.data_message(US, subject.public(1), b"text")
    if kind == "Commit":
        return subject, peer.commit(US)
    if kind == "Reveal":
        key = subject.take_for_reply(peer.commit())
        return subject, peer.reveal(US, reading.number(reading.unpack("sbiim", key)[4]))
    subject.talk.receive("?OTRv3?")
    if kind == "Key":
        return subject, peer.key(US)
    subject.take_for_reply(peer.key(US))
    return subject, peer.signature(US, subject.public(1))


KINDS = ["Commit", "Key", "Reveal", "Signature", "data"]


def refused(subject: Subject, raw: bytes) -> Reason:
    """Hand over what must be ignored in silence, with nothing changed."""
    line = reading.line(raw)
    before = state_of(subject.talk, line)
    (rejected,) = subject.talk.receive(line)
    assert isinstance(rejected, Rejected)
    assert rejected.had_text is (rejected.reason is Reason.NO_SESSION)
    assert state_of(subject.talk, line) == before
    return rejected.reason


@pytest.mark.parametrize("kind", KINDS)
def test_the_message_itself_is_taken(kind: str) -> None:
    subject, raw = awaited(kind)
    assert not any(isinstance(event, Rejected) for event in subject.take(raw))


@pytest.mark.parametrize("sender", [0, 1, 0xFF])
@pytest.mark.parametrize("kind", KINDS)
def test_an_illegal_sender_is_discarded_without_an_answer(kind: str, sender: int) -> None:
    subject, raw = awaited(kind)
    assert refused(subject, addressed(raw, sender=sender)) is Reason.MALFORMED


@pytest.mark.parametrize("receiver", [1, 0xFF])
@pytest.mark.parametrize("kind", KINDS)
def test_an_illegal_receiver_is_discarded(kind: str, receiver: int) -> None:
    subject, raw = awaited(kind)
    assert refused(subject, addressed(raw, receiver=receiver)) is Reason.MALFORMED


@pytest.mark.parametrize("receiver", [0x100, US + 1, 0xFFFFFFFF])
@pytest.mark.parametrize("kind", KINDS)
def test_another_receiver_is_another_client(kind: str, receiver: int) -> None:
    subject, raw = awaited(kind)
    assert refused(subject, addressed(raw, receiver=receiver)) is Reason.OTHER_INSTANCE


@pytest.mark.parametrize("kind", KINDS)
def test_only_a_commit_may_be_for_everybody(kind: str) -> None:
    subject, raw = awaited(kind)
    if kind == "Commit":
        assert not any(isinstance(event, Rejected) for event in subject.take(addressed(raw, receiver=0)))
    else:
        assert refused(subject, addressed(raw, receiver=0)) is Reason.OTHER_INSTANCE


@pytest.mark.parametrize("kind", ["Reveal", "Signature", "data"])
def test_another_sender_cannot_continue_what_an_instance_began(kind: str) -> None:
    """Each instance has a session of its own: there is none with that one, so that a text of it is lost."""
    subject, raw = awaited(kind)
    expected = Reason.NO_SESSION if kind == "data" else Reason.OUT_OF_TURN
    assert refused(subject, addressed(raw, sender=0x7000)) is expected
    assert not any(isinstance(event, Rejected) for event in subject.take(raw))


def test_the_largest_and_smallest_tags_are_legal() -> None:
    for tag in (0x100, 0xFFFFFFFF):
        subject = Subject()
        subject.peer = ScriptedPeer(tag, exponents()[0])
        subject.encrypted()
        info = subject.talk.info
        assert info is not None
        assert info.their_instance_tag == tag


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version", [0, 1, 2, 4, 0xFFFF])
def test_another_version_is_ignored_in_silence(kind: str, version: int) -> None:
    subject, raw = awaited(kind)
    assert refused(subject, version.to_bytes(2, "big") + raw[2:]) is Reason.VERSION


def test_a_fragment_for_another_client_is_not_collected() -> None:
    subject = Subject()
    assert subject.talk.receive("?OTR|00002000|00001001,00001,00002,?OTR:,") == [
        Rejected(Reason.OTHER_INSTANCE)
    ]
    assert subject.talk.idle
    assert subject.talk.receive("?OTR|00002000|00000000,00001,00002,?OTR:,") == []
    assert not subject.talk.idle
    assert subject.talk.receive("?OTR|000000ff|00001000,00001,00002,?OTR:,") == [Rejected(Reason.MALFORMED)]
    assert subject.talk.receive("?OTR|00002000|00000001,00001,00002,?OTR:,") == [Rejected(Reason.MALFORMED)]


def test_a_second_client_of_the_peer_does_not_disturb_the_session() -> None:
    subject = Subject().encrypted()
    info = subject.talk.info
    subject.take(ScriptedPeer(0x7000, exponents()[9]).commit())
    raw = subject.peer.data_message(US, subject.public(1), b"text")
    assert [type(event) for event in subject.take(raw)] == [Received]
    assert subject.talk.info == info
    assert subject.talk.state is MessageState.ENCRYPTED


@pytest.mark.parametrize("tag", [0, 1, 0xFF, -1, 1 << 32])
def test_an_account_refuses_an_illegal_tag(tag: int) -> None:
    with pytest.raises(UsageError, match="instance tag"):
        Account(identity("alice"), instance_tag=tag)


@pytest.mark.parametrize("tag", [0x100, 0xFFFFFFFF])
def test_an_account_keeps_a_legal_tag(tag: int) -> None:
    assert Account(identity("alice"), instance_tag=tag, clock=Clock()).instance_tag == tag


def test_an_account_draws_a_tag_of_its_own() -> None:
    tags = {Account(identity("alice")).instance_tag for _ in range(20)}
    assert len(tags) == 20
    assert all(0x100 <= tag < 1 << 32 for tag in tags)


def test_illegal_tags_are_drawn_again() -> None:
    draws = iter([bytes(4), b"\0\0\0\xff", b"\0\0\1\0", b"\1\1\1\1"])
    purposes = []

    def draw(purpose: Purpose, count: int) -> bytes:
        purposes.append((purpose, count))
        return next(draws)

    assert new_instance_tag(draw) == 0x100
    assert purposes == [("instance_tag", 4)] * 3
