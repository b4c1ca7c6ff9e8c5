"""What other programs change in the store reaches a running host before its next message."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from otrcore.events import HandshakeFailed, NotSent, Queued, SessionEnd, SessionEnded, SessionOpened
from otrcore.irc.actions import ShowNote, Verdict
from otrcore.irc.host import IrcHost
from otrcore.irc.isupport import Features
from otrcore.memory import STRANGER
from otrcore.model import MessageState, Protection, Trust
from otrcore.policy import ALWAYS, DEFAULT, MANUAL, NEVER
from otrcore.store.store import Store
from tests.irc.network import Network, User
from tests.irc.stored import HOST, NETWORK, Late, StoredUser, fingerprint, join
from tests.pair import identity

TEXT = "the text that matters"


@pytest.fixture
def alice(network: Network, tmp_path: Path) -> StoredUser:
    return join(network, "alice", tmp_path / "alice")


@pytest.fixture
def bob(network: Network) -> User:
    return network.join("bob")


@pytest.fixture
def secured(network: Network, alice: StoredUser, bob: User) -> Network:
    network.secure(alice, bob)
    return network


def events(user: User, kind: type[object]) -> list[object]:
    return [a.event for a in user.shown if isinstance(a, ShowNote) and isinstance(a.event, kind)]


# ---- a restart


def test_what_was_decided_is_there_after_a_restart(secured: Network, alice: StoredUser, bob: User) -> None:
    ours = alice.host.fingerprint
    tag = alice.account.instance_tag
    alice.command("bob", "trust")
    alice.command("bob", "policy v2")
    alice.command("carol", "policy always")
    alice.command("bob", "policy network manual")
    before = alice.host.memory("bob")
    assert before.keys
    alice.restart()
    assert (alice.host.fingerprint, alice.account.instance_tag) == (ours, tag)
    assert alice.host.memory("bob") == before
    assert before.versions == {4}
    assert alice.host.policy("bob") == replace(DEFAULT, versions=frozenset({2, 3, 4}))
    assert alice.host.policy("carol") == ALWAYS
    assert alice.host.policy("dave") == alice.host.network_policy == MANUAL
    bob.end("alice")
    alice.clear()
    alice.start("bob")
    assert "Verified: you have compared the fingerprints with bob." in alice.notes()


def test_networks_are_apart(secured: Network, alice: StoredUser) -> None:
    alice.command("bob", "trust")
    ours = alice.host.fingerprint
    alice.host.connected("alice", Features(network="Elsewhere"), server="irc.elsewhere.test")
    assert alice.host.network == "elsewhere"
    assert alice.host.memory("bob") == STRANGER
    assert alice.host.fingerprint != ours
    alice.connect()
    assert (alice.host.network, alice.host.fingerprint) == (NETWORK, ours)
    assert alice.host.memory("bob").verified


def test_one_identity_for_all_networks_without_one(network: Network, tmp_path: Path) -> None:
    with Store(tmp_path / "alice") as store:
        default = store.identities.generate("default").fingerprint
        own = store.identities.generate("own").fingerprint
    alice = join(network, "alice", tmp_path / "alice")
    assert alice.host.fingerprint == default
    for name, ours in (("Elsewhere", default), ("OWN", own)):
        alice.host.connected("alice", Features(network=name), server=f"irc.{name.lower()}.test")
        assert alice.host.fingerprint == ours
    with alice.elsewhere() as store:
        assert [row.network for row in store.identities.rows()] == ["default", "own"]


# ---- trust


def test_who_is_distrusted_elsewhere_is_told_not_to_be_verified(secured: Network, alice: StoredUser) -> None:
    alice.command("bob", "trust")
    alice.clear()
    with alice.elsewhere() as store:
        store.contacts.judge(NETWORK, "bob", fingerprint("bob"), Trust.NONE)
    alice.say("bob", TEXT)
    told = "The key of bob in this conversation is not verified now: that was changed outside it."
    assert alice.notes() == [told]
    alice.command("bob", "status")
    assert any("is encrypted" in line and "and not verified." in line for line in alice.notes())
    alice.clear()
    alice.say("bob", TEXT)
    assert alice.notes() == []


def test_who_is_trusted_elsewhere_is_verified(secured: Network, alice: StoredUser) -> None:
    with alice.elsewhere() as store:
        store.contacts.judge(NETWORK, "bob", fingerprint("bob"), Trust.COMPARED)
    alice.host.tick()
    assert alice.trust("bob") is Trust.COMPARED
    assert alice.notes() == [
        "The key of bob in this conversation is verified by comparing fingerprints now: "
        "that was changed outside it."
    ]


@pytest.mark.parametrize("verified", [True, False])
@pytest.mark.parametrize("only_the_key", [True, False])
def test_who_is_forgotten_elsewhere_while_talking_can_be_trusted_again(
    secured: Network, alice: StoredUser, bob: User, verified: bool, only_the_key: bool
) -> None:
    if verified:
        alice.command("bob", "trust")
    alice.clear()
    with alice.elsewhere() as store:
        store.contacts.forget(NETWORK, "bob", fingerprint("bob") if only_the_key else None)
    bob.say("alice", TEXT)
    assert alice.texts() == [(TEXT, Protection.ENCRYPTED)]
    assert alice.trust("bob") is Trust.NONE
    assert len(alice.notes()) == verified
    assert alice.saved("bob") == {}
    alice.command("bob", "trust")
    assert alice.trust("bob") is Trust.COMPARED
    assert alice.saved("bob") == {fingerprint("bob"): Trust.COMPARED}
    alice.restart()
    assert alice.trust("bob") is Trust.COMPARED


def test_who_was_forgotten_while_talking_is_met_again_with_fresh_keys(
    secured: Network, alice: StoredUser
) -> None:
    with alice.elsewhere() as store:
        store.contacts.forget(NETWORK, "bob")
    alice.command("bob", "refresh")
    assert events(alice, SessionOpened)
    assert alice.saved("bob") == {fingerprint("bob"): Trust.NONE}
    assert alice.host._people.memories.load("bob").knows(fingerprint("bob"))


def test_a_forgotten_peer_who_comes_with_another_key_is_no_change(
    secured: Network, alice: StoredUser, bob: User
) -> None:
    alice.command("bob", "trust")
    alice.end("bob")
    alice.do(alice.host.gone("bob", "quit"))
    secured.users.remove(bob)
    with alice.elsewhere() as store:
        store.contacts.forget(NETWORK, "bob")
    secured.join("bob", key="another")
    alice.clear()
    alice.start("bob")
    assert alice.warnings() == []
    assert alice.trust("bob") is Trust.NONE


@pytest.mark.parametrize("forgotten", [True, False])
@pytest.mark.parametrize("after", range(4))
def test_a_doubt_that_comes_during_a_step_is_not_undone_by_it(
    network: Network, alice: StoredUser, bob: User, forgotten: bool, after: int
) -> None:
    """With lanes, a step ends with what was remembered when it began."""
    lanes = Late()
    alice.host = IrcHost(HOST, alice.keeper, alice._sink, lanes=lanes)
    alice.connect()
    alice.start("bob")
    lanes.settle()
    alice.command("bob", "policy manual")
    alice.command("bob", "trust")
    assert alice.saved("bob") == {fingerprint("bob"): Trust.COMPARED}
    bob.command("alice", "refresh")
    for _ in range(after):
        lanes.wait()
    assert lanes.under_way == 1
    with alice.elsewhere() as store:
        if forgotten:
            store.contacts.forget(NETWORK, "bob")
        else:
            store.contacts.judge(NETWORK, "bob", fingerprint("bob"), Trust.NONE)
        store.contacts.set_policy(NETWORK, "bob", ALWAYS)
    alice.host.catch_up()
    lanes.settle()
    assert alice.host.policy("bob") == ALWAYS
    with alice.elsewhere() as store:
        assert store.contacts.find("bob", NETWORK)[0].policy == ALWAYS
    assert alice.trust("bob") is Trust.NONE
    assert alice.saved("bob").get(fingerprint("bob"), Trust.NONE) is Trust.NONE
    alice.command("bob", "trust")
    assert alice.saved("bob") == {fingerprint("bob"): Trust.COMPARED}


@pytest.mark.parametrize("after", range(3))
def test_a_doubt_that_comes_during_a_start_is_not_undone_by_it(
    network: Network, alice: StoredUser, bob: User, after: int
) -> None:
    """Which is the first one with this key, and so changes what is remembered."""
    with alice.elsewhere() as store:
        store.contacts.add(NETWORK, "bob", fingerprint("bob"), Trust.COMPARED, "elsewhere")
    lanes = Late()
    alice.host = IrcHost(HOST, alice.keeper, alice._sink, lanes=lanes)
    alice.connect()
    bob.start("alice")
    for _ in range(after):
        lanes.wait()
    assert lanes.under_way == 1
    with alice.elsewhere() as store:
        store.contacts.judge(NETWORK, "bob", fingerprint("bob"), Trust.NONE)
    alice.host.catch_up()
    lanes.settle()
    assert alice.host.state("bob") is MessageState.ENCRYPTED
    assert alice.trust("bob") is Trust.NONE
    assert alice.saved("bob") == {fingerprint("bob"): Trust.NONE}


# ---- policies


@pytest.mark.parametrize("whose", ["peer", "network"])
def test_never_ends_what_runs_properly(secured: Network, alice: StoredUser, bob: User, whose: str) -> None:
    with alice.elsewhere() as store:
        if whose == "peer":
            store.contacts.set_policy(NETWORK, "bob", NEVER)
        else:
            store.policies.set(NETWORK, NEVER)
    alice.host.tick()
    assert events(alice, SessionEnded) == [SessionEnded(SessionEnd.HERE)]
    assert events(bob, SessionEnded) == [SessionEnded(SessionEnd.PEER)]
    assert alice.host.state("bob") is MessageState.PLAINTEXT
    assert bob.host.state("alice") is MessageState.FINISHED
    alice.command("bob", "start")
    assert "OTR is switched off for bob" in alice.notes()[-1]


def test_never_for_the_network_leaves_alone_who_has_a_policy(secured: Network, alice: StoredUser) -> None:
    alice.command("bob", "policy default")
    with alice.elsewhere() as store:
        store.policies.set(NETWORK, NEVER)
    alice.host.tick()
    assert alice.host.state("bob") is MessageState.ENCRYPTED
    assert alice.host.policy("carol") == NEVER


@pytest.mark.parametrize("allowed_by", ["peer", "network"])
def test_policies_that_change_together_are_taken_in_together(
    secured: Network, alice: StoredUser, allowed_by: str
) -> None:
    """Between two messages the user makes an exception for a peer, and switches OTR off for the others."""
    if allowed_by == "network":
        alice.command("bob", "policy default")
        alice.command("bob", "policy network never")
    with alice.elsewhere() as store:
        if allowed_by == "peer":
            store.contacts.set_policy(NETWORK, "bob", DEFAULT)
            store.policies.set(NETWORK, NEVER)
        else:
            store.policies.set(NETWORK, MANUAL)
            store.contacts.set_policy(NETWORK, "bob", None)
    alice.say("bob", TEXT)
    assert alice.host.state("bob") is MessageState.ENCRYPTED
    assert alice.host.policy("bob") == (DEFAULT if allowed_by == "peer" else MANUAL)


@pytest.mark.parametrize("whose", ["peer", "network"])
def test_always_holds_the_next_text_back(network: Network, alice: StoredUser, whose: str) -> None:
    """Though nobody listens."""
    assert alice.say("bob", "plain")[0].verdict is Verdict.PASS
    with alice.elsewhere() as store:
        if whose == "peer":
            store.contacts.set_policy(NETWORK, "BOB", ALWAYS)
        else:
            store.policies.set(NETWORK, ALWAYS)
    (decision,) = alice.say("bob", TEXT)
    assert decision.verdict is Verdict.DROP
    assert events(alice, Queued) == [Queued(TEXT)]
    assert not network.crossed(TEXT)
    with alice.elsewhere() as store:
        store.contacts.set_policy(NETWORK, "bob", DEFAULT)
        store.policies.set(NETWORK, None)
    alice.end("bob")
    assert alice.say("bob", "plain again")[0].verdict is Verdict.PASS


def test_a_start_in_a_version_that_is_forbidden_meanwhile_is_called_off(
    network: Network, alice: StoredUser
) -> None:
    alice.command("bob", "policy always")
    alice.say("bob", TEXT)
    with alice.elsewhere() as store:
        store.contacts.set_policy(NETWORK, "bob", NEVER)
    alice.host.tick()
    assert [event.text for event in events(alice, NotSent) if isinstance(event, NotSent)] == [TEXT]
    assert events(alice, HandshakeFailed)
    assert not network.crossed(TEXT)


def test_a_policy_elsewhere_counts_though_something_of_ours_could_not_be_saved(
    network: Network, alice: StoredUser, bob: User
) -> None:
    """What is kept of the same peer until it can be saved does not hide it."""
    alice.store_refuses()
    network.secure(alice, bob)
    alice.end("bob")
    bob.end("alice")
    alice.do(alice.host.gone("bob", "quit"))
    assert alice.saved("bob") == {}
    network.users.remove(bob)
    with alice.elsewhere() as store:
        store.contacts.set_policy(NETWORK, "bob", ALWAYS)
    assert alice.say("bob", TEXT)[0].verdict is Verdict.DROP
    assert not network.crossed(TEXT)
    assert alice.host.memory("bob").knows(fingerprint("bob"))


# ---- our key


def rotated(store: Store) -> None:
    store.identities.rotate(NETWORK)


def deleted(store: Store) -> None:
    store.identities.delete(NETWORK)


def imported(store: Store) -> None:
    store.identities.put(NETWORK, identity("imported").dsa, replace=True)


def deleted_for_the_default(store: Store) -> None:
    store.identities.generate("default")
    store.identities.delete(NETWORK)


@pytest.mark.parametrize("change", [rotated, deleted, imported, deleted_for_the_default])
def test_another_key_is_shown_from_the_next_session_on(
    secured: Network, alice: StoredUser, bob: User, change: Callable[[Store], None]
) -> None:
    before = alice.account.identity
    with alice.elsewhere() as store:
        change(store)
    alice.say("bob", TEXT)
    assert bob.texts() == [(TEXT, Protection.ENCRYPTED)], "the running session goes on"
    with alice.elsewhere() as store:
        living = {row.network: row.fingerprint for row in store.identities.rows() if row.retired is None}
    now = alice.account.identity
    assert now.fingerprint == living.get(NETWORK, living.get("default")) != before.fingerprint
    assert alice.told() == [
        f"Your key on {NETWORK} is another one from the next encrypted conversation on: {now.fingerprint}, "
        f"and for OTR version 4 {now.fingerprint_4}. Whoever has verified you has to do it again."
    ]
    alice.command("bob", "status")
    assert any(before.fingerprint_4.lines()[0] in line for line in alice.notes())
    bob.clear()
    alice.command("bob", "refresh")
    assert any(line.startswith("WARNING: alice had another key before") for line in bob.notes())
    assert any(f"alice's fingerprint: {now.fingerprint_4.lines()[0]}" in line for line in bob.notes())
    alice.clear()
    alice.say("bob", TEXT)
    assert alice.notes() == [], "told once"


def test_a_key_that_is_changed_in_the_middle_of_a_verification(
    secured: Network, alice: StoredUser, bob: User
) -> None:
    alice.command("bob", "smp ask")
    alice.secret("the secret")
    with alice.elsewhere() as store:
        store.identities.rotate(NETWORK)
    bob.command("alice", "smp answer")
    bob.secret("the secret")
    assert alice.trust("bob") is Trust.SMP
    assert bob.account.conversation("alice").trust is Trust.SMP


def test_a_key_that_is_changed_in_the_middle_of_a_start(
    network: Network, alice: StoredUser, bob: User
) -> None:
    query = alice.host.start("bob")
    with alice.elsewhere() as store:
        store.identities.rotate(NETWORK)
    alice.do(query)
    assert alice.host.state("bob") is bob.host.state("alice") is MessageState.ENCRYPTED
    shown = alice.account.identity.fingerprint_4.lines()[0]
    assert any(f"alice's fingerprint: {shown}" in line for line in bob.notes())


# ---- what the user is told, and when


def test_what_a_command_does_rests_on_what_was_changed_elsewhere(secured: Network, alice: StoredUser) -> None:
    """Each command looks first."""
    for command, seen in (
        ("status", "and verified by comparing fingerprints"),
        ("trust", "is verified by comparing fingerprints already"),
        ("distrust", "bob is not verified any more"),
    ):
        with alice.elsewhere() as store:
            store.contacts.judge(NETWORK, "bob", fingerprint("bob"), Trust.NONE)
            store.contacts.judge(NETWORK, "bob", fingerprint("bob"), Trust.COMPARED)
        alice.clear()
        alice.command("bob", command)
        assert any(seen in line for line in alice.notes()), (command, alice.notes())
    with alice.elsewhere() as store:
        store.contacts.set_policy(NETWORK, "carol", ALWAYS)
    alice.clear()
    alice.command("carol", "policy")
    assert alice.notes()[0].startswith("Policy for carol: always")


def test_a_change_that_concerns_nobody_here_is_not_spoken_of(secured: Network, alice: StoredUser) -> None:
    with alice.elsewhere() as store:
        store.contacts.set_policy("elsewhere", "bob", NEVER)
        store.identities.generate("elsewhere")
        store.policies.set("elsewhere", NEVER)
        store.contacts.set_policy(NETWORK, "carol", ALWAYS)
    alice.say("bob", TEXT)
    assert alice.notes() == []
    assert alice.host.state("bob") is MessageState.ENCRYPTED


def test_a_key_that_cannot_be_read_does_not_hide_what_else_has_changed(
    secured: Network, alice: StoredUser
) -> None:
    """As it is locked by a passphrase that this process does not have."""
    alice.command("bob", "trust")
    ours = alice.host.fingerprint
    alice.clear()
    with alice.elsewhere() as store:
        store.identities.seal("a passphrase")
        store.identities.rotate(NETWORK)
        store.contacts.judge(NETWORK, "bob", fingerprint("bob"), Trust.NONE)
        store.policies.set(NETWORK, ALWAYS)
    for _ in range(3):
        alice.say("bob", TEXT)
    assert alice.trust("bob") is Trust.NONE
    assert alice.host.network_policy == ALWAYS
    assert alice.host.fingerprint == ours
    (told,) = alice.told()
    assert told.startswith("The private keys are locked by a passphrase")
    assert alice.host.state("bob") is MessageState.ENCRYPTED


def test_without_changes_looking_costs_next_to_nothing(secured: Network, alice: StoredUser) -> None:
    with alice.elsewhere() as store, store.transaction():
        for number in range(500):
            store.contacts.set_policy(NETWORK, f"nick{number}", MANUAL)
    alice.host.catch_up()
    assert alice.host.policy("nick7") == MANUAL
    with alice.watched() as statements:
        for _ in range(10):
            alice.host.catch_up()
            alice.say("nick9", "plain")
            alice.say("bob", TEXT)
    assert statements == []


# ---- a server that claims the network of another


def test_a_server_that_claims_a_network_elsewhere_gets_a_name_and_a_key_of_its_own(
    secured: Network, alice: StoredUser
) -> None:
    alice.command("bob", "trust")
    alice.command("bob", "policy network manual")
    ours = alice.host.fingerprint
    alice.clear()
    alice.connect("irc.liar.test")
    assert alice.host.network == f"{NETWORK}@irc.liar.test"
    assert alice.host.fingerprint != ours
    assert alice.host.memory("bob") == STRANGER
    assert alice.host.network_policy == DEFAULT
    assert alice.told()[0].startswith(f"WARNING: irc.liar.test calls itself {NETWORK}, and so does {HOST}")
    assert alice.host.state("bob") is MessageState.FINISHED
    alice.clear()
    alice.connect("irc.liar.test")
    assert alice.told() == [], "told when it is news"
    alice.connect(f"eu.{HOST}")
    assert (alice.host.network, alice.host.fingerprint) == (NETWORK, ours)
    assert alice.host.memory("bob").verified


def test_the_name_of_the_identity_for_all_networks_is_no_servers_to_claim(
    network: Network, alice: StoredUser
) -> None:
    alice.host.connected("alice", Features(network="Default"), server="irc.liar.test")
    with alice.elsewhere() as store:
        assert store.identities.find("default") is None
