"""What runs in version 2 as well as in version 3 takes its conversations from the `new` fixture."""

from __future__ import annotations

from functools import partial
from typing import Protocol

import pytest

from tests.spec.subject import Subject


class Maker(Protocol):
    """Makes a conversation of the version under test."""

    def __call__(self, *, their_keyid: int = ...) -> Subject: ...


@pytest.fixture(params=[2, 3], ids=["version 2", "version 3"])
def new(request: pytest.FixtureRequest) -> Maker:
    """A maker of conversations with a scripted peer."""
    return partial(Subject, version=request.param)
