"""A peer that follows the protocol where it likes: right MACs and signatures around contents of any kind.

Without it nothing that is mutated would get past a MAC, and what is parsed behind one (the
plaintext with its records, the numbers of SMP, the signed part of the key exchange) would
see well-formed input only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from otrcore.crypto.cipher import aes_ctr
from otrcore.crypto.hashes import mac_sha1, mac_sha256, mac_sha256_160
from otrcore.wire import codec
from otrcore.wire import text as wire_text
from otrcore.wire.header import Header, MessageType
from otrcore.wire.messages3 import DataMessage, RevealSignature, Signature
from tests.fuzz.states import SendingKeys, SigningKeys
from tests.pair import TAGS, identity
from tests.robustness.scenes import PEER, SUBJECT, message_of

PUBLIC_KEY_NUMBERS = 4
"""p, q, g and y."""


def header_of(version: int, message_type: int) -> Header:
    """Return the header of a message from the peer to the subject."""
    if version == 2:
        return Header(version, message_type)
    return Header(version, message_type, TAGS[PEER], TAGS[SUBJECT])


class DataForger:
    """Makes data messages of the peer in the session of a room, with whatever fields are asked for."""

    def __init__(self, version: int, keys: SendingKeys) -> None:
        self._version = version
        self._keys = keys
        self.counter = keys.counter

    def line(self, plaintext: bytes, **fields: Any) -> str:
        """Return a data message that is taken, unless a field of it forbids that.

        The counter grows with each, so that one which was made later is taken later.
        """
        self.counter += 1
        message = DataMessage(
            header=header_of(self._version, MessageType.DATA),
            flags=0,
            sender_keyid=self._keys.sender_keyid,
            recipient_keyid=self._keys.recipient_keyid,
            next_dh=self._keys.next_dh,
            counter=self.counter,
            encrypted=b"",
        )
        message = replace(message, **fields)
        encrypted = aes_ctr(self._keys.aes, message.counter, plaintext)
        return self.sealed(replace(message, encrypted=encrypted).authenticated())

    def sealed(self, authenticated: bytes, old_mac_keys: bytes = b"") -> str:
        """Return the message whose first part is this, with its MAC."""
        mac = mac_sha1(self._keys.mac, authenticated)
        return wire_text.encode(authenticated + mac + codec.data(old_mac_keys))


@dataclass(frozen=True, slots=True)
class Signed:
    """The encrypted part of a Reveal Signature or Signature: MPIs of the public key, key id, r and s."""

    type: bytes
    numbers: tuple[bytes, ...]
    keyid: int
    signature: bytes
    behind: bytes = b""

    def public(self) -> bytes:
        """Return what is signed of it: public key and key id."""
        return self.type + b"".join(self.numbers) + codec.integer(self.keyid)


class SignatureForger:
    """Makes Reveal Signature or Signature Messages that pass the MAC, and if asked for, the signature."""

    def __init__(self, keys: SigningKeys) -> None:
        self._keys = keys
        message = message_of(keys.line)
        assert isinstance(message, RevealSignature | Signature)
        self._message = message
        reader = codec.Reader(aes_ctr(keys.c, 0, message.encrypted_signature))
        kind = reader.take(2)
        numbers = tuple(codec.data(reader.data()) for _ in range(PUBLIC_KEY_NUMBERS))
        self.genuine = Signed(kind, numbers, reader.integer(), reader.rest())

    def line(self, content: bytes) -> str:
        """Return the message with this content, encrypted and under a right MAC."""
        encrypted = aes_ctr(self._keys.c, 0, content)
        mac = mac_sha256_160(self._keys.m2, codec.data(encrypted))
        changed = replace(self._message, encrypted_signature=encrypted, mac=mac)
        return wire_text.encode(changed.serialise())

    def signature_over(self, signed: Signed) -> bytes:
        """Return the peer's true signature over a public key and key id of any kind."""
        own, theirs = codec.mpi(self._keys.own), codec.mpi(self._keys.theirs)
        return identity(PEER).dsa.sign(mac_sha256(self._keys.m1, own + theirs + signed.public()))
