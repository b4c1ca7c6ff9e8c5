"""Two peers over random schedules, each watched by a second reading of the key management.

The reading foretells for every data message whether it is accepted, with which keys it
is made, what it says and which MAC keys it reveals.  After every step no MAC key that
was revealed by anybody may still be one that either side accepts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otrcore.errors import PeerError
from otrcore.events import Event, Received, SessionOpened
from otrcore.model import MessageState
from otrcore.session import Encrypted
from otrcore.v3.channel import DataChannel
from tests.pair import OTHER, SIDES, Pair, Side, seeded
from tests.spec import reading
from tests.spec.keybook import KeyBook
from tests.spec.reading import mpi

SEED = "schedules"
DRAWS = 120


@cache
def exponents(side: Side) -> Mapping[int, int]:
    """Return the private exponents that this side will draw, by their public values."""
    draw = seeded(f"{SEED}/{side}")
    drawn = [int.from_bytes(draw("dh", 40), "big") | 1 << 319 for _ in range(DRAWS)]
    return {reading.public(exponent): exponent for exponent in drawn}


@cache
def by_hash(side: Side) -> Mapping[bytes, int]:
    """Return this side's public values by the hash that a Commit of them carries."""
    return {hashlib.sha256(mpi(value)).digest(): value for value in exponents(side)}


class Watched(Pair):
    """A pair whose key management is foretold."""

    def __init__(self, version: int) -> None:
        super().__init__(version=version, seed=SEED)
        self.books: dict[Side, KeyBook | None] = {"alice": None, "bob": None}
        self.revealed: set[bytes] = set()
        self.numbers = 0
        self._values: dict[Side, list[int]] = {"alice": [], "bob": []}

    def speak(self, side: Side) -> None:
        """Send a text that no other is like."""
        if self.talks[side].state is not MessageState.ENCRYPTED:
            return
        self.numbers += 1
        text = f"{side} {self.numbers}"
        (line,) = self.transmitted(side, self.talks[side].send(text))
        fields = reading.data_fields(reading.raw_of(line))
        assert self.book(side).sends(fields) == text.encode() + b"\0"
        self.revealed |= set(fields.old_mac_keys)

    def hand(self, to: Side, line: str) -> list[Event]:
        """Hand a line over; if it is a data message, check that what comes of it is what was foretold."""
        if not line.startswith("?OTR:"):
            return super().hand(to, line)
        raw = reading.raw_of(line)
        self.note(OTHER[to], raw)
        if raw[2] != reading.DATA:
            events = super().hand(to, line)
            for event in events:
                if isinstance(event, SessionOpened):
                    self.open_book(to, event)
            return events
        foretold = None
        book = self.books[to]
        if self.talks[to].state is MessageState.ENCRYPTED and book is not None:
            foretold = book.gets(reading.data_fields(raw))
        events = super().hand(to, line)
        texts = [event.text for event in events if isinstance(event, Received)]
        if foretold is None:
            assert texts == []
        else:
            text, _, _ = foretold.partition(b"\0")
            assert texts == ([text.decode()] if text else [])
        return events

    def transmitted(self, side: Side, events: list[Event]) -> list[str]:
        """Put events on the record; return the lines of them."""
        before = len(self.lines)
        self.do(side, events)
        return [line for _, line in self.lines[before:]]

    def book(self, side: Side) -> KeyBook:
        """The book of a side that is encrypted."""
        book = self.books[side]
        assert book is not None
        return book

    def note(self, sender: Side, raw: bytes) -> None:
        """Remember which values a side used in exchanges."""
        if raw[2] == reading.COMMIT:
            self._values[sender].append(by_hash(sender)[reading.message(raw).content(1)])
        elif raw[2] == reading.KEY:
            self._values[sender].append(reading.message(raw).number(0))

    def open_book(self, side: Side, opened: SessionOpened) -> None:
        """Begin a book with the pair of values that has this session's id."""
        for own in reversed(self._values[side]):
            for theirs in reversed(self._values[OTHER[side]]):
                s = reading.power(theirs, exponents(side)[own])
                if reading.ake_secrets(s).ssid == opened.info.ssid:
                    old = self.books[side] if opened.refreshed else None
                    inherited = old.leaves() if old else ()
                    self.books[side] = KeyBook(exponents(side), own, theirs, inherited)
                    return
        raise AssertionError("the session id is none of any values that were exchanged")

    def start_again(self, side: Side) -> None:
        """Ask for fresh keys; the exchange then runs among the texts."""
        self.clock.advance(10.0)
        self.do(side, self.talks[side].start())

    def leave(self, side: Side) -> None:
        """End the conversation on this side."""
        if self.talks[side].state is not MessageState.ENCRYPTED:
            return
        (line,) = self.transmitted(side, self.talks[side].end())
        fields = reading.data_fields(reading.raw_of(line))
        self.book(side).ends(fields)
        self.revealed |= set(fields.old_mac_keys)

    def acceptable(self, side: Side) -> set[bytes]:
        """Return the MAC keys under which this side's conversation would accept a message now."""
        if self.talks[side].state is not MessageState.ENCRYPTED:
            return set()
        state = self.talks[side]._instances.session()._state
        assert isinstance(state, Encrypted)
        assert isinstance(state.channel, DataChannel)
        ratchet = state.channel._ratchet
        keys = set()
        for ours in range(max(0, ratchet.our_keyid - 3), ratchet.our_keyid + 4):
            for theirs in range(max(0, ratchet.their_keyid - 3), ratchet.their_keyid + 4):
                try:
                    keys.add(bytes(ratchet.receiving_pair(theirs, ours).receiving.mac))
                except PeerError:
                    continue
        return keys

    def check(self) -> None:
        """No revealed key is acceptable, by the library and by the book; they agree on what is."""
        for side in SIDES:
            acceptable = self.acceptable(side)
            assert acceptable.isdisjoint(self.revealed)
            if self.talks[side].state is MessageState.ENCRYPTED:
                assert acceptable == set(self.book(side).acceptable().values())


STEPS = {
    "alice speaks": lambda pair: pair.speak("alice"),
    "bob speaks": lambda pair: pair.speak("bob"),
    "alice gets": lambda pair: pair.on_the_way["alice"] and pair.deliver("alice"),
    "bob gets": lambda pair: pair.on_the_way["bob"] and pair.deliver("bob"),
    "alice loses": lambda pair: pair.on_the_way["alice"] and pair.on_the_way["alice"].popleft(),
    "bob gets twice": lambda pair: pair.on_the_way["bob"] and pair.hand("bob", pair.on_the_way["bob"][0]),
    "alice gets the newest": lambda pair: (
        pair.on_the_way["alice"] and pair.hand("alice", pair.on_the_way["alice"].pop())
    ),
    "alice starts again": lambda pair: pair.start_again("alice"),
    "bob starts again": lambda pair: pair.start_again("bob"),
    "alice ends": lambda pair: pair.leave("alice"),
}


def run(version: int, steps: list[str]) -> Watched:
    pair = Watched(version)
    pair.secure()
    for step in steps:
        STEPS[step](pair)
        pair.check()
    return pair


TALK = ["alice speaks", "bob speaks", "alice gets", "bob gets"]


VERSIONS = st.sampled_from([3, 2])


@given(VERSIONS, st.lists(st.sampled_from(TALK), min_size=10, max_size=50))
@settings(derandomize=True, max_examples=60, deadline=None)
def test_two_peers_who_talk(version: int, steps: list[str]) -> None:
    run(version, steps)


@given(VERSIONS, st.lists(st.sampled_from([*TALK, *TALK, *STEPS]), min_size=10, max_size=50))
@settings(derandomize=True, max_examples=120, deadline=None)
def test_two_peers_with_losses_and_new_exchanges(version: int, steps: list[str]) -> None:
    run(version, steps)


@pytest.mark.parametrize("version", [2, 3])
def test_the_reading_is_not_blind(version: int) -> None:
    """A long talk reveals many keys, rotates often, and both books were really used."""
    pair = run(version, ["alice speaks", "bob gets", "bob speaks", "alice gets"] * 12)
    assert pair.book("alice").our_keyid > 10
    assert pair.book("bob").their_keyid > 10
    assert len(pair.revealed) > 20
    run_over = run(
        version, [*TALK * 3, "alice starts again", *["bob gets", "alice gets"] * 6, *TALK * 3, "alice ends"]
    )
    assert len(run_over.revealed) > 4
