"""The plaintext of data messages: text, NUL, records; damaged records end the reading and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otrcore.wire.tlv import DISCONNECTED, PADDING, Tlv, join, split

repeatable = settings(derandomize=True, deadline=None)

TYPED: list[tuple[bytes, tuple[Tlv, ...], str]] = [
    (b"", (), "00"),
    (b"hi", (), "6869 00"),
    (b"hi", (Tlv(DISCONNECTED),), "6869 00 0001 0000"),
    (b"", (Tlv(PADDING, b"\0\0\0"),), "00 0000 0003 000000"),
    (b"h", (Tlv(8, b"\0\0\0\x01use"), Tlv(1)), "68 00 0008 0007 00000001757365 0001 0000"),
    (b"", (Tlv(0xFFFF, bytes(258)),), "00 ffff 0102" + "00" * 258),
]


@pytest.mark.parametrize(("text", "tlvs", "typed"), TYPED)
def test_written_and_read_as_typed_by_hand(text: bytes, tlvs: tuple[Tlv, ...], typed: str) -> None:
    raw = bytes.fromhex(typed)
    assert join(text, tlvs) == raw
    assert split(raw) == (text, tlvs)


@pytest.mark.parametrize(
    ("typed", "text", "tlvs"),
    [
        ("", b"", ()),
        ("6869", b"hi", ()),  # no NUL at all: libotr sends it so when there are no records
        ("6869 00 00", b"hi", ()),
        ("6869 00 0001", b"hi", ()),
        ("6869 00 0001 00", b"hi", ()),
        ("6869 00 0001 0001", b"hi", ()),
        ("6869 00 0001 ffff", b"hi", ()),
        ("6869 00 0001 0000 0002 0003 aabb", b"hi", (Tlv(1),)),
        ("6869 00 0001 0000 0002 ffff aabb", b"hi", (Tlv(1),)),
        ("6869 00 00 00 0000 0001 0000", b"hi", (Tlv(0), Tlv(1))),
    ],
)
def test_a_record_longer_than_what_is_left_ends_the_reading(
    typed: str, text: bytes, tlvs: tuple[Tlv, ...]
) -> None:
    assert split(bytes.fromhex(typed)) == (text, tlvs)


def test_a_text_must_not_hold_what_ends_it() -> None:
    with pytest.raises(ValueError, match="NUL"):
        join(b"a\0b")


records = st.lists(st.builds(Tlv, st.integers(0, 2**16 - 1), st.binary(max_size=40)), max_size=5).map(tuple)


@repeatable
@given(st.binary(max_size=40).filter(lambda text: b"\0" not in text), records)
def test_every_value_comes_back(text: bytes, tlvs: tuple[Tlv, ...]) -> None:
    assert split(join(text, tlvs)) == (text, tlvs)


@settings(repeatable, max_examples=300)
@given(st.binary(max_size=20).map(lambda text: b"\0" + text) | st.binary(max_size=60))
def test_any_bytes_are_read_and_what_was_read_stands_at_their_front(plaintext: bytes) -> None:
    text, tlvs = split(plaintext)
    if b"\0" in plaintext:
        assert plaintext.startswith(join(text, tlvs))
    else:
        assert (text, tlvs) == (plaintext, ())
