"""Every state that a conversation of version 4 can be in, made by a real exchange of messages.

As in `scenes`, it is `SUBJECT` that something is done to, and what the peer has said last is on its way.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from otrcore.conversation import Conversation
from otrcore.v4.dake import Dake, DakeState, Start, WaitingAuthI
from otrcore.wire import text as wire_text
from otrcore.wire.messages4 import Message, parse
from tests.pair import Pair
from tests.robustness.scenes import PEER, SUBJECT, WrongHash

QUERY = "?OTRv4?"
ATTEMPTS = 50


def message_of(line: str) -> Message:
    """The message that a line carries whole."""
    return parse(wire_text.decode(line))


def exchange_of(talk: Conversation) -> Dake | None:
    """The exchange that is under way, if any: with an instance, else with whichever answers."""
    instances = talk._instances
    exchanges = [each for session in instances._sessions.values() for each in session.exchanges.values()]
    exchanges += [each.exchange for each in instances._broadcasts.values() if not each.served]
    running = [each for each in exchanges if each.running]
    assert len(running) <= 1
    for exchange in running:
        assert isinstance(exchange, Dake)
        return exchange
    return None


def dake_state(talk: Conversation) -> DakeState:
    """Where the exchange that is under way stands."""
    exchange = exchange_of(talk)
    return exchange.state if exchange else Start()


def _plaintext(pair: Pair) -> None:
    pair.do(PEER, pair.talks[PEER].send("not encrypted"))


def _query_sent(pair: Pair) -> None:
    """The peer's Identity is on its way."""
    pair.do(SUBJECT, pair.talks[SUBJECT].start())
    pair.deliver(PEER)


def _waiting_auth_r(pair: Pair) -> None:
    pair.do(PEER, pair.talks[PEER].start())
    pair.deliver(SUBJECT)
    pair.deliver(PEER)


def _waiting_auth_i(pair: Pair) -> None:
    _query_sent(pair)
    pair.deliver(SUBJECT)
    pair.deliver(PEER)


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


def _initiator(pair: Pair) -> None:
    pair.start(PEER)
    pair.do(PEER, pair.talks[PEER].send("on its way"))


def _responder(pair: Pair) -> None:
    pair.start(SUBJECT)
    pair.do(PEER, pair.talks[PEER].send("on its way"))


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
    _query_sent(pair)
    pair.deliver(SUBJECT)
    pair.talks[PEER].line_limit = 120
    pair.deliver(PEER)
    pair.on_the_way[SUBJECT].rotate(-1)
    pair.deliver(SUBJECT)


def _beside(build: Callable[[Pair], None]) -> Callable[[Pair], None]:
    """An exchange that somebody's query has led to, beside a session."""

    def made(pair: Pair) -> None:
        _rotated(pair)
        pair.settle()
        pair.clock.advance(100)
        build(pair)

    return made


def _queried_peer(pair: Pair) -> None:
    pair.hand(PEER, QUERY)


def _queried_peer_and_answered(pair: Pair) -> None:
    pair.hand(PEER, QUERY)
    pair.deliver(SUBJECT)
    pair.deliver(PEER)


def _queried_subject(pair: Pair) -> None:
    pair.hand(SUBJECT, QUERY)
    pair.deliver(PEER)


SCENES: dict[str, Callable[[Pair], None]] = {
    "plaintext": _plaintext,
    "query sent": _query_sent,
    "waiting for Auth-R": _waiting_auth_r,
    "waiting for Auth-I": _waiting_auth_i,
    "yielded": _yielded,
    "encrypted as initiator": _initiator,
    "encrypted as responder": _responder,
    "encrypted, keys rotated": _rotated,
    "encrypted, Identity on its way": _beside(_queried_peer),
    "encrypted, waiting for Auth-R": _beside(_queried_subject),
    "encrypted, waiting for Auth-I": _beside(_queried_peer_and_answered),
    "encrypted, yielded": _beside(_yielded),
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
    for attempt in range(ATTEMPTS):
        pair = Pair(version=4, seed=f"{name}/{attempt}")
        try:
            SCENES[name](pair)
        except WrongHash:
            continue
        return pair
    raise AssertionError(f"the subject's hash was the higher one {ATTEMPTS} times")


def play(name: str) -> Pair:
    """Return two peers of whom `SUBJECT` is in this state: the same each time."""
    return _played(name).copy()


def due(name: str) -> tuple[Pair, str]:
    """A scene, and the good line that is on its way."""
    pair = play(name)
    return pair, pair.on_the_way[SUBJECT][0]
