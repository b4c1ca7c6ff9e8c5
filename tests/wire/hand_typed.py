"""Messages of versions 2 and 3 typed by hand from the specification, for the reader and the writer alike.

Spaces separate the fields in the order of the specification's tables.
"""

from __future__ import annotations

from otrcore.model import DsaPublicKey
from otrcore.wire.header import Header
from otrcore.wire.messages3 import DataMessage, DhCommit, DhKey, Message, RevealSignature, Signature

SENDER, RECEIVER = 0x5A73A599, 0x27E31597

MAC_HEX = "a0a1a2a3 a4a5a6a7 a8a9aaab acadaeaf b0b1b2b3"
MAC = bytes(range(0xA0, 0xB4))
HASH_HEX = "c0c1c2c3c4c5c6c7 c8c9cacbcccdcecf d0d1d2d3d4d5d6d7 d8d9dadbdcdddedf"
HASH = bytes(range(0xC0, 0xE0))
R_HEX = "101112131415161718191a1b1c1d1e1f"
R = bytes(range(0x10, 0x20))


def _header(message_type: int, receiver: int = RECEIVER) -> Header:
    return Header(version=3, type=message_type, sender_tag=SENDER, receiver_tag=receiver)


def _header_2(message_type: int) -> Header:
    return Header(version=2, type=message_type)


def _data(header: Header) -> DataMessage:
    return DataMessage(
        header,
        flags=0x01,
        sender_keyid=1,
        recipient_keyid=0x02030405,
        next_dh=0xFF00,
        counter=0x0807060504030201,
        encrypted=b"\xee\xef",
        mac=MAC,
        old_mac_keys=MAC + MAC,
    )


def _empty_data(header: Header) -> DataMessage:
    return DataMessage(
        header,
        flags=0,
        sender_keyid=0xFFFFFFFF,
        recipient_keyid=0,
        next_dh=1,
        counter=0,
        encrypted=b"",
        mac=MAC,
        old_mac_keys=b"",
    )


MESSAGES: list[tuple[Message, str]] = [
    (
        DhCommit(_header(0x02, receiver=0), encrypted_gx=b"\xe1\xe2\xe3\xe4\xe5", hashed_gx=HASH),
        f"0003 02 5a73a599 00000000 00000005 e1e2e3e4e5 00000020 {HASH_HEX}",
    ),
    (
        DhCommit(_header(0x02), encrypted_gx=b"", hashed_gx=HASH),
        f"0003 02 5a73a599 27e31597 00000000 00000020 {HASH_HEX}",
    ),
    (DhKey(_header(0x0A), gy=0x0102030405), "0003 0a 5a73a599 27e31597 00000005 0102030405"),
    (DhKey(_header(0x0A), gy=0x80), "0003 0a 5a73a599 27e31597 00000001 80"),
    (DhKey(_header(0x0A), gy=0), "0003 0a 5a73a599 27e31597 00000000"),
    (
        RevealSignature(_header(0x11), r=R, encrypted_signature=b"\xf1\xf2\xf3", mac=MAC),
        f"0003 11 5a73a599 27e31597 00000010 {R_HEX} 00000003 f1f2f3 {MAC_HEX}",
    ),
    (
        Signature(_header(0x12), encrypted_signature=b"\xf1\xf2\xf3\xf4", mac=MAC),
        f"0003 12 5a73a599 27e31597 00000004 f1f2f3f4 {MAC_HEX}",
    ),
    (
        _data(_header(0x03)),
        "0003 03 5a73a599 27e31597 01 00000001 02030405 00000002 ff00 0807060504030201"
        f" 00000002 eeef {MAC_HEX} 00000028 {MAC_HEX} {MAC_HEX}",
    ),
    (
        _empty_data(_header(0x03)),
        "0003 03 5a73a599 27e31597 00 ffffffff 00000000 00000001 01 0000000000000000"
        f" 00000000 {MAC_HEX} 00000000",
    ),
    # Version 2: the same without instance tags.
    (
        DhCommit(_header_2(0x02), encrypted_gx=b"\xe1\xe2\xe3\xe4\xe5", hashed_gx=HASH),
        f"0002 02 00000005 e1e2e3e4e5 00000020 {HASH_HEX}",
    ),
    (DhKey(_header_2(0x0A), gy=0x0102030405), "0002 0a 00000005 0102030405"),
    (DhKey(_header_2(0x0A), gy=0), "0002 0a 00000000"),
    (
        RevealSignature(_header_2(0x11), r=R, encrypted_signature=b"\xf1\xf2\xf3", mac=MAC),
        f"0002 11 00000010 {R_HEX} 00000003 f1f2f3 {MAC_HEX}",
    ),
    (
        Signature(_header_2(0x12), encrypted_signature=b"\xf1\xf2\xf3\xf4", mac=MAC),
        f"0002 12 00000004 f1f2f3f4 {MAC_HEX}",
    ),
    (
        _data(_header_2(0x03)),
        "0002 03 01 00000001 02030405 00000002 ff00 0807060504030201"
        f" 00000002 eeef {MAC_HEX} 00000028 {MAC_HEX} {MAC_HEX}",
    ),
    (
        _empty_data(_header_2(0x03)),
        f"0002 03 00 ffffffff 00000000 00000001 01 0000000000000000 00000000 {MAC_HEX} 00000000",
    ),
]

# The field kinds behind the header, as the specification's tables list them.
LAYOUTS: dict[type[Message], list[str]] = {
    DhCommit: ["data", "data"],
    DhKey: ["mpi"],
    RevealSignature: ["data", "data", "mac"],
    Signature: ["data", "mac"],
    DataMessage: ["byte", "int", "int", "mpi", "ctr", "data", "mac", "data"],
}
HEADER_BYTES = {2: 2 + 1, 3: 2 + 1 + 4 + 4}
"""By version."""

FIXED_BYTES = {"byte": 1, "int": 4, "ctr": 8, "mac": 20}

PUBLIC_KEY = DsaPublicKey(p=0xF00102, q=0x0304, g=0x05, y=0x0607)
PUBLIC_KEY_HEX = "0000 00000003 f00102 00000002 0304 00000001 05 00000002 0607"


def length_fields(message: Message, raw: bytes) -> list[tuple[str, int]]:
    """Return kind ("mpi" or "data") and place of every length field in the bytes of a message."""
    return lengths(raw, HEADER_BYTES[message.header.version], LAYOUTS[type(message)], FIXED_BYTES)


def lengths(raw: bytes, at: int, kinds: list[str], fixed: dict[str, int]) -> list[tuple[str, int]]:
    """The same by the kinds of the fields behind the header, which ends at `at`."""
    places = []
    for kind in kinds:
        if kind in fixed:
            at += fixed[kind]
        else:
            places.append((kind, at))
            at += 4 + int.from_bytes(raw[at : at + 4], "big")
    assert at == len(raw), "the layout does not describe this message"
    return places
