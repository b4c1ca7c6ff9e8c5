"""`otr keys import`: what real programs have written is taken over, or nothing is."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from otrcore.cli.importing import MAX_FILES, ImportResult, import_keys
from otrcore.crypto.dsa import DsaPrivateKey
from otrcore.errors import OtrcoreError, StoreError, UsageError
from otrcore.identity import Identity
from otrcore.model import Fingerprint, Trust
from otrcore.store.database import FILE_NAME
from otrcore.store.folder import private_folder
from otrcore.store.formats import libotr
from otrcore.store.formats.values import FoundContact, FoundKey, FoundTag
from otrcore.store.store import Store
from tests.clients.drivers.irssi import NETWORK as IRSSI_NETWORK
from tests.clients.drivers.irssi import Irssi
from tests.clients.drivers.ngircd import Ngircd
from tests.clients.drivers.programs import run
from tests.clients.drivers.waiting import wait_for
from tests.interop.oracle import BINARY, LibotrPeer
from tests.store.formats.hexchat import NETWORK as HEXCHAT_NETWORK
from tests.store.formats.hexchat import HexChat
from tests.store.formats.people import Contact
from tests.store.formats.samples import KEY3, LIBOTR, OF_ACCOUNTS, WEECHAT_OTR, files_of
from tests.store.processes import as_nobody
from tests.store.sentences import sentence
from tests.support import require

SECRET = "hush"  # irssi takes no more than one word
MARK = "0123456789" * 4


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "data") as store:
        yield store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a test puts the files of another program."""
    path = tmp_path / "theirs"
    path.mkdir()
    return path


def keys(store: Store) -> dict[str, str]:
    """The fingerprints of the identities in use, by network."""
    return {
        row.network: row.fingerprint.digest.hex()
        for row in store.identities.rows()
        if row.retired is None and row.fingerprint is not None
    }


def contacts(store: Store) -> dict[tuple[str, str, str], Trust]:
    """How far keys are trusted, by network, nick and fingerprint."""
    return {
        (contact.network, contact.nick, key.fingerprint.digest.hex()): key.trust
        for contact in store.contacts.all()
        for key in contact.keys
    }


def rows(store: Store) -> list[str]:
    """Everything that is in the database."""
    with closing(sqlite3.connect(store.folder / FILE_NAME)) as connection:
        return list(connection.iterdump())


def refused(
    store: Store,
    source: Path,
    kind: type[OtrcoreError] = OtrcoreError,
    program: str | None = None,
    **options: object,
) -> str:
    """Be sure that an import is refused by one sentence and has changed nothing, and return that."""
    before, content = rows(store), (store.folder / FILE_NAME).read_bytes()
    with pytest.raises(kind) as caught:
        import_keys(store, source, program, **options)  # type: ignore[arg-type]
    assert rows(store) == before
    assert (store.folder / FILE_NAME).read_bytes() == content
    return sentence(str(caught.value))


def line(nick: str, account: str, word: str = "", mark: str = MARK, protocol: str = "IRC") -> str:
    return f"{nick}\t{account}\t{protocol}\t{mark}\t{word}\n"


def write_keys(folder: Path, *accounts: str, key: DsaPrivateKey | None = None) -> list[str]:
    """Write a key for each account of irssi or HexChat, one for all if it is given; returns the marks."""
    made = [FoundKey(account, "IRC", key or DsaPrivateKey.generate()) for account in accounts]
    (folder / "otr.key").write_bytes(libotr.write_keys(made))
    return [Identity(one.key).fingerprint.digest.hex() for one in made]


# ---- files of the real programs


@dataclass
class Written:
    """What a real program has written, and what its contacts know of it."""

    folder: Path
    fingerprint: str = ""
    tags: set[int] = field(default_factory=set)
    contacts: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="module")
def irssi(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """irssi has met three people: it does not trust bob, has compared with carol, and shares a secret with
    dave.
    """
    folder = tmp_path_factory.mktemp("irssi")
    written = Written(folder / "home")
    with Ngircd(folder / "ngircd") as server, Irssi("alice", folder / "home", server.port) as program:
        for nick in ("bob", "carol", "Dave"):
            with Contact(server.port, nick) as contact:
                contact.start("alice")
                program.wait_secured(nick)
                written.fingerprint, tag = contact.seen("alice")
                written.tags.add(tag)
                written.contacts[nick] = contact.fingerprint
                if nick == "carol":
                    program.trust(nick)
                if nick == "Dave":
                    contact.verify("alice", SECRET, None)
                    wait_for(
                        lambda: any("wants to authenticate" in one for one in program.shown("Dave")),
                        lambda: f"irssi to be asked; it shows {program.shown('Dave')}",
                    )
                    program.verify(nick, SECRET)
                    contact.wait_verified("alice")
        fingerprints = folder / "home" / "otr" / "otr.fp"
        wait_for(lambda: "\tsmp\n" in fingerprints.read_text(), "irssi to write that down")
    return written


@pytest.fixture(scope="module")
def hexchat(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """HexChat has met bob, whom it does not trust, and carol, with whom it shares a secret."""
    folder = tmp_path_factory.mktemp("hexchat")
    written = Written(folder / "otr")
    commands = [
        f"otr genkey alice@{HEXCHAT_NETWORK}",
        "query carol",
        f"timer -repeat 0 5 doat carol/{HEXCHAT_NETWORK} otr auth {SECRET}",
    ]
    with (
        Ngircd(folder / "ngircd") as server,
        Contact(server.port, "bob") as bob,
        Contact(server.port, "carol") as carol,
        HexChat("alice", server.port, *commands) as program,
    ):
        program.wait("otr.key", "(x #")
        for contact in (bob, carol):
            contact.start("alice")
            written.contacts[contact.nick] = contact.fingerprint
            written.fingerprint, tag = contact.seen("alice")
            written.tags.add(tag)
        carol.answer("alice", SECRET)
        program.wait("otr.fp", "\tsmp\n")
        shutil.copytree(program.folder, folder / "otr")
    return written


def test_irssi(store: Store, irssi: Written) -> None:
    done = import_keys(store, irssi.folder, None)
    assert done.data["program"] == "irssi"
    assert keys(store) == {IRSSI_NETWORK: irssi.fingerprint}
    assert contacts(store) == {
        (IRSSI_NETWORK, "bob", irssi.contacts["bob"]): Trust.NONE,
        (IRSSI_NETWORK, "carol", irssi.contacts["carol"]): Trust.COMPARED,
        (IRSSI_NETWORK, "dave", irssi.contacts["Dave"]): Trust.SMP,
    }
    assert set(store.tags.rows(IRSSI_NETWORK)) == irssi.tags
    assert store.contacts.history(IRSSI_NETWORK, "carol")[0].what.startswith("imported from irssi")


def test_hexchat(store: Store, hexchat: Written) -> None:
    done = import_keys(store, hexchat.folder, None)
    assert done.data["program"] == "hexchat"
    network = HEXCHAT_NETWORK.lower()
    assert keys(store) == {network: hexchat.fingerprint}
    assert contacts(store) == {
        (network, "bob", hexchat.contacts["bob"]): Trust.NONE,
        (network, "carol", hexchat.contacts["carol"]): Trust.SMP,
    }
    assert set(store.tags.rows(network)) == hexchat.tags
    assert done.data["readable_by_others"] == []


def test_pidgin(store: Store) -> None:
    done = import_keys(store, LIBOTR, None)
    assert done.data["program"] == "pidgin"
    assert keys(store) == {
        "irc.libera.chat": OF_ACCOUNTS["alice@irc.libera.chat"],
        "irc.oftc.net": OF_ACCOUNTS["alice@irc.oftc.net"],
    }
    assert {(network, nick): trust for (network, nick, _), trust in contacts(store).items()} == {
        ("irc.libera.chat", "bob"): Trust.NONE,
        ("irc.libera.chat", "carol"): Trust.COMPARED,
        ("irc.oftc.net", "bob"): Trust.SMP,
        ("irc.oftc.net", "carol"): Trust.COMPARED,
    }
    assert store.tags.rows() == (0x943C373A, 0x108E01BB)
    assert "Left out, as it is not for IRC: 4 of prpl-jabber" in done.lines


def test_libotr_as_it_writes_now(store: Store, folder: Path) -> None:
    options = ["--protocol", "prpl-irc", "--keyfile", str(folder / "otr.private_key")]
    with LibotrPeer("alice@irc.oftc.net", options=options, program=Path(require(str(BINARY)))) as peer:
        made = peer.genkey()
    import_keys(store, folder / "otr.private_key", "libotr")
    assert keys(store) == {"irc.oftc.net": made}


def test_weechat_under_two_nicks(store: Store) -> None:
    """weechat-otr makes a key for each nick; only the user knows which of them people know."""
    said = refused(store, WEECHAT_OTR, UsageError)
    assert "2 different keys for libera.chat: choose with --account from" in said
    for account in ("alice@libera", "alice_@libera"):
        assert f"{account} ({Fingerprint.parse(OF_ACCOUNTS[account])})" in said
    done = import_keys(store, WEECHAT_OTR, None, account="alice_@libera")
    assert keys(store) == {"libera.chat": OF_ACCOUNTS["alice_@libera"]}
    assert len(contacts(store)) == 8, "whom the user has met under either nick"
    assert {network for network, _, _ in contacts(store)} == {"libera.chat"}
    assert done.data["program"] == "weechat"
    import_keys(store, WEECHAT_OTR, "weechat", account="ALICE@oftc")
    assert keys(store)["oftc"] == OF_ACCOUNTS["alice@oftc"]
    assert len(contacts(store)) == 12


def test_one_key_under_two_nicks_is_one(store: Store, folder: Path) -> None:
    for account in ("alice@oftc", "alice_@oftc"):
        (folder / f"{account}.key3").write_bytes(KEY3)
    import_keys(store, folder, None)
    assert keys(store) == {"oftc": OF_ACCOUNTS["alice@libera"]}


def test_the_command(tmp_path: Path) -> None:
    def otr(*arguments: str) -> str:
        done = run(tmp_path, "otr", "keys", *arguments, "--data-dir", str(tmp_path / "data"))
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    said = otr("import", str(LIBOTR), "--account", "alice@irc.oftc.net", "--network", "oftc")
    assert f"Your key for oftc, {Fingerprint.parse(OF_ACCOUNTS['alice@irc.oftc.net'])}" in said
    again = json.loads(
        otr("import", str(LIBOTR), "--account", "alice@irc.oftc.net", "--network", "oftc", "--json")
    )
    assert [one["done"] for one in again["identities"]] == ["there already"]
    assert {one["done"] for one in again["contacts"]} == {"there already"}
    with Store(tmp_path / "data") as store:
        assert keys(store) == {"oftc": OF_ACCOUNTS["alice@irc.oftc.net"]}
    bad = run(
        tmp_path, "otr", "keys", "import", str(tmp_path / "nothing"), "--data-dir", str(tmp_path / "data")
    )
    assert (bad.returncode, bad.stdout) == (1, "")
    assert "cannot be read (no such file or directory)" in sentence(bad.stderr.strip())


# ---- which network


@pytest.mark.parametrize(
    ("account", "network"),
    [
        ("alice@irc.libera.chat", "libera.chat"),
        ("alice@eu.libera.chat", "libera.chat"),
        ("alice@Libera.Chat", "libera.chat"),
        ("libera.chat", "libera.chat"),
        ("liberachat", "libera.chat"),
        ("Libera", "libera.chat"),
        ("OFTC", "irc.oftc.net"),
        ("alice@irc.oftc.net", "irc.oftc.net"),
        ("undernet", "undernet"),
        ("alice@irc.example.org", "irc.example.org"),
        ("alice@spoofed", "spoofed"),
    ],
)
def test_accounts_find_their_network(store: Store, folder: Path, account: str, network: str) -> None:
    store.networks.place("Libera.Chat", "irc.libera.chat")
    store.networks.expect("irc.oftc.net")
    store.networks.place("OFTC", "irc.oftc.net")
    for host in ("irc.one.example", "irc.two.example2"):
        store.networks.place("spoofed", host)
    (mark,) = write_keys(folder, account)
    import_keys(store, folder, None)
    assert keys(store) == {network: mark}


@pytest.mark.parametrize(
    ("account", "claim", "host"),
    [
        ("alice@irc.oftc.net", "OFTC", "irc.oftc.net"),
        ("alice@irc.oftc.net", "OFTC", "irc4.oftc.net"),
        ("alice@OFTC", "OFTC", "irc.oftc.net"),
        ("alice@Libera.Chat", "Libera.Chat", "irc.libera.chat"),
        ("liberachat", "Libera.Chat", "irc.eu.libera.chat"),
        ("libera", "Libera.Chat", "irc.libera.chat"),
        ("alice@irc.silent.example", "", "irc.silent.example"),
    ],
)
def test_the_first_connection_finds_what_was_imported(
    store: Store, folder: Path, account: str, claim: str, host: str
) -> None:
    (mark,) = write_keys(folder, account)
    done = import_keys(store, folder, None)
    placement = store.networks.place(claim, host)
    assert placement.told == ()
    assert store.identities.for_network(placement.name).fingerprint == Fingerprint.parse(mark)
    assert any(f"otr networks join -- {placement.name} HOST" in one for one in done.lines)


def test_what_is_said_of_an_unheard_network_helps(store: Store, folder: Path) -> None:
    (mark,) = write_keys(folder, "myname")
    done = import_keys(store, folder, None)
    assert any("otr networks join -- myname HOST" in one for one in done.lines)
    assert store.networks.place("ExampleNet", "irc.example.org").name == "examplenet"
    store.networks.join("myname", "irc.example.org")
    placement = store.networks.place("ExampleNet", "irc.example.org")
    assert store.identities.for_network(placement.name).fingerprint == Fingerprint.parse(mark)
    assert not any("otr networks join" in one for one in import_keys(store, folder, None).lines)


def test_the_user_names_the_network(store: Store, folder: Path) -> None:
    (mark,) = write_keys(folder, "whatever")
    (folder / "otr.fp").write_text(line("bob", "whatever", "smp") + line("carol", "elsewhere"))
    said = refused(store, folder, UsageError, network="libera.chat")
    assert "several networks" in said
    assert "--account from elsewhere, whatever" in said
    import_keys(store, folder, None, network="libera.chat", account="whatever")
    assert keys(store) == {"libera.chat": mark}
    assert contacts(store) == {("libera.chat", "bob", MARK): Trust.SMP}
    assert store.networks.place("Libera.Chat", "irc.libera.chat").name == "libera.chat"


def test_one_key_for_all_networks(store: Store, folder: Path) -> None:
    key = DsaPrivateKey.generate()
    marks = write_keys(folder, "one", "two", key=key)
    (folder / "otr.fp").write_text(line("bob", "one"))
    (folder / "otr.instag").write_text("two\tIRC\t12345678\n")
    import_keys(store, folder, None, network="default")
    assert keys(store) == {"default": marks[0]}
    assert store.identities.for_network("anything").fingerprint == Fingerprint.parse(marks[0])
    assert contacts(store) == {("one", "bob", MARK): Trust.NONE}
    assert (store.tags.rows("one"), store.tags.rows("two")) == ((), (0x12345678,))


def test_different_keys_cannot_be_that_for_all(store: Store, folder: Path) -> None:
    marks = write_keys(folder, "one", "two")
    assert "2 different keys for default" in refused(store, folder, UsageError, network="default")
    import_keys(store, folder, None, network="default", account="two")
    assert keys(store) == {"default": marks[1]}


@pytest.mark.parametrize("account", ["alice@", "default", "alice@default", "alice@---"])
def test_an_account_that_does_not_tell_its_network(store: Store, folder: Path, account: str) -> None:
    (mark,) = write_keys(folder, account)
    assert f"The account {account} does not tell which network" in refused(store, folder, UsageError)
    import_keys(store, folder, None, network="oftc")
    assert keys(store) == {"oftc": mark}


def test_an_account_that_is_not_there(store: Store) -> None:
    said = refused(store, LIBOTR, UsageError, account="alice@jabber.example")
    assert said.endswith("choose one of alice@irc.libera.chat, alice@irc.oftc.net.")


def test_many_accounts_are_not_all_named(store: Store, folder: Path) -> None:
    (folder / "otr.fp").write_text("".join(line("bob", f"net{number:02}") for number in range(30)))
    said = refused(store, folder, UsageError, account="nobody")
    assert "net07 and 22 more" in said
    assert "net08" not in said


def test_nothing_for_irc(store: Store, folder: Path) -> None:
    (folder / "otr.fingerprints").write_text(line("bob", "a@jabber.example", protocol="prpl-jabber"))
    assert "nothing for IRC in these files, only for prpl-jabber" in refused(store, folder, UsageError)
    (folder / "otr.fingerprints").write_text("")
    assert "nothing for IRC in these files: " in refused(store, folder, UsageError)


# ---- what is here already


def test_again_changes_nothing(store: Store) -> None:
    import_keys(store, LIBOTR, None)
    before = rows(store)
    done = import_keys(store, LIBOTR, None, replace=True)
    assert rows(store) == before
    assert {
        one["done"] for kind in ("identities", "contacts", "instance_tags") for one in items(done, kind)
    } == {"there already"}


def items(done: ImportResult, kind: str) -> list[dict[str, str]]:
    found = done.data[kind]
    assert isinstance(found, list)
    return found


def test_a_key_that_is_in_use_gives_way_only_if_told(store: Store, folder: Path) -> None:
    (mark,) = write_keys(folder, "oftc")
    mine = store.identities.generate("oftc").fingerprint
    (folder / "otr.fp").write_text(line("bob", "oftc"))
    said = refused(store, folder, StoreError)
    assert f"for oftc you have the key {mine} here, and {Fingerprint.parse(mark)} there" in said
    assert "--replace" in said
    done = import_keys(store, folder, None, replace=True)
    assert keys(store) == {"oftc": mark}
    assert [(row.fingerprint, row.retired is not None) for row in store.identities.rows()] == [
        (Fingerprint.parse(mark), False),
        (mine, True),
    ]
    assert items(done, "identities")[0]["before"] == str(mine)
    assert any(f"takes the place of {mine}" in one for one in done.lines)


def test_a_key_for_version_4_is_made_beside_and_stays(store: Store, folder: Path) -> None:
    (mark,) = write_keys(folder, "oftc")
    done = import_keys(store, folder, None)
    assert [line for line in done.lines if "OTR version 4" in line and "otr keys" in line]
    (row,) = store.identities.rows()
    first = store.identities.find("oftc")
    assert first is not None
    assert first.fingerprint_4 == row.fingerprint_4 is not None
    again = import_keys(store, folder, None, replace=True)
    assert not [line for line in again.lines if "OTR version 4" in line]
    assert [one.fingerprint_4 for one in store.identities.rows()] == [first.fingerprint_4]
    (other,) = write_keys(folder, "oftc")
    import_keys(store, folder, None, replace=True)
    living, former = store.identities.rows()
    assert former.fingerprint_4 == first.fingerprint_4 != living.fingerprint_4
    assert keys(store) == {"oftc": other} != {"oftc": mark}


def test_a_key_that_was_put_out_of_use_is_told(store: Store, folder: Path) -> None:
    (mark,) = write_keys(folder, "oftc")
    import_keys(store, folder, None)
    store.identities.rotate("oftc")
    assert "--replace" in refused(store, folder, StoreError)
    store.identities.delete("oftc")
    done = import_keys(store, folder, None)
    assert keys(store) == {"oftc": mark}
    assert any("was in use here before" in one for one in done.lines)


def test_the_key_for_all_networks_is_not_in_the_way(store: Store, folder: Path) -> None:
    store.identities.generate("default")
    (mark,) = write_keys(folder, "oftc")
    import_keys(store, folder, None)
    assert keys(store)["oftc"] == mark


def test_trust_is_taken_over_for_new_keys_only(store: Store, folder: Path) -> None:
    other = "ab" * 20
    known = {Trust.NONE: "1" * 40, Trust.COMPARED: "2" * 40, Trust.SMP: "3" * 40}
    for trust, mark in known.items():
        store.contacts.add("oftc", "bob", Fingerprint.parse(mark), trust, "a test")
    written = [
        line("bob", "oftc", word, mark)
        for mark, word in zip(known.values(), ("smp", "", "manual"), strict=True)
    ]
    (folder / "otr.fp").write_text("".join([*written, line("bob", "oftc", "smp", other)]))
    done = import_keys(store, folder, None)
    assert contacts(store) == {
        **{("oftc", "bob", mark): trust for trust, mark in known.items()},
        ("oftc", "bob", other): Trust.SMP,
    }
    assert sorted(one["done"] for one in items(done, "contacts")) == ["added", *["there already"] * 3]


def test_what_was_verified_under_one_nick_of_ours_is_verified(store: Store, folder: Path) -> None:
    marks = ["1" * 40, "2" * 40, "3" * 40]
    text = [line("Bob", "a@net", "manual", marks[0]), line("bob", "b@net", "", marks[0])]
    text += [line("[bob]", "a@net", "", marks[1]), line("{bob}", "b@net", "smp", marks[1])]
    text += [line("bob", "a@net", "manual", marks[2]), line("BOB", "b@net", "smp", marks[2])]
    (folder / "otr.fp").write_text("".join(text))
    import_keys(store, folder, None)
    assert contacts(store) == {
        ("net", "bob", marks[0]): Trust.COMPARED,
        ("net", "bob", marks[2]): Trust.SMP,
        ("net", "{bob}", marks[1]): Trust.SMP,
    }


def test_a_word_for_trust_that_is_not_understood_counts_for_nothing(store: Store, folder: Path) -> None:
    (folder / "otr.fp").write_text(line("bob", "oftc", "probably"))
    done = import_keys(store, folder, None)
    assert contacts(store) == {("oftc", "bob", MARK): Trust.NONE}
    assert any("'probably', which is not understood" in one for one in done.lines)


def test_a_password_is_asked_for_once_and_before_others_have_to_wait(tmp_path: Path, folder: Path) -> None:
    data = tmp_path / "data"
    asked = []

    def passphrase() -> str:
        asked.append("passphrase")
        with Store(data) as other:
            other.contacts.add("net", "meanwhile", Fingerprint.parse(MARK), Trust.NONE, "a test")
        return "open sesame"

    with Store(data) as store:
        store.identities.generate("mine")
        store.identities.seal("open sesame")
    (mark,) = write_keys(folder, "oftc")
    with Store(data, passphrase) as store:
        import_keys(store, folder, None)
        assert keys(store)["oftc"] == mark
        assert store.identities.find("oftc") is not None
    assert asked == ["passphrase"]
    with Store(data) as store:
        assert refused(store, folder, StoreError, replace=True).startswith("The private keys are locked")


# ---- all of it, or nothing


def spoilt(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (folder / name).write_bytes(change((folder / name).read_bytes()))

    return spoil


SPOILT: dict[str, tuple[Callable[[Path], None], str]] = {
    "a key that is cut off": (spoilt("otr.private_key", lambda data: data[:-40]), "otr.private_key, line "),
    "a key that is changed": (
        spoilt(
            "otr.private_key",
            lambda data: data[: data.rindex(b"(x #") + 4] + b"F" + data[data.rindex(b"(x #") + 5 :],
        ),
        "otr.private_key, line 32: ",
    ),
    "a bad last contact": (
        spoilt("otr.fingerprints", lambda data: data + b"dave\ta@b\tprpl-irc\t1234\t\n"),
        "otr.fingerprints, line 7: ",
    ),
    "a control byte in a nick": (
        spoilt("otr.fingerprints", lambda data: data.replace(b"carol", b"car\x1b[2Jol", 1)),
        "otr.fingerprints, line 4: ",
    ),
    "a contact that is cut off": (
        spoilt("otr.fingerprints", lambda data: data[:-1]),
        "otr.fingerprints, line 6: ",
    ),
    "a byte order mark": (
        spoilt("otr.fingerprints", lambda data: b"\xef\xbb\xbf" + data),
        "otr.fingerprints, line 1: ",
    ),
    "a bad tag": (spoilt("otr.instance_tags", lambda data: data[:-3] + b"\n"), "otr.instance_tags, line 4: "),
    "a tag in a column too many": (
        spoilt("otr.instance_tags", lambda data: data.replace(b"\n", b"\tx\n")),
        "otr.instance_tags, line 1: ",
    ),
}


@pytest.mark.parametrize("name", SPOILT)
def test_one_bad_line_and_nothing_is_imported(store: Store, tmp_path: Path, name: str) -> None:
    spoil, place = SPOILT[name]
    folder = tmp_path / "spoilt"
    shutil.copytree(LIBOTR, folder)
    store.identities.generate("mine")
    spoil(folder)
    assert refused(store, folder, StoreError).startswith(f"Nothing was imported: {place}")


@pytest.mark.parametrize("table", ["identity", "contact_key", "history", "instance_tag", "network"])
def test_a_store_that_fails_in_the_middle(store: Store, table: str) -> None:
    """The last row of each table is refused: by then, others have been written."""
    with closing(sqlite3.connect(store.folder / FILE_NAME)) as connection:
        connection.execute(
            f"CREATE TRIGGER refuse BEFORE INSERT ON {table} WHEN (SELECT COUNT(*) FROM {table}) = 1 "
            "BEGIN SELECT RAISE(ABORT, 'no more'); END"
        )
        connection.commit()
    assert "no more" in refused(store, LIBOTR, StoreError)


def test_a_store_that_another_program_holds(store: Store) -> None:
    before = rows(store)
    with closing(sqlite3.connect(store.folder / FILE_NAME, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="in use by another program"):
            import_keys(store, LIBOTR, None)
    assert rows(store) == before
    import_keys(store, LIBOTR, None)


# ---- reading


def test_the_programs_own_folder_will_do(store: Store, tmp_path: Path) -> None:
    shutil.copytree(WEECHAT_OTR, tmp_path / "weechat" / "otr")
    import_keys(store, tmp_path / "weechat", None, account="alice@libera")
    assert len(contacts(store)) == 8


def test_one_file_is_read_alone(store: Store) -> None:
    import_keys(store, LIBOTR / "otr.fingerprints", None)
    assert (keys(store), len(contacts(store)), store.tags.rows()) == ({}, 4, ())
    import_keys(store, WEECHAT_OTR / "alice@oftc.key3", None)
    assert keys(store) == {"oftc": OF_ACCOUNTS["alice@oftc"]}


def test_other_files_are_not_even_looked_at(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "purple"
    shutil.copytree(LIBOTR, folder)
    os.mkfifo(folder / "otr.max_message_size")
    (folder / "accounts.xml").symlink_to("nowhere")
    import_keys(store, folder, None)
    assert len(keys(store)) == 2


def test_files_of_two_programs_in_one_folder(store: Store, folder: Path) -> None:
    for name, data in {**files_of(LIBOTR), **files_of(WEECHAT_OTR)}.items():
        (folder / name).write_bytes(data)
    assert "choose with --from one of pidgin, weechat, libotr" in refused(store, folder, UsageError)
    import_keys(store, folder, "pidgin")
    assert set(keys(store)) == {"irc.libera.chat", "irc.oftc.net"}


@pytest.mark.parametrize("program", [None, "pidgin", "weechat"])
def test_a_folder_without_their_files(store: Store, folder: Path, program: str | None) -> None:
    (folder / "otr").mkdir()
    (folder / "config").write_text("")
    assert "There are no OTR files of" in refused(store, folder, UsageError, program)


def test_a_program_that_is_not_known(store: Store) -> None:
    assert "No program is known as trillian" in refused(store, LIBOTR, UsageError, "trillian")


def test_what_others_can_read_is_told(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "otr"
    shutil.copytree(WEECHAT_OTR, folder)
    for path in folder.iterdir():
        path.chmod(0o600)
    (folder / "alice@libera.fpr").chmod(0o644)
    done = import_keys(store, folder, None, account="alice@libera")
    assert done.data["readable_by_others"] == []
    (folder / "alice@oftc.key3").chmod(0o644)
    done = import_keys(store, folder, None, account="alice@oftc")
    assert done.data["readable_by_others"] == ["alice@oftc.key3"]
    assert any("others on this computer can read alice@oftc.key3" in one for one in done.lines)


UNREADABLE: dict[str, tuple[Callable[[Path], None], str]] = {
    "nothing": (lambda path: None, "no such file or directory"),
    "a folder": (Path.mkdir, "is a directory"),
    "a pipe": (os.mkfifo, "not an ordinary file"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), "not an ordinary file"),
    "a link to itself": (lambda path: path.symlink_to(path), "too many levels of symbolic links"),
    "a link to nothing": (lambda path: path.symlink_to("nothing"), "no such file or directory"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read(store: Store, folder: Path, name: str) -> None:
    make, said = UNREADABLE[name]
    make(folder / "otr.key")
    if name != "nothing":
        assert said in refused(store, folder, StoreError)
    if name != "a folder":
        assert said in refused(store, folder / "otr.key", StoreError)


def test_what_one_may_not_read(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    private_folder(folder)
    (folder / "otr.key").write_text("(privkeys)")
    (folder / "otr.key").chmod(0)
    data = tmp_path / "data-of-nobody"
    data.mkdir(mode=0o777)
    data.chmod(0o777)

    def try_it() -> None:
        with Store(Path("data-of-nobody/data")) as own:
            import_keys(own, Path("theirs"), None)

    assert "permission denied" in sentence(as_nobody(tmp_path, try_it))


@pytest.mark.parametrize(
    "name", ["otr.private_key", "otr.fingerprints", "otr.instance_tags", "a@b.key3", "a@b.fpr"]
)
def test_a_file_of_100_mb_is_not_read_to_its_end(store: Store, folder: Path, name: str) -> None:
    with (folder / name).open("wb") as file:
        file.truncate(100 << 30)  # takes no room on the disk
    assert f"{name}: it is longer than 4 MiB" in refused(store, folder, StoreError)


def test_more_files_than_anybody_has(store: Store, folder: Path) -> None:
    for number in range(MAX_FILES + 1):
        (folder / f"alice{number}@net.fpr").touch()
    assert f"more than {MAX_FILES} files" in refused(store, folder, StoreError)


def test_a_pipe_as_the_source_keeps_nobody_waiting(store: Store, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "otr.key")
    waiting = threading.Thread(target=lambda: refused_in_a_thread(tmp_path), daemon=True)
    waiting.start()
    waiting.join(20)
    assert not waiting.is_alive()


def refused_in_a_thread(folder: Path) -> None:
    with Store(folder / "data2") as store:
        refused(store, folder / "otr.key", StoreError)


# ---- what is told


def test_what_is_told_is_plain_and_whole(store: Store, folder: Path) -> None:
    contact = FoundContact("b\N{RIGHT-TO-LEFT OVERRIDE}ob", "oftc", "IRC", Fingerprint.parse(MARK), Trust.SMP)
    (folder / "otr.fp").write_bytes(libotr.write_fingerprints([contact], "manual"))
    (folder / "otr.instag").write_bytes(libotr.write_tags([FoundTag("oftc", "IRC", 0x1234)]))
    (mark,) = write_keys(folder, "oftc")
    done = import_keys(store, folder, None)
    text = "\n".join(done.lines)
    for shown in (
        str(Fingerprint.parse(mark)),
        str(contact.fingerprint),
        "00001234",
        "oftc",
        "shared secret",
    ):
        assert shown in text
    assert json.loads(json.dumps(done.data)) == done.data
    assert done.data["contacts"] == [
        {
            "network": "oftc",
            "nick": contact.nick,
            "fingerprint": str(contact.fingerprint),
            "trust": "smp",
            "done": "added",
        }
    ]
    assert "PRIVATE" not in f"{done!r}".upper()
