"""The states that inputs are thrown at, and every look inside that needs.

Whatever the fuzzer knows of the insides of a conversation (its state's name, the peer's keys) is asked
for here.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from otrcore.conversation import Conversation
from otrcore.crypto.ed448 import Point
from otrcore.crypto.ring import Ring
from otrcore.model import MessageState
from otrcore.session import Encrypted
from otrcore.smp import machine
from otrcore.smp.verification import Verification
from otrcore.v3.ake import Ake, AuthStateNone, AwaitingDhKey, AwaitingRevealSignature, AwaitingSignature
from otrcore.v3.channel import DataChannel
from otrcore.v4.channel import DataChannel as DataChannel4
from otrcore.v4.dake import Dake, Done, Start, WaitingAuthI, WaitingAuthR
from otrcore.v4.ratchet import Ratchet
from otrcore.wire import messages4
from otrcore.wire.header import ANY_INSTANCE, VERSION_2, VERSION_4
from otrcore.wire.messages3 import RevealSignature, Signature
from otrcore.wire.text import ENCODED_MARK
from otrcore.wire.tlv import Tlv
from tests.fuzz.formats import message_of
from tests.fuzz.likeness import PUT_TOGETHER, Likeness
from tests.pair import OTHER, TAGS, Clock, Pair, Side, identity
from tests.robustness.scenes import PEER, SUBJECT
from tests.snapshot import snapshot, uncopied

CANARY = "typed by the user, and for nobody else to read"

ANOTHER_TAG = 0x5A5A
"""The instance tag of another client of the peer, or of somebody who pretends to be one."""

NONE = "none"
AWAITING_DH_KEY = "awaiting D-H Key"
AWAITING_REVEAL_SIGNATURE = "awaiting Reveal Signature"
YIELDED = "yielded"
YIELDED_AND_ANSWERED = "yielded and answered"
AWAITING_SIGNATURE = "awaiting Signature"
WAITING_AUTH_R = "waiting for Auth-R"
WAITING_AUTH_I = "waiting for Auth-I"
AUTH_I_SENT = "Auth-I sent"
AUTH_I_SENT_LATE = "Auth-I sent, after a repeated Identity"
"""Version 4 has `YIELDED`, too."""

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
        parts = [
            f"v{self.version}",
            self.message.value,
            f"{'DAKE' if self.version == VERSION_4 else 'AKE'} {self.exchange}",
        ]
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


def _exchange_of(talk: Conversation, version: int, tag: int) -> Ake | Dake | None:
    """Return the exchange that concerns the instance with this tag: its own, or one with all."""
    instances = talk._instances
    session = instances._sessions.get(ANY_INSTANCE if version == VERSION_2 else tag)
    exchange = session.exchanges.get(version) if session else None
    start = instances._broadcasts.get(version)
    if exchange is None and start is not None and tag not in start.served:
        exchange = start.exchange
    assert exchange is None or isinstance(exchange, Ake | Dake)
    return exchange


def _exchange_state(talk: Conversation, version: int) -> str:
    exchange = _exchange_of(talk, version, TAGS[PEER])
    match exchange.state if exchange else AuthStateNone():
        case AuthStateNone() | Start():
            return NONE
        case AwaitingDhKey():
            return AWAITING_DH_KEY
        case AwaitingRevealSignature(yielded=None):
            return AWAITING_REVEAL_SIGNATURE
        case AwaitingRevealSignature(yielded=yielded):
            return YIELDED if yielded is None or yielded.answer is None else YIELDED_AND_ANSWERED
        case AwaitingSignature():
            return AWAITING_SIGNATURE
        case WaitingAuthR():
            return WAITING_AUTH_R
        case WaitingAuthI(yielded=yielded):
            return WAITING_AUTH_I if yielded is None else YIELDED
        case Done(lingering=lingering):
            return AUTH_I_SENT if lingering is None else AUTH_I_SENT_LATE


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


def channel_of(talk: Conversation) -> DataChannel | DataChannel4:
    """Return the channel of an encrypted conversation."""
    state = talk._instances.session().encrypted()
    assert isinstance(state.channel, DataChannel | DataChannel4)
    return state.channel


def sending_keys(talk: Conversation) -> SendingKeys | Ratchet:
    """Return those of an encrypted conversation; in version 4 they are the ratchet."""
    channel = channel_of(talk)
    if isinstance(channel, DataChannel4):
        return channel._ratchet
    ratchet = channel._ratchet
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


@dataclass(frozen=True, slots=True)
class DakeKeys:
    """What the peer's message of the key exchange of version 4 is made with.

    An Auth-R is signed by `ring`, over the `identity` message that it answers and `names`, the peer's first.
    """

    line: str
    identity: messages4.Identity | None = None
    ring: Ring | None = None
    names: tuple[str, str] = (PEER, SUBJECT)


def signing_keys(pair: Pair, version: int) -> SigningKeys | DakeKeys | None:
    """Return those of the signature that is on its way to the subject, None if none is."""
    due = next(iter(pair.on_the_way[SUBJECT]), "")
    if not due.startswith(ENCODED_MARK):
        return None
    match message_of(due):
        case RevealSignature():
            state = _stage(pair, PEER, version)
            if not isinstance(state, AwaitingSignature):
                # It is another client's.
                return None
            keys, gx, gy = state.keys, state.commit.keys.public, state.answer.gy
            return SigningKeys(due, keys.c, keys.m1, keys.m2, gx, gy)
        case Signature():
            state = _stage(pair, SUBJECT, version)
            assert isinstance(state, AwaitingSignature)
            keys, gx, gy = state.keys, state.commit.keys.public, state.answer.gy
            return SigningKeys(due, keys.c_prime, keys.m1_prime, keys.m2_prime, gy, gx)
        case messages4.AuthR():
            state = _stage(pair, PEER, version)
            assert isinstance(state, WaitingAuthI)
            answered = state.latest.identity
            subject, peer = identity(SUBJECT), identity(PEER)
            members = (subject.forging_key, peer.ed448.public, Point.decode(answered.y))
            return DakeKeys(due, answered, members)
        case messages4.Identity() | messages4.AuthI():
            return DakeKeys(due)
        case _:
            return None


def _stage(pair: Pair, side: Side, version: int) -> object:
    exchange = _exchange_of(pair.talks[side], version, TAGS[OTHER[side]])
    return exchange and exchange.state


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
    sending: SendingKeys | Ratchet | None
    signing: SigningKeys | DakeKeys | None
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
