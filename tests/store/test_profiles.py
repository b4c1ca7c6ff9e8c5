"""One client profile for each instance tag, and none that a former identity has signed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from otrcore.errors import StoreError
from otrcore.store.database import FILE_NAME
from otrcore.store.identities import DEFAULT_NETWORK
from otrcore.store.profiles import MAX_BYTES
from otrcore.store.store import Store
from otrcore.store.tags import MAX_TAGS
from tests.store.keys import private
from tests.store.sentences import sentence

NET, OTHER_NET, WITHOUT = "libera.chat", "oftc", "efnet"
TAG, OTHER_TAG = 0x1234, 0xFFFFFFFF


def kept(store: Store) -> set[str]:
    """Return the networks whose profile is still there."""
    return {network for network in (NET, OTHER_NET, WITHOUT) if store.profiles.load(network, TAG)}


@pytest.fixture
def full(store: Store) -> Store:
    """Identities for two networks and a default one, and a profile for each, and for one without."""
    for number, network in enumerate((NET, OTHER_NET, DEFAULT_NETWORK)):
        store.identities.put(network, private(number))
    for network in (NET, OTHER_NET, WITHOUT):
        store.profiles.save(network, TAG, network.encode())
    return store


def test_what_was_saved_last_is_there_after_opening_again(folder: Path, store: Store) -> None:
    assert store.profiles.load(NET, TAG) is None
    store.profiles.save(NET, TAG, b"first")
    store.profiles.save(NET, TAG, b"second \0\xff")
    store.profiles.save(NET, OTHER_TAG, b"of another client")
    store.profiles.save(OTHER_NET, TAG, b"elsewhere")
    with Store(folder) as other:
        assert other.profiles.load(NET, TAG) == b"second \0\xff"
        assert other.profiles.load(NET, OTHER_TAG) == b"of another client"
        assert other.profiles.load(OTHER_NET, TAG) == b"elsewhere"
        assert other.profiles.load(OTHER_NET, OTHER_TAG) is None


@pytest.mark.parametrize(
    ("change", "left"),
    [
        (lambda store: store.identities.rotate(NET), {OTHER_NET, WITHOUT}),
        (lambda store: store.identities.delete(NET), {OTHER_NET, WITHOUT}),
        (lambda store: store.identities.put(NET, private(3), replace=True), {OTHER_NET, WITHOUT}),
        (lambda store: store.identities.generate(WITHOUT), {NET, OTHER_NET}),
        (lambda store: store.identities.rotate(DEFAULT_NETWORK), {NET, OTHER_NET}),
        (lambda store: store.identities.delete(DEFAULT_NETWORK), {NET, OTHER_NET}),
        (lambda store: store.identities.put(NET, private(0)), {NET, OTHER_NET, WITHOUT}),
        (lambda store: store.identities.seal("open sesame"), {NET, OTHER_NET, WITHOUT}),
    ],
    ids=[
        *("rotated", "deleted", "replaced", "first of its own", "default rotated", "default deleted"),
        *("put again", "locked"),
    ],
)
def test_a_profile_goes_with_the_identity_that_signed_it(
    full: Store, change: Callable[[Store], object], left: set[str]
) -> None:
    change(full)
    assert kept(full) == left


def test_keys_that_are_made_anew_for_a_damaged_identity_leave_no_profile(folder: Path, full: Store) -> None:
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection, connection:
        connection.execute("UPDATE identity SET forging_key = NULL WHERE network = ?", (NET,))
    full.identities.put(NET, private(0))
    assert kept(full) == {OTHER_NET, WITHOUT}


def test_no_more_are_kept_than_there_are_tags(store: Store) -> None:
    store.profiles.save(OTHER_NET, TAG, b"elsewhere")
    for tag in range(TAG, TAG + MAX_TAGS + 3):
        store.profiles.save(NET, tag, b"profile")
        store.profiles.save(NET, TAG, b"in use")  # a client that runs saves its own again
    found = [tag for tag in range(TAG, TAG + MAX_TAGS + 3) if store.profiles.load(NET, tag)]
    assert len(found) == MAX_TAGS
    assert found[0] == TAG
    assert found[-1] == TAG + MAX_TAGS + 2
    assert store.profiles.load(OTHER_NET, TAG) == b"elsewhere"


def test_a_profile_that_is_too_long_is_neither_kept_nor_returned(folder: Path, store: Store) -> None:
    store.profiles.save(NET, TAG, b"x" * MAX_BYTES)
    with pytest.raises(ValueError):
        store.profiles.save(NET, TAG, b"y" * (MAX_BYTES + 1))
    assert store.profiles.load(NET, TAG) == b"x" * MAX_BYTES
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection, connection:
        connection.execute("UPDATE client_profile SET profile = zeroblob(1000000)")
    assert store.profiles.load(NET, TAG) is None


def test_a_profile_of_another_type_is_damage(folder: Path, store: Store) -> None:
    store.profiles.save(NET, TAG, b"profile")
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection, connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_schema SET sql = replace(sql, ') STRICT', ')') WHERE name = 'client_profile'"
        )
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection, connection:
        connection.execute("UPDATE client_profile SET profile = 'text'")
    with Store(folder) as other, pytest.raises(StoreError) as caught:
        other.profiles.load(NET, TAG)
    assert "damaged" in sentence(caught.value)
