"""One IRC connection that nothing a server sends can end, block or confuse.

The loop belongs to the caller, who calls `Connection.process` again and again from one thread. Nothing here
sleeps elsewhere, and only `process`, `connect` and `quit` wait, each with a bound.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

from ...errors import ConnectionFailed, UsageError
from ..isupport import Features
from ..lines import Command, printable
from ..names import is_recipient
from .address import ServerAddress
from .dial import open_socket
from .listener import Listener
from .options import Login, Settings
from .protocol import ClientProtocol
from .transport import STOPPED_READING, Transport

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

    Waitable = TypeVar("Waitable", bound=FileDescriptorLike)

_QUIT_PATIENCE = 2.0
"""Seconds in which a server should close the connection after QUIT."""
_MAX_QUIT_BYTES = 300


class Connection:
    """A nick on a server. See `Listener` for what it tells, and `process` for how it runs."""

    def __init__(
        self,
        address: ServerAddress,
        settings: Settings,
        listener: Listener,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.address = address
        self._settings = settings
        self._listener = listener
        self._clock = clock
        self._transport = Transport()
        self._protocol = self._new_protocol(Login())
        self._sent = 0
        self._quitting = False

    def _new_protocol(self, login: Login) -> ClientProtocol:
        return ClientProtocol(
            str(self.address),
            self._settings,
            login,
            self._transport,
            self._listener,
            self._tell,
            self._clock,
        )

    # ---- what the caller sees

    @property
    def connected(self) -> bool:
        """Whether there is a connection, registered or not yet."""
        return bool(self._transport.connected)

    @property
    def registered(self) -> bool:
        """Whether `ready` was called and the connection still stands: `send` can work."""
        return self._protocol.registered

    @property
    def nick(self) -> str:
        """The nick that the server knows us by; before registration the one that was wanted."""
        return self._protocol.nick

    @property
    def own_mask(self) -> str | None:
        """nick!user@host as others see us, hence as it stands before every line of ours; None while
        unknown.
        """
        return self._protocol.own_mask

    @property
    def features(self) -> Features:
        """What the server has said about itself."""
        return self._protocol.features

    @property
    def lost(self) -> ConnectionFailed | None:
        """Why there is no connection any more, without anything that the server said; AuthenticationRefused
        where another attempt is of no use.
        """
        return self._protocol.lost

    @property
    def parting_words(self) -> str:
        """What the server said when it closed the connection, printable; empty if it said nothing."""
        return self._protocol.parting_words

    @property
    def last_pong(self) -> float | None:
        """When, by our clock, the server has last answered us: let us in, or a PING; None before that."""
        return self._protocol.answered_at

    @property
    def throttled(self) -> int:
        """How often the server has said, on this connection, that it drops lines of ours."""
        return self._protocol.throttled

    @property
    def received(self) -> int:
        """Messages that were delivered to us on this connection."""
        return self._protocol.received

    @property
    def sent(self) -> int:
        """Lines of messages that have left on this connection."""
        return self._sent

    @property
    def errors(self) -> int:
        """Exceptions caught so far, the listener's and those over lines from the server; for a health
        report.
        """
        return self._transport.errors

    @property
    def waiting(self) -> int:
        """Lines that were accepted by `send` and have not left yet."""
        return len(self._protocol.queue)

    # ---- what the caller does

    def connect(self) -> None:
        """Open the connection and begin to register; `ready` follows from `process`.

        Raises ConnectionFailed, UsageError when there is a connection already, and what the option `login`
        raises. After a disconnect it may be called again, and starts from nothing: lines not sent until then
        are gone.
        """
        if self.connected:
            raise UsageError(f"There already is a connection to {self.address}: quit it first.")
        login = self._settings.login()
        sock = open_socket(self.address, self._settings.connect_timeout, login.tls_context)
        self._protocol = self._new_protocol(login)
        self._sent = 0
        self._quitting = False
        self._transport.start(sock, self._protocol)
        self._protocol.begin()

    def process(self, timeout: float, also: Iterable[Waitable] = ()) -> list[Waitable]:
        """One turn: wait at most `timeout` seconds for something to do, and do it.

        `also` are further descriptors to wait for (a terminal, a wake-up pipe); returned are those that can
        be read. Returns early whenever anything happened. Without a connection it only waits for `also`.
        """
        transport = self._transport
        others = list(also)
        if not self.connected:
            return transport.wait(timeout, others)[1]
        arrived, readable = transport.wait(min(timeout, self._next_moment() - self._clock()), others)
        if arrived:
            transport.process_data()
        self._let_lines_out()
        self._watch()
        transport.flush()
        return readable

    def discard(self) -> None:
        """Throw away the lines that have not left yet."""
        self._protocol.queue.clear()

    def send(
        self, target: str, lines: Sequence[str], command: Command = "PRIVMSG", *, paced: bool = True
    ) -> bool:
        """Queue the lines of one message to one target; they leave in order and nothing of ours comes
        between. Without `paced` they leave at once: for a few last words.

        False, with nothing queued, when not registered, when the queue is full, when the target is not
        exactly one recipient, or when a line is longer than 512 bytes with its command and CRLF or holds CR,
        LF or NUL.
        """
        if not self.registered or not is_recipient(target):
            return False
        if not all(self._transport.may_send(f"{command} {target} :{line}") for line in lines):
            return False
        if paced:
            return self._protocol.queue.offer(target, [(command, line) for line in lines])
        for line in lines:
            self._transport.send_raw(f"{command} {target} :{line}")
            self._sent += 1
        return True

    def quit(self, reason: str = "", *, flush_for: float = 5.0) -> None:
        """Let queued lines out for at most `flush_for` seconds, as fast as the pace allows, then QUIT and
        close.

        The listener hears nothing more, `disconnected` included. Without a connection it does nothing.
        """
        self._quitting = True
        deadline = time.monotonic() + flush_for
        while self.connected and self.waiting and (left := deadline - time.monotonic()) > 0:
            self.process(left)
        self.discard()
        if self.connected:
            words = printable(reason).encode()[:_MAX_QUIT_BYTES].decode(errors="ignore")
            self._transport.send_raw(f"QUIT :{words}")
        # Waiting for the server to close: a socket closed with input unread resets the connection, and the
        # reset can overtake the lines just written.
        deadline = time.monotonic() + _QUIT_PATIENCE
        while self.connected and (left := deadline - time.monotonic()) > 0:
            self.process(left)
        self._transport.disconnect("was closed by ourselves: connect again")

    # ---- one turn

    def _next_moment(self) -> float:
        """When, by our clock, there is something to do even if nothing arrives."""
        moments = [self._protocol.next_moment()]
        if self._transport.stuck_since is not None:
            moments.append(self._transport.stuck_since + self._settings.drop_after)
        if self.registered and self._transport.takes_more:
            due = self._protocol.queue.next_due(self._clock())
            if due is not None:
                moments.append(due)
        return min(moments)

    def _let_lines_out(self) -> None:
        now = self._clock()
        protocol = self._protocol
        if self.registered and self._transport.takes_more:
            for target, (command, text) in protocol.queue.due(now):
                line = f"{command} {target} :{text}"
                # `send` checked it; it can have grown too long since if its target took a longer nick.
                if self._transport.may_send(line):
                    self._transport.send_raw(line)
                    self._sent += 1
                if protocol.lost is not None:
                    return
        self._transport.flush_at(now)

    def _watch(self) -> None:
        """Do what is due because nothing happened."""
        if not self.connected:
            return
        stuck_since = self._transport.stuck_since
        if stuck_since is not None and self._clock() >= stuck_since + self._settings.drop_after:
            self._transport.disconnect(STOPPED_READING)
        else:
            self._protocol.tick()

    def _tell(self, hear: Callable[..., None], *arguments: object) -> None:
        if self._quitting:
            return
        try:
            hear(*arguments)
        # A mistake in the listener over one message must not take down the conversations with everybody else.
        except Exception as error:
            self._transport.caught("the listener failed over an event", error)
