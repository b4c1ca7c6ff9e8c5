"""The authentication state machine: the specification's tables as data, and every cell of them run.

The rows say what "State transitions" says for each authstate and message, and what the
resolution of crossing Commits adds: a Commit of ours that lost is *yielded* to the
instance that won.  In version 3 a D-H Key of that instance is *held* for a while; in
version 2 it leads on at once.

"L" is the instance at hand, whose authstate the row names, "M" another one of the same
person.  Each instance has an exchange of its own, and our Commit goes to all of them: what
M says is answered as from a peer that has said nothing yet, leaves L where it was, and
what follows is the authstate towards M.  Version 2 knows no instances: there "L" is the
peer, and nothing can come from M.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from itertools import product

import pytest

from otrcore.account import Account
from otrcore.errors import Reason
from otrcore.events import (
    Event,
    HandshakeEnd,
    HandshakeFailed,
    HandshakeStep,
    Rejected,
    SessionOpened,
)
from otrcore.v3.ake import Ake, AuthState, AuthStateNone
from tests.pair import Clock, identity, seeded, speaking
from tests.snapshot import secrets_in, snapshot
from tests.spec import reading
from tests.spec.reading import mpi
from tests.spec.scripted import ScriptedPeer, exponents
from tests.spec.subject import sent, shown

US, L, M = 0x1000, 0x2000, 0x3000
SEED = "the table"

AUTHSTATES = {
    "NONE": "AuthStateNone",
    "AWAITING_DHKEY": "AwaitingDhKey",
    "AWAITING_REVEALSIG": "AwaitingRevealSignature",
    "yielded to L": "AwaitingRevealSignature",
    "held from L": "AwaitingRevealSignature",
    "AWAITING_SIG": "AwaitingSignature",
}
STATES_2 = [state for state in AUTHSTATES if state != "held from L"]

MESSAGES = (
    "higher Commit of L",
    "lower Commit of L",
    "higher Commit of M",
    "lower Commit of M",
    "our own Commit",
    "Key of L",
    "another Key of L",
    "Key of M",
    "Reveal of L",
    "Reveal of M",
    "Signature of L",
    "Signature of M",
    "start",
    "start, 10 s later",
)
MESSAGES_2 = [message for message in MESSAGES if not message.endswith("of M")]

IGNORED = ("nothing", "unchanged")

TABLE_3 = {
    ("NONE", "higher Commit of L"): ("new Key", "AWAITING_REVEALSIG"),
    ("NONE", "lower Commit of L"): ("new Key", "AWAITING_REVEALSIG"),
    ("NONE", "higher Commit of M"): ("new Key", "AWAITING_REVEALSIG"),
    ("NONE", "lower Commit of M"): ("new Key", "AWAITING_REVEALSIG"),
    ("NONE", "Key of L"): IGNORED,
    ("NONE", "another Key of L"): IGNORED,
    ("NONE", "Key of M"): IGNORED,
    ("NONE", "Reveal of L"): IGNORED,
    ("NONE", "Reveal of M"): IGNORED,
    ("NONE", "Signature of L"): IGNORED,
    ("NONE", "Signature of M"): IGNORED,
    ("NONE", "start"): ("new Commit", "AWAITING_DHKEY"),
    ("NONE", "start, 10 s later"): ("new Commit", "AWAITING_DHKEY"),
    # "This is the trickiest transition in the whole protocol."
    ("AWAITING_DHKEY", "higher Commit of L"): ("new Key", "yielded to L"),
    ("AWAITING_DHKEY", "lower Commit of L"): ("same Commit", "unchanged"),
    ("AWAITING_DHKEY", "higher Commit of M"): ("new Key", "yielded to M"),
    ("AWAITING_DHKEY", "lower Commit of M"): ("same Commit", "unchanged"),
    ("AWAITING_DHKEY", "our own Commit"): IGNORED,
    ("AWAITING_DHKEY", "Key of L"): ("new Reveal", "AWAITING_SIG"),
    ("AWAITING_DHKEY", "another Key of L"): ("new Reveal", "AWAITING_SIG"),
    ("AWAITING_DHKEY", "Key of M"): ("new Reveal", "AWAITING_SIG"),
    ("AWAITING_DHKEY", "Reveal of L"): IGNORED,
    ("AWAITING_DHKEY", "Reveal of M"): IGNORED,
    ("AWAITING_DHKEY", "Signature of L"): IGNORED,
    ("AWAITING_DHKEY", "Signature of M"): IGNORED,
    ("AWAITING_DHKEY", "start"): IGNORED,
    ("AWAITING_DHKEY", "start, 10 s later"): ("same Commit", "unchanged"),
    # "Retransmit your D-H Key Message. [...] Forget the old D-H Commit message, and use this new one."
    ("AWAITING_REVEALSIG", "higher Commit of L"): ("same Key", "AWAITING_REVEALSIG"),
    ("AWAITING_REVEALSIG", "lower Commit of L"): ("same Key", "AWAITING_REVEALSIG"),
    ("AWAITING_REVEALSIG", "higher Commit of M"): ("new Key", "AWAITING_REVEALSIG"),
    ("AWAITING_REVEALSIG", "lower Commit of M"): ("new Key", "AWAITING_REVEALSIG"),
    ("AWAITING_REVEALSIG", "Key of L"): IGNORED,
    ("AWAITING_REVEALSIG", "another Key of L"): IGNORED,
    ("AWAITING_REVEALSIG", "Key of M"): IGNORED,
    ("AWAITING_REVEALSIG", "Reveal of L"): ("Signature", "encrypted"),
    ("AWAITING_REVEALSIG", "Reveal of M"): IGNORED,
    ("AWAITING_REVEALSIG", "Signature of L"): IGNORED,
    ("AWAITING_REVEALSIG", "Signature of M"): IGNORED,
    ("AWAITING_REVEALSIG", "start"): IGNORED,
    ("AWAITING_REVEALSIG", "start, 10 s later"): ("new Commit", "unchanged"),
    # As AWAITING_REVEALSIG towards L; towards M our Commit is as good as ever, here and below.
    ("yielded to L", "higher Commit of L"): ("same Key", "yielded to L"),
    ("yielded to L", "lower Commit of L"): ("same Key", "yielded to L"),
    ("yielded to L", "higher Commit of M"): ("new Key", "yielded to M"),
    ("yielded to L", "lower Commit of M"): ("same Commit", "unchanged"),
    ("yielded to L", "our own Commit"): IGNORED,
    ("yielded to L", "Key of L"): ("nothing", "held from L"),
    ("yielded to L", "another Key of L"): ("nothing", "held from L"),
    ("yielded to L", "Key of M"): ("new Reveal", "AWAITING_SIG"),
    ("yielded to L", "Reveal of L"): ("Signature", "encrypted"),
    ("yielded to L", "Reveal of M"): IGNORED,
    ("yielded to L", "Signature of L"): IGNORED,
    ("yielded to L", "Signature of M"): IGNORED,
    ("yielded to L", "start"): IGNORED,
    ("yielded to L", "start, 10 s later"): ("new Commit", "unchanged"),
    ("held from L", "higher Commit of L"): ("same Key", "held from L"),
    ("held from L", "lower Commit of L"): ("same Key", "held from L"),
    ("held from L", "higher Commit of M"): ("new Key", "yielded to M"),
    ("held from L", "lower Commit of M"): ("same Commit", "unchanged"),
    ("held from L", "our own Commit"): IGNORED,
    ("held from L", "Key of L"): ("nothing", "unchanged"),
    ("held from L", "another Key of L"): ("nothing", "held from L"),
    ("held from L", "Key of M"): ("new Reveal", "AWAITING_SIG"),
    ("held from L", "Reveal of L"): ("Signature", "encrypted"),
    ("held from L", "Reveal of M"): IGNORED,
    ("held from L", "Signature of L"): IGNORED,
    ("held from L", "Signature of M"): IGNORED,
    ("held from L", "start"): IGNORED,
    ("held from L", "start, 10 s later"): ("new Commit", "unchanged"),
    # "Reply with a new D-H Key message, and transition authstate to AUTHSTATE_AWAITING_REVEALSIG."
    ("AWAITING_SIG", "higher Commit of L"): ("new Key", "AWAITING_REVEALSIG"),
    ("AWAITING_SIG", "lower Commit of L"): ("new Key", "AWAITING_REVEALSIG"),
    ("AWAITING_SIG", "higher Commit of M"): ("new Key", "yielded to M"),
    ("AWAITING_SIG", "lower Commit of M"): ("same Commit", "unchanged"),
    ("AWAITING_SIG", "our own Commit"): IGNORED,
    # "If this D-H Key message is the same [...]: Retransmit your Reveal Signature Message."
    ("AWAITING_SIG", "Key of L"): ("same Reveal", "unchanged"),
    ("AWAITING_SIG", "another Key of L"): IGNORED,
    ("AWAITING_SIG", "Key of M"): ("new Reveal", "AWAITING_SIG"),
    ("AWAITING_SIG", "Reveal of L"): IGNORED,
    ("AWAITING_SIG", "Reveal of M"): IGNORED,
    ("AWAITING_SIG", "Signature of L"): ("nothing", "encrypted"),
    ("AWAITING_SIG", "Signature of M"): IGNORED,
    ("AWAITING_SIG", "start"): IGNORED,
    ("AWAITING_SIG", "start, 10 s later"): ("new Commit", "unchanged"),
}

TABLE_2 = {
    ("NONE", "higher Commit of L"): ("new Key", "AWAITING_REVEALSIG"),
    ("NONE", "lower Commit of L"): ("new Key", "AWAITING_REVEALSIG"),
    ("NONE", "Key of L"): IGNORED,
    ("NONE", "another Key of L"): IGNORED,
    ("NONE", "Reveal of L"): IGNORED,
    ("NONE", "Signature of L"): IGNORED,
    ("NONE", "start"): ("new Commit", "AWAITING_DHKEY"),
    ("NONE", "start, 10 s later"): ("new Commit", "AWAITING_DHKEY"),
    ("AWAITING_DHKEY", "higher Commit of L"): ("new Key", "yielded to L"),
    ("AWAITING_DHKEY", "lower Commit of L"): ("same Commit", "unchanged"),
    ("AWAITING_DHKEY", "our own Commit"): IGNORED,
    ("AWAITING_DHKEY", "Key of L"): ("new Reveal", "AWAITING_SIG"),
    ("AWAITING_DHKEY", "another Key of L"): ("new Reveal", "AWAITING_SIG"),
    ("AWAITING_DHKEY", "Reveal of L"): IGNORED,
    ("AWAITING_DHKEY", "Signature of L"): IGNORED,
    ("AWAITING_DHKEY", "start"): IGNORED,
    ("AWAITING_DHKEY", "start, 10 s later"): ("same Commit", "unchanged"),
    ("AWAITING_REVEALSIG", "higher Commit of L"): ("same Key", "AWAITING_REVEALSIG"),
    ("AWAITING_REVEALSIG", "lower Commit of L"): ("same Key", "AWAITING_REVEALSIG"),
    ("AWAITING_REVEALSIG", "Key of L"): IGNORED,
    ("AWAITING_REVEALSIG", "another Key of L"): IGNORED,
    ("AWAITING_REVEALSIG", "Reveal of L"): ("Signature", "encrypted"),
    ("AWAITING_REVEALSIG", "Signature of L"): IGNORED,
    ("AWAITING_REVEALSIG", "start"): IGNORED,
    ("AWAITING_REVEALSIG", "start, 10 s later"): ("new Commit", "AWAITING_DHKEY"),
    # A D-H Key now means that the peer has yielded too: it never sends one after it has won.
    ("yielded to L", "higher Commit of L"): ("same Key", "yielded to L"),
    ("yielded to L", "lower Commit of L"): ("same Key", "yielded to L"),
    ("yielded to L", "our own Commit"): IGNORED,
    ("yielded to L", "Key of L"): ("new Reveal", "AWAITING_SIG"),
    ("yielded to L", "another Key of L"): ("new Reveal", "AWAITING_SIG"),
    ("yielded to L", "Reveal of L"): ("Signature", "encrypted"),
    ("yielded to L", "Signature of L"): IGNORED,
    ("yielded to L", "start"): IGNORED,
    ("yielded to L", "start, 10 s later"): ("new Commit", "AWAITING_DHKEY"),
    ("AWAITING_SIG", "higher Commit of L"): ("new Key", "AWAITING_REVEALSIG"),
    ("AWAITING_SIG", "lower Commit of L"): ("new Key", "AWAITING_REVEALSIG"),
    ("AWAITING_SIG", "our own Commit"): IGNORED,
    ("AWAITING_SIG", "Key of L"): ("same Reveal", "unchanged"),
    ("AWAITING_SIG", "another Key of L"): IGNORED,
    ("AWAITING_SIG", "Reveal of L"): IGNORED,
    ("AWAITING_SIG", "Signature of L"): ("nothing", "encrypted"),
    ("AWAITING_SIG", "start"): IGNORED,
    ("AWAITING_SIG", "start, 10 s later"): ("new Commit", "AWAITING_DHKEY"),
}

TABLES = {2: TABLE_2, 3: TABLE_3}
CELLS = [(version, *cell) for version, table in TABLES.items() for cell in table]
VERSIONS_AND_STATES = [*product([2], STATES_2), *product([3], AUTHSTATES)]
RUNNING = [(version, state) for version, state in VERSIONS_AND_STATES if state != "NONE"]
each_version = pytest.mark.parametrize("version", TABLES)
each_running = pytest.mark.parametrize(("version", "state"), RUNNING)

HAVING_NO_COMMIT = ("NONE", "AWAITING_REVEALSIG")
"""Where no Commit of ours is in use that could come back."""

LOWEST, LOWER, *_, HIGHER, HIGHEST = exponents()
SOME_OTHER = exponents()[5]

KINDS = {
    reading.COMMIT: "Commit",
    reading.KEY: "Key",
    reading.REVEAL: "Reveal",
    reading.SIGNATURE: "Signature",
}


class Scene:
    """A conversation of ours, and what it has sent so far."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.clock = Clock()
        random = seeded(SEED)
        account = Account(
            identity("alice"), speaking(version), instance_tag=US, random=random, clock=self.clock
        )
        self.talk = account.conversation("them")
        self.sent: list[bytes] = []

    def start(self) -> list[Event]:
        """Somebody asks."""
        return self._note(self.talk.receive(f"?OTRv{self.version}?"))

    def receive(self, raw: bytes) -> list[Event]:
        return self._note(self.talk.receive(reading.line(raw)))

    def tick(self, after: float = 0.0) -> list[Event]:
        """Let time pass, and tick once."""
        self.clock.advance(after)
        return self._note(self.talk.tick())

    def run_out(self) -> list[tuple[float, Event]]:
        """Let time pass until nothing is to be waited for; return what happened, and after how long."""
        began, happened = self.clock.now, []
        while (due := self.talk.next_tick) is not None:
            self.clock.now = due
            happened += [(due - began, event) for event in self.tick()]
        return happened

    def _note(self, events: list[Event]) -> list[Event]:
        self.sent += raws(events)
        return events

    def authstate(self, tag: int) -> AuthState:
        """The authstate towards one instance; a Commit to all is one to it until it has answered."""
        instances = self.talk._instances
        session = instances._sessions.get(0 if self.version == 2 else tag)
        exchange = session.exchanges.get(self.version) if session else None
        broadcast = instances._broadcasts.get(self.version)
        if exchange is None and broadcast is not None and tag not in broadcast.served:
            exchange = broadcast.exchange
        if exchange is None:
            return AuthStateNone()
        assert isinstance(exchange, Ake)
        return exchange.state

    def last(self, kind: int) -> bytes | None:
        """The last message of this type that we sent."""
        return next((raw for raw in reversed(self.sent) if raw[2] == kind), None)

    @property
    def gy(self) -> int:
        """The value of our last D-H Key; without one, a value that is nobody's."""
        raw = self.last(reading.KEY)
        return reading.public(SOME_OTHER) if raw is None else reading.message(raw).number(0)

    @property
    def gx(self) -> int:
        """The value that our last Commit hides, known since the randomness is; else nobody's."""
        if self.last(reading.COMMIT) is None:
            return reading.public(SOME_OTHER)
        # Commits and D-H Keys draw from one row; the Commit's is the one with the Commit's hash.
        draws = seeded(SEED)
        values = [reading.public(int.from_bytes(draws("dh", 40), "big") | 1 << 319) for _ in range(4)]
        wanted = hash_of(self.last(reading.COMMIT))
        return next(gx for gx in values if hashlib.sha256(mpi(gx)).digest() == wanted)


def raws(events: list[Event]) -> list[bytes]:
    return [reading.raw_of(line) for line in sent(events)]


def hash_of(commit: bytes | None) -> bytes:
    assert commit is not None
    return reading.message(commit).content(1)


def bring(version: int, state: str) -> Scene:
    """Return a scene in this state, got there with ordinary messages."""
    scene = Scene(version)
    if state in ("AWAITING_DHKEY", "yielded to L", "held from L", "AWAITING_SIG"):
        scene.start()
    if state in ("AWAITING_REVEALSIG", "yielded to L", "held from L"):
        scene.receive(peer(scene, L, HIGHEST).commit())
    if state in ("held from L", "AWAITING_SIG"):
        scene.receive(peer(scene, L, SOME_OTHER).key(US))
    check_state(state, scene)
    return scene


def peer(scene: Scene, tag: int, exponent: int) -> ScriptedPeer:
    return ScriptedPeer(tag, exponent, version=scene.version)


def own_commit(scene: Scene, sender: int) -> bytes:
    """Our own Commit, sent back as if it came from another instance."""
    commit = scene.last(reading.COMMIT)
    assert commit is not None
    return reading.readdressed(commit, sender, US)


MAKE: dict[str, Callable[[Scene], bytes]] = {
    "higher Commit of L": lambda scene: peer(scene, L, HIGHER).commit(),
    "lower Commit of L": lambda scene: peer(scene, L, LOWER).commit(),
    "higher Commit of M": lambda scene: peer(scene, M, HIGHER).commit(),
    "lower Commit of M": lambda scene: peer(scene, M, LOWER).commit(),
    "our own Commit": lambda scene: own_commit(scene, L),
    "Key of L": lambda scene: peer(scene, L, SOME_OTHER).key(US),
    "another Key of L": lambda scene: peer(scene, L, LOWEST).key(US),
    "Key of M": lambda scene: peer(scene, M, SOME_OTHER).key(US),
    "Reveal of L": lambda scene: peer(scene, L, HIGHEST).reveal(US, scene.gy),
    "Reveal of M": lambda scene: peer(scene, M, HIGHEST).reveal(US, scene.gy),
    "Signature of L": lambda scene: peer(scene, L, SOME_OTHER).signature(US, scene.gx),
    "Signature of M": lambda scene: peer(scene, M, SOME_OTHER).signature(US, scene.gx),
}


def test_the_tables_have_every_cell() -> None:
    meaningless = {(state, "our own Commit") for state in HAVING_NO_COMMIT}
    assert set(TABLE_3) == set(product(AUTHSTATES, MESSAGES)) - meaningless
    assert set(TABLE_2) == set(product(STATES_2, MESSAGES_2)) - meaningless


def test_without_another_instance_only_answers_to_a_yielded_commit_and_late_starts_differ() -> None:
    """A start takes the place of the one exchange there is; with instances it stands beside that of L."""
    differing = {cell for cell in TABLE_2 if TABLE_2[cell] != TABLE_3[cell]}
    late = {(state, "start, 10 s later") for state in ("AWAITING_REVEALSIG", "yielded to L", "AWAITING_SIG")}
    assert differing == {("yielded to L", "Key of L"), ("yielded to L", "another Key of L")} | late


@each_version
def test_the_hashes_are_what_the_names_say(version: int) -> None:
    own = hash_of(bring(version, "AWAITING_DHKEY").last(reading.COMMIT))
    assert hash_of(ScriptedPeer(L, LOWER).commit()) < own < hash_of(ScriptedPeer(L, HIGHER).commit())


@pytest.mark.parametrize(
    ("version", "state", "message"), CELLS, ids=lambda value: str(value).replace(" ", "_")
)
def test_cell(version: int, state: str, message: str) -> None:
    replies, following = TABLES[version][state, message]
    scene = bring(version, state)
    sent_before = list(scene.sent)
    speaker, bystander = (M, L) if message.endswith("of M") else (L, M)
    before = {tag: snapshot(scene.authstate(tag)) for tag in (L, M)}
    whole = snapshot(scene.talk)

    if message.startswith("start"):
        scene.clock.advance(10.0 if message.endswith("later") else 0.0)
        events = scene.start()
    else:
        events = scene.receive(MAKE[message](scene))

    crossing = version == 3 and message.startswith("lower Commit") and replies == "same Commit"
    check_replies(replies, events, sent_before, speaker if crossing else None)
    if following == "unchanged":
        assert snapshot(scene.authstate(speaker)) == before[speaker]
    else:
        check_state(following, scene, speaker)
    if version == 3 and replies == "new Commit":
        check_state("AWAITING_DHKEY", scene, M)
    elif version == 3:
        assert snapshot(scene.authstate(bystander)) == before[bystander]
    if (replies, following) == IGNORED and not message.startswith("start"):  # which is remembered
        assert all(isinstance(event, Rejected) and not event.had_text for event in events)
        assert len(events) == (0 if state.startswith("held") and message == "Key of L" else 1)
        assert snapshot(scene.talk) == whole
    if following == "encrypted":
        initiator = message.startswith("Signature")
        theirs, own = (SOME_OTHER, scene.gx) if initiator else (HIGHEST, scene.gy)
        check_session(events, version, initiator, reading.power(own, theirs))
    else:
        assert scene.talk.info is None
    assert not any(isinstance(event, HandshakeFailed) for event in events)


def check_replies(wanted: str, events: list[Event], before: list[bytes], only_to: int | None = None) -> None:
    """`only_to`: what went to all instances before goes to this one now, who alone is to give in."""
    if wanted == "nothing":
        assert sent(events) == []
        return
    freshness, _, name = wanted.rpartition(" ")
    (reply,) = raws(events)
    made = reading.message(reply)
    assert KINDS[made.kind] == name
    earlier = [raw for raw in before if raw[2] == made.kind]
    if freshness == "same" and only_to is not None:
        assert made.fields == reading.message(earlier[-1]).fields
        assert made.tags == (US, only_to)
    elif freshness == "same":
        assert reply == earlier[-1]
    elif freshness == "new":
        # A new one differs in what matters: in the D-H value, of which the hash is a picture, or in
        # who can read it: several instances get the same Commit revealed.
        if name == "Reveal":
            assert reply not in earlier
            return
        field = {"Commit": 1, "Key": 0}[name]
        assert made.fields[field] not in [reading.message(raw).fields[field] for raw in earlier]


def check_state(wanted: str, scene: Scene, tag: int = L) -> None:
    wanted = wanted.replace("yielded to M", "yielded to L")
    state = snapshot(scene.authstate(tag))
    assert isinstance(state, dict)
    if wanted == "encrypted":
        assert state == {"type": "AuthStateNone"}
        return
    assert state["type"] == AUTHSTATES[wanted]
    if state["type"] == "AwaitingRevealSignature":
        assert state["commit"]["header"]["sender_tag"] == (0 if scene.version == 2 else tag)
        yielded = state["yielded"]
        assert (yielded is not None) == (wanted != "AWAITING_REVEALSIG")
        if yielded is not None:
            assert (yielded["answer"] is not None) == (wanted == "held from L")


def check_session(events: list[Event], version: int, initiator: bool, s: int) -> None:
    (opened,) = [event for event in events if isinstance(event, SessionOpened)]
    info = opened.info
    assert info.version == version
    assert info.ssid == reading.ake_secrets(s).ssid
    assert info.initiator is initiator
    assert info.their_instance_tag == (0 if version == 2 else L)
    assert info.their_fingerprint.digest == reading.private_key("scripted").public.fingerprint
    assert info.our_fingerprint == identity("alice").fingerprint


@pytest.mark.parametrize("sender", [L, M, US])
@pytest.mark.parametrize("state", [state for state in AUTHSTATES if state not in HAVING_NO_COMMIT])
def test_our_own_commit_is_known_whoever_seems_to_send_it(state: str, sender: int) -> None:
    """Answered, it would put both halves of one exchange into our hands."""
    scene = bring(3, state)
    before = snapshot(scene.talk)
    assert scene.receive(own_commit(scene, sender)) == [Rejected(Reason.REFLECTED)]
    assert snapshot(scene.talk) == before


@each_running
def test_what_is_sent_has_the_front_of_its_version(version: int, state: str) -> None:
    """In version 2 no instance tags; in version 3 ours, and the peer's if it is known."""
    for raw in bring(version, state).sent:
        taken = reading.message(raw)
        assert taken.version == version
        to = 0 if taken.kind == reading.COMMIT else L
        assert taken.tags == (() if version == 2 else (US, to))


LIVES: dict[str, tuple[list[tuple[float, str]], float, HandshakeEnd]] = {
    "AWAITING_DHKEY": ([(30.0, "new Commit")], 90.0, HandshakeEnd.NO_ANSWER),
    "AWAITING_REVEALSIG": ([(40.0, "same Key")], 60.0, HandshakeEnd.INCOMPLETE),
    "yielded to L": ([(40.0, "same Key")], 60.0, HandshakeEnd.INCOMPLETE),
    "held from L": ([(5.0, "new Reveal"), (35.0, "new Commit")], 95.0, HandshakeEnd.NO_ANSWER),
    "AWAITING_SIG": ([(30.0, "new Commit")], 90.0, HandshakeEnd.NO_ANSWER),
}
"""What is tried by itself where no progress is made, after how many seconds, and how that ends."""


@each_running
def test_an_exchange_without_progress_is_helped_on_once_and_then_given_up(version: int, state: str) -> None:
    tries, end, reason = LIVES[state]
    scene = bring(version, state)
    sent_before = list(scene.sent)
    happened = scene.run_out()
    for after, replies in tries:
        events = [event for seconds, event in happened if seconds == after]
        check_replies(replies, events, sent_before)
        sent_before += raws(events)
    steps = [(seconds, event) for seconds, event in happened if event in shown([event])]
    assert steps[-1] == (end, HandshakeFailed(reason))
    assert all(isinstance(event, HandshakeStep) for _, event in steps[:-1])
    assert len(scene.sent) == len(sent_before)
    assert not scene.talk.starting
    assert secrets_in(snapshot(scene.talk._instances._sessions)) == set()
    assert secrets_in(snapshot(scene.talk._instances._broadcasts)) == set()


@each_running
def test_a_repetition_goes_to_who_has_taken_part(version: int, state: str) -> None:
    """A Commit that nobody has answered goes to everybody again."""
    scene = bring(version, state)
    scene.sent.clear()
    scene.run_out()
    for raw in scene.sent:
        to = 0 if state == "AWAITING_DHKEY" else L
        assert reading.message(raw).tags == (() if version == 2 else (US, to))


TAKING_PART = list(product(TABLES, ["AWAITING_REVEALSIG", "yielded to L", "AWAITING_SIG"]))
"""Where the peer has answered already, so that a start could do harm."""

each_taking_part = pytest.mark.parametrize(("version", "state"), TAKING_PART)


def kinds(events: list[Event]) -> list[str]:
    return [KINDS[raw[2]] for raw in raws(events)]


@each_taking_part
def test_a_start_must_wait_for_10_quiet_seconds(version: int, state: str) -> None:
    """It is remembered, and comes into effect if nothing has happened; asking again hurries nothing."""
    scene = bring(version, state)
    before = snapshot(scene.authstate(L))
    assert scene.start() == []
    began = scene.clock.now
    assert scene.talk.next_tick == began + 10.0
    scene.clock.advance(9.0)
    assert scene.start() == []
    assert scene.tick(0.99) == []
    assert snapshot(scene.authstate(L)) == before
    assert kinds(scene.tick(0.01)) == ["Commit"]
    if version == 2:
        check_state("AWAITING_DHKEY", scene)
    else:
        assert snapshot(scene.authstate(L)) == before
        check_state("AWAITING_DHKEY", scene, M)


@each_version
def test_an_unanswered_commit_is_not_said_again_for_10_seconds(version: int) -> None:
    """A start is remembered meanwhile, and asking again hurries nothing; then it is the same one, once."""
    scene = bring(version, "AWAITING_DHKEY")
    said = scene.sent[-1]
    began = scene.clock.now
    assert scene.start() == []
    assert scene.talk.next_tick == began + 10.0
    scene.clock.advance(9.0)
    assert scene.start() == []
    assert scene.tick(0.99) == []
    assert raws(scene.tick(0.01)) == [said]
    assert scene.talk.next_tick == began + 40.0


@each_taking_part
def test_a_repeated_message_is_no_progress(version: int, state: str) -> None:
    """It is answered as before, and keeps neither the exchange alive nor a remembered start from its turn."""
    scene = bring(version, state)
    scene.start()
    scene.clock.advance(9.0)
    before = snapshot(scene.talk)
    repeated = peer(scene, L, HIGHEST).commit() if state != "AWAITING_SIG" else MAKE["Key of L"](scene)
    assert len(sent(scene.receive(repeated))) == 1
    assert snapshot(scene.talk) == before
    assert kinds(scene.tick(1.0)) == ["Commit"]


@pytest.mark.parametrize(
    ("version", "state"), [cell for cell in TAKING_PART if not cell[1].endswith("AWAITING_SIG")]
)
def test_progress_puts_a_remembered_start_off(version: int, state: str) -> None:
    """The exchange that goes on may end well, and nobody needs another then."""
    scene = bring(version, state)
    scene.start()
    scene.clock.advance(9.0)
    another = peer(scene, L, exponents()[7])
    scene.receive(another.commit())
    before = snapshot(scene.authstate(L))
    assert scene.tick(1.0) == []
    assert snapshot(scene.authstate(L)) == before
    scene.clock.advance(8.0)
    assert kinds(scene.receive(another.reveal(US, scene.gy))) == ["Signature"]
    assert scene.talk.info is not None
    assert scene.run_out() == []


@each_taking_part
def test_a_remembered_start_does_not_outlive_what_it_waits_for(version: int, state: str) -> None:
    scene = bring(version, state)
    scene.start()
    scene.talk.end()
    assert scene.talk.next_tick is None
    assert scene.tick(10.0) == []

    scene = bring(version, state)
    scene.start()
    scene.receive(MAKE["Signature of L" if state == "AWAITING_SIG" else "Reveal of L"](scene))
    assert scene.talk.info is not None
    assert scene.run_out() == []


def test_a_held_answer_goes_before_a_remembered_start() -> None:
    scene = bring(3, "held from L")
    scene.start()
    assert kinds(scene.tick(5.0)) == ["Reveal"]
    assert scene.tick(5.0) == []
    assert scene.receive(MAKE["Signature of L"](scene))
    assert scene.talk.info is not None
    assert scene.run_out() == []


@each_running
def test_ending_forgets_everything(version: int, state: str) -> None:
    scene = bring(version, state)
    assert secrets_in(snapshot(scene.talk))
    assert scene.talk.end() == [HandshakeFailed(HandshakeEnd.CANCELLED)]
    assert isinstance(scene.authstate(L), AuthStateNone)
    assert secrets_in(snapshot(scene.talk)) == set()
    assert scene.talk.next_tick is None


@each_version
def test_every_exchange_has_keys_of_its_own(version: int) -> None:
    """Two starts, two answers: four D-H values that all differ, and two different r."""
    scene = Scene(version)
    commits: list[bytes] = []
    reveals: list[bytes] = []
    values: list[int] = []
    for _ in range(2):
        scene.receive(peer(scene, L, HIGHEST).commit())
        values.append(scene.gy)
        scene.talk.end()
        commits += raws(scene.start())
        reveals += raws(scene.receive(peer(scene, L, SOME_OTHER).key(US)))
        values.append(scene.gx)
        scene.talk.end()
    assert len(set(values)) == 4
    assert len({reading.message(raw).content(0) for raw in reveals}) == 2
    assert len({reading.message(raw).content(0) for raw in commits}) == 2


@pytest.mark.parametrize(
    ("version", "state"),
    [cell for cell in RUNNING if cell[1] in ("AWAITING_REVEALSIG", "yielded to L", "held from L")],
)
def test_the_newest_commit_counts(version: int, state: str) -> None:
    """The Reveal Signature for the one before is refused, that for the new one ends the exchange."""
    scene = bring(version, state)
    scene.receive(peer(scene, L, HIGHER).commit())
    before = snapshot(scene.talk)
    events = scene.receive(peer(scene, L, HIGHEST).reveal(US, scene.gy))
    assert events == [Rejected(Reason.UNVERIFIED)]
    assert snapshot(scene.talk) == before
    events = scene.receive(peer(scene, L, HIGHER).reveal(US, scene.gy))
    check_session(events, version, False, reading.power(scene.gy, HIGHER))
