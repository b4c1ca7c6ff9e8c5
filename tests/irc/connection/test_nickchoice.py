"""Which nicks are asked for, against servers that take names, cut them or limit their length."""

from __future__ import annotations

from collections.abc import Callable

from otrcore.irc.connection.nickchoice import MAX_ATTEMPTS, NickChoice


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
