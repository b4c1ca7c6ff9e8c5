"""The protocol state machine of version 4: the specification as data, and every cell of it run.

The rows say what "The Protocol State Machine" says for each state and event.  *Yielded* is
WAITING_AUTH_I with our own Identity kept.  Where they depart from it:

- Both have sent an Identity, and ours ranks higher: it is not resent at once, as other clients make
  fresh keys for each, and what they have answered already would be worthless.
- What lost is kept: other clients do not insist on theirs, and an Auth-R for ours goes on.
- The same Identity gets the same Auth-R, and at most every 10 s; a third one of the same instance waits
  as long: an Auth-R is seven lines on IRC.
- An Auth-I may be for the last Identity that was answered, or for the one before: anybody can repeat one.
- An Identity that has led to a session leads to no other.
- An Identity for any instance is taken in WAITING_AUTH_I as well.
- Data before ENCRYPTED_MESSAGES are not stored, as nobody can have made them for this exchange.
- An exchange beside a running session leaves that alone until it has ended well.
- A repeated Auth-R is answered by the same Auth-I: only it tells that the first one was lost.  That ends
  when the peer has spoken in the session, and with the session.
- A whitespace tag in FINISHED starts an exchange where policy says so, as in version 3: nothing
  plain leaves by that.
- To start in ENCRYPTED_MESSAGES ends what runs, as no query may be sent there; nothing leaves plain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import pytest

from otrcore.events import Event, NotSent, Queued, Received, Rejected
from otrcore.v4.dake import Dake, DakeState, Done, Start, WaitingAuthI, WaitingAuthR
from tests.pair import speaking
from tests.snapshot import snapshot
from tests.spec import reading, reading4
from tests.spec.reading4 import Ephemeral, Person
from tests.spec.scripted4 import ScriptedPeer, ScriptedSession, label_of_rank
from tests.spec.subject import DISCONNECT, sent
from tests.spec.subject4 import THEM, US, Subject

TAG = " \t  \t\t\t\t \t \t \t  " + "  \t\t \t  "

STATES = ("START", "WAITING_AUTH_R", "WAITING_AUTH_I", "yielded", "responder", "initiator", "FINISHED")
"""Responder and initiator are ENCRYPTED_MESSAGES, by our part in the exchange."""


class Scene:
    """A subject in a state, and what went to and fro before."""

    def __init__(self, state: str) -> None:
        self.subject = Subject(policy=replace(speaking(4), start_on_tag=True))
        self.peer = self.subject.peer
        self.ours = self.theirs = self.auth_r = b""
        """Our Identity; the peer's Identity that we have answered; our answer."""
        self.their_auth_r = b""
        self.session: ScriptedSession | None = None
        if state in ("WAITING_AUTH_R", "yielded", "initiator"):
            self.ours = self.subject.identity()
        if state in ("WAITING_AUTH_I", "yielded", "responder", "FINISHED"):
            self.theirs = self.peer.identity(self.ranked("first", above=True))
            self.auth_r = self.subject.take_for_reply(self.theirs)
        if state in ("responder", "FINISHED"):
            self.subject.take(self.peer.auth_i(self.theirs, self.auth_r))
            self.session = self.peer.session("first", self.auth_r)
        if state == "initiator":
            self.their_auth_r = self.peer.auth_r("answer", self.ours)
            self.subject.take(self.their_auth_r)
            self.session = self.peer.session("answer", self.ours)
        if state == "FINISHED":
            assert self.session is not None
            self.subject.take(self.session.send(DISCONNECT, flags=1))
        assert self.state == STATE_NAMES.get(state, state)

    def ranked(self, name: str, *, above: bool) -> str:
        """A label whose Identity ranks above ours, or below; any if there is none of ours."""
        if not self.ours:
            return name
        rank = reading4.shake(reading.mpi(reading4.exchange(self.ours).number), 32)
        return label_of_rank(name, above=rank) if above else label_of_rank(name, below=rank)

    @property
    def state(self) -> str:
        """Where the exchange with this peer is, and the message state unless that is plaintext."""
        instances = self.subject.talk._instances
        known = instances._sessions.get(THEM)
        exchange = known.exchanges.get(4) if known else None
        broadcast = instances._broadcasts.get(4)
        state: DakeState = Start()
        if exchange is not None:
            assert isinstance(exchange, Dake)
            state = exchange.state
        if isinstance(state, Start | Done) and broadcast is not None and THEM not in broadcast.served:
            assert isinstance(broadcast.exchange, Dake)
            state = broadcast.exchange.state
        match state:
            case Start():
                name = "START"
            case WaitingAuthR():
                name = "WAITING_AUTH_R"
            case WaitingAuthI(yielded=None):
                name = "WAITING_AUTH_I"
            case WaitingAuthI():
                name = "yielded"
            case Done():
                name = "done"
        message_state = self.subject.talk.state.value
        return name if message_state == "plaintext" else f"{message_state}, {name}"


STATE_NAMES = {"responder": "encrypted, START", "initiator": "encrypted, done", "FINISHED": "finished, START"}

AS_US = ScriptedPeer(US, Person("somebody else"), names=("us", "them"))
"""Who has our tag and name, and not our keys."""


def bit_flipped(raw: bytes) -> bytes:
    """The last byte of an Auth-I, or of the ring signature of an Auth-R, is another one."""
    at = len(raw) - 1
    if raw[2] == reading4.AUTH_R:
        taken = reading4.exchange(raw)
        at = raw.index(taken.sigma) + len(taken.sigma) - 2
    return raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]


@cache
def stray_auth_i() -> bytes:
    peer = ScriptedPeer(THEM)
    return peer.auth_i(peer.identity("stray"), AS_US.auth_r("stray", peer.identity("stray")))


def identity(scene: Scene, *, above: bool) -> list[Event]:
    return scene.subject.take(scene.peer.identity(scene.ranked("another", above=above)))


def auth_r_of(scene: Scene, label: str = "an answer") -> bytes:
    return scene.peer.auth_r(label, scene.ours or AS_US.identity("stray"))


def auth_i_of(scene: Scene) -> bytes:
    return scene.peer.auth_i(scene.theirs, scene.auth_r) if scene.auth_r else stray_auth_i()


def data(scene: Scene, flags: int = 0) -> list[Event]:
    session = scene.session
    if session is None:
        ours = scene.auth_r or scene.ours or AS_US.auth_r("stray", scene.peer.identity("stray"))
        session = scene.peer.session("stray", ours)
    return scene.subject.take(session.send(b"text", flags=flags))


EVENTS: dict[str, Callable[[Scene], list[Event]]] = {
    "higher Identity": lambda scene: identity(scene, above=True),
    "lower Identity": lambda scene: identity(scene, above=False),
    "the same Identity": lambda scene: scene.subject.take(scene.theirs),
    "our own Identity": lambda scene: scene.subject.take(reading4.readdressed(scene.ours, THEM, US)),
    "Identity, wrong signature": lambda scene: scene.subject.take(
        scene.peer.identity("wrong", profile=scene.peer.person.profile(THEM)[:-1] + b"\x01")
    ),
    "Auth-R": lambda scene: scene.subject.take(auth_r_of(scene)),
    "the same Auth-R": lambda scene: scene.subject.take(scene.their_auth_r),
    "Auth-R, wrong signature": lambda scene: scene.subject.take(bit_flipped(auth_r_of(scene))),
    "Auth-I": lambda scene: scene.subject.take(auth_i_of(scene)),
    "Auth-I of another exchange": lambda scene: scene.subject.take(stray_auth_i()),
    "Auth-I, wrong signature": lambda scene: scene.subject.take(bit_flipped(auth_i_of(scene))),
    "data": data,
    "data, ignorable": lambda scene: data(scene, flags=1),
    "query": lambda scene: scene.subject.talk.receive("?OTRv4?"),
    "tag": lambda scene: scene.subject.talk.receive("hello" + TAG),
    "error": lambda scene: scene.subject.talk.receive("?OTR Error: ERROR_2: not private"),
    "plain text": lambda scene: scene.subject.talk.receive("hello"),
    "user starts": lambda scene: scene.subject.talk.start(),
    "user types": lambda scene: scene.subject.talk.send("typed"),
    "user ends": lambda scene: scene.subject.talk.end(),
}
LATER = ", 10 s later"
TIMED = ("higher Identity", "lower Identity", "the same Identity", "the same Auth-R", "query", "tag")
ALL_EVENTS = [*EVENTS, *(name + LATER for name in TIMED)]

MEANINGLESS = {
    *((state, "the same Identity") for state in ("START", "WAITING_AUTH_R", "initiator")),
    *(
        (state, "our own Identity")
        for state in STATES
        if state not in ("WAITING_AUTH_R", "yielded", "initiator")
    ),
    *((state, "the same Auth-R") for state in STATES if state != "initiator"),
}


class Cell(NamedTuple):
    """What goes out, and the state after that."""

    out: tuple[str, ...]
    after: str = "unchanged"


NOTHING = Cell(())
"""Everything is as it was before."""
SILENCE = Cell(("(nothing)",))
"""Nothing goes out, and the exchange stays where it is; something may be shown, or a start remembered."""
FRESH_AUTH_R = ("fresh Auth-R",)
FRESH_IDENTITY = ("fresh Identity",)

TABLE: dict[tuple[str, str], Cell] = {
    # "Reply with an Auth-R message. Transition to the WAITING_AUTH_I state."
    ("START", "higher Identity"): Cell(FRESH_AUTH_R, "WAITING_AUTH_I"),
    ("START", "lower Identity"): Cell(FRESH_AUTH_R, "WAITING_AUTH_I"),
    ("START", "higher Identity, 10 s later"): Cell(FRESH_AUTH_R, "WAITING_AUTH_I"),
    ("START", "lower Identity, 10 s later"): Cell(FRESH_AUTH_R, "WAITING_AUTH_I"),
    ("START", "Identity, wrong signature"): NOTHING,
    ("START", "Auth-R"): NOTHING,
    ("START", "Auth-R, wrong signature"): NOTHING,
    ("START", "Auth-I"): NOTHING,
    ("START", "Auth-I of another exchange"): NOTHING,
    ("START", "Auth-I, wrong signature"): NOTHING,
    ("START", "data"): Cell(("ERROR_2",)),
    ("START", "data, ignorable"): NOTHING,
    ("START", "query"): Cell(FRESH_IDENTITY, "WAITING_AUTH_R"),
    ("START", "query, 10 s later"): Cell(FRESH_IDENTITY, "WAITING_AUTH_R"),
    ("START", "tag"): Cell(FRESH_IDENTITY, "WAITING_AUTH_R"),
    ("START", "tag, 10 s later"): Cell(FRESH_IDENTITY, "WAITING_AUTH_R"),
    ("START", "error"): SILENCE,
    ("START", "plain text"): SILENCE,
    ("START", "user starts"): Cell(("query",)),
    ("START", "user types"): Cell(("plain",)),
    ("START", "user ends"): NOTHING,
    # "If yours is the higher hash value: Ignore the incoming Identity message"
    ("WAITING_AUTH_R", "lower Identity"): SILENCE,
    ("WAITING_AUTH_R", "lower Identity, 10 s later"): SILENCE,
    # "Otherwise: [...] Pretend you are on START state and send a new Auth-R message."
    ("WAITING_AUTH_R", "higher Identity"): Cell(FRESH_AUTH_R, "yielded"),
    ("WAITING_AUTH_R", "higher Identity, 10 s later"): Cell(FRESH_AUTH_R, "yielded"),
    ("WAITING_AUTH_R", "our own Identity"): NOTHING,
    ("WAITING_AUTH_R", "Identity, wrong signature"): NOTHING,
    ("WAITING_AUTH_R", "Auth-R"): Cell(("fresh Auth-I",), "encrypted, done"),
    ("WAITING_AUTH_R", "Auth-R, wrong signature"): NOTHING,
    ("WAITING_AUTH_R", "Auth-I"): NOTHING,
    ("WAITING_AUTH_R", "Auth-I of another exchange"): NOTHING,
    ("WAITING_AUTH_R", "Auth-I, wrong signature"): NOTHING,
    ("WAITING_AUTH_R", "data"): Cell(("ERROR_2",)),
    ("WAITING_AUTH_R", "data, ignorable"): NOTHING,
    ("WAITING_AUTH_R", "query"): SILENCE,
    ("WAITING_AUTH_R", "query, 10 s later"): Cell(("same Identity",), "WAITING_AUTH_R"),
    ("WAITING_AUTH_R", "tag"): SILENCE,
    ("WAITING_AUTH_R", "tag, 10 s later"): Cell(("same Identity",), "WAITING_AUTH_R"),
    ("WAITING_AUTH_R", "error"): SILENCE,
    ("WAITING_AUTH_R", "plain text"): SILENCE,
    ("WAITING_AUTH_R", "user starts"): Cell(("query",)),
    ("WAITING_AUTH_R", "user types"): SILENCE,
    ("WAITING_AUTH_R", "user ends"): Cell(("(nothing)",), "START"),
    # "Send a new Auth-R message with the new values received"
    ("WAITING_AUTH_I", "higher Identity"): Cell(FRESH_AUTH_R, "WAITING_AUTH_I"),
    ("WAITING_AUTH_I", "lower Identity"): Cell(FRESH_AUTH_R, "WAITING_AUTH_I"),
    ("WAITING_AUTH_I", "higher Identity, 10 s later"): Cell(FRESH_AUTH_R, "WAITING_AUTH_I"),
    ("WAITING_AUTH_I", "lower Identity, 10 s later"): Cell(FRESH_AUTH_R, "WAITING_AUTH_I"),
    ("WAITING_AUTH_I", "the same Identity"): NOTHING,
    ("WAITING_AUTH_I", "the same Identity, 10 s later"): Cell(("same Auth-R",), "WAITING_AUTH_I"),
    ("WAITING_AUTH_I", "Identity, wrong signature"): NOTHING,
    ("WAITING_AUTH_I", "Auth-R"): NOTHING,
    ("WAITING_AUTH_I", "Auth-R, wrong signature"): NOTHING,
    ("WAITING_AUTH_I", "Auth-I"): Cell(("(nothing)",), "encrypted, START"),
    ("WAITING_AUTH_I", "Auth-I of another exchange"): NOTHING,
    ("WAITING_AUTH_I", "Auth-I, wrong signature"): NOTHING,
    ("WAITING_AUTH_I", "data"): Cell(("ERROR_2",)),
    ("WAITING_AUTH_I", "data, ignorable"): NOTHING,
    ("WAITING_AUTH_I", "query"): SILENCE,
    ("WAITING_AUTH_I", "query, 10 s later"): Cell(FRESH_IDENTITY, "WAITING_AUTH_I"),
    ("WAITING_AUTH_I", "tag"): SILENCE,
    ("WAITING_AUTH_I", "tag, 10 s later"): Cell(FRESH_IDENTITY, "WAITING_AUTH_I"),
    ("WAITING_AUTH_I", "error"): SILENCE,
    ("WAITING_AUTH_I", "plain text"): SILENCE,
    # A query would have the peer begin once more when it is done.
    ("WAITING_AUTH_I", "user starts"): Cell(()),
    ("WAITING_AUTH_I", "user types"): SILENCE,
    ("WAITING_AUTH_I", "user ends"): Cell(("(nothing)",), "START"),
    # As WAITING_AUTH_I, but for the Auth-R.
    ("yielded", "higher Identity"): Cell(FRESH_AUTH_R, "yielded"),
    ("yielded", "lower Identity"): Cell(FRESH_AUTH_R, "yielded"),
    ("yielded", "higher Identity, 10 s later"): Cell(FRESH_AUTH_R, "yielded"),
    ("yielded", "lower Identity, 10 s later"): Cell(FRESH_AUTH_R, "yielded"),
    ("yielded", "the same Identity"): NOTHING,
    ("yielded", "the same Identity, 10 s later"): Cell(("same Auth-R",), "yielded"),
    ("yielded", "our own Identity"): NOTHING,
    ("yielded", "Identity, wrong signature"): NOTHING,
    ("yielded", "Auth-R"): Cell(("fresh Auth-I",), "encrypted, done"),
    ("yielded", "Auth-R, wrong signature"): NOTHING,
    ("yielded", "Auth-I"): Cell(("(nothing)",), "encrypted, START"),
    ("yielded", "Auth-I of another exchange"): NOTHING,
    ("yielded", "Auth-I, wrong signature"): NOTHING,
    ("yielded", "data"): Cell(("ERROR_2",)),
    ("yielded", "data, ignorable"): NOTHING,
    ("yielded", "query"): SILENCE,
    ("yielded", "query, 10 s later"): Cell(FRESH_IDENTITY, "yielded"),
    ("yielded", "tag"): SILENCE,
    ("yielded", "tag, 10 s later"): Cell(FRESH_IDENTITY, "yielded"),
    ("yielded", "error"): SILENCE,
    ("yielded", "plain text"): SILENCE,
    ("yielded", "user starts"): Cell(()),
    ("yielded", "user types"): SILENCE,
    ("yielded", "user ends"): Cell(("(nothing)",), "START"),
    # "Reply with an Auth-R message", and the session that runs goes on until there is another one.
    ("responder", "higher Identity"): Cell(FRESH_AUTH_R, "encrypted, WAITING_AUTH_I"),
    ("responder", "lower Identity"): Cell(FRESH_AUTH_R, "encrypted, WAITING_AUTH_I"),
    ("responder", "higher Identity, 10 s later"): Cell(FRESH_AUTH_R, "encrypted, WAITING_AUTH_I"),
    ("responder", "lower Identity, 10 s later"): Cell(FRESH_AUTH_R, "encrypted, WAITING_AUTH_I"),
    # It has led to a session.
    ("responder", "the same Identity"): NOTHING,
    ("responder", "the same Identity, 10 s later"): NOTHING,
    ("responder", "Identity, wrong signature"): NOTHING,
    ("responder", "Auth-R"): NOTHING,
    ("responder", "Auth-R, wrong signature"): NOTHING,
    ("responder", "Auth-I"): NOTHING,
    ("responder", "Auth-I of another exchange"): NOTHING,
    ("responder", "Auth-I, wrong signature"): NOTHING,
    ("responder", "data"): SILENCE,
    ("responder", "data, ignorable"): SILENCE,
    ("responder", "query"): Cell(FRESH_IDENTITY, "encrypted, WAITING_AUTH_R"),
    ("responder", "query, 10 s later"): Cell(FRESH_IDENTITY, "encrypted, WAITING_AUTH_R"),
    # "Remove the whitespace tag and display the message to the user."
    ("responder", "tag"): SILENCE,
    ("responder", "tag, 10 s later"): SILENCE,
    ("responder", "error"): SILENCE,
    ("responder", "plain text"): SILENCE,
    ("responder", "user starts"): Cell(("data", "query"), "finished, START"),
    ("responder", "user types"): Cell(("data",)),
    ("responder", "user ends"): Cell(("data",), "START"),
    ("initiator", "higher Identity"): Cell(FRESH_AUTH_R, "encrypted, WAITING_AUTH_I"),
    ("initiator", "lower Identity"): Cell(FRESH_AUTH_R, "encrypted, WAITING_AUTH_I"),
    ("initiator", "higher Identity, 10 s later"): Cell(FRESH_AUTH_R, "encrypted, WAITING_AUTH_I"),
    ("initiator", "lower Identity, 10 s later"): Cell(FRESH_AUTH_R, "encrypted, WAITING_AUTH_I"),
    ("initiator", "our own Identity"): NOTHING,
    ("initiator", "Identity, wrong signature"): NOTHING,
    ("initiator", "Auth-R"): NOTHING,
    ("initiator", "the same Auth-R"): NOTHING,
    ("initiator", "the same Auth-R, 10 s later"): Cell(("same Auth-I",)),
    ("initiator", "Auth-R, wrong signature"): NOTHING,
    ("initiator", "Auth-I"): NOTHING,
    ("initiator", "Auth-I of another exchange"): NOTHING,
    ("initiator", "Auth-I, wrong signature"): NOTHING,
    ("initiator", "data"): Cell(("(nothing)",), "encrypted, START"),
    ("initiator", "data, ignorable"): Cell(("(nothing)",), "encrypted, START"),
    ("initiator", "query"): Cell(FRESH_IDENTITY, "encrypted, WAITING_AUTH_R"),
    ("initiator", "query, 10 s later"): Cell(FRESH_IDENTITY, "encrypted, WAITING_AUTH_R"),
    ("initiator", "tag"): SILENCE,
    ("initiator", "tag, 10 s later"): SILENCE,
    ("initiator", "error"): SILENCE,
    ("initiator", "plain text"): SILENCE,
    ("initiator", "user starts"): Cell(("data", "query"), "finished, START"),
    ("initiator", "user types"): Cell(("data",)),
    ("initiator", "user ends"): Cell(("data",), "START"),
    ("FINISHED", "higher Identity"): Cell(FRESH_AUTH_R, "finished, WAITING_AUTH_I"),
    ("FINISHED", "lower Identity"): Cell(FRESH_AUTH_R, "finished, WAITING_AUTH_I"),
    ("FINISHED", "higher Identity, 10 s later"): Cell(FRESH_AUTH_R, "finished, WAITING_AUTH_I"),
    ("FINISHED", "lower Identity, 10 s later"): Cell(FRESH_AUTH_R, "finished, WAITING_AUTH_I"),
    ("FINISHED", "the same Identity"): NOTHING,
    ("FINISHED", "the same Identity, 10 s later"): NOTHING,
    ("FINISHED", "Identity, wrong signature"): NOTHING,
    ("FINISHED", "Auth-R"): NOTHING,
    ("FINISHED", "Auth-R, wrong signature"): NOTHING,
    ("FINISHED", "Auth-I"): NOTHING,
    ("FINISHED", "Auth-I of another exchange"): NOTHING,
    ("FINISHED", "Auth-I, wrong signature"): NOTHING,
    ("FINISHED", "data"): Cell(("ERROR_2",)),
    ("FINISHED", "data, ignorable"): NOTHING,
    ("FINISHED", "query"): Cell(FRESH_IDENTITY, "finished, WAITING_AUTH_R"),
    ("FINISHED", "query, 10 s later"): Cell(FRESH_IDENTITY, "finished, WAITING_AUTH_R"),
    ("FINISHED", "tag"): Cell(FRESH_IDENTITY, "finished, WAITING_AUTH_R"),
    ("FINISHED", "tag, 10 s later"): Cell(FRESH_IDENTITY, "finished, WAITING_AUTH_R"),
    ("FINISHED", "error"): SILENCE,
    ("FINISHED", "plain text"): SILENCE,
    ("FINISHED", "user starts"): Cell(("query",)),
    ("FINISHED", "user types"): SILENCE,
    ("FINISHED", "user ends"): Cell(("(nothing)",), "START"),
}

KINDS = {
    reading4.IDENTITY: "Identity",
    reading4.AUTH_R: "Auth-R",
    reading4.AUTH_I: "Auth-I",
    reading4.DATA: "data",
}


def kind_of(line: str, before: list[str]) -> str:
    """What a line is, by hand."""
    if line.startswith("?OTR Error: "):
        return line.split(":")[1].strip()
    if line.startswith("?OTRv"):
        return "query"
    if not line.startswith("?OTR:"):
        return "plain"
    raw = reading.raw_of(line)
    kind = KINDS[raw[2]]
    return kind if kind == "data" else ("same " if line in before else "fresh ") + kind


def test_the_table_is_whole() -> None:
    cells = {(state, event) for state in STATES for event in ALL_EVENTS}
    late = {(state, event + LATER) for state, event in MEANINGLESS}
    assert set(TABLE) == cells - MEANINGLESS - late


@pytest.mark.parametrize(("state", "event"), TABLE)
def test_cell(state: str, event: str) -> None:
    scene, cell = Scene(state), TABLE[state, event]
    talk, before_state = scene.subject.talk, scene.state
    lines = [reading.line(raw) for raw in (scene.ours, scene.auth_r) if raw]
    if scene.their_auth_r:
        again = Scene(state)
        # Randomness is seeded: what we have sent is what we would send.
        lines += [reading.line(raw) for raw in last_auth_i(again)]
    name = event.removesuffix(LATER)
    if name != event:
        scene.subject.clock.advance(10.0)
    before = snapshot(talk)
    events = EVENTS[name](scene)
    out = tuple(kind_of(line, lines) for line in sent(events))
    if cell == NOTHING:
        assert all(isinstance(event, Rejected) for event in events)
        assert snapshot(talk) == before
    assert out == tuple(word for word in cell.out if word != "(nothing)")
    assert scene.state == (before_state if cell.after == "unchanged" else cell.after)
    if name == "user types":
        quiet = NotSent if state == "FINISHED" else Queued
        assert out or isinstance(events[0], quiet)
    texts = [event.text for event in events if isinstance(event, Received)]
    if name in ("plain text", "tag"):
        assert texts == ["hello"]
    elif name.startswith("data"):
        assert texts == (["text"] if state in ("responder", "initiator") else [])


def last_auth_i(scene: Scene) -> list[bytes]:
    known = scene.subject.talk._instances._sessions[THEM].exchanges[4]
    assert isinstance(known, Dake)
    assert isinstance(known.state, Done)
    return [known.state.reply.serialise()]


def test_ranks_are_of_the_hashed_b() -> None:
    """The scripted labels rank as told, by plain SHAKE-256 over the MPI."""
    rank = Ephemeral("any").rank
    assert Ephemeral(label_of_rank("one", above=rank)).rank > rank
    assert Ephemeral(label_of_rank("one", below=rank)).rank < rank
