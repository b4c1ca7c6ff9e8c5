"""The zero-knowledge proofs of SMP (v3, "Socialist Millionaires' Protocol": overview of the proofs).

Each proves by a challenge that hashes commitments to fresh nonces, and by responses
d = nonce - challenge * secret.  The checker recomputes the commitments from the
responses:  g^d * X^c = g^nonce  exactly if X = g^secret.  The prefix is a number from
1 to 8, another one for each proof of a run, so that none can be used for another.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..crypto.random import Random
from .group import E, Group


@dataclass(frozen=True, slots=True)
class LogProof:
    """Proof of a secret x: that X = g1^x, or that R = q^x as well."""

    c: int
    d: int


@dataclass(frozen=True, slots=True)
class CoordinatesProof:
    """Proof that P = g3^r and Q = g1^r * g2^y for known r and y."""

    c: int
    d_r: int
    d_y: int


def prove_log(group: Group[E], random: Random, prefix: int, secret: int) -> LogProof:
    """Prove knowledge of the exponent of g1^secret."""
    nonce = group.random_scalar(random)
    c = group.challenge(prefix, group.power(group.generator, nonce))
    return LogProof(c, group.respond(nonce, c, secret))


def check_log(group: Group[E], prefix: int, proof: LogProof, value: E) -> bool:
    """Check a proof about value = g1^secret."""
    commitment = group.product_of_powers((group.generator, proof.d), (value, proof.c))
    return proof.c == group.challenge(prefix, commitment)


def prove_coordinates(
    group: Group[E], random: Random, prefix: int, bases: tuple[E, E], r: int, y: int
) -> CoordinatesProof:
    """Prove that P = g3^r and Q = g1^r * g2^y; `bases` are g2 and g3."""
    g2, g3 = bases
    nonce_r, nonce_y = group.random_scalar(random), group.random_scalar(random)
    c = group.challenge(
        prefix,
        group.power(g3, nonce_r),
        group.multiply(group.power(group.generator, nonce_r), group.power(g2, nonce_y)),
    )
    return CoordinatesProof(c, group.respond(nonce_r, c, r), group.respond(nonce_y, c, y))


def check_coordinates(
    group: Group[E], prefix: int, proof: CoordinatesProof, bases: tuple[E, E], p: E, q: E
) -> bool:
    """Check a proof about P = g3^r and Q = g1^r * g2^y; `bases` are g2 and g3."""
    g2, g3 = bases
    return proof.c == group.challenge(
        prefix,
        group.product_of_powers((g3, proof.d_r), (p, proof.c)),
        group.product_of_powers((group.generator, proof.d_r), (g2, proof.d_y), (q, proof.c)),
    )


def prove_equal_logs(group: Group[E], random: Random, prefix: int, base: E, secret: int) -> LogProof:
    """Prove that g1^secret and base^secret have one exponent."""
    nonce = group.random_scalar(random)
    c = group.challenge(prefix, group.power(group.generator, nonce), group.power(base, nonce))
    return LogProof(c, group.respond(nonce, c, secret))


def check_equal_logs(
    group: Group[E], prefix: int, proof: LogProof, value: E, base: E, other_value: E
) -> bool:
    """Check a proof that value = g1^secret and other_value = base^secret."""
    return proof.c == group.challenge(
        prefix,
        group.product_of_powers((group.generator, proof.d), (value, proof.c)),
        group.product_of_powers((base, proof.d), (other_value, proof.c)),
    )
