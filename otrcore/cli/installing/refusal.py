"""Why nothing was installed or removed, in one sentence."""

from __future__ import annotations

from pathlib import Path

from ...errors import OtrcoreError
from ..doctor.findings import quoted, why


class Refusal(OtrcoreError):
    """A chat client's folders are as they were; the text says why, and what to do next."""


def unchanged(error: OSError, folder: Path) -> Refusal:
    """Return the refusal for what the system did not let us do in a folder."""
    named = error.filename if isinstance(error.filename, str | Path) else folder
    return Refusal(f"Nothing was changed, as {quoted(named)} cannot be used ({why(error)}): mend that first.")
