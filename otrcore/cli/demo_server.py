"""The demo's IRC server: `python -m otrcore.cli.demo_server [--port N] [--wire]`.

A subclass of the server that the `irc` package ships, made to behave as real ones do where it matters to OTR:
what it delivers is cut at 512 bytes without a word, bytes that are no UTF-8 pass unchanged, QUIT closes, and
CR alone ends a line, as it does on some networks. Unlike the stock one it sleeps when nothing happens.

It listens on loopback only. Its first line on standard output is the port; with `--wire` every line follows
that crosses the server, `> nick LINE` from a client and `< nick LINE` to one, control characters made visible
(`*` stands for a client without a nick). It is for a few trusted clients on one machine: their number, and
that of the channels they make, has no bound. Ends on SIGTERM, and with `--until-stdin-closes` when its parent
has gone.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import select
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from typing import Any

import irc.server

MAX_LINE = 512
"""Bytes of a line with its CRLF, in both directions."""
MAX_NICK = 30

_MAX_UNFINISHED = 16 * 1024
_MAX_QUEUED = 2000
"""Lines that may wait for a client which does not read; then it is dropped, as real servers do."""
_MAX_UNSENT = 64 * 1024
_FAREWELL_SECONDS = 1.0

_ISUPPORT = f"NICKLEN={MAX_NICK} NETWORK=demo CASEMAPPING=ascii CHANTYPES=#"
_NICK = re.compile(r"[A-Za-z\[\]\\`_^{|}][A-Za-z0-9\[\]\\`_^{|}-]*")
_COMMANDS = frozenset({"cap", "join", "nick", "notice", "part", "ping", "privmsg", "quit", "user"})
"""What a client may call; the stock server would call any method whose name fits, one prints to its
standard output.
"""
_BEFORE_REGISTRATION = frozenset({"cap", "nick", "ping", "quit", "user"})


class _SendQueue(list[str]):
    """What waits for one client. Other clients' threads add to it, so adding wakes the client's own
    thread.
    """

    def __init__(self, wake: socket.socket) -> None:
        super().__init__()
        self._wake = wake
        self.overflowed = False

    def append(self, line: str) -> None:
        if len(self) < _MAX_QUEUED:
            super().append(line)
        else:
            self.overflowed = True
        # A full pipe already wakes; a closed one belongs to a client that has just gone.
        with contextlib.suppress(OSError):
            self._wake.send(b"\0")


class DemoClient(irc.server.IRCClient):  # type: ignore[misc]  # the library has no types
    """One client, in a thread of its own; handlers run one at a time, under the server's lock."""

    server: DemoServer
    nick: str | None
    user: str | None

    def setup(self) -> None:
        """Make what `handle` waits for: the connection, and a pipe by which other threads wake it."""
        self.request.setblocking(False)
        self._woken, wake = socket.socketpair()
        self._wake = wake
        for end in (self._woken, wake):
            end.setblocking(False)
        self.send_queue = _SendQueue(wake)
        self._unfinished = b""
        self._unsent = bytearray()
        self._registered = False

    def handle(self) -> None:
        """Serve until the client goes, is too slow or says too much; then send what is left."""
        with contextlib.suppress(self.Disconnect, OSError):
            while True:
                self._handle_one()
        # What was said last, such as the answer to QUIT, should still arrive.
        with contextlib.suppress(OSError):
            self.request.settimeout(_FAREWELL_SECONDS)
            self._fill()
            self.request.sendall(self._unsent)

    def _handle_one(self) -> None:
        """Wait until there is something to do, and do it."""
        writing = [self.request] if self._unsent or self.send_queue else []
        readable, writable, _ = select.select([self.request, self._woken], writing, [])
        if self._woken in readable:
            with contextlib.suppress(BlockingIOError):
                self._woken.recv(4096)
        if self.send_queue.overflowed:
            raise self.Disconnect
        if writable:
            self._fill()
            with contextlib.suppress(BlockingIOError):
                del self._unsent[: self.request.send(self._unsent)]
        if self.request in readable:
            self._handle_incoming()

    def _fill(self) -> None:
        """Take lines from the queue, cut to what fits into a line."""
        while self.send_queue and len(self._unsent) < _MAX_UNSENT:
            line = _to_bytes(self.send_queue.pop(0))[: MAX_LINE - 2]
            self.server.show("<", self.nick, line)
            self._unsent += line + b"\r\n"

    def _handle_incoming(self) -> None:
        try:
            data = self.request.recv(4096)
        except BlockingIOError:  # select may promise too much
            return
        if not data:
            raise self.Disconnect
        *lines, self._unfinished = re.split(rb"[\r\n]+", self._unfinished + data.replace(b"\0", b""))
        for line in lines:
            if line:
                self.server.show(">", self.nick, line)
                with self.server.lock:
                    self._handle_line(_to_text(line[: MAX_LINE - 2]))
        if len(self._unfinished) > _MAX_UNFINISHED:
            self.send_queue.append("ERROR :Closing Link: a line without an end")
            raise self.Disconnect

    def _handle_line(self, line: str) -> None:
        command, _, params = line.partition(" ")
        name = command.lower()
        try:
            if name not in _COMMANDS:
                raise irc.server.IRCError("421", f"{command} :Unknown command")
            if not self._registered and name not in _BEFORE_REGISTRATION:
                raise irc.server.IRCError("451", ":You have not registered")
            response = getattr(self, f"handle_{name}")(params)
        except irc.server.IRCError as error:
            # A NOTICE is never answered, or two programs could go on answering each other.
            response = None if name == "notice" else self._numeric(error.code, error.value)
        # The stock handlers take some parameters for granted; one client's odd line must not end its thread.
        except Exception:
            response = self._numeric("400", f"{command} :Could not be done")
        if response:
            self.send_queue.append(response)

    def _numeric(self, code: str, text: str) -> str:
        return f":{self.server.servername} {code} {self.nick or '*'} {text}"

    def handle_cap(self, params: str) -> str | None:
        """No capabilities, in the words that clients wait for."""
        subcommand, _, wanted = params.partition(" ")
        if subcommand.upper() in ("LS", "LIST"):
            return f":{self.server.servername} CAP {self.nick or '*'} {subcommand.upper()} :"
        if subcommand.upper() == "REQ":
            return f":{self.server.servername} CAP {self.nick or '*'} NAK :{wanted.removeprefix(':')}"
        return None

    def handle_ping(self, params: str) -> str:
        """Return the PONG, with the words of the PING, as clients look for theirs."""
        return f":{self.server.servername} PONG {self.server.servername} :{params.removeprefix(':')}"

    def handle_nick(self, params: str) -> str | None:
        """Give the client a nick, or refuse it with 431, 432 or 433; everybody in its channels is told."""
        nick = params.removeprefix(":").partition(" ")[0]
        if not nick:
            raise irc.server.IRCError("431", ":No nickname given")
        if not _NICK.fullmatch(nick) or len(nick) > MAX_NICK:
            raise irc.server.IRCError("432", f"{nick} :Erroneous nickname")
        if self.server.clients.get(_folded(nick), self) is not self:
            raise irc.server.IRCError("433", f"{nick} :Nickname is already in use")
        if nick == self.nick:
            return None
        message = f":{self.client_ident()} NICK :{nick}"
        if self.nick:
            del self.server.clients[_folded(self.nick)]
        self.nick = nick
        self.server.clients[_folded(nick)] = self
        if not self._registered:
            self._register()
            return None
        for client in {client for channel in self.channels.values() for client in channel.clients} - {self}:
            client.send_queue.append(message)
        return message

    def handle_user(self, params: str) -> None:
        """Take the user's name, in the characters that a mask may have; 462 for a second one."""
        if self._registered:
            raise irc.server.IRCError("462", ":You may not reregister")
        super().handle_user(params)
        self.user = re.sub(r"[^A-Za-z0-9._-]", "", self.user or "")[:10] or "user"
        self._register()

    def _register(self) -> None:
        """Let the client in as soon as NICK and USER have both come, in either order."""
        if not (self.nick and self.user):
            return
        self._registered = True
        for code, text in (
            ("001", f":Welcome to the demo, {self.client_ident()}"),
            ("002", f":Your host is {self.server.servername}"),
            ("003", ":This server lives as long as the demo"),
            ("004", f"{self.server.servername} otrcore-demo - -"),
            ("005", f"{_ISUPPORT} :are supported by this server"),
            ("422", ":MOTD File is missing"),
        ):
            self.send_queue.append(self._numeric(code, text))

    def handle_part(self, params: str) -> None:
        """Leave channels; 442 for one that the client is not in."""
        names = params.partition(" ")[0]
        for name in names.split(","):
            if name not in self.channels:
                raise irc.server.IRCError("442", f"{name} :You're not on that channel")
        super().handle_part(names)

    def _send_msg(self, cmd: str, params: str) -> None:
        target, _, rest = params.partition(" ")
        text = rest[1:] if rest.startswith(":") else rest.partition(" ")[0]
        if not target:
            raise irc.server.IRCError("411", f":No recipient given ({cmd})")
        if not text:
            raise irc.server.IRCError("412", ":No text to send")
        if target in self.server.channels:
            super()._send_msg(cmd, f"{target} :{text}")
            return
        client = self.server.clients.get(_folded(target))
        if client is None or not client._registered:
            raise irc.server.IRCError("401", f"{target} :No such nick/channel")
        client.send_queue.append(f":{self.client_ident()} {cmd} {client.nick} :{text}")

    def handle_quit(self, params: str) -> None:
        """Take the client out of everything, then tell it, and close."""
        super().handle_quit(params)
        # Before the client hears that it is over: whoever writes to it from then on gets a 401.
        self._leave()
        self.send_queue.append(f"ERROR :Closing Link: {self.nick or '*'} ({params.removeprefix(':')})")
        raise self.Disconnect

    def finish(self) -> None:
        """Take a client out that has gone without a QUIT, and give its sockets back."""
        with self.server.lock:
            self._leave()
        self._woken.close()
        self._wake.close()

    def _leave(self) -> None:
        """Take the client out of everything that it is in."""
        for channel in self.channels.values():
            if self in channel.clients:
                channel.clients.remove(self)
                self._send_to_others(f":{self.client_ident()} QUIT :Connection closed", channel)
        if self.nick and self.server.clients.get(_folded(self.nick)) is self:
            del self.server.clients[_folded(self.nick)]


class DemoServer(irc.server.IRCServer):  # type: ignore[misc]  # the library has no types
    """Listens on loopback from its making on; `serve_forever` then serves."""

    def __init__(self, port: int, wire: bool) -> None:
        """OSError when the port cannot be had."""
        super().__init__(("127.0.0.1", port), DemoClient)
        self.servername = "irc.demo"
        self.lock = threading.RLock()
        self._wire = wire
        self._output_lock = threading.Lock()

    @property
    def port(self) -> int:
        """The port that was asked for, or that the system has chosen."""
        return int(self.server_address[1])

    def show(self, direction: str, nick: str | None, line: bytes) -> None:
        """With `--wire`, write down a line that crosses the server."""
        if self._wire:
            self.write(f"{direction} {nick or '*'} {_visible(line)}")

    def write(self, line: str) -> None:
        """Write one line to standard output, at once; nobody there to read it any more ends the server."""
        try:
            with self._output_lock:
                os.write(sys.stdout.fileno(), f"{line}\n".encode())
        except BrokenPipeError:
            signal.raise_signal(signal.SIGTERM)


def _folded(nick: str) -> str:
    # Nicks here are ASCII, but what they are compared with need not be.
    return "".join(character.lower() if character.isascii() else character for character in nick)


def _to_text(line: bytes) -> str:
    # A server must not change the bytes of a message, whatever their encoding.
    return line.decode("utf-8", "surrogateescape")


def _to_bytes(line: str) -> bytes:
    return line.encode("utf-8", "surrogateescape")


def _visible(line: bytes) -> str:
    """The line with everything that a terminal could act on, or that is no UTF-8, as an escape."""
    text = line.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number < 65536:
        raise ValueError(text)
    return number


def _stop_at_end_of_input(server: DemoServer) -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    server.shutdown()


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to stop; 0 then, 1 when the port cannot be had."""
    parser = argparse.ArgumentParser(
        prog="python -m otrcore.cli.demo_server", description="The demo's IRC server."
    )
    parser.add_argument("--port", type=_port, default=0, help="port on loopback; by default any free one")
    parser.add_argument("--wire", action="store_true", help="show every line that crosses the server")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end when standard input does")
    options = parser.parse_args(arguments)
    try:
        server = DemoServer(options.port, options.wire)
    except OSError as error:
        print(
            f"The demo's server cannot have port {options.port} ({error.strerror}): choose another.",
            file=sys.stderr,
        )
        return 1

    def stop(*_: Any) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    with server:
        server.write(str(server.port))
        if options.until_stdin_closes:
            threading.Thread(target=_stop_at_end_of_input, args=(server,), daemon=True).start()
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
