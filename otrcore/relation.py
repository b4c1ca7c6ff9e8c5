"""What everything that is said with one peer has in common: who speaks, by which rules, and what is known."""

from __future__ import annotations

from collections.abc import Callable

from .crypto.random import Random
from .errors import UsageError
from .events import MemoryChanged, Transmit
from .identity import Identity
from .memory import PeerMemory
from .model import Fingerprint, Trust
from .policy import Policy
from .suites import VERSIONS, own_profile
from .wire.fragment import cut
from .wire.header import VERSION_4, parse_header
from .wire.text import encode


def require_spoken(policy: Policy) -> None:
    """UsageError if the policy allows a version that there is no code for."""
    if not policy.versions <= VERSIONS:
        raise UsageError(f"Only these OTR versions can be spoken: {sorted(VERSIONS)}; leave the others out.")


MAX_ANSWERS = 3
ANSWERS_WITHIN = 30.0
"""So many long answers to starts go out to one peer within so many seconds: each is 7 lines on IRC, and
whoever repeats or makes up starts could have the server throw us out for flooding."""

MAX_SPENT = 8
"""Ephemeral keys of a peer that are remembered: enough for what a network or a bouncer plays again."""

_FRAGMENT_IDENTIFIER_BYTES = 4


class Speaker:
    """One instance of ours, the same in all conversations; `name` is ours in the chat network.

    Without a name a key exchange authenticates no names (v4, "Shared Session State").
    """

    __slots__ = ("name", "own_tag", "profile", "random", "unix_time")

    def __init__(
        self, name: str | None, own_tag: int, random: Random, unix_time: Callable[[], float], stored: bytes
    ) -> None:
        """`stored` is a client profile of an earlier run."""
        self.name = name
        self.own_tag = own_tag
        self.random = random
        self.unix_time = unix_time
        self.profile = own_profile(own_tag, unix_time, stored)


class Relation:
    """Shared by all sessions with a peer; `memory` changes, and the policy with it."""

    __slots__ = (
        "_answers",
        "_speaker",
        "_spent",
        "account_policy",
        "identity",
        "line_limit",
        "memory",
        "names",
        "own_tag",
        "peer",
        "random",
    )

    def __init__(
        self, speaker: Speaker, identity: Identity, account_policy: Policy, peer: str, memory: PeerMemory
    ) -> None:
        """UsageError for a policy of the peer with versions that cannot be spoken."""
        require_spoken(memory.policy or account_policy)
        self._speaker = speaker
        self._answers: tuple[float, ...] = ()
        self._spent: tuple[bytes, ...] = ()
        self.identity = identity
        self.own_tag = speaker.own_tag
        self.random = speaker.random
        self.peer = peer
        """The peer's name in the chat network."""
        self.memory = memory
        self.account_policy = account_policy
        self.names = self.present_names
        """Our name and the peer's, as they are to be authenticated."""
        self.line_limit: int | None = None
        """Characters that a transmitted line may have; None for no limit."""

    @property
    def present_names(self) -> tuple[str, str]:
        """What `names` would be by what both are called now."""
        own = self._speaker.name
        return ("", "") if own is None else (own, self.peer)

    def client_profile(self) -> bytes:
        """Return our client profile, which has not expired."""
        return self._speaker.profile.serialised(self.identity)

    def unix_time(self) -> float:
        """Return the time that expiry dates are compared with, in seconds since 1970."""
        return self._speaker.unix_time()

    def may_answer(self, now: float) -> bool:
        """Whether a long answer to a start may go out, which then counts as one."""
        recent = tuple(at for at in self._answers if now < at + ANSWERS_WITHIN)
        if len(recent) >= MAX_ANSWERS:
            return False
        self._answers = (*recent, now)
        return True

    def answer_was_taken(self) -> None:
        """Take note that the last answer has led to a session: only those that come to nothing count."""
        self._answers = self._answers[:-1]

    def is_spent(self, key: bytes) -> bool:
        """Whether an ephemeral key of the peer has led to a session, not long ago."""
        return key in self._spent

    def spend(self, key: bytes) -> None:
        """Take note that an ephemeral key of the peer has led to a session."""
        self._spent = (*self._spent, key)[-MAX_SPENT:]

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
        header, identifier = parse_header(raw), None
        if header.version == VERSION_4:
            identifier = int.from_bytes(self.random("fragment", _FRAGMENT_IDENTIFIER_BYTES), "big")
        return Transmit(cut(line, limit, header, identifier))
