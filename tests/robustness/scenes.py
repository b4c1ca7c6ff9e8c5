"""Every state that a conversation of version 2 or 3 can be in, made by a real exchange of messages.

In each scene it is `SUBJECT` that something is done to; what the peer has said last is
still on its way, so that a scene can be damaged, or go on.  What is the same in version 4
is public: `scenes4` has it from here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from otrcore.conversation import Conversation
from otrcore.model import MessageState
from otrcore.protocols import KeyExchange
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

Scene = Callable[[Pair], None]

ATTEMPTS = 50


def exchanges_of(talk: Conversation) -> list[KeyExchange]:
    """The key exchanges that there are, with an instance and with whichever answers."""
    instances = talk._instances
    exchanges = [each for session in instances._sessions.values() for each in session.exchanges.values()]
    return exchanges + [each.exchange for each in instances._broadcasts.values() if not each.served]


def exchange_of(talk: Conversation) -> Ake | None:
    """The key exchange that is under way, if any: with an instance, else with whichever answers."""
    exchanges = exchanges_of(talk)
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


def plaintext(pair: Pair) -> None:
    pair.do(PEER, pair.talks[PEER].send("not encrypted"))


def query_sent(pair: Pair) -> None:
    """The message by which the peer starts the exchange is on its way."""
    pair.do(SUBJECT, pair.talks[SUBJECT].start())
    pair.deliver(PEER)


def started(pair: Pair) -> None:
    """The subject has started the exchange; the peer's answer is on its way."""
    pair.do(PEER, pair.talks[PEER].start())
    pair.deliver(SUBJECT)
    pair.deliver(PEER)


def answered(pair: Pair) -> None:
    """The subject has answered the peer's start; what the peer says to that is on its way."""
    query_sent(pair)
    pair.deliver(SUBJECT)
    pair.deliver(PEER)


def _awaiting_signature(pair: Pair) -> None:
    started(pair)
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


def encrypted_as_initiator(pair: Pair) -> None:
    pair.start(PEER)
    pair.do(PEER, pair.talks[PEER].send("on its way"))


def encrypted_as_responder(pair: Pair) -> None:
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
    query_sent(pair)
    pair.deliver(SUBJECT)
    pair.talks[PEER].line_limit = 120
    pair.deliver(PEER)
    pair.deliver(SUBJECT)


def beside(encrypted: Scene, scene: Scene) -> Scene:
    """A scene beside a conversation that is encrypted already."""

    def build(pair: Pair) -> None:
        encrypted(pair)
        pair.settle()
        pair.clock.advance(100)
        scene(pair)

    return build


SCENES: dict[str, Scene] = {
    "plaintext": plaintext,
    "query sent": query_sent,
    "awaiting D-H Key": started,
    "awaiting Reveal Signature": answered,
    "awaiting Signature": _awaiting_signature,
    "yielded": _yielded,
    "yielded and answered": _yielded_and_answered,
    "encrypted as initiator": encrypted_as_initiator,
    "encrypted as responder": encrypted_as_responder,
    "encrypted, keys rotated": _rotated,
    "encrypted, query sent": beside(_rotated, query_sent),
    "encrypted, awaiting D-H Key": beside(_rotated, started),
    "encrypted, awaiting Reveal Signature": beside(_rotated, answered),
    "encrypted, awaiting Signature": beside(_rotated, _awaiting_signature),
    "encrypted, yielded": beside(_rotated, _yielded),
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


def built(scene: Scene, version: int, seed: str) -> Pair:
    """Return two peers in a scene, by the first seed whose hashes are as it wants them."""
    for attempt in range(ATTEMPTS):
        pair = Pair(version=version, seed=f"{seed}/{attempt}")
        try:
            scene(pair)
        except WrongHash:
            continue
        return pair
    raise AssertionError(f"the subject's hash was the higher one {ATTEMPTS} times")


@cache
def _played(name: str, version: int, seed: object) -> Pair:
    return built(SCENES[name], version, f"{name}/{seed}")


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
