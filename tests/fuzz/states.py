"""The states that inputs are thrown at, each reached by real messages, and every look inside that needs.

A room is a state of `SUBJECT` with what the peer has said, says now and will say; whatever the
fuzzer knows of the insides of a conversation (its state's name, the peer's keys) is asked for here.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache

from otrcore.account import Account
from otrcore.conversation import RESENT_MARK, Conversation
from otrcore.crypto.cipher import aes_ctr
from otrcore.events import Event, Received, Transmit
from otrcore.memory import KnownKey, PeerMemory
from otrcore.model import MessageState, Trust
from otrcore.protocols import Step
from otrcore.session import Encrypted
from otrcore.smp import machine
from otrcore.smp.verification import Verification
from otrcore.v3.ake import Ake, AuthStateNone, AwaitingDhKey, AwaitingRevealSignature, AwaitingSignature
from otrcore.wire import text as wire_text
from otrcore.wire.header import ANY_INSTANCE
from otrcore.wire.messages3 import DataMessage, DhKey, RevealSignature, Signature
from otrcore.wire.tlv import Tlv, split
from tests.fuzz.likeness import PUT_TOGETHER, Likeness
from tests.pair import TAGS, Clock, Pair, Seeded, Side, identity, seeded, speaking
from tests.robustness.scenes import PEER, SCENES, SUBJECT, VERSIONS, WrongHash, channel_of, message_of
from tests.snapshot import snapshot, uncopied

CANARY = "typed by the user, and for nobody else to read"
SECRET_OF_SUBJECT, SECRET_OF_PEER = "the subject's secret", "the peer's secret"
"""Never equal, so that no SMP may ever succeed."""

DUE = "on its way"
IN_PIECES = "on its way in pieces"
LATER = ("a later text", "the last text")
BY_ANOTHER = "said by the peer's other client"
TEXTS = (DUE, IN_PIECES, *LATER, BY_ANOTHER)
"""What the peer says in an encrypted conversation, each text once, beside what was heard before."""

ANOTHER_TAG = 0x5A5A
"""The instance tag of another client of the peer, or of somebody who pretends to be one."""

NONE = "none"
AWAITING_DH_KEY = "awaiting D-H Key"
AWAITING_REVEAL_SIGNATURE = "awaiting Reveal Signature"
YIELDED = "yielded"
YIELDED_AND_ANSWERED = "yielded and answered"
AWAITING_SIGNATURE = "awaiting Signature"

EXPECT_1, AWAITING_ANSWER, EXPECT_2, EXPECT_3, EXPECT_4 = (
    "expect 1",
    "awaiting answer",
    "expect 2",
    "expect 3",
    "expect 4",
)
_SMP_STATES: dict[type[object], str] = {
    machine.Expect1: EXPECT_1,
    machine.AwaitingAnswer: AWAITING_ANSWER,
    machine.Expect2: EXPECT_2,
    machine.Expect3: EXPECT_3,
    machine.Expect4: EXPECT_4,
}


QUERY = "query sent"
QUEUED = "texts queued"
HELD = "text held"
LOST = "text lost"
BEGUN = "line begun"
ANOTHER_STARTS = "another client starts"
ANOTHER_TALKS = "another client talks"
ANOTHER_ASKS = "another client asks"
SERVED = "start taken up by another client"


@dataclass(frozen=True, slots=True)
class State:
    """What is counted: version, message state, authentication state; SMP state where there can be one.

    `beside` is what there is besides, as far as it decides what becomes of a line.
    """

    version: int
    message: MessageState
    exchange: str
    smp: str | None
    beside: frozenset[str] = frozenset()

    def __str__(self) -> str:
        parts = [f"v{self.version}", self.message.value, f"AKE {self.exchange}"]
        if self.smp:
            parts.append(f"SMP {self.smp}")
        return ", ".join((*parts, *sorted(self.beside)))


# --- looking inside ---------------------------------------------------------------------------------------


def state_of(talk: Conversation, version: int) -> State:
    """Return the state of the subject's conversation, as far as it concerns one version."""
    best = talk._instances._best()
    smp = None
    if best is not None and isinstance(best._state, Encrypted):
        assert isinstance(best._state.verification, Verification)
        smp = _SMP_STATES[type(best._state.verification._state)]
    return State(version, talk.state, _exchange_state(talk, version), smp, frozenset(_beside(talk)))


def _beside(talk: Conversation) -> Iterator[str]:
    instances, outbox = talk._instances, talk._outbox
    clients = [
        session for tag, session in instances._sessions.items() if tag not in (ANY_INSTANCE, TAGS[PEER])
    ]
    marks = {
        QUERY: talk._query_until is not None,
        QUEUED: bool(outbox._queue),
        HELD: bool(outbox.held),
        LOST: outbox._lost,
        BEGUN: not talk._rejoiner.empty,
        ANOTHER_STARTS: any(client.starting for client in clients),
        ANOTHER_TALKS: any(client.info for client in clients),
        ANOTHER_ASKS: any(client.smp_waiting for client in clients),
        SERVED: any(start.served - {TAGS[PEER]} for start in instances._broadcasts.values()),
    }
    return (mark for mark, there in marks.items() if there)


def _exchange_of(talk: Conversation, version: int, tag: int) -> Ake | None:
    """Return the exchange that concerns the instance with this tag: its own, or one with all."""
    instances = talk._instances
    session = instances._sessions.get(ANY_INSTANCE if version == 2 else tag)
    exchange = session.exchanges.get(version) if session else None
    start = instances._broadcasts.get(version)
    if exchange is None and start is not None and tag not in start.served:
        exchange = start.exchange
    assert exchange is None or isinstance(exchange, Ake)
    return exchange


def _exchange_state(talk: Conversation, version: int) -> str:
    exchange = _exchange_of(talk, version, TAGS[PEER])
    match exchange.state if exchange else AuthStateNone():
        case AuthStateNone():
            return NONE
        case AwaitingDhKey():
            return AWAITING_DH_KEY
        case AwaitingRevealSignature(yielded=None):
            return AWAITING_REVEAL_SIGNATURE
        case AwaitingRevealSignature(yielded=yielded):
            return YIELDED if yielded is None or yielded.answer is None else YIELDED_AND_ANSWERED
        case AwaitingSignature():
            return AWAITING_SIGNATURE


def picture_of(talk: Conversation) -> dict[str, object]:
    """Return all that a refused message must leave as it is."""
    picture = snapshot(talk, caches=False)
    assert isinstance(picture, dict)
    return {name: value for name, value in picture.items() if name not in PUT_TOGETHER}


def lines_begun(talk: Conversation) -> int:
    """Return how many lines wait for the rest of a message."""
    return len(talk._rejoiner._lines)


def waiting_texts(talk: Conversation) -> Counter[str]:
    """Return what was typed and has neither left nor come back."""
    return Counter((*talk._outbox._queue, *talk.held))


@dataclass(slots=True)
class SendingKeys:
    """What the peer's next data message is made with; `counter` is the last one that it used."""

    aes: bytes
    mac: bytes
    sender_keyid: int
    recipient_keyid: int
    next_dh: int
    counter: int


def sending_keys(talk: Conversation) -> SendingKeys:
    """Return those of an encrypted conversation."""
    ratchet = channel_of(talk)._ratchet
    pair = ratchet.sending_pair()
    keys = pair.sending
    public = ratchet.next_public()
    return SendingKeys(keys.aes, keys.mac, ratchet.our_keyid, ratchet.their_keyid, public, pair.sent)


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """What the peer's Reveal Signature or Signature is made with; `own` and `theirs` are D-H values."""

    line: str
    c: bytes
    m1: bytes
    m2: bytes
    own: int
    theirs: int


def signing_keys(pair: Pair, version: int) -> SigningKeys | None:
    """Return those of the signature that is on its way to the subject, None if none is."""
    due = next(iter(pair.on_the_way[SUBJECT]), "")
    message = message_of(due) if due.startswith(wire_text.ENCODED_MARK) else None
    signer: Side = PEER if isinstance(message, RevealSignature) else SUBJECT
    exchange = _exchange_of(pair.talks[signer], version, TAGS[SUBJECT if signer == PEER else PEER])
    if not isinstance(message, RevealSignature | Signature) or exchange is None:
        return None
    state = exchange.state
    assert isinstance(state, AwaitingSignature)
    keys, gx, gy = state.keys, state.commit.keys.public, state.answer.gy
    if isinstance(message, RevealSignature):
        return SigningKeys(due, keys.c, keys.m1, keys.m2, gx, gy)
    return SigningKeys(due, keys.c_prime, keys.m1_prime, keys.m2_prime, gy, gx)


@cache
def _smp_records() -> list[Tlv]:
    """Return every record of SMP that a peer may send, of one run in some session: all proofs in it hold."""
    pair = Pair(seed="records")
    pair.secure()
    asker, answerer = (channel_of(pair.talks[side]).verification(Seeded(side)) for side in (PEER, SUBJECT))

    def sent(step: Step | None) -> Tlv:
        assert step is not None
        return step.records[-1]

    first = sent(asker.ask(SECRET_OF_PEER.encode(), b"who is it?"))
    answerer.receive(first)
    second = sent(answerer.answer(SECRET_OF_SUBJECT.encode()))
    third = sent(asker.receive(second))
    fourth = sent(answerer.receive(third))
    without_question = sent(asker.ask(SECRET_OF_PEER.encode(), None))
    return [first, without_question, second, third, fourth, sent(asker.abort())]


def _records_due(pair: Pair) -> list[Tlv]:
    """Return the records in the data message that is on its way to the subject."""
    due = next(iter(pair.on_the_way[SUBJECT]), "")
    message = message_of(due) if due.startswith(wire_text.ENCODED_MARK) else None
    if not isinstance(message, DataMessage):
        return []
    _, records = split(aes_ctr(sending_keys(pair.talks[PEER]).aes, message.counter, message.encrypted))
    return list(records)


# --- building ---------------------------------------------------------------------------------------------

Build = Callable[[Pair], None]


def _nothing(pair: Pair) -> None:
    """Two people who have not spoken yet."""


def _asked(pair: Pair) -> None:
    pair.do(PEER, pair.talks[PEER].smp_start(SECRET_OF_PEER, "who is it?"))


def _awaiting_answer(pair: Pair) -> None:
    _asked(pair)
    pair.deliver(SUBJECT)
    pair.do(PEER, pair.talks[PEER].smp_abort())


def _expect_2(pair: Pair) -> None:
    pair.do(SUBJECT, pair.talks[SUBJECT].smp_start(SECRET_OF_SUBJECT))
    pair.deliver(PEER)
    pair.do(PEER, pair.talks[PEER].smp_answer(SECRET_OF_PEER))


def _expect_3(pair: Pair) -> None:
    _asked(pair)
    pair.deliver(SUBJECT)
    pair.do(SUBJECT, pair.talks[SUBJECT].smp_answer(SECRET_OF_SUBJECT))
    pair.deliver(PEER)


def _expect_4(pair: Pair) -> None:
    _expect_2(pair)
    pair.deliver(SUBJECT)
    pair.deliver(PEER)


def _fragment_of_data(pair: Pair) -> None:
    pair.talks[PEER].line_limit = 120
    pair.do(PEER, pair.talks[PEER].send(IN_PIECES))
    pair.deliver(SUBJECT)


def _begun(build: Build) -> Build:
    """What is on its way then comes in two lines, and only the first has come."""

    def cut(pair: Pair) -> None:
        build(pair)
        line = pair.on_the_way[SUBJECT].popleft()
        pair.hand(SUBJECT, line[: len(line) // 2])
        pair.on_the_way[SUBJECT].appendleft(line[len(line) // 2 :])

    return cut


def _say_again(pair: Pair) -> None:
    pair.do(PEER, pair.talks[PEER].send(IN_PIECES))


def _type_twice(pair: Pair) -> None:
    for number in range(2):
        pair.do(SUBJECT, pair.talks[SUBJECT].send(f"{CANARY} ({number})"))


def _answered(pair: Pair) -> None:
    """The subject's query has led to the peer's Reveal Signature, which is on its way."""
    for side in (PEER, SUBJECT, PEER):
        pair.deliver(side)


def _typed_and_answered(pair: Pair) -> None:
    _type_twice(pair)
    _answered(pair)


def _typed_in(exchange: str) -> Build:
    def build(pair: Pair) -> None:
        SCENES[exchange](pair)
        _type_twice(pair)

    return build


def _held(pair: Pair) -> None:
    """A text was typed for a peer whose verified key is another one than it has now."""
    account = pair.accounts[SUBJECT]
    account.forget(PEER)
    memory = PeerMemory(keys=(KnownKey(identity("rogue").fingerprint, Trust.COMPARED),))
    talk = pair.talks[SUBJECT] = account.conversation(PEER, memory)
    pair.do(SUBJECT, talk.start())
    pair.do(SUBJECT, talk.send(CANARY))
    pair.settle()
    pair.do(PEER, pair.talks[PEER].send(DUE))


def _lost(pair: Pair) -> None:
    """The peer could not read what was typed last."""
    pair.do(SUBJECT, pair.talks[SUBJECT].send(CANARY))
    pair.on_the_way[PEER].clear()
    pair.hand(SUBJECT, "?OTR Error: this could not be read")


def _lost_and_restarted(pair: Pair) -> None:
    _lost(pair)
    _answered(pair)


def _other_client(pair: Pair) -> Conversation:
    """Return the subject's peer at another client."""
    random = seeded("the other client")
    account = Account(identity(PEER), speaking(3), instance_tag=ANOTHER_TAG, random=random, clock=pair.clock)
    return account.conversation(SUBJECT)


def _exchange_lines(pair: Pair, client: Conversation, line: str) -> Iterator[str]:
    """Hand a line to the other client, and what it says to the subject; and so on with what that answers."""
    for said in _lines(client.receive(line)):
        yield said
        for answer in _lines(pair.hand(SUBJECT, said)):
            yield from _exchange_lines(pair, client, answer)


def _lines(events: Iterable[Event]) -> list[str]:
    return [line for event in events if isinstance(event, Transmit) for line in event.lines]


def _another_starts(pair: Pair) -> None:
    """Its Reveal Signature is on its way."""
    client = _other_client(pair)
    commit = _lines(client.receive("?OTRv3?"))
    answer = _lines(pair.hand(SUBJECT, commit[0]))
    pair.do(PEER, client.receive(answer[0]))


def _another_talks(pair: Pair) -> None:
    """It has asked a question, the peer's usual client came then, and both have a text on its way."""
    client = _other_client(pair)
    list(_exchange_lines(pair, client, "?OTRv3?"))
    _BEFORE[_SECURE](pair)
    pair.hand(SUBJECT, _lines(client.smp_start(SECRET_OF_PEER, "who is it?"))[0])
    pair.do(PEER, client.send(BY_ANOTHER))


def _served(pair: Pair, *, finished: bool) -> None:
    """A start was answered by the other client first; the D-H Key of the usual one is on its way."""
    client = _other_client(pair)
    pair.do(PEER, pair.talks[PEER].start())
    pair.deliver(SUBJECT)
    commit = pair.on_the_way[PEER][0]
    if finished:
        list(_exchange_lines(pair, client, commit))
    else:
        pair.hand(SUBJECT, _lines(client.receive(commit))[0])
    pair.deliver(PEER)
    assert isinstance(message_of(pair.on_the_way[SUBJECT][0]), DhKey)


def _served_and_waiting(pair: Pair) -> None:
    _served(pair, finished=False)


def _served_and_talking(pair: Pair) -> None:
    _served(pair, finished=True)


def _then(*builds: Build) -> Build:
    """One after the other, each after a rest."""

    def build(pair: Pair) -> None:
        for one in builds:
            pair.settle()
            pair.wait(100)
            one(pair)

    return build


@dataclass(frozen=True, slots=True)
class Room:
    """How a state is reached, and which it is to be."""

    build: Build
    message: MessageState
    exchange: str = NONE
    smp: str | None = None
    beside: frozenset[str] = frozenset()
    versions: tuple[int, ...] = VERSIONS
    require_encryption: bool = False
    start_on_error: bool = False

    def state(self, version: int) -> State:
        """What `state_of` must say."""
        encrypted = self.message is MessageState.ENCRYPTED
        smp = EXPECT_1 if encrypted and self.smp is None else self.smp
        # What is typed while a conversation is being set up waits for it.
        starting = self.exchange != NONE or QUERY in self.beside
        queued = {QUEUED} if starting and not encrypted else set()
        return State(version, self.message, self.exchange, smp, self.beside | queued)


_BEFORE: dict[MessageState, Build] = {
    MessageState.PLAINTEXT: _nothing,
    MessageState.ENCRYPTED: SCENES["encrypted, keys rotated"],
    MessageState.FINISHED: SCENES["finished"],
}
_EXCHANGES = (AWAITING_DH_KEY, AWAITING_REVEAL_SIGNATURE, YIELDED, YIELDED_AND_ANSWERED, AWAITING_SIGNATURE)
_SMP: dict[str, Build] = {
    EXPECT_1: _asked,
    AWAITING_ANSWER: _awaiting_answer,
    EXPECT_2: _expect_2,
    EXPECT_3: _expect_3,
    EXPECT_4: _expect_4,
}
_PLAIN, _SECURE = MessageState.PLAINTEXT, MessageState.ENCRYPTED

ROOMS: dict[str, Room] = {
    **{message.value: Room(before, message) for message, before in _BEFORE.items()},
    **{
        f"{message.value}, {exchange}": Room(
            _then(before, SCENES[exchange]),
            message,
            exchange,
            # In version 2 an answer to a Commit that yielded leads on at once.
            versions=(3,) if exchange == YIELDED_AND_ANSWERED else VERSIONS,
        )
        for message, before in _BEFORE.items()
        for exchange in _EXCHANGES
    },
    **{
        f"encrypted, SMP {smp}": Room(_then(_BEFORE[_SECURE], build), _SECURE, smp=smp)
        for smp, build in _SMP.items()
    },
    "encrypted as initiator": Room(SCENES["encrypted as initiator"], _SECURE),
    "encrypted as responder": Room(SCENES["encrypted as responder"], _SECURE),
    "encrypted, query sent": Room(SCENES["encrypted, query sent"], _SECURE, beside=frozenset({QUERY})),
    "plaintext, query sent": Room(SCENES["query sent"], _PLAIN, beside=frozenset({QUERY})),
    "plaintext, ended by us": Room(SCENES["ended by us"], _PLAIN),
    "plaintext, fragments": Room(SCENES["in the middle of fragments"], _PLAIN, AWAITING_REVEAL_SIGNATURE),
    "encrypted, fragments": Room(_then(_BEFORE[_SECURE], _fragment_of_data), _SECURE),
    "plaintext, line begun": Room(
        _begun(SCENES[AWAITING_REVEAL_SIGNATURE]),
        _PLAIN,
        AWAITING_REVEAL_SIGNATURE,
        beside=frozenset({BEGUN}),
    ),
    "encrypted, line begun": Room(
        _then(_BEFORE[_SECURE], _begun(_say_again)), _SECURE, beside=frozenset({BEGUN})
    ),
    "required, query sent": Room(_type_twice, _PLAIN, beside=frozenset({QUERY}), require_encryption=True),
    f"required, {AWAITING_REVEAL_SIGNATURE}": Room(
        _typed_and_answered, _PLAIN, AWAITING_REVEAL_SIGNATURE, require_encryption=True
    ),
    **{
        f"required, {exchange}": Room(_typed_in(exchange), _PLAIN, exchange, require_encryption=True)
        for exchange in (AWAITING_DH_KEY, AWAITING_SIGNATURE)
    },
    "encrypted, text held": Room(_held, _SECURE, beside=frozenset({HELD})),
    "encrypted, text lost": Room(_then(_BEFORE[_SECURE], _lost), _SECURE, beside=frozenset({LOST})),
    "encrypted, text lost, started again": Room(
        _then(_BEFORE[_SECURE], _lost_and_restarted),
        _SECURE,
        AWAITING_REVEAL_SIGNATURE,
        beside=frozenset({LOST}),
        start_on_error=True,
    ),
    "encrypted, another client starts": Room(
        _then(_BEFORE[_SECURE], _another_starts), _SECURE, beside=frozenset({ANOTHER_STARTS}), versions=(3,)
    ),
    "encrypted, another client talks": Room(
        _another_talks, _SECURE, beside=frozenset({ANOTHER_TALKS, ANOTHER_ASKS}), versions=(3,)
    ),
    "plaintext, start taken up by another client": Room(
        _served_and_waiting,
        _PLAIN,
        AWAITING_DH_KEY,
        beside=frozenset({ANOTHER_STARTS, SERVED}),
        versions=(3,),
    ),
    "encrypted, start taken up by another client": Room(
        _served_and_talking,
        _SECURE,
        AWAITING_DH_KEY,
        beside=frozenset({ANOTHER_TALKS, SERVED}),
        versions=(3,),
    ),
}

EVERYWHERE = [(name, version) for name, room in ROOMS.items() for version in room.versions]
"""Every room in every version that has it."""

SETTINGS: tuple[int | None, ...] = (None, 100)
"""The subject's line limit, by seed: with the first it speaks one version, with the other it accepts both,
starts on whitespace tags, and pads what it says."""


@dataclass(slots=True)
class Scene:
    """A room that was entered: what can be said in it, and a conversation that can be had again and again.

    `due` are the peer's lines on their way to the subject.  `peers` and `own` are all encoded messages
    that were and will be said, `others` those of the peer in another session.  `tags` are those of the
    clients that the peer has.  `texts` are those of the peer that the subject has not heard yet.
    """

    name: str
    state: State
    versions: frozenset[int]
    tags: frozenset[int]
    line_limit: int | None
    due: list[str]
    peers: list[str]
    own: list[str]
    others: list[str]
    sending: SendingKeys | None
    signing: SigningKeys | None
    records: list[Tlv]
    texts: frozenset[str]
    _original: tuple[Conversation, Clock]
    _fixed: dict[int, object] = field(init=False)
    """Values that never change, by identity: all conversations of the scene share them."""

    def __post_init__(self) -> None:
        likeness = Likeness({id(value): value for value in uncopied(self._original)})
        talk, _ = self._original
        likeness.of(talk)
        self._fixed = likeness.fixed

    def again(self) -> tuple[Conversation, Clock]:
        """Return the subject's conversation in the state of the room, and its clock."""
        return copy.deepcopy(self._original, dict(self._fixed))

    def likeness(self) -> Likeness:
        """Return what makes lists of such a conversation."""
        return Likeness(self._fixed)


def enter(name: str, version: int, seed: int) -> Scene:
    """Reach a state by real messages; the same each time but for identities and their signatures."""
    pair = _built(name, version, seed).copy()
    talk = pair.talks[SUBJECT]
    private = talk.state is not MessageState.PLAINTEXT or talk.starting
    if private and LOST not in ROOMS[name].beside:
        # From here on this text is the fuzzer's to look for; what was lost is the text typed last.
        pair.do(SUBJECT, talk.send(CANARY))
    talk.line_limit = SETTINGS[seed]
    secure = all(one.state is MessageState.ENCRYPTED for one in pair.talks.values())
    said = _later(pair).lines
    heard = {event.text for event in pair.of_kind(SUBJECT, Received)}
    others = ROOMS[name].beside & {ANOTHER_STARTS, ANOTHER_TALKS}
    return Scene(
        name=name,
        state=state_of(talk, version),
        versions=_versions_of_subject(version, seed),
        tags=frozenset({TAGS[PEER], ANOTHER_TAG} if others else {TAGS[PEER]}),
        line_limit=SETTINGS[seed],
        due=list(pair.on_the_way[SUBJECT]),
        peers=_whole(line for side, line in said if side == PEER),
        own=_whole(line for side, line in said if side == SUBJECT),
        others=[line for other in VERSIONS for line in _strangers(other)],
        sending=sending_keys(pair.talks[PEER]) if secure else None,
        signing=signing_keys(pair, version),
        records=[*_records_due(pair), *_smp_records()] if secure else [],
        texts=frozenset(mark + text for text in TEXTS for mark in ("", RESENT_MARK)) - heard,
        _original=(talk, pair.clock),
    )


def _versions_of_subject(version: int, seed: int) -> frozenset[int]:
    return frozenset({version}) if seed == 0 else frozenset(VERSIONS)


@cache
def _built(name: str, version: int, seed: int) -> Pair:
    policy = speaking(*_versions_of_subject(version, seed))
    room = ROOMS[name]
    ours = replace(
        policy,
        start_on_tag=seed != 0,
        padding=128 if seed else 0,
        require_encryption=room.require_encryption,
        start_on_error=room.start_on_error,
    )
    for attempt in range(50):
        policies = (ours, speaking(version)) if SUBJECT == "alice" else (speaking(version), ours)
        pair = Pair(policies=policies, seed=f"{name}/{version}/{seed}/{attempt}")
        try:
            room.build(pair)
        except WrongHash:
            continue
        return pair
    raise AssertionError("the subject's hash was the higher one fifty times")


def _later(pair: Pair) -> Pair:
    """Return how it goes on if nobody interferes: to an encrypted conversation, and to its end."""
    later = pair.copy()
    for talk in later.talks.values():
        talk.line_limit = None
    later.settle()
    later.start(SUBJECT)
    later.agreed()
    later.say(PEER, LATER[0])
    later.say(SUBJECT, "the subject's own text")
    later.say(PEER, LATER[1])
    later.end(PEER)
    return later


def _whole(lines: Iterable[str]) -> list[str]:
    """Return the lines that hold a whole encoded message, each once."""
    return list(dict.fromkeys(line for line in lines if line.startswith(wire_text.ENCODED_MARK)))


@cache
def _strangers(version: int) -> list[str]:
    """Return what the peer said in a session that the subject knows nothing of."""
    pair = Pair(version=version, seed="strangers")
    _BEFORE[_SECURE](pair)
    return _whole(line for side, line in pair.lines if side == PEER)
