"""An OTR peer that a test moves by hand: our library on a bare socket.

It sends any bytes as IRC lines, any bytes inside OTR, and answers a handshake as far as
it is told to; no program of a user's would.
"""

from __future__ import annotations

import re
import secrets
import select
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from unittest.mock import patch

from otrcore.account import Account
from otrcore.conversation import Conversation
from otrcore.events import Event, Received, SessionEnd, SessionEnded, Transmit
from otrcore.identity import Identity
from otrcore.model import MessageState, Protection
from otrcore.session import Encrypted
from otrcore.wire import tlv
from otrcore.wire.fragment import cut
from otrcore.wire.header import parse_header
from otrcore.wire.text import encode
from tests.clients.drivers.waiting import wait_for

LINE_LIMIT = 400
_MESSAGE = re.compile(r":([^! ]+)\S* (PRIVMSG|NOTICE) (\S+) :(.*)", re.DOTALL)
_identity: list[Identity] = []


@dataclass(frozen=True, slots=True)
class Message:
    """A PRIVMSG or NOTICE that came."""

    sender: str
    command: str
    target: str
    text: str


class OtrPeer:
    """A nick on the server at `port`.

    While `answering`, OTR messages go to the conversation with their sender, and what that
    wants sent is sent; what it wants shown is kept in `events`.
    """

    def __init__(self, port: int, nick: str) -> None:
        # One key is enough for all of a test's process: making one takes its time.
        if not _identity:
            _identity.append(Identity.generate())
        self.nick = nick
        self.answering = True
        self.account = Account(_identity[0])
        self.lines: list[str] = []
        self.messages: list[Message] = []
        self.events: list[tuple[str, Event]] = []
        self.closed = False
        self._rest = b""
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.raw(f"NICK {nick}", f"USER {nick} 0 * :a test")
        self.wait(lambda: [line for line in self.lines if re.match(r"\S+ (376|422) ", line)], "the welcome")

    def raw(self, *lines: str | bytes) -> None:
        """Send lines as they are."""
        for line in lines:
            self._socket.sendall((line.encode() if isinstance(line, str) else line) + b"\r\n")

    def say_plain(self, nick: str, text: str | bytes) -> None:
        """Send a text outside OTR."""
        text = text.encode() if isinstance(text, str) else text
        self.raw(b"PRIVMSG " + nick.encode() + b" :" + text)

    def ask(self, nick: str) -> None:
        """Ask for an encrypted conversation."""
        self._do(nick, self._talk(nick).start())

    def start(self, nick: str) -> None:
        """Ask for an encrypted conversation, and wait until it is one."""
        self.ask(nick)
        self.wait_secured(nick)

    def say(self, nick: str, text: str) -> None:
        """Send a text encrypted."""
        self._do(nick, self._talk(nick).send(text))

    def encrypted(self, nick: str, text: str) -> str:
        """Return a text encrypted, in one line of any length, and do not send it."""
        talk = self._talk(nick)
        talk.line_limit = None
        (event,) = talk.send(text)
        assert isinstance(event, Transmit)
        (line,) = event.lines
        return line

    def say_bytes(self, nick: str, plaintext: bytes) -> None:
        """Send any bytes at all as what is encrypted."""
        talk = self._talk(nick)
        state = talk._instances.session()._state
        assert isinstance(state, Encrypted)
        # Our own library would not put a NUL into a text, nor records that are cut off behind it.
        with patch.object(tlv, "join", lambda text, records: text):
            data = state.channel.encrypt(plaintext)
        self._do(nick, [Transmit(cut(encode(data), LINE_LIMIT, parse_header(data), secrets.randbits(32)))])

    def end(self, nick: str) -> None:
        """End the encrypted conversation."""
        self._do(nick, self._talk(nick).end())

    def verify(self, nick: str, secret: str, question: str | None) -> None:
        """Ask somebody to prove to know a secret."""
        self._do(nick, self._talk(nick).smp_start(secret, question))

    def take(self, nick: str, text: str) -> None:
        """Let OTR have a message that came while it was not `answering`."""
        self._do(nick, self._talk(nick).receive(text))

    def secured(self, nick: str) -> bool:
        """Whether the conversation is encrypted."""
        return self._talk(nick).state is MessageState.ENCRYPTED

    def wait_secured(self, nick: str) -> None:
        """Wait until the conversation is encrypted."""
        self.wait(lambda: self.secured(nick), f"OTR between {self.nick} and {nick}")

    def wait_ended(self, nick: str, times: int = 1) -> None:
        """Wait until the other side has ended conversations, so many times."""
        end = SessionEnded(SessionEnd.PEER)
        self.wait(lambda: self.events_with(nick).count(end) >= times, f"the end of OTR with {nick}")

    def events_with(self, nick: str) -> list[Event]:
        """Return what the conversation with somebody has brought."""
        return [event for name, event in self.events if name == nick]

    def received(self, nick: str) -> list[str]:
        """Return the texts that somebody has sent encrypted."""
        return [
            event.text
            for event in self.events_with(nick)
            if isinstance(event, Received) and event.protection is Protection.ENCRYPTED
        ]

    def wait_received(self, nick: str, *texts: str) -> None:
        """Wait until these are all the texts that somebody has sent encrypted."""
        self.wait(lambda: self.received(nick) == list(texts), f"{texts!r}")

    def plain(self, nick: str) -> list[str]:
        """Return the texts of somebody that are no part of OTR."""
        return [
            message.text
            for message in self.messages
            if message.sender == nick and message.command == "PRIVMSG" and "?OTR" not in message.text
        ]

    def session_id(self, nick: str) -> str:
        """Return the id of the session with somebody."""
        info = self._talk(nick).info
        return str(info.session_id) if info is not None else ""

    def wait(self, look: Callable[[], object], what: str) -> None:
        """Handle what comes until something is so."""

        def pump_and_look() -> object:
            self.pump()
            return look()

        wait_for(pump_and_look, lambda: f"{what}; {self.nick} has {self.events} and {self.lines[-20:]}")

    def settle(self) -> None:
        """Wait until the server has handled everything sent so far, and handle what came of it here."""
        before = len(self.lines)
        self.raw(f"PING :settle-{before}")
        self.wait(lambda: any(f"settle-{before}" in line for line in self.lines[before:]), "a PONG")

    def pump(self) -> None:
        """Handle what has come."""
        while not self.closed and select.select([self._socket], [], [], 0)[0]:
            data = self._socket.recv(65536)
            self.closed = not data
            *lines, self._rest = (self._rest + data).split(b"\r\n")
            for line in lines:
                self._handle(line.decode(errors="surrogateescape"))

    def close(self) -> None:
        """Close the connection, without a word."""
        self.closed = True
        self._socket.close()

    def __enter__(self) -> OtrPeer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _handle(self, line: str) -> None:
        self.lines.append(line)
        if line.startswith("PING "):
            self.raw(line.replace("PING", "PONG", 1))
        found = _MESSAGE.fullmatch(line)
        if found is None:
            return
        message = Message(*found.groups())
        self.messages.append(message)
        if self.answering and message.command == "PRIVMSG" and message.target == self.nick:
            self._do(message.sender, self._talk(message.sender).receive(message.text))

    def _talk(self, nick: str) -> Conversation:
        # The servers of these tests fold the letters of ASCII.
        self.account.name = self.nick.lower()
        talk = self.account.conversation(nick.lower())
        talk.line_limit = LINE_LIMIT
        return talk

    def _do(self, nick: str, events: Iterable[Event]) -> None:
        for event in events:
            self.events.append((nick, event))
            if isinstance(event, Transmit):
                for line in event.lines:
                    self.say_plain(nick, line)
