"""Changing a data message with nothing but its MAC key, which is published after use.

The key stream is added to the text bit by bit, so that whoever guesses a part of the text
can put another of the same length in its place, unread.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ..crypto.hashes import mac_sha1, same
from ..crypto.secret import Secret
from ..errors import UsageError
from ..wire.messages3 import DataMessage


def verifies(mac_key: bytes, message: DataMessage) -> bool:
    """Whether the message's MAC is of this key, 20 bytes."""
    return same(mac_sha1(mac_key, message.authenticated()), message.mac)


def remac(mac_key: Secret, message: DataMessage) -> DataMessage:
    """Return the message with the MAC of this key, 20 bytes, whatever its own was."""
    return replace(message, mac=mac_sha1(mac_key, message.authenticated()))


def modify(
    mac_key: Secret, messages: Iterable[DataMessage], old: bytes, new: bytes, offset: int
) -> DataMessage:
    """Return the first message that is of this key, with `new` where `old` was at byte `offset`; UsageError.

    Nothing shows whether `old` really was there: if it was not, the text becomes nonsense.
    """
    if len(old) != len(new):
        raise UsageError(
            f"The old text has {len(old)} bytes and the new one {len(new)}: choose one of the same length."
        )
    message = next((message for message in messages if verifies(mac_key, message)), None)
    if message is None:
        raise UsageError("No data message has a MAC of this key: look for the key that belongs to it.")
    stop = offset + len(old)
    if stop > len(message.encrypted):
        raise UsageError(
            f"The text of the message has {len(message.encrypted)} bytes, which the old text at {offset} "
            f"would go beyond: choose a smaller offset or a shorter text."
        )
    changed = bytes(
        byte ^ before ^ after
        for byte, before, after in zip(message.encrypted[offset:stop], old, new, strict=True)
    )
    encrypted = message.encrypted[:offset] + changed + message.encrypted[stop:]
    return remac(mac_key, replace(message, encrypted=encrypted))
