"""What the scripts of all chat clients share: hooks in, things to do out.

No method raises, and none waits longer than a few seconds, most for some milliseconds.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from functools import partial
from typing import Any, Callable, Mapping, Sequence

from . import texts
from .app import App, Incoming, Option, Outgoing
from .errors import ClientError
from .exchange import Exchange, Server, frames, note, status
from .frames import Frame
from .guard import PLAINTEXT, Guard, Held, Kept
from .launch import Launcher
from .link import State
from .messages import Messages
from .place import Place

_ENDING = {"end", "finish", "stop", "endprivate"}
_RESTART = "restart"


class Chat:
    """One chat client's OTR: the script calls a method for each thing that happens."""

    def __init__(
        self,
        app: App,
        command: Sequence[str],
        version: str,
        client: str,
        kept: Kept | None = None,
        data: str | None = None,
        options: Sequence[str] = (),
        settable: Sequence[Option] = (),
        environ: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`command` runs the engine; `version` is the script's, `client` the chat client's name and version.

        `kept` is what `guard.kept` was before this script was loaded, and is kept in step.  `options`
        are the engine's own, `settable` those that `/otr set` changes, of which App.option hears.
        """
        self._app = app
        launcher = Launcher(command, options, environ, clock)
        greeting: Frame = {"version": version, "client": client}
        if settable:
            greeting["settable"] = [{**row._asdict(), "choices": list(row.choices)} for row in settable]
        self.guard = Guard(kept)
        self._exchange = Exchange(app, self.guard, partial(Place, data), launcher, greeting, clock)
        self._messages = Messages(self._exchange, clock)
        self._safely = self._exchange.safely
        self.link = self._exchange.link

    # Life.

    def begin(self) -> None:
        """Find or start the engine, while the client goes on."""
        self._safely(self.link.begin)

    def on_readable(self) -> None:
        """The descriptor that is watched is readable; may be called at any other time as well."""
        self._safely(self.link.poll)

    def quit(self) -> None:
        """The client is about to leave: end every encrypted conversation properly."""

        def leave() -> None:
            self._shut_down()
            self.link.close()

        self._safely(leave)

    def unload(self) -> None:
        """The script is about to be unloaded, perhaps to be loaded again: leave everything to the engine."""

        def leave() -> None:
            nicks = [nick for _, nick in self.guard.protected()]
            if nicks and self.link.state is not State.SUPERSEDED:
                self._exchange.actions.tell("", "", texts.unloaded(nicks))
            self.link.close()

        self._safely(leave)

    def restart(self) -> None:
        """Put a new engine in the place of the old one; encrypted conversations end."""

        def again() -> None:
            self._shut_down()
            self.link.restart()
            if not self.link.trouble:
                self._app.note("", "", (texts.RESTARTED,), "info", None, False)

        self._safely(again)

    # Messages.

    def mine(self, server: str, line: str) -> bool:
        """Tell, once, whether a raw line ("PRIVMSG bob :text") is one that App.send was given."""
        return self._exchange.actions.injected.take(server, line)

    def outgoing(self, server: str, to: str, text: str, command: str = "PRIVMSG") -> Outgoing:
        """Judge a message that is about to be sent, to whatever target or list of targets."""
        return self._messages.outgoing(server, to, text, command.upper())

    def incoming(
        self, server: str, sender: str, to: str, text: str, command: str = "PRIVMSG", said: str = ""
    ) -> Incoming:
        """Judge a message that came; `sender` is nick!user@host, or what there is of it.

        `said` is the script's own word for when it was said: App.message gets it back, be it later.
        """
        return self._messages.incoming(server, sender, to, text, command.upper(), said)

    # The user.

    def command(self, server: str, peer: str, typed: str) -> None:
        """Do what stands behind /otr; `peer` is "" outside a conversation."""
        words = typed.split()
        if [word.lower() for word in words] == [_RESTART]:
            self.restart()
            return

        def run() -> None:
            if words and words[0].lower() in _ENDING and self._released(server, words[1:] or [peer]):
                return
            try:
                limit = self._exchange.limit(server, peer) if peer else None
                asked = {"server": server, "peer": peer, "typed": typed}
                self._exchange.take(self._exchange.ask("command", limit=limit, **asked))
            except ClientError as error:
                self._exchange.actions.tell(server, peer, texts.NOT_DONE.format(error))

        self._safely(run)

    def answer(self, server: str, peer: str, number: int, secret: str) -> None:
        """Hand on the secret that App.ask asked for under this number."""

        def run() -> None:
            try:
                self._exchange.take(self._exchange.ask("answer", number=number, secret=secret))
            except ClientError as error:
                self._exchange.actions.tell(server, peer, texts.SECRET_UNUSED.format(error))

        self._safely(run)

    def complete(self, server: str, peer: str, typed: str) -> list[str]:
        """Return the words that the last word behind /otr may become."""
        words: Any = None
        with suppress(Exception):
            answer = self._exchange.ask("complete", server=server, peer=peer, typed=typed)
            self._exchange.take(answer)
            words = answer.get("words")
        self._exchange.settle()
        if isinstance(words, list):
            return [word for word in words if isinstance(word, str)]
        return [_RESTART] if " " not in typed and _RESTART.startswith(typed.lower()) else []

    def settings(self, **settings: Any) -> None:
        """These are the user's settings from now on."""
        self._safely(partial(self._exchange.set_settings, settings))

    # The network.

    def connected(self, server: str, host: str, nick: str, mask: str | None, isupport: Sequence[str]) -> None:
        """Registered with a server; `isupport` are its tokens of numeric 005, such as "NETWORK=x"."""
        known = Server(host, nick, mask, tuple(isupport))
        self._safely(partial(self._exchange.connected, server, known))

    def mask(self, server: str, nick: str, mask: str | None) -> None:
        """Our own nick, and nick!user@host as others see it, are these now."""
        known = self._exchange.servers.get(server)
        if known is not None and (known.nick, known.mask) != (nick, mask):
            self._exchange.servers[server] = known._replace(nick=nick, mask=mask)
            self._inform("mask", server, nick=nick, mask=mask)

    def nick_changed(self, server: str, old: str, new: str) -> None:
        """Somebody, perhaps ourselves, has another nick."""
        known = self._exchange.servers.get(server)
        naming = self.guard.naming(server)
        if known is not None and naming.fold(known.nick) == naming.fold(old):
            self._exchange.servers[server] = known._replace(nick=new)
        else:
            self.guard.move(server, old, new)
        self._inform("nick_changed", server, old=old, new=new)

    def peer_gone(self, server: str, nick: str, reason: str) -> None:
        """Somebody has left the network, or was never there."""
        self._inform("peer_gone", server, nick=nick, reason=reason)

    def disconnected(self, server: str) -> None:
        """The connection to a server is gone."""
        self._safely(partial(self._exchange.disconnected, server))

    def buffer_closed(self, server: str, peer: str) -> None:
        """The user has closed a conversation."""
        self._inform("buffer_closed", server, peer=peer)

    def leave(self, server: str) -> None:
        """The user is about to leave a server: end every encrypted conversation there properly."""
        for where, nick in self.guard.protected():
            if where == server:
                self.buffer_closed(server, nick)

    def fingerprint(self, server: str) -> str | None:
        """Return the fingerprint of our own key on a server; None if it is not known."""
        return self._exchange.fingerprints.get(server)

    def _inform(self, do: str, server: str, **fields: Any) -> None:
        self._safely(partial(self._exchange.inform, do, server, **fields))

    def _shut_down(self) -> None:
        """Have the engine end every conversation for the peers, if it can be asked.

        Here they stay as they are: nobody has chosen to go on unencrypted.
        """
        if self.link.state is State.UP:
            with suppress(ClientError):  # it is left, or ended, all the same
                answer = self.link.request("shutdown")
                self._exchange.actions.add(
                    action for action in frames(answer.get("actions")) if action.get("a") == "send"
                )
                self._exchange.actions.run()

    def _released(self, server: str, peers: Sequence[str]) -> bool:
        """End a conversation that no engine can end any more; tell whether it was one."""
        peer = peers[0]
        if len(peers) != 1 or not peer:
            return False
        reason = self.guard.held(server, peer)
        away = self.link.state is not State.UP
        if reason is not Held.LOST and not (away and reason in (Held.ENCRYPTED, Held.FINISHED)):
            return False
        self.guard.release(server, peer)
        self._exchange.actions.add(
            [status(server, peer, PLAINTEXT), note(server, peer, texts.released(peer))]
        )
        return True
