"""Many people with OTR on IRC servers, each with a story of its own, side by side in the caller's thread."""

from __future__ import annotations

import re
import selectors
import socket
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import replace
from functools import cache
from types import TracebackType

from otrcore.account import Account
from otrcore.events import Event, Received, SessionOpened, SmpAborted, SmpFailed, SmpSucceeded, Transmit
from otrcore.identity import Identity
from otrcore.irc.connection.pacing import OutboundQueue, Pace
from otrcore.model import Fingerprint, MessageState, Protection
from otrcore.policy import DEFAULT

BOT = "echo"
VERSION = 3
"""In which what one process carries was measured; a start in version 4 takes ten times as long."""

LINE_LIMIT = 350
"""Bytes of text in a line, which every network leaves whole."""

SWEEP = 0.05
"""Seconds after which everybody is looked after who has not heard anything."""

_PRIVMSG = re.compile(rb":([^! ]+)\S* PRIVMSG \S+ :(.*)", re.DOTALL)
_WELCOME = re.compile(rb"\S+ (376|422) ")

Story = Generator[Callable[[], object], None, None]
"""What somebody does: what is yielded is waited for to be true."""


def pause(seconds: float) -> Story:
    """Wait for so long."""
    end = time.monotonic() + seconds
    yield lambda: time.monotonic() >= end


@cache
def identity(number: int) -> Identity:
    """Return one of a few keys: making one for each takes its time."""
    return Identity.generate()


class Peer:
    """A nick with OTR that talks with the bot; its lines leave at a pace."""

    def __init__(self, port: int, nick: str, pace: Pace = Pace.NONE, version: int = VERSION) -> None:
        self.nick = nick
        self.version = version
        self.welcome = self.closed = False
        self.texts: list[str] = []
        """Those that the bot has sent encrypted."""
        self.plain: list[str] = []
        """Those that it has sent unencrypted."""
        self.opened = 0
        """How often the conversation has become encrypted."""
        self.verdicts: list[Event] = []
        """How verifications have ended."""
        self.heard: list[str] = []
        """All that the bot has sent, as it came; the last lines of it."""
        self.lines = 0
        """Of the bot's that have come."""
        self.said = b""
        """What the server said in the end."""
        self.seconds: list[float] = []
        """That each echo has taken."""
        policy = replace(DEFAULT, versions=frozenset({version}))
        # The servers of these tests fold the letters of ASCII; both names go into a proof of version 4.
        self._account = Account(identity(hash(nick) % 4), policy, name=nick.lower())
        self.talk = self._account.conversation(BOT.lower())
        self.talk.line_limit = LINE_LIMIT
        self._queue: OutboundQueue[bytes] = OutboundQueue(pace, max_lines=10_000, max_lines_per_target=10_000)
        self._rest = b""
        self._unsent = bytearray()
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.sock.setblocking(False)
        self._unsent += f"NICK {nick}\r\nUSER {nick} 0 * :a test\r\n".encode()
        self.flush()

    # ---- what it does

    @property
    def secured(self) -> bool:
        """Whether the conversation is encrypted."""
        return self.talk.state is MessageState.ENCRYPTED

    def start(self) -> None:
        """Ask for an encrypted conversation."""
        self._do(self.talk.start())

    def say(self, text: str) -> None:
        """Send a text by the conversation."""
        self._do(self.talk.send(text))

    def verify(self, secret: str, question: str | None = None) -> None:
        """Ask the bot for a secret."""
        self._do(self.talk.smp_start(secret, question))

    def end(self) -> None:
        """End the conversation."""
        self._do(self.talk.end())

    def raw(self, *texts: bytes) -> None:
        """Send texts to the bot as they are."""
        self._queue.offer(BOT, [b"PRIVMSG " + BOT.encode() + b" :" + text for text in texts])

    @property
    def their_fingerprint(self) -> Fingerprint | None:
        """The bot's, in an encrypted conversation."""
        return self.talk.info.their_fingerprint if self.talk.info is not None else None

    @property
    def waiting(self) -> int:
        """Lines that have not left yet, and bytes of such."""
        return len(self._queue) + len(self._unsent)

    # ---- stories

    def secure(self) -> Story:
        """Have an encrypted conversation."""
        yield lambda: self.welcome
        self.start()
        yield lambda: self.secured

    def echo(self, text: str) -> Story:
        """Send a text, and wait for its echo, which must be the same."""
        before, sent = len(self.texts), time.monotonic()
        self.say(text)
        yield lambda: len(self.texts) > before
        self.seconds.append(time.monotonic() - sent)
        assert self.texts[before:] == [text], f"{self.nick} said {text!r} and got {self.texts[before:]}"

    def prove(self, secret: str) -> Story:
        """Verify the bot."""
        before = len(self.verdicts)
        self.verify(secret, "What is the echo peer's word?")
        yield lambda: len(self.verdicts) > before
        assert isinstance(self.verdicts[-1], SmpSucceeded), f"{self.nick}: {self.verdicts[-1]}"

    # ---- what the crowd does with it

    def read(self) -> None:
        """Handle what has come."""
        try:
            data = self.sock.recv(65536)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        self.closed = not data
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._handle(line.rstrip(b"\r"))

    def flush(self) -> bool:
        """Send what may be sent; tell whether more could be sent if the server took it."""
        for _, line in self._queue.due(time.monotonic()):
            self._unsent += line + b"\r\n"
        try:
            while self._unsent and not self.closed:
                del self._unsent[: self.sock.send(self._unsent)]
        except BlockingIOError:
            return True
        except ConnectionError:
            self.closed = True
        return False

    def tick(self) -> None:
        """Do what time asks for."""
        due = self.talk.next_tick
        if due is not None and due <= time.monotonic():
            self._do(self.talk.tick())

    def _handle(self, line: bytes) -> None:
        if line.startswith(b"PING "):
            self._unsent += line.replace(b"PING", b"PONG", 1) + b"\r\n"
        elif line.startswith(b"ERROR"):
            self.said = line
        elif _WELCOME.match(line):
            self.welcome = True
        elif (found := _PRIVMSG.fullmatch(line)) and found[1] == BOT.encode():
            text = found[2].decode(errors="surrogateescape")
            self.lines += 1
            self.heard = [*self.heard[-9:], text]
            self._do(self.talk.receive(text))

    def _do(self, events: Iterable[Event]) -> None:
        for event in events:
            match event:
                case Transmit(lines):
                    self.raw(*(line.encode(errors="surrogateescape") for line in lines))
                case Received(text, Protection.ENCRYPTED):
                    self.texts.append(text)
                case Received(text):
                    self.plain.append(text)
                case SessionOpened():
                    self.opened += 1
                case SmpSucceeded() | SmpFailed() | SmpAborted():
                    self.verdicts.append(event)


class Crowd:
    """Peers, and what moves them."""

    def __init__(self) -> None:
        self.peers: list[Peer] = []
        self._selector = selectors.DefaultSelector()
        self._writing: set[Peer] = set()

    def join(self, port: int, nick: str, pace: Pace = Pace.NONE, version: int = VERSION) -> Peer:
        """Have somebody more on the server at `port`."""
        peer = Peer(port, nick, pace, version)
        self.peers.append(peer)
        self._selector.register(peer.sock, selectors.EVENT_READ, peer)
        return peer

    def play(self, stories: Mapping[Peer, Story], seconds: float) -> float:
        """Have people do something until all are done, and return the seconds that it took; TimeoutError."""
        began = time.monotonic()
        waiting: dict[Peer, tuple[Story, Callable[[], object]]] = {}
        for peer, story in stories.items():
            waiting[peer] = (story, lambda: True)
        swept = 0.0
        while waiting:
            heard = self._turn()
            now = time.monotonic()
            if now >= swept + SWEEP:
                swept, heard = now, set(self.peers)
            for peer in heard:
                if peer.closed:
                    raise ConnectionError(f"{peer.nick} was thrown out: {peer.said!r}")
                peer.tick()
                if peer in waiting:
                    _go_on(waiting, peer)
                self._flush(peer)
            if now > began + seconds:
                stuck = [f"{peer.nick}: {peer.talk.state} {peer.heard[-2:]}" for peer in waiting]
                raise TimeoutError(f"{len(stuck)} people waited for {seconds} s: {stuck[:5]}")
        return time.monotonic() - began

    def close(self) -> None:
        """Close all connections, without a word."""
        for peer in self.peers:
            peer.sock.close()
        self._selector.close()

    def __enter__(self) -> Crowd:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _turn(self) -> set[Peer]:
        """Handle what comes within a moment, and return who has heard something, or could go on writing."""
        heard: set[Peer] = set()
        for key, events in self._selector.select(SWEEP / 2):
            peer: Peer = key.data
            if events & selectors.EVENT_READ:
                peer.read()
            heard.add(peer)
        return heard

    def _flush(self, peer: Peer) -> None:
        writes = peer.flush()
        if writes != (peer in self._writing):
            self._writing ^= {peer}
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if writes else 0)
            self._selector.modify(peer.sock, events, peer)


def _go_on(waiting: dict[Peer, tuple[Story, Callable[[], object]]], peer: Peer) -> None:
    """Let somebody go on as far as it does not have to wait."""
    story, condition = waiting[peer]
    while condition():
        try:
            condition = next(story)
        except StopIteration:
            del waiting[peer]
            return
    waiting[peer] = (story, condition)
