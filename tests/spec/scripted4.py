"""A peer that speaks version 4 by a second reading of it, as other clients do; a test decides when."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

from tests.spec import reading4 as reading
from tests.spec.reading import data, integer, mpi
from tests.spec.reading4 import Ephemeral, Exchange, Person

NAMES = ("them", "us")
"""The peer's name, and ours."""


class Keys(NamedTuple):
    """Of one message."""

    encryption: bytes
    mac: bytes
    extra: bytes


def keys_of(chain: bytes) -> Keys:
    """Derive them from a chain key."""
    encryption = reading.kdf(0x15, chain)
    return Keys(encryption, reading.kdf(0x16, encryption), reading.kdf(0x17, b"\xff", chain))


@dataclass
class ScriptedSession:
    """One side of a session; it reveals what it has read when it makes new keys."""

    tag: int
    their_tag: int
    label: str
    root: bytes
    ecdh: int
    dh: int
    their_ecdh: bytes
    their_dh: int
    bob: bool
    forced_point: bytes | None = None
    """What a new ECDH key of ours leads to, where it is one that no scalar gives."""
    forced_number: bytes | None = None
    """The same of a D-H key."""
    i: int = 0
    pn: int = 0
    sending: bytes = b""
    receiving: bytes = b""
    sent: int = 0
    received: int = 0
    heard: bool = False
    brace: bytes = b""
    skipped: dict[tuple[bytes, int], Keys] = field(default_factory=dict)
    to_reveal: list[bytes] = field(default_factory=list)
    macs: list[bytes] = field(default_factory=list)
    """The MAC keys of what we have sent."""
    extra: bytes = b""
    """What extra symmetric keys of the last message are derived from."""
    _labels: count[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.brace = reading.kdf(0x01, reading.dh_secret(self.dh, self.their_dh), size=32)
        chain = self._next_root()
        if self.bob:
            self.receiving = chain
            self.rotate()
        else:
            self.sending = chain

    def _next_root(self, forced: bytes | None = None) -> bytes:
        """Return the new chain key."""
        shared = reading.ecdh(self.ecdh, self.their_ecdh) if forced is None else forced
        k = reading.kdf(0x03, shared, self.brace)
        self.root, chain = reading.kdf(0x12, self.root, k), reading.kdf(0x13, self.root, k)
        return chain

    @property
    def ratchet_id(self) -> int:
        """What stands in the next message."""
        return max(0, self.i - 1)

    def rotate(self) -> None:
        """New keys of ours."""
        fresh = Ephemeral(f"{self.label}/ratchet {next(self._labels)}")
        self.ecdh = fresh.ecdh
        if self.i % 3 == 0:
            self.dh = fresh.dh
            shared = reading.dh_secret(self.dh, self.their_dh)
            shared = shared if self.forced_number is None else self.forced_number
            self.brace = reading.kdf(0x01, shared, size=32)
        else:
            self.brace = reading.kdf(0x02, self.brace, size=32)
        self.sending = self._next_root(self.forced_point)
        self.i += 1
        self.pn, self.sent, self.heard = self.sent, 0, False

    def send(
        self,
        plaintext: bytes = b"text",
        *,
        flags: int = 0,
        i: int | None = None,
        j: int | None = None,
        pn: int | None = None,
        ecdh: bytes | None = None,
        dh: bytes | None = None,
        mac: bytes | None = None,
    ) -> bytes:
        """Return the next message, with one thing or another in it that is wrong, and a right MAC over it."""
        revealed = b""
        if self.heard:
            self.rotate()
            revealed, self.to_reveal = b"".join(self.to_reveal), []
        keys = keys_of(self.sending)
        self.sending = reading.kdf(0x14, self.sending)
        right_dh = mpi(reading.dh_public(self.dh)) if self.ratchet_id % 3 == 0 else mpi(0)
        covered = (
            reading.header(reading.DATA, self.tag, self.their_tag)
            + bytes([flags])
            + integer(self.pn if pn is None else pn)
            + integer(self.ratchet_id if i is None else i)
            + integer(self.sent if j is None else j)
            + (reading.public(self.ecdh) if ecdh is None else ecdh)
            + (right_dh if dh is None else dh)
            + data(reading.chacha20(keys.encryption[:32], plaintext))
        )
        self.sent += 1
        self.macs.append(keys.mac)
        self.extra = keys.extra
        right_mac = reading.kdf(0x18, keys.mac, covered)
        return covered + (right_mac if mac is None else mac) + data(revealed)

    def read(self, raw: bytes) -> bytes:
        """Return the plaintext of a message; AssertionError if it is not as it should be."""
        fields = reading.data_fields(raw)
        assert (fields.sender, fields.receiver) == (self.their_tag, self.tag)
        assert (fields.dh is not None) is (fields.i % 3 == 0)
        kept = self.skipped.pop((fields.ecdh, fields.j), None)
        if kept is None:
            if fields.ecdh != self.their_ecdh or not self.receiving:
                assert not self.heard
                assert fields.i == self.i
                self._skip(fields.pn)
                self.their_ecdh = fields.ecdh
                if fields.dh is not None:
                    self.their_dh = fields.dh
                    self.brace = reading.kdf(0x01, reading.dh_secret(self.dh, fields.dh), size=32)
                else:
                    self.brace = reading.kdf(0x02, self.brace, size=32)
                self.receiving, self.received, self.heard = self._next_root(), 0, True
                self.i += 1
                # Other clients refuse the first message of a ratchet, but for the very first, without one.
                assert fields.i == 0 or fields.j > 0 or fields.revealed
            assert fields.j >= self.received
            self._skip(fields.j)
            kept = keys_of(self.receiving)
            self.receiving = reading.kdf(0x14, self.receiving)
            self.received += 1
        assert reading.kdf(0x18, kept.mac, fields.covered) == fields.mac
        self.to_reveal.append(kept.mac)
        self.extra = kept.extra
        return reading.chacha20(kept.encryption[:32], fields.encrypted)

    def _skip(self, until: int) -> None:
        while self.receiving and self.received < until:
            self.skipped[self.their_ecdh, self.received] = keys_of(self.receiving)
            self.receiving = reading.kdf(0x14, self.receiving)
            self.received += 1


@dataclass(frozen=True)
class ScriptedPeer:
    """One instance of a peer; it keeps no state, and makes any message for any other."""

    tag: int
    person: Person = field(default_factory=lambda: Person("scripted"))
    names: tuple[str, str] = NAMES

    def identity(
        self,
        label: str,
        receiver: int = 0,
        *,
        profile: bytes | None = None,
        point: bytes | None = None,
        number: int | None = None,
        first_point: bytes | None = None,
        first_number: int | None = None,
    ) -> bytes:
        """Identity, with the keys of this label, or with others."""
        front = reading.header(reading.IDENTITY, self.tag, receiver)
        return front + self._body(label, b"", profile, point, number, first_point, first_number)

    def _body(
        self,
        label: str,
        sigma: bytes,
        profile: bytes | None = None,
        point: bytes | None = None,
        number: int | None = None,
        first_point: bytes | None = None,
        first_number: int | None = None,
    ) -> bytes:
        keys = Ephemeral(label)
        return (
            (self.person.profile(self.tag) if profile is None else profile)
            + (reading.public(keys.ecdh) if point is None else point)
            + mpi(reading.dh_public(keys.dh) if number is None else number)
            + sigma
            + (reading.public(keys.first_ecdh) if first_point is None else first_point)
            + mpi(reading.dh_public(keys.first_dh) if first_number is None else first_number)
        )

    def auth_r(
        self,
        label: str,
        identity: bytes,
        *,
        sigma: bytes | None = None,
        profile: bytes | None = None,
        point: bytes | None = None,
        number: int | None = None,
        first_point: bytes | None = None,
        first_number: int | None = None,
        members: tuple[bytes, ...] | None = None,
        names: tuple[str, str] | None = None,
    ) -> bytes:
        """Auth-R for an Identity of theirs; everything that it says is signed."""
        theirs = reading.exchange(identity)
        front = reading.header(reading.AUTH_R, self.tag, theirs.sender)
        given = (profile, point, number, first_point, first_number)
        keys = Ephemeral(label)
        ours = Exchange(
            reading.AUTH_R,
            self.tag,
            theirs.sender,
            self.person.profile(self.tag) if profile is None else profile,
            self.person.h,
            self.person.f,
            reading.public(keys.ecdh) if point is None else point,
            reading.dh_public(keys.dh) if number is None else number,
            b"",
            reading.public(keys.first_ecdh) if first_point is None else first_point,
            reading.dh_public(keys.first_dh) if first_number is None else first_number,
        )
        if sigma is None:
            t = reading.t_of(0, theirs, ours, names or self.names)
            sigma = reading.ring_sign(self.person.secret, (theirs.f, self.person.h, theirs.point), t)
        return front + self._body(label, sigma, *given)

    def auth_i(
        self, identity: bytes, auth_r: bytes, *, names: tuple[str, str] | None = None, start: int = 1
    ) -> bytes:
        """Auth-I for an Auth-R of theirs, whose own signature is checked."""
        ours, theirs = reading.exchange(identity), reading.exchange(auth_r)
        t = reading.t_of(0, ours, theirs, self.names[::-1])
        assert reading.ring_verifies((self.person.f, theirs.h, ours.point), t, theirs.sigma)
        t = reading.t_of(start, ours, theirs, names or self.names)
        sigma = reading.ring_sign(self.person.secret, (self.person.h, theirs.f, theirs.point), t)
        return reading.header(reading.AUTH_I, self.tag, theirs.sender) + sigma

    def accepts(self, auth_i: bytes, identity: bytes, auth_r: bytes) -> bool:
        """Whether an Auth-I is one for our Auth-R, and from whom the Identity was."""
        theirs, ours = reading.exchange(identity), reading.exchange(auth_r)
        t = reading.t_of(1, theirs, ours, self.names[::-1])
        assert auth_i[:11] == reading.header(reading.AUTH_I, theirs.sender, self.tag)
        return reading.ring_verifies((theirs.h, self.person.f, ours.point), t, auth_i[11:])

    def secret(self, label: str, theirs: bytes) -> bytes:
        """K, with the Identity or Auth-R of theirs."""
        keys, message = Ephemeral(label), reading.exchange(theirs)
        brace = reading.kdf(0x01, reading.dh_secret(keys.dh, message.number), size=32)
        return reading.mixed(keys.ecdh, message.point, brace)

    def ssid(self, label: str, theirs: bytes) -> bytes:
        """The session id."""
        return reading.kdf(0x04, self.secret(label, theirs), size=8)

    def session(
        self,
        label: str,
        theirs: bytes,
        *,
        forced_point: bytes | None = None,
        forced_number: bytes | None = None,
    ) -> ScriptedSession:
        """The session that our keys of this label and a message of theirs lead to."""
        keys, message = Ephemeral(label), reading.exchange(theirs)
        return ScriptedSession(
            self.tag,
            message.sender,
            label,
            reading.kdf(0x0B, self.secret(label, theirs)),
            keys.first_ecdh,
            keys.first_dh,
            message.first_point,
            message.first_number,
            bob=message.kind == reading.AUTH_R,
            forced_point=forced_point,
            forced_number=forced_number,
        )


def label_of_rank(name: str, *, above: bytes | None = None, below: bytes | None = None) -> str:
    """Return a label, beginning with a name, whose B ranks above, or below, another one."""
    for number in count():
        label = f"{name} {number}"
        rank = Ephemeral(label).rank
        if (above is None or rank > above) and (below is None or rank < below):
            return label
    raise AssertionError
