"""The numbers under which a client is asked for secrets: those of all its servers in one row."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from ..irc.actions import AskSecret

UNLOCK = 0
"""Number of the prompt for the passphrase of the private keys."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A secret that a client was asked for."""

    server: str
    peer: Hashable
    """Whose conversation it is for, in whatever form compares equal for the same one."""
    prompt: AskSecret


class PromptNumbers:
    """One open prompt for each conversation, as each host has it."""

    def __init__(self) -> None:
        self._asked: dict[int, Asked] = {}
        self._last = UNLOCK

    def __len__(self) -> int:
        return len(self._asked)

    def opened(self, asked: Asked) -> int:
        """Return the number of a prompt: the same if it was seen before, and another peer's nick then."""
        known = self._find(asked.server, asked.prompt)
        for number, other in list(self._asked.items()):
            # A newer prompt takes the place of an older one.
            if number == known or (other.server, other.peer) == (asked.server, asked.peer):
                del self._asked[number]
        if known is None:
            self._last += 1
            known = self._last
        self._asked[known] = asked
        return known

    def closed(self, server: str, prompt: AskSecret) -> int | None:
        """Return the number of a prompt that is over; None if it was over already."""
        number = self._find(server, prompt)
        if number is not None:
            del self._asked[number]
        return number

    def answered(self, number: int) -> Asked | None:
        """Return what a secret was asked for, once."""
        return self._asked.pop(number, None)

    def _find(self, server: str, prompt: AskSecret) -> int | None:
        for number, asked in self._asked.items():
            if (asked.server, asked.prompt.number) == (server, prompt.number):
                return number
        return None
