"""What a user allows with a peer (v3, "Policies")."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum

from .errors import UsageError
from .wire.header import VERSION_2, VERSION_3, VERSION_4

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
        """UsageError for a padding outside 0 to MAX_PADDING bytes, or if OTR is off and required at once."""
        if self.require_encryption and not self.versions:
            raise UsageError("Encryption cannot be required while OTR is off: allow a version.")
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

ALLOWING = {f"v{version}": version for version in (VERSION_2, VERSION_3, VERSION_4)}
FORBIDDING = {f"no-{word}": version for word, version in ALLOWING.items()}

POLICY_WORDS = (*PRESETS, *(word for allowing in ALLOWING for word in (allowing, f"no-{allowing}")))
"""What a user says to change a policy: a preset, or whether a version may be spoken."""


def changed(policy: Policy, word: str) -> Policy | None:
    """Return what a policy becomes by one of POLICY_WORDS; None if no version would be left.

    Versions and padding stay under another preset: they are said of the peer, not of its policy.
    OTR is switched on and off by presets alone, so that allowing a version does not switch it on.
    """
    if word in PRESETS:
        preset = PRESETS[word]
        versions = policy.versions if preset.versions and policy.versions else preset.versions
        return replace(preset, versions=versions, padding=policy.padding)
    added = {ALLOWING[word]} if word in ALLOWING else set()
    taken = {FORBIDDING[word]} if word in FORBIDDING else set()
    versions = (policy.versions | added) - taken if policy.versions else policy.versions
    return replace(policy, versions=versions) if versions else None


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
