"""The store as one thing: everything that outlives a process, in one file."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from sqlite3 import Connection
from types import TracebackType

from .contacts import Contacts
from .database import OPENING_SECONDS, Database, Version
from .folder import default_folder
from .identities import Identities
from .networks import Networks
from .policies import Policies
from .profiles import Profiles
from .settings import Settings
from .tags import InstanceTags


class Store:
    """Opened by each program for itself; several at once are expected."""

    def __init__(
        self,
        folder: Path | None = None,
        passphrase: Callable[[], str] | None = None,
        *,
        patience: float = OPENING_SECONDS,
    ) -> None:
        """Open the store in a folder, by default the user's own; errors are those of `Database`.

        `passphrase` is asked for, once, when a private key has to be opened that is locked by one.
        """
        self._database = Database(folder or default_folder(), patience)
        self.folder = self._database.folder
        self.identities = Identities(self._database, passphrase)
        self.contacts = Contacts(self._database)
        self.networks = Networks(self._database)
        self.policies = Policies(self._database)
        self.profiles = Profiles(self._database)
        self.settings = Settings(self._database)
        self.tags = InstanceTags(self._database)

    def close(self) -> None:
        """Close it, and give the instance tags back."""
        self.tags.close()
        self._database.close()

    @property
    def problem(self) -> str | None:
        """Why nothing can be saved just now, if so."""
        return self._database.problem

    def transaction(self) -> AbstractContextManager[Connection]:
        """Have everything that is done inside kept, or nothing; StoreUnavailable."""
        return self._database.transaction()

    def version(self) -> Version:
        """Return what tells whether another process has changed anything; takes some microseconds."""
        return self._database.version()

    def __enter__(self) -> Store:
        """Return the store, which is closed at the end of the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it, whatever has happened; exceptions go on."""
        self.close()
