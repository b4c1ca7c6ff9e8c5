"""The `/otr` commands of a chat client: those of every host, what the store knows, and to whom they go."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import NamedTuple

from ..errors import UsageError
from ..irc.actions import Action, LogOn, Send, ShowNote
from ..irc.commands import COMMANDS, Command, Table
from ..irc.host import IrcHost
from ..model import Fingerprint, Trust
from ..store.store import Store

ON, OFF = "on", "off"

MAX_LISTED = 50
"""Contacts that are worth a line in a chat window."""

_CONTACTS = "contacts"
"""A command that is about a network, where those that go anywhere are about nothing there."""

_NETWORK = "network"
"""What `/otr policy` takes in place of a peer."""


class Addressed(NamedTuple):
    """A command, and where it goes."""

    server: str
    peer: str
    typed: str


class Desk:
    """Answers what the store knows, if there is one."""

    def __init__(self, store: Callable[[], Store | None]) -> None:
        self._store = store

    def keys(self, host: IrcHost | None, nick: str, argument: str) -> list[Action]:
        """List our own fingerprints."""
        store = self._store()
        rows = [row for row in store.identities.rows() if row.retired is None] if store is not None else []
        lines = [
            line
            for row in rows
            for fingerprint in (row.fingerprint, row.fingerprint_4)
            for line in (_of_key(f"{row.network},", fingerprint) if fingerprint else ())
        ]
        lines += [f"  {row.network}: damaged" for row in rows if row.fingerprint is None]
        if host is not None:
            own = [line for fingerprint in host.fingerprints for line in _of_key("", fingerprint)]
            opening = f"On {host.network} you have the keys:"
            return [ShowNote(nick, (opening, *own, *(["All that you have:", *lines] if lines else [])))]
        opening = "Your keys:" if lines else "You have no key yet: the first server brings one."
        return [ShowNote(nick, (opening, *lines))]

    def contacts(self, host: IrcHost, nick: str, argument: str) -> list[Action]:
        """List whom we know on this network."""
        store = self._store()
        known = store.contacts.all(host.network) if store is not None else ()
        listed = [
            _of_key(f"{contact.nick}: {key.trust.value},", key.fingerprint)
            for contact in known
            for key in contact.keys
        ]
        more = (
            [f"  and {len(listed) - MAX_LISTED} more:  otr contacts  in a terminal lists all."]
            if len(listed) > MAX_LISTED
            else []
        )
        opening = f"Known on {host.network}:" if listed else f"Nobody is known on {host.network} yet."
        lines = (line for one in listed[:MAX_LISTED] for line in one)
        return [ShowNote(nick, (opening, *lines, *more))]

    def fingerprints(self, host: IrcHost, nick: str, argument: str) -> list[Action]:
        """List the keys of a peer."""
        host.talk(nick)
        keys = host.memory(nick).keys
        lines = [line for key in keys for line in _of_key(f"{key.trust.value},", key.fingerprint)]
        opening = f"Keys of {nick}, the one used last at the end:" if keys else f"{nick} has used no key yet."
        return [ShowNote(nick, (opening, *lines))]

    def forget(self, host: IrcHost, nick: str, argument: str) -> list[Action]:
        """Forget everything that is known of a peer."""
        store = self._store()
        talk = host.talk(nick)
        if talk is not None and talk.info is not None:
            return [ShowNote(nick, (f"The conversation with {nick} is encrypted: /otr end first.",))]
        if store is None:
            return [ShowNote(nick, ("Nothing is saved here, and so nothing can be forgotten.",))]
        verified = any(key.trust is not Trust.NONE for key in host.memory(nick).keys)
        store.contacts.forget(host.network, nick)
        host.reload()
        lost = f" {nick} was verified: whoever comes under that nick is a stranger now." if verified else ""
        return [ShowNote(nick, (f"Everything that was known of {nick} is forgotten.{lost}",))]

    def log(self, host: IrcHost, nick: str, argument: str) -> list[Action]:
        """Let the client log an encrypted conversation, or not."""
        host.talk(nick)
        word = argument.lower()
        if word not in (ON, OFF):
            return [
                ShowNote(nick, ("/otr log on writes what is said encrypted into the log; off does not.",))
            ]
        told = (
            f"What is said encrypted with {nick} goes into your log from here on, readable by whoever "
            "reads your files."
            if word == ON
            else f"What is said encrypted with {nick} stays out of your log."
        )
        return [LogOn(nick, word == ON), ShowNote(nick, (told,))]

    def version(self, host: IrcHost | None, nick: str, argument: str) -> list[Action]:
        """Tell which version runs, and where its files lie."""
        store = self._store()
        place = f"keys and contacts lie in {store.folder}" if store is not None else "nothing is saved"
        return [ShowNote(nick, (f"otrcore {version('otrcore')}; {place}.",))]

    def restart(self, host: IrcHost | None, nick: str, argument: str) -> list[Action]:
        """Only the client can do that, and then does not ask."""
        told = "The script of this chat client does not start OTR anew: restart the chat client."
        return [ShowNote(nick, (told,))]


def _start(host: IrcHost, nick: str, argument: str) -> list[Action]:
    """Ask for an encrypted conversation, and say so: the answer may take a while on a slow server."""
    actions = host.start(nick)
    if any(isinstance(action, Send) for action in actions):
        actions.append(ShowNote(nick, (f"Asking {nick} for an encrypted conversation.",)))
    return actions


def _of_nobody(command: Command) -> bool:
    """Whether a command is about no peer."""
    return command.anywhere is not None or command.name == _CONTACTS


class Commands:
    """The table, and how a command is addressed outside a conversation: /otr COMMAND NICK [SERVER]."""

    def __init__(self, desk: Desk) -> None:
        self._always = (
            *(replace(command, run=_start) if command.name == "start" else command for command in COMMANDS),
            Command("fingerprints", "list the keys of the other", desk.fingerprints),
            Command("forget", "forget the other, with all keys", desk.forget),
            Command("keys", "list your own keys", anywhere=desk.keys),
            Command(_CONTACTS, "list whom you know on this network", desk.contacts),
            Command(
                "log",
                "write encrypted conversations with the other into the log, or not",
                desk.log,
                argument="on|off",
                choices=(ON, OFF),
            ),
            Command("version", "tell which version this is, and where your keys lie", anywhere=desk.version),
            Command(
                "restart", "start OTR anew, which ends all encrypted conversations", anywhere=desk.restart
            ),
        )
        self.table = Table(self._always)

    def add(self, commands: Sequence[Command]) -> None:
        """Have these commands too, in place of those that were added before."""
        self.table = Table((*self._always, *commands))

    def address(self, server: str, peer: str, typed: str, servers: Collection[str]) -> Addressed:
        """Tell where a command goes that was typed on a server, with a peer or ("") outside; UsageError."""
        request = self.table.parse(typed)
        if peer or request is None or _of_nobody(request.command):
            return Addressed(server, peer, typed)
        words = request.argument.split()
        if request.command.name == "policy" and words[:1] == [_NETWORK]:
            return Addressed(server, peer, typed)
        if not words or (len(words) == 1 and words[0].lower() in request.command.choices):
            raise UsageError(f"With whom? Here it takes a nick: /otr {request.command.name} NICK [SERVER]")
        named = words[1] if len(words) > 1 and words[1] in servers else None
        behind = request.argument.split(None, 1 if named is None else 2)
        rest = behind[-1] if len(behind) > (1 if named is None else 2) else ""
        return Addressed(named or server, words[0], f"{request.command.name} {rest}".rstrip())

    def complete(self, peer: str, typed: str, nicks: Collection[str], servers: Collection[str]) -> list[str]:
        """Return the words that the last, perhaps still empty, word behind `/otr` may become.

        Outside a conversation the nicks of those are among them that there are conversations with.
        """
        words = list(self.table.complete(typed))
        *before, last = typed.split(" ")
        done = [word for word in before if word]
        request = self.table.parse(" ".join(done)) if done else None
        if peer or request is None or _of_nobody(request.command):
            return words
        name, behind = request.command.name, request.argument.split()
        if behind[:1] == [_NETWORK] and name == "policy":
            return words
        if not behind:
            choices = [word for word in words if word == _NETWORK or " ".join([*done, word]) in self._names]
            return [*choices, *(nick for nick in nicks if nick.lower().startswith(last.lower()))]
        named = len(behind) > 1 and behind[1] in servers
        rest = [name, *behind[2 if named else 1 :], last]
        choices = [word for word in self.table.complete(" ".join(rest)) if word != _NETWORK]
        if len(behind) == 1:
            choices += [server for server in servers if server.startswith(last)]
        return choices

    @property
    def _names(self) -> set[str]:
        return {name for command in self.table.commands for name in (command.name, *command.aliases)}


def _of_key(said: str, fingerprint: Fingerprint) -> list[str]:
    """Return lines with a fingerprint, as people compare it, behind what is said of it."""
    versions = " and ".join(map(str, fingerprint.versions))
    first, *more = fingerprint.lines()
    start = " ".join(filter(None, ["  " + said if said else " ", f"OTR {versions}: "]))
    return [start + first, *(" " * len(start) + line for line in more)]
