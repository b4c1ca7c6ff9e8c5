"""A keeper that hands out what a test gives it."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from otrcore.account import Account
from otrcore.identity import Identity
from otrcore.irc.memories import Memories, RecentMemories
from otrcore.policy import DEFAULT, Policy


class Given:
    """Networks have the names that they claim; accounts and memories come from the test."""

    def __init__(
        self,
        account_for: Callable[[str], Account],
        memories_for: Callable[[str], Memories] = lambda network: RecentMemories(),
    ) -> None:
        self._account_for = account_for
        self._memories_for = memories_for
        self._policies: dict[str, Policy] = {}

    def place(self, claim: str, host: str) -> str:
        return claim

    def account(self, network: str) -> Account:
        return self._account_for(network)

    def keep_profile(self, network: str, account: Account) -> None:
        pass

    def memories(self, network: str) -> Memories:
        return self._memories_for(network)

    def version(self) -> Hashable:
        return None

    def identity(self, network: str) -> Identity:
        return self._account_for(network).identity

    def policy(self, network: str) -> Policy:
        return self._policies.get(network, DEFAULT)

    def set_policy(self, network: str, policy: Policy) -> None:
        self._policies[network] = policy

    def news(self) -> tuple[str, ...]:
        return ()
