"""The pictures that the documentation shows: what is said in them, and where they are kept."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.support import require

WORDS = [
    ("bob", "hello alice, is that really you?"),
    ("alice", "the very same! Shall we cook tonight?"),
    ("bob", "pancakes, as back then at the lake?"),
    ("alice", "/me fetches the big pan"),
    ("bob", "then I bring the maple syrup. At seven?"),
    ("alice", "at seven. And not a word to the others, it is a surprise"),
]
"""Who says what in the conversation that they show."""


def picture(name: str, screenshot: Callable[[Path], None]) -> None:
    """Keep a picture of a screen, where the environment variable `OTR_TEST_PICTURES` names a folder."""
    folder = os.environ.get("OTR_TEST_PICTURES")
    if folder:
        path = Path(folder, f"{name}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        screenshot(path)
        # Without the empty screen around the window, the time it was taken, and most of its shades.
        command = [require("mogrify"), "-trim", "+repage", "-strip", "-colors", "64", str(path)]
        subprocess.run(command, check=True, capture_output=True)
