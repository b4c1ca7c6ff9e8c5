"""The people that were talked with: their keys by nicks, how far those are trusted, and what happened."""

from __future__ import annotations

import string
from collections.abc import Iterable
from dataclasses import dataclass
from sqlite3 import Connection

from ..errors import StoreError
from ..memory import MAX_KEYS, KnownKey, PeerMemory
from ..model import FINGERPRINT_4_BYTES, FINGERPRINT_BYTES, Fingerprint, Trust
from ..policy import Policy
from . import policies
from .clock import now
from .database import Database

MAX_UNDECIDED = 1000
"""Contacts of one network about whom the user has decided nothing: anybody can make up more of them."""

MAX_HISTORY = 50
"""Rows of one contact."""

MAX_NICK = 128
"""Characters; no network allows more."""

_FOLDING = str.maketrans(string.ascii_uppercase + "[]\\^", string.ascii_lowercase + "{}|~")
_TRUST = {Trust.NONE: "none", Trust.COMPARED: "compared", Trust.SMP: "smp"}
_TRUST_OF = {word: trust for trust, word in _TRUST.items()}

_DIGESTS = (FINGERPRINT_BYTES, FINGERPRINT_4_BYTES)

MET = "met"
DISTRUSTED = "no longer trusted"


@dataclass(frozen=True, slots=True)
class ContactKey:
    """A key of a contact; times are UTC in ISO 8601."""

    fingerprint: Fingerprint
    trust: Trust
    verified: str | None
    first_seen: str
    last_seen: str | None


@dataclass(frozen=True, slots=True)
class Contact:
    """Somebody under one nick; the key met last is the last."""

    network: str
    nick: str
    keys: tuple[ContactKey, ...]
    versions: frozenset[int]
    policy: Policy | None

    @property
    def memory(self) -> PeerMemory:
        """What a conversation with the contact begins with; of many keys those that are verified stay."""
        keys = [KnownKey(key.fingerprint, key.trust) for key in self.keys]
        if len(keys) > MAX_KEYS:
            *others, last = keys
            others.sort(key=lambda key: key.trust is not Trust.NONE)
            keys = [*others[1 - MAX_KEYS :], last]
        return PeerMemory(self.versions, tuple(keys), self.policy)


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """Something that happened to a key of a contact."""

    time: str
    fingerprint: Fingerprint
    what: str


def fold_nick(nick: str) -> str:
    """Return a nick as it is kept: folded as loosely as any network does (RFC 1459).

    Lone surrogates, which stand for bytes that are no UTF-8, become %udc80 to %udcff.
    """
    folded = nick[:MAX_NICK].translate(_FOLDING)  # and has no backslash any more
    return folded.encode(errors="backslashreplace").decode().replace("\\", "%")[:MAX_NICK]


class Contacts:
    """Reads contacts, and takes in what changes about them."""

    def __init__(self, database: Database) -> None:
        """The database is the store's, which opens and closes it."""
        self._database = database

    def all(self, network: str | None = None) -> tuple[Contact, ...]:
        """Return the contacts on a network, or on all, sorted."""
        return self._read("WHERE network = ?", network) if network is not None else self._read("")

    def find(self, nick: str, network: str | None = None) -> tuple[Contact, ...]:
        """Return the contacts of this nick."""
        found = self._read("WHERE nick = ?", fold_nick(nick))
        return tuple(contact for contact in found if network in (None, contact.network))

    def memories(self, network: str) -> dict[str, PeerMemory]:
        """Return what is remembered of everybody on a network, by folded nick; what changed last is last."""
        found = self._read("WHERE network = ?", network, order="seen")
        return {contact.nick: contact.memory for contact in found}

    def history(self, network: str, nick: str) -> tuple[HistoryRow, ...]:
        """Return what happened to the keys of a contact, the oldest first."""
        rows = self._database.rows(
            "SELECT time, fingerprint, what FROM history WHERE network = ? AND nick = ? ORDER BY id",
            network,
            fold_nick(nick),
        )
        return tuple(
            HistoryRow(time, Fingerprint(digest), what)
            for time, digest, what in rows
            if len(digest) in _DIGESTS
        )

    def learn(self, network: str, nick: str, before: PeerMemory, after: PeerMemory) -> None:
        """Take in what a conversation has changed in what it remembers; what else changed meanwhile stays."""
        nick = fold_nick(nick)
        with self._database.transaction():
            self._touch(network, nick)
            self._add_versions(network, nick, after.versions - before.versions)
            if after.policy != before.policy:
                self.set_policy(network, nick, after.policy)
            for key in after.keys:
                if not before.knows(key.fingerprint):
                    self._meet(network, nick, key.fingerprint)
                if key.trust is not before.trust(key.fingerprint):
                    self._take_in(network, nick, before, key)
            if after.last is not None and after.last != before.last:
                self._meet(network, nick, after.last)
            self._bound(network, nick)

    def met(self, network: str, nick: str, fingerprint: Fingerprint) -> None:
        """Take note that an encrypted conversation with this key has begun."""
        nick = fold_nick(nick)
        with self._database.transaction():
            self._touch(network, nick)
            self._meet(network, nick, fingerprint)
            self._bound(network, nick)

    def judge(self, network: str, nick: str, fingerprint: Fingerprint, trust: Trust) -> None:
        """Trust a key under a nick, or cease to trust it under every nick; StoreError for an unknown one."""
        nick = fold_nick(nick)
        with self._database.transaction():
            if not self._knows(network, nick, fingerprint):
                raise _unknown_key(network, nick)
            self._judge(network, nick, fingerprint, trust)

    def add(self, network: str, nick: str, fingerprint: Fingerprint, trust: Trust, source: str) -> bool:
        """Know a key from now on, as another program did; whether it was new.  What is known stays."""
        nick = fold_nick(nick)
        with self._database.transaction() as connection:
            if self._knows(network, nick, fingerprint):
                return False
            if self._doubted(network, fingerprint):
                trust = Trust.NONE
            self._touch(network, nick)
            self._insert(network, nick, fingerprint, met=None)
            if trust is not Trust.NONE:
                connection.execute(
                    "UPDATE contact_key SET trust = ?, verified = ? "
                    "WHERE network = ? AND nick = ? AND fingerprint = ?",
                    (_TRUST[trust], now(), network, nick, fingerprint.digest),
                )
            self._note(network, nick, fingerprint, f"imported from {source}, {trust.value}")
            return True

    def forget(self, network: str, nick: str, fingerprint: Fingerprint | None = None) -> None:
        """Forget a key of a contact, or the whole contact; StoreError if there is no such."""
        nick = fold_nick(nick)
        with self._database.transaction() as connection:
            if fingerprint is not None:
                if not self._knows(network, nick, fingerprint):
                    raise _unknown_key(network, nick)
                where, values = "AND fingerprint = ?", (network, nick, fingerprint.digest)
                connection.execute(f"DELETE FROM contact_key WHERE network = ? AND nick = ? {where}", values)
                connection.execute(f"DELETE FROM history WHERE network = ? AND nick = ? {where}", values)
                self._touch(network, nick)
                return
            found = connection.execute(
                "SELECT 1 FROM contact WHERE network = ? AND nick = ?", (network, nick)
            ).fetchone()
            if found is None:
                raise StoreError(
                    f"Nobody is known as {nick} on {network}: look at  otr contacts  for who is."
                )
            _delete(connection, network, nick)

    def set_policy(self, network: str, nick: str, policy: Policy | None) -> None:
        """Have a policy of its own for a contact, None for the network's."""
        nick = fold_nick(nick)
        with self._database.transaction() as connection:
            self._touch(network, nick)
            connection.execute(
                "UPDATE contact SET policy = ? WHERE network = ? AND nick = ?",
                (None if policy is None else policies.written(policy), network, nick),
            )

    def _read(self, where: str, *values: str, order: str = "network, nick") -> tuple[Contact, ...]:
        rows = self._database.rows(
            f"SELECT network, nick, versions, policy FROM contact {where} ORDER BY {order}", *values
        )
        keys: dict[tuple[str, str], list[ContactKey]] = {}
        for network, nick, *key in self._database.rows(
            "SELECT network, nick, fingerprint, trust, verified, first_seen, last_seen "
            f"FROM contact_key {where} ORDER BY used",
            *values,
        ):
            keys.setdefault((network, nick), []).extend(_contact_key(*key))
        return tuple(
            Contact(
                network,
                nick,
                tuple(keys.get((network, nick), ())),
                frozenset(int(digit) for digit in versions if digit in string.digits),
                None if policy is None else policies.read(policy),
            )
            for network, nick, versions, policy in rows
        )

    def _knows(self, network: str, nick: str, fingerprint: Fingerprint) -> bool:
        return bool(
            self._database.rows(
                "SELECT 1 FROM contact_key WHERE network = ? AND nick = ? AND fingerprint = ?",
                network,
                nick,
                fingerprint.digest,
            )
        )

    def _touch(self, network: str, nick: str) -> None:
        """Have a row for a contact, and take note that it has changed."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO contact VALUES (?1, ?2, '', NULL, "
                "(SELECT COALESCE(MAX(seen), 0) + 1 FROM contact WHERE network = ?1)) "
                "ON CONFLICT DO UPDATE SET seen = excluded.seen",
                (network, nick),
            )

    def _add_versions(self, network: str, nick: str, versions: Iterable[int]) -> None:
        with self._database.transaction() as connection:
            for version in sorted(versions):
                connection.execute(
                    "UPDATE contact SET versions = versions || ?1 "
                    "WHERE network = ?2 AND nick = ?3 AND instr(versions, ?1) = 0",
                    (str(version), network, nick),
                )

    def _insert(self, network: str, nick: str, fingerprint: Fingerprint, met: str | None) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO contact_key VALUES (?1, ?2, ?3, 'none', NULL, ?4, ?5, "
                "(SELECT COALESCE(MAX(used), 0) + 1 FROM contact_key WHERE network = ?1 AND nick = ?2)) "
                "ON CONFLICT DO UPDATE SET last_seen = excluded.last_seen, used = excluded.used",
                (network, nick, fingerprint.digest, now(), met),
            )

    def _meet(self, network: str, nick: str, fingerprint: Fingerprint) -> None:
        first = not self._knows(network, nick, fingerprint)
        self._insert(network, nick, fingerprint, met=now())
        if first:
            self._note(network, nick, fingerprint, MET)

    def _take_in(self, network: str, nick: str, before: PeerMemory, key: KnownKey) -> None:
        """Take in how far a conversation trusts a key now."""
        if key.trust is not Trust.NONE:
            if not before.knows(key.fingerprint) and self._doubted(network, key.fingerprint):
                return  # it was trusted as the one known under another nick, which it is no longer
            if not self._knows(network, nick, key.fingerprint):
                self._meet(network, nick, key.fingerprint)  # forgotten meanwhile
        self._judge(network, nick, key.fingerprint, key.trust)

    def _doubted(self, network: str, fingerprint: Fingerprint) -> bool:
        """Whether the user's last word about a key on this network was that it is not trusted any more."""
        verdicts = self._database.rows(
            "SELECT what FROM history WHERE network = ? AND fingerprint = ? AND what IN (?, ?, ?) "
            "ORDER BY id DESC LIMIT 1",
            network,
            fingerprint.digest,
            DISTRUSTED,
            Trust.COMPARED.value,
            Trust.SMP.value,
        )
        return verdicts == [(DISTRUSTED,)]

    def _judge(self, network: str, nick: str, fingerprint: Fingerprint, trust: Trust) -> None:
        """Trust belongs to a key: a doubt about it counts under every nick."""
        with self._database.transaction() as connection:
            if trust is Trust.NONE:
                doubted = connection.execute(
                    "SELECT nick FROM contact_key WHERE network = ? AND fingerprint = ? AND trust != 'none'",
                    (network, fingerprint.digest),
                ).fetchall()
                connection.execute(
                    "UPDATE contact_key SET trust = 'none', verified = NULL "
                    "WHERE network = ? AND fingerprint = ?",
                    (network, fingerprint.digest),
                )
                for (other,) in doubted:
                    self._note(network, other, fingerprint, DISTRUSTED)
                return
            changed = connection.execute(
                "UPDATE contact_key SET trust = ?1, verified = ?2 "
                "WHERE network = ?3 AND nick = ?4 AND fingerprint = ?5 AND trust != ?1",
                (_TRUST[trust], now(), network, nick, fingerprint.digest),
            )
            if changed.rowcount:
                self._note(network, nick, fingerprint, trust.value)

    def _note(self, network: str, nick: str, fingerprint: Fingerprint, what: str) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO history (network, nick, fingerprint, time, what) VALUES (?, ?, ?, ?, ?)",
                (network, nick, fingerprint.digest, now(), what),
            )
            connection.execute(
                "DELETE FROM history WHERE id IN (SELECT id FROM history "
                "WHERE network = ? AND nick = ? ORDER BY what = ?, id DESC LIMIT -1 OFFSET ?)",
                (network, nick, MET, MAX_HISTORY),
            )

    def _bound(self, network: str, nick: str) -> None:
        """Forget what strangers could fill the store with, and never what the user has decided."""
        with self._database.transaction() as connection:
            connection.execute(
                "DELETE FROM contact_key WHERE rowid IN (SELECT rowid FROM contact_key "
                "WHERE network = ?1 AND nick = ?2 AND trust = 'none' AND used < "
                "(SELECT MAX(used) FROM contact_key WHERE network = ?1 AND nick = ?2) "
                "ORDER BY used DESC LIMIT -1 OFFSET max(0, ?3 - 1 - (SELECT COUNT(*) FROM contact_key "
                "WHERE network = ?1 AND nick = ?2 AND trust != 'none')))",
                (network, nick, MAX_KEYS),
            )
            surplus = connection.execute(
                "SELECT nick FROM contact WHERE network = ?1 AND policy IS NULL AND nick != ?2 "
                "AND NOT EXISTS (SELECT 1 FROM contact_key WHERE contact_key.network = contact.network AND "
                "contact_key.nick = contact.nick AND trust != 'none') "
                "AND NOT EXISTS (SELECT 1 FROM history WHERE history.network = contact.network AND "
                "history.nick = contact.nick AND what = ?4) "
                "ORDER BY seen DESC LIMIT -1 OFFSET ?3",
                (network, nick, MAX_UNDECIDED - 1, DISTRUSTED),
            ).fetchall()
            for (other,) in surplus:
                _delete(connection, network, other)


def _delete(connection: Connection, network: str, nick: str) -> None:
    for table in ("contact", "contact_key", "history"):
        connection.execute(f"DELETE FROM {table} WHERE network = ? AND nick = ?", (network, nick))


def _unknown_key(network: str, nick: str) -> StoreError:
    return StoreError(
        f"No key of {nick} on {network} has this fingerprint: look at  otr contacts  for those known."
    )


def _contact_key(
    digest: bytes, trust: str, verified: str | None, first_seen: str, last_seen: str | None
) -> list[ContactKey]:
    """Return a key; none of damaged fingerprint.  A trust that nobody has heard of is none."""
    if len(digest) not in _DIGESTS:
        return []
    known = _TRUST_OF.get(trust, Trust.NONE)
    return [ContactKey(Fingerprint(digest), known, verified, first_seen, last_seen)]
