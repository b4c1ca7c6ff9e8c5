"""The SMP state machine of the specification, typed in a second time, and every cell run.

Where the rows depart from "State Transitions": the specification's EXPECT1 has two rows
here, as between message 1 and message 2 stands a user who has not answered yet; a new
message 1 then takes the place of the first.  A user who aborts where nothing is under
way sends an abort, as the specification says, and is told nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Literal

import pytest

from otrcore.errors import UsageError
from otrcore.events import (
    Event,
    Received,
    SmpAborted,
    SmpAsked,
    SmpEnd,
    SmpProgress,
    SmpSucceeded,
)
from otrcore.model import Protection
from otrcore.wire.tlv import Tlv
from tests.pair import Pair, Side
from tests.smp import textbook
from tests.smp.runs import (
    PEER,
    STATES,
    SUBJECT,
    VERSIONS,
    WORDS,
    SmpState,
    at,
    next_message,
    opened,
    put,
    record,
    sent,
    shown,
    state_of,
    transmitted,
    verify,
)

Input = Literal[
    "message 1", "message 1Q", "message 2", "message 3", "message 4", "abort", "asks", "answers", "aborts"
]
"""Records that come, and what the user does."""

INPUTS: tuple[Input, ...] = (
    "message 1",
    "message 1Q",
    "message 2",
    "message 3",
    "message 4",
    "abort",
    "asks",
    "answers",
    "aborts",
)

NOTHING_TO_ANSWER = "There is no question to answer"
OUT_OF_TURN = SmpAborted(SmpEnd.OUT_OF_TURN)
REFUSED: tuple[list[int], list[Event], SmpState] = ([6], [OUT_OF_TURN], "EXPECT1")
"""Set smpstate to SMPSTATE_EXPECT1 and send a type 6 TLV."""

Cell = tuple[list[int], list[Event] | str, SmpState]
"""The types of the records sent, the events or the text of a UsageError, and the next state."""

TABLE: dict[tuple[SmpState, Input], Cell] = {
    ("EXPECT1", "message 1"): ([], [SmpAsked(None)], "asked"),
    ("EXPECT1", "message 1Q"): ([], [SmpAsked("Which?")], "asked"),
    ("EXPECT1", "message 2"): REFUSED,
    ("EXPECT1", "message 3"): REFUSED,
    ("EXPECT1", "message 4"): REFUSED,
    ("EXPECT1", "abort"): ([], [], "EXPECT1"),
    ("EXPECT1", "asks"): ([2], [SmpProgress(25)], "EXPECT2"),
    ("EXPECT1", "answers"): ([], NOTHING_TO_ANSWER, "EXPECT1"),
    ("EXPECT1", "aborts"): ([6], [], "EXPECT1"),
    ("asked", "message 1"): ([], [SmpAsked(None)], "asked"),
    ("asked", "message 1Q"): ([], [SmpAsked("Which?")], "asked"),
    ("asked", "message 2"): REFUSED,
    ("asked", "message 3"): REFUSED,
    ("asked", "message 4"): REFUSED,
    ("asked", "abort"): ([], [SmpAborted(SmpEnd.PEER)], "EXPECT1"),
    ("asked", "asks"): ([6, 2], [SmpProgress(25)], "EXPECT2"),
    ("asked", "answers"): ([3], [SmpProgress(50)], "EXPECT3"),
    ("asked", "aborts"): ([6], [SmpAborted(SmpEnd.HERE)], "EXPECT1"),
    ("EXPECT2", "message 1"): REFUSED,
    ("EXPECT2", "message 1Q"): REFUSED,
    ("EXPECT2", "message 2"): ([4], [SmpProgress(75)], "EXPECT4"),
    ("EXPECT2", "message 3"): REFUSED,
    ("EXPECT2", "message 4"): REFUSED,
    ("EXPECT2", "abort"): ([], [SmpAborted(SmpEnd.PEER)], "EXPECT1"),
    ("EXPECT2", "asks"): ([6, 2], [SmpProgress(25)], "EXPECT2"),
    ("EXPECT2", "answers"): ([], NOTHING_TO_ANSWER, "EXPECT2"),
    ("EXPECT2", "aborts"): ([6], [SmpAborted(SmpEnd.HERE)], "EXPECT1"),
    ("EXPECT3", "message 1"): REFUSED,
    ("EXPECT3", "message 1Q"): REFUSED,
    ("EXPECT3", "message 2"): REFUSED,
    ("EXPECT3", "message 3"): ([5], [SmpSucceeded(trusts=True)], "EXPECT1"),
    ("EXPECT3", "message 4"): REFUSED,
    ("EXPECT3", "abort"): ([], [SmpAborted(SmpEnd.PEER)], "EXPECT1"),
    ("EXPECT3", "asks"): ([6, 2], [SmpProgress(25)], "EXPECT2"),
    ("EXPECT3", "answers"): ([], NOTHING_TO_ANSWER, "EXPECT3"),
    ("EXPECT3", "aborts"): ([6], [SmpAborted(SmpEnd.HERE)], "EXPECT1"),
    ("EXPECT4", "message 1"): REFUSED,
    ("EXPECT4", "message 1Q"): REFUSED,
    ("EXPECT4", "message 2"): REFUSED,
    ("EXPECT4", "message 3"): REFUSED,
    ("EXPECT4", "message 4"): ([], [SmpSucceeded(trusts=True)], "EXPECT1"),
    ("EXPECT4", "abort"): ([], [SmpAborted(SmpEnd.PEER)], "EXPECT1"),
    ("EXPECT4", "asks"): ([6, 2], [SmpProgress(25)], "EXPECT2"),
    ("EXPECT4", "answers"): ([], NOTHING_TO_ANSWER, "EXPECT4"),
    ("EXPECT4", "aborts"): ([6], [SmpAborted(SmpEnd.HERE)], "EXPECT1"),
}

CELLS = pytest.mark.parametrize(
    ("state", "happens"), TABLE, ids=[f"{state}-{happens}".replace(" ", "_") for state, happens in TABLE]
)
IN_VERSIONS = pytest.mark.parametrize("version", VERSIONS)
IN_STATES = pytest.mark.parametrize("state", STATES)

# Messages of an honest run among others: of the right form, wherever they come.
FIRST = textbook.message_1(21, 31, 41, 42)
SECOND = textbook.message_2(FIRST, 9, 22, 32, (51, 52, 53, 54, 55))
THIRD = textbook.message_3(SECOND, 9, 21, 31, (61, 62, 63, 64))
FOURTH = textbook.message_4(SECOND, THIRD, 32, 71)
STRANGERS = {1: FIRST, 2: SECOND, 3: THIRD, 4: FOURTH}
WAITS_FOR: dict[SmpState, Input] = {
    "EXPECT2": "message 2",
    "EXPECT3": "message 3",
    "EXPECT4": "message 4",
}


def incoming(pair: Pair, state: SmpState, happens: Input) -> Tlv:
    """A record: the peer's own where it is the one that is waited for."""
    if happens == "abort":
        return Tlv(6)
    if happens == "message 1Q":
        return Tlv(7, b"Which?\0" + textbook.encode(FIRST))
    step = int(happens[-1])
    return record(step, next_message(pair) if WAITS_FOR.get(state) == happens else STRANGERS[step])


def run(pair: Pair, state: SmpState, happens: Input) -> list[Event]:
    subject = pair.talks[SUBJECT]
    by_user: dict[Input, Callable[[], list[Event]]] = {
        "asks": lambda: subject.smp_start(WORDS),
        "answers": lambda: subject.smp_answer(WORDS),
        "aborts": subject.smp_abort,
    }
    if happens in by_user:
        return pair.do(SUBJECT, by_user[happens]())
    return put(pair, incoming(pair, state, happens))


def test_the_table_has_every_cell() -> None:
    assert set(TABLE) == set(product(STATES, INPUTS))


@CELLS
@IN_VERSIONS
def test_cell(version: int, state: SmpState, happens: Input) -> None:
    records, told, following = TABLE[state, happens]
    pair = at(state, version)
    pair.on_the_way[PEER].clear()
    if isinstance(told, str):
        with pytest.raises(UsageError, match=told):
            run(pair, state, happens)
    else:
        assert shown(run(pair, state, happens)) == told
    assert sent(pair) == records
    assert state_of(pair) == following
    assert pair.talks[SUBJECT].smp_waiting is (following == "asked")


@CELLS
def test_the_conversation_goes_on_after_any_cell(state: SmpState, happens: Input) -> None:
    pair = at(state)
    if not isinstance(TABLE[state, happens][1], str):
        run(pair, state, happens)
    pair.settle()
    pair.clear()
    for side in (SUBJECT, PEER):
        pair.say(side, f"from {side}")
    assert shown(pair.events(PEER)) == [Received(f"from {SUBJECT}", Protection.ENCRYPTED)]
    assert shown(pair.events(SUBJECT)) == [Received(f"from {PEER}", Protection.ENCRYPTED)]


@IN_STATES
@IN_VERSIONS
@pytest.mark.parametrize("aborter", [SUBJECT, PEER])
def test_after_an_abort_all_begins_anew(version: int, state: SmpState, aborter: Side) -> None:
    """From either side, in every state: both are told, and both are at the beginning."""
    pair = at(state, version)
    running = {side for side in (SUBJECT, PEER) if state_of(pair, side) != "EXPECT1"}
    pair.on_the_way[SUBJECT].clear()
    pair.do(aborter, pair.talks[aborter].smp_abort())
    pair.settle()
    other = PEER if aborter == SUBJECT else SUBJECT
    assert shown(pair.events(aborter)) == ([SmpAborted(SmpEnd.HERE)] if aborter in running else [])
    # Also from who is done already: the asker may still wait for the last message, which was lost.
    assert shown(pair.events(other)) == ([SmpAborted(SmpEnd.PEER)] if other in running else [])
    assert state_of(pair, SUBJECT) == state_of(pair, PEER) == "EXPECT1"
    pair.clear()
    verify(pair, aborter, WORDS, WORDS)
    assert shown(pair.events(aborter))[-1] == SmpSucceeded(trusts=True)
    assert shown(pair.events(other))[-1] == SmpSucceeded(trusts=True)


@IN_STATES
@IN_VERSIONS
def test_asking_anew_succeeds_in_every_state(version: int, state: SmpState) -> None:
    """Whatever was under way is ended on both sides, and the new run is not."""
    pair = at(state, version)
    pair.on_the_way[SUBJECT].clear()
    pair.clear()
    verify(pair, SUBJECT, "other words", "other words")
    assert shown(pair.events(SUBJECT))[-1] == SmpSucceeded(trusts=True)
    assert shown(pair.events(PEER))[-1] == SmpSucceeded(trusts=True)


@IN_STATES
@IN_VERSIONS
def test_at_most_one_message_goes_out_for_one_that_comes(version: int, state: SmpState) -> None:
    for happens in INPUTS[:6]:
        pair = at(state, version)
        pair.on_the_way[PEER].clear()
        assert len(transmitted(run(pair, state, happens))) <= 1


@IN_STATES
def test_many_records_in_one_message_have_one_answer(state: SmpState) -> None:
    """A message has room for thousands, and each would be answered by one of a thousand bytes."""
    for flood in (
        [Tlv(3)] * 1000,
        [Tlv(2)] * 1000,
        [Tlv(6), Tlv(4)] * 500,
        [record(1, FIRST), Tlv(5)] * 20,
        [record(1, FIRST)] * 30,
    ):
        pair = at(state)
        events = put(pair, *flood)
        assert len(transmitted(events)) <= 1
        assert len(shown(events)) <= 2


@IN_STATES
@IN_VERSIONS
def test_what_we_sent_does_nothing_when_it_comes_back(version: int, state: SmpState) -> None:
    """As the line that it was: no keys of ours open it."""
    pair = at(state, version)
    pair.do(SUBJECT, pair.talks[SUBJECT].smp_start(WORDS))
    before = state_of(pair)
    for line in list(pair.on_the_way[PEER]):
        assert transmitted(pair.hand(SUBJECT, line)) == []
    assert state_of(pair) == before


@pytest.mark.parametrize("before", ["EXPECT1", "asked", "EXPECT2"])
@IN_VERSIONS
def test_our_own_message_under_the_peers_keys_ends_the_run(version: int, before: SmpState) -> None:
    """Each message but the last leads to a state that does not wait for one like it."""
    pair = at(before, version)
    subject = pair.talks[SUBJECT]
    if before == "EXPECT1":
        pair.do(SUBJECT, subject.smp_start(WORDS))
    elif before == "asked":
        pair.do(SUBJECT, subject.smp_answer(WORDS))
    else:
        pair.deliver(SUBJECT)
    ((reflected,),) = opened(pair, PEER)
    pair.on_the_way[PEER].clear()
    assert shown(put(pair, reflected)) == [OUT_OF_TURN]
    assert sent(pair) == [6]
    assert state_of(pair) == "EXPECT1"
