"""What a line that comes is to OTR, as far as that can be told before its conversation has it."""

from __future__ import annotations

from otrcore.errors import MalformedMessage
from otrcore.wire import text as wire
from otrcore.wire.fragment import Fragment
from otrcore.wire.header import SMALLEST_INSTANCE_TAG, VERSION_4, MessageType, parse_header, version_of

_BEGINNINGS = (MessageType.DH_COMMIT, MessageType.IDENTITY)
_TYPE_ENDS = 3
"""Bytes of a message in which its version and type stand."""


def content_of(text: str) -> wire.Line:
    """Return what a line is to OTR; what is damaged counts as what nobody recognises."""
    try:
        return wire.classify(text)
    except MalformedMessage:
        return wire.Unrecognized()


def begins_ake(content: wire.Line) -> bool:
    """Whether a line would have us begin a key exchange."""
    match content:
        case wire.Query() | wire.Tagged():
            return True
        case wire.Encoded(raw):
            return _is_beginning(raw)
        case Fragment(index=1, piece=piece):
            # A first piece that is too short to tell has no other reason than that.
            try:
                start = wire.decode(piece) if piece.startswith(wire.ENCODED_MARK) else b""
            except MalformedMessage:
                start = b""
            return len(start) < _TYPE_ENDS or _is_beginning(start)
    return False


def _is_beginning(raw: bytes) -> bool:
    return len(raw) >= _TYPE_ENDS and raw[_TYPE_ENDS - 1] in _BEGINNINGS


def version_told(content: wire.Line) -> int | None:
    """Return the version of an encoded message, or of a piece that names it by its form; None for others."""
    if isinstance(content, Fragment):
        return VERSION_4 if content.identifier is not None else None
    if not isinstance(content, wire.Encoded):
        return None
    try:
        return version_of(content.raw)
    except MalformedMessage:
        return None


def receiver_tag(content: wire.Line) -> int | None:
    """Return which client of ours a line is for, if it says so."""
    tag: int | None = None
    if isinstance(content, Fragment):
        tag = content.receiver_tag
    elif isinstance(content, wire.Encoded):
        try:
            tag = parse_header(content.raw).receiver_tag
        except MalformedMessage:
            return None
    return tag if tag is not None and tag >= SMALLEST_INSTANCE_TAG else None
