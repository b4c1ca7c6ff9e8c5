"""Whom we know on a network: what is remembered of people, and how trust in a key goes from nick to nick."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from ..conversation import Conversation
from ..errors import OtrcoreError
from ..events import Event, SessionOpened
from ..memory import PeerMemory
from ..model import Fingerprint, Trust
from .actions import Action, ShowNote
from .memories import Memories, RecentMemories, merged
from .saving import NOT_SAVED

MAX_TRUSTED_NICKS = 50
"""Nicks under which a key is trusted without the user's doing; its owner can take more without end."""


class People:
    """The people on one network, by the keys of their conversations."""

    def __init__(self, changed: Callable[[str], None]) -> None:
        """`changed` is told that memories may be others, besides that of the one it is given, if any."""
        self._changed = changed
        self.memories: Memories = RecentMemories()
        self.trouble = ""
        """What the user has heard of the store, as long as it is so."""

    def recognise(
        self, talk: Conversation, events: Sequence[Event]
    ) -> tuple[list[Event], Mapping[str, Trust]]:
        """Look under which other nicks a key is known that a conversation has opened with.

        Trust belongs to the key: it holds under another nick too, unless that one has other keys,
        whose owner the user would expect there.
        """
        known: list[Event] = []
        familiar: Mapping[str, Trust] = {}
        for event in events:
            known.append(event)
            if not isinstance(event, SessionOpened):
                continue
            fingerprint = event.info.their_fingerprint
            familiar = self.memories.known_as(fingerprint, besides=talk.peer)
            trusts = [trust for trust in familiar.values() if trust is not Trust.NONE]
            only = [key.fingerprint for key in talk.memory.keys] == [fingerprint]
            if only and 0 < len(trusts) < MAX_TRUSTED_NICKS and event.trust is Trust.NONE:
                known[-1] = replace(event, trust=trusts[0])
                known += talk.set_trust(trusts[0], fingerprint)
        return known, familiar

    def brought(self, talk: Conversation, before: PeerMemory) -> PeerMemory:
        """Return what a conversation remembers, with what was changed elsewhere during its last step.

        `before` is what it remembered before that step.
        """
        known, memory = self.memories.load(talk.peer), talk.memory
        keys = (
            each
            if each.trust is not before.trust(each.fingerprint)
            else replace(each, trust=known.trust(each.fingerprint))
            for each in memory.keys
        )
        policy = memory.policy if memory.policy != before.policy else known.policy
        return replace(memory, keys=tuple(keys), policy=policy)

    def remember(self, key: str, memory: PeerMemory) -> list[Action]:
        """Remember this of somebody besides what is known."""
        known = self.memories.load(key)
        memory = merged(known, memory)
        if memory == known:
            return []
        try:
            self.memories.store(key, memory)
        except OtrcoreError as error:
            return self.not_saved(error)
        finally:
            # A key that is no longer trusted under one nick is not under any other; and nobody has to hear
            # of what is not remembered after all.
            if self.memories.load(key) != known:
                self._changed(key)
        return []

    def judged(self, key: str, memory: PeerMemory) -> list[Action]:
        """Remember what the user has decided; a key that was forgotten meanwhile is met anew before."""
        known, met = self.memories.load(key), memory
        for each in memory.keys:
            if not known.knows(each.fingerprint):
                met = met.judging(each.fingerprint, Trust.NONE)
        return [*self.remember(key, met), *self.remember(key, memory)]

    def not_saved(self, error: OtrcoreError) -> list[Action]:
        """Tell that something is known only as long as this program runs."""
        self.trouble = str(error)
        return [ShowNote("", (f"{error} {NOT_SAVED}",))]

    def trusted(self, key: str, memory: PeerMemory) -> list[Fingerprint]:
        """Return those keys in somebody's memory that are trusted, be it under another nick."""
        return [
            known.fingerprint
            for known in memory.keys
            if known.trust is not Trust.NONE or self._trusting(key, known.fingerprint)
        ]

    def doubt(self, key: str, fingerprint: Fingerprint) -> list[Action]:
        """Trust a key under no other nick either: it may never have been trusted under this one."""
        actions: list[Action] = []
        for other in self._trusting(key, fingerprint)[:1]:  # from there it goes on by itself
            actions += self.remember(other, self.memories.load(other).judging(fingerprint, Trust.NONE))
            self._changed("")
        return actions

    def _trusting(self, key: str, fingerprint: Fingerprint) -> list[str]:
        """Return the other nicks under which a key is trusted."""
        known = self.memories.known_as(fingerprint, besides=key)
        return [other for other, trust in known.items() if trust is not Trust.NONE]
