"""The words for policies, which the commands for contacts and networks take."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..policy import Policy


class PolicyWord(StrEnum):
    """The presets by their names, and `usual` for none of one's own."""

    NEVER = "never"
    MANUAL = "manual"
    DEFAULT = "default"
    OPPORTUNISTIC = "opportunistic"
    ALWAYS = "always"
    USUAL = "usual"


Word = Annotated[
    PolicyWord | None, typer.Argument(metavar="POLICY", help="One of these words; none shows what holds.")
]

POLICIES = """\b
  never          OTR is switched off
  manual         a conversation begins when one of you asks for it
  default        as manual, and who is known to have OTR is offered it
  opportunistic  everybody is offered OTR
  always         nothing that you type leaves unencrypted
  usual          nothing of its own: what is more general holds

"""
"""What the words mean, as the end of a help text."""


def chosen(word: PolicyWord, before: Policy | None) -> Policy | None:
    """Return the policy for a word; as in the chat, older versions that were allowed and padding stay."""
    from ..policy import PRESETS

    preset = PRESETS.get(word.value)
    if preset is None or before is None or not preset.versions:
        return preset
    return replace(preset, versions=preset.versions | before.versions, padding=before.padding)


def policy_name(policy: Policy | None) -> str | None:
    """Return the word for a policy; None where there is no policy of its own."""
    from ..policy import name_of

    return None if policy is None else name_of(policy) or "your own"
