"""One key for each network, for good."""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from otrcore.crypto import dsa, ed448
from otrcore.errors import StoreError
from otrcore.identity import Identity
from otrcore.store.database import FILE_NAME, Database
from otrcore.store.identities import DEFAULT_NETWORK, MAX_RETIRED, Identities
from tests.store.keys import private
from tests.store.processes import Process
from tests.store.sentences import sentence


@pytest.fixture
def identities(database: Database) -> Identities:
    return Identities(database)


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
    assert (again.fingerprint_4, again.forging_key) == (first.fingerprint_4, first.forging_key)
    signature = again.ed448.sign(b"message of the same key")
    assert ed448.verify(first.ed448.public.encoded, b"message of the same key", signature)


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
    found = opened(folder).for_network("net")
    assert fingerprints == {f"{found.fingerprint} {found.fingerprint_4}"}


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
        for use in (opened(folder).for_network, opened(folder).find):
            with pytest.raises(StoreError) as caught:
                use("net")
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
            opened(folder).for_network("net")
        except StoreError as error:
            sentence(error)
            told += 1
    assert told > 5


def test_a_running_client_goes_on_when_its_key_is_damaged(folder: Path, identities: Identities) -> None:
    fingerprint = identities.for_network("net").fingerprint
    damage(folder, b"")
    assert identities.for_network("net").fingerprint == fingerprint


def test_a_key_that_is_brought_back_mends_the_damaged_one(folder: Path, identities: Identities) -> None:
    identity = identities.put("net", private(1))
    damage(folder, b"\0" * 400)
    other = opened(folder)
    with pytest.raises(StoreError) as caught:
        other.put("net", private(2))
    assert "There is a key for net already" in sentence(caught.value)
    with pytest.raises(StoreError):
        other.find("net")
    other.put("net", private(1))
    found = opened(folder).find("net")
    assert found is not None
    assert found.dsa.to_der() == identity.dsa.to_der()
    assert [row.retired for row in other.rows()] == [None]
    assert (found.fingerprint_4, found.forging_key) == (identity.fingerprint_4, identity.forging_key)


LOW_ORDER = (1).to_bytes(57, "little")
"""The identity element, y = 1 (RFC 8032, 5.2)."""


@pytest.mark.parametrize("column", ["fingerprint_4", "ed448_private_key", "forging_key"])
@pytest.mark.parametrize(
    "damaged",
    [None, b"", b"\0" * 57, b"\xff" * 57, LOW_ORDER, "cut", "longer", "turned", "another's"],
    ids=["gone", "empty", "zeros", "ones", "identity", "cut", "longer", "turned", "another's"],
)
def test_a_damaged_key_for_version_4_is_told_and_not_replaced(
    folder: Path, identities: Identities, column: str, damaged: bytes | str | None
) -> None:
    identities.put("net", private(1))
    identities.put("other", private(2))

    def stored(network: str) -> bytes:
        with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
            ((blob,),) = connection.execute(f"SELECT {column} FROM identity WHERE network = ?", (network,))
        assert isinstance(blob, bytes)
        return blob

    whole = stored("net")
    made = {
        "cut": whole[:-1],
        "longer": whole + b"\0",
        "turned": bytes([whole[0] ^ 4]) + whole[1:],
        "another's": stored("other"),
    }
    content = made[damaged] if isinstance(damaged, str) else damaged
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection, connection:
        connection.execute(f"UPDATE identity SET {column} = ? WHERE network = 'net'", (content,))
    before = (folder / FILE_NAME).read_bytes()
    for use in (opened(folder).for_network, opened(folder).find, opened(folder).check):
        with pytest.raises(StoreError) as caught:
            use("net")
        assert "key for net is damaged" in sentence(caught.value)
    assert (folder / FILE_NAME).read_bytes() == before
    mended = opened(folder).put("net", private(1))
    found = opened(folder).find("net")
    assert found is not None
    assert found.fingerprint_4 == mended.fingerprint_4
    assert opened(folder).find("other") is not None


def test_putting_the_same_key_again_keeps_those_for_version_4(folder: Path, identities: Identities) -> None:
    first = identities.put("net", private(1))
    for again in (identities, opened(folder)):
        for replace in (False, True):
            assert again.put("net", private(1), replace=replace).fingerprint_4 == first.fingerprint_4


def test_nothing_of_an_identity_is_shown_but_what_is_public(identities: Identities) -> None:
    identity = identities.generate("net")
    seed = bytes(identity.ed448.to_bytes())
    stored = identities._stored("net")
    assert stored is not None
    assert stored.ed448 == seed
    for shown in (repr(stored), repr(identity), repr(identities.rows())):
        assert seed.hex() not in shown
        assert repr(seed)[2:-1] not in shown


# ---- what the user does with them


def test_the_default_serves_networks_without_a_key_of_their_own(identities: Identities) -> None:
    own = identities.generate("own")
    default = identities.generate(DEFAULT_NETWORK)
    assert identities.for_network("own").fingerprint == own.fingerprint
    for network in ("other", "third", DEFAULT_NETWORK):
        assert identities.for_network(network).fingerprint == default.fingerprint
    assert identities.find("other") is None
    assert [row.network for row in identities.rows()] == [DEFAULT_NETWORK, "own"]
    identities.delete(DEFAULT_NETWORK)
    assert identities.for_network("other").fingerprint != default.fingerprint


def test_generating_never_replaces(identities: Identities) -> None:
    first = identities.generate("net")
    with pytest.raises(StoreError) as caught:
        identities.generate("net")
    assert "left as it is" in sentence(caught.value)
    assert identities.for_network("net").fingerprint == first.fingerprint


def test_rotating_keeps_the_fingerprints_that_were(identities: Identities) -> None:
    used = [identities.generate("net")]
    used += [identities.rotate("net") for _ in range(3)]
    assert len({identity.fingerprint for identity in used}) == 4
    living, *retired = identities.rows()
    assert (living.fingerprint, living.retired) == (used[-1].fingerprint, None)
    assert [(row.fingerprint, row.fingerprint_4) for row in retired] == [
        (identity.fingerprint, identity.fingerprint_4) for identity in used[:-1]
    ]
    assert living.fingerprint_4 == used[-1].fingerprint_4
    for row in (living, *retired):
        for time in (row.created, row.retired or row.created):
            moment = datetime.fromisoformat(time)
            assert moment.utcoffset() == timedelta(0)
            assert moment.microsecond == 0
            assert abs(moment - datetime.now(UTC)) < timedelta(hours=1)


def test_former_fingerprints_are_bounded(identities: Identities) -> None:
    for number in range(MAX_RETIRED + 5):
        identities.put("net", private(number), replace=True)
    identities.put("other", private(0))
    identities.put("other", private(1), replace=True)
    retired = [row for row in identities.rows() if row.retired]
    assert len([row for row in retired if row.network == "net"]) == MAX_RETIRED
    assert retired[MAX_RETIRED - 1].fingerprint == Identity(private(MAX_RETIRED + 3)).fingerprint
    assert [row.network for row in retired].count("other") == 1


def test_what_is_not_there_cannot_be_changed(identities: Identities) -> None:
    identities.generate("other")
    before = identities.rows()
    for change in (identities.rotate, identities.delete):
        with pytest.raises(StoreError) as caught:
            change("net")
        assert "There is no key for net" in sentence(caught.value)
    assert identities.rows() == before


def test_a_deleted_key_is_not_used_again(folder: Path, identities: Identities) -> None:
    former = identities.generate("net")
    running = opened(folder)
    assert running.for_network("net").fingerprint == former.fingerprint
    assert identities.delete("net") == former.fingerprint
    fresh = running.for_network("net")
    assert fresh.fingerprint != former.fingerprint
    assert identities.for_network("net").fingerprint == fresh.fingerprint


def test_the_same_key_may_be_put_again_and_another_only_in_its_place(identities: Identities) -> None:
    first = identities.put("net", private(1))
    before = identities.rows()
    assert identities.put("net", private(1)).fingerprint == first.fingerprint
    assert identities.put("net", private(1), replace=True).fingerprint == first.fingerprint
    assert identities.rows() == before
    with pytest.raises(StoreError) as caught:
        identities.put("net", private(2))
    assert "left as it is" in sentence(caught.value)
    assert identities.rows() == before
    second = identities.put("net", private(2), replace=True)
    assert identities.for_network("net").fingerprint == second.fingerprint
    assert [row.fingerprint for row in identities.rows()] == [second.fingerprint, first.fingerprint]


def test_another_process_rotates(folder: Path, identities: Identities) -> None:
    running = opened(folder)
    before = running.for_network("net")
    rotated = identities.rotate("net")
    assert running.for_network("net").fingerprint == rotated.fingerprint != before.fingerprint
