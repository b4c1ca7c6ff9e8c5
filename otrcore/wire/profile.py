"""The client profile of version 4 as a value (v4, "Client Profile"); what it claims is verified elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import MalformedMessage
from . import codec
from .codec import POINT_BYTES, Reader
from .keys import read_public_key, serialise_public_key

SIGNATURE_BYTES = 114
"""Of an EdDSA signature with Ed448."""

TRANSITIONAL_SIGNATURE_BYTES = 40
"""Of a DSA signature: r and s."""

MAX_VERSIONS = 16
"""Characters of the versions; more have never been defined."""

_OWNER_TAG, _PUBLIC_KEY, _FORGING_KEY, _VERSIONS, _EXPIRES, _DSA_KEY, _TRANSITIONAL_SIGNATURE = range(1, 8)
_REQUIRED = 5
_OPTIONAL = 2

# The only numbers of the protocol that are little-endian.
_ED448 = bytes.fromhex("1000")
_ED448_FORGING = bytes.fromhex("1200")


@dataclass(frozen=True, slots=True)
class ClientProfile:
    """What an instance says of itself; points as their 57 bytes, `expires` in seconds since 1970.

    `dsa_key` is a whole PUBKEY of version 3.  Fields stand in the order of their types,
    each at most once, so that parse and serialise are inverse, byte for byte.
    """

    owner_tag: int
    public_key: bytes
    forging_key: bytes
    versions: str
    expires: int
    dsa_key: bytes | None
    transitional_signature: bytes | None
    signature: bytes

    def serialise(self) -> bytes:
        """Return the profile's bytes."""
        optional = (self.dsa_key, self.transitional_signature)
        count = _REQUIRED + sum(value is not None for value in optional)
        return codec.integer(count) + self.signed() + self.signature

    def signed(self) -> bytes:
        """Return what the EdDSA signature covers: all fields with their types, without their number."""
        fields = [
            (_OWNER_TAG, codec.integer(self.owner_tag)),
            (_PUBLIC_KEY, _ED448 + self.public_key),
            (_FORGING_KEY, _ED448_FORGING + self.forging_key),
            (_VERSIONS, codec.data(self.versions.encode("ascii"))),
            (_EXPIRES, codec.int64(self.expires)),
        ]
        if self.dsa_key is not None:
            fields.append((_DSA_KEY, self.dsa_key))
        if self.transitional_signature is not None:
            fields.append((_TRANSITIONAL_SIGNATURE, self.transitional_signature))
        return b"".join(codec.short(kind) + value for kind, value in fields)

    @classmethod
    def read(cls, reader: Reader) -> ClientProfile:
        """Take a profile; MalformedMessage for one with a field missing, unknown, twice or out of order."""
        optional = reader.integer() - _REQUIRED
        if not 0 <= optional <= _OPTIONAL:
            raise MalformedMessage("a client profile with too few or too many fields")
        _expect(reader, _OWNER_TAG)
        owner_tag = reader.integer()
        _expect(reader, _PUBLIC_KEY)
        public_key = _read_point(reader, _ED448)
        _expect(reader, _FORGING_KEY)
        forging_key = _read_point(reader, _ED448_FORGING)
        _expect(reader, _VERSIONS)
        versions = _read_versions(reader)
        _expect(reader, _EXPIRES)
        expires = reader.int64()
        dsa_key = transitional_signature = None
        for _ in range(optional):
            kind = reader.short()
            if kind == _DSA_KEY and dsa_key is None and transitional_signature is None:
                dsa_key = serialise_public_key(read_public_key(reader))
            elif kind == _TRANSITIONAL_SIGNATURE and transitional_signature is None:
                transitional_signature = reader.take(TRANSITIONAL_SIGNATURE_BYTES)
            else:
                raise MalformedMessage(f"a client profile with field {kind} where it must not be")
        return cls(
            owner_tag,
            public_key,
            forging_key,
            versions,
            expires,
            dsa_key,
            transitional_signature,
            reader.take(SIGNATURE_BYTES),
        )


def _expect(reader: Reader, kind: int) -> None:
    if reader.short() != kind:
        raise MalformedMessage(f"a client profile without field {kind} in its place")


def _read_point(reader: Reader, key_type: bytes) -> bytes:
    if reader.take(len(key_type)) != key_type:
        raise MalformedMessage("a client profile with a key of another type")
    return reader.take(POINT_BYTES)


def _read_versions(reader: Reader) -> str:
    versions = reader.data()
    if len(versions) > MAX_VERSIONS or not versions.isascii():
        raise MalformedMessage("a client profile with impossible versions")
    return versions.decode("ascii")
