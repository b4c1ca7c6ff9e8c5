"""Other processes that use the store at the same time, driven over their standard input and output.

Run as a script, this file is such a process: `processes.py COMMAND FOLDER [NETWORK]`.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any

from otrcore.crypto.dsa import DsaPrivateKey
from otrcore.errors import StoreError, StoreUnavailable
from otrcore.memory import STRANGER
from otrcore.model import Fingerprint, Trust
from otrcore.store.contacts import Contacts
from otrcore.store.database import FILE_NAME, Database
from otrcore.store.identities import Identities
from otrcore.store.networks import Networks
from otrcore.store.tags import InstanceTags

NOBODY = 65534

INTO_IDENTITY = "INSERT INTO identity (network, fingerprint, dsa_private_key, created) VALUES"
"""What makes a row as from before version 4."""


class Process:
    """A child that runs one of the commands below."""

    def __init__(self, command: str, folder: Path, network: str = "", *, inside: Sequence[str] = ()) -> None:
        self._process = subprocess.Popen(
            [*inside, sys.executable, __file__, command, str(folder), network],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def said(self) -> str:
        """Wait for its next line."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the child has ended"
        return line.rstrip("\n")

    def go_on(self) -> None:
        """Let it do what it waits with."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def kill(self) -> list[str]:
        """End it by SIGKILL; returns what it said and nobody has read yet."""
        self._process.kill()
        assert self._process.stdout is not None
        rest = self._process.stdout.read().split("\n")
        self._process.wait()
        return rest[:-1]

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()


def in_child(do: Callable[[], object]) -> str | None:
    """Do something in a fork of this process; return what StoreError says, or "", or None for a kill."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(reading)
            try:
                do()
                answer = ""
            except StoreError as error:
                answer = str(error)
            os.write(writing, answer.encode())
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            # Nothing of the test run may be cleaned up twice.
            os._exit(code)
    os.close(writing)
    with open(reading, encoding="utf-8") as answers:
        said = answers.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return None
    assert status == 0, "the child failed otherwise"
    return said


def as_nobody(folder: Path, do: Callable[[], object]) -> str:
    """Do something in `folder` as a user without rights, and return what StoreError says, or "".

    Only root can become nobody; for others it is simply done.  Paths in `do` have to be relative.
    """

    def become_nobody_and_do() -> None:
        os.chdir(folder)
        if os.geteuid() == 0:
            os.chroot(".")  # nobody may not get through the folders above
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        do()

    if os.geteuid() == 0:
        folder.chmod(folder.stat().st_mode | 0o011)
    said = in_child(become_nobody_and_do)
    assert said is not None
    return said


class Mortal(sqlite3.Connection):
    """A connection whose process is killed when it is about to run a certain statement."""

    left = 0

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        Mortal.left -= 1
        if Mortal.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().execute(statement, *values)


def killed_at(number: int, do: Callable[[], object]) -> bool:
    """Do something in a child that is killed at its so manieth statement; whether it came to that."""

    def die() -> None:
        Mortal.left = number
        connect = sqlite3.connect
        sqlite3.connect = partial(connect, factory=Mortal)  # type: ignore[assignment]
        do()

    said = in_child(die)
    assert said in (None, "")
    return said is None


def killed_after(do: Callable[[Callable[[object], object]], object], lines: int, seconds: float) -> list[str]:
    """Do something in a child, and kill it some time after it has said so many lines; return all it said."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            do(lambda line: os.write(writing, f"{line}\n".encode()))
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    os.close(writing)
    with open(reading, encoding="ascii") as said:
        told = [said.readline() for _ in range(lines)]
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
        told += said.readlines()
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the child has ended by itself"
    return told


def _say(text: object) -> None:
    print(text, flush=True)


def _make_key(folder: Path, network: str) -> None:
    """Make, find, or complete the identity; first wait for all others to be as far."""
    identities = Identities(Database(folder))
    _say("ready")
    sys.stdin.readline()
    identity = identities.for_network(network)
    _say(f"{identity.fingerprint} {identity.fingerprint_4}")


def _claim(folder: Path, network: str) -> None:
    tags = InstanceTags(Database(folder))
    _say(tags.claim(network))
    sys.stdin.readline()


def _lock(folder: Path, _network: str) -> None:
    with_lock = sqlite3.connect(folder / FILE_NAME, isolation_level=None)
    with_lock.execute("BEGIN EXCLUSIVE")
    _say("locked")
    sys.stdin.readline()


def _read(folder: Path, _network: str) -> None:
    """Be in the middle of reading, as a backup program would."""
    reader = sqlite3.connect(folder / FILE_NAME, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM identity").fetchall()
    _say("reading")
    sys.stdin.readline()
    reader.execute("COMMIT")
    _say("done")
    sys.stdin.readline()


def _opened(folder: Path) -> Database:
    """Open it in spite of processes that do nothing but write."""
    while True:
        with suppress(StoreUnavailable):
            return Database(folder)


def _insist(change: Callable[[], object]) -> None:
    """Make a change in spite of them."""
    while True:
        with suppress(StoreUnavailable):
            change()
            return


def _write(folder: Path, network: str) -> None:
    """Keep one identity after the other, and tell of each once it is kept."""
    identities = Identities(_opened(folder))
    key = DsaPrivateKey.generate()
    _insist(lambda: identities.for_network("first"))
    DsaPrivateKey.generate = lambda: key  # type: ignore[method-assign]  # the time is to go into writing
    for number in count():
        _insist(partial(identities.for_network, f"{network}-{number}"))
        _say(f"{network}-{number}")


def _learn(folder: Path, name: str) -> None:
    """Learn of one contact after the other, and of one that others learn of too."""
    contacts = Contacts(_opened(folder))
    for number in count():
        own = STRANGER.met(Fingerprint((number + 1).to_bytes(20, "big")), 3)
        own = own.judging(own.keys[-1].fingerprint, Trust.COMPARED)
        shared = STRANGER.met(Fingerprint(ord(name).to_bytes(20, "big")), 3)
        for nick, memory in ((f"{name}{number}", own), ("bob", shared)):
            _insist(partial(contacts.learn, "libera.chat", nick, STRANGER, memory))
        _say(number)


def _place(folder: Path, host: str) -> None:
    networks = Networks(Database(folder))
    _say("ready")
    sys.stdin.readline()
    _say(networks.place("net", host).name)


def _put(folder: Path, network: str) -> None:
    """Keep one identity, and tell whether that was possible."""
    try:
        Identities(Database(folder)).for_network(network)
        _say("kept")
    except StoreError as error:
        _say(error)


def _half_write(folder: Path, _network: str) -> None:
    """Stand in the middle of a change that has reached the file already."""
    database = Database(folder)
    with database.transaction() as connection:
        connection.execute("PRAGMA cache_size = 2")
        connection.execute("UPDATE identity SET dsa_private_key = zeroblob(2000)")
        for number in range(200):
            row = (f"half-{number}", b"x" * 2000)
            connection.execute(f"{INTO_IDENTITY} (?, x'', ?, '')", row)
        _say("half")
        sys.stdin.readline()


def _open(folder: Path, _network: str) -> None:
    _say("ready")
    sys.stdin.readline()
    Database(folder).close()
    _say("opened")


def _scarce(folder: Path, change: str) -> None:
    """Meet a disk of our own, which is full, or which nobody may write to any more."""
    folder.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k,mode=0700", "none", str(folder)], check=True)
    database = Database(folder)
    identities = Identities(database)
    fingerprint = identities.generate("net").fingerprint
    if change == "full":
        with (folder / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
            while True:
                ballast.write(bytes(4096))
    else:
        database.close()
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        database = Database(folder)
        assert database.problem is not None
        identities = Identities(database)
    for _ in range(2):
        try:
            identities.generate("other")
        except StoreUnavailable as error:
            assert str(error) == database.problem
            _say(error)
    assert identities.find("other") is None
    beside = Database(folder)
    found = Identities(beside).for_network("net")
    assert found.fingerprint == fingerprint
    beside.close()
    if change == "full":
        (folder / "ballast").unlink()
    else:
        subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)
    identities.generate("other")
    assert database.problem is None
    assert database.rows("PRAGMA integrity_check") == [("ok",)]
    _say("saved again")


if __name__ == "__main__":
    commands = {
        "make-key": _make_key,
        "claim": _claim,
        "lock": _lock,
        "read": _read,
        "write": _write,
        "half-write": _half_write,
        "scarce": _scarce,
        "open": _open,
        "put": _put,
        "place": _place,
        "learn": _learn,
    }
    commands[sys.argv[1]](Path(sys.argv[2]), sys.argv[3])
