"""What a StoreError has to be: one sentence that tells what happened and what to do next."""

from __future__ import annotations

import re

from otrcore.errors import StoreError

NEXT_STEP = re.compile(
    r"(name|mend|move|bring|try|install|run|free|choose|remove|make|give|look|check) ", re.IGNORECASE
)


def sentence(error: StoreError | str) -> str:
    """Return the text of an error, having looked at its form."""
    text = str(error)
    assert "\n" not in text
    assert text.endswith(".")
    what, colon, next_step = text.rpartition(": ")
    assert what
    assert colon
    assert NEXT_STEP.match(next_step), f"no next step: {text}"
    return text
