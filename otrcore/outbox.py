"""Texts of the user that could not leave at once, and the last one that did.

Whatever goes out by itself does so only to the key that it was meant for: who answers
a later start may be somebody else, and the user has not seen the warning yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from .memory import PeerMemory
from .model import Fingerprint, Trust

MAX_WAITING = 50
MAX_WAITING_CHARACTERS = 64 * 1024
"""Limits of what waits; a user who has typed more had better hear that nothing leaves."""

RESEND_WITHIN = 60.0
"""Seconds after which a text is too old to be said again by itself."""


class SentText(NamedTuple):
    """The last text that left encrypted, when, and to which key."""

    text: str
    at: float
    fingerprint: Fingerprint


@dataclass(frozen=True, slots=True)
class Release:
    """What a new session does to texts: one to say again, those that leave now, and those that are held."""

    again: str | None
    leaving: tuple[str, ...]
    held: tuple[str, ...]


class Outbox:
    """What waits for an encrypted conversation with one peer."""

    __slots__ = ("_held", "_last", "_lost", "_queue")

    def __init__(self) -> None:
        """Begin empty: what waits is not kept over restarts."""
        self._queue: list[str] = []
        self._held: tuple[str, ...] = ()
        self._last: SentText | None = None
        self._lost = False

    @property
    def held(self) -> tuple[str, ...]:
        """Texts that only leave when the user says so: they were meant for another key."""
        return self._held

    @property
    def empty(self) -> bool:
        """Whether no text waits for anything."""
        return not self._queue and not self._held

    def queue(self, text: str) -> bool:
        """Keep a text until there is an encrypted conversation; false if too much waits already."""
        waiting = [*self._held, *self._queue]
        if len(waiting) >= MAX_WAITING or sum(map(len, waiting)) + len(text) > MAX_WAITING_CHARACTERS:
            return False
        self._queue.append(text)
        return True

    def sent(self, text: str, fingerprint: Fingerprint, now: float) -> None:
        """Remember the last text, as its loss may be reported."""
        self._last = SentText(text, now, fingerprint)
        self._lost = False

    def withdraw(self, text: str) -> None:
        """Forget the newest such text: the user has it back, and it must not leave any more."""
        if text in self._queue:
            del self._queue[len(self._queue) - 1 - self._queue[::-1].index(text)]
        elif text in self._held:
            at = len(self._held) - 1 - self._held[::-1].index(text)
            self._held = (*self._held[:at], *self._held[at + 1 :])
        if self._last is not None and self._last.text == text:
            self.forget_last()

    def complained(self) -> None:
        """The peer could not read something: the last text is said again in the next session."""
        self._lost = self._last is not None

    def forget_last(self) -> None:
        """The session is over: what was said in it is not said again."""
        self._last, self._lost = None, False

    def opened(self, fingerprint: Fingerprint, before: PeerMemory, now: float) -> Release:
        """Decide what leaves in a session that has opened with this key.

        `before` is what was known of the peer before this session.
        """
        last = self._last if self._lost else None
        if last is not None and now >= last.at + RESEND_WITHIN:
            last = None
        same_key = last is not None and last.fingerprint == fingerprint
        stranger = before.verified and before.trust(fingerprint) is Trust.NONE
        queue = tuple(self.give_back())
        if self._lost or (self._last is not None and self._last.fingerprint != fingerprint):
            self.forget_last()
        held: tuple[str, ...] = () if last is None or same_key else (last.text,)
        held += queue if stranger else ()
        self._held += held
        return Release(last.text if last and same_key else None, () if stranger else queue, held)

    def give_back(self) -> list[str]:
        """Return what waits in vain, as no encrypted conversation came about."""
        texts, self._queue = self._queue, []
        return texts

    def take_held(self) -> tuple[str, ...]:
        """Return the held texts, which the user has decided about."""
        texts, self._held = self._held, ()
        return texts
