"""The user's store as an engine has it: opened when needed first, locked until a passphrase comes."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from ..errors import StoreError, StoreUnavailable
from ..irc.keeper import Keeper, PassingKeeper, StoreKeeper
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
        self._opened: Store | None = None

    @property
    def store(self) -> Store | None:
        """The store behind the keeper, be the private keys locked or not; None if there is none to be had."""
        if not isinstance(self._keeper, PassingKeeper):
            with suppress(StoreError):
                return self.opened()
        return None

    def opened(self) -> Store:
        """Return the store, be the private keys locked or not; StoreError."""
        if self._opened is None:
            self._opened = self._opening(self._given)
        return self._opened

    def keeper(self) -> Keeper:
        """Return the keeper; StoreError where the store must not be used, Locked among them."""
        if self._keeper is None:
            try:
                store = self.opened()
                store.identities.unlock()
            except StoreUnavailable as error:
                self._keeper = PassingKeeper(str(error), clock=self._clock)
            else:
                self._keeper = StoreKeeper(store, clock=self._clock)
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
        if self._opened is not None:
            self._opened.close()

    def _given(self) -> str:
        if self._passphrase is None:
            raise Locked("The private keys are locked: give the passphrase that OTR asks for.")
        return self._passphrase
