"""A drill without IRC: the bot's side, a client, a stage between them, and a clock that moves when told to.

What the client did is told in words that do not change from run to run, for the page of drills.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Protocol

from otrbot.drills.stage import MAX_LINE, Drill

from otrcore.account import Account
from otrcore.conversation import Conversation
from otrcore.events import Event, HandshakeStep
from otrcore.irc.actions import Action, Send, ShowMessage, ShowNote, Verdict
from otrcore.irc.host import IrcHost
from otrcore.irc.isupport import Features
from otrcore.model import MessageState, Protection
from otrcore.policy import DEFAULT, Policy
from otrcore.wire.text import ErrorText, Query, classify
from tests.interop.oracle import LibotrPeer
from tests.keepers import Given
from tests.pair import Clock, identity

BOT = "echo"
CLIENT = "alice"
PATIENCE = 200
"""Seconds, by the clock that moves when told to, after which a drill that has not ended never will."""

MAX_TEXT = 60
"""Characters of a shown text that the page has."""

_FEATURES = Features()
_ROUNDS = 400


class Client(Protocol):
    """What a drill is tried on."""

    def start(self) -> None:
        """Ask the bot for an encrypted conversation."""

    def say(self, text: str) -> None:
        """Type a text to the bot."""

    def receive(self, line: str) -> None:
        """Take a line of the bot's."""

    def take(self) -> list[str]:
        """Return and forget the lines that are to be sent."""

    def wait(self, seconds: int) -> None:
        """Let time pass."""

    def texts(self) -> list[str]:
        """Return and forget the texts that were shown as encrypted."""

    def observed(self) -> list[str]:
        """Return and forget what the client has shown, and which errors and starts it has sent."""


class Hosted:
    """One side that is an IrcHost: the bot, or a client of ours."""

    def __init__(self, nick: str, peer: str, policy: Policy, clock: Clock) -> None:
        self.events: list[Event] = []
        self._nick, self._peer, self._clock = nick, peer, clock
        self._outgoing: list[str] = []
        self._texts: list[str] = []
        self._observed: list[str] = []
        account = Account(identity(nick), policy, clock=clock)
        self.host = IrcHost("test", Given(lambda _: account), self.carry_out)
        self.host.connected(nick, _FEATURES, f"{nick}!{nick}@irc.example.org")

    def start(self) -> None:
        self.carry_out(self.host.refresh(self._peer))

    def say(self, text: str) -> None:
        for decision in self.host.outgoing(self._peer, text):
            if decision.verdict is not Verdict.DROP:
                self._outgoing.append(text if decision.text is None else decision.text)
            self.carry_out(decision.actions)

    def send(self, *lines: str) -> None:
        """Send lines as they are."""
        self._outgoing += lines

    def receive(self, line: str) -> None:
        decision = self.host.incoming(self._peer, self._nick, line)
        if decision.verdict is not Verdict.DROP:
            shown = line if decision.text is None else decision.text
            self._observed.append(f"shows {_quoted(shown)} as plain text")
        self.carry_out(decision.actions)

    def take(self) -> list[str]:
        lines, self._outgoing = self._outgoing, []
        return lines

    def wait(self, seconds: int) -> None:
        while (due := self.host.next_tick) is not None and due <= self._clock.now:
            self.host.tick()

    def texts(self) -> list[str]:
        texts, self._texts = self._texts, []
        return texts

    def observed(self) -> list[str]:
        observed, self._observed = self._observed, []
        return observed

    @property
    def encrypted(self) -> bool:
        """Whether the conversation is."""
        return self.host.state(self._peer) is MessageState.ENCRYPTED

    @property
    def talk(self) -> Conversation | None:
        """The conversation."""
        return self.host.talk(self._peer)

    def carry_out(self, actions: Sequence[Action]) -> None:
        """Do what the host asks for."""
        for action in actions:
            match action:
                case Send(lines=lines):
                    self._outgoing += lines
                    self._observed += _answers(lines)
                case ShowMessage(lines=lines, protection=Protection.ENCRYPTED):
                    self._texts.append("\n".join(lines))
                    self._observed.append(f"shows {_quoted(' / '.join(lines))}")
                case ShowMessage(lines=lines):
                    self._observed.append(f"shows {_quoted(' / '.join(lines))} marked as not encrypted")
                case ShowNote(lines=lines, event=event):
                    if event is not None:
                        self.events.append(event)
                    if not isinstance(event, HandshakeStep):
                        self._observed.append(f"tells `{_sentence(lines[0])}`")


class Libotr:
    """A client that is libotr."""

    def __init__(self, peer: LibotrPeer) -> None:
        self._peer = peer
        self._outgoing: list[str] = []
        self._texts: list[str] = []
        self._observed: list[str] = []

    def start(self) -> None:
        self._peer.start()
        self._look()

    def say(self, text: str) -> None:
        self._peer.send(text)
        self._look()

    def receive(self, line: str) -> None:
        self._peer.receive(line)
        self._look()

    def take(self) -> list[str]:
        lines, self._outgoing = self._outgoing, []
        return lines

    def wait(self, seconds: int) -> None:
        self._peer.command("clock", add=seconds)
        self._peer.command("poll")
        self._look()

    def texts(self) -> list[str]:
        texts, self._texts = self._texts, []
        return texts

    def observed(self) -> list[str]:
        observed, self._observed = self._observed, []
        return observed

    def _look(self) -> None:
        for event in self._peer.events():
            self._observed += self._said(event)
        lines = self._peer.take()
        self._outgoing += lines
        self._observed += _answers(lines)

    def _said(self, event: dict[str, object]) -> Iterator[str]:
        match event["ev"]:
            case "deliver":
                text = (
                    bytes.fromhex(str(event["text_hex"])).decode(errors="replace")
                    if "text_hex" in event
                    else str(event["text"])
                )
                if event["encrypted"]:
                    self._texts.append(text)
                yield f"shows {_quoted(text)}"
            case "msg_event":
                yield f"reports `{event['event']}`"
            case "smp":
                yield f"reports SMP `{event['event']}`"
            case "gone_secure" | "still_secure":
                # Which of them it is depends on whose D-H Commit has won.
                yield "reports `gone_secure` or `still_secure`"
            case "gone_insecure":
                yield "reports `gone_insecure`"
            case "new_fingerprint":
                yield "reports a new fingerprint"


class Rehearsal:
    """A bot and a client, and the stage of one drill after the other."""

    def __init__(self, client: Callable[[Clock], Client], policy: Policy | None = None) -> None:
        self.clock = Clock()
        self.client = client(self.clock)
        self.bot = Hosted(BOT, CLIENT, policy or DEFAULT, self.clock)
        self.said: str | None = None
        self.sent: list[str] = []
        """Lines of the bot since the drill began."""
        self._hear: Callable[[Event], None] = lambda event: None
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()

    # ---- the stage

    @property
    def nick(self) -> str:
        return CLIENT

    @property
    def own_nick(self) -> str:
        return BOT

    @property
    def encrypted(self) -> bool:
        return self.bot.encrypted

    @property
    def talk(self) -> Conversation | None:
        return self.bot.talk

    @property
    def room(self) -> int:
        return 400

    def say(self, text: str) -> None:
        if self.said is None and self.encrypted:
            self.bot.say(text)

    def raw(self, *lines: str) -> None:
        if self.said is None:
            self.bot.send(*lines)

    def do(self, step: Callable[[Conversation], list[Event]], *, slow: bool = False) -> None:
        if self.said is None:
            self.bot.carry_out(self.bot.host.do(CLIENT, step, slow=slow))

    def start(self) -> None:
        if self.said is None:
            self.bot.start()

    def on(self, hear: Callable[[Event], None]) -> None:
        self._hear = hear

    def later(self, seconds: float, step: Callable[[], None]) -> None:
        heapq.heappush(self._due, (self.clock.now + seconds, next(self._numbers), step))

    def end(self, said: str) -> None:
        if self.said is None:
            self.said = said

    # ---- the two sides

    def settle(self) -> None:
        """Carry lines both ways until there are none."""
        for _ in range(_ROUNDS):
            lines = self.bot.take()
            self.sent += lines
            for line in lines:
                self.client.receive(line)
            answers = self.client.take()
            for line in answers:
                self.bot.receive(line)
            events, self.bot.events = self.bot.events, []
            for event in events:
                if self.said is None:
                    self._hear(event)
            if not lines and not answers:
                return
        raise AssertionError("the two still talk")

    def secure(self) -> None:
        """Let the client start, and be sure that it can talk with the bot."""
        self.client.start()
        self.settle()
        self.echo("hello")
        self.echo("hello again")

    def echo(self, text: str) -> None:
        """Be sure that a text comes back encrypted."""
        self.bot.texts()
        self.client.texts()
        self.client.say(text)
        self.settle()
        assert self.bot.texts() == [text]
        self.bot.say(text)
        self.settle()
        assert self.client.texts() == [text]

    def wait(self, seconds: int) -> None:
        """Let time pass, second by second."""
        for _ in range(seconds):
            self.clock.advance(1)
            while self._due and self._due[0][0] <= self.clock.now:
                step = heapq.heappop(self._due)[2]
                if self.said is None:
                    step()
            self.bot.wait(1)
            self.client.wait(1)
            self.settle()

    def run(self, drill: Drill) -> list[str]:
        """Let a drill run to its end, and return what the client did; the last line is in `said`."""
        self.said, self._due = None, []
        self.bot.say(drill.announcement)
        self.settle()
        assert self.client.texts() == [drill.announcement]
        self.client.observed()
        self.sent, self.bot.events = [], []
        begun = self.clock.now
        drill.run(self)
        self.settle()
        observed = self.client.observed()
        while self.said is None:
            assert self.clock.now - begun <= drill.seconds, "the drill has not ended in its time"
            self.wait(1)
            observed += self.client.observed()
        self._say_last(f"Drill {drill.name} is over: {self.said}")
        return observed

    def _say_last(self, line: str) -> None:
        """Say it as the bot does, and be sure that the client can read it."""
        assert len(line.encode()) <= MAX_LINE, line
        encrypted = self.encrypted
        self.client.texts()
        if encrypted:
            self.bot.say(line)
        else:
            self.bot.send(line)
        self.settle()
        assert self.client.texts() == ([line] if encrypted else [])
        self.client.observed()


def _answers(lines: Sequence[str]) -> Iterator[str]:
    """Tell of errors and queries among the lines that a client sends; all else is encoded, or a text."""
    for line in lines:
        match classify(line) if line.startswith(("?OTR Error", "?OTRv", "?OTR?")) else None:
            case ErrorText():
                yield "sends `?OTR Error`"
            case Query():
                yield "sends a query"


def _quoted(text: str) -> str:
    visible = text.replace("\r", "␍").replace("\n", "␊")
    visible = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in visible)
    return f"`{visible if len(visible) <= MAX_TEXT else visible[:MAX_TEXT] + '…'}`"


def _sentence(line: str) -> str:
    stop = line.find(". ")
    return line if stop < 0 else line[: stop + 1]
