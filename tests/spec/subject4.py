"""A conversation of ours in version 4 whose peer is scripted."""

from __future__ import annotations

from otrcore.account import Account
from otrcore.events import Event
from otrcore.model import MessageState
from otrcore.policy import Policy
from tests.pair import Clock, Seeded, identity, speaking
from tests.spec import reading
from tests.spec.reading4 import Person
from tests.spec.scripted4 import ScriptedPeer, ScriptedSession
from tests.spec.subject import sent

US, THEM = 0x1000, 0x2000
UNIX_TIME = Person("anybody").expires - 24 * 60 * 60


class Subject:
    """One account with one conversation, fed by hand."""

    def __init__(self, *, policy: Policy | None = None, peer: ScriptedPeer | None = None) -> None:
        self.clock = Clock()
        self.unix_time = UNIX_TIME
        self.account = Account(
            identity("alice"),
            policy or speaking(4),
            name="us",
            instance_tag=US,
            random=Seeded("subject"),
            clock=self.clock,
            unix_time=lambda: self.unix_time,
        )
        self.talk = self.account.conversation("them")
        self.peer = peer or ScriptedPeer(THEM)

    def take(self, raw: bytes) -> list[Event]:
        """Receive an encoded message."""
        return self.talk.receive(reading.line(raw))

    def take_for_reply(self, raw: bytes) -> bytes:
        """Receive an encoded message that is answered by exactly one, and return that."""
        (reply,) = sent(self.take(raw))
        return reading.raw_of(reply)

    def identity(self) -> bytes:
        """Have us begin; return our Identity."""
        (line,) = sent(self.talk.receive("?OTRv4?"))
        return reading.raw_of(line)

    def secure(self, label: str = "session", *, initiator: bool = False) -> ScriptedSession:
        """Go through a key exchange, as the initiator or not; return the peer's side of the session."""
        if initiator:
            ours = self.identity()
            auth_r = self.peer.auth_r(label, ours)
            auth_i = self.take_for_reply(auth_r)
            assert self.peer.accepts(auth_i, ours, auth_r)
        else:
            theirs = self.peer.identity(label)
            ours = self.take_for_reply(theirs)
            assert sent(self.take(self.peer.auth_i(theirs, ours))) == []
        info = self.talk.info
        assert self.talk.state is MessageState.ENCRYPTED
        assert info is not None
        assert info.ssid == self.peer.ssid(label, ours)
        return self.peer.session(label, ours)

    def sends(self, text: str = "typed") -> bytes:
        """Send a text encrypted; return the message."""
        (line,) = sent(self.talk.send(text))
        return reading.raw_of(line)
