"""Our own nick!user@host, as the server shows it to others, from what it says in passing. Pure."""

from __future__ import annotations

import re

_MASK = re.compile(r"[^\s!@]{1,100}![^\s!@]{1,50}@[^\s!@]{1,100}")
"""With room for more than any server uses: what is taken for our own must leave room for text."""


class OwnMask:
    """Each method takes in one thing that the server said, and returns whether the mask is another now."""

    def __init__(self) -> None:
        self.mask: str | None = None
        """nick!user@host; None while unknown."""

    def seen(self, mask: str) -> bool:
        """A line of ours has come from this mask."""
        if mask == self.mask or not _MASK.fullmatch(mask):
            return False
        self.mask = mask
        return True

    def nick_changed(self, nick: str) -> bool:
        """We are called this now."""
        return self.mask is not None and self.seen(f"{nick}!{self.mask.partition('!')[2]}")

    def host_changed(self, host: str) -> bool:
        """Our displayed host is this now (396); some servers name the user too."""
        if self.mask is None:
            return False
        keep = "!" if "@" in host else "@"
        return self.seen(f"{self.mask.rpartition(keep)[0]}{keep}{host}")
