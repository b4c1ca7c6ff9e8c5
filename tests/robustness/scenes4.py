"""Every state that a conversation of version 4 can be in, made by a real exchange of messages.

As in `scenes`, it is `SUBJECT` that something is done to, and what the peer has said last is on its way.
"""

from __future__ import annotations

from functools import cache

import pytest

from otrcore.conversation import Conversation
from otrcore.v4.dake import Dake, DakeState, Start, WaitingAuthI
from otrcore.wire import text as wire_text
from otrcore.wire.messages4 import Message, parse
from tests.pair import Pair
from tests.robustness.scenes import (
    PEER,
    SUBJECT,
    Scene,
    WrongHash,
    answered,
    beside,
    built,
    encrypted_as_initiator,
    encrypted_as_responder,
    exchanges_of,
    plaintext,
    query_sent,
    started,
)

QUERY = "?OTRv4?"


def message_of(line: str) -> Message:
    """The message that a line carries whole."""
    return parse(wire_text.decode(line))


def exchange_of(talk: Conversation) -> Dake | None:
    """The exchange that is under way, if any: with an instance, else with whichever answers."""
    running = [each for each in exchanges_of(talk) if each.running]
    assert len(running) <= 1
    for exchange in running:
        assert isinstance(exchange, Dake)
        return exchange
    return None


def dake_state(talk: Conversation) -> DakeState:
    """Where the exchange that is under way stands."""
    exchange = exchange_of(talk)
    return exchange.state if exchange else Start()


def _yielded(pair: Pair) -> None:
    for side in (SUBJECT, PEER):
        pair.hand(side, QUERY)
    pair.deliver(SUBJECT)
    state = dake_state(pair.talks[SUBJECT])
    if not isinstance(state, WaitingAuthI):
        raise WrongHash
    assert state.yielded is not None
    pair.deliver(PEER)
    pair.deliver(PEER)


def _rotated(pair: Pair) -> None:
    """With keys of messages that were lost, and more on the way in another order."""
    pair.start()
    for number in range(4):
        for side in (PEER, SUBJECT, SUBJECT):
            pair.say(side, f"text {number}")
        pair.do(PEER, pair.talks[PEER].send(f"lost {number}"))
        pair.on_the_way[SUBJECT].clear()
    pair.do(PEER, pair.talks[PEER].send("on its way"))


def _finished(pair: Pair) -> None:
    _rotated(pair)
    pair.end(PEER)


def _ended(pair: Pair) -> None:
    _rotated(pair)
    pair.end(SUBJECT)


def _partial(pair: Pair) -> None:
    """The second of several fragments has come, and no other."""
    query_sent(pair)
    pair.deliver(SUBJECT)
    pair.talks[PEER].line_limit = 120
    pair.deliver(PEER)
    pair.on_the_way[SUBJECT].rotate(-1)
    pair.deliver(SUBJECT)


def _queried_peer(pair: Pair) -> None:
    pair.hand(PEER, QUERY)


def _queried_peer_and_answered(pair: Pair) -> None:
    pair.hand(PEER, QUERY)
    pair.deliver(SUBJECT)
    pair.deliver(PEER)


def _queried_subject(pair: Pair) -> None:
    pair.hand(SUBJECT, QUERY)
    pair.deliver(PEER)


SCENES: dict[str, Scene] = {
    "plaintext": plaintext,
    "query sent": query_sent,
    "waiting for Auth-R": started,
    "waiting for Auth-I": answered,
    "yielded": _yielded,
    "encrypted as initiator": encrypted_as_initiator,
    "encrypted as responder": encrypted_as_responder,
    "encrypted, keys rotated": _rotated,
    "encrypted, Identity on its way": beside(_rotated, _queried_peer),
    "encrypted, waiting for Auth-R": beside(_rotated, _queried_subject),
    "encrypted, waiting for Auth-I": beside(_rotated, _queried_peer_and_answered),
    "encrypted, yielded": beside(_rotated, _yielded),
    "finished": _finished,
    "ended by us": _ended,
    "in the middle of fragments": _partial,
}

AT_REST = frozenset({"plaintext", "finished", "ended by us"})
ENCRYPTED = tuple(name for name in SCENES if name.startswith("encrypted"))
WHOLE = tuple(name for name in SCENES if name not in AT_REST | {"in the middle of fragments"})
"""Scenes in which one whole encoded message is on its way to the subject."""

each_scene = pytest.mark.parametrize("name", SCENES)
each_whole = pytest.mark.parametrize("name", WHOLE)
each_encrypted = pytest.mark.parametrize("name", ENCRYPTED)


@cache
def _played(name: str) -> Pair:
    return built(SCENES[name], 4, name)


def play(name: str) -> Pair:
    """Return two peers of whom `SUBJECT` is in this state: the same each time."""
    return _played(name).copy()


def due(name: str) -> tuple[Pair, str]:
    """A scene, and the good line that is on its way."""
    pair = play(name)
    return pair, pair.on_the_way[SUBJECT][0]
