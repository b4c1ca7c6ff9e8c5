"""Inputs that were found and are kept: a room, and what is handed over in it, step by step.

One form serves the file of vectors, to be read and written by people, and another the
coverage-guided fuzzer, which makes bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from otrcore.wire import text as wire_text
from otrcore.wire.tlv import Tlv, join
from tests.fuzz.formats import MESSAGE_TYPES, header_of
from tests.fuzz.mutator import Attempt, forger_of, signing_forger_of
from tests.fuzz.rooms import EVERYWHERE, SETTINGS
from tests.fuzz.states import Scene

FILE = Path(__file__).with_name("vectors.json")


class Kind(StrEnum):
    """What a step hands over, and what its content is."""

    LINE = "line"
    """A line as it is."""
    MESSAGE = "message"
    """A message by its type: the bytes behind a valid header."""
    PLAINTEXT = "plaintext"
    """A data message under the peer's keys: what is encrypted in it."""
    RECORD = "record"
    """Such a message with one record of a type: its value."""
    SIGNED = "signed"
    """The signature that is due, under the peer's keys: what is encrypted in it.  In version 4 what is behind
    the header of the message of the key exchange that is due, which is signed anew if it can be read."""
    WAIT = "wait"
    """So many seconds."""


KINDS = tuple(Kind)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to hand over; `content` is in hex, but for a line; `type` is that of a message or record."""

    kind: Kind
    content: str
    type: int = 0


@dataclass(frozen=True, slots=True)
class Vector:
    """What to do where, and why it is kept."""

    why: str
    room: str
    version: int
    seed: int
    steps: tuple[Step, ...]

    def attempts(self, scene: Scene) -> Iterator[Attempt]:
        """Return what to hand over in this scene; a step that it has no keys for is left out."""
        data, signature = forger_of(scene), signing_forger_of(scene)
        for step in self.steps:
            if step.kind is Kind.LINE:
                yield Attempt((step.content,), step.kind)
                continue
            content = bytes.fromhex(step.content)
            if step.kind is Kind.MESSAGE:
                message = header_of(self.version, step.type).serialise() + content
                yield Attempt((wire_text.encode(message),), step.kind)
            elif step.kind is Kind.PLAINTEXT and data:
                yield Attempt((data.line(content),), step.kind, forged=True)
            elif step.kind is Kind.RECORD and data:
                yield Attempt((data.line(join(b"", [Tlv(step.type, content)])),), step.kind, forged=True)
            elif step.kind is Kind.SIGNED and signature:
                yield Attempt((signature.line(content),), step.kind, forged=True)
            elif step.kind is Kind.WAIT:
                yield Attempt((), step.kind, wait=float(int.from_bytes(content, "big")))


def load() -> list[Vector]:
    """Read the file of vectors."""
    return [
        Vector(
            **{
                **entry,
                "steps": tuple(Step(**{**step, "kind": Kind(step["kind"])}) for step in entry["steps"]),
            }
        )
        for entry in json.loads(FILE.read_text("utf-8"))
    ]


def as_json(vector: Vector) -> str:
    """Return an entry for the file."""
    return json.dumps(asdict(vector), indent=1)


# --- as bytes: room, seed, and for each step kind, type, length (two bytes) and content ---------------------

MAX_STEPS = 8


def from_bytes(data: bytes) -> Vector:
    """Read any bytes whatever as a vector."""
    room, version = EVERYWHERE[data[0] % len(EVERYWHERE) if data else 0]
    seed = data[1] % len(SETTINGS) if len(data) > 1 else 0
    steps: list[Step] = []
    at = 2
    while at + 4 <= len(data) and len(steps) < MAX_STEPS:
        kind, number = KINDS[data[at] % len(KINDS)], data[at + 1]
        stop = at + 4 + int.from_bytes(data[at + 2 : at + 4], "big")
        content = data[at + 4 : stop]
        at = stop
        match kind:
            case Kind.LINE:
                steps.append(Step(kind, content.decode("utf-8", errors="replace")))
            case Kind.MESSAGE:
                steps.append(Step(kind, content.hex(), MESSAGE_TYPES[number % len(MESSAGE_TYPES)]))
            case Kind.RECORD:
                steps.append(Step(kind, content.hex(), number))
            case Kind.WAIT:
                steps.append(Step(kind, bytes((number,)).hex()))
            case _:
                steps.append(Step(kind, content.hex()))
    return Vector("", room, version, seed, tuple(steps))


def to_bytes(vector: Vector) -> bytes:
    """Write a vector so that `from_bytes` reads it."""
    written = bytes((EVERYWHERE.index((vector.room, vector.version)), vector.seed))
    for step in vector.steps:
        content = step.content.encode("utf-8") if step.kind is Kind.LINE else bytes.fromhex(step.content)
        number = step.type
        if step.kind is Kind.MESSAGE:
            number = MESSAGE_TYPES.index(step.type)
        elif step.kind is Kind.WAIT:
            number, content = content[0], b""
        written += bytes((KINDS.index(step.kind), number)) + len(content).to_bytes(2, "big") + content
    return written
