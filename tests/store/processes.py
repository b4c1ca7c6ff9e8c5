"""Other processes that use the store at the same time, driven over their standard input and output.

Run as a script, this file is such a process: `processes.py COMMAND FOLDER [NETWORK]`.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import TracebackType

from otrcore.crypto.dsa import DsaPrivateKey
from otrcore.errors import StoreError
from otrcore.store.database import FILE_NAME, Database
from otrcore.store.identities import Identities

NOBODY = 65534


class Process:
    """A child that runs one of the commands below."""

    def __init__(self, command: str, folder: Path, network: str = "") -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, command, str(folder), network],
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


def as_nobody(folder: Path, do: Callable[[], object]) -> str:
    """Do something in `folder` as a user without rights, and return what StoreError says, or "".

    Only root can become nobody; for others it is simply done.  Paths in `do` have to be relative:
    nobody may not get through the folders above.
    """
    if os.geteuid() == 0:
        folder.chmod(folder.stat().st_mode | 0o011)  # relative paths need this much
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.chdir(folder)
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            try:
                do()
                answer = ""
            except StoreError as error:
                answer = str(error)
            os.write(writing, answer.encode())
            code = 0
        finally:
            # Nothing of the test run may be cleaned up twice.
            os._exit(code)
    os.close(writing)
    with open(reading, encoding="utf-8") as answers:
        said = answers.read()
    _, status = os.waitpid(child, 0)
    assert status == 0, "the child failed otherwise"
    return said


def _say(text: object) -> None:
    print(text, flush=True)


def _make_key(folder: Path, network: str) -> None:
    """Make, or find, the identity; first wait for all others to be as far."""
    identities = Identities(Database(folder))
    _say("ready")
    sys.stdin.readline()
    _say(identities.for_network(network).fingerprint)


def _claim(folder: Path, network: str) -> None:
    identities = Identities(Database(folder))
    _say(identities.claim_instance_tag(network))
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


def _write(folder: Path, network: str) -> None:
    """Keep one identity after the other, and tell of each once it is kept."""
    identities = Identities(Database(folder))
    key = identities.for_network("first").dsa
    DsaPrivateKey.generate = lambda: key  # type: ignore[method-assign]  # the time is to go into writing
    for number in count():
        identities.for_network(f"{network}-{number}")
        _say(f"{network}-{number}")


def _half_write(folder: Path, _network: str) -> None:
    """Stand in the middle of a change that has reached the file already."""
    database = Database(folder)
    with database.transaction() as connection:
        connection.execute("PRAGMA cache_size = 2")
        connection.execute("UPDATE identity SET dsa_private_key = zeroblob(2000)")
        for number in range(200):
            row = (f"half-{number}", b"x" * 2000, "")
            connection.execute("INSERT INTO identity VALUES (?, ?, ?)", row)
        _say("half")
        sys.stdin.readline()


if __name__ == "__main__":
    commands = {
        "make-key": _make_key,
        "claim": _claim,
        "lock": _lock,
        "read": _read,
        "write": _write,
        "half-write": _half_write,
    }
    commands[sys.argv[1]](Path(sys.argv[2]), sys.argv[3])
