"""What a client asks of its engine: a host for each IRC server that the client is on."""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version

from ..errors import OtrcoreError, StoreError, UsageError
from ..irc.actions import Action, ShowNote
from ..irc.host import IrcHost
from ..irc.isupport import Features
from ..irc.lanes import Lanes
from ..irc.names import Target, classify
from ..wire.text import MARK, TAG_BASE
from . import actions
from .commands import Commands, Desk
from .frames import Frame
from .keys import Keys, Locked, Opening
from .options import Options, declared
from .prompts import UNLOCK, PromptNumbers
from .recut import recut
from .requests import BadRequest, Request
from .served import Served
from .settings import Choice, choices

PROTOCOL = 1
"""Version of the link; client and engine must agree."""

MAX_SERVERS = 200

MAX_REMEMBERED = 50
"""Requests of which the text is kept, in case the client has not waited for the answer."""

_UNANSWERED = {"hello", "complete", "recut", "not_sent"}
"""Requests after which nobody can have another policy."""

_MESSAGES = {"incoming", "outgoing"}
"""Requests that come with every message."""


class Servers:
    """Answers requests; what happens otherwise is pushed, and so is how conversations stand."""

    def __init__(
        self,
        opening: Opening,
        lanes: Lanes,
        push: Callable[[Sequence[Frame]], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lanes = lanes
        self._push = push
        self._keys = Keys(opening, clock)
        self._servers: dict[str, Served] = {}
        self._numbers = PromptNumbers()
        self._outgoing: OrderedDict[int, tuple[str, str, str]] = OrderedDict()
        self._commands = Commands(Desk(lambda: self._keys.store))
        self._options = Options(self._keys.opened, push, clock)
        self._choices: tuple[Choice, ...] = ()
        self._applied: dict[tuple[str, str], str] = {}
        self.ending = False
        """Whether the client has asked for the end."""

    @property
    def next_tick(self) -> float | None:
        """When `tick` is to be called next, by the clock; None for never."""
        ticks = (host.next_tick for host in self._hosts())
        return min((tick for tick in ticks if tick is not None), default=None)

    def tick(self) -> None:
        """Do what time asks for."""
        for host in self._hosts():
            host.tick()
        self.tell_changes()

    def catch_up(self) -> None:
        """Go on with what other programs have changed, though nobody says anything."""
        for host in self._hosts():
            host.catch_up()
        self._options.catch_up()
        self.tell_changes()

    def tell_changes(self) -> None:
        """Push how conversations stand, where that has changed."""
        if not self.ending:  # the client remembers how they stood
            self._tell(self._servers.values(), policies=True)

    def forget_requests(self) -> None:
        """Another connection begins to count its requests."""
        self._outgoing.clear()

    def handle(self, request: Request) -> Frame:
        """Answer a request; never raises for what a client can send."""
        try:
            answer = self._handled(request)
        except (BadRequest, OtrcoreError) as error:
            hello = _about() if request.frame.get("do") == "hello" else {}
            return {"re": request.number, "ok": False, "why": str(error), **hello}
        # A bug over one request must not take all conversations along.
        except Exception as error:
            why = f"An error inside OTR ({type(error).__name__}): please report it."
            return {"re": request.number, "ok": False, "why": why}
        return {"re": request.number, "ok": True, **answer}

    def _handled(self, request: Request) -> Frame:
        name = request.name
        handler = _HANDLERS.get(name)
        if handler is None:
            raise BadRequest(f"There is no request {name[:40]!r}.")
        try:
            return handler(self, request)
        finally:
            # In front of the answer: it may come too late to be heeded, and a verdict goes by what is known.
            if name in _MESSAGES:
                named = request.frame.get("server")
                self._tell(
                    (served for served in self._servers.values() if served.name == named), policies=False
                )
            elif name not in _UNANSWERED:
                self.tell_changes()

    def _tell(self, servers: Iterable[Served], *, policies: bool) -> None:
        changes = [frame for served in servers for frame in served.changes(policies=policies)]
        if changes:
            self._push(changes)

    # ---- requests

    def _hello(self, request: Request) -> Frame:
        if request.integer("protocol") != PROTOCOL:
            raise BadRequest(_OTHER_PROTOCOL)
        told = self._options.declare(*declared(request))
        self._commands.add(self._options.commands())
        return {
            **_about(),
            "servers": sorted(self._servers),
            "states": [frame for served in self._servers.values() for frame in served.standings()],
            "commands": [
                {
                    "name": command.name,
                    "aliases": list(command.aliases),
                    "argument": command.argument,
                    "about": command.about,
                    "choices": list(command.choices),
                }
                for command in self._commands.table.commands
            ],
            "actions": told,
        }

    def _connected(self, request: Request) -> Frame:
        name, nick = request.text("server"), request.text("nick")
        features = Features().updated(request.texts("isupport"))
        address, mask = request.text("host"), request.optional_text("mask")
        served = self._servers.get(name) or self._new(name)
        try:
            served.connect(nick, features, mask, address)
        except Locked:
            return {"actions": [_unlock_prompt()]}
        return {**served.introduction(), "actions": self._apply(served)}

    def _mask(self, request: Request) -> Frame:
        _, host = self._served(request)
        host.mask_changed(request.text("nick"), request.optional_text("mask"))
        return {}

    def _incoming(self, request: Request) -> Frame:
        sender, to, text = request.text("from"), request.text("to"), request.text("text")
        command = request.text("command")
        served = self._servers.get(request.text("server"))
        if served is None or served.host is None or not served.ready:
            # Nothing of OTR can be understood yet, and nothing of it is worth showing.
            of_otr = MARK in text or TAG_BASE in text
            return {"verdict": "drop" if of_otr else "pass", "text": None, "actions": []}
        nick = sender.partition("!")[0]
        self._limit(served.host, nick, request)
        served.saw(sender)
        return served.decision(served.host.incoming(nick, to, text, command, request.optional_text("said")))

    def _outgoing_text(self, request: Request) -> Frame:
        to, text, command = request.text("to"), request.text("text"), request.text("command")
        name = request.text("server")
        served = self._servers.get(name)
        if served is None or served.host is None or not served.ready:
            return {"decisions": _unready(name, served, to, text)}
        for target in to.split(","):
            self._limit(served.host, target, request)
        self._outgoing[request.number] = (name, to, text)
        while len(self._outgoing) > MAX_REMEMBERED:
            self._outgoing.popitem(last=False)
        judged = served.host.outgoing(to, text, command)
        return {"decisions": [served.decision(decision) for decision in judged]}

    def _command(self, request: Request) -> Frame:
        server, peer, typed = request.text("server"), request.text("peer"), request.text("typed")
        if not server and len(self._servers) == 1:
            (server,) = self._servers
        where = self._commands.address(server, peer, typed, self._servers)
        served, table = self._servers.get(where.server), self._commands.table
        if served is not None and served.ready and served.host is not None:
            if where.peer:
                self._limit(served.host, where.peer, request)
            return {"actions": served.frames(table.run(served.host, where.peer, where.typed))}
        if not table.anywhere(where.typed):
            if served is not None and isinstance(served.trouble, Locked):
                return {"actions": [_unlock_prompt()]}
            raise UsageError(_NOT_CONNECTED)
        done = table.run(None, where.peer, where.typed)
        return {"actions": list(actions.frames(where.server, done, {}))}

    def _complete(self, request: Request) -> Frame:
        served = self._servers.get(request.text("server"))
        nicks = (
            [] if served is None or served.host is None else [view.nick for view in served.host.overview()]
        )
        peer, typed = request.text("peer"), request.text("typed")
        return {"words": self._commands.complete(peer, typed, nicks, self._servers)}

    def _answer(self, request: Request) -> Frame:
        number, secret = request.integer("number"), request.text("secret")
        if number == UNLOCK:
            return self._unlock(secret)
        asked = self._numbers.answered(number)
        served = self._servers.get(asked.server) if asked is not None else None
        if asked is None or served is None or served.host is None:
            raise UsageError("That secret is not asked for any more: it was neither used nor kept.")
        return {"actions": served.frames(served.host.secret(asked.prompt, secret))}

    def _nick_changed(self, request: Request) -> Frame:
        served, host = self._served(request)
        old, new = request.text("old"), request.text("new")
        served.moved(old, new)
        if not host.nick_changed(old, new):
            return {}
        served.moved_along(host, old, new)
        return {"actions": [{"a": "rename", "server": served.name, "old": old, "new": new}]}

    def _peer_gone(self, request: Request) -> Frame:
        served, host = self._served(request)
        nick, reason = request.text("nick"), request.text("reason")
        if not host.has(nick):
            return {}
        protected = served.protects(host, nick)
        told = host.gone(nick, reason)
        # The client itself tells of people who leave.
        return {"actions": served.frames(told if protected else told[1:])}

    def _disconnected(self, request: Request) -> Frame:
        served, host = self._served(request)
        served.connected = False
        return {"actions": served.frames(host.disconnected())}

    def _buffer_closed(self, request: Request) -> Frame:
        served, host = self._served(request)
        peer = request.text("peer")
        return {"actions": served.frames(host.end(peer)) if served.protects(host, peer) else []}

    def _settings(self, request: Request) -> Frame:
        self._choices = choices(request)
        return {"actions": [frame for served in self._servers.values() for frame in self._apply(served)]}

    def _not_sent(self, request: Request) -> Frame:
        name, to, text = self._outgoing.pop(request.integer("re"), ("", "", ""))
        served = self._servers.get(name)
        if served is not None and served.host is not None:
            served.host.withdraw(to, text)
        return {}

    def _recut(self, request: Request) -> Frame:
        lines, limit = request.texts("lines"), request.integer("limit")
        _, host = self._served(request)
        host.set_limit(request.text("to"), limit)
        return {"lines": list(recut(lines, limit))}

    def _shutdown(self, request: Request) -> Frame:
        self.ending = True
        return {"actions": self.end()}

    def end(self) -> list[Frame]:
        """End every encrypted conversation properly, as far as somebody sends what is returned."""
        return [
            frame
            for served in self._servers.values()
            if served.host is not None
            for frame in served.frames(served.host.shutdown())
        ]

    def close(self) -> None:
        """Give the store back."""
        self._keys.close()

    # ---- the parts of answers

    def _hosts(self) -> list[IrcHost]:
        return [served.host for served in self._servers.values() if served.host is not None]

    def _served(self, request: Request) -> tuple[Served, IrcHost]:
        return self._named(request.text("server"))

    def _named(self, name: str) -> tuple[Served, IrcHost]:
        served = self._servers.get(name)
        if served is None or served.host is None or not served.ready:
            raise UsageError(_NOT_CONNECTED)
        return served, served.host

    def _new(self, name: str) -> Served:
        if len(self._servers) >= MAX_SERVERS:
            left = (other for other in self._servers.values() if not other.connected and not other.protected)
            spare = next(left, None)
            if spare is None:
                raise UsageError("These are too many servers for OTR: leave one of them first.")
            del self._servers[spare.name]
        served = Served(name, self._keys, self._lanes, self._numbers, self._push)
        self._servers[name] = served
        return served

    def _unlock(self, passphrase: str) -> Frame:
        waiting = [served for served in self._servers.values() if not served.ready]
        if not passphrase:
            raise UsageError(
                "Your private keys stay locked: without them there is no encrypted conversation. "
                "/otr status asks for the passphrase again."
            )
        try:
            self._keys.unlock(passphrase)
        except StoreError as error:
            return {"actions": [*_told("", error), _unlock_prompt()]}
        done: list[Frame] = []
        for served in waiting:
            try:
                served.reconnect()
                done += self._apply(served)
            except StoreError as error:
                done += _told(served.name, error)
        return {"actions": done}

    def _apply(self, served: Served) -> list[Frame]:
        """Have the policies hold that are the user's settings; each once, as another may be chosen later."""
        host = served.host
        if host is None or not served.ready:
            return []
        here = {choice.peer: choice.word for choice in self._choices if choice.server is None}
        here |= {choice.peer: choice.word for choice in self._choices if choice.server == served.name}
        done: list[Action] = []
        for peer, word in here.items():
            if self._applied.get((served.name, peer)) != word:
                self._applied[served.name, peer] = word
                typed = f"policy {word}" if peer else f"policy network {word}"
                done += self._commands.table.run(host, peer, typed)
        # What a policy means is nobody's question here; what it ends is.
        return served.frames(action for action in done if not isinstance(action, ShowNote) or action.event)

    def _limit(self, host: IrcHost, nick: str, request: Request) -> None:
        limit = request.optional_integer("limit")
        if limit is not None:
            host.set_limit(nick, limit)


def _told(server: str, error: StoreError) -> Iterable[Frame]:
    return actions.frames(server, [ShowNote("", (str(error),))], {})


def _about() -> Frame:
    return {"protocol": PROTOCOL, "version": version("otrcore"), "pid": os.getpid()}


def _unlock_prompt() -> Frame:
    lines = ["Passphrase of your private keys", "It is not shown while you type."]
    return {
        "a": "ask",
        "server": "",
        "peer": "",
        "number": UNLOCK,
        "by_peer": False,
        "question": None,
        "lines": lines,
    }


def _unready(name: str, served: Served | None, to: str, text: str) -> list[Frame]:
    """Without keys nothing leaves to people, as nobody knows what is to be encrypted."""
    why = str(served.trouble) if served is not None and served.trouble is not None else _NOT_CONNECTED
    decisions = []
    addressed = classify(to, text, Features())
    for recipient in addressed.recipients:
        person = recipient.kind is Target.PERSON
        note = ShowNote(recipient.nick, (f"Not sent to {recipient.nick}. {why}",), typed=text)
        decisions.append(
            {
                "to": recipient.name,
                "verdict": "drop" if person else "pass",
                "text": None,
                "actions": list(actions.frames(name, [note] if person else [], {})),
            }
        )
    return decisions


_NOT_CONNECTED = "OTR has not heard yet that this server is connected: try again in a moment."

_OTHER_PROTOCOL = (
    "The script and its engine are of different versions: /otr restart once no conversation is "
    "encrypted, or restart the chat client."
)

_HANDLERS: dict[str, Callable[[Servers, Request], Frame]] = {
    "hello": Servers._hello,
    "connected": Servers._connected,
    "mask": Servers._mask,
    "incoming": Servers._incoming,
    "outgoing": Servers._outgoing_text,
    "command": Servers._command,
    "complete": Servers._complete,
    "answer": Servers._answer,
    "nick_changed": Servers._nick_changed,
    "peer_gone": Servers._peer_gone,
    "disconnected": Servers._disconnected,
    "buffer_closed": Servers._buffer_closed,
    "settings": Servers._settings,
    "not_sent": Servers._not_sent,
    "recut": Servers._recut,
    "shutdown": Servers._shutdown,
}
