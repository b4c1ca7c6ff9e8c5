"""A real TCP server on loopback that says exactly what a test tells it to say, however wrong.

A script is a function that drives one connection from the server's side, in a thread of its own, while the
test drives the client. What a script raises, failed assertions included, is raised again when the server is
left.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from otrcore.irc.connection.address import ServerAddress
from otrcore.irc.connection.connection import Connection
from otrcore.irc.connection.listener import IncomingMessage
from otrcore.irc.connection.options import Settings
from otrcore.irc.connection.pacing import Pace

PATIENCE = 20.0
"""Seconds after which a test that waits for something has failed; nothing ever waits this long when all is
well.
"""

SENTINEL = "the connection still works"
TAKEN = ":irc.test 433 * {} :Nickname is already in use"


class Peer:
    """The server's end of one connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.nick = ""
        self._rest = b""

    def raw(self, data: bytes) -> None:
        self.sock.sendall(data)

    def send(self, *lines: str | bytes) -> None:
        """Send lines, each with the CRLF that it lacks."""
        self.raw(b"".join((line.encode() if isinstance(line, str) else line) + b"\r\n" for line in lines))

    def line(self) -> str:
        """The client's next line, decoded and without CRLF."""
        while b"\n" not in self._rest:
            data = self.sock.recv(65536)
            assert data, f"the client closed the connection; unfinished: {self._rest!r}"
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line.removesuffix(b"\r").decode()

    def until(self, start: str) -> str:
        """The client's next line that begins with `start`; those before it are skipped."""
        while not (line := self.line()).startswith(start):
            pass
        return line

    def closed_by_client(self) -> list[str]:
        """All lines until the client closes, or says QUIT: the script's end then closes, as a server does."""
        data = self._rest
        with contextlib.suppress(ConnectionResetError):
            while b"\nQUIT " not in b"\n" + data and (more := self.sock.recv(65536)):
                data += more
        self._rest = b""
        return data.decode().split("\r\n")[:-1]

    def asked_nick(self) -> str:
        return self.until("NICK ").split(" ")[1].removeprefix(":")

    def welcome(self, nick: str, *tokens: str, mask: str | None = "{nick}!~u@host.example") -> None:
        """Let the client in as `nick`, say `tokens` in 005, and answer its question for its own mask."""
        self.nick = nick
        self.send(f":irc.test 001 {nick} :Welcome")
        if tokens:
            self.send(f":irc.test 005 {nick} {' '.join(tokens)} :are supported by this server")
        self.send(f":irc.test 422 {nick} :MOTD File is missing")
        probe = self.until(f"NOTICE {nick} :")
        if mask is not None:
            self.send(f":{mask.format(nick=nick)} {probe}")

    def register(self, *tokens: str) -> None:
        """Everything up to a client that is registered under the nick it asked for and knows its mask."""
        nick = self.asked_nick()
        self.until("USER ")
        self.welcome(nick, *tokens)

    def reset(self) -> None:
        """Break the connection off with a TCP reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


Script = Callable[[Peer], None]


def then_sentinel(*lines: str | bytes) -> Script:
    """A server that registers the client, sends `lines`, and then one message that must still arrive."""

    def script(peer: Peer) -> None:
        peer.register()
        peer.send(*lines, f":bob!b@h PRIVMSG me :{SENTINEL}")
        peer.closed_by_client()

    return script


def bumped(peer: Peer, *tokens: str) -> None:
    """Let the client in as `me_`, as `me` is taken."""
    peer.asked_nick()
    peer.send(TAKEN.format("me"))
    assert peer.asked_nick() == "me_"
    peer.welcome("me_", *tokens)


def until_closed(peer: Peer) -> None:
    """A server that says nothing."""
    peer.closed_by_client()


class HostileServer:
    """Listens on a free port; the first connection runs the first script, the second the second, and so
    on.
    """

    def __init__(self, *scripts: Script, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        self._scripts = scripts
        self._tls = tls
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listening = socket.create_server((host, 0), family=family)
        self._listening.settimeout(PATIENCE)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.failure: BaseException | None = None
        self.address = ServerAddress(host, self._listening.getsockname()[1], tls is not None)

    def _run(self) -> None:
        try:
            for script in self._scripts:
                sock, _ = self._listening.accept()
                with sock:
                    sock.settimeout(PATIENCE)
                    if self._tls is None:
                        script(Peer(sock))
                    else:
                        with self._tls.wrap_socket(sock, server_side=True) as wrapped:
                            script(Peer(wrapped))
        except BaseException as error:
            if not self._over.is_set():
                self.failure = error

    def __enter__(self) -> HostileServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._thread.join(PATIENCE)
            assert not self._thread.is_alive(), "a script is still waiting"
        self._over.set()
        self._listening.close()
        if self.failure is not None:
            raise self.failure


class Recorder:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.hooks: dict[str, Callable[..., None]] = {}

    def _hear(self, *event: Any) -> None:
        self.events.append(event)
        if event[0] in self.hooks:
            self.hooks[event[0]](*event[1:])

    def ready(self) -> None:
        self._hear("ready")

    def message(self, message: IncomingMessage) -> None:
        self._hear("message", message)

    def nick_changed(self, old: str, new: str) -> None:
        self._hear("nick_changed", old, new)

    def gone(self, nick: str, reason: str) -> None:
        self._hear("gone", nick, reason)

    def own_mask_changed(self) -> None:
        self._hear("own_mask_changed")

    def disconnected(self, reason: str) -> None:
        self._hear("disconnected", reason)

    @property
    def texts(self) -> list[str]:
        return [event[1].text for event in self.events if event[0] == "message"]

    @property
    def reason(self) -> str | None:
        """Why the connection was lost; None while it stands."""
        reasons = [event[1] for event in self.events if event[0] == "disconnected"]
        assert len(reasons) <= 1, f"told twice: {reasons}"
        return reasons[0] if reasons else None


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Client:
    """A connection with its recorder, driven by hand."""

    def __init__(
        self,
        address: ServerAddress,
        nick: str = "me",
        clock: Callable[[], float] = time.monotonic,
        **options: Any,
    ) -> None:
        self.heard = Recorder()
        options = {"realname": "A test", "username": "tester", "pace": Pace.NONE, **options}
        self.connection = Connection(address, Settings(nick, **options), self.heard, clock)

    def connect(self) -> Client:
        self.connection.connect()
        return self

    def drive(self, until: Callable[[], object], server: HostileServer | None = None) -> None:
        """Process until `until` is true."""
        deadline = time.monotonic() + PATIENCE
        while not until():
            if server is not None and server.failure is not None:
                raise server.failure
            assert time.monotonic() < deadline, f"waited in vain; heard {self.heard.events}"
            self.connection.process(0.02)

    def until_ready(self) -> None:
        self.drive(lambda: self.connection.own_mask is not None)

    def until_text(self, text: str) -> None:
        self.drive(lambda: text in self.heard.texts)

    def until_lost(self) -> str:
        self.drive(lambda: self.heard.reason is not None)
        assert not self.connection.connected
        assert not self.connection.registered
        return self.heard.reason or ""


def survives(*lines: str | bytes) -> Client:
    """A client that has been through `lines`, and is disconnected again."""
    with HostileServer(then_sentinel(*lines)) as server:
        client = Client(server.address).connect()
        client.until_text(SENTINEL)
        client.connection.quit()
    return client
