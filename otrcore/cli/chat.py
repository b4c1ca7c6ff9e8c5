"""`otr chat`: a line-based client for a conversation with one peer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import ConnectionFailed, OtrcoreError
from ..irc import texts
from ..irc.actions import AskSecret, ShowMessage, ShowNote
from ..irc.connection.address import ServerAddress
from ..irc.connection.listener import IncomingMessage
from ..irc.connection.options import Settings
from ..irc.connection.pacing import Pace
from ..irc.connection.runner import Runner
from ..irc.isupport import Features
from ..irc.keeper import Keeper
from ..irc.lanes import Threads
from ..irc.names import fold
from .process import StopSignals
from .terminal import Input, Output, message_lines, note_lines, plain_line, printable, readable

if TYPE_CHECKING:
    from _typeshed import HasFileno

HELP = (
    "-- Type to talk. Commands: /otr start, /otr status, /otr end, /otr help, /me does something, /quit.",
    "-- A line that begins with a slash is sent if you begin it with two.",
)
IDLE_SECONDS = 60.0

LONGEST_SECRET = 4096
"""Characters; one of this length or more is none that anybody types, and calls the verification off."""


class Chat:
    """One conversation on a server, shown line by line."""

    def __init__(
        self,
        address: ServerAddress,
        me: str,
        peer: str,
        keeper: Keeper,
        output: Output,
        pace: Pace = Pace.DEFAULT,
    ) -> None:
        """ValueError for a nick that cannot be sent."""
        self.peer = peer
        self.output = output
        self.lost: str | None = None
        self._prompt: AskSecret | None = None
        """The secret that the next line is, whatever happens meanwhile: it must not be sent as a text."""
        self._more_of_it = False
        self._input: Input | None = None
        self.runner = Runner(address, Settings(me, "otrcore", pace=pace), self, keeper, lanes=Threads())

    def ready(self) -> None:
        """Tell where we are and what can be done."""
        where = f"-- Connected to {self.runner.network} as {self.runner.nick}."
        self.output.print(printable(f"{where} You are talking with {self.peer}, unencrypted."), *HELP)

    def plain(self, message: IncomingMessage) -> None:
        """Print a message of anybody; the server's own notices may explain why nothing happens."""
        self.output.print(plain_line(message))

    def show(self, action: ShowMessage | ShowNote) -> None:
        """Print what the OTR host wants shown."""
        self.output.print(*(message_lines(action) if isinstance(action, ShowMessage) else note_lines(action)))

    def ask_secret(self, prompt: AskSecret) -> None:
        """Take the next line for the secret, and do not show it."""
        other = self._prompt is not None and self._prompt.number != prompt.number
        self._prompt = prompt
        if self._input is not None:
            # What is half typed was meant for another question; what comes once this one is shown, is not.
            self._input.hide(anew=other)
        self.output.print(*(printable(f"-- {line}") for line in texts.prompt(prompt)))

    def close_secret(self, prompt: AskSecret) -> None:
        """Go on taking the next line for a secret: the user may be in the middle of it."""
        if self._prompt is not None and self._prompt.number == prompt.number:
            self.output.print(printable(f"-- {prompt.peer} needs your secret no more: press Enter."))

    def renamed(self, old: str, new: str) -> None:
        """Go on talking with the peer, who has another nick."""
        if fold(old, Features()) == fold(self.peer, Features()):
            self.peer = new
            self.output.print(printable(f"-- {old} is now known as {new}. You are talking with {new}."))

    def disconnected(self, reason: str) -> None:
        """Keep the reason: `converse` ends with it."""
        self.lost = reason

    def converse(self, source: Input, stop: StopSignals) -> None:
        """Talk until the user leaves; ConnectionFailed if the connection is lost before.

        What is typed before the server has let us in waits, as the input is not read until then.  What
        is still waiting to be sent when the user leaves goes out first, unless a signal came.
        """
        self._input = source
        try:
            self._converse(source, stop)
        finally:
            self._prompt = None
            source.show()

    def _converse(self, source: Input, stop: StopSignals) -> None:
        while not stop.received:
            ready = self.turn([source, stop] if self.runner.registered else [stop])
            if source in ready and (not all(map(self.obey, source.read())) or source.ended):
                break
        if waiting := self.runner.waiting:
            self.output.print(f"-- {waiting} lines are still on their way out; Ctrl-C drops them.")
        while self.runner.waiting and not stop.received:
            self.turn([stop])

    def turn(self, waiting: Sequence[HasFileno], seconds: float = IDLE_SECONDS) -> Sequence[HasFileno]:
        """Let things happen once; return which of `waiting` can be read.  ConnectionFailed."""
        ready = self.runner.process(seconds, waiting)
        if self.lost is not None:
            raise ConnectionFailed(self.lost)
        if self.output.failure is not None:
            raise OtrcoreError(f"Nothing can be shown any more, as {self.output.failure}: mend that first.")
        return ready

    def obey(self, line: str) -> bool:
        """Do what a typed line asks for; false if it asks to leave."""
        too_long = len(line) >= LONGEST_SECRET
        if self._prompt is not None or self._more_of_it:
            # What is too long for one line comes in pieces, of which none must be taken for a text.
            self._more_of_it = too_long
            if self._prompt is not None:
                self._give(self._prompt, "" if too_long else line)
            return True
        line = readable(line)
        command, _, rest = line.partition(" ")
        match command.lower(), rest.strip().lower():
            case "/quit", _:
                return False
            case "/otr", _:
                self.runner.command(self.peer, rest)
            case "/me", words if words:
                self.runner.act(self.peer, rest)
            case "", "":
                pass
            case _ if line.startswith("//"):
                self.runner.say(self.peer, line[1:])
            case _ if line.startswith("/"):
                # Not sent, as it may be a mistyped command: what it holds was not meant for the peer.
                self.output.print(*HELP)
            case _:
                self.runner.say(self.peer, line)
        return True

    def _give(self, prompt: AskSecret, secret: str) -> None:
        self._prompt = None
        if self._input is not None:
            self._input.show()
        self.runner.secret(prompt, secret)
