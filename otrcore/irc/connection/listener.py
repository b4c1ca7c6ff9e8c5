"""What a connection tells whoever holds it: messages, and who comes, goes and is called what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from ..lines import Command


@dataclass(frozen=True, slots=True)
class IncomingMessage:
    """A PRIVMSG or NOTICE as the server delivered it."""

    sender: str
    """Nick of the sender, or the server's name when the server itself speaks: one printable word of at most
    100 bytes, and a possible target.
    """
    mask: str
    """nick!user@host; equal to `sender` when the server itself speaks."""
    target: str
    text: str
    """Exactly the line's last parameter, without CR and NUL: CTCP framing and formatting codes are still
    in it.
    """
    command: Command
    tags: Mapping[str, str]


class Listener(Protocol):
    """Hears what happens on a connection, from within `Connection.process`.

    An exception in one of these is caught, counted and logged by its class; `Connection.process` must not be
    called from within them, everything else of the connection may.
    """

    def ready(self) -> None:
        """Registered: nick and features are known, and `send` works. Messages come only after this."""

    def message(self, message: IncomingMessage) -> None:
        """Somebody, or the server, sent a PRIVMSG or a NOTICE to us or to a channel."""

    def nick_changed(self, old: str, new: str) -> None:
        """Somebody changed nick: we ourselves (then `Connection.nick` is already the new one) or another."""

    def gone(self, nick: str, reason: str) -> None:
        """`nick` has quit, or the server says that there is nobody of that name (401)."""

    def own_mask_changed(self) -> None:
        """`Connection.own_mask` has become known or has changed."""

    def disconnected(self, reason: str) -> None:
        """The connection is lost, for the reason in one sentence for the user. Not called after our own
        `quit`.
        """
