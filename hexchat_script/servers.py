"""What otrcore has to know of the servers that HexChat is connected to."""

from __future__ import annotations

import time
from typing import Dict, List

import hexchat  # type: ignore[import-not-found,unused-ignore]

from otrcore.client.chat import Chat

from . import raw
from .tabs import CHANNEL, Tab, Tabs

PATIENCE = 3.0
"""Seconds for which a server may take to tell of itself once more."""

MAX_TOKENS = 200
"""Of numeric 005."""

LINE = 510
"""Bytes of a line without its end, after the server has put the sender in front."""

SAFE = 350
"""Bytes of text that reach everybody on any network."""

CHEAPEST = 479
"""Bytes behind the first word of a line, with its end: one more, and HexChat waits for another second."""

Tokens = Dict[int, List[str]]


class Servers:
    """By HexChat's numbers of connections; what they said holds until they say it anew."""

    def __init__(self, tabs: Tabs, tokens: Tokens) -> None:
        """`tokens` of numeric 005 outlive this addon."""
        self.chat: Chat
        self._tabs = tabs
        self._tokens = tokens
        self._asked: dict[int, float] = {}
        self._hosts: dict[str, str] = {}
        """Our own user@host as others see it, by names of servers."""

    def begin(self) -> None:
        """Tell of servers that we are connected to already."""
        numbers = {tab.number: tab for tab in self._tabs.all() if tab.registered}
        for number, tab in numbers.items():
            if number in self._tokens:
                self._introduce(tab)
            else:  # they were said before this was loaded
                self._asked[number] = time.monotonic() + PATIENCE
                tab.context.command("QUOTE VERSION")

    def tick(self) -> None:
        """Go on with servers that have said all, or do not."""
        now = time.monotonic()
        for number in [number for number, until in self._asked.items() if now >= until]:
            del self._asked[number]
            tab = next((tab for tab in self._tabs.all() if tab.number == number and tab.registered), None)
            if tab is not None:
                self._introduce(tab)

    def numeric(self, tab: Tab, number: str, words: list[str], behind: str) -> bool:
        """Take in a numeric; tell whether it is an answer that only we have asked for."""
        asked = tab.number in self._asked
        if number == "001":
            self._tokens[tab.number] = []
        elif number == "005":
            known = self._tokens.setdefault(tab.number, [])
            for word in words:
                if word.startswith(":") or len(known) >= MAX_TOKENS:
                    break
                known.append(word)
            if asked:
                self._asked[tab.number] = time.monotonic() + PATIENCE / 6
        elif number in ("376", "422"):
            self._introduce(tab)
        elif number == "396" and words:
            self._moved(tab, hexchat.get_info("nick"), words[0])
        elif number == "401" and words:
            self.chat.peer_gone(tab.server, words[0], behind)
        return asked and number in ("005", "351")

    def _introduce(self, tab: Tab) -> None:
        name = self._tabs.settle_name(tab.number)
        context = tab.context
        nick, host = context.get_info("nick"), context.get_info("host")
        for channel in self._tabs.all():
            if channel.number == tab.number and channel.kind == CHANNEL:
                own = [user.host for user in channel.context.get_list("users") or [] if user.nick == nick]
                if own and own[0]:
                    self._hosts[name] = own[0]
                break
        tokens = self._tokens.get(tab.number) or [_casemapping()]
        self.chat.connected(name, host or "", nick, self._mask(name, nick), tokens)

    def seen(self, tab: Tab, word: list[str]) -> None:
        """Look whether a JOIN or a CHGHOST is our own, which tells what others see of us."""
        whole, nick = raw.mask(word[0]), hexchat.get_info("nick")
        if whole is None or hexchat.nickcmp(raw.nick(word[0]), nick) != 0:
            return
        self._moved(tab, nick, "@".join(word[2:4]) if word[1] == "CHGHOST" else whole.partition("!")[2])

    def _moved(self, tab: Tab, nick: str, host: str) -> None:
        if "@" not in host:
            user = self._hosts.get(tab.server, "").partition("@")[0]
            if not user:
                return
            host = f"{user}@{host}"
        self._hosts[tab.server] = host
        self.chat.mask(tab.server, nick, self._mask(tab.server, nick))

    def _mask(self, server: str, nick: str) -> str | None:
        return f"{nick}!{self._hosts[server]}" if server in self._hosts else None

    def nick_changed(self, tab: Tab, old: str, new: str) -> None:
        """Somebody has another nick, perhaps ourselves."""
        self.chat.nick_changed(tab.server, old, new)

    def disconnected(self, server: str) -> None:
        """The connection is gone."""
        self._hosts.pop(server, None)
        self.chat.disconnected(server)

    def limit(self, server: str, to: str) -> int | None:
        """Return how many bytes of text reach somebody in a line that HexChat need not hold back longer."""
        tab = self._tabs.of(server)
        mask = self._mask(server, tab.context.get_info("nick")) if tab is not None else None
        if mask is None:
            return None
        whole = LINE - len(f":{mask} PRIVMSG {to} :".encode())
        return max(0, min(whole, CHEAPEST - len(f" {to} :\r\n".encode())))


def _casemapping() -> str:
    """Return the token for how HexChat compares nicks there; it does not tell the others."""
    return "CASEMAPPING=" + ("ascii" if hexchat.nickcmp("[", "{") else "rfc1459")
