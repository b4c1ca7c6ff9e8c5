"""The keys: one for each network of the configuration, made by `otr-bot init` alone."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from otrbot.settings.config import Config, NetworkConfig
from otrbot.settings.credentials import SecretFile, credential

from otrcore.cli.passphrase import VARIABLE, ask
from otrcore.errors import StoreError
from otrcore.identity import Identity
from otrcore.irc.keeper import StoreKeeper
from otrcore.model import Fingerprint
from otrcore.store.database import FILE_NAME
from otrcore.store.identities import LOCKED
from otrcore.store.store import Store

CREDENTIAL = "otrcore-passphrase"
"""What a unit calls the credential that holds the passphrase."""

Fingerprints = tuple[Fingerprint, Fingerprint]
"""In versions 2 and 3, and in version 4."""


@dataclass(frozen=True, slots=True)
class Passphrase:
    """Where the passphrase of the private keys comes from: a file, the environment, systemd, a terminal."""

    file: Path | None = None

    def __call__(self) -> str:
        """Return it; StoreError where nobody can be asked."""
        if self.file is not None:
            return SecretFile(self.file).read()
        given = credential(CREDENTIAL)
        if not os.environ.get(VARIABLE) and given is not None:
            return given.read()
        if os.environ.get(VARIABLE) or sys.stdin.isatty():
            return ask()
        raise StoreError(f"{LOCKED} The bot also takes --passphrase-file and the credential {CREDENTIAL}.")


class NamedKeeper(StoreKeeper):
    """Has a network's key under the name that the operator has given it, whatever the server claims.

    It never makes one: people know the bot by its fingerprint.
    """

    def __init__(self, store: Store, name: str, clock: Callable[[], float]) -> None:
        """Read the key; StoreError."""
        super().__init__(store, contacts=False, clock=clock)
        self._name = name
        found = store.identities.find(name)
        if found is None:
            raise _no_keys([name], store.folder)
        self._own = found

    def place(self, claim: str, host: str) -> str:
        """Return the operator's name."""
        return self._name

    def identity(self, network: str) -> Identity:
        """Return the key as it was when the bot was started."""
        return self._own


class KeyRing:
    """Opens the store for one thread after the other, asking for the passphrase once."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._known: str | None = None
        self._ask = Passphrase(config.passphrase_file)

    def open(self) -> Store:
        """Open the store, for the thread that asks; StoreError."""
        store = Store(self._config.data_dir, self._passphrase)
        try:
            store.identities.unlock()
        # An interrupt too, while a passphrase is typed: the database must not stay open.
        except BaseException:
            store.close()
            raise
        return store

    def keeper(
        self, store: Store, network: NetworkConfig, clock: Callable[[], float] = time.monotonic
    ) -> StoreKeeper:
        """Return what a host of a network asks for its key."""
        if self._config.new_keys:
            return StoreKeeper(store, contacts=False, clock=clock)
        return NamedKeeper(store, network.name, clock)

    def fingerprints(self) -> dict[str, Fingerprints]:
        """Return the fingerprints for each network; StoreError if one has no key, or it cannot be used."""
        folder = self._config.data_dir
        names = [network.name for network in self._config.networks]
        if not os.path.exists(folder / FILE_NAME):
            raise _no_keys(names, folder)
        with self.open() as store:
            found = {name: store.identities.find(name) for name in names}
        missing = [name for name, identity in found.items() if identity is None]
        if missing:
            raise _no_keys(missing, folder)
        return {
            name: (identity.fingerprint, identity.fingerprint_4)
            for name, identity in found.items()
            if identity is not None
        }

    def make(self) -> dict[str, Fingerprints]:
        """Make the keys that are missing, and return the fingerprints for all networks; StoreError.

        With a passphrase file all keys are locked by it.
        """
        with self.open() as store:
            if self._config.passphrase_file is not None and not store.identities.sealed:
                store.identities.seal(self._passphrase())
            for network in self._config.networks:
                if store.identities.find(network.name) is None:
                    store.identities.generate(network.name)
        return self.fingerprints()

    def _passphrase(self) -> str:
        with self._lock:
            if self._known is None:
                self._known = self._ask()
            return self._known


def _no_keys(names: list[str], folder: Path) -> StoreError:
    which = ", ".join(names)
    return StoreError(
        f"There is no key for {which} in {folder}: run  otr-bot init  with the same options first."
    )
