"""Every state that a conversation can be in, made by a real exchange of messages.

In each scene it is `SUBJECT` that something is done to; what the peer has said last is
still on its way, so that a scene can be damaged, or go on.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from otrcore.conversation import Conversation
from otrcore.model import MessageState
from otrcore.session import Encrypted, Session
from otrcore.v3.ake import Ake, AuthStateNone, AwaitingRevealSignature
from otrcore.v3.channel import DataChannel
from otrcore.wire import text as wire_text
from otrcore.wire.messages3 import DhCommit, Message, parse
from otrcore.wire.text import ENCODED_MARK
from tests.pair import OTHER, Pair, Side, speaking


class WrongHash(Exception):
    """In a crossing of starts the subject's hash is the higher one, and it should yield."""


SUBJECT: Side = "bob"
PEER: Side = OTHER[SUBJECT]


def exchange_of(talk: Conversation) -> Ake | None:
    """The key exchange that is under way, if any: with an instance, else with whichever answers."""
    instances = talk._instances
    exchanges = [each for session in instances._sessions.values() for each in session.exchanges.values()]
    exchanges += [each.exchange for each in instances._broadcasts.values() if not each.served]
    assert len(exchanges) <= 1
    for exchange in exchanges:
        assert isinstance(exchange, Ake)
        return exchange
    return None


def session_of(talk: Conversation) -> Session:
    """The session of an encrypted conversation."""
    return talk._instances.session()


def channel_of(talk: Conversation) -> DataChannel:
    """The channel of an encrypted conversation."""
    state = session_of(talk)._state
    assert isinstance(state, Encrypted)
    assert isinstance(state.channel, DataChannel)
    return state.channel


def raw_of(line: str) -> bytes:
    """The bytes of an encoded message that is not cut into fragments."""
    return wire_text.decode(line)


def message_of(line: str) -> Message:
    """The message that a line carries whole."""
    return parse(raw_of(line))


def sent_by(pair: Pair, side: Side, *kinds: type[Message]) -> list[str]:
    """The lines with whole encoded messages that a side has sent, oldest first; of these kinds if any."""
    lines = [line for sender, line in pair.lines if sender == side and line.startswith(ENCODED_MARK)]
    return [line for line in lines if not kinds or isinstance(message_of(line), kinds)]


def _plaintext(pair: Pair) -> None:
    pair.do(PEER, pair.talks[PEER].send("not encrypted"))


def _query_sent(pair: Pair) -> None:
    pair.do(SUBJECT, pair.talks[SUBJECT].start())
    pair.deliver(PEER)


def _awaiting_dh_key(pair: Pair) -> None:
    pair.do(PEER, pair.talks[PEER].start())
    pair.deliver(SUBJECT)
    pair.deliver(PEER)


def _awaiting_reveal_signature(pair: Pair) -> None:
    _query_sent(pair)
    pair.deliver(SUBJECT)
    pair.deliver(PEER)


def _awaiting_signature(pair: Pair) -> None:
    _awaiting_dh_key(pair)
    pair.deliver(SUBJECT)
    pair.deliver(PEER)


def _crossed(pair: Pair) -> bool:
    """Both send a Commit; whether the subject's is the one that yields."""
    for side in (SUBJECT, PEER):
        pair.do(side, pair.talks[side].start())
    for side in (SUBJECT, PEER):
        pair.deliver(side)
    pair.deliver(SUBJECT)
    exchange = exchange_of(pair.talks[SUBJECT])
    assert exchange is not None
    return isinstance(exchange.state, AwaitingRevealSignature)


def _yielded(pair: Pair) -> None:
    if not _crossed(pair):
        raise WrongHash
    pair.deliver(PEER)
    pair.deliver(SUBJECT)
    pair.deliver(PEER)


def _yielded_and_answered(pair: Pair) -> None:
    """As when the peer's client keeps no memory of its own Commit, and answers ours."""
    _yielded(pair)
    reveal = list(pair.on_the_way[SUBJECT])
    pair.on_the_way[SUBJECT].clear()
    stranger = Pair(seed="answers any Commit").talks[PEER]
    for event in stranger.receive(sent_by(pair, SUBJECT, DhCommit)[-1]):
        if line := getattr(event, "lines", None):
            pair.hand(SUBJECT, line[0])
    pair.on_the_way[SUBJECT].extend(reveal)


def _initiator(pair: Pair) -> None:
    pair.start(PEER)
    pair.do(PEER, pair.talks[PEER].send("on its way"))


def _responder(pair: Pair) -> None:
    pair.start(SUBJECT)
    pair.do(PEER, pair.talks[PEER].send("on its way"))


def _rotated(pair: Pair) -> None:
    pair.start()
    for number in range(4):
        for side in (PEER, SUBJECT, SUBJECT):
            pair.say(side, f"text {number}")
    pair.do(PEER, pair.talks[PEER].send("on its way"))


def _finished(pair: Pair) -> None:
    _rotated(pair)
    pair.end(PEER)


def _ended(pair: Pair) -> None:
    _rotated(pair)
    pair.end(SUBJECT)


def _partial(pair: Pair) -> None:
    """The first of several fragments has come."""
    _query_sent(pair)
    pair.deliver(SUBJECT)
    pair.talks[PEER].line_limit = 120
    pair.deliver(PEER)
    pair.deliver(SUBJECT)


def _again(scene: Callable[[Pair], None]) -> Callable[[Pair], None]:
    """The same beside a conversation that is encrypted already."""

    def build(pair: Pair) -> None:
        _rotated(pair)
        pair.settle()
        pair.clock.advance(100)
        scene(pair)

    return build


SCENES: dict[str, Callable[[Pair], None]] = {
    "plaintext": _plaintext,
    "query sent": _query_sent,
    "awaiting D-H Key": _awaiting_dh_key,
    "awaiting Reveal Signature": _awaiting_reveal_signature,
    "awaiting Signature": _awaiting_signature,
    "yielded": _yielded,
    "yielded and answered": _yielded_and_answered,
    "encrypted as initiator": _initiator,
    "encrypted as responder": _responder,
    "encrypted, keys rotated": _rotated,
    "encrypted, query sent": _again(_query_sent),
    "encrypted, awaiting D-H Key": _again(_awaiting_dh_key),
    "encrypted, awaiting Reveal Signature": _again(_awaiting_reveal_signature),
    "encrypted, awaiting Signature": _again(_awaiting_signature),
    "encrypted, yielded": _again(_yielded),
    "finished": _finished,
    "ended by us": _ended,
    "in the middle of fragments": _partial,
}

ENCRYPTED = [name for name in SCENES if name.startswith("encrypted")]

VERSIONS = (2, 3)
ONLY_IN_VERSION_3 = {"yielded and answered"}
"""In version 2 an answer leads on at once."""

EVERYWHERE = [
    (name, version)
    for version in VERSIONS
    for name in SCENES
    if version == 3 or name not in ONLY_IN_VERSION_3
]
"""Every scene in every version that has it."""

each_version = pytest.mark.parametrize("version", VERSIONS)
each_scene = pytest.mark.parametrize(("name", "version"), EVERYWHERE)
each_encrypted = pytest.mark.parametrize(
    ("name", "version"), [(name, version) for name, version in EVERYWHERE if name in ENCRYPTED]
)


@cache
def _played(name: str, version: int, seed: object) -> Pair:
    for attempt in range(50):
        pair = Pair(version=version, seed=f"{name}/{seed}/{attempt}")
        try:
            SCENES[name](pair)
        except WrongHash:
            continue
        return pair
    raise AssertionError("the subject's hash was the higher one fifty times")


def play(name: str, version: int = 3, seed: object = 0) -> Pair:
    """Return two peers of whom `SUBJECT` is in this state: the same each time, but for signatures."""
    return _played(name, version, seed).copy()


def allow_both(pair: Pair) -> Pair:
    """Let both sides accept either version from here on, whatever was agreed; returns the pair."""
    for talk in pair.talks.values():
        talk.set_policy(speaking(*VERSIONS))
    return pair


def described(talk: Conversation) -> tuple[MessageState, type[object], bool, bool]:
    """Message state, authentication state, whether a Commit was yielded, and whether that was answered."""
    exchange = exchange_of(talk)
    state = exchange.state if exchange else AuthStateNone()
    yielded = state.yielded if isinstance(state, AwaitingRevealSignature) else None
    return talk.state, type(state), yielded is not None, yielded is not None and yielded.answer is not None
