"""The user's store as an engine has it: opened when needed first, locked until a passphrase comes."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..errors import StoreError
from ..irc.keeper import Keeper, open_keeper
from ..store.store import Store

Opening = Callable[[Callable[[], str]], Store]
"""Opens the store, given where to ask for a passphrase."""


class Locked(StoreError):
    """The private keys are locked by a passphrase, and nobody has given it yet."""


class Keys:
    """The keeper of all hosts, and the store behind it."""

    def __init__(self, opening: Opening, clock: Callable[[], float] = time.monotonic) -> None:
        self._opening = opening
        self._clock = clock
        self._keeper: Keeper | None = None
        self._passphrase: str | None = None
        self.store: Store | None = None
        """None if there is none yet, or none to be had."""

    def keeper(self) -> Keeper:
        """Return the keeper; StoreError where the store must not be used, Locked among them."""
        if self._keeper is None:
            self._keeper = open_keeper(self._open, clock=self._clock)
        return self._keeper

    def unlock(self, passphrase: str) -> None:
        """Unlock the private keys; StoreError with a sentence for the user."""
        self._passphrase = passphrase
        try:
            self.keeper()
            if self.store is not None:
                self.store.identities.unlock()
        finally:
            self._passphrase = None

    def close(self) -> None:
        """Close the store."""
        if self.store is not None:
            self.store.close()

    def _open(self) -> Store:
        store = self._opening(self._given)
        try:
            store.identities.unlock()
        except StoreError:
            store.close()
            raise
        self.store = store
        return store

    def _given(self) -> str:
        if self._passphrase is None:
            raise Locked("The private keys are locked: give the passphrase that OTR asks for.")
        return self._passphrase
