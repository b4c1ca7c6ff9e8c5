"""The data folder is the user's alone from its first moment, or is refused with a sentence."""

from __future__ import annotations

import os
import shlex
import sqlite3
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from otrcore.errors import StoreError, StoreUnavailable
from otrcore.store.database import FILE_NAME, Database
from otrcore.store.folder import default_folder, private_file, private_folder
from otrcore.store.identities import Identities
from otrcore.store.tags import LOCKS_FOLDER, InstanceTags
from tests.store.processes import INTO_IDENTITY, NOBODY, as_nobody
from tests.store.sentences import sentence

UMASKS = [0, 0o022, 0o077]


@pytest.fixture(params=UMASKS, ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.fixture
def no_late_mending(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rights that are right only after a chmod were wrong before it."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("rights are to be right from the first moment")

    for name in ("chmod", "fchmod", "lchmod"):
        monkeypatch.setattr(os, name, refuse, raising=False)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def give_away(*paths: Path) -> None:
    """Make these nobody's, as far as we can: rights keep nothing from root."""
    if os.geteuid() == 0:
        for path in paths:
            os.chown(path, NOBODY, NOBODY)


def check_all(folder: Path) -> set[str]:
    """Check the rights of everything in a data folder; returns the names of what is there."""
    assert mode(folder) == 0o700
    for path in folder.rglob("*"):
        assert mode(path) == (0o700 if path.is_dir() else 0o600), path
        assert path.lstat().st_uid == os.geteuid()
    return {path.name for path in folder.iterdir()}


@pytest.mark.usefixtures("no_late_mending")
def test_all_that_is_made_is_private(umask: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "data"
    seen: list[set[str]] = []
    connect = sqlite3.connect

    def look_and_connect(*arguments: Any, **options: Any) -> Any:
        seen.append(check_all(folder))
        return connect(*arguments, **options)

    monkeypatch.setattr(sqlite3, "connect", look_and_connect)
    database = Database(folder)
    assert seen == [{FILE_NAME}], "the file is there, and private, before SQLite opens it"
    tags = InstanceTags(database)
    tags.claim("net")
    with database.transaction() as connection:
        connection.execute(f"{INTO_IDENTITY} ('x', x'', x'00', '')")
        assert f"{FILE_NAME}-journal" in check_all(folder), "SQLite's own file has the same rights"
    assert check_all(folder) == {FILE_NAME, LOCKS_FOLDER}
    tags.close()
    database.close()
    check_all(folder)


def test_folders_above_are_made_too(umask: int, tmp_path: Path) -> None:
    folder = tmp_path / "local" / "share" / "otrcore"
    private_folder(folder)
    assert mode(folder) == 0o700
    for above in (folder.parent, folder.parent.parent):
        assert not mode(above) & 0o022, "whoever writes here can put another data folder in place"


def test_an_existing_private_folder_is_used_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    assert private_folder(folder) == folder
    (folder / "x").write_text("kept")
    os.chmod(folder / "x", 0o600)
    assert private_file(folder / "x").read_text() == "kept"


@pytest.mark.parametrize("rights", [0o755, 0o750, 0o705, 0o701, 0o777, 0o710])
def test_a_folder_that_others_can_use_is_refused(tmp_path: Path, rights: int) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(rights)
    with pytest.raises(StoreError) as caught:
        Database(folder)
    assert "can be read by others" in sentence(caught.value)
    assert str(folder) in str(caught.value)
    assert list(folder.iterdir()) == [], "nothing was put into it"


@pytest.mark.parametrize("rights", [0o644, 0o640, 0o604, 0o606, 0o622])
@pytest.mark.parametrize("size", [0, 100])
def test_a_file_that_others_can_use_is_refused(tmp_path: Path, rights: int, size: int) -> None:
    folder = private_folder(tmp_path / "data")
    (folder / FILE_NAME).write_bytes(b"x" * size)
    (folder / FILE_NAME).chmod(rights)
    with pytest.raises(StoreError) as caught:
        Database(folder)
    assert "can be read by others" in sentence(caught.value)
    assert FILE_NAME in str(caught.value)


def test_the_named_command_mends_it(tmp_path: Path) -> None:
    folder = private_folder(tmp_path / "data with 'quotes' in it")
    Database(folder).close()
    (folder / FILE_NAME).chmod(0o644)
    with pytest.raises(StoreError) as caught:
        Database(folder)
    command = shlex.split(sentence(caught.value).partition("run  ")[2].partition("  and")[0])
    # Nothing else that might stand there is run, least of all in a shell.
    assert command == ["chmod", "go=", str(folder / FILE_NAME)]
    subprocess.run(command, check=True)
    Database(folder).close()


def test_folders_of_tags_are_private_or_refused(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    tags = InstanceTags(Database(folder))
    (folder / LOCKS_FOLDER).mkdir(mode=0o700)
    (folder / LOCKS_FOLDER).chmod(0o755)
    with pytest.raises(StoreError) as caught:
        tags.claim("net")
    assert "can be read by others" in sentence(caught.value)


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        folder = tmp_path / "data"
        folder.mkdir(mode=0o700)
        os.chown(folder, NOBODY, NOBODY)
    else:
        folder = Path("/usr")  # root's, on every system
    with pytest.raises(StoreError) as caught:
        Database(folder)
    assert "another user" in sentence(caught.value)
    assert str(folder) in str(caught.value)


def test_a_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    folder = private_folder(tmp_path / "data")
    Database(folder).close()
    os.chown(folder / FILE_NAME, NOBODY, NOBODY)
    with pytest.raises(StoreError) as caught:
        Database(folder)
    assert "another user" in sentence(caught.value)


def test_what_is_not_a_folder_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_text("mine")
    with pytest.raises(StoreError) as caught:
        Database(path)
    assert "not a folder" in sentence(caught.value)
    assert path.read_text() == "mine"


def test_a_folder_inside_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StoreError) as caught:
        Database(tmp_path / "file" / "data")
    assert str(tmp_path / "file") in sentence(caught.value)


def test_a_name_that_is_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        Database(tmp_path / ("x" * 300))
    assert "cannot be made" in sentence(caught.value)


def test_a_folder_without_the_right_to_write_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    give_away(folder)
    folder.chmod(0o500)
    said = as_nobody(tmp_path, lambda: Database(Path("data")))
    assert "not writable" in sentence(said)
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    above = tmp_path / "above"
    above.mkdir()
    above.chmod(0o555)
    said = as_nobody(above, lambda: Database(Path("data")))
    assert "cannot be made: permission denied" in sentence(said)
    assert list(above.iterdir()) == []


def test_a_file_without_the_right_to_read_is_refused(tmp_path: Path) -> None:
    folder = private_folder(tmp_path / "data")
    Database(folder).close()
    give_away(folder, folder / FILE_NAME)
    (folder / FILE_NAME).chmod(0o000)
    said = as_nobody(tmp_path, lambda: Database(Path("data")))
    assert "not readable" in sentence(said)


@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_can_be_read_only_is_read_and_told(tmp_path: Path, what: str) -> None:
    folder = private_folder(tmp_path / "data")
    database = Database(folder)
    fingerprint = Identities(database).generate("net").fingerprint
    database.close()
    give_away(folder, folder / FILE_NAME)
    if what == "file":
        (folder / FILE_NAME).chmod(0o400)
    else:
        folder.chmod(0o500)

    def read_and_try_to_write() -> None:
        database = Database(Path("data"))
        identities = Identities(database)
        assert identities.for_network("net").fingerprint == fingerprint
        assert database.problem is not None
        first = database.problem
        for _ in range(2):
            with pytest.raises(StoreUnavailable) as caught:
                identities.generate("other")
            assert str(caught.value) == first
        assert identities.for_network("net").fingerprint == fingerprint
        raise caught.value

    said = as_nobody(tmp_path, read_and_try_to_write)
    path = {"file": f"data/{FILE_NAME}", "folder": "data"}[what]
    assert f"{path} is not writable" in sentence(said)


def test_what_can_be_written_again_is_written(tmp_path: Path) -> None:
    folder = private_folder(tmp_path / "data")
    Database(folder).close()
    give_away(folder, folder / FILE_NAME)
    (folder / FILE_NAME).chmod(0o400)

    def mend_while_it_runs() -> None:
        database = Database(Path("data"))
        assert database.problem is not None
        os.chmod("data/" + FILE_NAME, 0o600)
        Identities(database).generate("net")
        assert database.problem is None

    assert as_nobody(tmp_path, mend_while_it_runs) == ""


def test_an_old_file_that_can_be_read_only_is_refused(tmp_path: Path) -> None:
    """It would have to be changed before anything can be read."""
    folder = private_folder(tmp_path / "data")
    private_file(folder / FILE_NAME)
    give_away(folder, folder / FILE_NAME)
    (folder / FILE_NAME).chmod(0o400)
    said = as_nobody(tmp_path, lambda: Database(Path("data")))
    assert "not writable" in sentence(said)


@pytest.mark.parametrize("dangling", [True, False])
def test_a_link_in_place_of_the_file_is_refused(tmp_path: Path, dangling: bool) -> None:
    folder = private_folder(tmp_path / "data")
    elsewhere = tmp_path / "elsewhere"
    if not dangling:
        elsewhere.write_text("precious")
        elsewhere.chmod(0o600)
    (folder / FILE_NAME).symlink_to(elsewhere)
    with pytest.raises(StoreError) as caught:
        Database(folder)
    assert FILE_NAME in sentence(caught.value)
    assert elsewhere.exists() is not dangling
    assert dangling or elsewhere.read_text() == "precious"


@pytest.mark.parametrize("kind", ["folder", "fifo"])
def test_something_else_in_place_of_the_file_is_refused(tmp_path: Path, kind: str) -> None:
    folder = private_folder(tmp_path / "data")
    if kind == "folder":
        (folder / FILE_NAME).mkdir()
    else:
        os.mkfifo(folder / FILE_NAME, 0o600)
    with pytest.raises(StoreError) as caught:
        Database(folder)
    assert FILE_NAME in sentence(caught.value)


def test_the_usual_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    folder = default_folder()
    assert folder.is_relative_to(tmp_path)
    assert folder.name == "otrcore"
    assert not folder.exists(), "asking for it makes nothing"
