"""DSA as OTR uses it: 1024-bit keys that sign an integer M modulo q (v3, "Public keys").

Ordinary DSA signs the leftmost bits of a hash.  OTR takes the whole 32-byte
M as a number modulo q; handed over as a 20-byte "hash", that number is what the
library signs, and what libotr verifies.
"""

from __future__ import annotations

from typing import NoReturn

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    Prehashed,
    decode_dss_signature,
    encode_dss_signature,
)

from ..model import DsaPublicKey

KEY_BITS = 1024
SIGNATURE_PART_BYTES = 20
SIGNATURE_BYTES = 2 * SIGNATURE_PART_BYTES
_Q_BITS = 8 * SIGNATURE_PART_BYTES
# SHA-1 names a length of 20 bytes here; nothing is hashed with it.
_AS_HASHED = Prehashed(hashes.SHA1())


class DsaPrivateKey:
    """A long-term signing key."""

    __slots__ = ("_key", "public")

    def __init__(self, key: dsa.DSAPrivateKey) -> None:
        """ValueError if q has other than 160 bits, as signatures have 20 bytes for each half."""
        numbers = key.public_key().public_numbers()
        group = numbers.parameter_numbers
        if group.q.bit_length() != _Q_BITS:
            raise ValueError("OTR needs a DSA key whose q has 160 bits")
        self._key = key
        self.public = DsaPublicKey(group.p, group.q, group.g, numbers.y)

    def __repr__(self) -> str:
        """Tell the kind of key and none of its numbers."""
        return "<DSA private key>"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """TypeError: a key leaves the process by `to_der` only."""
        raise TypeError("private keys are not pickled")

    @classmethod
    def generate(cls) -> DsaPrivateKey:
        """Make a key with parameters of its own; takes 20 to 200 ms."""
        return cls(dsa.generate_private_key(KEY_BITS))

    @classmethod
    def from_der(cls, der: bytes) -> DsaPrivateKey:
        """Read what `to_der` wrote; ValueError if it is damaged or no DSA key."""
        try:
            key = serialization.load_der_private_key(der, password=None)
        except (TypeError, UnsupportedAlgorithm) as error:
            raise ValueError("an encrypted key, or one of another kind") from error
        if not isinstance(key, dsa.DSAPrivateKey):
            raise ValueError("not a DSA key")
        return cls(key)

    def to_der(self) -> bytes:
        """Return the key as unencrypted PKCS #8 in DER."""
        return self._key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def sign(self, m: bytes) -> bytes:
        """Sign the big-endian integer `m`; returns r and s, 20 bytes each, left-padded."""
        r, s = decode_dss_signature(self._key.sign(_reduced(m, self.public.q), _AS_HASHED))
        return r.to_bytes(SIGNATURE_PART_BYTES, "big") + s.to_bytes(SIGNATURE_PART_BYTES, "big")


def verify(key: DsaPublicKey, m: bytes, signature: bytes) -> bool:
    """Whether `signature` (r and s, 20 bytes each) is one of `key` over the integer `m`.

    Also false for keys with sizes or numbers that no honest client makes: q must have
    160 bits, p one of the lengths that the library knows, g and y must lie between 1 and p.
    """
    if len(signature) != SIGNATURE_BYTES or key.q.bit_length() != _Q_BITS:
        return False
    if not (1 < key.g < key.p and 1 < key.y < key.p):
        return False
    r = int.from_bytes(signature[:SIGNATURE_PART_BYTES], "big")
    s = int.from_bytes(signature[SIGNATURE_PART_BYTES:], "big")
    if not (0 < r < key.q and 0 < s < key.q):
        return False
    try:
        numbers = dsa.DSAPublicNumbers(key.y, dsa.DSAParameterNumbers(key.p, key.q, key.g))
        numbers.public_key().verify(encode_dss_signature(r, s), _reduced(m, key.q), _AS_HASHED)
    except (InvalidSignature, ValueError):
        return False
    return True


def _reduced(m: bytes, q: int) -> bytes:
    return (int.from_bytes(m, "big") % q).to_bytes(SIGNATURE_PART_BYTES, "big")
