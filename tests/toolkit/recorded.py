"""Conversations as somebody in between records them, with the D-H keys that one side had.

Bob is the one whose keys are known: an account of ours.  Alice is another, or libotr.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from otrcore.crypto.modp import EXPONENT_BYTES
from otrcore.crypto.random import Random
from otrcore.crypto.secret import Secret
from otrcore.toolkit.describe import digits
from otrcore.toolkit.keys import SessionKeys, session_keys
from otrcore.v3.kdf import DirectionKeys
from otrcore.wire.messages3 import DataMessage, DhKey, Message
from tests.interop.oracle import BINARY, Direction, LibotrPeer, exchange
from tests.interop.ours import Ours, agreed, message_in
from tests.pair import Pair, Seeded, Side, speaking
from tests.support import require

Source = Literal["ours", "libotr"]

SAID: list[tuple[Side, str]] = [
    ("alice", "Do you have the 100 euros?"),
    ("bob", "Tomorrow, I promise."),
    ("bob", "At five."),
    ("alice", "Grüße, and \x1b[31mred\x1b[0m \u202e backslash \\ bell \x07"),
    ("bob", "x" * 700),
    ("alice", "line one\nline two"),
    ("bob", ""),
    ("alice", "Bye."),
]


@dataclass(frozen=True)
class Spoken:
    """A data message, with what made it."""

    who: Side
    line: str
    message: DataMessage
    private: Secret
    """Bob's D-H key of it."""
    public: int
    """Alice's."""

    @property
    def keys(self) -> SessionKeys:
        """What follows from the two, as Bob sees it."""
        return session_keys(self.private, self.public)

    @property
    def made_with(self) -> DirectionKeys:
        """The keys of this direction."""
        return self.keys.receiving if self.who == "alice" else self.keys.sending


@dataclass(frozen=True)
class Recorded:
    """What crossed the network, in order; `ssid` is what the two could compare."""

    version: int
    lines: tuple[tuple[Side, str], ...]
    privates: tuple[Secret, ...]
    """Bob's D-H keys, from number 1 on."""
    ssid: bytes

    @property
    def text(self) -> str:
        """The log, with a nick in front of every line."""
        return "".join(f"<{who}> {line}\n" for who, line in self.lines)

    @property
    def messages(self) -> list[Message]:
        """All encoded messages."""
        return [message for _, line in self.lines if (message := message_in(line))]

    def spoken(self) -> list[Spoken]:
        """Return the data messages with their keys."""
        publics: dict[int, int] = {}
        found = []
        for who, line in self.lines:
            message = message_in(line)
            if isinstance(message, DhKey):
                assert who == "alice"
                publics[1] = message.gy
            if isinstance(message, DataMessage):
                hers, his = message.sender_keyid, message.recipient_keyid
                if who == "bob":
                    hers, his = his, hers
                else:
                    publics[hers + 1] = message.next_dh
                found.append(Spoken(who, line, message, self.privates[his - 1], publics[hers]))
        return found


def pieces(one: Spoken) -> list[str]:
    """Return a message as what `otr_remac` makes it of."""
    message = one.message
    return [
        one.made_with.mac.hex(),
        *map(str, (message.header.sender_tag, message.header.receiver_tag, message.flags)),
        *map(str, (message.sender_keyid, message.recipient_keyid)),
        digits(message.next_dh).hex(),
        f"{message.counter:016x}",
        message.encrypted.hex(),
        message.old_mac_keys.hex(),
    ]


def record(version: int, source: Source, folder: Path) -> Recorded:
    """Let the two talk, Alice having asked for it; files of libotr go into the folder."""
    return _ours(version) if source == "ours" else _with_libotr(version, folder)


def _ours(version: int) -> Recorded:
    pair = Pair(version=version, seed="toolkit")
    pair.start("alice")
    ssid = pair.agreed().ssid
    for who, text in SAID:
        pair.say(who, text)
    pair.end("alice")
    return Recorded(version, tuple(pair.lines), privates(pair.randoms["bob"]), ssid)


def _with_libotr(version: int, folder: Path) -> Recorded:
    random = Seeded("toolkit")
    bob = Ours(speaking(version), random=random)
    program = Path(require(str(BINARY)))
    with LibotrPeer(
        "alice", f"v{version}", options=["--keyfile", str(folder / "key")], program=program
    ) as alice:
        log: list[tuple[Direction, str]] = []
        alice.genkey()
        alice.start()
        exchange(alice, bob, log=log)
        ssid = bytes.fromhex(agreed(bob, alice))
        for who, text in SAID:
            (alice if who == "alice" else bob).send(text)
            exchange(alice, bob, log=log)
        alice.end()
        exchange(alice, bob, log=log)
    names: dict[Direction, Side] = {">": "alice", "<": "bob"}
    return Recorded(version, tuple((names[way], line) for way, line in log), privates(random), ssid)


def privates(random: Random) -> tuple[Secret, ...]:
    """Return the exponents of all D-H keys that were made of this randomness, which a test chose."""
    assert isinstance(random, Seeded)
    top_bit = 1 << (8 * EXPONENT_BYTES - 1)
    return tuple(
        Secret((int.from_bytes(drawn, "big") | top_bit).to_bytes(EXPONENT_BYTES, "big"))
        for drawn in random.drawn["dh"]
    )
