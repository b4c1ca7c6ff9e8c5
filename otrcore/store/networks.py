"""Which name a network's keys and people are kept under.

A server says itself which network it belongs to, and may lie.  So a name belongs to the servers
that it was first met at; whoever claims it elsewhere gets a name of its own.
"""

from __future__ import annotations

import ipaddress
import re
from contextlib import suppress
from dataclasses import dataclass

from ..errors import StoreError
from .database import Database
from .identities import DEFAULT_NETWORK

MAX_NAME = 64
"""Characters of a name that is taken from a server."""

MAX_HOST = 253
"""Characters of a host's name; DNS allows no more."""

MAX_CLAIMS = 16
"""Of one host; more come only of a server that renames itself at every connection."""

MAX_ROWS = 1000
"""Pairs of a claim and a host."""

_UNSAFE = re.compile(r"[^\w.+-]", re.ASCII)
_UNSAFE_IN_HOST = re.compile(r"[^\w.:+-]", re.ASCII)

_SHORT_SECOND_LEVEL = 3
"""Letters: `co.uk` and its like are no domain that anybody has alone."""

_MAX_TOLD = 3
"""Hosts that a warning names."""


@dataclass(frozen=True, slots=True)
class Placement:
    """What a network is called from now on, and what the user has to be told about it."""

    name: str
    told: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NetworkRow:
    """A network as it is listed: its name, what its servers call it, and where they were met."""

    name: str
    claim: str
    hosts: tuple[str, ...]


class Networks:
    """Names of networks, by what servers claim and where they are."""

    def __init__(self, database: Database) -> None:
        """The database is the store's, which opens and closes it."""
        self._database = database

    def place(self, claim: str, host: str) -> Placement:
        """Return the name for a server that the user has connected to, and remember it.

        `claim` is what the server calls its network, empty if it does not.
        """
        claim, host = _pair(claim, host)
        if any((known, other) == (claim, host) for known, other, _ in self._rows()):
            return self._find(claim, host)
        with self._database.transaction() as connection:
            placement = self._find(claim, host)
            connection.execute(
                "INSERT OR IGNORE INTO network SELECT ?1, ?2, ?3 "
                "WHERE (SELECT COUNT(*) FROM network WHERE host = ?2) < ?4 "
                "AND (SELECT COUNT(*) FROM network) < ?5",
                (claim, host, placement.name, MAX_CLAIMS, MAX_ROWS),
            )
        return placement

    def placed(self, claim: str, host: str) -> Placement:
        """Return what `place` would, without remembering anything."""
        return self._find(*_pair(claim, host))

    def of_host(self, host: str) -> str | None:
        """Return the network that servers of a host belong to, as far as any were met."""
        host = clean_host(host)
        rows = self._rows()
        return next((name for _, other, name in rows if other == host), None) or next(
            (name for _, other, name in rows if same_domain(other, host)), None
        )

    def rows(self) -> tuple[NetworkRow, ...]:
        """Return the networks that were connected to."""
        found: dict[tuple[str, str], list[str]] = {}
        for claim, host, name in self._rows():
            found.setdefault((name, claim), []).append(host)
        return tuple(NetworkRow(name, claim, tuple(hosts)) for (name, claim), hosts in sorted(found.items()))

    def names(self) -> tuple[str, ...]:
        """Return every network that anything is known of."""
        rows = self._database.rows(
            "SELECT name FROM network UNION SELECT network FROM identity UNION SELECT network FROM contact "
            "UNION SELECT network FROM network_policy ORDER BY 1"
        )
        return tuple(name for (name,) in rows if name != DEFAULT_NETWORK)

    def join(self, name: str, host: str) -> None:
        """Have servers of a host belong to a network, as the user knows; StoreError if there is no such."""
        name, host, names = name.strip().lower(), clean_host(host), self.names()
        if name not in names:
            raise StoreError(f"No network is called {clean(name)}: look at  otr networks  for their names.")
        with self._database.transaction() as connection:
            rows = self._rows()
            theirs = {claim for claim, _, known in rows if known == name} | {name}
            here = {claim for claim, other, _ in rows if other == host}
            # A bouncer's host is in several networks, and the others of them stay as they are.
            for claim in theirs | (set() if theirs & here else here):
                connection.execute("INSERT OR REPLACE INTO network VALUES (?, ?, ?)", (claim, host, name))

    def expect(self, host: str) -> str:
        """Return the name for a server that was not connected to yet, as for an import, and remember it."""
        known = self.of_host(host)
        if known is not None:
            return known
        host = clean_host(host)
        name = _own(host, host) if host == DEFAULT_NETWORK else host
        with self._database.transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO network VALUES (?, ?, ?)", (host, host, name))
        return name

    def _find(self, claim: str, host: str) -> Placement:
        rows = self._rows()
        for known_claim, known_host, name in rows:
            if (known_claim, known_host) == (claim, host):
                return Placement(name)
        here = {name for _, known_host, name in rows if known_host == host}
        if claim == host and len(here) == 1:
            return Placement(here.pop())  # it does not say any more what it has said before
        claimed = [(known_host, name) for known_claim, known_host, name in rows if known_claim == claim]
        for known_host, name in claimed:
            if same_domain(known_host, host):
                return Placement(name)
        # Where a server was expected, or did not tell its network, it is known by its host; but only one
        # network is: several that are reached by one host are a bouncer's.
        taken = {name for known_claim, known_host, name in rows if known_claim != known_host}
        for known_claim, known_host, name in rows:
            if known_claim == known_host and name not in taken and same_domain(known_host, host):
                return Placement(name)
        if claim == DEFAULT_NETWORK:
            return Placement(_own(claim, host))  # what is kept under that name is for all networks
        if not claimed and claim not in {name for _, _, name in rows}:
            return Placement(claim)
        own = _own(claim, host)
        known = claimed[0][1] if claimed else claim
        met = list(dict.fromkeys(known_host for known_host, _ in claimed)) or ["another server"]
        hosts = ", ".join(met[:_MAX_TOLD]) + (" and others" if len(met) > _MAX_TOLD else "")
        return Placement(
            own,
            (
                f"WARNING: {host} calls itself {claim}, and so does {hosts}, which is elsewhere. In case "
                f"it is another network, you have a key of its own here, and nobody is known: it is called "
                f"{own}.",
                f"If you know that both are one network:  otr networks join -- {known} {host}",
            ),
        )

    def _rows(self) -> list[tuple[str, str, str]]:
        return [
            (claim, host, name)
            for claim, host, name in self._database.rows(
                "SELECT claim, host, name FROM network ORDER BY rowid"
            )
        ]


def clean(text: str) -> str:
    """Return a name of a network as it is kept: lower case, without what is special anywhere."""
    return _UNSAFE.sub("-", text.strip().lower())[:MAX_NAME].lstrip("-")


def clean_host(text: str) -> str:
    """Return a host as it is kept: one spelling for each, and without what is special anywhere."""
    host = text.strip().lower()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    with suppress(ValueError):
        return _UNSAFE_IN_HOST.sub("-", str(ipaddress.ip_address(host)))
    with suppress(UnicodeError):  # as DNS has it; two scripts must not become one name
        host = host if host.isascii() else host.encode("idna").decode()
    return _UNSAFE_IN_HOST.sub("-", host)[:MAX_HOST].rstrip(".").lstrip("-")


def _pair(claim: str, host: str) -> tuple[str, str]:
    host = clean_host(host)
    if clean_host(claim) == host:
        return host, host
    return clean(claim) or host, host


def _own(claim: str, host: str) -> str:
    """Return a name that no server can claim."""
    return f"{claim}@{host}"


def same_domain(one: str, other: str) -> bool:
    """Whether two hosts are run by the same people, as far as their names tell."""
    one, other = clean_host(one), clean_host(other)
    return one == other or (_domain(one) == _domain(other) and _domain(one) != "")


def _domain(host: str) -> str:
    """Return the part of a host's name that somebody has to register; empty if there is none."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        labels = host.split(".")
        if labels[-1].isdecimal():  # another spelling of an address
            return ""
        short = len(labels) > 2 and len(labels[-1]) == 2 and len(labels[-2]) <= _SHORT_SECOND_LEVEL
        count = 3 if short else 2
        return ".".join(labels[-count:]) if len(labels) >= count else ""
    return ""
