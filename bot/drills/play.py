"""How every drill goes: one step in the conversation, some seconds to hear what comes of it, one line."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from otrcore.conversation import Conversation
from otrcore.events import Event, PeerComplained
from otrcore.wire.header import VERSION_4

from .stage import Stage

Heard = Sequence[Event]
"""What the conversation has brought since the drill began."""

Step = Callable[[Conversation], list[Event]]
SumUp = Callable[[Heard], str]
"""Says what the peer should have seen, or what its client did as far as the bot can know; behind a colon."""

PATIENCE = 8.0
"""Seconds that a client has to answer a message."""

PATIENCE_FOR_KEYS = 45.0
"""Seconds that it has for a key exchange, whose lines both sides pace."""

BREATH = 1.0
"""Seconds between what has decided a drill and the line about it."""

MAX_WAITS = 30
"""Times that the last line waits for a `BREATH`, as it would be lost in the middle of a key exchange."""

BUSY = "nothing is encrypted, or something else is under way. Try it again in a moment."
MUST_NOT_BE_SHOWN = "WRONG: a client must not show this text."


def play(
    stage: Stage,
    step: Step,
    sum_up: SumUp,
    *,
    patience: float = PATIENCE,
    decisive: type[Event] | tuple[type[Event], ...] = (),
    waits: int = MAX_WAITS,
) -> None:
    """Do a step, wait until an event has decided the drill or the patience is over, and sum up.

    The client may have started anew by then: the last line waits for that, so many times.
    """
    heard: list[Event] = []

    def finish() -> None:
        nonlocal waits
        talk = stage.talk
        if waits and (talk is None or talk.starting):
            waits -= 1
            stage.later(BREATH, finish)
        else:
            stage.end(sum_up(heard))

    def hear(event: Event) -> None:
        heard.append(event)
        if isinstance(event, decisive):
            stage.later(BREATH, finish)

    if stage.encrypted:
        stage.on(hear)
        stage.do(step, slow=True)
        stage.later(patience, finish)
    else:
        stage.end(BUSY)


def version_spoken(stage: Stage) -> int | None:
    """Return the version of the conversation; None where nothing is encrypted, or a step is under way."""
    info = stage.talk.info if stage.talk is not None else None
    return None if info is None else info.version


def in_version_4(what: str, run: Callable[[Stage], None]) -> Callable[[Stage], None]:
    """Run what older versions have not, "error codes" for example; there, say so."""

    def in_some_version(stage: Stage) -> None:
        spoken = version_spoken(stage)
        if spoken is None:
            stage.end(BUSY)
        elif spoken < VERSION_4:
            stage.end(f"version {spoken} has no {what}. Start anew in version 4, and try it again.")
        else:
            run(stage)

    return in_some_version


def always(line: str) -> SumUp:
    """Say the same whatever was heard."""
    return lambda heard: line


def with_complaint(line: str) -> SumUp:
    """Say too whether the client has sent an OTR Error Message."""

    def sum_up(heard: Heard) -> str:
        complained = any(isinstance(event, PeerComplained) for event in heard)
        return f"{line} Your client sent {'an' if complained else 'no'} ?OTR Error."

    return sum_up
