"""Keys of version 4 (v4, "Key Management", "Shared Secrets"): each by the KDF with a usage of its own."""

from __future__ import annotations

from ..crypto.secret import Secret
from ..crypto.shake import kdf

KEY_BYTES = 64
BRACE_KEY_BYTES = 32
SSID_BYTES = 8


class Usage:
    """The usage ids of "Key Derivation Function, Hash Function and MAC Function"."""

    THIRD_BRACE_KEY = 0x01
    BRACE_KEY = 0x02
    SHARED_SECRET = 0x03
    SSID = 0x04
    AUTH_R_BOB_CLIENT_PROFILE = 0x05
    AUTH_R_ALICE_CLIENT_PROFILE = 0x06
    AUTH_R_PHI = 0x07
    AUTH_I_BOB_CLIENT_PROFILE = 0x08
    AUTH_I_ALICE_CLIENT_PROFILE = 0x09
    AUTH_I_PHI = 0x0A
    FIRST_ROOT_KEY = 0x0B
    ROOT_KEY = 0x12
    CHAIN_KEY = 0x13
    NEXT_CHAIN_KEY = 0x14
    MESSAGE_KEY = 0x15
    MAC_KEY = 0x16
    EXTRA_SYMMETRIC_KEY = 0x17
    AUTHENTICATOR = 0x18


def third_brace_key(k_dh: Secret) -> Secret:
    """Derive the brace key, 32 bytes, of a ratchet with new D-H keys."""
    return Secret(kdf(Usage.THIRD_BRACE_KEY, k_dh, size=BRACE_KEY_BYTES))


def brace_key(previous: Secret) -> Secret:
    """Derive the brace key of a ratchet without new D-H keys."""
    return Secret(kdf(Usage.BRACE_KEY, previous, size=BRACE_KEY_BYTES))


def mixed_shared_secret(k_ecdh: Secret, brace: Secret) -> Secret:
    """Return K: what both kinds of keys agree on, 64 bytes."""
    return Secret(kdf(Usage.SHARED_SECRET, k_ecdh, brace, size=KEY_BYTES))


def session_id(k: Secret) -> bytes:
    """Return the SSID, 8 bytes."""
    return kdf(Usage.SSID, k, size=SSID_BYTES)


def first_root_key(k: Secret) -> Secret:
    """Derive what the first ratchet takes for its previous root key."""
    return Secret(kdf(Usage.FIRST_ROOT_KEY, k, size=KEY_BYTES))


def ratchet_keys(root: Secret, k: Secret) -> tuple[Secret, Secret]:
    """Return the next root key, and the first chain key of a ratchet."""
    return (
        Secret(kdf(Usage.ROOT_KEY, root, k, size=KEY_BYTES)),
        Secret(kdf(Usage.CHAIN_KEY, root, k, size=KEY_BYTES)),
    )


def next_chain_key(chain: Secret) -> Secret:
    """Return the chain key of the next message."""
    return Secret(kdf(Usage.NEXT_CHAIN_KEY, chain, size=KEY_BYTES))


def message_key(chain: Secret) -> Secret:
    """Return MKenc, of which the cipher takes the first 32 bytes."""
    return Secret(kdf(Usage.MESSAGE_KEY, chain, size=KEY_BYTES))


def mac_key(encryption: Secret) -> Secret:
    """Return MKmac, 64 bytes, from MKenc."""
    return Secret(kdf(Usage.MAC_KEY, encryption, size=KEY_BYTES))


def extra_symmetric_key(chain: Secret) -> Secret:
    """Return the key that keys for other applications are derived from."""
    return Secret(kdf(Usage.EXTRA_SYMMETRIC_KEY, b"\xff", chain, size=KEY_BYTES))


def derived_extra_key(previous: Secret, index: int, use: bytes) -> Secret:
    """Return the extra symmetric key of the record at `index` in a message, for a use of 4 bytes.

    The index stands where a usage id stands elsewhere (v4, "Extra Symmetric Key").
    """
    return Secret(kdf(index, use, previous, size=KEY_BYTES))


def authenticator(mac: Secret, message: bytes) -> bytes:
    """Return the MAC over a data message up to its encrypted part, 64 bytes."""
    return kdf(Usage.AUTHENTICATOR, mac, message, size=KEY_BYTES)
