"""Both sides have sent a Commit of version 2 and ours has lost: what becomes of it.

A peer that insists on its own Commit never sends a D-H Key, so one that comes means that it
has given way too, as libotr always does: both would wait for ever.  So the yielded Commit
is kept, for one use, and a D-H Key leads on with it at once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest

from otrcore.errors import Reason
from otrcore.events import HandshakeEnd, HandshakeStep
from otrcore.protocols import NOTHING
from tests.snapshot import snapshot
from tests.spec import reading
from tests.spec.crossing import LIFETIME, NOW, RETRIES, US, Crossing, own_exponent
from tests.spec.scripted import exponents


def resumed() -> tuple[Crossing, bytes]:
    """Return a crossing that has gone on as initiator, and its Reveal Signature."""
    crossing = Crossing(2)
    reveal = crossing.receive(crossing.answering.key(US), NOW + 1.0)
    assert reveal is not None
    return crossing, reveal


def test_an_answer_is_used_at_once() -> None:
    crossing, reveal = resumed()
    assert reading.message(reveal).kind == reading.REVEAL
    assert crossing.outcome.steps == (
        HandshakeStep("D-H Key", sent=False),
        HandshakeStep("Reveal Signature", sent=True),
    )
    gx = reading.opened(crossing.own_commit, reveal)
    assert gx == reading.public(int.from_bytes(own_exponent(0), "big"))
    assert crossing.receive(crossing.answering.signature(US, gx), NOW + 2.0) is None
    channel = crossing.outcome.channel
    assert channel is not None
    assert channel.info.initiator
    assert channel.info.ssid == reading.ake_secrets(crossing.answering.secret(gx)).ssid


def test_a_peer_that_keeps_to_its_commit_is_answered_as_ever() -> None:
    crossing = Crossing(2)
    assert crossing.receive(crossing.winner.reveal(US, crossing.gy), NOW + 30.0) is not None
    channel = crossing.outcome.channel
    assert channel is not None
    assert not channel.info.initiator


def test_going_on_destroys_the_other_half() -> None:
    """Never both roles at once: a reflected Reveal Signature would authenticate us to ourselves."""
    crossing = Crossing(2)
    assert own_exponent(1) in crossing.secrets()
    crossing, reveal = resumed()
    assert own_exponent(0) in crossing.secrets()
    assert own_exponent(1) not in crossing.secrets()
    assert crossing.winner.commit()[-32:].hex() not in repr(snapshot(crossing.ake))
    assert crossing.refused(reveal, NOW + 2.0) is Reason.OUT_OF_TURN
    late = crossing.winner.reveal(US, crossing.gy)
    assert crossing.refused(late, NOW + 2.0) is Reason.OUT_OF_TURN


def test_our_own_d_h_key_does_not_lead_on() -> None:
    """In version 2 nothing but its value tells that it is ours."""
    crossing = Crossing(2)
    for number in (0, 1):
        own = reading.public(int.from_bytes(own_exponent(number), "big"))
        assert crossing.refused(crossing.answering.key(US, gy=own)) is Reason.REFLECTED


def test_our_own_values_as_the_winning_one_are_refused() -> None:
    """That of our Commit shows by the hash, that of our D-H Key when it is revealed."""
    crossing = Crossing(2)
    gx, gy = (
        replace(crossing.winner, exponent=int.from_bytes(own_exponent(number), "big")) for number in (0, 1)
    )
    assert crossing.refused(gx.commit()) is Reason.REFLECTED
    crossing.receive(gy.commit())
    assert crossing.refused(gy.reveal(US, crossing.gy)) is Reason.REFLECTED


def test_it_is_used_once() -> None:
    crossing, reveal = resumed()
    assert crossing.receive(crossing.answering.key(US), NOW + 2.0) == reveal
    another = replace(crossing.answering, exponent=exponents()[4])
    assert crossing.refused(another.key(US), NOW + 2.0) is Reason.OUT_OF_TURN
    assert crossing.ake.tick(NOW + 30.9) == NOTHING
    # What is tried again then is another Commit.
    (commit,) = crossing.ake.tick(NOW + 31.0).replies
    assert reading.message(commit).kind == reading.COMMIT
    assert commit != crossing.own_commit
    assert own_exponent(0) not in crossing.secrets()


@pytest.mark.parametrize("wiped_by", ["success", "new start", "end", "60 s"])
def test_it_is_wiped(wiped_by: str) -> None:
    crossing = Crossing(2)
    assert own_exponent(0) in crossing.secrets()
    match wiped_by:
        case "success":
            crossing.receive(crossing.winner.reveal(US, crossing.gy))
            assert crossing.outcome.channel is not None
        case "new start":
            (commit,) = crossing.ake.start(NOW + 10.0).replies
            assert commit != crossing.own_commit
        case "end":
            crossing.ake.cancel()
        case "60 s":
            assert crossing.ake.deadline == NOW + RETRIES
            assert crossing.ake.tick(NOW + LIFETIME).failed is HandshakeEnd.INCOMPLETE
    assert own_exponent(0) not in crossing.secrets()
    if wiped_by == "new start":
        return
    assert crossing.secrets() == set()
    assert crossing.refused(crossing.answering.key(US), NOW + LIFETIME) is Reason.OUT_OF_TURN


def test_a_peer_that_repeats_its_commit_does_not_make_it_last() -> None:
    """Whoever repeats a Commit again and again would else keep our exponent in memory for ever."""
    crossing = Crossing(2)
    for seconds in (19.0, 38.0, 57.0):
        tick_until(crossing, NOW + seconds)
        assert crossing.receive(crossing.winner.commit(), NOW + seconds) is not None
    assert own_exponent(0) in crossing.secrets()
    tick_until(crossing, NOW + LIFETIME)
    assert own_exponent(0) not in crossing.secrets()


@pytest.mark.parametrize("version", [2, 3])
def test_nor_does_one_that_sends_commit_after_commit(version: int) -> None:
    """Each of them is progress, and the exchange goes on; what was yielded is no part of it."""
    crossing = Crossing(version)
    for number, seconds in enumerate((19.0, 38.0, 57.0), 4):
        tick_until(crossing, NOW + seconds)
        another = replace(crossing.winner, exponent=exponents()[number])
        assert crossing.receive(another.commit(), NOW + seconds) is not None
        assert own_exponent(0) in crossing.secrets()
    tick_until(crossing, NOW + LIFETIME)
    assert own_exponent(0) not in crossing.secrets()
    assert crossing.receive(another.reveal(US, crossing.gy), NOW + LIFETIME) is not None
    assert crossing.outcome.channel is not None


def tick_until(crossing: Crossing, now: float) -> None:
    """Tick whenever that is asked for."""
    while (due := crossing.ake.deadline) is not None and due <= now:
        crossing.ake.tick(due)


def test_the_winner_repeats_its_commit_as_the_specification_asks() -> None:
    """It does when it gets ours: the same D-H Key again, and what was yielded stays so."""
    crossing = Crossing(2)
    before = cast("dict[str, object]", snapshot(crossing.ake.state))
    reply = crossing.receive(crossing.winner.commit(), NOW + 1.0)
    assert reply is not None
    assert reading.message(reply).number(0) == crossing.gy
    after = cast("dict[str, object]", snapshot(crossing.ake.state))
    assert after["yielded"] == before["yielded"]
    assert crossing.receive(crossing.answering.key(US), NOW + 2.0) is not None


def test_a_later_commit_is_answered_with_a_new_value() -> None:
    """The one that was destroyed must not come back, and neither may the Commit that was used."""
    crossing, _ = resumed()
    reply = crossing.receive(crossing.winner.commit(), NOW + 2.0)
    assert reply is not None
    gy = reading.message(reply).number(0)
    assert gy != crossing.gy
    assert gy == reading.public(int.from_bytes(own_exponent(2), "big"))
    assert own_exponent(0) not in crossing.secrets()
    assert own_exponent(1) not in crossing.secrets()
    assert crossing.refused(crossing.answering.key(US), NOW + 3.0) is Reason.OUT_OF_TURN
    assert crossing.receive(crossing.winner.reveal(US, gy), NOW + 3.0) is not None
    assert crossing.outcome.channel is not None


def test_an_illegal_answer_changes_nothing() -> None:
    crossing = Crossing(2)
    for value in (0, 1, reading.P - 1, reading.P):
        assert crossing.refused(crossing.answering.key(US, gy=value)) is Reason.UNVERIFIED
    assert crossing.receive(crossing.answering.key(US)) is not None
