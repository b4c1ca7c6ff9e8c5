"""Messages of OTR's after they were made: put together again, changed, and cut into pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from otrcore.conversation import Conversation
from otrcore.crypto.random import system_random
from otrcore.errors import UsageError
from otrcore.events import Event, Transmit
from otrcore.model import MessageState
from otrcore.wire import messages3, messages4
from otrcore.wire.fragment import cut, parse_fragment
from otrcore.wire.header import VERSION_4, Header, parse_header, version_of
from otrcore.wire.text import decode, encode

DataMessage = messages3.DataMessage | messages4.DataMessage
Change = Callable[[DataMessage], DataMessage]


def said(talk: Conversation, text: str) -> list[Event]:
    """Encrypt a text that is never said again, even if the peer complains about it.

    UsageError if the conversation is not encrypted (any more): it must not leave unencrypted.
    """
    if talk.state is not MessageState.ENCRYPTED:
        raise UsageError("There is no encrypted conversation: start one first.")
    events = talk.send(text)
    talk.withdraw(text)
    return events


def altered(events: Iterable[Event], change: Change) -> list[Event]:
    """Return the events with every data message changed that is to be sent."""
    return [_altered(event, change) if isinstance(event, Transmit) else event for event in events]


def in_pieces(events: Iterable[Event], count: int) -> tuple[str, ...]:
    """Return the lines of the one message that is to be sent: at least `count` pieces of it."""
    (sent,) = (event for event in events if isinstance(event, Transmit))
    if len(sent.lines) >= count:
        return sent.lines
    raw = _content(sent)
    line, header = encode(raw), parse_header(raw)
    (first, *_) = _cut(line, len(line) - 1, header)
    overhead = len(first) - len(parse_piece(first))
    return _cut(line, -(-len(line) // count) + overhead, header)


def parse_piece(line: str) -> str:
    """Return what a line carries of a message, be it the whole of it."""
    fragment = parse_fragment(line)
    return line if fragment is None else fragment.piece


def with_header(message: DataMessage, **changes: int) -> DataMessage:
    """Return the message with something else in its header."""
    return replace(message, header=replace(message.header, **changes))


def _altered(sent: Transmit, change: Change) -> Transmit:
    raw = _content(sent)
    message = messages4.parse(raw) if version_of(raw) == VERSION_4 else messages3.parse(raw)
    if not isinstance(message, DataMessage):
        return sent
    changed = change(message)
    # In the syntax of the conversation, whatever version the message itself names.
    header = replace(changed.header, version=message.header.version)
    return Transmit(_cut(encode(changed.serialise()), max(map(len, sent.lines)), header))


def _cut(line: str, limit: int, header: Header) -> tuple[str, ...]:
    """Cut a message into pieces; in version 4 under an identifier of its own."""
    identifier = int.from_bytes(system_random("fragment", 4), "big") if header.version == VERSION_4 else None
    return cut(line, limit, header, identifier)


def _content(sent: Transmit) -> bytes:
    return decode("".join(map(parse_piece, sent.lines)))
