"""Trust belongs to a key, and is shown for a nick: in whatever order it comes, moves and goes."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from otrcore.events import SessionOpened
from otrcore.irc.actions import ShowNote
from otrcore.irc.saving import RETRY_AFTER
from otrcore.model import Fingerprint, MessageState, Trust
from tests.irc.network import Network, User
from tests.irc.stored import NETWORK, StoredUser, fingerprint, join


@pytest.fixture
def alice(network: Network, tmp_path: Path) -> StoredUser:
    return join(network, "alice", tmp_path / "alice")


def leave(alice: StoredUser, peer: User) -> None:
    """Let a peer quit, so that nothing is left of the conversation."""
    alice.end(peer.nick)
    alice.do(alice.host.gone(peer.nick, "quit"))
    alice.network.users.remove(peer)


def meet(alice: StoredUser, nick: str, key: str) -> User:
    """Let somebody with this key come to the nick, and start an encrypted conversation."""
    peer = alice.network.join(nick, key=key)
    alice.clear()
    alice.start(nick)
    assert alice.host.state(nick) is MessageState.ENCRYPTED
    return peer


def opened(alice: StoredUser) -> ShowNote:
    """Return the note about the conversation that has opened last."""
    notes = [action for action in alice.shown if isinstance(action, ShowNote)]
    return [note for note in notes if isinstance(note.event, SessionOpened)][-1]


def fail_to_verify(alice: StoredUser, peer: User) -> None:
    """Ask the peer for a secret, and get another one."""
    alice.command(peer.nick, "smp ask")
    alice.secret("the right one")
    peer.command("alice", "smp answer")
    peer.secret("another one")


# ---- under another nick


def test_a_verified_key_counts_under_another_nick_and_is_said_whose_it_is(
    network: Network, alice: StoredUser
) -> None:
    bob = meet(alice, "bob", "bob")
    alice.command("bob", "trust")
    leave(alice, bob)
    meet(alice, "robert", "bob")
    note = opened(alice)
    assert note.lines[-2] == (
        "This key of robert is known as that of bob (verified by comparing fingerprints)."
    )
    assert note.lines[-1].startswith("Verified")
    assert isinstance(note.event, SessionOpened)
    assert note.event.trust is Trust.COMPARED
    assert alice.warnings() == []
    assert alice.trust("robert") is alice.trust("bob") is Trust.COMPARED
    for nick in ("bob", "robert"):
        assert alice.saved(nick) == {fingerprint("bob"): Trust.COMPARED}
    alice.restart()
    assert alice.trust("robert") is alice.trust("bob") is Trust.COMPARED


def test_a_key_that_nobody_has_verified_is_known_under_its_other_nicks_too(alice: StoredUser) -> None:
    leave(alice, meet(alice, "bob", "bob"))
    meet(alice, "robert", "bob")
    assert opened(alice).lines[-2:][0] == "This key of robert is known as that of bob."
    assert opened(alice).lines[-1].startswith("Not verified")
    assert alice.trust("robert") is Trust.NONE


def test_under_the_nick_of_somebody_with_another_key_it_is_a_warning_and_no_trust(alice: StoredUser) -> None:
    """Carol, whom the user has verified, is not shown as a verified Bob."""
    carol = meet(alice, "carol", "carol")
    alice.command("carol", "trust")
    leave(alice, carol)
    bob = meet(alice, "bob", "bob")
    leave(alice, bob)
    impostor = meet(alice, "bob", "carol")
    note = opened(alice)
    assert note.lines[0] == f"WARNING: bob had another key before ({fingerprint('bob')})."
    assert note.lines[-1].startswith("Not verified")
    assert "This key of bob is known as that of carol (verified by comparing fingerprints)." in note.lines
    assert alice.trust("bob") is Trust.NONE
    # Nor the next time, though the key is no news under this nick then.
    leave(alice, impostor)
    meet(alice, "bob", "carol")
    assert alice.trust("bob") is Trust.NONE
    assert alice.saved("carol") == {fingerprint("carol"): Trust.COMPARED}


@pytest.mark.parametrize("restarted", [False, True])
def test_another_key_for_a_verified_nick_is_the_loudest_warning_at_each_time(
    alice: StoredUser, restarted: bool
) -> None:
    bob = meet(alice, "bob", "bob")
    alice.command("bob", "trust")
    leave(alice, bob)
    for _ in range(2):
        if restarted:
            alice.restart()
        mallory = meet(alice, "bob", "mallory")
        assert opened(alice).lines[0] == (
            f"WARNING: this is NOT the key of bob that you have verified ({fingerprint('bob')})."
        )
        assert alice.trust("bob") is Trust.NONE
        leave(alice, mallory)


# ---- who changes the nick


def test_who_goes_to_a_nick_that_has_a_key_is_not_trusted_there(alice: StoredUser) -> None:
    """Mallory, whom the user has verified as Mallory, takes Bob's nick in the middle of a conversation."""
    bob = meet(alice, "bob", "bob")
    alice.command("bob", "trust")
    leave(alice, bob)
    mallory = meet(alice, "mallory", "mallory")
    alice.command("mallory", "trust")
    alice.clear()
    alice.network.rename(mallory, "bob")
    (warning,) = alice.warnings()
    assert warning.startswith("WARNING: bob, who was mallory until now, has another key")
    assert str(fingerprint("bob")) in warning
    assert alice.trust("bob") is Trust.NONE
    alice.command("bob", "status")
    assert any("is encrypted" in line and "and not verified" in line for line in alice.notes())
    # Neither by fresh keys, nor by another conversation, nor after a restart.
    alice.command("bob", "refresh")
    assert opened(alice).lines[0].startswith("WARNING: this is NOT the key of bob")
    assert alice.trust("bob") is Trust.NONE
    leave(alice, mallory)
    alice.restart()
    mallory = meet(alice, "bob", "mallory")
    assert opened(alice).lines[0].startswith("WARNING: this is NOT the key of bob")
    assert alice.trust("bob") is Trust.NONE
    assert alice.saved("mallory") == {fingerprint("mallory"): Trust.COMPARED}
    # The second time that she comes so, the warning is the same.
    leave(alice, mallory)
    mallory = meet(alice, "mallory", "mallory")
    alice.clear()
    alice.network.rename(mallory, "bob")
    assert len(alice.warnings()) == 1
    assert alice.trust("bob") is Trust.NONE


def test_who_goes_to_a_nick_that_nobody_had_takes_the_trust_along(alice: StoredUser) -> None:
    bob = meet(alice, "bob", "bob")
    alice.command("bob", "trust")
    alice.clear()
    alice.network.rename(bob, "robert")
    assert alice.warnings() == []
    assert alice.trust("robert") is Trust.COMPARED
    alice.network.rename(bob, "bob")
    assert alice.warnings() == []
    assert alice.trust("bob") is Trust.COMPARED
    for nick in ("bob", "robert"):
        assert alice.saved(nick) == {fingerprint("bob"): Trust.COMPARED}


def test_trust_that_was_taken_back_elsewhere_is_not_taken_along(alice: StoredUser) -> None:
    bob = meet(alice, "bob", "bob")
    alice.command("bob", "trust")
    with alice.elsewhere() as store:
        store.contacts.judge(NETWORK, "bob", fingerprint("bob"), Trust.NONE)
    alice.network.rename(bob, "robert")
    assert alice.trust("robert") is Trust.NONE
    assert alice.saved("robert") == alice.saved("bob") == {fingerprint("bob"): Trust.NONE}


def test_a_conversation_goes_on_under_a_nick_for_which_otr_is_off(alice: StoredUser) -> None:
    alice.command("robert", "policy never")
    bob = meet(alice, "bob", "bob")
    alice.network.rename(bob, "robert")
    leave(alice, meet(alice, "carol", "carol"))  # when all conversations look at what is remembered
    assert alice.host.state("robert") is MessageState.ENCRYPTED


# ---- a doubt


@pytest.mark.parametrize("how", ["distrust", "failed verification", "elsewhere"])
@pytest.mark.parametrize("saving", [True, False])
def test_a_doubt_under_one_nick_counts_under_all_in_open_conversations_too(
    alice: StoredUser, how: str, saving: bool
) -> None:
    bob = meet(alice, "bob", "bob")
    alice.command("bob", "trust")
    robert = meet(alice, "robert", "bob")
    assert alice.trust("robert") is Trust.COMPARED
    alice.clear()
    if not saving:
        alice.store_refuses()
    if how == "distrust":
        alice.command("robert", "distrust")
    elif how == "failed verification":
        fail_to_verify(alice, robert)
    else:
        with alice.elsewhere() as store:
            store.contacts.judge(NETWORK, "robert", fingerprint("bob"), Trust.NONE)
        alice.host.catch_up()
    assert alice.trust("bob") is alice.trust("robert") is Trust.NONE
    assert "The key of bob in this conversation is not verified now: that was changed outside it." in (
        alice.notes()
    )
    alice.command("bob", "status")
    assert any("and not verified" in line for line in alice.notes())
    alice.store_takes()
    alice.network.clock.advance(RETRY_AFTER)
    alice.host.catch_up()
    assert alice.saved("bob") == alice.saved("robert") == {fingerprint("bob"): Trust.NONE}
    leave(alice, bob)
    meet(alice, "bob", "bob")
    assert alice.trust("bob") is Trust.NONE


@pytest.mark.parametrize("how", ["distrust", "failed verification"])
def test_a_doubt_counts_where_the_key_was_never_trusted_itself(alice: StoredUser, how: str) -> None:
    """Under a nick that has another key a verified one is not trusted; it is doubted there all the same."""
    leave(alice, meet(alice, "robert", "another"))
    bob = meet(alice, "bob", "bob")
    alice.command("bob", "trust")
    robert = meet(alice, "robert", "bob")
    assert alice.trust("robert") is Trust.NONE
    if how == "distrust":
        alice.command("robert", "distrust")
        assert f"robert is not verified any more, key {fingerprint('bob')}." in alice.notes()
    else:
        fail_to_verify(alice, robert)
    assert alice.trust("bob") is Trust.NONE
    assert alice.saved("bob") == {fingerprint("bob"): Trust.NONE}
    assert bob.host.state("alice") is MessageState.ENCRYPTED


def test_answering_a_question_wrongly_says_nothing_about_who_asked(alice: StoredUser) -> None:
    bob = meet(alice, "bob", "bob")
    alice.command("bob", "trust")
    bob.command("alice", "smp ask What is it?")
    bob.secret("one")
    alice.command("bob", "smp answer")
    alice.secret("another")
    assert alice.trust("bob") is Trust.COMPARED


def test_trust_after_a_doubt_is_no_trust_from_before_it(alice: StoredUser) -> None:
    """Though it could not be saved at once: the user has verified the key anew, under another nick."""
    bob = meet(alice, "bob", "bob")
    alice.command("bob", "trust")
    alice.command("bob", "distrust")
    leave(alice, bob)
    alice.store_refuses()
    meet(alice, "robert", "bob")
    alice.command("robert", "trust")
    alice.store_takes()
    alice.network.clock.advance(RETRY_AFTER)
    alice.host.catch_up()
    assert alice.saved("robert") == {fingerprint("bob"): Trust.COMPARED}
    assert alice.saved("bob") == {fingerprint("bob"): Trust.NONE}


def test_trust_can_be_given_again(alice: StoredUser) -> None:
    meet(alice, "bob", "bob")
    for _ in range(2):
        alice.command("bob", "trust")
        assert alice.trust("bob") is Trust.COMPARED
        assert alice.saved("bob") == {fingerprint("bob"): Trust.COMPARED}
        alice.command("bob", "distrust")
        assert alice.trust("bob") is Trust.NONE
        assert alice.saved("bob") == {fingerprint("bob"): Trust.NONE}


def test_who_has_a_verified_key_cannot_have_it_trusted_under_nicks_without_end(
    alice: StoredUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("otrcore.irc.people.MAX_TRUSTED_NICKS", 3)
    leave(alice, meet(alice, "bob", "bob"))
    with alice.elsewhere() as store:
        store.contacts.judge(NETWORK, "bob", fingerprint("bob"), Trust.SMP)
    for number in range(5):
        leave(alice, meet(alice, f"bob{number}", "bob"))
    trusted = [
        nick for nick in ("bob", *(f"bob{number}" for number in range(5))) if alice.trust(nick) is Trust.SMP
    ]
    assert trusted == ["bob", "bob0", "bob1"]


# ---- in whatever order

Nick = Literal["bob", "robert"]
Key = Literal["one", "other"]
NICKS: tuple[Nick, ...] = ("bob", "robert")
KEYS: tuple[Key, ...] = ("one", "other")
Step = tuple[str, Nick, Key]

STEPS = 40
"""Of one order; each costs some ten milliseconds."""


@dataclass
class Model:
    """What has to be so, told by whether a key is trusted under a nick, and nothing else."""

    known: dict[Nick, dict[Key, bool]] = field(default_factory=lambda: {nick: {} for nick in NICKS})
    talking: dict[Nick, Key] = field(default_factory=dict)
    refuses: bool = False

    def trusted(self, key: Key) -> bool:
        return any(keys.get(key, False) for keys in self.known.values())

    def shown(self, nick: Nick) -> bool:
        """Whether the conversation says that its key is verified."""
        return self.known[nick].get(self.talking[nick], False)

    def met(self, nick: Nick, key: Key) -> None:
        keys = self.known[nick]
        keys.setdefault(key, False)
        if list(keys) == [key]:
            keys[key] |= self.trusted(key)
        self.talking[nick] = key

    def doubt(self, key: Key) -> None:
        for keys in self.known.values():
            if key in keys:
                keys[key] = False

    def moved(self, old: Nick, new: Nick) -> None:
        key = self.talking.pop(old)
        brought = {**self.known[old], key: self.known[old].get(key, False)}
        there = self.known[new]
        if set(there) - set(brought):
            brought = {each: there.get(each, False) for each in brought}
        self.known[new] = {**there, **brought}
        self.talking[new] = key


class World:
    """The model and the real thing, side by side."""

    def __init__(self, folder: Path) -> None:
        self.network = Network()
        self.alice = join(self.network, "alice", folder)
        self.peers: dict[Nick, User] = {}
        self.model = Model()

    def possible(self) -> list[Step]:
        """Return the steps that can be taken now; the likelier ones are there more often."""
        steps: list[Step] = [("meet", nick, key) for nick in NICKS for key in KEYS] * 2
        for nick in self.model.talking:
            steps += [
                (what, nick, "one") for what in ("trust", "trust", "distrust", "fail", "rename", "leave")
            ]
        for nick in NICKS:
            for key in self._saved(nick):
                steps.append(("distrust elsewhere", nick, key))
                if not self.model.refuses:  # nobody could tell which came first, this or a doubt here
                    steps.append(("trust elsewhere", nick, key))
            if self._saved(nick) and not self.model.refuses:
                steps.append(("forget elsewhere", nick, "one"))
        last: tuple[Step, ...] = (("take", "bob", "one"),) * 2
        return [
            *steps,
            *(last if self.model.refuses else (("refuse", "bob", "one"), ("restart", "bob", "one"))),
        ]

    def do(self, step: Step) -> None:
        """Take one step on both sides."""
        what, nick, key = step
        model, alice = self.model, self.alice
        match what:
            case "meet":
                self._leave(nick)
                self.peers[nick] = meet(alice, nick, key)
                model.met(nick, key)
                self._look_at_the_note(nick)
            case "trust":
                alice.command(nick, "trust")
                model.known[nick][model.talking[nick]] = True
            case "distrust":
                alice.command(nick, "distrust")
                model.doubt(model.talking[nick])
            case "fail":
                fail_to_verify(alice, self.peers[nick])
                model.doubt(model.talking[nick])
            case "rename":
                new = next(other for other in NICKS if other != nick)
                if new in self.peers:
                    self.network.users.remove(self.peers.pop(new))
                    model.talking.pop(new)
                peer = self.peers[new] = self.peers.pop(nick)
                self.network.rename(peer, new)
                model.moved(nick, new)
            case "leave":
                self._leave(nick)
            case "restart":
                for each in tuple(self.peers):
                    self.network.users.remove(self.peers.pop(each))
                model.talking.clear()
                alice.restart()
            case "trust elsewhere":
                self._judge_elsewhere(nick, key, Trust.COMPARED)
                model.known[nick][key] = True
            case "distrust elsewhere":
                # What is trusted here, and could not be saved, is doubted by who sees it trusted elsewhere.
                if not model.refuses or any(self._saved(each).get(key) for each in NICKS):
                    model.doubt(key)
                self._judge_elsewhere(nick, key, Trust.NONE)
            case "forget elsewhere":
                with alice.elsewhere() as store:
                    store.contacts.forget(NETWORK, nick)
                model.known[nick] = {}
            case "refuse":
                alice.store_refuses()
                model.refuses = True
            case "take":
                alice.store_takes()
                model.refuses = False
                self.network.clock.advance(RETRY_AFTER)
        if not what.endswith("elsewhere"):  # what is next has to look for itself
            self.check()

    def _judge_elsewhere(self, nick: Nick, key: Key, trust: Trust) -> None:
        with self.alice.elsewhere() as store:
            store.contacts.judge(NETWORK, nick, fingerprint(key), trust)

    def check(self) -> None:
        """Compare what is shown, what is at hand, and what is saved."""
        alice = self.alice
        alice.host.catch_up()
        for nick in NICKS:
            memory = alice.host._people.memories.load(nick)
            at_hand = {
                key: memory.trust(fingerprint(key)) is not Trust.NONE
                for key in KEYS
                if memory.knows(fingerprint(key))
            }
            assert at_hand == self.model.known[nick], nick
            if nick in self.model.talking:
                assert (alice.trust(nick) is not Trust.NONE) == self.model.shown(nick), nick
            if not self.model.refuses:
                assert self._saved(nick) == self.model.known[nick], f"{nick} in the file"

    def _saved(self, nick: Nick) -> dict[Key, bool]:
        saved: dict[Fingerprint, Trust] = self.alice.saved(nick)
        return {key: saved[fingerprint(key)] is not Trust.NONE for key in KEYS if fingerprint(key) in saved}

    def _look_at_the_note(self, nick: Nick) -> None:
        note = opened(self.alice)
        says = note.lines[-1].startswith("Verified")
        assert says == self.model.shown(nick), note.lines
        others = set(self.model.known[nick]) - {self.model.talking[nick]}
        loud = any(self.model.known[nick][other] for other in others) and not says
        assert note.lines[0].startswith("WARNING: this is NOT the key") == loud, note.lines

    def _leave(self, nick: Nick) -> None:
        if nick in self.peers:
            leave(self.alice, self.peers.pop(nick))
            self.model.talking.pop(nick, None)


@pytest.mark.parametrize("seed", range(24))
def test_whatever_happens_trust_is_where_the_model_has_it(seed: int, tmp_path: Path) -> None:
    choice = random.Random(seed)
    world = World(tmp_path / "alice")
    taken: list[Step] = []
    for _ in range(STEPS):
        taken.append(choice.choice(world.possible()))
        try:
            world.do(taken[-1])
        except AssertionError as error:
            raise AssertionError(f"after {taken}: {error}") from error
