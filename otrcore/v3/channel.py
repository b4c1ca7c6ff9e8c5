"""Data messages: encrypting, and accepting them only as a whole (v3, "Data Message")."""

from __future__ import annotations

from collections.abc import Sequence

from gmpy2 import mpz

from ..crypto.cipher import aes_ctr
from ..crypto.hashes import mac_sha1, same
from ..crypto.modp import is_public
from ..crypto.random import Random
from ..crypto.secret import Secret
from ..errors import MalformedMessage, PeerError, Reason
from ..model import SessionInfo
from ..protocols import AgreedKey, Plaintext
from ..smp.verification import Verification
from ..wire import codec, tlv
from ..wire.codec import MAC_BYTES
from ..wire.header import IGNORE_UNREADABLE, Header, MessageType
from ..wire.messages3 import DataMessage, parse
from ..wire.tlv import Tlv
from .ratchet import MAX_COUNTER, Ratchet
from .smp import ModpGroup, SmpRecords, compared


class DataChannel:
    """One encrypted conversation of version 2 or 3."""

    __slots__ = ("_info", "_own_tag", "_ratchet")

    def __init__(self, ratchet: Ratchet, info: SessionInfo, own_tag: int) -> None:
        """`ratchet` has the keys of a key exchange that was verified; `own_tag` counts in version 3 alone."""
        self._ratchet = ratchet
        self._info = info
        self._own_tag = own_tag

    @property
    def info(self) -> SessionInfo:
        """What the user may compare."""
        return self._info

    def encrypt(self, text: bytes, tlvs: Sequence[Tlv] = (), *, ignore_unreadable: bool = False) -> bytes:
        """Return the next data message; ValueError if the text holds a NUL."""
        plaintext = tlv.join(text, tlvs)
        ratchet = self._ratchet
        pair = ratchet.sending_pair()
        if pair.sent == MAX_COUNTER:
            raise ValueError("this pair of keys has been used up")
        counter = pair.sent + 1
        message = DataMessage(
            header=Header(self._info.version, MessageType.DATA, self._own_tag, self._info.their_instance_tag),
            flags=IGNORE_UNREADABLE if ignore_unreadable else 0,
            sender_keyid=ratchet.our_keyid,
            recipient_keyid=ratchet.their_keyid,
            next_dh=ratchet.next_public(),
            counter=counter,
            encrypted=aes_ctr(pair.sending.aes, counter, plaintext),
        )
        authenticated = message.authenticated()
        pair.sent = counter
        return authenticated + mac_sha1(pair.sending.mac, authenticated) + codec.data(ratchet.take_revealed())

    def agree(self, use: int, data: bytes) -> tuple[Tlv, Secret]:
        """Return the record that names the extra symmetric key of the next message, and the key, 32 bytes."""
        return Tlv(tlv.EXTRA_KEY, codec.integer(use) + data), self._ratchet.sending_pair().extra

    @property
    def lifetime(self) -> float | None:
        """None: these versions know no end of a session in time."""
        return None

    @property
    def generation(self) -> int:
        """How many keys of ours were made so far."""
        return self._ratchet.our_keyid

    def encrypt_last(self, tlvs: Sequence[Tlv]) -> bytes:
        """Return the message after which nothing is accepted, so that it reveals every used MAC key."""
        self._ratchet.retire()
        return self.encrypt(b"", tlvs, ignore_unreadable=True)

    def decrypt(self, raw: bytes, header: Header) -> Plaintext:
        """Return what a data message holds, and rotate keys; PeerError if it is not a good one.

        Only the mark that a MAC key was used is set before everything is checked: the key
        has verified something, so it must be revealed whatever comes of the message.
        """
        message = parse(raw, header)
        if not isinstance(message, DataMessage):
            raise MalformedMessage("not a data message")
        if (header.version, header.sender_tag) != (self._info.version, self._info.their_instance_tag):
            raise PeerError(Reason.OTHER_INSTANCE)
        pair = self._ratchet.receiving_pair(message.sender_keyid, message.recipient_keyid)
        authenticated = raw[: len(raw) - MAC_BYTES - 4 - len(message.old_mac_keys)]
        if not same(mac_sha1(pair.receiving.mac, authenticated), message.mac):
            raise PeerError(Reason.UNREADABLE, "wrong MAC")
        pair.mac_used = True
        if message.counter <= pair.received:
            raise PeerError(Reason.REPLAYED)
        if not is_public(message.next_dh):
            raise PeerError(Reason.UNREADABLE, "an illegal next D-H key")
        plaintext = aes_ctr(pair.receiving.aes, message.counter, message.encrypted)
        self._ratchet.rotate(message.sender_keyid, message.recipient_keyid, message.next_dh)
        pair.received = message.counter
        text, records = tlv.split(plaintext)
        return Plaintext(text, records, _agreed_key(records, pair.extra))

    def verification(self, random: Random) -> Verification[mpz]:
        """Return an idle SMP for this conversation."""
        info = self._info

        def comparison(we_asked: bool, secret: bytes) -> int:
            return compared(*info.asker_first(we_asked), info.ssid, secret)

        return Verification(ModpGroup(), random, SmpRecords(), comparison)

    def used_mac_keys(self) -> bytes:
        """Return the used MAC keys that were not revealed yet, 20 bytes each."""
        return self._ratchet.used_mac_keys()

    def reveal_later(self, mac_keys: bytes) -> None:
        """Reveal these MAC keys, which belong to no channel any more, in the next message."""
        self._ratchet.reveal_later(mac_keys)


def _agreed_key(records: Sequence[Tlv], key: Secret) -> AgreedKey | None:
    """Return the first key that the records name: all of one message name the same."""
    named = tlv.find_extra_key(records, tlv.EXTRA_KEY)
    return named and AgreedKey(key, int.from_bytes(named[1], "big"), named[2])
