"""A process that dies in the middle of a change loses that change at most, whichever it is."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from otrcore.crypto.dsa import DsaPrivateKey
from otrcore.errors import StoreError
from otrcore.identity import Identity
from otrcore.memory import STRANGER
from otrcore.model import Fingerprint, Trust
from otrcore.policy import PRESETS
from otrcore.store import sealing
from otrcore.store.database import FILE_NAME
from otrcore.store.store import Store
from tests.store.keys import KEYS, fingerprint, private
from tests.store.processes import killed_after, killed_at

NET = "net"
NICKS = ("bob", "bob_", "bobby")
KEY = Fingerprint(b"k" * 20)
TRUSTS = (Trust.NONE, Trust.COMPARED, Trust.SMP)
POLICIES = tuple(PRESETS.values())
ROWS = 12


@dataclass(frozen=True)
class Change:
    """What is done again and again, and whether the store is as after the `number`th time."""

    do: Callable[[Store, int], object]
    done: Callable[[Store, int], bool]


def learn(store: Store, number: int) -> None:
    met = STRANGER.met(fingerprint(number), 3).judging(fingerprint(number), Trust.SMP)
    store.contacts.learn(NET, f"nick{number}", STRANGER, met)


def learnt(store: Store, number: int) -> bool:
    contacts = {contact.nick: contact for contact in store.contacts.all(NET)}
    for known in range(1, number + 1):
        (key,) = contacts[f"nick{known}"].keys
        assert (key.fingerprint, key.trust) == (fingerprint(known), Trust.SMP)
        assert contacts[f"nick{known}"].versions == {3}
        assert len(store.contacts.history(NET, f"nick{known}")) == 2
    return contacts.keys() - set(NICKS) == {f"nick{known}" for known in range(1, number + 1)}


def judge(store: Store, number: int) -> None:
    """All nicks at once: a doubt counts for each."""
    trust = TRUSTS[number % 3]
    with store.transaction():
        for nick in NICKS:
            store.contacts.judge(NET, nick, KEY, trust)


def judged(store: Store, number: int) -> bool:
    trusts = {store.contacts.find(nick)[0].keys[0].trust for nick in NICKS}
    assert len(trusts) == 1
    return trusts == {TRUSTS[number % 3]}


def rotate(store: Store, number: int) -> None:
    DsaPrivateKey.generate = lambda: private(number)  # type: ignore[method-assign]
    store.identities.rotate(NET)


def rotated(store: Store, number: int) -> bool:
    identity = store.identities.find(NET)
    retired = [row.fingerprint for row in store.identities.rows() if row.retired is not None]
    assert retired == [Identity(private(former)).fingerprint for former in range(len(retired))]
    assert identity is not None
    return len(retired) == number and identity.dsa.to_der() == private(number).to_der()


def seal(store: Store, number: int) -> None:
    sealing.COST = 2  # the time is to go into writing
    if number % 3:
        store.identities.seal(f"passphrase {number}")
    else:
        store.identities.unseal()


def sealed(store: Store, number: int) -> bool:
    with Store(store.folder, lambda: f"passphrase {number}") as fresh:
        if fresh.identities.sealed is not bool(number % 3):
            return False
        try:
            fresh.identities.unlock()
        except StoreError:
            return False
        check_keys(fresh)
        return True


def bring_in(store: Store, number: int) -> None:
    """As an import does."""
    network = f"irc{number}.example"
    with store.transaction():
        store.identities.put(network, private(number))
        for row in range(ROWS):
            store.contacts.add(network, f"nick{row}", fingerprint(row), Trust.COMPARED, "irssi")
        store.tags.add(network, 0x1000 + number)
        store.policies.set(network, POLICIES[number % len(POLICIES)])
        store.networks.expect(network)


def brought_in(store: Store, number: int) -> bool:
    for known in count(1):
        network = f"irc{known}.example"
        found = (
            store.identities.find(network) is not None,
            len(store.contacts.all(network)),
            sum(len(contact.keys) for contact in store.contacts.all(network)),
            len(store.tags.rows(network)),
            store.policies.get(network) is not None,
            store.networks.of_host(network) is not None,
        )
        if found != (True, ROWS, ROWS, 1, True, True):
            assert not any(found), "half of an import"
            return known == number + 1
    raise AssertionError


def put_and_delete(store: Store, number: int) -> None:
    if number % 2:
        store.identities.put("other", private(1))
    else:
        store.identities.delete("other")


def put_or_deleted(store: Store, number: int) -> bool:
    return (store.identities.find("other") is not None) is bool(number % 2)


def forget(store: Store, number: int) -> None:
    if number % 2:
        store.contacts.forget(NET, "bob")
    else:
        store.contacts.met(NET, "bob", KEY)


def forgotten(store: Store, number: int) -> bool:
    return bool(store.contacts.find("bob")) is not bool(number % 2)


def decide(store: Store, number: int) -> None:
    policy = POLICIES[number % len(POLICIES)]
    with store.transaction():
        store.policies.set(NET, policy)
        store.contacts.set_policy(NET, "bob", policy)


def decided(store: Store, number: int) -> bool:
    (bob,) = store.contacts.find("bob")
    assert store.policies.get(NET) == bob.policy
    return bob.policy == (POLICIES[number % len(POLICIES)] if number else None)


def place(store: Store, number: int) -> None:
    assert store.networks.place(f"net{number}", f"irc.net{number}.example").name == f"net{number}"


def placed(store: Store, number: int) -> bool:
    return {row.name for row in store.networks.rows()} == {f"net{known}" for known in range(1, number + 1)}


def claim(store: Store, number: int) -> None:
    store.tags.claim(f"net{number}")


def claimed(store: Store, number: int) -> bool:
    known = [len(store.tags.rows(f"net{one}")) for one in range(1, number + 2)]
    return known == [1] * number + [0]


CHANGES = {
    "learn": Change(learn, learnt),
    "judge": Change(judge, judged),
    "rotate": Change(rotate, rotated),
    "seal": Change(seal, sealed),
    "import": Change(bring_in, brought_in),
    "put and delete": Change(put_and_delete, put_or_deleted),
    "forget": Change(forget, forgotten),
    "decide": Change(decide, decided),
    "place": Change(place, placed),
    "claim": Change(claim, claimed),
}
each = pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())


def check_keys(store: Store) -> None:
    """Be sure that every private key can be read, and is the one that is listed."""
    for row in store.identities.rows():
        if row.retired is None:
            identity = store.identities.find(row.network)
            assert identity is not None
            assert identity.fingerprint == row.fingerprint


@pytest.fixture
def prepared(folder: Path) -> Path:
    for number in range(KEYS):
        private(number)
    with Store(folder) as store:
        store.identities.put(NET, private(0))
        store.identities.put("untouched", private(3))
        for nick in NICKS:
            store.contacts.met(NET, nick, KEY)
    return folder


def content(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return list(connection.iterdump())


def open_and_do(change: Change, folder: Path) -> None:
    with Store(folder) as store:
        change.do(store, 1)


@each
def test_a_kill_at_any_statement_leaves_what_was_before(
    change: Change, prepared: Path, tmp_path: Path
) -> None:
    before = content(prepared)
    kills = 0
    for number in count(1):
        folder = tmp_path / str(number)
        shutil.copytree(prepared, folder)
        killed = killed_at(number, partial(open_and_do, change, folder))
        now = content(folder)
        with Store(folder) as store:
            assert change.done(store, 0 if now == before else 1)
            if not store.identities.sealed:
                check_keys(store)
        if not killed:
            assert now != before
            break
        kills += now == before
    assert kills > 5, "the statements of the change were among them"


def do_for_ever(change: Change, folder: Path, say: Callable[[object], object]) -> None:
    with Store(folder, lambda: f"passphrase {number - 1}") as store:
        for number in count(1):
            change.do(store, number)
            say(number)


@each
def test_a_kill_at_any_moment_loses_one_change_at_most(
    change: Change, prepared: Path, tmp_path: Path
) -> None:
    for at_least in range(1, 8):
        folder = tmp_path / str(at_least)
        shutil.copytree(prepared, folder)
        delay = random.Random(at_least).uniform(0, 0.01)
        told = killed_after(partial(do_for_ever, change, folder), at_least, delay)
        content(folder)
        with Store(folder) as store:
            number = len(told)
            assert [int(line) for line in told] == list(range(1, number + 1))
            assert change.done(store, number) or change.done(store, number + 1), f"as after {number}"
            if not store.identities.sealed:
                check_keys(store)
