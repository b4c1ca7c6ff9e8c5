"""The cryptography of versions 2 and 3, read a second time from the specification, with plain numbers.

Nothing of otrcore is used here: a mistake that the library makes on both sides of a
conversation would cancel out between two of its own peers, and shows against this.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from functools import cache

from cryptography.hazmat.primitives.asymmetric import dsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from gmpy2 import powmod

COMMIT, DATA, KEY, REVEAL, SIGNATURE = 0x02, 0x03, 0x0A, 0x11, 0x12
"""Message types."""

_LAYOUTS = {COMMIT: "dd", KEY: "m", REVEAL: "dda", SIGNATURE: "da", DATA: "biimcdad"}
"""What stands behind the header, as `unpack` names it."""

_SIZES = {"b": 1, "s": 2, "i": 4, "c": 8, "a": 20}


def _pi_times_two_to(exponent: int) -> int:
    """Return [2^exponent * pi], by Machin's formula."""
    guard = 64
    one = 1 << (exponent + guard)

    def arctan_of_inverse(n: int) -> int:
        total, term, divisor = 0, one // n, 1
        while term:
            total += term // divisor
            term //= -n * n
            divisor += 2
        return total

    return 4 * (4 * arctan_of_inverse(5) - arctan_of_inverse(239)) >> guard


P = 2**1536 - 2**1472 - 1 + 2**64 * (_pi_times_two_to(1406) + 741804)
"""The modulus, as RFC 3526 defines it (section 2)."""


def power(base: int, exponent: int) -> int:
    """Return a power modulo P."""
    return int(powmod(base, exponent, P))


def public(exponent: int) -> int:
    """Return the public value of a private exponent; the generator is 2."""
    return power(2, exponent)


def short(value: int) -> bytes:
    """SHORT."""
    return value.to_bytes(2, "big")


def integer(value: int) -> bytes:
    """INT."""
    return value.to_bytes(4, "big")


def data(content: bytes) -> bytes:
    """DATA."""
    return integer(len(content)) + content


def mpi(value: int) -> bytes:
    """MPI."""
    return data(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def unpack(kinds: str, raw: bytes) -> list[int | bytes]:
    """Take fields apart: b BYTE, s SHORT, i INT and c CTR as numbers, m MPI as number, d DATA, a MAC.

    AssertionError if the fields are not all there, if bytes follow them, or if an MPI is not minimal.
    """
    values: list[int | bytes] = []
    at = 0
    for kind in kinds:
        if kind in "md":
            size = int.from_bytes(raw[at : at + 4], "big")
            at += 4
        else:
            size = _SIZES[kind]
        content = raw[at : at + size]
        assert len(content) == size, f"field {len(values)} is cut off"
        assert kind != "m" or not content.startswith(b"\0"), "an MPI has a leading zero"
        values.append(content if kind in "da" else int.from_bytes(content, "big"))
        at += size
    assert at == len(raw), "bytes follow the last field"
    return values


def number(value: int | bytes) -> int:
    """Say that a field is a number."""
    assert isinstance(value, int)
    return value


def content(value: int | bytes) -> bytes:
    """Say that a field is bytes."""
    assert isinstance(value, bytes)
    return value


@dataclass(frozen=True)
class Message:
    """A message taken apart; version 2 has no instance tags."""

    version: int
    kind: int
    tags: tuple[int, ...]
    fields: tuple[int | bytes, ...]

    def number(self, at: int) -> int:
        """Return a field that is a number."""
        return number(self.fields[at])

    def content(self, at: int) -> bytes:
        """Return a field that is bytes."""
        return content(self.fields[at])


def message(raw: bytes) -> Message:
    """Take any message apart."""
    version, kind = int.from_bytes(raw[:2], "big"), raw[2]
    tags = {2: "", 3: "ii"}[version]
    values = unpack("sb" + tags + _LAYOUTS[kind], raw)
    count = 2 + len(tags)
    return Message(version, kind, tuple(map(number, values[2:count])), tuple(values[count:]))


def opened(commit: bytes, reveal: bytes) -> int:
    """Return the value in a Commit, opened with what a Reveal Signature tells."""
    return number(unpack("m", ctr(message(reveal).content(0), 0, message(commit).content(0)))[0])


def header(version: int, kind: int, sender: int, receiver: int) -> bytes:
    """Write the front of a message."""
    start = short(version) + bytes([kind])
    return start if version == 2 else start + integer(sender) + integer(receiver)


def readdressed(raw: bytes, sender: int, receiver: int, *, version: int | None = None) -> bytes:
    """Return a message with another front: from and to another instance, or of another version."""
    old, kind = int.from_bytes(raw[:2], "big"), raw[2]
    return header(old if version is None else version, kind, sender, receiver) + raw[header_length(old) :]


def header_length(version: int) -> int:
    """Return how many bytes the front of a message has."""
    return {2: 3, 3: 11}[version]


def line(raw: bytes) -> str:
    """Encode for transmission."""
    return "?OTR:" + base64.b64encode(raw).decode() + "."


def raw_of(text: str) -> bytes:
    """Decode one transmitted line."""
    assert text.startswith("?OTR:")
    assert text.endswith(".")
    return base64.b64decode(text[5:-1], validate=True)


def ctr(key: bytes, counter: int, content: bytes) -> bytes:
    """AES128-CTR, with the counter's upper half given and the lower at zero."""
    start = counter << 64
    encryptor = Cipher(algorithms.AES(key), modes.CTR(start.to_bytes(16, "big"))).encryptor()
    return encryptor.update(content) + encryptor.finalize()


def sha256_mac(key: bytes, content: bytes) -> bytes:
    """SHA256-HMAC."""
    return hmac.new(key, content, hashlib.sha256).digest()


def sha1_mac(key: bytes, content: bytes) -> bytes:
    """SHA1-HMAC."""
    return hmac.new(key, content, hashlib.sha1).digest()


@dataclass(frozen=True)
class AkeSecrets:
    """The seven values that the exchange takes from s."""

    ssid: bytes
    c: bytes
    c_prime: bytes
    m1: bytes
    m2: bytes
    m1_prime: bytes
    m2_prime: bytes


def ake_secrets(s: int) -> AkeSecrets:
    """Compute them."""
    secbytes = mpi(s)
    h2 = [hashlib.sha256(bytes([b]) + secbytes).digest() for b in range(6)]
    return AkeSecrets(h2[0][:8], h2[1][:16], h2[1][16:], h2[2], h2[3], h2[4], h2[5])


@dataclass(frozen=True)
class DataKeys:
    """What one side uses with one pair of D-H keys."""

    sending_aes: bytes
    sending_mac: bytes
    receiving_aes: bytes
    receiving_mac: bytes


@cache
def data_keys(own_exponent: int, their_public: int) -> DataKeys:
    """Compute them for the side that has the private exponent."""
    secbytes = mpi(power(their_public, own_exponent))
    sendbyte, recvbyte = (b"\x01", b"\x02") if public(own_exponent) > their_public else (b"\x02", b"\x01")
    sending = hashlib.sha1(sendbyte + secbytes).digest()[:16]
    receiving = hashlib.sha1(recvbyte + secbytes).digest()[:16]
    return DataKeys(sending, hashlib.sha1(sending).digest(), receiving, hashlib.sha1(receiving).digest())


@dataclass(frozen=True)
class PublicKey:
    """The numbers of a DSA public key."""

    p: int
    q: int
    g: int
    y: int

    @property
    def encoded(self) -> bytes:
        """PUBKEY."""
        return b"\0\0" + mpi(self.p) + mpi(self.q) + mpi(self.g) + mpi(self.y)

    @property
    def fingerprint(self) -> bytes:
        """SHA-1, without the type."""
        return hashlib.sha1(self.encoded[2:]).digest()

    def verifies(self, m: bytes, signature: bytes) -> bool:
        """Tell whether 40 bytes are a signature over the number M."""
        assert len(signature) == 40
        r, s = int.from_bytes(signature[:20], "big"), int.from_bytes(signature[20:], "big")
        if not (0 < r < self.q and 0 < s < self.q):
            return False
        w = pow(s, -1, self.q)
        u1, u2 = int.from_bytes(m, "big") * w % self.q, r * w % self.q
        return pow(self.g, u1, self.p) * pow(self.y, u2, self.p) % self.p % self.q == r


@dataclass(frozen=True)
class PrivateKey:
    """A DSA key that signs as the textbook says."""

    public: PublicKey
    x: int

    def sign(self, m: bytes) -> bytes:
        """Return r and s, 20 bytes each, over the number M."""
        p, q, g = self.public.p, self.public.q, self.public.g
        k = secrets.randbelow(q - 1) + 1
        r = pow(g, k, p) % q
        s = pow(k, -1, q) * (int.from_bytes(m, "big") + self.x * r) % q
        return r.to_bytes(20, "big") + s.to_bytes(20, "big")


@cache
def private_key(name: str) -> PrivateKey:
    """Return the DSA key of this name, made once in a test process."""
    numbers = dsa.generate_private_key(1024).private_numbers()
    group = numbers.public_numbers.parameter_numbers
    return PrivateKey(PublicKey(group.p, group.q, group.g, numbers.public_numbers.y), numbers.x)


@dataclass(frozen=True)
class DataFields:
    """A Data Message taken apart; `ta` is what its MAC covers."""

    version: int
    tags: tuple[int, ...]
    flags: int
    sender_keyid: int
    recipient_keyid: int
    next_dh: int
    ctr: int
    encrypted: bytes
    mac: bytes
    old_mac_keys: tuple[bytes, ...]
    ta: bytes


def data_fields(raw: bytes) -> DataFields:
    """Take a Data Message apart."""
    taken = message(raw)
    assert taken.kind == DATA
    flags, skid, rkid, next_dh, counter, encrypted, mac, old = taken.fields
    old = content(old)
    assert len(old) % 20 == 0
    return DataFields(
        taken.version,
        taken.tags,
        number(flags),
        number(skid),
        number(rkid),
        number(next_dh),
        number(counter),
        content(encrypted),
        content(mac),
        tuple(old[at : at + 20] for at in range(0, len(old), 20)),
        raw[: -(20 + 4 + len(old))],
    )
