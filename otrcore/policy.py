"""What a user allows with a peer (v3, "Policies")."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """Allowed versions, and what may start a conversation by itself.

    Without any version OTR is off: every text passes untouched, both ways.
    """

    versions: frozenset[int]
    start_on_tag: bool = False

    def best_common(self, offered: Iterable[int]) -> int | None:
        """Return the highest version that both sides allow, None if there is none."""
        return max(self.versions.intersection(offered), default=None)

    @property
    def query(self) -> str:
        """The Query Message that offers the allowed versions, without human text."""
        return "?OTRv" + "".join(str(version) for version in sorted(self.versions)) + "?"


NEVER = Policy(frozenset())
"""Nothing of ours is sent, nothing of theirs is read as OTR."""

MANUAL = Policy(frozenset({3}))
"""Conversations start on request of either side."""

DEFAULT = Policy(frozenset({3}), start_on_tag=True)
"""As MANUAL, and a peer that shows the whitespace tag is answered."""
