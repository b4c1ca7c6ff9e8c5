"""A file that is damaged anywhere is read as far as it can be, or told in one sentence, and no more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from otrcore.errors import StoreError
from otrcore.identity import Identity
from otrcore.model import Trust
from otrcore.policy import ALWAYS, MANUAL
from otrcore.store.database import FILE_NAME
from otrcore.store.folder import private_folder
from otrcore.store.profiles import MAX_BYTES
from otrcore.store.store import Store
from tests.store.keys import fingerprint, fingerprint_4, private
from tests.store.sentences import sentence

NET, OTHER_NET = "libera.chat", "oftc"
TAG, PROFILE = 0x1234, b"profile" * 40
EVERY = 31
"""Each so manieth byte is damaged; nothing but the time keeps this from being 1."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A file with rows in every table."""
    folder = tmp_path_factory.mktemp("whole") / "data"
    with Store(folder) as store:
        for number, network in enumerate((NET, OTHER_NET)):
            store.identities.put(network, private(number))
            store.networks.place(network, f"irc.{network}")
            store.tags.claim(network)
        store.identities.put("third", private(2))
        store.identities.put("third", private(3), replace=True)
        store.policies.set(OTHER_NET, MANUAL)
        store.settings.set("hexchat", "log", "on")
        store.profiles.save(NET, TAG, PROFILE)
        for nick in ("bob", "carol"):
            for number, trust in enumerate(Trust):
                for mark in (fingerprint(number), fingerprint_4(number)):
                    store.contacts.met(NET, nick, mark)
                    store.contacts.judge(NET, nick, mark, trust)
            store.contacts.set_policy(NET, nick, ALWAYS)
    return (folder / FILE_NAME).read_bytes()


def read_all(store: Store) -> None:
    assert all(row.fingerprint is None or len(str(row.fingerprint)) == 44 for row in store.identities.rows())
    for contact in store.contacts.all():
        for key in contact.keys:
            str(key.fingerprint)
            assert isinstance(key.trust, Trust)
            assert isinstance(key.first_seen, str)
        assert contact.memory.versions <= set(range(10))
        for row in store.contacts.history(contact.network, contact.nick):
            str(row.fingerprint)
        sorted([contact.network, contact.nick])
    assert store.policies.get(OTHER_NET) in (MANUAL, ALWAYS, None)
    sorted(store.networks.rows(), key=lambda row: row.name)
    store.networks.placed(NET, "irc.evil.test")
    store.networks.of_host("irc.oftc")
    store.tags.rows()
    assert len(store.profiles.load(NET, TAG) or PROFILE) <= MAX_BYTES
    assert all(isinstance(value, str) for value in store.settings.all("hexchat").values())


def read_keys(store: Store) -> None:
    marks = {row.fingerprint_4 for row in store.identities.rows()}
    for number, network in enumerate((NET, OTHER_NET)):
        found = store.identities.find(network)
        if found is not None:
            assert found.fingerprint == Identity(private(number)).fingerprint, "never another key"
            assert found.fingerprint_4 in marks, "nor for version 4"


def write(store: Store) -> None:
    with store.transaction():  # one wait for the disk
        store.contacts.met(NET, "bob", fingerprint(9))
        store.contacts.judge(NET, "bob", fingerprint(9), Trust.COMPARED)
        store.contacts.judge(NET, "carol", fingerprint(1), Trust.NONE)
        store.policies.set(NET, ALWAYS)
        store.settings.set("hexchat", "log", "off")
        store.profiles.save(NET, TAG, PROFILE)
        store.networks.place("another", "irc.another.test")
        store.networks.join(NET, "tunnel.example")
        store.tags.claim(OTHER_NET)
        store.identities.put("new", private(3))
        store.identities.put(NET, private(3), replace=True)
        store.identities.delete(OTHER_NET)


def test_no_damaged_byte_is_more_than_a_sentence(folder: Path, whole: bytes) -> None:
    path = private_folder(folder) / FILE_NAME
    path.touch(mode=0o600)
    uses: list[Callable[[Store], None]] = [read_all, read_keys, write]
    outcomes: Counter[str] = Counter()
    places = [at for at, byte in enumerate(whole) if byte][::EVERY]
    for turn, at in enumerate(places):
        damaged = bytearray(whole)
        damaged[at] ^= (0x01, 0x80, 0xFF, 0x20)[turn % 4]
        path.write_bytes(damaged)
        for use in uses:
            try:
                with Store(folder) as store:
                    use(store)
                outcomes["used"] += 1
            except StoreError as error:
                said = sentence(error) if "There is no key" not in str(error) else str(error)
                assert said.isprintable()
                outcomes["told"] += 1
            with suppress(FileNotFoundError):
                path.with_name(f"{FILE_NAME}-journal").unlink()
    assert outcomes["used"] > len(places) / 4, "most damage is local"
    assert outcomes["told"] > len(places) / 4


@pytest.mark.parametrize("length", [15, 16, 99, 100, 1000, 4096, 5000, 8192, 20_000])
def test_a_file_that_is_cut_off_is_a_sentence(folder: Path, whole: bytes, length: int) -> None:
    path = private_folder(folder) / FILE_NAME
    path.touch(mode=0o600)
    path.write_bytes(whole[:length])
    with pytest.raises(StoreError) as caught, Store(folder) as store:
        read_all(store)
        read_keys(store)
        write(store)
    assert "move it away to begin anew, or bring a copy back" in sentence(caught.value)
    assert path.read_bytes() == whole[:length], "what is left of it may be worth something"
