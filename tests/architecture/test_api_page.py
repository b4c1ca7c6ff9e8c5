"""The page of public names lists each name once, with its module, and no other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

import otrcore

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
ROW = re.compile(r"^\| `(\w+)` \| (\S.*) \|$", re.MULTILINE)


def section(title: str) -> str:
    """Return what stands below a title."""
    return PAGE.read_text("utf-8").partition(f"{title}\n")[2].partition("\n## ")[0]


def test_the_page_lists_what_is_public() -> None:
    rows = ROW.findall(PAGE.read_text("utf-8"))
    names = [name for name, _ in rows]
    assert sorted(names) == sorted(otrcore.__all__)
    assert len(names) == len(set(names))


def test_the_table_of_events_is_the_union_of_events() -> None:
    events = section("## Events")
    named = {name for name, _ in ROW.findall(events)}
    assert named == {kind.__name__ for kind in get_args(otrcore.Event)} | {"Event"}


@pytest.mark.parametrize("owner", ["Account", "Conversation"])
def test_every_method_is_listed(owner: str) -> None:
    named = re.findall(rf"`{owner}\.(\w+)`", section("## Methods of an account and of a conversation"))
    assert sorted(named) == [name for name in dir(getattr(otrcore, owner)) if not name.startswith("_")]
