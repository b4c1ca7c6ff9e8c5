"""Drills with SMP: numbers that prove nothing."""

from __future__ import annotations

from otrcore.conversation import Conversation
from otrcore.crypto import ed448
from otrcore.events import Event, SmpAborted, SmpEnd, Transmit
from otrcore.wire import codec
from otrcore.wire.header import VERSION_4
from otrcore.wire.tlv import Tlv

from .inside import sealed
from .play import Heard, play
from .stage import Drill, Stage

SMP_1 = 2
OUT_OF_RANGE = 1
"""1 to any power is 1, so that whoever accepts it would be verified by whoever asks.

In version 4 it is the point with y = 1, of which every multiple is the same again.
"""

_NUMBERS = 6


def _ask_badly(talk: Conversation) -> list[Event]:
    """Ask, so that an answer is waited for, and send another question in the place of our own."""
    events = [event for event in talk.smp_start("drill") if not isinstance(event, Transmit)]
    info = talk.info
    if info is not None and info.version == VERSION_4:
        # Behind an empty question; y = 1 is encoded as the scalar 1 is.
        numbers = codec.data(b"") + ed448.encode_scalar(OUT_OF_RANGE) * _NUMBERS
    else:
        numbers = codec.integer(_NUMBERS) + codec.mpi(OUT_OF_RANGE) * _NUMBERS
    return [*events, sealed(talk, b"", [Tlv(SMP_1, numbers)], ignore_unreadable=True)]


def _sum_up(heard: Heard) -> str:
    ends = [event.reason for event in heard if isinstance(event, SmpAborted)]
    if ends == [SmpEnd.PEER]:
        return "right: your client has ended the verification at once."
    if ends:
        return "WRONG: your client has gone on with a group element that is out of range."
    return "your client did not answer, though it should end the verification by a record of type 6."


def _give_up(talk: Conversation) -> list[Event]:
    return talk.smp_abort() if talk.smp_running else []


def _smpbad(stage: Stage) -> None:
    def sum_up(heard: Heard) -> str:
        stage.do(_give_up, slow=True)
        return _sum_up(heard)

    if stage.talk is not None and stage.talk.smp_running:
        stage.end("a verification is under way. End it, and try this drill again.")
    else:
        play(stage, _ask_badly, sum_up, decisive=SmpAborted)


DRILLS = (
    Drill(
        "smpbad",
        "a verification by SMP with the group element 1",
        "end it, without asking its user for a secret",
        _smpbad,
    ),
)
