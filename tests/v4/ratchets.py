"""Two ratchets that have finished a key exchange, and a network between them that loses nothing by itself."""

from __future__ import annotations

from dataclasses import dataclass

from otrcore.crypto.dh3072 import BraceKeyPair
from otrcore.crypto.ed448 import KeyPair
from otrcore.crypto.secret import Secret
from otrcore.v4.ratchet import Ratchet
from otrcore.wire.header import VERSION_4, Header, MessageType
from otrcore.wire.messages4 import DataMessage, parse
from tests.pair import SIDES, Side, seeded
from tests.spec.scripted4 import keys_of

TAGS: dict[Side, tuple[int, int]] = {"alice": (0x101, 0x202), "bob": (0x202, 0x101)}
MAC_KEY = 64


@dataclass(frozen=True)
class Sent:
    """A message, and what it says."""

    by: Side
    text: bytes
    raw: bytes
    mac_key: bytes
    """Calculated from the chain key by the second reading."""

    @property
    def message(self) -> DataMessage:
        """The message taken apart."""
        taken = parse(self.raw)
        assert isinstance(taken, DataMessage)
        return taken

    @property
    def ratchet(self) -> int:
        """Which ratchet of its sender this is: Alice's are called 0, 1, 3, 5 ..., Bob's 0, 2, 4 ..."""
        number = self.message.ratchet_id
        return (number + 1) // 2 if self.by == "alice" else number // 2

    @property
    def authenticated(self) -> bytes:
        """What its MAC covers."""
        return self.raw[: len(self.raw) - 64 - 4 - len(self.message.old_mac_keys)]

    @property
    def revealed(self) -> list[bytes]:
        """The MAC keys in it."""
        keys = self.message.old_mac_keys
        return [keys[at : at + MAC_KEY] for at in range(0, len(keys), MAC_KEY)]


class Two:
    """Alice, who has answered, and Bob, who has begun."""

    def __init__(self, seed: object = 0) -> None:
        randoms = {side: seeded(f"{seed}/{side}") for side in SIDES}
        ecdh = {side: KeyPair.generate(randoms[side]) for side in SIDES}
        dh = {side: BraceKeyPair.generate(randoms[side]) for side in SIDES}
        self.sides = {
            side: Ratchet(
                randoms[side],
                Secret(bytes(64)),
                ecdh[side],
                dh[side],
                ecdh[other].public,
                dh[other].public,
                receives=side == "bob",
            )
            for side, other in zip(SIDES, reversed(SIDES), strict=True)
        }
        self.count = 0

    def send(self, by: Side, flags: int = 0) -> Sent:
        """Make the next message of one side, whose text is its number."""
        text = b"text %d" % self.count
        self.count += 1
        header = Header(VERSION_4, MessageType.DATA, *TAGS[by])
        self.sides[by].take_turn()
        chain = bytes(self.sides[by]._sending.key)
        return Sent(by, text, self.sides[by].encrypt(text, header, flags), keys_of(chain).mac)

    def read(self, sent: Sent) -> bytes:
        """Give a message to the other side; PeerError."""
        reader: Side = "bob" if sent.by == "alice" else "alice"
        return self.sides[reader].decrypt(sent.message, sent.authenticated)[0]

    def ping_pong(self, ratchets: int) -> list[Sent]:
        """Let both speak in turns, Bob first."""
        messages = []
        for number in range(ratchets):
            messages.append(self.send("alice" if number % 2 else "bob"))
            assert self.read(messages[-1]) == messages[-1].text
        return messages
