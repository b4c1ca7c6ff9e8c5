"""What was found once, or is known to have broken others, stays harmless."""

from __future__ import annotations

from random import Random

import pytest

from tests.fuzz import vectors
from tests.fuzz.rooms import EVERYWHERE, enter
from tests.fuzz.vectors import Kind, Step, Vector
from tests.fuzz.watch import Watch

VECTORS = vectors.load()


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.why)
def test_vector(vector: Vector) -> None:
    scene = enter(vector.room, vector.version, vector.seed)
    watch = Watch(scene)
    attempts = list(vector.attempts(scene))
    assert len(attempts) == len(vector.steps), "the room has no keys for a step"
    for attempt in attempts:
        watch.give(attempt)
    watch.finish()


def test_vectors_are_of_every_kind() -> None:
    assert {step.kind for vector in VECTORS for step in vector.steps} == set(Kind)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.why)
def test_what_is_written_as_bytes_is_read_again(vector: Vector) -> None:
    read = vectors.from_bytes(vectors.to_bytes(vector))
    assert (read.room, read.version, read.seed) == (vector.room, vector.version, vector.seed)
    assert read.steps == vector.steps[: vectors.MAX_STEPS]


def test_any_bytes_can_be_played() -> None:
    random = Random(0)
    kinds: set[Kind] = set()
    for length in [0, 1, 2, 5, *[60] * 300]:
        vector = vectors.from_bytes(random.randbytes(length))
        assert (vector.room, vector.version) in EVERYWHERE
        kinds.update(step.kind for step in vector.steps)
    assert kinds == set(Kind)
    scene = enter("encrypted", 3, 0)
    plays = [Vector("", "encrypted", 3, 0, (Step(kind, "00" * 3, 3),)) for kind in Kind]
    left_out = [play.steps[0].kind for play in plays if not list(play.attempts(scene))]
    assert left_out == [Kind.SIGNED]
