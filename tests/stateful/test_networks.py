"""Users who do anything, over a network that loses, repeats, reorders, delays, splits and makes up lines."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from otrcore.model import MessageState, Trust
from otrcore.policy import ALWAYS, DEFAULT, MANUAL, OPPORTUNISTIC, Policy
from tests.peers.bad_network import TAG, TAG_4
from tests.peers.crowd import ALICE, CLIENTS
from tests.stateful.world import World

PC, PHONE = CLIENTS

PRESETS = st.sampled_from([DEFAULT, DEFAULT, MANUAL, OPPORTUNISTIC, ALWAYS])
VERSIONS = st.sampled_from([frozenset(drawn) for drawn in ({3}, {3, 4}, {4}, {2, 3}, {2}, {2, 3, 4})])
INJECTED = st.sampled_from(
    [
        "?OTRv3?",
        "?OTRv2?",
        "?OTRv23?",
        "?OTR?v2?",
        "?OTRv4?",
        "?OTRv34?",
        "?OTR Error: no",
        "?OTR Error: ERROR_1: no",
        f"hello{TAG}",
        f"hello{TAG_4}",
        "hello",
        "?OTR:AAMC.",
        "?OTR:AAIKAAAA",
        "?OTR:AAQ3AAAA",
        "?OTR:===.",
        "?OTR!",
        "?OTR,1,2,?OTR:AAMD,",
        "?OTR|5000|b0b,1,3,?OTR:AAMD,",
        "?OTR|7|5000|b0b,2,3,?OTR:AAQD,",
        "A" * 250,
        ".",
    ]
)
TIMES = st.sampled_from([0.5, 3.0, 5.0, 11.0, 16.0, 25.0, 61.0])
LIMITS = st.sampled_from([None, None, 150, 420])
ANY = st.integers(0, 1000)

REST = 300.0
"""Seconds after which whatever was begun has come to its end."""


class Network(RuleBasedStateMachine):
    """Alice and one or two clients of her peer; at the end the network becomes a fair one."""

    clients: tuple[str, ...] = (PC,)

    world: World
    version: int | None
    """The best that both sides allow."""

    @initialize(
        seed=st.integers(0, 7),
        alice=st.tuples(PRESETS, VERSIONS),
        bob=st.tuples(PRESETS, VERSIONS),
        limit=LIMITS,
        padding=st.sampled_from([0, 0, 256]),
        secured=st.booleans(),
    )
    def begin(
        self,
        seed: int,
        alice: tuple[Policy, frozenset[int]],
        bob: tuple[Policy, frozenset[int]],
        limit: int | None,
        padding: int,
        secured: bool,
    ) -> None:
        policies = [self.policy(*drawn, padding) for drawn in (alice, *(bob,) * len(self.clients))]
        self.version = policies[0].best_common(policies[1].versions)
        self.world = World(policies=policies, clients=self.clients, seed=seed, line_limit=limit)
        if secured:
            self.world.start(ALICE)

    def policy(self, preset: Policy, versions: frozenset[int], padding: int) -> Policy:
        return replace(preset, versions=versions, padding=padding)

    def name(self, number: int) -> str:
        return self.world.names[number % len(self.world.names)]

    # --- users ---

    @rule(who=ANY)
    def starts(self, who: int) -> None:
        name = self.name(who)
        self.world.do(name, self.world.talks[name].start())

    @rule(who=ANY)
    def ends(self, who: int) -> None:
        name = self.name(who)
        talk = self.world.talks[name]
        self.world.fair &= not talk.starting
        self.world.do(name, talk.end())

    @rule(who=ANY, times=st.integers(1, 3))
    def speaks(self, who: int, times: int) -> None:
        for _ in range(times):
            self.world.speak(self.name(who))

    @rule(who=ANY, secret=st.sampled_from("ab"), question=st.sampled_from([None, "who?"]))
    def verifies(self, who: int, secret: str, question: str | None) -> None:
        name = self.name(who)
        talk = self.world.talks[name]
        if talk.state is MessageState.ENCRYPTED:
            self.world.secrets[name] = secret
            step = talk.smp_answer(secret) if talk.smp_waiting else talk.smp_start(secret, question)
            self.world.do(name, step)

    @rule(who=ANY)
    def aborts(self, who: int) -> None:
        name = self.name(who)
        if self.world.talks[name].state is MessageState.ENCRYPTED:
            self.world.do(name, self.world.talks[name].smp_abort())

    @rule(who=ANY, trust=st.sampled_from(Trust))
    def trusts(self, who: int, trust: Trust) -> None:
        name = self.name(who)
        if self.world.talks[name].info:
            self.world.do(name, self.world.talks[name].set_trust(trust))

    @rule(who=ANY, send=st.booleans())
    def decides_about_held_texts(self, who: int, send: bool) -> None:
        name = self.name(who)
        talk, ledger = self.world.talks[name], self.world.ledgers[name]
        if send and talk.state is MessageState.ENCRYPTED:
            texts, ledger.held = ledger.held, []
            ledger.encrypted += texts
            self.world.do(name, talk.send_held())
        elif not send:
            texts, ledger.held = ledger.held, []
            assert list(talk.drop_held()) == texts
            ledger.given_back += texts

    @rule(which=ANY, key=st.sampled_from([*CLIENTS, "mallory"]))
    def crashes_and_comes_back(self, which: int, key: str) -> None:
        """With the key it had, or with another one: perhaps it is somebody else."""
        self.world.restart(self.clients[which % len(self.clients)], key)

    @rule(trust=st.sampled_from(Trust), times=st.integers(1, 3))
    def texts_wait_for_somebody_who_may_be_another_by_then(self, trust: Trust, times: int) -> None:
        world = self.world
        if world.alice.info:
            world.do(ALICE, world.alice.set_trust(trust))
        world.do(ALICE, world.alice.end())
        world.settle()
        world.restart(PC, "mallory")
        world.do(ALICE, world.alice.start())
        for _ in range(times):
            world.speak(ALICE)

    @rule(which=ANY)
    def chooses(self, which: int) -> None:
        tags = [None, *(info.their_instance_tag for info in self.world.alice.sessions)]
        self.world.alice.choose(tags[which % len(tags)])

    # --- the network ---

    @rule(to=ANY, lines=st.integers(1, 6))
    def delivers(self, to: int, lines: int) -> None:
        name = self.name(to)
        for _ in range(lines):
            if self.world.on_the_way[name]:
                self.world.deliver(name)

    @rule()
    def delivers_all(self) -> None:
        self.world.settle()

    @rule(to=ANY, at=ANY)
    def repeats(self, to: int, at: int) -> None:
        name = self.name(to)
        if lines := self.world.on_the_way[name]:
            self.world.hand(name, lines[at % len(lines)])
            self.world.fair &= at % len(lines) == 0

    @rule(to=ANY, at=ANY)
    def says_something_old_again(self, to: int, at: int) -> None:
        name = self.name(to)
        heard = [line for sender, line in self.world.lines if (sender == ALICE) != (name == ALICE)]
        if heard:
            line = heard[at % len(heard)]
            self.world.fair &= line.startswith("?OTR:")
            self.world.hand(name, line)

    @rule(to=ANY)
    def loses(self, to: int) -> None:
        name = self.name(to)
        if self.world.on_the_way[name]:
            self.world.on_the_way[name].popleft()
            self.world.fair = False

    @rule(to=ANY, at=ANY)
    def reorders(self, to: int, at: int) -> None:
        lines = self.world.on_the_way[self.name(to)]
        if len(lines) > 1:
            line = lines[at % len(lines)]
            del lines[at % len(lines)]
            lines.append(line)
            self.world.fair = False

    @rule(to=ANY, at=ANY)
    def splits(self, to: int, at: int) -> None:
        """As a server does with a line that is too long: the rest follows as a line of its own."""
        name = self.name(to)
        lines = self.world.on_the_way[name]
        if lines and lines[0].startswith("?OTR:") and len(lines[0]) > 250:
            line = lines.popleft()
            cut = 200 + at % (len(line) - 220)
            lines.extendleft([line[cut:], line[:cut]])
            self.world.deliver(name)
            self.world.deliver(name)

    @rule(to=ANY, line=INJECTED)
    def makes_up(self, to: int, line: str) -> None:
        self.world.fair &= not line.startswith(("?OTR,", "?OTR|", "A", "?OTR:AAIK", "?OTR:AAQ3"))
        self.world.hand(self.name(to), line)

    @rule(to=ANY, at=ANY, where=ANY)
    def damages(self, to: int, at: int, where: int) -> None:
        name = self.name(to)
        heard = [line for sender, line in self.world.lines if (sender == ALICE) != (name == ALICE)]
        if heard:
            line = heard[at % len(heard)]
            where %= len(line)
            self.world.fair &= line.startswith("?OTR:") and 5 < where < len(line) - 1
            self.world.hand(name, line[:where] + ("A" if line[where] != "A" else "B") + line[where + 1 :])

    @rule(seconds=TIMES)
    def time_passes(self, seconds: float) -> None:
        self.world.clock.advance(seconds)
        self.world.tick()

    @rule(seconds=TIMES)
    def time_passes_on_a_fast_link(self, seconds: float) -> None:
        self.world.settle()
        self.world.wait(seconds)

    # --- what must hold ---

    @invariant()
    def texts(self) -> None:
        if hasattr(self, "world"):
            self.world.check_texts()

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        world = self.world
        world.settle()
        world.wait(REST)
        world.check_texts()
        world.check_nothing_is_left()
        if world.fair:
            world.check_even()
        world.start(ALICE)
        world.wait(REST)
        if self.version is not None:
            self.check_agreed()
            world.check_talk()
            world.check_texts()
        else:
            assert all(talk.state is not MessageState.ENCRYPTED for talk in world.talks.values())
        for name in world.names:
            world.do(name, world.talks[name].end())
            world.settle()
            assert world.talks[name].sessions == ()
        world.check_even()
        world.check_nothing_is_left()

    def check_agreed(self) -> None:
        """One start has brought Alice and every client into one session each, in the best version of both."""
        for client in self.clients:
            info = self.world.talks[client].info
            assert info is not None
            assert info.version == self.version
            assert (info.version, info.ssid) in [(i.version, i.ssid) for i in self.world.alice.sessions]


class TwoClients(Network):
    """The peer has two clients; version 2, where they would share one session, is not theirs."""

    clients = CLIENTS

    def policy(self, preset: Policy, versions: frozenset[int], padding: int) -> Policy:
        return replace(preset, versions=(versions | {3}) - {2}, padding=padding)


ci = settings(
    derandomize=True,
    deadline=None,
    max_examples=50,
    stateful_step_count=40,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)

TestNetwork = Network.TestCase
TestNetwork.settings = ci
TestTwoClients = TwoClients.TestCase
TestTwoClients.settings = settings(ci, max_examples=25)
