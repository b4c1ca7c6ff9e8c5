"""The store as one thing, and what a host has of it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from otrcore.errors import StoreError, StoreUnavailable
from otrcore.irc.keeper import StoreKeeper
from otrcore.model import Fingerprint, Trust
from otrcore.policy import ALWAYS, DEFAULT, NEVER
from otrcore.store.database import FILE_NAME
from otrcore.store.store import Store
from otrcore.store.tags import LOCKS_FOLDER
from tests.clients.drivers.programs import run
from tests.pair import Clock
from tests.store.keys import fingerprint, private
from tests.store.processes import Process
from tests.store.sentences import sentence

NET = "libera.chat"

# ---- what a host asks for


def test_an_account_has_the_networks_key_and_the_clients_tag(folder: Path, store: Store) -> None:
    clock = Clock()
    account = StoreKeeper(store, clock=clock).account("net")
    assert account.identity.fingerprint == store.identities.for_network("net").fingerprint
    assert account.policy == DEFAULT
    (lock,) = (folder / LOCKS_FOLDER).iterdir()
    assert int(lock.stem, 16) == account.instance_tag
    talk = account.conversation("bob")
    talk.start()
    assert talk.next_tick is not None
    assert talk.next_tick > clock.now
    assert talk.next_tick < clock.now + 1000, "time is the caller's"


def test_two_clients_of_one_user_are_told_apart(folder: Path) -> None:
    with Store(folder) as mine, Store(folder) as too:
        one, other = (StoreKeeper(store).account("net") for store in (mine, too))
        assert one.identity.fingerprint == other.identity.fingerprint
        assert one.instance_tag != other.instance_tag


def test_a_damaged_key_reaches_the_host(folder: Path, store: Store) -> None:
    store.identities.for_network("net")
    with sqlite3.connect(folder / FILE_NAME) as connection:
        connection.execute("UPDATE identity SET dsa_private_key = x''")
    connection.close()
    with Store(folder) as again:
        for _ in range(2):
            with pytest.raises(StoreError):
                StoreKeeper(again).account("net")


# ---- what the command changes while a program runs

BOB, ANOTHER = fingerprint(1), fingerprint(2)


def trust(store: Store) -> dict[Fingerprint, Trust]:
    return {key.fingerprint: key.trust for contact in store.contacts.find("bob", NET) for key in contact.keys}


def rows(store: Store) -> list[tuple[str, bool]]:
    return [(row.network, row.retired is not None) for row in store.identities.rows()]


COMMANDS: dict[str, tuple[list[str], Callable[[Store], object], object]] = {
    "trust": (
        ["contacts", "trust", "--yes", "bob", str(ANOTHER)],
        trust,
        {BOB: Trust.SMP, ANOTHER: Trust.COMPARED},
    ),
    "distrust": (["contacts", "distrust", "bob", str(BOB)], trust, {BOB: Trust.NONE, ANOTHER: Trust.NONE}),
    "forget a key": (["contacts", "forget", "--yes", "bob", str(BOB)], trust, {ANOTHER: Trust.NONE}),
    "forget": (["contacts", "forget", "--yes", "bob"], trust, {}),
    "policy of a contact": (
        ["contacts", "policy", "bob", "always"],
        lambda store: store.contacts.find("bob")[0].policy,
        ALWAYS,
    ),
    "policy of a network": (
        ["networks", "policy", NET, "never"],
        lambda store: store.policies.get(NET),
        NEVER,
    ),
    "join": (
        ["networks", "join", NET, "tunnel.example"],
        lambda store: store.networks.of_host("tunnel.example"),
        NET,
    ),
    "generate": (["keys", "generate", "default"], rows, [("default", False), (NET, False)]),
    "rotate": (["keys", "rotate", "--yes", NET], rows, [(NET, False), (NET, True)]),
    "delete": (["keys", "delete", "--yes", NET], rows, [(NET, True)]),
}


@pytest.mark.parametrize(("command", "look", "expected"), COMMANDS.values(), ids=COMMANDS.keys())
def test_a_running_program_sees_what_the_command_changes(
    tmp_path: Path, command: list[str], look: Callable[[Store], object], expected: object
) -> None:
    """`version` is what it asks for before each message; everything else it reads only if that is another."""
    with Store(tmp_path / "data") as running:
        running.identities.put(NET, private(0))
        running.networks.place(NET, f"irc.{NET}")
        for key in (BOB, ANOTHER):
            running.contacts.met(NET, "bob", key)
        running.contacts.judge(NET, "bob", BOB, Trust.SMP)
        seen = running.version()
        assert look(running) != expected
        group, *rest = command
        done = run(tmp_path, "otr", group, rest[0], "--data-dir", str(running.folder), *rest[1:])
        assert done.returncode == 0, done
        assert running.version() != seen
        assert look(running) == expected


def test_a_command_that_only_looks_is_no_news(tmp_path: Path) -> None:
    with Store(tmp_path / "data") as running:
        running.identities.put(NET, private(0))
        running.contacts.met(NET, "bob", BOB)
        seen = running.version()
        for group in ("contacts", "keys", "networks"):
            done = run(tmp_path, "otr", group, "--data-dir", str(running.folder))
            assert done.returncode == 0, done
        assert running.version() == seen


def test_an_account_of_the_next_connection_has_the_key_that_was_rotated(tmp_path: Path) -> None:
    with Store(tmp_path / "data") as running:
        keeper = StoreKeeper(running)
        before = keeper.account(NET).identity.fingerprint
        done = run(
            tmp_path, "otr", "keys", "rotate", "--data-dir", str(running.folder), "--yes", NET, "--json"
        )
        assert done.returncode == 0, done
        after = json.loads(done.stdout)["fingerprint"]
        assert str(keeper.account(NET).identity.fingerprint) == after != str(before)


# ---- the whole


def test_everything_inside_is_kept_or_nothing(store: Store) -> None:
    def bring_in() -> None:
        store.identities.put(NET, private(0))
        store.contacts.add(NET, "bob", BOB, Trust.SMP, "irssi")
        store.contacts.met(NET, "bob", ANOTHER)
        store.contacts.set_policy(NET, "bob", ALWAYS)
        store.policies.set(NET, NEVER)
        store.tags.add(NET, 0x1234)
        store.networks.expect(f"irc.{NET}")
        store.identities.rotate(NET)

    with pytest.raises(StoreError), store.transaction():
        bring_in()
        store.identities.generate(NET)
    assert store.networks.names() == ()
    assert store.identities.rows() == ()
    assert store.contacts.all() == ()
    assert store.tags.rows() == ()
    assert store.networks.rows() == ()
    assert store.identities.find(NET) is None, "nor in memory"
    with store.transaction():
        bring_in()
    assert store.networks.names() == (f"irc.{NET}", NET)
    assert [row.retired is not None for row in store.identities.rows()] == [False, True]
    assert len(store.contacts.history(NET, "bob")) == 2


def test_closing_gives_the_tags_back(folder: Path) -> None:
    with Store(folder) as first:
        tag = first.tags.claim(NET)
    with Store(folder) as second:
        assert second.tags.claim(NET) == tag


def test_what_hinders_is_told_by_all_alike(folder: Path, store: Store) -> None:
    store.contacts.met(NET, "bob", BOB)
    assert store.problem is None
    (folder / FILE_NAME).rename(folder / "away")
    for change in (
        lambda: store.identities.generate(NET),
        lambda: store.contacts.judge(NET, "bob", BOB, Trust.SMP),
        lambda: store.contacts.forget(NET, "bob"),
        lambda: store.policies.set(NET, ALWAYS),
        lambda: store.networks.place(NET, "irc.example"),
        lambda: store.networks.expect("irc.example"),
        lambda: store.tags.add(NET, 0x1234),
        lambda: store.identities.seal("passphrase"),
    ):
        with pytest.raises(StoreUnavailable) as caught:
            change()
        assert store.problem == sentence(caught.value)
    assert trust(store) == {BOB: Trust.NONE}
    assert store.networks.placed(NET, "irc.example").name == NET
    (folder / "away").rename(folder / FILE_NAME)
    store.contacts.judge(NET, "bob", BOB, Trust.SMP)
    assert store.problem is None
    assert trust(store) == {BOB: Trust.SMP}


def test_three_stores_in_three_processes(folder: Path) -> None:
    """What one does, the others see, with all kinds of changes at once."""
    Store(folder).close()
    with ExitStack() as running:
        others = [
            running.enter_context(Process(command, folder, name))
            for command, name in (("write", "w"), ("learn", "l"), ("learn", "m"))
        ]
        said = [[other.said() for _ in range(12)] for other in others]
        kept = [len(lines) + len(other.kill()) for lines, other in zip(said, others, strict=True)]
    with Store(folder) as store:
        made = {row.network for row in store.identities.rows()}
        assert {f"w-{number}" for number in range(kept[0])} <= made
        nicks = {contact.nick for contact in store.contacts.all(NET)}
        for name, most in zip("lm", kept[1:], strict=True):
            assert {f"{name}{number}" for number in range(most)} <= nicks
        assert store._database.rows("PRAGMA integrity_check") == [("ok",)]
