"""What is allowed is kept as it was said; what cannot be read allows nothing out unencrypted."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from otrcore.account import Account
from otrcore.events import Transmit
from otrcore.identity import Identity
from otrcore.policy import ALWAYS, DEFAULT, MAX_PADDING, NEVER, PRESETS, Policy, Tagging
from otrcore.store.database import FILE_NAME, Database
from otrcore.store.policies import Policies, read, written
from otrcore.suites import VERSIONS
from tests.store.keys import private

POLICIES = st.frozensets(st.sampled_from(sorted(VERSIONS))).flatmap(
    lambda versions: st.builds(
        Policy,
        st.just(versions),
        st.sampled_from(Tagging),
        st.booleans(),
        st.booleans(),
        st.booleans() if versions else st.just(False),
        st.integers(0, MAX_PADDING),
    )
)
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
FIELDS = json.loads(written(DEFAULT))


def fits(policy: Policy) -> bool:
    """Whether a policy is one that the rest of the house can work with."""
    return (
        policy.versions <= VERSIONS
        and all(type(version) is int for version in policy.versions)
        and type(policy.padding) is int
        and 0 <= policy.padding <= MAX_PADDING
        and isinstance(policy.send_tag, Tagging)
        and {type(policy.start_on_tag), type(policy.start_on_error), type(policy.require_encryption)}
        == {bool}
    )


def lets_out(policy: Policy) -> bool:
    """Whether a text of the user leaves as it is, tried on a conversation."""
    account = Account(Identity(private(0)), policy)
    events = account.conversation("bob").send("the text")
    return any("the text" in line for event in events if isinstance(event, Transmit) for line in event.lines)


@given(POLICIES)
def test_a_policy_is_read_as_it_was_written(policy: Policy) -> None:
    assert read(written(policy)) == policy


def test_required_and_off_at_once_lets_nothing_out() -> None:
    """Such rows were written before policies refused it; they are read as they were then."""
    row = written(NEVER).replace('"require_encryption": false', '"require_encryption": true')
    assert json.loads(row)["versions"] == []
    assert read(row) == ALWAYS


@given(POLICIES, st.data())
def test_a_policy_that_was_cut_off_lets_nothing_out(policy: Policy, data: st.DataObject) -> None:
    text = written(policy)
    assert read(text[: data.draw(st.integers(0, len(text) - 1))]) == ALWAYS
    assert read(text[data.draw(st.integers(1, len(text))) :]) == ALWAYS


@given(st.text() | ODD.map(json.dumps))
@example("[" * 100_000)
@example('{"versions":' * 50_000)
@example("1" * 10_000)
@example("NaN")
@example("")
def test_what_is_no_policy_lets_nothing_out(text: str) -> None:
    assert read(text) == ALWAYS


@given(st.sampled_from(sorted(FIELDS)), ODD)
@example("versions", [])
@example("versions", "")
@example("versions", {})
@example("versions", {"3": 1})
@example("versions", [3.0])
@example("versions", [True])
@example("versions", [3, "2"])
@example("versions", [4])
@example("padding", 1.5)
@example("padding", True)
@example("padding", -1)
@example("padding", float("nan"))
@example("send_tag", "EVERYBODY")
@example("send_tag", "__class__")
@example("require_encryption", 0)
@example("require_encryption", None)
@example("start_on_tag", "yes")
def test_a_field_that_makes_no_sense_lets_nothing_out(field: str, value: object) -> None:
    policy = read(json.dumps(FIELDS | {field: value}))
    assert fits(policy)
    if policy != ALWAYS:
        # Then it does make sense, for what it is.
        assert json.loads(written(policy)).keys() == FIELDS.keys()
        assert json.loads(written(policy))[field] == (
            sorted(set(value) & VERSIONS) if isinstance(value, list) else _lowered(value)
        )
        assert type(value) is type(FIELDS[field])


def _lowered(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


@pytest.mark.parametrize("missing", sorted(FIELDS))
def test_a_field_that_is_missing_lets_nothing_out(missing: str) -> None:
    assert read(json.dumps({name: value for name, value in FIELDS.items() if name != missing})) == ALWAYS


def test_damage_lets_nothing_out_of_a_conversation() -> None:
    """Every bit of every preset, turned: what can still be read is no more than it says."""
    assert lets_out(DEFAULT)
    assert not lets_out(read("damaged"))
    assert not lets_out(read('{"versions": [], "require_encryption": true}'))
    text = written(ALWAYS)
    for at in range(len(text)):
        for bit in range(7):
            damaged = read(text[:at] + chr(ord(text[at]) ^ 1 << bit) + text[at + 1 :])
            assert damaged.require_encryption
            assert damaged.versions
            assert fits(damaged)


def test_what_holds_on_a_network(database: Database) -> None:
    policies = Policies(database)
    assert policies.get("net") is None
    for policy in (*PRESETS.values(), replace(DEFAULT, versions=VERSIONS, padding=256)):
        policies.set("net", policy)
        assert Policies(database).get("net") == policy
        assert policies.get("other") is None
    policies.set("other", NEVER)
    policies.set("net", None)
    policies.set("net", None)
    assert policies.get("net") is None
    assert policies.get("other") == NEVER


@pytest.mark.parametrize("damage", ["''", "'{}'", "substr(policy, 1, 30)", "policy || 'x'"])
def test_a_damaged_policy_of_a_network_lets_nothing_out(
    folder: Path, database: Database, damage: str
) -> None:
    policies = Policies(database)
    policies.set("net", DEFAULT)
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection, connection:
        connection.execute(f"UPDATE network_policy SET policy = {damage}")
    assert policies.get("net") == ALWAYS
