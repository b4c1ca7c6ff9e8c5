"""Private keys at rest under a passphrase: AES-256-GCM under a random key, which is wrapped under scrypt.

The random key has a running client pay for one scrypt (about 0.2 s, 64 MiB) however many keys it opens.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from ..crypto.secret import Secret
from ..errors import StoreError, StoreUnavailable, UsageError

COST = 1 << 16
"""scrypt's N."""

MAX_COST = 1 << 20
"""1 GiB: who can write the file must not be able to have us take all memory."""

_BLOCK_SIZE = 8
_PARALLEL = 1
_KEY_BYTES = 32
_SALT_BYTES = 16
_NONCE_BYTES = 12
_WRAPPING = b"otrcore: key of the private keys"


@dataclass(frozen=True, slots=True)
class Seal:
    """What lies in the store: how the key of the private keys is wrapped."""

    salt: bytes
    cost: int
    wrapped_key: bytes = field(repr=False)

    def open(self, passphrase: str) -> Secret:
        """Return the key; StoreError if the passphrase is another."""
        if not (self.cost <= MAX_COST and self.cost & (self.cost - 1) == 0 and self.cost > 1):
            raise StoreError("The seal of the private keys is damaged: bring a copy of the data folder back.")
        try:
            key = unsealed(_derived(passphrase, self.salt, self.cost), self.wrapped_key, _WRAPPING)
        except ValueError as error:
            raise StoreError("That is not the passphrase of the private keys: try again.") from error
        return Secret(key)


def new_seal(passphrase: str) -> tuple[Seal, Secret]:
    """Make a key, and wrap it under a passphrase; return both.  UsageError if that is empty."""
    if not passphrase:
        raise UsageError("An empty passphrase locks nothing: choose another.")
    key = Secret(secrets.token_bytes(_KEY_BYTES))
    salt = secrets.token_bytes(_SALT_BYTES)
    return Seal(salt, COST, sealed(_derived(passphrase, salt, COST), bytes(key), _WRAPPING)), key


def sealed(key: Secret, content: bytes, purpose: bytes) -> bytes:
    """Encrypt; what is opened for another purpose is refused.  Nonce (12 bytes), ciphertext, tag."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(bytes(key)).encrypt(nonce, content, purpose)


def unsealed(key: Secret, content: bytes, purpose: bytes) -> bytes:
    """Decrypt; ValueError if it is damaged, or sealed under another key or for another purpose."""
    nonce, ciphertext = content[:_NONCE_BYTES], content[_NONCE_BYTES:]
    try:
        return AESGCM(bytes(key)).decrypt(nonce, ciphertext, purpose)
    except InvalidTag as error:
        raise ValueError("damaged, or sealed otherwise") from error


def _derived(passphrase: str, salt: bytes, cost: int) -> Secret:
    # What cannot be UTF-8 came as bytes of the terminal, and is taken as it came.
    typed = passphrase.encode(errors="surrogateescape")
    derived = Scrypt(salt=salt, length=_KEY_BYTES, n=cost, r=_BLOCK_SIZE, p=_PARALLEL)
    try:
        return Secret(derived.derive(typed))
    except MemoryError as error:
        raise StoreUnavailable(
            f"There is not enough memory to open the private keys ({128 * _BLOCK_SIZE * cost >> 20} MiB): "
            "free some and try again."
        ) from error
