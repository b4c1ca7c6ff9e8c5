"""The fixture `recorded`: a conversation of each version, with an account of ours and with libotr."""

from __future__ import annotations

from typing import get_args

import pytest

from tests.toolkit.recorded import Recorded, Source, record


@pytest.fixture(
    scope="session",
    params=[(version, source) for version in (2, 3) for source in get_args(Source)],
    ids=lambda which: f"version {which[0]}, {which[1]}",
)
def recorded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """A conversation that somebody in between has recorded."""
    version, source = request.param
    return record(version, source, tmp_path_factory.mktemp("recorded"))
