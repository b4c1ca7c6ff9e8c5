"""Drills with the pieces of a message: one is missing, one comes twice, two are swapped."""

from __future__ import annotations

from collections.abc import Callable

from otrcore.conversation import Conversation
from otrcore.events import Event, Transmit

from ..stage import Drill, Stage
from .altered import in_pieces, said
from .play import Step, play, with_complaint

PIECES = 3
"""A message is cut into as many, or into more where lines are short."""

Pieces = tuple[str, ...]


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


def _lostfrag(stage: Stage) -> None:
    text = "WRONG: a piece of this text was never sent."
    play(stage, _sends(text, lost), with_complaint("you should see no text of it."))


def _dupfrag(stage: Stage) -> None:
    text = "One piece of this text came twice."
    play(
        stage,
        _sends(text, doubled),
        with_complaint("you should see its text once, or not at all."),
    )


def _outoforder(stage: Stage) -> None:
    text = "The pieces of this text came in the wrong order."
    play(
        stage,
        _sends(text, swapped),
        with_complaint("you should see its text once, or not at all."),
    )


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
        "show it once or not at all, and read the next message",
        _dupfrag,
    ),
    Drill(
        "outoforder",
        "a message whose pieces are swapped",
        "show it once or not at all, and read the next message",
        _outoforder,
    ),
)
