"""A host with lanes does what one without does, in the same order, whenever its slow steps end."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from otrcore.account import Account
from otrcore.conversation import Conversation
from otrcore.irc.actions import (
    Action,
    AskSecret,
    CloseSecret,
    Decision,
    Send,
    ShowMessage,
    ShowNote,
    ShowOwn,
    Verdict,
)
from otrcore.irc.commands import OTR
from otrcore.irc.host import IrcHost
from otrcore.irc.isupport import Features
from otrcore.irc.lanes import Inline, Lanes, Threads
from otrcore.irc.lines import Command, display_lines
from otrcore.irc.names import Payload, classify
from otrcore.irc.turns import MAX_WAITING, Turns
from otrcore.memory import STRANGER, PeerMemory
from otrcore.model import MessageState, Protection
from otrcore.relation import Relation, Speaker
from otrcore.wire.fragment import Fragment, Reassembler
from otrcore.wire.header import MessageType, parse_header
from otrcore.wire.text import Encoded
from otrcore.wire.text import classify as classify_line
from tests.irc.by_hand import ByHand, Watched, Watching
from tests.irc.network import Line, Network, User
from tests.keepers import Given
from tests.pair import Clock, identity, seeded

FEATURES = Features(network="Testnet", casemapping="ascii")
DEADLINE = 20.0
TODAY = time.time()
SIGNED = (MessageType.REVEAL_SIGNATURE, MessageType.SIGNATURE, MessageType.AUTH_R, MessageType.AUTH_I)


class SeededAccount(Account):
    """What it draws in a conversation depends on the person alone, and on nothing that happens elsewhere."""

    def conversation(self, peer: str, memory: PeerMemory = STRANGER) -> Conversation:
        if peer not in self._conversations:
            person = person_of(peer)
            made: dict[str, int] = self.__dict__.setdefault("made", {})
            made[person] = made.get(person, 0) + 1
            random = seeded(f"{person}/{made[person]}")
            speaker = Speaker(self.name, self.instance_tag, random, lambda: TODAY, b"")
            relation = Relation(speaker, self.identity, self.policy, peer, memory)
            self._conversations[peer] = Watched(relation, self._clock)
        return self._conversations[peer]


def person_of(nick: str) -> str:
    """Return whose nick it is: people number theirs."""
    return nick.rstrip("0123456789")


def host_with(
    lanes: Lanes | None, clock: Clock, sink: Callable[[Sequence[Action]], None], nick: str = "alice"
) -> IrcHost:
    def account_for(network: str) -> Account:
        return SeededAccount(identity(nick), instance_tag=0xA11CE, clock=clock)

    host = IrcHost("irc.example", Given(account_for), sink, lanes=lanes)
    host.connected(nick, FEATURES, f"{nick}!~user@host.example")
    return host


# ---- what a host is asked, and what it answers


@dataclass
class Asked:
    """A call of a host, and when."""

    what: str
    fields: tuple[Any, ...]
    now: float


@dataclass
class Heard:
    """What a host has its client do, sorted by people."""

    said: dict[str, list[tuple[object, ...]]] = field(default_factory=dict)
    prompts: dict[str, list[AskSecret]] = field(default_factory=dict)

    def take(self, actions: Sequence[Action]) -> None:
        for action in actions:
            match action:
                case Send(target, lines, command):
                    self._add(target, "send", command, *_lines(lines))
                case ShowMessage(peer, lines, protection, is_action, is_notice):
                    self._add(peer, "message", lines, protection, is_action, is_notice)
                case ShowOwn(peer, text, is_action, encrypted):
                    self._add(peer, "own", text, is_action, encrypted)
                case ShowNote(peer, lines, _, typed):
                    # By then somebody may have another nick, and be known by the one from before.
                    told = tuple(_anybody(line) for line in lines if not line.startswith("This key of "))
                    self._add(peer, "note", told, typed)
                case AskSecret(peer, question, by_peer, _):
                    asked = self.prompts.setdefault(person_of(peer), [])
                    if all(prompt.number != action.number for prompt in asked):
                        asked.append(action)
                        self._add(peer, "ask", question, by_peer)
                case CloseSecret(prompt):
                    self._add(prompt.peer, "close")
                case _:
                    raise AssertionError(action)

    def judged(self, sender: str, text: str, command: str, decision: Decision) -> None:
        """Take a decision about a message that came."""
        addressed = classify(sender, text, FEATURES)
        if decision.verdict is not Verdict.DROP and addressed.payload is not Payload.CTCP:
            said = decision.text if decision.text is not None else addressed.text
            is_action = addressed.payload is Payload.ACTION
            shown = ShowMessage(
                sender, display_lines(said), Protection.PLAIN, is_action, is_notice=command != "PRIVMSG"
            )
            self.take([shown])
        self.take(decision.actions)

    def decided(self, text: str, command: Command, decision: Decision) -> None:
        """Take a decision about a message of ours."""
        addressed = classify(decision.target, text, FEATURES)
        if addressed.payload is Payload.CTCP and command != "PRIVMSG":
            assert decision == Decision(decision.target, Verdict.PASS)  # waits for nothing
        elif decision.verdict is not Verdict.DROP:
            line = decision.text if decision.text is not None else text
            own = ShowOwn(
                decision.target, addressed.text, addressed.payload is Payload.ACTION, encrypted=False
            )
            self.take([Send(decision.target, (line,), command), own])
        self.take(decision.actions)

    def _add(self, nick: str, *what: object) -> None:
        self.said.setdefault(person_of(nick), []).append(what)


def _anybody(line: str) -> str:
    """Return a line without the numbers of nicks, and what is aligned with them."""
    return re.sub(r" +", " ", re.sub(r"(bob|carol)\d*", r"\1", line))


def _lines(lines: Sequence[str]) -> list[object]:
    """Return lines as they can be compared.

    Signatures are random, or cover a nick that may have changed meanwhile; plain
    text may be cut, and whether it offers OTR goes by what is known of a nick.
    """
    if not any("?OTR" in line for line in lines):
        return [re.sub(r"\s", "", "".join(lines))]
    found: list[object] = []
    joined = Reassembler()
    for line in lines:
        content = classify_line(line)
        whole = joined.add(content, 0.0) if isinstance(content, Fragment) else line
        if whole is None:
            continue
        content = classify_line(whole)
        kind = parse_header(content.raw).type if isinstance(content, Encoded) else None
        found.append(kind if kind in SIGNED else whole)
    return found


def do(host: IrcHost, heard: Heard, asked: Asked) -> None:
    """Ask a host, and take what it answers."""
    match asked.what, asked.fields:
        case "incoming", (sender, target, text, command):
            heard.judged(sender, text, command, host.incoming(sender, target, text, command))
        case "outgoing", (targets, text, command):
            for decision in host.outgoing(targets, text, command):
                heard.decided(text, command, decision)
        case "command", (nick, typed):
            heard.take(OTR.run(host, nick, typed))
        case "secret", (person, number, secret):
            heard.take(host.secret(heard.prompts[person][number], secret))
        case "nick_changed", (old, new):
            host.nick_changed(old, new)
        case "gone", (nick, reason):
            heard.take(host.gone(nick, reason))
        case "disconnected", ():
            heard.take(host.disconnected())
        case "tick", ():
            host.tick()
        case _:
            raise AssertionError(asked)


# ---- a conversation that is recorded, step by step


class Alice(User):
    """Whose host is recorded."""

    def begin(self, clock: Clock) -> None:
        self.script: list[Asked] = []
        self.heard = Heard()
        self.host = host_with(Inline(), clock, self._sink)

    def asked(self, what: str, *fields: Any) -> None:
        self.script.append(Asked(what, fields, self.network.clock.now))

    def do(self, actions: Sequence[Action]) -> None:
        self.heard.take(actions)
        super().do(actions)

    def say(self, targets: str, text: str, command: Command = "PRIVMSG") -> list[Decision]:
        self.asked("outgoing", targets, text, command)
        decisions = self.host.outgoing(targets, text, command)
        for decision in decisions:
            self.heard.decided(text, command, decision)
            if decision.verdict is not Verdict.DROP:
                line = text if decision.text is None else decision.text
                self.network.put(self, decision.target, line, command)
            super().do(decision.actions)
        return decisions

    def hear(self, line: Line) -> None:
        self.asked("incoming", line.sender, line.target, line.text, line.command)
        decision = self.host.incoming(line.sender, line.target, line.text, line.command)
        self.heard.judged(line.sender, line.text, line.command, decision)
        super().do(decision.actions)

    def command(self, nick: str, typed: str) -> None:
        self.asked("command", nick, typed)
        super().command(nick, typed)

    def give(self, nick: str, secret: str) -> None:
        """Answer the newest prompt of somebody, if there is one that is open."""
        asked = self.heard.prompts.get(person_of(nick), [])
        if asked and self.host._verification._prompts.find(asked[-1]) is not None:
            self.asked("secret", person_of(nick), len(asked) - 1, secret)
            self.do(self.host.secret(asked[-1], secret))


class Scene(Network):
    """A network that delivers a line when it is told to, with Alice and two others."""

    def __init__(self) -> None:
        super().__init__(FEATURES)
        self._settling = True  # nothing is delivered by itself
        self.alice = Alice(self, "alice", "~user", "host.example", DEFAULT_POLICY, identity("alice"))
        self.users.append(self.alice)
        self.alice.begin(self.clock)
        self.others = {name: self.join(name) for name in ("bob", "carol")}
        self.seen = {name: name for name in self.others}
        """Their nicks, as far as Alice knows."""

    def deliver(self, count: int) -> None:
        for _ in range(min(count, len(self.on_the_way))):
            line = self.on_the_way.popleft()
            if line.command == "NICK":
                self.alice.asked("nick_changed", line.sender, line.text)
                self.seen[person_of(line.text)] = line.text
                for someone in self.users:
                    someone.host.nick_changed(line.sender, line.text)
            for someone in self.users:
                if someone.nick == line.target:
                    someone.hear(line)

    def pass_time(self, seconds: float) -> None:
        until = self.clock.now + seconds
        while True:
            ticks = [(user.host.next_tick, user) for user in self.users]
            due = [(tick, user) for tick, user in ticks if tick is not None and tick <= until]
            if not due:
                break
            tick, user = min(due, key=lambda pair: pair[0])
            self.clock.now = max(self.clock.now, tick)
            if user is self.alice:
                self.alice.asked("tick")
            user.host.tick()
        self.clock.now = until

    def rename_other(self, name: str) -> None:
        other = self.others[name]
        number = re.sub(r"\D", "", other.nick)
        old, other.nick = other.nick, f"{name}{int(number or 1) + 1}"
        # Seen by all behind what was said under the old one.
        self.on_the_way.append(Line(old, "", other.nick, "NICK", False))


DEFAULT_POLICY = Account(identity("alice")).policy

PEOPLE = some.sampled_from(["bob", "carol"])
WORDS = some.sampled_from(
    ["hello", "/me waves", "?OTR is a secret", "\x01ACTION waves\x01", "long " * 200, "é"]
)
MOVES = some.one_of(
    some.tuples(some.just("ctcp"), PEOPLE, some.sampled_from(["asked", "answers", "asks"])),
    some.tuples(some.just("say"), PEOPLE, WORDS),
    some.tuples(some.just("hear"), PEOPLE, WORDS),
    some.tuples(some.just("notice"), PEOPLE, some.booleans()),
    some.tuples(
        some.just("garbage"),
        PEOPLE,
        some.sampled_from(["?OTR:AAMDAA==.", "?OTR:", "?OTRv3?", "?OTR Error: x"]),
    ),
    some.tuples(some.just("start"), PEOPLE, some.booleans()),
    some.tuples(some.just("end"), PEOPLE, some.booleans()),
    some.tuples(some.just("ask"), PEOPLE, some.booleans()),
    some.tuples(some.just("answer"), PEOPLE, some.sampled_from(["pond", "lake", ""])),
    some.tuples(some.just("abort"), PEOPLE, some.booleans()),
    some.tuples(some.just("policy"), PEOPLE, some.sampled_from(["always", "default", "never"])),
    some.tuples(some.just("deliver"), PEOPLE, some.integers(1, 3)),
    some.tuples(some.just("deliver"), PEOPLE, some.integers(4, 30)),
    some.tuples(some.just("secure"), PEOPLE, some.none()),
    some.tuples(some.just("rename"), PEOPLE, some.none()),
    some.tuples(some.just("gone"), PEOPLE, some.none()),
    some.tuples(some.just("wait"), PEOPLE, some.sampled_from([0.5, 11.0, 61.0])),
    some.tuples(some.just("status"), PEOPLE, some.none()),
)


def without_policies_of_nicks(moves: Sequence[tuple[str, str, Any]]) -> list[tuple[str, str, Any]]:
    """Return moves without policies where people change nicks, and with one new nick for each of them.

    A policy moves along with a conversation; whether there still is one may depend on when a step ends.
    So does under which of two new nicks one is begun anew, which version 4 authenticates.
    """
    renames = any(move == "rename" for move, _, _ in moves)
    left = []
    renamed: set[str] = set()
    for move in moves:
        kind, name, _ = move
        if (renames and kind == "policy") or (kind == "rename" and name in renamed):
            continue
        if kind == "rename":
            renamed.add(name)
        left.append(move)
    return left


def play(scene: Scene, moves: Sequence[tuple[str, str, Any]]) -> None:
    """Let the people do something; `deliver` is the network's part."""
    alice = scene.alice
    for move, name, more in moves:
        other, nick = scene.others[name], scene.seen[name]
        match move:
            case "say":
                alice.say(nick, more)
            case "hear":
                other.say("alice", more)
            case "notice" if more:
                alice.say(nick, "noted", "NOTICE")
            case "notice":
                scene.put(other, "alice", "noted", "NOTICE")
            case "ctcp" if more == "asked":
                scene.put(other, "alice", "\x01VERSION\x01", "PRIVMSG")
            case "ctcp":
                alice.say(nick, "\x01VERSION\x01", "PRIVMSG" if more == "asks" else "NOTICE")
            case "garbage":
                scene.put(other, "alice", more, "PRIVMSG")
            case "start" | "end" if more:
                alice.command(nick, move)
            case "start" | "end":
                other.command("alice", move)
            case "secure":
                alice.command(nick, "start")
                scene.deliver(100)
            case "ask" if more:
                alice.command(nick, "smp ask Where?")
                alice.give(nick, "pond")
            case "ask":
                other.command("alice", "smp ask")
                if other.prompts:
                    other.secret("pond")
            case "answer":
                alice.command(nick, "smp answer")
                alice.give(nick, more)
                other.command("alice", "smp answer")
                if other.prompts:
                    other.secret(more)
            case "abort" if more:
                alice.command(nick, "smp abort")
            case "abort":
                other.command("alice", "smp abort")
            case "policy":
                alice.command(nick, f"policy {more}")
            case "deliver":
                scene.deliver(more)
            case "rename":
                scene.rename_other(name)
            case "gone":
                alice.asked("gone", nick, "Quit")
                alice.do(alice.host.gone(nick, "Quit"))
            case "wait":
                scene.pass_time(more)
            case "status":
                alice.command(nick, "status")


def replayed(script: Sequence[Asked], lanes: Lanes, looks: list[str], go_on: Callable[[], object]) -> Heard:
    """Ask another host the same; `go_on` lets steps end, or not."""
    clock, heard = Clock(), Heard()
    watching = Watching(lanes, looks)
    host = host_with(watching, clock, heard.take)
    for asked in script:
        if asked.now != clock.now:
            # What takes seconds gives every step its time.
            host._turns.finish()
            clock.now = asked.now
        if asked.what == "tick":
            host._turns.finish()
        if asked.what == "secret":
            # Nobody answers before being asked.
            person, number, _ = asked.fields
            while len(heard.prompts.get(person, [])) <= number:
                lanes.wait()
        do(host, heard, asked)
        go_on()
    host._turns.finish()
    return heard


@settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(moves=some.lists(MOVES, min_size=10, max_size=60), data=some.data())
def test_whenever_steps_end_the_same_happens(
    moves: list[tuple[str, str, Any]], data: some.DataObject
) -> None:
    scene = Scene()
    play(scene, without_policies_of_nicks(moves))
    looks: list[str] = []
    lanes = ByHand()

    def go_on() -> None:
        for _ in range(data.draw(some.integers(0, 2)) if lanes.steps else 0):
            if lanes.steps:
                lanes.steps.rotate(data.draw(some.integers(0, len(lanes.steps) - 1)))
                lanes.wait()

    heard = replayed(scene.alice.script, lanes, looks, go_on)
    assert looks == []
    assert heard.said == scene.alice.heard.said


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(moves=some.lists(MOVES, min_size=10, max_size=60), pauses=some.randoms(use_true_random=False))
def test_the_same_happens_with_threads(moves: list[tuple[str, str, Any]], pauses: Any) -> None:
    scene = Scene()
    play(scene, without_policies_of_nicks(moves))
    looks: list[str] = []
    lanes = Threads(0.0)

    def go_on() -> None:
        time.sleep(pauses.choice([0.0, 0.0, 0.0, 0.001, 0.01]))
        if pauses.random() < 0.5:
            lanes.settle()

    try:
        heard = replayed(scene.alice.script, lanes, looks, go_on)
    finally:
        lanes.close()
    assert looks == []
    assert heard.said == scene.alice.heard.said


# ---- one slow step, and what else happens


class Slow(Threads):
    """Lanes whose steps end when a test opens the gate; `slow` says which do not end by themselves."""

    def __init__(self) -> None:
        super().__init__(0.001)
        self.gate = threading.Event()
        self.gate.set()

    def run(self, step: Callable[[], Any], then: Callable[[Callable[[], Any]], None]) -> Any:
        def gated() -> Any:
            assert self.gate.wait(DEADLINE)
            return step()

        return super().run(gated, then)


class Client(User):
    """Somebody whose host has lanes; what they bring is carried out when the test settles them."""

    def begin(self, lanes: Slow) -> None:
        self.lanes = lanes
        self.looks: list[str] = []
        self.host = host_with(Watching(lanes, self.looks), self.network.clock, self._sink, self.nick)

    def until(self, happened: Callable[[], object]) -> None:
        deadline = time.monotonic() + DEADLINE
        while not happened():
            assert time.monotonic() < deadline, (self.texts(), self.notes())
            self.lanes.settle()
            self.network.settle()
            time.sleep(0.001)
        assert self.looks == []


@pytest.fixture
def network() -> Network:
    return Network(FEATURES)


@pytest.fixture
def alice(network: Network) -> Iterator[Client]:
    with ExitStack() as running:
        someone = Client(network, "alice", "~user", "host.example", DEFAULT_POLICY, identity("alice"))
        lanes = Slow()
        running.callback(lanes.close)
        running.callback(lanes.gate.set)
        someone.begin(lanes)
        network.users.append(someone)
        yield someone


@pytest.fixture
def bob(network: Network, alice: Client) -> User:
    """Somebody with whom Alice has an encrypted conversation."""
    bob = network.join("bob")
    alice.start("bob")
    alice.until(lambda: alice.host.state("bob") is bob.host.state("alice") is MessageState.ENCRYPTED)
    alice.clear()
    bob.clear()
    alice.own.clear()
    network.lines.clear()
    return bob


@pytest.fixture
def in_step(alice: Client, bob: User) -> Client:
    """Alice, in the middle of reading something of Bob's."""
    # What comes behind an answer is one line.
    bob.say("alice", "before")
    alice.until(lambda: len(alice.texts()) == 1)
    alice.say("bob", "answered")
    alice.until(lambda: len(bob.texts()) == 1)
    for user in (alice, bob):
        user.clear()
        user.own.clear()
    alice.lanes.gate.clear()
    bob.say("alice", "the step")
    assert alice.host.busy("bob")
    assert alice.texts() == []
    return alice


def test_nobody_else_waits(in_step: Client, network: Network) -> None:
    carol = network.join("carol")
    for target in ("carol", "#chan", "NickServ"):
        assert in_step.host.outgoing(target, "hello")[0].verdict is Verdict.PASS
    assert in_step.host.incoming("carol", "alice", "hello").verdict is Verdict.PASS
    assert in_step.host.incoming("carol", "#chan", "hello").verdict is Verdict.PASS
    assert in_step.host.incoming("bob", "#chan", "hello").verdict is Verdict.PASS
    assert in_step.host.incoming("bob", "alice", "\x01VERSION\x01").verdict is Verdict.PASS
    assert in_step.host.outgoing("bob", "\x01VERSION 1\x01", "NOTICE")[0].verdict is Verdict.PASS
    in_step.host.tick()
    assert carol.texts() == []
    assert in_step.looks == []


def test_lines_keep_their_order_both_ways(in_step: Client, bob: User) -> None:
    bob.say("alice", "one")
    in_step.say("bob", "first")
    in_step.say("bob", "\x01ACTION second\x01")
    bob.say("alice", "two")
    in_step.network.put(bob, "alice", "in the open", "PRIVMSG")
    in_step.network.put(bob, "alice", "noted", "NOTICE")
    in_step.network.settle()
    in_step.say("bob", "third")
    assert in_step.texts() == bob.texts() == []
    in_step.lanes.gate.set()
    in_step.until(lambda: len(bob.texts()) == 3)
    assert [text for text, _ in bob.texts()] == ["first", "second", "third"]
    assert in_step.texts() == [
        ("the step", Protection.ENCRYPTED),
        ("one", Protection.ENCRYPTED),
        ("two", Protection.ENCRYPTED),
        ("in the open", Protection.UNEXPECTED_PLAIN),
        ("noted", Protection.UNEXPECTED_PLAIN),
    ]
    assert [own.text for own in in_step.own] == ["first", "second", "third"]
    assert not in_step.network.crossed("first")


def test_too_much_is_told_and_nothing_typed_is_lost(in_step: Client, bob: User) -> None:
    typed = [f"text {number}" for number in range(MAX_WAITING + 5)]
    refused = [
        action.typed
        for text in typed
        for decision in in_step.say("bob", text)
        for action in decision.actions
        if isinstance(action, ShowNote)
    ]
    assert refused == typed[MAX_WAITING:]
    in_step.command("bob", "status")
    assert "try again" in in_step.notes()[-1]
    in_step.lanes.gate.set()
    in_step.until(lambda: len(bob.texts()) == MAX_WAITING)
    assert [text for text, _ in bob.texts()] == typed[:MAX_WAITING]


def test_what_must_happen_does_though_too_much_waits(in_step: Client, bob: User) -> None:
    for number in range(MAX_WAITING):
        in_step.say("bob", f"text {number}")
    in_step.do(in_step.host.gone("bob", "Quit"))
    in_step.lanes.gate.set()
    in_step.until(lambda: in_step.host.state("bob") is MessageState.FINISHED)


def test_an_end_in_the_middle(in_step: Client, bob: User) -> None:
    in_step.say("bob", "before")
    in_step.end("bob")
    in_step.say("bob", "behind, in the open")
    in_step.lanes.gate.set()
    in_step.until(lambda: len(bob.texts()) == 2)
    assert bob.texts() == [
        ("before", Protection.ENCRYPTED),
        ("behind, in the open", Protection.UNEXPECTED_PLAIN),
    ]
    assert in_step.texts() == [("the step", Protection.ENCRYPTED)]
    assert [own.encrypted for own in in_step.own] == [True, False]


def test_a_long_text_that_goes_out_later_in_the_open_is_cut(in_step: Client, bob: User) -> None:
    in_step.end("bob")
    in_step.say("bob", "\x01ACTION " + "waves " * 200 + "\x01")
    in_step.say("bob", "words " * 200)
    in_step.lanes.gate.set()
    in_step.until(lambda: len(in_step.own) == 2 and not in_step.host.busy("bob"))
    in_step.network.settle()
    assert not any(line.cut for line in in_step.network.lines)
    said = [line.text for line in in_step.network.lines if "?OTR" not in line.text]
    actions = [line for line in said if line.startswith("\x01ACTION ") and line.endswith("\x01")]
    assert len(actions) > 1 and len(said) > len(actions) + 1


def test_a_nick_change_in_the_middle(in_step: Client, bob: User, network: Network) -> None:
    in_step.say("bob", "to bob")
    network.rename(bob, "robert")
    in_step.say("robert", "to robert")
    bob.say("alice", "by robert")
    assert in_step.host.busy("robert") and not in_step.host.has("bob")
    in_step.lanes.gate.set()
    in_step.until(lambda: len(bob.texts()) == 2 and not in_step.host.busy("robert"))
    assert [text for text, _ in bob.texts()] == ["to bob", "to robert"]
    assert [text for text, _ in in_step.texts()] == ["the step", "by robert"]
    assert {action.peer for action in in_step.shown if isinstance(action, ShowMessage)} == {"robert"}


def test_our_own_nick_change_in_the_middle(in_step: Client, bob: User, network: Network) -> None:
    in_step.say("bob", "by alice")
    network.rename(in_step, "alicia")
    bob.say("alicia", "to alicia")
    in_step.lanes.gate.set()
    in_step.until(lambda: len(in_step.texts()) == 2 and len(bob.texts()) == 1)
    assert [text for text, _ in in_step.texts()] == ["the step", "to alicia"]


def test_somebody_else_takes_the_nick_in_the_middle(in_step: Client, bob: User, network: Network) -> None:
    """Bob has vanished: what he has said is read as his, and what waits for him goes to nobody else."""
    in_step.lanes.gate.set()
    carol = network.join("carol")
    in_step.until(lambda: len(in_step.texts()) == 1)
    in_step.start("carol")
    in_step.until(lambda: in_step.host.state("carol") is MessageState.ENCRYPTED)
    in_step.clear()
    in_step.lanes.gate.clear()
    bob.say("alice", "the last of bob")
    in_step.say("bob", "for bob")
    network.users.remove(bob)
    carol.clear()
    threading.Timer(0.05, in_step.lanes.gate.set).start()
    network.rename(carol, "bob")
    assert in_step.texts() == [("the last of bob", Protection.ENCRYPTED)]
    in_step.say("bob", "for carol")
    in_step.until(lambda: ("for carol", Protection.ENCRYPTED) in carol.texts())
    assert not network.crossed("for bob")


def test_gone_in_the_middle(in_step: Client, bob: User) -> None:
    in_step.do(in_step.host.gone("bob", "Quit: bye"))
    in_step.say("bob", "too late")
    assert in_step.notes() == []
    in_step.lanes.gate.set()
    in_step.until(lambda: in_step.host.state("bob") is MessageState.FINISHED and not in_step.host.busy("bob"))
    assert in_step.texts() == [("the step", Protection.ENCRYPTED)]
    assert in_step.notes()[0] == "bob is not there: Quit: bye."
    assert [action.typed for action in in_step.shown if isinstance(action, ShowNote) and action.typed] == [
        "too late"
    ]


def test_disconnected_in_the_middle(in_step: Client, bob: User) -> None:
    in_step.do(in_step.host.disconnected())
    in_step.host.connected("alice", FEATURES, in_step.mask)
    in_step.say("bob", "too late")
    in_step.lanes.gate.set()
    in_step.until(lambda: in_step.host.state("bob") is MessageState.FINISHED and not in_step.host.busy("bob"))
    assert in_step.texts() == [("the step", Protection.ENCRYPTED)]
    assert not in_step.network.crossed("too late")


@pytest.mark.parametrize("text", ["typed meanwhile", "\x01ACTION types\x01"])
def test_another_network_in_the_middle(in_step: Client, bob: User, text: str) -> None:
    in_step.say("bob", text)
    threading.Timer(0.05, in_step.lanes.gate.set).start()
    in_step.host.connected("alice", Features(network="Othernet"), in_step.mask)
    assert in_step.texts() == [("the step", Protection.ENCRYPTED)]
    assert len(in_step.own) == 1  # it has left before
    assert in_step.host.state("bob") is MessageState.FINISHED
    assert in_step.host.outgoing("bob", "who are you?")[0].verdict is Verdict.DROP
    in_step.do(in_step.host.end("bob"))
    assert in_step.host.outgoing("bob", "who are you?")[0].verdict is not Verdict.DROP


def test_shutdown_in_the_middle_ends_every_conversation(in_step: Client, bob: User) -> None:
    in_step.say("bob", "the last words")
    threading.Timer(0.05, in_step.lanes.gate.set).start()
    in_step.do(in_step.host.shutdown())
    assert bob.texts() == [("the last words", Protection.ENCRYPTED)]
    assert bob.host.state("alice") is MessageState.FINISHED


def test_a_withdrawn_text_does_not_leave(in_step: Client, bob: User) -> None:
    in_step.say("bob", "kept")
    in_step.say("bob", "given back")
    in_step.say("bob", "\x01ACTION given back\x01")
    in_step.host.withdraw("bob", "given back")
    in_step.host.withdraw("bob", "\x01ACTION given back\x01")
    in_step.lanes.gate.set()
    in_step.until(lambda: bob.texts() and not in_step.host.busy("bob"))
    assert [text for text, _ in bob.texts()] == ["kept"]
    assert [own.text for own in in_step.own] == ["kept"]


def test_a_step_that_comes_to_nothing_leaves_what_waits(alice: Client, network: Network) -> None:
    """The conversation is forgotten with it, and what waits goes on as if it had come behind that."""
    carol = network.join("carol")
    alice.lanes.gate.clear()
    network.put(carol, "alice", "?OTR:AAMDAA==.", "PRIVMSG")
    carol.say("alice", "plain words")
    network.put(carol, "alice", "?OTR:AAMDAA==.", "PRIVMSG")
    network.settle()
    alice.say("carol", "plain answer")
    alice.command("carol", "status")
    alice.lanes.gate.set()
    alice.until(lambda: not alice.host.busy("carol") and len(alice.notes()) == 3)
    assert ("plain words", Protection.PLAIN) in alice.texts()
    assert carol.texts() == [("plain answer", Protection.PLAIN)]
    assert not alice.host.has("carol")


def test_a_policy_holds_for_what_waits_whatever_nick_its_peer_has_by_then(
    alice: Client, network: Network
) -> None:
    carol = network.join("carol")
    alice.command("carol", "policy always")
    alice.lanes.gate.clear()
    network.put(carol, "alice", "?OTR:AAMDAA==.", "PRIVMSG")
    network.settle()
    alice.say("carol", "never in the open")
    network.rename(carol, "caroline")
    alice.lanes.gate.set()
    alice.until(lambda: ("never in the open", Protection.ENCRYPTED) in carol.texts())
    assert not network.crossed("never in the open")


def test_a_secret_in_the_middle_is_used_for_what_it_was_asked_for(alice: Client, bob: User) -> None:
    bob.command("alice", "smp ask One?")
    bob.secret("one")
    alice.until(lambda: any("One?" in line for line in alice.notes()))
    alice.command("bob", "smp answer")
    (prompt,) = alice.prompts
    alice.clear()
    alice.lanes.gate.clear()
    bob.command("alice", "smp ask Two?")
    bob.secret("two")
    assert alice.host.busy("bob")
    alice.do(alice.host.secret(prompt, "one"))
    alice.lanes.gate.set()
    alice.until(
        lambda: any("neither used nor kept" in line for line in alice.notes()) and not alice.host.busy("bob")
    )
    assert len(alice.closed) == 1
    assert not any("NOT verified" in line for line in bob.notes())


def test_a_prompt_is_taken_whatever_nick_it_was_shown_for(alice: Client, bob: User, network: Network) -> None:
    alice.command("bob", "smp ask")
    stale = alice.prompts[0]
    network.rename(bob, "robert")
    alice.lanes.gate.clear()
    bob.say("alice", "the step")
    alice.do(alice.host.secret(stale, ""))
    assert alice.looks == []
    alice.lanes.gate.set()
    alice.until(lambda: alice.notes() == ["robert was asked nothing."])


def test_steps_of_several_conversations_at_once(alice: Client, network: Network) -> None:
    others = [network.join(f"peer{number}") for number in range(6)]
    for other in others:
        alice.start(other.nick)
    alice.until(lambda: all(alice.host.state(other.nick) is MessageState.ENCRYPTED for other in others))
    for other in others:
        other.clear()
        alice.say(other.nick, f"for {other.nick}")
    alice.until(lambda: all(other.texts() for other in others))
    assert [other.texts() for other in others] == [
        [(f"for {other.nick}", Protection.ENCRYPTED)] for other in others
    ]


def test_what_waits_for_a_conversation_that_was_begun_anew(network: Network) -> None:
    """A step comes to nothing, the line behind it begins another one, and the command waits for that too."""
    looks: list[str] = []
    lanes, heard = ByHand(), Heard()
    host = host_with(Watching(lanes, looks), network.clock, heard.take)
    for _ in range(2):
        host.incoming("bob", "alice", "?OTR:AAMDAA==.")
    heard.take(OTR.run(host, "bob", "smp abort"))
    lanes.wait()
    assert len(lanes.steps) == 1
    before = len(heard.said["bob"])
    lanes.wait()
    assert len(heard.said["bob"]) == before + 2
    assert looks == []


def test_what_is_remembered_reaches_conversations_in_the_middle_once(
    alice: Client, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many there are: telling each of them of each would grow beyond all bounds."""
    behind = Turns.behind
    waited: list[object] = []

    def counted(turns: Turns, talk: Conversation, job: Callable[[], Sequence[Action]], **more: Any) -> None:
        waited.append(job)
        behind(turns, talk, job, **more)

    monkeypatch.setattr(Turns, "behind", counted)
    lanes = ByHand()
    host = host_with(lanes, network.clock, alice.do)
    names = [f"p{number}x" for number in range(12)]
    for name in names:
        host.incoming(name, "alice", "?OTRv3?")
    assert len(lanes.steps) == len(names)
    for _ in range(3):
        host.reload()
        host.reload()
    lanes.finish()
    assert not any(host.busy(name) for name in names)
    assert len(waited) == 6 * len(names)


def test_a_bug_in_what_waits_leaves_the_rest(
    in_step: Client, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("otrcore.irc.texts.status", lambda *_: 1 / 0)
    in_step.command("bob", "status")
    in_step.say("bob", "still here")
    in_step.lanes.gate.set()
    in_step.until(lambda: len(bob.texts()) == 1)
    assert any("ZeroDivisionError" in line for line in in_step.notes())
