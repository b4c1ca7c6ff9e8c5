"""Messages and client profiles of version 4 typed by hand from the specification, for reader and writer.

Spaces separate the fields in the order of the specification's tables.
"""

from __future__ import annotations

from dataclasses import replace

from otrcore.wire.header import Header
from otrcore.wire.messages4 import AuthI, AuthR, DataMessage, Identity, Message
from otrcore.wire.profile import ClientProfile
from tests.wire.hand_typed import lengths

SENDER, RECEIVER = 0x5A73A599, 0x27E31597


def block(first: int, count: int) -> tuple[str, bytes]:
    """Bytes that count up from `first`, in hex and as they are."""
    content = bytes((first + at) % 256 for at in range(count))
    return content.hex(), content


PUBLIC_HEX, PUBLIC = block(0x01, 57)
FORGING_HEX, FORGING = block(0x02, 57)
SIGNATURE_HEX, SIGNATURE = block(0x03, 114)
TRANSITIONAL_HEX, TRANSITIONAL = block(0x04, 40)
FIRST_HEX, FIRST = block(0x05, 57)
SECOND_HEX, SECOND = block(0x06, 57)
SIGMA_HEX, SIGMA = block(0x07, 6 * 57)
MAC_HEX, MAC = block(0x08, 64)
KEY_HEX, KEY = block(0x09, 64)
DSA_KEY_HEX = "0000 00000003 f00102 00000002 0304 00000001 05 00000002 0607"

PROFILE = ClientProfile(
    owner_tag=SENDER,
    public_key=PUBLIC,
    forging_key=FORGING,
    versions="4",
    expires=0x01020304,
    dsa_key=None,
    transitional_signature=None,
    signature=SIGNATURE,
)
REQUIRED_HEX = (
    f"0001 5a73a599 0002 1000 {PUBLIC_HEX} 0003 1200 {FORGING_HEX} 0004 00000001 34 0005 0000000001020304"
)
PROFILE_HEX = f"00000005 {REQUIRED_HEX} {SIGNATURE_HEX}"

# The profile, the fields that its signature covers, and all of it.
PROFILES: list[tuple[ClientProfile, str, str]] = [
    (PROFILE, REQUIRED_HEX, PROFILE_HEX),
    (
        replace(PROFILE, dsa_key=bytes.fromhex(DSA_KEY_HEX), transitional_signature=TRANSITIONAL),
        f"{REQUIRED_HEX} 0006 {DSA_KEY_HEX} 0007 {TRANSITIONAL_HEX}",
        f"00000007 {REQUIRED_HEX} 0006 {DSA_KEY_HEX} 0007 {TRANSITIONAL_HEX} {SIGNATURE_HEX}",
    ),
    (
        replace(PROFILE, dsa_key=bytes.fromhex(DSA_KEY_HEX)),
        f"{REQUIRED_HEX} 0006 {DSA_KEY_HEX}",
        f"00000006 {REQUIRED_HEX} 0006 {DSA_KEY_HEX} {SIGNATURE_HEX}",
    ),
    (
        replace(PROFILE, transitional_signature=TRANSITIONAL),
        f"{REQUIRED_HEX} 0007 {TRANSITIONAL_HEX}",
        f"00000006 {REQUIRED_HEX} 0007 {TRANSITIONAL_HEX} {SIGNATURE_HEX}",
    ),
]


def _header(message_type: int, receiver: int = RECEIVER) -> Header:
    return Header(version=4, type=message_type, sender_tag=SENDER, receiver_tag=receiver)


MESSAGES: list[tuple[Message, str]] = [
    (
        Identity(
            _header(0x35, receiver=0), PROFILE, y=FIRST, b=0x0102030405, first_ecdh=SECOND, first_dh=0x80
        ),
        f"0004 35 5a73a599 00000000 {PROFILE_HEX} {FIRST_HEX} 00000005 0102030405 {SECOND_HEX} 00000001 80",
    ),
    (
        Identity(_header(0x35), PROFILES[1][0], y=FIRST, b=1, first_ecdh=SECOND, first_dh=2),
        f"0004 35 5a73a599 27e31597 {PROFILES[1][2]} {FIRST_HEX} 00000001 01 {SECOND_HEX} 00000001 02",
    ),
    (
        AuthR(_header(0x36), PROFILE, x=FIRST, a=0xFF00, sigma=SIGMA, first_ecdh=SECOND, first_dh=0x7F),
        f"0004 36 5a73a599 27e31597 {PROFILE_HEX} {FIRST_HEX} 00000002 ff00 {SIGMA_HEX} {SECOND_HEX}"
        " 00000001 7f",
    ),
    (AuthI(_header(0x37), sigma=SIGMA), f"0004 37 5a73a599 27e31597 {SIGMA_HEX}"),
    (
        DataMessage(
            _header(0x03),
            flags=0x01,
            previous_count=2,
            ratchet_id=3,
            message_id=0x04050607,
            ecdh=FIRST,
            dh=0xFF00,
            encrypted=b"\xee\xef",
            mac=MAC,
            old_mac_keys=KEY + MAC,
        ),
        f"0004 03 5a73a599 27e31597 01 00000002 00000003 04050607 {FIRST_HEX} 00000002 ff00 00000002 eeef"
        f" {MAC_HEX} 00000080 {KEY_HEX} {MAC_HEX}",
    ),
    (
        DataMessage(
            _header(0x03),
            flags=0,
            previous_count=0xFFFFFFFF,
            ratchet_id=0,
            message_id=0,
            ecdh=SECOND,
            dh=None,
            encrypted=b"",
            mac=MAC,
            old_mac_keys=b"",
        ),
        "0004 03 5a73a599 27e31597 00 ffffffff 00000000 00000000"
        f" {SECOND_HEX} 00000000 00000000 {MAC_HEX} 00000000",
    ),
]

HEADER_BYTES = 2 + 1 + 4 + 4

# The field kinds behind the header, as the specification's tables list them.
_PROFILE_LAYOUT = [
    *("int", "short", "int", "short", "short", "point", "short", "short", "point"),
    *("short", "data", "short", "int64"),
]
_DSA_LAYOUT = ["short", "short", "mpi", "mpi", "mpi", "mpi", "short", "transitional"]
LAYOUTS: dict[type[Message], list[str]] = {
    Identity: ["profile", "point", "mpi", "point", "mpi"],
    AuthR: ["profile", "point", "mpi", "sigma", "point", "mpi"],
    AuthI: ["sigma"],
    DataMessage: ["byte", "int", "int", "int", "point", "mpi", "data", "mac", "data"],
}
FIXED_BYTES = {
    "byte": 1,
    "short": 2,
    "int": 4,
    "int64": 8,
    "point": 57,
    "mac": 64,
    "sigma": 342,
    "signature": 114,
    "transitional": 40,
}


def length_fields(message: Message, raw: bytes) -> list[tuple[str, int]]:
    """Return kind ("mpi" or "data") and place of every length field in the bytes of a message."""
    kinds = list(LAYOUTS[type(message)])
    if isinstance(message, Identity | AuthR):
        optional = _DSA_LAYOUT if message.profile.dsa_key else []
        kinds[:1] = [*_PROFILE_LAYOUT, *optional, "signature"]
    return lengths(raw, HEADER_BYTES, kinds, FIXED_BYTES)
