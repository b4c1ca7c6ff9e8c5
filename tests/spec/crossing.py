"""Our exchange with one instance, L, after both have sent a Commit and ours has lost; its keys are known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from otrcore.errors import PeerError, Reason
from otrcore.v3.ake import Ake
from otrcore.wire.header import parse_header
from tests.pair import identity, seeded
from tests.snapshot import secrets_in, snapshot
from tests.spec import reading
from tests.spec.scripted import ScriptedPeer, exponents

US, L = 0x1000, 0x2000
NOW = 100.0
RETRIES = 40.0
LIFETIME = 60.0
SEED = "crossing"


class Crossing:
    """Our exchange after its Commit lost against that of `winner`."""

    def __init__(self, version: int) -> None:
        self.winner = ScriptedPeer(L, exponents()[-1], version=version)
        self.answering = replace(self.winner, exponent=exponents()[3])
        """The winner's other half, which has taken our Commit all the same."""
        self.ake = Ake(version, identity("alice"), US, seeded(SEED), L)
        (self.own_commit,) = self.ake.start(NOW).replies
        reply = self.receive(self.winner.commit())
        assert reply is not None
        self.gy = reading.message(reply).number(0)

    def receive(self, raw: bytes, now: float = NOW) -> bytes | None:
        """Hand a message over; return the reply."""
        outcome = self.ake.receive(raw, parse_header(raw), now)
        self.outcome = outcome
        return outcome.replies[0] if outcome.replies else None

    def refused(self, raw: bytes, now: float = NOW) -> Reason:
        """Hand a message over that must be refused, with nothing changed."""
        before = snapshot(self.ake)
        with pytest.raises(PeerError) as refused:
            self.receive(raw, now)
        assert snapshot(self.ake) == before
        return refused.value.reason

    def secrets(self) -> set[bytes]:
        """Return every secret of the exchange."""
        return secrets_in(snapshot(self.ake.state))


def own_exponent(number: int) -> bytes:
    """Return our n-th private exponent, as drawn: 0 went into the Commit, 1 into the D-H Key."""
    draw = seeded(SEED)
    drawn = [draw("dh", 40) for _ in range(number + 1)][-1]
    return bytes([drawn[0] | 0x80]) + drawn[1:]
