"""Prompts of all servers, under numbers in one row."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as some

from otrcore.engine.prompts import UNLOCK, Asked, PromptNumbers
from otrcore.irc.actions import AskSecret


def asked(server: str, peer: str, number: int) -> Asked:
    return Asked(server, peer, AskSecret(peer, None, False, number))


def test_numbers_are_the_clients() -> None:
    numbers = PromptNumbers()
    one = numbers.opened(asked("net", "bob", 1))
    other = numbers.opened(asked("other", "bob", 1))
    assert len({one, other, UNLOCK}) == 3
    assert numbers.closed("other", AskSecret("bob", None, False, 1)) == other
    assert numbers.closed("other", AskSecret("bob", None, False, 1)) is None
    answered = numbers.answered(one)
    assert answered is not None and answered.server == "net"
    assert numbers.answered(one) is None


def test_a_prompt_that_follows_to_another_nick_keeps_its_number() -> None:
    numbers = PromptNumbers()
    first = asked("net", "bob", 5)
    number = numbers.opened(first)
    moved = Asked("net", "robert", replace(first.prompt, peer="robert"))
    assert numbers.opened(moved) == number
    assert numbers.answered(number) == moved


@given(some.lists(some.tuples(some.sampled_from("ab"), some.sampled_from("xyz")), max_size=50))
def test_one_conversation_has_one_prompt(opened: list[tuple[str, str]]) -> None:
    numbers = PromptNumbers()
    seen = [numbers.opened(asked(server, peer, count)) for count, (server, peer) in enumerate(opened, 1)]
    assert len(seen) == len(set(seen))
    assert len(numbers) == len(set(opened))
    last = dict(zip(opened, seen, strict=True))
    assert all(numbers.answered(number) is not None for number in last.values())
