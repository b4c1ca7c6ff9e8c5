"""Both sides have sent a Commit of version 3 and ours has lost: what becomes of it.

A peer that follows the specification never answers the Commit that it has beaten.  One
that does, and then waits for our Reveal Signature while we wait for its own, is met by
going on as initiator after five seconds.
"""

from __future__ import annotations

from typing import cast

from otrcore.errors import Reason
from otrcore.events import HandshakeEnd, HandshakeStep
from otrcore.protocols import NOTHING
from tests.snapshot import snapshot
from tests.spec import reading
from tests.spec.crossing import LIFETIME, NOW, RETRIES, US, Crossing, L, own_exponent
from tests.spec.scripted import ScriptedPeer, exponents

RESUME_AFTER = 5.0


def test_a_yielded_commit_is_never_used_by_itself() -> None:
    crossing = Crossing(3)
    for _ in range(3):
        before = snapshot(crossing.ake)
        assert crossing.ake.tick(NOW + RESUME_AFTER) == NOTHING
        assert snapshot(crossing.ake) == before
    assert crossing.receive(crossing.winner.reveal(US, crossing.gy), NOW + 30.0) is not None
    assert crossing.outcome.channel is not None


def test_success_wipes_the_yielded_commit() -> None:
    crossing = Crossing(3)
    crossing.receive(crossing.answering.key(US))
    assert own_exponent(0) in crossing.secrets()
    reply = crossing.receive(crossing.winner.reveal(US, crossing.gy))
    assert reply is not None
    assert reply[2] == reading.SIGNATURE
    assert crossing.secrets() == set()
    assert crossing.ake.deadline is None
    assert crossing.refused(crossing.answering.key(US)) is Reason.OUT_OF_TURN


def test_a_held_answer_is_used_after_five_seconds() -> None:
    crossing = Crossing(3)
    assert crossing.receive(crossing.answering.key(US), NOW + 1.0) is None
    assert crossing.ake.deadline == NOW + RESUME_AFTER
    assert crossing.ake.tick(NOW + RESUME_AFTER - 0.01) == NOTHING

    outcome = crossing.ake.tick(NOW + RESUME_AFTER)
    (reveal,) = outcome.replies
    assert outcome.steps == (
        HandshakeStep("D-H Key", sent=False),
        HandshakeStep("Reveal Signature", sent=True),
    )
    assert reading.message(reveal).tags == (US, L)

    gx = reading.opened(crossing.own_commit, reveal)
    assert crossing.receive(crossing.answering.signature(US, gx), NOW + 6.0) is None
    channel = crossing.outcome.channel
    assert channel is not None
    assert channel.info.initiator
    assert channel.info.ssid == reading.ake_secrets(crossing.answering.secret(gx)).ssid


def test_an_answer_that_comes_after_five_seconds_is_used_at_once() -> None:
    crossing = Crossing(3)
    reveal = crossing.receive(crossing.answering.key(US), NOW + RESUME_AFTER)
    assert reveal is not None
    assert reveal[2] == reading.REVEAL


def test_resuming_destroys_the_other_half() -> None:
    """Never both roles at once: a reflected Reveal Signature would authenticate us to ourselves."""
    crossing = Crossing(3)
    crossing.receive(crossing.answering.key(US))
    assert own_exponent(1) in crossing.secrets()
    (reveal,) = crossing.ake.tick(NOW + RESUME_AFTER).replies
    assert own_exponent(1) not in crossing.secrets()
    assert own_exponent(0) in crossing.secrets()
    assert crossing.refused(crossing.winner.reveal(US, crossing.gy), NOW + 6.0) is Reason.OUT_OF_TURN
    assert crossing.refused(reading.readdressed(reveal, L, US), NOW + 6.0) is Reason.OUT_OF_TURN


def test_resuming_happens_once() -> None:
    crossing = Crossing(3)
    crossing.receive(crossing.answering.key(US))
    (reveal,) = crossing.ake.tick(NOW + RESUME_AFTER).replies
    assert crossing.ake.tick(NOW + 2 * RESUME_AFTER) == NOTHING
    # A D-H Key that comes again is answered as ever, another one is ignored.
    assert crossing.receive(crossing.answering.key(US), NOW + 6.0) == reveal
    assert crossing.refused(ScriptedPeer(L, exponents()[4]).key(US), NOW + 6.0) is Reason.OUT_OF_TURN


def test_the_winners_reveal_comes_before_the_five_seconds_are_over() -> None:
    crossing = Crossing(3)
    crossing.receive(crossing.answering.key(US))
    crossing.receive(crossing.winner.reveal(US, crossing.gy), NOW + RESUME_AFTER - 0.01)
    assert crossing.outcome.channel is not None
    assert not crossing.outcome.channel.info.initiator
    assert crossing.ake.tick(NOW + RESUME_AFTER) == NOTHING


def test_a_new_start_wipes_the_yielded_commit() -> None:
    crossing = Crossing(3)
    crossing.receive(crossing.answering.key(US))
    (commit,) = crossing.ake.start(NOW + 10.0).replies
    assert commit != crossing.own_commit
    assert own_exponent(0) not in crossing.secrets()
    assert own_exponent(1) not in crossing.secrets()


def test_cancelling_wipes_it() -> None:
    crossing = Crossing(3)
    crossing.receive(crossing.answering.key(US))
    crossing.ake.cancel()
    assert crossing.secrets() == set()
    assert crossing.ake.deadline is None
    assert crossing.ake.tick(NOW + RESUME_AFTER) == NOTHING


def test_it_expires_with_the_exchange() -> None:
    """The D-H Key is repeated meanwhile, which is no progress."""
    crossing = Crossing(3)
    assert crossing.ake.deadline == NOW + RETRIES
    (key,) = crossing.ake.tick(NOW + RETRIES).replies
    assert reading.message(key).number(0) == crossing.gy
    assert own_exponent(0) in crossing.secrets()
    assert crossing.ake.deadline == NOW + LIFETIME
    outcome = crossing.ake.tick(NOW + LIFETIME)
    assert outcome.failed is HandshakeEnd.INCOMPLETE
    assert outcome.replies == ()
    assert crossing.secrets() == set()
    assert not crossing.ake.running


def test_one_tick_after_everything_is_over_gives_up_rather_than_resumes() -> None:
    crossing = Crossing(3)
    crossing.receive(crossing.answering.key(US))
    outcome = crossing.ake.tick(NOW + LIFETIME)
    assert outcome.failed is HandshakeEnd.INCOMPLETE
    assert outcome.replies == ()


def test_the_newest_held_answer_counts() -> None:
    crossing = Crossing(3)
    crossing.receive(ScriptedPeer(L, exponents()[4]).key(US))
    crossing.receive(crossing.answering.key(US))
    (reveal,) = crossing.ake.tick(NOW + RESUME_AFTER).replies
    gx = reading.opened(crossing.own_commit, reveal)
    crossing.receive(crossing.answering.signature(US, gx))
    assert crossing.outcome.channel is not None


def test_the_winner_repeats_its_commit_as_the_specification_asks() -> None:
    """It does when it gets ours: the same D-H Key again, and what was yielded stays so."""
    crossing = Crossing(3)
    before = cast("dict[str, object]", snapshot(crossing.ake.state))
    reply = crossing.receive(crossing.winner.commit(US), NOW + 1.0)
    assert reply is not None
    assert reading.message(reply).number(0) == crossing.gy
    after = cast("dict[str, object]", snapshot(crossing.ake.state))
    assert after["yielded"] == before["yielded"]
    # The new Commit counts: opened with another r it would not.
    crossing.receive(crossing.winner.reveal(US, crossing.gy), NOW + 2.0)
    assert crossing.outcome.channel is not None
