"""Who may do how much: the counts, by a clock that the test moves."""

from __future__ import annotations

from dataclasses import replace

import pytest
from otrbot.settings.config import Limits
from otrbot.talk.limits import MAX_KNOWN, MINUTE, PIECES, SHARES, SMP_PATIENCE, Answer, Limiter

YES, NO, SILENTLY_NO = Answer.YES, Answer.NO, Answer.SILENTLY_NO


@pytest.fixture
def limiter() -> Limiter:
    return Limiter(Limits())


def flood(limiter: Limiter, who: str, now: float) -> None:
    """Write until it is not heard any more."""
    while limiter.line(who, now) is not SILENTLY_NO:
        pass


def test_twenty_lines_at_once_are_heard_and_then_two_a_second(limiter: Limiter) -> None:
    assert [limiter.line("bob", 100.0) for _ in range(20)] == [YES] * 20
    assert [limiter.line("bob", 100.5 + 0.5 * number) for number in range(100)] == [YES] * 100


def test_further_pieces_of_a_message_have_a_count_of_their_own(limiter: Limiter) -> None:
    assert [limiter.line("bob", 100.0, goes_on=True) for _ in range(20 * PIECES)] == [YES] * 20 * PIECES
    assert [limiter.line("bob", 100.0) for _ in range(20)] == [YES] * 20
    assert limiter.line("bob", 100.0, goes_on=True) is NO
    assert limiter.line("bob", 100.0) is SILENTLY_NO


def test_pieces_of_everybody_are_bounded_and_nobody_is_punished_for_others(limiter: Limiter) -> None:
    most = 20 * SHARES
    heard = [limiter.line(f"nick{at // 100}", 100.0, goes_on=True) for at in range(most + 100)]
    assert heard == [YES] * most + [SILENTLY_NO] * 100
    assert limiter.line("nick0", 100.0) is YES
    assert limiter.line("bob", 101.0, goes_on=True) is YES


def test_more_is_not_heard_for_a_minute_and_then_for_twice_as_long_up_to_an_hour(limiter: Limiter) -> None:
    now = 100.0
    for seconds in (60, 120, 240, 480, 960, 1920, 3600, 3600, 3600):
        assert [limiter.line("bob", now) for _ in range(22)] == [YES] * 20 + [NO, SILENTLY_NO]
        assert limiter.line("bob", now + seconds - 1) is SILENTLY_NO
        assert limiter.text("bob", "hello", now + seconds - 1) is SILENTLY_NO
        now += seconds
    # An hour without another one, and all is forgiven.
    now += 3600
    flood(limiter, "bob", now)
    assert limiter.line("bob", now + 60) is YES


def test_one_that_is_not_heard_is_no_matter_to_others(limiter: Limiter) -> None:
    flood(limiter, "bob", 0.0)
    assert limiter.line("carol", 0.0) is YES


def test_a_silence_follows_to_another_nick_and_outlasts_leaving(limiter: Limiter) -> None:
    flood(limiter, "bob", 0.0)
    limiter.rename("bob", "robert")
    assert limiter.line("robert", 1.0) is SILENTLY_NO
    assert limiter.line("bob", 1.0) is YES
    limiter.left("robert")
    assert limiter.line("robert", 1.0) is SILENTLY_NO


def test_the_same_text_five_times_in_ten_seconds_is_an_echo(limiter: Limiter) -> None:
    assert [limiter.text("bob", "hello", float(at)) for at in range(6)] == [YES] * 4 + [NO, SILENTLY_NO]
    assert limiter.line("bob", 6.0) is SILENTLY_NO
    assert limiter.text("bob", "hello", 4.0 + 60) is YES
    # Slower, or with others in between that are as many, it is somebody's way to talk.
    assert [limiter.text("carol", "hello", 3.0 * at) for at in range(50)] == [YES] * 50
    assert [limiter.text("dave", f"text {at}", 0.01 * at) for at in range(50)] == [YES] * 50


def test_two_texts_in_turn_are_an_echo_too(limiter: Limiter) -> None:
    said = [limiter.text("bob", ("ping", "pong")[at % 2], 0.1 * at) for at in range(9)]
    assert said == [YES] * 8 + [NO]


def test_four_key_exchanges_a_minute_each(limiter: Limiter) -> None:
    assert [limiter.ake("bob", float(at)) for at in range(6)] == [YES] * 4 + [NO, SILENTLY_NO]
    assert limiter.ake("bob", MINUTE - 0.1) is SILENTLY_NO
    assert limiter.ake("bob", MINUTE) is YES
    assert limiter.ake("bob", MINUTE) is NO


def test_who_could_not_be_told_of_a_refusal_is_told_next_time(limiter: Limiter) -> None:
    assert [limiter.ake("bob", 0.0) for _ in range(5)] == [YES] * 4 + [NO]
    limiter.not_told("bob")
    assert [limiter.ake("bob", 0.0) for _ in range(2)] == [NO, SILENTLY_NO]


def test_twenty_key_exchanges_a_minute_in_all(limiter: Limiter) -> None:
    assert [limiter.ake(f"peer{number}", 0.0) for number in range(20)] == [YES] * 20
    assert limiter.ake("bob", 1.0) is NO
    assert limiter.ake("bob", MINUTE) is YES


def test_two_verifications_a_minute_each(limiter: Limiter) -> None:
    for now in (0.0, 1.0):
        assert limiter.smp("bob", now).granted
        limiter.smp_over("bob")
    refused = limiter.smp("bob", 2.0)
    assert not refused.granted
    assert "minute" in refused.why
    assert limiter.smp("bob", MINUTE).granted


def test_one_verification_at_once_and_who_has_had_time_gives_way(limiter: Limiter) -> None:
    assert limiter.smp("bob", 0.0).granted
    assert not limiter.smp("carol", 1.0).granted
    assert limiter.smp("bob", 2.0).granted
    limiter.rename("bob", "robert")
    late = limiter.smp("carol", 2.0 + SMP_PATIENCE)
    assert late.granted
    assert late.instead_of == "robert"
    limiter.left("carol")
    assert limiter.smp("dave", 2.0 + SMP_PATIENCE).granted


def test_no_verification_at_all_where_the_operator_wants_none() -> None:
    assert not Limiter(Limits(smps_at_once=0)).smp("bob", 0.0).granted


def test_what_is_said_seldom(limiter: Limiter) -> None:
    said = [limiter.seldom("bob", "hint", 600, now) for now in (0.0, 1.0, 599.0, 600.0, 601.0)]
    assert said == [True, False, False, True, False]
    assert limiter.seldom("bob", "other", 600, 601.0)
    assert limiter.seldom("carol", "hint", 600, 601.0)
    limiter.left("bob")
    assert limiter.seldom("bob", "hint", 600, 602.0)


def test_other_limits_hold_at_once(limiter: Limiter) -> None:
    flood(limiter, "carol", 0.0)
    assert limiter.line("bob", 0.0) is YES
    limiter.change(replace(Limits(), input_burst=2, akes_per_minute=1))
    assert [limiter.line("bob", 1.0) for _ in range(3)] == [YES, YES, NO]
    assert [limiter.ake("bob", 1.0) for _ in range(2)] == [YES, NO]
    assert limiter.line("carol", 1.0) is SILENTLY_NO


def test_it_remembers_so_many_people_and_no_more(limiter: Limiter) -> None:
    for number in range(2 * MAX_KNOWN):
        who = f"peer{number}"
        limiter.line(who, 0.0)
        limiter.text(who, "hello", 0.0)
        limiter.ake(who, float(number))
        limiter.smp(who, 100.0 * number)
    assert len(limiter) == MAX_KNOWN
    assert len(limiter._smps) == 1
