"""The same in version 4: messages of the double ratchet, and of a key exchange whose signatures are right."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

from otrcore.crypto import ring
from otrcore.crypto.cipher import CHACHA20_KEY_BYTES, chacha20
from otrcore.crypto.random import system_random
from otrcore.errors import MalformedMessage
from otrcore.v4 import dake, kdf
from otrcore.v4.ratchet import MAX_SKIPPED, Ratchet
from otrcore.wire import codec
from otrcore.wire import text as wire_text
from otrcore.wire.codec import POINT_BYTES
from otrcore.wire.header import MessageType
from otrcore.wire.keys import serialise_public_key
from otrcore.wire.messages4 import AuthR, DataMessage, Identity, parse
from otrcore.wire.profile import ClientProfile
from tests.fuzz.changes import COUNTERS, NUMBERS, Changes
from tests.fuzz.forge import Forger, SigningForger
from tests.fuzz.formats import fields_of, header_of, raw_of
from tests.fuzz.states import DakeKeys
from tests.pair import TAGS, identity
from tests.robustness.scenes import PEER, SUBJECT
from tests.snapshot import uncopied

COUNTS = (MAX_SKIPPED - 1, MAX_SKIPPED, MAX_SKIPPED + 1, MAX_SKIPPED + 2)

MESSAGES = 100
"""Messages after which the same ones are made again: those that a subject has missed come late then."""


class RatchetForger(Forger):
    """Makes data messages of the peer in the session of a room, with whatever fields are asked for."""

    def __init__(self, ratchet: Ratchet) -> None:
        self._original = ratchet
        self._made = 0
        self._begin()

    def _begin(self) -> None:
        fixed = {id(value): value for value in uncopied(self._original)}
        self._ratchet = copy.deepcopy(self._original, fixed)
        self._ratchet.take_turn()
        self._key = self._ratchet._sending.key

    def line(self, plaintext: bytes, *, ahead: int = 0, **fields: Any) -> str:
        """Return a data message that is taken, unless a field of it, or what was taken before, forbids that.

        It is the one that comes so many messages after the next one.
        """
        if self._made == MESSAGES:
            self._made = 0
            self._begin()
        self._made += 1
        ratchet = self._ratchet
        chain = ratchet._sending
        ratchet._sending = chain.next()
        for _ in range(ahead):
            chain = chain.next()
        message = DataMessage(
            header=header_of(4, MessageType.DATA),
            flags=0,
            previous_count=ratchet._previous_count,
            ratchet_id=chain.ratchet_id,
            message_id=chain.count,
            ecdh=ratchet._ecdh.public.encoded,
            dh=ratchet._dh.public if chain.ratchet_id % 3 == 0 else None,
            encrypted=chacha20(kdf.message_key(chain.key)[:CHACHA20_KEY_BYTES], plaintext),
        )
        self._key = chain.key
        return self.sealed(replace(message, **fields).authenticated())

    def sealed(self, authenticated: bytes, old_mac_keys: bytes = b"") -> str:
        """Return the message whose first part is this, with the MAC of the one that was made last."""
        mac = kdf.authenticator(kdf.mac_key(kdf.message_key(self._key)), authenticated)
        return wire_text.encode(authenticated + mac + codec.data(old_mac_keys))

    def hostile(self, plaintext: bytes, changes: Changes) -> str:
        """Return one whose MAC is right and of whose other fields one or two are not, or that comes early."""
        random = changes.random
        count = self._ratchet._sending.count
        fields: dict[str, Any] = {
            "ahead": random.choice((1, 2, 5, MAX_SKIPPED - count, MAX_SKIPPED + 1)),
            "flags": random.choice((1, 2, 0xFF)),
            "previous_count": random.choice((*NUMBERS, *COUNTS)),
            "ratchet_id": random.choice(NUMBERS),
            "message_id": random.choice((*NUMBERS, *COUNTS, count + 1)),
            "ecdh": changes.point(self._ratchet._ecdh.public.encoded),
            "dh": random.choice((None, self._ratchet._dh.public, changes.element())),
        }
        names = random.sample(sorted(fields), random.choice((1, 1, 1, 2)))
        return self.line(plaintext, **{name: fields[name] for name in names})


class DakeForger(SigningForger):
    """Makes the message of the key exchange that is due with other contents, all signatures of them right."""

    def __init__(self, keys: DakeKeys) -> None:
        self._keys = keys
        raw = raw_of(keys.line)
        header = parse(raw).header
        self._header = raw[: header.length]
        self.content = raw[header.length :]

    def line(self, content: bytes) -> str:
        """Return the message with this behind its header, signed anew if it can be read.

        What the Auth-I Message holds is a signature, and stays what it is.
        """
        raw = self._header + content
        try:
            message = parse(raw)
        except MalformedMessage:
            return wire_text.encode(raw)
        if isinstance(message, Identity | AuthR):
            message = replace(message, profile=_signed(message.profile))
        if isinstance(message, AuthR):
            message = replace(message, sigma=self._sigma(message))
        return wire_text.encode(message.serialise())

    def hostile(self, changes: Changes) -> str:
        """Return one with other fields, all signatures of them right."""
        header, fields = fields_of(self._header + self.content)
        message = parse(self._header + self.content)
        if isinstance(message, Identity | AuthR) and changes.random.random() < 0.4:
            profile = replace(message.profile, **self._claims(message.profile, changes))
            return self.line(replace(message, profile=profile).serialise()[len(header) :])
        return self.line(changes.fields(fields))

    def _claims(self, genuine: ClientProfile, changes: Changes) -> dict[str, Any]:
        """Return what else a profile may say that can be read."""
        random = changes.random
        key = serialise_public_key(identity(PEER).dsa.public)
        claims: dict[str, Any] = {
            "owner_tag": random.choice((0, 1, 0xFF, TAGS[SUBJECT], 2**32 - 1)),
            "public_key": changes.point(genuine.public_key)[:POINT_BYTES].ljust(POINT_BYTES, b"\0"),
            "forging_key": changes.point(genuine.forging_key)[:POINT_BYTES].ljust(POINT_BYTES, b"\0"),
            "versions": random.choice(("", "4", "3", "34", "24", "45", "\0", "4" * 16)),
            "expires": random.choice((*COUNTERS, genuine.expires - 10**6, genuine.expires + 10**9)),
            "dsa_key": random.choice((key, key[:-1] + b"\0")),
            "transitional_signature": random.choice((bytes(40), b"\xff" * 40)),
        }
        names = random.sample(sorted(claims), random.choice((1, 1, 2)))
        return {name: claims[name] for name in names}

    def _sigma(self, message: AuthR) -> bytes:
        assert self._keys.identity is not None
        assert self._keys.ring is not None
        context = dake._auth_r_context(self._keys.identity, message, self._keys.names)
        return ring.sign(system_random, identity(PEER).ed448.pair, self._keys.ring, context)


def _signed(profile: ClientProfile) -> ClientProfile:
    return replace(profile, signature=identity(PEER).ed448.sign(profile.signed()))
