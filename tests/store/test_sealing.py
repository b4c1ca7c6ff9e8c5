"""Private keys under a passphrase: nobody reads them without it, and nothing else is lost by it."""

from __future__ import annotations

import hashlib
import resource
import sqlite3
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_der_private_key

from otrcore.crypto.dsa import DsaPrivateKey
from otrcore.crypto.ed448 import SigningKey
from otrcore.crypto.secret import Secret
from otrcore.errors import StoreError, StoreUnavailable, UsageError
from otrcore.identity import Identity
from otrcore.store import sealing
from otrcore.store.database import FILE_NAME
from otrcore.store.identities import Identities
from otrcore.store.store import Store
from otrcore.wire.keys import fingerprint_4
from tests.store.keys import private
from tests.store.processes import Process, in_child
from tests.store.sentences import sentence

PASSPHRASE = "correct horse battery staple"
OTHER = "Tr0ub4dor&3"
NETWORKS = ("libera.chat", "oftc", "default")


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests that are not about the cost do not pay it."""
    monkeypatch.setattr(sealing, "COST", 2)


class Asked:
    """Gives the passphrases that it was made with, one after the other, and counts."""

    def __init__(self, *passphrases: str) -> None:
        self._passphrases = list(passphrases)
        self.times = 0

    def __call__(self) -> str:
        self.times += 1
        return self._passphrases.pop(0)


@pytest.fixture
def locked(folder: Path, cheap: None) -> Iterator[Path]:
    """A folder with keys under PASSPHRASE."""
    with Store(folder) as store:
        for number, network in enumerate(NETWORKS):
            store.identities.put(network, private(number))
        store.identities.seal(PASSPHRASE)
    yield folder


def query(folder: Path, statement: str, *values: object) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection, connection:
        return connection.execute(statement, values).fetchall()


def secret_parts(identity: Identity) -> tuple[bytes, bytes, bytes]:
    """What must not be found anywhere: the DSA key as it is kept, its one secret number, the Ed448 seed."""
    der = identity.dsa.to_der()
    private = load_der_private_key(der, None)
    assert isinstance(private, dsa.DSAPrivateKey)
    number = private.private_numbers().x
    # As DER has it: one of 256 begins with a byte less.
    return der, number.to_bytes(-(-number.bit_length() // 8), "big"), bytes(identity.ed448.to_bytes())


def files(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


# ---- opening them


def test_the_passphrase_is_asked_for_once_for_all_keys(locked: Path) -> None:
    asked = Asked(PASSPHRASE)
    with Store(locked, asked) as store:
        assert store.identities.sealed
        rows = store.identities.rows()
        assert {row.network for row in rows} == set(NETWORKS)
        assert asked.times == 0, "fingerprints are no secrets"
        for row in rows:
            found = store.identities.find(row.network)
            assert found is not None
            assert found.fingerprint == row.fingerprint
        store.identities.generate("another")
        store.identities.rotate("oftc")
        store.identities.delete("libera.chat")
        store.identities.for_network("libera.chat")
        assert asked.times == 1


def test_another_passphrase_is_told_and_asked_for_again(locked: Path) -> None:
    asked = Asked(OTHER, "", PASSPHRASE.upper(), PASSPHRASE + " ", PASSPHRASE)
    before = (locked / FILE_NAME).read_bytes()
    with Store(locked, asked) as store:
        for use in (
            store.identities.unlock,
            lambda: store.identities.for_network("new"),
            lambda: store.identities.seal("a third"),
            store.identities.unseal,
        ):
            with pytest.raises(StoreError) as caught:
                use()
            assert "not the passphrase" in sentence(caught.value)
        assert (locked / FILE_NAME).read_bytes() == before
        assert store.identities.find("oftc") is not None
        assert asked.times == 5


def test_without_anybody_to_ask_it_is_told_where_to_give_it(locked: Path) -> None:
    before = (locked / FILE_NAME).read_bytes()
    with Store(locked) as store:
        for use in (store.identities.for_network, store.identities.find, store.identities.rotate):
            with pytest.raises(StoreError) as caught:
                use("oftc")
            assert "OTR_PASSPHRASE_FILE" in sentence(caught.value)
        assert (locked / FILE_NAME).read_bytes() == before
        store.contacts.all()
        store.identities.delete("oftc")
        assert [row.network for row in store.identities.rows() if row.retired] == ["oftc"]


@pytest.mark.parametrize(
    "passphrase", ["x", "ä ö ü\u2028", "\udcff\udc80 no UTF-8", "p" * 5000, " blanks ", "\0"]
)
def test_any_passphrase_will_do(folder: Path, cheap: None, passphrase: str) -> None:
    with Store(folder) as store:
        made = store.identities.generate("net").fingerprint
        store.identities.seal(passphrase)
    with Store(folder, lambda: passphrase) as store:
        assert store.identities.for_network("net").fingerprint == made
    with Store(folder, lambda: passphrase + "x") as store, pytest.raises(StoreError):
        store.identities.for_network("net")


def test_an_empty_passphrase_is_refused(folder: Path) -> None:
    with Store(folder) as store:
        store.identities.generate("net")
        with pytest.raises(UsageError) as caught:
            store.identities.seal("")
        assert str(caught.value).endswith("choose another.")
        assert not store.identities.sealed


def test_it_is_what_it_is_said_to_be(folder: Path) -> None:
    """Opened by hand: AES-256-GCM under a random key, that one under scrypt as Python's library does it."""
    with Store(folder) as store:
        identity = store.identities.generate("net")
        store.identities.seal(PASSPHRASE)
    ((salt, cost, wrapped),) = query(folder, "SELECT salt, cost, wrapped_key FROM sealing")
    assert isinstance(salt, bytes)
    assert isinstance(wrapped, bytes)
    assert cost == 1 << 16, "64 MiB"
    assert len(salt) == 16
    typed = PASSPHRASE.encode()
    derived = hashlib.scrypt(typed, salt=salt, n=cost, r=8, p=1, dklen=32, maxmem=1 << 27)
    key = AESGCM(derived).decrypt(wrapped[:12], wrapped[12:], b"otrcore: key of the private keys")
    assert len(key) == 32
    ((stored,),) = query(folder, "SELECT dsa_private_key FROM identity")
    assert isinstance(stored, bytes)
    assert AESGCM(key).decrypt(stored[:12], stored[12:], b"net") == identity.dsa.to_der()
    ((stored, point),) = query(folder, "SELECT ed448_private_key, forging_key FROM identity")
    assert isinstance(stored, bytes)
    assert point == identity.forging_key.encoded
    purpose = b"otrcore: Ed448, " + point + b"net"
    assert AESGCM(key).decrypt(stored[:12], stored[12:], purpose) == bytes(identity.ed448.to_bytes())


# ---- what remains of them


def test_no_private_key_is_left_in_the_file(folder: Path, cheap: None) -> None:
    with Store(folder) as store:
        made = [store.identities.generate(network) for network in NETWORKS]
        parts = [part for identity in made for part in secret_parts(identity)]
        assert all(part in files(folder) for part in parts), "this is where they would be found"
        store.identities.seal(PASSPHRASE)
        assert not [part for part in parts if part in files(folder)]
        assert PASSPHRASE.encode() not in files(folder)
        store.identities.seal(OTHER)
        assert not [part for part in parts if part in files(folder)]
        store.identities.unseal()
        assert all(part in files(folder) for part in parts)


@pytest.mark.parametrize("loss", ["rotate", "delete", "replace"])
def test_no_former_private_key_is_left_in_the_file(folder: Path, loss: str) -> None:
    lose: dict[str, Callable[[Identities], object]] = {
        "rotate": lambda identities: identities.rotate("net"),
        "delete": lambda identities: identities.delete("net"),
        "replace": lambda identities: identities.put("net", DsaPrivateKey.generate(), replace=True),
    }
    with Store(folder) as store:
        for number in range(20):  # so that there are pages to be freed
            store.identities.put(f"other{number}", private(number))
        former = store.identities.generate("net")
        parts = secret_parts(former)
        assert all(part in files(folder) for part in parts)
        lose[loss](store.identities)
        assert not [part for part in parts if part in files(folder)]
        for mark in (former.fingerprint, former.fingerprint_4):
            assert mark.digest in files(folder), "which key it was is remembered"


def test_what_is_written_under_a_passphrase_is_never_in_the_file_before(locked: Path) -> None:
    with Store(locked, Asked(PASSPHRASE)) as store:
        made = [store.identities.generate("new"), store.identities.rotate("oftc")]
        made.append(store.identities.put("given", DsaPrivateKey.generate()))
        for identity in made:
            for part in secret_parts(identity):
                assert part not in files(locked)


def test_secrets_are_not_shown(locked: Path) -> None:
    """Not by repr, and not by what an error says or leads to."""
    texts: list[str] = []
    with Store(locked, Asked(PASSPHRASE, OTHER)) as store:
        identity = store.identities.for_network("oftc")
        parts = [PASSPHRASE, OTHER, *(part.hex() for part in secret_parts(identity))]
        parts += [repr(part)[2:-1] for part in secret_parts(identity)]
        opened = store.identities._opened
        assert opened is not None
        seal, secret = opened
        parts += [bytes(secret).hex(), repr(bytes(secret))[2:-1], repr(seal.wrapped_key)[2:-1]]
        texts += [repr(value) for value in (store, store.identities, vars(store.identities), seal, opened)]
        texts += [repr(identity), repr(store.identities.rows())]
        query(locked, "UPDATE identity SET dsa_private_key = x'00112233' WHERE network = 'libera.chat'")
        for use in (
            lambda: store.identities.find("libera.chat"),
            lambda: seal.open(OTHER),
            lambda: sealing.unsealed(secret, b"cut", b"purpose"),
            lambda: store.identities.put("oftc", DsaPrivateKey.generate()),
        ):
            with pytest.raises((StoreError, ValueError)) as caught:
                use()
            texts.append("".join(traceback.format_exception(caught.value)))
    for text in texts:
        for part in parts:
            assert part not in text


# ---- several processes


def test_a_running_client_goes_on_when_the_keys_are_locked(folder: Path, cheap: None) -> None:
    with Store(folder) as running, Store(folder) as other:
        identity = running.identities.for_network("net")
        seen = running.version()
        other.identities.seal(PASSPHRASE)
        assert running.version() != seen
        assert running.identities.for_network("net").fingerprint == identity.fingerprint
        assert running.identities.sealed
        with pytest.raises(StoreError) as caught:
            running.identities.generate("another")
        assert "locked by a passphrase" in sentence(caught.value)
        # And again when they are not.
        other.identities.unseal()
        running.identities.generate("another")


def test_a_running_client_sees_a_key_that_was_rotated_under_the_passphrase(locked: Path) -> None:
    asked = Asked(PASSPHRASE)
    with Store(locked, asked) as running, Store(locked, Asked(PASSPHRASE)) as other:
        former = running.identities.for_network("oftc")
        rotated = other.identities.rotate("oftc")
        assert running.identities.for_network("oftc").fingerprint == rotated.fingerprint != former.fingerprint
        assert asked.times == 1


def test_another_passphrase_from_another_process_is_asked_for(locked: Path) -> None:
    asked = Asked(PASSPHRASE, PASSPHRASE, OTHER)
    with Store(locked, asked) as running, Store(locked, Asked(PASSPHRASE)) as other:
        running.identities.unlock()
        other.identities.seal(OTHER)
        with pytest.raises(StoreError) as caught:
            running.identities.generate("new")
        assert "not the passphrase" in sentence(caught.value)
        running.identities.generate("new")
        assert asked.times == 3
        assert other.identities.find("new") is not None


def test_nobody_waits_while_a_passphrase_is_typed(locked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is changed at the worst moment: after it was given, and before the change has begun."""
    asked = Asked(PASSPHRASE, OTHER)
    with Store(locked, asked) as running, Store(locked, Asked(PASSPHRASE)) as other:
        unlock = Identities.unlock

        def be_slow(identities: Identities) -> None:
            unlock(identities)
            monkeypatch.undo()
            other.identities.seal(OTHER)

        before = running.identities.rows()
        monkeypatch.setattr(Identities, "unlock", be_slow)
        with pytest.raises(StoreUnavailable) as caught:
            running.identities.rotate("oftc")
        assert "is another now" in sentence(caught.value)
        assert asked.times == 1
        assert running.identities.rows() == before
        running.identities.rotate("oftc")
        assert asked.times == 2


def test_a_passphrase_that_could_not_be_saved_is_not_taken_for_the_present_one(locked: Path) -> None:
    asked = Asked(PASSPHRASE)
    with Store(locked, asked) as store:
        store.identities.unlock()
        with Process("read", locked) as reader:  # which lets the change begin, and keeps it from its end
            assert reader.said() == "reading"
            with pytest.raises(StoreUnavailable) as caught:
                store.identities.seal(OTHER)
            assert "in use by another program" in sentence(caught.value)
        store.identities.generate("new")
        assert asked.times == 1


# ---- damage


@pytest.mark.parametrize("cost", [0, 1, 3, -8, -(1 << 62), (1 << 16) + 1, 1 << 21, 1 << 40, 1 << 62])
def test_a_cost_out_of_bounds_is_damage(locked: Path, cost: int) -> None:
    query(locked, "UPDATE sealing SET cost = ?", cost)
    with Store(locked, Asked(PASSPHRASE)) as store, pytest.raises(StoreError) as caught:
        store.identities.for_network("oftc")
    assert "seal of the private keys is damaged" in sentence(caught.value)


@pytest.mark.parametrize("column", ["salt", "wrapped_key"])
@pytest.mark.parametrize("content", [b"", b"x", b"\0" * 12, b"\0" * 28, b"\0" * 60, b"\0" * 100_000])
def test_a_damaged_seal_is_a_sentence(locked: Path, column: str, content: bytes) -> None:
    query(locked, f"UPDATE sealing SET {column} = ?", content)
    before = (locked / FILE_NAME).read_bytes()
    with Store(locked, lambda: PASSPHRASE) as store:
        for use in (store.identities.unlock, store.identities.unseal, lambda: store.identities.seal(OTHER)):
            with pytest.raises(StoreError) as caught:
                use()
            sentence(caught.value)
    assert (locked / FILE_NAME).read_bytes() == before


def test_a_seal_that_is_gone_is_damage(locked: Path) -> None:
    query(locked, "DELETE FROM sealing")
    with Store(locked) as store:
        assert not store.identities.sealed
        with pytest.raises(StoreError) as caught:
            store.identities.for_network("oftc")
        assert "key for oftc is damaged" in sentence(caught.value)


def test_a_key_of_one_network_is_none_of_another(locked: Path) -> None:
    """Who can write the file cannot have us speak as somebody else there."""
    ((key, fingerprint),) = query(
        locked, "SELECT dsa_private_key, fingerprint FROM identity WHERE network = 'oftc'"
    )
    query(
        locked,
        "UPDATE identity SET dsa_private_key = ?, fingerprint = ? WHERE network = 'libera.chat'",
        key,
        fingerprint,
    )
    with Store(locked, Asked(PASSPHRASE)) as store:
        with pytest.raises(StoreError) as caught:
            store.identities.for_network("libera.chat")
        assert "key for libera.chat is damaged" in sentence(caught.value)
        assert store.identities.find("oftc") is not None


def test_keys_for_version_4_of_one_network_are_none_of_another(locked: Path) -> None:
    query(
        locked,
        "UPDATE identity SET (ed448_private_key, forging_key, fingerprint_4) = (SELECT ed448_private_key, "
        "forging_key, fingerprint_4 FROM identity WHERE network = 'oftc') WHERE network = 'libera.chat'",
    )
    with Store(locked, Asked(PASSPHRASE)) as store:
        with pytest.raises(StoreError) as caught:
            store.identities.for_network("libera.chat")
        assert "key for libera.chat is damaged" in sentence(caught.value)


def test_nobody_puts_in_a_forging_key_of_theirs(locked: Path) -> None:
    """Who can write the file, and has the secret half, could pose to us as anybody."""
    with Store(locked, Asked(PASSPHRASE)) as store:
        ours = store.identities.for_network("oftc").ed448.public.encoded
    theirs = SigningKey.generate().public.encoded
    mark = fingerprint_4(ours, theirs).digest
    query(
        locked,
        "UPDATE identity SET forging_key = ?, fingerprint_4 = ? WHERE network = 'oftc'",
        theirs,
        mark,
    )
    with Store(locked, Asked(PASSPHRASE)) as store:
        with pytest.raises(StoreError) as caught:
            store.identities.for_network("oftc")
        assert "key for oftc is damaged" in sentence(caught.value)


def test_both_fingerprints_stay_the_same_under_any_passphrase_and_none(folder: Path, cheap: None) -> None:
    with Store(folder) as store:
        first = store.identities.generate("net")
        store.identities.seal(PASSPHRASE)
    with Store(folder, Asked(PASSPHRASE)) as store:
        store.identities.seal(OTHER)
    with Store(folder, Asked(OTHER)) as store:
        store.identities.unseal()
    with Store(folder) as store:
        found = store.identities.for_network("net")
    assert (found.fingerprint, found.fingerprint_4) == (first.fingerprint, first.fingerprint_4)
    assert found.ed448.to_bytes() == first.ed448.to_bytes()


def test_a_damaged_key_keeps_the_others_as_they_are(folder: Path, cheap: None) -> None:
    with Store(folder) as store:
        for network in ("good", "bad"):
            store.identities.generate(network)
        query(folder, "UPDATE identity SET dsa_private_key = x'00' WHERE network = 'bad'")
        before = (folder / FILE_NAME).read_bytes()
        with pytest.raises(StoreError) as caught:
            store.identities.seal(PASSPHRASE)
        assert "key for bad is damaged" in sentence(caught.value)
        assert (folder / FILE_NAME).read_bytes() == before
        assert not store.identities.sealed
        store.identities.delete("bad")
        store.identities.seal(PASSPHRASE)


def test_too_little_memory_is_a_sentence(locked: Path) -> None:
    query(locked, "UPDATE sealing SET cost = ?", sealing.MAX_COST)

    def open_it() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, resource.RLIM_INFINITY))
        with Store(locked, lambda: PASSPHRASE) as store:
            store.identities.unlock()

    said = in_child(open_it)
    assert said is not None
    assert "not enough memory" in sentence(said)


def test_the_purpose_is_sealed_too() -> None:
    key = Secret(bytes(range(32)))
    sealed = sealing.sealed(key, b"content", b"purpose")
    assert sealing.unsealed(key, sealed, b"purpose") == b"content"
    assert sealing.sealed(key, b"content", b"purpose") != sealed, "never the same nonce"
    cut = [sealed[:length] for length in range(len(sealed))]
    turned = [sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :] for at in range(len(sealed))]
    for other, content, purpose in [
        (Secret(bytes(32)), sealed, b"purpose"),
        (key, sealed, b"other"),
        *((key, damaged, b"purpose") for damaged in cut + turned),
    ]:
        with pytest.raises(ValueError):
            sealing.unsealed(other, content, purpose)
