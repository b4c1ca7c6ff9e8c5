"""One socket to a server: lines in and lines out, and nothing that blocks or raises for what a server sends.

Over the `irc` library's ServerConnection and Reactor, which supply the names of the numerics, the dispatch
of events and the answer to PING. Their way of reading and writing is replaced: the library ends the process
on bad UTF-8, on a line without a parameter that it expects and on any exception in a handler; it blocks for
ever in an unanswered TLS handshake and in a full send buffer; and it lets CR and NUL out.
"""

from __future__ import annotations

import logging
import select
import socket
import ssl
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import irc.client
import irc.events

from .dial import words
from .received import LineAssembler, ReceivedLine, decode, parse

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

    Waitable = TypeVar("Waitable", bound=FileDescriptorLike)

_log = logging.getLogger(__name__)
# At DEBUG the library writes every line it sees into the log, passwords and private messages included.
logging.getLogger("irc").setLevel(logging.INFO)

_READ_BYTES = 16384
_READS_PER_TURN = 4
"""Bounds one turn to 64 KiB of input, so that a flooding server cannot starve the caller's other
descriptors.
"""
_UNSENT_ENOUGH = 16 * 1024
"""With this many bytes waiting for the socket, lines stay in the queue, where they can still be discarded."""
_UNSENT_LIMIT = 256 * 1024
"""More than the queue can hand over at once (400 lines of 512 bytes); beyond it the server has stopped
reading.
"""
STOPPED_READING = "was given up, because the server has stopped reading: connect again"


class Receiver(Protocol):
    """Takes in what a server says, and the end; one for each connection."""

    def take_first(self, line: ReceivedLine) -> bool:
        """Look at a line before anybody else; whether nobody else is to see it."""

    def handle(self, event: Any) -> None:
        """Take in a line as the library's event, in whose `arguments` are all parameters of the line."""

    def closed(self, what: str, said: str) -> None:
        """Take in the end: what has become of `The connection`, to follow on that, and the server's words."""


class Transport(irc.client.ServerConnection):  # type: ignore[misc]  # the library has no types
    """The library's connection on a socket that never blocks, with our own ways in and out."""

    buffer_class = LineAssembler

    def __init__(self) -> None:
        super().__init__(irc.client.Reactor())
        self.reactor.add_global_handler("all_events", lambda _, event: self._receiver.handle(event))
        self.unsent = bytearray()
        self.stuck_since: float | None = None
        """Since when nothing has gone out of what should; None while it does."""
        self.errors = 0
        """Exceptions that were caught."""

    def start(self, sock: socket.socket, receiver: Receiver) -> None:
        """Take over an open socket. Unlike the library's `connect`, says nothing yet."""
        self._receiver = receiver
        self.unsent.clear()
        self.stuck_since = None
        self.buffer = self.buffer_class()
        self.handlers: dict[str, object] = {}
        self.socket = sock
        self.connected = True

    def wait(self, timeout: float, also: Sequence[Waitable]) -> tuple[bool, list[Waitable]]:
        """Wait at most `timeout` seconds until the socket can be read or takes what is unsent, or one of
        `also` can be read; return whether the socket can be read, and which of those.
        """
        sock = self.socket
        timeout = max(0.0, timeout)
        if sock is None:
            return False, select.select(also, [], [], timeout)[0]
        # Decrypted input inside the TLS layer, where select cannot see it.
        pending = isinstance(sock, ssl.SSLSocket) and sock.pending() > 0
        readable, _, _ = select.select(
            [*also, sock], [sock] if self.unsent else [], [], 0.0 if pending else timeout
        )
        others = [item for item in readable if item is not sock]
        return pending or len(others) < len(readable), others

    def process_data(self) -> None:
        """Read what is there, in bounds, and handle every complete line."""
        sock, assembler = self.socket, self.buffer
        for _ in range(_READS_PER_TURN):
            try:
                data = sock.recv(_READ_BYTES)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            except OSError as error:
                self.disconnect(f"broke off ({words(error)}): connect again")
                return
            if not data:
                self.disconnect("was closed by the server: connect again")
                return
            for line in assembler.feed(data):
                self._process_line(decode(line))
                if self.socket is not sock:
                    return

    def _process_line(self, line: str) -> None:
        try:
            received = parse(line)
            if received is not None and not self._receiver.take_first(received):
                self._handle_event(
                    irc.client.Event(
                        irc.events.Command.lookup(received.command),
                        irc.client.NickMask(received.source),
                        received.parameters[0] if received.parameters else "",
                        list(received.parameters),
                        received.tags,
                    )
                )
        # Whatever an odd line upsets, in the library or here: the lines after it must still be handled.
        except Exception as error:
            self.caught("a line from the server could not be handled", error)

    def caught(self, what: str, error: Exception) -> None:
        """Count an exception, and log it by its class: what it says may be private."""
        self.errors += 1
        _log.error("%s: %s", what, type(error).__name__)

    def pong(self, target: str, target2: str = "") -> None:
        """Answer a PING; the library would leave out the colon that an empty token or one with a blank
        needs.
        """
        self.send_raw(f"PONG :{target}")

    def _prep_message(self, string: str) -> bytes:
        # Some servers take CR for the end of a line, and NUL wedges others: the library only looks for LF.
        if "\r" in string or "\0" in string:
            raise irc.client.InvalidCharacters("CR and NUL cannot be sent")
        prepared: bytes = super()._prep_message(string)
        return prepared

    def may_send(self, line: str) -> bool:
        """Whether a line is at most 512 bytes long with its CRLF, and holds no CR, LF or NUL."""
        try:
            self._prep_message(line)
        except ValueError as error:
            _log.error("a line that may not be sent was refused: %s", type(error).__name__)
            return False
        return True

    def send_raw(self, string: str) -> None:
        """Queue one line for the socket. Raises ValueError for a line that may not be sent."""
        if self.socket is None:
            raise irc.client.ServerNotConnectedError("not connected")
        data = self._prep_message(string)
        if len(self.unsent) + len(data) > _UNSENT_LIMIT:
            self.disconnect(STOPPED_READING)
        else:
            self.unsent += data

    @property
    def takes_more(self) -> bool:
        """Whether lines that can wait should be given to it now."""
        return len(self.unsent) < _UNSENT_ENOUGH

    def flush(self) -> bool:
        """Write as much as the socket takes without blocking; whether any of it went out."""
        progress = False
        while self.unsent:
            try:
                sent = self.socket.send(bytes(self.unsent[:_READ_BYTES]))
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                break
            except OSError as error:
                self.disconnect(f"broke off ({words(error)}): connect again")
                break
            del self.unsent[:sent]
            progress = True
        return progress

    def flush_at(self, now: float) -> None:
        """Flush, and keep in mind since when that has been in vain."""
        progress = self.flush()
        if not self.unsent:
            self.stuck_since = None
        elif progress or self.stuck_since is None:
            self.stuck_since = now

    def disconnect(self, message: str = "", said: str = "") -> None:
        """Close the socket and say why, and what the server said. Unlike the library's, sends no QUIT: the
        way out may be what is broken.
        """
        if not self.connected:
            return
        sock = self.socket
        # Both are class attributes of the library, shadowed while connected.
        del self.connected, self.socket
        self.unsent.clear()
        sock.close()
        self._receiver.closed(message, said)
