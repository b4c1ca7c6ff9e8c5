"""What is remembered of the people on one network, by their nicks, while there is no conversation."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from ..errors import StoreError, StoreUnavailable
from ..memory import MAX_KEYS, STRANGER, KnownKey, PeerMemory
from ..model import Fingerprint, Trust
from ..store.contacts import fold_nick
from ..store.store import Store
from .saving import Saving

MAX_MEMORIES = 1000
"""People of whom nothing is known but keys that nobody has verified: anybody can make up more of them."""


class Memories(Protocol):
    """Where memories are kept between conversations, by nicks folded as the network folds them.

    Asked on every message to or from somebody without a conversation: it must not be slow.
    """

    def load(self, key: str) -> PeerMemory:
        """Return what is remembered of somebody, `STRANGER` if that is nothing."""

    def store(self, key: str, memory: PeerMemory) -> None:
        """Remember this, and a key's loss of trust under every nick; StoreError if not for long."""

    def met(self, key: str, fingerprint: Fingerprint) -> None:
        """Take note that somebody has used a key; it is no loss if that cannot be saved."""

    def known_as(self, fingerprint: Fingerprint, besides: str) -> Mapping[str, Trust]:
        """Return the other nicks under which a key is known, and how far it is trusted there."""

    def guarded(self) -> tuple[str, ...]:
        """Return those to whom nothing may go unencrypted by their own policy."""

    def reload(self, *, own: bool = False) -> None:
        """Take in what other programs, or other parts of this `own` one, have changed; StoreError."""

    def save(self) -> None:
        """Save what could not be saved before, if it can be now."""


@dataclass(frozen=True, slots=True)
class Change:
    """What has become of the memory of somebody."""

    key: str
    before: PeerMemory
    after: PeerMemory

    @property
    def doubted(self) -> list[Fingerprint]:
        """The keys that were trusted, and are not any more."""
        return [
            key.fingerprint
            for key in self.before.keys
            if key.trust is not Trust.NONE
            and self.after.knows(key.fingerprint)  # one that is forgotten, as there are many, is not doubted
            and self.after.trust(key.fingerprint) is Trust.NONE
        ]

    @property
    def decisive(self) -> bool:
        """Whether the user has decided something by it: strangers can bring about everything else."""
        judged = any(key.trust is not self.before.trust(key.fingerprint) for key in self.after.keys)
        return judged or self.after.policy != self.before.policy

    def without(self, doubted: Iterable[Fingerprint]) -> Change:
        """Return it as it would be if these keys had never been trusted."""
        before, after = self.before, self.after
        for fingerprint in doubted:
            before, after = (memory.judging(fingerprint, Trust.NONE) for memory in (before, after))
        return replace(self, before=before, after=after)


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
        self._doubt(Change(key, self.load(key), memory).doubted)
        self._put(key, memory)

    def met(self, key: str, fingerprint: Fingerprint) -> None:
        """Nothing is kept of when it was."""

    def known_as(self, fingerprint: Fingerprint, besides: str) -> Mapping[str, Trust]:
        """Return the other nicks under which a key is known."""
        return {
            key: memory.trust(fingerprint)
            for key, memory in self._all()
            if key != besides and memory.knows(fingerprint)
        }

    def guarded(self) -> tuple[str, ...]:
        """Return those whose policy requires encryption."""
        return tuple(key for key, memory in self._all() if memory.policy and memory.policy.require_encryption)

    def reload(self, *, own: bool = False) -> None:
        """Nobody else has these."""

    def save(self) -> None:
        """They are not to be saved."""

    def _all(self) -> Iterator[tuple[str, PeerMemory]]:
        yield from self._decided.items()
        yield from self._others.items()

    def _doubt(self, fingerprints: Iterable[Fingerprint]) -> None:
        for fingerprint in fingerprints:
            for key, memory in tuple(self._all()):
                if memory.trust(fingerprint) is not Trust.NONE:
                    self._put(key, memory.judging(fingerprint, Trust.NONE))

    def _put(self, key: str, memory: PeerMemory) -> None:
        self._decided.pop(key, None)
        self._others.pop(key, None)
        if memory.verified or memory.policy is not None:
            self._decided[key] = memory
        elif memory != STRANGER:
            self._others[key] = memory
            if len(self._others) > MAX_MEMORIES:
                self._others.popitem(last=False)

    def _clear(self) -> None:
        self._decided.clear()
        self._others.clear()


class StoredMemories(RecentMemories):
    """Memories of one network that outlive the process.

    All of them are at hand.  What cannot be saved just now is kept in its order, and saved as soon
    as it can be; what other programs change meanwhile is taken in beneath it.
    """

    def __init__(self, store: Store, network: str, saving: Saving) -> None:
        """Nothing is known before `reload`."""
        super().__init__()
        self._store = store
        self._network = network
        self._saving = saving
        self._unsaved: list[Change] = []
        self._read: Hashable = None
        """The version of the store that they were read from."""
        self.known = False
        """Whether they could be read, at any time."""
        self.decided = 0
        """How often the user has decided something here, which concerns every host on the network."""

    def load(self, key: str) -> PeerMemory:
        """Return what is remembered of somebody."""
        return super().load(fold_nick(key))

    def store(self, key: str, memory: PeerMemory) -> None:
        """Remember and save this; StoreUnavailable once when saving ceases to work."""
        change = Change(fold_nick(key), self.load(key), memory)
        super().store(change.key, memory)
        self._keep(change)
        self.decided += change.decisive
        if change.decisive or not self._saving.resting:
            self.save()
        if self._unsaved and (why := self._saving.untold()):
            raise StoreUnavailable(why)

    def met(self, key: str, fingerprint: Fingerprint) -> None:
        """Save when that was, if it can be."""
        if self._saving.resting:
            return
        try:
            self._store.contacts.met(self._network, fold_nick(key), fingerprint)
        except StoreError as error:
            self._saving.failed(str(error))

    def known_as(self, fingerprint: Fingerprint, besides: str) -> Mapping[str, Trust]:
        """Return the other nicks under which a key is known."""
        return super().known_as(fingerprint, fold_nick(besides))

    def reload(self, *, own: bool = False) -> None:
        """Read them anew, if there is anything new; what was not saved yet is saved, or else stays."""
        version = self._store.version()
        if own or version != self._read:
            self._take_in()
            self._read = version
            self.decided += own
        if not self._saving.resting:
            self.save()

    def save(self) -> None:
        """Save what could not be saved before, in its order."""
        if not self._unsaved:
            return
        try:
            with self._store.transaction():
                for change in self._unsaved:
                    self._store.contacts.learn(self._network, change.key, change.before, change.after)
        except StoreError as error:
            self._saving.failed(str(error))
        else:
            self._unsaved.clear()
            self._saving.works()

    def _take_in(self) -> None:
        try:
            stored = self._store.contacts.memories(self._network)
        except StoreError as error:
            self._saving.failed(str(error))
            raise
        self._heed(stored)
        self._clear()
        for key, memory in stored.items():
            self._put(key, memory)
        for change in self._unsaved:
            self._doubt(change.doubted)
            self._put(change.key, learned(self.load(change.key), change.before, change.after))
        self.known = True

    def _keep(self, change: Change) -> None:
        """Have a change saved later; one that decides nothing may be given up for others."""
        # Only what is the last of a nick: what was decided later builds on what came before.
        last = {kept.key: at for at, kept in enumerate(self._unsaved)}
        own = last.pop(change.key, None)
        passing = [at for at in last.values() if not self._unsaved[at].decisive]
        if own is not None and not change.decisive and not self._unsaved[own].decisive:
            change = replace(change, before=self._unsaved.pop(own).before)
        elif passing and len(self._unsaved) >= MAX_MEMORIES:
            del self._unsaved[min(passing)]
        self._unsaved.append(change)

    def _heed(self, stored: Mapping[str, PeerMemory]) -> None:
        """Let a doubt that came up elsewhere count against trust that was not saved yet."""
        saved = dict(self._all())
        for change in reversed(self._unsaved):
            saved[change.key] = change.before
        doubted = {
            known.fingerprint
            for key, memory in saved.items()
            for known in memory.keys
            if known.trust is not Trust.NONE
            and stored.get(key, STRANGER).knows(known.fingerprint)
            and stored[key].trust(known.fingerprint) is Trust.NONE
        }
        self._unsaved = [change.without(doubted) for change in self._unsaved]


def learned(known: PeerMemory, before: PeerMemory, after: PeerMemory) -> PeerMemory:
    """Return a memory with what has changed in another one."""
    keys = {key.fingerprint: key for key in known.keys}
    for key in after.keys:
        if not before.knows(key.fingerprint):
            keys[key.fingerprint] = keys.pop(key.fingerprint, KnownKey(key.fingerprint))
        judged = key.trust is not before.trust(key.fingerprint)
        if judged and (key.trust is not Trust.NONE or key.fingerprint in keys):
            keys[key.fingerprint] = key
    if after.last != before.last and after.last in keys:
        keys[after.last] = keys.pop(after.last)
    policy = after.policy if after.policy != before.policy else known.policy
    return PeerMemory(known.versions | after.versions - before.versions, _bounded(keys.values()), policy)


def _bounded(keys: Iterable[KnownKey]) -> tuple[KnownKey, ...]:
    """Forget keys if there are too many, but never the last one, and verified ones last."""
    left = list(keys)
    while len(left) > MAX_KEYS:
        left.remove(next((key for key in left[:-1] if key.trust is Trust.NONE), left[0]))
    return tuple(left)


def merged(known: PeerMemory, newer: PeerMemory) -> PeerMemory:
    """Return what is known under one nick from two memories; where both speak of a key, the newer one counts.

    Whoever comes to a nick brings keys along, and takes none away: else the verified key of
    the person who had the nick before would not be missed.
    """
    keys: list[KnownKey] = [key for key in known.keys if not newer.knows(key.fingerprint)]
    keys += newer.keys
    policy = newer.policy if newer.policy is not None else known.policy
    return PeerMemory(known.versions | newer.versions, _bounded(keys), policy)
