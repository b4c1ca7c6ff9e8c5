"""The authentication state machine: the specification's tables as data, and every cell of them run.

The rows say what "State transitions" says for each authstate and message, and what the
resolution of crossing Commits adds: a Commit of ours that lost is *yielded* to the
instance that won.  In version 3 a D-H Key of that instance is *held* for a while; in
version 2 it leads on at once.

"L" is the instance at hand, "M" another one of the same person.  There is one exchange
at a time, so a Commit of M takes the place of what was begun with L.  Version 2 knows no
instances: there "L" is the peer, and nothing can come from M.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from itertools import product

import pytest

from otrcore.errors import PeerError
from otrcore.events import HandshakeEnd
from otrcore.protocols import NOTHING, Outcome
from otrcore.v3.ake import Ake, AwaitingRevealSignature
from otrcore.wire.header import parse_header
from tests.pair import identity, seeded
from tests.snapshot import secrets_in, snapshot
from tests.spec import reading
from tests.spec.reading import mpi
from tests.spec.scripted import ScriptedPeer, exponents

US, L, M = 0x1000, 0x2000, 0x3000
NOW = 100.0
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
    ("AWAITING_DHKEY", "start"): ("same Commit", "unchanged"),
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
    ("AWAITING_REVEALSIG", "start, 10 s later"): ("new Commit", "AWAITING_DHKEY"),
    # As AWAITING_REVEALSIG towards L; towards M the Commit is as good as ever.
    ("yielded to L", "higher Commit of L"): ("same Key", "yielded to L"),
    ("yielded to L", "lower Commit of L"): ("same Key", "yielded to L"),
    ("yielded to L", "higher Commit of M"): ("new Key", "AWAITING_REVEALSIG"),
    ("yielded to L", "lower Commit of M"): ("new Key", "AWAITING_REVEALSIG"),
    ("yielded to L", "our own Commit"): IGNORED,
    ("yielded to L", "Key of L"): ("nothing", "held from L"),
    ("yielded to L", "another Key of L"): ("nothing", "held from L"),
    ("yielded to L", "Key of M"): ("new Reveal", "AWAITING_SIG"),
    ("yielded to L", "Reveal of L"): ("Signature", "encrypted"),
    ("yielded to L", "Reveal of M"): IGNORED,
    ("yielded to L", "Signature of L"): IGNORED,
    ("yielded to L", "Signature of M"): IGNORED,
    ("yielded to L", "start"): IGNORED,
    ("yielded to L", "start, 10 s later"): ("new Commit", "AWAITING_DHKEY"),
    ("held from L", "higher Commit of L"): ("same Key", "held from L"),
    ("held from L", "lower Commit of L"): ("same Key", "held from L"),
    ("held from L", "higher Commit of M"): ("new Key", "AWAITING_REVEALSIG"),
    ("held from L", "lower Commit of M"): ("new Key", "AWAITING_REVEALSIG"),
    ("held from L", "our own Commit"): IGNORED,
    ("held from L", "Key of L"): ("nothing", "unchanged"),
    ("held from L", "another Key of L"): ("nothing", "held from L"),
    ("held from L", "Key of M"): ("new Reveal", "AWAITING_SIG"),
    ("held from L", "Reveal of L"): ("Signature", "encrypted"),
    ("held from L", "Reveal of M"): IGNORED,
    ("held from L", "Signature of L"): IGNORED,
    ("held from L", "Signature of M"): IGNORED,
    ("held from L", "start"): IGNORED,
    ("held from L", "start, 10 s later"): ("new Commit", "AWAITING_DHKEY"),
    # "Reply with a new D-H Key message, and transition authstate to AUTHSTATE_AWAITING_REVEALSIG."
    ("AWAITING_SIG", "higher Commit of L"): ("new Key", "AWAITING_REVEALSIG"),
    ("AWAITING_SIG", "lower Commit of L"): ("new Key", "AWAITING_REVEALSIG"),
    ("AWAITING_SIG", "higher Commit of M"): ("new Key", "AWAITING_REVEALSIG"),
    ("AWAITING_SIG", "lower Commit of M"): ("new Key", "AWAITING_REVEALSIG"),
    ("AWAITING_SIG", "our own Commit"): IGNORED,
    # "If this D-H Key message is the same [...]: Retransmit your Reveal Signature Message."
    ("AWAITING_SIG", "Key of L"): ("same Reveal", "unchanged"),
    ("AWAITING_SIG", "another Key of L"): IGNORED,
    ("AWAITING_SIG", "Key of M"): IGNORED,
    ("AWAITING_SIG", "Reveal of L"): IGNORED,
    ("AWAITING_SIG", "Reveal of M"): IGNORED,
    ("AWAITING_SIG", "Signature of L"): ("nothing", "encrypted"),
    ("AWAITING_SIG", "Signature of M"): IGNORED,
    ("AWAITING_SIG", "start"): IGNORED,
    ("AWAITING_SIG", "start, 10 s later"): ("new Commit", "AWAITING_DHKEY"),
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
    ("AWAITING_DHKEY", "start"): ("same Commit", "unchanged"),
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


class Scene:
    """Our exchange, and what it has sent so far."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.now = NOW
        self.ake = Ake(version, identity("alice"), US, seeded(SEED))
        self.sent: list[bytes] = []

    def start(self) -> Outcome:
        return self._note(self.ake.start(self.now))

    def receive(self, raw: bytes) -> Outcome:
        return self._note(self.ake.receive(raw, parse_header(raw), self.now))

    def tick(self) -> Outcome:
        return self._note(self.ake.tick(self.now))

    def _note(self, outcome: Outcome) -> Outcome:
        self.sent += outcome.replies
        return outcome

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
    assert type(scene.ake.state).__name__ == AUTHSTATES[state]
    return scene


def peer(scene: Scene, tag: int, exponent: int) -> ScriptedPeer:
    return ScriptedPeer(tag, exponent, version=scene.version)


MAKE: dict[str, Callable[[Scene], bytes]] = {
    "higher Commit of L": lambda scene: peer(scene, L, HIGHER).commit(),
    "lower Commit of L": lambda scene: peer(scene, L, LOWER).commit(),
    "higher Commit of M": lambda scene: peer(scene, M, HIGHER).commit(),
    "lower Commit of M": lambda scene: peer(scene, M, LOWER).commit(),
    "our own Commit": lambda scene: scene.last(reading.COMMIT) or b"",
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


def test_without_another_instance_only_the_answer_to_a_yielded_commit_differs() -> None:
    differing = {cell for cell in TABLE_2 if TABLE_2[cell] != TABLE_3[cell]}
    assert differing == {("yielded to L", "Key of L"), ("yielded to L", "another Key of L")}


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
    whole, before = snapshot(scene.ake), snapshot(scene.ake.state)

    refused = False
    outcome = NOTHING
    if message.startswith("start"):
        scene.now += 10.0 if message.endswith("later") else 0.0
        outcome = scene.start()
    else:
        try:
            outcome = scene.receive(MAKE[message](scene))
        except PeerError:
            refused = True

    check_replies(replies, outcome, sent_before)
    if following == "unchanged":
        assert snapshot(scene.ake.state) == before
    else:
        assert not refused
        check_state(following, scene)
    if refused or (replies, following) == IGNORED:
        assert outcome == NOTHING
        if not message.startswith("start"):  # which is remembered
            assert snapshot(scene.ake) == whole
    if following == "encrypted":
        initiator = message.startswith("Signature")
        theirs, own = (SOME_OTHER, scene.gx) if initiator else (HIGHEST, scene.gy)
        check_channel(outcome, version, initiator, reading.power(own, theirs))
    else:
        assert outcome.channel is None
    assert outcome.failed is None


def check_replies(wanted: str, outcome: Outcome, before: list[bytes]) -> None:
    if wanted == "nothing":
        assert outcome.replies == ()
        return
    kinds = {
        "Commit": reading.COMMIT,
        "Key": reading.KEY,
        "Reveal": reading.REVEAL,
        "Signature": reading.SIGNATURE,
    }
    freshness, _, name = wanted.rpartition(" ")
    (reply,) = outcome.replies
    made = reading.message(reply)
    assert made.kind == kinds[name]
    earlier = [raw for raw in before if raw[2] == kinds[name]]
    if freshness == "same":
        assert reply == earlier[-1]
    elif freshness == "new":
        # A new one differs in what matters: in the D-H value, of which the hash is a picture.
        field = {"Commit": 1, "Key": 0, "Reveal": 0}[name]
        assert made.fields[field] not in [reading.message(raw).fields[field] for raw in earlier]


def check_state(wanted: str, scene: Scene) -> None:
    state = snapshot(scene.ake.state)
    assert isinstance(state, dict)
    if wanted == "encrypted":
        assert state == {"type": "AuthStateNone"}
        return
    if wanted == "yielded to M":
        assert state["commit"]["header"]["sender_tag"] == M
        wanted = "yielded to L"
    assert state["type"] == AUTHSTATES[wanted]
    if state["type"] == "AwaitingRevealSignature":
        yielded = state["yielded"]
        assert (yielded is not None) == (wanted != "AWAITING_REVEALSIG")
        if yielded is not None:
            assert (yielded["answer"] is not None) == (wanted == "held from L")


def check_channel(outcome: Outcome, version: int, initiator: bool, s: int) -> None:
    assert outcome.channel is not None
    info = outcome.channel.info
    assert info.version == version
    assert info.ssid == reading.ake_secrets(s).ssid
    assert info.initiator is initiator
    assert info.their_instance_tag == (0 if version == 2 else L)
    assert info.their_fingerprint.digest == reading.private_key("scripted").public.fingerprint
    assert info.our_fingerprint == identity("alice").fingerprint


@each_running
def test_what_is_sent_has_the_front_of_its_version(version: int, state: str) -> None:
    """In version 2 no instance tags; in version 3 ours, and the peer's if it is known."""
    for raw in bring(version, state).sent:
        taken = reading.message(raw)
        assert taken.version == version
        to = 0 if taken.kind == reading.COMMIT else L
        assert taken.tags == (() if version == 2 else (US, to))


@each_running
def test_an_exchange_without_progress_is_given_up_after_60_s(version: int, state: str) -> None:
    scene = bring(version, state)
    if state == "held from L":
        scene.now += 5.0
        scene.tick()
    began = scene.now
    assert scene.ake.deadline == began + 60.0
    scene.now = began + 59.99
    assert scene.tick() == NOTHING
    assert scene.ake.running
    scene.now = began + 60.0
    unanswered = state == "AWAITING_DHKEY"
    assert scene.tick() == Outcome(failed=HandshakeEnd.NO_ANSWER if unanswered else HandshakeEnd.INCOMPLETE)
    assert not scene.ake.running
    assert scene.ake.deadline is None
    assert secrets_in(snapshot(scene.ake.state)) == set()


TAKING_PART = ["AWAITING_REVEALSIG", "yielded to L", "AWAITING_SIG"]
"""Where the peer has answered already, so that a start could do harm."""


@pytest.mark.parametrize("state", TAKING_PART)
def test_a_start_must_wait_for_10_quiet_seconds(state: str) -> None:
    """It is remembered, and comes into effect if nothing has happened until then."""
    scene = bring(3, state)
    before = snapshot(scene.ake.state)
    scene.now += 9.0
    assert scene.start() == NOTHING
    assert scene.ake.deadline == NOW + 10.0
    scene.now = NOW + 9.99
    assert scene.tick() == NOTHING
    assert snapshot(scene.ake.state) == before
    scene.now = NOW + 10.0
    assert [raw[2] for raw in scene.tick().replies] == [reading.COMMIT]
    assert type(scene.ake.state).__name__ == AUTHSTATES["AWAITING_DHKEY"]
    assert scene.ake.deadline == NOW + 70.0
    scene.now = NOW + 70.0
    assert scene.tick().failed is HandshakeEnd.NO_ANSWER


@pytest.mark.parametrize("state", [*TAKING_PART, "held from L"])
def test_a_start_after_10_quiet_seconds_is_one_at_once(state: str) -> None:
    scene = bring(3, state)
    scene.now += 10.0
    assert [raw[2] for raw in scene.start().replies] == [reading.COMMIT]


@pytest.mark.parametrize("state", TAKING_PART)
def test_a_repeated_message_is_no_progress(state: str) -> None:
    """It is answered as before, and keeps neither the exchange alive nor a remembered start from its turn."""
    scene = bring(3, state)
    scene.now += 9.0
    scene.start()
    before = snapshot(scene.ake)
    repeated = MAKE["Key of L"](scene) if state == "AWAITING_SIG" else repeated_commit(scene)
    assert scene.receive(repeated).replies
    assert snapshot(scene.ake) == before
    scene.now += 1.0
    assert [raw[2] for raw in scene.tick().replies] == [reading.COMMIT]


def repeated_commit(scene: Scene) -> bytes:
    """The Commit of L that is being answered."""
    state = scene.ake.state
    assert isinstance(state, AwaitingRevealSignature)
    return state.commit.serialise()


@pytest.mark.parametrize("state", [state for state in TAKING_PART if state != "AWAITING_SIG"])
def test_progress_makes_a_remembered_start_needless(state: str) -> None:
    scene = bring(3, state)
    scene.now += 9.0
    scene.start()
    another = ScriptedPeer(L, HIGHEST - 2).commit()
    assert another != repeated_commit(scene)
    scene.receive(another)
    before = snapshot(scene.ake)
    scene.now += 10.0
    assert scene.tick() == NOTHING
    assert snapshot(scene.ake) == before
    assert scene.ake.deadline == NOW + 69.0


@pytest.mark.parametrize("state", TAKING_PART)
def test_a_remembered_start_does_not_outlive_its_exchange(state: str) -> None:
    scene = bring(3, state)
    scene.start()
    scene.ake.cancel()
    scene.now += 10.0
    assert scene.tick() == NOTHING

    scene = bring(3, state)
    scene.start()
    scene.receive(MAKE["Signature of L" if state == "AWAITING_SIG" else "Reveal of L"](scene))
    assert scene.ake.deadline is None
    scene.now += 10.0
    assert scene.tick() == NOTHING
    # Nor does it hurry the next one.
    scene.receive(ScriptedPeer(L, HIGHER).commit())
    assert scene.ake.deadline == scene.now + 60.0


def test_a_held_answer_goes_before_a_remembered_start() -> None:
    scene = bring(3, "held from L")
    scene.start()
    assert scene.ake.deadline == NOW + 5.0
    scene.now += 5.0
    assert [raw[2] for raw in scene.tick().replies] == [reading.REVEAL]
    assert scene.ake.deadline == NOW + 65.0


@each_running
def test_cancelling_forgets_everything(version: int, state: str) -> None:
    scene = bring(version, state)
    assert secrets_in(snapshot(scene.ake.state))
    scene.ake.cancel()
    assert snapshot(scene.ake.state) == {"type": "AuthStateNone"}


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
        scene.ake.cancel()
        commits += scene.start().replies
        reveals += scene.receive(peer(scene, L, SOME_OTHER).key(US)).replies
        values.append(scene.gx)
        scene.ake.cancel()
    assert len(set(values)) == 4
    assert len({reading.message(raw).content(0) for raw in reveals}) == 2
    assert len({reading.message(raw).content(0) for raw in commits}) == 2


@pytest.mark.parametrize("state", ["AWAITING_REVEALSIG", "yielded to L", "held from L"])
def test_the_newest_commit_counts(state: str) -> None:
    """The Reveal Signature for the one before is refused, that for the new one ends the exchange."""
    scene = bring(3, state)
    scene.receive(ScriptedPeer(L, HIGHER).commit())
    before = snapshot(scene.ake)
    with pytest.raises(PeerError):
        scene.receive(ScriptedPeer(L, HIGHEST).reveal(US, scene.gy))
    assert snapshot(scene.ake) == before
    outcome = scene.receive(ScriptedPeer(L, HIGHER).reveal(US, scene.gy))
    check_channel(outcome, 3, False, reading.power(scene.gy, HIGHER))
