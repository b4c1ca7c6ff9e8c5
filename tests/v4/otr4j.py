"""How otr4j takes part in a key exchange, as far as it was observed; its messages are a second reading's."""

from __future__ import annotations

from collections import deque

from tests.spec import reading, reading4
from tests.spec.scripted4 import ScriptedPeer, ScriptedSession
from tests.spec.subject import sent
from tests.spec.subject4 import THEM, US, Subject


class Otr4j:
    """One instance; lines to it are delivered by hand, its own wait in `out`.

    It makes fresh keys for each Identity that it answers, even for the same.  Where starts cross it
    gives in at once, without looking who has won, and ignores an Auth-R from then on; one that
    `insists` on an Identity that ranks higher sends that again, as the specification says.  A session
    that it has goes on until there is another one.
    """

    def __init__(self, label: str, *, insists: bool = False) -> None:
        self.peer = ScriptedPeer(THEM)
        self.label = label
        self.insists = insists
        self.state = "START"
        self.out: deque[bytes] = deque()
        self.identity = b""
        self.answered = b""
        self.auth_r = b""
        self.answers = 0
        self.session: ScriptedSession | None = None
        self.ssid = b""
        self.refused = 0

    def start(self) -> None:
        """Send an Identity."""
        self.identity = self.peer.identity(self.label)
        self.out.append(self.identity)
        self.state = "WAITING_AUTH_R"

    def take(self, raw: bytes) -> None:
        """Receive a message of ours."""
        match raw[2], self.state:
            case reading4.IDENTITY, "WAITING_AUTH_R" if self.insists and self._outranks(raw):
                self.out.append(self.identity)
            case reading4.IDENTITY, _:
                self.answers += 1
                self.answered = raw
                self.auth_r = self.peer.auth_r(self._answer, raw)
                self.out.append(self.auth_r)
                self.state = "WAITING_AUTH_I"
            case reading4.AUTH_R, "WAITING_AUTH_R":
                self.out.append(self.peer.auth_i(self.identity, raw))
                self._open(self.label, raw)
            case reading4.AUTH_I, "WAITING_AUTH_I":
                if self.peer.accepts(raw, self.answered, self.auth_r):
                    self._open(self._answer, self.answered)
                else:
                    self.refused += 1
            case _:
                self.refused += 1

    @property
    def _answer(self) -> str:
        return f"{self.label}/answer {self.answers}"

    def _outranks(self, raw: bytes) -> bool:
        theirs = reading.mpi(reading4.exchange(raw).number)
        ours = reading.mpi(reading4.exchange(self.identity).number)
        return reading4.shake(ours, 32) > reading4.shake(theirs, 32)

    def _open(self, label: str, theirs: bytes) -> None:
        self.session = self.peer.session(label, theirs)
        self.ssid = self.peer.ssid(label, theirs)
        self.state = "ENCRYPTED"


class Link:
    """A subject of ours and an otr4j, and what is on its way between them."""

    def __init__(self, label: str, *, insists: bool = False) -> None:
        self.subject = Subject()
        self.otr4j = Otr4j(label, insists=insists)
        self.to_otr4j: deque[bytes] = deque()

    def do(self, lines: list[str]) -> None:
        """Lines of ours are on their way."""
        self.to_otr4j.extend(reading.raw_of(line) for line in lines if line.startswith("?OTR:"))

    def start(self) -> None:
        """Have us send an Identity, or the same again."""
        self.do(sent(self.subject.talk.receive("?OTRv4?")))

    def tick(self, after: float) -> None:
        """Let time pass."""
        self.subject.clock.advance(after)
        self.do(sent(self.subject.talk.tick()))

    @property
    def waiting(self) -> list[str]:
        """Who has something to get."""
        return ["us"] * bool(self.otr4j.out) + ["otr4j"] * bool(self.to_otr4j)

    def deliver(self, to: str) -> None:
        """The next line arrives."""
        if to == "us":
            self.do(sent(self.subject.take(self.otr4j.out.popleft())))
        else:
            self.otr4j.take(self.to_otr4j.popleft())

    def settle(self) -> None:
        """Everything arrives."""
        while self.waiting:
            self.deliver(self.waiting[0])

    def check(self, state: str = "ENCRYPTED") -> None:
        """Both are in one session, and texts come through; it may have answered another Identity since."""
        info, session = self.subject.talk.info, self.otr4j.session
        assert info is not None
        assert session is not None
        assert self.otr4j.state == state
        assert info.ssid == self.otr4j.ssid
        assert info.their_instance_tag == THEM
        assert session.their_tag == US
        for text in ("one", "two"):
            assert session.read(self.subject.sends(text)) == text.encode() + b"\0"
            assert f"'{text}'" in repr(self.subject.take(session.send(text.encode())))
