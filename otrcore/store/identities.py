"""The user's identities: one for each network, or `default` for all that have none of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..crypto.dsa import DsaPrivateKey
from ..crypto.secret import Secret
from ..errors import StoreError, StoreUnavailable
from ..identity import Identity
from ..model import FINGERPRINT_BYTES, Fingerprint
from .clock import now
from .database import Database
from .sealing import Seal, new_seal, sealed, unsealed

DEFAULT_NETWORK = "default"
"""In place of a network's name: the identity for every network without one of its own."""

MAX_RETIRED = 100
"""Fingerprints of former identities that are remembered for a network."""

LOCKED = (
    "The private keys are locked by a passphrase: give it in a terminal, "
    "or name a file that holds it in OTR_PASSPHRASE_FILE."
)


@dataclass(frozen=True, slots=True)
class IdentityRow:
    """An identity as it is listed; `fingerprint` is None if it was damaged, times are UTC in ISO 8601."""

    network: str
    fingerprint: Fingerprint | None
    created: str
    retired: str | None = None


class Identities:
    """Reads, makes, replaces and seals identities."""

    def __init__(self, database: Database, passphrase: Callable[[], str] | None = None) -> None:
        """`passphrase` is asked for once, when the first sealed key is opened."""
        self._database = database
        self._passphrase = passphrase
        self._opened: tuple[Seal, Secret] | None = None
        self._cache: dict[bytes, Identity] = {}
        """By fingerprints: opening and checking a key takes a millisecond, and happens at every change.

        So a running client goes on when another program locks the private keys by a passphrase.
        """

    def rows(self) -> tuple[IdentityRow, ...]:
        """Return the identities in use by their networks, then those that are not used any more."""
        living = self._database.rows("SELECT network, fingerprint, created FROM identity ORDER BY network")
        retired = self._database.rows(
            "SELECT network, fingerprint, created, retired FROM retired_identity ORDER BY network, rowid"
        )
        return tuple(
            IdentityRow(network, _fingerprint(digest), *rest)
            for network, digest, *rest in (*living, *retired)
        )

    def for_network(self, network: str) -> Identity:
        """Return the identity to speak as; made and kept on a network's first use, 20 to 200 ms."""
        identity = self.find(network) or self.find(DEFAULT_NETWORK)
        if identity is None:
            # Made, and the passphrase asked for, outside the transaction: other processes wait for its end.
            key = DsaPrivateKey.generate()
            self.unlock()
            with self._database.transaction():
                # If another process was faster, its key stays.
                identity = self.find(network) or self._keep(network, key)
        return identity

    def find(self, network: str) -> Identity | None:
        """Return the identity that a network has of its own, if any."""
        # By the rows alone: where their index is damaged, it leads to another network's key.
        rows = self._database.rows(
            "SELECT dsa_private_key, fingerprint FROM identity NOT INDEXED WHERE network = ?", network
        )
        if not rows:
            return None
        stored, digest = rows[0]
        if digest not in self._cache:
            identity = Identity(self._read(network, stored))
            if identity.fingerprint.digest != digest:
                raise _damaged(network)
            self._cache[digest] = identity
        return self._cache[digest]

    def generate(self, network: str) -> Identity:
        """Make an identity; StoreError if there is one."""
        return self.put(network, DsaPrivateKey.generate())

    def rotate(self, network: str) -> Identity:
        """Make another identity in place of the one that is there; StoreError if there is none."""
        key = DsaPrivateKey.generate()
        self.unlock()
        with self._database.transaction():
            self._require(network)
            return self.put(network, key, replace=True)

    def delete(self, network: str) -> Fingerprint | None:
        """Delete an identity for good, and return its fingerprint; StoreError if there is none."""
        with self._database.transaction() as connection:
            fingerprint = self._require(network)
            self._retire(network)
            connection.execute("DELETE FROM identity WHERE network = ?", (network,))
        self._cache.clear()
        return fingerprint

    def put(self, network: str, key: DsaPrivateKey, *, replace: bool = False) -> Identity:
        """Keep an identity; StoreError if there is another one, unless that is to be replaced."""
        identity = Identity(key)
        self.unlock()
        with self._database.transaction() as connection:
            rows = connection.execute("SELECT fingerprint FROM identity WHERE network = ?", (network,))
            there = rows.fetchone()
            if there is not None and there[0] == identity.fingerprint.digest:
                if not self._readable(network):
                    self._write(network, key)
                return identity
            if there is not None:
                if not replace:
                    raise StoreError(
                        f"There is a key for {network} already, and it was left as it is: "
                        "choose to rotate or delete it first."
                    )
                self._retire(network)
                connection.execute("DELETE FROM identity WHERE network = ?", (network,))
                self._cache.clear()
            return self._keep(network, key)

    @property
    def sealed(self) -> bool:
        """Whether the private keys are locked by a passphrase."""
        return self._seal() is not None

    def seal(self, passphrase: str) -> None:
        """Lock all private keys by a passphrase, in place of an earlier one if there is one."""
        self.unlock()
        before, fresh = self._opened, new_seal(passphrase)
        seal, _ = fresh
        try:
            with self._database.transaction() as connection:
                keys = self._all_keys()
                connection.execute("DELETE FROM sealing")
                connection.execute(
                    "INSERT INTO sealing VALUES (1, ?, ?, ?)", (seal.salt, seal.cost, seal.wrapped_key)
                )
                self._opened = fresh
                for network, key in keys.items():
                    self._write(network, key)
        except BaseException:
            self._opened = before
            raise

    def unseal(self) -> None:
        """Keep the private keys without a passphrase from now on."""
        self.unlock()
        with self._database.transaction() as connection:
            keys = self._all_keys()
            connection.execute("DELETE FROM sealing")
            for network, key in keys.items():
                self._write(network, key)

    def unlock(self) -> None:
        """Ask for the passphrase now, if there is one: before others have to wait.  StoreError."""
        seal = self._seal()
        if seal is not None:
            self._key_of(seal)

    def _all_keys(self) -> dict[str, DsaPrivateKey]:
        rows = self._database.rows("SELECT network, dsa_private_key FROM identity")
        return {network: self._read(network, stored) for network, stored in rows}

    def _write(self, network: str, key: DsaPrivateKey) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE identity SET dsa_private_key = ? WHERE network = ?",
                (self._written(network, key), network),
            )

    def _keep(self, network: str, key: DsaPrivateKey) -> Identity:
        identity = Identity(key)
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO identity VALUES (?, ?, ?, ?)",
                (network, identity.fingerprint.digest, self._written(network, key), now()),
            )
        self._cache[identity.fingerprint.digest] = identity
        return identity

    def _require(self, network: str) -> Fingerprint | None:
        rows = self._database.rows("SELECT fingerprint FROM identity WHERE network = ?", network)
        if not rows:
            raise StoreError(f"There is no key for {network}: look at  otr keys  for those that are there.")
        return _fingerprint(rows[0][0])

    def _retire(self, network: str) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO retired_identity SELECT network, fingerprint, created, ? FROM identity "
                "WHERE network = ?",
                (now(), network),
            )
            connection.execute(
                "DELETE FROM retired_identity WHERE network = ?1 AND rowid NOT IN (SELECT rowid FROM "
                "retired_identity WHERE network = ?1 ORDER BY rowid DESC LIMIT ?2)",
                (network, MAX_RETIRED),
            )

    def _readable(self, network: str) -> bool:
        """Whether the private key that is stored can be used; the passphrase was given before."""
        self._cache.clear()
        try:
            return self.find(network) is not None
        except StoreError:
            return False

    def _written(self, network: str, key: DsaPrivateKey) -> bytes:
        seal = self._seal()
        return key.to_der() if seal is None else sealed(self._key_of(seal), key.to_der(), network.encode())

    def _read(self, network: str, stored: bytes) -> DsaPrivateKey:
        seal = self._seal()
        try:
            if seal is not None:
                stored = unsealed(self._key_of(seal), stored, network.encode())
            return DsaPrivateKey.from_der(stored)
        except ValueError as error:
            raise _damaged(network) from error

    def _seal(self) -> Seal | None:
        rows = self._database.rows("SELECT salt, cost, wrapped_key FROM sealing")
        return Seal(*rows[0]) if rows else None

    def _key_of(self, seal: Seal) -> Secret:
        if self._opened is None or self._opened[0] != seal:
            if self._opened is not None and self._database.changing:
                # Others would have to wait while the user is typing.
                raise StoreUnavailable("The passphrase of the private keys is another now: try again.")
            if self._passphrase is None:
                raise StoreError(LOCKED)
            self._opened = (seal, seal.open(self._passphrase()))
        return self._opened[1]


def _fingerprint(digest: bytes) -> Fingerprint | None:
    return Fingerprint(digest) if len(digest) == FINGERPRINT_BYTES else None


def _damaged(network: str) -> StoreError:
    return StoreError(f"The key for {network} is damaged: bring back a copy of the data folder.")
