"""`otr keys export`: real programs find in the files what is in the store."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from otrcore.cli.exporting import export_keys
from otrcore.cli.importing import import_keys
from otrcore.errors import OtrcoreError, StoreError, UsageError
from otrcore.model import Fingerprint, Trust
from otrcore.store.formats.programs import OTHER_NAMES, PROGRAMS
from otrcore.store.store import Store
from tests.clients.drivers.ngircd import Ngircd
from tests.clients.drivers.programs import run
from tests.interop.oracle import BINARY, LibotrPeer
from tests.store.formats.hexchat import NETWORK as HEXCHAT_NETWORK
from tests.store.formats.hexchat import HexChat
from tests.store.formats.irssi_reader import IrssiReader
from tests.store.formats.people import Contact
from tests.store.formats.real_libotr import RealLibotr
from tests.store.processes import as_nobody
from tests.store.sentences import sentence
from tests.support import require

WRITTEN_FOR = [name for name, program in PROGRAMS.items() if program.files.tags]
CONTACTS = {
    ("oftc", "bob", "1" * 40): Trust.NONE,
    ("oftc", "bob", "2" * 40): Trust.COMPARED,
    ("oftc", "{carol}|away", "3" * 40): Trust.SMP,
    ("libera.chat", "gefährte", "1" * 40): Trust.COMPARED,
}
TAGS = {"oftc": 0x12345678, "libera.chat": 0xFFFFFFFF}
SERVERS = {"oftc": "irc.oftc.net", "libera.chat": "irc.libera.chat"}
OF_IRSSI = {"oftc": "OFTC", "libera.chat": "liberachat"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Two networks with a key each, contacts, and tags."""
    with Store(tmp_path / "data") as store:
        for network, host in SERVERS.items():
            store.networks.place(network, host)
            store.identities.generate(network)
            store.tags.add(network, TAGS[network])
        for (network, nick, mark), trust in CONTACTS.items():
            store.contacts.add(network, nick, Fingerprint.parse(mark), trust, "a test")
        yield store


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "empty") as store:
        yield store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a test lets the files be written; it is not there yet."""
    return tmp_path / "theirs"


def mark_of(store: Store, network: str) -> str:
    identity = store.identities.find(network)
    assert identity is not None
    return identity.fingerprint.digest.hex()


def refused(
    store: Store, folder: Path, program: str, kind: type[OtrcoreError] = UsageError, **options: object
) -> str:
    """Be sure that an export is refused by one sentence and has written nothing, and return that."""
    before = content(folder)
    with pytest.raises(kind) as caught:
        export_keys(store, folder, program, **options)  # type: ignore[arg-type]
    assert content(folder) == before
    return sentence(str(caught.value))


def content(folder: Path) -> dict[str, bytes | None]:
    """What lies in a folder: files with what is in them, and whatever else there is."""
    if not folder.is_dir():
        return {}
    return {
        path.name: path.read_bytes() if path.is_file() and not path.is_symlink() else None
        for path in folder.iterdir()
    }


# ---- the real programs


def test_irssi_has_the_keys_and_the_trust(store: Store, folder: Path, tmp_path: Path) -> None:
    export_keys(store, folder, "irssi")
    with IrssiReader(tmp_path / "irssi", folder, "OFTC") as irssi:
        assert irssi.keys() == {name: mark_of(store, network) for network, name in OF_IRSSI.items()}
        words = {Trust.NONE: "Unverified", Trust.COMPARED: "Manual", Trust.SMP: "SMP"}
        assert irssi.contacts() == {
            (OF_IRSSI[network], nick, mark): words[trust] for (network, nick, mark), trust in CONTACTS.items()
        }


def test_irssi_speaks_with_the_key_and_knows_the_contact(tmp_path: Path, empty: Store, folder: Path) -> None:
    with Ngircd(tmp_path / "ngircd") as server, Contact(server.port, "bob") as bob:
        empty.identities.generate("mynet")
        empty.contacts.add("mynet", "bob", bob.account.identity.fingerprint, Trust.COMPARED, "a test")
        export_keys(empty, folder, "irssi")
        with IrssiReader(tmp_path / "irssi", folder, "mynet", port=server.port) as irssi:
            irssi.wait_connected()
            bob.start("alice")
            assert bob.seen("alice")[0] == mark_of(empty, "mynet")
            assert irssi.contacts() == {("mynet", "bob", bob.fingerprint): "Manual"}


def test_hexchat_speaks_with_the_key_and_the_tag(tmp_path: Path, empty: Store, folder: Path) -> None:
    empty.identities.generate("testnet")
    empty.tags.add("testnet", 0xABCDEF01)
    with Ngircd(tmp_path / "ngircd") as server, Contact(server.port, "bob") as bob:
        empty.contacts.add("testnet", "bob", bob.account.identity.fingerprint, Trust.SMP, "a test")
        export_keys(empty, folder, "hexchat", nick="alice", server=HEXCHAT_NETWORK)
        with HexChat("alice", server.port, "query bob", otr=folder) as program:
            program.wait_connected()
            bob.start("alice")
            assert bob.seen("alice") == (mark_of(empty, "testnet"), 0xABCDEF01)
            bob.say("alice", "shown after all that belongs to the start")
            program.wait_shown("gone secure")
            program.wait_shown("shown after all")
            assert "not authenticated" not in program.log(), "bob is known as verified"


def test_libotr_finds_it_all_under_the_names_of_pidgin(store: Store, folder: Path) -> None:
    export_keys(store, folder, "pidgin", nick="alice")
    written = content(folder)
    libotr = RealLibotr()
    assert libotr.read_keys(folder / "otr.private_key")
    for network, host in SERVERS.items():
        assert libotr.fingerprint(f"alice@{host}", "prpl-irc") == mark_of(store, network)
        options = ["--protocol", "prpl-irc", "--keyfile", str(folder / "otr.private_key")]
        program = Path(require(str(BINARY)))
        with LibotrPeer(f"alice@{host}", options=options, program=program) as peer:
            assert peer.ready["fingerprint"] == mark_of(store, network)
    for name, again in (
        ("otr.fingerprints", libotr.rewrite_fingerprints(folder / "otr.fingerprints")),
        ("otr.instance_tags", libotr.rewrite_tags(folder / "otr.instance_tags")),
    ):
        before = written[name]
        assert before is not None
        assert lines(again) == lines(before)
        assert lines(before)


def lines(data: bytes) -> list[bytes]:
    return sorted(line for line in data.split(b"\n") if b"\t" in line)


@pytest.mark.parametrize("program", WRITTEN_FOR)
def test_there_and_back(store: Store, empty: Store, folder: Path, program: str) -> None:
    export_keys(store, folder, program, nick="alice")
    for network, host in SERVERS.items():
        empty.networks.place(network, host)
    done = import_keys(empty, folder, program)
    assert {network: mark_of(empty, network) for network in SERVERS} == {
        network: mark_of(store, network) for network in SERVERS
    }
    assert {
        (contact.network, contact.nick, key.fingerprint.digest.hex()): key.trust
        for contact in empty.contacts.all()
        for key in contact.keys
    } == CONTACTS
    assert {network: empty.tags.rows(network) for network in TAGS} == {
        network: (tag,) for network, tag in TAGS.items()
    }
    assert (done.data["left_out"], done.data["readable_by_others"]) == ({}, [])


def test_the_command(tmp_path: Path, store: Store, folder: Path) -> None:
    def otr(*arguments: str) -> tuple[int, str, str]:
        done = run(tmp_path, "otr", "keys", "export", *arguments, "--data-dir", str(store.folder))
        return done.returncode, done.stdout, done.stderr

    code, said, wrong = otr(str(folder), "--for", "irssi", "--network", "oftc")
    assert (code, wrong) == (0, "")
    assert str(Fingerprint.parse(mark_of(store, "oftc"))) in said
    assert set(content(folder)) == {"otr.key", "otr.fp", "otr.instag"}
    code, said, wrong = otr(str(folder), "--for", "irssi")
    assert (code, said) == (1, "")
    assert "overwrite what is there with --replace" in sentence(wrong.strip())
    code, said, wrong = otr(str(folder), "--for", "irssi", "--replace", "--json")
    assert (code, wrong) == (0, "")
    assert {one["account"] for one in json.loads(said)["accounts"]} == set(OF_IRSSI.values())


# ---- accounts


@pytest.mark.parametrize(
    ("program", "options", "account"),
    [
        ("irssi", {}, "OFTC"),
        ("irssi", {"server": "oftc"}, "oftc"),
        ("irssi", {"nick": "alice"}, "OFTC"),
        ("hexchat", {"nick": "Alice"}, "Alice@OFTC"),
        ("hexchat", {"nick": "[al]", "server": "OFTC"}, "[al]@OFTC"),
        ("pidgin", {"nick": "alice"}, "alice@irc.oftc.net"),
        ("pidgin", {"nick": "alice", "server": "irc4.oftc.net"}, "alice@irc4.oftc.net"),
        ("libotr", {"nick": "gefährte"}, "gefährte@irc.oftc.net"),
    ],
)
def test_names_of_accounts(
    store: Store, folder: Path, program: str, options: dict[str, str], account: str
) -> None:
    done = export_keys(store, folder, program, networks=("oftc",), **options)  # type: ignore[arg-type]
    its = PROGRAMS[program]
    libotr = RealLibotr()
    assert libotr.read_keys(folder / its.files.keys)
    assert libotr.fingerprint(account, its.protocol) == mark_of(store, "oftc")
    assert done.data["accounts"] == [
        {
            "network": "oftc",
            "account": account,
            "fingerprint": str(Fingerprint.parse(mark_of(store, "oftc"))),
            "contacts": 3,
            "instance_tag": "12345678",
        }
    ]
    assert f"as account {account}: " in "\n".join(done.lines)


@pytest.mark.parametrize("program", ["pidgin", "hexchat", "libotr"])
def test_a_program_that_needs_the_nick(store: Store, folder: Path, program: str) -> None:
    for nick in (None, ""):
        assert "give your nick with --nick" in refused(store, folder, program, nick=nick)


def test_names_of_networks_are_those_of_the_programs_own_lists() -> None:
    """irssi's is a file; HexChat has its own in the program."""
    listed = Path("/etc/irssi.conf")
    if not listed.exists():
        pytest.skip("irssi has no list of networks here")
    assert set(PROGRAMS["irssi"].spelling.values()) <= set(
        re.findall(r'chatnet = "(.+?)"', listed.read_text())
    )
    names = Path(require("hexchat")).read_bytes().split(b"\0")
    assert {name.encode() for name in PROGRAMS["hexchat"].spelling.values()} <= set(names)
    for name in ("irssi", "hexchat"):
        for ours, theirs in PROGRAMS[name].spelling.items():
            assert OTHER_NAMES.get(theirs.lower(), theirs.lower()) == ours, "it comes back to where it was"


def test_a_program_that_needs_the_server(empty: Store, folder: Path) -> None:
    empty.identities.generate("oftc")
    assert "give it with --server" in refused(empty, folder, "pidgin", nick="alice")
    export_keys(empty, folder, "pidgin", nick="alice", server="irc.oftc.net")


def test_one_server_for_several_networks(store: Store, folder: Path) -> None:
    said = refused(store, folder, "irssi", server="irc.oftc.net")
    assert said.startswith("One server cannot be that of 2 networks")


@pytest.mark.parametrize("nick", ["a\tb", "a\nb", "a\x1b[2Jb", "a\udcffb", "\x00", "a" * 500])
def test_a_nick_that_cannot_be(store: Store, folder: Path, nick: str) -> None:
    assert "cannot be an account" in refused(store, folder, "hexchat", nick=nick)


def test_a_network_that_is_not_known(store: Store, folder: Path) -> None:
    assert "No network is called efnet" in refused(store, folder, "irssi", networks=("oftc", "efnet"))


def test_nothing_to_export(empty: Store, folder: Path) -> None:
    assert "nothing to export yet" in refused(empty, folder, "irssi")
    empty.networks.place("met", "irc.met.example")
    assert "nothing to export yet" in refused(empty, folder, "irssi")


@pytest.mark.parametrize(
    ("program", "said"), [("weechat", "choose a program"), ("x", "No program is known as x")]
)
def test_programs_that_are_not_written_for(store: Store, folder: Path, program: str, said: str) -> None:
    assert said in refused(store, folder, program, nick="alice")


def test_the_key_for_all_networks_is_written_for_each(empty: Store, folder: Path) -> None:
    empty.identities.generate("default")
    assert "nothing to export yet" in refused(empty, folder, "irssi")
    empty.identities.generate("own")
    empty.networks.place("met", "irc.met.example")
    empty.contacts.add("known", "bob", Fingerprint.parse("1" * 40), Trust.NONE, "a test")
    export_keys(empty, folder, "irssi")
    libotr = RealLibotr()
    assert libotr.read_keys(folder / "otr.key")
    assert {name: libotr.fingerprint(name, "IRC") for name in ("own", "met", "known", "default")} == {
        "own": mark_of(empty, "own"),
        "met": mark_of(empty, "default"),
        "known": mark_of(empty, "default"),
        "default": "",
    }


def test_contacts_without_a_key_of_ours(empty: Store, folder: Path) -> None:
    empty.contacts.add("known", "bob", Fingerprint.parse("1" * 40), Trust.NONE, "a test")
    done = export_keys(empty, folder, "irssi")
    assert "known, as account known: no key of yours, 1 key of contacts" in done.lines
    libotr = RealLibotr()
    assert libotr.read_keys(folder / "otr.key")
    assert libotr.fingerprint("known", "IRC") == ""
    assert lines((folder / "otr.fp").read_bytes()) == [b"bob\tknown\tIRC\t" + b"1" * 40 + b"\t"]


@pytest.mark.parametrize(("others", "said"), [(1, "1 key of"), (2, "2 keys of")])
def test_keys_for_version_4_are_left_out_and_that_is_said(
    empty: Store, folder: Path, others: int, said: str
) -> None:
    empty.identities.generate("known")
    for number in range(others):
        mark = Fingerprint(bytes([number]) * 56)
        empty.contacts.add("known", "bob", mark, Trust.COMPARED, "a test")
    empty.contacts.add("known", "bob", Fingerprint.parse("1" * 40), Trust.NONE, "a test")
    done = export_keys(empty, folder, "irssi")
    assert f"Left out: {said} contacts for OTR version 4, which these files cannot hold." in done.lines
    assert done.data["left_out"] == others
    assert any(line.endswith(", 1 key of contacts") for line in done.lines)
    assert lines((folder / "otr.fp").read_bytes()) == [b"bob\tknown\tIRC\t" + b"1" * 40 + b"\t"]
    done = export_keys(empty, folder / "all", "irssi", networks=("known",))
    libotr = RealLibotr()
    assert libotr.read_keys(folder / "all" / "otr.key")
    assert libotr.fingerprint("known", "IRC") == mark_of(empty, "known")


def test_nothing_is_said_of_what_is_not_there(store: Store, folder: Path) -> None:
    done = export_keys(store, folder, "irssi")
    assert done.data["left_out"] == 0
    assert "Left out" not in "\n".join(done.lines)


def test_sealed_keys(tmp_path: Path, store: Store, folder: Path) -> None:
    mark = mark_of(store, "oftc")
    store.identities.seal("open sesame")
    with Store(store.folder) as locked:
        assert "locked by a passphrase" in refused(locked, folder, "irssi", StoreError)
    with Store(store.folder, lambda: "open sesame") as opened:
        export_keys(opened, folder, "irssi")
    libotr = RealLibotr()
    assert libotr.read_keys(folder / "otr.key")
    assert libotr.fingerprint("OFTC", "IRC") == mark


# ---- files


@pytest.mark.parametrize("program", WRITTEN_FOR)
def test_only_their_owner_can_read_them(store: Store, tmp_path: Path, program: str) -> None:
    old = os.umask(0)
    try:
        export_keys(store, tmp_path / "not" / "there" / "yet", program, nick="alice")
    finally:
        os.umask(old)
    folder = tmp_path / "not" / "there" / "yet"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == dict.fromkeys(
        PROGRAMS[program].files.names, 0o600
    )


@pytest.mark.parametrize("name", ["otr.key", "otr.fp", "otr.instag"])
def test_what_is_there_is_overwritten_only_if_told(store: Store, folder: Path, name: str) -> None:
    folder.mkdir(mode=0o755)
    (folder / name).write_text("precious")
    (folder / name).chmod(0o644)
    (folder / "other").write_text("mine")
    said = refused(store, folder, "irssi", StoreError)
    assert f"{folder} has {name} already" in said
    export_keys(store, folder, "irssi", replace=True)
    assert set(content(folder)) == {"otr.key", "otr.fp", "otr.instag", "other"}
    assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    assert (folder / "other").read_text() == "mine"
    assert RealLibotr().read_keys(folder / "otr.key")


IN_THE_WAY: dict[str, Callable[[Path], object]] = {
    "a folder": Path.mkdir,
    "a pipe": os.mkfifo,
    "a link": lambda path: path.symlink_to("elsewhere"),
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
}


@pytest.mark.parametrize("name", IN_THE_WAY)
def test_what_is_no_file_stays(store: Store, folder: Path, name: str) -> None:
    folder.mkdir()
    (folder / "elsewhere").write_text("precious")
    IN_THE_WAY[name](folder / "otr.instag")
    assert "already" in refused(store, folder, "irssi", StoreError)
    assert "not an ordinary file" in refused(store, folder, "irssi", StoreError, replace=True)
    assert (folder / "elsewhere").read_text() == "precious"


def test_a_file_in_place_of_the_folder(store: Store, folder: Path) -> None:
    folder.write_text("mine")
    assert "file exists" in refused(store, folder, "irssi", StoreError)
    assert "not a directory" in refused(store, folder / "below", "irssi", StoreError)
    assert folder.read_text() == "mine"


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs").chmod(0o555)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine").chmod(0o777)

    def try_it() -> None:
        with Store(Path("mine/data")) as store:
            store.identities.generate("oftc")
            export_keys(store, Path("theirs"), "irssi")

    assert "permission denied" in sentence(as_nobody(tmp_path, try_it))
    assert content(tmp_path / "theirs") == {}


def test_a_disk_that_is_full(store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three files, what was written of the first two goes again with the third."""
    export_keys(store, folder, "irssi", networks=("oftc",))
    synced = []

    def fsync(descriptor: int) -> None:
        synced.append(descriptor)
        if len(synced) == 3:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    said = refused(store, folder, "irssi", StoreError, replace=True)
    assert "no space left on device" in said
    assert len(synced) == 3


def test_no_secret_is_told(store: Store, folder: Path) -> None:
    done = export_keys(store, folder, "irssi")
    told = f"{done!r}"
    for text in (folder / "otr.key").read_text().split("(x #")[1:]:
        assert text.partition("#")[0][2:20] not in told
    assert json.loads(json.dumps(done.data)) == done.data
