"""From the store to a host: what it speaks as on each network, and whom it knows there."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import Protocol, TypeVar

from ..account import Account
from ..errors import StoreError, StoreUnavailable
from ..identity import Identity
from ..policy import ALWAYS, DEFAULT, Policy
from ..store.identities import DEFAULT_NETWORK
from ..store.networks import clean
from ..store.store import Store
from .memories import Memories, RecentMemories, StoredMemories
from .saving import NOT_SAVED, Saving

PASSING = "Until then you have a key that ends with this program."
UNKNOWN = (
    "Until then nobody is known, and nothing goes out unencrypted: /otr policy network default allows it."
)


T = TypeVar("T")


class Keeper(Protocol):
    """Whom an IrcHost asks for everything that it does not know by itself; networks by their names."""

    def place(self, claim: str, host: str) -> str:
        """Return the name of the network that a server belongs to, which calls it by `claim`."""

    def account(self, network: str) -> Account:
        """Return a fresh account for a network; keys are made at its first use.  StoreError."""

    def keep_profile(self, network: str, account: Account) -> None:
        """Have the next account with this instance tag go on with its client profile, if it can."""

    def memories(self, network: str) -> Memories:
        """Return where the people on a network are remembered."""

    def version(self) -> Hashable:
        """Return what is another once some other program has changed something; takes no time."""

    def identity(self, network: str) -> Identity:
        """Return the present identity for a network; StoreError."""

    def policy(self, network: str) -> Policy:
        """Return the present policy for a network; StoreError."""

    def set_policy(self, network: str, policy: Policy) -> None:
        """Have another policy on a network from now on; StoreError if not for long."""

    def news(self) -> tuple[str, ...]:
        """Return what the user has to be told since the last time: lines."""


class PassingKeeper:
    """Keeps everything as long as the process: for when there is no store to be had.

    What the user has allowed and whom the user has verified is not known then, so nothing
    goes out unencrypted before it is allowed.
    """

    def __init__(
        self, why: str, policy: Policy = ALWAYS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._news: tuple[str, ...] = (why, PASSING, UNKNOWN)
        self._clock = clock
        self._policy = policy
        self._identities: dict[str, Identity] = {}
        self._policies: dict[str, Policy] = {}
        self._memories: dict[str, Memories] = {}

    def place(self, claim: str, host: str) -> str:
        """Return what the server claims."""
        return claim

    def account(self, network: str) -> Account:
        """Return an account with a key of its own."""
        return Account(self.identity(network), self.policy(network), clock=self._clock)

    def keep_profile(self, network: str, account: Account) -> None:
        """Each account has an instance tag of its own, and a client profile with it."""

    def memories(self, network: str) -> Memories:
        """Return who was met on a network."""
        return self._memories.setdefault(network, RecentMemories())

    def version(self) -> Hashable:
        """Nobody else has anything to do with it."""
        return None

    def identity(self, network: str) -> Identity:
        """Return the key that was made for a network."""
        if network not in self._identities:
            self._identities[network] = Identity.generate()
        return self._identities[network]

    def policy(self, network: str) -> Policy:
        """Return the policy for a network."""
        return self._policies.get(network, self._policy)

    def set_policy(self, network: str, policy: Policy) -> None:
        """Have another one."""
        self._policies[network] = policy

    def news(self) -> tuple[str, ...]:
        """Tell once why there is no store."""
        news, self._news = self._news, ()
        return news


class StoreKeeper:
    """Keeps it in the user's store, and by itself what that does not take just now."""

    def __init__(
        self, store: Store, *, contacts: bool = True, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Without `contacts` the people that are met are forgotten with the process."""
        self._store = store
        self._keeps_contacts = contacts
        self._clock = clock
        self._saving = Saving(clock)
        self._count = 0
        self._memories: dict[str, StoredMemories] = {}
        self._identities: dict[str, tuple[Hashable, Identity | None]] = {}
        self._policies: dict[str, tuple[Hashable, Policy | None]] = {}
        """As they were read, and from which version of the store."""
        self._profiles: dict[str, bytes] = {}
        """The client profiles that the store has, by networks."""
        self._passing: dict[str, Identity] = {}
        self._unsaved: dict[str, Policy] = {}
        self._news: list[str] = []
        if store.problem:
            self._saving.failed(store.problem)
            self._tell()

    def place(self, claim: str, host: str) -> str:
        """Return the name of a network, and remember it if that works; StoreError."""
        networks = self._store.networks
        try:
            placement = networks.place(claim, host)
        except StoreUnavailable as error:
            self._failed(error)
            try:
                placement = networks.placed(claim, host)
            except StoreUnavailable:
                return clean(claim) or clean(host)
        self._news += placement.told
        return placement.name

    def account(self, network: str) -> Account:
        """Return an account with the network's identity, and this process's instance tag on it."""
        memories = self.memories(network)
        known = not isinstance(memories, StoredMemories) or memories.known
        try:
            identity = self.identity(network)
        except StoreUnavailable as error:
            self._failed(error)
            identity = self._passing_identity(network)
        try:
            policy = self.policy(network)
        except StoreUnavailable as error:
            self._failed(error)
            policy, known = ALWAYS, False
        if not known:
            self._news.append(UNKNOWN)
        tag, profile = None, b""
        try:
            tag = self._store.tags.claim(network)
            profile = self._store.profiles.load(network, tag) or b""
        except StoreUnavailable as error:
            self._failed(error)
        self._profiles[network] = profile
        return Account(identity, policy, instance_tag=tag, client_profile=profile, clock=self._clock)

    def keep_profile(self, network: str, account: Account) -> None:
        """Save a client profile that is another one than before, if it can be; it is no loss if not."""
        profile = account.client_profile
        if profile == self._profiles.get(network) or self._saving.resting:
            return
        try:
            self._store.profiles.save(network, account.instance_tag, profile)
        except StoreError as error:
            self._saving.failed(str(error))
        else:
            self._profiles[network] = profile

    def memories(self, network: str) -> Memories:
        """Return the contacts on a network."""
        if not self._keeps_contacts:
            return RecentMemories()
        if network not in self._memories:
            self._memories[network] = StoredMemories(self._store, network, self._saving)
        try:
            self._memories[network].reload()
        except StoreUnavailable as error:
            self._failed(error)
        return self._memories[network]

    def version(self) -> Hashable:
        """Return the store's, which says nothing of changes by ourselves, and a count of those.

        It is also another one when what the store has refused is to be tried again.
        """
        self._count += self._saving.due()
        decided = sum(memories.decided for memories in self._memories.values())
        return self._store.version(), self._count + decided

    def identity(self, network: str) -> Identity:
        """Return the identity for a network; one that cannot be saved just now is saved later."""
        identities = self._store.identities
        identity = self._read(
            self._identities,
            network,
            lambda: identities.find(network) or identities.find(DEFAULT_NETWORK),
        )
        try:
            if identity is None and network in self._passing:
                identities.unlock()
                with self._store.transaction():
                    # If another process was faster, its key stays.
                    identity = identities.find(network) or identities.put(network, self._passing[network])
                self._saving.works()
            identity = identity or identities.for_network(network)
        except StoreUnavailable as error:
            self._failed(error)
            return self._passing_identity(network)
        self._passing.pop(network, None)
        version, _ = self._identities[network]
        self._identities[network] = version, identity
        return identity

    def policy(self, network: str) -> Policy:
        """Return the policy for a network: the strictest as long as nobody there is known."""
        if network in self._unsaved:
            with suppress(StoreError):
                self._save_policy(network)
        if network in self._unsaved:
            return self._unsaved[network]
        if network in self._memories and not self._memories[network].known:
            return ALWAYS
        return self._read(self._policies, network, lambda: self._store.policies.get(network)) or DEFAULT

    def set_policy(self, network: str, policy: Policy) -> None:
        """Save another one, now or later."""
        self._unsaved[network] = policy
        self._count += 1
        self._save_policy(network)

    def news(self) -> tuple[str, ...]:
        """Tell what came up."""
        news, self._news = tuple(dict.fromkeys(self._news)), []
        return news

    def _passing_identity(self, network: str) -> Identity:
        if network not in self._passing:
            self._passing[network] = Identity.generate()
            self._news.append(PASSING)
        return self._passing[network]

    def _save_policy(self, network: str) -> None:
        try:
            self._store.policies.set(network, self._unsaved[network])
        except StoreError as error:
            self._saving.failed(str(error))
            raise
        del self._unsaved[network]
        self._policies.pop(network, None)
        self._saving.works()

    def _read(self, known: dict[str, tuple[Hashable, T]], network: str, look: Callable[[], T]) -> T:
        """Return what the store has, or had if nothing has changed: one that is locked is slow to answer."""
        version = self._store.version()
        if network not in known or known[network][0] != version:
            try:
                known[network] = (version, look())
            except StoreUnavailable as error:
                self._saving.failed(str(error))
                raise
        return known[network][1]

    def _failed(self, error: StoreUnavailable) -> None:
        self._saving.failed(str(error))
        self._tell()

    def _tell(self) -> None:
        if why := self._saving.untold():
            self._news.append(f"{why} {NOT_SAVED}")


def open_keeper(
    opening: Callable[[], Store],
    *,
    contacts: bool = True,
    clock: Callable[[], float] = time.monotonic,
) -> Keeper:
    """Have a store opened, or do without where it is out of reach; StoreError where it must not be used.

    Private keys that are locked by a passphrase are unlocked now.
    """
    try:
        store = opening()
    except StoreUnavailable as error:
        return PassingKeeper(str(error), clock=clock)
    try:
        store.identities.unlock()
    except StoreError as error:
        store.close()
        if not isinstance(error, StoreUnavailable):
            raise
        return PassingKeeper(str(error), clock=clock)
    return StoreKeeper(store, contacts=contacts, clock=clock)
