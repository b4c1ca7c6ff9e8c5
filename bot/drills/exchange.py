"""Drills with key exchanges: who starts, in which version, and with which key."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import replace

from otrcore.account import Account
from otrcore.conversation import QUERY_PATIENCE, Conversation
from otrcore.crypto.dsa import DsaPrivateKey
from otrcore.crypto.ed448 import KeyPair, Point, SigningKey
from otrcore.events import Event, HandshakeStep, SessionOpened, Transmit
from otrcore.identity import Identity
from otrcore.policy import Policy
from otrcore.wire.header import VERSION_2, VERSION_3, VERSION_4

from .inside import abandon_start, become, expired_profile, identity, own_tag, showing_profile, speaking_as
from .play import (
    BREATH,
    BUSY,
    PATIENCE_FOR_KEYS,
    Heard,
    in_version_4,
    play,
    version_spoken,
    with_complaint,
)
from .stage import Drill, Stage

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


class WrongRingSigner(SigningKey):
    """The same for version 4: its ring signatures are of nobody's key."""

    __slots__ = ("_clock", "_wrong_until", "real")

    def __init__(self, real: SigningKey, clock: Callable[[], float] = time.monotonic) -> None:
        self.real = real
        self._clock = clock
        self._wrong_until = clock() + PATIENCE_WITH_SIGNATURES

    @property
    def pair(self) -> KeyPair:  # type: ignore[override]
        """The key pair, or one whose halves do not fit."""
        right = self.real.pair
        return KeyPair(right.secret + 1, right.public) if self._clock() < self._wrong_until else right

    @property
    def public(self) -> Point:
        """The real one."""
        return self.real.public

    def sign(self, data: bytes) -> bytes:
        """Sign well: a client profile is in order."""
        return self.real.sign(data)


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


def _badly_answered(talk: Conversation) -> list[Event]:
    """Have the peer start: in version 4 it is who answers that signs first."""
    _speak_well(talk)
    own = identity(talk)
    become(talk, replace(own, ed448=WrongRingSigner(own.ed448)))
    return [Transmit((_query(VERSION_4),))]


def _speak_well(talk: Conversation) -> list[Event]:
    own = identity(talk)
    if isinstance(own.ed448, WrongRingSigner):
        become(talk, replace(own, ed448=own.ed448.real))
    return []


def _badsig(stage: Stage) -> None:
    spoken = version_spoken(stage)
    if spoken is None:
        stage.end(BUSY)
        return
    step, message, unanswered = _badly_signed(spoken), "Reveal Signature", "answer the D-H Commit"
    if spoken == VERSION_4:
        step, message, unanswered = _badly_answered, "Auth-R", "start anew when asked to"

    def sum_up(heard: Heard) -> str:
        stage.do(_speak_well)
        if any(isinstance(event, SessionOpened) for event in heard):
            return "WRONG: your client has accepted a wrong signature. End the conversation, and start anew."
        stage.do(_given_up, slow=True)
        if not any(_was_sent(event, message) for event in heard):
            return f"your client did not {unanswered}, so that no signature was sent."
        return "right: your client took nothing over, and this line came with the keys from before."

    play(
        stage,
        step,
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


def _with_expired_profile(talk: Conversation) -> list[Event]:
    with showing_profile(talk, expired_profile(talk)):
        return _committed(talk, VERSION_4)


def _expired(stage: Stage) -> None:
    def sum_up(heard: Heard) -> str:
        if any(isinstance(event, SessionOpened) for event in heard):
            return "WRONG: your client has accepted a client profile that has expired. Start anew."
        stage.do(_given_up, slow=True)
        return "right: your client took nothing over, and this line came with the keys from before."

    play(
        stage,
        _with_expired_profile,
        sum_up,
        patience=PATIENCE_WITH_SIGNATURES,
        decisive=SessionOpened,
        waits=0,
    )


def _old_start(talk: Conversation) -> list[Event]:
    """Send what begins a key exchange of version 3, as this conversation itself never would."""
    another = Account(identity(talk), Policy(frozenset({VERSION_3})), instance_tag=own_tag(talk))
    beside = another.conversation(talk.peer)
    beside.line_limit = talk.line_limit
    return [event for event in beside.receive(_query(VERSION_3)) if isinstance(event, Transmit)]


def _v3inside(stage: Stage) -> None:
    line = "no answer to it was due, and this line came with the keys from before."
    play(stage, _old_start, with_complaint(line))


def _crossing(stage: Stage) -> None:
    spoken = version_spoken(stage)
    if spoken is None:
        stage.end(BUSY)
        return
    first = "Identity message" if spoken == VERSION_4 else "D-H Commit"

    def step(talk: Conversation) -> list[Event]:
        """Ask the peer for the first message, and send one before it can have come."""
        return [Transmit((_query(spoken),)), *_committed(talk, spoken)]

    def sum_up(heard: Heard) -> str:
        opened = sum(isinstance(event, SessionOpened) for event in heard)
        if opened:
            return "right: both starts led to the same new keys."
        return f"neither start was finished, though the {first} with the higher hash should win."

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
            stage.later(WITH_THE_OTHER_KEY, begin_again)
        else:
            told = "you should have been warned that my key was another. I have my own again."
            stage.later(BREATH, finish)

    def begin_again() -> None:
        # In version 4 the exchange that is done may repeat its end, as whom it began.
        stage.do(_given_up)
        stage.start()

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
        "expired",
        "a start in version 4 with a client profile that has expired",
        "take nothing over, and go on with the keys from before",
        in_version_4("client profiles", _expired),
    ),
    Drill(
        "v3inside",
        "a D-H Commit of version 3 inside this conversation of version 4",
        "not answer it, and stay in version 4",
        in_version_4("such rule", _v3inside),
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
        "v4only",
        "a new start, in version 4 alone",
        "speak version 4, or tell its user that it does not",
        _only(VERSION_4),
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
