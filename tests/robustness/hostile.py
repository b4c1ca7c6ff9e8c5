"""Changes to a good line that make it one that must be refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from otrcore.conversation import Conversation
from otrcore.errors import MalformedMessage
from otrcore.events import Event, Transmit
from otrcore.wire import text as wire_text
from otrcore.wire.fragment import Fragment
from otrcore.wire.text import ENCODED_MARK, classify
from tests.robustness.scenes import message_of, raw_of
from tests.snapshot import snapshot


def edited(line: str, **changes: Any) -> str:
    """The message with other fields, written as it should be."""
    return wire_text.encode(replace(message_of(line), **changes).serialise())


def readdressed(line: str, **changes: int) -> str:
    """The message with another header: version, type, sender_tag, receiver_tag."""
    header = message_of(line).header
    return wire_text.encode(replace(header, **changes).serialise() + raw_of(line)[header.length :])


def flipped(content: bytes, at: int = 0) -> bytes:
    """The bytes with one bit changed."""
    return content[:at] + bytes((content[at] ^ 1,)) + content[at + 1 :]


def recoded(line: str, start: int, stop: int, new: bytes = b"") -> str:
    """The message with some of its bytes replaced."""
    raw = raw_of(line)
    return wire_text.encode(raw[:start] + new + raw[stop:])


def state_of(talk: Conversation, line: str) -> object:
    """What the refusal of this line must leave as it is.

    A fragment takes the place of another partial message even if what it brings is
    refused: so says the specification; and one message that came in several lines that of
    another.  Any OTR message, refused or not, shows that the
    peer has OTR; and what the user was told is not told again for a while.
    """
    picture = _without_what_was_told(snapshot(talk, caches=False))
    assert isinstance(picture, dict)
    try:
        is_fragment = isinstance(classify(line), Fragment)
    except MalformedMessage:
        is_fragment = False
    if is_fragment:
        del picture["_reassembler"]
    if ENCODED_MARK in line:
        del picture["_rejoiner"]
    return picture


def _without_what_was_told(picture: object) -> object:
    match picture:
        case dict():
            told = ("_offer", "_told", "_told_versions")
            return {name: _without_what_was_told(item) for name, item in picture.items() if name not in told}
        case list():
            return [_without_what_was_told(item) for item in picture]
        case _:
            return picture


def assert_little_is_said(events: list[Event]) -> None:
    """At most one Transmit of at most one line that passes any server."""
    transmits = [event for event in events if isinstance(event, Transmit)]
    assert len(transmits) <= 1
    for transmit in transmits:
        assert len(transmit.lines) == 1
        assert len(transmit.lines[0].encode()) <= 450
        assert transmit.lines[0].isascii()
        assert transmit.lines[0].isprintable()
