"""Drills with single messages: altered, repeated, unencrypted, empty."""

from __future__ import annotations

from dataclasses import replace

from otrcore.conversation import Conversation
from otrcore.events import Event, Transmit
from otrcore.wire.header import SMALLEST_INSTANCE_TAG, VERSION_2
from otrcore.wire.messages3 import DataMessage
from otrcore.wire.tlv import Tlv

from ..stage import Drill, Stage
from .altered import Change, altered, said, with_header
from .inside import sealed
from .play import BUSY, MUST_NOT_BE_SHOWN, Step, always, play, with_complaint

UNENCRYPTED = "This line is not encrypted: anybody on the way could have written it."
ERROR = "?OTR Error: this is a drill, and nothing was lost."
UNKNOWN_RECORD = 0x4242
UNKNOWN_VERSION = 9

_LOST = "you should see no text of it, but a word that a message was lost."


def _sends_altered(change: Change) -> Step:
    return lambda talk: altered(said(talk, MUST_NOT_BE_SHOWN), change)


def _wrong_mac(message: DataMessage) -> DataMessage:
    return replace(message, mac=bytes((message.mac[0] ^ 1,)) + message.mac[1:])


def _old_key(message: DataMessage) -> DataMessage:
    """Name a key that is forgotten since the last message; there is none yet in the first ones."""
    return replace(message, sender_keyid=max(0, message.sender_keyid - 2))


def _foreign(message: DataMessage) -> DataMessage:
    tag = message.header.receiver_tag
    return with_header(message, receiver_tag=tag ^ SMALLEST_INSTANCE_TAG ^ 1 << 31)


def _unknown_version(message: DataMessage) -> DataMessage:
    return with_header(message, version=UNKNOWN_VERSION)


def _twice(talk: Conversation) -> list[Event]:
    sent = said(talk, "You should see this text once.")
    return [*sent, *sent]


def _plain(talk: Conversation) -> list[Event]:
    return [Transmit((UNENCRYPTED,), plain=True)]


def _error(talk: Conversation) -> list[Event]:
    return [Transmit((ERROR,), plain=True)]


def _heartbeat(talk: Conversation) -> list[Event]:
    return [sealed(talk, b"", ignore_unreadable=True)]


def _unknown_record(talk: Conversation) -> list[Event]:
    return [sealed(talk, b"You should see this text, and nothing else.", [Tlv(UNKNOWN_RECORD, b"unknown")])]


def _mac(stage: Stage) -> None:
    play(stage, _sends_altered(_wrong_mac), with_complaint(_LOST))


def _replay(stage: Stage) -> None:
    play(stage, _twice, with_complaint("you should see its text once, and no word that one was lost."))


def _oldkey(stage: Stage) -> None:
    play(stage, _sends_altered(_old_key), with_complaint(_LOST))


def _badtag(stage: Stage) -> None:
    info = stage.talk.info if stage.talk is not None else None
    if info is None:
        stage.end(BUSY)
    elif info.version == VERSION_2:
        stage.end("version 2 has no instance tags. Start anew in version 3, and try it again.")
    else:
        play(
            stage,
            _sends_altered(_foreign),
            with_complaint("you should see nothing of it, and no ?OTR Error is due."),
        )


def _badversion(stage: Stage) -> None:
    play(
        stage,
        _sends_altered(_unknown_version),
        always("you should see no text of it."),
    )


def _plaintext(stage: Stage) -> None:
    play(stage, _plain, always("you should see the line before this one marked as not encrypted."))


def _complaint(stage: Stage) -> None:
    what = "you should be told of an error, and see this line as encrypted."
    play(stage, _error, always(what))


def _empty(stage: Stage) -> None:
    play(stage, _heartbeat, always("you should see nothing between the announcement and this line."))


def _tlvunknown(stage: Stage) -> None:
    play(stage, _unknown_record, with_complaint("you should see its text, and nothing about a record."))


DRILLS = (
    Drill(
        "mac", "a message whose MAC has a wrong bit", "show no text of it, and say that one was lost", _mac
    ),
    Drill("replay", "one message, sent twice", "show it once", _replay),
    Drill(
        "plaintext",
        "a line that is not encrypted, inside this conversation",
        "show it with a warning, apart from what is encrypted",
        _plaintext,
    ),
    Drill(
        "oldkey",
        "a message made with a key that is over",
        "show no text of it, and say that one was lost",
        _oldkey,
    ),
    Drill("badtag", "a message for another instance", "show nothing and answer nothing", _badtag),
    Drill("badversion", "a message of OTR version 9", "show no text of it, and go on", _badversion),
    Drill("error", "an OTR Error Message", "show it as one, and stay encrypted or start anew", _complaint),
    Drill("heartbeat", "an empty message that nobody need read", "show nothing", _empty),
    Drill("tlvunknown", "a text with a record of an unknown type", "show the text alone", _tlvunknown),
)
