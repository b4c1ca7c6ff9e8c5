"""Both sides have sent a Commit and ours has lost: what becomes of it (the rule is in `otrcore.v3.ake`).

A peer that follows the specification never answers the Commit that it has beaten.  One
that does, and then waits for our Reveal Signature while we wait for its own, is met by
going on as initiator after five seconds.
"""

from __future__ import annotations

from typing import cast

import pytest

from otrcore.errors import PeerError, Reason
from otrcore.events import HandshakeEnd, HandshakeStep
from otrcore.protocols import NOTHING
from otrcore.v3.ake import Ake
from otrcore.wire.header import parse_header
from tests.pair import identity, seeded
from tests.snapshot import secrets_in, snapshot
from tests.spec import reading
from tests.spec.reading import content, number, unpack
from tests.spec.scripted import ScriptedPeer, exponents

US, L, M = 0x1000, 0x2000, 0x3000
NOW = 100.0
RESUME_AFTER = 5.0
LIFETIME = 60.0
WINNER = ScriptedPeer(L, exponents()[-1])
ANSWERING = ScriptedPeer(L, exponents()[3])
"""The winner's other half, which has taken our Commit all the same."""
SEED = "crossing"


class Crossing:
    """Our exchange after its Commit lost against WINNER's."""

    def __init__(self) -> None:
        self.ake = Ake(identity("alice"), US, seeded(SEED))
        (self.own_commit,) = self.ake.start(NOW).replies
        reply = self.receive(WINNER.commit())
        assert reply is not None
        self.gy = number(unpack("sbiim", reply)[4])

    def receive(self, raw: bytes, now: float = NOW) -> bytes | None:
        outcome = self.ake.receive(raw, parse_header(raw), now)
        self.outcome = outcome
        return outcome.replies[0] if outcome.replies else None

    def refused(self, raw: bytes, now: float = NOW) -> Reason:
        before = snapshot(self.ake)
        with pytest.raises(PeerError) as refused:
            self.receive(raw, now)
        assert snapshot(self.ake) == before
        return refused.value.reason

    def secrets(self) -> set[bytes]:
        return secrets_in(snapshot(self.ake.state))


def own_exponent(number: int) -> bytes:
    """Our n-th private exponent, as drawn: 0 went into the Commit, 1 into the D-H Key."""
    draw = seeded(SEED)
    drawn = [draw("dh", 40) for _ in range(number + 1)][-1]
    return bytes([drawn[0] | 0x80]) + drawn[1:]


def opened(commit: bytes, reveal: bytes) -> int:
    """The value in a Commit of ours, opened with what a Reveal Signature of ours tells."""
    r = content(unpack("sbiidda", reveal)[4])
    return number(unpack("m", reading.ctr(r, 0, content(unpack("sbiidd", commit)[4])))[0])


def test_a_yielded_commit_is_never_used_by_itself() -> None:
    crossing = Crossing()
    for _ in range(3):
        before = snapshot(crossing.ake)
        assert crossing.ake.tick(NOW + RESUME_AFTER) == NOTHING
        assert snapshot(crossing.ake) == before
    assert crossing.receive(WINNER.reveal(US, crossing.gy), NOW + 30.0) is not None
    assert crossing.outcome.channel is not None


def test_success_wipes_the_yielded_commit() -> None:
    crossing = Crossing()
    crossing.receive(ANSWERING.key(US))
    assert own_exponent(0) in crossing.secrets()
    reply = crossing.receive(WINNER.reveal(US, crossing.gy))
    assert reply is not None
    assert reply[2] == reading.SIGNATURE
    assert crossing.secrets() == set()
    assert crossing.ake.deadline is None
    assert crossing.refused(ANSWERING.key(US)) is Reason.OUT_OF_TURN


def test_a_held_answer_is_used_after_five_seconds() -> None:
    crossing = Crossing()
    assert crossing.receive(ANSWERING.key(US), NOW + 1.0) is None
    assert crossing.ake.deadline == NOW + RESUME_AFTER
    assert crossing.ake.tick(NOW + RESUME_AFTER - 0.01) == NOTHING

    outcome = crossing.ake.tick(NOW + RESUME_AFTER)
    (reveal,) = outcome.replies
    assert outcome.steps == (
        HandshakeStep("D-H Key", sent=False),
        HandshakeStep("Reveal Signature", sent=True),
    )
    assert unpack("sbiidda", reveal)[1:4] == [reading.REVEAL, US, L]

    gx = opened(crossing.own_commit, reveal)
    assert crossing.receive(ANSWERING.signature(US, gx), NOW + 6.0) is None
    channel = crossing.outcome.channel
    assert channel is not None
    assert channel.info.initiator
    assert channel.info.ssid == reading.ake_secrets(ANSWERING.secret(gx)).ssid


def test_an_answer_that_comes_after_five_seconds_is_used_at_once() -> None:
    crossing = Crossing()
    reveal = crossing.receive(ANSWERING.key(US), NOW + RESUME_AFTER)
    assert reveal is not None
    assert reveal[2] == reading.REVEAL


def test_resuming_destroys_the_other_half() -> None:
    """Never both roles at once: a reflected Reveal Signature would authenticate us to ourselves."""
    crossing = Crossing()
    crossing.receive(ANSWERING.key(US))
    assert own_exponent(1) in crossing.secrets()
    (reveal,) = crossing.ake.tick(NOW + RESUME_AFTER).replies
    assert own_exponent(1) not in crossing.secrets()
    assert own_exponent(0) in crossing.secrets()
    assert crossing.refused(WINNER.reveal(US, crossing.gy), NOW + 6.0) is Reason.OUT_OF_TURN
    header = reveal[:3] + reading.integer(L) + reading.integer(US)
    assert crossing.refused(header + reveal[11:], NOW + 6.0) is Reason.OUT_OF_TURN


def test_resuming_happens_once() -> None:
    crossing = Crossing()
    crossing.receive(ANSWERING.key(US))
    (reveal,) = crossing.ake.tick(NOW + RESUME_AFTER).replies
    assert crossing.ake.tick(NOW + 2 * RESUME_AFTER) == NOTHING
    # A D-H Key that comes again is answered as ever, another one is ignored.
    assert crossing.receive(ANSWERING.key(US), NOW + 6.0) == reveal
    assert crossing.refused(ScriptedPeer(L, exponents()[4]).key(US), NOW + 6.0) is Reason.OUT_OF_TURN


def test_the_winners_reveal_comes_before_the_five_seconds_are_over() -> None:
    crossing = Crossing()
    crossing.receive(ANSWERING.key(US))
    crossing.receive(WINNER.reveal(US, crossing.gy), NOW + RESUME_AFTER - 0.01)
    assert crossing.outcome.channel is not None
    assert not crossing.outcome.channel.info.initiator
    assert crossing.ake.tick(NOW + RESUME_AFTER) == NOTHING


def test_another_instance_may_use_the_yielded_commit() -> None:
    crossing = Crossing()
    other = ScriptedPeer(M, exponents()[5])
    reveal = crossing.receive(other.key(US))
    assert reveal is not None
    assert unpack("sbiidda", reveal)[1:4] == [reading.REVEAL, US, M]
    assert own_exponent(1) not in crossing.secrets()
    crossing.receive(other.signature(US, opened(crossing.own_commit, reveal)))
    assert crossing.outcome.channel is not None
    assert crossing.outcome.channel.info.their_instance_tag == M


def test_a_new_start_wipes_the_yielded_commit() -> None:
    crossing = Crossing()
    crossing.receive(ANSWERING.key(US))
    (commit,) = crossing.ake.start(NOW + 10.0).replies
    assert commit != crossing.own_commit
    assert own_exponent(0) not in crossing.secrets()
    assert own_exponent(1) not in crossing.secrets()


def test_cancelling_wipes_it() -> None:
    crossing = Crossing()
    crossing.receive(ANSWERING.key(US))
    crossing.ake.cancel()
    assert crossing.secrets() == set()
    assert crossing.ake.deadline is None
    assert crossing.ake.tick(NOW + RESUME_AFTER) == NOTHING


def test_it_expires_with_the_exchange() -> None:
    crossing = Crossing()
    assert crossing.ake.deadline == NOW + LIFETIME
    outcome = crossing.ake.tick(NOW + LIFETIME)
    assert outcome.failed is HandshakeEnd.INCOMPLETE
    assert outcome.replies == ()
    assert crossing.secrets() == set()
    assert not crossing.ake.running


def test_one_tick_after_everything_is_over_gives_up_rather_than_resumes() -> None:
    crossing = Crossing()
    crossing.receive(ANSWERING.key(US))
    outcome = crossing.ake.tick(NOW + LIFETIME)
    assert outcome.failed is HandshakeEnd.INCOMPLETE
    assert outcome.replies == ()


def test_the_newest_held_answer_counts() -> None:
    crossing = Crossing()
    crossing.receive(ScriptedPeer(L, exponents()[4]).key(US))
    crossing.receive(ANSWERING.key(US))
    (reveal,) = crossing.ake.tick(NOW + RESUME_AFTER).replies
    gx = opened(crossing.own_commit, reveal)
    crossing.receive(ANSWERING.signature(US, gx))
    assert crossing.outcome.channel is not None


def test_the_winner_repeats_its_commit_as_the_specification_asks() -> None:
    """It does when it gets ours: the same D-H Key again, and what was yielded stays so."""
    crossing = Crossing()
    before = cast("dict[str, object]", snapshot(crossing.ake.state))
    reply = crossing.receive(WINNER.commit(US), NOW + 1.0)
    assert reply is not None
    assert number(unpack("sbiim", reply)[4]) == crossing.gy
    after = cast("dict[str, object]", snapshot(crossing.ake.state))
    assert after["yielded"] == before["yielded"]
    # The new Commit counts: opened with another r it would not.
    crossing.receive(WINNER.reveal(US, crossing.gy), NOW + 2.0)
    assert crossing.outcome.channel is not None
