"""Random changes of byte strings: without any order, and those that fit what a field is."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from otrcore.crypto import dh3072, modp
from otrcore.crypto.ed448 import ENCODED_BYTES, GENERATOR, ORDER, reduced
from otrcore.wire import codec
from tests.fuzz.formats import Field

LENGTHS = (0, 1, 2**31, 2**32 - 1)
NUMBERS = (0, 1, 2, 3, 2**31, 2**32 - 1)
COUNTERS = (0, 1, 2**63, 2**64 - 1)
SHORTS = (0, 1, 2, 7, 8, 0x10, 0x1000, 0x1200, 0xFFFF)
LONG = 3000
"""Bytes of the longest content that is put into a field."""


def _elements(prime: int) -> tuple[int, ...]:
    order = (prime - 1) // 2
    return (0, 1, 2, prime - 2, prime - 1, prime, prime + 1, 2 * prime, order, 2**1536, 2**4096)


PRIMES = {2: modp.PRIME, 3: modp.PRIME, 4: dh3072.PRIME}
ELEMENTS = {version: _elements(prime) for version, prime in PRIMES.items()}
"""By version: numbers at the edges of the group of D-H, and far beyond."""

_FIELD = 2**448 - 2**224 - 1


def _point(x: int, y: int) -> bytes:
    """Encode what may be no point at all (RFC 8032, 5.2.2)."""
    return y.to_bytes(ENCODED_BYTES - 1, "little") + bytes((0x80 * (x & 1),))


_X, _Y = (int(coordinate) for coordinate in GENERATOR._element.xy)

POINTS = (
    _point(0, 1),
    # Of the orders 2 and 4, and sums of one of these and the generator: on the curve, outside the group.
    _point(0, _FIELD - 1),
    _point(0, 0),
    _point(1, 0),
    _point(_FIELD - _X, _FIELD - _Y),
    _point(_Y, _FIELD - _X),
    GENERATOR.encoded,
    _point(_FIELD - _X, _Y),
    # In an encoding that is not their own, and none.
    _point(1, 1),
    _point(0, _FIELD + 1),
    _point(0, _FIELD),
    b"\xff" * ENCODED_BYTES,
)
"""Encoded points that are illegal, or everybody's."""

SCALARS = (0, 1, ORDER - 1, ORDER, ORDER + 1, 4 * ORDER, 2**448, 2 ** (8 * ENCODED_BYTES) - 1)


class Changes:
    """Those that one seed makes, in a conversation of one version."""

    def __init__(self, version: int, random: Random) -> None:
        self._prime, self._elements = PRIMES[version], ELEMENTS[version]
        self.random = random

    def damaged(self, content: bytes, others: Sequence[bytes] = ()) -> bytes:
        """Return a byte string with one to three random changes."""
        random = self.random
        changed = bytearray(content)
        for _ in range(random.choice((1, 1, 1, 2, 3))):
            at = random.randrange(len(changed) + 1)
            span = random.choice((1, 1, 2, 4, 8, 20, 40, 200))
            match random.randrange(8):
                case 0 | 1 if at < len(changed):
                    changed[at] ^= 1 << random.randrange(8)
                case 2:
                    del changed[at:]
                case 3:
                    del changed[at : at + span]
                case 4:
                    changed[at:at] = random.randbytes(span)
                case 5:
                    changed[at:at] = changed[at : at + span]
                case 6:
                    changed[at : at + 4] = codec.integer(random.choice(LENGTHS))
                case 7 if others:
                    other = random.choice(others)
                    changed[at:] = other[min(at, len(other)) :]
                case _:
                    changed[at : at + span] = bytes((random.choice((0, 0xFF)),)) * span
        return bytes(changed)

    def blob(self) -> bytes:
        """Return a content of any length, mostly a short one."""
        random = self.random
        return random.randbytes(random.choice((0, 1, 15, 16, 17, 20, 31, 32, 33, 40, 192, 196, LONG)))

    def element(self) -> int:
        """Return a number of the group of D-H, mostly one at its edges."""
        return self.random.choice((*self._elements, self.random.randrange(2, self._prime - 1)))

    def number(self, genuine: bytes) -> bytes:
        """Return an MPI with its length in place of one that holds `genuine`: an edge, or badly written."""
        random = self.random
        match random.randrange(8):
            case 0:
                return codec.data(b"\0" * random.choice((1, 2, 64)) + genuine)
            case 1:
                return codec.data(self.blob())
            case 2:
                return codec.integer(self._wrong_length(len(genuine))) + genuine
            case 3:
                return codec.mpi(random.randrange(2, self._prime - 1))
            case 4:
                return codec.data(genuine + random.randbytes(1))
            case _:
                return codec.mpi(random.choice(self._elements))

    def point(self, genuine: bytes) -> bytes:
        """Return a point in place of this one: an illegal one, everybody's, or the opposite."""
        match self.random.randrange(8):
            case 0:
                return self.damaged(genuine)
            case 1:
                return genuine[:-1] + bytes((genuine[-1] ^ 0x80,)) if genuine else b""
            case 2:
                return self.random.randbytes(ENCODED_BYTES)
            case _:
                return self.random.choice(POINTS)

    def scalar(self, genuine: bytes) -> bytes:
        """Return a scalar in place of this one: at the edges, or the same one, not reduced."""
        match self.random.randrange(8):
            case 0:
                return self.damaged(genuine)
            case 1 | 2:
                number = reduced(genuine) + ORDER * self.random.choice((1, 2, 200))
            case _:
                number = self.random.choice(SCALARS)
        return number.to_bytes(ENCODED_BYTES, "little")

    def field(self, kind: str, written: bytes) -> bytes:
        """Return another form of one field, which may have been changed already."""
        random = self.random
        match kind:
            case "mpi":
                return self.number(written[4:])
            case "point":
                return self.point(written)
            case "scalar":
                return self.scalar(written)
            case "sigma":
                at = random.randrange(6) * ENCODED_BYTES
                scalar = self.scalar(written[at : at + ENCODED_BYTES])
                return written[:at] + scalar + written[at + ENCODED_BYTES :]
            case "data":
                content = written[4:]
                match random.randrange(4):
                    case 0:
                        return codec.data(self.blob())
                    case 1:
                        return codec.data(self.damaged(content))
                    case 2:
                        return codec.data(content[: random.randrange(len(content) + 1)])
                    case _:
                        return codec.integer(self._wrong_length(len(content))) + content
            case "count":
                return codec.integer(self._wrong_length(int.from_bytes(written[-1:], "big")))
            case "short":
                return codec.short(random.choice(SHORTS))
            case "int":
                return codec.integer(random.choice(NUMBERS))
            case "ctr" | "int64":
                return random.choice(COUNTERS).to_bytes(8, "big")
            case _:
                return random.choice((bytes(len(written)), b"\xff" * len(written), self.damaged(written)))

    def fields(self, fields: list[Field], counts: Sequence[int] = (1, 1, 2)) -> bytes:
        """Return fields with as many of them changed as one of the counts says; or their order or number."""
        random = self.random
        fields = list(fields)
        if not fields:
            return self.blob()
        for _ in range(random.choice(counts)):
            at = random.randrange(len(fields))
            fields[at] = (fields[at][0], self.field(*fields[at]))
        match random.randrange(12):
            case 0:
                fields.append(("", random.randbytes(random.choice((1, 4, 20)))))
            case 1:
                del fields[random.randrange(len(fields))]
            case 2:
                fields.insert(random.randrange(len(fields)), random.choice(fields))
            case 3:
                random.shuffle(fields)
            case _:
                pass
        return b"".join(written for _, written in fields)

    def _wrong_length(self, right: int) -> int:
        return self.random.choice((*LENGTHS, right + 1, max(right - 1, 0), right + 4, 0xFFFF, 0x10000))
