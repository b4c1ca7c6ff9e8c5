"""A recorded conversation of version 4, and conversations of ours in the place of its sides."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from otrcore.account import Account
from otrcore.conversation import Conversation
from otrcore.crypto.ed448 import Point, SigningKey
from otrcore.crypto.random import Purpose, Random
from otrcore.events import Event
from otrcore.identity import Identity
from otrcore.wire.codec import Reader
from otrcore.wire.fragment import Fragment
from otrcore.wire.messages4 import Message, parse
from otrcore.wire.profile import ClientProfile
from otrcore.wire.text import Encoded, classify
from tests.pair import OTHER, SIDES, Clock, Side, identity, speaking
from tests.wire import recorded4

RING_DRAWS = 7
"""What a ring signature takes: the first such numbers that a side draws; the rest is for SMP."""

DAY = 24 * 60 * 60


def long_term(name: str) -> dict[Side, dict[str, Any]]:
    """The long-term keys of both, in hex."""
    found = {event["who"]: event for event in recorded4.events(name) if event["ev"] == "identity"}
    return {side: found[side] for side in SIDES}


@cache
def profile(name: str, who: Side) -> ClientProfile:
    """The client profile of a side."""
    return ClientProfile.read(Reader(recorded4.profiles(name)[who]))


@dataclass
class Turn:
    """What a side was told, what it sent then, and what it told its host."""

    who: Side
    command: str
    argument: str
    sent: list[str] = field(default_factory=list)
    told: list[dict[str, Any]] = field(default_factory=list)


def turns(name: str) -> list[Turn]:
    """A conversation in its order; long lines, which the record of what was received cuts off, are whole."""
    done: list[Turn] = []
    on_the_way: dict[Side, deque[str]] = {side: deque() for side in SIDES}
    for event in recorded4.events(name):
        if event["ev"] == "cmd":
            who: Side = event["who"]
            command, _, argument = event["line"].partition(" ")
            if command == "recv":
                seen, argument = argument, on_the_way[who].popleft()
                assert argument.startswith(seen.removesuffix("..."))
            done.append(Turn(who, command, argument))
        elif event["ev"] == "inject":
            assert done[-1].who == event["who"]
            done[-1].sent.append(event["msg"])
            on_the_way[OTHER[done[-1].who]].append(event["msg"])
        elif event["ev"] in {"received", "event", "status", "statusChanged"}:
            done[-1].told.append(event)
    assert not any(on_the_way.values())
    return done


def drawn(who: Side, name: str) -> list[bytes]:
    """What a side of the traced conversation has drawn: `ecdh_r`, `dh_r` or `zq_random`, in its order."""
    return [
        bytes.fromhex(event["hex"])
        for event in recorded4.events("trace")
        if event["ev"] == "secret" and (event["who"], event["name"]) == (who, name)
    ]


class Drawn:
    """Randomness that gives by purpose what a side of the traced conversation has drawn."""

    def __init__(self, who: Side) -> None:
        numbers = [recorded4.for_number(draw) for draw in drawn(who, "zq_random")]
        self.left: defaultdict[Purpose, deque[bytes]] = defaultdict(deque)
        self.left["ecdh"] = deque(drawn(who, "ecdh_r"))
        self.left["dh"] = deque(drawn(who, "dh_r"))
        self.left["ring"], self.left["smp"] = deque(numbers[:RING_DRAWS]), deque(numbers[RING_DRAWS:])

    def __call__(self, purpose: Purpose, size: int) -> bytes:
        draw = self.left[purpose].popleft()
        assert len(draw) == size
        return draw


def conversation(name: str, who: Side, random: Random) -> Conversation:
    """A conversation of ours with the keys, the instance tag and the client profile of one side."""
    keys, recorded = long_term(name)[who], profile(name, who)
    account = Account(
        Identity(
            identity(who).dsa,
            SigningKey(bytes.fromhex(keys["lt_sym"])),
            Point.decode(bytes.fromhex(keys["forging_pub"])),
        ),
        speaking(4),
        name=who,
        instance_tag=recorded.owner_tag,
        client_profile=recorded.serialise(),
        random=random,
        clock=Clock(),
        # Its profile ends two weeks ahead, twice as late as ours do.
        unix_time=lambda: recorded.expires - 3 * DAY,
    )
    return account.conversation(OTHER[who])


def act(talk: Conversation, command: str, argument: str) -> list[Event]:
    """Do what a side was told."""
    question, _, secret = argument.partition("|")
    commands: dict[str, Callable[[], list[Event]]] = {
        "start": talk.start,
        "recv": lambda: talk.receive(argument),
        "send": lambda: talk.send(argument),
        "smp": lambda: talk.smp_start(secret, question or None),
        "smpreply": lambda: talk.smp_answer(secret),
        "end": talk.end,
        "status": list,
    }
    return commands[command]()


def told(turn: Turn, kind: str, key: str) -> list[Any]:
    """What otr4j told its host of one kind."""
    return [event[key] for event in turn.told if event["ev"] == kind]


def exchanged(name: str) -> list[tuple[Side, Message]]:
    """All encoded messages, whole, and who sent them."""
    found: list[tuple[Side, Message]] = []
    for turn in turns(name):
        for raw in encoded(turn.sent):
            found.append((turn.who, parse(raw)))
    return found


def encoded(lines: list[str]) -> list[bytes]:
    """The encoded messages in what a side sent at once, put together by their numbers."""
    whole: list[bytes] = []
    pieces: dict[int, str] = {}
    for line in lines:
        content = classify(line)
        if isinstance(content, Fragment):
            pieces[content.index] = content.piece
            if len(pieces) < content.count:
                continue
            content = classify("".join(pieces[index] for index in sorted(pieces)))
            pieces.clear()
        if isinstance(content, Encoded):
            whole.append(content.raw)
    assert not pieces
    return whole
