"""One key for each network, for good; and instance tags that no two running clients share."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from otrcore.crypto import dsa
from otrcore.errors import StoreError
from otrcore.irc.accounts import accounts
from otrcore.policy import DEFAULT
from otrcore.store.database import FILE_NAME, Database
from otrcore.store.identities import LOCKS_FOLDER, Identities
from otrcore.wire.header import SMALLEST_INSTANCE_TAG
from tests.pair import Clock
from tests.store.processes import Process
from tests.store.sentences import sentence


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def identities(folder: Path) -> Iterator[Identities]:
    identities = Identities(Database(folder))
    yield identities
    identities.close()


def opened(folder: Path) -> Identities:
    """What a client does that starts."""
    return Identities(Database(folder))


# ---- keys


def test_the_key_of_a_network_stays_the_same(folder: Path, identities: Identities) -> None:
    first = identities.for_network("libera.chat")
    assert identities.for_network("libera.chat").fingerprint == first.fingerprint
    again = opened(folder).for_network("libera.chat")
    assert again.dsa.public == first.dsa.public
    assert again.fingerprint == first.fingerprint
    signature = again.dsa.sign(b"message of the same key")
    assert dsa.verify(first.dsa.public, b"message of the same key", signature)


def test_each_network_has_a_key_of_its_own(identities: Identities) -> None:
    names = ["libera.chat", "oftc", "LIBERA.CHAT", "", 'it\'s "quoted"; -- é']
    assert len({identities.for_network(name).fingerprint for name in names}) == len(names)


def test_processes_that_make_a_key_at_once_end_with_the_same(folder: Path) -> None:
    with ExitStack() as running:
        others = [running.enter_context(Process("make-key", folder, "net")) for _ in range(4)]
        for other in others:
            assert other.said() == "ready"
        for other in others:
            other.go_on()
        fingerprints = {other.said() for other in others}
    assert fingerprints == {str(opened(folder).for_network("net").fingerprint)}


def test_the_slower_of_two_takes_the_key_of_the_faster(
    folder: Path, identities: Identities, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same as above, with the moment chosen: the other is done while our key is being made."""
    generate = dsa.DsaPrivateKey.generate
    theirs = []

    def slowly() -> dsa.DsaPrivateKey:
        monkeypatch.undo()
        theirs.append(opened(folder).for_network("net").fingerprint)
        return generate()

    monkeypatch.setattr(dsa.DsaPrivateKey, "generate", slowly)
    ours = identities.for_network("net").fingerprint
    assert [ours] == theirs


def damage(folder: Path, blob: bytes) -> None:
    with sqlite3.connect(folder / FILE_NAME) as connection:
        connection.execute("UPDATE identity SET dsa_private_key = ?", (blob,))
    connection.close()


def other_kinds_of_keys() -> list[bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    der, pkcs8 = serialization.Encoding.DER, serialization.PrivateFormat.PKCS8
    return [
        key.private_bytes(der, pkcs8, serialization.NoEncryption()),
        key.private_bytes(der, pkcs8, serialization.BestAvailableEncryption(b"password")),
        b"",
        b"\x30",
        b"\0" * 400,
    ]


def test_a_key_that_cannot_be_read_is_told_and_not_replaced(folder: Path, identities: Identities) -> None:
    identities.for_network("net")
    for blob in other_kinds_of_keys():
        damage(folder, blob)
        with pytest.raises(StoreError) as caught:
            identities.for_network("net")
        assert "key for net is damaged" in sentence(caught.value)
        with sqlite3.connect(folder / FILE_NAME) as connection:
            assert connection.execute("SELECT dsa_private_key FROM identity").fetchall() == [(blob,)]
        connection.close()


def test_no_damaged_byte_of_a_key_is_more_than_a_sentence(folder: Path, identities: Identities) -> None:
    whole = identities.for_network("net").dsa.to_der()
    told = 0
    for at in range(0, len(whole), 3):
        damage(folder, whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        try:
            identities.for_network("net")
        except StoreError as error:
            sentence(error)
            told += 1
    assert told > 5


# ---- instance tags


def test_the_tag_is_the_same_the_next_time(folder: Path, identities: Identities) -> None:
    first = identities.claim_instance_tag("net")
    assert SMALLEST_INSTANCE_TAG <= first < 1 << 32
    identities.close()
    for _ in range(5):
        again = opened(folder)
        assert again.claim_instance_tag("net") == first
        again.close()
    assert len(list((folder / LOCKS_FOLDER).iterdir())) == 1


def test_a_second_process_takes_another_tag(folder: Path, identities: Identities) -> None:
    ours = identities.claim_instance_tag("net")
    with Process("claim", folder, "net") as second, Process("claim", folder, "net") as third:
        tags = [ours, int(second.said()), int(third.said())]
        assert len(set(tags)) == 3
        second.go_on()
        third.go_on()


def test_two_that_are_started_again_in_order_have_their_tags_again(folder: Path) -> None:
    tags = []
    for _ in range(2):
        clients = [opened(folder) for _ in range(2)]
        tags.append([client.claim_instance_tag("net") for client in clients])
        for client in clients:
            client.close()
    assert tags[0] == tags[1]
    assert len(set(tags[0])) == 2


def test_the_tag_of_a_killed_process_is_free(folder: Path) -> None:
    with Process("claim", folder, "net") as other:
        theirs = int(other.said())
        beside = opened(folder)
        assert beside.claim_instance_tag("net") != theirs
        beside.close()
        other.kill()
        ours = opened(folder)
        assert ours.claim_instance_tag("net") == theirs
        ours.close()


def test_a_killed_client_leaves_no_more_behind_than_its_tag(folder: Path) -> None:
    for _ in range(3):
        with Process("claim", folder, "net") as other:
            other.said()
            other.kill()
    assert len(list((folder / LOCKS_FOLDER).iterdir())) == 1


def test_each_network_has_tags_of_its_own(folder: Path, identities: Identities) -> None:
    tags = {network: identities.claim_instance_tag(network) for network in ("one", "two")}
    assert tags["one"] != tags["two"]
    with Process("claim", folder, "three") as other:
        assert int(other.said()) not in tags.values()
    identities.close()
    again = opened(folder)
    assert {network: again.claim_instance_tag(network) for network in ("two", "one")} == tags
    again.close()


def test_a_client_that_comes_back_to_a_network_keeps_its_tag(folder: Path, identities: Identities) -> None:
    """The tag belongs to the running client: no other process has it, so it need not take another."""
    first = identities.claim_instance_tag("net")
    identities.claim_instance_tag("elsewhere")
    assert identities.claim_instance_tag("net") == first
    assert len(list((folder / LOCKS_FOLDER).iterdir())) == 2


def test_closing_twice_is_closing(identities: Identities) -> None:
    identities.claim_instance_tag("net")
    identities.close()
    identities.close()


# ---- what a host asks for


def test_an_account_has_the_networks_key_and_the_clients_tag(folder: Path, identities: Identities) -> None:
    clock = Clock()
    account_for = accounts(identities, clock)
    account = account_for("net")
    assert account.identity.fingerprint == identities.for_network("net").fingerprint
    assert account.policy == DEFAULT
    (lock,) = (folder / LOCKS_FOLDER).iterdir()
    assert int(lock.stem, 16) == account.instance_tag
    talk = account.conversation("bob")
    talk.start()
    assert talk.next_tick is not None
    assert talk.next_tick > clock.now
    assert talk.next_tick < clock.now + 1000, "time is the caller's"


def test_two_clients_of_one_user_are_told_apart(folder: Path) -> None:
    clients = [opened(folder) for _ in range(2)]
    one, other = (accounts(client)("net") for client in clients)
    assert one.identity.fingerprint == other.identity.fingerprint
    assert one.instance_tag != other.instance_tag
    for client in clients:
        client.close()


def test_store_errors_reach_the_host(folder: Path, identities: Identities) -> None:
    identities.for_network("net")
    damage(folder, b"")
    for _ in itertools.repeat(None, 2):
        with pytest.raises(StoreError):
            accounts(identities)("net")
