"""Crossing Identity messages: whatever the order, and whoever the peer is, both end in one session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

import pytest

from otrcore.events import HandshakeFailed
from otrcore.v4.dake import LIFETIME
from tests.pair import SIDES, Pair
from tests.peers.orders import every_order
from tests.spec import reading, reading4
from tests.spec.scripted4 import label_of_rank
from tests.v4.otr4j import Link

QUERY = "?OTRv4?"
SEEDS = (0, 1, 2)


def both_begin(pair: Pair) -> None:
    """Two Identity messages are on their way."""
    for side in SIDES:
        pair.hand(side, QUERY)


def one_begins_one_asks(pair: Pair) -> None:
    """An Identity crosses a query."""
    pair.hand("alice", QUERY)
    pair.do("bob", pair.bob.start())


def both_ask(pair: Pair) -> None:
    """Two queries are on their way."""
    for side in SIDES:
        pair.do(side, pair.talks[side].start())


Situation = Callable[[Pair], None]
SITUATIONS = pytest.mark.parametrize("situation", [both_begin, one_begins_one_asks, both_ask])


def fresh(situation: Situation, seed: int) -> Pair:
    pair = Pair(version=4, seed=f"crossing {seed}")
    situation(pair)
    return pair


def rank(line: str) -> bytes:
    number = reading4.exchange(reading.raw_of(line)).number
    return reading4.shake(reading.mpi(number), 32)


@pytest.mark.parametrize("seed", SEEDS)
@SITUATIONS
def test_two_of_us_in_every_order(situation: Situation, seed: int) -> None:
    """At once, without a timer; and nobody is told of a failure later."""
    for pair in every_order(lambda: fresh(situation, seed)):
        first = pair.agreed().ssid
        pair.wait(2 * LIFETIME)
        assert pair.agreed().ssid == first
        for side in SIDES:
            assert pair.of_kind(side, HandshakeFailed) == []
            assert not pair.talks[side].starting


def test_either_side_wins_among_the_seeds() -> None:
    winners = set()
    for seed in SEEDS:
        pair = fresh(both_begin, seed)
        winners.add(rank(pair.on_the_way["bob"][0]) > rank(pair.on_the_way["alice"][0]))
    assert winners == {True, False}


@pytest.mark.parametrize("seed", SEEDS)
def test_the_higher_hash_is_the_initiator(seed: int) -> None:
    pair = fresh(both_begin, seed)
    alice_wins = rank(pair.on_the_way["bob"][0]) > rank(pair.on_the_way["alice"][0])
    pair.settle()
    assert pair.agreed().initiator is alice_wins


@pytest.mark.parametrize("lost", range(4))
@pytest.mark.parametrize("seed", SEEDS)
def test_a_line_is_lost_where_starts_cross(lost: int, seed: int) -> None:
    """Whichever of the lines it is, and in many orders, the timers make it good."""
    for draw in range(3):
        pair, random, number = fresh(both_begin, seed), Random(f"{seed} {lost} {draw}"), 0
        while waiting := [side for side in SIDES if pair.on_the_way[side]]:
            to = random.choice(waiting)
            if number == lost:
                pair.on_the_way[to].popleft()
            else:
                pair.deliver(to)
            number += 1
        pair.wait(LIFETIME)
        pair.agreed()
        pair.clear()
        pair.say("alice", "hello")
        pair.say("bob", "hello")
        assert all("hello" in repr(pair.events(side)) for side in SIDES)


# ---- beside otr4j


def orders(make: Callable[[], Link]) -> Iterator[Link]:
    """Every order of arrival."""
    prefixes: list[list[str]] = [[]]
    while prefixes:
        prefix = prefixes.pop()
        link, taken = make(), list[str]()
        while waiting := link.waiting:
            if len(taken) < len(prefix):
                choice = prefix[len(taken)]
            else:
                choice, *others = waiting
                prefixes += [[*taken, other] for other in others]
            taken.append(choice)
            assert len(taken) < 50, "the two sides answer each other without end"
            link.deliver(choice)
        yield link


def crossing(*, we_win: bool, insists: bool) -> Link:
    """A link on which two Identity messages are on their way."""
    link = Link("nobody", insists=insists)
    link.start()
    ours = rank(reading.line(link.to_otr4j[0]))
    link.otr4j.label = label_of_rank("theirs", **{"below" if we_win else "above": ours})
    link.otr4j.start()
    return link


@pytest.mark.parametrize("insists", [False, True])
@pytest.mark.parametrize("we_win", [False, True])
def test_with_otr4j_in_every_order(we_win: bool, insists: bool) -> None:
    """One that gives in ignores our Auth-R, and we go on by its own; one that insists may win."""
    runs = 0
    for link in orders(lambda: crossing(we_win=we_win, insists=insists)):
        link.check()
        info = link.subject.talk.info
        assert info is not None
        assert info.initiator is (we_win or not insists)
        assert link.subject.talk.starting is False
        runs += 1
    assert runs > 1


@pytest.mark.parametrize("by_timer", [False, True])
def test_what_we_repeat_breaks_nothing_that_is_on_its_way(by_timer: bool) -> None:
    """otr4j answers the same Identity by fresh keys: our Auth-I for the first answer is worthless then."""
    link = Link("theirs")
    link.start()
    link.deliver("otr4j")
    # Its Auth-R takes its time.
    if by_timer:
        link.tick(45.0)
    else:
        link.tick(10.0)
        link.start()
    assert len(link.to_otr4j) == 1
    # Its second answer is made before our Auth-I for the first arrives.
    link.deliver("otr4j")
    link.deliver("us")
    assert link.subject.talk.info is not None
    link.deliver("otr4j")
    assert link.otr4j.refused == 1
    link.settle()
    assert link.otr4j.answers == 2
    link.check()


@pytest.mark.parametrize("talked", [False, True])
def test_a_repeated_identity_that_comes_after_the_end_leads_to_one_session_again(talked: bool) -> None:
    """The next one, as long as nobody has spoken in the first; it stays with that afterwards."""
    link = Link("theirs")
    link.start()
    link.deliver("otr4j")
    link.tick(45.0)
    link.deliver("us")
    link.to_otr4j.rotate()
    link.deliver("otr4j")
    first = link.otr4j.ssid
    if talked:
        link.check()
    link.settle()
    assert link.otr4j.answers == 2
    assert (link.otr4j.ssid == first) is talked
    link.check("WAITING_AUTH_I" if talked else "ENCRYPTED")


def test_who_has_not_repeated_itself_takes_no_second_answer() -> None:
    """Its secrets are gone."""
    link = Link("theirs")
    link.start()
    identity = link.to_otr4j[0]
    link.settle()
    link.check()
    assert link.subject.talk.info is not None
    ssid = link.subject.talk.info.ssid
    link.subject.take(link.otr4j.peer.auth_r("another", identity))
    assert link.subject.talk.info.ssid == ssid
