"""Writing keys, contacts and instance tags as files of libotr, for another program to read."""

from __future__ import annotations

import os
import stat
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..errors import StoreError, UsageError
from ..identity import Identity
from ..model import FINGERPRINT_BYTES
from ..store.formats import libotr
from ..store.formats.programs import Program, program_of
from ..store.formats.values import FormatError, FoundContact, FoundKey, FoundTag, checked_name
from ..store.identities import DEFAULT_NETWORK
from ..store.store import Store


@dataclass(frozen=True, slots=True)
class ExportResult:
    """What was written: lines to show, and the same in values that JSON knows."""

    lines: tuple[str, ...]
    data: dict[str, object]


@dataclass(frozen=True, slots=True)
class Account:
    """A network as the other program knows it."""

    network: str
    name: str
    identity: Identity | None
    tag: int | None


def export_keys(
    store: Store,
    folder: Path,
    program: str,
    *,
    networks: tuple[str, ...] | None = None,
    nick: str | None = None,
    server: str | None = None,
    replace: bool = False,
) -> ExportResult:
    """Write the files of a program into a folder, 0600; StoreError or UsageError, and then none is changed.

    `networks` are all if there are none in it.  `nick` and `server` make the name of the account, by
    which the program finds the key: what a program needs of them is told by `Program.account`.
    """
    its = program_of(program)
    if not its.files.tags:
        raise UsageError(f"Nothing is written for {its.title}: choose a program that uses libotr.")
    names = _networks(store, networks or ())
    if server is not None and len(names) > 1:
        raise UsageError(
            f"One server cannot be that of {len(names)} networks: name one of them with --network."
        )
    accounts = [_account(store, name, its, nick, server) for name in names]
    found = _contacts(store, accounts, its)
    contacts = [contact for contact in found if len(contact.fingerprint.digest) == FINGERPRINT_BYTES]
    left_out = len(found) - len(contacts)
    keys = [
        FoundKey(account.name, its.protocol, account.identity.dsa)
        for account in accounts
        if account.identity is not None
    ]
    tags = [
        FoundTag(account.name, its.protocol, account.tag) for account in accounts if account.tag is not None
    ]
    try:
        contents = {
            its.files.keys: libotr.write_keys(keys),
            its.files.fingerprints: libotr.write_fingerprints(contacts, its.compared),
            its.files.tags: libotr.write_tags(tags),
        }
    except FormatError as error:
        raise StoreError(f"Nothing was written, as {error}") from error
    _write(folder, contents, replace=replace)
    return ExportResult(
        tuple(_lines(folder, its, accounts, contacts, left_out)),
        _data(folder, its, accounts, contacts, left_out),
    )


def _networks(store: Store, wanted: tuple[str, ...]) -> tuple[str, ...]:
    known = store.networks.names()
    for name in wanted:
        if name not in known:
            raise UsageError(f"No network is called {name}: look at  otr networks  for their names.")
    if wanted:
        return tuple(dict.fromkeys(wanted))
    own = {row.network for row in store.identities.rows() if row.retired is None}
    met = {contact.network for contact in store.contacts.all()}
    found = tuple(name for name in known if DEFAULT_NETWORK in own or name in own | met)
    if not found:
        raise UsageError("There is nothing to export yet: make a key with  otr keys generate NETWORK.")
    return found


def _account(store: Store, network: str, program: Program, nick: str | None, server: str | None) -> Account:
    if program.names_nick and not nick:
        raise UsageError(
            f"{program.title} finds a key by your nick and the server ({program.account}): "
            "give your nick with --nick."
        )
    place = server or _server(store, network, program)
    name = f"{nick}@{place}" if program.names_nick else place
    try:
        checked_name(0, "the account", name.encode(errors="surrogateescape"))
    except FormatError as error:
        raise UsageError(
            f"{name!r} cannot be an account, as {error.what}: give another --nick or --server."
        ) from error
    identity = store.identities.find(network) or store.identities.find(DEFAULT_NETWORK)
    tags = store.tags.rows(network)
    return Account(network, name, identity, tags[0] if tags else None)


def _server(store: Store, network: str, program: Program) -> str:
    """Return what the program's accounts call a network, if that can be told."""
    if not program.account.endswith("host"):
        return program.spelling.get(network, network)
    rows = [row for row in store.networks.rows() if row.name == network]
    # First the servers that were met, then those that are only expected.
    rows.sort(key=lambda row: row.claim in row.hosts)
    for row in rows:
        return row.hosts[0]
    raise UsageError(
        f"{program.title} finds a key by the server, and none of {network} was met yet: "
        "give it with --server, as it is called there."
    )


def _contacts(store: Store, accounts: Iterable[Account], program: Program) -> list[FoundContact]:
    return [
        FoundContact(contact.nick, account.name, program.protocol, key.fingerprint, key.trust)
        for account in accounts
        for contact in store.contacts.all(account.network)
        for key in contact.keys
    ]


def _write(folder: Path, contents: Mapping[str, bytes], *, replace: bool) -> None:
    """Write files, each whole or not at all, and none if one of them is in the way."""
    made: dict[str, str] = {}
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        there = [name for name in contents if os.path.lexists(folder / name)]
        if there and not replace:
            raise StoreError(
                f"{folder} has {', '.join(there)} already, maybe with other keys in it: "
                "choose another folder, or overwrite what is there with --replace."
            )
        for name in there:
            if not stat.S_ISREG(os.lstat(folder / name).st_mode):
                raise StoreError(f"{folder / name} is not an ordinary file: choose another folder.")
        try:
            for name, content in contents.items():
                descriptor, made[name] = tempfile.mkstemp(dir=folder, prefix=f".{name}-")  # 0600
                with open(descriptor, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
            for name in contents:
                os.replace(made[name], folder / name)
                del made[name]
        finally:
            for left in made.values():
                with suppress(OSError):
                    os.unlink(left)
    except OSError as error:
        why = (error.strerror or type(error).__name__).lower()
        raise StoreError(
            f"The files cannot be written into {folder} ({why}): choose another folder."
        ) from error


def _lines(
    folder: Path,
    program: Program,
    accounts: Iterable[Account],
    contacts: Iterable[FoundContact],
    left_out: int,
) -> Iterator[str]:
    title = program.title
    yield f"Wrote into {folder}, for {title}: {', '.join(program.files.names)}"
    known = Counter(contact.account for contact in contacts)
    for account in accounts:
        key = f"your key {account.identity.fingerprint}" if account.identity else "no key of yours"
        count = known[account.name]
        contacts_keys = f"{count} key{'' if count == 1 else 's'} of contacts"
        yield f"{account.network}, as account {account.name}: {key}, {contacts_keys}"
    if left_out:
        keys = f"{left_out} key{'' if left_out == 1 else 's'}"
        yield f"Left out: {keys} of contacts for OTR version 4, which these files cannot hold."
    if program.folders:
        yield f"{title} reads them when it starts, in {program.folders[0]}, and finds a key by its account."
        yield "If its accounts are called otherwise, export with their names: --network, --nick and --server."
    yield "They are not locked by a passphrase: whoever can read them can pose as you."
    if any(account.tag is not None for account in accounts):
        yield f"Use only one at a time, {title} or otr: people cannot tell two with the same tag apart."


def _data(
    folder: Path,
    program: Program,
    accounts: Iterable[Account],
    contacts: Iterable[FoundContact],
    left_out: int,
) -> dict[str, object]:
    known = Counter(contact.account for contact in contacts)
    return {
        "program": program.name,
        "folder": str(folder),
        "files": list(program.files.names),
        "left_out": left_out,
        "accounts": [
            {
                "network": account.network,
                "account": account.name,
                "fingerprint": account.identity and str(account.identity.fingerprint),
                "contacts": known[account.name],
                "instance_tag": None if account.tag is None else f"{account.tag:08x}",
            }
            for account in accounts
        ],
    }
