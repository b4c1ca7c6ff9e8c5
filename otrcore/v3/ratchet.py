"""The rotation of Diffie-Hellman keys by key ids (v3, "Exchanging data", "Key management").

Each side numbers its D-H keys.  A message names the two keys it was made with, both
of them acknowledged by the other side, and announces the sender's next one.  A key
is forgotten as soon as its successor is acknowledged; the MAC keys that came of it
and were used are then published in the next message.

Keys are made when they are first needed: our next D-H key when it is announced, the
keys of a pair when a message names it.  A peer cannot see the difference.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..crypto.modp import DhKeyPair
from ..crypto.random import Random
from ..crypto.secret import Secret
from ..errors import PeerError, Reason
from .kdf import DirectionKeys, extra_key, session_keys

MAX_KEYID = 2**32 - 1
MAX_COUNTER = 2**64 - 1

MAX_UNREVEALED = 64 * 20
"""Bytes of MAC keys that wait to be revealed.  A peer can make us forget a key with each message
while we say nothing; beyond the limit the oldest stay secret, which costs only that peer's deniability."""


@dataclass(slots=True)
class Pair:
    """The keys of one pair of D-H keys, and how far each direction has counted."""

    sending: DirectionKeys
    receiving: DirectionKeys
    extra: Secret
    sent: int = 0
    received: int = 0
    mac_used: bool = False


class Ratchet:
    """Our two newest D-H keys, their two newest, and the pairs among them that were needed."""

    __slots__ = (
        "_current",
        "_next",
        "_pairs",
        "_random",
        "_their_current",
        "_their_previous",
        "_unrevealed",
        "our_keyid",
        "their_keyid",
    )

    def __init__(
        self,
        random: Random,
        ours: DhKeyPair,
        our_keyid: int,
        theirs: int,
        their_keyid: int,
        shared_secret: Secret,
    ) -> None:
        """Begin with the keys of the key exchange, whose shared secret is that of the first pair."""
        self._random = random
        self._current = ours
        self._next: DhKeyPair | None = None
        self.our_keyid = our_keyid
        self._their_current = theirs
        self._their_previous: int | None = None
        self.their_keyid = their_keyid
        self._pairs = {(our_keyid, their_keyid): _pair(ours, theirs, shared_secret)}
        self._unrevealed = b""

    def sending_pair(self) -> Pair:
        """Return the pair that the next message is made with: `our_keyid` and `their_keyid`."""
        return self._find(self.our_keyid, self._current, self.their_keyid, self._their_current)

    def next_public(self) -> int:
        """Return the public value of our next D-H key, which the peer may use once it was told."""
        if self._next is None:
            self._next = DhKeyPair.generate(self._random)
        return self._next.public

    def receiving_pair(self, sender_keyid: int, recipient_keyid: int) -> Pair:
        """Return the pair that a received message names; PeerError(UNREADABLE) if it is none of ours.

        A message to our next key before it was announced cannot be genuine.  The keys of
        a pair stay cached even if the message turns out forged, so that forging costs us nothing.
        """
        ours = {self.our_keyid: self._current, self.our_keyid + 1: self._next}.get(recipient_keyid)
        theirs = {self.their_keyid: self._their_current, self.their_keyid - 1: self._their_previous}.get(
            sender_keyid
        )
        if ours is None or theirs is None:
            raise PeerError(Reason.UNREADABLE, "unknown key ids")
        return self._find(recipient_keyid, ours, sender_keyid, theirs)

    def rotate(self, sender_keyid: int, recipient_keyid: int, next_dh: int) -> None:
        """Forget what a verified message makes old; ours first, then theirs.

        PeerError, before anything changes, if the peer has counted its keys to the end.
        """
        theirs_is_newest = sender_keyid == self.their_keyid
        if theirs_is_newest and self.their_keyid == MAX_KEYID:
            raise PeerError(Reason.UNREADABLE, "no key ids are left")
        if recipient_keyid == self.our_keyid + 1 and self._next is not None:
            self._forget({pair for pair in self._pairs if pair[0] == self.our_keyid})
            self._current, self._next = self._next, None
            self.our_keyid += 1
        if theirs_is_newest:
            self._forget({pair for pair in self._pairs if pair[1] == self.their_keyid - 1})
            self._their_previous, self._their_current = self._their_current, next_dh
            self.their_keyid += 1

    def take_revealed(self) -> bytes:
        """Return the MAC keys to publish now, and forget them."""
        keys, self._unrevealed = self._unrevealed, b""
        return keys

    def used_mac_keys(self) -> bytes:
        """Return the MAC keys still to reveal, with those of the pairs in use."""
        return self._unrevealed + b"".join(
            pair.receiving.mac for pair in self._pairs.values() if pair.mac_used
        )

    def retire(self) -> None:
        """Accept nothing from here on: every used MAC key goes into the next message, which is the last."""
        pair = self.sending_pair()
        self._forget(set(self._pairs))
        self._pairs[self.our_keyid, self.their_keyid] = pair

    def reveal_later(self, mac_keys: bytes) -> None:
        """Add MAC keys, 20 bytes each, that can never be accepted again."""
        self._unrevealed = (self._unrevealed + mac_keys)[-MAX_UNREVEALED:]

    def _forget(self, pairs: set[tuple[int, int]]) -> None:
        for names in sorted(pairs):
            pair = self._pairs.pop(names)
            if pair.mac_used:
                self.reveal_later(pair.receiving.mac)

    def _find(self, our_keyid: int, ours: DhKeyPair, their_keyid: int, theirs: int) -> Pair:
        names = our_keyid, their_keyid
        pair = self._pairs.get(names)
        if pair is None:
            pair = self._pairs[names] = _pair(ours, theirs, ours.shared_secret(theirs))
        return pair


def _pair(ours: DhKeyPair, theirs: int, shared_secret: Secret) -> Pair:
    return Pair(*session_keys(shared_secret, ours.public > theirs), extra_key(shared_secret))
