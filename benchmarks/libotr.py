"""libotr's side: `otrbench`, a process that takes one sample of a row whenever it is asked to."""

from __future__ import annotations

import select
import subprocess
from pathlib import Path
from types import TracebackType

BINARY = Path(__file__).parents[1] / "tests" / "interop" / "libotr" / "otrbench"
DEADLINE = 60.0
"""Seconds after which a sample has failed; the longest takes less than one."""


class LibotrFailed(Exception):
    """libotr's side gave no number; the text is a sentence for the user."""


class Libotr:
    """The running `otrbench`; its own complaints go to standard error."""

    def __init__(self) -> None:
        if not BINARY.exists():
            raise LibotrFailed("libotr's side is not built: `make bench` builds it.")
        self._process = subprocess.Popen([BINARY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def sample(self, row: str) -> float:
        """Return seconds of CPU time for one unit of work of the row.  Raises LibotrFailed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(f"{row}\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise LibotrFailed("libotr's side has ended.") from error
        if not select.select([self._process.stdout], [], [], DEADLINE)[0]:
            raise LibotrFailed(f"libotr's side took longer than {DEADLINE:.0f} seconds for {row}.")
        name, _, seconds = self._process.stdout.readline().partition(" ")
        if name != row:
            raise LibotrFailed(f"libotr's side did not do its work for {row}.")
        return float(seconds)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Libotr:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
