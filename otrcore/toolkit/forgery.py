"""Reading and making data messages with an AES key alone, from which the MAC key follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..crypto.cipher import aes_ctr
from ..crypto.secret import Secret
from ..wire import tlv
from ..wire.messages3 import DataMessage
from ..wire.tlv import Tlv
from .keys import mac_key
from .rewriting import remac, verifies


@dataclass(frozen=True, slots=True)
class Plaintext:
    """What a data message holds."""

    text: bytes
    tlvs: tuple[Tlv, ...]


def opens(aes_key: Secret, message: DataMessage) -> bool:
    """Whether the message's MAC follows from this key, 16 bytes."""
    return verifies(mac_key(aes_key), message)


def read(aes_key: Secret, message: DataMessage) -> Plaintext | None:
    """Return what a message holds, None if the key does not open it."""
    if not opens(aes_key, message):
        return None
    return Plaintext(*tlv.split(aes_ctr(aes_key, message.counter, message.encrypted)))


def model(aes_key: Secret, messages: Sequence[DataMessage]) -> DataMessage:
    """Return the message to forge after: the first that the key opens, or the first of all."""
    return next((message for message in messages if opens(aes_key, message)), messages[0])


def forge(aes_key: Secret, message: DataMessage, text: bytes) -> DataMessage:
    """Return the message with this text in place of its own, encrypted and with the MAC that is due.

    Whether the message is a real one, or was made up, makes no difference.
    """
    encrypted = aes_ctr(aes_key, message.counter, text)
    return remac(mac_key(aes_key), replace(message, encrypted=encrypted))
