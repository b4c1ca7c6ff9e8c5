"""The rooms that inputs are thrown into, each reached by real messages.

A room is a state of `SUBJECT` with what the peer has said, says now and will say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache

from otrcore.account import Account
from otrcore.conversation import RESENT_MARK, Conversation
from otrcore.events import Event, Received, Transmit
from otrcore.memory import KnownKey, PeerMemory
from otrcore.model import MessageState, Trust
from otrcore.protocols import Step
from otrcore.v4.dake import INITIATOR_RETRIES, REPEAT_PAUSE
from otrcore.wire.header import VERSION_4, MessageType, parse_header
from otrcore.wire.text import ENCODED_MARK
from otrcore.wire.tlv import Tlv
from tests.fuzz.formats import VERSIONS, message_of, raw_of
from tests.fuzz.states import (
    ANOTHER_ASKS,
    ANOTHER_STARTS,
    ANOTHER_TAG,
    ANOTHER_TALKS,
    AUTH_I_SENT,
    AUTH_I_SENT_LATE,
    AWAITING_ANSWER,
    AWAITING_DH_KEY,
    AWAITING_REVEAL_SIGNATURE,
    AWAITING_SIGNATURE,
    BEGUN,
    CANARY,
    EXPECT_1,
    EXPECT_2,
    EXPECT_3,
    EXPECT_4,
    HELD,
    LOST,
    NONE,
    QUERY,
    QUEUED,
    SERVED,
    WAITING_AUTH_I,
    WAITING_AUTH_R,
    YIELDED,
    YIELDED_AND_ANSWERED,
    Scene,
    State,
    channel_of,
    sending_keys,
    signing_keys,
    state_of,
)
from tests.pair import TAGS, Pair, Seeded, identity, seeded, speaking
from tests.robustness import scenes, scenes4
from tests.robustness.scenes import PEER, SUBJECT, WrongHash

SECRET_OF_SUBJECT, SECRET_OF_PEER = "the subject's secret", "the peer's secret"
"""Never equal, so that no SMP may ever succeed."""

MANY = 900
"""Texts that are lost in a row, so that their keys are kept in version 4."""

DUE = "on its way"
IN_PIECES = "on its way in pieces"
LATER = ("a later text", "the last text")
BY_ANOTHER = "said by the peer's other client"
TEXTS = (DUE, IN_PIECES, *LATER, BY_ANOTHER, *(f"lost {number}" for number in range(MANY)))
"""What the peer says in an encrypted conversation, each text once, beside what was heard before."""

Build = Callable[[Pair], None]


def _version_of(pair: Pair) -> int:
    """Return the one version that the peer speaks."""
    (version,) = pair.talks[PEER].policy.versions
    return version


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


def _typed_in(exchange: Build) -> Build:
    def build(pair: Pair) -> None:
        exchange(pair)
        _type_twice(pair)

    return build


def _held(pair: Pair) -> None:
    """A text was typed for a peer whose verified key is another one than it has now."""
    account = pair.accounts[SUBJECT]
    account.forget(PEER)
    rogue = identity("rogue").fingerprint_in(_version_of(pair))
    memory = PeerMemory(keys=(KnownKey(rogue, Trust.COMPARED),))
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
    """The subject has asked for new keys, or in version 4 begun to agree on them, by itself."""
    _lost(pair)
    if _version_of(pair) == VERSION_4:
        pair.deliver(PEER)
    else:
        _answered(pair)


def _other_client(pair: Pair) -> Conversation:
    """Return the subject's peer at another client."""
    random = seeded("the other client")
    policy = speaking(_version_of(pair))
    account = Account(
        identity(PEER), policy, name=PEER, instance_tag=ANOTHER_TAG, random=random, clock=pair.clock
    )
    return account.conversation(SUBJECT)


def _query(pair: Pair) -> str:
    return f"?OTRv{_version_of(pair)}?"


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
    commit = _lines(client.receive(_query(pair)))
    answer = _lines(pair.hand(SUBJECT, commit[0]))
    pair.do(PEER, client.receive(answer[0]))


def _another_talks(pair: Pair) -> None:
    """It has asked a question, the peer's usual client came then, and both have a text on its way."""
    client = _other_client(pair)
    list(_exchange_lines(pair, client, _query(pair)))
    _FAMILIES[_version_of(pair)].scenes["encrypted, keys rotated"](pair)
    pair.hand(SUBJECT, _lines(client.smp_start(SECRET_OF_PEER, "who is it?"))[0])
    pair.do(PEER, client.send(BY_ANOTHER))


def _served(pair: Pair, *, finished: bool) -> None:
    """A start was answered by the other client first; the answer of the usual one is on its way."""
    client = _other_client(pair)
    pair.do(PEER, pair.talks[PEER].start())
    pair.deliver(SUBJECT)
    commit = pair.on_the_way[PEER][0]
    if finished:
        list(_exchange_lines(pair, client, commit))
    else:
        pair.hand(SUBJECT, _lines(client.receive(commit))[0])
    pair.deliver(PEER)
    answer = message_of(pair.on_the_way[SUBJECT][0])
    assert answer.type in (MessageType.DH_KEY, MessageType.AUTH_R)


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


def _rested(pair: Pair) -> None:
    """A session of version 4 whose key exchange is over, with a text on its way and keys of lost ones."""
    scenes4.SCENES["encrypted, keys rotated"](pair)
    late = pair.on_the_way[SUBJECT].pop()
    pair.wait(100)
    pair.on_the_way[SUBJECT].append(late)


def _queried(pair: Pair) -> None:
    """Somebody has made up a query of the peer; its answer to what the subject has begun is on its way."""
    pair.hand(SUBJECT, _query(pair))
    pair.deliver(PEER)


def _queries(pair: Pair) -> None:
    """What the peer has begun, as a query was made up, is on its way."""
    pair.hand(PEER, _query(pair))


def _queries_and_finishes(pair: Pair) -> None:
    _queries(pair)
    pair.deliver(SUBJECT)
    pair.deliver(PEER)


def _many_lost(pair: Pair) -> None:
    """So many that nearly as many keys are kept as ever are; a few of the messages can come late."""
    begin = len(pair.lines)
    for number in range(MANY):
        pair.do(PEER, pair.talks[PEER].send(f"lost {number}"))
    pair.on_the_way[SUBJECT].clear()
    del pair.lines[begin + 5 :]
    pair.say(PEER, "not lost")
    _say_again(pair)


def _retired(pair: Pair) -> None:
    """The subject has ended a session of version 4 to renew it; what the peer begins then is on its way."""
    pair.do(SUBJECT, pair.talks[SUBJECT].start())
    pair.deliver(PEER)
    pair.deliver(PEER)


def _auth_i_sent_late(pair: Pair) -> None:
    """The subject has said its Identity Message twice; the second answer is on its way."""
    scenes4.SCENES[WAITING_AUTH_R](pair)
    pair.clock.advance(INITIATOR_RETRIES + 1)
    pair.do(SUBJECT, pair.talks[SUBJECT].tick())
    pair.deliver(SUBJECT)
    pair.deliver(PEER)
    pair.clock.advance(REPEAT_PAUSE)


@dataclass(frozen=True, slots=True)
class Room:
    """How a state is reached, and which it is to be."""

    build: Build
    message: MessageState
    exchange: str = NONE
    smp: str | None = None
    beside: frozenset[str] = frozenset()
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


_PLAIN, _SECURE, _FINISHED = MessageState.PLAINTEXT, MessageState.ENCRYPTED, MessageState.FINISHED


@dataclass(frozen=True, slots=True)
class Family:
    """What the versions of one key exchange have of their own in rooms that all versions have.

    `alone` and `renewing` make the states of the exchange without and with a conversation.  The subject is
    in `invited` when it has taken up a query, in `inviting` when its own was; in `opened` as the one
    who has just become encrypted by the exchange that the peer has asked for.
    """

    scenes: dict[str, Build]
    before: dict[MessageState, Build]
    alone: dict[str, Build]
    renewing: dict[str, Build]
    invited: str
    inviting: str
    opened: str


_OLD_EXCHANGES = {
    exchange: scenes.SCENES[exchange]
    for exchange in (
        AWAITING_DH_KEY,
        AWAITING_REVEAL_SIGNATURE,
        YIELDED,
        YIELDED_AND_ANSWERED,
        AWAITING_SIGNATURE,
    )
}
_ROTATED = scenes.SCENES["encrypted, keys rotated"]
_OLD = Family(
    scenes=scenes.SCENES,
    before={_PLAIN: _nothing, _SECURE: _ROTATED, _FINISHED: scenes.SCENES["finished"]},
    alone=_OLD_EXCHANGES,
    renewing={exchange: _then(_ROTATED, build) for exchange, build in _OLD_EXCHANGES.items()},
    invited=AWAITING_DH_KEY,
    inviting=AWAITING_REVEAL_SIGNATURE,
    opened=NONE,
)
_NEW_EXCHANGES = (WAITING_AUTH_R, WAITING_AUTH_I, YIELDED)
_NEW = Family(
    scenes=scenes4.SCENES,
    before={_PLAIN: _nothing, _SECURE: _rested, _FINISHED: scenes4.SCENES["finished"]},
    alone={exchange: scenes4.SCENES[exchange] for exchange in _NEW_EXCHANGES},
    renewing={
        WAITING_AUTH_R: _then(_rested, _queried),
        WAITING_AUTH_I: _then(_rested, _queries_and_finishes),
        YIELDED: _then(_rested, scenes4.SCENES[YIELDED]),
    },
    invited=WAITING_AUTH_R,
    inviting=WAITING_AUTH_I,
    opened=AUTH_I_SENT,
)
_FAMILIES = {2: _OLD, 3: _OLD, 4: _NEW}

_SMP: dict[str, Build] = {
    EXPECT_1: _asked,
    AWAITING_ANSWER: _awaiting_answer,
    EXPECT_2: _expect_2,
    EXPECT_3: _expect_3,
    EXPECT_4: _expect_4,
}


def _rooms(family: Family) -> dict[str, Room]:
    """Return the rooms that every version has."""
    before, scene = family.before, family.scenes
    secure = before[_SECURE]
    return {
        **{message.value: Room(build, message) for message, build in before.items()},
        **{
            f"{message.value}, {exchange}": Room(
                family.renewing[exchange] if message is _SECURE else _then(before[message], build),
                message,
                exchange,
            )
            for message in before
            for exchange, build in family.alone.items()
        },
        **{
            f"encrypted, SMP {smp}": Room(_then(secure, build), _SECURE, smp=smp)
            for smp, build in _SMP.items()
        },
        "encrypted as initiator": Room(scene["encrypted as initiator"], _SECURE, family.opened),
        "encrypted as responder": Room(scene["encrypted as responder"], _SECURE),
        "plaintext, query sent": Room(scene["query sent"], _PLAIN, beside=frozenset({QUERY})),
        "plaintext, ended by us": Room(scene["ended by us"], _PLAIN),
        "plaintext, fragments": Room(scene["in the middle of fragments"], _PLAIN, family.inviting),
        "encrypted, fragments": Room(_then(secure, _fragment_of_data), _SECURE),
        "plaintext, line begun": Room(
            _begun(scene[family.inviting]), _PLAIN, family.inviting, beside=frozenset({BEGUN})
        ),
        "encrypted, line begun": Room(_then(secure, _begun(_say_again)), _SECURE, beside=frozenset({BEGUN})),
        "required, query sent": Room(_type_twice, _PLAIN, beside=frozenset({QUERY}), require_encryption=True),
        f"required, {family.inviting}": Room(
            _typed_and_answered, _PLAIN, family.inviting, require_encryption=True
        ),
        f"required, {family.invited}": Room(
            _typed_in(scene[family.invited]), _PLAIN, family.invited, require_encryption=True
        ),
        "encrypted, text held": Room(_held, _SECURE, beside=frozenset({HELD})),
        "encrypted, text lost": Room(_then(secure, _lost), _SECURE, beside=frozenset({LOST})),
        "encrypted, text lost, started again": Room(
            _then(secure, _lost_and_restarted),
            _SECURE,
            family.invited if family is _NEW else family.inviting,
            beside=frozenset({LOST}),
            start_on_error=True,
        ),
    }


def _rooms_with_instances(family: Family) -> dict[str, Room]:
    """Return those that every version has which knows the clients of a peer apart."""
    return {
        "encrypted, another client starts": Room(
            _then(family.before[_SECURE], _another_starts), _SECURE, beside=frozenset({ANOTHER_STARTS})
        ),
        "encrypted, another client talks": Room(
            _another_talks, _SECURE, beside=frozenset({ANOTHER_TALKS, ANOTHER_ASKS})
        ),
        "encrypted, start taken up by another client": Room(
            _served_and_talking, _SECURE, family.invited, beside=frozenset({ANOTHER_TALKS, SERVED})
        ),
    }


_ROOMS_OLD = {
    "encrypted, query sent": Room(scenes.SCENES["encrypted, query sent"], _SECURE, beside=frozenset({QUERY})),
    f"required, {AWAITING_SIGNATURE}": Room(
        _typed_in(scenes.SCENES[AWAITING_SIGNATURE]), _PLAIN, AWAITING_SIGNATURE, require_encryption=True
    ),
}
_ROOMS_3 = {
    "plaintext, start taken up by another client": Room(
        _served_and_waiting, _PLAIN, AWAITING_DH_KEY, beside=frozenset({ANOTHER_STARTS, SERVED})
    ),
}
_ROOMS_4 = {
    "encrypted, Identity on its way": Room(_then(_rested, _queries), _SECURE),
    "encrypted, Auth-I sent late": Room(_auth_i_sent_late, _SECURE, AUTH_I_SENT_LATE),
    "encrypted, many keys kept": Room(_then(_rested, _many_lost), _SECURE),
    "finished, query sent": Room(_then(_rested, _retired), _FINISHED, beside=frozenset({QUERY})),
}

ROOMS: dict[tuple[str, int], Room] = {
    # In version 2 an answer to a Commit that yielded leads on at once.
    **{
        (name, 2): room
        for name, room in {**_rooms(_OLD), **_ROOMS_OLD}.items()
        if room.exchange != YIELDED_AND_ANSWERED
    },
    **{
        (name, 3): room
        for name, room in {**_rooms(_OLD), **_rooms_with_instances(_OLD), **_ROOMS_OLD, **_ROOMS_3}.items()
    },
    **{(name, 4): room for name, room in {**_rooms(_NEW), **_rooms_with_instances(_NEW), **_ROOMS_4}.items()},
}
"""By name and version."""

EVERYWHERE = list(ROOMS)

SETTINGS: tuple[int | None, ...] = (None, 100)
"""The subject's line limit, by seed: with the first it speaks one version, with the other it accepts all,
starts on whitespace tags, and pads what it says."""


@cache
def _smp_records(version: int) -> list[Tlv]:
    """Return every record of SMP that a peer may send, of one run in some session: all proofs in it hold."""
    pair = Pair(version=version, seed="records")
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
    if not due.startswith(ENCODED_MARK) or message_of(due).type != MessageType.DATA:
        return []
    raw = raw_of(due)
    return list(channel_of(pair.copy().talks[SUBJECT]).decrypt(raw, parse_header(raw)).tlvs)


def enter(name: str, version: int, seed: int) -> Scene:
    """Reach a state by real messages; the same each time but for identities and their signatures."""
    pair = _built(name, version, seed).copy()
    talk = pair.talks[SUBJECT]
    private = talk.state is not MessageState.PLAINTEXT or talk.starting
    if private and LOST not in ROOMS[name, version].beside:
        # From here on this text is the fuzzer's to look for; what was lost is the text typed last.
        pair.do(SUBJECT, talk.send(CANARY))
    talk.line_limit = SETTINGS[seed]
    infos = [one.info for one in pair.talks.values()]
    # The peer may have moved on to a session that the subject does not have yet.
    shared = len({info.ssid for info in infos if info}) == 1 and all(infos)
    said = _later(pair).lines
    heard = {event.text for event in pair.of_kind(SUBJECT, Received)}
    others = ROOMS[name, version].beside & {ANOTHER_STARTS, ANOTHER_TALKS}
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
        sending=sending_keys(pair.talks[PEER]) if shared else None,
        signing=signing_keys(pair, version),
        records=[*_records_due(pair), *_smp_records(version)] if shared else [],
        texts=frozenset(mark + text for text in TEXTS for mark in ("", RESENT_MARK)) - heard,
        _original=(talk, pair.clock),
    )


def _versions_of_subject(version: int, seed: int) -> frozenset[int]:
    return frozenset({version}) if seed == 0 else frozenset(VERSIONS)


@cache
def _built(name: str, version: int, seed: int) -> Pair:
    policy = speaking(*_versions_of_subject(version, seed))
    room = ROOMS[name, version]
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
    return list(dict.fromkeys(line for line in lines if line.startswith(ENCODED_MARK)))


@cache
def _strangers(version: int) -> list[str]:
    """Return what the peer said in a session that the subject knows nothing of."""
    pair = Pair(version=version, seed="strangers")
    _FAMILIES[version].before[_SECURE](pair)
    return _whole(line for side, line in pair.lines if side == PEER)
