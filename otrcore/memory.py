"""What is remembered of a peer from one conversation to the next.  Storing it is the host's business."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .model import Fingerprint, Trust
from .policy import Policy

MAX_KEYS = 16
"""Keys of one peer that are remembered; anybody in the middle can make up new ones."""


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key that a peer has proven to have."""

    fingerprint: Fingerprint
    trust: Trust = Trust.NONE


@dataclass(frozen=True, slots=True)
class PeerMemory:
    """The versions that were spoken with a peer, its keys (the one used last at the end), its own policy."""

    versions: frozenset[int] = frozenset()
    keys: tuple[KnownKey, ...] = ()
    policy: Policy | None = None

    def trust(self, fingerprint: Fingerprint) -> Trust:
        """Return how a key is known to be the peer's."""
        return next((key.trust for key in self.keys if key.fingerprint == fingerprint), Trust.NONE)

    def knows(self, fingerprint: Fingerprint) -> bool:
        """Whether the peer has used this key before."""
        return any(key.fingerprint == fingerprint for key in self.keys)

    @property
    def last(self) -> Fingerprint | None:
        """The fingerprint of the key that the peer used last."""
        return self.keys[-1].fingerprint if self.keys else None

    @property
    def verified(self) -> bool:
        """Whether any key is known to be the peer's."""
        return any(key.trust is not Trust.NONE for key in self.keys)

    def replaced_by(self, fingerprint: Fingerprint) -> Fingerprint | None:
        """Return the key that the user would expect instead of this one; None if this one is no surprise.

        Who has two clients may well have two keys: going back and forth between known ones is
        no news, unless one of them is verified and this one is not.  A first key for another
        version takes nobody's place: it is new, and nothing is known of it.
        """
        rivals = [key for key in self.keys if fingerprint.rivals(key.fingerprint)]
        verified = [key for key in rivals if key.trust is not Trust.NONE]
        if not rivals or self.trust(fingerprint) is not Trust.NONE:
            return None
        if verified:
            return verified[-1].fingerprint
        return None if self.knows(fingerprint) else rivals[-1].fingerprint

    def met(self, fingerprint: Fingerprint, version: int) -> PeerMemory:
        """Return the memory after a session of this version has opened with this key."""
        met = KnownKey(fingerprint, self.trust(fingerprint))
        others = [key for key in self.keys if key.fingerprint != fingerprint]
        # The oldest unverified ones go first: no flood of new keys makes us forget a verified one.
        while len(others) >= MAX_KEYS:
            others.remove(next((key for key in others if key.trust is Trust.NONE), others[0]))
        return replace(self, versions=self.versions | {version}, keys=(*others, met))

    def judging(self, fingerprint: Fingerprint, trust: Trust) -> PeerMemory:
        """Return the memory with another trust in one of its keys."""
        keys = tuple(
            replace(key, trust=trust) if key.fingerprint == fingerprint else key for key in self.keys
        )
        return replace(self, keys=keys)


STRANGER = PeerMemory()
"""Nobody who was talked with before."""
