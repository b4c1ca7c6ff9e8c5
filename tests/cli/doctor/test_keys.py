"""Keys of other programs are found, and the command that is told takes them over."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from otrcore.cli.doctor import keys
from otrcore.cli.doctor.findings import Finding, Level
from otrcore.crypto.dsa import DsaPrivateKey
from otrcore.identity import Identity
from otrcore.model import Trust
from otrcore.store.database import FILE_NAME
from otrcore.store.formats import libotr
from otrcore.store.formats.values import FoundContact, FoundKey
from otrcore.store.store import Store
from tests.cli.doctor.reports import about, command, examined
from tests.clients.drivers.irssi import NETWORK, Irssi
from tests.clients.drivers.ngircd import Ngircd
from tests.clients.drivers.programs import run, surroundings


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder of its own, the same that programs get which are run in `tmp_path`."""
    path = Path(surroundings(tmp_path)["HOME"])
    monkeypatch.setenv("HOME", str(path))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "WEECHAT_HOME", "PURPLEHOME"):
        monkeypatch.delenv(name, raising=False)
    return path


@pytest.fixture(scope="module")
def key() -> DsaPrivateKey:
    return DsaPrivateKey.generate()


def put(folder: Path, name: str, content: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


def key_file(key: DsaPrivateKey, protocol: str = "IRC", account: str = NETWORK) -> bytes:
    return libotr.write_keys([FoundKey(account, protocol, key)])


def examine(chosen: Path | None = None) -> list[Finding]:
    return list(keys.check(chosen))


PLACES = [
    ("irssi", ".irssi/otr", "otr.key"),
    ("irssi", "snap/irssi/common/.irssi/otr", "otr.key"),
    ("hexchat", ".config/hexchat/otr", "otr.key"),
    ("hexchat", ".config/zoitechat/otr", "otr.key"),
    ("hexchat", ".var/app/io.github.Hexchat/config/hexchat/otr", "otr.key"),
    ("hexchat", ".var/app/net.zoite.Zoitechat/config/zoitechat/otr", "otr.key"),
    ("pidgin", ".purple", "otr.private_key"),
    ("pidgin", ".var/app/im.pidgin.Pidgin/.purple", "otr.private_key"),
]


@pytest.mark.parametrize(("program", "where", "name"), PLACES)
def test_the_command_names_the_program_and_the_folder(
    home: Path, key: DsaPrivateKey, program: str, where: str, name: str
) -> None:
    put(home / where, name, key_file(key))
    (finding,) = examine()
    assert finding.level is Level.NOTE
    assert finding.what.endswith(": 1 of your own, 0 of others")
    assert command(finding) == ["otr", "keys", "import", "--from", program, str(home / where)]


@pytest.mark.parametrize("where", [".weechat/otr", ".local/share/weechat/otr"])
def test_keys_of_weechat_otr(home: Path, where: str) -> None:
    contact = f"bob@net\tme@net\tirc\t{'ab' * 20}\tverified\n"
    put(home / where, "me@net.fpr", contact.encode())
    (finding,) = examine()
    assert finding.what.endswith(": 0 of your own, 1 of others")
    assert command(finding) == ["otr", "keys", "import", "--from", "weechat", str(home / where)]


def test_keys_made_by_a_real_irssi_are_taken_over(home: Path, tmp_path: Path) -> None:
    with Ngircd(tmp_path / "ngircd") as server, Irssi("bob", home / ".irssi", server.port):
        pass
    data = tmp_path / "data  folder"
    told = about(examined(tmp_path, "--data-dir", str(data)).findings, "irssi has OTR keys")
    assert told.mend is not None
    words = shlex.split(told.mend.removeprefix("Run  ").removesuffix("  to use them here too."))
    assert words == [
        *("otr", "keys", "--data-dir", str(data)),
        *("import", "--from", "irssi", str(home / ".irssi/otr")),
    ]
    done = run(tmp_path, *words)
    assert done.returncode == 0, done
    told = about(examined(tmp_path, "--data-dir", str(data)).findings, "irssi has OTR keys")
    assert told.level is Level.OK
    assert told.what.endswith("all of them are here too")


def test_keys_that_are_here_already_need_no_command(home: Path, key: DsaPrivateKey) -> None:
    put(home / ".irssi/otr", "otr.key", key_file(key))
    with Store() as store:
        store.identities.put("elsewhere", key)
    (finding,) = examine()
    assert finding.level is Level.OK
    contact = FoundContact("bob", NETWORK, "IRC", Identity(DsaPrivateKey.generate()).fingerprint, Trust.NONE)
    put(home / ".irssi/otr", "otr.fp", libotr.write_fingerprints([contact], "manual"))
    (finding,) = examine()
    assert finding.level is Level.NOTE
    with Store() as store:
        store.contacts.add("elsewhere", "bob", contact.fingerprint, Trust.NONE, "a test")
    (finding,) = examine()
    assert finding.level is Level.OK


def test_keys_for_other_things_than_irc_are_none(home: Path, key: DsaPrivateKey) -> None:
    put(home / ".purple", "otr.private_key", key_file(key, "prpl-jabber", "me@example.org"))
    assert examine() == []


def test_no_programs_and_no_keys(home: Path) -> None:
    (home / ".irssi/otr").mkdir(parents=True)
    put(home / ".irssi", "config", b"")
    assert examine() == []
    assert not (home / ".local").exists()


def test_a_folder_is_told_once(home: Path, key: DsaPrivateKey) -> None:
    put(home / ".config/hexchat/otr", "otr.key", key_file(key))
    (home / ".config/zoitechat").symlink_to("hexchat")
    assert len(examine()) == 1


def cut_off(path: Path, whole: bytes) -> None:
    path.write_bytes(whole[: len(whole) // 2])


def empty(path: Path, _: bytes) -> None:
    path.touch()


def huge(path: Path, _: bytes) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


def endless(path: Path, _: bytes) -> None:
    path.symlink_to("/dev/zero")


def pipe(path: Path, _: bytes) -> None:
    os.mkfifo(path)


def loop(path: Path, _: bytes) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (cut_off, "which cannot be used here: otr.key, line "),
        (empty, "which cannot be used here: otr.key: "),
        (huge, "more than can be looked through here"),
        (endless, "which cannot be read: not an ordinary file"),
        (pipe, "which cannot be read: not an ordinary file"),
        (loop, "which cannot be read: too many levels of symbolic links"),
    ],
)
def test_files_that_are_none(
    home: Path, key: DsaPrivateKey, spoil: Callable[[Path, bytes], None], words: str
) -> None:
    folder = home / ".irssi/otr"
    folder.mkdir(parents=True)
    spoil(folder / "otr.key", key_file(key))
    began = time.monotonic()
    (finding,) = examine()
    assert time.monotonic() - began < 1
    assert finding.level is Level.NOTE
    assert words in finding.what


def test_very_many_files(home: Path) -> None:
    folder = home / ".weechat/otr"
    folder.mkdir(parents=True)
    for number in range(300):
        (folder / f"me@net{number}.key3").touch()
    (finding,) = examine()
    assert "more than can be looked through" in finding.what
    assert command(finding)[-1] == str(folder)


@pytest.mark.parametrize("spoil", [cut_off, empty, endless, pipe, loop, huge])
def test_a_store_that_cannot_be_read_knows_no_keys(
    home: Path, key: DsaPrivateKey, spoil: Callable[[Path, bytes], None]
) -> None:
    put(home / ".irssi/otr", "otr.key", key_file(key))
    chosen = home / "data"
    chosen.mkdir(mode=0o700)
    spoil(chosen / FILE_NAME, b"no database at all")
    (finding,) = examine(chosen)
    assert finding.level is Level.NOTE
