"""Conversations that otr4j had with itself: ours in the place of either side says the same.

Of one all random numbers were recorded, and every byte is compared.  Of the others they were not:
there two of ours go through the same conversation, and what is compared are the plain fields of each
message, its length, and the lines that it takes; what otr4j sent is verified as far as that takes no secrets.

Two differences are allowed, and counted: the words for people without OTR behind the query, and the
order of the MAC keys that one message reveals.  The specification gives them none, and no MAC
covers them; otr4j puts those that are left over from an earlier ratchet behind the first of the last one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from otrcore.crypto import ring
from otrcore.crypto.ed448 import Point
from otrcore.crypto.secret import Secret
from otrcore.events import (
    Event,
    HandshakeFailed,
    PeerComplained,
    Received,
    Rejected,
    SessionEnded,
    SessionOpened,
    SmpAborted,
    SmpAsked,
    SmpFailed,
    SmpSucceeded,
)
from otrcore.model import MessageState, Protection
from otrcore.v4 import kdf
from otrcore.wire.codec import MAC_KEY_BYTES_4
from otrcore.wire.fragment import Fragment
from otrcore.wire.messages4 import AuthI, AuthR, DataMessage, Identity, parse
from otrcore.wire.text import Query, classify
from tests.pair import OTHER, SIDES, Seeded, Side
from tests.spec import reading4
from tests.spec.subject import sent
from tests.v4.recorded import (
    Drawn,
    Turn,
    act,
    conversation,
    encoded,
    exchanged,
    told,
    turns,
)
from tests.wire import recorded4

LINE_LIMITS = {"trace": None, "bobfirst": None, "frag350": 350}
NAMES = pytest.mark.parametrize("name", recorded4.CONVERSATIONS)
WHO = pytest.mark.parametrize("who", SIDES)


QUERY, ORDER = "the human text of a query", "the order of revealed MAC keys"


def difference(ours: str, otr4js: str) -> str | None:
    """Return which of the allowed differences there is, if one; AssertionError for any other."""
    if ours == otr4js:
        return None
    if otr4js.startswith("?OTRv"):
        assert ours.partition(" ")[0] == otr4js.partition(" ")[0]
        return QUERY
    (mine,), (theirs,) = encoded([ours]), encoded([otr4js])
    a, b = parse(mine), parse(theirs)
    assert isinstance(a, DataMessage)
    assert isinstance(b, DataMessage)
    assert sorted(keys_in(a.old_mac_keys)) == sorted(keys_in(b.old_mac_keys))
    assert replace(a, old_mac_keys=b.old_mac_keys) == b
    return ORDER


def keys_in(revealed: bytes) -> list[bytes]:
    """MAC keys, one by one."""
    return [revealed[at : at + MAC_KEY_BYTES_4] for at in range(0, len(revealed), MAC_KEY_BYTES_4)]


def check_events(turn: Turn, events: list[Event]) -> None:
    """We tell our host what otr4j told its own."""
    texts = [event.text for event in events if isinstance(event, Received)]
    assert texts == [text for text in told(turn, "received", "text") if text is not None]
    assert all(event.protection is Protection.ENCRYPTED for event in events if isinstance(event, Received))
    changes = [SessionOpened, SessionEnded]
    changed = [event for event in events if type(event) in changes]
    assert len(changed) == len(told(turn, "statusChanged", "status"))
    questions = [event.question or "" for event in events if isinstance(event, SmpAsked)]
    named = list(zip(told(turn, "event", "name"), told(turn, "event", "value"), strict=True))
    assert questions == [value for kind, value in named if kind == "SMP_REQUEST_SECRET"]
    # otr4j repeats the last result when a verification goes on; the last word is the same.
    results = [event for event in events if isinstance(event, SmpSucceeded | SmpFailed)]
    for result in results:
        assert named[-1] == ("SMP_COMPLETED", f"success={str(isinstance(result, SmpSucceeded)).lower()}")
    refused = (Rejected, PeerComplained, SmpAborted, HandshakeFailed)
    assert not [event for event in events if isinstance(event, refused)]


def results(events: list[Event]) -> list[type[Event]]:
    return [type(event) for event in events if isinstance(event, SmpSucceeded | SmpFailed)]


@WHO
def test_in_the_place_of_a_side_we_send_the_same_bytes(who: Side) -> None:
    random = Drawn(who)
    talk = conversation("trace", who, random)
    events: list[Event] = []
    differences: Counter[str | None] = Counter()
    for turn in turns("trace"):
        if turn.who != who:
            continue
        new = act(talk, turn.command, turn.argument)
        check_events(turn, new)
        events += new
        lines = sent(new)
        assert len(lines) == len(turn.sent)
        differences.update(map(difference, lines, turn.sent))
    # Alice asked, sent Auth-R and 14 data messages; Bob sent Identity, Auth-I and 13.
    assert differences == ({None: 15, QUERY: 1} if who == "alice" else {None: 14, ORDER: 1})
    assert not any(random.left.values())
    assert results(events) == [SmpSucceeded, SmpFailed]
    ended = MessageState.PLAINTEXT if who == "alice" else MessageState.FINISHED
    assert talk.state is ended


@WHO
def test_the_session_id_is_the_recorded_one(who: Side) -> None:
    talk = conversation("trace", who, Drawn(who))
    for turn in turns("trace"):
        if turn.who == who and turn.command not in {"status", "end"} and talk.info is None:
            act(talk, turn.command, turn.argument)
    info = talk.info
    assert info is not None
    vectors = recorded4.vectors()
    assert info.ssid.hex() == vectors["dake"]["ssid"]
    assert info.initiator is (who == "bob")
    assert info.our_fingerprint.digest.hex() == vectors["identity"][who]["fingerprint"]
    assert info.their_fingerprint.digest.hex() == vectors["identity"][OTHER[who]]["fingerprint"]


# ---- without the random numbers


def shape(raw: bytes) -> tuple[object, ...]:
    """What a message says in the clear, but for keys and what was encrypted."""
    message = parse(raw)
    header = (message.type, message.header.sender_tag, message.header.receiver_tag)
    if not isinstance(message, DataMessage):
        return header
    numbers = (message.flags, message.previous_count, message.ratchet_id, message.message_id)
    lengths = (len(message.encrypted), len(message.old_mac_keys))
    return (*header, *numbers, message.dh is not None, *lengths)


def frame(line: str) -> tuple[object, ...]:
    """What a line looks like from outside; the identifier of a cut message is random."""
    content = classify(line)
    if isinstance(content, Query):
        return (content.versions,)
    if isinstance(content, Fragment):
        return (content.sender_tag, content.receiver_tag, content.index, content.count, len(line))
    return (len(line),)


@NAMES
def test_two_of_ours_go_through_it_in_messages_of_the_same_shape(name: str) -> None:
    talks = {side: conversation(name, side, Seeded(f"{name}/{side}")) for side in SIDES}
    on_the_way: dict[Side, list[str]] = {side: [] for side in SIDES}
    for side in SIDES:
        talks[side].line_limit = LINE_LIMITS[name]
    for turn in turns(name):
        argument = on_the_way[turn.who].pop(0) if turn.command == "recv" else turn.argument
        events = act(talks[turn.who], turn.command, argument)
        check_events(turn, events)
        lines = sent(events)
        assert list(map(frame, lines)) == list(map(frame, turn.sent))
        assert [shape(raw) for raw in encoded(lines)] == [shape(raw) for raw in encoded(turn.sent)]
        on_the_way[OTHER[turn.who]] += lines
    assert not any(on_the_way.values())


@NAMES
def test_otr4js_key_exchange_verifies(name: str) -> None:
    """By the second reading of what is signed, as neither side's secrets are known."""
    (_, identity), (_, auth_r), (_, auth_i) = exchanged(name)[:3]
    assert isinstance(identity, Identity)
    assert isinstance(auth_r, AuthR)
    assert isinstance(auth_i, AuthI)
    bob, alice = (reading4.exchange(message.serialise()) for message in (identity, auth_r))

    def verifies(members: tuple[bytes, bytes, bytes], t: bytes, sigma: bytes) -> bool:
        one, two, three = map(Point.decode, members)
        return ring.verify((one, two, three), t, sigma)

    t_r = reading4.t_of(0, bob, alice, ("alice", "bob"))
    t_i = reading4.t_of(1, bob, alice, ("bob", "alice"))
    assert verifies((bob.f, alice.h, bob.point), t_r, auth_r.sigma)
    assert verifies((bob.h, alice.f, alice.point), t_i, auth_i.sigma)
    assert not verifies((bob.h, alice.f, alice.point), t_r, auth_i.sigma)


@NAMES
def test_otr4j_has_revealed_in_each_message_the_keys_of_all_that_it_had_read(name: str) -> None:
    """So that how many of ours appear, and where, which is compared above, means something."""
    unrevealed: dict[Side, list[DataMessage]] = {side: [] for side in SIDES}
    for who, message in exchanged(name)[3:]:
        assert isinstance(message, DataMessage)
        for key in keys_in(message.old_mac_keys):
            (read,) = [
                old
                for old in unrevealed[OTHER[who]]
                if kdf.authenticator(Secret(key), old.authenticated()) == old.mac
            ]
            unrevealed[OTHER[who]].remove(read)
        if message.ratchet_id > 0 and message.message_id == 0:
            assert not unrevealed[OTHER[who]]
        unrevealed[who].append(message)
    # Alice ended it.
    assert [message.message_id for message in unrevealed["alice"]] == [0, 1]
    assert unrevealed["bob"] == []
