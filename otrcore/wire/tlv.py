"""The plaintext of a data message: human text, a NUL, and TLV records (v3, "TLV")."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from . import codec
from .codec import Reader

PADDING = 0
DISCONNECTED = 1


@dataclass(frozen=True, slots=True)
class Tlv:
    """One record: type (SHORT), length (SHORT), value."""

    type: int
    value: bytes = b""


def join(text: bytes, tlvs: Iterable[Tlv] = ()) -> bytes:
    """Return text, NUL and records; the text must not hold a NUL (ValueError), it would end there."""
    if b"\0" in text:
        raise ValueError("a text must not hold NUL")
    return text + b"\0" + b"".join(codec.short(t.type) + codec.short(len(t.value)) + t.value for t in tlvs)


def split(plaintext: bytes) -> tuple[bytes, tuple[Tlv, ...]]:
    """Return text and records; a record longer than what is left ends the reading, as in libotr."""
    text, _, records = plaintext.partition(b"\0")
    if not records:
        return text, ()
    tlvs = []
    at = 0
    while at + 4 <= len(records):
        reader = Reader(records, at)
        kind, length = reader.short(), reader.short()
        at += 4
        if at + length > len(records):
            break
        tlvs.append(Tlv(kind, reader.take(length)))
        at += length
    return text, tuple(tlvs)
