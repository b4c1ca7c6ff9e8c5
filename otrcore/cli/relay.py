"""A man in the middle, for `otr demo --mitm`: what a server could do to two people who do not verify.

Run as a process it stands between one client and its server, passes everything on, and begins
to listen when it is told to.  Then it holds a key exchange of its own with each of the two, as
mod_otr did on XMPP servers, decrypts what one says and encrypts it for the other.
"""

from __future__ import annotations

import argparse
import os
import select
import socket
import sys
from collections.abc import Mapping, Sequence
from string import ascii_lowercase, ascii_uppercase
from types import MappingProxyType

from ..account import Account
from ..conversation import Conversation
from ..events import Event, Received, SessionEnd, SessionEnded, SessionOpened, SmpAsked, Transmit
from ..identity import Identity
from ..irc.connection.received import LineAssembler, parse
from ..irc.lines import one_line
from ..model import MessageState, Protection
from ..policy import MANUAL, Policy
from ..wire.text import Query, classify

GUESS = "password"
"""What the relay answers where only the two know the secret."""

LINE_LIMIT = 350
"""Characters of a line; that is short enough for whatever stands before it."""

LISTEN, REST = "listen", "rest"
"""The words that the process is told on its standard input."""


class Middleman:
    """Two identities, each shown to one side as the other side's."""

    def __init__(
        self, one: str, other: str, policy: Policy = MANUAL, tags: Mapping[str, int] = MappingProxyType({})
    ) -> None:
        """`tags` are the instance tags to take on towards each side: all can be read on the way."""
        self._policy = policy
        self._tags = tags
        self._identities = {one: Identity.generate(), other: Identity.generate()}
        self._across = {one: other, other: one}
        self._talks: dict[str, Conversation] = {}
        self.read: list[tuple[str, str]] = []
        """Who said what, of all that was meant for the other one alone."""
        self.begin()

    def begin(self) -> None:
        """Forget all sessions, and keep the keys."""
        self._talks = {
            name: self._as_the_other(name, identity).conversation(_folded(name))
            for name, identity in self._identities.items()
        }
        for talk in self._talks.values():
            talk.line_limit = LINE_LIMIT
        self._to_end: set[str] = set()

    def _as_the_other(self, side: str, identity: Identity) -> Account:
        tag = self._tags.get(side)
        return Account(identity, self._policy, name=_folded(self._across[side]), instance_tag=tag)

    def hear(self, sender: str, line: str) -> list[tuple[str, str]]:
        """Take a line that one says to the other; return who is to hear what, as if the other had said it."""
        delivered = self._follow(sender, self._talks[sender].receive(line))
        if isinstance(classify(line), Query):
            other = self._across[sender]
            self._to_end.clear()
            delivered += self._follow(other, self._talks[other].start())
        return delivered

    def _follow(self, side: str, events: Sequence[Event]) -> list[tuple[str, str]]:
        """Do towards both what has happened with one side."""
        other = self._across[side]
        talk, beyond = self._talks[side], self._talks[other]
        delivered: list[tuple[str, str]] = []
        for event in events:
            match event:
                case Transmit(lines):
                    delivered += [(side, line) for line in lines]
                case Received(text, Protection.ENCRYPTED):
                    self.read.append((side, text))
                    delivered += self._follow(other, beyond.send(text))
                case Received(text):
                    delivered.append((other, text))
                case SmpAsked(question):
                    delivered += self._follow(side, talk.smp_answer(GUESS))
                    if beyond.state is MessageState.ENCRYPTED:
                        delivered += self._follow(other, beyond.smp_start(GUESS, question))
                case SessionEnded(SessionEnd.PEER):
                    delivered += self._follow(side, talk.end())
                    if beyond.state is MessageState.ENCRYPTED:
                        delivered += self._follow(other, beyond.end())
                    else:
                        # It thinks itself encrypted before we are: the last message is still on its way.
                        self._to_end.add(other)
                case SessionOpened() if side in self._to_end:
                    self._to_end.discard(side)
                    delivered += self._follow(side, talk.end())
        return delivered


def _folded(nick: str) -> str:
    """Return a nick as clients on the demo's server have it authenticated."""
    return nick.translate(str.maketrans(ascii_uppercase, ascii_lowercase))


class Relay:
    """One client's connection to its server, with a Middleman on the line."""

    def __init__(self, client: socket.socket, server: socket.socket, me: str, peer: str) -> None:
        self._sockets = {me: client, peer: server}
        self._assemblers = {me: LineAssembler(), peer: LineAssembler()}
        self._me, self._peer = me, peer
        self._mask = f"{peer}!{peer}@127.0.0.1"
        self._between = Middleman(me, peer)
        self.listening = False

    def run(self) -> None:
        """Pass lines on until one side, or whoever started us, has gone."""
        told = sys.stdin.fileno()
        while True:
            ready, _, _ = select.select([told, *self._sockets.values()], [], [])
            if told in ready:
                words = os.read(told, 4096).split()
                if not words:
                    return
                self._obey(words[-1].decode())
            if not all(self._take(name) for name, source in self._sockets.items() if source in ready):
                return

    def _obey(self, word: str) -> None:
        self.listening = word == LISTEN
        self._between.begin()
        print(word, flush=True)

    def _take(self, side: str) -> bool:
        data = self._sockets[side].recv(65536)
        for line in self._assemblers[side].feed(data):
            said = self._said(side, line) if self.listening else None
            if said is None:
                self._write(self._across(side), line)
                continue
            before = len(self._between.read)
            for name, text in self._between.hear(side, said):
                self._deliver(name, text)
            for name, text in self._between.read[before:]:
                print(f"<{name}> {text}", flush=True)
        return bool(data)

    def _said(self, side: str, raw: bytes) -> str | None:
        """Return what one of the two says to the other in this line, None if it is anything else."""
        line = parse(raw.decode(errors="surrogateescape"))
        if line is None or line.command != "PRIVMSG" or len(line.parameters) < 2:
            return None
        target, text = line.parameters[:2]
        if side == self._me:
            return text if target == self._peer else None
        if target != self._me or line.source.partition("!")[0] != self._peer:
            return None
        self._mask = line.source
        return text

    def _deliver(self, name: str, text: str) -> None:
        start = f":{self._mask} PRIVMSG {self._me} :" if name == self._me else f"PRIVMSG {self._peer} :"
        self._write(name, (start + one_line(text)).encode(errors="surrogateescape"))

    def _write(self, name: str, line: bytes) -> None:
        self._sockets[name].sendall(line + b"\r\n")

    def _across(self, side: str) -> str:
        return self._peer if side == self._me else self._me


def main() -> None:
    """Print the port to connect to, take one client, and be its way to the server."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int, help="where the server listens on this machine")
    parser.add_argument("me", help="the nick of the client")
    parser.add_argument("peer", help="the nick of whom it talks with")
    arguments = parser.parse_args()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(listening.getsockname()[1], flush=True)
        if listening not in select.select([listening, sys.stdin], [], [])[0]:
            return
        client, _ = listening.accept()
    with client, socket.create_connection(("127.0.0.1", arguments.port)) as server:
        Relay(client, server, arguments.me, arguments.peer).run()


if __name__ == "__main__":
    main()
