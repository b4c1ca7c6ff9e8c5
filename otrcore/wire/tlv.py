"""The plaintext of a data message: human text, a NUL, and TLV records (v3, "TLV")."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from . import codec
from .codec import Reader

PADDING = 0
DISCONNECTED = 1
EXTRA_KEY = 8
EXTRA_KEY_4 = 7
"""Versions 2 and 3, and version 4, where 7 is not a question of SMP any more."""

_USE_BYTES = 4

_RECORD_HEADER = 4


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


def padding(text: bytes, tlvs: Iterable[Tlv], bucket: int) -> Tlv:
    """Return the record that fills a plaintext up to a multiple of `bucket` bytes."""
    length = len(text) + 1 + sum(_RECORD_HEADER + len(record.value) for record in tlvs) + _RECORD_HEADER
    return Tlv(PADDING, bytes(-length % bucket))


def split(plaintext: bytes) -> tuple[bytes, tuple[Tlv, ...]]:
    """Return text and records; a record longer than what is left ends the reading, as in libotr."""
    text, _, records = plaintext.partition(b"\0")
    if not records:
        return text, ()
    tlvs = []
    at = 0
    while at + _RECORD_HEADER <= len(records):
        reader = Reader(records, at)
        kind, length = reader.short(), reader.short()
        at += _RECORD_HEADER
        if at + length > len(records):
            break
        tlvs.append(Tlv(kind, reader.take(length)))
        at += length
    return text, tuple(tlvs)


def find_extra_key(records: Iterable[Tlv], kind: int) -> tuple[int, bytes, bytes] | None:
    """Return place, use (4 bytes) and data of the first record that names an extra symmetric key."""
    for index, record in enumerate(records):
        if record.type == kind and len(record.value) >= _USE_BYTES:
            return index, record.value[:_USE_BYTES], record.value[_USE_BYTES:]
    return None
