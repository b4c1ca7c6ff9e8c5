"""Encrypted conversations in every state of SMP, and records that are put in by hand.

    pair = at("EXPECT2", version=3)
    events = put(pair, Tlv(6))
    assert state_of(pair) == "EXPECT1"

It is `SUBJECT` that something is done to; the peer's next message, if it has one to send,
is on its way.  Both give the same secret unless asked for others.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

from otrcore.conversation import Conversation
from otrcore.events import Event, MemoryChanged, Transmit
from otrcore.policy import Policy
from otrcore.session import Encrypted
from otrcore.smp import machine
from otrcore.smp.verification import Verification
from otrcore.v3.channel import DataChannel
from otrcore.wire import text as wire_text
from otrcore.wire.fragment import Reassembler, parse_fragment
from otrcore.wire.header import is_ignorable, parse_header
from otrcore.wire.tlv import Tlv
from tests.pair import OTHER, Pair, Side
from tests.smp import textbook

SUBJECT: Side = "bob"
PEER: Side = OTHER[SUBJECT]
VERSIONS = (2, 3)
WORDS = "the words that both know"

SmpState = Literal["EXPECT1", "asked", "EXPECT2", "EXPECT3", "EXPECT4"]
"""The specification's, and `asked`: EXPECT1 with a question that waits for our user."""

STATES: tuple[SmpState, ...] = ("EXPECT1", "asked", "EXPECT2", "EXPECT3", "EXPECT4")
_NAMES: dict[type[object], SmpState] = {
    machine.Expect1: "EXPECT1",
    machine.AwaitingAnswer: "asked",
    machine.Expect2: "EXPECT2",
    machine.Expect3: "EXPECT3",
    machine.Expect4: "EXPECT4",
}
EXPECTED: dict[SmpState, int] = {"EXPECT1": 1, "EXPECT2": 2, "EXPECT3": 3, "EXPECT4": 4}
"""The message that each state waits for."""


def policy(version: int) -> Policy:
    """Only this version."""
    return Policy(frozenset({version}))


@cache
def _encrypted(version: int, seed: object) -> Pair:
    pair = Pair(policies=(policy(version), policy(version)), seed=seed)
    assert pair.secure().version == version
    return pair


def encrypted(version: int = 3, seed: object = "smp") -> Pair:
    """Return two peers in an encrypted conversation, the same each time."""
    return _encrypted(version, seed).copy()


@cache
def _at(state: SmpState, version: int, question: str | None, words: str, peer_words: str) -> Pair:
    pair = encrypted(version)
    subject, peer = pair.talks[SUBJECT], pair.talks[PEER]
    if state in ("asked", "EXPECT3"):
        pair.do(PEER, peer.smp_start(peer_words, question))
        pair.deliver(SUBJECT)
        if state == "EXPECT3":
            pair.do(SUBJECT, subject.smp_answer(words))
            pair.deliver(PEER)
    elif state in ("EXPECT2", "EXPECT4"):
        pair.do(SUBJECT, subject.smp_start(words, question))
        pair.deliver(PEER)
        pair.do(PEER, peer.smp_answer(peer_words))
        if state == "EXPECT4":
            pair.deliver(SUBJECT)
            pair.deliver(PEER)
    pair.clear()
    assert state_of(pair) == state
    return pair


def at(
    state: SmpState,
    version: int = 3,
    *,
    question: str | None = None,
    words: str = WORDS,
    peer_words: str = WORDS,
) -> Pair:
    """Return peers of whom the subject is in this state; its own secret is `words`."""
    return _at(state, version, question, words, peer_words).copy()


def channel_of(talk: Conversation) -> DataChannel:
    """The channel of an encrypted conversation."""
    state = talk._instances.session()._state
    assert isinstance(state, Encrypted)
    assert isinstance(state.channel, DataChannel)
    return state.channel


def verification_of(talk: Conversation) -> Verification[Any]:
    """The SMP of an encrypted conversation."""
    state = talk._instances.session()._state
    assert isinstance(state, Encrypted)
    assert isinstance(state.verification, Verification)
    return state.verification


def state_of(pair: Pair, side: Side = SUBJECT) -> SmpState:
    """In which state of SMP a side is."""
    return _NAMES[type(verification_of(pair.talks[side])._state)]


def put(pair: Pair, *records: Tlv, to: Side = SUBJECT) -> list[Event]:
    """Hand a side one data message that holds these records, made by the other side's keys."""
    raw = channel_of(pair.talks[OTHER[to]]).encrypt(b"", records, ignore_unreadable=True)
    return pair.hand(to, wire_text.encode(raw))


def opened(pair: Pair, to: Side) -> list[tuple[Tlv, ...]]:
    """Look into the data messages that are on their way to a side, which does not notice."""
    channel = channel_of(pair.copy().talks[to])
    reassembler = Reassembler()
    messages = []
    for line in pair.on_the_way[to]:
        fragment = parse_fragment(line)
        whole = reassembler.add(fragment, 0.0) if fragment else line
        if whole is not None:
            raw = wire_text.decode(whole)
            assert is_ignorable(raw), "a message of SMP has the flag IGNORE_UNREADABLE"
            plaintext = channel.decrypt(raw, parse_header(raw))
            assert plaintext.text == b""
            messages.append(plaintext.tlvs)
    return messages


def sent(pair: Pair, side: Side = SUBJECT) -> list[int]:
    """The types of the records that this side's messages on their way hold, in their order."""
    return [record.type for records in opened(pair, OTHER[side]) for record in records]


def next_message(pair: Pair) -> textbook.Message:
    """Take the peer's next message, an honest one, out of the way; its numbers.

    At EXPECT1 the peer is made to ask first.
    """
    if state_of(pair) == "EXPECT1":
        pair.do(PEER, pair.talks[PEER].smp_start(WORDS))
    ((record,),) = opened(pair, SUBJECT)
    pair.on_the_way[SUBJECT].clear()
    return textbook.decode(record.value)


def record(step: int, message: textbook.Message, count: int | None = None) -> Tlv:
    """The TLV of a message of this step."""
    return Tlv(textbook.RECORD_TYPES[step], textbook.encode(message, count))


def shown(events: list[Event]) -> list[Event]:
    """What the user is told; that something is to be remembered is the host's business."""
    return [event for event in events if not isinstance(event, Transmit | MemoryChanged)]


def transmitted(events: list[Event]) -> list[Transmit]:
    """What goes out."""
    return [event for event in events if isinstance(event, Transmit)]


def verify(pair: Pair, asker: Side, words: str, answer: str, question: str | None = None) -> None:
    """A whole run."""
    pair.do(asker, pair.talks[asker].smp_start(words, question))
    pair.settle()
    pair.do(OTHER[asker], pair.talks[OTHER[asker]].smp_answer(answer))
    pair.settle()
