"""HexChat's tabs, which it calls contexts, and the names of the servers that they belong to."""

from __future__ import annotations

from typing import Any, Callable, Dict, NamedTuple

import hexchat  # type: ignore[import-not-found,unused-ignore]

SERVER, CHANNEL, DIALOG = 1, 2, 3
"""Kinds of tabs that matter."""

_CONNECTED, _WELCOMED = 1 << 0, 1 << 3

Names = Dict[int, str]


class Tab(NamedTuple):
    """A tab as it is just now."""

    context: Any
    number: int
    """HexChat's, of the connection to a server."""
    server: str
    name: str
    """A nick, a channel or what the server is called."""
    kind: int
    flags: int
    queue: int
    """Bytes that wait to be sent to the server."""

    @property
    def peer(self) -> str:
        """With whom the conversation in this tab is; nobody if it is none."""
        return self.name if self.kind == DIALOG else ""

    @property
    def registered(self) -> bool:
        """Whether the server has welcomed us, and we are still there."""
        return bool(self.flags & _CONNECTED and self.flags & _WELCOMED)


class Tabs:
    """All tabs.  A server goes by the name of its network, and by a number too if there are two of a name."""

    def __init__(self, names: Names) -> None:
        """`names` are those of servers that were given one, and are kept in step."""
        self._names = names

    def all(self) -> list[Tab]:
        """Return every tab."""
        rows = hexchat.get_list("channels") or []
        return [
            Tab(
                row.context,
                row.id,
                self._names.get(row.id) or row.network or row.server,
                row.channel,
                row.type,
                row.flags,
                row.queue,
            )
            for row in rows
        ]

    def here(self) -> Tab:
        """Return the tab in which something happens; LookupError."""
        context = hexchat.get_context()
        for tab in self.all():
            if tab.context == context:
                return tab
        raise LookupError("no tab")

    def front(self) -> Any:
        """Return the context that the user looks at, if any."""
        return hexchat.find_context()

    def of(self, server: str) -> Tab | None:
        """Return a tab of a server, its own if that is there."""
        theirs = [tab for tab in self.all() if tab.server == server]
        return next((tab for tab in theirs if tab.kind == SERVER), theirs[0] if theirs else None)

    def dialog(self, server: str, peer: str, fold: Callable[[str], str], create: bool = False) -> Tab | None:
        """Return the tab of a conversation, which is opened behind the others if `create` asks for it."""
        key = fold(peer)
        for tab in self.all():
            if tab.kind == DIALOG and tab.server == server and fold(tab.name) == key:
                return tab
        around = self.of(server) if create and peer and " " not in peer else None
        if around is None:
            return None
        around.context.command(f"QUERY -nofocus {peer}")
        return self.dialog(server, peer, fold)

    def settle_name(self, number: int) -> str:
        """Give the server of a connection the name that it keeps while it lasts."""
        tabs = self.all()
        for gone in set(self._names) - {tab.number for tab in tabs}:
            del self._names[gone]
        self._names.pop(number, None)
        name = next(tab.server for tab in self.all() if tab.number == number)
        self._names[number] = name if name not in self._names.values() else f"{name}/{number}"
        return self._names[number]
