"""Where client and engine meet: private, short enough, and nobody else's."""

from __future__ import annotations

import fcntl
import os
import shlex
import socket
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import platformdirs.macos
import platformdirs.unix
import pytest

from otrcore.client import locks
from otrcore.client.errors import PlaceError
from otrcore.client.place import (
    MAX_SOCKET_PATH,
    UNKNOWN_START,
    Place,
    Process,
    data_folder,
    start_time,
    this_process,
)

NOBODY = 65534
ME = Process(4711, "12345", "99")


@pytest.fixture(autouse=True)
def temporary(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where folders of sockets with a long path are made."""
    path = folder / "tmp"
    path.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(path))
    return path


def long(folder: Path) -> str:
    return str(folder / ("x" * 100))


def modes(place: Place) -> set[int]:
    return {stat.S_IMODE(os.stat(path).st_mode) for path in (place.data, place.run)}


def listen(path: str) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen()
    return listening


# The data folder


@pytest.mark.parametrize(
    "environ",
    [
        {"HOME": "/home/alice"},
        {"HOME": "/home/alice", "XDG_DATA_HOME": "/data"},
        {"HOME": "/home/alice", "XDG_DATA_HOME": ""},
        {"HOME": "/home/alice", "XDG_DATA_HOME": "relative"},
        {"HOME": "/home/alice", "XDG_DATA_HOME": "~/data"},
        {"HOME": "relative"},
        {"HOME": ""},
        {},
    ],
    ids=str,
)
@pytest.mark.parametrize("platform", ["linux", "freebsd14", "darwin"])
def test_the_data_folder_is_that_of_the_engine(
    environ: dict[str, str], platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    system = platformdirs.macos.MacOS if platform == "darwin" else platformdirs.unix.Unix
    expected = system("otrcore", appauthor=False).user_data_dir
    assert data_folder(environ, platform) == expected


def test_folders_are_made_private(folder: Path) -> None:
    before = os.umask(0)
    try:
        place = Place(str(folder / "a" / "b" / "otrcore"), ME)
    finally:
        os.umask(before)
    assert modes(place) == {0o700}
    assert stat.S_IMODE(os.stat(folder / "a").st_mode) == 0o700
    assert os.listdir(place.run) == []
    assert Place(place.data, ME).socket() == place.socket()


@pytest.mark.parametrize("which", ["", "run"])
@pytest.mark.parametrize("rights", [0o755, 0o750, 0o701, 0o777])
def test_folders_that_others_can_use_are_refused(folder: Path, which: str, rights: int) -> None:
    data = folder / "it's data"
    Place(str(data), ME)
    (data / which).chmod(rights)
    with pytest.raises(PlaceError) as caught:
        Place(str(data), ME)
    said = str(caught.value)
    assert "can be used by others" in said
    command = shlex.split(said.partition("run  ")[2].partition("  first")[0])
    assert command == ["chmod", "go=", str(data / which) if which else str(data)]
    subprocess.run(command, check=True)
    assert modes(Place(str(data), ME)) == {0o700}


@pytest.mark.parametrize("which", ["", "run"])
def test_folders_of_somebody_else_are_refused(folder: Path, which: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    data = folder / "data"
    Place(str(data), ME)
    os.chown(data / which, NOBODY, NOBODY)
    with pytest.raises(PlaceError, match="belongs to another user"):
        Place(str(data), ME)


@pytest.mark.parametrize("target", ["private", "missing"])
def test_a_link_in_place_of_the_run_folder_is_refused(folder: Path, target: str) -> None:
    elsewhere = folder / "private"
    elsewhere.mkdir(mode=0o700)
    (folder / "data").mkdir(mode=0o700)
    (folder / "data" / "run").symlink_to(folder / target)
    with pytest.raises(PlaceError, match="not a folder"):
        Place(str(folder / "data"), ME)
    assert list(elsewhere.iterdir()) == []
    assert not (folder / "missing").exists()


def test_a_user_may_link_the_data_folder_elsewhere(folder: Path) -> None:
    (folder / "private").mkdir(mode=0o700)
    (folder / "data").symlink_to(folder / "private")
    assert os.path.isdir(Place(str(folder / "data"), ME).run)
    (folder / "private").chmod(0o755)
    with pytest.raises(PlaceError, match="can be used by others"):
        Place(str(folder / "data"), ME)


@pytest.mark.parametrize("which", ["data", "data/run", "above"])
def test_a_file_in_place_of_a_folder_is_refused(folder: Path, which: str) -> None:
    (folder / "data").mkdir(mode=0o700)
    if which == "data":
        (folder / "data").rmdir()
    (folder / which).write_text("mine")
    wanted = folder / "above" / "data" if which == "above" else folder / "data"
    with pytest.raises(PlaceError) as caught:
        Place(str(wanted), ME)
    assert str(folder) in str(caught.value)
    assert (folder / which).read_text() == "mine"


def test_a_link_to_nowhere_is_refused(folder: Path) -> None:
    (folder / "data").symlink_to(folder / "nowhere")
    with pytest.raises(PlaceError, match="cannot be used: no such file"):
        Place(str(folder / "data"), ME)


# The process


def test_the_start_of_a_process_is_what_the_system_counts() -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    before = float(Path("/proc/uptime").read_text().split()[0]) * ticks
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        after = float(Path("/proc/uptime").read_text().split()[0]) * ticks
        assert before - 2 <= int(start_time(process.pid)) <= after + 2
        process.communicate(b"\n")
    assert start_time(process.pid) == UNKNOWN_START


def test_a_name_with_brackets_and_blanks_confuses_nobody(folder: Path) -> None:
    odd = folder / "a) R 1 2 (b"
    odd.symlink_to("/bin/sleep")
    with subprocess.Popen([odd, "60"]) as odd_process, subprocess.Popen(["/bin/sleep", "60"]) as process:
        try:
            deadline = time.monotonic() + 10
            while b"a) R 1 2 (b" not in Path(f"/proc/{odd_process.pid}/stat").read_bytes():
                assert time.monotonic() < deadline
            assert 0 <= int(start_time(process.pid)) - int(start_time(odd_process.pid)) < 1000
        finally:
            odd_process.kill()
            process.kill()


def test_this_process_has_a_name_of_its_own() -> None:
    mine = this_process()
    assert mine.pid == os.getpid()
    assert mine.start == start_time(os.getpid())
    assert mine.name == f"{mine.pid}-{mine.start}-{os.stat('/proc/self/ns/pid').st_ino}"


def test_another_process_of_the_same_number_has_other_files(folder: Path) -> None:
    places = [
        Place(str(folder / "data"), process)
        for process in (
            ME,
            ME._replace(start="12346"),
            ME._replace(namespace="98"),
            ME._replace(namespace=""),
        )
    ]
    assert len({place.socket() for place in places}) == 4
    assert len({place.lock for place in places}) == 4


# The socket


def test_a_socket_that_nobody_listens_at_is_removed(folder: Path) -> None:
    place = Place(str(folder / "data"), ME)
    path = place.socket()
    assert path is not None
    listen(path).close()
    assert os.path.exists(path)
    assert place.clear() == path
    assert not os.path.exists(path)
    assert place.clear() == path


def test_a_link_in_place_of_the_socket_is_removed_and_not_followed(folder: Path) -> None:
    place = Place(str(folder / "data"), ME)
    (folder / "precious").write_text("mine")
    os.symlink(folder / "precious", str(place.socket()))
    place.clear()
    assert (folder / "precious").read_text() == "mine"
    assert not os.path.lexists(str(place.socket()))


def test_a_path_that_is_too_long_lies_elsewhere(folder: Path, temporary: Path) -> None:
    place = Place(long(folder), ME)
    assert place.socket() is None, "nothing is made before it is needed"
    path = place.clear()
    assert len(os.fsencode(path)) <= MAX_SOCKET_PATH
    assert os.path.dirname(os.path.dirname(path)) == str(temporary)
    assert stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) == 0o700
    (noted,) = (name for name in os.listdir(place.run) if name.endswith(".place"))
    assert stat.S_IMODE(os.stat(os.path.join(place.run, noted)).st_mode) == 0o600
    assert place.socket() == path
    assert Place(long(folder), ME).socket() == path, "whoever comes later finds it"
    listen(path).close()

    another = place.clear()
    assert another != path
    assert [os.path.join(temporary, name) for name in os.listdir(temporary)] == [os.path.dirname(another)]


@pytest.mark.parametrize("length", [-1, 0, 1])
def test_the_limit_is_a_hundred_bytes(folder: Path, length: int) -> None:
    usual = len(f"/run/{ME.name}.sock")
    name = "ü" + "x" * (MAX_SOCKET_PATH - usual - len(os.fsencode(f"{folder}/ü")) + length)
    place = Place(str(folder / name), ME)
    path = place.clear()
    assert (os.path.dirname(path) == place.run) == (length <= 0)
    assert len(os.fsencode(path)) <= MAX_SOCKET_PATH
    listen(path).close()


def test_temporary_files_with_a_long_path_lie_in_tmp(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / ("t" * 90)).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder / ("t" * 90)))
    place = Place(long(folder), ME)
    path = place.clear()
    try:
        assert os.path.dirname(os.path.dirname(path)) == "/tmp"
    finally:
        os.rmdir(os.path.dirname(path))


@pytest.mark.parametrize("doubt", ["rights", "link", "name", "gone", "garbage", "empty", "foreign"])
def test_a_noted_folder_is_used_only_if_it_is_ours(folder: Path, temporary: Path, doubt: str) -> None:
    place = Place(long(folder), ME)
    apart = Path(place.clear()).parent
    (note,) = (Path(place.run, name) for name in os.listdir(place.run) if name.endswith(".place"))
    (apart / "engine.sock").write_text("in doubt")
    if doubt == "rights":
        apart.chmod(0o755)
    elif doubt == "link":
        apart.rename(temporary / "moved")
        apart.symlink_to(temporary / "moved")
    elif doubt == "name":
        (temporary / "other").mkdir(mode=0o700)
        (temporary / "other" / "engine.sock").write_text("in doubt")
        note.write_text(str(temporary / "other"))
    elif doubt == "gone":
        (apart / "engine.sock").unlink()
        apart.rmdir()
    elif doubt in ("garbage", "empty"):
        note.write_bytes(b"\0\xff" if doubt == "garbage" else b"")
    elif os.geteuid() == 0:
        os.chown(apart, NOBODY, NOBODY)
    else:
        pytest.skip("only root can give a folder away")
    kept = set(temporary.rglob("engine.sock"))
    assert place.socket() is None
    path = place.clear()
    assert Path(path).parent not in (apart, temporary / "other")
    assert place.socket() == path
    assert set(temporary.rglob("engine.sock")) == kept, "what is in doubt is left alone"


# What others have left behind


def test_what_is_left_of_other_engines_is_removed(folder: Path, temporary: Path) -> None:
    data = long(folder)
    gone, alive = Place(data, ME._replace(pid=1001)), Place(data, ME._replace(pid=1002))
    apart = {place: os.path.dirname(place.clear()) for place in (gone, alive)}
    listen(str(gone.socket())).close()
    dead = locks.take(gone.lock)
    assert dead is not None
    dead.release()
    lock = locks.take(alive.lock)
    assert lock is not None
    other = Path(gone.run, "notes.lock")
    other.write_text("not ours")
    place = Place(data, ME)
    place.sweep()
    assert not os.path.exists(apart[gone])
    assert os.path.isdir(apart[alive])
    assert sorted(os.listdir(place.run)) == sorted(
        [os.path.basename(alive.lock), os.path.basename(alive.lock)[: -len("lock")] + "place", other.name]
    )
    lock.release()


def test_who_waits_for_a_lock_that_is_swept_gets_another(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock on a file that is not there any more would keep nobody away."""
    place = Place(str(folder / "data"), ME)
    flock = fcntl.flock
    swept: list[bool] = []

    def sweep_first(descriptor: int, operation: int) -> None:
        if not swept:
            swept.append(True)
            Place(place.data, ME._replace(pid=1)).sweep()
            assert not os.path.exists(place.lock)
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", sweep_first)
    lock = locks.take(place.lock)
    assert lock is not None
    assert swept
    assert os.path.samestat(os.fstat(lock.descriptor), os.stat(place.lock))
    assert locks.take(place.lock) is None
    lock.release()
    assert locks.take(place.lock) is not None


def test_a_link_in_place_of_a_lock_is_refused(folder: Path) -> None:
    place = Place(str(folder / "data"), ME)
    os.symlink(folder / "elsewhere", place.lock)
    with pytest.raises(OSError):
        locks.take(place.lock)
    assert not (folder / "elsewhere").exists()
