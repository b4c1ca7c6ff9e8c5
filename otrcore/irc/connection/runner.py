"""One IrcHost on one Connection: what the bot and the terminal client have in common.

The runner carries actions out and asks for verdicts; what people see is the screen's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from ...conversation import SMALLEST_LINE_LIMIT
from ...errors import ConnectionFailed, OtrcoreError, UsageError
from ...model import Fingerprint, MessageState
from ..actions import Action, AskSecret, CloseSecret, LogOn, Send, ShowMessage, ShowNote, ShowOwn, Verdict
from ..commands import OTR, Table
from ..host import IrcHost
from ..keeper import Keeper
from ..lanes import Inline, Lanes, Result, Threads
from ..lines import ACTION, NO_ROOM, one_line, split_action, split_text, text_limit
from ..reactions import ACTION_PREFIX
from .address import ServerAddress
from .connection import Connection
from .listener import IncomingMessage
from .options import Settings

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

    Waitable = TypeVar("Waitable", bound=FileDescriptorLike)

PATIENCE_AT_THE_END = 3.0
"""Seconds in which waiting lines may still leave when the connection is closed."""

LAST_WORDS = 10
"""Lines that may leave past the pace when the connection is closed: few enough for every server."""


T = TypeVar("T")


class _Stoppable:
    """Lanes that can be told to begin nothing more: what has not begun then fails, and so is soon over."""

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes
        self.stopped = False
        self.under_way = 0

    def run(self, step: Callable[[], T], then: Callable[[Result[T]], None]) -> Result[T] | None:
        """Do a step as the lanes do it."""

        def unless_stopped() -> T:
            if self.stopped:
                raise UsageError("Not done, as the connection is being closed.")
            return step()

        def done(result: Result[T]) -> None:
            self.under_way -= 1
            then(result)

        if self.stopped:
            return unless_stopped
        result = self._lanes.run(unless_stopped, done)
        if result is None:
            self.under_way += 1
        return result

    def wait(self) -> None:
        """Wait as the lanes do."""
        self._lanes.wait()


class Screen(Protocol):
    """Shows what happens; called from within `Runner.process` and the runner's commands."""

    def ready(self) -> None:
        """Connected and able to talk."""

    def plain(self, message: IncomingMessage) -> None:
        """A message that has nothing to do with OTR."""

    def show(self, action: ShowMessage | ShowNote) -> None:
        """What the OTR host wants shown."""

    def ask_secret(self, prompt: AskSecret) -> None:
        """Ask the user for a secret, and hand it to `Runner.secret`; AskSecret tells what a number means."""

    def close_secret(self, prompt: AskSecret) -> None:
        """The secret is of no use any more."""

    def renamed(self, old: str, new: str) -> None:
        """Somebody else has another nick now."""

    def disconnected(self, reason: str) -> None:
        """The connection is lost."""


class Runner:
    """A person, or a bot, on one server."""

    def __init__(
        self,
        address: ServerAddress,
        settings: Settings,
        screen: Screen,
        keeper: Keeper,
        *,
        commands: Table = OTR,
        clock: Callable[[], float] = time.monotonic,
        lanes: Threads | None = None,
    ) -> None:
        """`clock` must be the accounts' too.

        With `lanes`, which `close` closes, what takes long is done beside this thread.
        """
        self._screen = screen
        self._clock = clock
        self._commands = commands
        self._lanes = lanes
        self._steps = _Stoppable(Inline() if lanes is None else lanes)
        self._host = IrcHost(address.host, keeper, self._do, lanes=self._steps)
        self._connection = Connection(address, settings, self, clock)
        self._failure: OtrcoreError | None = None

    def connect(self) -> None:
        """Open the connection; ConnectionFailed, and what the option `login` raises."""
        self._connection.connect()

    @property
    def connection(self) -> Connection:
        """What it runs on, to look at."""
        return self._connection

    @property
    def host(self) -> IrcHost:
        """The conversations, to look at; what is done in them goes through the runner."""
        return self._host

    @property
    def lost(self) -> ConnectionFailed | None:
        """Why there is no connection any more; AuthenticationRefused where another attempt is of no use."""
        return self._connection.lost

    @property
    def nick(self) -> str:
        """Our nick."""
        return self._connection.nick

    @property
    def network(self) -> str:
        """Canonical name of the network; empty before `Screen.ready`."""
        return self._host.network

    @property
    def fingerprint(self) -> Fingerprint | None:
        """Our fingerprint on this network; None before `Screen.ready`."""
        return self._host.fingerprint

    @property
    def registered(self) -> bool:
        """Whether we can talk: true from `Screen.ready` to `Screen.disconnected`."""
        return self._connection.registered

    def process(self, timeout: float, also: Iterable[Waitable] = ()) -> list[Waitable]:
        """Handle what happens within `timeout` seconds, and return which of `also` can be read.

        Raises what keeps us from working at all (StoreError).
        """
        next_tick = self._host.next_tick
        if next_tick is not None:
            timeout = min(timeout, max(0.0, next_tick - self._clock()))
        readable = self._turn(timeout, also)
        if self._failure is not None:
            raise self._failure
        if next_tick is not None and self._clock() >= next_tick:
            self._host.tick()
        return readable

    def _turn(self, timeout: float, also: Iterable[Waitable] = ()) -> list[Waitable]:
        lanes = self._lanes
        if lanes is None:
            return self._connection.process(timeout, also)
        waiting: list[Waitable | Threads] = [*also, lanes]
        readable: list[Waitable] = []
        settled = False
        for ready in self._connection.process(timeout, waiting):
            if isinstance(ready, Threads):
                settled = True
            else:
                readable.append(ready)
        if settled:
            lanes.settle()
        return readable

    def state(self, nick: str) -> MessageState:
        """Return the message state of a conversation."""
        return self._host.state(nick)

    def say(self, target: str, text: str) -> None:
        """Send a text to a nick, protected as the conversation asks."""
        text = one_line(text)
        for decision in self._host.outgoing(target, text):
            if decision.verdict is not Verdict.DROP:
                self._send_plain(decision.target, text if decision.text is None else decision.text)
            self._do(decision.actions, typed=text)

    def act(self, target: str, text: str) -> None:
        """Send what `/me` sends."""
        self.say(target, ACTION.format(text))

    def command(self, nick: str, typed: str) -> None:
        """Do what stands behind `/otr`."""
        self._do(self._commands.run(self._host, nick, typed))

    def secret(self, prompt: AskSecret, secret: str) -> None:
        """Hand over the secret that was asked for; an empty one calls it off."""
        self._do(self._host.secret(prompt, secret))

    def start(self, nick: str) -> None:
        """Ask for an encrypted conversation."""
        self._do(self._host.start(nick))

    def end(self, nick: str) -> None:
        """End the encrypted conversation."""
        self._do(self._host.end(nick))

    @property
    def waiting(self) -> int:
        """Lines of ours that have not left yet, as servers do not like too many at once."""
        return self._connection.waiting

    def send_lines(self, target: str, lines: Sequence[str]) -> bool:
        """Send lines as they are, together; false if they cannot be sent or queued."""
        return self._connection.send(target, lines)

    def close(self, reason: str, patience: float = PATIENCE_AT_THE_END) -> None:
        """End every encrypted conversation, the newest first, leave the server, and save what is to be saved.

        What waits to be sent may still leave for `patience` seconds, and steps that are under way may
        end; then it is given up: otherwise the peers would not hear that it is over.  Goodbyes that the
        pace holds back have as long again, all but the first few.
        """
        self._wait(patience, lambda: bool(self._steps.under_way or (self.waiting and self.registered)))
        self._steps.stopped = True
        if (dropped := self.waiting) and self.registered:
            self._screen.show(ShowNote("", (f"{dropped} lines that waited to be sent were not sent.",)))
        self._connection.discard()
        goodbyes: list[Send] = []
        for action in self._host.shutdown():
            if isinstance(action, Send):
                goodbyes.insert(0, action)
            elif not isinstance(action, ShowOwn | LogOn):
                self._show(action)
        at_once = LAST_WORDS
        for goodbye in goodbyes:
            at_once -= len(goodbye.lines)
            self._connection.send(goodbye.target, goodbye.lines, goodbye.command, paced=at_once < 0)
        self._wait(patience, lambda: bool(self.waiting and self.registered))
        self._connection.discard()
        self._connection.quit(reason)
        if self._lanes is not None:
            self._lanes.close()
            self._lanes = None

    def _wait(self, seconds: float, while_: Callable[[], bool]) -> None:
        deadline = time.monotonic() + seconds
        while while_() and (left := deadline - time.monotonic()) > 0:
            self._turn(left)

    def ready(self) -> None:
        """Take over nick and features; without keys there is no going on."""
        try:
            connection = self._connection
            self._host.connected(connection.nick, connection.features, connection.own_mask)
        except OtrcoreError as error:
            self._failure = error
            return
        self._screen.ready()

    def message(self, message: IncomingMessage) -> None:
        """Ask the host about a private message; everything else is plain."""
        decision = self._host.incoming(message.sender, message.target, message.text, message.command)
        if decision.verdict is Verdict.PASS:
            self._screen.plain(message)
        elif decision.verdict is Verdict.REPLACE:
            self._screen.plain(_with_text(message, decision.text or ""))
        self._do(decision.actions)

    def nick_changed(self, old: str, new: str) -> None:
        """Let conversations follow."""
        if new != self._connection.nick:
            self._screen.renamed(old, new)
        self._host.nick_changed(old, new)

    def gone(self, nick: str, reason: str) -> None:
        """Let the conversation with somebody who is not there end."""
        self._do(self._host.gone(nick, reason))

    def own_mask_changed(self) -> None:
        """Fit lines to what now stands before them."""
        self._host.mask_changed(self._connection.nick, self._connection.own_mask)

    def disconnected(self, reason: str) -> None:
        """Let every conversation end: who comes under those nicks next may be somebody else."""
        self._do(self._host.disconnected())
        self._screen.disconnected(reason)

    def _send_plain(self, target: str, text: str) -> None:
        room = text_limit(self._connection.nick, self._connection.own_mask, target)
        if room < SMALLEST_LINE_LIMIT:  # who has no room for OTR is not to be left with plain text alone
            self._not_sent(target, text, NO_ROOM.format(target))
            return
        before, after = ACTION.split("{}")
        if text.startswith(before) and text.endswith(after):
            pieces = split_action(text.removeprefix(before).removesuffix(after), room)
        else:
            pieces = split_text(text, room)
        if not self._connection.send(target, list(pieces)):
            self._not_sent(target, text, self._hindrance())

    def _do(self, actions: Sequence[Action], typed: str | None = None) -> None:
        for action in actions:
            if isinstance(action, ShowOwn | LogOn):
                pass  # it stands where it was typed, and there is no log
            elif not isinstance(action, Send):
                self._show(action)
            elif not self._connection.send(action.target, action.lines, action.command):
                own = self._typed(actions, action.target) if typed is None else typed
                if own is None:
                    self._not_sent_of_otr(action.target)
                else:
                    self._not_sent(action.target, own, self._hindrance())

    def _typed(self, actions: Sequence[Action], nick: str) -> str | None:
        """Return the text of our user's that these actions send to a nick; None if they send none."""
        for action in actions:
            if isinstance(action, ShowOwn) and self._host.key(action.peer) == self._host.key(nick):
                return ACTION_PREFIX + action.text if action.is_action else action.text
        return None

    def _show(self, action: ShowMessage | ShowNote | AskSecret | CloseSecret) -> None:
        if isinstance(action, AskSecret):
            self._screen.ask_secret(action)
        elif isinstance(action, CloseSecret):
            self._screen.close_secret(action.prompt)
        else:
            self._screen.show(action)

    def _hindrance(self) -> str:
        if self._connection.registered:
            return "Too much is waiting to be sent. Send it again once that has left."
        return "You are not connected to the server. Send it again once you are."

    def _not_sent(self, target: str, typed: str, why: str) -> None:
        self._screen.show(ShowNote(target, (f"Not sent to {target}. {why}",), typed=typed))

    def _not_sent_of_otr(self, target: str) -> None:
        """Tell of a line that nobody has typed, and so nobody can send again."""
        why = "too much is waiting" if self._connection.registered else "you are not connected to the server"
        told = f"A line of OTR's to {target} was not sent, as {why}: /otr status tells how it stands."
        self._screen.show(ShowNote(target, (told,)))


def _with_text(message: IncomingMessage, text: str) -> IncomingMessage:
    return IncomingMessage(message.sender, message.mask, message.target, text, message.command, message.tags)
