"""A peer that keeps no state: a test decides which message it makes, for what, and what is wrong with it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cache

from tests.spec import reading
from tests.spec.reading import PrivateKey, data, integer, mpi

R = bytes(range(16))
"""The key that every scripted Commit is encrypted with."""


@cache
def exponents() -> tuple[int, ...]:
    """Return private exponents, those first whose Commit has the lowest hash."""
    pool = [int.from_bytes(hashlib.sha512(b"%d" % number).digest()[:40], "big") for number in range(32)]
    return tuple(sorted(pool, key=lambda x: hashlib.sha256(mpi(reading.public(x))).digest()))


@dataclass(frozen=True)
class Forgery:
    """What is wrong with a signature part; the MAC over it is right unless `mac` spoils that too.

    `dh_values`, `pubkey` and `keyid` are what is signed, None for the right ones; `shown_pubkey` and
    `shown_keyid` what is sent in their place, None for the same.
    """

    dh_values: tuple[int, ...] | None = None
    pubkey: bytes | None = None
    shown_pubkey: bytes | None = None
    keyid: int | None = None
    shown_keyid: int | None = None
    signature: bytes | None = None
    tail: bytes = b""
    cut: int = 0
    mac: bytes | None = None
    mac_without_length: bool = False
    keys_of_the_other_role: bool = False


RIGHT = Forgery()


@dataclass(frozen=True)
class ScriptedPeer:
    """One instance of a peer, with one D-H key whose serial number is `keyid`.

    With `forced`, a public value and the shared secret that it leads to, the D-H key is one
    that no exponent gives: everything else about the messages is still right.  In version 2
    the instance tags, its own and those that are passed, are not written.
    """

    tag: int
    exponent: int
    keyid: int = 1
    dsa: PrivateKey = field(default_factory=lambda: reading.private_key("scripted"))
    forced: tuple[int, int] | None = None
    version: int = 3

    @property
    def public(self) -> int:
        """The public D-H value."""
        return self.forced[0] if self.forced else reading.public(self.exponent)

    def secret(self, theirs: int) -> int:
        """Return s."""
        return self.forced[1] if self.forced else reading.power(theirs, self.exponent)

    def _header(self, kind: int, receiver: int) -> bytes:
        return reading.header(self.version, kind, self.tag, receiver)

    def commit(self, receiver: int = 0, *, gx_mpi: bytes | None = None, hashed: bytes | None = None) -> bytes:
        """D-H Commit, to everybody unless said otherwise."""
        gx_mpi = mpi(self.public) if gx_mpi is None else gx_mpi
        hashed = hashlib.sha256(gx_mpi).digest() if hashed is None else hashed
        return self._header(reading.COMMIT, receiver) + data(reading.ctr(R, 0, gx_mpi)) + data(hashed)

    def key(self, receiver: int, *, gy: int | None = None) -> bytes:
        """D-H Key."""
        return self._header(reading.KEY, receiver) + mpi(self.public if gy is None else gy)

    def reveal(self, receiver: int, gy: int, *, r: bytes = R, wrong: Forgery = RIGHT) -> bytes:
        """Reveal Signature, for the D-H Key that we received."""
        header = self._header(reading.REVEAL, receiver)
        return header + data(r) + self._signature_part(gy, True, wrong)

    def signature(self, receiver: int, gx: int, *, wrong: Forgery = RIGHT) -> bytes:
        """Signature, for the opened Commit that we received."""
        return self._header(reading.SIGNATURE, receiver) + self._signature_part(gx, False, wrong)

    def _signature_part(self, theirs: int, initiator: bool, wrong: Forgery) -> bytes:
        keys = reading.ake_secrets(self.secret(theirs))
        if initiator != wrong.keys_of_the_other_role:
            c, m1, m2 = keys.c, keys.m1, keys.m2
        else:
            c, m1, m2 = keys.c_prime, keys.m1_prime, keys.m2_prime
        signed_pubkey = self.dsa.public.encoded if wrong.pubkey is None else wrong.pubkey
        signed_keyid = self.keyid if wrong.keyid is None else wrong.keyid
        values = (self.public, theirs) if wrong.dh_values is None else wrong.dh_values
        m = reading.sha256_mac(m1, b"".join(map(mpi, values)) + signed_pubkey + integer(signed_keyid))
        x = (
            (signed_pubkey if wrong.shown_pubkey is None else wrong.shown_pubkey)
            + integer(signed_keyid if wrong.shown_keyid is None else wrong.shown_keyid)
            + (self.dsa.sign(m) if wrong.signature is None else wrong.signature)
            + wrong.tail
        )
        encrypted = reading.ctr(c, 0, x[: len(x) - wrong.cut])
        covered = encrypted if wrong.mac_without_length else data(encrypted)
        mac = reading.sha256_mac(m2, covered)[:20] if wrong.mac is None else wrong.mac
        return data(encrypted) + mac

    def data_message(
        self,
        receiver: int,
        theirs: int,
        plaintext: bytes,
        *,
        recipient_keyid: int = 1,
        sender_keyid: int | None = None,
        next_dh: int | None = None,
        counter: int = 1,
        flags: int = 0,
        old_mac_keys: bytes = b"",
        spoil_mac: bool = False,
    ) -> bytes:
        """Data Message under our key and `theirs`; announces the key of `successor` unless told otherwise."""
        keys = reading.data_keys(self.exponent, theirs)
        ta = (
            self._header(reading.DATA, receiver)
            + bytes([flags])
            + integer(self.keyid if sender_keyid is None else sender_keyid)
            + integer(recipient_keyid)
            + mpi(self.successor.public if next_dh is None else next_dh)
            + counter.to_bytes(8, "big")
            + data(reading.ctr(keys.sending_aes, counter, plaintext))
        )
        mac = reading.sha1_mac(keys.sending_mac, ta)
        if spoil_mac:
            mac = bytes([mac[0] ^ 1]) + mac[1:]
        return ta + mac + data(old_mac_keys)

    @property
    def successor(self) -> ScriptedPeer:
        """The same instance with its next D-H key."""
        digest = hashlib.sha512(integer(self.keyid) + mpi(self.exponent)).digest()
        exponent = int.from_bytes(digest[:40], "big")
        return ScriptedPeer(self.tag, exponent, self.keyid + 1, self.dsa, version=self.version)

    def open(self, raw: bytes, theirs: int) -> tuple[bytes, reading.DataFields]:
        """Verify a Data Message made with `theirs` for our key; return its plaintext and its fields."""
        fields = reading.data_fields(raw)
        assert fields.version == self.version
        assert fields.tags[1:] == ((self.tag,) if self.version == 3 else ())
        assert fields.recipient_keyid == self.keyid
        keys = reading.data_keys(self.exponent, theirs)
        assert reading.sha1_mac(keys.receiving_mac, fields.ta) == fields.mac
        return reading.ctr(keys.receiving_aes, fields.ctr, fields.encrypted), fields
