"""Ten thousand inputs in every state of version 4, by a seeded mutator, and what always holds.

The messages of versions 2 and 3 have a mutator that knows each of their fields; here the bytes, the header,
the characters and the pieces are changed, and behind the MAC whatever a data message says and counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random

import pytest

from otrcore.conversation import Conversation
from otrcore.crypto.cipher import chacha20
from otrcore.events import Event, MemoryChanged, Received, Rejected, SessionOpened, SmpSucceeded, Transmit
from otrcore.model import MessageState, Protection
from otrcore.session import Encrypted
from otrcore.v4 import kdf
from otrcore.v4.channel import DataChannel
from otrcore.wire import codec
from otrcore.wire import text as wire_text
from otrcore.wire.fragment import MAX_PIECES, cut
from otrcore.wire.header import VERSION_4, Header, MessageType, parse_header
from otrcore.wire.messages4 import DataMessage
from otrcore.wire.tlv import Tlv, join
from tests.fuzz.likeness import Likeness, alike
from tests.pair import TAGS, Pair, identity
from tests.robustness.hostile import assert_little_is_said
from tests.robustness.scenes import PEER, SUBJECT
from tests.robustness.scenes4 import ENCRYPTED, SCENES, dake_state, message_of, play
from tests.snapshot import snapshot, uncopied

INPUTS = 300
"""Lines for each state."""

PATIENCE = 30
"""Changes of the state before the conversation is set back."""

CANARY = "typed by the user, and for nobody else to read"
MARKS = (
    "?OTR",
    "?OTR:",
    "?OTRv4?",
    "?OTRv34?",
    "?OTR Error: ERROR_2: x",
    "?OTR|",
    "?OTR,",
    " \t  \t\t\t\t \t \t \t  ",
)
NUMBERS = (0, 1, 2, 3, 4, 1000, 1001, 1002, 2**31, 2**32 - 1)
TYPES = (0x02, 0x03, 0x0A, 0x11, 0x12, 0x35, 0x36, 0x37, 0x0D, 0xFF)


@dataclass(frozen=True)
class Attempt:
    """Lines to hand over; `forged` ones are made with the peer's own keys, and may be understood."""

    level: str
    lines: tuple[str, ...]
    forged: bool = False


class Mutator:
    """Makes attempts out of what was said, is said and will be said in a scene."""

    def __init__(self, pair: Pair, seed: object) -> None:
        self._random = Random(f"{seed}")
        later = pair.copy()
        later.clear()
        for talk in later.talks.values():
            talk.line_limit = None
        later.settle()
        later.wait(60.0)
        later.start(SUBJECT)
        for text in ("a later text", "the last text"):
            later.say(PEER, text)
            later.say(SUBJECT, "the subject's own text")
        later.end(PEER)
        spoken = [*pair.lines, *later.lines]
        self._due = [line for line in pair.on_the_way[SUBJECT] if line.startswith("?OTR:")]
        self._waiting = tuple(pair.on_the_way[SUBJECT])
        self._theirs = [line for side, line in spoken if side == PEER and line.startswith("?OTR:")]
        self._ours = [line for side, line in spoken if side == SUBJECT and line.startswith("?OTR:")]
        self._channel = _channel_of(pair.copy().talks[PEER])

    def attempt(self) -> Attempt:
        """Return what to do next."""
        kinds = [self._bytes, self._bytes, self._header, self._characters, self._pieces, self._replay]
        if self._channel is not None:
            kinds += [self._plaintext, self._numbers]
        return self._random.choice(kinds)()

    def _real(self) -> str:
        random = self._random
        if self._due and random.random() < 0.5:
            return random.choice(self._due)
        return random.choice(self._theirs if random.random() < 0.9 else self._ours)

    def _damaged(self, content: bytes) -> bytes:
        random = self._random
        damaged = bytearray(content)
        for _ in range(random.choice((1, 1, 1, 2, 5))):
            at = random.randrange(len(damaged) + 1)
            match random.randrange(6):
                case 0:
                    del damaged[at : at + random.choice((1, 4, 57, 200))]
                case 1:
                    damaged[at:at] = random.randbytes(random.choice((1, 4, 57, 200)))
                case 2:
                    damaged[at : at + 4] = random.choice(NUMBERS).to_bytes(4, "big")
                case 3:
                    damaged[at:at] = damaged[at - random.choice((4, 57, 114)) : at]
                case _:
                    if at < len(damaged):
                        damaged[at] ^= 1 << random.randrange(8)
        return bytes(damaged)

    def _bytes(self) -> Attempt:
        raw = wire_text.decode(self._real())
        return Attempt("bytes", (wire_text.encode(raw[:11] + self._damaged(raw[11:])),))

    def _header(self) -> Attempt:
        random = self._random
        raw = wire_text.decode(self._real())
        tags = (0, 1, 0x100, 0x5A5A, TAGS[PEER], TAGS[PEER], TAGS[SUBJECT], TAGS[SUBJECT], 2**32 - 1)
        genuine = parse_header(raw)
        header = random.choice(
            (
                replace(genuine, sender_tag=random.choice(tags)),
                replace(genuine, receiver_tag=random.choice(tags)),
                replace(genuine, type=random.choice(TYPES)),
                Header(random.choice((0, 3, 4, 5)), random.choice(TYPES), *random.choices(tags, k=2)),
            )
        )
        return Attempt("header", (wire_text.encode(header.serialise() + raw[11:]),))

    def _characters(self) -> Attempt:
        random = self._random
        line = self._real()
        match random.randrange(3):
            case 0:
                return Attempt("characters", (random.choice(MARKS) + random.choice(("", line, "x" * 50)),))
            case 1:
                at = random.randrange(len(line))
                return Attempt("characters", (line[:at], line[at:]))
            case _:
                return Attempt("characters", (self._damaged(line.encode()).decode("latin-1"),))

    def _pieces(self) -> Attempt:
        random = self._random
        line = self._real()
        header = parse_header(wire_text.decode(line))
        identifier = random.choice((0, 1, 2, 2**32 - 1))
        pieces = list(cut(line, max(120, len(line) // random.randrange(1, 6) + 60), header, identifier))
        match random.randrange(6):
            case 0:
                random.shuffle(pieces)
            case 1:
                pieces.insert(random.randrange(len(pieces)), random.choice(pieces))
            case 2:
                del pieces[random.randrange(len(pieces))]
            case 3:
                pieces = [self._damaged(piece.encode()).decode("latin-1") for piece in pieces]
            case 4:
                number = random.choice((0, 1, 9, MAX_PIECES, 65536))
                head = f"?OTR|{identifier:x}|{TAGS[PEER]:x}|{TAGS[SUBJECT]:x}"
                pieces = [f"{head},{at},{number},{line[:300]}," for at in random.sample(range(20), 3)]
            case _:
                pass
        return Attempt("pieces", tuple(pieces))

    def _replay(self) -> Attempt:
        if self._random.random() < 0.2:
            return Attempt("replay", self._waiting or (self._real(),))
        return Attempt("replay", tuple(self._real() for _ in range(self._random.choice((1, 1, 3)))))

    def _content(self) -> bytes:
        random = self._random
        records = [
            Tlv(random.choice((*range(10), 0xFFFF)), random.randbytes(random.choice((0, 1, 4, 57, 400))))
            for _ in range(random.choice((0, 1, 1, 3)))
        ]
        content = join(random.choice((b"", b"text", b"\xff\xfe")), records)
        return self._damaged(content) if random.random() < 0.3 else content

    def _plaintext(self) -> Attempt:
        """A data message in which everything is right but what it says."""
        assert self._channel is not None
        header = Header(VERSION_4, MessageType.DATA, TAGS[PEER], TAGS[SUBJECT])
        raw = self._channel._ratchet.encrypt(self._content(), header, self._random.choice((0, 1, 0xFF)))
        return Attempt("plaintext", (wire_text.encode(raw),), forged=True)

    def _numbers(self) -> Attempt:
        """A data message whose MAC is right, and whose counts and keys are not."""
        assert self._channel is not None
        random, ratchet = self._random, self._channel._ratchet
        ratchet.take_turn()
        sending = ratchet._sending
        message = DataMessage(
            Header(VERSION_4, MessageType.DATA, TAGS[PEER], TAGS[SUBJECT]),
            random.choice((0, 1)),
            ratchet._previous_count,
            sending.ratchet_id,
            sending.count,
            ratchet._ecdh.public.encoded,
            ratchet._dh.public if sending.ratchet_id % 3 == 0 else None,
            b"",
        )
        change = random.choice(
            (
                {"previous_count": random.choice(NUMBERS)},
                {"ratchet_id": random.choice(NUMBERS)},
                {"message_id": random.choice(NUMBERS)},
                {"ecdh": random.choice((bytes(57), b"\1" + bytes(56), b"\xff" * 57, random.randbytes(57)))},
                {"dh": random.choice((None, 1, 2, ratchet._dh.public, 2**3072, 2**3072 + 1))},
            )
        )
        key = kdf.message_key(sending.key)
        message = replace(message, **change, encrypted=chacha20(key[:32], self._content()))
        authenticated = message.authenticated()
        mac = kdf.authenticator(kdf.mac_key(key), authenticated)
        revealed = codec.data(random.randbytes(random.choice((0, 64, 128, 63))))
        return Attempt("numbers", (wire_text.encode(authenticated + mac + revealed),), forged=True)


def _channel_of(talk: Conversation) -> DataChannel | None:
    if talk.state is not MessageState.ENCRYPTED:
        return None
    state = talk._instances.session()._state
    assert isinstance(state, Encrypted)
    assert isinstance(state.channel, DataChannel)
    return state.channel


class Watch:
    """Hands lines to the subject of a scene, and looks at what must hold after each."""

    def __init__(self, name: str) -> None:
        self._original = play(name)
        self._shared = {id(value): value for value in uncopied(self._original)}
        self.met: Counter[str] = Counter()
        self.refused = self.accepted = 0
        self._set_back()

    def _set_back(self) -> None:
        self._pair = self._original.copy()
        self._talk = self._pair.talks[SUBJECT]
        self._private = self._talk.state is not MessageState.PLAINTEXT or self._talk.starting
        if self._private:
            for event in self._talk.send(CANARY):
                assert not isinstance(event, Transmit) or not event.plain
        self._likeness = Likeness(dict(self._shared))
        self._now = self._likeness.of(self._talk)
        self._changes = 0
        self._begun = self._place()
        self._heard: set[str] = {
            event.text for event in self._pair.of_kind(SUBJECT, Received) if event.text != CANARY
        }

    def give(self, attempt: Attempt) -> None:
        for line in attempt.lines:
            self.met[attempt.level] += 1
            begun = not self._talk._rejoiner.empty
            events = self._talk.receive(line)
            self._check(line, events, attempt.forged)
            now = self._likeness.of(self._talk)
            unchanged = alike(now, self._now)
            if any(isinstance(event, Rejected) for event in events) and not begun:
                self.refused += 1
                assert_little_is_said(events)
                assert unchanged, (events, line)
            if not unchanged:
                self.accepted += 1
                self._changes += 1
                self._now = now
        if self._changes > PATIENCE or self._place() != self._begun:
            self._set_back()

    def _place(self) -> tuple[MessageState, type[object]]:
        """Where the conversation stands: that is what the scenes differ in."""
        return self._talk.state, type(dake_state(self._talk))

    def _check(self, line: str, events: list[Event], forged: bool) -> None:
        assert len(events) < 30, line
        for event in events:
            match event:
                case Transmit(lines=lines, plain=plain):
                    assert not plain
                    assert all(sent.startswith("?OTR") and sent.isascii() for sent in lines)
                    assert not any(CANARY in sent for sent in lines)
                case SessionOpened(info=info):
                    assert info.their_fingerprint == identity(PEER).fingerprint_4
                case SmpSucceeded():
                    raise AssertionError("nobody has given a secret")
                case MemoryChanged(memory=memory):
                    assert not memory.verified
                case Received(text=text, protection=Protection.ENCRYPTED) if not forged:
                    assert text not in self._heard, "heard twice"
                    self._heard.add(text)
                    assert text in THEIRS or text.startswith(("text ", "lost ")), f"forged: {text!r}"
                case _:
                    pass


MOVED_ON = {"encrypted, waiting for Auth-I", "encrypted, yielded"}
"""Where the peer has a newer session already, of which the subject does not know yet."""

THEIRS = {"on its way", "a later text", "the last text"}


@pytest.mark.parametrize("name", SCENES)
def test_whatever_comes(name: str, record_property: Callable[[str, object], None]) -> None:
    watch, mutator = Watch(name), Mutator(play(name), name)
    while watch.met.total() < INPUTS:
        watch.give(mutator.attempt())
    levels = {"bytes", "header", "characters", "pieces", "replay"}
    has_keys = play(name).talks[PEER].state is MessageState.ENCRYPTED
    assert watch.met.keys() == (levels | {"plaintext", "numbers"} if has_keys else levels)
    # Not everything is refused: real messages that are due are among the inputs.
    assert watch.accepted > 5
    assert watch.refused > INPUTS // 5


@pytest.mark.parametrize("name", [name for name in ENCRYPTED if name not in MOVED_ON])
def test_behind_the_mac_everything_is_reached(name: str) -> None:
    """What the peer's own keys make is never refused for a wrong MAC, nor for what it says."""
    pair = play(name)
    mutator, talk = Mutator(pair, 0), pair.copy().talks[SUBJECT]
    kinds: Counter[type[Event]] = Counter()
    for line in _plaintexts(mutator, 60):
        if talk.state is MessageState.ENCRYPTED:
            kinds.update(map(type, talk.receive(line)))
        else:
            talk = pair.copy().talks[SUBJECT]
            mutator = Mutator(pair, kinds.total())
    assert kinds[Received] > 5


def _plaintexts(mutator: Mutator, count: int) -> Iterator[str]:
    for _ in range(count):
        yield from mutator._plaintext().lines


def test_hostility_does_not_pile_up() -> None:
    """The same inputs once more leave no more behind than the first time; nothing is set back here."""
    pair = play("encrypted, keys rotated")
    mutator = Mutator(pair, 1)
    attempts = [attempt for attempt in (mutator.attempt() for _ in range(400)) if not attempt.forged]
    talk = pair.copy().talks[SUBJECT]
    sizes = []
    for _ in range(3):
        for attempt in attempts:
            for line in attempt.lines:
                talk.receive(line)
        picture = snapshot(talk)
        assert isinstance(picture, dict)
        sizes.append(len(repr({key: one for key, one in picture.items() if key != "_reassembler"})))
    assert sizes[2] <= sizes[1] + 1_000
    assert message_of(pair.on_the_way[SUBJECT][0])
