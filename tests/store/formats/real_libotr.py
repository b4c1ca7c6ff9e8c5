"""libotr and libgcrypt themselves, called in this process: they read and write files in place of ours."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from tests.support import IN_CI

_VERSION = (4, 1, 1)
_CANONICAL = 1  # GCRYSEXP_FMT_CANON


def _library(name: str) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(name)
    except OSError:
        if IN_CI:
            pytest.fail(f"{name} is not installed: `make test` installs it", pytrace=False)
        pytest.skip(f"needs {name}, which is not installed: `make test` installs it")


class RealLibotr:
    """What a program with libotr would have in its memory, and write to its files."""

    def __init__(self) -> None:
        self._otr = _library("libotr.so.5")
        self._otr.otrl_init(*_VERSION)
        self._otr.otrl_userstate_create.restype = ctypes.c_void_p
        self._state = ctypes.c_void_p(self._otr.otrl_userstate_create())

    def read_keys(self, path: Path) -> bool:
        """Read private keys; whether libotr was content."""
        return int(self._otr.otrl_privkey_read(self._state, str(path).encode())) == 0

    def fingerprint(self, account: str, protocol: str) -> str:
        """Return the fingerprint of the key that libotr finds for an account; empty if it finds none."""
        digest = ctypes.create_string_buffer(20)
        self._otr.otrl_privkey_fingerprint_raw.restype = ctypes.c_void_p
        found = self._otr.otrl_privkey_fingerprint_raw(
            self._state, digest, account.encode(), protocol.encode()
        )
        return digest.raw.hex() if found else ""

    def rewrite_fingerprints(self, path: Path) -> bytes:
        """Read a table of fingerprints, and return what libotr writes of it."""
        self._otr.otrl_privkey_read_fingerprints(self._state, str(path).encode(), None, None)
        self._otr.otrl_privkey_write_fingerprints(self._state, str(path).encode())
        return path.read_bytes()

    def rewrite_tags(self, path: Path) -> bytes:
        """Read a table of instance tags, and return what libotr writes of it."""
        self._otr.otrl_instag_read(self._state, str(path).encode())
        self._otr.otrl_instag_write(self._state, str(path).encode())
        return path.read_bytes()


class RealLibgcrypt:
    """The reader and writer of S-expressions that libotr uses."""

    def __init__(self) -> None:
        self._gcrypt = _library("libgcrypt.so.20")
        self._gcrypt.gcry_check_version(None)
        self._gcrypt.gcry_sexp_sprint.restype = ctypes.c_size_t

    def canonical(self, data: bytes) -> bytes | None:
        """Read an S-expression, and return it in the canonical format; None if it is refused."""
        return self._sprint(data, _CANONICAL)

    def advanced(self, data: bytes) -> bytes | None:
        """The same, in the format that libotr writes."""
        return self._sprint(data, 3)

    def _sprint(self, data: bytes, form: int) -> bytes | None:
        expression = ctypes.c_void_p()
        if self._gcrypt.gcry_sexp_sscan(ctypes.byref(expression), None, data, ctypes.c_size_t(len(data))):
            return None
        try:
            size = self._gcrypt.gcry_sexp_sprint(expression, form, None, ctypes.c_size_t(0))
            text = ctypes.create_string_buffer(size or 1)
            length = self._gcrypt.gcry_sexp_sprint(expression, form, text, ctypes.c_size_t(size))
            return text.raw[:length]
        finally:
            self._gcrypt.gcry_sexp_release(expression)
