"""What the echo peer does wrong on purpose, for people who test how their client takes it."""

from __future__ import annotations

from collections.abc import Mapping

from . import exchange, fragments, messages, texts, verification
from .stage import Drill

DRILLS: Mapping[str, Drill] = {
    drill.name: drill
    for family in (messages, fragments, exchange, verification, texts)
    for drill in family.DRILLS
}
"""By what stands behind `!drill`."""
