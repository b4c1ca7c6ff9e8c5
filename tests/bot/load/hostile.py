"""Lines that nobody should send: what is left of real messages after somebody has damaged them, and worse."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator

from otrcore.account import Account
from otrcore.conversation import Conversation
from otrcore.events import Event, SmpAsked, Transmit
from tests.bot.load.crowd import LINE_LIMIT, identity
from tests.pair import speaking

MAX_BYTES = 480

_VERBS = (
    *("!help", "!versions", "!ping", "!whoami", "!fingerprint", "!status", "!otr", "!tag", "!smp"),
    *("!fragment", "!end", "!rekey", "!big", "!drill"),
)
_WORDS = (
    *("?OTR?", "?OTRv23?", "?OTRv3?", "?OTRv2?", "?OTR?v2?", "?OTRv4?", "?OTRv?", "?OTR", "?OTR:", "?OTR|"),
    *("?OTR,", "?OTR Error: no", "?OTR:AAMC.", "?OTR:AAMR.", "?OTR:AAEK."),
    *("?OTR|00000100|00000000,1,2,?OTR:AAM,", "\x01VERSION\x01", "\x01PING 1\x01", "\x01ACTION waves\x01"),
    *("\x01", "\x01\x01", "\x01ACTION ?OTRv3?\x01", "\x02\x0304,02bold\x0f", "\u202eevil"),
)
_TAG = b" \t  \t\t\t\t \t \t \t    \t\t  \t\t  \t"
_NUMBERS = (b"0", b"1", b"2", b"-1", b"100", b"2000", b"65535", b"65536", b"4294967295", b"9" * 40)


def messages(version: int) -> list[bytes]:
    """Return the lines of a whole conversation between two of us, verification included."""
    policy = speaking(version)
    one, other = (Account(identity(number), policy).conversation(str(number)) for number in range(2))
    lines: list[bytes] = []

    def pass_on(events: list[Event], sender: Conversation, receiver: Conversation) -> None:
        for event in events:
            if isinstance(event, SmpAsked):
                pass_on(sender.smp_answer("otrcore"), sender, receiver)
            for line in event.lines if isinstance(event, Transmit) else ():
                lines.append(line.encode())
                pass_on(receiver.receive(line), receiver, sender)

    for limit in (LINE_LIMIT, None):
        one.line_limit = other.line_limit = limit
        pass_on(one.start(), one, other)
        pass_on(one.send("a text"), one, other)
        pass_on(one.smp_start("otrcore"), one, other)
        pass_on(one.end(), one, other)
        pass_on(other.end(), other, one)
    return lines


def lines(seed: int, count: int) -> Iterator[bytes]:
    """Return so many lines, always the same for a seed."""
    chance = random.Random(seed)
    real = [line for version in (3, 4) for line in messages(version)]
    kinds: tuple[Callable[[], bytes], ...] = (
        lambda: _damaged(chance, chance.choice(real)),
        lambda: _damaged(chance, chance.choice(real)),
        lambda: chance.choice(real),
        lambda: _renumbered(chance, chance.choice(real)),
        lambda: _fragment(chance),
        lambda: chance.choice(_WORDS).encode(),
        lambda: _damaged(chance, chance.choice(_WORDS).encode()),
        lambda: (
            f"{chance.choice(_VERBS)} ".encode()
            + chance.choice((*_NUMBERS, b"on", b"mac", b"wrong", b"\xff"))
        ),
        lambda: _damaged(chance, chance.choice(_VERBS).encode()),
        lambda: chance.randbytes(chance.randrange(1, 200)),
        lambda: b"text" + _TAG + chance.randbytes(3),
    )
    for _ in range(count):
        yield re.sub(rb"[\r\n\0]", b"?", chance.choice(kinds)())[:MAX_BYTES] or b"?"


def _damaged(chance: random.Random, line: bytes) -> bytes:
    damaged = bytearray(line)
    for _ in range(chance.randrange(1, 5)):
        at = chance.randrange(len(damaged) + 1)
        match chance.randrange(4):
            case 0:
                damaged[at : at + 1] = chance.randbytes(1)
            case 1:
                del damaged[at : at + chance.randrange(1, 20)]
            case 2:
                damaged[at:at] = damaged[max(0, at - 20) : at]
            case _:
                damaged[at : at + 4] = chance.choice(_NUMBERS)
    return bytes(damaged)


def _renumbered(chance: random.Random, line: bytes) -> bytes:
    """Return a piece of a message as another piece, or for somebody else."""
    return re.sub(rb"[0-9a-f]{5,8}", lambda _: b"%05x" % chance.randrange(20), line, count=4)


def _fragment(chance: random.Random) -> bytes:
    index, total = chance.randrange(6), chance.randrange(6)
    head = b"?OTR|%08x|%08x," % (chance.randrange(1 << 32), 0) if chance.random() < 0.7 else b"?OTR,"
    return head + b"%05d,%05d,%s," % (index, total, chance.randbytes(chance.randrange(100)).hex().encode())
