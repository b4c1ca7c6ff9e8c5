"""Search for inputs by the branches that they take: `python -m tests.fuzz.coverage_guided`.

    coverage_guided FOLDER [OPTION ...]     search on; inputs that found something new are kept in FOLDER
    coverage_guided --vector FILE           print what was found in FILE as an entry for vectors.json

Options are libFuzzer's, as `-max_total_time=300`.  Needs atheris, which nothing else here does.
"""

from __future__ import annotations

import importlib
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.fuzz.states import Scene
    from tests.fuzz.watch import Watch


def seed(folder: Path) -> None:
    """Put real messages of every room into the folder, for the search to begin with."""
    from tests.fuzz import vectors
    from tests.fuzz.forge import SignatureForger
    from tests.fuzz.mutator import written
    from tests.fuzz.states import EVERYWHERE
    from tests.robustness.scenes import message_of, raw_of

    for number, (room, version) in enumerate(EVERYWHERE):
        scene = _scene(room, version, 0)
        steps = [vectors.Step(vectors.Kind.LINE, line) for line in scene.due]
        for line in scene.peers:
            header = message_of(line).header
            content = raw_of(line)[header.length :].hex()
            steps.append(vectors.Step(vectors.Kind.MESSAGE, content, header.type))
        steps += [vectors.Step(vectors.Kind.RECORD, one.value.hex(), one.type) for one in scene.records]
        if scene.signing:
            content = written(SignatureForger(scene.signing).genuine).hex()
            steps.append(vectors.Step(vectors.Kind.SIGNED, content))
        for at, step in enumerate(steps):
            vector = vectors.Vector("", room, version, at % 2, (step,))
            (folder / f"seed-{number:02}-{at:02}").write_bytes(vectors.to_bytes(vector))


@cache
def _scene(room: str, version: int, seed: int) -> Scene:
    from tests.fuzz.states import enter

    return enter(room, version, seed)


@cache
def _watch(room: str, version: int, seed: int) -> Watch:
    from tests.fuzz.watch import Watch

    return Watch(_scene(room, version, seed))


def one_input(data: bytes) -> None:
    """Play what these bytes mean; an invariant that does not hold is raised, and so found."""
    from tests.fuzz import vectors

    vector = vectors.from_bytes(data)
    watch = _watch(vector.room, vector.version, vector.seed)
    for attempt in vector.attempts(_scene(vector.room, vector.version, vector.seed)):
        watch.give(attempt)
    if watch.changed:
        watch.finish()


def search(folder: Path, options: list[str]) -> None:
    """Search until libFuzzer's options say stop."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["otrcore"]):
        # Whatever is imported here for the first time reports its branches; the harness does not.
        importlib.import_module("otrcore.account")
        importlib.import_module("tests.fuzz.vectors")
    folder.mkdir(parents=True, exist_ok=True)
    seed(folder)
    atheris.Setup(
        [sys.argv[0], str(folder), f"-artifact_prefix={folder.resolve()}-found-", *options], one_input
    )
    atheris.Fuzz()


def main(arguments: list[str]) -> None:
    """Do what the module's text says."""
    match arguments:
        case ["--vector", file]:
            from tests.fuzz import vectors

            print(vectors.as_json(vectors.from_bytes(Path(file).read_bytes())))
        case [folder, *options] if not folder.startswith("-"):
            search(Path(folder), options)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
