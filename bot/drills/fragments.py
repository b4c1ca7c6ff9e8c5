"""Drills with the pieces of a message: one is missing, one comes twice, two are swapped."""

from __future__ import annotations

from collections.abc import Callable
from itertools import zip_longest

from otrcore.conversation import Conversation
from otrcore.events import Event, Transmit
from otrcore.wire.header import VERSION_4

from .altered import in_pieces, said
from .play import Step, SumUp, in_version_4, play, version_spoken, with_complaint
from .stage import Drill, Stage

PIECES = 3
"""A message is cut into as many, or into more where lines are short."""

Pieces = tuple[str, ...]

_ONCE_OR_NOT_AT_ALL = "you should see its text once, or not at all."


def lost(pieces: Pieces) -> Pieces:
    """Leave the second piece out."""
    return pieces[:1] + pieces[2:]


def doubled(pieces: Pieces) -> Pieces:
    """Have the second piece come twice."""
    return pieces[:2] + pieces[1:]


def swapped(pieces: Pieces) -> Pieces:
    """Have the third piece come before the second."""
    return (pieces[0], pieces[2], pieces[1], *pieces[3:])


def _sends(text: str, change: Callable[[Pieces], Pieces]) -> Step:
    def step(talk: Conversation) -> list[Event]:
        return [Transmit(change(in_pieces(said(talk, text), PIECES)))]

    return step


def mixed(one: Pieces, other: Pieces) -> Pieces:
    """Have the pieces of two messages come in turns; what is longer ends alone."""
    pairs = zip_longest(one, other)
    return tuple(piece for pair in pairs for piece in pair if piece is not None)


def _two_mixed(talk: Conversation) -> list[Event]:
    one, other = (in_pieces(said(talk, text), PIECES) for text in ("One of two texts.", "The other text."))
    return [Transmit(mixed(one, other))]


def _once(stage: Stage) -> SumUp:
    """Say what a client should do with pieces that do not come one after the other."""
    must = version_spoken(stage) == VERSION_4
    return with_complaint("you should see its text once." if must else _ONCE_OR_NOT_AT_ALL)


def _lostfrag(stage: Stage) -> None:
    text = "WRONG: a piece of this text was never sent."
    play(stage, _sends(text, lost), with_complaint("you should see no text of it."))


def _dupfrag(stage: Stage) -> None:
    text = "One piece of this text came twice."
    play(stage, _sends(text, doubled), _once(stage))


def _outoforder(stage: Stage) -> None:
    text = "The pieces of this text came in the wrong order."
    play(stage, _sends(text, swapped), _once(stage))


def _mixedfrag(stage: Stage) -> None:
    play(stage, _two_mixed, with_complaint("you should see both texts."))


DRILLS = (
    Drill(
        "lostfrag",
        "a message in pieces, of which one is missing",
        "show no text of it, and read the next message",
        _lostfrag,
    ),
    Drill(
        "dupfrag",
        "a message in pieces, of which one comes twice",
        "show it once, or in old versions not at all, and read the next message",
        _dupfrag,
    ),
    Drill(
        "outoforder",
        "a message whose pieces are swapped",
        "show it once, or in old versions not at all, and read the next message",
        _outoforder,
    ),
    Drill(
        "mixedfrag",
        "two messages of version 4 whose pieces come in turns",
        "show both",
        in_version_4("identifiers of messages in pieces", _mixedfrag),
    ),
)
