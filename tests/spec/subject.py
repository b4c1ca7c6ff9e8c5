"""A conversation of ours whose peer is scripted, and whose own keys the test knows."""

from __future__ import annotations

import math

from otrcore.account import Account
from otrcore.events import Event, Transmit
from otrcore.model import MessageState
from otrcore.policy import Policy
from otrcore.session import Session
from tests.pair import Clock, identity, seeded, speaking
from tests.spec import reading
from tests.spec.scripted import ScriptedPeer, exponents

US, THEM = 0x1000, 0x2000
SEED = "subject"


class Subject:
    """One account with one conversation, fed by hand."""

    def __init__(
        self, *, version: int = 3, policy: Policy | None = None, their_keyid: int = 1, exponent: int = 0
    ) -> None:
        """The peer speaks `version`, and so do we unless `policy` says more.

        `exponent` chooses among the scripted peer's, those with low hashes first.
        """
        self.version = version
        self.clock = Clock()
        self.account = Account(
            identity("alice"),
            policy or speaking(version),
            instance_tag=US,
            random=seeded(SEED),
            clock=self.clock,
        )
        self.talk = self.account.conversation("them")
        self.peer = ScriptedPeer(THEM, exponents()[exponent], their_keyid, version=version)
        self.ake_draw = 0
        self.commit = b""
        """Our own, for a test that started an exchange."""

    def exponent(self, keyid: int) -> int:
        """Our private exponent of this key id: the exchange's draw is key 1, the one after it key 2."""
        draw = seeded(SEED)
        drawn = [draw("dh", 40) for _ in range(self.ake_draw + keyid)][-1]
        return int.from_bytes(drawn, "big") | 1 << 319

    def public(self, keyid: int) -> int:
        """Our public value of this key id."""
        return reading.public(self.exponent(keyid))

    def take(self, raw: bytes) -> list[Event]:
        """Receive an encoded message."""
        return self.talk.receive(reading.line(raw))

    def take_for_reply(self, raw: bytes) -> bytes:
        """Receive an encoded message that is answered by exactly one, and return that."""
        (reply,) = sent(self.take(raw))
        return reading.raw_of(reply)

    def encrypted(self, *, initiator: bool = False) -> Subject:
        """Go through a key exchange; returns itself."""
        if initiator:
            (line,) = sent(self.talk.receive(f"?OTRv{self.version}?"))
            reveal = self.take_for_reply(self.peer.key(US))
            self.take(self.peer.signature(US, reading.opened(reading.raw_of(line), reveal)))
        else:
            key = reading.message(self.take_for_reply(self.peer.commit()))
            self.take_for_reply(self.peer.reveal(US, key.number(0)))
        assert self.talk.state is MessageState.ENCRYPTED
        return self

    def finished(self) -> Subject:
        """Let the peer end the conversation; returns itself."""
        self.take(self.peer.data_message(US, self.public(1), DISCONNECT, flags=1, counter=2**63))
        assert self.talk.state is MessageState.FINISHED
        return self

    @property
    def session(self) -> Session:
        """The encrypted session, reached into for what no peer could bring about."""
        return self.talk._instances.session()

    def forget_complaints(self) -> None:
        """Have the next unreadable message answered, though it comes within the pause between two answers."""
        self.session._told = -math.inf

    def sends(self, text: str) -> bytes:
        """Send a text encrypted; return the message."""
        (line,) = sent(self.talk.send(text))
        return reading.raw_of(line)


def sent(events: list[Event]) -> list[str]:
    """Return the lines that these events transmit."""
    return [line for event in events if isinstance(event, Transmit) for line in event.lines]


def shown(events: list[Event]) -> list[Event]:
    """Return the events that transmit nothing."""
    return [event for event in events if not isinstance(event, Transmit)]


DISCONNECT = b"\0\0\1\0\0"
"""A NUL and a TLV of type 1."""
