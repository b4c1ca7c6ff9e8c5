"""Taking over keys, contacts and instance tags from the files of another program: all of it, or nothing."""

from __future__ import annotations

import dataclasses
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..crypto.dsa import DsaPrivateKey
from ..errors import StoreError, UsageError
from ..model import Fingerprint, Trust
from ..store.contacts import fold_nick
from ..store.formats.programs import OTHER_NAMES, SUBFOLDER, Entry, Found, is_known, parts_of, read
from ..store.formats.values import MAX_FILE_BYTES, FormatError, FoundKey
from ..store.identities import DEFAULT_NETWORK, IdentityRow
from ..store.networks import clean
from ..store.store import Store
from ..wire.keys import fingerprint

MAX_FILES = 1000
"""In a folder of weechat-otr, which has two for each nick on each network."""

_STRENGTH = {Trust.NONE: 0, Trust.COMPARED: 1, Trust.SMP: 2}
_SHOWN = 8
"""Accounts that one sentence names."""


@dataclass(frozen=True, slots=True)
class PlannedKey:
    """A key for a network, and what becomes of it: "added", "replaced" (another one) or "there already"."""

    network: str
    account: str
    key: DsaPrivateKey
    fingerprint: Fingerprint
    done: str
    before: Fingerprint | None = None
    """The one that it takes the place of, as far as that can be read."""
    retired: str | None = None
    """When it ceased to be in use here, if it ever was."""


@dataclass(frozen=True, slots=True)
class PlannedContact:
    """A key of somebody; `unknown_word` is what the file says of trust, where that is not known here."""

    network: str
    nick: str
    fingerprint: Fingerprint
    trust: Trust
    unknown_word: str
    new: bool


@dataclass(frozen=True, slots=True)
class PlannedTag:
    """An instance tag for a network."""

    network: str
    tag: int
    new: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What an import does to a store; `unheard` are the networks of which nothing was known."""

    keys: tuple[PlannedKey, ...]
    contacts: tuple[PlannedContact, ...]
    tags: tuple[PlannedTag, ...]
    unheard: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What was done: lines to show, and the same in values that JSON knows."""

    lines: tuple[str, ...]
    data: dict[str, object]


def import_keys(
    store: Store,
    source: Path,
    program: str | None,
    *,
    network: str | None = None,
    account: str | None = None,
    replace: bool = False,
) -> ImportResult:
    """Take over what a file or folder of another program holds.

    `network` is the name to keep it under, where what the accounts say is of no use; `account` is whose
    key it shall be, where several have one on the same network.  A key that is in use here gives way
    only if `replace` says so.  StoreError or UsageError, and then nothing has changed.
    """
    files, exposed = _files(source)
    try:
        found = read(program, files)
    except FormatError as error:
        raise StoreError(f"Nothing was imported: {error}") from error
    exposed = [file for file in exposed if found.program.files.hold_keys(file)]
    store.identities.unlock()
    with store.transaction():
        planned = plan(store, found, network=network, account=account, replace=replace)
        carry_out(store, planned, found.program.title)
    return ImportResult(tuple(_lines(planned, found, exposed)), _data(planned, found, exposed))


def plan(
    store: Store,
    found: Found,
    *,
    network: str | None = None,
    account: str | None = None,
    replace: bool = False,
) -> Plan:
    """Return what there is to do, changing nothing.

    UsageError where the user has to choose first, StoreError where a key would give way to another.
    """
    chosen = None if account is None else _chosen(found, account)
    places = _places(store, found, chosen, network)
    found_keys = [
        (network if network == DEFAULT_NETWORK else places[key.account], key)
        for key in found.keys
        if key.account in places and chosen in (None, key.account)
    ]
    keys = _keys(store, found_keys, replace)
    contacts = _contacts(store, found, places)
    tags = _tags(store, found, places, chosen)
    changes: tuple[PlannedKey | PlannedContact | PlannedTag, ...] = (*keys, *contacts, *tags)
    networks = {change.network for change in changes}
    return Plan(keys, contacts, tags, tuple(sorted(networks - {DEFAULT_NETWORK, *store.networks.names()})))


def carry_out(store: Store, planned: Plan, source: str) -> None:
    """Change the store as planned; `source` is the program that knew the contacts."""
    with store.transaction():
        for network in planned.unheard:
            # A name with a dot may be a server's: whichever network that belongs to shall have the key.
            if "." in network:
                store.networks.expect(network)
        for key in planned.keys:
            store.identities.put(key.network, key.key, replace=key.done == "replaced")
        for contact in planned.contacts:
            store.contacts.add(contact.network, contact.nick, contact.fingerprint, contact.trust, source)
        for tag in planned.tags:
            store.tags.add(tag.network, tag.tag)


# ---- reading


def _files(source: Path) -> tuple[dict[str, bytes], list[str]]:
    """Return the files to read by their names, and the names of those that others can read."""
    folder = source.parent
    names = [source.name]
    with suppress(NotADirectoryError):
        folder, names = source, _known_names(source)
        if not names and (source / SUBFOLDER).is_dir():
            folder, names = source / SUBFOLDER, _known_names(source / SUBFOLDER)
    files, exposed = {}, []
    for name in names:
        files[name], mode = _content(folder / name)
        if mode & 0o077:
            exposed.append(name)
    return files, exposed


def _known_names(folder: Path) -> list[str]:
    try:
        names = [entry.name for entry in os.scandir(folder) if is_known(entry.name)]
    except NotADirectoryError:
        raise
    except OSError as error:
        raise _unreadable(folder, _why(error)) from error
    if len(names) > MAX_FILES:
        raise _unreadable(folder, f"more than {MAX_FILES} files")
    return names


def _content(path: Path) -> tuple[bytes, int]:
    """Return what is in a file, and its rights; no more is read than a file of keys can have."""
    try:
        # Not blocking: a pipe would keep us waiting.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise _unreadable(path, "not an ordinary file")
            # One byte more tells that it is too long.
            return file.read(MAX_FILE_BYTES + 1), stat.S_IMODE(status.st_mode)
    except OSError as error:
        raise _unreadable(path, _why(error)) from error


def _unreadable(path: Path, why: str) -> StoreError:
    return StoreError(f"{path} cannot be read ({why}): give the file or folder of the other program.")


def _why(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


# ---- planning


def _accounts(found: Found) -> list[str]:
    entries: tuple[Entry, ...] = (*found.keys, *found.contacts, *found.tags)
    return sorted({entry.account for entry in entries})


def _chosen(found: Found, account: str) -> str:
    """Return the account that the user means."""
    names = _accounts(found)
    same = [name for name in names if name.lower() == account.lower()]
    if account in names or len(same) == 1:
        return account if account in names else same[0]
    raise UsageError(f"There is no account {account} in these files: choose one of {_some(names)}.")


def _places(store: Store, found: Found, chosen: str | None, network: str | None) -> dict[str, str]:
    """Return the networks of the accounts, of all or of those on the network of the chosen one."""
    own = {name: _own_network(store, name) for name in _accounts(found)}
    if not own:
        others = f", only for {', '.join(sorted(found.left_out))}" if found.left_out else ""
        raise UsageError(f"There is nothing for IRC in these files{others}: give those of an IRC account.")
    if chosen is not None:
        own = {name: place for name, place in own.items() if place == own[chosen]}
    if network not in (None, DEFAULT_NETWORK):
        if len(set(own.values())) > 1:
            raise UsageError(
                "These files are for several networks, and --network names only one: "
                f"choose with --account from {_some(own)}."
            )
        return dict.fromkeys(own, network or "")
    placed: tuple[Entry, ...] = (*found.contacts, *found.tags, *(found.keys if network is None else ()))
    for name in sorted(own.keys() & {entry.account for entry in placed}):
        if own[name] in ("", DEFAULT_NETWORK):
            raise UsageError(
                f"The account {name} does not tell which network it is for: "
                "give --network, with --account if there are several."
            )
    return own


def _own_network(store: Store, account: str) -> str:
    """Return the network that an account's name tells, as it is called here; empty if it tells none."""
    name = clean(parts_of(account)[1])
    name = OTHER_NAMES.get(name, name)
    if name in store.networks.names():
        return name
    claimed = {row.name for row in store.networks.rows() if row.claim == name}
    if len(claimed) == 1:
        return claimed.pop()
    return (store.networks.of_host(name) if "." in name else None) or name


def _keys(store: Store, found: Iterable[tuple[str, FoundKey]], may_replace: bool) -> tuple[PlannedKey, ...]:
    """Return what becomes of keys for networks."""
    candidates: dict[str, dict[Fingerprint, PlannedKey]] = {}
    for network, key in found:
        mark = fingerprint(key.key.public)
        planned = PlannedKey(network, key.account, key.key, mark, "added")
        candidates.setdefault(network, {}).setdefault(mark, planned)
    rows = store.identities.rows()
    return tuple(
        _against(rows, _only(network, tuple(candidates[network].values())), may_replace)
        for network in sorted(candidates)
    )


def _only(network: str, keys: Sequence[PlannedKey]) -> PlannedKey:
    if len(keys) > 1:
        which = [f"{key.account} ({key.fingerprint})" for key in keys]
        raise UsageError(
            f"There are {len(keys)} different keys for {network}: choose with --account from {_some(which)}."
        )
    return keys[0]


def _against(rows: Iterable[IdentityRow], key: PlannedKey, may_replace: bool) -> PlannedKey:
    """Return what becomes of a key beside those that are here."""
    for row in rows:
        if row.network != key.network:
            continue
        if row.fingerprint == key.fingerprint:
            if row.retired is None:
                return dataclasses.replace(key, done="there already")
            key = dataclasses.replace(key, retired=row.retired)
        elif row.retired is None:
            if not may_replace:
                raise StoreError(
                    f"Nothing was imported: for {key.network} you have the key "
                    f"{row.fingerprint or '(damaged)'} here, and {key.fingerprint} there: "
                    "give --replace to use that one from now on."
                )
            key = dataclasses.replace(key, done="replaced", before=row.fingerprint)
    return key


def _contacts(store: Store, found: Found, places: Mapping[str, str]) -> tuple[PlannedContact, ...]:
    """Return the contacts; what the user has verified under any account is verified."""
    planned: dict[tuple[str, str, bytes], PlannedContact] = {}
    for contact in found.contacts:
        if contact.account not in places:
            continue
        one = PlannedContact(
            places[contact.account],
            fold_nick(contact.nick),
            contact.fingerprint,
            contact.trust,
            contact.unknown_word,
            new=True,
        )
        place = (one.network, one.nick, one.fingerprint.digest)
        if place not in planned or _STRENGTH[planned[place].trust] < _STRENGTH[one.trust]:
            planned[place] = one
    known = {
        (contact.network, contact.nick, key.fingerprint.digest)
        for network in {network for network, _, _ in planned}
        for contact in store.contacts.all(network)
        for key in contact.keys
    }
    return tuple(dataclasses.replace(planned[place], new=place not in known) for place in sorted(planned))


def _tags(
    store: Store, found: Found, places: Mapping[str, str], chosen: str | None
) -> tuple[PlannedTag, ...]:
    tags = {
        (places[tag.account], tag.tag)
        for tag in found.tags
        if tag.account in places and chosen in (None, tag.account)
    }
    return tuple(
        PlannedTag(network, tag, tag not in store.tags.rows(network)) for network, tag in sorted(tags)
    )


def _some(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


# ---- telling


def _lines(planned: Plan, found: Found, exposed: Iterable[str]) -> Iterator[str]:
    title = found.program.title
    for key in planned.keys:
        whose = f"Your key for {_for(key.network)}, {key.fingerprint} (account {key.account})"
        yield f"{whose}: {_KEY_DONE[key.done]}"
        if key.done == "replaced":
            yield f"  It takes the place of {key.before or 'a damaged one'}: others have to verify you anew."
        if key.done != "there already":
            yield "  Beside it there is a new one for OTR version 4: look at  otr keys  for its fingerprint."
        if key.retired is not None:
            yield f"  It was in use here before, until {key.retired}."
    for contact in planned.contacts:
        done = (
            f"known from now on, {contact.trust.value}" if contact.new else "known already, and left as it is"
        )
        yield f"{contact.nick} on {contact.network}, {contact.fingerprint}: {done}"
        if contact.new and contact.unknown_word:
            yield f"  {title} calls the key {contact.unknown_word!r}, which is not understood here."
    for tag in planned.tags:
        done = "taken over" if tag.new else "there already"
        yield f"Instance tag for {tag.network}, {tag.tag:08x}: {done}"
    for protocol, count in sorted(found.left_out.items()):
        yield f"Left out, as it is not for IRC: {count} of {protocol}"
    for network in planned.unheard:
        yield (
            f"No server of {network} was met yet. If one calls its network otherwise, say that it belongs "
            f"here:  otr networks join -- {network} HOST"
        )
    for file in exposed:
        yield f"WARNING: others on this computer can read {file}. Who has read it can pose as you."
    if any(tag.new for tag in planned.tags):
        yield f"Use only one at a time, {title} or otr: people cannot tell two with the same tag apart."


_KEY_DONE = {
    "added": "taken over",
    "replaced": "taken over in place of another",
    "there already": "there already",
}


def _for(network: str) -> str:
    return "all networks without one of their own" if network == DEFAULT_NETWORK else network


def _data(planned: Plan, found: Found, exposed: Iterable[str]) -> dict[str, object]:
    return {
        "program": found.program.name,
        "identities": [
            {
                "network": key.network,
                "account": key.account,
                "fingerprint": str(key.fingerprint),
                "done": key.done,
                "before": key.before and str(key.before),
                "retired": key.retired,
            }
            for key in planned.keys
        ],
        "contacts": [
            {
                "network": contact.network,
                "nick": contact.nick,
                "fingerprint": str(contact.fingerprint),
                "trust": contact.trust.name.lower(),
                "done": "added" if contact.new else "there already",
            }
            for contact in planned.contacts
        ],
        "instance_tags": [
            {
                "network": tag.network,
                "tag": f"{tag.tag:08x}",
                "done": "added" if tag.new else "there already",
            }
            for tag in planned.tags
        ],
        "left_out": dict(found.left_out),
        "readable_by_others": list(exposed),
    }
