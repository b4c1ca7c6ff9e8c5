"""What is found in the files of other programs, and how what is wrong with them is told."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field

from ...crypto.dsa import DsaPrivateKey
from ...errors import StoreError
from ...model import Fingerprint, Trust

MAX_FILE_BYTES = 4 << 20
"""Of any file; a thousand keys, or forty thousand contacts, take less."""

MAX_NAME = 400
"""Bytes of a name of an account, a contact or a protocol: libotr reads lines of 1000 bytes."""

_NOT_IN_NAMES = ("Cc", "Cs", "Zl", "Zp")
"""Control characters, lone surrogates, and separators of lines."""


class FormatError(StoreError):
    """A file that is not what its name says; `line` counts from 1, and is 0 where there are no lines."""

    def __init__(self, line: int, what: str, mend: str, file: str = "") -> None:
        """The text names file, line, `what` is wrong and how to `mend` it, as one sentence."""
        self.line = line
        self.what = what
        self.mend = mend
        self.file = "".join(character if character.isprintable() else "?" for character in file)
        place = [part for part in (self.file, f"line {line}" if line else "") if part]
        super().__init__(": ".join([*([", ".join(place)] if place else []), what, mend]) + ".")

    def within(self, file: str) -> FormatError:
        """Return the same error, said of a file."""
        return FormatError(self.line, self.what, self.mend, file)


@dataclass(frozen=True, slots=True)
class FoundKey:
    """The private key of an account."""

    account: str
    protocol: str
    key: DsaPrivateKey
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class FoundContact:
    """A key of somebody whom an account has talked with, and how far it is trusted."""

    nick: str
    account: str
    protocol: str
    fingerprint: Fingerprint
    trust: Trust
    line: int = field(default=0, compare=False)
    unknown_word: str = field(default="", compare=False)
    """How the file calls a trust that is not known here, and so counts for nothing."""


@dataclass(frozen=True, slots=True)
class FoundTag:
    """The instance tag of an account."""

    account: str
    protocol: str
    tag: int
    line: int = field(default=0, compare=False)


def checked_size(data: bytes) -> bytes:
    """Return the content of a file; FormatError if it is longer than any such file."""
    if len(data) > MAX_FILE_BYTES:
        raise FormatError(
            0, f"it is longer than {MAX_FILE_BYTES >> 20} MiB", "check that it is the file that you mean"
        )
    return data


def checked_name(line: int, what: str, name: bytes) -> str:
    """Return a name as text; FormatError if it is empty, too long, or not fit to be shown on one line."""
    mend = "mend or remove it"
    if not name:
        raise FormatError(line, f"{what} is empty", mend)
    if len(name) > MAX_NAME:
        raise FormatError(line, f"{what} is longer than {MAX_NAME} bytes", mend)
    try:
        text = name.decode()
    except UnicodeDecodeError as error:
        raise FormatError(line, f"{what} is not written in UTF-8", mend) from error
    if any(unicodedata.category(character) in _NOT_IN_NAMES for character in text):
        raise FormatError(line, f"{what} has control characters in it", mend)
    return text
