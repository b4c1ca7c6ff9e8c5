"""The MAC keys that a conversation has published, and the messages that were made with them."""

from __future__ import annotations

from collections.abc import Sequence

from ..crypto.hashes import mac_sha1, same
from ..errors import UsageError
from ..wire.codec import MAC_BYTES
from ..wire.messages3 import DataMessage

MAX_TRIALS = 1_000_000
MAX_TRIED_BYTES = 1 << 30
"""Every key is tried on every message; each limit is reached after a second or two."""


def published(message: DataMessage) -> tuple[bytes, ...]:
    """Return the MAC keys that a message publishes, 20 bytes each; a rest that is too short is none."""
    keys = message.old_mac_keys
    return tuple(keys[at : at + MAC_BYTES] for at in range(0, len(keys) - MAC_BYTES + 1, MAC_BYTES))


def makers(messages: Sequence[DataMessage]) -> tuple[bytes | None, ...]:
    """Return for each message the published key that its MAC is of, None if there is none; UsageError."""
    keys = tuple(dict.fromkeys(key for message in messages for key in published(message)))
    covered = [message.authenticated() for message in messages]
    if len(keys) * len(messages) > MAX_TRIALS or len(keys) * sum(map(len, covered)) > MAX_TRIED_BYTES:
        raise UsageError(
            f"Trying {len(keys)} published keys on {len(messages)} messages would take too long: "
            "give a part of the conversation."
        )
    return tuple(
        next((key for key in keys if same(mac_sha1(key, content), message.mac)), None)
        for message, content in zip(messages, covered, strict=True)
    )
