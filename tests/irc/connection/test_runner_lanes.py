"""A runner whose slow steps are done in lanes; how it leaves, whatever is under way; what drills need."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from otrcore.account import Account
from otrcore.errors import UsageError
from otrcore.events import SessionEnded, SessionOpened, SmpAsked, SmpSucceeded
from otrcore.irc.connection.address import ServerAddress
from otrcore.irc.connection.pacing import Pace
from otrcore.irc.connection.runner import LAST_WORDS
from otrcore.irc.keeper import StoreKeeper
from otrcore.irc.lanes import Threads
from otrcore.irc.memories import RecentMemories
from otrcore.model import MessageState
from otrcore.store.store import Store
from tests.irc.connection.hostile_server import HostileServer, Peer
from tests.irc.connection.people import Person, Scene
from tests.keepers import Given
from tests.pair import identity, speaking


class Gate(Threads):
    """Lanes whose steps take long when a test says so."""

    def __init__(self) -> None:
        super().__init__(patience=0.0)
        self.open = threading.Event()
        self.open.set()
        self.begun = 0
        self.refused = 0

    def run(self, step, then):  # type: ignore[no-untyped-def]
        def gated():  # type: ignore[no-untyped-def]
            self.begun += 1
            assert self.open.wait(20)
            try:
                return step()
            except UsageError:
                self.refused += 1
                raise

        return super().run(gated, then)


@pytest.fixture
def lanes() -> Iterator[Gate]:
    """Closed by the runner."""
    made = Gate()
    yield made
    made.open.set()


def join(scene: Scene, nick: str, lanes: Threads, **options: object) -> Person:
    """Somebody with lanes."""
    person = Person(scene.address, nick, lanes=lanes, **options)  # type: ignore[arg-type]
    scene.people.append(person)
    person.runner.connect()
    scene.until(lambda: person.is_ready)
    return person


def secured(scene: Scene, lanes: Threads, **options: object) -> tuple[Person, Person]:
    alice, bob = join(scene, "alice", lanes, **options), scene.join("bob")
    alice.runner.start("bob")
    scene.until(lambda: alice.has(SessionOpened) and bob.has(SessionOpened))
    return alice, bob


def test_a_conversation_in_lanes(scene: Scene, lanes: Gate) -> None:
    alice, bob = secured(scene, lanes)
    alice.runner.say("bob", "hello")
    scene.until(lambda: bob.encrypted_texts == ["hello"])
    bob.runner.command("alice", "smp ask")
    bob.secret("word")
    scene.until(lambda: alice.has(SmpAsked))
    alice.runner.command("bob", "smp answer")
    alice.secret("word")
    scene.until(lambda: alice.has(SmpSucceeded) and bob.has(SmpSucceeded))
    assert lanes.begun >= 4
    alice.runner.close("done")
    scene.until(lambda: bob.has(SessionEnded))


def test_the_end_of_a_step_ends_the_wait(scene: Scene, lanes: Gate) -> None:
    """Else it would come with whatever the server happens to say next."""
    alice, _bob = secured(scene, lanes)
    began = time.monotonic()
    alice.runner.command("bob", "smp ask")
    alice.secret("word")
    while alice.runner.host.busy("bob"):
        alice.runner.process(15.0)
    assert time.monotonic() - began < 10


def test_a_slow_step_delays_neither_pong_nor_other_people(lanes: Gate) -> None:
    talk = Account(identity("bob"), name="bob").conversation("alice")

    def script(peer: Peer) -> None:
        peer.register()
        peer.send(":bob!b@h PRIVMSG alice :?OTRv3?")
        commit = peer.until("PRIVMSG bob :").partition(" :")[2]
        lanes.open.clear()
        for event in talk.receive(commit):
            for line in getattr(event, "lines", ()):
                peer.send(f":bob!b@h PRIVMSG alice :{line}")
        while not lanes.begun:
            time.sleep(0.01)
        peer.send("PING :now", ":carol!c@h PRIVMSG alice :hello")
        assert peer.until("PONG") == "PONG :now"
        time.sleep(0.1)
        lanes.open.set()
        assert peer.until("PRIVMSG bob :?OTR")
        peer.closed_by_client()

    with HostileServer(script) as server:
        scene = Scene(server.address)
        alice = join(scene, "alice", lanes)
        scene.until(lambda: alice.plain_texts == ["hello"])
        assert not lanes.open.is_set(), "carol had to wait for bob's handshake"
        scene.until(lanes.open.is_set)
        scene.until(lambda: not alice.runner.host.busy("bob"))
        alice.runner.process(0.0)
        alice.runner.close("done")


def test_a_full_queue_hands_back_what_waited_behind_a_step(scene: Scene, lanes: Gate) -> None:
    alice, _bob = secured(scene, lanes)
    lanes.open.clear()
    alice.runner.command("bob", "smp ask")
    alice.secret("word")
    alice.runner.say("bob", "typed meanwhile")
    alice.runner.act("bob", "waves")
    # Nobody processes, so nothing leaves: the queue can only grow.
    while alice.runner.send_lines("bob", ["filler"]):
        pass
    alice.shown.clear()
    lanes.open.set()
    while alice.runner.host.busy("bob"):
        lanes.wait()
    not_sent = "Not sent to bob. Too much is waiting to be sent. Send it again once that has left."
    of_otr = "A line of OTR's to bob was not sent, as too much is waiting: /otr status tells how it stands."
    assert [(note.lines[0], note.typed) for note in alice.notes if "not sent" in note.lines[0].lower()] == [
        (of_otr, None),
        (not_sent, "typed meanwhile"),
        (not_sent, "/me waves"),
    ]


def test_leaving_waits_for_a_step_and_says_goodbye(scene: Scene, lanes: Gate) -> None:
    alice, bob = secured(scene, lanes)
    lanes.open.clear()
    alice.runner.command("bob", "smp ask")
    alice.secret("word")
    threading.Timer(0.3, lanes.open.set).start()
    alice.runner.close("done")
    scene.until(lambda: bob.has(SmpAsked) and bob.has(SessionEnded))


def test_leaving_does_not_wait_for_everything_that_has_not_begun(scene: Scene, lanes: Gate) -> None:
    alice, bob = secured(scene, lanes)
    lanes.open.clear()
    others = [f"nobody{number}" for number in range(20)]
    talks = Account(identity("bob"))
    for nick in others:
        # Each begins a handshake, of which the lanes can do two at a time.
        for event in talks.conversation(nick).receive("?OTRv3?"):
            for line in getattr(event, "lines", ()):
                alice.runner.host.incoming(nick, "alice", line)
    threading.Timer(0.5, lanes.open.set).start()
    began = time.monotonic()
    alice.runner.close("done", patience=0.1)
    assert time.monotonic() - began < 10
    scene.until(lambda: bob.has(SessionEnded))
    assert lanes.refused >= len(others) - 2, "two at a time had begun"


class Watched(RecentMemories):
    """Memories that tell how often they were saved."""

    saved = 0

    def save(self) -> None:
        self.saved += 1
        super().save()


@pytest.mark.parametrize("with_lanes", [True, False])
def test_what_is_to_be_saved_is_saved_without_a_connection_too(lanes: Gate, with_lanes: bool) -> None:
    memories = Watched()

    def script(peer: Peer) -> None:
        peer.register()

    with HostileServer(script) as server:
        scene = Scene(server.address)
        person = Person(
            server.address,
            "alice",
            keeper=Given(lambda _: Account(identity("alice")), lambda _: memories),
            lanes=lanes if with_lanes else None,
        )
        scene.people.append(person)
        person.runner.connect()
        scene.until(lambda: person.lost)
        before = memories.saved
        person.runner.close("done")
    assert memories.saved == before + 1


def test_a_lost_connection_ends_its_conversations(lanes: Gate) -> None:
    """The nick may be somebody else's when we are back."""

    def script(peer: Peer) -> None:
        peer.register()
        talk = Account(identity("bob"), name="bob").conversation("alice")
        events = talk.start()
        while talk.state is not MessageState.ENCRYPTED:
            for event in events:
                for line in getattr(event, "lines", ()):
                    peer.send(f":bob!b@h PRIVMSG alice :{line}")
            events = talk.receive(peer.until("PRIVMSG bob :").partition(" :")[2])
        for event in events:
            for line in getattr(event, "lines", ()):
                peer.send(f":bob!b@h PRIVMSG alice :{line}")
        peer.until("PRIVMSG bob :")

    def again(peer: Peer) -> None:
        peer.register()
        heard.extend(peer.closed_by_client())

    heard: list[str] = []
    with HostileServer(script, again) as server:
        scene = Scene(server.address)
        alice = join(scene, "alice", lanes)
        scene.until(lambda: alice.has(SessionOpened))
        alice.runner.say("bob", "hello")
        scene.until(lambda: alice.lost)
        assert alice.runner.state("bob") is MessageState.FINISHED
        alice.is_ready = False
        alice.runner.connect()
        scene.until(lambda: alice.is_ready)
        alice.runner.say("bob", "to whom?")
        assert alice.notes[-1].typed == "to whom?"
        alice.runner.close("done")
    assert not any("PRIVMSG bob" in line for line in heard)


def test_goodbyes_to_many_keep_the_pace_but_for_the_first(lanes: Gate) -> None:
    """The newest is said first, as time may run out."""
    crowd = LAST_WORDS + 6
    lines: list[tuple[float, str]] = []

    def script(peer: Peer) -> None:
        peer.register()
        for number in range(crowd):
            nick = f"p{number}"
            talk = Account(identity("bob"), speaking(3)).conversation("alice")
            events = talk.start()
            done = False
            while not done:
                done = talk.state is MessageState.ENCRYPTED
                for event in events:
                    for line in getattr(event, "lines", ()):
                        peer.send(f":{nick}!b@h PRIVMSG alice :{line}")
                if not done:
                    events = talk.receive(peer.until(f"PRIVMSG {nick} :").partition(" :")[2])
        while (line := peer.line())[:4] != "QUIT":
            lines.append((time.monotonic(), line.split(" ")[1]))

    with HostileServer(script) as server:
        scene = Scene(server.address)
        alice = join(scene, "alice", lanes, pace=Pace(100, 10.0))
        scene.until(lambda: sum(isinstance(note.event, SessionOpened) for note in alice.notes) == crowd)
        while alice.runner.connection._protocol.queue._bucket.take(alice._clock()):
            pass  # somebody has just been talking much
        alice.runner.close("done", patience=5.0)
    assert [nick for _, nick in lines] == [f"p{number}" for number in reversed(range(crowd))]
    assert lines[LAST_WORDS - 1][0] - lines[0][0] < lines[-1][0] - lines[LAST_WORDS - 1][0] + 0.2
    assert lines[-1][0] - lines[LAST_WORDS][0] > 0.3


def test_drills_send_lines_of_their_own(scene: Scene, lanes: Gate) -> None:
    alice, bob = secured(scene, lanes)
    assert alice.runner.send_lines("bob", ["a line of a drill's own"])
    assert not alice.runner.send_lines("bob", ["two\r\nlines"])
    scene.until(
        lambda: (
            "a line of a drill's own" in [line for note in bob.shown for line in getattr(note, "lines", ())]
        )
    )


def test_keys_in_a_real_store(
    server: ServerAddress, tmp_path_factory: pytest.TempPathFactory, lanes: Gate
) -> None:
    """The lanes never touch the store, which belongs to one thread."""
    with Store(tmp_path_factory.mktemp("data")) as store:
        scene = Scene(server)
        alice = Person(server, "alice", keeper=StoreKeeper(store), lanes=lanes)
        scene.people.append(alice)
        alice.runner.connect()
        bob = scene.join("bob")
        scene.until(lambda: alice.is_ready)
        bob.runner.start("alice")
        scene.until(lambda: alice.has(SessionOpened) and bob.has(SessionOpened))
        alice.runner.close("done")
        scene.until(lambda: bob.has(SessionEnded))
        scene.close()
