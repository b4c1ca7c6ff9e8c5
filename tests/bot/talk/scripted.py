"""A person on a server that says what the test has it say of others."""

from __future__ import annotations

from collections.abc import Callable

from otrbot.settings.config import Config
from otrbot.talk.attended import AttendedRunner
from otrbot.talk.peer import EchoPeer

from otrcore.account import Account
from otrcore.events import Event, Received, Transmit
from otrcore.identity import Identity
from otrcore.irc.connection.options import Settings
from otrcore.irc.connection.pacing import Pace
from otrcore.model import MessageState
from tests.bot.by_hand import NICK, OPEN
from tests.irc.connection.hostile_server import HostileServer, Peer
from tests.keepers import Given


class Scripted:
    """A person with OTR on a server that says what the test has it say of others."""

    def __init__(self, server: Peer) -> None:
        self.server = server
        self.mask = "alice!alice@home"
        self.talk = Account(IDENTITY, name="alice").conversation("echo")
        self.texts: list[str] = []
        self._do(self.talk.start())
        while self.talk.state is not MessageState.ENCRYPTED:
            self.take()

    def take(self) -> str:
        """Have the next message of the bot to this nick."""
        line = self.server.until(f"PRIVMSG {self.mask.partition('!')[0]} ").partition(" :")[2]
        self._do(self.talk.receive(line))
        return line

    def plain(self, text: str, mask: str = "") -> str:
        """Say a plain text, and return the answer."""
        self.server.send(f":{mask or self.mask} PRIVMSG {self.server.nick} :{text}")
        while not (line := self.take()).startswith("Plain"):
            pass
        return line

    def ask(self, text: str) -> str:
        """Say something encrypted, and return the answer."""
        before = len(self.texts)
        self._do(self.talk.send(text))
        while len(self.texts) == before:
            self.take()
        return self.texts[before]

    def _do(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Transmit):
                for line in event.lines:
                    self.server.send(f":{self.mask} PRIVMSG {self.server.nick} :{line}")
            elif isinstance(event, Received):
                self.texts.append(event.text)


IDENTITY = Identity.generate()


def play(script: Callable[[Scripted], None], config: Config | None = None, *, lost: bool = False) -> EchoPeer:
    """Have the bot on a server that does what a script says, and return its peer as it is then.

    `lost` is for a script that breaks the connection off.
    """
    over: list[bool] = []

    def serve(server: Peer) -> None:
        server.register("CASEMAPPING=rfc1459")
        script(Scripted(server))
        over.append(True)
        if not lost:
            server.closed_by_client()

    with HostileServer(serve) as server:
        echo = EchoPeer(config or Config((), OPEN))
        runner = AttendedRunner(
            server.address,
            Settings(NICK, "a test", pace=Pace.NONE),
            echo,
            Given(lambda _: Account(IDENTITY)),
        )
        echo.speak_by(runner)
        runner.connect()
        while not (echo.lost if lost else over) and server.failure is None:
            runner.process(0.05)
        runner.close("done")
    return echo
