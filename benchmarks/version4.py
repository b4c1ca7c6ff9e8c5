"""Our side of the rows of version 4, which libotr does not speak."""

from __future__ import annotations

from collections.abc import Callable
from time import process_time

from otrcore import SmpSucceeded
from otrcore.crypto.ed448 import Point
from otrcore.crypto.random import system_random
from otrcore.protocols import Step
from otrcore.smp.verification import Verification
from otrcore.v4.smp import Ed448Group, SmpRecords, compared
from otrcore.wire.messages4 import DataMessage, parse
from otrcore.wire.text import decode

from .ours import (
    ONE_WAY_MESSAGES,
    PING_PONG_MESSAGES,
    SECRET,
    Ours,
    WorkNotDone,
    handshake,
    one_way,
    open_talks,
    say,
    to_and_fro,
)


def dake(ours: Ours) -> float:
    """From the query to both sides encrypted."""
    return handshake(ours.accounts_4)


def ping_pong(ours: Ours) -> float:
    """One of the texts that go to and fro, each bringing a new ECDH key and every third a new D-H key."""
    alice, bob = open_talks(ours.accounts_4)
    lines, seconds = to_and_fro(alice, bob)
    ratchets = _data(lines[-1]).ratchet_id - _data(lines[0]).ratchet_id
    # After the first two messages, which share a number, each counts one on.
    if ratchets + 3 < PING_PONG_MESSAGES:
        raise WorkNotDone("keys did not rotate")
    return seconds


def send(ours: Ours) -> float:
    """Encrypting one of many texts of 100 bytes to somebody who does not answer."""
    return _one_way(ours)[0]


def receive(ours: Ours) -> float:
    """Decrypting one of them."""
    return _one_way(ours)[1]


def _one_way(ours: Ours) -> tuple[float, float]:
    """Encrypt and decrypt all of one ratchet but its first message, which brings the new keys."""
    alice, bob = open_talks(ours.accounts_4)
    say(bob, alice)
    say(alice, bob)
    lines, seconds = one_way(alice, bob)
    first, last = _data(lines[0]), _data(lines[-1])
    if (first.ecdh, first.message_id) != (last.ecdh, last.message_id + 1 - ONE_WAY_MESSAGES):
        raise WorkNotDone("keys rotated")
    return seconds


def smp(ours: Ours) -> float:
    """One verification with equal secrets, without the messages that carry it."""
    alice, bob = _verifications(ours)
    begin = process_time()
    steps = [alice.ask(SECRET.encode(), None)]
    steps.append(_take(bob, steps[-1]))
    steps.append(bob.answer(SECRET.encode()))
    for side in (alice, bob, alice):
        steps.append(_take(side, steps[-1]))
    seconds = process_time() - begin
    if sum(isinstance(event, SmpSucceeded) for step in steps for event in step.events) != 2:
        raise WorkNotDone("not both sides succeeded")
    return seconds


def _verifications(ours: Ours) -> tuple[Verification[Point], Verification[Point]]:
    """Both sides of SMP in one session: it needs no more of one than fingerprints and ssid."""
    fingerprints = [account.identity.fingerprint_4 for account in ours.accounts_4]

    def compared_by(side: int) -> Callable[[bool, bytes], int]:
        def number(we_asked: bool, secret: bytes) -> int:
            initiator = side if we_asked else 1 - side
            return compared(fingerprints[initiator], fingerprints[1 - initiator], bytes(8), secret)

        return number

    one, other = (
        Verification(Ed448Group(), system_random, SmpRecords(), compared_by(side)) for side in range(2)
    )
    return one, other


def _take(side: Verification[Point], step: Step) -> Step:
    """Hand the one record of a step to the other side."""
    (record,) = step.records
    heard = side.receive(record)
    if heard is None:
        raise WorkNotDone("a record was not taken for one of SMP")
    return heard


def _data(line: str) -> DataMessage:
    message = parse(decode(line))
    if not isinstance(message, DataMessage):
        raise WorkNotDone("a text was not encrypted")
    return message
