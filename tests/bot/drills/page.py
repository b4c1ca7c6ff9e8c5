"""The page of drills, as data."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "bot-drills.md"

_FINGERPRINT = re.compile(r"[0-9A-F]{8}( [0-9A-F]{8}){4,13}")


@cache
def table(heading: str) -> dict[str, list[str]]:
    """Return the rows below a heading of the page: cells by the drill's name."""
    _, _, section = PAGE.read_text("utf-8").partition(f"\n## {heading}\n")
    section, _, _ = section.partition("\n## ")
    rows = (line[2:-2].split(" | ") for line in section.splitlines() if line.startswith("| `"))
    return {row[0].strip("`"): row[1:] for row in rows}


def cell(did: Sequence[str]) -> str:
    """Return what stands on the page for what a client did; fingerprints, which differ, as dots."""
    said = "; ".join(_FINGERPRINT.sub("…", what) for what in did)
    assert "|" not in said
    return said or "nothing"
