"""A chat goes on whatever happens to its store, tells it once, and loses nothing that was decided."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from otrcore.errors import StoreError, StoreUnavailable
from otrcore.events import Queued
from otrcore.irc.actions import ShowNote, Verdict
from otrcore.irc.host import IrcHost
from otrcore.irc.isupport import Features
from otrcore.irc.keeper import PASSING, UNKNOWN, PassingKeeper, StoreKeeper, open_keeper
from otrcore.irc.memories import MAX_MEMORIES, Change, StoredMemories, learned
from otrcore.irc.saving import NOT_SAVED, RETRY_AFTER, Saving
from otrcore.memory import MAX_KEYS, STRANGER, KnownKey, PeerMemory
from otrcore.model import Fingerprint, Protection, Trust
from otrcore.policy import ALWAYS, DEFAULT, MANUAL, NEVER
from otrcore.store.contacts import MAX_UNDECIDED
from otrcore.store.database import FILE_NAME
from otrcore.store.store import Store
from tests.irc.network import Network, User
from tests.irc.stored import HOST, NETWORK, StoredUser, fingerprint, join
from tests.pair import Clock
from tests.store.processes import NOBODY, as_nobody

TEXT = "the text that matters"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody wait long for a lock that a test holds."""
    monkeypatch.setattr("otrcore.store.database.BUSY_MILLISECONDS", 5)


@pytest.fixture
def alice(network: Network, tmp_path: Path) -> StoredUser:
    return join(network, "alice", tmp_path / "alice")


@pytest.fixture
def bob(network: Network) -> User:
    return network.join("bob")


def later(alice: StoredUser) -> None:
    """Let so much time pass that the store is tried again."""
    alice.network.clock.advance(RETRY_AFTER)
    alice.host.catch_up()


# ---- what can happen to a store while a chat uses it


@contextmanager
def locked(alice: StoredUser) -> Iterator[None]:
    """Another program is in the middle of a long change."""
    other = sqlite3.connect(alice.folder / FILE_NAME, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.execute("ROLLBACK")
    other.close()


@contextmanager
def locked_for_all(alice: StoredUser) -> Iterator[None]:
    """Another program lets nobody read either."""
    other = sqlite3.connect(alice.folder / FILE_NAME, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    yield
    other.execute("ROLLBACK")
    other.close()


@contextmanager
def read_by_another(alice: StoredUser) -> Iterator[None]:
    """Another program does not stop reading, as a backup may."""
    other = sqlite3.connect(alice.folder / FILE_NAME, isolation_level=None)
    other.execute("BEGIN")
    other.execute("SELECT * FROM contact").fetchall()
    yield
    other.execute("ROLLBACK")
    other.close()


@contextmanager
def read_only(alice: StoredUser) -> Iterator[None]:
    alice.store_refuses()
    yield
    alice.store_takes()


@contextmanager
def full(alice: StoredUser) -> Iterator[None]:
    """SQLite may not take another page, and says then what it says of a full disk."""
    connection = alice.store._database._connection
    connection.execute("CREATE TABLE IF NOT EXISTS filling (content)")
    for table in ("contact", "contact_key", "network_policy", "identity"):
        # A row more may find room in a page that is there: each is to need some of its own.
        connection.execute(
            f"CREATE TEMP TRIGGER full_{table} BEFORE INSERT ON {table} "
            "BEGIN INSERT INTO filling VALUES (zeroblob(100000)); END"
        )
    connection.execute("PRAGMA max_page_count = 1")
    yield
    connection.execute("PRAGMA max_page_count = 1000000")
    for table in ("contact", "contact_key", "network_policy", "identity"):
        connection.execute(f"DROP TRIGGER full_{table}")


@contextmanager
def removed(alice: StoredUser) -> Iterator[None]:
    aside = alice.folder.with_name("aside")
    alice.folder.rename(aside)
    yield
    aside.rename(alice.folder)


@contextmanager
def damaged(alice: StoredUser) -> Iterator[None]:
    path = alice.folder / FILE_NAME
    content = path.read_bytes()
    # Another "file change counter", so that SQLite looks at the file again.
    path.write_bytes(content[:24] + b"\x11" * 4 + content[28:100] + b"\xff" * (len(content) - 100))
    yield
    path.write_bytes(content)


Trouble = Callable[[StoredUser], AbstractContextManager[None]]
TROUBLES: list[Trouble] = [locked, locked_for_all, read_by_another, read_only, full, removed, damaged]
IN_ALL_TROUBLE = pytest.mark.parametrize("trouble", TROUBLES)


def complaints(alice: StoredUser, since: int = 0) -> list[str]:
    """Return what was ever said of the store."""
    return [
        line
        for action in alice.done[since:]
        if isinstance(action, ShowNote)
        for line in action.lines
        if str(alice.folder) in line
    ]


# ---- while a chat uses it


@IN_ALL_TROUBLE
def test_a_chat_goes_on_and_keeps_what_is_decided_until_it_can_be_saved(
    network: Network, alice: StoredUser, bob: User, trouble: Trouble
) -> None:
    network.join("carol")
    with trouble(alice):
        network.secure(alice, bob)
        alice.start("carol")
        alice.command("bob", "trust")
        alice.command("carol", "policy always")
        alice.command("bob", "policy network manual")
        later(alice)
        alice.command("bob", "refresh")
        alice.say("bob", TEXT)
        bob.say("alice", TEXT)
        assert bob.texts()[-1] == alice.texts()[-1] == (TEXT, Protection.ENCRYPTED)
        assert alice.trust("bob") is Trust.COMPARED
    later(alice)
    assert alice.trust("bob") is Trust.COMPARED
    assert (alice.host.policy("carol"), alice.host.network_policy) == (ALWAYS, MANUAL)
    assert alice.saved("bob") == {fingerprint("bob"): Trust.COMPARED}
    assert alice.saved("carol") == {fingerprint("carol"): Trust.NONE}
    alice.restart()
    assert (alice.host.policy("carol"), alice.host.network_policy) == (ALWAYS, MANUAL)
    assert alice.trust("bob") is Trust.COMPARED


@IN_ALL_TROUBLE
def test_it_is_told_once_and_not_at_each_message(
    network: Network, alice: StoredUser, bob: User, trouble: Trouble
) -> None:
    for _ in range(2):
        since = len(alice.done)
        with trouble(alice):
            alice.command("bob", "policy always")
            *earlier, told = complaints(alice, since)
            assert told.endswith(NOT_SAVED)
            assert not earlier or (trouble is damaged and "What other programs" in earlier[0])
            since = len(alice.done)
            for number in range(3):
                alice.command("bob", "trust")
                alice.command("bob", "refresh")
                alice.say("bob", TEXT)
                bob.say("alice", TEXT)
                network.join(f"stranger{number}").start("alice")
                later(alice)
            assert complaints(alice, since) == []
        later(alice)
        alice.command("bob", "policy default")
        assert alice.saved("bob") == {fingerprint("bob"): Trust.COMPARED}
        alice.command("bob", "distrust")


@IN_ALL_TROUBLE
def test_a_doubt_that_cannot_be_saved_holds_and_is_saved_later(
    network: Network, alice: StoredUser, bob: User, trouble: Trouble
) -> None:
    """Under every nick; and trust that is given again after it, under one."""
    robert = network.join("robert", key="bob")
    network.secure(alice, bob)
    alice.command("bob", "trust")
    network.secure(alice, robert)
    assert alice.saved("robert") == {fingerprint("bob"): Trust.COMPARED}
    with trouble(alice):
        alice.command("bob", "distrust")
        assert alice.trust("robert") is Trust.NONE
        later(alice)
        assert alice.trust("robert") is Trust.NONE
        alice.command("robert", "trust")
        assert (alice.trust("bob"), alice.trust("robert")) == (Trust.NONE, Trust.COMPARED)
        later(alice)
    later(alice)
    assert (alice.trust("bob"), alice.trust("robert")) == (Trust.NONE, Trust.COMPARED)
    assert alice.saved("bob") == {fingerprint("bob"): Trust.NONE}
    assert alice.saved("robert") == {fingerprint("bob"): Trust.COMPARED}


def test_a_doubt_that_could_not_be_saved_is_not_undone_by_what_others_change(
    network: Network, alice: StoredUser, bob: User
) -> None:
    network.secure(alice, bob)
    alice.command("bob", "trust")
    robert = network.join("robert", key="bob")
    network.secure(alice, robert)
    alice.store_refuses()
    alice.command("bob", "distrust")
    with alice.elsewhere() as store:
        store.contacts.set_policy(NETWORK, "robert", MANUAL)
    alice.host.catch_up()
    assert alice.trust("bob") is alice.trust("robert") is Trust.NONE
    assert alice.host.policy("robert") == MANUAL


def test_what_the_user_decides_is_worth_a_try_at_once(network: Network, alice: StoredUser, bob: User) -> None:
    with read_only(alice):
        network.secure(alice, bob)
        alice.command("bob", "policy manual")
    alice.command("bob", "trust")
    assert alice.saved("bob") == {fingerprint("bob"): Trust.COMPARED}


def test_it_is_saved_at_the_end_without_waiting(network: Network, alice: StoredUser, bob: User) -> None:
    with read_only(alice):
        network.secure(alice, bob)
        alice.command("bob", "trust")
        alice.command("bob", "policy network manual")
    alice.do(alice.host.shutdown())
    assert alice.saved("bob") == {fingerprint("bob"): Trust.COMPARED}
    with alice.elsewhere() as store:
        assert store.policies.get(NETWORK) == MANUAL


def test_what_was_decided_on_a_network_is_not_lost_by_a_visit_to_another(
    network: Network, alice: StoredUser, bob: User
) -> None:
    with read_only(alice):
        network.secure(alice, bob)
        alice.command("bob", "trust")
        alice.command("bob", "policy network manual")
        alice.host.connected("alice", Features(network="Elsewhere"), server="irc.elsewhere.test")
        assert alice.host.network_policy == DEFAULT
        alice.connect()
        assert alice.host.memory("bob").verified
        assert alice.host.network_policy == MANUAL
    alice.connect()
    later(alice)
    assert alice.saved("bob") == {fingerprint("bob"): Trust.COMPARED}


def test_a_store_that_is_locked_keeps_a_chat_waiting_seldom(
    network: Network, alice: StoredUser, bob: User
) -> None:
    """As long as a store refuses, only what the user decides is worth another try at once."""
    network.secure(alice, bob)
    with locked_for_all(alice):
        alice.command("bob", "policy manual")
        alice.say("bob", TEXT)
        with alice.watched() as statements:
            for number in range(3):
                network.join(f"stranger{number}").start("alice")
                alice.say("bob", TEXT)
            assert statements == []
            later(alice)
            assert statements == ["BEGIN IMMEDIATE"]
    assert bob.texts() == [(TEXT, Protection.ENCRYPTED)] * 4


# ---- when the chat starts


@IN_ALL_TROUBLE
def test_connecting_while_it_is_in_trouble_lets_nothing_out_that_is_not_allowed(
    network: Network, alice: StoredUser, bob: User, trouble: Trouble
) -> None:
    """What cannot be read may be that nothing is to go out unencrypted; and it is so until it can be."""
    alice.command("bob", "policy always")
    alice.command("carol", "policy default")
    alice.host = alice._new_host()
    ours = alice.store.identities.for_network(NETWORK).fingerprint
    alice.keeper = StoreKeeper(alice.store, clock=network.clock)
    alice.host = alice._new_host()
    alice.clear()
    with trouble(alice):
        alice.connect()
        readable = trouble not in (locked_for_all, damaged)
        assert (UNKNOWN in alice.told()) == (not readable)
        assert (PASSING in alice.told()) == (not readable)
        assert len(complaints(alice)) <= 1
        (decision,) = alice.host.outgoing("bob", TEXT)
        assert decision.verdict is Verdict.DROP
        (decision,) = alice.host.outgoing("carol", TEXT)
        assert decision.verdict is (Verdict.PASS if readable else Verdict.DROP)
        if not readable:
            alice.command("carol", "policy network default")
            assert alice.host.outgoing("dave", "allowed")[0].verdict is Verdict.PASS
    later(alice)
    assert alice.host.fingerprint == ours
    assert alice.host.policy("bob") == ALWAYS
    assert alice.host.policy("carol") == alice.host.network_policy == DEFAULT
    assert not network.crossed(TEXT)


@pytest.mark.parametrize("trouble", [locked, read_by_another, read_only, full])
def test_a_liar_is_told_though_it_cannot_be_noted(alice: StoredUser, trouble: Trouble) -> None:
    """As long as the names of networks can be read."""
    ours = alice.host.fingerprint
    with trouble(alice):
        alice.connect("irc.liar.test")
        assert alice.host.network == f"{NETWORK}@irc.liar.test"
        assert alice.host.fingerprint != ours
        assert any("WARNING: irc.liar.test calls itself" in line for line in alice.told())


def test_contacts_alone_that_cannot_be_read_let_nothing_out_either(
    network: Network, alice: StoredUser
) -> None:
    alice.command("bob", "policy always")
    with alice.elsewhere() as store, store.transaction() as connection:
        connection.execute("ALTER TABLE contact RENAME TO hidden")
    alice.restart()
    assert UNKNOWN in alice.told()
    assert PASSING not in alice.told()
    assert alice.say("bob", TEXT)[0].verdict is Verdict.DROP
    assert not network.crossed(TEXT)


def test_policies_alone_that_cannot_be_read_let_nothing_out_either(
    network: Network, alice: StoredUser
) -> None:
    with alice.elsewhere() as store, store.transaction() as connection:
        connection.execute("ALTER TABLE network_policy RENAME TO hidden")
    alice.restart()
    assert UNKNOWN in alice.told()
    assert PASSING not in alice.told()
    assert alice.say("bob", TEXT)[0].verdict is Verdict.DROP
    with alice.elsewhere() as store, store.transaction() as connection:
        connection.execute("ALTER TABLE hidden RENAME TO network_policy")
    later(alice)
    assert alice.host.network_policy == DEFAULT
    assert not network.crossed(TEXT)


def test_a_key_that_could_not_be_saved_is_saved_later(network: Network, tmp_path: Path) -> None:
    """Whoever has verified it need not do it again."""
    Store(tmp_path / "alice").close()
    alice = StoredUser(network, "alice", tmp_path / "alice")
    with read_only(alice):
        alice.connect()
        assert [line for line in alice.told() if NOT_SAVED in line]
        assert alice.told()[-1] == PASSING
        ours = alice.host.fingerprint
        alice.clear()
        for _ in range(3):
            later(alice)
        alice.connect()
        assert alice.told() == []
    later(alice)
    alice.restart()
    assert alice.host.fingerprint == ours


def test_a_key_that_was_made_elsewhere_takes_the_place_of_a_passing_one(
    network: Network, tmp_path: Path, bob: User
) -> None:
    Store(tmp_path / "alice").close()
    alice = StoredUser(network, "alice", tmp_path / "alice")
    network.users.append(alice)
    alice.store_refuses()
    alice.connect()
    network.secure(alice, bob)
    with alice.elsewhere() as store:
        made = store.identities.generate(NETWORK).fingerprint
    alice.say("bob", TEXT)
    assert alice.host.fingerprint == made
    assert "another one from the next encrypted conversation on" in alice.told()[0]
    alice.store_takes()
    later(alice)
    assert alice.host.fingerprint == made


def test_a_policy_elsewhere_counts_once_ours_was_saved(network: Network, alice: StoredUser) -> None:
    with read_only(alice):
        alice.command("bob", "policy network manual")
    later(alice)
    with alice.elsewhere() as store:
        assert store.policies.get(NETWORK) == MANUAL
        store.policies.set(NETWORK, ALWAYS)
    assert alice.say("bob", TEXT)[0].verdict is Verdict.DROP


# ---- without any store


def refused() -> Store:
    raise StoreUnavailable("It is broken: mend it.")


def forbidden() -> Store:
    raise StoreError("It can be read by others: mend that.")


def test_without_a_store_nothing_leaves_unencrypted_before_it_is_allowed(
    network: Network, alice: StoredUser, bob: User
) -> None:
    keeper = open_keeper(refused, clock=network.clock)
    assert isinstance(keeper, PassingKeeper)
    alice.clear()
    alice.take(keeper)
    assert alice.told() == ["It is broken: mend it.", PASSING, UNKNOWN]
    (decision,) = alice.say("carol", TEXT)
    assert decision.verdict is Verdict.DROP
    assert [a.event for a in alice.shown if isinstance(a, ShowNote)][-1] == Queued(TEXT)
    assert not network.crossed(TEXT)
    alice.say("bob", TEXT)
    assert bob.texts() == [(TEXT, Protection.ENCRYPTED)]
    assert not network.crossed(TEXT)
    alice.command("bob", "trust")
    ours = alice.host.fingerprint
    alice.host.connected("alice", Features(network="Elsewhere"))
    alice.connect()
    assert alice.host.fingerprint == ours
    assert alice.host.memory("bob").verified
    alice.command("carol", "policy network default")
    assert alice.say("dave", "allowed")[0].verdict is Verdict.PASS
    alice.connect()
    assert alice.say("dave", "allowed")[0].verdict is Verdict.PASS


def test_a_store_that_must_not_be_used_is_no_reason_to_go_without() -> None:
    with pytest.raises(StoreError, match="read by others"):
        open_keeper(forbidden)


def test_private_keys_that_are_locked_are_unlocked_before_the_chat(tmp_path: Path) -> None:
    with Store(tmp_path / "alice") as store:
        store.identities.generate(NETWORK)
        store.identities.seal("a passphrase")
    asked: list[str] = []

    def ask() -> str:
        asked.append("once")
        return "a passphrase"

    keeper = open_keeper(lambda: Store(tmp_path / "alice", ask))
    assert asked == ["once"]
    for _ in range(3):
        keeper.account(NETWORK)
    assert asked == ["once"]
    with pytest.raises(StoreError, match="passphrase"):
        open_keeper(lambda: Store(tmp_path / "alice", lambda: "another"))
    stores: list[Store] = []

    def without() -> Store:
        stores.append(Store(tmp_path / "alice"))
        return stores[-1]

    with pytest.raises(StoreError, match="locked by a passphrase"):
        open_keeper(without)
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        stores[0].identities.rows()


def test_a_store_that_can_only_be_read_is_used_so(tmp_path: Path) -> None:
    """By a user without the rights: told at the start, and not again."""
    folder = tmp_path / "alice"
    with Store(folder) as store:
        ours = store.identities.generate(NETWORK).fingerprint
        store.contacts.set_policy(NETWORK, "bob", ALWAYS)
    path = folder / FILE_NAME
    path.chmod(0o400)
    if os.geteuid() == 0:
        for each in (folder, *folder.rglob("*")):
            os.chown(each, NOBODY, NOBODY)

    def chat() -> None:
        network = Network()
        alice = StoredUser(network, "alice", Path("alice"))
        network.users.append(alice)
        alice.connect()
        bob = network.join("bob")
        network.secure(alice, bob)
        alice.command("bob", "trust")
        said = complaints(alice)
        assert len(said) == 1, said
        assert said[0].endswith(NOT_SAVED), said
        assert alice.host.fingerprint == ours
        assert alice.host.policy("bob") == ALWAYS
        Path("alice", FILE_NAME).chmod(0o600)
        later(alice)
        assert alice.saved("bob") == {fingerprint("bob"): Trust.COMPARED}
        raise StoreError("all of it was so")

    assert as_nobody(tmp_path, chat) == "all of it was so"


def test_without_contacts_nobody_is_remembered(network: Network, alice: StoredUser, bob: User) -> None:
    """As of a bot."""
    alice.take(StoreKeeper(alice.store, contacts=False, clock=network.clock))
    network.secure(alice, bob)
    alice.command("bob", "trust")
    assert alice.trust("bob") is Trust.COMPARED
    assert alice.saved("bob") == {}
    with alice.elsewhere() as store:
        store.policies.set(NETWORK, MANUAL)
    alice.host.catch_up()
    assert alice.host.network_policy == MANUAL


# ---- memories


@pytest.fixture
def memories(alice: StoredUser, network: Network) -> StoredMemories:
    found = alice.keeper.memories(NETWORK)
    assert isinstance(found, StoredMemories)
    return found


def keys(*numbers: int, trust: Trust = Trust.NONE) -> tuple[KnownKey, ...]:
    return tuple(KnownKey(Fingerprint(number.to_bytes(20, "big")), trust) for number in numbers)


def met(*numbers: int, trust: Trust = Trust.NONE) -> PeerMemory:
    return PeerMemory(frozenset({3}), keys(*numbers, trust=trust))


def test_strangers_push_out_nothing_that_was_decided_and_not_saved(
    alice: StoredUser, memories: StoredMemories, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("otrcore.irc.memories.MAX_MEMORIES", 10)
    with read_only(alice):
        with pytest.raises(StoreUnavailable):
            memories.store("first", met(1))
        memories.store("first", met(1, trust=Trust.COMPARED))
        memories.store("policy", PeerMemory(policy=NEVER))
        for number in range(50):
            memories.store(f"stranger{number}", met(number + 2))
        memories.store("last", met(100, trust=Trust.SMP))
        for _ in range(2):
            memories.reload()
            assert memories.load("first") == met(1, trust=Trust.COMPARED)
            assert memories.load("policy") == PeerMemory(policy=NEVER)
            assert memories.load("last") == met(100, trust=Trust.SMP)
            assert memories.load("stranger49") == met(51)
            assert len(memories) <= 10 + 3
            assert len(memories._unsaved) <= 10
    memories.save()
    for nick, memory in (("first", met(1, trust=Trust.COMPARED)), ("last", met(100, trust=Trust.SMP))):
        with alice.elsewhere() as store:
            (contact,) = store.contacts.find(nick, NETWORK)
            assert contact.memory == memory
    assert memories._unsaved == []


def test_a_flood_of_strangers_is_bounded_at_hand_and_in_the_file(
    alice: StoredUser, memories: StoredMemories
) -> None:
    with alice.store.transaction():  # as one step, to be quick
        memories.store("decided", met(1, trust=Trust.SMP))
        for number in range(MAX_MEMORIES + 20):
            memories.store(f"stranger{number}", met(number))
    assert len(memories) == MAX_MEMORIES + 1
    memories.reload()
    assert len(memories) <= MAX_UNDECIDED + 1
    assert memories.load("decided") == met(1, trust=Trust.SMP)
    assert memories.load("stranger0") == STRANGER
    with alice.elsewhere() as store:
        assert len(store.contacts.all(NETWORK)) <= MAX_UNDECIDED + 1


def test_nicks_are_folded_as_the_file_has_them(alice: StoredUser, memories: StoredMemories) -> None:
    memories.store("Bob[1]", met(1, trust=Trust.COMPARED))
    assert memories.load("bob{1}") == met(1, trust=Trust.COMPARED)
    assert dict(memories.known_as(keys(1)[0].fingerprint, besides="BOB[1}")) == {}
    assert dict(memories.known_as(keys(1)[0].fingerprint, besides="")) == {"bob{1}": Trust.COMPARED}


@pytest.mark.parametrize("nick", ["b\udcffb", "\ud800", "b\N{SNOWMAN}b", "x" * 3000, "b\x02b", "'; --", ""])
def test_any_nick_can_be_kept(
    network: Network, alice: StoredUser, memories: StoredMemories, nick: str
) -> None:
    memories.store(nick, met(1, trust=Trust.COMPARED))
    memories.store(f"another {nick}", met(2))
    assert memories._unsaved == []
    memories.reload()
    assert memories.load(nick) == met(1, trust=Trust.COMPARED)
    memories.met(nick, keys(1)[0].fingerprint)
    alice.say("bob", TEXT)


def test_two_connections_to_one_network_share_what_is_known(
    network: Network, alice: StoredUser, bob: User
) -> None:
    """They have one store, which says of a change of their own that nothing has changed."""
    other = network.join("alice_")
    other.host = IrcHost(HOST, alice.keeper, other._sink)
    other.host.connected("alice_", network.features, other.mask)
    network.secure(alice, bob)
    network.secure(other, bob)
    alice.command("bob", "trust")
    other.command("bob", "status")
    assert any("and verified by comparing fingerprints" in line for line in other.notes())
    other.command("bob", "distrust")
    alice.say("bob", TEXT)
    assert alice.trust("bob") is Trust.NONE
    assert "The key of bob in this conversation is not verified now" in alice.notes()[-1]
    other.command("bob", "policy network always")
    assert alice.say("carol", TEXT)[0].verdict is Verdict.DROP
    other.command("dave", "policy always")
    assert alice.host.policy("dave") == ALWAYS
    assert other.host.fingerprint == alice.host.fingerprint


def test_what_this_program_changes_itself_is_taken_in_when_it_says_so(
    network: Network, alice: StoredUser, bob: User
) -> None:
    network.secure(alice, bob)
    alice.command("bob", "trust")
    alice.store.contacts.forget(NETWORK, "bob")
    alice.host.reload()
    assert alice.trust("bob") is Trust.NONE
    alice.end("bob")
    alice.do(alice.host.gone("bob", "quit"))
    assert alice.host.memory("bob") == STRANGER


@pytest.mark.parametrize(
    ("known", "before", "after", "expected"),
    [
        (STRANGER, STRANGER, met(1), met(1)),
        (met(1), STRANGER, met(2), met(1, 2)),
        (met(1), met(1), met(1, trust=Trust.SMP), met(1, trust=Trust.SMP)),
        (met(1, trust=Trust.SMP), met(1), met(1), met(1, trust=Trust.SMP)),
        (met(1, trust=Trust.SMP), met(1, trust=Trust.SMP), met(1), met(1)),
        (
            met(2),
            met(1),
            met(1, trust=Trust.SMP),
            PeerMemory(met(2).versions, keys(2) + keys(1, trust=Trust.SMP)),
        ),
        (met(2), met(1, trust=Trust.SMP), met(1), met(2)),
        (met(1, 2), met(1, 2), met(2, 1), met(2, 1)),
        (met(1, 2, 3), met(1, 2), met(2, 1), met(2, 3, 1)),
        (PeerMemory(policy=ALWAYS), STRANGER, met(1), PeerMemory(frozenset({3}), keys(1), ALWAYS)),
        (PeerMemory(policy=ALWAYS), STRANGER, PeerMemory(policy=NEVER), PeerMemory(policy=NEVER)),
        (PeerMemory(policy=ALWAYS), PeerMemory(policy=NEVER), STRANGER, STRANGER),
        (PeerMemory(frozenset({2})), met(1), met(1), PeerMemory(frozenset({2}))),
    ],
)
def test_what_has_changed_is_taken_over_and_nothing_else(
    known: PeerMemory, before: PeerMemory, after: PeerMemory, expected: PeerMemory
) -> None:
    assert learned(known, before, after) == expected


def test_taking_over_forgets_no_verified_key_for_others() -> None:
    known = PeerMemory(keys=keys(1, trust=Trust.SMP))
    after = PeerMemory(keys=keys(*range(10, 10 + MAX_KEYS)))
    both = learned(known, STRANGER, after)
    assert len(both.keys) == MAX_KEYS
    assert both.keys[0] == known.keys[0]
    assert both.last == after.last


def test_a_key_that_is_forgotten_for_others_is_not_doubted() -> None:
    full = PeerMemory(keys=keys(*range(MAX_KEYS), trust=Trust.SMP))
    more = full.met(keys(100)[0].fingerprint, 3)
    assert not more.knows(full.keys[0].fingerprint)
    assert Change("bob", full, more).doubted == []


# ---- when to try again


def test_trying_again_has_its_time() -> None:
    clock = Clock()
    saving = Saving(clock)
    assert not saving.due()
    assert not saving.resting
    assert saving.untold() == ""
    saving.failed("Full.")
    assert (saving.untold(), saving.untold()) == ("Full.", "")
    assert saving.resting
    assert not saving.due()
    clock.advance(RETRY_AFTER)
    assert not saving.resting
    assert saving.due()
    assert not saving.due(), "once"
    saving.failed("Full.")
    assert saving.untold() == "", "it is no news"
    saving.failed("Locked.")
    assert saving.untold() == "Locked."
    saving.works()
    assert saving.due(), "what else waits has a chance"
    saving.works()
    assert not saving.due()
    saving.failed("Locked.")
    assert saving.untold() == "Locked."


def test_a_passing_key_is_one_for_each_network() -> None:
    keeper = PassingKeeper("Broken.")
    assert keeper.identity("one").fingerprint == keeper.identity("one").fingerprint
    assert keeper.identity("one").fingerprint != keeper.identity("other").fingerprint
    assert keeper.account("one").policy == ALWAYS
    assert keeper.place("claim", "host") == "claim"
    assert keeper.news()[0] == "Broken."
    assert keeper.news() == ()
