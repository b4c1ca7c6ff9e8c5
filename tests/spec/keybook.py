"""The key management of one side, kept from the outside as the specification describes it.

It makes its keys early, as the specification does, where the library makes them late; it
is told every message that this side sends or gets, and foretells which are accepted,
which keys each is made with, and which MAC keys it reveals.
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.spec import reading
from tests.spec.reading import DataFields, DataKeys

MOST_REVEALED = 64
"""Keys that wait to be revealed at most; older ones stay secret."""


class KeyBook:
    """One side of one session; `exponents` knows the private exponent of each public value of this side."""

    def __init__(
        self, exponents: Mapping[int, int], own: int, theirs: int, inherited: tuple[bytes, ...] = ()
    ) -> None:
        """Begin with the keys of the exchange, which have key id 1, and what an older session left."""
        self._exponents = exponents
        self.our_keyid = 2
        self._own: dict[int, int] = {1: own}
        self._theirs = {1: theirs}
        self.their_keyid = 1
        self._used: set[tuple[int, int]] = set()
        self._sent: dict[tuple[int, int], int] = {}
        self._received: dict[tuple[int, int], int] = {}
        self._waiting = inherited

    def _keys(self, ours: int, theirs: int) -> DataKeys:
        return reading.data_keys(self._exponents[self._own[ours]], self._theirs[theirs])

    def sends(self, fields: DataFields) -> bytes:
        """Check a message of this side in every field; return its plaintext."""
        pair = self.our_keyid - 1, self.their_keyid
        assert (fields.sender_keyid, fields.recipient_keyid) == pair
        self._sent[pair] = self._sent.get(pair, 0) + 1
        assert fields.ctr == self._sent[pair]
        assert self._own.setdefault(self.our_keyid, fields.next_dh) == fields.next_dh
        keys = self._keys(*pair)
        assert fields.mac == reading.sha1_mac(keys.sending_mac, fields.ta)
        assert sorted(fields.old_mac_keys) == sorted(self._waiting)
        self._waiting = ()
        return reading.ctr(keys.sending_aes, fields.ctr, fields.encrypted)

    def ends(self, fields: DataFields) -> None:
        """Check the last message of this side: nothing is accepted any more, so everything is revealed."""
        self._waiting = self.leaves()
        self.sends(fields)

    def gets(self, fields: DataFields) -> bytes | None:
        """Return the plaintext of a message that is accepted, else None."""
        pair = fields.recipient_keyid, fields.sender_keyid
        if pair not in self.acceptable():
            return None
        keys = self._keys(*pair)
        if reading.sha1_mac(keys.receiving_mac, fields.ta) != fields.mac:
            return None
        self._used.add(pair)
        if fields.ctr <= self._received.get(pair, 0):
            return None
        self._received[pair] = fields.ctr
        if fields.recipient_keyid == self.our_keyid:
            self._forget({pair for pair in self._used if pair[0] == self.our_keyid - 1})
            del self._own[self.our_keyid - 1]
            self.our_keyid += 1
        if fields.sender_keyid == self.their_keyid:
            self._forget({pair for pair in self._used if pair[1] == self.their_keyid - 1})
            self._theirs.pop(self.their_keyid - 1, None)
            self.their_keyid += 1
            self._theirs[self.their_keyid] = fields.next_dh
        return reading.ctr(keys.receiving_aes, fields.ctr, fields.encrypted)

    def _forget(self, pairs: set[tuple[int, int]]) -> None:
        self._waiting += tuple(self._keys(*pair).receiving_mac for pair in sorted(pairs))
        self._waiting = self._waiting[-MOST_REVEALED:]
        self._used -= pairs

    def acceptable(self) -> dict[tuple[int, int], bytes]:
        """Return the receiving MAC keys that may still verify a message, by our and their key id."""
        return {
            (ours, theirs): self._keys(ours, theirs).receiving_mac
            for ours in self._own
            for theirs in self._theirs
        }

    def leaves(self) -> tuple[bytes, ...]:
        """Return what is to be revealed when the session is over."""
        return self._waiting + tuple(self._keys(*pair).receiving_mac for pair in sorted(self._used))
