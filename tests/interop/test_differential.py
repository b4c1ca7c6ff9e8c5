"""Random conversations, held by libotr with us and by libotr with itself, look the same to both users.

What may differ is in the table of `allowed`, and nothing there may be without use.  A conversation that
differs otherwise is shown in its shortest form; `conversation(seed)` makes it again.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.interop.allowed import ALLOWED, Allowed, explain
from tests.interop.differential import Conversation, Operation, Rules, Step, Trouble, Who
from tests.interop.oracle import BINARY
from tests.interop.sequences import SHORT, Case, Laboratory, Tally, Unexplained, conversation, shortest
from tests.support import require

LONG_CONVERSATIONS = int(os.environ.get("DIFFERENTIAL_CONVERSATIONS", "200"))
SHORT_CONVERSATIONS = 1800
PARTS = 6
"""The short ones are run in so many tests, which may run side by side."""


def scene(x: str, bob: str, *steps: Step, limit: int | None = None) -> Conversation:
    """Return a conversation written by hand; the policies are versions and flags, such as `23+require`."""
    rules: dict[Who, Rules] = {}
    for side, words in (("x", x), ("bob", bob)):
        versions, *flags = words.split("+")
        rules["x" if side == "x" else "bob"] = Rules(frozenset(map(int, versions)), frozenset(flags))
    return Conversation(0, rules, limit, steps)


def by(side: Who, name: str, detail: str = "", *, after: int = 0, trouble: Trouble | None = None) -> Step:
    """Return a step of one operation."""
    return Step((Operation(side, name, detail),), trouble, after)


START = by("x", "start")
SCENES = [
    scene("2+errstart", "2", START, by("x", "abort"), by("x", "hears", "?OTR Error: made up", after=13)),
    scene("2+errstart", "2", START, by("x", "end"), by("x", "hears", "?OTR Error: made up")),
    scene(
        "2", "2", START, by("x", "text", "old"), by("bob", "replayed", after=67), by("x", "start", after=13)
    ),
    scene(
        "3",
        "3",
        START,
        by("x", "start", after=67, trouble=Trouble("lose", "x", 1)),
        by("bob", "text", "still there?"),
    ),
    scene("3", "3", START, by("x", "start", trouble=Trouble("lose", "x", 1)), by("bob", "start")),
    scene("3", "3", START, by("bob", "start", trouble=Trouble("lose", "x", 1))),
    scene("3", "3", START, START, by("bob", "text", "damaged", trouble=Trouble("damage", "bob"))),
    scene("3+tagstart", "3", START, by("x", "hears a tag", "3", after=13)),
    scene("23", "23", START, by("x", "hears", "?OTRv2?", after=13)),
    scene("23", "23", by("bob", "hears", "?OTRv2?"), START),
    scene("23", "2", START, by("x", "hears", "?OTRv3?", after=13)),
    scene("3", "3", START, by("x", "end", trouble=Trouble("lose fragment", "x")), limit=100),
    scene("23", "2", by("x", "hears", "?OTRv23?"), by("x", "text", "not for everybody")),
    scene("2+require", "2", by("x", "text", "kept", trouble=Trouble("lose fragment", "x")), limit=100),
    scene("3", "3", START, by("x", "ask", "blue"), by("x", "ask", "red")),
    scene("2+tag", "2+tagstart", by("x", "text", "long enough " * 8), limit=100),
]
"""What the random ones seldom come to."""


@pytest.fixture
def laboratory(keys_of_libotr: Path) -> Laboratory:
    return Laboratory(Path(require(str(BINARY))), keys_of_libotr)


def failing(
    laboratory: Laboratory, explained: Callable[[Case], Sequence[object]]
) -> Callable[[Conversation], Case | None]:
    """Return what runs a conversation, and returns the difference that is not explained."""

    def fails(talk: Conversation) -> Case | None:
        try:
            laboratory.run(talk, explained, Tally())
        except Unexplained as error:
            return error.case
        return None

    return fails


def hold(
    laboratory: Laboratory,
    talks: Sequence[Conversation],
    explained: Callable[[Case], Sequence[object]],
    tally: Tally,
) -> None:
    """Run conversations; a difference that is not explained is shown as short as it gets."""
    for talk in talks:
        try:
            laboratory.run(talk, explained, tally)
        except Unexplained as error:
            found = shortest(talk, failing(laboratory, explain), error.case)
            pytest.fail(f"not in the table, and here as short as it gets:\n{found}", pytrace=False)


def test_only_what_the_table_allows_differs(
    laboratory: Laboratory, record_property: Callable[[str, object], None]
) -> None:
    tally = Tally()
    used: Counter[Allowed] = Counter()

    def explained(case: Case) -> Sequence[Allowed]:
        entries = explain(case)
        used.update(entries)
        return entries

    talks = [*SCENES, *map(conversation, range(LONG_CONVERSATIONS))]
    hold(laboratory, talks, explained, tally)
    record_property("conversations", len(talks))
    record_property("steps", tally.steps)
    record_property("operations", dict(tally.operations))
    record_property("allowed differences", {str(entry): used[entry] for entry in ALLOWED})
    print(f"{len(talks)} conversations, {tally.steps} steps, {dict(tally.operations)}")
    print(*(f"{used[entry]:5} {entry}" for entry in ALLOWED), sep="\n")
    assert [str(entry) for entry in ALLOWED if not used[entry]] == []


@pytest.mark.parametrize("part", range(PARTS))
def test_short_conversations(
    laboratory: Laboratory, record_property: Callable[[str, object], None], part: int
) -> None:
    tally = Tally()
    talks = [conversation(seed, SHORT) for seed in range(part, SHORT_CONVERSATIONS, PARTS)]
    hold(laboratory, talks, explain, tally)
    record_property("conversations", len(talks))
    record_property("steps", tally.steps)


def test_a_difference_is_found_and_shortened(laboratory: Laboratory) -> None:
    """Of a talk in which both start at once only that is left, where nothing is allowed."""
    rules = Rules(frozenset({3}), frozenset())
    texts = [Step((Operation(side, "text", f"{side} says something"),)) for side in ("x", "bob")]
    crossing = Step((Operation("x", "start"), Operation("bob", "start")))
    talk = Conversation(0, {"x": rules, "bob": rules}, None, (*texts, crossing, *texts))

    def nothing_allowed(_: Case) -> Sequence[object]:
        return ()

    fails = failing(laboratory, nothing_allowed)
    case = fails(talk)
    assert case is not None
    assert case.step == crossing
    assert {"agreed", "x.state", "bob.state"} <= case.differences
    found = shortest(talk, fails, case)
    assert found.steps == [crossing]
    assert str(found).splitlines()[3] == "  x start while bob start, x heard first"


def test_a_conversation_is_made_by_its_seed() -> None:
    assert conversation(7) == conversation(7)
    assert len({str(conversation(seed)) for seed in range(50)}) == 50
