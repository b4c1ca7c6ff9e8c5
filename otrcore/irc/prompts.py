"""Which secrets users have been asked for and have not given yet: one at most for each conversation."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

from .actions import AskSecret, CloseSecret


class Prompts:
    """By the key of the conversation.

    A prompt belongs to one encrypted session and to one question in it.  It ends with them,
    as the next session may be with somebody else; but it follows the peer to another nick.
    """

    def __init__(self) -> None:
        self._open: dict[str, AskSecret] = {}
        self._numbers = count(1)

    def __contains__(self, key: str) -> bool:
        return key in self._open

    def __len__(self) -> int:
        return len(self._open)

    def open(self, key: str, peer: str, question: str | None, *, by_peer: bool) -> AskSecret:
        """Ask, instead of what was asked for before."""
        prompt = self._open[key] = AskSecret(peer, question, by_peer, next(self._numbers))
        return prompt

    def find(self, prompt: AskSecret) -> str | None:
        """Return the key of a prompt's conversation, None if it is not open."""
        return next((key for key, asked in self._open.items() if asked.number == prompt.number), None)

    def take(self, prompt: AskSecret) -> str | None:
        """End a prompt that is answered; return as `find` does."""
        key = self.find(prompt)
        if key is not None:
            del self._open[key]
        return key

    def close(self, key: str) -> tuple[CloseSecret, ...]:
        """End the prompt of a conversation, if there is one."""
        prompt = self._open.pop(key, None)
        return () if prompt is None else (CloseSecret(prompt),)

    def move(self, old: str, new: str, peer: str) -> tuple[AskSecret, ...]:
        """Follow a peer to another nick; return the prompt to show again, if there is one."""
        prompt = self._open.pop(old, None)
        if prompt is None:
            return ()
        self._open[new] = replace(prompt, peer=peer)
        return (self._open[new],)
