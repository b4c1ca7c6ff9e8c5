"""What a user allows with a peer (v3, "Policies")."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from .errors import UsageError

MAX_PADDING = 4096
"""Bytes; more would be fragments of nothing."""


class Tagging(Enum):
    """Whom plain texts offer OTR to, by the whitespace tag."""

    NOBODY = "nobody"
    KNOWN = "peers who have talked by OTR before"
    EVERYBODY = "everybody"


@dataclass(frozen=True, slots=True)
class Policy:
    """Allowed versions, and what may start a conversation by itself.

    Without any version OTR is off: every text passes untouched, both ways.  `padding` is
    the size in bytes that messages are filled up to a multiple of, so that their length
    says less about the text; 0 for none.
    """

    versions: frozenset[int]
    send_tag: Tagging = Tagging.NOBODY
    start_on_tag: bool = False
    start_on_error: bool = False
    require_encryption: bool = False
    padding: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.padding <= MAX_PADDING:
            raise UsageError(f"Messages can be padded to multiples of up to {MAX_PADDING} bytes.")

    def best_common(self, offered: Iterable[int]) -> int | None:
        """Return the highest version that both sides allow, None if there is none."""
        return max(self.versions.intersection(offered), default=None)

    @property
    def query(self) -> str:
        """The Query Message that offers the allowed versions, without human text."""
        return "?OTRv" + "".join(str(version) for version in sorted(self.versions)) + "?"


_NEWEST = frozenset({3, 4})

NEVER = Policy(frozenset())
"""Nothing of ours is sent, nothing of theirs is read as OTR."""

MANUAL = Policy(_NEWEST)
"""Conversations start on request of either side."""

DEFAULT = Policy(_NEWEST, Tagging.KNOWN, start_on_tag=True, start_on_error=True)
"""For chat clients: people and bots without OTR see nothing of it, peers who have it are offered it."""

OPPORTUNISTIC = Policy(_NEWEST, Tagging.EVERYBODY, start_on_tag=True, start_on_error=True)
"""Everybody is offered OTR."""

ALWAYS = Policy(_NEWEST, start_on_tag=True, start_on_error=True, require_encryption=True)
"""No text of the user leaves unencrypted."""

PRESETS = {
    "never": NEVER,
    "manual": MANUAL,
    "default": DEFAULT,
    "opportunistic": OPPORTUNISTIC,
    "always": ALWAYS,
}
"""By the names that users know them under."""


def name_of(policy: Policy) -> str | None:
    """Return the name of the preset that a policy is, whatever its versions and padding; None for another."""
    return next((name for name, preset in PRESETS.items() if _behaviour(preset) == _behaviour(policy)), None)


def _behaviour(policy: Policy) -> tuple[object, ...]:
    return (
        bool(policy.versions),
        policy.send_tag,
        policy.start_on_tag,
        policy.start_on_error,
        policy.require_encryption,
    )
