"""One IRC connection that nothing a server sends can end, block or confuse.

Over the `irc` library's Reactor and ServerConnection, which supply the commands, the numerics and the
dispatch of events. Their way of reading and writing is replaced: the library ends the process on bad UTF-8,
on a line without a parameter that it expects and on any exception in a handler; it blocks for ever in an
unanswered TLS handshake and in a full send buffer; it lets CR and NUL out; and it never notices that a server
has fallen silent.

The loop belongs to the caller, who calls `Connection.process` again and again from one thread. Nothing here
sleeps elsewhere, and only `process`, `connect` and `quit` wait, each with a bound.
"""

from __future__ import annotations

import logging
import re
import secrets
import select
import socket
import ssl
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypedDict, TypeVar

import irc.client
import irc.events

from ..errors import ConnectionFailed, UsageError
from .dial import ServerAddress, open_socket, plain, words
from .isupport import Features
from .names import fold
from .nickchoice import NickChoice, NickRegain
from .pacing import MAX_LINES, MAX_LINES_PER_TARGET, OutboundQueue, Pace
from .received import LineAssembler, ReceivedLine, decode, parse
from .sasl import AuthenticationRefused, Credentials, Negotiation

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
_WELCOME_PATIENCE = 5.0
"""Seconds after 001 without an end of MOTD (376, 422) until the registration counts as finished."""
_QUIT_PATIENCE = 2.0
"""Seconds in which a server should close the connection after QUIT."""

_STOPPED_READING = "was given up, because the server has stopped reading: connect again"

_TARGET = re.compile(r"[^\s\0:,][^\s\0,]*")
"""What may stand as a message's target: one parameter, one recipient."""
_MASK = re.compile(r"[^\s!@]{1,100}![^\s!@]{1,50}@[^\s!@]{1,100}")
"""nick!user@host, with room for more than any server uses: what is taken for our own must leave room for
text.
"""
_MAX_NAME_BYTES = 100
_MAX_QUIT_BYTES = 300

_THROTTLED = re.compile(r"\*\*\* Message to (?P<target>\S+) throttled due to flooding")
"""A server's notice that it drops lines to a target; for those that are notices, it drops without a word."""
_MAX_PASSWORD_BYTES = 400

_CLOSED = "connection closed"
"""Our own event. Not the library's `disconnect`: event names are the server's commands, and a server that
sends the word DISCONNECT has not disconnected. No command holds a blank.
"""

Command = Literal["PRIVMSG", "NOTICE"]


@dataclass(frozen=True, slots=True)
class Login:
    """With what to be let in; ValueError, without the password, for one that cannot be sent."""

    sasl: Credentials | None = None
    """With these, nothing is ever registered that SASL has not let in."""
    server_password: str | None = field(default=None, repr=False)
    tls_context: ssl.SSLContext | None = None
    """Whom to trust, and our certificate; None for the system's authorities and none."""

    def __post_init__(self) -> None:
        if self.server_password is None:
            return
        try:
            size = len(self.server_password.encode())
        except UnicodeEncodeError:
            size = 0
        if not 0 < size <= _MAX_PASSWORD_BYTES or set("\r\n\0") & set(self.server_password):
            raise ValueError(
                f"The server's password must be one line of 1 to {_MAX_PASSWORD_BYTES} bytes of UTF-8: "
                "mend the configuration."
            )


@dataclass(frozen=True, slots=True)
class IncomingMessage:
    """A PRIVMSG or NOTICE as the server delivered it."""

    sender: str
    """Nick of the sender, or the server's name when the server itself speaks: one printable word of at most
    100 bytes, and a possible target.
    """
    mask: str
    """nick!user@host; equal to `sender` when the server itself speaks."""
    target: str
    text: str
    """Exactly the line's last parameter, without CR and NUL: CTCP framing and formatting codes are still
    in it.
    """
    command: Command
    tags: Mapping[str, str]


class Listener(Protocol):
    """Hears what happens on a connection, from within `Connection.process`.

    An exception in one of these is caught, counted and logged by its class; `Connection.process` must not be
    called from within them, everything else of the connection may.
    """

    def ready(self) -> None:
        """Registered: nick and features are known, and `send` works. Messages come only after this."""

    def message(self, message: IncomingMessage) -> None:
        """Somebody, or the server, sent a PRIVMSG or a NOTICE to us or to a channel."""

    def nick_changed(self, old: str, new: str) -> None:
        """Somebody changed nick: we ourselves (then `Connection.nick` is already the new one) or another."""

    def gone(self, nick: str, reason: str) -> None:
        """`nick` has quit, or the server says that there is nobody of that name (401)."""

    def own_mask_changed(self) -> None:
        """`Connection.own_mask` has become known or has changed."""

    def disconnected(self, reason: str) -> None:
        """The connection is lost, for the reason in one sentence for the user. Not called after our own
        `quit`.
        """


class _GuardedServerConnection(irc.client.ServerConnection):  # type: ignore[misc]  # the library has no types
    """The library's connection on a socket that never blocks, with every way in and out guarded."""

    buffer_class = LineAssembler

    def __init__(self, reactor: irc.client.Reactor) -> None:
        super().__init__(reactor)
        self.unsent = bytearray()
        self.bad_lines = 0
        self.take_first: Callable[[ReceivedLine], bool] = lambda _: False
        """Asked about each line before anything else sees it: whether that is not to see it at all."""

    def start(self, sock: socket.socket) -> None:
        """Take over an open socket. Unlike the library's `connect`, says nothing yet."""
        self.unsent.clear()
        self.buffer = self.buffer_class()
        self.handlers: dict[str, Callable[..., object]] = {}
        self.real_server_name = self.real_nickname = ""
        self.socket = sock
        self.connected = True

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
            if received is not None and not self.take_first(received):
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
            self.bad_lines += 1
            _log.error("a line from the server could not be handled: %s", type(error).__name__)

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

    def send_raw(self, string: str) -> None:
        """Queue one line for the socket. Raises ValueError for a line that may not be sent."""
        if self.socket is None:
            raise irc.client.ServerNotConnectedError("not connected")
        data = self._prep_message(string)
        if len(self.unsent) + len(data) > _UNSENT_LIMIT:
            self.disconnect(_STOPPED_READING)
        else:
            self.unsent += data

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
        self._handle_event(irc.client.Event(_CLOSED, irc.client.NickMask(), None, [message, said]))


class ConnectionOptions(TypedDict, total=False):
    """The options of a `Connection` that have a default, but for its clock; see there."""

    pace: Pace
    altnicks: Sequence[str]
    login: Callable[[], Login]
    capabilities: Collection[str]
    regain_nick: bool
    bot_mode: bool
    queue_lines: int
    queue_lines_per_target: int
    connect_timeout: float
    registration_timeout: float
    ping_after: float
    drop_after: float


class Connection:
    """A nick on a server. See `Listener` for what it tells, and `process` for how it runs.

    `altnicks` are asked for in their order when the nick is taken, before any that is made up; with
    `regain_nick` the wanted one is taken once it is free. `login` is called for each connection, and what it
    raises comes out of `connect`. `capabilities` are asked for where the server offers them. `bot_mode` tells
    the server that we are a bot, if it has a mode for that. `queue_lines`, and of them
    `queue_lines_per_target`, may wait for their turn.

    `ping_after` and `drop_after` are seconds since the server has last answered a PING: after the first it is
    asked again, after the second the connection is given up. `registration_timeout` bounds the time from
    `connect` to `ready`, `connect_timeout` that of `connect` (looking the name up aside, which the system
    bounds). ValueError when a nick, the user name or the real name cannot be sent.
    """

    def __init__(
        self,
        address: ServerAddress,
        nick: str,
        listener: Listener,
        *,
        realname: str,
        username: str,
        pace: Pace = Pace.DEFAULT,
        altnicks: Sequence[str] = (),
        login: Callable[[], Login] = Login,
        capabilities: Collection[str] = (),
        regain_nick: bool = False,
        bot_mode: bool = False,
        queue_lines: int = MAX_LINES,
        queue_lines_per_target: int = MAX_LINES_PER_TARGET,
        clock: Callable[[], float] = time.monotonic,
        connect_timeout: float = 20.0,
        registration_timeout: float = 60.0,
        ping_after: float = 60.0,
        drop_after: float = 120.0,
    ) -> None:
        for name in (nick, *altnicks):
            if not is_name(name):
                raise ValueError(f"{name!r} cannot be a nick: choose one word without commas and colons.")
        if not is_name(username):
            raise ValueError(
                f"{username!r} cannot be a user name: choose one word without commas and colons."
            )
        if not realname or plain(realname) != realname or len(realname.encode()) > 200:
            raise ValueError("The real name must be a printable text of 1 to 200 bytes.")
        if not 0 < ping_after < drop_after:
            raise ValueError("drop_after must be later than ping_after")
        self.address = address
        self._wanted_nick = nick
        self._listener = listener
        self._realname = realname
        self._username = username
        self._pace = pace
        self._clock = clock
        self._altnicks = tuple(altnicks)
        self._login = login
        self._capabilities = tuple(capabilities)
        self._regain_nick = regain_nick
        self._bot_mode = bot_mode
        self._queue_lines = queue_lines
        self._queue_lines_per_target = queue_lines_per_target
        self._connect_timeout = connect_timeout
        self._registration_timeout = registration_timeout
        self._ping_after = ping_after
        self._drop_after = drop_after
        self._listener_errors = 0

        self._reactor = irc.client.Reactor()
        self._reactor.connection_class = _GuardedServerConnection
        self._server: _GuardedServerConnection = self._reactor.server()
        self._server.take_first = self._negotiate
        self._reactor.add_global_handler("all_events", self._on_any, -50)
        for event, handler in {
            "welcome": self._on_welcome,
            "featurelist": self._on_features,
            "endofmotd": self._on_end_of_motd,
            "nomotd": self._on_end_of_motd,
            "erroneusnickname": self._on_nick_refused,
            "nicknameinuse": self._on_nick_taken,
            "nickcollision": self._on_nick_taken,
            "unavailresource": self._on_nick_taken,
            "396": self._on_host_changed,
            "nosuchnick": self._on_no_such_nick,
            "passwdmismatch": self._on_password_refused,
            "ison": self._on_ison,
            "731": self._on_offline,
            "734": self._on_monitor_full,
            "privmsg": self._on_message,
            "notice": self._on_message,
            "nick": self._on_nick,
            "quit": self._on_quit,
            "pong": self._on_pong,
            "error": self._on_error,
            _CLOSED: self._on_closed,
        }.items():
            self._reactor.add_global_handler(event, handler)
        self._reset(Login())

    def _reset(self, login: Login) -> None:
        """The state of a connection that begins now."""
        now = self._clock()
        self._nick = self._wanted_nick
        self._own_mask: str | None = None
        self._features = Features()
        self._queue: OutboundQueue[tuple[Command, str]] = OutboundQueue(
            self._pace,
            max_lines=self._queue_lines,
            max_lines_per_target=self._queue_lines_per_target,
            fold=lambda nick: fold(nick, self._features),
        )
        self._throttled = self._received = self._sent = 0
        self._choice = NickChoice(self._wanted_nick, self._altnicks)
        self._regain: NickRegain | None = None
        self._negotiation = Negotiation(login.sasl, self._capabilities)
        self._server_password = login.server_password
        self._introduced = False
        self._refused = False
        self._lost: ConnectionFailed | None = None
        self._parting_words = ""
        self._register_by = now + self._registration_timeout
        self._welcomed_at: float | None = None
        self._registered = False
        self._quitting = False
        self._answered_at = now
        self._last_pong: float | None = None
        self._pinged_at: float | None = None
        self._stuck_since: float | None = None
        # Nobody else can guess it, so nobody else's notice is swallowed for ours.
        self._probe = f"own mask {secrets.token_hex(8)}"

    # ---- what the caller sees

    @property
    def connected(self) -> bool:
        """Whether there is a connection, registered or not yet."""
        return bool(self._server.connected)

    @property
    def registered(self) -> bool:
        """Whether `ready` was called and the connection still stands: `send` can work."""
        return self._registered

    @property
    def nick(self) -> str:
        """The nick that the server knows us by; before registration the one that was wanted."""
        return self._nick

    @property
    def own_mask(self) -> str | None:
        """nick!user@host as others see us, hence as it stands before every line of ours; None while
        unknown.
        """
        return self._own_mask

    @property
    def features(self) -> Features:
        """What the server has said about itself."""
        return self._features

    @property
    def lost(self) -> ConnectionFailed | None:
        """Why there is no connection any more, without anything that the server said; AuthenticationRefused
        where another attempt is of no use.
        """
        return self._lost

    @property
    def parting_words(self) -> str:
        """What the server said when it closed the connection, printable; empty if it said nothing."""
        return self._parting_words

    @property
    def last_pong(self) -> float | None:
        """When, by our clock, the server has last answered us: let us in, or a PING; None before that."""
        return self._last_pong

    @property
    def throttled(self) -> int:
        """How often the server has said, on this connection, that it drops lines of ours."""
        return self._throttled

    @property
    def received(self) -> int:
        """Messages that were delivered to us on this connection."""
        return self._received

    @property
    def sent(self) -> int:
        """Lines of messages that have left on this connection."""
        return self._sent

    @property
    def errors(self) -> int:
        """Exceptions caught so far, the listener's and those over lines from the server; for a health
        report.
        """
        return self._listener_errors + self._server.bad_lines

    def connect(self) -> None:
        """Open the connection and begin to register; `ready` follows from `process`.

        Raises ConnectionFailed, UsageError when there is a connection already, and what `login` raises. After
        a disconnect it may be called again, and starts from nothing: lines not sent until then are gone.
        """
        if self.connected:
            raise UsageError(f"There already is a connection to {self.address}: quit it first.")
        login = self._login()
        sock = open_socket(self.address, self._connect_timeout, login.tls_context)
        self._reset(login)
        self._server.start(sock)
        for line in self._negotiation.begin():
            self._server.send_raw(line)
        self._introduce()

    def _introduce(self) -> None:
        """Say who we are, once nothing is before that."""
        if self._introduced or not self._negotiation.authenticated:
            return
        self._introduced = True
        if self._server_password is not None:
            self._server.send_raw(f"PASS :{self._server_password}")
            self._server_password = None
        self._server.nick(self._nick)
        self._server.user(self._username, self._realname)

    def process(self, timeout: float, also: Iterable[Waitable] = ()) -> list[Waitable]:
        """One turn: wait at most `timeout` seconds for something to do, and do it.

        `also` are further descriptors to wait for (a terminal, a wake-up pipe); returned are those that can
        be read. Returns early whenever anything happened. Without a connection it only waits for `also`.
        """
        server = self._server
        others = list(also)
        sock = server.socket
        if sock is None:
            return select.select(others, [], [], max(0.0, timeout))[0]
        # Decrypted input inside the TLS layer, where select cannot see it.
        waiting = isinstance(sock, ssl.SSLSocket) and sock.pending() > 0
        wait = 0.0 if waiting else max(0.0, min(timeout, self._next_moment() - self._clock()))
        readable, _, _ = select.select([*others, sock], [sock] if server.unsent else [], [], wait)
        if waiting or any(item is sock for item in readable):
            self._reactor.process_data([sock])
        self._let_lines_out()
        self._watch()
        server.flush()
        return [item for item in readable if item is not sock]

    @property
    def waiting(self) -> int:
        """Lines that were accepted by `send` and have not left yet."""
        return len(self._queue)

    def discard(self) -> None:
        """Throw away the lines that have not left yet."""
        self._queue.clear()

    def send(
        self, target: str, lines: Sequence[str], command: Command = "PRIVMSG", *, paced: bool = True
    ) -> bool:
        """Queue the lines of one message to one target; they leave in order and nothing of ours comes
        between. Without `paced` they leave at once: for a few last words.

        False, with nothing queued, when not registered, when the queue is full, when the target is not
        exactly one recipient, or when a line is longer than 512 bytes with its command and CRLF or holds CR,
        LF or NUL.
        """
        if not self._registered or not _TARGET.fullmatch(target):
            return False
        try:
            for line in lines:
                self._server._prep_message(f"{command} {target} :{line}")
        except ValueError as error:
            _log.error("a message that may not be sent was refused: %s", type(error).__name__)
            return False
        if paced:
            return self._queue.offer(target, [(command, line) for line in lines])
        for line in lines:
            self._server.send_items(command, target, f":{line}")
            self._sent += 1
        return True

    def quit(self, reason: str = "", *, flush_for: float = 5.0) -> None:
        """Let queued lines out for at most `flush_for` seconds, as fast as the pace allows, then QUIT and
        close.

        The listener hears nothing more, `disconnected` included. Without a connection it does nothing.
        """
        self._quitting = True
        deadline = time.monotonic() + flush_for
        while self.connected and len(self._queue) and (left := deadline - time.monotonic()) > 0:
            self.process(left)
        self._queue.clear()
        if self.connected:
            self._server.send_raw(f"QUIT :{plain(reason).encode()[:_MAX_QUIT_BYTES].decode(errors='ignore')}")
        # Waiting for the server to close: a socket closed with input unread resets the connection, and the
        # reset can overtake the lines just written.
        deadline = time.monotonic() + _QUIT_PATIENCE
        while self.connected and (left := deadline - time.monotonic()) > 0:
            self.process(left)
        self._server.disconnect()

    # ---- one turn

    def _let_lines_out(self) -> None:
        now = self._clock()
        if self._registered and len(self._server.unsent) < _UNSENT_ENOUGH:
            for target, (command, line) in self._queue.due(now):
                try:
                    self._server.send_items(command, target, f":{line}")
                    self._sent += 1
                # `send` checked the line; it can have grown too long since if its target took a longer nick.
                except ValueError as error:
                    _log.error("a line was not sent: %s", type(error).__name__)
                if not self.connected:
                    return
        progress = self._server.flush()
        if not self._server.unsent:
            self._stuck_since = None
        elif progress or self._stuck_since is None:
            self._stuck_since = now

    def _next_moment(self) -> float:
        """When, by our clock, there is something to do even if nothing arrives."""
        moments = [self._stuck_since + self._drop_after if self._stuck_since is not None else None]
        if not self._registered:
            moments.append(self._register_by)
            if self._welcomed_at is not None:
                moments.append(self._welcomed_at + _WELCOME_PATIENCE)
        else:
            if len(self._server.unsent) < _UNSENT_ENOUGH:
                moments.append(self._queue.next_due(self._clock()))
            if self._regain is not None:
                moments.append(self._regain.next_ask)
            if self._pinged_at is None:
                moments.append(self._answered_at + self._ping_after)
            else:
                moments.append(self._pinged_at + self._drop_after - self._ping_after)
        return min(moment for moment in moments if moment is not None)

    def _watch(self) -> None:
        """Do what is due because nothing happened."""
        if not self.connected:
            return
        now = self._clock()
        if self._stuck_since is not None and now >= self._stuck_since + self._drop_after:
            self._server.disconnect(_STOPPED_READING)
        elif not self._registered:
            if self._welcomed_at is not None and now >= self._welcomed_at + _WELCOME_PATIENCE:
                self._become_ready()
            elif now >= self._register_by:
                owed = "" if self._introduced else self._negotiation.overdue
                self._server.disconnect(
                    f"was given up, because the server {owed or 'did not let us in'} within "
                    f"{self._registration_timeout:g} seconds: check the address, and whether this port "
                    "expects TLS"
                )
        else:
            if self._regain is not None:
                self._say(self._regain.tick(now))
            self._ask_for_life(now)

    def _ask_for_life(self, now: float) -> None:
        if self._pinged_at is None:
            if now >= self._answered_at + self._ping_after:
                self._pinged_at = now
                self._server.ping("alive")
        elif now >= self._pinged_at + self._drop_after - self._ping_after:
            self._server.disconnect(
                f"was given up, because the server has not answered for {self._drop_after:g} seconds: "
                "connect again"
            )

    def _tell(self, hear: Callable[..., None], *arguments: object) -> None:
        if self._quitting:
            return
        try:
            hear(*arguments)
        # A mistake in the listener over one message must not take down the conversations with everybody else.
        except Exception as error:
            self._listener_errors += 1
            _log.error("the listener failed over an event: %s", type(error).__name__)

    def _say(self, lines: Iterable[str]) -> None:
        """Send lines past the queue."""
        for line in lines:
            if self.connected:
                self._server.send_raw(line)

    # ---- what the server says; event.arguments holds all parameters of the line

    def _negotiate(self, received: ReceivedLine) -> bool:
        """Take in what comes before we are let in; whether it ends the connection."""
        if self._welcomed_at is not None:
            return False
        negotiation = self._negotiation
        self._say(negotiation.heard(received.command, received.parameters))
        if negotiation.failure:
            self._server.flush()
            self._refused = negotiation.refused
            self._server.disconnect(f"was given up, because {negotiation.failure}")
            return True
        self._introduce()
        return False

    def _on_any(self, _connection: object, event: Any) -> None:
        source: irc.client.NickMask = event.source
        if self._welcomed_at is not None and source.nick == self._nick:
            self._learn_mask(str(source))

    def _on_welcome(self, _connection: object, event: Any) -> None:
        if self._introduced and self._welcomed_at is None and event.arguments and is_name(event.arguments[0]):
            # Not the nick that was asked for: some servers cut a long one without a word.
            self._nick = event.arguments[0]
            self._welcomed_at = self._clock()

    def _on_features(self, _connection: object, event: Any) -> None:
        self._features = self._features.updated(event.arguments[1:])

    def _on_end_of_motd(self, _connection: object, _event: object) -> None:
        if self._welcomed_at is not None and not self._registered:
            self._become_ready()

    def _become_ready(self) -> None:
        self._registered = True
        self._answered_at = self._last_pong = self._clock()
        self._server.notice(self._nick, self._probe)
        if self._bot_mode and self._features.bot:
            self._server.send_raw(f"MODE {self._nick} +{self._features.bot}")
        if self._regain_nick:
            wanted = self._wanted_nick[: self._features.nicklen]
            if self._choice.asked != self._nick and self._choice.asked.startswith(self._nick):
                # The server has cut it without a word: what does not fit is not to be had.
                wanted = wanted[: len(self._nick)]
            self._regain = NickRegain(
                wanted, lambda one, other: self._same_nick(one)(other), monitor=self._features.monitor
            )
            self._say(self._regain.under(self._nick, self._clock()))
        self._tell(self._listener.ready)

    def _on_nick_taken(self, _connection: object, event: Any) -> None:
        if self._welcomed_at is None:
            self._ask_for(self._choice.after_taken(event.arguments[1] if len(event.arguments) > 1 else ""))

    def _on_nick_refused(self, _connection: object, _event: object) -> None:
        if self._welcomed_at is None:
            self._ask_for(self._choice.after_refused())
        elif self._regain is not None:
            self._regain.refused()

    def _on_password_refused(self, _connection: object, _event: object) -> None:
        if self._welcomed_at is None:
            self._refused = True
            self._server.disconnect(
                "was given up, because the server wants a password, or another one: check what is set as the "
                "password of the server"
            )

    def _on_ison(self, _connection: object, event: Any) -> None:
        if self._regain is not None and len(event.arguments) > 1:
            self._say(self._regain.online(event.arguments[-1].split(), self._clock()))

    def _on_offline(self, _connection: object, event: Any) -> None:
        for nick in event.arguments[-1].split(",") if len(event.arguments) > 1 else ():
            self._is_free(nick.partition("!")[0])

    def _on_monitor_full(self, _connection: object, _event: object) -> None:
        if self._regain is not None:
            self._regain.unwatched(self._clock())

    def _is_free(self, nick: str) -> None:
        """Somebody was seen to leave a nick."""
        if self._regain is not None:
            self._say(self._regain.free(nick, self._clock()))

    def _ask_for(self, nick: str | None) -> None:
        if nick is None:
            self._server.disconnect(
                f"was given up, because the server accepts neither the nick {self._wanted_nick} nor one like "
                "it: choose another nick"
            )
        else:
            self._server.nick(nick)

    def _learn_mask(self, mask: str) -> None:
        if mask != self._own_mask and _MASK.fullmatch(mask):
            self._own_mask = mask
            self._tell(self._listener.own_mask_changed)

    def _on_host_changed(self, _connection: object, event: Any) -> None:
        if self._own_mask is None or len(event.arguments) < 2:
            return
        host = event.arguments[1]
        if "@" in host:  # some servers name the user too
            self._learn_mask(f"{self._nick}!{host}")
        else:
            self._learn_mask(f"{self._own_mask.rpartition('@')[0]}@{host}")

    def _on_no_such_nick(self, _connection: object, event: Any) -> None:
        if len(event.arguments) >= 2 and event.arguments[1][:1] not in self._features.chantypes:
            self._forget(event.arguments[1], event.arguments[-1])

    def _on_message(self, _connection: object, event: Any) -> None:
        source: irc.client.NickMask = event.source
        if not self._registered or not is_name(source.nick) or len(event.arguments) < 2:
            return
        target, text = event.arguments[:2]
        if source.nick == self._nick and text == self._probe:
            self._answered()
            return
        throttled = _THROTTLED.match(text) if event.type == "notice" and "!" not in source else None
        if throttled is not None and is_name(throttled["target"]):
            self._throttled += 1
            self._queue.throttled(throttled["target"], self._clock())
        self._received += 1
        command: Command = "PRIVMSG" if event.type == "privmsg" else "NOTICE"
        self._tell(
            self._listener.message,
            IncomingMessage(source.nick, str(source), target, text, command, event.tags),
        )

    def _on_nick(self, _connection: object, event: Any) -> None:
        old = event.source.nick
        if not is_name(old) or not event.arguments or not is_name(event.arguments[0]):
            return
        new = event.arguments[0]
        if old == self._nick:
            self._nick = new
            if self._own_mask is not None:
                self._learn_mask(f"{new}!{self._own_mask.partition('!')[2]}")
            if self._regain is not None:
                self._say(self._regain.under(new, self._clock()))
        else:
            self._queue.rename(self._same_nick(old), new)
            if not self._same_nick(old)(new):
                self._is_free(old)
        if self._registered:
            self._tell(self._listener.nick_changed, old, new)

    def _on_quit(self, _connection: object, event: Any) -> None:
        nick = event.source.nick
        if nick and nick != self._nick:
            self._forget(nick, event.arguments[0] if event.arguments else "")

    def _forget(self, nick: str, reason: str) -> None:
        self._queue.discard(self._same_nick(nick))
        self._tell(self._listener.gone, nick, reason)
        self._is_free(nick)

    def _same_nick(self, nick: str) -> Callable[[str], bool]:
        """Whether a target, in whatever capitals our user wrote it, is this nick for the server."""
        folded = fold(nick, self._features)
        return lambda target: fold(target, self._features) == folded

    def _on_pong(self, _connection: object, _event: object) -> None:
        self._answered()

    def _answered(self) -> None:
        self._pinged_at = None
        self._answered_at = self._last_pong = self._clock()

    def _on_error(self, _connection: object, event: Any) -> None:
        said = plain(event.arguments[-1]) if event.arguments else ""
        self._server.disconnect("was closed by the server: connect again", said or "no reason given")

    def _on_closed(self, _connection: object, event: Any) -> None:
        self._registered = False
        what, said = event.arguments
        self._parting_words = said
        kind = AuthenticationRefused if self._refused else ConnectionFailed
        self._lost = kind(f"The connection to {self.address} {what}.")
        with_words = what.replace(":", f" ({said}):", 1) if said else what
        self._tell(self._listener.disconnected, f"The connection to {self.address} {with_words}.")


def is_name(word: str) -> bool:
    """Whether `word` can be a nick, a user name or a server's name: printable, one recipient, and not so long
    that no line could carry it. Not whether a server would like it.
    """
    return bool(_TARGET.fullmatch(word)) and plain(word) == word and len(word.encode()) <= _MAX_NAME_BYTES
