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
    Protection,
    Received,
    SessionOpened,
    SmpSucceeded,
    Transmit,
)
from otrcore.policy import MANUAL
from otrcore.wire.messages3 import DataMessage, parse
from otrcore.wire.text import decode

TEXT = "x" * 100
SECRET = "secret"
PING_PONG_MESSAGES = 100
ONE_WAY_MESSAGES = 2000

_ARRIVED = [Received(TEXT, Protection.ENCRYPTED)]


class WorkNotDone(Exception):
    """A sample whose number would be worth nothing; the text says what was missing."""


class Ours:
    """Two accounts with keys; each sample begins with fresh conversations."""

    def __init__(self) -> None:
        self.accounts = Account(Identity.generate(), MANUAL), Account(Identity.generate(), MANUAL)

    def ake(self) -> float:
        """From the query to both sides encrypted."""
        self._forget()
        begin = process_time()
        run_ake(self.accounts)
        seconds = process_time() - begin
        return seconds

    def ake_first_message(self) -> float:
        """The same and a text each way, as work of the AKE may be put off until then."""
        self._forget()
        begin = process_time()
        alice, bob = run_ake(self.accounts)
        _say(alice, bob)
        _say(bob, alice)
        seconds = process_time() - begin
        return seconds

    def ping_pong(self) -> float:
        """One of the texts that go to and fro, each bringing a new D-H key."""
        alice, bob = self._open()
        lines = []
        begin = process_time()
        for _ in range(PING_PONG_MESSAGES // 2):
            lines.append(_say(alice, bob))
            _say(bob, alice)
        seconds = process_time() - begin
        rotations = _data(lines[-1]).sender_keyid - _data(lines[0]).sender_keyid
        if rotations + 1 < PING_PONG_MESSAGES // 2:
            raise WorkNotDone("keys did not rotate")
        return seconds / PING_PONG_MESSAGES

    def send(self) -> float:
        """Encrypting one of many texts of 100 bytes to somebody who does not answer."""
        return self._one_way()[0]

    def receive(self) -> float:
        """Decrypting one of them."""
        return self._one_way()[1]

    def smp(self) -> float:
        """One verification with equal secrets, from the question to both sides' success."""
        alice, bob = self._open()
        begin = process_time()
        ends = _hand_over(alice, bob, alice.smp_start(SECRET))
        ends += _hand_over(bob, alice, bob.smp_answer(SECRET))
        seconds = process_time() - begin
        if sum(isinstance(event, SmpSucceeded) for event in ends) != 2:
            raise WorkNotDone("not both sides succeeded")
        return seconds

    def _one_way(self) -> tuple[float, float]:
        """Encrypt and decrypt all; the first messages, which still bring new keys, are not counted."""
        alice, bob = self._open()
        _say(alice, bob)
        _say(bob, alice)
        _say(alice, bob)
        begin = process_time()
        lines = [_only_line(alice.send(TEXT)) for _ in range(ONE_WAY_MESSAGES)]
        middle = process_time()
        for line in lines:
            if bob.receive(line) != _ARRIVED:
                raise WorkNotDone("a text was lost or altered")
        end = process_time()
        first, last = _data(lines[0]), _data(lines[-1])
        if (first.sender_keyid, first.recipient_keyid) != (last.sender_keyid, last.recipient_keyid):
            raise WorkNotDone("keys rotated")
        return (middle - begin) / ONE_WAY_MESSAGES, (end - middle) / ONE_WAY_MESSAGES

    def _forget(self) -> None:
        for account in self.accounts:
            account.forget("peer")

    def _open(self) -> tuple[Conversation, Conversation]:
        self._forget()
        return run_ake(self.accounts)


def run_ake(accounts: tuple[Account, Account]) -> tuple[Conversation, Conversation]:
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


def _say(sender: Conversation, recipient: Conversation) -> str:
    """Send a text and be sure that it arrived; returns its line."""
    line = _only_line(sender.send(TEXT))
    if recipient.receive(line) != _ARRIVED:
        raise WorkNotDone("a text was lost or altered")
    return line


def _only_line(events: list[Event]) -> str:
    match events:
        case [Transmit(lines=(line,), plain=False)]:
            return line
    raise WorkNotDone("a text was not encrypted")


def _data(line: str) -> DataMessage:
    message = parse(decode(line))
    if not isinstance(message, DataMessage):
        raise WorkNotDone("a text was not encrypted")
    return message
