"""Passwords and passphrases: each in a file of its own, or a credential that systemd hands over."""

from __future__ import annotations

import os
import shlex
import stat
from dataclasses import dataclass
from pathlib import Path

from otrcore.errors import StoreError

DIRECTORY = "CREDENTIALS_DIRECTORY"
"""Names the folder in which systemd puts the credentials of a unit."""

MAX_BYTES = 1024


@dataclass(frozen=True, slots=True)
class SecretFile:
    """Where a secret lies: at a path, or under the name of a credential; one of the two."""

    path: Path | None = None
    credential: str | None = None

    def place(self) -> Path:
        """Return the path; StoreError for a credential where systemd gives none."""
        if self.path is not None:
            return self.path
        folder = os.environ.get(DIRECTORY)
        if not folder:
            raise StoreError(
                f"There is no credential {self.credential}, as systemd has not started this: "
                "use LoadCredential= of a unit, or name a file in its place."
            )
        return Path(folder) / (self.credential or "")

    def read(self) -> str:
        """Return the first line, without its end; bytes that are no UTF-8 are surrogates.  StoreError."""
        return _first_line(self.place(), 0o007 if self.path is None else 0o077)


def credential(name: str) -> SecretFile | None:
    """Return a credential if systemd has given it."""
    folder = os.environ.get(DIRECTORY)
    return SecretFile(credential=name) if folder and (Path(folder) / name).exists() else None


def _first_line(path: Path, others: int) -> str:
    try:
        # Not blocking: a pipe that nobody writes to must not keep us waiting.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        why = (getattr(error, "strerror", None) or type(error).__name__).lower()
        raise StoreError(
            f"The secret in {path} cannot be read: {why}: mend that, or name another file."
        ) from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise StoreError(f"{path} is no ordinary file: name one that holds the secret in its first line.")
        if status.st_uid not in (os.geteuid(), 0):
            raise StoreError(f"{path} belongs to another user: name a file of your own.")
        # systemd lets the service read a credential by an access list, which shows as rights of the group.
        if stat.S_IMODE(status.st_mode) & others:
            mend = f"chmod go= {shlex.quote(str(path))}"
            raise StoreError(f"{path} can be read by others: run  {mend}  and change the secret in it.")
        line = file.read(MAX_BYTES + 2).partition(b"\n")[0].removesuffix(b"\r")
    if not line:
        raise StoreError(f"The first line of {path} is empty: write the secret there.")
    if len(line) > MAX_BYTES:
        raise StoreError(f"The first line of {path} is too long: a secret has at most {MAX_BYTES} bytes.")
    return line.decode(errors="surrogateescape")
