"""IrcHosts joined by a server that treats their lines as real ones do: prefix in front, cut at 512 bytes.

    network = Network()
    alice, bob = network.join("alice"), network.join("bob")
    network.secure(alice, bob)
    alice.say("bob", "hello")
    assert bob.texts() == [("hello", Protection.ENCRYPTED)]

A line that was made too long arrives cut, as in reality, so whatever it carried fails.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from otrcore.account import Account
from otrcore.identity import Identity
from otrcore.irc.actions import (
    Action,
    AskSecret,
    CloseSecret,
    Decision,
    LogOn,
    Send,
    ShowMessage,
    ShowNote,
    ShowOwn,
    Verdict,
)
from otrcore.irc.commands import OTR
from otrcore.irc.host import IrcHost
from otrcore.irc.isupport import Features
from otrcore.irc.lines import Command
from otrcore.model import MessageState, Protection
from otrcore.policy import DEFAULT, Policy
from tests.keepers import Given
from tests.pair import Clock, identity

MAX_LINE = 512
PATIENCE = 10_000
"""Lines after which a network that does not come to rest is taken for an endless loop."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line as the server delivers it; `cut` is whether it had to be shortened."""

    sender: str
    target: str
    text: str
    command: str
    cut: bool


class User:
    """A client: its host, and what it showed and heard."""

    def __init__(
        self, network: Network, nick: str, user: str, host: str, policy: Policy, identity: Identity
    ) -> None:
        self.network = network
        self.nick = nick
        self.address = f"{user}@{host}"
        self.policy = policy
        self.identity = identity
        self.accounts: list[Account] = []
        self.asked_for: list[str] = []
        self.shown: list[ShowMessage | ShowNote] = []
        self.prompts: list[AskSecret] = []
        """The secrets that the user has been asked for and has not given yet."""
        self.closed: list[CloseSecret] = []
        self.own: list[ShowOwn] = []
        self.done: list[Action] = []
        """Everything that the host ever asked for."""
        self.decisions: list[Decision] = []
        self.from_sink: list[Action] = []
        self.host = IrcHost("irc.example", Given(self._account_for), self._sink)

    def _account_for(self, name: str) -> Account:
        self.asked_for.append(name)
        account = Account(self.identity, self.policy, clock=self.network.clock)
        self.accounts.append(account)
        return account

    def _sink(self, actions: Sequence[Action]) -> None:
        self.from_sink += actions
        self.do(actions)

    @property
    def mask(self) -> str:
        """nick!user@host, as it stands before every line of ours."""
        return f"{self.nick}!{self.address}"

    @property
    def account(self) -> Account:
        """The account in use."""
        return self.accounts[-1]

    def do(self, actions: Sequence[Action]) -> None:
        """Carry actions out in their order, and let the network settle."""
        for action in actions:
            self.done.append(action)
            if isinstance(action, Send):
                for line in action.lines:
                    self.network.put(self, action.target, line, "PRIVMSG")
            elif isinstance(action, ShowOwn):
                self.own.append(action)
            elif isinstance(action, LogOn):
                raise AssertionError("no host's command asks for that")
            elif isinstance(action, AskSecret):
                self.prompts.append(action)
            elif isinstance(action, CloseSecret):
                self.closed.append(action)
            else:
                self.shown.append(action)
        self.network.settle()

    def say(self, targets: str, text: str, command: Command = "PRIVMSG") -> list[Decision]:
        """Ask about what the user typed, and do as the answer says."""
        decisions = self.host.outgoing(targets, text, command)
        for decision in decisions:
            if decision.verdict is not Verdict.DROP:
                self.network.put(self, decision.target, carried(decision, text), command)
            self.do(decision.actions)
        self.network.settle()
        return decisions

    def hear(self, line: Line) -> None:
        """Take a delivered line."""
        decision = self.host.incoming(line.sender, line.target, line.text, line.command)
        self.decisions.append(decision)
        if decision.verdict is not Verdict.DROP:
            text = carried(decision, line.text)
            self.shown.append(ShowMessage(line.sender, (text,), Protection.PLAIN))
        self.do(decision.actions)

    def start(self, nick: str) -> None:
        """What `/otr start` does."""
        self.do(self.host.start(nick))

    def end(self, nick: str) -> None:
        """What `/otr end` does."""
        self.do(self.host.end(nick))

    def command(self, nick: str, typed: str) -> None:
        """What `/otr` does with this behind it, in the conversation with this nick."""
        self.do(OTR.run(self.host, nick, typed))

    def secret(self, secret: str) -> None:
        """Give the secret that was asked for last."""
        self.do(self.host.secret(self.prompts.pop(), secret))

    def clear(self) -> None:
        """Forget what was shown so far."""
        self.shown.clear()
        self.decisions.clear()
        self.from_sink.clear()

    def texts(self) -> list[tuple[str, Protection]]:
        """Return the messages shown, each with how it came."""
        return [
            ("\n".join(action.lines), action.protection)
            for action in self.shown
            if isinstance(action, ShowMessage)
        ]

    def notes(self) -> list[str]:
        """Return the lines of all notes shown."""
        return [line for action in self.shown if isinstance(action, ShowNote) for line in action.lines]


class Network:
    """A server and its clients, with one clock."""

    def __init__(self, features: Features | None = None) -> None:
        self.features = features or Features(network="Testnet", casemapping="ascii", statusmsg="@+")
        self.clock = Clock()
        self.users: list[User] = []
        self.lines: list[Line] = []
        """Every line delivered, or that would have been if its target had been there."""
        self.on_the_way: deque[Line] = deque()
        self._settling = False

    def join(
        self,
        nick: str,
        *,
        user: str = "~user",
        host: str = "host.example",
        policy: Policy = DEFAULT,
        knows_mask: bool = True,
        key: str | None = None,
    ) -> User:
        """Let a client in; its identity is that of the name `key`, or of its nick."""
        someone = User(self, nick, user, host, policy, identity(key or nick))
        self.users.append(someone)
        someone.host.connected(nick, self.features)
        if knows_mask:
            someone.host.mask_changed(nick, someone.mask)
        return someone

    def put(self, sender: User, target: str, text: str, command: str) -> None:
        """Take a line of a client."""
        assert not set(text) & set("\r\n\0"), f"this would be another command: {text!r}"
        prefix = f":{sender.mask} {command} {target} :".encode()
        whole = prefix + text.encode()
        arriving = whole[: MAX_LINE - 2]
        line = Line(
            sender.nick,
            target,
            arriving[len(prefix) :].decode(errors="replace"),
            command,
            len(arriving) < len(whole),
        )
        self.lines.append(line)
        self.on_the_way.append(line)

    def settle(self) -> None:
        """Deliver until nothing is on its way, each line to all who are to hear it before the next."""
        if self._settling:
            return
        self._settling = True
        try:
            self._deliver()
        finally:
            self._settling = False

    def _deliver(self) -> None:
        for _ in range(PATIENCE):
            if not self.on_the_way:
                return
            line = self.on_the_way.popleft()
            for someone in self.users:
                if someone.nick.lower() == line.target.lower():
                    someone.hear(line)
        raise AssertionError(f"the network did not come to rest within {PATIENCE} lines")

    def secure(self, one: User, other: User) -> None:
        """Start a conversation, be sure that it is encrypted, and forget what was shown."""
        one.start(other.nick)
        for who, peer in ((one, other), (other, one)):
            assert who.host.state(peer.nick) is MessageState.ENCRYPTED, who.notes()
            who.clear()
        self.lines.clear()

    def wait(self, seconds: float) -> None:
        """Let time pass, ticking every host whenever it asked for it."""
        until = self.clock.now + seconds
        for _ in range(PATIENCE):
            asked = [user.host.next_tick for user in self.users if user.host.next_tick is not None]
            due = min([*asked, until])
            self.clock.now = max(self.clock.now, due)
            for user in self.users:
                if user.host.next_tick is not None and user.host.next_tick <= self.clock.now:
                    user.host.tick()
            if self.clock.now >= until and all(
                user.host.next_tick is None or user.host.next_tick > until for user in self.users
            ):
                return
        raise AssertionError("a host asks to be ticked again and again")

    def rename(self, someone: User, nick: str) -> None:
        """Change a nick, and tell everybody, as a server does to those who share a channel."""
        old, someone.nick = someone.nick, nick
        # What anybody says because of it comes behind it.
        settling, self._settling = self._settling, True
        for user in self.users:
            user.host.nick_changed(old, nick)
        self._settling = settling
        self.settle()

    def crossed(self, text: str) -> bool:
        """Whether a text crossed the server for all to read."""
        return any(text in line.text for line in self.lines)


def carried(decision: Decision, text: str) -> str:
    """Return what is shown, or sent, of a message that a decision lets through."""
    if decision.verdict is Verdict.PASS:
        return text
    assert decision.text is not None
    return decision.text
