"""What operators do from within a conversation: verbs that exist only for their keys, and bans."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Protocol

from otrbot.talk.verbs import Verb, Visit

from otrcore.irc.isupport import Features
from otrcore.irc.names import fold
from otrcore.model import SessionInfo

MAX_BANS = 1000
"""That are added while the bot runs."""

MAX_MASK = 200
"""Bytes."""

_MASK = re.compile(r"[^\s!@]+![^\s!@]+@[^\s!@]+")


class Desk(Protocol):
    """What the verbs of operators act on."""

    @property
    def stats(self) -> str:
        """How things stand, in one line without a nick."""

    def ban(self, mask: str) -> str:
        """Answer nobody of this mask any more; return what to say."""

    def unban(self, mask: str) -> str:
        """Take a ban back; return what to say."""

    def wish(self, what: str) -> None:
        """Ask the process to "reload" or to "quit"."""


def is_admin(admins: Collection[str], sessions: Collection[SessionInfo]) -> bool:
    """Whether every client that a nick has an encrypted conversation with us by has the key of an operator.

    All of them, as the answer goes to one of them and the verb came from one.
    """
    return bool(sessions) and all(info.their_fingerprint.digest.hex().upper() in admins for info in sessions)


def verbs(desk: Desk) -> tuple[Verb, ...]:
    """Return the verbs that operators have besides those for everybody."""

    def saying(does: Callable[[str], str]) -> Callable[[Visit, str], None]:
        return lambda visit, argument: visit.say(does(argument))

    def wishing(what: str, said: str) -> Callable[[Visit, str], None]:
        def run(visit: Visit, argument: str) -> None:
            visit.say(said)
            desk.wish(what)

        return run

    return (
        Verb("stats", "tells how things stand", saying(lambda argument: desk.stats)),
        Verb("ban", "answers nobody of a mask nick!user@host any more", saying(desk.ban), "MASK"),
        Verb("unban", "takes a ban back", saying(desk.unban), "MASK"),
        Verb(
            "reload",
            "reads limits, bans and admins from the configuration",
            wishing("reload", "the configuration is being read"),
        ),
        Verb("quit", "ends the bot", wishing("quit", "I am leaving")),
    )


class Bans:
    """Masks nick!user@host, with * and ?; those of the configuration, and those that were added since."""

    def __init__(self, configured: Iterable[str] = ()) -> None:
        self._added: dict[str, None] = {}
        self._features = Features()
        self.configure(configured)

    def __len__(self) -> int:
        return len(self._masks)

    def configure(self, configured: Iterable[str]) -> None:
        """Have other ones from the configuration; what was added stays."""
        self._configured = dict.fromkeys(configured)
        self._compile()

    def fold_as(self, features: Features) -> None:
        """Compare as this server does."""
        self._features = features
        self._compile()

    def __contains__(self, mask: str) -> bool:
        """Whether somebody, as nick!user@host, is banned."""
        folded = fold(mask, self._features)
        return any(_matches(pieces, folded) for pieces in self._masks.values())

    def add(self, mask: str) -> str:
        """Ban; return what to say of it."""
        if not _MASK.fullmatch(mask) or len(mask.encode()) > MAX_MASK:
            return "write !ban nick!user@host, with * and ? for what may be anything"
        if mask in self._masks:
            return "that was banned already"
        if len(self._added) >= MAX_BANS:
            return "there are too many bans: write them into the configuration"
        self._added[mask] = None
        self._masks[mask] = self._pieces(mask)
        return "banned until the bot ends: write it into the configuration to keep it"

    def remove(self, mask: str) -> str:
        """Take a ban back; return what to say of it."""
        if mask not in self._masks:
            return "that mask is not banned: write it as it was written"
        self._added.pop(mask, None)
        in_configuration = mask in self._configured
        self._configured.pop(mask, None)
        self._compile()
        return (
            "not banned until the configuration is read again: take it out there"
            if in_configuration
            else "not banned any more"
        )

    def _compile(self) -> None:
        self._masks = {mask: self._pieces(mask) for mask in (*self._configured, *self._added)}

    def _pieces(self, mask: str) -> list[re.Pattern[str]]:
        """Return what stands between the stars."""
        return [
            re.compile(re.escape(piece).replace(r"\?", "."), re.DOTALL)
            for piece in fold(mask, self._features).split("*")
        ]


def _matches(pieces: Sequence[re.Pattern[str]], subject: str) -> bool:
    """Whether these pieces, with anything between them, are all of it; never slow, as one pattern can be."""
    first, *others = pieces
    if not others:
        return first.fullmatch(subject) is not None
    found = first.match(subject)
    for piece in others[:-1]:
        found = found and piece.search(subject, found.end())
    last = others[-1]
    if found is None:
        return False
    return any(last.fullmatch(subject, at) for at in range(found.end(), len(subject) + 1))
