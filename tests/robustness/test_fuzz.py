"""`receive` raises on no input, in no state; and no input keeps two peers from talking afterwards."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from otrcore.errors import MalformedMessage
from otrcore.events import Event, Received, Rejected, SessionOpened, Transmit
from otrcore.model import MessageState, Protection
from otrcore.wire import text as wire_text
from otrcore.wire.fragment import cut
from otrcore.wire.header import Header, parse_header
from tests.pair import OTHER, SIDES, TAGS, Pair, Side
from tests.robustness.hostile import assert_little_is_said, state_of
from tests.robustness.scenes import (
    ENCRYPTED,
    EVERYWHERE,
    PEER,
    SUBJECT,
    VERSIONS,
    allow_both,
    each_scene,
    each_version,
    play,
    raw_of,
)

repeatable = settings(
    derandomize=True, deadline=None, max_examples=250, suppress_health_check=[HealthCheck.too_slow]
)

MARKS = ["?OTR", "?OTR:", "?OTR,", "?OTR|", "?OTR?", "?OTRv", "?OTRv3?", "?OTRv2?", "?OTR Error:"]
MARKS += [wire_text.TAG_BASE, *wire_text.TAG_GROUPS.values(), ",00001,00002,", ".", "AAMD", "AAID"]
MARKS += [f"|{TAGS[PEER]:x}|{TAGS[SUBJECT]:x},"]

texts = st.text(max_size=60)
marked = st.lists(st.sampled_from(MARKS) | st.text(max_size=8), max_size=8).map("".join)
headers = st.builds(
    Header,
    st.sampled_from([3, 3, 3, 2, 2, 4, 0]),
    st.sampled_from([0x02, 0x03, 0x0A, 0x11, 0x12, 0x00]),
    st.sampled_from([TAGS[PEER], TAGS[PEER], TAGS[SUBJECT], 0x100, 0]),
    st.sampled_from([TAGS[SUBJECT], TAGS[SUBJECT], TAGS[PEER], 0, 0xFF]),
)
encoded = st.builds(
    lambda header, content: wire_text.encode(header.serialise() + content), headers, st.binary(max_size=120)
)

# The length of a header, also where the bytes behind the version are not those of one.
SHORTEST_HEADER = 3
LONGEST_HEADER = 11


def pool(pair: Pair) -> list[str]:
    """Every encoded line of this pair so far, whoever said it, and what is on its way."""
    return [line for _, line in pair.lines if line.startswith("?OTR:")]


@st.composite
def mutated(draw: st.DrawFn, lines: list[str]) -> list[str]:
    """A real message, damaged in some way, in one line or several."""
    raw = bytearray(raw_of(draw(st.sampled_from(lines))))
    for change in draw(
        st.lists(st.sampled_from(["flip", "cut", "drop", "splice", "insert", "head"]), max_size=3)
    ):
        at = draw(st.integers(0, max(0, len(raw) - 1)))
        match change:
            case "flip" if raw:
                raw[at] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del raw[at:]
            case "drop":
                del raw[at : at + draw(st.integers(1, 40))]
            case "splice":
                raw[at:] = raw_of(draw(st.sampled_from(lines)))[at:]
            case "insert":
                raw[at:at] = draw(st.binary(max_size=40))
            case "head":
                raw[: SHORTEST_HEADER if raw[:2] == b"\0\2" else LONGEST_HEADER] = draw(headers).serialise()
    line = wire_text.encode(bytes(raw))
    match draw(st.sampled_from(["whole", "whole", "whole", "characters", "fragments"])):
        case "characters":
            at = draw(st.integers(0, len(line)))
            return [line[:at] + draw(st.text(max_size=3)) + line[at + draw(st.integers(0, 20)) :]]
        case "fragments" if len(raw) >= LONGEST_HEADER:
            pieces = cut(line, draw(st.integers(60, 200)), parse_header(bytes(raw)), 0x1234)
            return list(draw(st.permutations(pieces)) if draw(st.booleans()) else pieces)
        case _:
            return [line]


def check(events: list[Event]) -> None:
    """Only what an event may be, and what may be sent."""
    for event in events:
        if isinstance(event, Transmit):
            assert not event.plain
            for line in event.lines:
                assert line.startswith("?OTR")
                assert line.isascii()
                assert line.isprintable()


Scene = tuple[str, int, bool]
"""Name, version, and whether both sides would accept the other version too."""

anywhere = st.builds(lambda scene, both: (*scene, both), st.sampled_from(EVERYWHERE), st.booleans())
encrypted = anywhere.filter(lambda scene: scene[0] in ENCRYPTED)


def begin(scene: Scene) -> Pair:
    """Return the pair of a scene."""
    name, version, both = scene
    return allow_both(play(name, version)) if both else play(name, version)


def strangers(scene: Scene) -> list[str]:
    """Return what others have said, in the versions that are accepted."""
    _, version, both = scene
    return [line for other in (VERSIONS if both else [version]) for line in pool(STRANGERS[other])]


@settings(repeatable, max_examples=600)
@given(anywhere, st.lists(texts | marked | encoded, max_size=6))
def test_random_lines_raise_nothing(scene: Scene, lines: list[str]) -> None:
    talk = begin(scene).talks[SUBJECT]
    for line in lines:
        check(talk.receive(line))


@settings(repeatable, max_examples=900)
@given(anywhere, st.data())
def test_damaged_messages_raise_nothing_and_a_refusal_changes_nothing(
    scene: Scene, data: st.DataObject
) -> None:
    pair = begin(scene)
    talk = pair.talks[SUBJECT]
    lines = pool(pair) + strangers(scene)
    for _ in range(data.draw(st.integers(1, 4))):
        for line in data.draw(mutated(lines)):
            before = state_of(talk, line)
            events = talk.receive(line)
            check(events)
            if any(isinstance(event, Rejected) for event in events):
                assert_little_is_said(events)
                assert state_of(talk, line) == before


STRANGERS = {version: play("encrypted, keys rotated", version, seed="strangers") for version in VERSIONS}


def recorded_hostility(pair: Pair, scene: Scene) -> st.SearchStrategy[list[list[str]]]:
    """Lines that none of the two has just said: noise, damage, and repetitions of what was said long ago."""
    old = [line for line in pool(pair) if line not in pair.on_the_way[SUBJECT]]
    old += strangers(scene)
    single = texts | marked | encoded | st.sampled_from(["?OTRv3?", "?OTRv2?", "?OTR Error: x", *old])
    return st.lists(mutated(old) | single.map(lambda line: [line]), min_size=1, max_size=5)


@settings(repeatable, max_examples=300)
@given(encrypted, st.data())
def test_an_encrypted_conversation_survives_hostility(scene: Scene, data: st.DataObject) -> None:
    """Nothing that is injected ends it, changes who it is with, or passes for a text of the peer."""
    pair = begin(scene)
    talk = pair.talks[SUBJECT]
    info = talk.info
    for lines in data.draw(recorded_hostility(pair, scene)):
        for line in lines:
            for event in talk.receive(line):
                assert not isinstance(event, SessionOpened)
                assert not isinstance(event, Received) or event.protection is Protection.UNEXPECTED_PLAIN
    assert talk.state is MessageState.ENCRYPTED
    assert talk.info == info
    sent = talk.send("still here")[0]
    assert isinstance(sent, Transmit)
    assert not sent.plain


@settings(repeatable, max_examples=150)
@given(anywhere, st.data())
def test_no_hostility_keeps_them_from_talking_later(scene: Scene, data: st.DataObject) -> None:
    pair = begin(scene)
    for lines in data.draw(recorded_hostility(pair, scene)):
        for line in lines:
            pair.hand(data.draw(st.sampled_from(SIDES)), line)
    pair.settle()
    pair.wait(200)
    pair.secure(starter=data.draw(st.sampled_from(SIDES)))
    for side in SIDES:
        pair.clear()
        pair.say(side, "after all")
        assert pair.events(OTHER[side]) == [Received("after all", Protection.ENCRYPTED)]


# --- a network that loses, repeats and reorders -----------------------------------------------------------

ACTIONS = (
    ["deliver"] * 8 + ["repeat"] * 2 + ["swap"] * 2 + ["lose", "start", "say", "say", "say", "end", "wait"]
)


@settings(repeatable, max_examples=250)
@given(
    st.tuples(
        st.sampled_from(["plaintext", "query sent", "yielded", "encrypted, keys rotated", "finished"]),
        st.sampled_from(VERSIONS),
        st.booleans(),
    ),
    st.lists(st.tuples(st.sampled_from(ACTIONS), st.sampled_from(SIDES), st.integers(0, 30)), max_size=40),
    st.sampled_from([None, 200]),
)
def test_a_bad_network_breaks_nothing(
    scene: Scene, actions: list[tuple[str, Side, int]], line_limit: int | None
) -> None:
    pair = begin(scene)
    pair.clear()
    said: dict[Side, list[str]] = {side: ["on its way"] * (side == PEER) for side in SIDES}
    for talk in pair.talks.values():
        talk.line_limit = line_limit
    for number, (action, side, where) in enumerate(actions):
        waiting = pair.on_the_way[side]
        at = where % len(waiting) if waiting else 0
        match action:
            case "deliver" if waiting:
                pair.deliver(side)
            case "repeat" if waiting:
                pair.hand(side, waiting[at])
            case "swap" if waiting:
                waiting.rotate(at)
            case "lose" if waiting:
                del waiting[at]
            case "start":
                pair.do(side, pair.talks[side].start())
            case "end":
                pair.do(side, pair.talks[side].end())
            case "say":
                said[side].append(f"text {number}")
                pair.do(side, pair.talks[side].send(f"text {number}"))
            case "wait":
                pair.clock.advance(where)
                for other in SIDES:
                    pair.do(other, pair.talks[other].tick())
    pair.settle()
    for side in SIDES:
        heard = [
            event.text for event in pair.of_kind(side, Received) if event.protection is Protection.ENCRYPTED
        ]
        assert len(heard) == len(set(heard)), "a text was taken twice"
        assert set(heard) <= set(said[OTHER[side]])
    pair.wait(200)
    pair.secure()


# --- cutting ----------------------------------------------------------------------------------------------


@each_scene
def test_a_real_message_cut_off_at_any_character_raises_nothing(name: str, version: int) -> None:
    pair = play(name, version)
    talk = pair.talks[SUBJECT]
    for line in list(pair.on_the_way[SUBJECT]):
        for length in range(0, len(line) - 1, 7):
            before = state_of(talk, line[:length])
            events = talk.receive(line[:length])
            if any(isinstance(event, Rejected) for event in events):
                assert state_of(talk, line[:length]) == before
            check(events)


def fragments_of(pair: Pair, limit: int) -> list[str]:
    return list(cut(pair.on_the_way[SUBJECT][0], limit, parse_header(raw_of(pair.on_the_way[SUBJECT][0]))))


@repeatable
@given(encrypted, st.data())
def test_fragments_in_any_order_give_the_text_or_nothing(scene: Scene, data: st.DataObject) -> None:
    pair = begin(scene)
    pair.settle()
    pair.do(PEER, pair.talks[PEER].send("in pieces"))
    pieces = fragments_of(pair, data.draw(st.integers(120, 300)))
    assume(len(pieces) > 1)
    order = data.draw(st.permutations(pieces)) + data.draw(st.lists(st.sampled_from(pieces), max_size=4))
    talk = pair.talks[SUBJECT]
    events = [event for piece in order for event in talk.receive(piece)]
    assert [event for event in events if isinstance(event, Received)] in (
        [],
        [Received("in pieces", Protection.ENCRYPTED)],
    )
    events = [event for piece in pieces for event in talk.receive(piece)]
    assert len(events) == 1
    assert isinstance(events[0], Received | Rejected)


@each_version
def test_the_damage_is_of_every_kind(version: int) -> None:
    """The pool that the tests above draw from holds every type of message."""
    headers = [parse_header(raw_of(line)) for line in pool(STRANGERS[version])]
    assert {header.type for header in headers} == {0x02, 0x03, 0x0A, 0x11, 0x12}
    assert {header.version for header in headers} == {version}
    with pytest.raises(MalformedMessage):
        parse_header(b"\0\3")
