"""Runners on a real server, whose screens remember."""

from __future__ import annotations

import time
from collections.abc import Callable

from otrcore.account import Account
from otrcore.events import SessionOpened
from otrcore.irc.actions import AskSecret, ShowMessage, ShowNote
from otrcore.irc.commands import OTR, Table
from otrcore.irc.connection.address import ServerAddress
from otrcore.irc.connection.listener import IncomingMessage
from otrcore.irc.connection.options import Settings
from otrcore.irc.connection.pacing import Pace
from otrcore.irc.connection.runner import Runner
from otrcore.irc.keeper import Keeper
from otrcore.irc.lanes import Threads
from otrcore.model import Protection
from tests.keepers import Given
from tests.pair import identity

PATIENCE = 20.0
"""Seconds after which a test that waits for something has failed."""


class Person:
    """A runner with a screen that remembers."""

    def __init__(
        self,
        address: ServerAddress,
        nick: str,
        pace: Pace = Pace.NONE,
        account_for: Callable[[str], Account] | None = None,
        *,
        keeper: Keeper | None = None,
        lanes: Threads | None = None,
        commands: Table = OTR,
    ) -> None:
        self.is_ready = False
        self.plain_messages: list[IncomingMessage] = []
        self.shown: list[ShowMessage | ShowNote] = []
        self.prompts: list[AskSecret] = []
        self.closed: list[AskSecret] = []
        self.renames: list[tuple[str, str]] = []
        self.lost: str | None = None
        self.networks: list[str] = []
        self.accounts: list[Account] = []
        self._nick = nick
        self._offset = 0.0
        self.runner = Runner(
            address,
            Settings(nick, "a test", pace=pace),
            self,
            keeper or Given(account_for or self._account_for),
            clock=self._clock,
            lanes=lanes,
            commands=commands,
        )

    def _clock(self) -> float:
        return time.monotonic() + self._offset

    def let_pass(self, seconds: float) -> None:
        """Let this much time pass at once, for this person alone."""
        self._offset += seconds

    def _account_for(self, network: str) -> Account:
        self.networks.append(network)
        self.accounts.append(Account(identity(self._nick), clock=self._clock))
        return self.accounts[-1]

    def ready(self) -> None:
        self.is_ready = True

    def plain(self, message: IncomingMessage) -> None:
        # The server's own notices, and our own question for our mask, are none of these tests' business.
        if "!" in message.mask:
            self.plain_messages.append(message)

    def show(self, action: ShowMessage | ShowNote) -> None:
        self.shown.append(action)

    def ask_secret(self, prompt: AskSecret) -> None:
        self.prompts.append(prompt)

    def close_secret(self, prompt: AskSecret) -> None:
        self.closed.append(prompt)

    def renamed(self, old: str, new: str) -> None:
        self.renames.append((old, new))

    def secret(self, secret: str) -> None:
        """Give the secret that was asked for last."""
        self.runner.secret(self.prompts.pop(), secret)

    def disconnected(self, reason: str) -> None:
        self.lost = reason

    @property
    def plain_texts(self) -> list[str]:
        return [message.text for message in self.plain_messages]

    @property
    def encrypted_texts(self) -> list[str]:
        return [
            "\n".join(action.lines)
            for action in self.shown
            if isinstance(action, ShowMessage) and action.protection is Protection.ENCRYPTED
        ]

    @property
    def notes(self) -> list[ShowNote]:
        return [action for action in self.shown if isinstance(action, ShowNote)]

    def has(self, kind: type[object]) -> bool:
        """Whether a note about an event of this kind was shown."""
        return any(isinstance(note.event, kind) for note in self.notes)


class Scene:
    """A server and the people on it."""

    def __init__(self, address: ServerAddress) -> None:
        self.address = address
        self.people: list[Person] = []
        self.others: list[Runner] = []
        """Those whose screen is not a person's."""

    def join(self, nick: str, pace: Pace = Pace.NONE) -> Person:
        person = Person(self.address, nick, pace)
        self.people.append(person)
        person.runner.connect()
        self.until(lambda: person.is_ready)
        return person

    def until(self, look: Callable[[], object]) -> None:
        """Run everybody until `look` is true."""
        deadline = time.monotonic() + PATIENCE
        while not look():
            assert time.monotonic() < deadline, [
                (person.plain_texts, person.shown, person.lost) for person in self.people
            ]
            for runner in [*(person.runner for person in self.people), *self.others]:
                runner.process(0.005)

    def close(self) -> None:
        """Let everybody leave."""
        for runner in [*(person.runner for person in self.people), *self.others]:
            runner.close("done")

    def secured(self) -> tuple[Person, Person]:
        """Alice and Bob, in an encrypted conversation."""
        alice, bob = self.join("alice"), self.join("bob")
        alice.runner.start("bob")
        self.until(lambda: alice.has(SessionOpened) and bob.has(SessionOpened))
        return alice, bob
