"""A peer that follows the protocol where it likes: right MACs and signatures around contents of any kind.

Without it nothing that is mutated would get past a MAC, and what is parsed behind one (the
plaintext with its records, the numbers of SMP, the signed part of the key exchange) would
see well-formed input only.  This is that of versions 2 and 3; `forge4` has that of version 4.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any

from otrcore.crypto.cipher import aes_ctr
from otrcore.crypto.hashes import mac_sha1, mac_sha256, mac_sha256_160
from otrcore.wire import codec
from otrcore.wire import text as wire_text
from otrcore.wire.header import MessageType
from otrcore.wire.messages3 import DataMessage, RevealSignature, Signature
from tests.fuzz.changes import COUNTERS, NUMBERS, Changes
from tests.fuzz.formats import fields_of, header_of, message_of, raw_of
from tests.fuzz.states import SendingKeys, SigningKeys
from tests.pair import identity
from tests.robustness.scenes import PEER

PUBLIC_KEY_NUMBERS = 4
"""p, q, g and y."""


class Forger(ABC):
    """Makes data messages of the peer in the session of a room, in some version."""

    @abstractmethod
    def line(self, plaintext: bytes) -> str:
        """Return a data message that is taken, unless what was taken before forbids that."""

    @abstractmethod
    def hostile(self, plaintext: bytes, changes: Changes) -> str:
        """Return one whose MAC is right and of whose other fields one or two are not."""

    @abstractmethod
    def sealed(self, authenticated: bytes, old_mac_keys: bytes = b"") -> str:
        """Return the message whose first part is this, with the MAC that the last one would have."""

    def resealed(self, line: str, changes: Changes) -> str:
        """Return the last message with other fields, in number and order too, under a right MAC."""
        header, fields = fields_of(raw_of(line))
        *covered, _, _ = fields
        return self.sealed(header + changes.fields(covered), changes.blob())


class DataForger(Forger):
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

    def hostile(self, plaintext: bytes, changes: Changes) -> str:
        """Return one whose MAC is right and of whose other fields one or two are not."""
        random = changes.random
        fields = {
            "flags": random.choice((1, 2, 0xFF)),
            "sender_keyid": random.choice(NUMBERS),
            "recipient_keyid": random.choice(NUMBERS),
            "next_dh": changes.element(),
            "counter": random.choice((*COUNTERS[:-1], self.counter)),
        }
        names = random.sample(sorted(fields), random.choice((1, 1, 1, 2)))
        return self.line(plaintext, **{name: fields[name] for name in names})


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

    def written(self) -> bytes:
        """Return all of it."""
        return self.public() + self.signature + self.behind


class SigningForger(ABC):
    """Makes the message of a key exchange that is due with other contents, rightly signed."""

    content: bytes
    """What `line` would make the message of that is due."""

    @abstractmethod
    def line(self, content: bytes) -> str:
        """Return the message with this content."""

    @abstractmethod
    def hostile(self, changes: Changes) -> str:
        """Return one that gets past a MAC or a signature, and is wrong otherwise."""


class SignatureForger(SigningForger):
    """Makes Reveal Signature or Signature Messages that pass the MAC, and if asked for, the signature."""

    def __init__(self, keys: SigningKeys) -> None:
        self._keys = keys
        message = message_of(keys.line)
        assert isinstance(message, RevealSignature | Signature)
        self._message = message
        reader = codec.Reader(aes_ctr(keys.c, 0, message.encrypted_signature))
        kind = reader.take(2)
        numbers = tuple(codec.data(reader.data()) for _ in range(PUBLIC_KEY_NUMBERS))
        self._genuine = Signed(kind, numbers, reader.integer(), reader.rest())
        self.content = self._genuine.written()

    def line(self, content: bytes) -> str:
        """Return the message with this content, encrypted and under a right MAC."""
        encrypted = aes_ctr(self._keys.c, 0, content)
        mac = mac_sha256_160(self._keys.m2, codec.data(encrypted))
        changed = replace(self._message, encrypted_signature=encrypted, mac=mac)
        return wire_text.encode(changed.serialise())

    def _signature_over(self, signed: Signed) -> bytes:
        """Return the peer's true signature over a public key and key id of any kind."""
        own, theirs = codec.mpi(self._keys.own), codec.mpi(self._keys.theirs)
        return identity(PEER).dsa.sign(mac_sha256(self._keys.m1, own + theirs + signed.public()))

    def hostile(self, changes: Changes) -> str:
        """Return one whose MAC is right and whose public key or signature is not."""
        random = changes.random
        signed = self._genuine
        match random.randrange(8):
            case 0:
                return self.line(changes.damaged(self.content))
            case 1:
                signed = replace(signed, type=random.choice((b"\0\1", b"\xff\xff", b"")))
            case 2:
                signed = replace(signed, keyid=random.choice(NUMBERS))
            case 3:
                signed = replace(signed, behind=changes.blob())
            case 4:
                parts = [signed.signature[:20], signed.signature[20:]]
                q = signed.numbers[1][4:]
                parts[random.randrange(2)] = random.choice(
                    (bytes(20), q, b"\xff" * 20, bytes(19) + b"\1", b"")
                )
                return self.line(replace(signed, signature=b"".join(parts)).written())
            case _:
                numbers = list(signed.numbers)
                for at in random.sample(range(len(numbers)), random.choice((1, 1, 2))):
                    numbers[at] = changes.number(numbers[at][4:])
                signed = replace(signed, numbers=tuple(numbers))
        if random.random() < 0.6:
            signed = replace(signed, signature=self._signature_over(signed))
        return self.line(signed.written())
