"""Drills with single messages: altered, repeated, unencrypted, empty."""

from __future__ import annotations

from dataclasses import replace

from otrcore.conversation import Conversation
from otrcore.events import Event, Transmit
from otrcore.wire import messages4
from otrcore.wire.header import SMALLEST_INSTANCE_TAG, VERSION_2, VERSION_4
from otrcore.wire.text import error_line
from otrcore.wire.tlv import Tlv

from .altered import Change, DataMessage, altered, said, with_header
from .inside import sealed
from .play import BUSY, MUST_NOT_BE_SHOWN, Step, always, in_version_4, play, version_spoken, with_complaint
from .stage import Drill, Stage

UNENCRYPTED = "This line is not encrypted: anybody on the way could have written it."
ERROR = "?OTR Error: this is a drill, and nothing was lost."
CODES = (1, 2, 3)
"""Of version 4: unreadable, not private, malformed."""

EXTRA_KEY_USE = 0x64726C6C
UNKNOWN_RECORD = 0x4242
UNKNOWN_VERSION = 9

_LOST = "you should see no text of it, but a word that a message was lost."


def _sends_altered(change: Change) -> Step:
    return lambda talk: altered(said(talk, MUST_NOT_BE_SHOWN), change)


def _wrong_mac(message: DataMessage) -> DataMessage:
    return replace(message, mac=bytes((message.mac[0] ^ 1,)) + message.mac[1:])


def _old_key(message: DataMessage) -> DataMessage:
    """Name a key, or a ratchet, that is over since the last message; there is none yet in the first ones."""
    if isinstance(message, messages4.DataMessage):
        # A number that none can have, before there are such ratchets.
        past = message.ratchet_id - 2
        return replace(message, ratchet_id=past if past >= 0 else message.ratchet_id + 2)
    return replace(message, sender_keyid=max(0, message.sender_keyid - 2))


def _skipped_ratchet(message: DataMessage) -> DataMessage:
    """Name the ratchet behind the next one of ours, which we cannot have made yet."""
    assert isinstance(message, messages4.DataMessage)
    return replace(message, ratchet_id=message.ratchet_id + 2)


def _foreign(message: DataMessage) -> DataMessage:
    tag = message.header.receiver_tag
    return with_header(message, receiver_tag=tag ^ SMALLEST_INSTANCE_TAG ^ 1 << 31)


def _unknown_version(message: DataMessage) -> DataMessage:
    return with_header(message, version=UNKNOWN_VERSION)


def _twice(talk: Conversation) -> list[Event]:
    sent = said(talk, "You should see this text once.")
    return [*sent, *sent]


def _one_lost(talk: Conversation) -> list[Event]:
    said(talk, "WRONG: this text was never sent.")
    return said(talk, "The text before this one was lost.")


def _late(talk: Conversation) -> list[Event]:
    first = said(talk, "The first of two texts, which comes last.")
    return [*said(talk, "The second of two texts, which comes first."), *first]


def _error_codes(talk: Conversation) -> list[Event]:
    lines = (error_line(f"this is a drill, error {code} of {len(CODES)}.", code) for code in CODES)
    return [Transmit((line,), plain=True) for line in lines]


def _extra_key(talk: Conversation) -> list[Event]:
    return talk.extra_key(EXTRA_KEY_USE, b"a drill")


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


def _lost(stage: Stage) -> None:
    play(stage, _one_lost, with_complaint("you should see the text behind the lost one."))


def _swapped(stage: Stage) -> None:
    if version_spoken(stage) == VERSION_4:
        line = "you should see both texts, in the order in which they came."
    else:
        line = "you should see the text that came first; the other one is too late for this version."
    play(stage, _late, with_complaint(line))


def _skipratchet(stage: Stage) -> None:
    play(stage, _sends_altered(_skipped_ratchet), with_complaint(_LOST))


def _errorcodes(stage: Stage) -> None:
    what = "you should be told of errors, and see this line as encrypted."
    play(stage, _error_codes, always(what))


def _extrakey(stage: Stage) -> None:
    play(stage, _extra_key, with_complaint("you should see nothing, unless you use such keys."))


def _badtag(stage: Stage) -> None:
    spoken = version_spoken(stage)
    if spoken is None:
        stage.end(BUSY)
    elif spoken == VERSION_2:
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
    Drill(
        "skipratchet",
        "a message of version 4 in a ratchet that cannot have begun yet",
        "show no text of it, and say that one was lost",
        in_version_4("common count of ratchets", _skipratchet),
    ),
    Drill("lostmsg", "two messages, of which the first is never sent", "show the second", _lost),
    Drill(
        "late",
        "two messages, of which the first is sent last",
        "show both, or in old versions the one that came first",
        _swapped,
    ),
    Drill("badtag", "a message for another instance", "show nothing and answer nothing", _badtag),
    Drill("badversion", "a message of OTR version 9", "show no text of it, and go on", _badversion),
    Drill("error", "an OTR Error Message", "show it as one, and stay encrypted or start anew", _complaint),
    Drill(
        "errorcodes",
        "three OTR Error Messages with the codes of version 4",
        "show errors, and stay encrypted or start anew",
        in_version_4("codes of errors", _errorcodes),
    ),
    Drill("extrakey", "an extra symmetric key, for nothing", "show nothing, or offer the key", _extrakey),
    Drill("heartbeat", "an empty message that nobody need read", "show nothing", _empty),
    Drill("tlvunknown", "a text with a record of an unknown type", "show the text alone", _tlvunknown),
)
