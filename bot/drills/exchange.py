"""Drills with key exchanges: who starts, in which version, and with which key."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import replace

from otrcore.conversation import QUERY_PATIENCE, Conversation
from otrcore.crypto.dsa import DsaPrivateKey
from otrcore.events import Event, HandshakeStep, SessionOpened, Transmit
from otrcore.identity import Identity
from otrcore.wire.header import VERSION_2, VERSION_3

from ..stage import Drill, Stage
from .inside import abandon_start, identity, speaking_as
from .play import BREATH, BUSY, PATIENCE_FOR_KEYS, Heard, play

SECONDS = 90.0
"""For drills that need a whole key exchange, or two."""

WITH_THE_OTHER_KEY = 10.0
"""Seconds that a user has to look at what is shown while the bot has another key."""


PATIENCE_WITH_SIGNATURES = 22.0
"""Seconds for a key exchange with a wrong signature: less than until a lost one is tried again."""


class WrongSigner(DsaPrivateKey):
    """A key that signs something else than it is given, for a while.

    A key exchange that was begun with it is right again after that, even if the drill was stopped.
    """

    __slots__ = ("_clock", "_real", "_wrong_until")

    def __init__(self, real: DsaPrivateKey, clock: Callable[[], float] = time.monotonic) -> None:
        self._real = real
        self._clock = clock
        self._wrong_until = clock() + PATIENCE_WITH_SIGNATURES
        self.public = real.public

    def sign(self, m: bytes) -> bytes:
        """Return a signature that is a good one, of another content."""
        wrong = self._clock() < self._wrong_until
        return self._real.sign(hashlib.sha256(m).digest() if wrong else m)


def _query(version: int) -> str:
    return f"?OTRv{version}?"


def _committed(talk: Conversation, version: int) -> list[Event]:
    """Begin a key exchange as who sends the D-H Commit, as if the peer had asked for it."""
    return talk.receive(_query(version))


def _badly_signed(version: int) -> Callable[[Conversation], list[Event]]:
    def step(talk: Conversation) -> list[Event]:
        with speaking_as(talk, Identity(WrongSigner(identity(talk).dsa))):
            return _committed(talk, version)

    return step


def _badsig(stage: Stage) -> None:
    info = stage.talk.info if stage.talk is not None else None
    if info is None:
        stage.end(BUSY)
        return

    def sum_up(heard: Heard) -> str:
        if any(isinstance(event, SessionOpened) for event in heard):
            return "WRONG: your client has accepted a wrong signature. End the conversation, and start anew."
        stage.do(_given_up, slow=True)
        if not any(_was_sent(event, "Reveal Signature") for event in heard):
            return "your client did not answer the D-H Commit, so that no signature was sent."
        return "right: your client took nothing over, and this line came with the keys from before."

    play(
        stage,
        _badly_signed(info.version),
        sum_up,
        patience=PATIENCE_WITH_SIGNATURES,
        decisive=SessionOpened,
        waits=0,
    )


def _given_up(talk: Conversation) -> list[Event]:
    abandon_start(talk)
    return []


def _was_sent(event: Event, message: str) -> bool:
    return event == HandshakeStep(message, sent=True)


def _crossing(stage: Stage) -> None:
    info = stage.talk.info if stage.talk is not None else None
    if info is None:
        stage.end(BUSY)
        return

    def step(talk: Conversation) -> list[Event]:
        """Ask the peer for a D-H Commit, and send one before it can have come."""
        return [Transmit((_query(info.version),)), *_committed(talk, info.version)]

    def sum_up(heard: Heard) -> str:
        opened = sum(isinstance(event, SessionOpened) for event in heard)
        if opened:
            return "right: both starts led to the same new keys."
        return "neither start was finished, though the D-H Commit with the higher hash should win."

    play(stage, step, sum_up, patience=PATIENCE_FOR_KEYS, decisive=SessionOpened)


def _only(version: int) -> Callable[[Stage], None]:
    def step(talk: Conversation) -> list[Event]:
        """End what there is, and ask for a start in this version alone, which is allowed from now on."""
        events = talk.end()
        policy = talk.policy
        if version not in policy.versions:
            events += talk.set_policy(replace(policy, versions=policy.versions | {version}))
        for event in talk.start():
            events.append(Transmit((_query(version),)) if isinstance(event, Transmit) else event)
        return events

    def sum_up(heard: Heard) -> str:
        opened = [event.info.version for event in heard if isinstance(event, SessionOpened)]
        if not opened:
            return (
                f"nothing is encrypted; did you learn that version {version} is what is missing? Start anew."
            )
        if opened[-1] != version:
            return f"WRONG: asked for version {version}, your client has answered in version {opened[-1]}."
        return f"right: we speak version {version}. Start anew for the best version of both."

    def run(stage: Stage) -> None:
        play(stage, step, sum_up, patience=QUERY_PATIENCE + BREATH, decisive=SessionOpened)

    return run


def _as_somebody_else(version: int) -> Callable[[Conversation], list[Event]]:
    def step(talk: Conversation) -> list[Event]:
        """End what there is, and begin again with a key that nobody has seen."""
        ended = talk.end()
        with speaking_as(talk, Identity.generate()):
            return [*ended, *_committed(talk, version)]

    return step


def _keyswap(stage: Stage) -> None:
    info = stage.talk.info if stage.talk is not None else None
    if info is None:
        stage.end(BUSY)
        return
    real, version = info.our_fingerprint, info.version
    told = "your client did not answer my start with another key. Start anew: I have my own again."

    def hear(event: Event) -> None:
        nonlocal told
        if not isinstance(event, SessionOpened):
            return
        if event.info.our_fingerprint != real:
            told = "you should be warned that my key is another. Start anew: I have my own again."
            stage.later(WITH_THE_OTHER_KEY, stage.start)
        else:
            told = "you should have been warned that my key was another. I have my own again."
            stage.later(BREATH, finish)

    def finish() -> None:
        stage.end(told)

    stage.on(hear)
    stage.do(_as_somebody_else(version), slow=True)
    stage.later(SECONDS - BREATH, finish)


DRILLS = (
    Drill(
        "badsig",
        "a key exchange with a wrong signature",
        "take nothing over, and go on with the keys from before",
        _badsig,
    ),
    Drill(
        "crossing",
        "a start by both sides at once",
        "come out with the same new keys as I",
        _crossing,
        seconds=SECONDS,
    ),
    Drill(
        "v2only",
        "a new start, in version 2 alone",
        "speak version 2, or tell its user that it does not",
        _only(VERSION_2),
        seconds=SECONDS,
    ),
    Drill(
        "v3only",
        "a new start, in version 3 alone",
        "speak version 3, or tell its user that it does not",
        _only(VERSION_3),
        seconds=SECONDS,
    ),
    Drill(
        "keyswap",
        "an end and a new start, with another long-term key for some seconds",
        "warn that the key is another, and not trust it",
        _keyswap,
        seconds=SECONDS,
    ),
)
