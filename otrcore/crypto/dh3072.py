"""The 3072-bit MODP group of RFC 3526 (group 15) with generator 2: the brace keys of version 4.

Should the elliptic curve be broken one day, what was mixed with these keys stays secret
(v4, "3072-bit Diffie-Hellman Parameters").  Secret exponents go through `powmod_sec`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gmpy2 import jacobi, mpz, powmod_sec

from .random import Random
from .secret import Secret

PRIME = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD"
    "EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED"
    "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F"
    "83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B"
    "E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF6955817183995497CEA956AE515D2261898FA0510"
    "15728E5A8AAAC42DAD33170D04507A33A85521ABDF1CBA64ECFB850458DBEF0A8AEA71575D060C7DB3970F85A6E1E4C7"
    "ABF5AE8CDB0933D71E8C94E04A25619DCEE3D2261AD2EE6BF12FFA06D98A0864D87602733EC86A64521F2B18177B200C"
    "BBE117577A615D6C770988C0BAD946E208E24FA074E5AB3143DB5BFCE0FD108E4B82D120A93AD2CAFFFFFFFFFFFFFFFF",
    16,
)
GENERATOR = 2

EXPONENT_BYTES = 80

_PRIME = mpz(PRIME)
_GENERATOR = mpz(GENERATOR)


@dataclass(frozen=True, slots=True)
class BraceKeyPair:
    """A private exponent of 640 bits and the public value that belongs to it."""

    secret: mpz = field(repr=False)
    public: int

    @classmethod
    def generate(cls, random: Random) -> BraceKeyPair:
        """Make a key pair (v4, "Generating ECDH and DH keys")."""
        secret = mpz(int.from_bytes(random("dh", EXPONENT_BYTES), "big"))
        return cls(secret, int(powmod_sec(_GENERATOR, secret, _PRIME)))

    def shared_secret(self, their_public: int) -> Secret:
        """Return k_dh as minimal big-endian bytes; `their_public` must be `is_member`."""
        value = int(powmod_sec(mpz(their_public), self.secret, _PRIME))
        return Secret(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def is_member(value: int) -> bool:
    """Whether a received public value lies in the group: 2 to prime - 2, and of the order of the generator.

    The prime is a safe one: what has that order are the squares, which the Jacobi symbol
    tells 700 times as fast as the power that the specification names.
    """
    return 2 <= value <= PRIME - 2 and jacobi(value, _PRIME) == 1
