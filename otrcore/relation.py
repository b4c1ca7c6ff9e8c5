"""What everything that is said with one peer has in common: who speaks, by which rules, and what is known."""

from __future__ import annotations

from .crypto.random import Random
from .errors import UsageError
from .events import MemoryChanged, Transmit
from .identity import Identity
from .memory import PeerMemory
from .model import Fingerprint, Trust
from .policy import Policy
from .suites import VERSIONS
from .wire.fragment import cut
from .wire.header import parse_header
from .wire.text import encode


def require_spoken(policy: Policy) -> None:
    """UsageError if the policy allows a version that there is no code for."""
    if not policy.versions <= VERSIONS:
        raise UsageError(f"Only these OTR versions can be spoken: {sorted(VERSIONS)}.")


class Relation:
    """Shared by all sessions with a peer; `memory` changes, and the policy with it."""

    __slots__ = ("account_policy", "identity", "line_limit", "memory", "own_tag", "random")

    def __init__(
        self, identity: Identity, own_tag: int, account_policy: Policy, random: Random, memory: PeerMemory
    ) -> None:
        """UsageError for a policy of the peer with versions that cannot be spoken."""
        require_spoken(memory.policy or account_policy)
        self.identity = identity
        self.own_tag = own_tag
        self.random = random
        self.memory = memory
        self.account_policy = account_policy
        self.line_limit: int | None = None
        """Characters that a transmitted line may have; None for no limit."""

    @property
    def policy(self) -> Policy:
        """The peer's own policy, or else the account's."""
        return self.memory.policy or self.account_policy

    def remember(self, memory: PeerMemory) -> list[MemoryChanged]:
        """Replace what is known of the peer; the host hears of it if it is something else."""
        if memory == self.memory:
            return []
        self.memory = memory
        return [MemoryChanged(memory)]

    def judge(self, fingerprint: Fingerprint, trust: Trust) -> list[MemoryChanged]:
        """Trust a key of the peer, or cease to."""
        return self.remember(self.memory.judging(fingerprint, trust))

    def transmit(self, raw: bytes) -> Transmit:
        """Return what sends an encoded message to the peer, in as many lines as it takes."""
        line, limit = encode(raw), self.line_limit
        if limit is None or len(line) <= limit:
            return Transmit((line,))
        return Transmit(cut(line, limit, parse_header(raw)))
