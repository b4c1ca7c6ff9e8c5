"""`/otr policy network WORD`: what holds for all on a network who have no policy of their own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from otrcore.errors import UsageError
from otrcore.events import NotSent, Queued, SessionEnd, SessionEnded
from otrcore.irc.actions import ShowNote, Verdict
from otrcore.irc.commands import OTR
from otrcore.irc.host import IrcHost
from otrcore.irc.isupport import Features
from otrcore.irc.keeper import StoreKeeper
from otrcore.irc.saving import NOT_SAVED
from otrcore.model import MessageState, Protection
from otrcore.policy import ALWAYS, DEFAULT, MANUAL, NEVER, OPPORTUNISTIC, PRESETS, Policy
from otrcore.wire.text import TAG_BASE
from tests.irc.network import Network, User, carried
from tests.irc.stored import HOST, NETWORK, StoredUser, join
from tests.pair import speaking

TEXT = "the text that matters"
EVERYBODY = f"everybody on {NETWORK} who has none of their own"


@pytest.fixture
def alice(network: Network, tmp_path: Path) -> StoredUser:
    return join(network, "alice", tmp_path / "alice")


@pytest.fixture
def bob(network: Network) -> User:
    return network.join("bob")


def last_note(user: User) -> str:
    return "\n".join([action for action in user.shown if isinstance(action, ShowNote)][-1].lines)


def events(user: User, kind: type[object]) -> list[object]:
    return [a.event for a in user.shown if isinstance(a, ShowNote) and isinstance(a.event, kind)]


def saved(alice: StoredUser) -> Policy | None:
    with alice.elsewhere() as store:
        return store.policies.get(NETWORK)


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("typed", ["policy network {}", "POLICY  Network   {}  "])
def test_it_holds_for_all_without_one_of_their_own(alice: StoredUser, name: str, typed: str) -> None:
    alice.command("carol", "policy manual")
    alice.command("bob", typed.format(name))
    assert last_note(alice).startswith(f"Policy for {EVERYBODY}: {name}")
    for nick in ("bob", "dave"):
        assert alice.host.policy(nick) == PRESETS[name]
    assert alice.host.policy("carol") == MANUAL
    assert alice.network.lines == []
    assert saved(alice) == PRESETS[name]
    alice.restart()
    assert alice.host.policy("bob") == PRESETS[name]
    assert alice.host.policy("carol") == MANUAL


def test_it_holds_on_this_network_alone(alice: StoredUser) -> None:
    alice.command("bob", "policy network always")
    alice.host.connected("alice", Features(network="Elsewhere"), server="irc.elsewhere.test")
    assert alice.host.policy("bob") == alice.host.network_policy == DEFAULT


def test_it_shows_what_holds(alice: StoredUser) -> None:
    alice.command("bob", "policy always")
    alice.command("bob", "policy network")
    assert last_note(alice).startswith(f"Policy for {EVERYBODY}: default, as manual")
    alice.command("bob", "policy")
    assert last_note(alice).startswith("Policy for bob: always")
    assert "/otr policy network and a word for everybody on the network" in last_note(alice)
    assert saved(alice) is None


@pytest.mark.parametrize(
    "typed", ["policy network sometimes", "policy network always never", "policy network x"]
)
def test_another_word_changes_nothing(alice: StoredUser, typed: str) -> None:
    alice.command("bob", typed)
    assert last_note(alice).startswith("Nothing was changed: /otr policy network takes one of never, manual")
    assert alice.host.network_policy == DEFAULT
    assert saved(alice) is None


@pytest.mark.parametrize("nick", ["#channel", "nickserv", "a,b", "", "$*", "=bob"])
def test_it_needs_nobody_to_talk_with(alice: StoredUser, nick: str) -> None:
    """It can be said in any window."""
    alice.command(nick, "policy network always")
    assert alice.host.network_policy == ALWAYS
    alice.command(nick, "policy always")
    assert "is not one person" in last_note(alice)


def test_before_there_is_a_network_it_is_told_so(alice: StoredUser) -> None:
    host = IrcHost(HOST, StoreKeeper(alice.store), lambda actions: None)
    assert host.network_policy == DEFAULT
    with pytest.raises(UsageError, match="Not connected yet"):
        host.set_network_policy(ALWAYS)
    (note,) = OTR.run(host, "bob", "policy network always")
    assert isinstance(note, ShowNote)
    assert note.lines == ("Not connected yet: try again in a moment.",)
    assert saved(alice) is None


def test_a_policy_with_versions_that_nobody_speaks_is_refused(alice: StoredUser, bob: User) -> None:
    with pytest.raises(UsageError, match="versions"):
        alice.host.set_network_policy(speaking(3, 99))
    assert alice.host.network_policy == DEFAULT
    assert saved(alice) is None


def test_version_2_for_all(network: Network, alice: StoredUser) -> None:
    alice.command("bob", "policy network v2")
    assert alice.host.network_policy == replace(DEFAULT, versions=frozenset({2, 3, 4}))
    assert "OTR versions 2, 3 and 4 may be spoken" in last_note(alice)
    old = network.join("old", policy=speaking(2))
    old.start("alice")
    assert alice.host.state("old") is MessageState.ENCRYPTED
    alice.command("bob", "policy network always")
    assert alice.host.network_policy.versions == {2, 3, 4}, "that was said of the versions"
    assert alice.host.state("old") is MessageState.ENCRYPTED
    alice.command("bob", "policy network no-v2")
    assert events(alice, SessionEnded) == [SessionEnded(SessionEnd.HERE)]
    assert old.host.state("alice") is MessageState.FINISHED
    alice.command("bob", "policy network never")
    alice.command("bob", "policy network v2")
    assert "/otr policy network default first" in last_note(alice)
    assert alice.host.network_policy == NEVER


def test_never_ends_what_runs_and_what_begins(network: Network, alice: StoredUser, bob: User) -> None:
    own = network.join("own")
    alice.command("own", "policy default")
    for peer in (bob, own):
        network.secure(alice, peer)
    alice.command("nobody", "policy always")
    alice.say("nobody", TEXT)
    alice.start("silent")
    alice.clear()
    alice.command("bob", "policy network never")
    assert alice.host.state("bob") is MessageState.PLAINTEXT
    assert bob.host.state("alice") is MessageState.FINISHED
    assert alice.host.state("own") is MessageState.ENCRYPTED
    assert events(alice, NotSent) == [], "who has a policy of their own is waited for"
    bob.end("alice")
    bob.start("alice")
    assert bob.host.state("alice") is MessageState.PLAINTEXT
    silent = alice.host.talk("silent")
    assert silent is None or not silent.starting


def test_always_keeps_what_runs_and_holds_back_what_does_not(
    network: Network, alice: StoredUser, bob: User
) -> None:
    network.secure(alice, bob)
    alice.command("bob", "policy network always")
    alice.say("bob", TEXT)
    assert bob.texts() == [(TEXT, Protection.ENCRYPTED)]
    assert alice.say("carol", TEXT)[0].verdict is Verdict.DROP
    assert events(alice, Queued) == [Queued(TEXT)]
    alice.do(alice.host.incoming("dave", "alice", "hello").actions)
    assert alice.texts() == [("hello", Protection.UNEXPECTED_PLAIN)]
    assert not network.crossed(TEXT)
    alice.command("carol", "policy network default")
    alice.end("carol")
    assert alice.say("carol", "plain")[0].verdict is Verdict.PASS


def test_opportunistic_offers_it_to_everybody(alice: StoredUser) -> None:
    alice.command("bob", "policy network opportunistic")
    assert alice.host.network_policy == OPPORTUNISTIC
    (decision,) = alice.host.outgoing("stranger", "hello you")
    assert TAG_BASE in carried(decision, "")


def test_other_programs_get_it_and_give_it(network: Network, tmp_path: Path) -> None:
    """Two clients of one user, on one store."""
    one = join(network, "alice", tmp_path / "alice")
    other = join(network, "alice_", tmp_path / "alice")
    one.command("bob", "policy network always")
    assert other.say("carol", TEXT)[0].verdict is Verdict.DROP
    other.command("bob", "policy network manual")
    one.end("carol")
    one.command("bob", "policy network")
    assert last_note(one).startswith(f"Policy for {EVERYBODY}: manual")
    assert one.say("carol", "plain")[0].verdict is Verdict.PASS
    assert not network.crossed(TEXT)


def test_what_cannot_be_saved_holds_all_the_same(network: Network, alice: StoredUser, bob: User) -> None:
    network.secure(alice, bob)
    alice.store_refuses()
    alice.command("bob", "policy network never")
    assert any(line.endswith(NOT_SAVED) for line in alice.notes())
    assert bob.host.state("alice") is MessageState.FINISHED
    assert saved(alice) is None
    alice.say("bob", "plain")
    assert alice.host.network_policy == NEVER
    alice.connect()
    assert alice.host.network_policy == NEVER


def test_a_store_that_must_not_be_used_any_more_loses_no_goodbye(
    network: Network, alice: StoredUser, bob: User
) -> None:
    """What follows from the policy happens, though it is refused for another reason than trouble."""
    network.secure(alice, bob)
    content = (alice.folder / "otrcore.sqlite").read_bytes()
    (alice.folder / "otrcore.sqlite").unlink()
    (alice.folder / "otrcore.sqlite").write_bytes(content)
    (alice.folder / "otrcore.sqlite").chmod(0o644)
    alice.command("bob", "policy network never")
    assert bob.host.state("alice") is MessageState.FINISHED
    assert any("can be read by others" in line for line in alice.notes())
    assert alice.host.network_policy == NEVER
