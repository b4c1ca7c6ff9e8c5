"""Wall-clock time as the store keeps it: UTC, ISO 8601, to the second."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> str:
    """Return this moment."""
    return datetime.now(UTC).isoformat(timespec="seconds")
