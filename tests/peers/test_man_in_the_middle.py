"""A relay that holds a key exchange of its own with each side, as servers have done with mod_otr.

It reads everything as long as nobody verifies; what gives it away is tested here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

import pytest

from otrcore.account import Account
from otrcore.cli.relay import Middleman
from otrcore.conversation import Conversation
from otrcore.events import (
    Event,
    Held,
    Queued,
    Received,
    Resent,
    SessionOpened,
    SmpAsked,
    SmpFailed,
    SmpSucceeded,
    Transmit,
)
from otrcore.model import Fingerprint, MessageState, Protection, Trust
from otrcore.protocols import Step
from otrcore.session import Encrypted, Session
from otrcore.wire.tlv import Tlv
from tests.pair import OTHER, SIDES, TAGS, Clock, Side, identity, speaking

PATIENCE = 1000
SECRET = "only the two of them know it"
TAKEN_TAGS: dict[str, int] = {side: TAGS[OTHER[side]] for side in SIDES}
"""Towards each side that of the other one, which can be read on the way."""
SMP_RECORDS = range(2, 8)
"""The types of TLV that SMP speaks in (v3, "TLV Types")."""


class Forwarder:
    """Takes the place of the relay's own SMP, and keeps what comes, for the other side."""

    def __init__(self) -> None:
        self.records: deque[Tlv] = deque()
        self.waiting = self.running = False

    def receive(self, record: Tlv) -> Step | None:
        if record.type not in SMP_RECORDS:
            return None
        self.records.append(record)
        return Step()

    def ask(self, secret: bytes, question: bytes | None) -> Step:
        return Step()

    def answer(self, secret: bytes) -> Step:
        return Step()

    def abort(self) -> Step:
        return Step()

    def renounce(self) -> Step:
        return Step()


class Forwarding(Middleman):
    """A relay that knows SMP, and hands its records on untouched, from session to session."""

    def forward(self) -> None:
        """From here on."""
        self.forwarders = {side: Forwarder() for side in SIDES}
        for side in SIDES:
            session = self._session(side)
            assert isinstance(session._state, Encrypted)
            session._state = replace(session._state, verification=self.forwarders[side])

    def _session(self, side: str) -> Session:
        return self._talks[side]._instances.session()

    def hear(self, sender: str, line: str) -> list[tuple[str, str]]:
        delivered = super().hear(sender, line)
        for side, forwarder in self.forwarders.items():
            beyond = self._session(OTHER[side])
            while forwarder.records:
                assert isinstance(beyond._state, Encrypted)
                message = beyond._state.channel.encrypt(b"", [forwarder.records.popleft()])
                delivered += [(OTHER[side], text) for text in beyond._relation.transmit(message).lines]
        return delivered

    forwarders: dict[Side, Forwarder] = {}  # noqa: RUF012  # replaced as a whole


class Wire:
    """Alice and Bob, and what their server does with the lines between them."""

    def __init__(self, version: int, relay: Middleman | None = None, *, disguised: bool = False) -> None:
        self.version = version
        policy = replace(speaking(version), start_on_error=True)
        self.clock = Clock()
        self.accounts = {
            side: Account(identity(side), policy, name=side, instance_tag=TAGS[side], clock=self.clock)
            for side in SIDES
        }
        self.talks: dict[Side, Conversation] = {
            side: account.conversation(OTHER[side]) for side, account in self.accounts.items()
        }
        self.relay = relay or Middleman("alice", "bob", policy, TAKEN_TAGS if disguised else {})
        self.listening = False
        self.events: dict[Side, list[Event]] = {side: [] for side in SIDES}
        self._lines: deque[tuple[Side, str]] = deque()

    def listen(self, listening: bool) -> None:
        self.listening = listening
        self.relay.begin()
        for talk in self.relay._talks.values():
            talk._clock = self.clock

    def do(self, side: Side, events: Iterable[Event]) -> None:
        """Take what a call of one side brought, and let the lines of both settle."""
        self._take(side, events)
        for _ in range(PATIENCE):
            if not self._lines:
                return
            receiver, line = self._lines.popleft()
            self._take(receiver, self.talks[receiver].receive(line))
        raise AssertionError("the wire did not come to rest")

    def _take(self, side: Side, events: Iterable[Event]) -> None:
        for event in events:
            self.events[side].append(event)
            lines = event.lines if isinstance(event, Transmit) else ()
            for line in lines:
                if self.listening:
                    heard = self.relay.hear(side, line)
                    self._lines += [("alice" if name == "alice" else "bob", text) for name, text in heard]
                else:
                    self._lines.append((OTHER[side], line))

    def start(self, starter: Side = "alice") -> dict[Side, SessionOpened]:
        """Start, and return what each side was told; long after the last one, as starts are rationed."""
        self.clear()
        self.clock.advance(60.0)
        self.do(starter, self.talks[starter].start())
        return {side: self.last(side, SessionOpened) for side in SIDES}

    def end(self) -> None:
        for side in SIDES:
            self.do(side, self.talks[side].end())
            assert self.talks[side].state is MessageState.PLAINTEXT

    def verify(self, question: str | None = None) -> None:
        """Alice asks, and both give the right secret."""
        self.do("alice", self.talks["alice"].smp_start(SECRET, question))
        assert self.of("bob", SmpAsked) == [SmpAsked(question)]
        self.do("bob", self.talks["bob"].smp_answer(SECRET))

    def of(self, side: Side, kind: type[Event]) -> list[Event]:
        return [event for event in self.events[side] if isinstance(event, kind)]

    def last(self, side: Side, kind: type[SessionOpened]) -> SessionOpened:
        return next(event for event in reversed(self.events[side]) if isinstance(event, kind))

    def clear(self) -> None:
        for events in self.events.values():
            events.clear()

    def shown(self, side: Side) -> list[str]:
        return [
            event.text
            for event in self.events[side]
            if isinstance(event, Received) and event.protection is Protection.ENCRYPTED
        ]


def key(side: Side, version: int) -> Fingerprint:
    """The key that a side has in a version."""
    return identity(side).fingerprint_4 if version == 4 else identity(side).fingerprint


@pytest.fixture(
    params=[(version, disguised) for version in (2, 3, 4) for disguised in (False, True)[: version - 1]],
    ids=lambda which: f"v{which[0]}{' with the true tags' * which[1]}",
)
def wire(request: pytest.FixtureRequest) -> Wire:
    version, disguised = request.param
    return Wire(version, disguised=disguised)


def test_every_text_passes_and_is_read_as_long_as_nobody_verifies(wire: Wire) -> None:
    """The attack works, else the rest of this file would prove nothing."""
    wire.listen(True)
    wire.start()
    wire.do("alice", wire.talks["alice"].send("from alice"))
    wire.do("bob", wire.talks["bob"].send("from bob"))
    assert wire.shown("bob") == ["from alice"]
    assert wire.shown("alice") == ["from bob"]
    assert wire.relay.read == [("alice", "from alice"), ("bob", "from bob")]
    for side in SIDES:
        info = wire.talks[side].info
        assert info is not None
        assert info.their_fingerprint != key(OTHER[side], wire.version)


@pytest.mark.parametrize("starter", SIDES)
def test_both_see_unverified_at_every_start(wire: Wire, starter: Side) -> None:
    wire.listen(True)
    for _ in range(3):
        for opened in wire.start(starter).values():
            assert opened.trust is Trust.NONE
        assert all(talk.trust is Trust.NONE for talk in wire.talks.values())
        wire.end()
    # The same where the session is renewed instead of ended.
    wire.start(starter)
    for opened in wire.start(starter).values():
        # Who asks for new keys in version 4 ends the old session first.
        assert opened.refreshed or wire.version == 4
        assert opened.trust is Trust.NONE


def test_after_a_direct_session_the_relay_shows_as_another_key(wire: Wire) -> None:
    for opened in wire.start().values():
        assert opened.changed_from is None, "a first key is no changed one"
    wire.end()
    wire.listen(True)
    for side, opened in wire.start().items():
        assert opened.changed_from == key(OTHER[side], wire.version)
        assert opened.trust is Trust.NONE


def test_it_shows_in_the_middle_of_a_session_too(wire: Wire) -> None:
    wire.start()
    wire.listen(True)
    for side, opened in wire.start().items():
        assert opened.changed_from == key(OTHER[side], wire.version)


def test_once_verified_every_start_through_the_relay_is_a_changed_key(wire: Wire) -> None:
    """Not only the first one: that the relay's key is known by now is no excuse."""
    wire.start()
    wire.verify()
    assert all(talk.trust is Trust.SMP for talk in wire.talks.values())
    wire.end()
    wire.listen(True)
    for _ in range(3):
        for side, opened in wire.start().items():
            assert opened.changed_from == key(OTHER[side], wire.version)
            assert opened.trust is Trust.NONE
        wire.end()
    wire.listen(False)
    for opened in wire.start().values():
        assert (opened.changed_from, opened.trust) == (None, Trust.SMP)


def test_texts_that_wait_for_the_verified_peer_do_not_leave_to_the_relay(wire: Wire) -> None:
    wire.start()
    wire.verify()
    wire.end()
    wire.listen(True)
    wire.clear()
    alice = wire.talks["alice"]
    query = alice.start()
    wire.do("alice", [*alice.send("one"), *alice.send("two")])
    assert wire.of("alice", Queued) == [Queued("one"), Queued("two")]
    wire.do("alice", query)
    assert alice.state is MessageState.ENCRYPTED
    assert wire.of("alice", Held) == [Held(("one", "two"))]
    assert wire.relay.read == []
    assert wire.shown("bob") == []
    # Only the user lets them go.
    wire.do("alice", alice.send_held())
    assert wire.shown("bob") == ["one", "two"]


def test_a_text_is_not_said_again_to_the_relay(wire: Wire) -> None:
    """The attack on automatic resending: break a message, complain, and offer another key."""
    wire.start()
    wire.verify()
    alice = wire.talks["alice"]
    wire.do("alice", alice.send("for bob alone"))
    assert wire.shown("bob") == ["for bob alone"]
    wire.listen(True)
    wire.clear()
    wire.do("alice", alice.receive("?OTR Error: please say that again"))
    assert wire.last("alice", SessionOpened).changed_from == key("bob", wire.version)
    assert wire.of("alice", Resent) == []
    assert wire.of("alice", Held) == [Held(("for bob alone",))]
    assert wire.relay.read == []


@pytest.mark.parametrize("question", [None, "Where did we meet?"])
def test_right_secrets_fail_where_the_relay_guesses(wire: Wire, question: str | None) -> None:
    wire.listen(True)
    wire.start()
    wire.verify(question)
    assert_unverified(wire)


@pytest.mark.parametrize("version", [2, 3, 4])
@pytest.mark.parametrize("question", [None, "Where did we meet?"])
def test_right_secrets_fail_where_the_relay_hands_the_proofs_on(version: int, question: str | None) -> None:
    """They are bound to both keys and to the session id, which differ on the two sides."""
    relay = Forwarding("alice", "bob", speaking(version))
    wire = Wire(version, relay)
    wire.listen(True)
    wire.start()
    relay.forward()
    wire.verify(question)
    assert_unverified(wire)


def test_the_same_secrets_hold_without_the_relay(wire: Wire) -> None:
    wire.start()
    wire.verify()
    for side in SIDES:
        assert wire.of(side, SmpSucceeded) == [SmpSucceeded(trusts=True)]
        assert wire.talks[side].trust is Trust.SMP


def assert_unverified(wire: Wire) -> None:
    """Both are told that it failed, and no key of any kind is trusted by it."""
    for side in SIDES:
        assert len(wire.of(side, SmpFailed)) == 1
        assert wire.of(side, SmpSucceeded) == []
        assert wire.talks[side].trust is Trust.NONE
        assert not wire.talks[side].memory.verified


class SlowBob(Wire):
    """What Bob says after he thinks himself encrypted takes its time."""

    def __init__(self, version: int) -> None:
        super().__init__(version)
        self.held: list[Event] = []

    def _take(self, side: Side, events: Iterable[Event]) -> None:
        if side == "bob" and self.talks["bob"].state is MessageState.ENCRYPTED:
            self.held += events
        else:
            super()._take(side, events)


def test_who_leaves_before_the_relay_is_through_with_the_other_one_has_left_for_both() -> None:
    wire = SlowBob(4)
    wire.listen(True)
    wire.do("alice", wire.talks["alice"].start())
    assert wire.talks["alice"].state is MessageState.ENCRYPTED
    assert wire.relay._talks["bob"].state is not MessageState.ENCRYPTED
    wire.do("alice", wire.talks["alice"].end())
    held, wire.held = wire.held, []
    Wire._take(wire, "bob", held)
    wire.do("bob", [])
    assert wire.talks["bob"].state is MessageState.FINISHED
