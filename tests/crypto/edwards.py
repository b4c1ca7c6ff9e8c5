"""Ed448 by the equation of the curve (RFC 8032, 5.2), in plain numbers and affine coordinates.

Nothing of otrcore is used here, nor of the library that it multiplies points with.
"""

from __future__ import annotations

P = 2**448 - 2**224 - 1
D = -39081
Q = 2**446 - 0x8335DC163BB124B65129C96FDE933D8D723A70AADC873D6D54A7BB0D
"""The order of the generator."""

Point = tuple[int, int]

GENERATOR: Point = (
    int(
        "2245800402959243001876043340998960362467896416325641342461254616869504154674060"
        "32909029192869357953282578032075146446173674602635247710"
    ),
    int(
        "2988192100784814926760179304439306734375440401540802420959282413723315061898358"
        "76003536878655418784733982303233503462500531545062832660"
    ),
)
IDENTITY: Point = (0, 1)
SMALL_ORDER: dict[int, list[Point]] = {1: [IDENTITY], 2: [(0, P - 1)], 4: [(1, 0), (P - 1, 0)]}
"""The points whose order divides 4, by their order."""


def is_on_curve(point: Point) -> bool:
    """x^2 + y^2 = 1 + d x^2 y^2."""
    x, y = point
    return (x * x + y * y - 1 - D * x * x * y * y) % P == 0


def add(left: Point, right: Point) -> Point:
    """The law of addition, which is complete on this curve."""
    (x1, y1), (x2, y2) = left, right
    product = D * x1 * x2 * y1 * y2 % P
    inverse = pow((1 + product) * (1 - product), -1, P)
    return (
        (x1 * y2 + x2 * y1) * (1 - product) * inverse % P,
        (y1 * y2 - x1 * x2) * (1 + product) * inverse % P,
    )


def negative(point: Point) -> Point:
    """The point that gives the identity with this one."""
    return -point[0] % P, point[1]


def times(point: Point, scalar: int) -> Point:
    """A point, as often as told."""
    total = IDENTITY
    for bit in f"{scalar:b}":
        total = add(total, total)
        if bit == "1":
            total = add(total, point)
    return total


def encode(point: Point) -> bytes:
    """RFC 8032, 5.2.2."""
    x, y = point
    return encode_fields(y, x & 1)


def encode_fields(y: int, sign: int) -> bytes:
    """The same of any numbers below 2^455 and 2."""
    return (y | sign << 455).to_bytes(57, "little")


def decode(encoded: bytes) -> Point:
    """RFC 8032, 5.2.3, of an encoding that is known to be right."""
    number = int.from_bytes(encoded, "little")
    y, sign = number % 2**455, number >> 455
    x = x_of(y)
    assert x is not None
    return (x if x & 1 == sign else P - x), y


def comes_of_pruning(number: int) -> bool:
    """Whether modulo q this is a pruned scalar (RFC 8032, 5.2.5): 2^447 + 4j with j below 2^445."""
    return (number - 2**447) * pow(4, -1, Q) % Q < 2**445


def x_of(y: int) -> int | None:
    """One of the two x that belong to y; None if there is none."""
    square = (1 - y * y) * pow(1 - D * y * y, -1, P) % P
    root = pow(square, (P + 1) // 4, P)
    return root if root * root % P == square else None
