"""Search for inputs by the branches that they take: `python tests/fuzz/coverage_guided.py`.

    coverage_guided.py FOLDER [OPTION ...]     search on; inputs that found something new are kept in FOLDER
    coverage_guided.py --vector FILE           print what was found in FILE as an entry for vectors.json

Options are libFuzzer's, as `-max_total_time=300`, and before them `--version N`: only in conversations
of that version.  Needs atheris, which nothing else here does.
"""

from __future__ import annotations

import importlib
import sys
import types
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection

    from tests.fuzz.states import Scene
    from tests.fuzz.watch import Watch


VERSIONS = (2, 3, 4)


def seed(folder: Path, versions: Collection[int]) -> None:
    """Put real messages of every room of these versions into the folder, for the search to begin with."""
    from tests.fuzz import vectors
    from tests.fuzz.formats import message_of, raw_of
    from tests.fuzz.mutator import signing_forger_of
    from tests.fuzz.rooms import EVERYWHERE

    for number, (room, version) in enumerate(EVERYWHERE):
        if version not in versions:
            continue
        scene = _scene(room, version, 0)
        steps = [vectors.Step(vectors.Kind.LINE, line) for line in scene.due]
        for line in scene.peers:
            header = message_of(line).header
            content = raw_of(line)[header.length :].hex()
            steps.append(vectors.Step(vectors.Kind.MESSAGE, content, header.type))
        steps += [vectors.Step(vectors.Kind.RECORD, one.value.hex(), one.type) for one in scene.records]
        if forger := signing_forger_of(scene):
            steps.append(vectors.Step(vectors.Kind.SIGNED, forger.content.hex()))
        for at, step in enumerate(steps):
            vector = vectors.Vector("", room, version, at % 2, (step,))
            (folder / f"seed-{number:02}-{at:02}").write_bytes(vectors.to_bytes(vector))


@cache
def _scene(room: str, version: int, seed: int) -> Scene:
    from tests.fuzz.rooms import enter

    return enter(room, version, seed)


@cache
def _watch(room: str, version: int, seed: int) -> Watch:
    from tests.fuzz.watch import Watch

    return Watch(_scene(room, version, seed))


def one_input(data: bytes, versions: Collection[int]) -> None:
    """Play what these bytes mean; an invariant that does not hold is raised, and so found."""
    from tests.fuzz import vectors

    vector = vectors.from_bytes(data)
    if vector.version not in versions:
        return
    watch = _watch(vector.room, vector.version, vector.seed)
    for attempt in vector.attempts(_scene(vector.room, vector.version, vector.seed)):
        watch.give(attempt)
    if watch.changed:
        watch.finish()


def search(folder: Path, options: list[str], versions: Collection[int]) -> None:
    """Search until libFuzzer's options say stop."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["otrcore"]):
        # Whatever is imported here for the first time reports its branches; the harness does not.
        importlib.import_module("otrcore.account")
        importlib.import_module("tests.fuzz.vectors")
    folder.mkdir(parents=True, exist_ok=True)
    seed(folder, versions)
    atheris.Setup(
        [sys.argv[0], str(folder), f"-artifact_prefix={folder.resolve()}-found-", *options],
        partial(one_input, versions=versions),
    )
    atheris.Fuzz()


def main(arguments: list[str]) -> None:
    """Do what the module's text says."""
    match arguments:
        case ["--vector", file]:
            from tests.fuzz import vectors

            print(vectors.as_json(vectors.from_bytes(Path(file).read_bytes())))
        case [folder, "--version", version, *options] if not folder.startswith("-"):
            search(Path(folder), options, [int(version)])
        case [folder, *options] if not folder.startswith("-"):
            search(Path(folder), options, VERSIONS)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    # A linter of ours brings a package of the name `tests` along, which would be found instead.
    tests = types.ModuleType("tests")
    tests.__path__ = [str(Path(__file__).parents[1])]
    sys.modules["tests"] = tests
    main(sys.argv[1:])
