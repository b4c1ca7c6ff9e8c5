"""Attacks that no other folder has a test for; `attacks.py` lists them all by number."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from otrcore import (
    Account,
    Event,
    MessageState,
    PeerComplained,
    Protection,
    Received,
    Rejected,
    SessionEnded,
    SessionOpened,
    SmpAborted,
    SmpAsked,
    SmpFailed,
    SmpSucceeded,
    Transmit,
)
from otrcore.crypto import hashes
from otrcore.crypto.random import Purpose, system_random
from otrcore.errors import Reason
from otrcore.v3 import ake, channel
from otrcore.v4 import ratchet
from otrcore.wire import text as wire_text
from otrcore.wire.fragment import cut
from otrcore.wire.header import parse_header
from otrcore.wire.messages3 import DataMessage, RevealSignature, parse
from otrcore.wire.text import TAG_BASE, TAG_GROUPS
from tests.pair import OTHER, SIDES, TAGS, Pair, Side, identity, speaking
from tests.snapshot import secrets_in, snapshot
from tests.spec import reading4

IN_VERSIONS = pytest.mark.parametrize("version", [2, 3, 4])
IN_OLDER_VERSIONS = pytest.mark.parametrize("version", [2, 3])
TAG = TAG_BASE + TAG_GROUPS[3]


def lines_of(events: Iterable[Event]) -> list[str]:
    return [line for event in events if isinstance(event, Transmit) for line in event.lines]


def encrypted(version: int = 3) -> Pair:
    pair = Pair(version=version)
    pair.secure()
    return pair


# ---- 2, 40: base64


@pytest.mark.parametrize("state", list(MessageState))
@pytest.mark.parametrize("line", ["?OTR:===.", "?OTR:.", "?OTR:=.", "?OTR:====.", "?OTR:A.", "?OTR: ."])
def test_base64_that_holds_nothing(line: str, state: MessageState) -> None:
    pair = Pair()
    if state is not MessageState.PLAINTEXT:
        pair.secure()
    if state is MessageState.FINISHED:
        pair.end("bob")
    before = snapshot(pair.alice._instances)
    assert pair.alice.receive(line) == [Rejected(Reason.MALFORMED)]
    assert pair.alice.state is state
    assert snapshot(pair.alice._instances) == before


def test_odd_base64() -> None:
    """What is no base64 is skipped, as by libotr; what is left out of it is missed by the MAC."""
    pair = encrypted()
    (line,) = lines_of(pair.bob.send("hello"))
    body = line.removeprefix("?OTR:").removesuffix(".")
    for strange in (
        f"{body[:99]} {body[99:]}",
        f"{body[:99]}\t\x02{body[99:]}",
        f"{body[:100]}==={body[100:]}",
    ):
        fresh = pair.copy()
        assert fresh.alice.receive(f"?OTR:{strange}.") == [Received("hello", Protection.ENCRYPTED)]
    for damaged in (f"{body[:100]}={body[101:]}", body[:100] + body[104:], f"{body[:100]}.{body[100:]}"):
        fresh = pair.copy()
        events = fresh.alice.receive(f"?OTR:{damaged}.")
        assert not any(isinstance(event, Received) for event in events)
    assert pair.alice.receive(f"?OTR:{body}") == [Received("hello", Protection.ENCRYPTED)]


def test_two_messages_in_one_line() -> None:
    """The first counts; nothing of the second is shown as a text."""
    pair = encrypted()
    one, two = (lines_of(pair.bob.send(text))[0] for text in ("one", "two"))
    for joined in (one + two, f"{one} {two}"):
        fresh = pair.copy()
        assert fresh.alice.receive(joined) == [Received("one", Protection.ENCRYPTED)]
        assert fresh.alice.receive(two) == [Received("two", Protection.ENCRYPTED)]


# ---- 3: windows that were closed


@pytest.mark.parametrize("delivered", [0, 1])
def test_a_verification_whose_conversation_was_forgotten(delivered: int) -> None:
    """What still comes of it meets a conversation that knows nothing of it, and nobody is asked."""
    pair = encrypted()
    pair.do("bob", pair.bob.smp_start("words", "Which?"))
    for _ in range(delivered):
        pair.deliver("alice")
    pair.accounts["alice"].forget("bob")
    late = list(pair.on_the_way["alice"]) + lines_of(pair.bob.smp_abort())
    fresh = pair.accounts["alice"].conversation("bob")
    for line in late:
        assert fresh.receive(line) == [Rejected(Reason.NO_SESSION)]
    assert not fresh.smp_waiting
    # The one that was forgotten is harmless too, should a host still hold it.
    if pair.alice.smp_waiting:
        assert lines_of(pair.alice.smp_answer("words"))


# ---- 4, 21: texts are texts

STRANGE = ["%n%s%d%x", "{0}{event}{}", "$(reboot)", "`id`", "\\x1b]0;x\\a", "%(name)s"]


@pytest.mark.parametrize("strange", STRANGE)
def test_what_a_peer_chooses_is_never_formatted(strange: str) -> None:
    pair = encrypted()
    assert pair.hand("alice", f"?OTR Error: {strange}") == [PeerComplained(strange)]
    assert pair.hand("alice", strange) == [Received(strange, Protection.UNEXPECTED_PLAIN)]
    pair.clear()
    pair.say("bob", strange)
    pair.do("bob", pair.bob.smp_start("words", strange))
    pair.settle()
    assert pair.of_kind("alice", Received) == [Received(strange, Protection.ENCRYPTED)]
    assert pair.of_kind("alice", SmpAsked) == [SmpAsked(strange)]
    account = Account(identity("alice"))
    assert account.conversation(strange).peer == strange


def test_markup_is_text_and_hides_no_query() -> None:
    pair = encrypted()
    for text in ("<b>bold</b>", "&lt;&amp;", "\x02bold\x0304red\x0f", "/me waves", "\1ACTION waves\1"):
        pair.clear()
        pair.say("bob", text)
        assert pair.events("alice") == [Received(text, Protection.ENCRYPTED)]
    for line in ("<b>?OTRv3?</b>", "\x02?OTRv3?\x02", "?OTRv3?<br>please"):
        fresh = Pair()
        fresh.hand("alice", line)
        assert fresh.alice.starting, line


# ---- 7: MAC keys that are known


@IN_OLDER_VERSIONS
def test_a_revealed_key_forges_nothing_though_messages_are_delayed(version: int) -> None:
    """Alice's lines take a while; who reads on the way forges with every key as soon as it is revealed."""
    pair = encrypted(version)
    genuine: list[str] = []
    for number in range(6):
        delayed = lines_of(pair.alice.send(f"from alice {number}"))
        pair.say("bob", f"from bob {number}")
        (answer,) = lines_of(pair.alice.send(f"again {number}"))
        genuine += [*delayed, answer]
        messages = [parse(wire_text.decode(line)) for _, line in pair.lines if line.startswith("?OTR:")]
        keys = {
            message.old_mac_keys[at : at + 20]
            for message in messages
            if isinstance(message, DataMessage)
            for at in range(0, len(message.old_mac_keys), 20)
        }
        for line in genuine:
            message = parse(wire_text.decode(line))
            assert isinstance(message, DataMessage)
            raw = message.authenticated()
            forged = raw[:-1] + bytes((raw[-1] ^ 1,))
            for key in keys:
                mac = hashes.mac_sha1(key, forged)
                events = pair.bob.receive(wire_text.encode(forged + mac + bytes(4)))
                assert not any(isinstance(event, Received) for event in events)
        for line in (*delayed, answer):
            pair.hand("bob", line)
    assert keys
    assert [event.text for event in pair.of_kind("bob", Received)][-1] == "again 5"


def test_a_revealed_key_of_version_4_forges_nothing_though_messages_are_delayed() -> None:
    """The same with the keys of single messages, which late ones of earlier ratchets still wait for."""
    pair = encrypted(4)
    genuine: list[str] = []
    keys: set[bytes] = set()
    for number in range(6):
        delayed = lines_of(pair.alice.send(f"from alice {number}"))
        pair.say("bob", f"from bob {number}")
        genuine += [*delayed, *lines_of(pair.alice.send(f"again {number}"))]
        for _, line in pair.lines:
            if line.startswith("?OTR:") and wire_text.decode(line)[2] == reading4.DATA:
                keys.update(reading4.data_fields(wire_text.decode(line)).revealed)
        for line in genuine:
            covered = reading4.data_fields(wire_text.decode(line)).covered
            forged = covered[:-1] + bytes((covered[-1] ^ 1,))
            for key in keys:
                mac = reading4.kdf(0x18, key, forged)
                events = pair.bob.receive(wire_text.encode(forged + mac + bytes(4)))
                assert not any(isinstance(event, Received) for event in events)
        # The first of two comes much later, so that its key is one of those that are kept.
        for line in genuine[-1:] + genuine[-6:-5]:
            pair.hand("bob", line)
    assert keys


# ---- 15, 16, 17: what was not said by the peer, or not now


@IN_VERSIONS
@pytest.mark.parametrize("state", [MessageState.ENCRYPTED, MessageState.FINISHED])
def test_plain_text_is_marked_whatever_it_came_in(version: int, state: MessageState) -> None:
    pair = encrypted(version)
    if state is MessageState.FINISHED:
        pair.end("bob")
    head = f"?OTR|{TAGS['bob']:x}|{TAGS['alice']:x}"
    ways = [["slipped in"], [f"slipped in{TAG}"], ["?OTR,1,2,slipped,", "?OTR,2,2, in,"]]
    ways += [[f"{head},1,2,slipped,", f"{head},2,2, in,"], [f"{head},1,1,slipped in{TAG},"]]
    for lines in ways:
        *first, last = lines
        assert [pair.alice.receive(line) for line in first] == [[]] * len(first)
        assert pair.alice.receive(last) == [Received("slipped in", Protection.UNEXPECTED_PLAIN)]
    assert pair.alice.state is state


@IN_VERSIONS
def test_a_whole_recorded_conversation_played_again_opens_and_shows_nothing(version: int) -> None:
    """To whom it was said, in the same session, after its end, and by a client that was started again."""
    pair = Pair(version=version)
    pair.start("alice")
    for side in SIDES:
        pair.say(side, f"secret of {side}")
    record = [(side, line) for side, line in pair.lines if line.startswith("?OTR:")]
    info = pair.agreed()

    def played_again(to: Pair) -> None:
        for side, line in record:
            for event in to.talks[OTHER[side]].receive(line):
                assert not isinstance(event, Received | SessionOpened | SessionEnded)

    played_again(pair)
    assert pair.agreed() == info
    pair.end("alice")
    played_again(pair)
    assert pair.bob.state is MessageState.FINISHED
    assert pair.alice.state is MessageState.PLAINTEXT
    played_again(Pair(version=version))


@IN_VERSIONS
@pytest.mark.parametrize("side", SIDES)
def test_our_own_messages_come_back_in_fragments(version: int, side: Side) -> None:
    """Of the exchange and of the session; whatever the front of the fragments says."""
    pair = Pair(version=version)
    for number in range(6):
        if number == 0:
            pair.do("alice", pair.alice.start())
        elif number == 5:
            pair.do(side, pair.talks[side].send("mine"))
        talk, info = pair.talks[side], pair.talks[side].info
        for sender, line in list(pair.lines):
            if sender != side or not line.startswith("?OTR:"):
                continue
            header = parse_header(wire_text.decode(line))
            identifier = 0x1234 if version == 4 else None
            pieces = [cut(line, 150, header, identifier)]
            if version != 2:
                own, other = f"{TAGS[side]:08x}", f"{TAGS[OTHER[side]]:08x}"
                turned = "?OTR" + (f"|{identifier:08x}" if identifier else "") + f"|{other}|{own}"
                pieces.append(tuple(turned + piece[len(turned) :] for piece in pieces[0]))
            for way in pieces:
                fresh = pair.copy().talks[side]
                events = [event for piece in way for event in fresh.receive(piece)]
                assert not [
                    event for event in events if isinstance(event, Received | SessionOpened | SessionEnded)
                ]
                assert (fresh.info, fresh.state) == (info, talk.state)
        for to in SIDES:
            if pair.on_the_way[to]:
                pair.deliver(to)
    pair.settle()
    pair.agreed()


# ---- 28: unfair verifications


@IN_VERSIONS
@pytest.mark.parametrize("equal", [True, False])
def test_a_peer_that_stops_a_verification_leaves_no_result(version: int, equal: bool) -> None:
    """Who asked has sent message 3 and hears nothing more: incomplete, which is not "failed"."""
    pair = encrypted(version)
    pair.do("alice", pair.alice.smp_start("words"))
    pair.settle()
    pair.do("bob", pair.bob.smp_answer("words" if equal else "other words"))
    pair.deliver("alice")
    pair.on_the_way["bob"].clear()
    assert pair.alice.smp_running
    pair.wait(600)
    events = pair.do("alice", pair.alice.smp_abort())
    events += pair.events("alice")
    assert any(isinstance(event, SmpAborted) for event in events)
    assert not any(isinstance(event, SmpSucceeded | SmpFailed) for event in events)


def test_every_guess_of_a_peer_needs_an_answer_of_the_user() -> None:
    """A peer asks as often as it likes, and learns nothing unless our user answers each time."""
    pair = encrypted()
    for guess in range(20):
        pair.do("bob", pair.bob.smp_start(f"guess {guess}", "Which?"))
        pair.settle()
    assert pair.alice.smp_waiting
    assert not pair.of_kind("bob", SmpSucceeded)
    assert not pair.of_kind("bob", SmpFailed)
    pair.do("alice", pair.alice.smp_answer("words"))
    pair.settle()
    assert len(pair.of_kind("bob", SmpFailed)) == 1
    assert not pair.alice.smp_waiting
    assert len(pair.of_kind("alice", SmpAsked)) == 20


# ---- 31, 32, 34: numbers


@pytest.mark.parametrize("zeros", [1, 2, 8, 15, 16])
@pytest.mark.parametrize("starter", SIDES)
@IN_OLDER_VERSIONS
def test_an_r_with_leading_zeros(version: int, starter: Side, zeros: int) -> None:
    """It is 16 bytes on the wire and as a key, whatever they are."""
    r = bytes(zeros) + b"\x7f" * (16 - zeros)

    def random(purpose: Purpose, count: int) -> bytes:
        return r if purpose == "r" else system_random(purpose, count)

    pair = Pair(version=version)
    for side in SIDES:
        account = Account(
            identity(side), speaking(version), instance_tag=TAGS[side], random=random, clock=pair.clock
        )
        pair.accounts[side], pair.talks[side] = account, account.conversation(OTHER[side])
    pair.start(starter)
    pair.agreed()
    messages = [parse(wire_text.decode(line)) for _, line in pair.lines if line.startswith("?OTR:")]
    assert [message.r for message in messages if isinstance(message, RevealSignature)] == [r]


def test_no_nonce_is_used_twice() -> None:
    """Two signatures with one nonce, the same r, give the private key away."""
    key = identity("alice").dsa
    signatures = [key.sign(bytes(32)) for _ in range(50)] + [key.sign(bytes([n] * 32)) for n in range(50)]
    assert len({signature[:20] for signature in signatures}) == len(signatures)


@IN_OLDER_VERSIONS
def test_macs_and_hashes_are_compared_in_constant_time(version: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every MAC, and the hash of a Commit, goes through the one comparison that takes constant time."""
    compared: list[tuple[str, int]] = []

    def watched(place: str, result: bool) -> None:
        def same(left: bytes, right: bytes) -> bool:
            compared.append((place, len(right)))
            return hashes.same(left, right) and result

        monkeypatch.setattr({"ake": ake, "channel": channel}[place], "same", same)

    watched("ake", True)
    watched("channel", True)
    pair = encrypted(version)
    # The Commit's hash and the MAC of the Reveal Signature; the MAC of the Signature.
    assert sorted(compared) == [("ake", 20), ("ake", 20), ("ake", 32)]
    compared.clear()
    pair.say("alice", "hello")
    assert compared == [("channel", 20)]
    # And what it says decides, nothing beside it.
    watched("channel", False)
    pair.clear()
    pair.say("alice", "hello")
    assert pair.of_kind("bob", Received) == []


def test_macs_of_version_4_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what the comparison says decides, nothing beside it."""
    pair = encrypted(4)
    compared: list[int] = []
    for result in (True, False):

        def same(left: bytes, right: bytes, result: bool = result) -> bool:
            compared.append(len(right))
            return hashes.same(left, right) and result

        monkeypatch.setattr(ratchet, "same", same)
        pair.clear()
        pair.say("alice", "hello")
        assert bool(pair.of_kind("bob", Received)) is result
    assert compared == [64, 64]


# ---- 35: after the end


@IN_VERSIONS
@pytest.mark.parametrize("ended_by", SIDES)
def test_after_the_end_old_messages_are_unreadable(version: int, ended_by: Side) -> None:
    pair = encrypted(version)
    for side in SIDES:
        pair.say(side, "rotate")
    late = {side: lines_of(pair.talks[OTHER[side]].send("late")) for side in SIDES}
    pair.end(ended_by)
    pair.end(OTHER[ended_by])
    for side in SIDES:
        assert secrets_in(snapshot(pair.talks[side])) == set()
        for line in late[side]:
            # In version 4 the peer is told so.
            assert pair.talks[side].receive(line)[version == 4 :] == [
                Rejected(Reason.NO_SESSION, had_text=True)
            ]
    pair.secure()
    for side in SIDES:
        for line in late[side]:
            events = pair.talks[side].receive(line)
            assert not any(isinstance(event, Received) for event in events)
    pair.agreed()
