"""As whom the bot speaks: as the keeper says, in all versions; and nobody is remembered.

Anybody can have the bot verify them by its published word, under as many nicks as they like: what would be
remembered of that is worth nothing, and would grow for ever.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import replace

from otrcore.account import Account
from otrcore.identity import Identity
from otrcore.irc.keeper import Keeper
from otrcore.irc.memories import Memories
from otrcore.memory import STRANGER, PeerMemory
from otrcore.model import Fingerprint, Trust
from otrcore.policy import DEFAULT, Policy

VERSIONS = frozenset({2, 3, 4})

POLICY = replace(DEFAULT, versions=VERSIONS)
"""Of a peer that others test their clients against, and that has no secrets: old clients may come, too."""


class ForgetfulKeeper:
    """A keeper that has another one's identities, and the bot's policy."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self.speaks_as: Identity | None = None
        """What the host was given last."""

    def place(self, claim: str, host: str) -> str:
        """Return the network's name."""
        return self._keeper.place(claim, host)

    def account(self, network: str) -> Account:
        """Return a fresh account for a network; StoreError."""
        account = self._keeper.account(network)
        account.renew(account.identity, POLICY)
        self.speaks_as = account.identity
        return account

    def keep_profile(self, network: str, account: Account) -> None:
        """Have the account's client profile kept."""
        self._keeper.keep_profile(network, account)

    def memories(self, network: str) -> Memories:
        """Return what remembers nobody."""
        return _Nobody()

    def version(self) -> Hashable:
        """Return what is another once some other program has changed something."""
        return self._keeper.version()

    def identity(self, network: str) -> Identity:
        """Return the present identity for a network; StoreError."""
        self.speaks_as = self._keeper.identity(network)
        return self.speaks_as

    def policy(self, network: str) -> Policy:
        """Return the bot's."""
        return POLICY

    def set_policy(self, network: str, policy: Policy) -> None:
        """Nobody is there to want another one."""

    def news(self) -> tuple[str, ...]:
        """Return what the operator has to be told."""
        return self._keeper.news()


class _Nobody:
    """Memories that are not kept."""

    def load(self, key: str) -> PeerMemory:
        """Nothing is known."""
        return STRANGER

    def store(self, key: str, memory: PeerMemory) -> None:
        """Not this."""

    def met(self, key: str, fingerprint: Fingerprint) -> None:
        """Nor this."""

    def known_as(self, fingerprint: Fingerprint, besides: str) -> Mapping[str, Trust]:
        """Under no other nick."""
        return {}

    def guarded(self) -> tuple[str, ...]:
        """Nobody."""
        return ()

    def reload(self, *, own: bool = False) -> None:
        """There is nothing to read."""

    def save(self) -> None:
        """Nor to save."""
