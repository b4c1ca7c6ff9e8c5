"""The words for policies, which the commands for contacts and networks take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import UsageError

if TYPE_CHECKING:
    from ..policy import Policy

USUAL = "usual"


def _complete(incomplete: str) -> list[str]:
    from ..policy import POLICY_WORDS

    return [word for word in (*POLICY_WORDS, USUAL) if word.startswith(incomplete)]


def _checked(word: str | None) -> str | None:
    from ..policy import POLICY_WORDS

    if word is not None and word.lower() not in (*POLICY_WORDS, USUAL):
        raise typer.BadParameter(f"{word!r} is none of {', '.join((*POLICY_WORDS, USUAL))}.")
    return word and word.lower()


Word = Annotated[
    str | None,
    typer.Argument(
        metavar="POLICY",
        help="One of these words; none shows what holds.",
        callback=_checked,
        autocompletion=_complete,
    ),
]

POLICIES = """\b
  never          OTR is switched off
  manual         a conversation begins when one of you asks for it
  default        as manual, and who is known to have OTR is offered it
  opportunistic  everybody is offered OTR
  always         nothing that you type leaves unencrypted
  usual          nothing of its own: what is more general holds
  v4, no-v4      OTR version 4 may be spoken, or not; so with v3 and v2

"""
"""What the words mean, as the end of a help text."""


def chosen(word: str, before: Policy | None, general: Policy | None) -> Policy | None:
    """Return the policy for a word, as the chat does; UsageError if no version would be left.

    `general` is what holds where there is none, None for the default.
    """
    from ..policy import DEFAULT, changed

    if word == USUAL:
        return None
    policy = changed(before or general or DEFAULT, word)
    if policy is None:
        raise UsageError(
            "Nothing was changed, as no version of OTR would be left. "
            "The policy  never  switches OTR off, another one of the first five on."
        )
    return policy


def policy_name(policy: Policy | None) -> str | None:
    """Return the word for a policy; None where there is no policy of its own."""
    from ..policy import name_of

    return None if policy is None else name_of(policy) or "your own"


def described(policy: Policy) -> str:
    """Return a policy as its word and the versions that may be spoken."""
    versions = [str(version) for version in sorted(policy.versions)]
    if not versions:
        return str(policy_name(policy))
    *others, last = versions
    spoken = f"versions {', '.join(others)} and {last}" if others else f"version {last} alone"
    return f"{policy_name(policy)}, OTR {spoken}"
