"""An IRC server for crowds: in a thread of the test, for any number of clients, and without flood control."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from types import TracebackType

MAX_LINE = 512
NAME = "irc.load.test"
ISUPPORT = "NICKLEN=30 NETWORK=testnet CASEMAPPING=ascii CHANTYPES=#"

PING_EVERY = 0.5
"""Seconds between two PINGs to the nick that is watched."""

ENOUGH = 256 * 1024
"""Bytes waiting for a client from which on nothing more is read from who writes to it."""

_TURN = 0.02


class _Client:
    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.nick = ""
        self.has_user = self.registered = self.closed = False
        self.rest = b""
        self.unsent = bytearray()
        self.events = selectors.EVENT_READ
        self.waits_for: _Client | None = None


class Server:
    """Listens on loopback until it is closed; `watched` is a nick that has to answer PINGs all the time."""

    def __init__(self, watched: str) -> None:
        self._watched = watched
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=1000)
        self._listening.setblocking(False)
        self.port: int = self._listening.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listening, selectors.EVENT_READ)
        self._clients: dict[str, _Client] = {}
        self._touched: set[_Client] = set()
        self._paused: set[_Client] = set()
        self._pings: dict[bytes, float] = {}
        self._number = 0
        self._next_ping = 0.0
        self._stopping = False
        self.pongs: list[float] = []
        """Seconds in which each PING was answered, or has not been answered."""
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def slowest_pong(self) -> float:
        """Return the longest time, in seconds, that an answer has taken or is overdue by now."""
        pending = [time.monotonic() - sent for sent in tuple(self._pings.values())]
        return max([*self.pongs, *pending], default=0.0)

    def close(self) -> None:
        """End it, and every connection."""
        self._stopping = True
        self._thread.join(20)

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _serve(self) -> None:
        while not self._stopping:
            for key, events in self._selector.select(_TURN):
                if key.fileobj is self._listening:
                    self._accept()
                    continue
                client: _Client = key.data
                if events & selectors.EVENT_READ:
                    self._read(client)
                if events & selectors.EVENT_WRITE:
                    self._touched.add(client)
            self._ping()
            for client in self._touched:
                self._flush(client)
            self._touched.clear()
            self._resume()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]  # all of them are sockets
        self._selector.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listening.accept()
            except BlockingIOError:
                return
            sock.setblocking(False)
            self._selector.register(sock, selectors.EVENT_READ, _Client(sock))

    def _read(self, client: _Client) -> None:
        try:
            data = client.sock.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(client)
            return
        *lines, client.rest = (client.rest + data).split(b"\n")
        for line in lines:
            if not client.closed:
                self._handle(client, line.rstrip(b"\r")[: MAX_LINE - 2])

    def _flush(self, client: _Client) -> None:
        if client.closed:
            return
        try:
            del client.unsent[: client.sock.send(client.unsent)]
        except BlockingIOError:
            pass
        except OSError:
            self._drop(client)
            return
        self._listen_for(client)

    def _listen_for(self, client: _Client) -> None:
        """Wait for what there is to wait for; reading can be put off, for a client that floods another."""
        reading = 0 if client in self._paused else selectors.EVENT_READ
        events = reading | (selectors.EVENT_WRITE if client.unsent else 0)
        if client.closed or events == client.events:
            return
        if not client.events:
            self._selector.register(client.sock, events, client)
        elif events:
            self._selector.modify(client.sock, events, client)
        else:
            self._selector.unregister(client.sock)
        client.events = events

    def _resume(self) -> None:
        for client in list(self._paused):
            if client.waits_for is None or client.waits_for.closed or len(client.waits_for.unsent) < ENOUGH:
                self._paused.discard(client)
                self._listen_for(client)

    def _drop(self, client: _Client) -> None:
        if client.closed:
            return
        client.closed = True
        self._paused.discard(client)
        if client.events:
            self._selector.unregister(client.sock)
        client.sock.close()
        if self._clients.get(client.nick.lower()) is client:
            del self._clients[client.nick.lower()]
        if client.nick == self._watched:
            self._pings.clear()

    def _ping(self) -> None:
        now = time.monotonic()
        client = self._clients.get(self._watched)
        if now < self._next_ping or client is None or not client.registered:
            return
        self._next_ping = now + PING_EVERY
        self._number += 1
        token = b"load-%d" % self._number
        self._pings[token] = now
        self._say(client, b"PING :" + token)

    def _say(self, client: _Client, line: bytes) -> None:
        client.unsent += line[: MAX_LINE - 2] + b"\r\n"
        self._touched.add(client)

    def _numeric(self, client: _Client, code: str, text: str) -> None:
        self._say(client, f":{NAME} {code} {client.nick or '*'} {text}".encode())

    def _handle(self, client: _Client, line: bytes) -> None:
        command, _, rest = line.partition(b" ")
        match command:
            case b"PRIVMSG" | b"NOTICE":
                self._pass_on(client, command, rest)
            case b"PONG":
                token = rest.removeprefix(b":")
                if client.nick == self._watched and token in self._pings:
                    self.pongs.append(time.monotonic() - self._pings.pop(token))
            case b"PING":
                self._say(client, f":{NAME} PONG {NAME} ".encode() + rest)
            case b"NICK":
                self._rename(client, rest.removeprefix(b":").decode())
            case b"USER":
                client.has_user = True
                self._welcome(client)
            case b"CAP" if rest.startswith((b"LS", b"REQ")):
                answer = "LS :" if rest.startswith(b"LS") else f"NAK {rest.partition(b' ')[2].decode()}"
                self._say(client, f":{NAME} CAP {client.nick or '*'} {answer}".encode())
            case b"QUIT":
                self._say(client, b"ERROR :Closing Link")
                self._flush(client)
                self._drop(client)

    def _rename(self, client: _Client, nick: str) -> None:
        if nick.lower() in self._clients:
            self._numeric(client, "433", f"{nick} :Nickname is already in use")
            return
        client.nick = nick
        self._clients[nick.lower()] = client
        self._welcome(client)

    def _welcome(self, client: _Client) -> None:
        if client.registered or not client.nick or not client.has_user:
            return
        client.registered = True
        self._numeric(client, "001", f":Welcome, {client.nick}")
        self._numeric(client, "005", f"{ISUPPORT} :are supported by this server")
        self._numeric(client, "422", ":MOTD File is missing")

    def _pass_on(self, client: _Client, command: bytes, rest: bytes) -> None:
        name, _, text = rest.partition(b" ")
        target = self._clients.get(name.decode(errors="replace").lower())
        if target is None or not target.registered:
            self._numeric(client, "401", f"{name.decode(errors='replace')} :No such nick/channel")
            return
        self._say(target, b":%s!u@127.0.0.1 %s %s %s" % (client.nick.encode(), command, name, text))
        if len(target.unsent) >= ENOUGH and target is not client and client not in self._paused:
            client.waits_for = target
            self._paused.add(client)
            self._listen_for(client)
