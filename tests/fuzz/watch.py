"""What holds whatever a peer sends: looked at after each line."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from functools import partial

from otrcore.errors import MalformedMessage
from otrcore.events import (
    Event,
    MemoryChanged,
    NotSent,
    Received,
    Rejected,
    Resent,
    SessionOpened,
    SmpSucceeded,
    Transmit,
)
from otrcore.instances import MAX_SESSIONS, MAX_STARTING
from otrcore.memory import PeerMemory
from otrcore.model import MessageState, Protection, Trust
from otrcore.v4.ratchet import MAX_SKIPPED
from otrcore.wire.fragment import parse_fragment
from otrcore.wire.header import VERSION_4
from otrcore.wire.text import ENCODED_MARK
from tests.fuzz.likeness import alike
from tests.fuzz.mutator import Attempt, has_valid_header
from tests.fuzz.states import CANARY, Scene, State, lines_begun, picture_of, state_of, waiting_texts
from tests.pair import identity
from tests.robustness.hostile import assert_little_is_said
from tests.robustness.scenes import PEER
from tests.snapshot import snapshot

MAX_EVENTS = 12
"""Of one line, beside one for each text that leaves or comes back."""

MAX_SENT = 10_000
"""Characters that one line makes us send, in all: the longest message of SMP in the shortest lines."""

MAX_GROWTH = 600_000
"""Characters that the picture of a conversation may grow by, in which one byte takes up to four: a partial
message, a line that is being rejoined, and a large Commit in each version."""

MAX_GROWTH_OF_KEYS = 900 * MAX_SKIPPED
"""In version 4 there are the keys of messages that are late, in each session."""

MAX_SECONDS = 2.0
"""Of processor time that one line takes: some forty times what the dearest ones do."""

PATIENCE = 40
"""Changes of the state before it is set back, so that later attempts meet it as it was."""

SIZE_EVERY = 16
"""Changes from one look at the size to the next."""

SNAPSHOT_EVERY = 50
"""Refused lines of which the first is compared by a whole snapshot, too: a check of what is quicker."""


class Broken(AssertionError):
    """An invariant does not hold; its text is enough to do it again."""


class Watch:
    """Hands attempts to the conversation of a room, and sets it back whenever its state is another."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.inputs: Counter[State] = Counter()
        """Lines that met each state."""
        self.valid = 0
        """Lines with a valid header."""
        self.accepted = 0
        """Lines that changed something."""
        self.levels: Counter[str] = Counter()
        self._refused = self._changes = 0
        self._set_back()
        self._original = picture_of(self._talk)
        self._original_size = self._size()
        self._max_growth = MAX_GROWTH
        if VERSION_4 in scene.versions:
            self._max_growth += MAX_GROWTH_OF_KEYS

    def _set_back(self) -> None:
        self._talk, self._clock = self._scene.again()
        self._likeness = self._scene.likeness()
        self._history: list[str] = []
        """Lines that have changed the state since it was set back."""
        self._unheard = set(self._scene.texts)
        self._verified = _verified(self._talk.memory)
        self._look(*self._lists())

    def _lists(self) -> tuple[list[object], list[object]]:
        return self._likeness.of(self._talk), self._likeness.put_together(self._talk)

    def _look(self, now: list[object], put_together: list[object]) -> None:
        """Take the state as it is now for the one to compare with."""
        self._now, self._put_together = now, put_together
        self._state = state_of(self._talk, self._scene.state.version)

    def _size(self) -> int:
        return len(repr(snapshot(self._talk)))

    @property
    def changed(self) -> bool:
        """Whether the conversation has been taken away from the state of the room."""
        return bool(self._history)

    def give(self, attempt: Attempt) -> list[Event]:
        """Hand over all lines of an attempt; Broken if anything holds no more.  Returns all events."""
        events: list[Event] = []
        if attempt.wait:
            events += self._let_pass(attempt.wait, attempt.forged)
        for line in attempt.lines:
            self.inputs[self._state] += 1
            self.levels[attempt.level] += 1
            self.valid += has_valid_header(line, self._scene.versions, self._scene.tags)
            events += self._take(line, partial(self._talk.receive, line), attempt.forged)
        if self._state != self._scene.state or len(self._history) >= PATIENCE:
            self.finish()
        return events

    def _let_pass(self, seconds: float, forged: bool = False) -> list[Event]:
        self._clock.advance(seconds)
        line = f"({seconds} seconds)"
        events = self._take(line, self._talk.tick, forged, ticks=True)
        again = self._talk.next_tick
        self._require(line, again is None or again > self._clock(), "a tick that was due is due still")
        return events

    def finish(self) -> None:
        """Let the user type something into the state that came of all this, and set it back."""
        talk = self._talk
        private = talk.state is not MessageState.PLAINTEXT or talk.starting or talk.policy.require_encryption
        for event in self._call("(typed)", partial(talk.send, CANARY)):
            if isinstance(event, Transmit) and private:
                self._check_transmit("(typed)", event)
        self._set_back()

    def _call(self, line: str, call: Callable[[], list[Event]]) -> list[Event]:
        try:
            return call()
        except Exception as error:
            # Whatever it is, no call may end like that.
            raise self._broken(line, f"{type(error).__name__}: {error}") from error

    def _take(
        self, line: str, call: Callable[[], list[Event]], forged: bool, *, ticks: bool = False
    ) -> list[Event]:
        begun, waiting = lines_begun(self._talk), waiting_texts(self._talk)
        started = time.process_time()
        events = self._call(line, call)
        self._require(line, time.process_time() < started + MAX_SECONDS, "this takes too long")
        self._check(line, events, len(waiting) + MAX_EVENTS * max(begun, 1), forged)
        self._check_waiting(line, events, waiting)
        if not forged:
            self._check_texts(line, events)
        now, put_together = self._lists()
        refused = any(isinstance(event, Rejected) for event in events)
        # Lines that were waiting to be rejoined may have been read together with this one, or in a tick.
        silent = all(isinstance(event, Rejected | Transmit) for event in events)
        alone = not begun if ticks else begun < 2 or silent
        if refused and alone:
            self._check_refused(line, events, alike(now, self._now))
            if not alike(put_together, self._put_together):
                free = begun or ENCODED_MARK in line or _is_fragment(line)
                self._require(line, bool(free), "refused, and a partial message is another")
                self._look(now, put_together)
            return events
        self.accepted += 1
        if not alike(now, self._now) or not alike(put_together, self._put_together):
            self._look(now, put_together)
            self._history.append(line)
            clients = len(self._talk._instances._sessions)
            self._require(line, clients <= MAX_STARTING + MAX_SESSIONS, f"{clients} clients of the peer")
            self._changes += 1
            if self._changes % SIZE_EVERY == 0:
                grown = self._size() - self._original_size
                self._require(line, grown <= self._max_growth, f"the state has grown by {grown}")
        return events

    def _require(self, line: str, holds: bool, what: str) -> None:
        if not holds:
            raise self._broken(line, what)

    def _broken(self, line: str, what: str) -> Broken:
        scene = self._scene
        where = f"{scene.name!r}, version {scene.state.version}, line limit {scene.line_limit}"
        return Broken(f"{what}\nin {where}\nby {line!r}\nafter {self._history}")

    def _check(self, line: str, events: list[Event], most: int, forged: bool) -> None:
        self._require(line, len(events) <= most, f"{len(events)} events")
        sent = 0
        for event in events:
            match event:
                case Transmit():
                    self._check_transmit(line, event)
                    sent += sum(map(len, event.lines))
                case SessionOpened(info=info):
                    # In version 4 a peer may show another forging key, which makes another fingerprint.
                    theirs = info.their_fingerprint == identity(PEER).fingerprint_in(info.version)
                    theirs |= forged and info.version == VERSION_4
                    self._require(line, theirs, "a session with somebody else")
                case SmpSucceeded():
                    raise self._broken(line, "unequal secrets are taken for equal ones")
                case MemoryChanged(memory=memory):
                    self._require(line, _verified(memory) <= self._verified, "a key is trusted")
                case Resent(text=text) | NotSent(text=text):
                    self._require(line, CANARY in text, f"never typed: {text!r}")
                case _:
                    pass
        self._require(line, sent <= MAX_SENT, f"{sent} characters are sent")

    def _check_waiting(self, line: str, events: list[Event], before: Counter[str]) -> None:
        """What waited either still does, has come back, or has left together with others; none is lost."""
        gone = before - waiting_texts(self._talk)
        back = Counter(event.text for event in events if isinstance(event, NotSent))
        if not gone - back:
            return
        opened = any(isinstance(event, SessionOpened) for event in events)
        said = sum(isinstance(event, Transmit) for event in events)
        self._require(line, opened and said >= (gone - back).total(), "a text of the user is lost")

    def _check_transmit(self, line: str, transmit: Transmit) -> None:
        self._require(line, not transmit.plain, "a text is sent in the clear")
        limit = self._scene.line_limit
        for sent in transmit.lines:
            self._require(line, CANARY not in sent, "what was typed is sent in the clear")
            ours = sent.startswith("?OTR") and sent.isascii() and sent.isprintable()
            self._require(line, ours, f"sent: {sent!r}")
            self._require(line, limit is None or len(sent) <= limit, f"{len(sent)} characters in a line")

    def _check_texts(self, line: str, events: list[Event]) -> None:
        """What passes for encrypted was said by the peer, and is heard once."""
        for event in events:
            if isinstance(event, Received) and event.protection is Protection.ENCRYPTED:
                self._require(line, event.text in self._unheard, f"taken for encrypted: {event.text!r}")
                self._unheard.remove(event.text)

    def _check_refused(self, line: str, events: list[Event], unchanged: bool) -> None:
        try:
            assert_little_is_said(events)
        except AssertionError as error:
            raise self._broken(line, f"too much is said: {events}") from error
        if not self._history:
            if self._refused % SNAPSHOT_EVERY == 0:
                same = picture_of(self._talk) == self._original
                self._require(line, same == unchanged, "a snapshot says something else than the likeness")
            self._refused += 1
        self._require(line, unchanged, f"refused ({events}), and the state is another")


def _verified(memory: PeerMemory) -> frozenset[bytes]:
    return frozenset(key.fingerprint.digest for key in memory.keys if key.trust is not Trust.NONE)


def _is_fragment(line: str) -> bool:
    try:
        return parse_fragment(line) is not None
    except MalformedMessage:
        return False
