"""Random conversations for the differential run: made by a seed, run in both worlds, and shortened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from tests.interop.differential import (
    FLAGS,
    OTHER,
    SECRETS,
    WHO,
    Conversation,
    LibotrParty,
    Observation,
    Operation,
    OurParty,
    Rules,
    Step,
    Trouble,
    TroubleKind,
    Who,
    World,
)
from tests.interop.oracle import LibotrPeer

VERSIONS: tuple[tuple[frozenset[int], frozenset[int]], ...] = tuple(
    (frozenset(ours), frozenset(theirs))
    for ours, theirs in (({2}, {2}), ({3}, {3}), ({2, 3}, {2, 3}), ({2, 3}, {2}), ({3}, {2, 3}))
)
USERS = {"start": 3, "text": 12, "end": 1, "ask": 1, "answer": 1, "abort": 1, "key": 2}
"""What users do, and how often; what makes no sense at that moment becomes a start."""

MISHAPS = {"hears": 4, "hears a tag": 3, "replayed": 2}
"""What is slipped in on the way."""

SLIPPED_IN = ("?OTRv2?", "?OTRv3?", "?OTRv23?", "?OTR Error: made up", "a plain line", "a plain line")
TROUBLES: tuple[TroubleKind, ...] = ("lose", "repeat", "damage", "lose fragment", "repeat fragment")
SECONDS = (0,) * 10 + (13, 13, 67)
"""Of these no sum is one of the times in the rules of either side: in that second they may well differ."""


@dataclass(frozen=True)
class Case:
    """Two observations that are not the same, and how they came about."""

    conversation: Conversation
    steps: Sequence[Step]
    """All since both worlds were made anew, the last one with the difference."""
    ours: Observation
    reference: Observation
    before: Observation | None
    """What both had shown before that."""

    @property
    def step(self) -> Step:
        """The step that made the difference."""
        return self.steps[-1]

    @property
    def differences(self) -> frozenset[str]:
        """Names of what is not the same."""
        return self.ours.differences(self.reference)

    def __str__(self) -> str:
        lines = [str(replace(self.conversation, steps=tuple(self.steps)))]
        for name in sorted(self.differences):
            lines.append(
                f"  {name}: {self.ours.look(name)!r} with us, {self.reference.look(name)!r} with libotr"
            )
        return "\n".join(lines)


class Unexplained(AssertionError):
    """A difference that no entry of the table allows."""

    def __init__(self, case: Case) -> None:
        super().__init__(str(case))
        self.case = case


LONG = range(10, 31)
SHORT = range(2, 9)


def conversation(seed: int, lengths: range = LONG) -> Conversation:
    """Make the conversation of this seed, with as many steps as one of `lengths`."""
    chance = Random(seed)
    versions = dict(zip(WHO, chance.choice(VERSIONS), strict=True))
    rules = {
        side: Rules(versions[side], frozenset(flag for flag in FLAGS if chance.random() < 0.3))
        for side in WHO
    }
    steps: list[Step] = []
    for number in range(chance.choice(lengths)):
        asked = [op.side for op in steps[-1].operations if op.name == "ask"] if steps else []
        if asked and chance.random() < 0.6:
            steps.append(Step((Operation(OTHER[asked[0]], "answer", _answer(chance)),)))
        else:
            steps.append(_step(chance, number))
    return Conversation(seed, rules, chance.choice((None, None, 100, 400)), tuple(steps))


def _step(chance: Random, number: int) -> Step:
    seconds, first = chance.choice(SECONDS), chance.choice(WHO)
    side = chance.choice(WHO)
    kind = chance.random()
    if kind < 0.15:
        operations = tuple(_user(chance, who, number) for who in WHO)
        return Step(operations, seconds=seconds, first=first)
    if kind < 0.27:
        return Step((_mishap(chance, side, number),), seconds=seconds, first=first)
    operation = _user(chance, side, number)
    if kind < 0.41:
        trouble = Trouble(chance.choice(TROUBLES), chance.choice(WHO), chance.choice((0, 0, 1, 2)))
        return Step((operation,), trouble, seconds, first)
    return Step((operation,), seconds=seconds, first=first)


def _user(chance: Random, side: Who, number: int) -> Operation:
    name = chance.choices(list(USERS), list(USERS.values()))[0]
    detail = ""
    match name:
        case "text":
            detail = f"text {number} of {side}" + chance.choice(("", "", " and more" * 30))
        case "ask":
            detail = _answer(chance) + chance.choice(("", ":Which?"))
        case "answer":
            detail = _answer(chance)
        case "key":
            detail = f"key {number} of {side}"
    return Operation(side, name, detail)


def _answer(chance: Random) -> str:
    """Return a secret, the same one twice as often as the other."""
    return chance.choice((SECRETS[0], *SECRETS))


def _mishap(chance: Random, side: Who, number: int) -> Operation:
    name = chance.choices(list(MISHAPS), list(MISHAPS.values()))[0]
    match name:
        case "hears":
            return Operation(side, name, chance.choice(SLIPPED_IN))
        case "hears a tag":
            return Operation(side, name, chance.choice(("2", "3", "23")))
        case _:
            return Operation(side, name)


@dataclass
class Tally:
    """What a run has done."""

    steps: int = 0
    operations: Counter[str] = field(default_factory=Counter)


class Laboratory:
    """Makes both worlds, from the keys of libotr in a folder."""

    def __init__(self, program: Path, keys: Path) -> None:
        self._program = program
        self._keys = keys

    def run(
        self, conversation: Conversation, explain: Callable[[Case], Sequence[object]], tally: Tally
    ) -> None:
        """Run a conversation in both worlds; both are made anew after a difference that is explained.

        Raises Unexplained.
        """
        steps = list(conversation.steps)
        while steps:
            with ExitStack() as stack:
                steps = self._run(conversation, steps, explain, tally, stack)

    def _run(
        self,
        conversation: Conversation,
        steps: list[Step],
        explain: Callable[[Case], Sequence[object]],
        tally: Tally,
        stack: ExitStack,
    ) -> list[Step]:
        """Run until the first difference; returns the steps that are left."""
        worlds = self._worlds(conversation, stack)
        done: list[Step] = []
        before: Observation | None = None
        for at, planned in enumerate(steps):
            step = _possible(planned, worlds)
            done.append(step)
            ours, reference = (world.run(step) for world in worlds)
            tally.steps += 1
            tally.operations.update(operation.name for operation in step.operations)
            if ours != reference:
                case = Case(conversation, done, ours, reference, before)
                if not explain(case):
                    raise Unexplained(case)
                return steps[at + 1 :]
            before = ours
        return []

    def _worlds(self, conversation: Conversation, stack: ExitStack) -> tuple[World, World]:
        limit, rules = conversation.line_limit, conversation.rules
        ours = OurParty(rules["x"], limit, conversation.seed)
        x, *bobs = (
            LibotrParty(stack.enter_context(self._libotr(side, rules[side], limit)))
            for side in (*WHO, WHO[1])
        )
        return World({"x": ours, "bob": bobs[0]}), World({"x": x, "bob": bobs[1]})

    def _libotr(self, name: str, rules: Rules, limit: int | None) -> LibotrPeer:
        key = self._keys / name
        # Its longest line is one less than it is told.
        peer = LibotrPeer(
            name,
            rules.words,
            mms=0 if limit is None else limit + 1,
            options=["--keyfile", str(key), "--still-clock"],
            program=self._program,
        )
        if not key.exists():
            peer.genkey()
        return peer


def _possible(step: Step, worlds: Sequence[World]) -> Step:
    """Replace what makes no sense now: by a start, or by a text in an encrypted conversation."""
    operations = []
    for operation in step.operations:
        if not all(world.can(operation) for world in worlds):
            talking = all(world.can(replace(operation, name="key")) for world in worlds)
            operation = Operation(operation.side, *(("text", "instead") if talking else ("start",)))
        operations.append(operation)
    return replace(step, operations=tuple(operations))


def shortest(conversation: Conversation, fails: Callable[[Conversation], Case | None], case: Case) -> Case:
    """Leave out steps one by one, as long as what is left fails too."""
    at = len(conversation.steps) - 1
    while at >= 0:
        steps = conversation.steps[:at] + conversation.steps[at + 1 :]
        shorter = replace(conversation, steps=steps)
        if (found := fails(shorter)) is not None:
            conversation, case = shorter, found
        at = min(at, len(conversation.steps)) - 1
    return case
