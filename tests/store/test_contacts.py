"""Trust belongs to a key, is kept by nicks, and nobody but the user takes it away or gives it."""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otrcore.errors import StoreError, StoreUnavailable
from otrcore.memory import MAX_KEYS, STRANGER, KnownKey, PeerMemory
from otrcore.model import Fingerprint, Trust
from otrcore.policy import ALWAYS, DEFAULT, NEVER, PRESETS, Policy
from otrcore.store import contacts as contacts_module
from otrcore.store.contacts import (
    DISTRUSTED,
    MAX_HISTORY,
    MAX_NICK,
    MAX_UNDECIDED,
    MET,
    Contact,
    ContactKey,
    Contacts,
    fold_nick,
)
from otrcore.store.database import FILE_NAME, Database
from tests.store.keys import fingerprint, fingerprint_4
from tests.store.processes import Process
from tests.store.sentences import sentence

NET = "libera.chat"
OTHER_NET = "oftc"
ONE, TWO, THREE = map(fingerprint, (1, 2, 3))
ONE_4 = fingerprint_4(1)
NICKS = ("bob", "bob_", "carol")


@pytest.fixture
def contacts(database: Database) -> Contacts:
    return Contacts(database)


def opened(folder: Path) -> Contacts:
    """What another program does."""
    return Contacts(Database(folder))


def one(contacts: Contacts, nick: str, network: str = NET) -> Contact:
    (found,) = contacts.find(nick, network)
    return found


def keys(contacts: Contacts, nick: str, network: str = NET) -> dict[Fingerprint, Trust]:
    return {key.fingerprint: key.trust for contact in contacts.find(nick, network) for key in contact.keys}


def told(contacts: Contacts, nick: str, network: str = NET) -> list[tuple[Fingerprint, str]]:
    return [(row.fingerprint, row.what) for row in contacts.history(network, nick)]


def everything(contacts: Contacts) -> object:
    """All that can be read; times aside, which go on."""
    return [
        (
            contact.network,
            contact.nick,
            contact.versions,
            contact.policy,
            [(key.fingerprint, key.trust) for key in contact.keys],
            told(contacts, contact.nick, contact.network),
        )
        for contact in contacts.all()
    ]


def content(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        return list(connection.iterdump())


# ---- meeting and judging


def test_what_is_known_is_there_after_opening_again(folder: Path, contacts: Contacts) -> None:
    contacts.met(NET, "Bob", ONE)
    contacts.judge(NET, "Bob", ONE, Trust.SMP)
    contacts.met(NET, "Bob", TWO)
    contacts.set_policy(NET, "Bob", ALWAYS)
    contacts.met(OTHER_NET, "bob", THREE)
    again = opened(folder)
    assert everything(again) == everything(contacts)
    bob = one(again, "bob")
    assert (bob.network, bob.nick, bob.policy) == (NET, "bob", ALWAYS)
    assert [(key.fingerprint, key.trust) for key in bob.keys] == [(ONE, Trust.SMP), (TWO, Trust.NONE)]
    assert told(again, "bob") == [(ONE, MET), (ONE, Trust.SMP.value), (TWO, MET)]
    for key in bob.keys:
        for moment in (key.first_seen, key.last_seen, key.verified):
            if moment is not None:
                assert abs(datetime.fromisoformat(moment) - datetime.now(UTC)) < timedelta(minutes=5)
    assert bob.keys[0].verified is not None
    assert bob.keys[1].verified is None


def test_contacts_are_sorted(contacts: Contacts) -> None:
    for network, nick in [("b", "z"), ("a", "z"), ("b", "a"), ("a", "m")]:
        contacts.met(network, nick, ONE)
    assert [(contact.network, contact.nick) for contact in contacts.all()] == [
        ("a", "m"),
        ("a", "z"),
        ("b", "a"),
        ("b", "z"),
    ]
    assert [contact.nick for contact in contacts.all("b")] == ["a", "z"]
    assert contacts.all("c") == ()
    assert [contact.network for contact in contacts.find("Z")] == ["a", "b"]


def test_the_key_met_last_is_the_last(contacts: Contacts) -> None:
    for key in (ONE, TWO, THREE, ONE):
        contacts.met(NET, "bob", key)
    assert [key.fingerprint for key in one(contacts, "bob").keys] == [TWO, THREE, ONE]
    assert told(contacts, "bob") == [(ONE, MET), (TWO, MET), (THREE, MET)], "to meet again is no news"
    assert contacts.memories(NET)["bob"].last == ONE


def test_a_nick_is_found_however_it_is_written(contacts: Contacts) -> None:
    contacts.met(NET, "N[ick]\\^", ONE)
    contacts.judge(NET, "n[ick]|^", ONE, Trust.COMPARED)
    for nick in ("n[ick]\\^", "N{ICK}|~", "n{ick}|~"):
        assert keys(contacts, nick) == {ONE: Trust.COMPARED}
        assert len(contacts.history(NET, nick)) == 2
    assert len(contacts.all()) == 1


def test_trust_is_given_under_one_nick(contacts: Contacts) -> None:
    for nick in NICKS:
        contacts.met(NET, nick, ONE)
    contacts.judge(NET, "bob", ONE, Trust.COMPARED)
    assert [keys(contacts, nick)[ONE] for nick in NICKS] == [Trust.COMPARED, Trust.NONE, Trust.NONE]


def test_trust_is_taken_back_under_every_nick_of_the_network_and_nowhere_else(contacts: Contacts) -> None:
    for network in (NET, OTHER_NET):
        for nick in NICKS:
            for key in (ONE, TWO):
                contacts.met(network, nick, key)
                contacts.judge(network, nick, key, Trust.SMP)
    contacts.met(NET, "stranger", ONE)
    contacts.judge(NET, "carol", ONE, Trust.NONE)
    for nick in NICKS:
        assert keys(contacts, nick) == {ONE: Trust.NONE, TWO: Trust.SMP}
        assert keys(contacts, nick, OTHER_NET) == {ONE: Trust.SMP, TWO: Trust.SMP}
        assert told(contacts, nick)[-1] == (ONE, DISTRUSTED)
        assert (ONE, DISTRUSTED) not in told(contacts, nick, OTHER_NET)
        (doubted,) = [known for known in one(contacts, nick).keys if known.fingerprint == ONE]
        assert doubted.verified is None
    assert told(contacts, "stranger") == [(ONE, MET)], "it was not trusted there"


def test_a_judgement_may_change(contacts: Contacts) -> None:
    contacts.met(NET, "bob", ONE)
    course = [Trust.COMPARED, Trust.SMP, Trust.NONE, Trust.NONE, Trust.COMPARED, Trust.COMPARED]
    for trust in course:
        contacts.judge(NET, "bob", ONE, trust)
        assert keys(contacts, "bob") == {ONE: trust}
    words = [what for _, what in told(contacts, "bob")]
    assert words == [MET, Trust.COMPARED.value, Trust.SMP.value, DISTRUSTED, Trust.COMPARED.value]


@pytest.mark.parametrize("trust", Trust)
def test_an_unknown_key_cannot_be_judged(folder: Path, contacts: Contacts, trust: Trust) -> None:
    contacts.met(NET, "bob", ONE)
    contacts.met(NET, "carol", TWO)
    contacts.met(OTHER_NET, "bob", THREE)
    before = content(folder)
    for nick, key in [("bob", TWO), ("bob", THREE), ("nobody", ONE)]:
        with pytest.raises(StoreError) as caught:
            contacts.judge(NET, nick, key, trust)
        assert f"No key of {nick} on {NET}" in sentence(caught.value)
    assert content(folder) == before


# ---- forgetting


def test_a_contact_is_forgotten_whole(folder: Path, contacts: Contacts) -> None:
    before = content(folder)
    contacts.met(NET, "bob", ONE)
    contacts.judge(NET, "bob", ONE, Trust.SMP)
    contacts.set_policy(NET, "bob", ALWAYS)
    contacts.forget(NET, "BOB")
    assert content(folder) == before
    for key in (None, ONE):
        with pytest.raises(StoreError) as caught:
            contacts.forget(NET, "bob", key)
        sentence(caught.value)


def test_one_key_is_forgotten_and_nothing_else(contacts: Contacts) -> None:
    for network in (NET, OTHER_NET):
        for nick in ("bob", "carol"):
            for key in (ONE, TWO):
                contacts.met(network, nick, key)
                contacts.judge(network, nick, key, Trust.COMPARED)
    contacts.set_policy(NET, "bob", ALWAYS)
    contacts.forget(NET, "bob", ONE)
    assert keys(contacts, "bob") == {TWO: Trust.COMPARED}
    assert {key for key, _ in told(contacts, "bob")} == {TWO}
    assert one(contacts, "bob").policy == ALWAYS
    for network, nick in [(NET, "carol"), (OTHER_NET, "bob"), (OTHER_NET, "carol")]:
        assert keys(contacts, nick, network) == {ONE: Trust.COMPARED, TWO: Trust.COMPARED}
    with pytest.raises(StoreError) as caught:
        contacts.forget(NET, "bob", ONE)
    assert "No key of bob" in sentence(caught.value)


def test_policies_are_kept_with_a_contact(contacts: Contacts) -> None:
    own = Policy(frozenset({2, 3}), padding=256, require_encryption=True)
    for policy in (*PRESETS.values(), own, None):
        contacts.set_policy(NET, "Bob", policy)
        assert one(contacts, "bob").policy == policy
        assert contacts.memories(NET)["bob"].policy == policy


# ---- importing


def test_what_is_known_is_not_changed_by_an_import(contacts: Contacts) -> None:
    for number, trust in enumerate(Trust):
        contacts.met(NET, f"nick{number}", ONE)
        contacts.judge(NET, f"nick{number}", ONE, trust)
    contacts.judge(NET, "nick1", ONE, Trust.COMPARED)
    before = everything(contacts)
    for number in range(len(Trust)):
        for trust in Trust:
            assert contacts.add(NET, f"Nick{number}", ONE, trust, "irssi") is False
    assert everything(contacts) == before


def test_what_is_new_is_known_from_now_on(contacts: Contacts) -> None:
    assert contacts.add(NET, "Bob", ONE, Trust.SMP, "Pidgin") is True
    assert contacts.add(NET, "Bob", TWO, Trust.NONE, "Pidgin") is True
    bob = one(contacts, "bob")
    assert [(key.fingerprint, key.trust) for key in bob.keys] == [(ONE, Trust.SMP), (TWO, Trust.NONE)]
    assert [key.last_seen for key in bob.keys] == [None, None], "they were never met here"
    assert [key.verified is None for key in bob.keys] == [False, True]
    assert [what for _, what in told(contacts, "bob")] == [
        f"imported from Pidgin, {Trust.SMP.value}",
        f"imported from Pidgin, {Trust.NONE.value}",
    ]


def test_an_import_does_not_trust_a_key_that_the_user_has_ceased_to_trust(contacts: Contacts) -> None:
    contacts.met(NET, "bob", ONE)
    contacts.judge(NET, "bob", ONE, Trust.SMP)
    contacts.judge(NET, "bob", ONE, Trust.NONE)
    contacts.add(NET, "carol", ONE, Trust.SMP, "irssi")
    assert keys(contacts, "carol") == {ONE: Trust.NONE}
    contacts.add(OTHER_NET, "carol", ONE, Trust.SMP, "irssi")
    assert keys(contacts, "carol", OTHER_NET) == {ONE: Trust.SMP}, "another network, another judgement"
    contacts.judge(NET, "bob", ONE, Trust.COMPARED)
    contacts.add(NET, "dan", ONE, Trust.COMPARED, "irssi")
    assert keys(contacts, "dan") == {ONE: Trust.COMPARED}, "until it is trusted again"


# ---- what conversations have learnt


def test_what_is_remembered_comes_in_the_order_of_changes(contacts: Contacts) -> None:
    """Where there is no room for all, it is those in front who are forgotten."""
    for nick in ("carol", "alice", "bob", "carol"):
        contacts.met(NET, nick, ONE)
    assert list(contacts.memories(NET)) == ["alice", "bob", "carol"]
    contacts.met(NET, "alice", TWO)
    assert list(contacts.memories(NET)) == ["bob", "carol", "alice"]


def test_a_conversation_begins_with_what_another_has_learnt(folder: Path, contacts: Contacts) -> None:
    first = STRANGER.met(ONE, 3)
    contacts.learn(NET, "Bob", STRANGER, first)
    verified = first.judging(ONE, Trust.SMP)
    contacts.learn(NET, "bob", first, verified)
    second = verified.met(TWO, 2)
    contacts.learn(NET, "bob", verified, second)
    assert opened(folder).memories(NET) == {"bob": second}
    back = second.met(ONE, 3)
    contacts.learn(NET, "bob", second, back)
    assert opened(folder).memories(NET) == {"bob": back}


def test_nothing_is_learnt_from_what_stayed_as_it_was(contacts: Contacts) -> None:
    memory = STRANGER.met(ONE, 3).judging(ONE, Trust.SMP).met(TWO, 3)
    contacts.learn(NET, "bob", STRANGER, memory)
    contacts.judge(NET, "bob", ONE, Trust.NONE)
    contacts.set_policy(NET, "bob", NEVER)
    contacts.forget(NET, "bob", TWO)
    before = everything(contacts)
    contacts.learn(NET, "bob", memory, memory)
    assert everything(contacts) == before


def test_a_stale_memory_restores_no_trust_that_was_taken_back(folder: Path, contacts: Contacts) -> None:
    trusted = STRANGER.met(ONE, 3).judging(ONE, Trust.SMP)
    contacts.learn(NET, "bob", STRANGER, trusted)
    opened(folder).judge(NET, "bob", ONE, Trust.NONE)
    # The other process has not looked since.
    contacts.learn(NET, "bob", trusted, trusted.met(TWO, 3))
    contacts.learn(NET, "bob", trusted, trusted.met(ONE, 2))
    assert keys(contacts, "bob") == {ONE: Trust.NONE, TWO: Trust.NONE}
    # The key turns up under another nick, where it is taken for trusted.
    contacts.learn(NET, "carol", STRANGER, trusted)
    assert keys(contacts, "carol") == {ONE: Trust.NONE}
    # What the user says now counts.
    doubted = trusted.judging(ONE, Trust.NONE)
    contacts.learn(NET, "bob", doubted, doubted.judging(ONE, Trust.COMPARED))
    assert keys(contacts, "bob")[ONE] is Trust.COMPARED


def test_trust_goes_along_to_another_nick(contacts: Contacts) -> None:
    trusted = STRANGER.met(ONE, 3).judging(ONE, Trust.SMP)
    contacts.learn(NET, "bob", STRANGER, trusted)
    contacts.met(NET, "bob_", ONE)
    contacts.learn(NET, "bob_", STRANGER, trusted)
    assert keys(contacts, "bob_") == {ONE: Trust.SMP}


def test_a_stale_memory_overwrites_no_policy(folder: Path, contacts: Contacts) -> None:
    known = STRANGER.met(ONE, 3)
    contacts.learn(NET, "bob", STRANGER, known)
    opened(folder).set_policy(NET, "bob", ALWAYS)
    contacts.learn(NET, "bob", known, known.met(TWO, 3).judging(TWO, Trust.SMP))
    assert one(contacts, "bob").policy == ALWAYS
    own = PeerMemory(known.versions, known.keys, DEFAULT)
    contacts.learn(NET, "bob", known, own)
    assert one(contacts, "bob").policy == DEFAULT, "unless it was changed there too"
    contacts.learn(NET, "bob", own, known)
    assert one(contacts, "bob").policy is None


def test_a_key_that_was_forgotten_meanwhile_and_is_verified_now_is_known_again(contacts: Contacts) -> None:
    known = STRANGER.met(ONE, 3)
    contacts.learn(NET, "bob", STRANGER, known)
    contacts.forget(NET, "bob", ONE)
    contacts.learn(NET, "bob", known, known.judging(ONE, Trust.SMP))
    assert keys(contacts, "bob") == {ONE: Trust.SMP}
    contacts.forget(NET, "bob")
    contacts.learn(NET, "bob", known.judging(ONE, Trust.SMP), known)
    assert keys(contacts, "bob") == {}


def test_what_a_memory_had_no_room_for_stays(contacts: Contacts) -> None:
    """A memory drops the oldest keys; the store has its own bounds."""
    full = STRANGER
    for number in range(MAX_KEYS):
        full = full.met(fingerprint(number), 3)
    contacts.learn(NET, "bob", STRANGER, full)
    more = full.met(fingerprint(100), 3)
    assert not more.knows(fingerprint(0))
    contacts.judge(NET, "bob", fingerprint(0), Trust.COMPARED)
    contacts.learn(NET, "bob", full, more)
    assert keys(contacts, "bob")[fingerprint(0)] is Trust.COMPARED


MEMORY = st.builds(
    PeerMemory,
    st.frozensets(st.sampled_from([2, 3])),
    st.lists(
        st.builds(KnownKey, st.sampled_from([ONE, TWO, THREE]), st.sampled_from(Trust)),
        max_size=3,
        unique_by=lambda key: key.fingerprint,
    ).map(tuple),
    st.sampled_from([None, ALWAYS, NEVER]),
)


@given(present=MEMORY, before=MEMORY, after=MEMORY, doubted=st.sampled_from([None, ONE, TWO]))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_memory_that_is_stale_in_any_way_changes_only_what_it_has_changed(
    contacts: Contacts,
    present: PeerMemory,
    before: PeerMemory,
    after: PeerMemory,
    doubted: Fingerprint | None,
) -> None:
    """`before` is what one process remembers, `present` what others have made of it since."""
    for contact in contacts.all():
        contacts.forget(contact.network, contact.nick)
    contacts.learn(NET, "bob", STRANGER, present)
    if doubted is not None and present.knows(doubted):
        contacts.judge(NET, "bob", doubted, Trust.COMPARED)
        contacts.judge(NET, "bob", doubted, Trust.NONE)
    was = one(contacts, "bob").memory
    contacts.learn(NET, "bob", before, after)
    now = one(contacts, "bob").memory
    assert now.versions == was.versions | (after.versions - before.versions)
    assert now.policy == (was.policy if after.policy == before.policy else after.policy)
    for key in (ONE, TWO, THREE):
        assert now.knows(key) or not was.knows(key), "no key is lost"
        if after.trust(key) is before.trust(key) or not after.knows(key):
            assert now.trust(key) is was.trust(key)
        elif key == doubted and was.knows(key) and not before.knows(key):
            assert now.trust(key) is Trust.NONE, "it was not judged there, but taken over"
        else:
            assert now.trust(key) is after.trust(key)


def test_two_processes_that_learn_at_once_lose_nothing(folder: Path) -> None:
    with ExitStack() as running:
        others = [running.enter_context(Process("learn", folder, name)) for name in "abc"]
        numbers = [int(other.said()) for _ in range(20) for other in others]
        kept = {name: 20 + len(other.kill()) for name, other in zip("abc", others, strict=True)}
    assert sorted(numbers)[-1] == 19
    contacts = opened(folder)
    for name, count in kept.items():
        known = keys(contacts, "bob")
        for number in range(count):
            nick = f"{name}{number}"
            assert keys(contacts, nick) == {fingerprint(number + 1): Trust.COMPARED}
            assert len(contacts.history(NET, nick)) == 2
    assert {ord(name[0]) for name in kept} <= {int.from_bytes(key.digest, "big") for key in known}
    used = Database(folder).rows("SELECT network, seen FROM contact")
    assert len(set(used)) == len(used), "each change has a number of its own"


# ---- floods


def test_a_flood_of_keys_costs_no_decision(contacts: Contacts) -> None:
    contacts.met(NET, "bob", ONE)
    contacts.judge(NET, "bob", ONE, Trust.COMPARED)
    contacts.met(NET, "bob", TWO)
    contacts.judge(NET, "bob", TWO, Trust.SMP)
    contacts.judge(NET, "bob", TWO, Trust.NONE)
    flood = [fingerprint(number) for number in range(100, 100 + 3 * MAX_HISTORY)]
    for key in flood:
        contacts.met(NET, "bob", key)
    known = one(contacts, "bob")
    assert len(known.keys) == MAX_KEYS
    assert keys(contacts, "bob")[ONE] is Trust.COMPARED
    newest = flood[1 - MAX_KEYS :]
    assert [key.fingerprint for key in known.keys] == [ONE, *newest]
    assert known.memory.verified
    assert len(known.memory.keys) == MAX_KEYS
    history = told(contacts, "bob")
    assert len(history) == MAX_HISTORY
    decisions = [row for row in history if row[1] != MET]
    assert decisions == [(ONE, Trust.COMPARED.value), (TWO, Trust.SMP.value), (TWO, DISTRUSTED)]
    assert history[-1] == (newest[-1], MET)
    contacts.add(NET, "carol", TWO, Trust.SMP, "irssi")
    assert keys(contacts, "carol") == {TWO: Trust.NONE}, "the doubt has outlived the flood"


def test_verified_keys_are_never_too_many(contacts: Contacts) -> None:
    for number in range(MAX_KEYS + 4):
        contacts.met(NET, "bob", fingerprint(number))
        contacts.judge(NET, "bob", fingerprint(number), Trust.COMPARED)
    for number in range(100, 110):
        contacts.met(NET, "bob", fingerprint(number))
    known = keys(contacts, "bob")
    assert [trust for trust in known.values() if trust is Trust.NONE] == [Trust.NONE]
    assert len(known) == MAX_KEYS + 5
    memory = one(contacts, "bob").memory
    assert len(memory.keys) == MAX_KEYS
    assert memory.last == fingerprint(109)
    assert all(key.trust is Trust.COMPARED for key in memory.keys[:-1])


def test_a_memory_of_many_keys_has_the_verified_ones(contacts: Contacts) -> None:
    """As after an import: what was verified long ago makes a new key a warning."""
    contacts.add(NET, "bob", ONE, Trust.COMPARED, "irssi")
    for number in range(100, 100 + 3 * MAX_KEYS):
        contacts.add(NET, "bob", fingerprint(number), Trust.NONE, "irssi")
    memory = one(contacts, "bob").memory
    assert len(memory.keys) == MAX_KEYS
    assert memory.trust(ONE) is Trust.COMPARED
    assert memory.last == fingerprint(99 + 3 * MAX_KEYS)
    assert memory.replaced_by(TWO) == ONE


def test_history_is_bounded_by_the_newest_decisions(contacts: Contacts) -> None:
    contacts.met(NET, "bob", ONE)
    for number in range(MAX_HISTORY + 7):
        contacts.judge(NET, "bob", ONE, (Trust.COMPARED, Trust.SMP)[number % 2])
    words = [what for _, what in told(contacts, "bob")]
    assert len(words) == MAX_HISTORY
    assert words[-2:] == [Trust.SMP.value, Trust.COMPARED.value]


def test_a_flood_of_nicks_costs_no_decision(contacts: Contacts, monkeypatch: pytest.MonkeyPatch) -> None:
    most = 30
    monkeypatch.setattr(contacts_module, "MAX_UNDECIDED", most)
    contacts.met(NET, "verified", ONE)
    contacts.judge(NET, "verified", ONE, Trust.SMP)
    contacts.set_policy(NET, "chosen", NEVER)
    contacts.met(NET, "doubted", TWO)
    contacts.judge(NET, "doubted", TWO, Trust.SMP)
    contacts.judge(NET, "doubted", TWO, Trust.NONE)
    contacts.met(OTHER_NET, "elsewhere", ONE)
    contacts.add(NET, "imported", THREE, Trust.COMPARED, "irssi")
    for number in range(4 * most):
        contacts.met(NET, f"flood{number}", fingerprint(number))
    nicks = {contact.nick for contact in contacts.all(NET)}
    decided = {"verified", "chosen", "doubted", "imported"}
    assert decided < nicks
    assert nicks - decided == {f"flood{number}" for number in range(3 * most, 4 * most)}, "the newest"
    assert keys(contacts, "verified") == {ONE: Trust.SMP}
    assert [what for _, what in told(contacts, "doubted")] == [MET, Trust.SMP.value, DISTRUSTED]
    assert [contact.nick for contact in contacts.all(OTHER_NET)] == ["elsewhere"]
    # Whoever is met again is not the oldest any more.
    contacts.met(NET, f"flood{3 * most}", fingerprint(7))
    contacts.met(NET, "another", ONE)
    nicks = {contact.nick for contact in contacts.all(NET)}
    assert f"flood{3 * most}" in nicks
    assert f"flood{3 * most + 1}" not in nicks
    # Nothing is left of those who were forgotten.
    tables = ("contact_key", "history")
    left = {nick for table in tables for (nick,) in contacts._database.rows(f"SELECT nick FROM {table}")}
    assert left <= nicks | {"elsewhere"}


def test_the_bound_itself(contacts: Contacts, database: Database) -> None:
    with database.transaction():  # each by itself would wait for the disk
        for number in range(MAX_UNDECIDED + 5):
            contacts.met(NET, f"flood{number}", ONE)
    assert len(contacts.all(NET)) == MAX_UNDECIDED


# ---- nicks


ODD_NICKS = [
    "",
    " ",
    "a\x00b",
    "a\x00",
    "\x1b[31mred\x07\r\n",
    "%",
    "b%b",
    "b_b",
    "'; DROP TABLE contact; --",
    '"quoted"',
    "?1",
    "\\udcff",
    "\udcff\ud800",
    "ä",
    "🦊" * 40,
    "x" * 10_000,
    "[" * 10_000,
    "\udcff" * 10_000,
]


@pytest.mark.parametrize("nick", ODD_NICKS, ids=lambda nick: ascii(nick[:12]))
def test_odd_nicks_are_nicks(folder: Path, contacts: Contacts, nick: str) -> None:
    contacts.met(NET, "bystander", TWO)
    contacts.met(NET, "bxb", TWO)
    before = everything(contacts)
    contacts.met(NET, nick, ONE)
    contacts.judge(NET, nick, ONE, Trust.SMP)
    contacts.set_policy(NET, nick, ALWAYS)
    contacts.learn(NET, nick, STRANGER, STRANGER.met(THREE, 3))
    again = opened(folder)
    (found,) = [contact for contact in again.find(nick) if contact.network == NET]
    assert found.nick == fold_nick(nick)
    assert len(found.nick) <= MAX_NICK
    assert keys(again, nick) == keys(again, found.nick) == {ONE: Trust.SMP, THREE: Trust.NONE}
    assert again.memories(NET)[fold_nick(nick)].policy == ALWAYS
    assert len(again.all()) == 3
    contacts.forget(NET, found.nick, THREE)
    contacts.forget(NET, nick)
    assert everything(contacts) == before


@given(st.text(alphabet=st.characters(), max_size=300))
def test_folding_is_done_once_and_for_all(nick: str) -> None:
    folded = fold_nick(nick)
    assert fold_nick(folded) == folded
    assert len(folded) <= MAX_NICK
    folded.encode()


def test_odd_nicks_are_told_apart(contacts: Contacts) -> None:
    nicks = sorted({fold_nick(nick) for nick in ODD_NICKS})
    for number, nick in enumerate(nicks):
        contacts.met(NET, nick, fingerprint(number))
    assert [keys(contacts, nick) for nick in nicks] == [
        {fingerprint(number): Trust.NONE} for number in range(len(nicks))
    ]


# ---- keys for version 4


def test_the_keys_of_one_person_are_trusted_apart(folder: Path, contacts: Contacts) -> None:
    contacts.learn(NET, "bob", STRANGER, STRANGER.met(ONE, 3).met(ONE_4, 4))
    contacts.judge(NET, "bob", ONE, Trust.SMP)
    assert keys(contacts, "bob") == {ONE: Trust.SMP, ONE_4: Trust.NONE}
    assert one(contacts, "bob").memory.trust(ONE_4) is Trust.NONE
    contacts.judge(NET, "bob", ONE_4, Trust.COMPARED)
    contacts.judge(NET, "bob", ONE, Trust.NONE)
    assert keys(opened(folder), "bob") == {ONE: Trust.NONE, ONE_4: Trust.COMPARED}
    assert told(contacts, "bob") == [
        (ONE, MET),
        (ONE_4, MET),
        (ONE, Trust.SMP.value),
        (ONE_4, Trust.COMPARED.value),
        (ONE, DISTRUSTED),
    ]


def test_the_versions_that_were_spoken_are_known_again(folder: Path, contacts: Contacts) -> None:
    before = STRANGER.met(ONE, 3)
    contacts.learn(NET, "bob", STRANGER, before)
    contacts.learn(NET, "bob", before, before.met(ONE_4, 4))
    assert one(opened(folder), "bob").versions == {3, 4}
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        assert connection.execute("SELECT versions FROM contact").fetchall() == [("34",)]


def test_a_conversation_learns_that_only_the_key_it_had_is_verified(contacts: Contacts) -> None:
    before = STRANGER.met(ONE, 3).met(ONE_4, 4)
    contacts.learn(NET, "bob", STRANGER, before)
    contacts.learn(NET, "bob", before, before.judging(ONE_4, Trust.SMP))
    assert keys(contacts, "bob") == {ONE: Trust.NONE, ONE_4: Trust.SMP}


def test_keys_for_version_4_are_imported_and_forgotten_like_any_other(contacts: Contacts) -> None:
    assert contacts.add(NET, "bob", ONE_4, Trust.COMPARED, "a test")
    assert not contacts.add(NET, "bob", ONE_4, Trust.NONE, "a test")
    contacts.met(NET, "bob", ONE)
    assert keys(contacts, "bob") == {ONE_4: Trust.COMPARED, ONE: Trust.NONE}
    contacts.forget(NET, "bob", ONE_4)
    assert keys(contacts, "bob") == {ONE: Trust.NONE}
    assert told(contacts, "bob") == [(ONE, MET)]
    with pytest.raises(StoreError):
        contacts.judge(NET, "bob", ONE_4, Trust.SMP)


# ---- damage and hindrance


@pytest.mark.parametrize(
    ("damage", "left"),
    [
        ("UPDATE contact_key SET trust = 'compared '", Trust.NONE),
        ("UPDATE contact_key SET trust = ''", Trust.NONE),
        ("UPDATE contact_key SET fingerprint = x'00'", None),
        ("UPDATE contact_key SET fingerprint = zeroblob(55)", None),
        ("UPDATE contact_key SET fingerprint = zeroblob(57)", None),
        ("UPDATE history SET fingerprint = x'00'", Trust.SMP),
        ("UPDATE contact SET versions = '3a³ -'", Trust.SMP),
    ],
)
def test_damage_is_never_trust(folder: Path, contacts: Contacts, damage: str, left: Trust | None) -> None:
    contacts.met(NET, "bob", ONE)
    contacts.judge(NET, "bob", ONE, Trust.SMP)
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection, connection:
        connection.execute(damage)
    bob = one(contacts, "bob")
    assert [key.trust for key in bob.keys] == ([] if left is None else [left])
    assert bob.memory.verified is (left is Trust.SMP)
    contacts.history(NET, "bob")
    assert bob.versions <= {3}


def test_a_policy_that_is_damaged_lets_nothing_out(folder: Path, contacts: Contacts) -> None:
    contacts.set_policy(NET, "bob", DEFAULT)
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection, connection:
        connection.execute("UPDATE contact SET policy = substr(policy, 1, 20)")
    assert one(contacts, "bob").policy == ALWAYS


def test_what_cannot_be_saved_is_told_and_nothing_is_half_done(folder: Path, contacts: Contacts) -> None:
    contacts.met(NET, "bob", ONE)
    contacts.judge(NET, "bob", ONE, Trust.SMP)
    before = content(folder)
    with Process("lock", folder) as other:
        assert other.said() == "locked"
        for change in (
            lambda: contacts.met(NET, "bob", TWO),
            lambda: contacts.judge(NET, "bob", ONE, Trust.NONE),
            lambda: contacts.learn(NET, "bob", STRANGER, STRANGER.met(TWO, 3)),
            lambda: contacts.add(NET, "carol", ONE, Trust.NONE, "irssi"),
            lambda: contacts.forget(NET, "bob"),
        ):
            with pytest.raises(StoreUnavailable) as caught:
                change()
            assert "in use by another program" in sentence(caught.value)
        other.kill()
    assert content(folder) == before
    contacts.judge(NET, "bob", ONE, Trust.NONE)
    assert keys(contacts, "bob") == {ONE: Trust.NONE}


def test_contacts_are_values() -> None:
    key = ContactKey(ONE, Trust.NONE, None, "", None)
    contact = Contact(NET, "bob", (key,), frozenset({3}), None)
    assert contact.memory == STRANGER.met(ONE, 3)
