"""The user's identities: one for each network, or `default` for all that have none of their own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from ..crypto.dsa import DsaPrivateKey
from ..crypto.ed448 import Point, SigningKey
from ..crypto.secret import Secret
from ..errors import StoreError, StoreUnavailable
from ..identity import Identity
from ..model import FINGERPRINT_4_BYTES, FINGERPRINT_BYTES, Fingerprint
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

_SELECT = (
    "SELECT network, fingerprint, dsa_private_key, fingerprint_4, ed448_private_key, forging_key "
    "FROM identity"
)


@dataclass(frozen=True, slots=True)
class IdentityRow:
    """An identity as it is listed; `fingerprint` is None if it was damaged, times are UTC in ISO 8601.

    `fingerprint_4` is None too where the identity was not used any more since there is version 4.
    """

    network: str
    fingerprint: Fingerprint | None
    fingerprint_4: Fingerprint | None
    created: str
    retired: str | None = None


@dataclass(frozen=True, slots=True)
class _Stored:
    """An identity as it is kept; what is for version 4 is None in one from before that."""

    network: str
    digest: bytes
    dsa: bytes = field(repr=False)
    digest_4: bytes | None
    ed448: bytes | None = field(repr=False)
    forging_key: bytes | None

    @property
    def before_4(self) -> bool:
        return self.digest_4 is self.ed448 is self.forging_key is None


class Identities:
    """Reads, makes, replaces and seals identities."""

    def __init__(self, database: Database, passphrase: Callable[[], str] | None = None) -> None:
        """`passphrase` is asked for once, when the first sealed key is opened."""
        self._database = database
        self._passphrase = passphrase
        self._opened: tuple[Seal, Secret] | None = None
        self._cache: dict[tuple[bytes, bytes | None], Identity] = {}
        """By fingerprints: opening and checking a key takes a millisecond, and happens at every change.

        So a running client goes on when another program locks the private keys by a passphrase.
        """

    def rows(self) -> tuple[IdentityRow, ...]:
        """Return the identities in use by their networks, then those that are not used any more."""
        living = self._database.rows(
            "SELECT network, fingerprint, fingerprint_4, created FROM identity ORDER BY network"
        )
        retired = self._database.rows(
            "SELECT network, fingerprint, fingerprint_4, created, retired FROM retired_identity "
            "ORDER BY network, rowid"
        )
        return tuple(
            IdentityRow(network, _fingerprint(digest), _fingerprint_4(digest_4), *rest)
            for network, digest, digest_4, *rest in (*living, *retired)
        )

    def for_network(self, network: str) -> Identity:
        """Return the identity to speak as; made and kept on a network's first use, 20 to 200 ms."""
        identity = self.find(network) or self.find(DEFAULT_NETWORK)
        if identity is None:
            # Made, and the passphrase asked for, outside the transaction: other processes wait for its end.
            made = Identity(DsaPrivateKey.generate())
            self.unlock()
            with self._database.transaction():
                # If another process was faster, its key stays.
                identity = self.find(network) or self._keep(network, made)
        return identity

    def find(self, network: str) -> Identity | None:
        """Return the identity that a network has of its own, if any.

        One from before version 4 gets its keys for that now, which are kept; StoreUnavailable where
        they cannot be.
        """
        stored = self._stored(network)
        while stored is not None and stored.before_4:
            made = self._read(stored)  # outside the transaction, as in `for_network`
            with self._database.transaction():
                # If another process was faster, its keys stay.
                if self._stored(network) == stored:
                    self._write(network, made)
                stored = self._stored(network)
        if stored is None:
            return None
        mark = (stored.digest, stored.digest_4)
        if mark not in self._cache:
            self._cache[mark] = self._read(stored)
        return self._cache[mark]

    def check(self, network: str) -> None:
        """Look whether the identity of a network can be used, and change nothing; StoreError if not."""
        stored = self._stored(network)
        if stored is not None:
            self._read(stored)

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
            self._drop_profiles(network)
        self._cache.clear()
        return fingerprint

    def put(self, network: str, key: DsaPrivateKey | Identity, *, replace: bool = False) -> Identity:
        """Keep an identity; StoreError if there is another one, unless that is to be replaced.

        The keys for version 4 of a bare DSA key are new ones, unless it is there already and has some.
        """
        identity = key if isinstance(key, Identity) else Identity(key)
        self.unlock()
        with self._database.transaction() as connection:
            rows = connection.execute("SELECT fingerprint FROM identity WHERE network = ?", (network,))
            there = rows.fetchone()
            if there is not None and there[0] == identity.fingerprint.digest:
                return self._whole(network) or self._mend(network, identity)
            if there is not None:
                if not replace:
                    raise StoreError(
                        f"There is a key for {network} already, and it was left as it is: "
                        "choose to rotate or delete it first."
                    )
                self._retire(network)
                connection.execute("DELETE FROM identity WHERE network = ?", (network,))
                self._cache.clear()
            return self._keep(network, identity)

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
                identities = self._all()
                connection.execute("DELETE FROM sealing")
                connection.execute(
                    "INSERT INTO sealing VALUES (1, ?, ?, ?)", (seal.salt, seal.cost, seal.wrapped_key)
                )
                self._opened = fresh
                for network, identity in identities.items():
                    self._write(network, identity)
        except BaseException:  # an interrupt too: the old seal holds again
            self._opened = before
            raise

    def unseal(self) -> None:
        """Keep the private keys without a passphrase from now on."""
        self.unlock()
        with self._database.transaction() as connection:
            identities = self._all()
            connection.execute("DELETE FROM sealing")
            for network, identity in identities.items():
                self._write(network, identity)

    def unlock(self) -> None:
        """Ask for the passphrase now, if there is one: before others have to wait.  StoreError."""
        seal = self._seal()
        if seal is not None:
            self._key_of(seal)

    def _stored(self, network: str) -> _Stored | None:
        # By the rows alone: where their index is damaged, it leads to another network's key.
        rows = self._database.rows(f"{_SELECT} NOT INDEXED WHERE network = ?", network)
        return _Stored(*rows[0]) if rows else None

    def _all(self) -> dict[str, Identity]:
        rows = [_Stored(*row) for row in self._database.rows(_SELECT)]
        return {stored.network: self._read(stored) for stored in rows}

    def _write(self, network: str, identity: Identity) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE identity SET fingerprint = ?, dsa_private_key = ?, fingerprint_4 = ?, "
                "ed448_private_key = ?, forging_key = ? WHERE network = ?",
                (*self._written(network, identity), network),
            )

    def _keep(self, network: str, identity: Identity) -> Identity:
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO identity (fingerprint, dsa_private_key, fingerprint_4, ed448_private_key, "
                "forging_key, network, created) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*self._written(network, identity), network, now()),
            )
            self._drop_profiles(network)
        self._cache[identity.fingerprint.digest, identity.fingerprint_4.digest] = identity
        return identity

    def _drop_profiles(self, network: str) -> None:
        """Forget the client profiles that the identity which a network had until now has signed."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM client_profile WHERE network = ?", (network,))
            if network == DEFAULT_NETWORK:
                connection.execute(
                    "DELETE FROM client_profile WHERE network NOT IN (SELECT network FROM identity)"
                )

    def _require(self, network: str) -> Fingerprint | None:
        rows = self._database.rows("SELECT fingerprint FROM identity WHERE network = ?", network)
        if not rows:
            raise StoreError(f"There is no key for {network}: look at  otr keys  for those that are there.")
        return _fingerprint(rows[0][0])

    def _retire(self, network: str) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO retired_identity (network, fingerprint, fingerprint_4, created, retired) "
                "SELECT network, fingerprint, fingerprint_4, created, ? FROM identity WHERE network = ?",
                (now(), network),
            )
            connection.execute(
                "DELETE FROM retired_identity WHERE network = ?1 AND rowid NOT IN (SELECT rowid FROM "
                "retired_identity WHERE network = ?1 ORDER BY rowid DESC LIMIT ?2)",
                (network, MAX_RETIRED),
            )

    def _whole(self, network: str) -> Identity | None:
        """Return the identity that is stored, if it can be used; the passphrase was given before."""
        self._cache.clear()
        try:
            return self.find(network)
        except StoreUnavailable:
            raise
        except StoreError:
            return None

    def _mend(self, network: str, identity: Identity) -> Identity:
        """Keep an identity in place of what is left of it; keys for version 4 that can be used stay."""
        stored = self._stored(network)
        if stored is not None:
            with suppress(ValueError):
                kept = Identity(identity.dsa, *self._keys_4(stored))
                identity = kept if kept.fingerprint_4.digest == stored.digest_4 else identity
        with self._database.transaction():
            self._write(network, identity)
            self._drop_profiles(network)
        self._cache.clear()
        return identity

    def _written(self, network: str, identity: Identity) -> tuple[bytes, bytes, bytes, bytes, bytes]:
        """Return what is kept: fingerprint, DSA key; fingerprint, seed and forging key for version 4."""
        dsa, seed, forging_key = identity.dsa.to_der(), bytes(identity.ed448.to_bytes()), identity.forging_key
        seal = self._seal()
        if seal is not None:
            key = self._key_of(seal)
            dsa = sealed(key, dsa, network.encode())
            seed = sealed(key, seed, _purpose_4(network, forging_key.encoded))
        return identity.fingerprint.digest, dsa, identity.fingerprint_4.digest, seed, forging_key.encoded

    def _read(self, stored: _Stored) -> Identity:
        """Return an identity, with new keys for version 4 if it is from before that; StoreError."""
        try:
            dsa = DsaPrivateKey.from_der(self._content(stored.dsa, stored.network.encode()))
            identity = Identity(dsa, *self._keys_4(stored))
        except ValueError as error:
            raise _damaged(stored.network) from error
        if identity.fingerprint.digest != stored.digest or not (
            stored.before_4 or identity.fingerprint_4.digest == stored.digest_4
        ):
            raise _damaged(stored.network)
        return identity

    def _keys_4(self, stored: _Stored) -> tuple[()] | tuple[SigningKey, Point]:
        """Return what an identity has for version 4; ValueError if it is damaged."""
        if stored.before_4:
            return ()
        if stored.ed448 is None or stored.forging_key is None:
            raise ValueError("a part of the keys for version 4 is gone")
        seed = self._content(stored.ed448, _purpose_4(stored.network, stored.forging_key))
        return SigningKey(seed), Point.decode(stored.forging_key)

    def _content(self, stored: bytes, purpose: bytes) -> bytes:
        seal = self._seal()
        return stored if seal is None else unsealed(self._key_of(seal), stored, purpose)

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


def _fingerprint_4(digest: bytes | None) -> Fingerprint | None:
    return Fingerprint(digest) if digest is not None and len(digest) == FINGERPRINT_4_BYTES else None


def _purpose_4(network: str, forging_key: bytes) -> bytes:
    """Return what a seed is sealed for.

    Whoever had us use a forging key of theirs could pose to us as anybody; so it is sealed too, though
    it is no secret.
    """
    return b"otrcore: Ed448, " + forging_key + network.encode()


def _damaged(network: str) -> StoreError:
    return StoreError(f"The key for {network} is damaged: bring back a copy of the data folder.")
