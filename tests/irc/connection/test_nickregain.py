"""When the wanted nick is asked for again, on servers with MONITOR and with ISON alone."""

from __future__ import annotations

from otrcore.irc.connection.nickregain import MAX_LOSSES, NickRegain


def regain(*, monitor: bool) -> NickRegain:
    return NickRegain("echo", lambda one, other: one.lower() == other.lower(), monitor=monitor)


def test_who_has_the_wanted_nick_asks_for_nothing() -> None:
    for monitor in (True, False):
        wanting = regain(monitor=monitor)
        assert wanting.under("Echo", 0.0) == []
        assert wanting.next_ask is None
        assert wanting.tick(1e9) == wanting.free("echo", 1e9) == wanting.online([], 1e9) == []


def test_ison_once_a_minute_until_the_nick_is_free() -> None:
    wanting = regain(monitor=False)
    assert wanting.under("echo_", 100.0) == []
    assert wanting.next_ask == 160.0
    assert wanting.tick(159.9) == []
    assert wanting.tick(160.0) == ["ISON echo"]
    assert wanting.tick(160.0) == []
    assert wanting.online(["ECHO"], 160.0) == []
    assert wanting.tick(220.0) == ["ISON echo"]
    assert wanting.online([], 220.0) == ["NICK echo"]
    assert wanting.under("echo", 221.0) == []
    assert wanting.next_ask is None


def test_monitor_needs_no_questions_but_after_a_failure() -> None:
    wanting = regain(monitor=True)
    assert wanting.under("echo_", 0.0) == ["MONITOR + echo"]
    assert wanting.next_ask is None
    assert wanting.free("echo", 50.0) == ["NICK echo"]
    # Refused, as services hold it back for a while: MONITOR would say nothing more.
    assert wanting.tick(110.0) == ["ISON echo"]
    assert wanting.online([], 110.5) == ["NICK echo"]
    assert wanting.under("echo", 111.0) == ["MONITOR - echo"]
    assert wanting.under("echo_", 200.0) == ["MONITOR + echo"]


def test_a_full_monitor_list_means_asking() -> None:
    wanting = regain(monitor=True)
    wanting.under("echo_", 0.0)
    wanting.unwatched(5.0)
    assert wanting.tick(65.0) == ["ISON echo"]


def test_a_holder_that_comes_and_goes_does_not_make_us_flood() -> None:
    wanting = regain(monitor=True)
    wanting.under("echo_", 0.0)
    sent = [line for tenth in range(1000) for line in wanting.free("echo", tenth / 10)]
    assert sent == ["NICK echo"] * 10


def test_a_nick_that_is_taken_from_us_again_and_again_is_left_to_others() -> None:
    wanting = regain(monitor=False)
    now = 0.0
    attempts = 0
    for _ in range(20):
        wanting.under("guest1", now)
        now += 100.0
        if wanting.free("echo", now):
            attempts += 1
            wanting.under("echo", now)
    assert attempts == MAX_LOSSES
    assert wanting.next_ask is None


def test_a_nick_that_nobody_may_have_is_not_asked_for_again() -> None:
    wanting = regain(monitor=False)
    wanting.under("echo_", 0.0)
    wanting.refused()
    assert wanting.next_ask is None
    assert wanting.free("echo", 1000.0) == []
    assert wanting.under("echo__", 1000.0) == []
