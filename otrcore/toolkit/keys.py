"""From the Diffie-Hellman keys of a message to the keys that it was made with."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from gmpy2 import mpz, powmod_sec

from ..crypto.modp import GENERATOR, PRIME, DhKeyPair, is_public
from ..crypto.random import Random
from ..crypto.secret import Secret
from ..errors import UsageError
from ..v3 import kdf
from ..v3.kdf import DirectionKeys

MAX_EXPONENT_BYTES = 192
"""A longer private key is as good as one below the prime, and only costs time."""


@dataclass(frozen=True, slots=True)
class SessionKeys:
    """All that one pair of D-H keys gives, as the owner of the private one sees it."""

    our_public: int
    we_are_high: bool
    """Whether ours is the larger public key, which decides who sends with which keys."""
    session_id: bytes
    """8 bytes; users see it only for the pair of the key exchange."""
    sending: DirectionKeys
    receiving: DirectionKeys
    extra: Secret
    """The extra symmetric key, 32 bytes."""


def session_keys(our_private: Secret, their_public: int) -> SessionKeys:
    """Derive the keys from a private exponent, big-endian, and a public value; UsageError."""
    exponent = our_private.lstrip(b"\0")
    if not 0 < len(exponent) <= MAX_EXPONENT_BYTES:
        raise UsageError(
            f"A private key is a number from 1 up, of at most {MAX_EXPONENT_BYTES} bytes: "
            "look whether it is whole, and the first of the two."
        )
    if not is_public(their_public):
        raise UsageError(
            "The public key is no number from 2 to the prime minus 2, so that nobody would have used it: "
            "look whether it is whole, and the second of the two."
        )
    secret = mpz(int.from_bytes(exponent, "big"))
    ours = DhKeyPair(secret, int(powmod_sec(mpz(GENERATOR), secret, mpz(PRIME))))
    if not is_public(ours.public):
        raise UsageError("The private key belongs to no legal public key: look whether it is whole.")
    if ours.public == their_public:
        raise UsageError("The public key is that of the private key: give the other side's.")
    shared_secret = ours.shared_secret(their_public)
    sending, receiving = kdf.session_keys(shared_secret, ours.public > their_public)
    return SessionKeys(
        ours.public,
        ours.public > their_public,
        kdf.ake_keys(shared_secret).ssid,
        sending,
        receiving,
        kdf.extra_key(shared_secret),
    )


def mac_key(aes_key: Secret) -> Secret:
    """Return the MAC key, 20 bytes, that belongs to an AES key: whoever can read can also forge."""
    return Secret(hashlib.sha1(aes_key).digest())


def fresh_public(random: Random) -> int:
    """Return a new public key, whose private one nobody has."""
    return DhKeyPair.generate(random).public
