"""The store as one thing, and what a host has of it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from otrcore.errors import StoreError
from otrcore.irc.keeper import StoreKeeper
from otrcore.policy import DEFAULT
from otrcore.store.database import FILE_NAME
from otrcore.store.store import Store
from otrcore.store.tags import LOCKS_FOLDER
from tests.pair import Clock

# ---- what a host asks for


def test_an_account_has_the_networks_key_and_the_clients_tag(folder: Path, store: Store) -> None:
    clock = Clock()
    account = StoreKeeper(store, clock=clock).account("net")
    assert account.identity.fingerprint == store.identities.for_network("net").fingerprint
    assert account.policy == DEFAULT
    (lock,) = (folder / LOCKS_FOLDER).iterdir()
    assert int(lock.stem, 16) == account.instance_tag
    talk = account.conversation("bob")
    talk.start()
    assert talk.next_tick is not None
    assert talk.next_tick > clock.now
    assert talk.next_tick < clock.now + 1000, "time is the caller's"


def test_two_clients_of_one_user_are_told_apart(folder: Path) -> None:
    with Store(folder) as mine, Store(folder) as too:
        one, other = (StoreKeeper(store).account("net") for store in (mine, too))
        assert one.identity.fingerprint == other.identity.fingerprint
        assert one.instance_tag != other.instance_tag


def test_a_damaged_key_reaches_the_host(folder: Path, store: Store) -> None:
    store.identities.for_network("net")
    with sqlite3.connect(folder / FILE_NAME) as connection:
        connection.execute("UPDATE identity SET dsa_private_key = x''")
    connection.close()
    with Store(folder) as again:
        for _ in range(2):
            with pytest.raises(StoreError):
                StoreKeeper(again).account("net")
