"""As whom and where we are on a connection, and what that makes of nicks and of the room in a line."""

from __future__ import annotations

from collections import OrderedDict

from ..conversation import SMALLEST_LINE_LIMIT
from ..errors import OtrcoreError
from .isupport import Features
from .lines import NO_ROOM, text_limit
from .names import Addressed, Recipient, Target, classify, fold

MAX_LIMITS = 500
"""Nicks of which it is kept how long a line to them may be."""


class Presence:
    """Our nick and mask, the network and its features."""

    def __init__(self, services: frozenset[str]) -> None:
        """`services` are folded nicks that are no persons, besides those that are named like it."""
        self._services = services
        self.network = ""
        """Canonical name; empty before `enter`."""
        self.features = Features()
        self.nick = ""
        self._mask: str | None = None
        self._limits: OrderedDict[str, int] = OrderedDict()

    def enter(self, network: str, nick: str, features: Features, mask: str | None) -> None:
        """Be on a network under a nick."""
        self.network, self.nick, self.features, self._mask = network, nick, features, mask

    def mask_changed(self, nick: str, mask: str | None) -> None:
        """Our own nick and nick!user@host, as others see them, are now these."""
        self.nick, self._mask = nick, mask

    def nick_changed(self, new: str) -> None:
        """Our own nick is another one."""
        self.nick = new
        if self._mask is not None:
            self._mask = f"{new}!{self._mask.partition('!')[2]}"

    @property
    def name(self) -> str:
        """Our nick in the form that both sides of a key exchange fold it to, whatever case it is typed in."""
        return self.fold(self.nick)

    def fold(self, nick: str) -> str:
        """Return the form in which the server compares nicks."""
        return fold(nick, self.features)

    def is_own(self, nick: str) -> bool:
        """Whether a nick is ours."""
        return fold(nick, self.features) == fold(self.nick, self.features)

    def classify(self, targets: str, text: str) -> Addressed:
        """Sort a message by its targets and its text."""
        return classify(targets, text, self.features, self._services)

    def recipient(self, nick: str) -> Recipient:
        """Return whom a command means; a list of targets is nobody."""
        recipients = self.classify(nick, "").recipients
        if len(recipients) == 1:
            return recipients[0]
        return Recipient(nick, nick, Target.SERVER_MASK, self.fold(nick))

    def key(self, nick: str) -> str:
        """Return the same for everything that is a peer's nick on this network."""
        return self.recipient(nick).key

    def set_limit(self, nick: str, limit: int) -> None:
        """Take note how many bytes of text the client's own cutting leaves whole in a line to a nick."""
        key = self.key(nick)
        self._limits[key] = limit
        self._limits.move_to_end(key)
        if len(self._limits) > MAX_LIMITS:
            self._limits.popitem(last=False)

    def room(self, nick: str) -> int:
        """Return how many bytes of text a line to a nick may have."""
        room = text_limit(self.nick, self._mask, nick)
        return min(room, self._limits.get(self.key(nick), room))

    def require_room(self, nick: str) -> None:
        """Raise OtrcoreError if a line to a nick is too short for OTR."""
        if self.room(nick) < SMALLEST_LINE_LIMIT:
            raise OtrcoreError(NO_ROOM.format(nick))
