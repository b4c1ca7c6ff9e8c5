"""Our side of every row: the work that `otrbench` does with libotr, through the public API.

Both sides of a conversation live in this process, as they do there; lines are handed over
directly and whole.  Each sample returns seconds of CPU time, for one unit of work, and checks
that all of the work was done.
"""

from __future__ import annotations

from collections import deque
from time import process_time

from otrcore import (
    Account,
    Conversation,
    Event,
    Identity,
    MessageState,
    Policy,
    Protection,
    Received,
    SessionOpened,
    SmpSucceeded,
    Transmit,
)
from otrcore.wire.header import VERSION_3, VERSION_4
from otrcore.wire.messages3 import DataMessage, parse
from otrcore.wire.text import decode

TEXT = "x" * 100
SECRET = "secret"
PING_PONG_MESSAGES = 100
ONE_WAY_MESSAGES = 2000

ARRIVED = [Received(TEXT, Protection.ENCRYPTED)]

POLICIES = {version: Policy(frozenset({version})) for version in (VERSION_3, VERSION_4)}
"""One version each: libotr speaks none beyond 3, and a row compares what both do."""

Sides = tuple[Account, Account]


class WorkNotDone(Exception):
    """A sample whose number would be worth nothing; the text says what was missing."""


class Ours:
    """Two accounts with keys, in either version; each sample begins with fresh conversations."""

    def __init__(self) -> None:
        one, other = Identity.generate(), Identity.generate()
        self.accounts, self.accounts_4 = (
            (Account(one, policy), Account(other, policy)) for policy in POLICIES.values()
        )

    def ake(self) -> float:
        """From the query to both sides encrypted."""
        return handshake(self.accounts)

    def ake_first_message(self) -> float:
        """The same and a text each way, as work of the AKE may be put off until then."""
        forget(self.accounts)
        begin = process_time()
        alice, bob = run_ake(self.accounts)
        say(alice, bob)
        say(bob, alice)
        seconds = process_time() - begin
        return seconds

    def ping_pong(self) -> float:
        """One of the texts that go to and fro, each bringing a new D-H key."""
        alice, bob = open_talks(self.accounts)
        lines, seconds = to_and_fro(alice, bob)
        rotations = _data(lines[-1]).sender_keyid - _data(lines[0]).sender_keyid
        if rotations + 1 < PING_PONG_MESSAGES // 2:
            raise WorkNotDone("keys did not rotate")
        return seconds

    def send(self) -> float:
        """Encrypting one of many texts of 100 bytes to somebody who does not answer."""
        return self._one_way()[0]

    def receive(self) -> float:
        """Decrypting one of them."""
        return self._one_way()[1]

    def smp(self) -> float:
        """One verification with equal secrets, from the question to both sides' success."""
        alice, bob = open_talks(self.accounts)
        begin = process_time()
        ends = _hand_over(alice, bob, alice.smp_start(SECRET))
        ends += _hand_over(bob, alice, bob.smp_answer(SECRET))
        seconds = process_time() - begin
        if sum(isinstance(event, SmpSucceeded) for event in ends) != 2:
            raise WorkNotDone("not both sides succeeded")
        return seconds

    def _one_way(self) -> tuple[float, float]:
        """Encrypt and decrypt all; the first messages, which still bring new keys, are not counted."""
        alice, bob = open_talks(self.accounts)
        say(alice, bob)
        say(bob, alice)
        say(alice, bob)
        lines, seconds = one_way(alice, bob)
        first, last = _data(lines[0]), _data(lines[-1])
        if (first.sender_keyid, first.recipient_keyid) != (last.sender_keyid, last.recipient_keyid):
            raise WorkNotDone("keys rotated")
        return seconds


def forget(accounts: Sides) -> None:
    """Drop the conversations that there were."""
    for account in accounts:
        account.forget("peer")


def open_talks(accounts: Sides) -> tuple[Conversation, Conversation]:
    """Return fresh conversations, encrypted."""
    forget(accounts)
    return run_ake(accounts)


def handshake(accounts: Sides) -> float:
    """Return the seconds from the query to both sides encrypted."""
    forget(accounts)
    begin = process_time()
    run_ake(accounts)
    return process_time() - begin


def to_and_fro(alice: Conversation, bob: Conversation) -> tuple[list[str], float]:
    """Let texts go to and fro; returns alice's lines, and the seconds for one of all texts."""
    lines = []
    begin = process_time()
    for _ in range(PING_PONG_MESSAGES // 2):
        lines.append(say(alice, bob))
        say(bob, alice)
    return lines, (process_time() - begin) / PING_PONG_MESSAGES


def one_way(alice: Conversation, bob: Conversation) -> tuple[list[str], tuple[float, float]]:
    """Send many texts, then receive them; returns their lines, and the seconds of both for one text."""
    begin = process_time()
    lines = [only_line(alice.send(TEXT)) for _ in range(ONE_WAY_MESSAGES)]
    middle = process_time()
    for line in lines:
        if bob.receive(line) != ARRIVED:
            raise WorkNotDone("a text was lost or altered")
    end = process_time()
    return lines, ((middle - begin) / ONE_WAY_MESSAGES, (end - middle) / ONE_WAY_MESSAGES)


def run_ake(accounts: Sides) -> tuple[Conversation, Conversation]:
    """Open a conversation between two accounts, and be sure that it is one: that takes next to no time."""
    alice, bob = (account.conversation("peer") for account in accounts)
    events = _hand_over(alice, bob, alice.start())
    opened = sum(isinstance(event, SessionOpened) for event in events)
    if opened != 2 or not alice.state is bob.state is MessageState.ENCRYPTED:
        raise WorkNotDone("not exactly one session on each side")
    if alice.info is None or bob.info is None or alice.info.ssid != bob.info.ssid:
        raise WorkNotDone("the sides are in different sessions")
    return alice, bob


def _hand_over(sender: Conversation, recipient: Conversation, events: list[Event]) -> list[Event]:
    """Hand over what is transmitted, answers too, until nothing is; returns all other events."""
    others: list[Event] = []
    waiting = deque([(sender, recipient, events)])
    while waiting:
        sender, recipient, events = waiting.popleft()
        for event in events:
            if isinstance(event, Transmit):
                waiting.extend((recipient, sender, recipient.receive(line)) for line in event.lines)
            else:
                others.append(event)
    return others


def say(sender: Conversation, recipient: Conversation) -> str:
    """Send a text and be sure that it arrived; returns its line."""
    line = only_line(sender.send(TEXT))
    if recipient.receive(line) != ARRIVED:
        raise WorkNotDone("a text was lost or altered")
    return line


def only_line(events: list[Event]) -> str:
    """Return the line of a text that was encrypted."""
    match events:
        case [Transmit(lines=(line,), plain=False)]:
            return line
    raise WorkNotDone("a text was not encrypted")


def _data(line: str) -> DataMessage:
    message = parse(decode(line))
    if not isinstance(message, DataMessage):
        raise WorkNotDone("a text was not encrypted")
    return message
