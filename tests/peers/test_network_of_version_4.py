"""Version 4 over networks that lose, repeat and reorder, with clients that restart and hostile peers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otrcore.account import Account
from otrcore.conversation import RESENT_MARK
from otrcore.errors import Reason
from otrcore.events import HandshakeStep, Received, Rejected, Resent, SessionOpened, Transmit
from otrcore.model import MessageState, Protection
from otrcore.v4.dake import INITIATOR_RETRIES, LIFETIME, RESPONDER_RETRIES
from tests.pair import OTHER, SIDES, TAGS, Pair, Side, identity, rests, seeded
from tests.snapshot import snapshot
from tests.spec import reading, reading4

repeatable = settings(
    derandomize=True, deadline=None, max_examples=25, suppress_health_check=list(HealthCheck), print_blob=True
)

REST = INITIATOR_RETRIES + RESPONDER_RETRIES + 2 * LIFETIME
"""Seconds after which whatever was begun has come to its end."""

ANSWERED = HandshakeStep("Auth-R", sent=True)


def one_asks(pair: Pair) -> None:
    pair.do("alice", pair.alice.start())


def both_ask(pair: Pair) -> None:
    for side in SIDES:
        pair.do(side, pair.talks[side].start())


def both_begin(pair: Pair) -> None:
    for side in SIDES:
        pair.hand(side, "?OTRv4?")


def one_begins_beside_a_session(pair: Pair) -> None:
    pair.secure()
    pair.wait(60.0)
    pair.hand("alice", "?OTRv4?")


def both_begin_beside_a_session(pair: Pair) -> None:
    pair.secure()
    pair.wait(60.0)
    both_begin(pair)


Situation = Callable[[Pair], None]
SITUATIONS: list[Situation] = [
    one_asks,
    both_ask,
    both_begin,
    one_begins_beside_a_session,
    both_begin_beside_a_session,
]
ANY = st.integers(0, 1000)
LIMITS = st.sampled_from([None, None, 350])


def tick(pair: Pair) -> None:
    for side in SIDES:
        due = pair.talks[side].next_tick
        if due is not None and due <= pair.clock.now:
            pair.do(side, pair.talks[side].tick())


def check_talk(pair: Pair) -> None:
    """Both hear each other."""
    for side in SIDES:
        pair.clear()
        pair.say(side, "hello")
        assert pair.of_kind(OTHER[side], Received) == [Received("hello", Protection.ENCRYPTED)]


def restart(pair: Pair, side: Side, seed: object) -> None:
    """Begin anew on one side with its key, its instance tag and its profile, and nothing else."""
    old = pair.accounts[side]
    account = Account(
        identity(side),
        old.policy,
        name=side,
        instance_tag=TAGS[side],
        client_profile=old.client_profile,
        random=seeded(f"{seed}/{side}/restarted"),
        clock=pair.clock,
    )
    line_limit = pair.talks[side].line_limit
    pair.accounts[side], pair.talks[side] = account, account.conversation(OTHER[side])
    pair.talks[side].line_limit = line_limit


# --- nothing is lost --------------------------------------------------------------------------------------


@repeatable
@given(
    st.sampled_from(SITUATIONS),
    st.integers(0, 3),
    LIMITS,
    st.lists(st.tuples(st.sampled_from(SIDES), ANY, st.integers(0, 3)), max_size=40),
)
def test_where_nothing_is_lost_all_is_well_in_the_end(
    situation: Situation, seed: int, limit: int | None, steps: list[tuple[Side, int, int]]
) -> None:
    """Whatever is overtaken, or comes up to three times more: both end in one session, and nothing waits."""
    pair = Pair(version=4, seed=f"reordered {seed}", line_limit=limit)
    situation(pair)
    for side, at, again in steps:
        waiting = pair.on_the_way[side]
        if waiting:
            line = waiting[at % len(waiting)]
            del waiting[at % len(waiting)]
            waiting.extend([line] * again if again < 3 else [])
            pair.hand(side, line)
            pair.clock.advance(0.3)
            tick(pair)
    pair.settle()
    pair.wait(REST)
    pair.agreed()
    for side in SIDES:
        assert not pair.talks[side].starting
        assert rests(pair.talks[side], pair.clock.now)
    check_talk(pair)


# --- anything happens -------------------------------------------------------------------------------------

ACTIONS = [
    *(["deliver"] * 8),
    *(["lose", "repeat", "reorder", "replay"] * 2),
    *(["say"] * 4),
    *("start", "query", "end", "wait", "restart"),
]


@settings(repeatable, max_examples=30)
@given(
    st.sampled_from(SITUATIONS),
    st.integers(0, 3),
    LIMITS,
    st.lists(st.tuples(st.sampled_from(ACTIONS), st.sampled_from(SIDES), ANY), max_size=50),
)
def test_whatever_has_happened_one_start_puts_it_right(
    situation: Situation, seed: int, limit: int | None, actions: list[tuple[str, Side, int]]
) -> None:
    pair = Pair(version=4, seed=f"anything {seed}", line_limit=limit)
    situation(pair)
    said: dict[Side, list[str]] = {side: [] for side in SIDES}
    for number, (action, side, at) in enumerate(actions):
        waiting, talk = pair.on_the_way[side], pair.talks[side]
        match action:
            case "deliver" if waiting:
                pair.deliver(side)
            case "lose" if waiting:
                del waiting[at % len(waiting)]
            case "repeat" if waiting:
                pair.hand(side, waiting[at % len(waiting)])
            case "reorder" if waiting:
                waiting.rotate(at)
            case "replay" if lines := [line for sender, line in pair.lines if sender != side]:
                pair.hand(side, lines[at % len(lines)])
            case "say" if talk.state is MessageState.ENCRYPTED:
                said[side].append(f"text {number}")
                pair.do(side, talk.send(f"text {number}"))
            case "start":
                pair.do(side, talk.start())
            case "query":
                pair.hand(side, "?OTRv4?")
            case "end":
                pair.do(side, talk.end())
            case "wait":
                pair.clock.advance(at % 100)
                tick(pair)
            case "restart":
                restart(pair, side, number)
    pair.settle()
    pair.wait(REST)
    for side in SIDES:
        received = pair.of_kind(side, Received)
        assert all(event.protection is Protection.ENCRYPTED for event in received)
        # Each once: not even a client that was started anew reads what the one before has read.
        again = [RESENT_MARK + event.text for event in pair.of_kind(OTHER[side], Resent)]
        assert not Counter(event.text for event in received) - Counter(said[OTHER[side]] + again)
        assert not pair.talks[side].starting
        assert rests(pair.talks[side], pair.clock.now)
    starter = SIDES[seed % 2]
    pair.start(starter)
    pair.wait(REST)
    pair.agreed()
    check_talk(pair)


# --- a client restarts in the middle ----------------------------------------------------------------------


@pytest.mark.parametrize("limit", [None, 350])
@pytest.mark.parametrize("restarting", SIDES)
@pytest.mark.parametrize("situation", [one_asks, both_begin, one_begins_beside_a_session])
def test_a_client_restarts_after_any_line(situation: Situation, restarting: Side, limit: int | None) -> None:
    """It knows nothing of what it has begun; what is on its way to it arrives all the same.

    The other side gives up in time, and a start by either makes all well.
    """
    lines = 0
    while True:
        pair = Pair(version=4, seed="restarts", line_limit=limit)
        situation(pair)
        for _ in range(lines):
            waiting = [side for side in SIDES if pair.on_the_way[side]]
            if not waiting:
                break
            pair.deliver(waiting[0])
        if not any(pair.on_the_way.values()):
            break
        restart(pair, restarting, lines)
        pair.clear()
        pair.settle()
        pair.wait(REST)
        for side in SIDES:
            assert not pair.talks[side].starting
            assert rests(pair.talks[side], pair.clock.now)
        starter = SIDES[lines % 2]
        pair.start(starter)
        pair.wait(REST)
        pair.agreed()
        check_talk(pair)
        lines += 1 if limit is None else 3
    assert lines >= 2


def test_an_auth_i_that_comes_to_a_client_that_was_restarted_opens_nothing() -> None:
    """Its state is gone, and so are x and a; the initiator is told when it speaks."""
    pair = Pair(version=4, seed="restarts")
    pair.hand("alice", "?OTRv4?")
    pair.deliver("bob")
    pair.deliver("alice")
    restart(pair, "bob", 0)
    before = snapshot(pair.bob)
    assert pair.deliver("bob") == [Rejected(Reason.OUT_OF_TURN)]
    assert snapshot(pair.bob) == before
    assert pair.alice.state is MessageState.ENCRYPTED
    pair.say("alice", "is anybody there")
    (answer,) = [line for side, line in pair.lines if side == "bob" and line.startswith("?OTR Error")]
    assert "ERROR_2" in answer
    assert not pair.of_kind("bob", Received)


# --- a whole exchange again and again ---------------------------------------------------------------------


def recorded(initiator: Side) -> tuple[Pair, list[str], list[str]]:
    """A pair after an exchange, what the initiator has said in it, and what the responder has."""
    pair = Pair(version=4, seed="recorded")
    pair.hand(initiator, "?OTRv4?")
    pair.settle()
    pair.agreed()
    said: dict[Side, list[str]] = {side: [] for side in SIDES}
    for side, line in pair.lines:
        said[side].append(line)
    assert [reading.raw_of(line)[2] for line in said[initiator]] == [reading4.IDENTITY, reading4.AUTH_I]
    assert [reading.raw_of(line)[2] for line in said[OTHER[initiator]]] == [reading4.AUTH_R]
    pair.wait(10.0)
    pair.clear()
    return pair, said[initiator], said[OTHER[initiator]]


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("initiator", SIDES)
def test_a_whole_exchange_played_again_and_again_to_the_responder(initiator: Side, restarted: bool) -> None:
    """By somebody on the way: nothing opens, and the session goes on.  Who remembers nothing of it answers,
    now and then."""
    pair, lines, _ = recorded(initiator)
    responder = OTHER[initiator]
    if restarted:
        restart(pair, responder, 0)
    info = pair.talks[responder].info
    answered = []
    for second in range(120):
        pair.clock.advance(1.0)
        tick_one(pair, initiator)
        events = list(pair.talks[responder].tick())
        for line in lines:
            events += pair.talks[responder].receive(line)
        if any(isinstance(event, Transmit) for event in events):
            answered.append(second)
        assert not any(isinstance(event, SessionOpened) for event in events)
        if info is not None and second % 20 == 0:
            check_talk(pair)
    if restarted:
        assert_apart(answered)
    else:
        assert answered == []
    assert pair.talks[responder].info == info
    # As soon as it has ceased, whoever wants can begin.
    pair.wait(REST)
    pair.start(initiator)
    pair.wait(REST)
    pair.agreed()
    check_talk(pair)


def assert_apart(seconds: list[int]) -> None:
    """Something was done, and ten seconds at least passed before it was done again."""
    assert len(seconds) > 1
    assert all(later - earlier >= 10 for earlier, later in pairwise(seconds))


def tick_one(pair: Pair, side: Side) -> None:
    due = pair.talks[side].next_tick
    if due is not None and due <= pair.clock.now:
        pair.do(side, pair.talks[side].tick())


@pytest.mark.parametrize("initiator", SIDES)
def test_the_answer_of_an_exchange_played_again_and_again_to_the_initiator(initiator: Side) -> None:
    """It has said its last word: the same again, every ten seconds at most, and then nothing at all."""
    pair, _, lines = recorded(initiator)
    info = pair.talks[initiator].info
    said: list[str] = []
    for _ in range(300):
        pair.clock.advance(1.0)
        tick(pair)
        for line in lines * 3:
            events = pair.talks[initiator].receive(line)
            assert not any(isinstance(event, SessionOpened) for event in events)
            said += [sent for event in events if isinstance(event, Transmit) for sent in event.lines]
    assert len(set(said)) == 1
    assert len(said) <= LIFETIME / 10.0
    assert pair.talks[initiator].info == info
    check_talk(pair)


def test_a_peer_that_sets_up_one_session_after_the_other() -> None:
    """With its own keys, as fast as it can: one session is kept, no more of it than of the first, and
    both can talk.  Its answers lead to sessions, and are not rationed: each costs it more than us."""
    pair = Pair(version=4, seed="again and again")
    pair.secure()
    sizes, ssids = [], set()
    lines = Counter[Side]()
    for number in range(20):
        pair.clear()
        restart(pair, "alice", number)
        # Somebody's query makes it begin.
        pair.hand("alice", "?OTRv4?")
        pair.clock.advance(0.5)
        pair.settle()
        ssids.add(pair.agreed().ssid)
        assert len(pair.of_kind("bob", SessionOpened)) == 1
        assert len(pair.bob.sessions) == len(pair.bob._instances._sessions) == 1
        lines.update(
            {side: sum(len(line) for sender, line in pair.lines if sender == side) for side in SIDES}
        )
        pair.say("alice", "hello")
        sizes.append(len(repr(snapshot(pair.bob))))
    assert len(ssids) == 20
    assert max(sizes[10:]) < max(sizes[:10]) * 1.1
    assert lines["bob"] < 1.1 * lines["alice"]
    check_talk(pair)


def test_a_peer_that_begins_again_and_again_and_never_ends() -> None:
    """Its Identities are good ones, each with fresh keys; the session beside them is left alone."""
    pair = Pair(version=4, seed="never ends")
    pair.secure()
    hostile = [
        Account(
            identity("alice"),
            pair.accounts["alice"].policy,
            name="alice",
            instance_tag=TAGS["alice"],
            clock=pair.clock,
        )
        for _ in range(60)
    ]
    info, answered = pair.bob.info, []
    for number, account in enumerate(hostile):
        pair.clock.advance(1.0)
        tick_one(pair, "bob")
        (begun, *_) = account.conversation("bob").receive("?OTRv4?")
        assert isinstance(begun, Transmit)
        events = [event for line in begun.lines for event in pair.bob.receive(line)]
        if ANSWERED in events:
            answered.append(number)
        assert len(pair.bob._instances._sessions) == 1
        if number % 10 == 0:
            check_talk(pair)
    assert pair.bob.info == info
    # They all are of one instance, of which two may wait at a time.
    assert answered[:2] == [0, 1]
    assert_apart(answered[1:])
