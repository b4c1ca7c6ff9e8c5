"""`receive` raises on no line in any state of version 4, a refusal changes nothing, and nothing piles up."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from otrcore.events import Event, Received, Rejected, SessionOpened, Transmit
from otrcore.model import MessageState, Protection
from otrcore.outbox import MAX_WAITING
from otrcore.policy import ALWAYS
from otrcore.wire import text as wire_text
from otrcore.wire.fragment import MAX_PARTIALS, MAX_PIECES, cut
from otrcore.wire.header import Header
from tests.pair import OTHER, SIDES, TAGS, Pair
from tests.robustness.hostile import assert_little_is_said, state_of
from tests.robustness.scenes import PEER, SUBJECT
from tests.robustness.scenes4 import ENCRYPTED, SCENES, each_scene, message_of, play
from tests.robustness.test_bounds import size_of
from tests.robustness.test_fuzz import check
from tests.snapshot import snapshot

repeatable = settings(
    derandomize=True,
    deadline=None,
    max_examples=40,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)

MARKS = [
    *("?OTR", "?OTR:", "?OTR|", "?OTRv", "?OTRv4?", "?OTRv34?", "?OTR Error:", "?OTR Error: ERROR_2:"),
    *(wire_text.TAG_BASE, *wire_text.TAG_GROUPS.values(), ".", "AAQ1", "AAQ2", "AAQ3", "AAQD", ",1,2,", "|"),
    *(f"|{TAGS[PEER]:x}|{TAGS[SUBJECT]:x},", f"?OTR|7|{TAGS[PEER]:x}|{TAGS[SUBJECT]:x},1,1,?OTR:AAQD.,"),
]
marked = st.lists(st.sampled_from(MARKS) | st.text(max_size=8), max_size=8).map("".join)
headers = st.builds(
    Header,
    st.sampled_from([4, 4, 4, 3, 2, 0, 5]),
    st.sampled_from([0x35, 0x36, 0x37, 0x03, 0x0D, 0x02, 0x00, 0xFF]),
    st.sampled_from([TAGS[PEER], TAGS[PEER], TAGS[SUBJECT], 0x100, 0, 2**32 - 1]),
    st.sampled_from([TAGS[SUBJECT], TAGS[SUBJECT], TAGS[PEER], 0, 0xFF]),
)
encoded = st.builds(
    lambda header, content: wire_text.encode(header.serialise() + content), headers, st.binary(max_size=700)
)
scenes = st.sampled_from(list(SCENES))


def lines_of(pair: Pair) -> list[str]:
    return [line for _, line in pair.lines if line.startswith("?OTR:")]


def take(pair: Pair, line: str) -> list[Event]:
    """Hand a line over; what is refused changes nothing, and little is said of it."""
    talk = pair.talks[SUBJECT]
    before = state_of(talk, line)
    events = talk.receive(line)
    check(events)
    if any(isinstance(event, Rejected) for event in events):
        assert_little_is_said(events)
        assert state_of(talk, line) == before
    return events


@settings(repeatable, max_examples=150)
@given(scenes, st.lists(st.text(max_size=60) | marked | encoded, max_size=6))
@example("encrypted, keys rotated", ["?OTR:AAQD.", "?OTR:AAQ1.", "?OTR|1|1|1,1,1,?OTR:AAQD.,"])
def test_random_lines_raise_nothing(name: str, lines: list[str]) -> None:
    pair = play(name)
    for line in lines * 2:
        take(pair, line)


@each_scene
def test_a_real_message_cut_off_at_any_character_raises_nothing(name: str) -> None:
    pair = play(name)
    for line in list(pair.on_the_way[SUBJECT]):
        for length in range(0, len(line) - 1, 31):
            take(pair, line[:length])


@repeatable
@given(st.sampled_from(ENCRYPTED), st.data())
def test_fragments_in_any_order_give_the_text_once(name: str, data: st.DataObject) -> None:
    """Unlike in older versions every order is a good one; what comes twice is read once."""
    pair = play(name)
    pair.settle()
    pair.wait(60.0)
    pair.clear()
    (transmit,) = pair.talks[PEER].send("in pieces " * 20)
    assert isinstance(transmit, Transmit)
    (line,) = transmit.lines
    pieces = list(cut(line, data.draw(st.integers(120, 300)), message_of(line).header, 0x1234))
    order = data.draw(st.permutations(pieces)) + data.draw(st.lists(st.sampled_from(pieces), max_size=4))
    events = [event for piece in order for event in pair.talks[SUBJECT].receive(piece)]
    assert [event for event in events if isinstance(event, Received)] == [
        Received("in pieces " * 20, Protection.ENCRYPTED)
    ]


STRANGERS = lines_of(play("encrypted, keys rotated"))


@settings(repeatable, max_examples=30)
@given(scenes, st.data())
def test_no_hostility_keeps_them_from_talking_later(name: str, data: st.DataObject) -> None:
    """To either side, made up or recorded long ago; once it has ceased one start is enough."""
    pair = play(name)
    old = [line for line in lines_of(pair) if line not in pair.on_the_way[SUBJECT]]
    injected = st.text(max_size=60) | marked | encoded | st.sampled_from([*old, *STRANGERS, "?OTRv4?"])
    infos = {side: pair.talks[side].info for side in SIDES}
    for line in data.draw(st.lists(injected, min_size=1, max_size=6)):
        side = data.draw(st.sampled_from(SIDES))
        for event in pair.hand(side, line):
            assert not isinstance(event, SessionOpened)
            assert not (isinstance(event, Received) and event.protection is Protection.ENCRYPTED)
    for side in SIDES:
        assert pair.talks[side].info == infos[side]
    pair.settle()
    pair.wait(300.0)
    pair.secure(starter=data.draw(st.sampled_from(SIDES)))
    for side in SIDES:
        pair.clear()
        pair.say(side, "after all")
        assert pair.events(OTHER[side]) == [Received("after all", Protection.ENCRYPTED)]


# --- bounds -----------------------------------------------------------------------------------------------


def test_exchanges_again_and_again() -> None:
    """Sessions that take each other's place, by queries of others and by starts, leave nothing of the old."""
    pair = Pair(version=4, seed="again")
    pair.secure()
    sizes = []
    for number in range(32):
        for side in SIDES:
            pair.say(side, f"text {number:02}")
        pair.wait(100.0)
        if number % 2:
            pair.hand(SIDES[number // 2 % 2], "?OTRv4?")
            pair.settle()
        else:
            pair.start(SIDES[number // 2 % 2])
        pair.agreed()
        pair.wait(100.0)
        pair.clear()
        sizes.append(size_of(pair))
    # Each remembers eight keys of the other, and answers in every second round.
    assert max(sizes[24:]) < max(sizes[16:24]) * 1.05


def test_exchanges_that_nobody_ends() -> None:
    """One side begins and the other answers, and each time the last word is lost."""
    pair = Pair(version=4, seed="nobody ends")
    sizes = []
    for _ in range(12):
        pair.hand(PEER, "?OTRv4?")
        pair.deliver(SUBJECT)
        pair.deliver(PEER)
        pair.on_the_way[SUBJECT].clear()
        for _ in range(4):
            pair.clock.advance(60.0)
            pair.do(SUBJECT, pair.talks[SUBJECT].tick())
            pair.on_the_way[PEER].clear()
        sizes.append(len(repr(snapshot(pair.talks[SUBJECT]))))
        pair.do(PEER, pair.talks[PEER].lose())
        pair.do(PEER, pair.talks[PEER].end())
        pair.on_the_way[SUBJECT].clear()
    assert len(set(sizes)) == 1
    assert pair.talks[SUBJECT].idle


@pytest.mark.parametrize("name", ["plaintext", "waiting for Auth-R", "waiting for Auth-I", "finished"])
def test_texts_that_wait_are_bounded(name: str) -> None:
    """Whatever is typed into a start that never ends is kept up to a limit; the rest comes back at once."""
    pair = play(name)
    talk = pair.talks[SUBJECT]
    talk.set_policy(ALWAYS)
    if name == "finished":
        talk.start()
    for _ in range(3 * MAX_WAITING):
        talk.send("waits")
    assert len(talk._outbox._queue) == MAX_WAITING
    assert talk.state is not MessageState.ENCRYPTED


@each_scene
def test_fragments_that_lead_to_nothing_are_bounded_in_every_state(name: str) -> None:
    pair = play(name)
    talk, head = pair.talks[SUBJECT], f"{TAGS[PEER]:08x}|{TAGS[SUBJECT]:08x}"
    size = size_of(pair)
    for number in range(400):
        take(pair, f"?OTR|{number:x}|{head},{1 + number % 50},{MAX_PIECES},{'x' * 400},")
        assert len(talk._reassembler._partials) <= MAX_PARTIALS
    assert size_of(pair) < size + 40_000
    pair.clock.advance(600.0)
    talk.tick()
    assert talk._reassembler.empty
