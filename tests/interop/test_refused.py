"""Lines that neither side may act on: repeated, altered, cut, out of turn.

What each side says of them, and that the conversation goes on as if they had never come.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from otrcore.errors import Reason
from otrcore.events import (
    PeerComplained,
    Received,
    Rejected,
    SessionEnded,
    SessionOpened,
)
from otrcore.model import Protection
from otrcore.session import MALFORMED_REPLY, UNREADABLE_REPLY
from otrcore.wire.header import IGNORE_UNREADABLE
from otrcore.wire.messages3 import DataMessage, DhKey
from otrcore.wire.rejoin import LIFETIME
from otrcore.wire.text import encode
from tests.interop.conftest import LibotrFactory
from tests.interop.oracle import Direction, LibotrPeer, exchange
from tests.interop.ours import Ours, agreed, chat, data_in, message_in, secure
from tests.pair import speaking

Change = Callable[[DataMessage], DataMessage]


def flipped(content: bytes) -> bytes:
    """Return the bytes with one bit of the middle one changed."""
    at = len(content) // 2
    return content[:at] + bytes((content[at] ^ 1,)) + content[at + 1 :]


def other_header(message: DataMessage, **changes: int) -> DataMessage:
    return replace(message, header=replace(message.header, **changes))


ALTERED: dict[str, Change] = {
    "encrypted text": lambda m: replace(m, encrypted=flipped(m.encrypted)),
    "MAC": lambda m: replace(m, mac=flipped(m.mac)),
    "counter": lambda m: replace(m, counter=m.counter + 1),
    "counter 0": lambda m: replace(m, counter=0),
    "highest counter": lambda m: replace(m, counter=2**64 - 1),
    "next D-H key": lambda m: replace(m, next_dh=m.next_dh ^ 1),
    "next D-H key 1": lambda m: replace(m, next_dh=1),
    "sender key id 0": lambda m: replace(m, sender_keyid=0),
    "recipient key id 0": lambda m: replace(m, recipient_keyid=0),
    "sender key id of the future": lambda m: replace(m, sender_keyid=m.sender_keyid + 2),
    "recipient key id of the future": lambda m: replace(m, recipient_keyid=m.recipient_keyid + 2),
    "sender key id of the past": lambda m: replace(m, sender_keyid=m.sender_keyid - 1),
    "highest key ids": lambda m: replace(m, sender_keyid=2**32 - 1, recipient_keyid=2**32 - 1),
    "flags": lambda m: replace(m, flags=0x80),
}


@pytest.fixture
def pair(libotr: LibotrFactory, version: int) -> tuple[Ours, LibotrPeer]:
    """Both sides, encrypted, the first keys forgotten already; of all policies the most willing to start."""
    ours = Ours(replace(speaking(version), start_on_tag=True))
    theirs = libotr(policy=f"v{version}")
    secure(ours, theirs)
    chat(ours, theirs)
    chat(ours, theirs)
    return ours, theirs


def one_line(side: Ours | LibotrPeer, text: str) -> str:
    """Return the line that carries the text, without sending it."""
    side.send(text)
    (wire,) = side.take()
    return wire


def test_a_repeated_line(pair: tuple[Ours, LibotrPeer]) -> None:
    """Both show it once.  libotr calls it unreadable; we say nothing, as nothing was lost."""
    ours, theirs = pair
    our_wire, their_wire = one_line(ours, "once"), one_line(theirs, "once")
    for _ in range(2):
        ours.receive(their_wire)
        theirs.receive(our_wire)
    assert ours.texts() == theirs.texts() == ["once"]
    assert ours.shown() == [Rejected(Reason.REPLAYED)]
    assert ours.take() == []
    assert theirs.message_events() == ["rcvdmsg_unreadable"]
    exchange(ours, theirs)
    assert ours.shown() == [PeerComplained("You transmitted an unreadable encrypted message.")]
    chat(ours, theirs)


def test_lines_in_the_wrong_order(pair: tuple[Ours, LibotrPeer]) -> None:
    """A counter that goes back is as good as repeated, for both."""
    ours, theirs = pair
    ours_first, ours_second = one_line(ours, "first"), one_line(ours, "second")
    theirs_first, theirs_second = one_line(theirs, "first"), one_line(theirs, "second")
    for wire in (theirs_second, theirs_first):
        ours.receive(wire)
    for wire in (ours_second, ours_first):
        theirs.receive(wire)
    assert ours.texts() == theirs.texts() == ["second"]
    assert ours.shown() == [Rejected(Reason.REPLAYED)]
    assert theirs.message_events() == ["rcvdmsg_unreadable"]


@pytest.mark.parametrize("change", ALTERED.values(), ids=ALTERED.keys())
def test_an_altered_line_to_libotr(pair: tuple[Ours, LibotrPeer], change: Change) -> None:
    ours, theirs = pair
    wire = one_line(ours, "genuine")
    theirs.receive(encode(change(data_in(wire)).serialise()))
    assert theirs.message_events() == ["rcvdmsg_unreadable"]
    exchange(ours, theirs)
    assert ours.shown() == [PeerComplained("You transmitted an unreadable encrypted message.")]
    theirs.receive(wire)
    assert theirs.texts() == ["genuine"]
    chat(ours, theirs)


@pytest.mark.parametrize("change", ALTERED.values(), ids=ALTERED.keys())
def test_an_altered_line_of_libotr(pair: tuple[Ours, LibotrPeer], change: Change) -> None:
    ours, theirs = pair
    wire = one_line(theirs, "genuine")
    ours.receive(encode(change(data_in(wire)).serialise()))
    assert ours.shown() == [Rejected(Reason.UNREADABLE, had_text=True)]
    (complaint,) = ours.take()
    assert complaint == UNREADABLE_REPLY
    theirs.receive(complaint)
    assert theirs.message_events() == ["rcvdmsg_general_err"]
    ours.receive(wire)
    assert ours.texts() == ["genuine"]
    chat(ours, theirs)


def test_an_altered_heartbeat_is_nobodys_loss(pair: tuple[Ours, LibotrPeer]) -> None:
    ours, theirs = pair
    theirs.command("heartbeat")
    (wire,) = theirs.take()
    message = data_in(wire)
    assert message.flags == IGNORE_UNREADABLE
    altered = encode(replace(message, mac=flipped(message.mac)).serialise())
    ours.receive(altered)
    theirs.receive(altered)
    assert ours.shown() == [Rejected(Reason.UNREADABLE, had_text=False)]
    assert ours.take() == []
    chat(ours, theirs)


@pytest.mark.parametrize("keep", [100, 101, 102, 103, 300, 301, 302, 303])
def test_a_line_cut_by_a_server(pair: tuple[Ours, LibotrPeer], keep: int) -> None:
    """Wherever an IRC server cuts a data message, both users and both clients hear of the loss."""
    ours, theirs = pair
    our_wire, their_wire = one_line(ours, "lost"), one_line(theirs, "lost")
    theirs.receive(our_wire[:keep])
    assert theirs.message_events() == ["rcvdmsg_malformed"]
    exchange(ours, theirs)
    assert ours.shown() == [PeerComplained("You transmitted a malformed data message.")]

    ours.receive(their_wire[:keep])
    # The rest could still come, as a line of its own.
    ours.wait(LIFETIME)
    assert ours.shown() == [Rejected(Reason.MALFORMED, had_text=True)]
    assert ours.take() == [MALFORMED_REPLY]
    theirs.receive(MALFORMED_REPLY)
    assert theirs.message_events() == ["rcvdmsg_general_err"]
    chat(ours, theirs)


def test_bytes_behind_a_message_make_it_malformed(pair: tuple[Ours, LibotrPeer]) -> None:
    ours, theirs = pair
    our_wire, their_wire = one_line(ours, "longer"), one_line(theirs, "longer")
    theirs.receive(encode(data_in(our_wire).serialise() + b"\0"))
    ours.receive(encode(data_in(their_wire).serialise() + b"\0"))
    assert theirs.message_events() == ["rcvdmsg_malformed"]
    assert ours.shown() == [Rejected(Reason.MALFORMED, had_text=True)]


@pytest.mark.parametrize("version", [3])  # the first with instance tags
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"receiver_tag": 0x12345}, Reason.OTHER_INSTANCE),
        ({"receiver_tag": 0}, Reason.OTHER_INSTANCE),
        ({"receiver_tag": 0xFF}, Reason.MALFORMED),
        ({"sender_tag": 0x12345}, Reason.NO_SESSION),
        ({"sender_tag": 0xFF}, Reason.MALFORMED),
        ({"version": 2}, Reason.VERSION),
        ({"version": 4}, Reason.VERSION),
    ],
)
def test_a_line_for_or_from_somebody_else(
    pair: tuple[Ours, LibotrPeer], changes: dict[str, int], reason: Reason
) -> None:
    """Refused without a word to the sender; libotr does not show it either."""
    ours, theirs = pair
    our_message, their_message = data_in(one_line(ours, "stray")), data_in(one_line(theirs, "stray"))
    ours.receive(encode(other_header(their_message, **changes).serialise()))
    theirs.receive(encode(other_header(our_message, **changes).serialise()))
    assert [event.reason for event in ours.events(Rejected)] == [reason]
    assert ours.take() == []
    assert ours.texts() == theirs.texts() == []
    # libotr answers an illegal tag with an error, which the specification does not ask for.
    theirs.take()
    theirs.events()
    chat(ours, theirs)


def test_our_own_line_comes_back(pair: tuple[Ours, LibotrPeer], version: int) -> None:
    """Only instance tags, which version 2 has not, tell whose a line is before its keys do."""
    ours, theirs = pair
    ours.receive(one_line(ours, "echo"))
    if version == 2:
        assert ours.shown() == [Rejected(Reason.UNREADABLE, had_text=True)]
        assert ours.take() == [UNREADABLE_REPLY]
    else:
        assert ours.shown() == [Rejected(Reason.OTHER_INSTANCE)]
        assert ours.take() == []
    chat(ours, theirs)


@pytest.mark.parametrize("starter", ["ours", "theirs"])
def test_the_key_exchange_is_played_again(libotr: LibotrFactory, starter: str) -> None:
    """What libotr sent in it, once more and alone: both stay in one session, and texts go on.

    Where libotr was the initiator it goes on waiting for keys of other instances, so that our
    answer to its repeated Commit leads to a whole, new key exchange.  Our own lines are not
    repeated to libotr: the same waiting makes it throw its session away for a repeated D-H Key.
    """
    ours, theirs = Ours(), libotr(policy="v3")
    log: list[tuple[Direction, str]] = []
    (ours if starter == "ours" else theirs).start()
    exchange(ours, theirs, log=log)
    before = agreed(ours, theirs)
    chat(ours, theirs)
    repeated = [wire for way, wire in log if way == "<" and message_in(wire) is not None]
    assert len(repeated) == 2
    for wire in repeated:
        ours.receive(wire)
        exchange(ours, theirs)
        assert (agreed(ours, theirs) == before) is (starter == "theirs")
        chat(ours, theirs)
    assert len(ours.events(SessionOpened)) == (2 if starter == "ours" else 1)


@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize("starter", ["ours", "theirs"])
def test_a_damaged_key_exchange_message_stops_nothing(libotr: LibotrFactory, starter: str, at: int) -> None:
    """Damaged copies of one message arrive before the genuine one.

    A D-H Key is not among those with another content: nothing in it can be checked.
    """
    ours, theirs = Ours(), libotr(policy="v3")
    (ours if starter == "ours" else theirs).start()
    number = 0
    while lines := [(theirs, wire) for wire in ours.take()] + [(ours, wire) for wire in theirs.take()]:
        for target, wire in lines:
            message = message_in(wire)
            if message is not None and number == at:
                raw = message.serialise()
                target.receive(encode(raw[:-1]))
                target.receive(encode(raw + b"\0"))
                if not isinstance(message, DhKey):
                    target.receive(encode(flipped(raw)))
            number += message is not None
            target.receive(wire)
    assert number >= 4
    agreed(ours, theirs)


@pytest.mark.parametrize("starter", ["ours", "theirs"])
def test_a_flood_of_queries_stops_nothing(libotr: LibotrFactory, starter: str) -> None:
    """Somebody writes a query before every line that we get; the key exchange ends all the same."""
    ours, theirs = Ours(), libotr(policy="v3")
    (ours if starter == "ours" else theirs).start()

    class Flooded:
        queries = 0
        take = ours.take

        def receive(self, wire: str) -> None:
            if ours.session is None and self.queries < 20:
                self.queries += 1
                ours.receive("?OTRv3?")
            ours.receive(wire)

    flooded = Flooded()
    exchange(flooded, theirs)
    agreed(ours, theirs)
    # It ended in spite of them, not for want of them.
    assert 2 <= flooded.queries < 20
    chat(ours, theirs)


def test_libotr_complains_and_both_start_anew(libotr: LibotrFactory) -> None:
    """With its policy to start after an error, one damaged line leads to one new session, and no storm."""
    ours, theirs = Ours(), libotr(policy="v3+errstart")
    before = secure(ours, theirs)
    message = data_in(one_line(theirs, "damaged"))
    log: list[tuple[Direction, str]] = []
    ours.receive(encode(replace(message, mac=flipped(message.mac)).serialise()))
    exchange(ours, theirs, log=log)
    # Our error, its query, and the four messages of the key exchange.
    assert len(log) == 6
    assert agreed(ours, theirs) != before
    chat(ours, theirs)


def test_data_without_any_session(libotr: LibotrFactory) -> None:
    """We have lost our keys by a restart: the user is told, libotr is not, and a start heals."""
    before, theirs = Ours(), libotr(policy="v3")
    secure(before, theirs)
    ours = Ours(instance_tag=before.instance_tag)
    ours.receive(one_line(theirs, "to nobody"))
    assert ours.shown() == [Rejected(Reason.NO_SESSION, had_text=True)]
    assert ours.take() == []
    ours.start()
    exchange(ours, theirs)
    agreed(ours, theirs)
    chat(ours, theirs)


def test_a_plain_line_inside_an_encrypted_conversation(pair: tuple[Ours, LibotrPeer]) -> None:
    ours, theirs = pair
    tagged = "injected \t  \t\t\t\t \t \t \t    \t\t  \t\t"
    for line in ("injected", tagged):
        ours.receive(line)
        assert ours.shown() == [Received("injected", Protection.UNEXPECTED_PLAIN)]
    theirs.receive("injected")
    assert theirs.message_events() == ["rcvdmsg_unencrypted"]
    assert ours.take() == []
    chat(ours, theirs)
    assert ours.events(SessionEnded) == []
