"""The data folder as the doctor sees it: every trouble that keeps the store from opening, and its mend."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from otrcore.cli.doctor import disk
from otrcore.cli.doctor.findings import Finding, Level, failing
from otrcore.cli.doctor.store import check
from otrcore.errors import StoreError
from otrcore.store.database import FILE_NAME
from otrcore.store.folder import APPLICATION
from otrcore.store.schema import MIGRATIONS
from otrcore.store.store import Store
from otrcore.store.tags import LOCKS_FOLDER
from tests.cli.doctor.reports import about, command, levels, obey
from tests.store.processes import NOBODY, Process
from tests.support import require

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
not_root = pytest.mark.skipif(os.geteuid() == 0, reason="needs a user who is not root")


def rights_bind() -> bool:
    """Whether rights keep us from anything: not so for root as it usually is."""
    with TemporaryDirectory() as folder:
        os.chmod(folder, 0o500)
        return not os.access(folder, os.W_OK)


if_rights_bind = pytest.mark.skipif(
    not rights_bind(), reason="root may read and write whatever the rights are"
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder of its own, without anything in it."""
    path = tmp_path / "home"
    path.mkdir()
    monkeypatch.setenv("HOME", str(path))
    for name in ("XDG_DATA_HOME", "OTR_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    return path


@pytest.fixture
def folder(home: Path) -> Path:
    """The data folder in it, with a key and an instance tag."""
    path = home / ".local" / "share" / APPLICATION
    with Store(path) as store:
        store.identities.generate("testnet")
        store.tags.claim("testnet")
    return path


def examined(chosen: Path | None = None) -> list[Finding]:
    return list(check(chosen))


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path): (path.lstat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in [folder, *folder.rglob("*")]
    }


def opens(folder: Path) -> bool:
    with suppress(StoreError), Store(folder):
        return True
    return False


def mended(problem: Finding, home: Path, chosen: Path | None = None) -> list[Finding]:
    """Do what a problem's mend says, and look again."""
    assert problem.level is Level.PROBLEM
    obey(problem, home)
    return examined(chosen)


def test_all_is_well_and_nothing_is_changed_by_looking(home: Path, folder: Path) -> None:
    before = snapshot(home)
    found = examined()
    assert levels(found) == []
    assert about(found, "data folder: ").what == f"data folder: {folder}"
    assert about(found, "database: whole").what.endswith(f"of version {len(MIGRATIONS)}")
    assert about(found, "keys: 1")
    assert snapshot(home) == before


def test_a_folder_that_is_not_there_yet_is_not_made(home: Path) -> None:
    found = examined()
    assert levels(found) == []
    assert "is made when" in found[0].what
    assert str(home) in found[0].what
    assert list(home.iterdir()) == []


def test_an_empty_folder_has_no_keys_yet(home: Path) -> None:
    chosen = home / "keys"
    chosen.mkdir(mode=0o700)
    assert levels(examined(chosen)) == []
    Store(chosen).close()
    assert about(examined(chosen), "keys: none yet")


@pytest.mark.parametrize("rights", [0o755, 0o750, 0o705, 0o701, 0o777])
def test_a_folder_that_others_can_use(home: Path, folder: Path, rights: int) -> None:
    folder.chmod(rights)
    assert not opens(folder)
    problem = about(examined(), "can be used by others")
    assert levels(mended(problem, home)) == []
    assert opens(folder)


@pytest.mark.parametrize("name", [FILE_NAME, LOCKS_FOLDER])
def test_what_others_can_use_in_the_folder(home: Path, folder: Path, name: str) -> None:
    path = folder / name
    path.chmod(path.stat().st_mode | stat.S_IRGRP)
    problem = about(examined(), f"others can use {name}")
    assert levels(mended(problem, home)) == []


def test_more_files_than_one_would_type(home: Path, folder: Path) -> None:
    with Store(folder) as store:
        for number in range(20):
            store.tags.claim(f"net{number}")
    for path in (folder / LOCKS_FOLDER).iterdir():
        path.chmod(0o644)
    (folder / FILE_NAME).chmod(0o640)
    problem = about(examined(), "and 19 more")
    assert len(problem.what) + len(problem.mend or "") < 500
    assert levels(mended(problem, home)) == []


def test_a_folder_of_another_name_and_use_is_left_alone(home: Path) -> None:
    """Whoever says --data-dir ~/Pictures must not be told to take the rights of that away."""
    chosen = home / "Pictures"
    chosen.mkdir(mode=0o755)
    (chosen / "cat.png").touch()
    problem = about(examined(chosen), "can be used by others")
    assert problem.mend is not None
    assert "chmod" not in problem.mend
    assert "--data-dir" in problem.mend


@pytest.mark.parametrize("name", ["blanks  and 'quotes'", "$(touch x)", "-rf", "bytes\udcff\x1b[31m\nsecond"])
def test_names_that_a_shell_or_terminal_would_act_on(home: Path, name: str) -> None:
    chosen = home / name
    Store(chosen).close()
    chosen.chmod(0o755)
    problem = about(examined(chosen), "can be used by others")
    assert (problem.what + str(problem.mend)).isprintable()
    if name.isprintable() and "  " not in name:
        assert levels(mended(problem, home, chosen)) == []


@only_root
def test_what_belongs_to_another_user(home: Path, folder: Path) -> None:
    os.chown(folder / FILE_NAME, NOBODY, NOBODY)
    problem = about(examined(), "nobody cannot be used")
    assert FILE_NAME in problem.what
    assert "not as root" in str(problem.mend), "root gets at everything: it is not root who should own it"
    os.chown(folder, NOBODY, NOBODY)
    assert about(examined(), f"{folder} belongs to nobody")


@only_root
def test_what_a_sudo_left_behind(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    assert command(about(examined(), f"{folder} belongs to root")) == ["sudo", "chown", "1234", str(folder)]
    files = command(about(examined(), "what belongs to root cannot be used"))
    assert files[:3] == ["sudo", "chown", "1234"]
    assert set(files[3:5]) == {str(folder / FILE_NAME), str(folder / LOCKS_FOLDER)}


@not_root
def test_a_folder_of_root_that_is_none_of_ours() -> None:
    problem = about(examined(Path("/usr")), "belongs to root")
    assert "chown" not in str(problem.mend)


@if_rights_bind
@pytest.mark.parametrize("rights", [0o000, 0o500, 0o600])
def test_a_folder_that_cannot_be_used(home: Path, folder: Path, rights: int) -> None:
    folder.chmod(rights)
    problem = about(examined(), "cannot be read and written")
    assert levels(mended(problem, home)) == []


@if_rights_bind
def test_a_folder_that_cannot_be_reached(home: Path, folder: Path) -> None:
    folder.parent.chmod(0o600)
    problem = about(examined(), "must not be entered")
    assert levels(mended(problem, home)) == []


@if_rights_bind
def test_a_folder_that_cannot_be_made(home: Path) -> None:
    home.chmod(0o500)
    problem = about(examined(), "must not be written")
    assert levels(mended(problem, home)) == []


@if_rights_bind
def test_a_file_that_cannot_be_used(home: Path, folder: Path) -> None:
    (folder / FILE_NAME).chmod(0o400)
    problem = about(examined(), "cannot be read and written")
    assert levels(mended(problem, home)) == []


def loop(path: Path) -> None:
    path.symlink_to(path)


def dangling(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere"))


def file(path: Path) -> None:
    path.write_text("mine")


@pytest.mark.parametrize("make", [loop, dangling, file, os.mkfifo])
def test_something_else_in_place_of_the_folder(home: Path, make: Callable[[Path], None]) -> None:
    path = home / ".local" / "share" / APPLICATION
    path.parent.mkdir(parents=True)
    make(path)
    (path.with_name(f"{path.name}.old")).write_text("kept")
    (problem,) = examined()
    assert levels(mended(problem, home)) == []
    assert path.with_name(f"{path.name}.old").read_text() == "kept", "nothing was overwritten"
    assert os.path.lexists(f"{path}.old2")


@pytest.mark.parametrize("make", [loop, dangling, file])
def test_what_was_named_is_not_put_aside(home: Path, make: Callable[[Path], None]) -> None:
    make(home / "named")
    (problem,) = examined(home / "named")
    assert problem.mend == "Name another data folder with --data-dir FOLDER."


def test_a_file_above_the_folder(home: Path) -> None:
    (home / ".local").write_text("mine")
    (problem,) = examined()
    assert levels(mended(problem, home)) == []


def test_a_name_that_is_too_long(home: Path) -> None:
    (problem,) = examined(home / ("x" * 300))
    assert problem.level is Level.PROBLEM
    assert "file name too long" in problem.what


@pytest.mark.parametrize("make", [loop, dangling, os.mkfifo, Path.mkdir])
@pytest.mark.parametrize("name", [FILE_NAME, LOCKS_FOLDER])
def test_something_else_in_the_folder(
    home: Path, folder: Path, make: Callable[[Path], None], name: str
) -> None:
    if make is Path.mkdir and name == LOCKS_FOLDER:
        return
    path = folder / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    make(path)
    path.chmod(0o700) if make in (os.mkfifo, Path.mkdir) else None
    problem = about(examined(), " is not a")
    assert levels(mended(problem, home)) == []


def test_a_newer_database_is_left_alone(home: Path, folder: Path) -> None:
    with closing(sqlite3.connect(folder / FILE_NAME, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    before = snapshot(folder)
    found = examined()
    assert "newer otrcore" in about(found, "its version is").what
    assert failing(found)
    assert snapshot(folder) == before


def test_an_older_database_is_left_alone(home: Path) -> None:
    chosen = home / "old"
    chosen.mkdir(mode=0o700)
    (chosen / FILE_NAME).touch(0o600)
    with closing(sqlite3.connect(chosen / FILE_NAME)) as connection:
        MIGRATIONS[0](connection)
        connection.execute("PRAGMA user_version = 1")
    before = snapshot(chosen)
    found = examined(chosen)
    assert levels(found) == []
    assert "bring up to date" in about(found, "of version 1").what
    assert snapshot(chosen) == before


JUNK = [b"not a database at all, but text\n" * 40, b"\xff" * 5000, b"SQLite format 3\0" + b"\xff" * 5000]


@pytest.mark.parametrize("content", JUNK, ids=["text", "bytes", "header"])
def test_a_file_that_is_no_database(home: Path, folder: Path, content: bytes) -> None:
    (folder / FILE_NAME).write_bytes(content)
    problem = about(examined(), "is damaged")
    assert levels(mended(problem, home)) == []
    assert (folder.with_name(f"{folder.name}.old") / FILE_NAME).read_bytes() == content


def test_a_damaged_database(home: Path, folder: Path) -> None:
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        rows = [(f"net{number}", "x" * 500) for number in range(100)]
        connection.executemany("INSERT INTO network_policy VALUES (?, ?)", rows)
        connection.commit()
    with (folder / FILE_NAME).open("r+b") as opened:
        opened.seek(-8192, os.SEEK_END)
        opened.write(b"\xff" * 4096)
    problem = about(examined(), "is damaged")
    assert levels(mended(problem, home)) == []


def test_a_damaged_database_beside_other_things(home: Path) -> None:
    chosen = home / "shared"
    chosen.mkdir(mode=0o700)
    (chosen / "thesis").touch()
    (chosen / FILE_NAME).write_bytes(JUNK[0])
    (chosen / FILE_NAME).chmod(0o600)
    problem = about(examined(chosen), "is damaged")
    assert "mv" not in str(problem.mend)


def test_a_damaged_key(home: Path, folder: Path) -> None:
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        connection.execute("UPDATE identity SET dsa_private_key = x'00'")
        connection.commit()
    problem = about(examined(), "key for testnet is damaged")
    assert problem.mend == "Bring back a copy of the data folder."


def test_a_database_that_another_program_writes_to(folder: Path) -> None:
    with Process("lock", folder) as other:
        assert other.said() == "locked"
        found = examined()
        other.kill()
    assert levels(found) == ["note"]
    assert about(found, "being written by another program")


def test_a_change_that_was_cut_off(home: Path, folder: Path) -> None:
    """Of a program that was killed while it wrote, a journal stays behind."""
    with closing(sqlite3.connect(folder / FILE_NAME, isolation_level=None)) as connection:
        connection.execute("PRAGMA cache_size = 1")  # so that pages reach the file before the end
        connection.execute("BEGIN IMMEDIATE")
        for number in range(200):
            connection.execute("INSERT INTO network_policy VALUES (?, ?)", (f"net{number}", "x" * 500))
        copy = home / "copy"
        shutil.copytree(folder, copy)
        connection.execute("ROLLBACK")
    assert (copy / f"{FILE_NAME}-journal").exists()
    before = snapshot(copy)
    assert levels(examined(copy)) == ["note"]
    assert about(examined(copy), "ended in the middle of a change")
    assert snapshot(copy) == before
    Store(copy).close()
    assert levels(examined(copy)) == []


def test_keys_under_a_passphrase(home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store(folder) as store:
        store.identities.seal("secret")
    assert about(examined(), "keys: 1, locked by a passphrase")
    passphrase = home / "passphrase"
    monkeypatch.setenv("OTR_PASSPHRASE_FILE", str(passphrase))
    assert about(examined(), "cannot be opened: no such file").level is Level.PROBLEM
    passphrase.write_text("canary\n")
    passphrase.chmod(0o644)
    found = mended(about(examined(), "can be read by others"), home)
    assert levels(found) == []
    assert "canary" not in str(found)


MOUNTS = r"""
36 35 98:0 / / rw,noatime shared:1 - ext4 /dev/root rw
37 36 0:40 / /home rw,relatime - nfs4 server:/home rw,vers=4.2
38 37 0:41 / /home/me/with\040blank rw - fuse.sshfs me@far:/ rw
39 36 0:42 / /home/me/over rw master:1 propagate_from:2 - btrfs /dev/sdb rw
40 39 0:43 / /home/me/over rw - tmpfs tmpfs rw
broken line
41 36 0:44 / /odd rw -
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/root", "ext4"),
        ("/home", "nfs4"),
        ("/homeless", "ext4"),
        ("/home/me/with blank/keys", "fuse.sshfs"),
        ("/home/me/over/keys", "tmpfs"),
        ("/odd/keys", "ext4"),
    ],
)
def test_the_disk_that_a_folder_is_on(path: str, kind: str) -> None:
    assert disk.kind_in(MOUNTS, Path(path)) == kind


def test_the_kind_of_disk_is_what_the_system_says(tmp_path: Path) -> None:
    said = subprocess.run(
        [require("findmnt"), "-n", "-o", "FSTYPE", "-T", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    if said.returncode != 0:
        pytest.skip("the system itself cannot say what disk this is on")
    table = Path("/proc/self/mountinfo").read_text()
    assert disk.kind_in(table, tmp_path) == said.stdout.strip()


IN_ANOTHER_WORLD = """
import os, subprocess, sys
mount, folder, options, filler = sys.argv[1:5]
done = subprocess.run([mount, "-t", "tmpfs", "-o", options.partition(",remount")[0], "none", folder])
if done.returncode:
    sys.exit(77)
os.mkdir(folder + "/keys", 0o700)
if filler:
    with open(folder + "/filler", "wb") as file:
        file.write(bytes(int(filler)))
if "remount" in options:
    subprocess.run([mount, "-o", "remount,ro", folder], check=True)
from pathlib import Path
from otrcore.cli.doctor.store import check
for finding in check(Path(folder + "/keys")):
    print(finding.level.value, finding.what)
"""


def examined_on(folder: Path, options: str, filler: int = 0) -> str:
    """Look at a data folder on a disk made for it, which nobody else sees."""
    done = subprocess.run(
        [
            *(require("unshare"), "--mount", "--map-root-user", sys.executable, "-c", IN_ANOTHER_WORLD),
            *(require("mount"), str(folder), options, str(filler) if filler else ""),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 77 or done.stderr.startswith("unshare: "):
        pytest.skip("no disk can be mounted here, not even for one process")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_disk_in_memory(tmp_path: Path) -> None:
    assert "note The data folder is in memory only (tmpfs)" in examined_on(tmp_path, "size=200m")


def test_a_disk_with_little_room(tmp_path: Path) -> None:
    assert "note The disk of the data folder has only 9 MB left" in examined_on(tmp_path, "size=10m", 1)


def test_a_full_disk(tmp_path: Path) -> None:
    full = 4 * 1024 * 1024 - 64 * 1024
    assert "problem The disk of the data folder is full" in examined_on(tmp_path, "size=4m", full)


def test_a_disk_without_room_for_another_file(tmp_path: Path) -> None:
    assert "problem The disk of the data folder is full" in examined_on(tmp_path, "size=200m,nr_inodes=2")


def test_a_disk_that_can_only_be_read(tmp_path: Path) -> None:
    problems = [
        line for line in examined_on(tmp_path, "size=200m,remount").splitlines() if line.startswith("problem")
    ]
    assert problems == ["problem The data folder is on a disk that can only be read"]
