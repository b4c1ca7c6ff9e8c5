"""A peer that follows the protocol where it likes: it knows all keys, and signs and MACs whatever it wants.

It is written from the specification with plain integers, and shares only the key
derivation with the code under test.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

from otrcore.crypto.cipher import aes_ctr
from otrcore.crypto.modp import PRIME
from otrcore.crypto.secret import Secret
from otrcore.identity import Identity
from otrcore.v3.kdf import AkeKeys, ake_keys, session_keys
from otrcore.wire import codec
from otrcore.wire import text as wire_text
from otrcore.wire.header import Header
from otrcore.wire.keys import serialise_public_key
from otrcore.wire.messages3 import DataMessage, DhCommit, DhKey, RevealSignature, Signature
from tests.pair import TAGS, identity
from tests.robustness.scenes import PEER, SUBJECT


def minimal(value: int) -> bytes:
    """The value's bytes without leading zeros."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


@dataclass
class Rogue:
    """What it does wrong is set before it speaks."""

    identity: Identity = field(default_factory=lambda: identity("rogue"))
    tag: int = TAGS[PEER]
    exponent: int = 2**319 + 12345
    gx_mpi: bytes | None = None
    """The committed value, encoded, in place of its own public value."""
    hashed: bytes | None = None
    """The committed hash, in place of the right one."""
    public_key: bytes | None = None
    """The PUBKEY, in place of its own."""
    keyid: int = 1
    signature: bytes | None = None
    """The signature, in place of the right one."""
    behind: bytes = b""
    """What stands behind the signature."""
    r: bytes = bytes(range(16))
    version: int = 3

    @property
    def public(self) -> int:
        """Its D-H value."""
        return pow(2, self.exponent, PRIME)

    def header(self, message_type: int, receiver: int = TAGS[SUBJECT]) -> Header:
        """A header from it to the subject."""
        return Header(self.version, message_type, self.tag, receiver)

    def keys(self, theirs: int) -> AkeKeys:
        """The key exchange's keys."""
        return ake_keys(Secret(minimal(pow(theirs, self.exponent, PRIME))))

    def commit(self) -> str:
        """A D-H Commit Message."""
        gx = codec.mpi(self.public) if self.gx_mpi is None else self.gx_mpi
        hashed = hashlib.sha256(gx).digest() if self.hashed is None else self.hashed
        return wire_text.encode(DhCommit(self.header(0x02), aes_ctr(self.r, 0, gx), hashed).serialise())

    def dh_key(self) -> str:
        """A D-H Key Message."""
        return wire_text.encode(DhKey(self.header(0x0A), self.public).serialise())

    def reveal(self, gy: int) -> str:
        """A Reveal Signature Message that answers a D-H Key."""
        keys = self.keys(gy)
        encrypted, mac = self._sign(gy, keys.m1, keys.c, keys.m2)
        return wire_text.encode(RevealSignature(self.header(0x11), self.r, encrypted, mac).serialise())

    def sign(self, gx: int) -> str:
        """A Signature Message that answers a Reveal Signature."""
        keys = self.keys(gx)
        encrypted, mac = self._sign(gx, keys.m1_prime, keys.c_prime, keys.m2_prime)
        return wire_text.encode(Signature(self.header(0x12), encrypted, mac).serialise())

    def _sign(self, theirs: int, m1: Secret, c: Secret, m2: Secret) -> tuple[bytes, bytes]:
        public_key = self.public_key
        if public_key is None:
            public_key = serialise_public_key(self.identity.dsa.public)
        signed = public_key + codec.integer(self.keyid)
        m = hmac.digest(m1, codec.mpi(self.public) + codec.mpi(theirs) + signed, "sha256")
        signature = self.identity.dsa.sign(m) if self.signature is None else self.signature
        encrypted = aes_ctr(c, 0, signed + signature + self.behind)
        return encrypted, hmac.digest(m2, codec.data(encrypted), "sha256")[:20]

    def data(
        self,
        theirs: int,
        plaintext: bytes = b"from the rogue",
        *,
        exponent: int | None = None,
        sender_keyid: int | None = None,
        recipient_keyid: int = 1,
        next_dh: int | None = None,
        counter: int = 1,
        flags: int = 0,
    ) -> str:
        """A Data Message with a right MAC under `exponent` and the subject's public value `theirs`."""
        exponent = exponent or self.exponent
        ours = pow(2, exponent, PRIME)
        sending, _ = session_keys(Secret(minimal(pow(theirs, exponent, PRIME))), ours > theirs)
        message = DataMessage(
            self.header(0x03),
            flags,
            self.keyid if sender_keyid is None else sender_keyid,
            recipient_keyid,
            pow(2, exponent + 1, PRIME) if next_dh is None else next_dh,
            counter,
            aes_ctr(sending.aes, counter, plaintext),
        )
        authenticated = message.authenticated()
        mac = hmac.digest(sending.mac, authenticated, "sha1")
        return wire_text.encode(authenticated + mac + codec.data(b""))
