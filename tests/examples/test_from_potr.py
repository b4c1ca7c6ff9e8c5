"""What the page for users of potr shows really runs, and takes over what potr has written."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import otrcore
from otrcore.identity import Identity
from otrcore.model import Trust
from otrcore.store.formats import potr
from otrcore.store.formats.values import FoundContact
from tests.store.formats.samples import FPR, KEY3

PAGE = Path(__file__).parents[2] / "docs" / "from-potr.md"

TakeOver = Callable[[Path, str, bytes, bytes], tuple[Identity, tuple[FoundContact, ...]]]


def blocks() -> list[str]:
    """Return the Python of the page."""
    return re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def test_the_program_runs() -> None:
    program = blocks()[0]
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "<friend@example.net> Hello! (plain)",
        "?OTRv234?",
        "not sent, no encrypted conversation came about: This waits until we are encrypted.",
    ]


def test_keys_and_trust_are_taken_over(tmp_path: Path) -> None:
    names: dict[str, Any] = {}
    exec(compile(blocks()[1], "from-potr.md", "exec"), names)
    identity, found = cast(TakeOver, names["take_over"])(tmp_path / "data", "libera", KEY3, FPR)
    assert identity.dsa.public == potr.read_key(KEY3).public
    assert {contact.nick: contact.trust for contact in found}["carol@libera"] is Trust.COMPARED


def test_calls_of_ours_exist() -> None:
    # `account` on the left of the tables is potr's.
    rows = re.findall(r"^\| .* \| (.*) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    named = re.findall(r"\b(conversation|account|identity)\.(\w+)", " ".join(rows))
    assert len(named) == 19
    for owner, name in named:
        assert name in dir(getattr(otrcore, owner.capitalize())), f"{owner}.{name}"
