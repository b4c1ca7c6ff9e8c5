"""The double ratchet with brace keys (v4, "Key Management", "Data Exchange").

Both sides count ratchets together: 0 is the responder's of the key exchange, with the first
keys; then they take turns, as each side makes new keys before it first speaks after it has
heard the other.  In every third ratchet (0, 3, 6 ...) there are new D-H keys, too, named in
each of its messages; in the others the brace key is hashed on.  The initiator makes new keys
as soon as the session is secured; its first ratchet is called 0 as well.

Message keys that were skipped are kept for messages that come late, within limits.  Nothing
of all this changes before the MAC of a message is found good.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..crypto.cipher import CHACHA20_KEY_BYTES, chacha20
from ..crypto.dh3072 import BraceKeyPair, is_member
from ..crypto.ed448 import KeyPair, Point
from ..crypto.hashes import same
from ..crypto.random import Random
from ..crypto.secret import Secret
from ..errors import PeerError, Reason
from ..wire.codec import MAC_KEY_BYTES_4
from ..wire.header import Header
from ..wire.messages4 import DataMessage
from . import kdf
from .profile import legal_point

MAX_SKIPPED = 1000
"""Message keys that are kept for late messages, and that one message may skip in one ratchet.  Whoever
forges messages makes us compute so many hashes; a peer that lost more lines than that must begin anew."""

KEPT_RATCHETS = 8
"""Ratchets of the peer after which its skipped keys are forgotten: no line is that late on IRC, and who
takes our memory could read with them what was held back on the way."""

MAX_REVEALED = 16
"""MAC keys in one message: each makes it 85 characters longer, and IRC takes some 350 a line.  The rest
follows in later ratchets."""

MAX_UNREVEALED = 64
"""MAC keys that wait to be revealed, and that the last message reveals.  Beyond, the oldest stay secret,
which costs only the deniability of a peer that talks on and on without an answer."""

MAX_COUNT = 2**32 - 1
"""Largest number of a message or ratchet."""


@dataclass(frozen=True, slots=True)
class MessageKeys:
    """What one message is encrypted and authenticated with."""

    encryption: Secret
    extra: Secret

    @classmethod
    def of(cls, chain: Secret) -> MessageKeys:
        """Derive them from the chain key of the message."""
        return cls(kdf.message_key(chain), kdf.extra_symmetric_key(chain))

    @property
    def mac(self) -> Secret:
        """MKmac."""
        return kdf.mac_key(self.encryption)


@dataclass(frozen=True, slots=True)
class Chain:
    """The messages of one ratchet of one side: its id, the next message's number and chain key."""

    ratchet_id: int
    key: Secret = field(repr=False)
    count: int = 0

    def next(self) -> Chain:
        """Return the chain behind the next message."""
        return Chain(self.ratchet_id, kdf.next_chain_key(self.key), self.count + 1)


@dataclass(frozen=True, slots=True)
class Skipped:
    """Keys of a message that has not come, and at which of the peer's ratchets they were set aside."""

    keys: MessageKeys
    ratchet: int


SkippedKeys = dict[tuple[bytes, int], Skipped]
"""By the ECDH key and the number of the message, the one set aside longest ago first."""


@dataclass(slots=True)
class Received:
    """What a ratchet would be after a message, and the keys of that message: a step on approval."""

    keys: MessageKeys
    chain: Chain
    skipped: SkippedKeys
    turn: Turn | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """New keys of the peer, and what follows from them."""

    root: Secret
    brace: Secret
    ecdh: Point
    dh: int


class Ratchet:
    """Our keys, the peer's, and the chains of both directions."""

    __slots__ = (
        "_brace",
        "_dh",
        "_ecdh",
        "_heard",
        "_i",
        "_past",
        "_previous_count",
        "_random",
        "_receiving",
        "_revealing",
        "_root",
        "_sending",
        "_skipped",
        "_their_dh",
        "_their_ecdh",
        "_turns",
        "_unrevealed",
        "generation",
    )

    def __init__(
        self,
        random: Random,
        root: Secret,
        ecdh: KeyPair,
        dh: BraceKeyPair,
        their_ecdh: Point,
        their_dh: int,
        *,
        receives: bool,
    ) -> None:
        """Begin with the first keys of both; `receives` on the side of the initiator."""
        self._random = random
        self._ecdh, self._dh = ecdh, dh
        self._their_ecdh, self._their_dh = their_ecdh, their_dh
        self._brace = kdf.third_brace_key(dh.shared_secret(their_dh))
        k = kdf.mixed_shared_secret(ecdh.shared_secret(their_ecdh), self._brace)
        self._root, key = kdf.ratchet_keys(root, k)
        self._i = 0
        self._previous_count = 0
        self._receiving: Chain | None = None
        self._skipped: SkippedKeys = {}
        self._past: deque[bytes] = deque(maxlen=KEPT_RATCHETS)
        """ECDH keys of the peer's last ratchets: what was made with them and is not kept is a repetition."""
        self._turns = 0
        self._unrevealed: list[Secret] = []
        self._revealing = b""
        self._heard = False
        """Whether the peer has made new keys since ours were made, so that it is our turn."""
        self.generation = 0
        """How many times we have made new keys."""
        self._sending = Chain(0, key)
        if receives:
            self._receiving = self._sending
            self._rotate(0)

    def encrypt(self, plaintext: bytes, header: Header, flags: int) -> bytes:
        """Return the next data message.

        ValueError if there have been 2^32 messages in a ratchet, or ratchets.
        """
        self.take_turn()
        sending = self._sending
        if max(sending.count, sending.ratchet_id) > MAX_COUNT:
            raise ValueError("this chain of keys has been used up")
        encryption = kdf.message_key(sending.key)
        message = DataMessage(
            header,
            flags,
            self._previous_count,
            sending.ratchet_id,
            sending.count,
            self._ecdh.public.encoded,
            self._dh.public if _has_dh_key(sending.ratchet_id) else None,
            chacha20(encryption[:CHACHA20_KEY_BYTES], plaintext),
        )
        authenticated = message.authenticated()
        revealed, self._revealing = self._revealing, b""
        self._sending = sending.next()
        mac = kdf.authenticator(kdf.mac_key(encryption), authenticated)
        return b"".join((authenticated, mac, len(revealed).to_bytes(4, "big"), revealed))

    def next_extra_key(self) -> Secret:
        """Return what the extra symmetric keys of the next message are derived from."""
        self.take_turn()
        return kdf.extra_symmetric_key(self._sending.key)

    def take_turn(self) -> None:
        """Make new keys before we first speak after the peer has made some."""
        if self._heard:
            self._rotate(self._sending.count)
            self._revealing = b"".join(self._unrevealed[:MAX_REVEALED])
            del self._unrevealed[:MAX_REVEALED]

    def decrypt(self, message: DataMessage, authenticated: bytes) -> tuple[bytes, Secret]:
        """Return plaintext and extra symmetric key, and go on; PeerError, and nothing changes.

        `authenticated` is the message up to its MAC as it came.
        """
        step = self._advance(message)
        mac = step.keys.mac
        if not same(kdf.authenticator(mac, authenticated), message.mac):
            raise PeerError(Reason.UNREADABLE, "wrong MAC")
        plaintext = chacha20(step.keys.encryption[:CHACHA20_KEY_BYTES], message.encrypted)
        self._commit(step, mac)
        return plaintext, step.keys.extra

    def used_mac_keys(self) -> bytes:
        """Return the MAC keys still to reveal, 64 bytes each, with those of messages that never came."""
        unsent = [*(entry.keys.mac for entry in self._skipped.values()), self._revealing, *self._unrevealed]
        return b"".join(unsent)[-MAX_UNREVEALED * MAC_KEY_BYTES_4 :]

    def reveal_later(self, mac_keys: bytes) -> None:
        """Add MAC keys that can never be accepted again."""
        keys = (mac_keys[at : at + MAC_KEY_BYTES_4] for at in range(0, len(mac_keys), MAC_KEY_BYTES_4))
        self._keep_for_revealing(Secret(key) for key in keys)

    def retire(self) -> None:
        """Accept nothing from here on: the next message, which is the last, reveals what it can."""
        self.take_turn()
        self._revealing = self.used_mac_keys()
        self._unrevealed, self._skipped, self._receiving = [], {}, None
        self._past.clear()

    def _rotate(self, previous_count: int) -> None:
        """Make new keys for a ratchet of ours (v4, "Rotating ECDH Keys and Brace Key as sender")."""
        self._previous_count = previous_count
        self._ecdh = KeyPair.generate(self._random)
        if _has_dh_key(self._i):
            self._dh = BraceKeyPair.generate(self._random)
            self._brace = kdf.third_brace_key(self._dh.shared_secret(self._their_dh))
        else:
            self._brace = kdf.brace_key(self._brace)
        k = kdf.mixed_shared_secret(self._ecdh.shared_secret(self._their_ecdh), self._brace)
        self._root, key = kdf.ratchet_keys(self._root, k)
        self._sending = Chain(self._i, key)
        self._i += 1
        self._heard = False
        self.generation += 1

    def _advance(self, message: DataMessage) -> Received:
        """Return what this message would lead to; PeerError if no key of ours can be its key."""
        if (message.dh is not None) is not _has_dh_key(message.ratchet_id):
            raise PeerError(Reason.UNREADABLE, "a D-H key in a ratchet without one, or the other way round")
        kept = self._skipped.get((message.ecdh, message.message_id))
        receiving = self._receiving
        if kept is not None and receiving is not None:
            others = {place: entry for place, entry in self._skipped.items() if entry is not kept}
            return Received(kept.keys, receiving, others)
        if message.ecdh in self._past:
            raise PeerError(Reason.REPLAYED)
        if receiving is not None and message.ecdh == self._their_ecdh.encoded:
            if message.ratchet_id != receiving.ratchet_id:
                raise PeerError(Reason.UNREADABLE, "a ratchet under another number")
            if message.message_id < receiving.count:
                raise PeerError(Reason.REPLAYED)
            return _received(message, receiving, dict(self._skipped), self._turns, None)
        return self._turn(message)

    def _turn(self, message: DataMessage) -> Received:
        """Take new keys of the peer (v4, "Rotating ECDH Keys and Brace Key as receiver")."""
        # It cannot have new keys twice without having heard of ours in between.
        if self._heard or message.ratchet_id != self._i:
            raise PeerError(Reason.UNREADABLE, "a ratchet out of turn")
        ecdh = legal_point(message.ecdh, Reason.UNREADABLE)
        skipped = dict(self._skipped)
        if self._receiving is not None:
            place = self._their_ecdh.encoded
            _skip(self._receiving, message.previous_count, place, skipped, self._turns)
        if message.dh is None:
            dh, brace = self._their_dh, kdf.brace_key(self._brace)
        else:
            if not is_member(message.dh):
                raise PeerError(Reason.UNREADABLE, "an illegal D-H value")
            dh, brace = message.dh, kdf.third_brace_key(self._dh.shared_secret(message.dh))
        k = kdf.mixed_shared_secret(self._ecdh.shared_secret(ecdh), brace)
        root, key = kdf.ratchet_keys(self._root, k)
        turn = Turn(root, brace, ecdh, dh)
        return _received(message, Chain(self._i, key), skipped, self._turns + 1, turn)

    def _commit(self, step: Received, mac: Secret) -> None:
        self._receiving = step.chain
        self._skipped = step.skipped
        used = [mac]
        if step.turn is not None:
            self._past.append(self._their_ecdh.encoded)
            self._root, self._brace = step.turn.root, step.turn.brace
            self._their_ecdh, self._their_dh = step.turn.ecdh, step.turn.dh
            self._i += 1
            self._turns += 1
            self._heard = True
        while self._skipped:
            place, oldest = next(iter(self._skipped.items()))
            if len(self._skipped) <= MAX_SKIPPED and oldest.ratchet > self._turns - KEPT_RATCHETS:
                break
            used.append(oldest.keys.mac)
            del self._skipped[place]
        self._keep_for_revealing(iter(used))

    def _keep_for_revealing(self, mac_keys: Iterator[Secret]) -> None:
        self._unrevealed.extend(mac_keys)
        del self._unrevealed[:-MAX_UNREVEALED]


def _received(
    message: DataMessage, chain: Chain, skipped: SkippedKeys, ratchet: int, turn: Turn | None
) -> Received:
    chain = _skip(chain, message.message_id, message.ecdh, skipped, ratchet)
    return Received(MessageKeys.of(chain.key), chain.next(), skipped, turn)


def _skip(chain: Chain, until: int, ecdh: bytes, skipped: SkippedKeys, ratchet: int) -> Chain:
    """Set aside the keys of the messages before `until`, and return the chain from there on."""
    if until - chain.count > MAX_SKIPPED:
        raise PeerError(Reason.UNREADABLE, "too many messages were lost before it")
    while chain.count < until:
        skipped[ecdh, chain.count] = Skipped(MessageKeys.of(chain.key), ratchet)
        chain = chain.next()
    return chain


def _has_dh_key(ratchet_id: int) -> bool:
    """Whether there are new D-H keys in a ratchet, which all of its messages name then."""
    return ratchet_id % 3 == 0
