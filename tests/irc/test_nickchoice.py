"""Which nicks are asked for, against servers that take names, cut them or limit their length."""

from __future__ import annotations

from collections.abc import Callable

from otrcore.irc.nickchoice import MAX_ATTEMPTS, MAX_LOSSES, NickChoice, NickRegain


def asked(choice: NickChoice, answer: Callable[[str], str | None]) -> list[str]:
    """All nicks asked for until one is let in, by a server that answers `taken NAMED`, `refused` or None."""
    tried = [choice.asked]
    while (verdict := answer(tried[-1])) is not None:
        following = (
            choice.after_refused() if verdict == "refused" else choice.after_taken(verdict.split(" ")[1])
        )
        if following is None:
            return tried
        assert following == choice.asked
        tried.append(following)
        assert len(tried) <= MAX_ATTEMPTS + 2
    return tried


def test_underscores_then_digits() -> None:
    digits = iter([7, 1234])
    choice = NickChoice("bob", randbelow=lambda _: next(digits))
    free = "bob1234"
    tried = asked(choice, lambda nick: None if nick == free else f"taken {nick}")
    assert tried == ["bob", "bob_", "bob__", "bob0007", "bob1234"]


def test_gives_up_after_a_bounded_number_of_attempts() -> None:
    tried = asked(NickChoice("bob"), lambda nick: f"taken {nick}")
    assert len(tried) == MAX_ATTEMPTS
    assert tried[-1] != tried[-2]


def test_a_long_nick_is_shortened_to_a_common_limit() -> None:
    limit_9 = asked(NickChoice("n" * 40), lambda nick: "refused" if len(nick) > 9 else None)
    assert limit_9 == ["n" * 40, "n" * 30, "n" * 16, "n" * 9]


def test_a_suffix_that_makes_the_nick_too_long_pushes_letters_out() -> None:
    def ngircd(nick: str) -> str | None:
        if len(nick) > 9:
            return "refused"
        return f"taken {nick}" if nick == "ninechars" else None

    assert asked(NickChoice("ninechars"), ngircd) == ["ninechars", "ninechars_", "ninechar_"]


def test_a_nick_of_bad_characters_is_given_up_at_once_when_length_cannot_be_the_reason() -> None:
    assert asked(NickChoice("bad.nick"), lambda _: "refused") == ["bad.nick"]


def test_a_server_that_cuts_silently_is_understood() -> None:
    """It names the cut nick in 433; suffixes added at the end would be cut off for ever."""

    def cuts_at_5(nick: str) -> str | None:
        return f"taken {nick[:5]}" if nick[:5] == "longn" else None

    assert asked(NickChoice("longnick"), cuts_at_5) == ["longnick", "long_"]


def test_alternates_come_in_their_order_before_anything_made_up() -> None:
    choice = NickChoice("bob", ["robert", "bobby"])
    tried = asked(choice, lambda nick: None if nick == "bob__" else f"taken {nick}")
    assert tried == ["bob", "robert", "bobby", "bob_", "bob__"]


def test_a_nick_that_is_too_long_is_shortened_after_the_alternates_only() -> None:
    choice = NickChoice("n" * 12, ["a" * 10, "short"])
    assert asked(choice, lambda nick: "refused" if len(nick) > 9 else None) == ["n" * 12, "a" * 10, "short"]
    nothing_else = NickChoice("n" * 12, ["a" * 10])
    refusing = asked(nothing_else, lambda nick: "refused" if len(nick) > 9 else None)
    assert refusing == ["n" * 12, "a" * 10, "n" * 9]


def test_alternates_do_not_shorten_the_search_nor_make_it_endless() -> None:
    tried = asked(NickChoice("bob", ["x", "y"]), lambda nick: f"taken {nick}" if len(nick) < 90 else None)
    assert len(tried) == MAX_ATTEMPTS + 2
    hopeless = asked(
        NickChoice("bad.nick", ["x"]), lambda nick: "refused" if "." in nick else f"taken {nick}"
    )
    assert hopeless == ["bad.nick", "x"]


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
