"""What is remembered of the people on one network, by their nicks, while there is no conversation."""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol

from ..memory import MAX_KEYS, STRANGER, KnownKey, PeerMemory
from ..model import Trust

MAX_MEMORIES = 1000
"""People of whom nothing is known but keys that nobody has verified: anybody can make up more of them."""


class Memories(Protocol):
    """Where memories are kept between conversations, by nicks folded as the network folds them.

    Asked on every message to or from somebody without a conversation: it must not be slow.
    """

    def load(self, key: str) -> PeerMemory:
        """Return what is remembered of somebody, `STRANGER` if that is nothing."""

    def store(self, key: str, memory: PeerMemory) -> None:
        """Remember this from now on; StoreError."""


class RecentMemories:
    """Memories that end with the process.

    What the user has decided about somebody is never given up for what strangers bring about.
    """

    def __init__(self) -> None:
        self._decided: dict[str, PeerMemory] = {}
        self._others: OrderedDict[str, PeerMemory] = OrderedDict()

    def __len__(self) -> int:
        return len(self._decided) + len(self._others)

    def load(self, key: str) -> PeerMemory:
        """Return what is remembered of somebody."""
        return self._decided.get(key) or self._others.get(key) or STRANGER

    def store(self, key: str, memory: PeerMemory) -> None:
        """Remember this; the undecided one that was stored longest ago may be forgotten for it."""
        self._decided.pop(key, None)
        self._others.pop(key, None)
        if memory.verified or memory.policy is not None:
            self._decided[key] = memory
        elif memory != STRANGER:
            self._others[key] = memory
            if len(self._others) > MAX_MEMORIES:
                self._others.popitem(last=False)


def merged(known: PeerMemory, newer: PeerMemory) -> PeerMemory:
    """Return what is known under one nick from two memories; where both speak of a key, the newer one counts.

    Whoever comes to a nick brings keys along, and takes none away: else the verified key of
    the person who had the nick before would not be missed.
    """
    keys: list[KnownKey] = [key for key in known.keys if not newer.knows(key.fingerprint)]
    keys += newer.keys
    while len(keys) > MAX_KEYS:
        keys.remove(next((key for key in keys[:-1] if key.trust is Trust.NONE), keys[0]))
    policy = newer.policy if newer.policy is not None else known.policy
    return PeerMemory(known.versions | newer.versions, tuple(keys), policy)
