"""Data messages of version 4: encrypting, and accepting them only as a whole (v4, "Data Message")."""

from __future__ import annotations

from collections.abc import Sequence

from ..crypto.ed448 import Point
from ..crypto.random import Random
from ..crypto.secret import Secret
from ..errors import MalformedMessage, PeerError, Reason
from ..model import SessionInfo
from ..protocols import AgreedKey, Plaintext
from ..smp.verification import Verification
from ..wire import codec, tlv
from ..wire.codec import MAC_BYTES_4
from ..wire.header import IGNORE_UNREADABLE, VERSION_4, Header, MessageType
from ..wire.messages4 import DataMessage, parse
from ..wire.tlv import Tlv
from .kdf import derived_extra_key
from .ratchet import Ratchet
from .smp import Ed448Group, SmpRecords, compared

LIFETIME = 24 * 60 * 60.0
"""Seconds without a new key of ours after which a session is over (v4, "Session Expiration").  A day lets
a conversation rest over night; heartbeats keep one alive in which only the peer talks."""


class DataChannel:
    """One encrypted conversation of version 4."""

    __slots__ = ("_info", "_own_tag", "_ratchet")

    def __init__(self, ratchet: Ratchet, info: SessionInfo, own_tag: int) -> None:
        """`ratchet` has the keys of a verified key exchange; the peer's instance tag is in `info`."""
        self._ratchet = ratchet
        self._info = info
        self._own_tag = own_tag

    @property
    def info(self) -> SessionInfo:
        """What the user may compare."""
        return self._info

    @property
    def lifetime(self) -> float | None:
        """Seconds after which the session is over, if no new key of ours was made."""
        return LIFETIME

    @property
    def generation(self) -> int:
        """How many keys of ours were made so far."""
        return self._ratchet.generation

    def encrypt(self, text: bytes, tlvs: Sequence[Tlv] = (), *, ignore_unreadable: bool = False) -> bytes:
        """Return the next data message; ValueError if the text holds a NUL."""
        plaintext = tlv.join(text, tlvs)
        header = Header(VERSION_4, MessageType.DATA, self._own_tag, self._info.their_instance_tag)
        return self._ratchet.encrypt(plaintext, header, IGNORE_UNREADABLE if ignore_unreadable else 0)

    def agree(self, use: int, data: bytes) -> tuple[Tlv, Secret]:
        """Return the record that names an extra symmetric key, and the key, 64 bytes."""
        record = Tlv(tlv.EXTRA_KEY_4, codec.integer(use) + data)
        return record, derived_extra_key(self._ratchet.next_extra_key(), 0, codec.integer(use))

    def encrypt_last(self, tlvs: Sequence[Tlv]) -> bytes:
        """Return the message after which nothing is accepted, so that it reveals the used MAC keys."""
        self._ratchet.retire()
        return self.encrypt(b"", tlvs, ignore_unreadable=True)

    def decrypt(self, raw: bytes, header: Header) -> Plaintext:
        """Return what a data message holds, and go on with the ratchet; PeerError if it is not a good one."""
        message = parse(raw, header)
        if not isinstance(message, DataMessage):
            raise MalformedMessage("not a data message")
        if (header.version, header.sender_tag) != (self._info.version, self._info.their_instance_tag):
            raise PeerError(Reason.OTHER_INSTANCE)
        authenticated = raw[: len(raw) - MAC_BYTES_4 - 4 - len(message.old_mac_keys)]
        plaintext, extra = self._ratchet.decrypt(message, authenticated)
        text, records = tlv.split(plaintext)
        return Plaintext(text, records, _agreed_key(records, extra))

    def verification(self, random: Random) -> Verification[Point]:
        """Return an idle SMP for this conversation."""
        info = self._info

        def comparison(we_asked: bool, secret: bytes) -> int:
            return compared(*info.asker_first(we_asked), info.ssid, secret)

        return Verification(Ed448Group(), random, SmpRecords(), comparison)

    def used_mac_keys(self) -> bytes:
        """Return the used MAC keys that were not revealed yet, 64 bytes each."""
        return self._ratchet.used_mac_keys()

    def reveal_later(self, mac_keys: bytes) -> None:
        """Reveal these MAC keys, which belong to no channel any more, in a later message."""
        self._ratchet.reveal_later(mac_keys)


def _agreed_key(records: Sequence[Tlv], extra: Secret) -> AgreedKey | None:
    """Return the first key that the records name; later ones would be derived from it."""
    named = tlv.find_extra_key(records, tlv.EXTRA_KEY_4)
    if named is None:
        return None
    index, use, data = named
    # The index is hashed as one byte.
    return AgreedKey(derived_extra_key(extra, index & 0xFF, use), int.from_bytes(use, "big"), data)
